"""The comparisons behind a two-way coefficient: their estimates by their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "o^sD"


def comparisons(ax: Axes | None, kinds: Mapping[str, tuple[Array, Array]], coefficient: float, outcome: str) -> Axes:
    """A point for each comparison, by its weight and its estimate, and a line at the coefficient that they make up.

    Parameters
    ----------
    kinds : mapping of str to tuple of ndarray
        Weights and estimates of the comparisons of a kind.
    coefficient : float
    outcome : str
    """
    ax = new_axes(ax)
    ax.axhline(0, color=GREY, linewidth=1, linestyle="--", zorder=1)
    ax.axhline(coefficient, color="black", linewidth=1.5, zorder=1, label=f"{coefficient:.4g}, the coefficient")
    for k, (kind, (weights, estimates)) in enumerate(kinds.items()):
        marker, colour = MARKERS[k % len(MARKERS)], COLOURS[k % len(COLOURS)]
        label = f"{kind} (weight {weights.sum():.2f})"
        ax.plot(weights, estimates, marker, color=colour, markersize=7, zorder=3, clip_on=False, label=label)
    ax.set_xlim(left=0)
    ax.set_xlabel("Weight")
    ax.set_ylabel(f"Difference in differences of {outcome}")
    legend(plain(ax))
    return ax
