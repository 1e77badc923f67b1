"""Jitter plots: the distance of every row, in bands of those that a design keeps and those that it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.draw import GREY, chosen_in_each, new_axes, plain
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# How far points stray from the middle of their band.
STRAY = 0.32
# The area in points squared of a point of average weight, of few rows and of many, and of the largest weight.
AREA, LEAST, LARGEST = 16.0, 3.0, 400.0
# What all points together cover, where there are many.
COVERED = 12000.0


def jitter(
    distance: Array,
    bands: Mapping[str, Bools],
    weights: Array,
    ax: Axes | None = None,
    *,
    colours: Sequence[Any],
    hollow: Sequence[bool],
    cuts: Sequence[float] = (),
    label: str = "Propensity score",
) -> Axes:
    """Draw one point a row, at random heights within its band; its area is in proportion to its weight.

    Parameters
    ----------
    distance : ndarray (n,)
    bands : mapping of str to ndarray (n,) of bool
        From top to bottom; their labels also say how many rows there are.
    weights : ndarray (n,)
    ax : matplotlib Axes, optional
    colours, hollow : sequence
        Of each band: the colour of its points, and whether they are circles only, all of one area.
    cuts : sequence of float
        Where strata of the distance meet: vertical lines.
    label : str
        Of the axis.

    Notes
    -----
    The heights are the same at every call. Of more than 5000 rows a fixed random choice is drawn, as many of each band
    as it has, so that small bands are drawn whole, and the legend says so.

    Returns
    -------
    Axes
    """
    from matplotlib.colors import to_rgba

    ax = new_axes(ax, 1.2 + 0.9 * len(bands))
    full = np.any([inside for inside, empty in zip(bands.values(), hollow, strict=True) if not empty], axis=0)
    heights = np.random.default_rng(0).uniform(-STRAY, STRAY, len(distance))
    drawn = chosen_in_each(list(bands.values()))
    points, rows = (sum(int(inside.sum()) for inside in each) for each in (drawn, bands.values()))
    usual = min(max(COVERED / points, LEAST), AREA)
    unit = _unit(weights[full], usual)
    for k, (here, colour, empty) in enumerate(zip(drawn, colours, hollow, strict=True)):
        area = np.full(int(here.sum()), usual) if empty else unit * weights[here]
        face, edge = "none" if empty else to_rgba(colour, 0.3), to_rgba(colour, 0.75)
        ax.scatter(distance[here], k + heights[here], s=area, facecolors=face, edgecolors=[edge], linewidths=0.7)
    ends = (len(bands) - 0.5, -0.5)
    for cut_at in cuts:
        ax.plot([cut_at, cut_at], ends, color=GREY, linewidth=1, linestyle=":", zorder=1)
    ax.set_yticks(range(len(bands)), [f"{name}\n{inside.sum()} rows" for name, inside in bands.items()])
    ax.set_ylim(*ends)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(label)
    handles = _sizes(weights[full], unit)
    if len(cuts):
        handles.append(_key("Ends of strata", ":", 1.0))
    if points < rows:
        handles.append(_key(f"{points} of {rows} rows", "none", 0.0))
    legend(ax, columns=len(handles), handles=handles)
    return plain(ax)


def _unit(weights: Array, usual: float) -> float:
    """The area of a point of weight one: the usual one of the average, and of the largest no more than can be drawn."""
    if not len(weights):
        return usual
    return float(min(usual / weights.mean(), LARGEST / weights.max()))


def _sizes(weights: Array, unit: float) -> list[Any]:
    """Points of the least, the middle and the largest weight; of one where all are the same."""
    if not len(weights):
        return [_key("No row is kept", "none", 0.0)]
    shown = {f"Weight {w:.3g}": float(w) for w in (weights.min(), np.median(weights), weights.max())}
    return [_key(text, "none", 0.7, "o", float(np.sqrt(unit * w))) for text, w in shown.items()]


def _key(label: str, line: Any, width: float, marker: str = "", size: float = 0.0) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        color=GREY,
        linestyle=line,
        linewidth=width,
        marker=marker,
        markersize=size,
        markerfacecolor="0.85",
        markeredgewidth=0.7,
        label=label,
    )
