"""Love plots: the balance of every covariate before and after a design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import cut_apart, legend, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes


SAMPLES = (("Un", "Before"), ("Adj", "After"))
ORDERS = ("unadjusted", "adjusted", "alphabetical", "formula")
# Shapes of the designs' marks.
MARKS = ("o", "s", "^", "D", "v", "P", "X")
# Longer names of covariates lose their middle.
LONGEST = 36


def love(
    rows: Sequence[str],
    samples: Mapping[str, ArrayLike],
    ax: Axes | None = None,
    *,
    threshold: float | None = 0.1,
    null: float = 0.0,
    label: str = "Absolute standardised mean difference",
) -> Axes:
    """Draw one row a covariate, from top to bottom, and one mark a sample.

    Parameters
    ----------
    rows : sequence of str
    samples : mapping of str to array (rows,)
        ``{"Before": ..., "After": ...}``, or several designs after the first; a missing value is not drawn.
    ax : matplotlib Axes, optional
    threshold : float, optional
        The value where balance is thought good enough. Where values lie on both sides of ``null`` so do the lines: at
        the negative too for differences, at the inverse too for ratios.
    null : float
        The value of perfect balance: 0 for differences, 1 for ratios.
    label : str
        Of the axis.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax, height=1.9 + 0.28 * len(rows))
    place = np.arange(len(rows))
    ends = (len(rows) - 0.5, -0.5)
    for line in place:
        ax.axhline(line, color="0.92", linewidth=0.8, zorder=0)
    ax.plot([null, null], ends, color=GREY, linewidth=1, zorder=1)
    values = {name: np.asarray(v, dtype=float) for name, v in samples.items()}
    for k, (name, (colour, face, mark)) in enumerate(zip(values, _styles(len(values)), strict=True)):
        ax.plot(values[name], place, mark, color=colour, markerfacecolor=face, markersize=6.5, label=name, zorder=3 + k)
    if threshold is not None:
        signed = any((v[~np.isnan(v)] < null).any() for v in values.values())
        for at, name in _lines(threshold, null, signed):
            ax.plot([at, at], ends, color=GREY, linewidth=1, linestyle="--", label=name, zorder=1)
    ax.set_yticks(place, cut_apart(rows, LONGEST))
    ax.set_ylim(*ends)
    ax.margins(x=0.06)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(label)
    entries = len(values) + (threshold is not None)
    legend(ax, columns=entries if entries <= 4 else -(-entries // 2))
    _fitted(ax)
    return plain(ax)


def _styles(count: int) -> list[tuple[Any, Any, str]]:
    """Colour, face and shape of each sample's marks: the sample before is hollow, of several designs each its own."""
    first, others = COLOURS[1], [colour for colour in palette(max(count, len(COLOURS))) if colour != COLOURS[1]]
    if count == 1:
        return [(others[0], others[0], MARKS[0])]
    made = [(others[k], others[k], MARKS[k % len(MARKS)]) for k in range(count - 1)]
    return [(first, "white", MARKS[0]), *made]


def _lines(threshold: float, null: float, signed: bool) -> list[tuple[float, str]]:
    """Where thresholds stand, the first with the name of all."""
    other = -threshold if null == 0 else 1 / threshold
    if not signed or other == threshold:
        return [(threshold, f"Threshold {threshold:g}")]
    name = f"Thresholds {other:.3g} and {threshold:g}"
    return [(threshold, name), (other, "_other")]


def _fitted(ax: Axes) -> None:
    """Names and marks of rows that would touch are drawn smaller."""
    low, high = ax.get_ylim()
    spacing = ax.get_window_extent().height / ax.figure.dpi * 72 / abs(high - low)
    size = ax.get_yticklabels()[0].get_size()
    if 0.8 * spacing < size:
        ax.tick_params(axis="y", labelsize=max(0.8 * spacing, 3.0))
    for line in ax.lines:
        line.set_markersize(min(line.get_markersize(), 0.7 * spacing))
