"""Love plots: the balance of every covariate before and after a design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causalformula.plots.draw import COLOURS, GREY, new_axes, plain

Array = NDArray[np.float64]
Axes = Any
SAMPLES = (("Un", "Before"), ("Adj", "After"))
ORDERS = ("unadjusted", "adjusted", "alphabetical", "formula")


def love(
    rows: Sequence[str],
    samples: Mapping[str, ArrayLike],
    ax: Axes | None = None,
    *,
    threshold: float | None = 0.1,
    null: float = 0.0,
    label: str = "Absolute standardised mean difference",
) -> Axes:
    """Draw one row a covariate, from top to bottom, and one mark a sample.

    Parameters
    ----------
    rows : sequence of str
    samples : mapping of str to array (rows,)
        ``{"Before": ..., "After": ...}``; a missing value is not drawn.
    ax : matplotlib Axes, optional
    threshold : float, optional
        Where balance is thought good enough; on both sides where values have signs.
    null : float
        The value of perfect balance.
    label : str
        Of the axis.
    """
    ax = new_axes(ax, height=1.5 + 0.28 * len(rows))
    place = np.arange(len(rows))
    for line in place:
        ax.axhline(line, color="0.92", linewidth=0.8, zorder=0)
    ax.axvline(null, color=GREY, linewidth=1, zorder=1)
    values = {name: np.asarray(v, dtype=float) for name, v in samples.items()}
    if threshold is not None:
        signed = any((v[~np.isnan(v)] < null).any() for v in values.values())
        for at in (null + threshold, *([null - threshold] if signed else [])):
            ax.axvline(at, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for k, (name, v) in enumerate(values.items()):
        last = k == len(values) - 1
        face = COLOURS[0] if last else "white"
        colour = COLOURS[0] if last else COLOURS[1]
        ax.plot(v, place, "o", color=colour, markerfacecolor=face, markersize=6.5, label=name, zorder=3 + k)
    ax.set_yticks(place, list(rows))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.margins(x=0.06)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(label)
    if len(values) > 1:
        # above the rows, where it hides nothing
        ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(values))
    return plain(ax)
