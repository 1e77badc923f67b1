"""``Confounders``: the terms that were chosen, with the reasons; what ``select_confounders()`` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import Options
from causalformula.backends.registry import record_of
from causalformula.errors import DataError, asks
from causalformula.formula.language.spec import Spec
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.requests import Vcov
from causalformula.inference.small_sample import SmallSample
from causalformula.plots.chosen import chosen
from causalformula.results.answered import answered, read_question, routed
from causalformula.results.call import Call
from causalformula.results.confounders.caution import note_of
from causalformula.results.confounders.page import AXES, confounders_summary
from causalformula.results.confounders.reasons import Reason
from causalformula.results.confounders.ways import WAYS
from causalformula.results.elsewhere import with_notes
from causalformula.results.result import Result
from causalformula.results.text.summary import Summary, Written
from causalformula.words import Contrast, Estimand, FamilyName, Measure, Method

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from causalformula.numerics.families import Family

    AnyMethod = Method | str | Options | type[Options]


@dataclass(frozen=True, eq=False, repr=False)
class Confounders(Written):
    """Terms of a formula that were chosen as confounders; made by ``cf.select_confounders()``.

    Attributes
    ----------
    spec : Spec
        The question with the chosen terms.
    method : str
        How they were chosen.
    listed : tuple of Reason
        One a term.
    way : tuple of mapping
        The steps, a row each.
    limit : float or None
        The value that terms were chosen at, where it is one for all.
    told, notes : tuple of str
        Facts of the choice, and what must be known before it is used.
    frame : ModelFrame
        The rows, with all candidates.
    rows : mapping of str to object
        How rows were asked for: ``subset``, ``na_action``, ``contrasts`` and ``env``.
    """

    spec: Spec
    method: str
    listed: tuple[Reason, ...]
    way: tuple[Mapping[str, Any], ...]
    limit: float | None
    told: tuple[str, ...]
    notes: tuple[str, ...]
    frame: ModelFrame
    rows: Mapping[str, Any]

    @property
    def formula(self) -> str:
        """The causal formula with the chosen terms, as ``cf.fit`` takes it."""
        return str(self.spec)

    @property
    def selected(self) -> tuple[str, ...]:
        """The terms of ``adjust(...)`` in it."""
        return tuple(each.term for each in self.listed if each.kept)

    @property
    def reasons(self) -> pd.DataFrame:
        """One row a term: ``term, kept, why, statistic``.

        ``statistic`` is the largest standardised coefficient of the term's columns (double and adaptive lasso), the
        change of the effect without it as a share, how many terms were left when it went (1 the last), or the
        likelihood ratio. NaN for a term that stays whatever the data say.
        """
        import pandas as pd

        names = ("term", "kept", "why", "statistic")
        return pd.DataFrame({name: [getattr(each, name) for each in self.listed] for name in names})

    @property
    def steps(self) -> pd.DataFrame:
        """The way there: columns that a lasso took, penalties and their imbalance, terms as they left or joined."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.way])

    def to_frame(self) -> pd.DataFrame:
        """The reasons."""
        return self.reasons

    @asks
    def fit(
        self,
        method: AnyMethod | None = None,
        *,
        estimand: Estimand | None = None,
        contrast: Contrast | None = None,
        measure: Measure | None = None,
        family: FamilyName | str | Family | None = None,
        vcov: Vcov | None = None,
        ssc: SmallSample | None = None,
        **passed: Any,
    ) -> Result:
        """The effect with the chosen terms, as ``cf.fit(found.formula, data)``; the print says how they were chosen.

        Parameters
        ----------
        method, estimand, contrast, measure, family, vcov, ssc : optional
            As in ``cf.fit``.
        **passed
            The method's own options.

        Returns
        -------
        Result
            Rows with a missing value only in what was left out are used again.

        Raises
        ------
        FormulaError
            Where the question has no outcome.
        OptionError, DataError, IdentificationError, CapabilityError
            As ``cf.fit``.
        """
        question = {"estimand": estimand, "contrast": contrast, "measure": measure, "family": family}
        given = {**{k: v for k, v in question.items() if v is not None}, **passed}
        spec = read_question(self.spec, self.frame.table, None, self.rows["env"])
        frame, options, request = routed(spec, self.frame.table, method, given, vcov, ssc, **self.rows)
        note = note_of(WAYS[self.method], record_of(options).name)
        result: Result = answered(Call(spec.source, spec, with_notes(frame, (note,)), options), request, ssc)
        return result

    @asks
    def plot(self, ax: Axes | None = None) -> Axes:
        """The number that each term was chosen by; full marks are kept.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        Axes

        Raises
        ------
        DataError
            Where no term has a number.
        """
        shown = [each for each in self.listed if np.isfinite(each.statistic)]
        if not shown:
            raise DataError("no term has a number to draw; see .reasons")
        values, kept = np.array([each.statistic for each in shown]), np.array([each.kept for each in shown])
        return chosen(ax, [each.term for each in shown], values, kept, AXES[self.method], self.limit)

    def summary(self) -> Summary:
        """What was kept, why, and what it does to intervals."""
        return confounders_summary(self.spec, self.method, self.listed, self.frame, self.told, self.notes)
