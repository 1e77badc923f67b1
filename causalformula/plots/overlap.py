"""The common support of the arms: the distribution of the propensity score in each, before and after weighting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.diagnostics.statistics import densities
from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import cut_apart, legend, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes


POINTS = 401
AT = np.linspace(0, 1, POINTS)
# A kernel narrower than this is narrower than the picture can show.
NARROWEST = 0.01
# How far a density before weighting may rise above those after it.
TALLEST = 3
# Room beyond the highest curve.
MARGIN = 1.05


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
        The common support, drawn as dotted lines; said in the legend, also where there is none.
    label : str
        Of the axis.

    Returns
    -------
    Axes

    Notes
    -----
    Where an arm has nearly all its mass at one score, as many controls at 0, its peak before weighting would flatten
    all else. What rises above three times the highest density after weighting is cut off, and the legend says so.
    """
    ax = new_axes(ax)
    curves = _curves(distance, arms, before, after, AT)
    most = _tallest(curves)
    heights = []
    for name, (filled, *line), sign, colour in zip(cut_apart(arms), curves, (-1, 1), COLOURS[:2], strict=True):
        said = f"{name}, before{_cut_off(filled, most)}"
        ax.fill_between(AT, sign * filled, color=colour, alpha=0.3, linewidth=0, label=said)
        for curve in line:
            ax.plot(AT, sign * curve, color=colour, linewidth=1.8, label=f"{name}, after")
        heights.append(MARGIN * min(float(np.max([filled, *line])), most))
    ends = (-heights[0], heights[1])
    ax.set_ylim(*ends)
    return _finished(ax, ends, limits, label, "Density")


def _curves(distance: Array, arms: Mapping[str, Bools], before: Array, after: Array | None, at: Array) -> list[Array]:
    """For each arm its densities at ``at``: before weighting and, where there are weights, after it."""
    samples = [before] if after is None else [before, after]
    return [score_densities(distance[inside], [w[inside] for w in samples], at) for inside in arms.values()]


def support_of_levels(
    distance: Array,
    arms: Mapping[str, Bools],
    before: Array,
    after: Array | None = None,
    ax: Axes | None = None,
    *,
    limits: tuple[float, float] | None = None,
    label: str = "Propensity score",
) -> Axes:
    """Densities of one level's score in several arms: after weighting upwards, before it downwards.

    Upwards the arms should lie on each other. Without weights after, all stands upwards.

    Parameters
    ----------
    distance : ndarray (n,)
        The probability of one level.
    arms : mapping of str to ndarray (n,) of bool
    before, after, ax, limits, label
        As of ``support``.
    """
    ax = new_axes(ax)
    at = _range(distance)
    curves = _curves(distance, arms, before, after, at)
    most = _tallest(curves)
    for name, (first, *line), colour in zip(cut_apart(arms), curves, palette(len(arms)), strict=True):
        _outlined(ax, at, -first if line else first, colour, f"{name}{_cut_off(first, most)}")
        for curve in line:
            _outlined(ax, at, curve, colour, "_after")
    down = min(max(float(first.max()) for first, *_ in curves), most)
    up = down if after is None else max(float(line.max()) for _, line in curves)
    ends = (0.0 if after is None else -MARGIN * down, MARGIN * up)
    ax.set_ylim(*ends)
    _finished(ax, ends, limits, label, "Density" if after is None else "Density (below: before, above: after)", 3)
    ax.set_xlim(at[0], at[-1])
    return ax


def _range(p: Array) -> Array:
    """Points from a little below the scores to a little above: those of a rare level fill a part of [0, 1] only."""
    low, high = float(p.min()), float(p.max())
    beyond = 0.05 * (high - low) + NARROWEST
    return np.linspace(max(low - beyond, 0), min(high + beyond, 1), POINTS)


def _outlined(ax: Axes, at: Array, curve: Array, colour: Any, name: str) -> None:
    ax.fill_between(at, curve, color=colour, alpha=0.12, linewidth=0)
    ax.plot(at, curve, color=colour, linewidth=1.8, label=name)


def _tallest(curves: list[Array]) -> float:
    """The height beyond which a density before weighting is cut off."""
    after = [float(curve.max()) for _, *line in curves for curve in line]
    return TALLEST * max(after) if after else np.inf


def _cut_off(curve: Array, most: float) -> str:
    return f" (peak {curve.max():.3g} cut off)" if curve.max() > MARGIN * most else ""


def _finished(
    ax: Axes, ends: tuple[float, float], limits: tuple[float, float] | None, label: str, height: str, columns: int = 2
) -> Axes:
    """Limits of the common support, axes and legend."""
    ax.axhline(0, color="black", linewidth=0.8)
    _draw_limits(ax, ends, limits)
    ax.set_xlim(0, 1)
    ax.yaxis.set_major_formatter(lambda y, _: f"{abs(y):g}")
    ax.set_xlabel(label)
    ax.set_ylabel(height)
    legend(ax, columns=columns)
    return plain(ax)


def _draw_limits(ax: Axes, ends: tuple[float, float], limits: tuple[float, float] | None) -> None:
    """The ends of the common support as dotted lines, with a line in the legend; or that there is none."""
    if limits is None:
        return
    if limits[0] > limits[1]:
        ax.plot([], [], " ", label="No common support of the arms")
        return
    for limit, label in zip(limits, ("Common support", None), strict=True):
        ax.plot([limit, limit], ends, color=GREY, linewidth=1, linestyle=":", label=label)


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
