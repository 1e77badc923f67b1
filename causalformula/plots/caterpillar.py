"""Values of the levels of factors, sorted, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Levels that are named on the axis; more would run into each other.
MOST_NAMED = 45
TALLEST = 8.0


@dataclass(frozen=True, eq=False)
class Levels:
    """The levels of one factor, with the half widths of their intervals (NaN where there are none)."""

    factor: str
    labels: Sequence[str]
    values: Array
    half: Array


def caterpillar(blocks: Sequence[Levels], ax: Axes | None) -> Axes:
    """A row a level, the greatest value on top, one factor below the other."""
    count = sum(len(block.labels) for block in blocks)
    named = count <= MOST_NAMED
    ax = new_axes(ax, height=min(TALLEST, 1.4 + 0.22 * count))
    ax.axvline(0.0, color=GREY, linewidth=1, linestyle="--", zorder=1)
    ticks: list[float] = []
    texts: list[str] = []
    start = 0.0
    gap = 1.0 if named else 0.03 * count
    for k, block in enumerate(blocks):
        order = np.argsort(-block.values, kind="stable")
        rows = start + np.arange(len(order))
        values, half, colour = block.values[order], block.half[order], COLOURS[k % len(COLOURS)]
        ax.hlines(rows, values - half, values + half, color=colour, linewidth=1.4 if named else 0.6, zorder=2)
        ax.plot(values, rows, "o", color=colour, markersize=5 if named else 2, zorder=3)
        labels = [short(block.labels[j]) for j in order]
        if named:
            ticks += rows.tolist()
            texts += labels
        # the greatest value stands to the right, which leaves room to the left of it
        ax.annotate(
            block.factor, (0.01, rows[0]), xycoords=ax.get_yaxis_transform(), ha="left", va="center", color=colour
        )
        start = rows[-1] + 1 + gap
    ax.set_yticks(ticks, texts)
    ax.set_ylim(start - gap - 0.4, -0.6)
    ax.margins(x=0.08)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return plain(ax)
