"""Hypotheses about the coefficients of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import OptionError
from causalformula.inference.covariance import Covariance, covariance
from causalformula.inference.requests import Classical
from causalformula.inference.scales import read_measure
from causalformula.results.anova import comparison_table, formula_text, table_text
from causalformula.results.call import grouping_names
from causalformula.results.hypothesis import hypothesis_parts, joint_test, small_sample
from causalformula.results.reading import Reading, Test, read
from causalformula.results.rformat import format_each
from causalformula.results.summary import Summary, effect_part

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.results.model import Model

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Hypotheses:
    """Equations among coefficients: left minus right sides, and the joint test that all are zero.

    Attributes
    ----------
    equations : tuple of str
    estimate : ndarray (h,)
    covariance : Covariance
    test : Test
        F where the model's tests use t, otherwise chi-squared; Hotelling's under CR2 and CR3.
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
    aliased = [name for j, name in enumerate(fit.names) if j not in fit.kept]
    names = {f"b{j + 1}": k for k, j in enumerate(fit.kept)} | {name: k for k, name in enumerate(fit.kept_names)}
    value, jac, texts = hypothesis_parts(equations, names, fit.theta, aliased)
    estimate = fit.estimate().map(lambda theta: value, jac, texts)

    def codes(columns: Iterable[str]) -> dict[str, NDArray[np.intp]]:
        return {name: model.frame.groups(name).codes for name in columns}

    if small_sample(old):
        new = covariance(estimate, old.request, groups=codes(grouping_names(old.request)))
    else:
        df = np.full(len(value), float(old.df.min()))
        new = replace(old, matrix=jac @ old.matrix @ jac.T, df=df, draws=None, reference=None)
    test = joint_test(estimate, new, codes, "Linear hypothesis test")
    shown = _Restrictions(model, tuple(texts), value, jac, linear_in(texts, names, fit.theta, jac))
    return Hypotheses(tuple(texts), value, new, shown.described(test))


def linear_in(texts: Sequence[str], names: Mapping[str, int], theta: Array, jac: Array) -> bool:
    """Whether the equations have the same slopes elsewhere."""
    try:
        _, other, _ = hypothesis_parts(texts, names, 1.3 * theta + 0.7)
    except OptionError:
        return False
    return bool(np.allclose(other, jac, rtol=1e-9, atol=1e-12))


@dataclass(frozen=True, eq=False)
class _Restrictions:
    """Equations among a model's coefficients, for the table that ``car::linearHypothesis`` prints."""

    model: Model
    texts: tuple[str, ...]
    value: Array
    jac: Array
    linear: bool

    def described(self, test: Test) -> Test:
        """The test with R's table and print; Hotelling's keeps its own line."""
        if "HTZ" in test.method:
            return test
        kind = "Linear" if self.linear else "Nonlinear"
        table = comparison_table(self.residual_df, test, self.squares(test))
        equations = self.canonical() if self.linear else list(self.texts)
        heading = [f"{kind} hypothesis test", "", "Hypothesis:", *equations, ""]
        heading += ["Model 1: restricted model", f"Model 2: {formula_text(self.model)}", ""]
        if not isinstance(self.model.covariance.request, Classical):
            heading += ["Note: Coefficient covariance matrix supplied.", ""]
        text = table_text(table, "\n".join(heading))
        return replace(test, method=f"{kind} hypothesis test", table=table, text=text)

    @property
    def residual_df(self) -> tuple[int, int]:
        df = self.model.df_residual
        return df + len(self.texts), df

    def squares(self, test: Test) -> tuple[float, float] | None:
        """Residual sums of squares of the restricted and the full model, which a linear model's F compares."""
        model = self.model
        plain = isinstance(model.covariance.request, Classical) and model.regression.linear
        if not (plain and self.linear and isinstance(test.df, tuple) and test.df[1] == model.df_residual):
            return None
        return model.deviance + test.statistic * test.df[0] * model.dispersion, model.deviance

    def canonical(self) -> list[str]:
        """The equations as car writes them: ``2 a - b = 1``."""
        right = self.jac @ self.model.regression.theta - self.value
        names = self.model.regression.kept_names
        values = [_clean(r) for r in right]
        shown = [("- " if v < 0 else "") + format_each([abs(v)])[0] for v in values]
        return [f"{_sum(row, names)} = {text}" for row, text in zip(self.jac, shown, strict=True)]


def _clean(number: float) -> float:
    """Without the rounding of a sum that is a short decimal."""
    return float(f"{number:.10g}") if abs(number) > 1e-10 else 0.0


def _sum(row: Array, names: Sequence[str]) -> str:
    parts: list[str] = []
    for slope, name in zip(row, names, strict=True):
        if abs(slope) < 1e-12:
            continue
        size = "" if abs(abs(slope) - 1) < 1e-12 else format_each([_clean(abs(slope))])[0] + " "
        sign = "-" if slope < 0 else "+"
        parts.append(f"{sign} {size}{name}" if parts or slope < 0 else f"{size}{name}")
    return " ".join(parts) or "0"
