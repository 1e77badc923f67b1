"""Instruments in pictures: regressions on them in bins, the Anderson-Rubin test, estimates side by side, compliers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, intervals, new_axes, plain, short
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 20
# Means of bins that are narrower, as a share of the axis, would stand upon each other.
NARROWEST = 0.02
POINTS = 400


def binned(ax: Axes | None, x: Array, y: Array, weights: Array, slope: float, *, across: str, up: str) -> Axes:
    """Means of y in bins of x with as many rows each, and the line of slope ``slope`` through the means of both."""
    ax = new_axes(ax)
    values = np.unique(x[weights > 0])
    if len(values) <= BINS:
        codes = np.searchsorted(values, x).clip(0, len(values) - 1)
    else:
        codes = np.searchsorted(_cuts(x[weights > 0]), x, side="right")
    total = np.bincount(codes, weights)
    used = total > 0
    at, mean = (np.bincount(codes, weights * each)[used] / total[used] for each in (x, y))
    size = 18 + 60 * total[used] / total.max()
    ax.scatter(at, mean, s=size, color=COLOURS[0], zorder=3, label=f"mean of {short(up)} in a bin")
    ends = np.array([at.min(), at.max()])
    centre = np.average(x, weights=weights), np.average(y, weights=weights)
    ax.plot(
        ends, centre[1] + slope * (ends - centre[0]), color=COLOURS[1], linewidth=2, label=f"fit, slope {slope:.4g}"
    )
    ax.set_xlabel(short(across))
    ax.set_ylabel(short(up))
    ax.margins(0.08)
    legend(ax)
    return plain(ax)


def _cuts(x: Array) -> Array:
    """Where bins begin that have about as many values each: at gaps nearby, and no two bins upon each other."""
    x = np.sort(x)
    n, narrow = len(x), NARROWEST * (x[-1] - x[0])
    found, half = set(), n // (2 * BINS) + 1
    for at in (round(k * n / BINS) for k in range(1, BINS)):
        first = max(at - half, 0)
        gaps = np.diff(x[first : at + half])
        found.add(at if gaps.max() <= narrow else first + 1 + int(gaps.argmax()))
    places = sorted(found)
    kept = [0]
    for place, end in zip(places, [*places[1:], n], strict=True):
        if place > kept[-1] and x[place:end].mean() - x[kept[-1] : place].mean() > narrow:
            kept.append(place)
    return np.asarray((x[kept[1:]] + x[np.array(kept[1:], dtype=np.intp) - 1]) / 2)


def p_value_curve(
    ax: Axes | None,
    values: Array,
    p: Array,
    level: float,
    intervals: Sequence[tuple[float, float]],
    estimate: float,
    *,
    label: str,
) -> Axes:
    """p-values of all effects, and the set of those that are not rejected."""
    ax = new_axes(ax)
    low, high = float(values.min()), float(values.max())
    ax.plot(values, p, color=COLOURS[0], linewidth=2, label="Anderson-Rubin test")
    ax.axhline(1 - level, color=GREY, linewidth=1, linestyle="--")
    for k, (start, end) in enumerate(intervals):
        name = f"{100 * level:g}% set" if k == 0 else "_set"
        inside = [max(start, low), min(end, high)]
        ax.fill_between(inside, 0, 1, color=COLOURS[0], alpha=0.15, linewidth=0, label=name)
    # up to a p-value of one, so that the legend above covers nothing
    ax.plot([estimate, estimate], [0, 1], color=COLOURS[1], linewidth=1.6, label="estimate")
    if low < 0 < high:
        ax.plot([0.0, 0.0], [0, 1], color=GREY, linewidth=1, linestyle=":")
    ax.set_xlim(low, high)
    ax.set_ylim(0, 1.03)
    ax.set_xlabel(short(label))
    ax.set_ylabel("p-value")
    legend(ax)
    return plain(ax)


def rows_of_intervals(
    ax: Axes | None, rows: Sequence[tuple[str, float, Sequence[tuple[float, float]]]], *, label: str
) -> Axes:
    """An estimate a row with its interval, or the pieces of its set; an end without bound has an arrow."""
    ax = new_axes(ax, height=1.4 + 0.5 * len(rows))
    ends = [end for _, at, pieces in rows for piece in (*pieces, (at, at)) for end in piece if np.isfinite(end)]
    spread = max(ends) - min(ends) or 1.0
    low, high = min(ends) - 0.15 * spread, max(ends) + 0.15 * spread
    ax.axvline(0.0, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for k, (_, at, pieces) in enumerate(rows):
        colour = COLOURS[k % len(COLOURS)]
        for start, end in pieces:
            ax.hlines(k, max(start, low), min(end, high), color=colour, linewidth=1.8)
            for edge, open_end, mark in ((low, start == -np.inf, "<"), (high, end == np.inf, ">")):
                if open_end:
                    ax.plot(edge, k, mark, color=colour, markersize=7)
        ax.plot(at, k, "o", color=colour, markersize=6)
    ax.set_yticks(range(len(rows)), [short(name) for name, _, _ in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(short(label))
    return plain(ax)


def differences(ax: Axes | None, names: Sequence[str], apart: Array, error: Array) -> Axes:
    """How far compliers' means are from everyone's, in standard deviations, with 95% intervals."""
    half = 1.96 * error
    ax = intervals(ax, names, apart, apart - half, apart + half, 0.0)
    ax.set_xlabel("Mean of compliers less that of all, in standard deviations, 95% interval")
    return ax


def span(low: float, high: float, estimate: float, error: float) -> Array:
    """Values for a curve: the set and its surroundings, or as far as it can be shown where it has no bound."""
    ends = [end for end in (low, high) if np.isfinite(end)]
    reach = max([abs(end - estimate) for end in ends] + [4 * error])
    return np.linspace(estimate - 1.4 * reach, estimate + 1.4 * reach, POINTS)
