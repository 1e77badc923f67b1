"""Overlap of the arms: ranges of the propensity score, units beyond the common support, how few carry the weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.fit import effective_size

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ArmOverlap:
    """Overlap of one arm with the others.

    Parameters
    ----------
    rows : int
        Rows with sampling weight.
    low, high : float
        Range of the propensity score; NaN without one.
    outside : ndarray of int
        Positions of rows beyond the common support.
    largest : float
        The largest weight.
    share : float
        Its share of the arm's total weight.
    before, after : float
        Effective sample sizes.
    """

    rows: int
    low: float
    high: float
    outside: NDArray[np.intp]
    largest: float
    share: float
    before: float
    after: float


def common_support(distance: Array, arms: Mapping[str, Bools], used: Bools) -> tuple[float, float]:
    """The range of the score in which every arm has units: the largest minimum to the least maximum."""
    inside = [distance[arm & used] for arm in arms.values()]
    return max(float(d.min()) for d in inside), min(float(d.max()) for d in inside)


def arm_overlaps(arms: Mapping[str, Bools], s: Array, w: Array, distance: Array | None) -> dict[str, ArmOverlap]:
    """The overlap of each arm, under sampling weights ``s`` and a design's weights ``w``."""
    used = s > 0
    low, high = (np.nan, np.nan) if distance is None else common_support(distance, arms, used)
    return {name: _arm(arm & used, s, s * w, distance, low, high) for name, arm in arms.items()}


def _arm(rows: Bools, s: Array, total: Array, distance: Array | None, low: float, high: float) -> ArmOverlap:
    d = None if distance is None else distance[rows]
    outside = np.empty(0, dtype=np.intp)
    if distance is not None:
        outside = np.flatnonzero(rows & ((distance < low) | (distance > high)))
    weights = total[rows]
    return ArmOverlap(
        int(rows.sum()),
        np.nan if d is None else float(d.min()),
        np.nan if d is None else float(d.max()),
        outside,
        float(weights.max()),
        float(weights.max() / weights.sum()) if weights.any() else np.nan,
        effective_size(s[rows]),
        effective_size(weights),
    )
