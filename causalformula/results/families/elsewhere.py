"""Results and models of fits to rows that are elsewhere: the verbs that passes answer; others say what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from causalformula.backends.fit import DesignWeights
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.away import Away
from causalformula.results.call import Call
from causalformula.results.model import Model
from causalformula.results.result import Result
from causalformula.scale.averages import augmented
from causalformula.scale.whole import WholeFrame, WholeRegression
from causalformula.words import Limits

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class DesignElsewhere:
    """The design behind an estimate whose rows are elsewhere.

    Parameters
    ----------
    design_weights : DesignWeights
    call : Call
    """

    design_weights: DesignWeights
    call: Call
    designed: None = None
    imbalance: tuple[str, ...] = field(default=())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        refuse(self.call.frame)


def refuse(frame: Any, instead: str = "") -> NoReturn:
    """What needs every row in memory."""
    Away(frame.passes.words).refuse(instead)


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
        return self.call.frame.nobs

    def _lines(self, level: float) -> list[str]:
        return [*super()._lines(level), *elsewhere_line(self.call.frame)]

    def influence(self) -> NoReturn:
        """Refused: it has a row a row."""
        refuse(self.call.frame)

    def augment(self, path: str | None = None) -> None:  # type: ignore[override]
        """Write the rows used, with ``.fitted .resid .hat`` of the outcome model, to a Parquet file.

        Parameters
        ----------
        path : str
            Of the file.

        Raises
        ------
        CapabilityError
            Without a path, or for a method without an outcome model.
        """
        behind = self.fit.models.get("outcome")
        frame = self.call.frame
        if path is None or behind is None or not isinstance(frame, WholeFrame):
            refuse(frame, ". augment(path='rows.parquet') writes a regression's to a file")
        augmented(frame.passes, behind.model, path)

    def permutation_test(self, *args: Any, **refused: Any) -> NoReturn:
        """Refused: it refits to all rows."""
        refuse(self.call.frame)

    def refute(self, *args: Any, **refused: Any) -> NoReturn:
        """Refused: it refits to all rows."""
        refuse(self.call.frame)

    def _unanswered(self) -> set[str]:
        return super()._unanswered() | {"influence", "permutation_test", "refute"}


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
