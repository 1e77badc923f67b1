"""``Screen``: hundreds of questions in one table, what ``screen()`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalformula.errors import asks
from causalformula.results.screening.core import ScreenCore
from causalformula.results.screening.page import notes, screen_summary
from causalformula.results.screening.pictures import draw_forest, draw_volcano
from causalformula.results.text.summary import Summary, Written

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Screen(Written, ScreenCore):
    """Many treatments, outcomes, or pairs of them, each a question of its own; made by ``cf.screen``.

    Attributes
    ----------
    formula : str
        As it was written.
    answers : DataFrame
        One row an effect, or a question that failed.
    kind : {"treatments", "outcomes", "pairs"}
        What is screened.
    adjust : str
        How p-values are adjusted.
    level : float
        Of the confidence limits.
    controls : {"treatments", "outcomes", ""}
        What the negative controls are; empty without them.
    jointly : ndarray (rows,) or None
        P-values adjusted by Romano and Wolf's resampling.
    seed : int or None
        Of that.
    told : tuple of str
        What there is to say of the whole.
    fits : mapping of (str, str) to Result
        By treatment and outcome, where they are kept.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known of all questions; each question's own notes are in the table."""
        return tuple(notes(self))

    def to_frame(self) -> pd.DataFrame:
        """The table, in the order asked: ``tidy()``."""
        return self.tidy()

    @asks
    def volcano(self, ax: Axes | None = None, *, top: int = 10) -> Axes:
        """A volcano plot: estimates against -log10 of their p-values, calibrated ones where there are controls.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        top : int
            How many of those whose adjusted p-value is below 0.05 have their names beside them.

        Returns
        -------
        Axes
        """
        return draw_volcano(self, ax, top)

    @asks
    def forest(self, ax: Axes | None = None, *, top: int = 25) -> Axes:
        """A forest plot: the estimates of the smallest p-values, with their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        top : int
            How many.

        Returns
        -------
        Axes
        """
        return draw_forest(self, ax, top)

    # -- print -----------------------------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """The smallest p-values, the questions that failed, and what there is to say of all."""
        return screen_summary(self)
