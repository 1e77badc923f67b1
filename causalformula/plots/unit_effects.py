"""Effects of single units: their spread, what they depend on, and how near they are to true or estimated ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.diagnostics.effect_accuracy import effect_accuracy, same_for_all
from causalformula.diagnostics.effect_calibration import EffectGroups
from causalformula.errors import OptionError
from causalformula.numerics.arrays import Array, HasArray
from causalformula.plots.draw import (
    COLOURS,
    FEWEST_SMOOTHED,
    GREY,
    chosen,
    intervals,
    new_axes,
    plain,
    short,
    smooth,
    straight,
)
from causalformula.plots.legends import cut_apart, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Widest bars, in number; and rows beyond which sorted effects are a line rather than points.
MOST_BINS, MOST_DRAWN = 60, 150
# Levels whose boxes and names stand beside each other.
MOST_BOXES = 30


def _around(effect: Array) -> Array:
    """The edges of the one bar of effects that are the same for all."""
    half = 0.02 * max(abs(float(effect[0])), 1.0)
    return effect[0] + np.array([-half, half])


def _average(of: str) -> str:
    return f"average ({of})" if of else "average"


def histogram(
    effect: Array,
    average: float,
    limits: tuple[float, float],
    ax: Axes | None = None,
    *,
    weights: Array | None = None,
    level: float = 0.95,
    label: str = "Effect",
    average_of: str = "",
) -> Axes:
    """The distribution of unit effects, with the average effect and its interval.

    Parameters
    ----------
    effect : ndarray (n,)
        Predicted effects.
    average : float
        The estimated average effect, which need not be the mean of the predictions.
    limits : pair of float
        Of the average.
    ax : matplotlib Axes, optional
    weights : ndarray (n,), optional
        Sampling weights: bars are shares of the population.
    level : float
        Of the interval.
    label : str
        Of the axis.
    average_of : str
        What the average is of, where it is not of the units that are drawn.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    bins = np.histogram_bin_edges(effect, bins="auto") if not same_for_all(effect) else _around(effect)
    if len(bins) > MOST_BINS + 1:
        bins = np.linspace(bins[0], bins[-1], MOST_BINS + 1)
    w = np.ones(len(effect)) if weights is None else weights
    shares, *_ = ax.hist(effect, bins=bins.tolist(), weights=w / w.sum(), color=COLOURS[0], alpha=0.45, label="units")
    top = 1.05 * float(np.max(shares))  # the legend stands above
    ax.vlines(average, 0, top, color=COLOURS[1], linewidth=1.8, label=f"{_average(average_of)} {average:.3g}", zorder=3)
    if np.isfinite(limits).all():
        ax.fill_betweenx(
            [0, top], *limits, color=COLOURS[1], alpha=0.2, linewidth=0, label=f"its {100 * level:g}% interval"
        )
    ax.set_xlabel(label)
    ax.set_ylabel("Share of units" if weights is None else "Share of units, weighted")
    legend(ax, columns=3)
    return plain(ax)


