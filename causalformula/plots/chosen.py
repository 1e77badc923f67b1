"""Terms with the number that each was chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import cut_apart, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Longer terms lose their middle.
LONGEST = 36


def chosen(
    ax: Axes | None, labels: Sequence[str], values: Array, kept: Bools, label: str, limit: float | None = None
) -> Axes:
    """One row a term, from top to bottom: full marks are kept, hollow ones left out.

    Parameters
    ----------
    limit : float, optional
        The value that the choice was made at, where it is one for all.
    """
    ax = new_axes(ax, height=1.6 + 0.28 * len(labels))
    place = np.arange(len(labels))
    ax.hlines(place, 0.0, values, color="0.85", linewidth=1.2, zorder=1)
    for inside, name, face in ((kept, "Kept", COLOURS[0]), (~kept, "Left out", "white")):
        if inside.any():
            ax.plot(
                values[inside], place[inside], "o", color=COLOURS[0], markerfacecolor=face, markersize=6.5, label=name,
                zorder=2,
            )  # fmt: skip
    if limit is not None:
        ax.axvline(limit, color=GREY, linewidth=1, linestyle="--", label=f"Limit {limit:g}", zorder=0)
    ax.set_yticks(place, cut_apart(labels, LONGEST))
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.margins(x=0.06)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(label)
    legend(ax, columns=3)
    return plain(ax)
