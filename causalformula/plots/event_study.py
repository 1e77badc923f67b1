"""Effects over time since treatment, the grid of all groups and periods, and the groups' means over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# How far estimators stand apart, as a share of the distance of two event times.
DODGE = 0.16


@dataclass(frozen=True, eq=False)
class Series:
    """Estimates in the order of what they are by.

    Parameters
    ----------
    at, estimate, low, high : ndarray (m,)
        With the interval of each.
    lowest, highest : ndarray (m,)
        The band of all.
    before : ndarray (m,) of bool
        Which are of the time before treatment.
    reference : float, optional
        The event time that the others are compared with, where it is one.
    """

    at: Array
    estimate: Array
    low: Array
    high: Array
    lowest: Array
    highest: Array
    before: Bools
    reference: float | None = None


def event_study(
    found: Mapping[str, Series], ax: Axes | None = None, *, level: float = 0.95, began: float | None = None
) -> Axes:
    """Points with the interval of each as a thick bar and the band of all as a thin one; hollow before treatment.

    Parameters
    ----------
    found : mapping of str to Series
        By estimator.
    level : float
        Of the intervals and the band, for the legend.
    began : float, optional
        Where a line stands for the beginning of the treatment.
    """
    ax = new_axes(ax)
    ax.axhline(0, color=GREY, linewidth=1, linestyle="--", zorder=1)
    if began is not None:
        ax.axvline(began, color=GREY, linewidth=1, linestyle=":", zorder=1)
    for k, (label, series) in enumerate(found.items()):
        _series(ax, series, COLOURS[k % len(COLOURS)], DODGE * (k - (len(found) - 1) / 2))
        if len(found) > 1:
            ax.plot([], [], "o", color=COLOURS[k % len(COLOURS)], markersize=6, label=short(label))
    ax.margins(x=0.08)
    first = COLOURS[0]
    if any(series.before.any() for series in found.values()):
        ax.plot([], [], "o", color="white", markeredgecolor=first, markersize=6, label="before treatment")
    if any(series.reference is not None for series in found.values()):
        ax.plot([], [], "D", color="white", markeredgecolor="black", markersize=6, label="reference")
    ax.plot([], [], color=first, linewidth=3, label=f"{100 * level:g}% interval of each")
    ax.plot([], [], color=first, linewidth=1, label=f"{100 * level:g}% band for all at once")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize="small", ncols=2)
    return plain(ax)


def _series(ax: Axes, series: Series, colour: str, aside: float) -> None:
    at = series.at + aside
    ax.vlines(at, series.lowest, series.highest, color=colour, linewidth=1, zorder=2)
    ax.vlines(at, series.low, series.high, color=colour, linewidth=3, zorder=3)
    for before, face in ((True, "white"), (False, colour)):
        part = series.before == before
        ax.plot(
            at[part], series.estimate[part], "o", color=face, markeredgecolor=colour, markersize=6.5, zorder=4
        )  # fmt: skip
    if series.reference is not None:
        ax.plot(series.reference + aside, 0.0, "D", color="white", markeredgecolor="black", markersize=6, zorder=4)


def grid(
    ax: Axes | None,
    groups: Sequence[str],
    periods: Sequence[str],
    estimate: Array,
    apart: Bools,
    began: Array,
    *,
    names: tuple[str, str],
    of: str,
) -> Axes:
    """Every group in every period: the effect as a colour and in numbers, and where the group's treatment began.

    Parameters
    ----------
    groups, periods : sequence of str
    estimate : ndarray (G, P)
        NaN where there is no effect.
    apart : ndarray (G, P) of bool
        Where the band of all excludes 0: marked by a star.
    began : ndarray (G,)
        Position of the first treated period.
    names : tuple of str
        Of the axes, the groups' first.
    of : str
        What the colours are.
    """
    ax = new_axes(ax, height=1.8 + 0.55 * len(groups))
    most = float(np.nanmax(np.abs(estimate))) or 1.0
    image = ax.imshow(np.ma.masked_invalid(estimate), cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
    decimals = max(0, 2 - int(np.floor(np.log10(most))))
    for (g, t), value in np.ndenumerate(estimate):
        if np.isfinite(value):
            dark = "white" if abs(value) > 0.6 * most else "black"
            ax.text(t, g, f"{value:.{decimals}f}{'*' if apart[g, t] else ''}", ha="center", va="center", color=dark)
        else:
            ax.text(t, g, "–", ha="center", va="center", color=GREY)
    for g, start in enumerate(began):
        ax.vlines(start - 0.5, g - 0.5, g + 0.5, color="black", linewidth=2.5)
    ax.set_xticks(range(len(periods)), [short(period) for period in periods])
    ax.set_yticks(range(len(groups)), [short(group) for group in groups])
    ax.tick_params(length=0)
    ax.set_ylabel(names[0])
    ax.set_xlabel(f"{names[1]}  (bar: treatment begins;  *: the band for all excludes 0;  –: no effect)")
    bar = ax.figure.colorbar(image, ax=ax)
    bar.set_label(of)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return plain(ax)


def paths(
    ax: Axes | None,
    periods: Array,
    labels: Sequence[str],
    means: Mapping[str, Array],
    without: Mapping[str, Array],
    *,
    names: tuple[str, str],
) -> Axes:
    """Means of each group over time and, dashed, where a treated group would be without treatment.

    Parameters
    ----------
    periods : ndarray (P,)
        Where they stand.
    labels : sequence of str
        Their names.
    means, without : mapping of str to ndarray (P,)
        By group; NaN where there is nothing to draw.
    names : tuple of str
        Of the axes, the outcome's first.
    """
    ax = new_axes(ax)
    for k, (group, values) in enumerate(means.items()):
        colour = COLOURS[k % len(COLOURS)]
        ax.plot(periods, values, "o-", color=colour, linewidth=2, markersize=5, label=short(group))
        if group in without:
            ax.plot(periods, without[group], "--", color=colour, linewidth=1.5)
    ax.plot([], [], "--", color=GREY, linewidth=1.5, label="without treatment, if trends are parallel")
    few = len(labels) <= 12
    if few:
        ax.set_xticks(periods, [short(label) for label in labels])
    ax.set_ylabel(names[0])
    ax.set_xlabel(names[1])
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize="small", ncols=3)
    return plain(ax)
