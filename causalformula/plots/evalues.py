"""Pairs of risk ratios of a confounder that explain an association away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalformula.inference.sensitivity.evalue import Ratio, evalue_of
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# How far the axes go, in multiples of the larger E-value less one.
REACH = 2.2


def joint_strengths(ax: Axes | None, one: Ratio) -> Axes:
    """The curve ``b = r (a - 1) / (a - r)`` of pairs that suffice for a risk ratio r, and the E-value on it."""
    ax = new_axes(ax, height=5.2)
    wanted = {"the estimate": one.point / one.true}
    if np.isfinite(one.limit_evalue) and one.limit_evalue > 1:
        wanted["its limit"] = one.limit / one.true
    reach = 1 + REACH * max(max(evalue_of(r) for r in wanted.values()) - 1, 0.1)
    for k, (name, ratio) in enumerate(wanted.items()):
        r, at = max(ratio, 1 / ratio), evalue_of(ratio)
        a = r + (reach - r) * np.linspace(1e-4, 1, 400) ** 2
        b = r * (a - 1) / (a - r)
        colour, style = COLOURS[k], ("-", "--")[k]
        ax.plot(a, np.where(b <= reach, b, np.nan), style, color=colour, linewidth=2, label=f"explains {name} away")
        ax.plot(at, at, "o", color=colour, markersize=6, clip_on=False, label=f"E-value of {name}: {at:.3g}")
        if k == 0:
            ax.fill_between(a, b, reach, where=b < reach, color=colour, alpha=0.08, linewidth=0)
    ax.plot([1, reach], [1, reach], color=GREY, linewidth=0.8, linestyle=":")
    ax.set_xlim(1, reach)
    ax.set_ylim(1, reach)
    ax.set_xlabel("Risk ratio of confounder and treatment")
    ax.set_ylabel("Risk ratio of confounder and outcome")
    legend(plain(ax))
    return ax
