"""The distribution of a design's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.fit import effective_size
from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.draw import new_axes, plain
from causalformula.plots.legends import cut_apart, legend, palette, width_in_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes


BINS = 40
# Beyond this ratio of the largest to the median weight, the axis is logarithmic.
LONG = 30.0
# Ticks within a decade of a logarithmic axis, the finest first, and letters that each tick's label may take.
SUBS, LETTERS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)), 6


def weights(total: Array, arms: Mapping[str, Bools], ax: Axes | None = None, *, bins: int = BINS) -> Axes:
    """Histograms of the weights by arm, with effective sample sizes; weights of zero are counted and left out.

    Parameters
    ----------
    total : ndarray (n,)
    arms : mapping of str to ndarray (n,) of bool
    ax : matplotlib Axes, optional
    bins : int

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    positive = total[total > 0]
    low, high = float(positive.min()), float(positive.max())
    log = high > LONG * float(np.median(positive))
    edges = _edges(low, high, bins, log)
    for name, inside, colour in zip(cut_apart(arms), arms.values(), palette(len(arms)), strict=True):
        w = total[inside]
        zeros = int((w == 0).sum())
        said = f"{name}: effective size {effective_size(w):.1f} of {len(w)}"
        said += f", {zeros} zeros" if zeros else ""
        ax.hist(w[w > 0], bins=edges, color=colour, alpha=0.3)
        ax.hist(w[w > 0], bins=edges, color=colour, histtype="step", linewidth=1.4, label=said)
    if log:
        ax.set_xscale("log")
        _decades(ax, low, high)
    ax.set_xlabel("Weight" + (" (logarithmic scale)" if log else ""))
    ax.set_ylabel("Rows")
    legend(ax, columns=1 if len(arms) < 4 else 3)
    return plain(ax)


def _edges(low: float, high: float, bins: int, log: bool) -> Array:
    """Limits of the bars; weights that differ by rounding alone share one."""
    if high - low <= 1e-9 * high:
        return high * (1 + (np.arange(bins + 1) - bins // 2 - 0.5) / bins)  # around the middle of a bar
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    edges[[0, -1]] = low, high  # a power of a logarithm may round beyond the data
    return edges


def _decades(ax: Axes, low: float, high: float) -> None:
    """As many ticks, as 0.1 1 10, as there is room for: within decades, at each decade, or at some of them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    most = max(int(width_in_letters(ax) / LETTERS), 2)
    decades = np.log10(high / low)
    subs = next((s for s in SUBS if len(s) * decades + 1 <= most), SUBS[-1])
    ax.xaxis.set_major_locator(LogLocator(subs=subs, numticks=most if len(subs) == 1 else 100))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
