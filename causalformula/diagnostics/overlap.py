"""Overlap of the arms: ranges of the propensity score, units beyond the common support, how few carry the weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from causalformula.backends.fit import effective_size
from causalformula.numerics.arrays import Array, Bools, Codes

Limits = tuple[float, float]


@dataclass(frozen=True, eq=False)
class ArmOverlap:
    """Overlap of one arm with the others.

    Parameters
    ----------
    rows : int
        Rows with sampling weight.
    ranges : mapping of str to (float, float)
        Least and greatest value of each score in this arm.
    outside : ndarray of int
        Positions of rows beyond the common support of any score.
    dropped : int
        How many of these have no weight in the design.
    largest : float
        The largest weight.
    share : float
        Its share of the arm's total weight.
    before, after : float
        Effective sample sizes.
    """

    rows: int
    ranges: Mapping[str, Limits]
    outside: Codes
    dropped: int
    largest: float
    share: float
    before: float
    after: float


def common_support(distance: Array, arms: Mapping[str, Bools], used: Bools) -> Limits:
    """The range of the score in which every arm has units: the largest minimum to the least maximum."""
    inside = [distance[arm & used] for arm in arms.values()]
    return max(float(d.min()) for d in inside), min(float(d.max()) for d in inside)


def supports(scores: Mapping[str, Array], arms: Mapping[str, Bools], used: Bools) -> dict[str, Limits]:
    """The common support of each score."""
    return {name: common_support(score, arms, used) for name, score in scores.items()}


def arm_overlaps(arms: Mapping[str, Bools], s: Array, w: Array, scores: Mapping[str, Array]) -> dict[str, ArmOverlap]:
    """The overlap of each arm, under sampling weights ``s`` and a design's weights ``w``.

    ``scores`` are the propensity score of two arms, those of every level of several, or none.
    """
    used = s > 0
    outside = np.zeros(len(s), dtype=bool)
    for name, (low, high) in supports(scores, arms, used).items():
        outside |= (scores[name] < low) | (scores[name] > high)
    return {name: _arm(arm & used, s, s * w, scores, outside) for name, arm in arms.items()}


def _arm(rows: Bools, s: Array, total: Array, scores: Mapping[str, Array], outside: Bools) -> ArmOverlap:
    beyond, weights = rows & outside, total[rows]
    return ArmOverlap(
        rows=int(rows.sum()),
        ranges={name: (float(score[rows].min()), float(score[rows].max())) for name, score in scores.items()},
        outside=np.flatnonzero(beyond),
        dropped=int((total[beyond] == 0).sum()),
        largest=float(weights.max()),
        share=float(weights.max() / weights.sum()) if weights.any() else np.nan,
        before=effective_size(s[rows]),
        after=effective_size(weights),
    )
