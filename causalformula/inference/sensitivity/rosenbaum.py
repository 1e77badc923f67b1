"""Rosenbaum's bounds: what a test of matched pairs says when treatment in a pair is no fair coin.

Of two units in a pair, one was treated; without hidden bias each with probability one half. With bias of at most
``gamma``, the odds differ by at most that factor, so that the probability lies between ``1 / (1 + gamma)`` and
``gamma / (1 + gamma)``. A statistic that sums over pairs is then between two that are of independent coins with these
two probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array

# A count of averages this close to a whole number is one: the two differ by rounding of a probability.
WHOLE = 1e-9
# No larger bias is looked for.
MOST_GAMMA = 1e6


@dataclass(frozen=True, eq=False)
class SignedRank:
    """Wilcoxon's signed-rank statistic of pairs, with Hodges and Lehmann's estimate of a constant effect.

    Parameters
    ----------
    differences : ndarray (m,)
        Treated minus control; pairs without a difference say nothing of the sign, and take no part in the test.
    """

    differences: Array

    @property
    def used(self) -> int:
        """Pairs that the test is of."""
        return int(np.count_nonzero(self.differences))

    def p_value(self, gamma: float, up: bool, greater: bool = True) -> float:
        """The largest (``up``) or least one-sided p-value under bias ``gamma``, by the normal approximation.

        The signed-rank sum has the mean ``p sum r`` and the variance ``p (1 - p) sum r^2``, ``r`` the ranks of the
        differences' sizes, ties at their average, and ``p = gamma / (1 + gamma)`` or ``1 / (1 + gamma)``.
        """
        from scipy.special import ndtr
        from scipy.stats import rankdata

        d = self.differences[self.differences != 0]
        ranks = np.asarray(rankdata(np.abs(d)))
        total = float(ranks[(d > 0) == greater].sum())
        p = chance(gamma, up)
        sd = np.sqrt(p * (1 - p)) * float(np.sqrt(ranks @ ranks))
        return float(ndtr(-(total - p * float(ranks.sum())) / sd)) if len(d) else 1.0

    def estimate(self, gamma: float, up: bool) -> float:
        """The largest or least Hodges-Lehmann estimate under bias ``gamma``.

        The effect whose removal leaves the statistic at its mean: of the ``M = m (m + 1) / 2`` averages of two
        differences the quantile above which there are ``p M``. Without bias that is their median.
        """
        m = len(self.differences)
        return self._above(chance(gamma, not up) * m * (m + 1) / 2)

    def limit(self, gamma: float, up: bool, level: float) -> float:
        """The limit of a two-sided interval for a constant effect, at the worst bias of at most ``gamma``."""
        from scipy.special import ndtri

        m, p = len(self.differences), chance(gamma, not up)
        half = float(ndtri((1 + level) / 2)) * np.sqrt(p * (1 - p) * m * (m + 1) * (2 * m + 1) / 6)
        return self._above(p * m * (m + 1) / 2 + (-half if up else half))

    def _above(self, count: float) -> float:
        """The value above which there are ``count`` averages, midway where a stretch of values has as many."""
        m = len(self.differences)
        near = round(count)
        whole = abs(count - near) <= WHOLE * max(1.0, count)
        first, second = (near, near + 1) if whole else (int(np.floor(count)) + 1,) * 2
        if second < 1 or first > m * (m + 1) // 2:
            return np.inf if second < 1 else -np.inf
        first, second = max(first, 1), min(second, m * (m + 1) // 2)
        both = [walsh(np.sort(self.differences), k) for k in {first, second}]
        return float(np.mean(both))


@dataclass(frozen=True, eq=False)
class Discordant:
    """McNemar's statistic of pairs with an outcome of two values: those in which one unit alone has it.

    Parameters
    ----------
    treated : int
        Pairs whose treated unit alone has the outcome.
    control : int
        Pairs whose control alone has it.
    """

    treated: int
    control: int

    @property
    def used(self) -> int:
        """Pairs that the test is of."""
        return self.treated + self.control

    def p_value(self, gamma: float, up: bool, greater: bool = True) -> float:
        """The largest or least exact one-sided p-value: the binomial chance of as many pairs, or more."""
        from scipy.special import bdtrc

        count = self.treated if greater else self.control
        return float(bdtrc(count - 1, self.used, chance(gamma, up))) if count else 1.0


def chance(gamma: float, up: bool) -> float:
    """The largest or least probability that a given unit of a pair is the treated one."""
    return gamma / (1 + gamma) if up else 1 / (1 + gamma)


def lost(p_value: Callable[[float], float], alpha: float) -> float:
    """The bias at which a p-value that grows with it reaches ``alpha``; 1 where it is there without any."""
    from scipy.optimize import brentq

    if p_value(1.0) >= alpha:
        return 1.0
    high = 2.0
    while p_value(high) < alpha:
        high *= 2
        if high > MOST_GAMMA:
            return np.inf
    return float(brentq(lambda gamma: p_value(gamma) - alpha, 1.0, high, xtol=1e-12, rtol=1e-14))


def amplified(gamma: float, odds: float) -> float:
    """The factor on the odds of a positive difference that, with ``odds`` of treatment, is a bias of ``gamma``.

    ``gamma = (odds x + 1) / (odds + x)`` (Rosenbaum and Silber 2009).
    """
    return (gamma * odds - 1) / (odds - gamma) if odds > gamma else np.inf


def walsh(ordered: Array, k: int) -> float:
    """The k-th largest average of two of these numbers, each with itself too, without making all of them."""
    low, high = float(ordered[0]), float(ordered[-1])
    if _count_above(ordered, low) < k:
        return low
    while True:  # more than k - 1 averages are above low, and no more above high
        middle = low + (high - low) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if _count_above(ordered, middle) >= k else (low, middle)
    place = np.searchsorted(ordered, 2 * high - ordered, side="right") - 1
    found = place >= 0
    return float(((ordered[found] + ordered[place[found]]) / 2).max())


def _count_above(ordered: Array, at: float) -> int:
    """How many averages are above a value."""
    each = len(ordered) - np.searchsorted(ordered, 2 * at - ordered, side="right")
    return int(each.sum() + (ordered > at).sum()) // 2
