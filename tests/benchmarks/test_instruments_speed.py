"""A small form of what is timed with ``-m benchmark``: the same numbers, and about the floor's time."""

import tracemalloc
from dataclasses import replace

import numpy as np

from causalformula.inference.instrumented import fit_instrumented
from tests.benchmarks.cases import timed
from tests.benchmarks.instruments import equations, two_stages


def test_a_twentieth():
    case = two_stages(50_000)
    short = replace(case, calls={name: case.calls[name] for name in ("floor", "ours")}, rounds=2)
    seconds = timed(short)
    # the machine may be busy, and a small problem has more of what does not grow with it
    assert seconds["ours"] <= 6 * seconds["floor"]


def test_one_copy_of_the_design():
    """The projected columns, which a sandwich needs; and vectors of the rows."""
    given = equations(50_000, 40)
    tracemalloc.start()
    fit_instrumented(given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.5 * given.X.nbytes


def test_far_and_near_columns_are_the_same():
    """Columns that take the other way, counted from their means."""
    near = equations(2_000, 5)
    far = replace(near, X=near.X + np.array([0.0, 0.0, 1e5, 0.0, 0.0]))
    one, other = fit_instrumented(near), fit_instrumented(far)
    assert one.hat.moved is None and other.hat.moved is not None
    np.testing.assert_allclose(other.theta[1:], one.theta[1:], rtol=1e-9)
    np.testing.assert_allclose(other.hat.dispersion, one.hat.dispersion, rtol=1e-9)
