"""Balance tables: how alike the arms are in their covariates, before and after a design. cobalt's ``bal.tab``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from causalformula.diagnostics.covariates import Covariate
from causalformula.diagnostics.statistics import (
    DENOMINATORS,
    correlation,
    divided,
    ks,
    mean,
    overlap,
    spread,
    target_ks,
    variance,
)
from causalformula.errors import OptionError, choose

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# What a user asks for, and cobalt's names of the columns: between arms, and for a dose.
ARMS = {"smd": "Diff", "variance_ratio": "V.Ratio", "ks": "KS", "ovl": "OVL"}
DOSE = {"smd": "Corr", "correlation": "Corr", "ks": "KS.Target"}
MARKS = {"Diff": "M", "V.Ratio": "V", "KS": "KS", "OVL": "OVL", "Corr": "R", "KS.Target": "KS.Target"}
# A dose's distance to the target population exists only once there are weights.
ADJUSTED_ONLY = ("KS.Target",)
SAMPLES = ("Un", "Adj")


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


@dataclass(frozen=True, eq=False)
class Plan:
    """What is computed: statistics, and how differences are standardised."""

    stats: tuple[str, ...]
    binary: str = "raw"
    denominator: str = "pooled"
    moments: bool = False
    names: tuple[str, ...] = field(default=())


def read_plan(
    stats: Sequence[str] | str, binary: str, denominator: str, dose: bool, moments: bool = False
) -> Plan:
    """Check what was asked for.

    Raises
    ------
    OptionError
        For an unknown statistic or an impossible combination.
    """
    asked = (stats,) if isinstance(stats, str) else tuple(stats)
    known = {**ARMS, **DOSE}
    for name in asked:
        if name not in known:
            raise OptionError(f"unknown balance statistic {name!r}{choose(name, known)}")
    if binary not in ("raw", "std"):
        raise OptionError(f"binary={binary!r}: 'raw' gives differences in proportions, 'std' divides them by their sd")
    if dose and denominator not in ("all", "weighted"):
        raise OptionError(f"for a dose s_d_denom is 'all' or 'weighted', not {denominator!r}")
    table = DOSE if dose else ARMS
    chosen = tuple(dict.fromkeys(table[name] for name in asked if name in table))
    if not chosen:
        raise OptionError(f"{', '.join(asked)}: not defined here{choose(asked[0], table, 'this treatment has')}")
    return Plan(chosen, binary, denominator, moments)


def default_denominator(estimand: str, dose: bool) -> str:
    """cobalt's ``s.d.denom`` for an estimand."""
    if dose:
        return "all"
    return {"ATT": "treated", "ATC": "control", "ATO": "weighted", "ATM": "weighted"}.get(estimand, "pooled")


def balance_table(columns: Sequence[Covariate], sample: Sample, plan: Plan) -> BalanceTable:
    """The table of two arms or of a dose."""
    one = _dose_row if sample.dose is not None else _pair_row
    found = [one(column, sample, plan) for column in columns]
    return _assembled(columns, found, plan, sample.w is not None)


def pair_tables(columns: Sequence[Covariate], sample: Sample, plan: Plan) -> dict[tuple[str, str], BalanceTable]:
    """Tables of each pair of arms, the later level minus the earlier."""
    return {pair: _pair_table(columns, sample, plan, pair) for pair in combinations(sample.arms, 2)}


def _pair_table(columns: Sequence[Covariate], sample: Sample, plan: Plan, pair: tuple[str, str]) -> BalanceTable:
    found = [_pair_row(column, sample, plan, pair) for column in columns]
    return _assembled(columns, found, plan, sample.w is not None)


def across(tables: Sequence[BalanceTable]) -> BalanceTable:
    """The worst of several tables for each covariate; a variance ratio below one counts as its inverse."""
    first = tables[0]
    columns = {}
    for name in first.columns:
        values = np.array([t.columns[name] for t in tables])
        size = np.maximum(values, 1 / values) if name.startswith("V.Ratio") else np.abs(values)
        known = ~np.isnan(size)
        largest = np.where(known, size, -np.inf).max(axis=0)
        columns[f"Max.{name}"] = np.where(known.any(axis=0), largest, np.nan)
    return BalanceTable(first.rows, first.types, columns, first.statistics, "Max.", first.adjusted)


