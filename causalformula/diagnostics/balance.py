"""Balance tables: how alike the arms are in their covariates, before and after a design. cobalt's ``bal.tab``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from causalformula.backends.estimands import denominator_of
from causalformula.diagnostics.balance_plan import Plan
from causalformula.diagnostics.covariates import Covariate
from causalformula.diagnostics.moments import Moments, moments
from causalformula.diagnostics.statistics import (
    DENOMINATORS,
    correlations,
    divided,
    ks,
    overlap,
    spreads,
    target_ks,
)
from causalformula.numerics.arrays import Array, Bools

MARKS = {"Diff": "M", "V.Ratio": "V", "KS": "KS", "OVL": "OVL", "Corr": "R", "KS.Target": "KS.Target"}
# A dose's distance to the target population exists only once there are weights.
ADJUSTED_ONLY = ("KS.Target",)
SAMPLES = ("Un", "Adj")
MOMENTS = ("M.0", "SD.0", "M.1", "SD.1")


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows, arms and weights that a table compares.

    Parameters
    ----------
    arms : mapping of str to ndarray (n,) of bool
        Rows of each arm by level, the reference first; empty for a dose.
    dose : ndarray (n,), optional
    s : ndarray (n,)
        Sampling weights: the sample before adjustment.
    w : ndarray (n,), optional
        The design's weights, without ``s``; None where it has none.
    focal : str, optional
        The level whose units are the target, and whose standard deviations divide differences.
    """

    arms: Mapping[str, Bools]
    dose: Array | None
    s: Array
    w: Array | None
    focal: str | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        """The arms."""
        return tuple(self.arms)

    @property
    def sizes(self) -> Array:
        """Rows of each arm."""
        return np.array([arm.sum() for arm in self.arms.values()])

    @property
    def weights(self) -> list[Array]:
        """Total weights before and, where there are weights, after adjustment."""
        return [self.s] if self.w is None else [self.s, self.s * self.w]

    def rows(self, inside: Bools) -> Sample:
        """Some of the rows."""
        return Sample(
            {k: a[inside] for k, a in self.arms.items()},
            None if self.dose is None else self.dose[inside],
            self.s[inside],
            None if self.w is None else self.w[inside],
            self.focal,
        )


@dataclass(frozen=True, eq=False)
class BalanceTable:
    """Statistics of the covariates, by cobalt's column names.

    Parameters
    ----------
    rows : tuple of str
    types : tuple of str
        ``Distance``, ``Contin.`` or ``Binary``.
    columns : mapping of str to ndarray (rows,)
        In cobalt's order: ``Diff.Un``, ``V.Ratio.Un``, ..., ``Diff.Adj``, ... NaN where a statistic is not defined.
    statistics : tuple of str
        ``Diff``, ``V.Ratio``, ``KS``, ...
    prefix : str
        ``"Max."`` for the largest over pairs of arms.
    """

    rows: tuple[str, ...]
    types: tuple[str, ...]
    columns: Mapping[str, Array]
    statistics: tuple[str, ...]
    prefix: str = ""
    adjusted: bool = True


def exceeds(name: str, values: Array, threshold: float) -> Bools:
    """Which values lie beyond a threshold; a variance ratio below one counts as its inverse."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.maximum(values, 1 / values) if name == "V.Ratio" else np.abs(values)
        return np.asarray(size >= threshold)


def default_denominator(estimand: str, dose: bool) -> str:
    """The ``s.d.denom`` of an estimand, as in cobalt."""
    if dose:
        return "all"
    return denominator_of(estimand)


def balance_table(columns: Sequence[Covariate], sample: Sample, plan: Plan) -> BalanceTable:
    """The table of two arms or of a dose."""
    if sample.dose is not None:
        return _assembled(columns, _dose_statistics(columns, sample, plan), plan, sample.w is not None)
    (table,) = pair_tables(columns, sample, plan).values()
    return table


def pair_tables(columns: Sequence[Covariate], sample: Sample, plan: Plan) -> dict[tuple[str, str], BalanceTable]:
    """Tables of each pair of arms, the later level minus the earlier."""
    arms = list(sample.arms.values())
    found = sample_moments(columns, sample)
    binary = np.array([c.binary for c in columns], dtype=bool)
    divisor = divisors(found, binary, sample, plan)
    out = {}
    for low, high in combinations(range(len(arms)), 2):
        statistics = _pair_statistics(found, (low, high), binary, divisor, plan)
        if {"KS", "OVL"} & set(plan.stats):
            shares = np.array([np.abs(m.mean[:, high] - m.mean[:, low]) for m in found])
            statistics |= _distances(columns, sample, plan, (arms[low], arms[high]), shares)
        out[sample.levels[low], sample.levels[high]] = _assembled(columns, statistics, plan, sample.w is not None)
    return out


def sample_moments(columns: Sequence[Covariate], sample: Sample) -> list[Moments]:
    """Moments by arm before and, where there are weights, after adjustment."""
    values, arms = [c.values for c in columns], list(sample.arms.values())
    return [moments(values, np.column_stack([np.where(arm, w, 0.0) for arm in arms])) for w in sample.weights]


def moment_tables(
    columns: Sequence[Covariate], found: Sequence[Moments], sample: Sample, plan: Plan
) -> dict[tuple[str, str], BalanceTable]:
    """Tables of each pair of arms by moments alone, where there are no rows at hand."""
    binary = np.array([c.binary for c in columns], dtype=bool)
    divisor = divisors(found, binary, sample, plan)
    return {
        (sample.levels[low], sample.levels[high]): _assembled(
            columns, _pair_statistics(found, (low, high), binary, divisor, plan), plan, len(found) > 1
        )
        for low, high in combinations(range(len(sample.levels)), 2)
    }


def across(tables: Sequence[BalanceTable]) -> BalanceTable:
    """The worst of several tables for each covariate; a variance ratio below one counts as its inverse.

    Means and standard deviations, of which none is the worst, stay behind.
    """
    first = tables[0]
    columns = {}
    for name in first.columns:
        plain = name.removeprefix(first.prefix)
        statistic = plain.rpartition(".")[0]
        if statistic in first.statistics:
            columns[f"Max.{plain}"] = _worst(statistic, np.array([t.columns[name] for t in tables]))
    return BalanceTable(first.rows, first.types, columns, first.statistics, "Max.", first.adjusted)


def _worst(statistic: str, values: Array) -> Array:
    """The largest of each column in size; NaN where all are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.maximum(values, 1 / values) if statistic == "V.Ratio" else np.abs(values)
    known = ~np.isnan(size)
    largest = np.where(known, size, -np.inf).max(axis=0)
    return np.where(known.any(axis=0), largest, np.nan)


