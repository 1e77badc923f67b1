"""The common support of the arms: the distribution of the propensity score in each, before and after weighting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.diagnostics.statistics import densities, weighted_bandwidth
from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import cut_apart, legend, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes


POINTS = 401
AT = np.linspace(0, 1, POINTS)
# A kernel narrower than this share of its width is narrower than the picture can show.
NARROWEST = 0.01
# How far a density before weighting may rise above those after it.
TALLEST = 3
# Of several arms: through the gaps of one line those below it show, where all are alike.
DASHES = ("-", (0, (6, 4)), (0, (2, 4)))
DENSITY, SHARE = "Density", "Share of the arm"
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
    bins: int | Array | None = None,
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
    bins : int or ndarray, optional
        Histograms of so many bars, or with these ends of them, in the place of densities: the share of each arm in a
        bar. The distance need then be no probability.

    Returns
    -------
    Axes

    Notes
    -----
    Where an arm has nearly all its mass at one score, as many controls at 0, its peak before weighting would flatten
    all else. What rises above three times the highest density after weighting is cut off, and the legend says so.
    """
    ax = new_axes(ax)
    at, curves = _curves(distance, arms, before, after, AT, bins)
    most = _tallest(curves)
    heights = []
    for name, (filled, *line), sign, colour in zip(cut_apart(arms), curves, (-1, 1), COLOURS[:2], strict=True):
        said = f"{name}{', before' * bool(line)}{_cut_off(filled, most)}"
        ax.fill_between(at, sign * filled, color=colour, alpha=0.3, linewidth=0, label=said)
        for curve in line:
            ax.plot(at, sign * curve, color=colour, linewidth=1.8, label=f"{name}, after")
        heights.append(MARGIN * min(float(np.max([filled, *line])), most))
    ends = (-heights[0], heights[1])
    ax.set_ylim(*ends)
    _finished(ax, ends, limits, label, DENSITY if bins is None else SHARE)
    if bins is not None:
        _about(ax, at)
    return ax


def _curves(
    distance: Array, arms: Mapping[str, Bools], before: Array, after: Array | None, at: Array, bins: int | Array | None
) -> tuple[Array, list[Array]]:
    """Points, and for each arm its densities there: before weighting and, where there are weights, after it.

    With ``bins`` the outlines of histograms: each end of a bar twice.
    """
    samples = [before] if after is None else [before, after]
    if bins is None:
        return at, [score_densities(distance[inside], [w[inside] for w in samples], at) for inside in arms.values()]
    edges = np.histogram_bin_edges(distance[before > 0], bins)
    curves = []
    for inside in arms.values():
        heights = [np.histogram(distance[inside], edges, weights=w[inside])[0] / w[inside].sum() for w in samples]
        curves.append(np.array([np.pad(np.repeat(h, 2), 1) for h in heights]))
    return np.repeat(edges, 2), curves


def _about(ax: Axes, at: Array) -> None:
    """The horizontal axis from a little below the points to a little above them."""
    beyond = 0.04 * (at[-1] - at[0])
    ax.set_xlim(at[0] - beyond, at[-1] + beyond)


def support_of_levels(
    distance: Array,
    arms: Mapping[str, Bools],
    before: Array,
    after: Array | None = None,
    ax: Axes | None = None,
    *,
    limits: tuple[float, float] | None = None,
    label: str = "Propensity score",
    bins: int | Array | None = None,
) -> Axes:
    """Densities of one level's score in several arms: after weighting upwards, before it downwards.

    Upwards the arms should lie on each other. Without weights after, all stands upwards.

    Parameters
    ----------
    distance : ndarray (n,)
        The probability of one level.
    arms : mapping of str to ndarray (n,) of bool
    before, after, ax, limits, label, bins
        As of ``support``.
    """
    ax = new_axes(ax)
    at, curves = _curves(distance, arms, before, after, _range(distance), bins)
    most = _tallest(curves)
    colours = palette(len(arms))
    for k, (name, (first, *line), colour) in enumerate(zip(cut_apart(arms), curves, colours, strict=True)):
        style = DASHES[k % len(DASHES)]
        _outlined(ax, at, -first if line else first, colour, f"{name}{_cut_off(first, most)}", style)
        for curve in line:
            _outlined(ax, at, curve, colour, "_after", style)
    down = min(max(float(first.max()) for first, *_ in curves), most)
    up = down if after is None else max(float(line.max()) for _, line in curves)
    ends = (0.0 if after is None else -MARGIN * down, MARGIN * up)
    ax.set_ylim(*ends)
    height = DENSITY if bins is None else SHARE if after is None else "Share"
    _finished(ax, ends, limits, label, height if after is None else f"{height} (below: before, above: after)", 3)
    if bins is None:
        ax.set_xlim(at[0], at[-1])
    else:
        _about(ax, at)
    return ax


def _range(p: Array) -> Array:
    """Points from a little below the scores to a little above: those of a rare level fill a part of [0, 1] only."""
    low, high = float(p.min()), float(p.max())
    beyond = 0.05 * (high - low) + (min(NARROWEST, high - low) or NARROWEST)
    return np.linspace(max(low - beyond, 0), min(high + beyond, 1), POINTS)


def _outlined(ax: Axes, at: Array, curve: Array, colour: Any, name: str, style: Any) -> None:
    ax.fill_between(at, curve, color=colour, alpha=0.12, linewidth=0)
    ax.plot(at, curve, color=colour, linewidth=1.8, linestyle=style, label=name)


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
    """Weighted densities on [0, 1], reflected at its ends so that no mass leaks out; each with its own bandwidth.

    An end that no kernel reaches reflects nothing: the density is computed on a grid over all points, and few of them
    would fall on scores that are much alike.
    """
    narrowest = NARROWEST * float(at[-1] - at[0])
    return np.array([_density(p, w, score_bandwidth(p, w, narrowest), at) for w in weights])


def _density(p: Array, w: Array, width: float, at: Array) -> Array:
    reach = 4 * width
    mirrored = [p, *([-p] if p.min() < reach else []), *([2 - p] if p.max() > 1 - reach else [])]
    copies = len(mirrored)
    return np.asarray(copies * densities(np.concatenate(mirrored), [np.tile(w, copies)], width, at)[0])


def score_bandwidth(p: Array, w: Array, narrowest: float = NARROWEST) -> float:
    """Scott's rule for a weighted sample, but no narrower than can be seen."""
    return max(weighted_bandwidth(p, w), narrowest) if w.any() else narrowest
