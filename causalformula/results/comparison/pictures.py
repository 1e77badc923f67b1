"""The forest plot of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalformula.errors import OptionError
from causalformula.plots import unit_effects
from causalformula.plots.draw import COLOURS, GREY, intervals
from causalformula.results.comparison.core import ComparisonCore
from causalformula.results.comparison.page import row_labels
from causalformula.results.effects.pictures import axis_label
from causalformula.results.text.numbers import format_each

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def forest(found: ComparisonCore, ax: Axes | None, level: float) -> Axes:
    """See ``Comparison.plot``."""
    tidy, measure = found.tidy(level), found.first.answer.measure
    estimate, low, high = (tidy[name].to_numpy(dtype=float) for name in ("estimate", "conf.low", "conf.high"))
    labels = row_labels(found, marked=True)
    ax = intervals(ax, labels, estimate, low, high, measure.null, measure.reading == "exp")
    for k in np.flatnonzero(np.isnan(estimate)):
        # a row that is there in the table, and has nothing to draw
        ax.annotate("no estimate", (0.5, k), xycoords=ax.get_yaxis_transform(), ha="center", va="center", color=GREY)
    if found.truth is not None:
        _truth(ax, found.truth, len(found.compared))
    ax.set_xlabel(f"{axis_label(found.first)},\n{100 * level:g}% interval")
    return ax


def unit_errors(found: ComparisonCore, ax: Axes | None) -> Axes:
    """See ``Comparison.plot``."""
    if found.unit_truth is None:
        raise OptionError(
            "plot(kind='errors') is of unit effects; give their true ones to compare(truth=), or a column"
        )
    tidy = found.tidy()
    mae, pehe = (tidy[name].to_numpy(dtype=float) for name in ("MAE", "PEHE"))
    outcome = "" if found.frame.outcome is None else f" on {found.frame.outcome.name}"
    return unit_effects.unit_errors(row_labels(found, marked=True), mae, pehe, ax, label=f"unit effects{outcome}")


def _truth(ax: Axes, truth: tuple[float, ...], rows: int) -> None:
    """A line across the rows of each effect, named above the picture."""
    for j, value in enumerate(truth):
        ax.vlines(value, j * rows - 0.5, (j + 1) * rows - 0.5, color=COLOURS[1], linewidth=1.6, zorder=1.5)
    named = f"Truth: {', '.join(format_each(truth, 4))}"
    ax.plot([], [], color=COLOURS[1], linewidth=1.6, label=named)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize="small", borderaxespad=0.2)