def against_truth(
    effect: Array, truth: Array, ax: Axes | None = None, *, weights: Array | None = None, label: str = "effect"
) -> Axes:
    """Predicted against true effects, with the diagonal on which the best predictions lie.

    Parameters
    ----------
    effect, truth : ndarray (n,)
        Predicted and true effects.
    ax : matplotlib Axes, optional
    weights : ndarray (n,), optional
        Sampling weights of what the legend says.
    label : str
        Of the axes.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, height=5.0)
    found = effect_accuracy(effect, truth, weights=weights)
    said = "" if found.undefined else f", correlation {found.correlation:.2f}"
    some = chosen(len(effect))
    dots: dict[str, Any] = {"color": COLOURS[0], "alpha": 0.35, "markersize": 4, "markeredgewidth": 0}
    ax.plot(truth[some], effect[some], "o", label=f"units: PEHE {found.pehe:.3g}{said}", **dots)
    span = [min(effect.min(), truth.min()), max(effect.max(), truth.max())]
    ax.plot(span, span, color=GREY, linewidth=1.2, linestyle="--", label="if predicted exactly")
    ax.set_xlabel(f"True {label}")
    ax.set_ylabel(f"Predicted {label}")
    legend(ax, columns=1)
    return plain(ax)


def against_modifier(
    effect: Array, modifier: HasArray, ax: Axes | None = None, *, name: str = "Modifier", label: str = "Effect"
) -> Axes:
    """Unit effects against a covariate: points with a smooth and a rug of a number, boxes of levels.

    Parameters
    ----------
    effect : ndarray (n,)
        Predicted effects.
    modifier : array-like (n,)
        Numbers, dates or times, or levels of any other kind.
    ax : matplotlib Axes, optional
    name, label : str
        Of the axes.

    Returns
    -------
    Axes

    Raises
    ------
    OptionError
        For more levels than there is room for.
    """
    x = np.asarray(modifier)
    levels = 0 if x.dtype.kind in "iufM" else len(np.unique(x.astype(str)))
    if levels > MOST_BOXES:
        raise OptionError(
            f"{name!r} has {levels} levels, and a picture has room for {MOST_BOXES}; group them, or give numbers"
        )
    ax = new_axes(ax)
    if x.dtype.kind == "M":
        x, effect = _dated(ax, x[~np.isnat(x)]), effect[~np.isnat(x)]
    if x.dtype.kind in "iuf":
        _points(ax, x.astype(np.float64), effect)
    else:
        _boxes(ax, x, effect)
    ax.set_xlabel(short(name))
    ax.set_ylabel(label)
    return plain(ax)


def _dated(ax: Axes, x: Array) -> Array:
    """Moments as the numbers of an axis of dates, with few and short labels."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    ax.xaxis.update_units(x)
    ticks = AutoDateLocator(maxticks=8)
    ax.xaxis.set_major_locator(ticks)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(ticks))
    return np.asarray(ax.convert_xunits(x), dtype=np.float64)


def _points(ax: Axes, x: Array, effect: Array) -> None:
    """Points, the smooth (a straight line through few values) and the rug below."""
    some = chosen(len(x))
    ax.plot(x[some], effect[some], "o", color=COLOURS[0], alpha=0.3, markersize=3.5, markeredgewidth=0, label="units")
    smoothed = len(np.unique(x)) >= FEWEST_SMOOTHED
    at, line = smooth(x, effect) if smoothed else straight(x, effect)
    ax.plot(at, line, color="white", linewidth=4.5)
    ax.plot(at, line, color=COLOURS[1], linewidth=2.2, label="lowess" if smoothed else "least-squares line")
    legend(ax)
    marks = np.full(int(some.sum()), 0.012)
    ax.plot(x[some], marks, "|", color="0.25", alpha=0.4, markersize=7, transform=ax.get_xaxis_transform())


def _boxes(ax: Axes, x: Array, effect: Array) -> None:
    """A box a level, named with its rows."""
    levels, codes = np.unique(x.astype(str), return_inverse=True)
    groups = [effect[codes == k] for k in range(len(levels))]
    drawn = ax.boxplot(
        groups, widths=0.55, patch_artist=True, flierprops={"marker": ".", "markersize": 4, "alpha": 0.4}
    )
    for box in drawn["boxes"]:
        box.set(facecolor=COLOURS[0], alpha=0.35)
    for line in drawn["medians"]:
        line.set(color=COLOURS[1], linewidth=2)
    names = [f"{short(level)}\n({len(group)})" for level, group in zip(cut_apart(levels), groups, strict=True)]
    ax.set_xticks(np.arange(1, len(levels) + 1), names)


