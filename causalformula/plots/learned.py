"""Whether a learner's predictions are, on average, what is then seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def predicted(groups: Mapping[str, tuple[Array, Array]], ax: Axes | None = None, *, label: str = "outcome") -> Axes:
    """Mean prediction and mean outcome in groups of like prediction, which lie on the diagonal where they are equal.

    Parameters
    ----------
    groups : mapping of str to pair of ndarray
        By what is predicted, the mean predictions and the means seen.
    ax : matplotlib Axes, optional
    label : str
        What is predicted.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    for k, (name, (mean, seen)) in enumerate(groups.items()):
        colour = COLOURS[k % len(COLOURS)]
        ax.plot(mean, seen, "o-", color=colour, linewidth=1.4, markersize=5.5, label=name, zorder=3)
    ends = np.concatenate([values for pair in groups.values() for values in pair])
    span = [ends.min(), ends.max()]
    ax.plot(span, span, color=GREY, linewidth=1, linestyle="--", label="if calibrated", zorder=1)
    ax.set_xlabel(f"Mean prediction of the {label}")
    ax.set_ylabel(f"Mean {label}")
    legend(ax)
    return plain(ax)
