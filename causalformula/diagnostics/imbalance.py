"""The covariates that a design leaves out of balance: the same numbers as the balance table's, in one quick pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.diagnostics.balance import Sample, divisors
from causalformula.diagnostics.balance_plan import THRESHOLD, Plan
from causalformula.diagnostics.covariates import Covariate
from causalformula.diagnostics.moments import Moments, moments, moments_and_sums
from causalformula.diagnostics.statistics import divided
from causalformula.numerics.arrays import Array, Bools, Codes

# A covariate whose spread is this share of its mean, or less, does not vary but by rounding.
CONSTANT = 1e-12
# With more rows than that, a first look leaves out the covariates that are near balance; at so many rows of each arm,
# in so many parts.
MANY, SOME, PARTS = 20_000, 1024, 8


@dataclass(frozen=True, eq=False)
class Imbalance:
    """Covariates beyond the threshold, the worst first.

    Parameters
    ----------
    covariates : tuple of Covariate
    values : ndarray
        Standardised differences in means (of 0/1 covariates, differences in proportions); correlations with a dose. Of
        several arms the greatest difference between two of them, without its sign.
    """

    covariates: tuple[Covariate, ...]
    values: Array


def imbalance(
    columns: Sequence[Covariate], sample: Sample, denominator: str, threshold: float = THRESHOLD
) -> Imbalance:
    """Covariates whose balance after the design stays beyond a threshold.

    Parameters
    ----------
    columns : sequence of Covariate
    sample : Sample
        With the design's weights.
    denominator : str
        As of the balance table: the estimand's.
    """
    if len(sample.s) > MANY:
        columns = _suspects(columns, sample, threshold / 4)
    if not columns:
        return Imbalance((), np.empty(0))
    values = _correlations(columns, sample) if sample.dose is not None else _differences(columns, sample, denominator)
    return beyond_threshold(columns, values, threshold)


def beyond_threshold(columns: Sequence[Covariate], values: Array, threshold: float = THRESHOLD) -> Imbalance:
    """The covariates whose values lie beyond a threshold, the worst first."""
    beyond = [j for j in np.argsort(-np.abs(values), kind="stable") if abs(values[j]) >= threshold]
    return Imbalance(tuple(columns[j] for j in beyond), values[beyond])


def _differences(columns: Sequence[Covariate], sample: Sample, denominator: str) -> Array:
    arms = list(sample.arms.values())
    after, values = _by_arm(arms, sample.weights[-1]), [c.values for c in columns]
    base, first = moments_and_sums(values, _by_arm(arms, sample.s).T, after.T)
    weighted = moments(values, after.T) if denominator == "weighted" else None
    return standardised(columns, base, first / after.sum(axis=1), sample, denominator, weighted)


def standardised(
    columns: Sequence[Covariate],
    base: Moments,
    mean: Array,
    sample: Sample,
    denominator: str,
    after: Moments | None = None,
) -> Array:
    """Differences of means (p, arms) after the design, by moments before it; zero of what does not vary.

    Moments ``after`` it are those of the denominator ``"weighted"``.
    """
    arms = sample.levels
    difference = mean[:, 1] - mean[:, 0] if len(arms) == 2 else np.ptp(mean, axis=1)
    binary = np.array([c.binary for c in columns], dtype=bool)
    plan = Plan(("Diff",), denominator=denominator)
    divisor = divisors([base] if after is None else [base, after], binary, sample, plan)
    found = np.where(binary, difference, divided(difference, divisor))
    return np.where(_constant(base), 0.0, np.nan_to_num(found, posinf=np.inf, neginf=-np.inf))


def _correlations(columns: Sequence[Covariate], sample: Sample) -> Array:
    assert sample.dose is not None
    against = _against(sample)
    values = [*(c.values for c in columns), sample.dose]
    base, covariance = moments_and_sums(values, sample.s[:, None], against[:, None])
    spread = np.sqrt(base.variance(np.array([*(c.binary for c in columns), False]))[:, 0])
    found = divided(covariance[:-1, 0], spread[:-1] * spread[-1])
    return np.where(_constant(base)[:-1], 0.0, np.nan_to_num(found, posinf=np.inf, neginf=-np.inf))


def _by_arm(arms: Sequence[Bools], weights: Array) -> Array:
    """The weights of each arm's rows, zero elsewhere (arms, n)."""
    return np.array([np.where(arm, weights, 0.0) for arm in arms])


def _against(sample: Sample) -> Array:
    """What a covariate is multiplied by, row by row, to sum to its weighted covariance with the dose (n,)."""
    assert sample.dose is not None
    share = sample.weights[-1] / sample.weights[-1].sum()
    return np.asarray(share * (sample.dose - share @ sample.dose) / (1 - share @ share))


# -- a first look at many rows -------------------------------------------------------------------------------------


def _suspects(columns: Sequence[Covariate], sample: Sample, threshold: float) -> list[Covariate]:
    """Covariates that may be beyond four times the threshold: by their means, and by spreads in some of the rows."""
    if sample.dose is not None:
        against = _against(sample)
        rows = [np.flatnonzero(sample.s > 0)]
        threshold *= _spread(sample.dose, rows)
        gaps = np.array([abs(float(against @ c.values)) for c in columns])
    else:
        arms, w = list(sample.arms.values()), sample.weights[-1]
        # each arm against the first: of several, two arms differ by at most twice that
        totals = [float(w @ arm) for arm in arms]
        first = np.where(arms[0], w / -totals[0], 0.0)
        gaps = np.zeros(len(columns))
        for arm, total in zip(arms[1:], totals[1:], strict=True):
            against = np.where(arm, w / total, first)
            gaps = np.maximum(gaps, [abs(float(against @ c.values)) for c in columns])
        threshold /= 1 if len(arms) == 2 else 2
        rows = [np.flatnonzero(arm & (sample.s > 0)) for arm in arms]
    limits = [threshold * (1.0 if c.binary else _spread(c.values, rows)) for c in columns]
    return [c for c, gap, limit in zip(columns, gaps, limits, strict=True) if gap >= limit]


def _spread(x: Array, groups: Sequence[Codes]) -> float:
    """The least of the groups' standard deviations, as a sample of their rows has them.

    The median over parts of the sample, so that one value far out, which the sample may hold, does not hide a group.
    """
    found = []
    for rows in groups:
        some = rows[:: max(1, len(rows) // SOME)]
        some = some[: len(some) // PARTS * PARTS].reshape(-1, PARTS)
        found.append(float(np.median(x[some].std(axis=0))) if len(some) else 0.0)
    return min(found)


def _constant(base: Moments) -> Bools:
    """Covariates that do not vary in the sample before the design."""
    whole = base.merged()
    spread = np.sqrt(whole.scatter[:, 0] / whole.total)
    return np.asarray(spread <= CONSTANT * np.abs(whole.mean[:, 0]))
