"""Curves of a million rows beside one sort and two running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from causalformula.diagnostics.targeting import score_curves
from causalformula.diagnostics.uplift import outcome_curve
from tests.benchmarks import floors
from tests.benchmarks.cases import Case, Limit


def toc_and_qini() -> Case:
    """TOC and Qini curves with their areas, n = 1e6, in one sort; beside them a tenth of 200 half-samples."""
    rng = np.random.default_rng(0)
    priority = rng.normal(size=1_000_000)
    scores = priority + rng.normal(size=1_000_000)
    t = (rng.random(1_000_000) < 0.5).astype(float)

    def ours() -> Any:
        found = score_curves(scores, priority, ("toc", "qini"), reps=0)
        return found["toc"].area, found["qini"].area

    def halves() -> None:
        score_curves(scores, priority, ("toc", "qini"), reps=20)

    def observed() -> None:
        outcome_curve(scores, t, priority, reps=0)

    calls = {
        "ours": ours,
        "floor": lambda: floors.autoc_and_qini(scores, priority),
        "with 200 half-samples": halves,
        "outcomes of an experiment": observed,
    }
    limits = (
        Limit("ours", "floor", 2.5),
        Limit("outcomes of an experiment", "floor", 4.0),
        Limit("with 200 half-samples", "floor", 100.0),
    )
    title = "(s) TOC and Qini curves of scores, n = 1e6"
    return Case(title, calls, limits, rounds=3, scale={"with 200 half-samples": 10.0}, threads=1)


TARGETING: tuple[Callable[[], Case], ...] = (toc_and_qini,)
