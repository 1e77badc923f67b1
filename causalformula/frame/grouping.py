"""Columns as groups of rows: clusters, strata, and the groups that effects are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.errors import DataError, some
from causalformula.formula.expressions.values import Value, as_factor, number_label
from causalformula.numerics.arrays import Array, Codes


@dataclass(frozen=True, eq=False)
class Grouping:
    """A grouping of the rows kept: clusters, strata or subgroups."""

    name: str
    levels: tuple[str, ...]
    codes: Codes


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


def quartiles(name: str, value: Array, index: Any) -> Grouping:
    """A number as groups, cut at its quartiles."""
    if np.isnan(value).any():
        return grouping(name, value, index)
    cuts = np.unique(np.quantile(value, [0, 0.25, 0.5, 0.75, 1]))
    codes = np.clip(np.searchsorted(cuts, value, side="left") - 1, 0, len(cuts) - 2)
    text = [number_label(float(f"{c:.4g}")) for c in cuts]
    levels = tuple(f"{'[' if k == 0 else '('}{text[k]},{text[k + 1]}]" for k in range(len(cuts) - 1))
    return Grouping(name, levels, codes.astype(np.intp))
