"""Two groups over two periods: their means, and where the treated would be without treatment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MARGIN = 0.25
GAP = 0.03


def trends(
    ax: Axes | None,
    means: Array,
    without: float,
    groups: Sequence[str],
    periods: Sequence[str],
    *,
    time: str,
    outcome: str,
    given: str = "",
) -> Axes:
    """Means of two groups before and after, and a dashed line to where the treated would be without treatment.

    Parameters
    ----------
    means : ndarray (2, 2)
        Group by period, the untreated group first.
    without : float
        The treated after the change, without treatment.
    groups, periods : sequence of str
    time, outcome : str
        Names of the axes.
    given : str
        What the counterfactual is adjusted for.
    """
    ax = new_axes(ax)
    at = np.array([0.0, 1.0])
    for k, label in enumerate(groups):
        ax.plot(at, means[k], "o-", color=COLOURS[k], linewidth=2.2, markersize=6, label=short(label))
    adjusted = f", given {given}" if given else ""
    label = short(f"{groups[1]} without treatment, if trends are parallel{adjusted}")
    ax.plot(at, [means[1, 0], without], "--", color=COLOURS[1], linewidth=1.6, label=label)
    ax.plot(1.0, without, "o", color="white", markeredgecolor=COLOURS[1], markersize=6)
    _bracket(ax, without, float(means[1, 1]))
    ax.set_xticks(at, [short(period) for period in periods])
    ax.set_xlim(-MARGIN, 1 + 2 * MARGIN)
    ax.margins(y=0.12)
    ax.set_xlabel(time)
    ax.set_ylabel(f"Mean of {outcome}")
    # below the picture: within it the lines may run anywhere
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize="small", ncols=2)
    return plain(ax)


def _bracket(ax: Axes, low: float, high: float) -> None:
    """The effect, as the distance between the two ends."""
    ax.annotate(
        "", (1 + GAP, high), (1 + GAP, low), arrowprops={"arrowstyle": "->", "color": GREY, "shrinkA": 0, "shrinkB": 0}
    )
    ax.text(1 + 2 * GAP, (low + high) / 2, f"effect\n{high - low:.4g}", color="0.25", va="center", fontsize="small")
