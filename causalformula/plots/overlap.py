"""The common support of the arms: the distribution of the propensity score in each, mirrored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.diagnostics.statistics import densities
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Axes = Any
POINTS = 401
# A kernel narrower than this is narrower than the picture can show.
NARROWEST = 0.01
# How far a filled density may rise above the lines.
TALLEST = 3


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
    heights = []
    for k, ((name, inside), sign) in enumerate(zip(arms.items(), (-1, 1), strict=True)):
        weights = [before[inside], *([] if after is None else [after[inside]])]
        curves = sign * score_densities(distance[inside], weights, at)
        colour = COLOURS[k]
        ax.fill_between(at, curves[0], color=colour, alpha=0.3, linewidth=0, label=f"{name}, before")
        if after is not None:
            ax.plot(at, curves[1], color=colour, linewidth=1.8, label=f"{name}, after")
        heights.append(np.abs(curves).max(axis=1))
    ax.axhline(0, color="black", linewidth=0.8)
    for limit in limits or ():
        ax.axvline(limit, color=GREY, linewidth=1, linestyle=":")
    ax.set_xlim(0, 1)
    if after is not None:
        # where one arm has nearly all its mass at 0, that peak would flatten everything else: it leaves the picture
        tallest = TALLEST * max(height[1] for height in heights)
        low, high = (1.05 * min(float(height.max()), tallest) for height in heights)
        ax.set_ylim(-low, high)
    ax.yaxis.set_major_formatter(lambda y, _: f"{abs(y):g}")
    ax.set_xlabel(label + (" (dotted: limits of the common support)" if limits else ""))
    ax.set_ylabel("Density")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return plain(ax)


def score_densities(p: Array, weights: list[Array], at: Array) -> Array:
    """Weighted densities on [0, 1], reflected at its ends so that no mass leaks out; each with its own bandwidth."""
    mirrored = np.concatenate([p, -p, 2 - p])
    return np.array([3 * densities(mirrored, [np.tile(w, 3)], score_bandwidth(p, w), at)[0] for w in weights])


def score_bandwidth(p: Array, w: Array) -> float:
    """Scott's rule for a weighted sample, ``1.06 min(sd, IQR / 1.34) ESS^(-1/5)``."""
    if not w.any():
        return NARROWEST
    order = np.argsort(p)
    share = np.cumsum(w[order]) / w.sum()
    low, high = (p[order][np.searchsorted(share, q - 1e-12)] for q in (0.25, 0.75))
    sd = float(np.sqrt(w @ (p - w @ p / w.sum()) ** 2 / w.sum()))
    size = w.sum() ** 2 / (w @ w)
    return max(float(1.06 * (min(sd, (high - low) / 1.34) or sd) * size**-0.2), NARROWEST)
