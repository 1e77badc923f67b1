"""Results and models of fits to rows that are elsewhere: the verbs that passes answer; others say what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np

from causalformula.backends.fit import Query
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.requests import Vcov
from causalformula.numerics.arrays import Array
from causalformula.results.designs.elsewhere import DesignElsewhere, refuse
from causalformula.results.families.did import DidResult
from causalformula.results.families.subclass import SubclassResult
from causalformula.results.model import Model
from causalformula.results.result import Result
from causalformula.results.text.coefmat import Cells
from causalformula.scale.estimators.did import WholeTrends
from causalformula.scale.estimators.subclass import subclassified
from causalformula.scale.weighting import WholeWeighting
from causalformula.scale.whole import WholeFrame, WholeRegression
from causalformula.scale.written import augmented
from causalformula.words import Limits

if TYPE_CHECKING:
    import pandas as pd


def elsewhere_line(frame: ModelFrame) -> list[str]:
    """Where the rows are, for the print."""
    return [f"Rows: in {frame.passes.words}"] if isinstance(frame, WholeFrame) else []


@dataclass(frozen=True, eq=False, repr=False)
class ResultElsewhere(Result):
    """Estimates of a causal question to rows that are not in memory.

    What asks for rows (``influence``, pictures of the outcome, permutations, refutation) says what to do
    instead; everything else is as in ``Result``.
    """

    @property
    def nobs(self) -> int:
        """See ``Result``."""
        designed = self.fit.designed
        return designed.rows if isinstance(designed, WholeWeighting) else self.call.frame.nobs

    def _lines(self, level: float) -> list[str]:
        return [*super()._lines(level), *elsewhere_line(self.call.frame)]

    def influence(self) -> NoReturn:
        """Refused: it has a row a row."""
        refuse(self.call.frame)

    def augment(self, path: str | None = None) -> None:  # type: ignore[override]
        """Write the rows used, with ``.fitted .resid .hat .weights .distance .subclass`` where they exist, to a file.

        Parameters
        ----------
        path : str
            Of the Parquet file.

        Raises
        ------
        CapabilityError
            Without a path.
        """
        behind = self.fit.models.get("outcome")
        frame = self.call.frame
        if path is None or not isinstance(frame, WholeFrame):
            refuse(frame, ". augment(path='rows.parquet') writes them to a file")
        design = cast("DesignElsewhere", self.design)
        augmented(frame.passes, None if behind is None else behind.model, path, design.columns())

    def permutation_test(self, *args: Any, **refused: Any) -> NoReturn:
        """Refused: it refits to all rows."""
        refuse(self.call.frame)

    def refute(self, *args: Any, **refused: Any) -> NoReturn:
        """Refused: it refits to all rows."""
        refuse(self.call.frame)

    def _unanswered(self) -> set[str]:
        return super()._unanswered() | {"influence", "permutation_test", "refute"}


@dataclass(frozen=True, eq=False, repr=False)
class SubclassElsewhere(ResultElsewhere, SubclassResult):
    """A subclassification of rows that are not in memory."""

    def stratified(self, vcov: Vcov | None = None) -> SubclassElsewhere:
        """See ``SubclassResult``."""
        self._over_everyone("stratified()")
        changed: Any = {"estimator": "stratified", "interact": False}
        options, frame, made = replace(self.call.options, **changed), self.call.frame, self.fit.designed
        assert isinstance(frame, WholeFrame) and isinstance(made, WholeWeighting)
        fit = subclassified(frame, made, options)
        call, query = replace(self.call, options=options), Query()
        covariance, design = call.covariance(fit.answer, vcov, query), replace(self.design, call=call)
        return replace(
            self, answer=fit.answer, covariance=covariance, call=call, fit=fit, design=design, query=query, test=None
        )

    def _tables(self) -> list[str | Cells]:
        return []


@dataclass(frozen=True, eq=False, repr=False)
class DidElsewhere(ResultElsewhere, DidResult):
    """A difference in differences of rows that are not in memory."""

    @property
    def _trends(self) -> WholeTrends:
        found = self.fit.outcomes
        assert isinstance(found, WholeTrends)
        return found

    def _means(self) -> Array:
        assert self._trends.cells is not None
        return self._trends.cells[:, 1].reshape(2, 2)

    def _units(self) -> list[int]:
        assert self._trends.units is not None
        return self._trends.units[1]

    def cells(self) -> pd.DataFrame:
        """See ``DidResult``."""
        import pandas as pd

        frame, found = self.call.frame, self._trends
        panel = frame.the_panel
        assert panel.groups is not None and found.cells is not None
        columns: dict[str, Any] = {
            panel.treated: np.repeat(panel.groups.levels, 2),
            panel.time: np.tile(panel.periods.levels, 2),
            "mean": found.cells[:, 1],
            "rows": found.cells[:, 2].astype(np.intp),
        }
        if found.units is not None:
            columns["units"] = found.units[0]
        return pd.DataFrame(columns)


@dataclass(frozen=True, eq=False, repr=False)
class ModelElsewhere(Model):
    """A regression fitted to rows that are not in memory."""

    def influence(self) -> NoReturn:
        """Refused: it has a row a row."""
        refuse(self.frame)

    def augment(self, path: str | None = None) -> None:  # type: ignore[override]
        """Write the rows used, with ``.fitted .resid .hat``, to a Parquet file; see ``ResultElsewhere``."""
        if path is None or not isinstance(self.frame, (WholeFrame, WholeRegression)):
            refuse(self.frame, ". augment(path='rows.parquet') writes them to a file")
        augmented(self.frame.passes, self.regression, path)

    def confint(self, level: float = 0.95, method: Limits = "wald") -> pd.DataFrame:
        """See ``Model``; limits of a profile refit to all rows, and are refused."""
        if method == "profile" and not self.regression.linear:
            refuse(self.frame)
        return super().confint(level, method)
