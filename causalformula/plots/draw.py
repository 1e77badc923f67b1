"""Effects and coefficients with their intervals, and the outcome in the groups that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.errors import OptionError, asks
from causalformula.numerics.arrays import Array, Bools

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Okabe and Ito's colours, told apart by those who do not see red and green as different.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "0.45"
# Longer labels are broken into lines, and cut after the last: they would push the picture off its own page.
LABEL_WIDTH, LABEL_LINES = 32, 4
FEWEST_SMOOTHED = 10  # distinct values; fewer have a straight line
MOST_POINTS = 5000  # more are drawn as a random choice of so many: the picture is the same, the file is not


def new_axes(ax: Axes | None, height: float = 4.0) -> Axes:
    """The axes given, or those of a new figure."""
    if ax is not None:
        return check_axes(ax)
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(6.4, height), layout="constrained")
    return ax


def check_axes(ax: Any) -> Axes:
    """The axes given; what is not one matplotlib Axes is an ``OptionError``."""
    from matplotlib.axes import Axes as MatplotlibAxes

    if isinstance(ax, MatplotlibAxes):
        return ax
    several = "; choose one of them, as ax=axs[0, 1]" if isinstance(ax, (np.ndarray, list, tuple)) else ""
    raise OptionError(f"ax must be a matplotlib Axes, as plt.subplots() gives it, not {type(ax).__name__}{several}")


def plain(ax: Axes) -> Axes:
    """Without the two spines that carry no scale."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def short(label: str) -> str:
    """A label in a few lines of a bounded width."""
    return "\n".join(wrap(label, LABEL_WIDTH, max_lines=LABEL_LINES, placeholder=" …")) or label


# ---- intervals ------------------------------------------------------------------------------------------------------


