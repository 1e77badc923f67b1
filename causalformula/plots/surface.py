"""A heat map of numbers over two scales, each cell with its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots.draw import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def heat_map(ax: Axes | None, columns: Sequence[str], rows: Sequence[str], values: Array, null: float) -> Axes:
    """Values (rows, columns), the first row at the bottom; colours part where there is no effect.

    Parameters
    ----------
    null : float
        The value of no effect; infinite where no number is.
    """
    from matplotlib import colormaps
    from matplotlib.colors import TwoSlopeNorm

    ax = new_axes(ax, height=4.8)
    centre = null if np.isfinite(null) else float(np.nanmean(values))
    reach = float(np.nanmax(np.abs(values - centre))) or 1.0
    norm = TwoSlopeNorm(centre, centre - reach, centre + reach)
    colours = colormaps["RdBu"].with_extremes(bad="0.85")
    ax.imshow(np.ma.masked_invalid(values), origin="lower", aspect="auto", cmap=colours, norm=norm)
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            dark = np.isfinite(value) and abs(value - centre) > 0.65 * reach
            text = f"{value:.3g}" if np.isfinite(value) else "none"
            ax.text(j, i, text, ha="center", va="center", fontsize="small", color="white" if dark else "black")
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
