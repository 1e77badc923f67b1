"""Hypotheses about the coefficients of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from causalformula.errors import asks
from causalformula.inference.covariance import Covariance, covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.requests import Classical, Request, Vcov
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.inference.scales import read_measure
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array, Codes
from causalformula.results.checks.anova import comparison_table, table_text
from causalformula.results.models.core import ModelCore
from causalformula.results.models.formula import formula_lines
from causalformula.results.named import grouping_names
from causalformula.results.reading.carried import Equations, carried, joint_test
from causalformula.results.reading.estimates import Estimates
from causalformula.results.reading.inequalities import two_sided
from causalformula.results.reading.reading import Reading, read
from causalformula.results.reading.test import Test
from causalformula.results.text.notebook import Shown
from causalformula.results.text.numbers import format_each
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Hypotheses(Shown, Estimates):
    """Equations among coefficients: left minus right sides, and the joint test that all are zero.

    Attributes
    ----------
    equations : tuple of str
    estimate : ndarray (h,)
    covariance : Covariance
    test : Test
        F where the model's tests use t, otherwise chi-squared; Hotelling's under CR2 and CR3; among its own replicates
        under the wild bootstrap.
    model : Model
        Whose coefficients they are.
    """

    equations: tuple[str, ...]
    estimate: np.ndarray
    covariance: Covariance
    test: Test
    model: ModelCore

    @asks
    def with_vcov(self, vcov: Vcov | None, ssc: SmallSample | None = None) -> Hypotheses:
        """The same equations under another covariance of the coefficients.

        Parameters
        ----------
        vcov : str, request or matrix
            As in ``Model.with_vcov``.
        ssc : SmallSample, optional
            As in ``Model.with_vcov``.

        Returns
        -------
        Hypotheses
        """
        return hypotheses(self.model.with_vcov(vcov, ssc), self.equations)

    def read(self, level: float = 0.95) -> Reading:
        """Estimates, errors, tests and limits as arrays.

        Parameters
        ----------
        level : float
            Of the limits.

        Returns
        -------
        Reading
        """
        return read(self.estimate, self.covariance, read_measure("difference"), level)

    @property
    def _labels(self) -> list[str]:
        return list(self.equations)

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of the equations' values."""
        import pandas as pd

        return pd.DataFrame(self.covariance.matrix, index=self._labels, columns=self._labels)

    def summary(self, level: float = 0.95) -> Summary:
        """The table, and the joint test below it.

        Parameters
        ----------
        level : float
            Of the limits.

        Returns
        -------
        Summary
        """
        cells = self.read(level).cells(self.equations, level)
        lines = [two_sided(self.equations), f"Standard errors: {self.covariance.label}"]
        if isinstance(self.covariance.request, Bootstrap):
            lines.append(f"Intervals: {self.covariance.request.kind}")
        return Summary((cells, *lines, *self.covariance.notes, "", str(self.test)))

    def __repr__(self) -> str:
        return str(self.summary())


def hypotheses(model: ModelCore, texts: str | Sequence[str]) -> Hypotheses:
    """See ``Model.hypothesis``."""
    fit = model.regression
    aliased = [name for j, name in enumerate(fit.names) if j not in fit.kept]
    names = {f"b{j + 1}": k for k, j in enumerate(fit.kept)} | {name: k for k, name in enumerate(fit.kept_names)}
    equations = Equations.of(texts, names, fit.estimate(), read_measure("difference"), aliased)

    def codes(columns: Iterable[str]) -> dict[str, Codes]:
        return {name: model.frame.groups(name).codes for name in columns}

    def anew(estimate: Estimate, request: Request) -> Covariance:
        return covariance(estimate, request, groups=codes(grouping_names(request)))

    found = carried(equations, model.covariance, codes, anew)
    test = joint_test(equations.estimate, found, codes, "Linear hypothesis test")
    shown = _Restrictions(model, equations.texts, equations.value, equations.jac, equations.linear)
    return Hypotheses(equations.texts, equations.value, found, shown.described(test), model)


@dataclass(frozen=True, eq=False)
class _Restrictions:
    """Equations among a model's coefficients, for the table that ``car::linearHypothesis`` prints."""

    model: ModelCore
    texts: tuple[str, ...]
    value: Array
    jac: Array
    linear: bool

    def described(self, test: Test) -> Test:
        """The test with R's table and print; Hotelling's, and one by replicates, keep their own lines."""
        if "HTZ" in test.method or "wild" in test.method:
            return test
        kind = "Linear" if self.linear else "Nonlinear"
        table = comparison_table(self.residual_df, test, self.squares(test))
        equations = self.canonical() if self.linear else list(self.texts)
        heading = [f"{kind} hypothesis test", "", "Hypothesis:", *equations, ""]
        heading += ["Model 1: restricted model", f"Model 2: {formula_lines(self.model)}", ""]
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
        plain = (
            isinstance(model.covariance.request, Classical)
            and model.regression.linear
            and model.regression.instrumented is None
        )
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