def _assembled(
    columns: Sequence[Covariate], found: Mapping[str, list[Array]], plan: Plan, adjusted: bool
) -> BalanceTable:
    """Statistics (a list over the samples) under cobalt's names; NaN in the adjusted columns where nothing adjusts."""
    rows = tuple(c.name for c in columns)
    names = (*(MOMENTS if plan.moments else ()), *plan.stats)
    out = {}
    for k, sample in enumerate(SAMPLES):
        for name in names:
            if name in ADJUSTED_ONLY and sample == "Un":
                continue
            values = found.get(name, [])
            out[f"{name}.{sample}"] = values[k] if k < len(values) else np.full(len(rows), np.nan)
    return BalanceTable(rows, tuple(c.type for c in columns), out, plan.stats, adjusted=adjusted)


def _pair_statistics(
    found: Sequence[Moments], pair: tuple[int, int], binary: Bools, divisor: Array, plan: Plan
) -> dict[str, list[Array]]:
    """Statistics of two arms that follow from means and variances."""
    low, high = pair
    out: dict[str, list[Array]] = {}
    if plan.moments:
        for k, arm in enumerate(pair):
            out[f"M.{k}"] = [m.mean[:, arm] for m in found]
            out[f"SD.{k}"] = [np.where(binary, np.nan, np.sqrt(m.variance(binary)[:, arm])) for m in found]
    if "Diff" in plan.stats:
        differences = [m.mean[:, high] - m.mean[:, low] for m in found]
        raw = binary if plan.binary == "raw" else np.zeros_like(binary)
        out["Diff"] = [np.where(raw, d, divided(d, divisor)) for d in differences]
    if "V.Ratio" in plan.stats:
        variances = [m.variance(np.zeros_like(binary)) for m in found]
        with np.errstate(divide="ignore", invalid="ignore"):
            out["V.Ratio"] = [np.where(binary, np.nan, v[:, high] / v[:, low]) for v in variances]
    return out


def _distances(
    columns: Sequence[Covariate], sample: Sample, plan: Plan, pair: tuple[Bools, Bools], shares: Array
) -> dict[str, list[Array]]:
    """Statistics of two arms' whole distributions; of a 0/1 covariate both are the difference in proportions."""
    zero, one = pair
    inside = zero | one
    # with two arms every row belongs to one of them, and nothing needs to be copied
    whole = bool(inside.all())
    treated = one if whole else one[inside]
    weights = sample.weights if whole else [w[inside] for w in sample.weights]
    out: dict[str, list[Array]] = {}
    for name, statistic in (("KS", ks), ("OVL", overlap)):
        if name in plan.stats:
            values = shares.copy()
            for j, column in enumerate(columns):
                if not column.binary:
                    values[:, j] = statistic(column.values if whole else column.values[inside], treated, weights)
            out[name] = list(values)
    return out


def divisors(found: Sequence[Moments], binary: Bools, sample: Sample, plan: Plan) -> Array:
    """Standard deviations that mean differences are divided by, one a covariate; those of the focal level, if any."""
    levels = list(sample.levels)
    denominator = plan.denominator
    if sample.focal is not None and denominator in ("treated", "control"):
        denominator = sample.focal
    if denominator not in DENOMINATORS:
        denominator = str(levels.index(denominator))
    return spreads(found[0], sample.sizes, binary, denominator, found[-1])


def _dose_statistics(columns: Sequence[Covariate], sample: Sample, plan: Plan) -> dict[str, list[Array]]:
    """Statistics of covariates with a dose."""
    assert sample.dose is not None
    out: dict[str, list[Array]] = {}
    values = [c.values for c in columns]
    if "Corr" in plan.stats:
        base = sample.weights[-1] if plan.denominator == "weighted" else sample.s
        binary = np.array([c.binary for c in columns], dtype=bool)
        out["Corr"] = [correlations(values, sample.dose, w, base, binary) for w in sample.weights]
    if "KS.Target" in plan.stats and sample.w is not None:
        after = np.array([target_ks(x, sample.s, sample.w) for x in values])
        out["KS.Target"] = [np.full(len(values), np.nan), after]
    return out
