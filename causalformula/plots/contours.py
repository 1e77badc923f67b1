"""A surface over two shares, as contours: what confounders of any strength would make of an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of the names of points, in points: how far beside, how high a line, how wide a letter.
BESIDE, LINE, WIDTH = 5.0, 11.0, 5.0


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
        thick = ax.contour(x, y, surface, levels=[null], colors=COLOURS[1], linewidths=2)
        ax.clabel(thick, fontsize="small", fmt="%.3g")
    for k, (cf_d, cf_y, _) in enumerate(points.values()):
        ax.plot(cf_d, cf_y, "o" if k else "s", color=COLOURS[0], markersize=6, zorder=3, clip_on=False)
    _named(ax, {f"{short(name)} ({value:.3g})": (cf_d, cf_y) for name, (cf_d, cf_y, value) in points.items()})
    ax.set_xlabel("cf_d: gain in the Riesz representer by confounders")
    ax.set_ylabel("cf_y: share of the outcome's residual variance")
    return plain(ax)


def _named(ax: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Names beside points, from the lowest upwards, each above those that would lie under it."""
    to_points = 72 / ax.figure.dpi
    taken: list[tuple[float, float, float]] = []
    for name, place in sorted(points.items(), key=lambda item: item[1][1]):
        left, at = ax.transData.transform(place) * to_points
        low, right = at + BESIDE, left + BESIDE + WIDTH * len(name)
        for other_left, other_right, other_low in taken:
            if left < other_right and other_left < right and low < other_low + LINE:
                low = other_low + LINE
        taken.append((left, right, low))
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
        ax.annotate(name, place, (BESIDE, low - at), textcoords="offset points", fontsize="small", bbox=box, zorder=4)
