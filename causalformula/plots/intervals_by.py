"""Intervals over a number that they depend on, beside the one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The reference stands to the left of the first value by this many steps, and an end of a bar is this wide.
APART, CAP = 1.0, 0.12


def intervals_by(
    ax: Axes | None,
    x: Array,
    low: Array,
    high: Array,
    reference: tuple[float, float],
    null: float,
    names: tuple[str, str],
) -> Axes:
    """One bar a value of ``x``, in its order, and the reference's at the left; infinite ends run out of the picture.

    Parameters
    ----------
    x, low, high : ndarray (m,)
        Limits that are missing are drawn as none.
    reference : tuple of float
        The interval at the left.
    null : float
        Where the line of no effect stands.
    names : tuple of str
        Of the reference, and of the others.
    """
    ax = new_axes(ax)
    step = float(np.diff(x).min()) if len(x) > 1 else max(abs(float(x[0])), 1.0)
    ax.axhline(null, color=GREY, linewidth=1, linestyle="--", zorder=1)
    ends = np.concatenate([low, high, reference, [null]])
    ends = ends[np.isfinite(ends)]
    margin = 0.08 * (ends.max() - ends.min() or 1.0)
    bottom, top = ends.min() - margin, ends.max() + margin
    left = np.array([x[0] - APART * step])
    given = ((left, [reference[0]], [reference[1]], names[0], COLOURS[1]), (x, low, high, names[1], COLOURS[0]))
    for at, below, above, name, colour in given:
        below, above = np.asarray(below, dtype=float), np.asarray(above, dtype=float)
        ax.vlines(at, np.maximum(below, bottom), np.minimum(above, top), color=colour, linewidth=2, label=name)
        for end in (below, above):
            ax.hlines(end, at - CAP * step, at + CAP * step, color=colour, linewidth=2)
    ax.set_ylim(bottom, top)
    ax.set_xlim(left[0] - 0.6 * step, x[-1] + 0.6 * step)
    ax.set_xticks(x, [f"{value:.3g}" for value in x])
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, fontsize="small")
    return plain(ax)
