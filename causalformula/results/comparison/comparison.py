"""``Comparison``: one question through several methods, what ``compare()`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalformula.backends.options import one_of
from causalformula.errors import asks
from causalformula.results.comparison.core import ComparisonCore
from causalformula.results.comparison.page import comparison_summary, notes_below
from causalformula.results.comparison.pictures import forest, unit_errors
from causalformula.results.comparison.reached import balance_reached
from causalformula.results.reading.reading import check_level
from causalformula.results.reading.test import Test
from causalformula.results.text.summary import Summary, Written

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Written, ComparisonCore):
    """One question through several methods; made by ``cf.compare``.

    Attributes
    ----------
    compared : tuple of Compared
        Each method with its fit, or the error that it stopped with.
    frame : ModelFrame
        The formula with all its roles, bound to the data once.
    estimand : str
    truth : tuple of float or None
        The true effects, where they are known; of units the mean in the target population.
    unit_truth : ndarray (n,) or None
        The true effects of units, where these are known.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """What the fits' prints say in notes, each once, with the methods that it is of."""
        return tuple(notes_below(self))

    def to_frame(self) -> pd.DataFrame:
        """The table at 95%: ``tidy()``."""
        return self.tidy()

    # -- whether they agree ----------------------------------------------------------------------------------------

    def agreement(self) -> pd.DataFrame:
        """Differences of all pairs of methods, with standard errors that know that both used the same rows.

        Returns
        -------
        DataFrame
            One row a pair (and effect): ``first, second, term, contrast, difference, std.error, statistic, df,
            p.value`` and a ``note`` that says why nothing is known of a pair, as of matches, which have no influence
            function. Ratios are compared as logarithms, numbers needed to treat as differences.

        Notes
        -----
        Through the exact influences, by clusters where the fits have some, as ``fit_a - fit_b`` and ``cf.stack``. The
        test that all agree is ``.test``.

        References
        ----------
        Hausman (1978).
        """
        return self._agreement.pairs.copy()

    @property
    def test(self) -> Test | None:
        """The joint test that all methods agree whose influence functions are known and that adjust.

        None with fewer than two of them. A method that leaves out all that the formula adjusts for takes no part: that
        it differs is no surprise.
        """
        return self._agreement.test

    # -- designs and pictures --------------------------------------------------------------------------------------

    def balance(self) -> pd.DataFrame:
        """The balance that each method's weights reach in all covariates of the formula.

        Returns
        -------
        DataFrame
            One row a method: ``name, method, weighted`` (whether it weights rows at all), the worst ``covariate`` and
            its ``difference``, what this is in words (``measure``: a standardised mean difference, or a difference in
            proportions), and the effective sample size of each arm (``ess.Control, ess.Treated``).
        """
        return balance_reached(self.compared, self.frame, self.estimand)

    @asks
    def plot(self, ax: Axes | None = None, level: float = 0.95, *, kind: str = "effects") -> Axes:
        """A forest plot: every method's estimate with its interval, and the truth, where it is known, as a line.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        level : float
            Of the intervals.
        kind : {"effects", "errors"}
            ``"errors"`` draws each method's ``MAE`` and ``PEHE``, where the true effects of units are known.

        Returns
        -------
        Axes
        """
        return (
            unit_errors(self, ax)
            if one_of("kind", kind, ("effects", "errors")) == "errors"
            else forest(self, ax, level)
        )

    # -- print -----------------------------------------------------------------------------------------------------

    def summary(self, level: float = 0.95) -> Summary:
        """The table, the kinds of standard errors, the joint test, and the notes.

        Parameters
        ----------
        level : float
            Of the confidence limits.

        Returns
        -------
        Summary
        """
        return comparison_summary(self, check_level(level))
