"""The left side of a plain regression as a family reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.errors import DataError
from causalformula.formula.expressions.values import Matrix
from causalformula.frame.model_frame import BINOMIAL
from causalformula.frame.outcome import Outcome
from causalformula.frame.regression_frame import RegressionFrame
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import Family


def left_side(frame: RegressionFrame) -> Outcome:
    """The outcome, which a regression has."""
    assert frame.outcome is not None
    return frame.outcome


@dataclass(frozen=True, eq=False)
class Response:
    """The outcome as a family reads it, prior weights, and means to start from where they are not the family's."""

    y: Array
    weights: Array | None
    mustart: Array | None = None


def response(frame: RegressionFrame, family: Family) -> Response:
    """The left side as a response; of two columns the first are successes, the second failures."""
    outcome = left_side(frame)
    if family.name not in BINOMIAL:
        return Response(outcome.numeric(), frame.weights)
    if isinstance(outcome.value, Matrix):
        return _from_counts(outcome.value.values, outcome.name, frame.weights)
    y, w = outcome.binary(), frame.weights
    # A row of weight zero says nothing, and as in R it counts as a failure.
    return Response(y if w is None else np.where(w == 0, 0.0, y), w)


def _from_counts(counts: Array, name: str, weights: Array | None) -> Response:
    """Proportions of successes, weighted by the number of trials times the prior weights."""
    if counts.shape[1] != 2:
        raise DataError(f"{name} has {counts.shape[1]} columns; a binomial outcome has successes and failures")
    if (counts < 0).any():
        raise DataError(f"{name} has counts below zero")
    trials = counts.sum(axis=1)
    y = np.divide(counts[:, 0], trials, out=np.zeros(len(trials)), where=trials > 0)
    # R starts from the counts alone, whatever the prior weights.
    return Response(y, trials if weights is None else trials * weights, (counts[:, 0] + 0.5) / (trials + 1))
