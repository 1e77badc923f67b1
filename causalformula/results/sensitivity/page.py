"""``SensitivityPage``: what every kind of sensitivity analysis has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalformula.results.text.summary import Paged, Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class SensitivityPage(Paged):
    """One page of a sensitivity analysis: a frame, a sentence, a print and a picture."""

    def tidy(self) -> pd.DataFrame:
        """The numbers, as a frame."""
        raise NotImplementedError

    @property
    def sentence(self) -> str:
        """What would have to be true to explain the effect away."""
        raise NotImplementedError

    def summary(self) -> Summary:
        """The page, with tables that a notebook shows as tables."""
        raise NotImplementedError

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self.summary())

    __str__ = __repr__

    def _page(self) -> Summary:
        return self.summary()
