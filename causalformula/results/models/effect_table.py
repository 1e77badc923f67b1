"""``FixedEffects``: absorbed effects as a data frame that also draws itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from causalformula.errors import asks
from causalformula.numerics.arrays import Array
from causalformula.plots.caterpillar import Levels, caterpillar
from causalformula.results.reading.reading import check_level, quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# By factor its values less their mean, their standard errors, and the degrees of freedom.
Spread = Callable[[str], tuple[Array, Array, float]]


class FixedEffects(pd.DataFrame):
    """A data frame ``factor, level, value, count`` whose ``plot()`` draws the effects; its parts are plain frames."""

    _metadata: ClassVar[list[str]] = ["_spread"]
    _spread: Spread

    @classmethod
    def of(cls, frame: pd.DataFrame, spread: Spread) -> FixedEffects:
        """A frame with what its picture needs."""
        out = cls(frame)
        out._spread = spread
        return out

    @asks
    def plot(self, ax: Axes | None = None, level: float = 0.95) -> Axes:  # type: ignore[override]
        """Draw the effects sorted, each less the mean of its factor's levels, with classical intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        level : float
            Of the intervals.

        Returns
        -------
        Axes
            Without intervals where the dummies of a factor beside others would be too many.
        """
        check_level(level)
        blocks, drawn = [], True
        for factor in self["factor"].unique():
            rows = self[self["factor"] == factor]
            values, error, df = self._spread(factor)
            half = error * float(quantile(level, np.array([df]))[0])
            drawn &= not np.isnan(half).all()
            blocks.append(Levels(str(factor), [str(one) for one in rows["level"]], values, half))
        ax = caterpillar(blocks, ax)
        said = f"{100 * level:g}% classical interval" if drawn else "no intervals where levels are too many"
        ax.set_xlabel(f"Fixed effect less the mean of its levels\n({said})")
        return ax
