"""``Outcome``: the evaluated left side, as numbers or as a binomial family reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from causalformula.errors import DataError, OptionError, some
from causalformula.formula.expressions.text_readings import reading
from causalformula.formula.expressions.values import Factor, Logical, Matrix, Strings, Value, as_factor
from causalformula.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Outcome:
    """The evaluated left side: its name and its value on the rows kept."""

    name: str
    value: Value

    def numeric(self) -> Array:
        """As numbers; a logical is 0/1, anything else needs a binomial family."""
        if isinstance(self.value, Logical):
            return self.value.codes.astype(float)
        if isinstance(self.value, np.ndarray):
            return np.asarray(self.value, dtype=float)
        if isinstance(self.value, Matrix):
            self._refuse_columns(self.value)
        if (found := reading(self.value)) is not None:
            advice = found.advice(self.name).replace(" or write", " or write on the left")
            raise OptionError(f"the outcome {self.name!r} is {found.described()}: {advice}")
        raise OptionError(
            f"the outcome {self.name!r} is a factor or text; pass family='binomial' for a two-level outcome, "
            "or recode it"
        )

    def binary(self) -> Array:
        """For a binomial family: numbers and logicals as they are; of a factor's levels the first is 0, others 1."""
        if isinstance(self.value, (Factor, Strings)):
            factor = as_factor(self.value).drop_unused()
            if len(factor.levels) > 2 and reading(self.value) is not None:
                return self.numeric()
            if len(factor.levels) > 2:
                raise DataError(f"the outcome {self.name!r} has more than two levels ({some(factor.levels)})")
            return (factor.codes > 0).astype(float)
        if isinstance(self.value, Matrix) and self.trials is not None:
            if (self.value.values < 0).any():
                raise DataError(f"{self.name} has counts below zero")
            success, trials = self.value.values[:, 0], self.trials
            return np.divide(success, trials, out=np.zeros(len(trials)), where=trials > 0)
        return self.numeric()

    @property
    def trials(self) -> Array | None:
        """The numbers of trials of ``cbind(successes, failures)``; None for any other outcome."""
        if not (isinstance(self.value, Matrix) and self.name.startswith("cbind(")):
            return None
        if self.value.values.shape[1] != 2:
            return None
        return np.asarray(self.value.values.sum(axis=1))

    def _refuse_columns(self, value: Matrix) -> NoReturn:
        width = value.values.shape[1]
        advice = ""
        if self.trials is not None:
            advice = (
                "; counts of successes and failures are for family='binomial'. Or give the share on the left, with "
                "the number of trials n in weights(n)"
            )
        raise DataError(f"the outcome {self.name} has {width} columns; one is needed{advice}")
