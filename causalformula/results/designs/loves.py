"""The love plot of a design, or of several in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from causalformula.errors import DataError, OptionError, choose
from causalformula.numerics.arrays import Array
from causalformula.plots.love import ORDERS, SAMPLES
from causalformula.plots.love import love as draw_love
from causalformula.results.designs.balance import Balance
from causalformula.results.designs.balancing import design_balance
from causalformula.results.designs.core import DesignCore

if TYPE_CHECKING:
    from matplotlib.axes import Axes


BEFORE = SAMPLES[0][1]
LABELS = {
    "smd": "standardised mean difference",
    "variance_ratio": "Variance ratio",
    "ks": "Kolmogorov-Smirnov statistic",
    "ovl": "Share of the distributions that does not overlap",
}


def love(
    design: DesignCore,
    ax: Axes | None = None,
    *,
    stat: str = "smd",
    binary: str = "std",
    threshold: float | None = 0.1,
    abs: bool = True,
    order: str = "unadjusted",
    compare: Mapping[str, DesignCore] | None = None,
) -> Axes:
    """Balance before and after: ``stat`` is one of ``smd, variance_ratio, ks, ovl``.

    ``binary="std"`` puts all covariates on one scale. ``order`` is ``unadjusted``, ``adjusted``, ``alphabetical`` or
    ``formula``; the propensity score stays first. ``compare`` has other designs of the same rows, with a mark each.
    """
    if order not in ORDERS:
        raise OptionError(f"unknown order {order!r}{choose(order, ORDERS)}")
    balance = design_balance(design, (stat,), binary, True, None, False, 1, None, None, False, None, compare)
    return love_of(balance, ax, stat=stat, binary=binary, threshold=threshold, abs=abs, order=order)


def love_of(
    balance: Balance, ax: Axes | None, *, stat: str, binary: str, threshold: float | None, abs: bool, order: str
) -> Axes:
    """The love plot of a balance table of one statistic."""
    table = balance.table
    name = table.statistics[0]
    found = {said: table.columns.get(f"{table.prefix}{name}.{sample}") for sample, said in SAMPLES}
    if balance.designs:
        found = {BEFORE: found[BEFORE], **{who: part.judged(name) for who, part in balance.designs.items()}}
    values = {said: v for said, v in found.items() if v is not None and not np.isnan(v).all()}
    if not values:
        raise DataError(f"{stat!r} is not defined for any of the covariates; choose another stat")
    if name == "V.Ratio":
        with np.errstate(divide="ignore", invalid="ignore"):
            values = {said: np.maximum(v, 1 / v) if abs else v for said, v in values.items()}
    elif abs:
        values = {said: np.abs(v) for said, v in values.items()}
    rows = _ordered(table.rows, table.types, values, order)
    shown = [row for row in rows if not all(np.isnan(v[row]) for v in values.values())]
    null, limit = (1.0, _ratio(threshold)) if name == "V.Ratio" else (0.0, threshold)
    label = _label(stat, name, abs, binary, table.prefix)
    drawn = {said if len(values) > 1 else "Unweighted": v[shown] for said, v in values.items()}
    return draw_love([table.rows[k] for k in shown], drawn, ax, threshold=limit, null=null, label=label)


def _ratio(threshold: float | None) -> float | None:
    """The threshold of variance ratios; the usual one of differences, 0.1, is none."""
    if threshold is None or threshold == 0.1:
        return None
    if threshold < 1:
        raise OptionError(f"threshold={threshold!r}: variance ratios are larger over smaller, so at least 1, as 2")
    return threshold


def _ordered(rows: tuple[str, ...], types: tuple[str, ...], values: dict[str, Array], order: str) -> list[int]:
    first = [k for k, t in enumerate(types) if t == "Distance"]
    rest = [k for k, t in enumerate(types) if t != "Distance"]
    if order == "alphabetical":
        rest.sort(key=lambda k: rows[k].casefold())
    elif order != "formula":
        samples = list(values.values())
        by = np.abs(np.nan_to_num(samples[min(order == "adjusted", len(samples) - 1)]))
        rest.sort(key=lambda k: -by[k])
    return first + rest


def _label(stat: str, name: str, abs: bool, binary: str, prefix: str) -> str:
    if name == "Corr":
        text = "correlation with the dose"
        return f"Absolute {text}" if abs else text.capitalize()
    if name != "Diff":
        text = LABELS["ks"] + " from the sample" if name == "KS.Target" else LABELS[stat]
        text += ", larger over smaller" if name == "V.Ratio" and abs else ""
    else:
        text = "Absolute " + LABELS["smd"] if abs else LABELS["smd"].capitalize()
        text += " (proportions: as they are)" if binary == "raw" else ""
    return f"{text}, largest over pairs" if prefix else text
