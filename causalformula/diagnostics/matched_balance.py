"""MatchIt's balance tables: means, standardised differences, distribution functions and distances within pairs.

The variance of a 0/1 column is ``p (1 - p)``, that of another the weighted one without bias for weights that are no
counts. Reference: ``summary.matchit`` of MatchIt 4.7.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.diagnostics.covariates import Covariate
from causalformula.diagnostics.moments import Moments, moments
from causalformula.diagnostics.statistics import ecdf_gaps
from causalformula.numerics.arrays import Array, Bools, Codes

MEANS = ("Means Treated", "Means Control")
STANDARD = ("Std. Mean Diff.", "Var. Ratio", "eCDF Mean", "eCDF Max", "Std. Pair Dist.")
RAW = ("Mean Diff.", "Var. Ratio", "eQQ Mean", "eQQ Max", "Pair Dist.")
# A difference of means, and a spread, below this share of what it is held against is that of rounding.
NONE = 1e-10
# Sums of weights that differ by less are one place of a distribution function.
SAME = 1e-12


@dataclass(frozen=True, eq=False)
class Pairing:
    """Who is matched with whom: sets, in which every treated unit is paired with every control, or row by row.

    Parameters
    ----------
    sets : ndarray (n,) of int, optional
        -1 for rows in none.
    matches : ndarray (m, 2) of int, optional
        Rows of a focal unit and of a match, one pair a row; read where there are no sets.
    """

    sets: Codes | None = None
    matches: Codes | None = None


@dataclass(frozen=True, eq=False)
class MatchedSample:
    """Rows, arms and weights before and after a design.

    Parameters
    ----------
    treated : ndarray (n,) of bool
    s : ndarray (n,)
        Sampling weights: the sample before the design.
    w : ndarray (n,)
        The design's weights, without ``s``.
    denominator : {"treated", "control", "pooled"}
        Whose standard deviation, before the design, divides differences of means.
    pairing : Pairing, optional
    """

    treated: Bools
    s: Array
    w: Array
    denominator: str
    pairing: Pairing | None = None

    def arms(self, w: Array) -> Array:
        """Weights by arm, treated first (n, 2)."""
        return np.column_stack([np.where(self.treated, w, 0.0), np.where(self.treated, 0.0, w)])

    def rows(self, inside: Bools) -> MatchedSample:
        """Some of the rows, without their pairs."""
        return MatchedSample(self.treated[inside], self.s[inside], self.w[inside], self.denominator)


@dataclass(frozen=True, eq=False)
class MatchedTable:
    """Columns by MatchIt's names; ``unscaled`` are rows whose pair distances stand in the covariate's own units."""

    rows: tuple[str, ...]
    columns: Mapping[str, Array]
    unscaled: tuple[str, ...] = ()


def matched_tables(
    columns: Sequence[Covariate], sample: MatchedSample, *, standardize: bool = True, distances: bool = True
) -> tuple[MatchedTable, MatchedTable]:
    """Balance before and after a design.

    Parameters
    ----------
    columns : sequence of Covariate
    sample : MatchedSample
    standardize : bool
        Differences over standard deviations, and of distribution functions; otherwise raw, and of quantiles.
    distances : bool
        Mean distances within pairs too, where there are pairs.
    """
    divisor = spreads(columns, sample)
    before, after = _tables(columns, sample, [sample.s, sample.s * sample.w], divisor, standardize)
    if not distances or sample.pairing is None:
        return before, after
    name, missing = (STANDARD if standardize else RAW)[-1], np.full(len(columns), np.nan)
    within = pair_distances(columns, sample)
    unscaled: tuple[str, ...] = ()
    if standardize:
        within, unscaled = _scaled(within, after, divisor)
    return (
        replace(before, columns={**before.columns, name: missing}),
        replace(after, columns={**after.columns, name: within}, unscaled=unscaled),
    )


def subclass_tables(
    columns: Sequence[Covariate], sample: MatchedSample, codes: Codes, *, standardize: bool = True
) -> list[MatchedTable]:
    """Balance within each stratum; ``codes`` (n,) count from 0, and -1 is in none.

    Differences are divided by the stratum's own standard deviation of the target arm; for the ATE, and where the
    target arm does not vary, by that of the whole sample.
    """
    whole = within_spread(columns, sample)
    pooled = spreads(columns, sample) if sample.denominator == "pooled" else None
    out = []
    for k in range(int(codes.max(initial=-1)) + 1):
        inside = codes == k
        some, part = [replace(c, values=c.values[inside]) for c in columns], sample.rows(inside)
        divisor = pooled if pooled is not None else _varying(_arm_variances(some, part), part, whole)
        out += _tables(some, part, [part.s], divisor, standardize)
    return out


def _tables(
    columns: Sequence[Covariate], sample: MatchedSample, weights: Sequence[Array], divisor: Array, standardize: bool
) -> list[MatchedTable]:
    """A table for each set of total weights (n,)."""
    gaps = _gaps(columns, sample.treated, weights, standardize)
    return [_table(columns, sample, w, divisor, standardize, gap) for w, gap in zip(weights, gaps, strict=True)]


def _table(
    columns: Sequence[Covariate], sample: MatchedSample, w: Array, divisor: Array, standardize: bool, gaps: Array
) -> MatchedTable:
    binary = np.array([c.binary for c in columns], dtype=bool)
    found = moments([c.values for c in columns], sample.arms(w))
    difference = _without_rounding(found.mean[:, 0] - found.mean[:, 1], divisor)
    variance = found.variance(np.zeros_like(binary))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(binary, np.nan, variance[:, 0] / variance[:, 1])
        shown = np.where(difference == 0, 0.0, difference / divisor) if standardize else difference
    mean, most = np.where(binary, np.abs(difference), gaps)
    names = (*MEANS, *(STANDARD if standardize else RAW)[:4])
    values = (found.mean[:, 0], found.mean[:, 1], shown, ratio, mean, most)
    return MatchedTable(tuple(c.name for c in columns), dict(zip(names, values, strict=True)))


def _without_rounding(difference: Array, divisor: Array) -> Array:
    """Differences of means, those that are rounding beside the standard deviation made zero."""
    return np.asarray(np.where(np.abs(difference) <= NONE * divisor, 0.0, difference))


def _gaps(columns: Sequence[Covariate], treated: Bools, weights: Sequence[Array], standardize: bool) -> Array:
    """Mean and largest distance of distribution functions or quantiles (weights, 2, p); NaN for 0/1 covariates.

    Of those both are the difference in shares.
    """
    out = np.full((len(weights), 2, len(columns)), np.nan)
    for j, column in enumerate(columns):
        if column.binary:
            continue
        x = column.values
        each = ecdf_gaps(x, treated, weights) if standardize else [quantile_gaps(x, treated, w) for w in weights]
        for k, gaps in enumerate(each):
            if len(gaps):
                out[k, :, j] = gaps.mean(), gaps.max()
    return out


def quantile_gaps(x: Array, treated: Bools, w: Array) -> Array:
    """Distances between the arms' quantiles, at the places of the arm with fewer rows of positive weight."""
    parts = []
    for arm in (treated, ~treated):
        rows = np.flatnonzero(arm & (w > 0))
        rows = rows[np.argsort(x[rows], kind="stable")]
        parts.append((x[rows], np.cumsum(w[rows])))
    (few, at), (many, places) = sorted(parts, key=lambda part: len(part[0]))
    if not len(few):
        return np.empty(0)
    found = np.searchsorted(places / places[-1], at / at[-1] + SAME, side="right") - 1
    return np.abs(few - many[np.maximum(found, 0)])


