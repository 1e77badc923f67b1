"""Bounds of a weighted mean when an unmeasured confounder moves every unit's odds of treatment by a factor.

In the marginal sensitivity model the odds of treatment given all confounders lie within a factor ``gamma`` of those
given the observed ones. A unit of an arm that stands for others with the odds ``v`` of not being in it then has the
weight ``base + r v``, with ``1 / gamma <= r <= gamma`` and ``r = 1`` as it was estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.numerics.quantile_regression import check_loss, quantile_line

# No larger factor is looked for, and the one that is found is this near to it.
MOST_GAMMA, NEAR = 1e4, 1e-4


@dataclass(frozen=True, eq=False)
class Arm:
    """The units of one arm, and how they stand for the target population.

    The mean is ``offset + share sum s w y / sum s w`` with ``w = base + odds``.

    Parameters
    ----------
    y : ndarray (n,)
        Outcomes, or what a model leaves of them.
    s : ndarray (n,)
        Sampling weights.
    base : float
        The part of the weights that no confounder moves: 1 where units stand for themselves too.
    odds : ndarray (n,)
        The part that it does.
    offset, share : float
        Of a doubly robust mean: the model's mean, and the part that corrects it.
    """

    y: Array
    s: Array
    base: float
    odds: Array
    offset: float = 0.0
    share: float = 1.0

    @property
    def mean(self) -> float:
        """As it was estimated."""
        w = self.s * (self.base + self.odds)
        return self.offset + self.share * float(w @ self.y / w.sum())

    def ratio_bounds(self, gammas: Array, signs: Array) -> Array:
        """The largest and least means over all ``r`` (Zhao, Small and Bhattacharya 2019).

        A ratio of linear functions is largest where ``r`` is ``gamma`` above some outcome, and ``1 / gamma`` below it.

        Parameters
        ----------
        gammas, signs : ndarray (q,)
            1 for the largest mean, -1 for the least.
        """
        order = np.argsort(-self.y, kind="stable")
        y, held, moved = self.y[order], self.s[order] * self.base, (self.s * self.odds)[order]
        fixed = np.array([held @ y, held.sum()])
        above = np.column_stack([np.append(0.0, np.cumsum(moved * y)), np.append(0.0, np.cumsum(moved))]).T
        below = above[:, -1:] - above
        found = np.empty(len(gammas))
        for k, (gamma, sign) in enumerate(zip(gammas, signs, strict=True)):
            more, less = (above, below) if sign > 0 else (below, above)
            value, total = fixed[:, None] + gamma * more + less / gamma
            found[k] = sign * (sign * value / total).max()
        return np.asarray(self.offset + self.share * found)

    def losses(self, quantiles: Array, gamma: float, up: bool) -> Array:
        """What each unit adds to a sharp bound, before its weight (n,).

        The ``r`` that leave the weights' sum, and that of their products with the quantiles, as they are, form a linear
        programme, whose dual is a quantile regression on ``(1, quantiles)`` weighted by the odds.
        """
        sign = 1.0 if up else -1.0
        tau, weights = level(gamma), self.s * self.odds
        X = np.column_stack([np.ones(len(self.y)), quantiles])
        line = X @ quantile_line(X, sign * self.y, tau, weights)
        return check_loss(sign * self.y - line, tau)

    def sharp_bounds(self, losses: Array, gammas: Array, signs: Array) -> Array:
        """The largest and least means with the conditional quantiles balanced (Dorn and Guo 2023).

        Parameters
        ----------
        losses : ndarray (q, n)
            Of ``losses()``, one row a bound.
        gammas, signs : ndarray (q,)
            1 for the largest mean, -1 for the least.
        """
        w = self.s * (self.base + self.odds)
        extra = signs * (gammas - 1 / gammas) * (losses @ (self.s * self.odds))
        return np.asarray(self.offset + self.share * (w @ self.y + extra) / w.sum())


def level(gamma: float) -> float:
    """The quantile that a confounder of this strength tells apart."""
    return gamma / (1 + gamma)


def outcome_quantiles(arm: Arm, outcomes: Array, X: Array, gamma: float, up: bool) -> Array:
    """Conditional quantiles of an arm's outcomes, by linear quantile regression."""
    sign = 1.0 if up else -1.0
    return np.asarray(X @ quantile_line(X, sign * outcomes, level(gamma), arm.s))


def breakdown(distance: Callable[[float], float]) -> float:
    """The factor at which a bound, whose distance from the null falls from a positive value, reaches it.

    1 where it is there without confounding; infinite where none takes it there.
    """
    from scipy.optimize import brentq

    if distance(1.0) <= 0:
        return 1.0
    low, high = 0.0, float(np.log(2.0))
    while distance(float(np.exp(high))) > 0:
        low, high = high, 2 * high
        if high > np.log(MOST_GAMMA):
            return np.inf
    return float(np.exp(brentq(lambda log: distance(float(np.exp(log))), low, high, xtol=NEAR)))


def crossing(gammas: Sequence[float], distances: Sequence[float]) -> float:
    """Where a distance, known at some factors in increasing order, reaches zero; between two of them it is a line."""
    below = np.flatnonzero(np.asarray(distances) <= 0)
    if not len(below):
        return np.inf
    k = int(below[0])
    if k == 0:
        return float(gammas[0])
    first, second = np.log(gammas[k - 1]), np.log(gammas[k])
    return float(np.exp(first + (second - first) * distances[k - 1] / (distances[k - 1] - distances[k])))
