"""Pictures of a refutation: the refits beside the effect, and the effect over the strengths of a confounder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalformula.errors import DataError
from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, plain_numbers, short
from causalformula.plots.surface import heat_map
from causalformula.results.effects.core import ResultCore
from causalformula.results.effects.pictures import as_difference, axis_label
from causalformula.results.refutation.refuted import Refuted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def distributions(result: ResultCore, found: Sequence[Refuted], ax: Axes | None) -> Axes:
    """One row a test and effect: its refits as points, their mean, and lines at the effect and at no effect.

    Numbers needed to treat run through infinity where there is no effect, so their differences are drawn.
    """
    rows = [(one, j) for one in found if one.test != "unobserved_confounder" for j in range(len(one.labels))]
    if not rows:
        raise DataError("there are no refits to draw; plot('confounder') draws the made confounder")
    ax = new_axes(ax, height=1.6 + 0.5 * len(rows))
    inverse = result.answer.measure.reading == "inverse"
    result = as_difference(result) if inverse else result
    null = result.answer.measure.null
    ax.axvline(null, color=GREY, linewidth=1, linestyle="--", zorder=1, label="No effect")
    several = any(len(one.labels) > 1 for one, _ in rows)
    drawn = [np.array([null])]
    for k, (one, j) in enumerate(rows):
        # each effect stands in its own rows, and alone it runs through all
        reach = (k - 0.4, k + 0.4) if several else (-0.5, len(rows) - 0.5)
        drawn += [_effect(ax, one.estimate[[j]], inverse, reach, k == 0), _row(ax, k, one, j, inverse)]
    labels = [one.test.replace("_", " ") + (f" ({one.labels[j]})" if several else "") for one, j in rows]
    ax.margins(x=0.08)
    if result.answer.measure.reading == "exp":
        ax.set_xscale("log")
        values = np.concatenate(drawn)
        plain_numbers(ax, np.nanmax(values) / np.nanmin(values))
    ax.set_yticks(range(len(rows)), [short(label) for label in labels])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(axis_label(result))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, fontsize="small")
    return plain(ax)


def _effect(ax: Axes, value: Array, inverse: bool, reach: tuple[float, float], first: bool) -> Array:
    """The effect of the fit, over the rows that are of it."""
    value = 1 / value if inverse else value
    ax.vlines(value, *reach, color=COLOURS[1], linewidth=1.6, zorder=1, label="Effect of the fit" if first else None)
    return value


def _row(ax: Axes, at: int, one: Refuted, j: int, inverse: bool) -> Array:
    """The refits of one test: a cloud of points, an interval, or a point a covariate that is left out; all of them."""
    points = np.empty(0) if one.draws is None else one.draws[:, j]
    if one.table is not None:
        points = one.table["refuted"].to_numpy(dtype=float)[j :: len(one.labels)]
    ends = np.empty(0) if one.limits is None else one.limits[j]
    middle = one.refuted[[j]]
    if inverse:
        points, ends, middle = 1 / points, 1 / ends, 1 / middle
    if len(points):
        spread = np.random.default_rng(0).uniform(-0.28, 0.28, len(points)) if one.draws is not None else 0.0
        alpha = 0.3 if one.draws is not None else 0.7
        ax.plot(points, at + np.zeros(len(points)) + spread, "o", color=COLOURS[0], alpha=alpha, markersize=3.5, mew=0)
    if len(ends):
        ax.hlines(at, *ends, color=COLOURS[0], linewidth=1.6, zorder=2)
    if one.table is None and np.isfinite(middle[0]):
        ax.plot(middle, [at], "D", color=COLOURS[0], markersize=6, mec="white", zorder=3)
    if not np.isfinite(middle[0]):
        ax.annotate("refits fail", (0.02, at), xycoords=ax.get_yaxis_transform(), va="center", color=GREY)
    return np.concatenate([points, ends, middle])


def surface(result: ResultCore, table: pd.DataFrame, ax: Axes | None) -> Axes:
    """The adjusted effect over the strengths of a confounder, as a heat map; numbers needed to treat as differences."""
    if result.answer.measure.reading == "inverse":
        result, table = as_difference(result), 1 / table
    ax = heat_map(
        ax,
        [f"{each:g}" for each in table.columns],
        [f"{each:g}" for each in table.index],
        table.to_numpy(dtype=float),
        result.answer.measure.null,
    )
    frame = result.call.frame
    treated = "the treatment" if frame.treatment is None else frame.treatment.name
    ax.set_xlabel(f"Partial R2 of the confounder with {treated}")
    ax.set_ylabel("Partial R2 with the outcome")
    ax.set_title(f"{axis_label(result)},\nthe confounder adjusted for", fontsize="medium")
    return ax
