"""Scores of effects for units against true ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from causalformula.backends.options import shown
from causalformula.errors import OptionError, asks
from causalformula.formula.language.grammar import variables
from causalformula.frame.columns import Table
from causalformula.results.families.units import UnitResult
from causalformula.scores.held_out import last_step


@dataclass(frozen=True)
class TruthScorer:
    """A score of effects against true ones; see ``pehe``.

    Parameters
    ----------
    truth : str
        The column of the held-out rows that has them.
    """

    truth: str

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """The score of an estimator on held-out rows, of which the greater is the better."""
        found, rows = last_step(estimator, X)
        self._refuse_learned(found.result_)
        table = Table(rows)
        table.named(self.truth)
        return -found.result_.effects(rows).score(table.frame[self.truth].to_numpy())["PEHE"]

    def _refuse_learned(self, result: UnitResult) -> None:
        frame = result.call.frame
        if any(self.truth in variables(body) for body in frame.bodies.values()):
            dot = ", by the dot" if frame.spec.has_dot() else ""
            raise OptionError(
                f"the true effects {self.truth!r} are among the covariates{dot}, so that the effects are learned from "
                "them; leave the column out of the formula"
            )


@asks
def pehe(truth: str) -> TruthScorer:
    """A scorer that knows true effects: minus the root mean squared error of predicted ones.

    Parameters
    ----------
    truth : str
        The column of the held-out rows that has them; no covariate.

    Returns
    -------
    callable
        ``(estimator, X, y=None)`` to a number, of which the greater is the better.

    Raises
    ------
    OptionError
        Where the truth is not the name of a column.

    References
    ----------
    Hill (2011).
    """
    if not isinstance(truth, str):
        raise OptionError(f"truth is the name of the column that has the true effects, not {shown(truth)}")
    return TruthScorer(truth)
