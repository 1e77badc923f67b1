"""A surface over two shares, as contours: what confounders of any strength would make of an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def contours(
    ax: Axes | None,
    x: Array,
    y: Array,
    surface: Array,
    null: float,
    points: Mapping[str, tuple[float, float, float]],
) -> Axes:
    """Labelled contours of a surface (y, x), that of the null hypothesis thick, and named points with their values."""
    ax = new_axes(ax, height=4.8)
    lines = ax.contour(x, y, surface, levels=10, colors=GREY, linewidths=0.8)
    ax.clabel(lines, fontsize="small", fmt="%.3g")
    if surface.min() < null < surface.max():
        ax.contour(x, y, surface, levels=[null], colors=COLOURS[1], linewidths=2)
    for k, (name, (cf_d, cf_y, value)) in enumerate(points.items()):
        ax.plot(cf_d, cf_y, "o" if k else "s", color=COLOURS[0], markersize=6, zorder=3)
        ax.annotate(f"{short(name)} ({value:.3g})", (cf_d, cf_y), (5, 5), textcoords="offset points", fontsize="small")
    ax.set_xlabel("cf_d: gain in the Riesz representer by confounders")
    ax.set_ylabel("cf_y: share of the outcome's residual variance")
    return plain(ax)
