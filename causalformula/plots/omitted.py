"""What omitted confounders of any strength leave of an effect: contours, and extreme scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from causalformula.inference.sensitivity.linear import Hypothesis, LinearEffect
from causalformula.numerics.arrays import Array
from causalformula.plots.contours import contours
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, short
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WITH_TREATMENT = "Partial R2 of confounders with the treatment"
WITH_OUTCOME = "Partial R2 of confounders with the outcome"
# Points in each direction; the least and the largest share that pictures end at.
SMOOTH, LEAST, MOST = 100, 0.05, 0.9
# Shares of the outcome's residual variance; one that is explained whole leaves no error, and a t without end.
SCENARIOS = {"estimate": (1.0, 0.75, 0.5), "t": (0.75, 0.5, 0.25)}


def left_of(one: LinearEffect, asked: Hypothesis, of: str, x: Array | float, y: Array | float) -> Array:
    """What confounders leave of the estimate, or of its t."""
    found = one.adjusted(x, y, asked)
    return found.estimate if of == "estimate" else found.t


def threshold(one: LinearEffect, asked: Hypothesis, of: str) -> float:
    """Where the conclusion changes: the null hypothesis, or the critical t on the side of the estimate's."""
    null = asked.null(one.estimate)
    if of == "estimate":
        return null
    from scipy.special import stdtrit

    side = 1.0 if one.estimate >= null else -1.0
    return side * float(-stdtrit(one.df - 1, asked.alpha / 2))


def strengths(
    ax: Axes | None, one: LinearEffect, asked: Hypothesis, of: str, points: Mapping[str, tuple[float, float]]
) -> Axes:
    """Contours over both strengths, with the observed covariates' as points."""
    reach = [_reach(one, asked, [point[axis] for point in points.values()]) for axis in (0, 1)]
    if of == "estimate" and reach[1] == MOST:
        reach[1] = 1.0
    x, y = (np.linspace(0, end, SMOOTH) for end in reach)
    grid_x, grid_y = np.meshgrid(x, y)
    placed = {"no confounders": (0.0, 0.0), **points}
    values = {name: (a, b, float(left_of(one, asked, of, a, b))) for name, (a, b) in placed.items()}
    return contours(
        ax, x, y, left_of(one, asked, of, grid_x, grid_y), threshold(one, asked, of), values,
        names=(WITH_TREATMENT, WITH_OUTCOME), said="the null hypothesis" if of == "estimate" else "the critical t",
    )  # fmt: skip


def _reach(one: LinearEffect, asked: Hypothesis, shares: list[float]) -> float:
    """How far an axis goes: beyond the points, and beyond the robustness value."""
    return float(np.clip(1.4 * max([one.robustness(asked.q), *shares]), LEAST, MOST))


def extreme(
    ax: Axes | None, one: LinearEffect, asked: Hypothesis, of: str, points: Mapping[str, tuple[float, float]]
) -> Axes:
    """Curves over the strength with the treatment, for confounders that explain much of the outcome."""
    ax = new_axes(ax)
    alone = asked.q**2 * one.f2 / (1 + asked.q**2 * one.f2)
    end = float(np.clip(2.2 * max([alone, *(a for a, _ in points.values())]), LEAST, MOST))
    x = end * np.linspace(0, 1, SMOOTH) ** 2  # steep at the start
    for k, (share, style) in enumerate(zip(SCENARIOS[of], ("-", "--", ":"), strict=True)):
        values = left_of(one, asked, of, x, share)
        name = f"{100 * share:g}% of the outcome's residual variance"
        ax.plot(x, values, style, color=COLOURS[0], linewidth=2 - 0.3 * k, label=name)
    ax.axhline(threshold(one, asked, of), color=COLOURS[1], linewidth=1.5, label=_said(one, asked, of))
    colours = COLOURS[2:]
    for k, (name, (a, _)) in enumerate(points.items()):
        ax.axvline(a, ymax=0.06, color=colours[k % len(colours)], linewidth=3, label=short(name))
    ax.set_xlim(0, x[-1])
    ax.set_xlabel(WITH_TREATMENT)
    ax.set_ylabel("Adjusted estimate" if of == "estimate" else "Adjusted t")
    ax.grid(axis="y", color=GREY, alpha=0.15)
    legend(plain(ax))
    return ax


def _said(one: LinearEffect, asked: Hypothesis, of: str) -> str:
    what = "the null hypothesis" if of == "estimate" else "the critical t"
    return f"{threshold(one, asked, of):.4g}, {what}"
