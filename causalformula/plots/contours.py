"""A surface over two shares, as contours: what confounders of any strength would make of an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, short
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "soD^vP*X"
NULL = COLOURS[1]
# Of the shares in bounds of double machine learning.
OMITTED = ("cf_d: gain in the Riesz representer by confounders", "cf_y: share of the outcome's residual variance")


def contours(
    ax: Axes | None,
    x: Array,
    y: Array,
    surface: Array,
    null: float,
    points: Mapping[str, tuple[float, float, float]],
    *,
    names: tuple[str, str] = OMITTED,
    said: str = "the null hypothesis",
) -> Axes:
    """Labelled contours of a surface (y, x), that of the null hypothesis thick, and named points with their values.

    The names stand in a legend: beside points that are close they would cover each other.
    """
    ax = new_axes(ax, height=5.2)
    lines = ax.contour(x, y, surface, levels=_levels(surface), colors=GREY, linewidths=0.8)
    for text in ax.clabel(lines, fontsize="small", fmt="%.3g"):
        text.set_clip_on(False)
    if surface.min() < null < surface.max():
        ax.contour(x, y, surface, levels=[null], colors=NULL, linewidths=2)
        ax.plot([], [], color=NULL, linewidth=2, label=f"{null:.4g}, {said}")
    colours = [colour for colour in COLOURS if colour != NULL]
    for k, (name, (cf_d, cf_y, value)) in enumerate(points.items()):
        style = {"marker": MARKERS[k % len(MARKERS)], "color": colours[k % len(colours)], "clip_on": False}
        ax.plot(cf_d, cf_y, linestyle="", markersize=6, zorder=3, label=f"{short(name)} ({_number(value)})", **style)
    # beyond the last contour, so that its label is not cut, and as far as the points
    right, top = (max(axis[-1], *shares) for axis, shares in zip((x, y), _shares(points), strict=True))
    ax.set_xlim(0, 1.04 * right)
    ax.set_ylim(0, 1.02 * top)
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    legend(plain(ax))
    return ax


def _levels(surface: Array) -> Array:
    """Round levels over most of the surface: near a share of 1 it has no end, and even steps would all lie there."""
    from matplotlib.ticker import MaxNLocator

    return np.asarray(MaxNLocator(8).tick_values(*np.percentile(surface, [8, 92])))


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "unbounded"


def _shares(points: Mapping[str, tuple[float, float, float]]) -> tuple[list[float], list[float]]:
    """Both shares of the points."""
    return [at[0] for at in points.values()], [at[1] for at in points.values()]
