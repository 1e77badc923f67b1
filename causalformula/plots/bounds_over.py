"""Bounds as a function of the strength of confounding, with their confidence limits and where they reach no effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Band:
    """Two limits over the strengths (m,), and what they are called."""

    low: Array
    high: Array
    label: str


def bounds_over(
    ax: Axes | None, x: Array, bands: tuple[Band, ...], null: float, marks: Mapping[str, tuple[float, float]]
) -> Axes:
    """Bands, the narrowest first, the line of no effect, and named points.

    Parameters
    ----------
    x : ndarray (m,)
        Strengths in increasing order.
    bands : tuple of Band
        Infinite limits run out of the picture.
    marks : mapping of str to pair
        Points that are not finite are left out.
    """
    ax = new_axes(ax)
    ax.axhline(null, color=GREY, linewidth=1, linestyle="--", zorder=1)
    ends = np.concatenate([[null], *([band.low, band.high] for band in bands)], axis=None)
    ends = ends[np.isfinite(ends)]
    margin = 0.06 * (ends.max() - ends.min() or 1.0)
    bottom, top = ends.min() - margin, ends.max() + margin
    for k, band in reversed(list(enumerate(bands))):
        low, high = np.maximum(band.low, bottom), np.minimum(band.high, top)
        ax.fill_between(x, low, high, color=COLOURS[0], alpha=0.3 - 0.15 * (k > 0), linewidth=0, label=band.label)
        for edge in (low, high):
            ax.plot(x, edge, color=COLOURS[0], linewidth=1.6 if k == 0 else 1.0, linestyle="-" if k == 0 else ":")
    _marked(ax, marks)
    ax.set_ylim(bottom, top)
    ax.set_xlim(x[0], x[-1])
    legend(plain(ax))
    return ax


def curve_over(
    ax: Axes | None, x: Array, lines: Mapping[str, Array], level: float, marks: Mapping[str, tuple[float, float]]
) -> Axes:
    """Lines over the strengths, a level that they are compared with, and named points."""
    ax = new_axes(ax)
    ax.axhline(level, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for (name, y), style in zip(lines.items(), ("-", ":", "-."), strict=False):
        ax.plot(x, y, color=COLOURS[0], linewidth=2, linestyle=style, label=name)
    _marked(ax, marks)
    ax.set_xlim(x[0], x[-1])
    legend(plain(ax))
    return ax


def solved_over(
    ax: Axes | None, y: Array, lines: Mapping[str, Array], ends: tuple[float, float], level: float,
    marks: Mapping[str, tuple[float, float]],
) -> Axes:  # fmt: skip
    """The strengths that make an effect ``y`` each of its values, drawn with the strength across."""
    ax = new_axes(ax)
    ax.axhline(level, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for (name, x), style in zip(lines.items(), ("-", ":", "-."), strict=False):
        inside = (x >= ends[0]) & (x <= ends[1])
        ax.plot(np.where(inside, x, np.nan), y, color=COLOURS[0], linewidth=2, linestyle=style, label=name)
    _marked(ax, marks)
    ax.set_xlim(*ends)
    legend(plain(ax))
    return ax


def _marked(ax: Axes, marks: Mapping[str, tuple[float, float]]) -> None:
    for (name, (at, height)), marker in zip(marks.items(), "oDs^", strict=False):
        if np.isfinite([at, height]).all():
            ax.plot(at, height, marker, color=COLOURS[1], markersize=7, zorder=4, label=name, clip_on=False)
