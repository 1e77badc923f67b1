"""Curves over the share that is treated: TOC, uplift, cumulative gain and Qini, with bands and what chance would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.diagnostics.targeting import TargetingCurve
from causalformula.diagnostics.uplift import OutcomeCurve
from causalformula.numerics.arrays import Array
from causalformula.plots.draw import GREY, new_axes, plain
from causalformula.plots.legends import cut_apart, legend, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHARE = "Share treated, the highest priority first"
PER_HEAD = "Gain per head of the population"
HEIGHTS = {
    "toc": "Mean effect of those treated,\nabove the average effect",
    "uplift": "Mean effect of those treated",
    "gain": PER_HEAD,
    "qini": PER_HEAD + ",\nbeyond that of treating at random",
}
OBSERVED = {"uplift": PER_HEAD, "qini": "Outcomes gained among the treated,\nper head of the population"}
# Bands of a mean over a smaller share than this are cut off at those of the others: they would flatten all else.
FEW = 0.05
# Curves that begin at nothing where nobody is treated; the others have no value there.
FROM_ZERO = ("gain", "qini")


def curves(
    found: Mapping[str, TargetingCurve],
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    unit: str = "",
    perfect: bool = False,
) -> Axes:
    """Curves of one kind with their pointwise bands and areas, beside those of treating at random.

    Parameters
    ----------
    found : mapping of str to TargetingCurve
        By what ranks; of ``score_curve``, ``outcome_curve`` or ``difference``.
    ax : matplotlib Axes, optional
    level : float
        Of the bands; a curve without half-samples has none.
    unit : str
        What gains are counted in, as the outcome's name.
    perfect : bool
        Whether the perfect order's curve is drawn too, of outcomes of 0 and 1, for the first of them.

    Returns
    -------
    Axes

    Notes
    -----
    Treating at random is drawn once where the curves agree on it, otherwise once a curve, in its colour. The bands of
    ``toc`` and ``uplift`` below a share of 0.05 are cut off where those of the others end.
    """
    ax = new_axes(ax)
    first = next(iter(found.values()))
    zero = isinstance(first, OutcomeCurve) or first.kind in FROM_ZERO
    common = all(np.allclose(curve.random[-1], first.random[-1]) for curve in found.values())
    room = (-np.inf, np.inf) if zero else _room(list(found.values()), level)
    for name, curve, colour in zip(cut_apart(found), found.values(), palette(len(found)), strict=True):
        _band(ax, curve, level, colour, zero, room)
        ax.plot(*_points(curve, curve.value, zero), color=colour, linewidth=2, label=_said(name, curve), zorder=3)
    for k, (curve, colour) in enumerate(zip(found.values(), palette(len(found)), strict=True)):
        if not common or not k:
            line: dict[str, Any] = {"color": GREY if common else colour, "label": "_" if k else "at random"}
            ax.plot(*_points(curve, curve.random, zero), linewidth=1.2, linestyle="--", zorder=2, **line)
    if perfect and isinstance(first, OutcomeCurve) and first.perfect is not None:
        ax.plot(*first.perfect, color="black", linewidth=1.2, linestyle=":", label="perfect order", zorder=2)
    ax.set_xlim(0, 1)
    ax.set_xlabel(SHARE)
    height = (OBSERVED if isinstance(first, OutcomeCurve) else HEIGHTS)[first.kind]
    ax.set_ylabel(f"{height} ({unit})" if unit else height)
    legend(ax, columns=2 if len(found) == 1 else 1)
    return plain(ax)


def _points(curve: TargetingCurve, values: Array, zero: bool) -> tuple[Array, Array]:
    """Shares and values, from (0, 0) where a curve begins there."""
    return (np.append(0.0, curve.share), np.append(0.0, values)) if zero else (curve.share, values)


def _band(ax: Axes, curve: TargetingCurve, level: float, colour: Any, zero: bool, room: tuple[float, float]) -> None:
    low, high = curve.limits(level)
    if np.isnan(low).all():
        return
    (at, bottom), (_, top) = (_points(curve, np.clip(limit, *room), zero) for limit in (low, high))
    ax.fill_between(at, bottom, top, color=colour, alpha=0.18, linewidth=0, zorder=1)


def _room(found: list[TargetingCurve], level: float) -> tuple[float, float]:
    """What the picture holds: the curves, and their bands but for those of the fewest."""
    shown = []
    for curve in found:
        shown += [curve.value, curve.random, *(limit[curve.share >= FEW] for limit in curve.limits(level))]
    values = np.concatenate(shown)
    return float(np.nanmin(values)), float(np.nanmax(values))


def _said(name: str, curve: TargetingCurve) -> str:
    """A curve's name with its area."""
    error = f" (s.e. {curve.area_se:.2g})" if np.isfinite(curve.area_se) else ""
    return f"{name}: {curve.area_words} {curve.area:.3g}{error}"
