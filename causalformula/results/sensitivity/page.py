"""``SensitivityPage``: what every kind of sensitivity analysis has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from causalformula.backends.options import shown
from causalformula.errors import OptionError, some
from causalformula.results.text.summary import Summary, Written

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


# Columns of sentences.
WIDTH = 100


class SensitivityPage(Written, ABC):
    """One page of a sensitivity analysis: a frame, a sentence, a print and a picture."""

    @abstractmethod
    def tidy(self) -> pd.DataFrame:
        """The numbers, as a frame."""

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What would have to be true to explain the effect away."""

    @abstractmethod
    def summary(self) -> Summary:
        """The page, with tables that a notebook shows as tables."""

    @abstractmethod
    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.

        Returns
        -------
        Axes
        """

    def _sentences(self) -> list[str]:
        """The sentence in lines of the page."""
        return [line for text in self.sentence.split("\n") for line in wrap(text, WIDTH)]


def noted(page: SensitivityPage, notes: Sequence[str]) -> SensitivityPage:
    """The page with notes before its own; every kind is a record that has some."""
    found: Any = page
    made: SensitivityPage = replace(found, notes=(*notes, *found.notes)) if notes else page
    return made


def place_of(effect: Any, labels: Sequence[str]) -> int:
    """Which of several effects.

    Raises
    ------
    OptionError
        For what is no whole number, or too large.
    """
    if not isinstance(effect, int) or isinstance(effect, bool) or not 0 <= effect < len(labels):
        raise OptionError(f"effect={shown(effect)}: there are {len(labels)}, counted from 0: {some(labels)}")
    return effect
