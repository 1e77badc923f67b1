"""Matching: what is timed, beside the plain loop on sorted scores and blocked distances in bare numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from causalformula.numerics.matching.line import match_on_line
from causalformula.numerics.matching.space import match_in_space
from causalformula.numerics.matching.task import UNLIMITED, Apart, Gap, Task, focal_order
from tests.benchmarks import floors
from tests.benchmarks.cases import Case, Limit

TREATED = 0.18


def silent(call: Callable[[], Any]) -> Callable[[], None]:
    """What returns nothing, as its matches are not those of the floor."""

    def run() -> None:
        call()

    return run


def on_a_score(n: int = 1_000_000) -> Case:
    """1:1 without replacement on a given score; with conditions the same order."""
    rng = np.random.default_rng(0)
    treated = rng.random(n) < TREATED
    x = 1 / (1 + np.exp(-rng.normal(size=n) - 0.5 * treated))
    group, other = rng.integers(0, 10, n), rng.normal(size=n)
    small = rng.integers(0, max(n // 100, 1), n)
    focal, pool = np.flatnonzero(treated), np.flatnonzero(~treated)

    def matched(ratio: int = 1, **conditions: Any) -> np.ndarray:
        order = focal_order("largest", x[focal], len(focal), None)
        return match_on_line(x, Task(focal, pool, np.full(len(focal), ratio), order, **conditions))

    width = 0.1 * x.std()
    calls: dict[str, Callable[[], Any]] = {
        "floor": lambda: floors.greedy_on_line(x, focal, pool),
        "ours": lambda: matched()[:, 0],
    }
    more: dict[str, tuple[float, Callable[[], Any]]] = {
        "caliper": (2.4, lambda: matched(caliper=width)),
        "ten strata": (4, lambda: matched(strata=group)),
        "strata of a hundred": (4, lambda: matched(strata=small)),
        "with replacement": (1, lambda: matched(reuse=UNLIMITED)),
        "ratio 2": (5, lambda: matched(ratio=2)),
        "other level": (8, lambda: matched(conditions=(Apart(group),))),
        "calipers": (8, lambda: matched(caliper=width, conditions=(Gap(other, 1.0),))),
    }
    limits = [Limit("ours", "floor", 2.4)]  # where MatchIt 4.7 stood
    for name, (most, call) in more.items():
        calls[name] = silent(call)
        limits.append(Limit(name, "floor", most))
    return Case(f"(k) nearest on a score, n = {n:.0e}", calls, tuple(limits), rounds=2)


def on_covariates(n: int = 20_000) -> Case:
    """Mahalanobis distances without replacement, k = 10."""
    rng = np.random.default_rng(1)
    Z, treated = rng.normal(size=(n, 10)), rng.random(n) < TREATED
    focal, pool = np.flatnonzero(treated), np.flatnonzero(~treated)
    task = Task(focal, pool, np.ones(len(focal), dtype=np.intp), np.arange(len(focal)))
    calls: dict[str, Callable[[], Any]] = {
        "floor": lambda: floors.nearest_in_space(Z, focal, pool),
        "ours": lambda: match_in_space(Z, task)[:, 0],
    }
    return Case(f"(l) nearest on ten covariates, n = {n:.0e}", calls, (Limit("ours", "floor", 2),), rounds=3)


MATCHING: tuple[Callable[[], Case], ...] = (on_a_score, on_covariates)