# -- standard deviations -----------------------------------------------------------------------------------------------


def spreads(columns: Sequence[Covariate], sample: MatchedSample) -> Array:
    """Standard deviations before the design that divide differences; within the arms where the target's is zero."""
    found = _arm_variances(columns, sample)
    if sample.denominator == "pooled":
        return np.asarray(np.sqrt(found.mean(axis=1)))
    return _varying(found, sample, within_spread(columns, sample))


def _arm_variances(columns: Sequence[Covariate], sample: MatchedSample) -> Array:
    binary = np.array([c.binary for c in columns], dtype=bool)
    return moments([c.values for c in columns], sample.arms(sample.s)).variance(binary)


def _varying(variances: Array, sample: MatchedSample, otherwise: Array) -> Array:
    """The target arm's standard deviations; where a covariate does not vary there, those of ``otherwise``."""
    found = np.sqrt(variances[:, 0 if sample.denominator == "treated" else 1])
    return np.where(found > NONE * otherwise, found, otherwise)


def within_spread(columns: Sequence[Covariate], sample: MatchedSample) -> Array:
    """Standard deviations about the arms' means, both arms together."""
    found = moments([c.values for c in columns], sample.arms(sample.s))
    scatter, total, squares = found.scatter.sum(axis=1, keepdims=True), found.total.sum(), found.squares.sum()
    both = Moments(np.array([total]), np.array([squares]), np.zeros_like(scatter), scatter)
    binary = np.array([c.binary for c in columns], dtype=bool)
    variance = np.where(binary, scatter[:, 0] / total, both.variance(np.zeros_like(binary))[:, 0])
    return np.asarray(np.sqrt(variance))


