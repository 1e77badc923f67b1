"""``LearnedResult``: the folds of a cross-fitted method, its predictions, and how well its learners predict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from causalformula.errors import CapabilityError, asks
from causalformula.results.families.learned_model import LearnedModel
from causalformula.results.result import Result
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.results.model import Model

TREATMENT = "treatment"


@dataclass(frozen=True, eq=False, repr=False)
class LearnedResult(Result):
    """A ``Result`` whose nuisance functions may have been learned and cross-fitted."""

    @cached_property
    def outcome(self) -> Model | LearnedModel | None:  # type: ignore[override]  # a model, or what was learned
        """The outcome model; where it was learned, a ``LearnedModel``; None where the method has none."""
        return self._learned("outcome") or super().outcome

    @cached_property
    def propensity(self) -> Model | LearnedModel | pd.Series[Any] | pd.DataFrame | None:  # type: ignore[override]
        """The treatment model; where it was learned, a ``LearnedModel``; given scores by row; None where none."""
        return self._learned(TREATMENT) or super().propensity

    def _learned(self, name: str) -> LearnedModel | None:
        """What was learned of the treatment, or of the outcome."""
        found = {key: each for key, each in self.fit.learned.items() if key.split(" ")[0] == name}
        return LearnedModel(name, found, self.call.frame) if found else None

    @property
    def folds(self) -> pd.DataFrame | None:
        """The fold of each row, from 1, a column for each repetition; None where nothing was cross-fitted."""
        import pandas as pd

        found = self.fit.folds
        if found is None:
            return None
        columns = [f"repetition {r + 1}" for r in range(found.repeats)]
        return pd.DataFrame(found.codes + 1, index=self.call.frame.index, columns=columns)

    @asks
    def predictions(self, repeat: int = 1) -> pd.DataFrame:
        """Predictions of every nuisance function for rows that it was not learned from.

        Parameters
        ----------
        repeat : int
            Which repetition of the cross-fitting, from 1.

        Returns
        -------
        DataFrame
            A row a row of the data; a column for each function, of the treatment one for each level.

        Raises
        ------
        CapabilityError
            Where nothing was cross-fitted.
        """
        import pandas as pd

        return pd.concat([each.predictions(repeat) for each in self._all_learned("predictions()")], axis=1)

    def learners(self) -> pd.DataFrame:
        """How well each nuisance function predicts rows that it was not learned from.

        Returns
        -------
        DataFrame
            One row a function, as in ``LearnedModel.table``.

        Raises
        ------
        CapabilityError
            Where nothing was cross-fitted.
        """
        import pandas as pd

        return pd.concat([each.table for each in self._all_learned("learners()")])

    def summary(self, level: float = 0.95) -> Summary:
        """The effect table and, below it, the models behind it, with what learners saved of the loss.

        Parameters
        ----------
        level : float
            Of the confidence limits.

        Returns
        -------
        Summary
        """
        found = [self._learned(name) for name in ("outcome", TREATMENT)]
        below = [part for each in found if each is not None for part in ("", *each.summary().parts)]
        return Summary((*super().summary(level).parts, *below))

    def _all_learned(self, verb: str) -> list[LearnedModel]:
        names = dict.fromkeys(key.split(" ")[0] for key in self.fit.learned)
        found = [each for each in map(self._learned, names) if each is not None]
        if not found:
            raise CapabilityError(
                f"{verb} is of cross-fitted learners, and nothing is learned here; fit.outcome and fit.propensity have "
                "what was fitted"
            )
        return found

    def _unanswered(self) -> set[str]:
        return super()._unanswered() | (set() if self.fit.learned else {"predictions", "learners", "folds"})
