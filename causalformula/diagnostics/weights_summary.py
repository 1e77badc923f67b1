"""How variable a design's weights are, arm by arm: WeightIt's summary of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from causalformula.backends.fit import effective_size
from causalformula.numerics.arrays import Array, Bools

# A solver's zero.
NEGLIGIBLE = float(np.sqrt(np.finfo(float).eps))


@dataclass(frozen=True, eq=False)
class ArmWeights:
    """Weights of one arm in numbers.

    Parameters
    ----------
    low, high : float
        Range of the weights above zero.
    top : tuple of (int, float)
        Positions and weights of the largest, the largest last.
    variation : float
        Coefficient of variation (standard deviation with n - 1).
    mad : float
        Mean absolute deviation over the mean.
    entropy : float
        ``mean(w log w)`` of the positive weights, scaled to mean one.
    zeros : int
    """

    low: float
    high: float
    top: tuple[tuple[int, float], ...]
    variation: float
    mad: float
    entropy: float
    zeros: int


def arm_weights(weights: Array, inside: Bools, top: int) -> ArmWeights:
    """Summary of the weights of the rows ``inside``."""
    w = weights[inside]
    positive = w[w > 0]
    if not len(positive):
        return ArmWeights(0.0, 0.0, (), np.nan, np.nan, np.nan, len(w))
    relative = w / w.mean()
    scaled = positive / positive.mean()
    # the first row of equal ones counts as the largest
    order = np.argsort(-w, kind="stable")[:top][::-1]
    at = np.flatnonzero(inside)[order]
    return ArmWeights(
        float(positive.min()),
        float(positive.max()),
        tuple((int(i), float(weights[i])) for i in at),
        float(relative.std(ddof=1)) if len(w) > 1 else 0.0,
        float(np.abs(relative - 1).mean()),
        float((scaled * np.log(scaled)).mean()),
        int((w < NEGLIGIBLE).sum()),
    )


def effective_sizes(arms: Mapping[str, Bools], s: Array, w: Array) -> dict[str, tuple[float, float]]:
    """Effective sample sizes of each arm under the sampling weights, and under these times the design's."""
    return {name: (effective_size(s[inside]), effective_size((s * w)[inside])) for name, inside in arms.items()}
