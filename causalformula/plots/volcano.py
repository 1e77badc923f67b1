"""A volcano plot: how large effects are against how little chance explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# P-values below this are drawn at it.
LEAST = 1e-300
# Labels keep this share of the picture's height apart.
GAP = 0.042
# The share of its width that a letter takes, and the longest name.
LETTER, LONGEST = 0.0125, 28


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
    """Names beside points, away from the middle, moved up where they would lie on each other."""
    names = {k: shorten(labels[k], LONGEST, placeholder=" …") for k in chosen}
    right = _room(ax, names, x)
    top = ax.get_ylim()[1]
    for side in (False, True):
        last = -np.inf
        for k in sorted((k for k in chosen if right[k] == side), key=lambda k: y[k]):
            last = max(float(y[k]), last + GAP * top)
            ax.annotate(
                names[k],
                (x[k], y[k]),
                xytext=(7 if side else -7, last),
                textcoords=("offset points", "data"),
                ha="left" if side else "right",
                va="center",
                fontsize="small",
                arrowprops={"arrowstyle": "-", "color": "0.7", "lw": 0.5} if last > y[k] else None,
            )
        if last > top:
            top = last * 1.03
            ax.set_ylim(0, top)


def _room(ax: Axes, names: Mapping[int, str], x: Array) -> dict[int, bool]:
    """Limits within which names have room, and which of them stand on the right of their points."""
    log = ax.get_xscale() == "log"
    place = np.log(x) if log else x
    low, high = np.log(ax.get_xlim()) if log else ax.get_xlim()
    right = {k: bool(place[k] > (low + high) / 2) for k in names}
    ends = (low, high)
    for _ in range(8):  # a name takes a share of the width, which grows with the limits
        room = {k: (0.03 + LETTER * len(name)) * (high - low) for k, name in names.items()}
        low = min([ends[0], *(place[k] - room[k] for k in names if not right[k])])
        high = max([ends[1], *(place[k] + room[k] for k in names if right[k])])
    ax.set_xlim(*(np.exp((low, high)) if log else (low, high)))
    return right
