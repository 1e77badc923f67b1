"""Effects against the quantile that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# How far lines stand apart, in quantiles; how dark a band is, and how wide where it is that of one quantile.
DODGE, SHADE, BAND = 0.008, 0.18, 8.0


@dataclass(frozen=True, eq=False)
class Curve:
    """Estimates in the order of their quantiles.

    Parameters
    ----------
    at : ndarray (m,)
        The quantiles.
    estimate, low, high : ndarray (m,)
        With the intervals of each.
    lowest, highest : ndarray (m,)
        The band of all.
    """

    at: Array
    estimate: Array
    low: Array
    high: Array
    lowest: Array
    highest: Array


def curves(found: Mapping[str, Curve], ax: Axes | None = None, *, null: float | None, level: float = 0.95) -> Axes:
    """A line through the estimates; their intervals as bars, and the band of all of them behind.

    Parameters
    ----------
    found : mapping of str to Curve
        By label.
    null : float, optional
        Where the line of no effect stands; None for no line.
    level : float
        Of the intervals and the band, for the legend.
    """
    ax = new_axes(ax)
    if null is not None:
        ax.axhline(null, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for k, (label, curve) in enumerate(found.items()):
        _curve(ax, curve, COLOURS[k % len(COLOURS)], DODGE * (k - (len(found) - 1) / 2))
        if len(found) > 1:
            ax.plot([], [], "o-", color=COLOURS[k % len(COLOURS)], markersize=5, label=short(label))
    first = COLOURS[0]
    ax.plot([], [], color=first, linewidth=1.6, label=f"{100 * level:g}% interval of each")
    ax.plot([], [], color=first, linewidth=BAND, alpha=SHADE, label=f"{100 * level:g}% band for all at once")
    ax.set_xlabel("Quantile")
    ax.set_xlim(0, 1)
    # below the picture: within it the bands may run anywhere
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize="small", ncols=2)
    return plain(ax)


def _curve(ax: Axes, curve: Curve, colour: str, aside: float) -> None:
    """One line with its intervals and its band, moved aside so that no bar hides another."""
    at = curve.at + aside
    if len(at) > 1:
        ax.fill_between(at, curve.lowest, curve.highest, color=colour, alpha=SHADE, linewidth=0, zorder=2)
    else:
        ax.vlines(at, curve.lowest, curve.highest, color=colour, alpha=SHADE, linewidth=BAND, zorder=2)
    ax.vlines(at, curve.low, curve.high, color=colour, linewidth=1.6, zorder=3)
    ax.plot(at, curve.estimate, "o-", color=colour, markersize=5, zorder=4)
