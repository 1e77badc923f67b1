"""Covariates in the pictures of a design: which, and whether in one axes or in a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.diagnostics.covariates import Covariate, covariates
from causalformula.errors import DataError, OptionError, choose, counted
from causalformula.plots.distributions import Column, Panel, draw_density, draw_qq, grid, one
from causalformula.results.designs.core import DesignCore
from causalformula.results.designs.scores import after, named

# Every covariate of the design.
ALL = "all"


def covariate_picture(
    panel: Panel, design: DesignCore, ax: Any = None, *, covariate: str | Sequence[str] | None = None
) -> Any:
    """A covariate by arm, before and after, in one axes; of a list or ``"all"`` a grid, whose axes are returned.

    By default the first continuous one.
    """
    found = covariates(design.call.frame)
    if not found:
        raise DataError("the formula has no covariates to draw; write them in adjust(...)")
    columns = _with_levels(found) if panel is draw_density else [Column(c.name, c.values) for c in found]
    # a level of a factor may also stand by itself
    known = {c.name: Column(c.name, c.values, ("0", "1") if c.binary and panel is draw_density else ()) for c in found}
    known |= {column.name: column for column in columns}
    arms, before, weighted = named(design), design.call.frame.unit_weights, after(design)
    if isinstance(covariate, str) and covariate not in known:  # a factor's levels, each as a covariate
        levels = [c.name for c in found if c.source == covariate]
        covariate = (levels if len(levels) > 1 else levels[0]) if levels else covariate
    if covariate is None:
        first = next((c.name for c in found if not c.binary), columns[0].name)
        return one(panel, known[first], arms, before, weighted, ax)
    if isinstance(covariate, str) and covariate != ALL:
        return one(panel, _of(covariate, known), arms, before, weighted, ax)
    remark = ""
    if isinstance(covariate, str):
        chosen = columns
        numbers = [known[c.name] for c in found if not c.binary]
        if panel is draw_qq and numbers:  # quantiles of 0 and 1 are a difference in proportions
            chosen, remark = numbers, _left_out(len(columns) - len(numbers))
    else:
        chosen = [_of(name, known) for name in covariate]
    if ax is not None:
        panels = len(chosen) * (1 if weighted is None else 2)
        raise OptionError(
            f"covariate={shown(covariate)} is a grid of {panels} panels, which makes its own figure, and ax= is one "
            "Axes; draw one covariate there, as covariate='x'"
        )
    return grid(panel, chosen, arms, before, weighted, remark)


def _left_out(count: int) -> str:
    return f"{counted(count, 'covariate')} of 0 and 1 left out" if count else ""


def _of(name: str, known: Mapping[str, Column]) -> Column:
    if name not in known:
        raise OptionError(f"unknown covariate {name!r}{choose(name, known)}")
    return known[name]


def _with_levels(found: Sequence[Covariate]) -> list[Column]:
    """Numbers as they are, and each factor in one column of its levels, which the balance table has in a row each."""
    sources: dict[str, list[Covariate]] = {}
    for c in found:
        sources.setdefault(c.source if c.binary else c.name, []).append(c)
    out = []
    for source, parts in sources.items():
        values = np.array([c.values for c in parts])
        if not parts[0].binary:
            out.append(Column(source, parts[0].values))
        elif len(parts) > 1 and (values.sum(axis=0) == 1).all():
            levels = tuple(c.name.removeprefix(f"{source}_") for c in parts)
            out.append(Column(source, values.argmax(axis=0).astype(float), levels))
        else:
            out += [Column(c.name, c.values, ("0", "1")) for c in parts]
    return out
