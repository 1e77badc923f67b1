"""Confounders that tip an effect: how unequal between the arms, against how strongly tied to the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Effects on the outcome beyond this many times those that are marked run out of the picture.
BEYOND = 1.6
# And larger ratios, unless those are all that are marked.
MOST_RATIO = 20.0
FAR = 0.15


def tipping_lines(
    ax: Axes | None, x: Array, lines: Mapping[str, Array], marks: Sequence[tuple[float, float]], ratio: bool
) -> Axes:
    """Lines of confounders that tip an effect, those beyond them shaded, and the ones that were asked about."""
    ax = new_axes(ax)
    null = 1.0 if ratio else 0.0
    scale = np.log if ratio else np.asarray
    finite = [y for d, y in marks if np.isfinite([d, y]).all()]
    values = np.concatenate([scale(y[np.isfinite(y)]) for y in lines.values()])
    sizes = [abs(float(scale(y))) for y in finite]
    reach = BEYOND * max(sizes, default=0.0)
    if ratio and sizes:
        reach = min(reach, max(float(np.log(MOST_RATIO)), BEYOND * min(sizes)))
    # without marks, what lies beyond the least imbalances is left out
    reach = reach or float(np.quantile(np.abs(values), 1 - FAR)) if len(values) else 1.0
    away = 1.0 if not len(values) or np.median(values) >= 0 else -1.0
    back = np.exp if ratio else np.asarray
    ends = sorted([float(back(away * reach)), float(back(-0.05 * away * reach))])
    ax.axhline(null, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for (name, y), colour in zip(lines.items(), COLOURS, strict=False):
        shown = np.clip(y, *ends)
        ax.fill_between(x, shown, ends[1] if away > 0 else ends[0], color=colour, alpha=0.12, linewidth=0)
        ax.plot(x, np.where((y >= ends[0]) & (y <= ends[1]), y, np.nan), color=colour, linewidth=2, label=name)
    for k, (d, y) in enumerate(marks):
        if np.isfinite([d, y]).all():
            ax.plot(d, y, "o", color=COLOURS[-1], markersize=5, zorder=4, label="_" * (k > 0) + "asked about")
    ax.set_ylim(*ends)
    ax.set_xlim(min(x[0], 0.0), max(x[-1], 0.0))
    legend(plain(ax))
    return ax
