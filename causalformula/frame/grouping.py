"""Columns as groups of rows: clusters, strata, and the groups that effects are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from causalformula.errors import DataError, some
from causalformula.formula.expressions.times import Times, labels
from causalformula.formula.expressions.values import Value, as_factor, number_label
from causalformula.numerics.arrays import Array, Codes


@dataclass(frozen=True, eq=False)
class Grouping:
    """A grouping of the rows kept: clusters, strata, units, fixed effects or subgroups."""

    name: str
    levels: tuple[str, ...]
    codes: Codes

    def take(self, rows: Codes) -> Grouping:
        """The same on some rows."""
        return replace(self, codes=self.codes[rows])

    def compact(self) -> Grouping:
        """The same without the levels that no row has."""
        used = np.bincount(self.codes, minlength=len(self.levels)) > 0
        levels = tuple(level for level, is_used in zip(self.levels, used.tolist(), strict=True) if is_used)
        return replace(self, levels=levels, codes=(np.cumsum(used) - 1)[self.codes])


def crossed(groups: Sequence[Grouping], joint: str = " + ") -> Grouping:
    """Groupings taken together: a group for each combination that there is."""
    if len(groups) == 1:
        return groups[0]
    codes, levels = groups[0].codes, list(groups[0].levels)
    for group in groups[1:]:
        size = len(group.levels)
        distinct, codes = np.unique(codes.astype(np.int64) * size + group.codes, return_inverse=True)
        levels = [f"{levels[k // size]}:{group.levels[k % size]}" for k in distinct.tolist()]
    return Grouping(joint.join(g.name for g in groups), tuple(levels), codes.reshape(-1).astype(np.intp))


def grouping(name: str, value: Value, index: Any) -> Grouping:
    """A column as groups; missing values are an error that names rows."""
    factor = as_factor(value).drop_unused()
    if (factor.codes < 0).any():
        labels = index[np.flatnonzero(factor.codes < 0)]
        raise DataError(
            f"{name!r} is missing in {len(labels)} of the rows used (rows {some(labels)}); name it in the formula so "
            "that these rows are dropped before the fit, or fill it in"
        )
    return Grouping(name, factor.levels, factor.codes.astype(np.intp))


def quartiles(name: str, value: Array | Times, index: Any) -> Grouping:
    """A number, a date or a time as groups, cut at its quartiles: those of dates are dates in the data."""
    if np.isnan(value.values if isinstance(value, Times) else value).any():
        return grouping(name, value, index)
    cuts, levels = quartile_cuts(value)
    return Grouping(name, levels, quartile_codes(value.values if isinstance(value, Times) else value, cuts))


def quartile_cuts(value: Array | Times) -> tuple[Array, tuple[str, ...]]:
    """The ends of the groups that quartiles make, and the groups' names."""
    times = value if isinstance(value, Times) else None
    numbers = value.values if isinstance(value, Times) else value
    method: Literal["inverted_cdf", "linear"] = "linear" if times is None else "inverted_cdf"
    cuts = np.unique(np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1], method=method))
    text = [number_label(float(f"{c:.4g}")) for c in cuts] if times is None else labels(cuts, times)
    levels = tuple(f"{'[' if k == 0 else '('}{text[k]},{text[k + 1]}]" for k in range(len(cuts) - 1))
    return cuts, levels


def quartile_codes(numbers: Array, cuts: Array) -> Codes:
    """The group of each number."""
    return np.clip(np.searchsorted(cuts, numbers, side="left") - 1, 0, len(cuts) - 2).astype(np.intp)
