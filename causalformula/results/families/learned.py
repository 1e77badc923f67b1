"""``LearnedResult``: the folds of a cross-fitted method, its predictions, and how well its learners predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalformula.backends.learning.crossfit import loss
from causalformula.errors import CapabilityError
from causalformula.results.result import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class LearnedResult(Result):
    """A ``Result`` whose nuisance functions may have been learned and cross-fitted."""

    @property
    def folds(self) -> pd.DataFrame | None:
        """The fold of each row, from 1, a column for each repetition; None where nothing was cross-fitted."""
        import pandas as pd

        found = self.fit.folds
        if found is None:
            return None
        columns = [f"repetition {r + 1}" for r in range(found.repeats)]
        return pd.DataFrame(found.codes + 1, index=self.call.frame.index, columns=columns)

    def predictions(self, repeat: int = 1) -> pd.DataFrame:
        """Predictions of every nuisance function for rows that it was not learned from.

        Parameters
        ----------
        repeat : int
            Which repetition of the cross-fitting, from 1.

        Returns
        -------
        DataFrame
            A row a row of the data; a column for each function, of probabilities one for each class.

        Raises
        ------
        CapabilityError
            Where nothing was cross-fitted.
        """
        import pandas as pd

        self._cross_fitted("predictions()")
        columns = {}
        for name, each in self.fit.learned.items():
            values = each.predictions[:, repeat - 1]
            if values.ndim == 1:
                columns[name] = values
                continue
            levels = (
                self.call.frame.the_treatment.levels
                if values.shape[1] == len(self.call.frame.the_treatment.levels) and name == "treatment"
                else range(values.shape[1])
            )
            columns.update({f"{name} = {level}": values[:, k] for k, level in enumerate(levels)})
        return pd.DataFrame(columns, index=self.call.frame.index)

    def learners(self) -> pd.DataFrame:
        """How well each nuisance function predicts rows that it was not learned from.

        Returns
        -------
        DataFrame
            One row a function: the learner, its cross-validated ``loss`` (squared error, or negative log likelihood),
            that of the ``trivial`` predictor, the share ``gain`` of the second that the first saves, and ``weights`` of
            a stack.

        Raises
        ------
        CapabilityError
            Where nothing was cross-fitted.
        """
        import pandas as pd

        self._cross_fitted("learners()")
        rows = []
        for each in self.fit.learned.values():
            own, trivial = loss(each, self.call.frame.unit_weights)
            rows.append([each.task.learner.name, own, trivial, 1 - own / trivial, "; ".join(dict.fromkeys(each.told))])
        columns = ["learner", "loss", "trivial", "gain", "weights"]
        return pd.DataFrame(rows, index=list(self.fit.learned), columns=columns)

    def _cross_fitted(self, verb: str) -> None:
        if not self.fit.learned:
            raise CapabilityError(
                f"{verb} is of cross-fitted learners, and both models are regressions here; fit.outcome and "
                "fit.propensity have them"
            )

    def _unanswered(self) -> set[str]:
        return super()._unanswered() | (set() if self.fit.learned else {"predictions", "learners"})
