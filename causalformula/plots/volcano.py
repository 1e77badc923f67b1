"""A volcano plot: how large effects are against how little chance explains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# P-values below this are drawn at it.
LEAST = 1e-300
# Labels keep this share of the picture's height apart.
GAP = 0.045


def volcano(
    ax: Axes | None,
    labels: Sequence[str],
    estimate: Array,
    p: Array,
    found: Bools,
    control: Bools,
    *,
    null: float,
    log: bool,
    named: int,
    words: str,
) -> Axes:
    """Points of estimates and -log10 of their p-values, those found in colour, the first of them with their names.

    Parameters
    ----------
    found, control : ndarray of bool
        What is drawn as found, and as a negative control.
    null : float
        The value of no effect.
    log : bool
        Whether the scale of the estimates is logarithmic.
    named : int
        How many of those found have their names beside them, from the smallest p-value on.
    words : str
        What ``found`` means, for the legend.
    """
    ax = new_axes(ax, height=4.8)
    height = -np.log10(np.maximum(p, LEAST))
    if np.isfinite(null):
        ax.axvline(null, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for inside, colour, marker, label in (
        (~found & ~control, "0.6", "o", "others"),
        (found & ~control, COLOURS[1], "o", words),
        (control, COLOURS[0], "D", "negative controls"),
    ):
        if inside.any():
            fill = {"mfc": "none", "mec": colour} if marker == "D" else {"color": colour, "mew": 0}
            ax.plot(estimate[inside], height[inside], marker, ms=5, alpha=0.8, label=label, zorder=2, **fill)
    if log:
        ax.set_xscale("log")
        plain_numbers(ax, float(np.nanmax(estimate) / np.nanmin(estimate)))
    ax.margins(x=0.15, y=0.06)
    ax.set_ylim(bottom=0)
    chosen = [k for k in np.argsort(p, kind="stable") if found[k] and not control[k]][:named]
    _name(ax, labels, estimate, height, chosen)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, fontsize="small")
    return plain(ax)


def _name(ax: Axes, labels: Sequence[str], x: Array, y: Array, chosen: Sequence[int]) -> None:
    """Names beside points, moved up where they would lie on each other."""
    low, high = ax.get_xlim()
    middle = float(np.sqrt(low * high)) if ax.get_xscale() == "log" else (low + high) / 2
    top = ax.get_ylim()[1]
    for side in (-1, 1):
        last = -np.inf
        for k in sorted((k for k in chosen if (x[k] > middle) == (side > 0)), key=lambda k: y[k]):
            place = max(float(y[k]), last + GAP * top)
            last = place
            ax.annotate(
                labels[k],
                (x[k], y[k]),
                xytext=(7 * side, place),
                textcoords=("offset points", "data"),
                ha="left" if side > 0 else "right",
                va="center",
                fontsize="small",
                arrowprops={"arrowstyle": "-", "color": "0.7", "lw": 0.5} if place > y[k] else None,
            )
        if last > top:
            top = last * 1.03
            ax.set_ylim(0, top)