# -- pairs -------------------------------------------------------------------------------------------------------------


def pair_distances(columns: Sequence[Covariate], sample: MatchedSample) -> Array:
    """Mean absolute difference within pairs, all pairs alike; NaN where there are none."""
    pairing = sample.pairing
    assert pairing is not None
    if pairing.sets is not None:
        return np.array([_within_sets(c.values, sample.treated, pairing.sets) for c in columns])
    assert pairing.matches is not None
    if not len(pairing.matches):
        return np.full(len(columns), np.nan)
    return np.array([np.abs(c.values[pairing.matches[:, 0]] - c.values[pairing.matches[:, 1]]).mean() for c in columns])


def _within_sets(x: Array, treated: Bools, sets: Codes) -> float:
    """Over all pairs of a treated and a control unit of one set, without forming them.

    Between two neighbouring values of a set lie all pairs with one unit on either side, so the distances sum to the
    gaps times the numbers of such pairs.
    """
    rows = np.flatnonzero(sets >= 0)
    if not len(rows):
        return np.nan
    rows = rows[np.argsort(x[rows])]
    # numpy sorts short integers by their digits, which leaves equal ones in order at little cost
    short = sets.astype(np.int16) if sets.max() < np.iinfo(np.int16).max else sets
    rows = rows[np.argsort(short[rows], kind="stable")]
    code, value, one = sets[rows], x[rows], treated[rows].astype(float)
    first = np.flatnonzero(np.append(True, code[1:] != code[:-1]))
    size = np.diff(np.append(first, len(rows)))
    below, all_treated = np.cumsum(one), np.add.reduceat(one, first)
    treated_below = below - np.repeat(below[first] - one[first], size)
    others_below = np.arange(1, len(rows) + 1) - np.repeat(first, size) - treated_below
    treated_total, others_total = np.repeat(all_treated, size), np.repeat(size - all_treated, size)
    crossing = treated_below * (others_total - others_below) + others_below * (treated_total - treated_below)
    gap = np.append(np.diff(value), 0.0)
    pairs = float((all_treated * (size - all_treated)).sum())
    return float(crossing @ gap) / pairs if pairs else np.nan


def _scaled(within: Array, after: MatchedTable, divisor: Array) -> tuple[Array, tuple[str, ...]]:
    """Pair distances over standard deviations; where the means agree MatchIt leaves them in the covariate's units."""
    means = [after.columns[name] for name in MEANS]
    agree = _without_rounding(means[0] - means[1], divisor) == 0
    found = np.where(agree, within, within / np.where(agree, 1.0, divisor))
    names = tuple(name for name, equal, d in zip(after.rows, agree, within, strict=True) if equal and d > 0)
    return found, names