def sorted_effects(
    effect: Array,
    limits: tuple[Array, Array] | None = None,
    ax: Axes | None = None,
    *,
    average: float | None = None,
    level: float = 0.95,
    label: str = "Effect",
    average_of: str = "",
) -> Axes:
    """Unit effects from the least to the greatest, with their intervals where there are some.

    Parameters
    ----------
    effect : ndarray (n,)
        Predicted effects.
    limits : pair of ndarray (n,), optional
        Lower and upper limits of each.
    ax : matplotlib Axes, optional
    average : float, optional
        The average effect.
    level : float
        Of the intervals.
    label : str
        Of the axis.
    average_of : str
        What the average is of, where it is not of the units that are drawn.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    order = np.argsort(effect, kind="stable")
    share = (np.arange(len(order)) + 0.5) / len(order)
    ax.axhline(0, color=GREY, linewidth=1, linestyle=":", zorder=1)
    if limits is not None:
        low, high = (np.asarray(limit)[order] for limit in limits)
        bars: dict[str, Any] = {"color": COLOURS[0], "alpha": 0.4, "label": f"{100 * level:g}% intervals of units"}
        if len(order) > MOST_DRAWN:
            # each unit's own limits, a hair wide, as neighbours in rank may differ much
            ax.vlines(share, low, high, linewidth=0.7, rasterized=True, **bars)
        else:
            ax.vlines(share, low, high, linewidth=1.4, **bars)
    ax.plot(share, effect[order], color=COLOURS[0], linewidth=2, label="units", zorder=3)
    if average is not None:
        ax.axhline(average, color=COLOURS[1], linewidth=1.8, label=f"{_average(average_of)} {average:.3g}", zorder=2)
    ax.set_xlim(0, 1)
    ax.set_xlabel("Share of units with a lower predicted effect")
    ax.set_ylabel(label)
    legend(ax, columns=3)
    return plain(ax)


def calibrated(found: EffectGroups, ax: Axes | None = None, *, level: float = 0.95, label: str = "effect") -> Axes:
    """Estimated against predicted effects of groups of like prediction, with the diagonal.

    Parameters
    ----------
    found : EffectGroups
        Of ``effect_groups``.
    ax : matplotlib Axes, optional
    level : float
        Of the intervals.
    label : str
        Of the axes.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    low, high = found.estimated.limits(level)
    ax.vlines(found.predicted, low, high, color=COLOURS[0], linewidth=1.6, zorder=2)
    said = f"groups of units, {100 * level:g}% intervals"
    ax.plot(found.predicted, found.estimated.estimate, "o", color=COLOURS[0], markersize=6, label=said, zorder=3)
    span = [found.predicted.min(), found.predicted.max()]
    ax.plot(span, span, color=GREY, linewidth=1.2, linestyle="--", label="if calibrated", zorder=1)
    ax.set_xlabel(f"Mean predicted {label} of the group")
    ax.set_ylabel(f"Estimated average {label}\nof the group")
    legend(ax)
    return plain(ax)


def unit_errors(
    names: Sequence[str], mae: Array, pehe: Array, ax: Axes | None = None, *, label: str = "effects of units"
) -> Axes:
    """Errors of predicted effects by method: the mean absolute error, and the root mean squared one.

    Parameters
    ----------
    names : sequence of str
    mae, pehe : ndarray (k,)
        NaN where a method has none.
    ax : matplotlib Axes, optional
    label : str
        Whose errors they are.

    Returns
    -------
    Axes
    """
    ax = intervals(ax, names, mae, np.zeros(len(mae)), np.asarray(pehe), null=None)
    ax.collections[-1].set(alpha=0.35)
    ax.lines[-1].set_label("mean absolute error (MAE)")
    rows = np.arange(len(names))
    ax.plot(pehe, rows, "D", color=COLOURS[1], markersize=5.5, label="root mean squared error (PEHE)", zorder=3)
    ax.set_xlim(left=0)
    ax.set_xlabel(f"Error of {label}")
    legend(ax, columns=2)
    return ax