def intervals(
    ax: Axes | None,
    labels: Sequence[str],
    estimate: Array,
    low: Array,
    high: Array,
    null: float | None,
    log: bool = False,
) -> Axes:
    """Points with their intervals, one row each from top to bottom, and a line at the value of no effect.

    Parameters
    ----------
    null : float, optional
        Where the line stands; None for no line.
    log : bool
        Whether the scale is logarithmic, as ratios have it.
    """
    labels = [short(label) for label in labels]
    lines = max(label.count("\n") + 1 for label in labels)
    ax = new_axes(ax, height=1.4 + (0.15 + 0.2 * lines) * len(labels))
    rows = np.arange(len(labels))
    if null is not None and np.isfinite(null):
        ax.axvline(null, color=GREY, linewidth=1, linestyle="--", zorder=1)
    # A limit that does not exist is drawn as none, and its point stays.
    ax.hlines(rows, low, high, color=COLOURS[0], linewidth=1.6, zorder=2)
    ax.plot(estimate, rows, "o", color=COLOURS[0], markersize=6, zorder=3)
    if log:  # once they are drawn: before matplotlib 3.11 lines upset the limits of a logarithmic axis
        ax.set_xscale("log")
        plain_numbers(ax, np.nanmax(np.append(estimate, high)) / np.nanmin(np.append(estimate, low)))
    ax.set_yticks(rows, labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.margins(x=0.08)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return plain(ax)


def plain_numbers(ax: Axes, spread: float) -> None:
    """Ticks of a logarithmic axis as 0.5 1 2 rather than powers of ten; evenly spaced where the axis is short."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    even, decades = MaxNLocator(6, steps=[1, 2, 5, 10]), LogLocator(subs=(1, 2, 5), numticks=12)
    ax.xaxis.set_major_locator(even if spread < 4 else decades)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


@asks
def effects(result: Any, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """The effects of a fit with their intervals: its own ``plot("effects")``.

    Parameters
    ----------
    result : Result
        Of ``cf.fit``.
    ax : matplotlib Axes, optional
    level : float
        Of the intervals.

    Returns
    -------
    Axes
    """
    return drawable(result, "plot", "effects").plot("effects", ax, level)


@asks
def outcome(result: Any, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """The outcome in the groups that a fit compares: its own ``plot("outcome")``.

    Parameters
    ----------
    result : Result
        Of ``cf.fit``.
    ax : matplotlib Axes, optional
    level : float
        Of the intervals.

    Returns
    -------
    Axes
    """
    return drawable(result, "plot", "outcome").plot("outcome", ax, level)


def drawable(fit: Any, verb: str, function: str) -> Any:
    """A fit, and no class or anything else without the verb."""
    if isinstance(fit, type) or not callable(getattr(fit, verb, None)) or hasattr(fit, "dtypes"):
        raise OptionError(f"plots.{function} draws a fit, as of cf.fit(...), not {type(fit).__name__}")
    return fit


# ---- the groups that are compared -----------------------------------------------------------------------------------


def legend_inside(ax: Axes) -> None:
    """Inside, where it hides the least; what it hides shines through."""
    ax.legend(frameon=True, framealpha=0.85, edgecolor="none", fontsize="small")


def chosen(n: int, most: int = MOST_POINTS) -> Bools:
    """Rows that are drawn as points: all of a few, a fixed random choice of many."""
    if n <= most:
        return np.ones(n, dtype=bool)
    found = np.zeros(n, dtype=bool)
    found[np.random.default_rng(0).choice(n, most, replace=False)] = True
    return found


def chosen_in_each(groups: Sequence[Bools]) -> list[Bools]:
    """Rows of each group that are drawn: as many of each, so that a small group is drawn whole beside a large one."""
    found, left = [np.zeros(len(inside), dtype=bool) for inside in groups], MOST_POINTS
    smallest_first = sorted(range(len(groups)), key=lambda k: int(groups[k].sum()))
    for place, k in enumerate(smallest_first):
        rows = np.flatnonzero(groups[k])
        found[k][rows[chosen(len(rows), left // (len(groups) - place))]] = True
        left -= int(found[k].sum())
    return found


def by_arm(ax: Axes, arms: Sequence[tuple[str, Bools]], x: Array, y: Array, mu: Array | None) -> Axes:
    """Points, and a line an arm: the model's predictions, or a smooth where these depend on more than ``x``."""
    drawn = chosen(len(y))
    shown = _jittered(y)
    for k, (_, inside) in enumerate(arms):
        points, colour = inside & drawn, COLOURS[k % len(COLOURS)]
        ax.plot(x[points], shown[points], "o", color=colour, alpha=0.3, markersize=3.5, markeredgewidth=0)
    for k, (label, inside) in enumerate(arms):
        at, line = _line(x[inside], y[inside], None if mu is None else mu[inside])
        # White below the line keeps it apart from points of its own colour.
        ax.plot(at, line, color="white", linewidth=4.5)
        ax.plot(at, line, color=COLOURS[k % len(COLOURS)], linewidth=2.2, label=label)
    return ax


def _jittered(y: Array) -> Array:
    """The outcome, moved a little at random where it has two values that would hide each other."""
    values = np.unique(y)
    if len(values) != 2:
        return y
    half = 0.04 * (values[1] - values[0])
    return y + np.random.default_rng(0).uniform(-half, half, len(y))


def _line(x: Array, y: Array, mu: Array | None) -> tuple[Array, Array]:
    if mu is not None:
        order = np.argsort(x)
        return x[order], mu[order]
    return smooth(x, y) if len(np.unique(x)) >= FEWEST_SMOOTHED else straight(x, y)


def smooth(x: Array, y: Array) -> tuple[Array, Array]:
    """Lowess with R's share of two thirds: locally linear, robust against single points unless ``y`` is 0 and 1."""
    from statsmodels.nonparametric.smoothers_lowess import lowess

    some = chosen(len(x))
    rounds = 0 if len(np.unique(y)) == 2 else 3
    found = lowess(y[some], x[some], frac=2 / 3, it=rounds, delta=0.01 * float(np.ptp(x)))
    return found[:, 0], found[:, 1]


def straight(x: Array, y: Array) -> tuple[Array, Array]:
    """The least-squares line between the least and the greatest x."""
    ends = np.array([x.min(), x.max()])
    slope = float(np.cov(x, y)[0, 1] / x.var(ddof=1)) if ends[0] < ends[1] else 0.0
    return ends, y.mean() + slope * (ends - x.mean())


def distributions(ax: Axes, name: str, arms: Sequence[tuple[str, Bools]], y: Array) -> Axes:
    """The outcome's distribution by arm, with each arm's mean."""
    values = np.unique(y)
    groups = {f"{label}: mean {y[inside].mean():.4g}": y[inside] for label, inside in arms}
    if len(values) <= 10:
        _shares(ax, groups, values)
    else:
        _histograms(ax, groups)
    ax.set_xlabel(name)
    legend_inside(ax)
    # Room above the bars, so that it hides none of them.
    lines = sum(label.count("\n") + 1 for label in groups)
    ax.set_ylim(top=ax.get_ylim()[1] * (1 + 0.07 * lines))
    return plain(ax)


def _histograms(ax: Axes, groups: Mapping[str, Array]) -> None:
    """Densities on common bins, sixty at the most, and a line at each mean."""
    bins = np.histogram_bin_edges(np.concatenate(list(groups.values())), bins="auto")
    if len(bins) > 61:
        bins = np.linspace(bins[0], bins[-1], 61)
    for k, (label, y) in enumerate(groups.items()):
        colour = COLOURS[k % len(COLOURS)]
        ax.hist(y, bins=bins, density=True, color=colour, alpha=0.35)
        ax.hist(y, bins=bins, density=True, color=colour, histtype="step", linewidth=1.2)
        ax.axvline(y.mean(), color=colour, linewidth=2, linestyle="--", label=label)
    ax.set_ylabel("Density")


def _shares(ax: Axes, groups: Mapping[str, Array], values: Array) -> None:
    """Shares of an outcome of few values, the arms' bars side by side."""
    width = 0.8 * (np.diff(values).min() if len(values) > 1 else 1.0) / len(groups)
    for k, (label, y) in enumerate(groups.items()):
        shares = [(y == value).mean() for value in values]
        place = values + (k - (len(groups) - 1) / 2) * width
        ax.bar(place, shares, 0.92 * width, color=COLOURS[k % len(COLOURS)], alpha=0.55, label=label)
    ax.set_xticks(values)
    ax.set_ylabel("Share of the arm")
