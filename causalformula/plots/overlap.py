"""The common support of the arms: the distribution of the propensity score in each, mirrored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.diagnostics.statistics import bandwidth, densities
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Axes = Any
POINTS = 401


def support(
    distance: Array,
    arms: Mapping[str, Bools],
    before: Array,
    after: Array | None = None,
    ax: Axes | None = None,
    *,
    limits: tuple[float, float] | None = None,
    label: str = "Propensity score",
) -> Axes:
    """Densities of the score in two arms, one upwards and one downwards: filled before weighting, a line after it.

    Parameters
    ----------
    distance : ndarray (n,)
    arms : mapping of str to ndarray (n,) of bool
        The arm drawn downwards first.
    before, after : ndarray (n,)
        Weights of both samples; ``after`` is None for a design without weights.
    ax : matplotlib Axes, optional
    limits : pair, optional
        The common support, drawn as dotted lines.
    label : str
        Of the axis.
    """
    ax = new_axes(ax)
    at = np.linspace(0, 1, POINTS)
    for k, ((name, inside), sign) in enumerate(zip(arms.items(), (-1, 1), strict=True)):
        weights = [before[inside], *([] if after is None else [after[inside]])]
        curves = sign * score_densities(distance[inside], weights, at)
        colour = COLOURS[k]
        ax.fill_between(at, curves[0], color=colour, alpha=0.3, linewidth=0, label=f"{name}, before")
        if after is not None:
            ax.plot(at, curves[1], color=colour, linewidth=1.8, label=f"{name}, after")
    ax.axhline(0, color="black", linewidth=0.8)
    for limit in limits or ():
        ax.axvline(limit, color=GREY, linewidth=1, linestyle=":")
    ax.set_xlim(0, 1)
    ax.yaxis.set_major_formatter(lambda y, _: f"{abs(y):g}")
    ax.set_xlabel(label + (" (dotted: limits of the common support)" if limits else ""))
    ax.set_ylabel("Density")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return plain(ax)


def score_densities(p: Array, weights: list[Array], at: Array) -> Array:
    """Weighted densities on [0, 1], reflected at its ends so that no mass leaks out."""
    width = bandwidth(p)
    # scores that are all alike still have a place
    width = width if width > 0 else 0.01
    mirrored = np.concatenate([p, -p, 2 - p])
    return 3 * densities(mirrored, [np.tile(w, 3) for w in weights], width, at)