def _assembled(
    columns: Sequence[Covariate], found: Sequence[Mapping[str, Array]], plan: Plan, adjusted: bool
) -> BalanceTable:
    out: dict[str, Array] = {}
    for k, sample in enumerate(SAMPLES):
        moments = ("M.0", "SD.0", "M.1", "SD.1") if plan.moments else ()
        for name in (*moments, *plan.stats):
            if name in ADJUSTED_ONLY and sample == "Un":
                continue
            values = [row[name][k] if name in row and k < len(row[name]) else np.nan for row in found]
            out[f"{name}.{sample}"] = np.array(values, dtype=float)
    rows = tuple(c.name for c in columns)
    return BalanceTable(rows, tuple(c.type for c in columns), out, plan.stats, adjusted=adjusted)


def _pair_row(
    column: Covariate, sample: Sample, plan: Plan, pair: tuple[str, str] | None = None
) -> dict[str, Array]:
    """Statistics of one covariate between two arms: an array over the samples for each."""
    low, high = pair or tuple(sample.arms)
    zero, one = sample.arms[low], sample.arms[high]
    x, weights, binary = column.values, sample.weights, column.binary
    out: dict[str, Array] = {}
    means = np.array([[mean(x[arm], w[arm]) for arm in (zero, one)] for w in weights])
    if plan.moments:
        sds = np.array([[_sd(x[arm], w[arm], binary) for arm in (zero, one)] for w in weights])
        out |= {"M.0": means[:, 0], "M.1": means[:, 1], "SD.0": sds[:, 0], "SD.1": sds[:, 1]}
    if "Diff" in plan.stats:
        difference = means[:, 1] - means[:, 0]
        if not binary or plan.binary == "std":
            difference = divided(difference, _divisor(column, sample, plan))
        out["Diff"] = difference
    if "V.Ratio" in plan.stats and not binary:
        ratio = [variance(x[one], w[one], False) / variance(x[zero], w[zero], False) for w in weights]
        out["V.Ratio"] = np.array(ratio)
    if not {"KS", "OVL"} & set(plan.stats):
        return out
    # with two arms every row belongs to one of them, and nothing needs to be copied
    inside = zero | one
    whole = bool(inside.all())
    y = x if whole else x[inside]
    treated = one if whole else one[inside]
    parts = weights if whole else [w[inside] for w in weights]
    if "KS" in plan.stats:
        out["KS"] = ks(y, treated, parts, binary)
    if "OVL" in plan.stats:
        out["OVL"] = overlap(y, treated, parts, binary)
    return out


def _sd(x: Array, w: Array, binary: bool) -> float:
    return np.nan if binary else float(np.sqrt(variance(x, w, False)))


def _divisor(column: Covariate, sample: Sample, plan: Plan) -> float:
    levels = list(sample.arms)
    denominator = plan.denominator
    if sample.focal is not None and denominator in ("treated", "control", "focal"):
        denominator = str(levels.index(sample.focal))
    groups = list(sample.arms.values())
    return spread(column.values, groups, sample.s, column.binary, denominator, sample.w)


def _dose_row(column: Covariate, sample: Sample, plan: Plan) -> dict[str, Array]:
    """Statistics of one covariate with a dose."""
    assert sample.dose is not None
    x = column.values
    out: dict[str, Array] = {}
    if "Corr" in plan.stats:
        base = sample.weights[-1] if plan.denominator == "weighted" else sample.s
        out["Corr"] = np.array([correlation(x, sample.dose, w, base, column.binary) for w in sample.weights])
    if "KS.Target" in plan.stats and sample.w is not None:
        out["KS.Target"] = np.array([np.nan, target_ks(x, sample.s, sample.w)])
    return out


__all__ = ["DENOMINATORS", "BalanceTable", "Plan", "Sample", "across", "balance_table", "pair_tables", "read_plan"]
