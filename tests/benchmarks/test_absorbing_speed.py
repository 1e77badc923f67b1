"""A small form of what is timed with ``-m benchmark``: the same numbers, and about the floor's time."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.benchmarks.absorbing import jobs, ours, two_way
from tests.benchmarks.cases import timed


@pytest.mark.parametrize("lost", [0.0, 0.15], ids=["balanced", "unbalanced"])
def test_a_tenth(lost):
    case = two_way("u", lost, 5, units=10_000)
    short = replace(case, calls={name: case.calls[name] for name in ("floor", "ours")}, rounds=1)
    seconds = timed(short)
    # the machine may be busy, and a small problem has more of what does not grow with it
    assert seconds["ours"] <= 5 * seconds["floor"]


def test_workers_and_firms_need_few_steps():
    assert ours(jobs(5_000, 500)).shape == (10,)


def test_a_factor_of_many_levels_takes_milliseconds():
    n, rng = 20_000, np.random.default_rng(1)
    frame = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": rng.integers(0, 1500, n)})
    cf.lm("y ~ x | g", frame)
    start = time.perf_counter()
    cf.lm("y ~ x | g", frame)
    # about 0.01 s, where the dummies take 13
    assert time.perf_counter() - start < 0.5
