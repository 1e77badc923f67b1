"""Legends that cover nothing, and colours that tell many arms apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from causalformula.plots.draw import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


SIZES = ("medium", "small", "x-small", "xx-small")
# The largest share of the height of the axes that a legend takes before its letters shrink, and in the end.
MODEST, MOST = 0.3, 0.6
STYLE: dict[str, Any] = {
    "loc": "upper center",
    "borderaxespad": 0.2,
    "columnspacing": 1.2,
    "framealpha": 0.85,
    "edgecolor": "none",
}


def legend(ax: Axes, columns: int = 2, handles: Any = None) -> Any:
    """The legend at the top inside the axes, in room that is made above all that is drawn.

    It neither covers the data nor runs over a neighbour in a grid of axes: columns, then sizes of letters are tried
    until it fits the width. To be called last, as it sets the limits of the vertical axis.

    Parameters
    ----------
    ax : matplotlib Axes
    columns : int
        As many as this, fewer where they do not fit.
    handles : list of artists, optional
        What the legend shows; all that has a label by default.
    """
    _settle(ax)
    box = ax.get_window_extent()
    given = STYLE if handles is None else {**STYLE, "handles": handles}
    heights: dict[tuple[str, int], float] = {}
    for size, count in _trials(columns):
        extent = ax.legend(**given, ncols=count, fontsize=size).get_window_extent()
        if extent.width <= box.width:
            heights[size, count] = extent.height / box.height
            if heights[size, count] <= MODEST:
                break
    # the first that is low enough, or else the lowest
    (size, count), height = min(
        heights.items(), key=lambda made: max(made[1], MODEST), default=((SIZES[-1], 1), MODEST)
    )
    made = ax.legend(**given, ncols=count, fontsize=size)
    _make_room(ax, min(1.1 * height, MOST))
    return made


def _settle(ax: Axes) -> None:
    """Let the layout give axes of their own figure their width, which long names of ticks take from.

    In a grid the others, still empty, would have it change again.
    """
    figure: Any = ax.figure
    engine = figure.get_layout_engine()
    if engine is not None and figure.axes == [ax]:
        engine.execute(figure)


def _trials(columns: int) -> list[tuple[str, int]]:
    """Sizes of letters and numbers of columns, the best first: few rows rather than large letters, unless tiny."""
    counts = range(columns, 0, -1)
    return [(size, count) for sizes in (SIZES[:2], SIZES[2:]) for count in counts for size in sizes]


def _make_room(ax: Axes, share: float) -> None:
    """Move the upper end of the vertical axis, inverted or not, so that a share of the height is free of everything."""
    from matplotlib.ticker import FixedLocator

    lower, upper = ax.get_ylim()
    if not isinstance(ax.yaxis.get_major_locator(), FixedLocator):
        ax.set_yticks([tick for tick in ax.get_yticks() if min(lower, upper) <= tick <= max(lower, upper)])
    ax.spines["left"].set_bounds(lower, upper)
    ax.set_ylim(lower, lower + (upper - lower) / (1 - share))


def width_in_letters(ax: Axes) -> float:
    """How many letters of a tick's label fit side by side along the horizontal axis."""
    points = ax.get_window_extent().width / ax.figure.dpi * 72
    sizes = [label.get_size() for label in ax.get_xticklabels()] or [10.0]
    return float(points / (0.6 * max(sizes)))


def cut(name: str, longest: int = 30) -> str:
    """A long name without its middle: what tells names apart stands mostly at an end."""
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"


def cut_apart(names: Iterable[str], longest: int = 30) -> list[str]:
    """Long names without their middles, unless that makes two of them the same."""
    names = list(names)
    short = [cut(name, longest) for name in names]
    return short if len(set(short)) == len(set(names)) else names


def palette(count: int) -> tuple[Any, ...]:
    """Colours of as many arms: the usual ones, or along a colour map where there are more arms than these."""
    if count <= len(COLOURS):
        return COLOURS[:count]
    from matplotlib import colormaps

    return tuple(colormaps["turbo"](k / (count - 1)) for k in range(count))
