"""Many frames that differ from one in a single respect: what refutation refits a method to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import CapabilityError
from causalformula.formula.expressions.values import take
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.numerics import partialled
from causalformula.numerics.arrays import Array

KINDS = ("treatment", "outcome", "simulated", "covariate", "rows")


@dataclass(frozen=True, eq=False)
class Varied:
    """One respect in which frames differ, a row of ``values`` for each frame.

    Parameters
    ----------
    kind : {"treatment", "outcome", "simulated", "covariate", "rows"}
        Rows that give each row its treatment, or its outcome; an outcome; a further covariate; the rows that are kept.
    values : ndarray (R, n)
    name : str
        Of a further covariate.
    """

    kind: str
    values: NDArray[Any]
    name: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CapabilityError(f"a frame is not varied in {self.kind!r}; there are {', '.join(KINDS)}")

    def frame(self, frame: ModelFrame, r: int) -> ModelFrame:
        """The frame of a row of values."""
        each = self.values[r]
        match self.kind:
            case "treatment":
                return frame.with_treatment(each)
            case "outcome":
                assert frame.outcome is not None
                return frame.with_outcome(take(frame.outcome.value, each))
            case "simulated":
                return frame.with_outcome(each)
            case "covariate":
                return frame.with_column(self.name, each, "adjust")
            case _:
                return frame.take(np.flatnonzero(each))


def one_coefficient(frame: ModelFrame, part: Part, column: int, varied: Varied) -> Array | None:
    """A coefficient (R,) of the linear regression to each of many frames, which the treatment has one column in.

    None where the columns are not independent, or other rows are kept.
    """
    X = frame.design(part).X
    basis = partialled.others(np.delete(X, column, axis=1), frame.weights)
    if basis is None:
        return None
    d, shift = X[:, column], 0.0 if frame.offset is None else frame.offset
    y = frame.y - shift
    match varied.kind:
        case "treatment":
            return partialled.of_each(d[varied.values], y, basis)
        case "outcome":
            return partialled.on_each(d, frame.y[varied.values] - shift, basis)
        case "simulated":
            return partialled.on_each(d, varied.values - shift, basis)
        case "covariate":
            return partialled.beside_each(d, varied.values, y, basis)
        case _:
            return None
