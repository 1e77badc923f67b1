"""An effect as a function of a covariate: a line, its pointwise interval, and the band that holds for all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import GREY, new_axes, plain
from causalformula.plots.legends import legend, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Curve:
    """One line with its intervals, all (m,).

    Parameters
    ----------
    estimate : ndarray
    low, high : ndarray
        Of each point by itself.
    band_low, band_high : ndarray
        Of all points at once.
    """

    estimate: Array
    low: Array
    high: Array
    band_low: Array
    band_high: Array


def curves(ax: Axes | None, x: Array, drawn: Mapping[str, Curve], null: float, level: float) -> Axes:
    """Lines over the values of a covariate, in their order, with intervals and bands, and the line of no effect."""
    ax = new_axes(ax)
    order, share = np.argsort(x, kind="stable"), f"{100 * level:g}%"
    ax.axhline(null, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for (name, one), colour in zip(drawn.items(), palette(len(drawn)), strict=True):
        head = f"{name}: " if len(drawn) > 1 else ""
        at = x[order]
        ax.fill_between(
            at, one.band_low[order], one.band_high[order], color=colour, alpha=0.15, linewidth=0,
            label=f"{head}{share} band, at all points at once",
        )  # fmt: skip
        ax.fill_between(
            at, one.low[order], one.high[order], color=colour, alpha=0.25, linewidth=0,
            label=f"{head}{share} interval, point by point",
        )  # fmt: skip
        ax.plot(at, one.estimate[order], color=colour, linewidth=2, label=name or "_effect")
    legend(ax)
    return plain(ax)
