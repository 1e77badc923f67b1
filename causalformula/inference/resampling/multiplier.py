"""Multiplier bootstrap on influences: the distribution of the largest t statistic of several estimates.

With ``s_g`` the influences summed over unit g (row or cluster), a replicate is ``T_j = sum_g xi_g s_gj / sqrt(sum_g
s_gj^2)`` with independent ``xi_g`` of mean 0 and variance 1: nothing is refitted, and the correlation of the estimates
is kept. The size of the sum is taken as known, so the replicates are divided by one ``sqrt(chi2_df / df)``: as few
units tell little of it, they are multivariate t.
"""

from __future__ import annotations

import numpy as np

from causalformula.errors import DataError
from causalformula.inference.resampling.wild import multipliers
from causalformula.numerics.arrays import Array

BLOCK_CELLS = 2_000_000
MULTIPLIERS = ("normal", "rademacher", "webb", "mammen")


def multiplier_statistics(sums: Array, reps: int, rng: np.random.Generator, kind: str = "normal") -> Array:
    """Replicates (R, q) of the estimates' t statistics under no effect.

    Parameters
    ----------
    sums : ndarray (G, q)
        Influences summed over units.
    kind : {"normal", "rademacher", "webb", "mammen"}
        Of few units, a sum with multipliers that are not normal has too short tails.

    Raises
    ------
    DataError
        If an estimate does not vary at all.

    References
    ----------
    Chernozhukov, Chetverikov and Kato (2013); Callaway and Sant'Anna (2021), as R's ``did::mboot``.
    """
    size = np.sqrt((sums**2).sum(axis=0))
    if np.any(size == 0):
        raise DataError(f"estimate {int(np.argmin(size)) + 1} has no sampling variation, so no t statistic")
    scaled = sums / size
    block = max(1, BLOCK_CELLS // len(sums))
    parts = []
    for start in range(0, reps, block):
        xi = multipliers(rng, (min(block, reps - start), len(sums)), kind)
        parts.append(xi @ scaled)
    return np.vstack(parts)


def gaussian_statistics(matrix: Array, reps: int, rng: np.random.Generator) -> Array:
    """Replicates (R, q) of normal t statistics with the correlation of a covariance matrix.

    For estimates that come with a covariance but without influences (Montiel Olea and Plagborg-Møller 2019).
    """
    se = np.sqrt(np.diag(matrix))
    if np.any(~(se > 0)):
        raise DataError(f"estimate {int(np.argmin(se)) + 1} has no sampling variation, so no t statistic")
    values, vectors = np.linalg.eigh(matrix / np.outer(se, se))
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(rng.standard_normal((reps, len(se))) @ root.T)


def with_df(statistics: Array, df: float, rng: np.random.Generator) -> Array:
    """Replicates divided by a common ``sqrt(chi2_df / df)``: multivariate t instead of normal."""
    if np.isinf(df):
        return statistics
    return np.asarray(statistics / np.sqrt(rng.chisquare(df, len(statistics)) / df)[:, None])


def critical_value(statistics: Array, level: float) -> float:
    """The ``level`` quantile of ``max_j |T_j|``, as the order statistic of rank ``level (R + 1)``, rounded up."""
    largest = np.sort(np.abs(statistics).max(axis=1))
    rank = int(np.ceil(level * (len(largest) + 1) - 1e-9))
    return float(largest[min(rank, len(largest)) - 1])


def single_step(t: Array, statistics: Array) -> Array:
    """Adjusted p-values (q,): how often the largest replicated ``|T|`` reaches each ``|t|``, ``(b + 1) / (R + 1)``."""
    largest = np.sort(np.abs(statistics).max(axis=1))
    below = np.searchsorted(largest, np.abs(t), side="left")
    return np.asarray((len(largest) - below + 1) / (len(largest) + 1))


def step_down(t: Array, statistics: Array) -> Array:
    """Romano and Wolf's step-down p-values (q,), monotone in ``|t|``.

    The largest ``|t|`` is compared with the maximum over all hypotheses, the next with the maximum over those that
    remain.

    References
    ----------
    Romano and Wolf (2005, 2016). Stata: ``rwolf2``; R: ``wildrwolf::rwolf``.
    """
    order = np.argsort(-np.abs(t), kind="stable")
    sizes = np.abs(statistics[:, order])
    # the maximum over this hypothesis and those that come after it
    largest = np.maximum.accumulate(sizes[:, ::-1], axis=1)[:, ::-1]
    exceed = (largest >= np.abs(t)[order]).sum(axis=0)
    p = np.maximum.accumulate((exceed + 1) / (len(statistics) + 1))
    out = np.empty(len(t))
    out[order] = p
    return out
