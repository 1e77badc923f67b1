"""Hypotheses about the coefficients of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from causalformula.inference.covariance import Covariance
from causalformula.inference.scales import read_measure
from causalformula.results.hypothesis import hypothesis_parts
from causalformula.results.reading import Reading, Test, read, wald
from causalformula.results.summary import Summary, effect_part

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.results.model import Model


@dataclass(frozen=True, eq=False, repr=False)
class Hypotheses:
    """Equations among coefficients: left minus right sides, and the joint test that all are zero.

    Attributes
    ----------
    equations : tuple of str
    estimate : ndarray (h,)
    covariance : Covariance
    test : Test
        F where the model's tests use t, otherwise chi-squared.
    """

    equations: tuple[str, ...]
    estimate: np.ndarray
    covariance: Covariance
    test: Test

    def read(self, level: float = 0.95) -> Reading:
        """Estimates, errors, tests and limits as arrays."""
        return read(self.estimate, self.covariance, read_measure("difference"), level)

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row an equation, with broom's column names."""
        import pandas as pd

        reading = self.read(level)
        return pd.DataFrame(
            {
                "term": list(self.equations),
                "estimate": reading.estimate,
                "std.error": reading.std_error,
                "statistic": reading.statistic,
                "df": reading.df,
                "p.value": reading.p_value,
                "conf.low": reading.low,
                "conf.high": reading.high,
            }
        )

    def summary(self, level: float = 0.95) -> Summary:
        """The table, and the joint test below it."""
        cells = effect_part(self.equations, self.read(level), level)
        return Summary((cells, f"Standard errors: {self.covariance.label}", "", str(self.test)))

    def __repr__(self) -> str:
        return str(self.summary())


def hypotheses(model: Model, equations: str | Sequence[str]) -> Hypotheses:
    """See ``Model.hypothesis``."""
    fit, old = model.regression, model.covariance
    names = {f"b{j + 1}": k for k, j in enumerate(fit.kept)} | {name: k for k, name in enumerate(fit.kept_names)}
    value, jac, texts = hypothesis_parts(equations, names, fit.theta)
    df = np.full(len(value), float(old.df.min()))
    new = replace(old, matrix=jac @ old.matrix @ jac.T, df=df, draws=None)
    return Hypotheses(tuple(texts), value, new, wald(value, new.matrix, float(df[0]), "Wald test"))
