"""Pictures of a screen: a volcano, and a forest of the smallest p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.options import whole
from causalformula.errors import DataError
from causalformula.inference.scales import read_measure
from causalformula.numerics.arrays import Codes
from causalformula.plots.draw import intervals
from causalformula.plots.volcano import volcano
from causalformula.results.screening.core import ScreenCore
from causalformula.results.screening.page import ALPHA, p_words, sorted_by_p

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from causalformula.inference.scales import Measure


def draw_volcano(found: ScreenCore, ax: Axes | None, top: int) -> Axes:
    """See ``Screen.volcano``."""
    top = whole("top", top, "how many points have their names", least=0)
    order, measure, tidy = _drawn(found, True), _measure(found), found.tidy()
    calibrated = bool(found.nulls)
    name = "p.calibrated.adjusted" if calibrated and "p.calibrated.adjusted" in tidy else "p.adjusted"
    p = found._read_p()[order]
    order = order[np.isfinite(p)]
    ax = volcano(
        ax,
        np.array(found._labels(), dtype=object)[order].tolist(),
        tidy["estimate"].to_numpy(dtype=float)[order],
        p[np.isfinite(p)],
        (tidy[name].to_numpy(dtype=float) < ALPHA)[order],
        found.answers["control"].to_numpy(dtype=bool)[order],
        null=measure.null,
        log=measure.reading == "exp",
        named=top,
        words=f"adjusted p-value below {ALPHA:g}",
    )
    ax.set_xlabel(_axis(found, measure))
    ax.set_ylabel(f"-log10 of the {p_words(found)}")
    return ax


def draw_forest(found: ScreenCore, ax: Axes | None, top: int) -> Axes:
    """See ``Screen.forest``."""
    top = whole("top", top, "how many rows are drawn")
    order, measure, tidy = _drawn(found, False), _measure(found), found.tidy()
    rows = tidy.iloc[order[:top]]
    labels = np.array(found._labels(), dtype=object)[order[:top]].tolist()
    estimate, low, high = (rows[name].to_numpy(dtype=float) for name in ("estimate", "conf.low", "conf.high"))
    ax = intervals(ax, labels, estimate, low, high, measure.null, measure.reading == "exp")
    least = f"\nthe {top} smallest {p_words(found)}s of {len(order)}" if top < len(order) else ""
    ax.set_xlabel(f"{_axis(found, measure)}, {100 * found.level:g}% interval{least}")
    return ax


def _drawn(found: ScreenCore, controls: bool) -> Codes:
    order = sorted_by_p(found, controls)
    if not len(order):
        raise DataError("no question has an estimate, so there is nothing to draw; see .errors")
    return order


def _measure(found: ScreenCore) -> Measure:
    return read_measure(next(name for name in found.answers["measure"] if name))


def _axis(found: ScreenCore, measure: Measure) -> str:
    """What the numbers are."""
    outcomes = list(dict.fromkeys(found.answers["outcome"]))
    on = f" on {outcomes[0]}" if len(outcomes) == 1 else ""
    estimands = [name for name in dict.fromkeys(found.answers["estimand"]) if name]
    scale = "" if measure.name == "difference" else f" ({measure.name.replace('_', ' ')})"
    return f"Effect{on}{scale}, {', '.join(estimands)}"
