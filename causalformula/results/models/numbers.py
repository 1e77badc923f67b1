"""The numbers of a model as a whole: degrees of freedom, variance explained, likelihood."""

from __future__ import annotations

import numpy as np

from causalformula.inference.regression import FittedRegression
from causalformula.results.models import statistics as fit_statistics


class FitNumbers:
    """What follows from a fitted regression alone, whatever the covariance of its coefficients."""

    regression: FittedRegression

    @property
    def nobs(self) -> int:
        """Rows of positive weight."""
        return self.regression.hat.nobs

    @property
    def df_residual(self) -> int:
        """Residual degrees of freedom."""
        return int(self.regression.hat.df_residual)

    @property
    def df_null(self) -> int:
        """Degrees of freedom of the model with the intercept only."""
        return int(self.regression.df_null)

    @property
    def rank(self) -> int:
        """Number of estimable coefficients."""
        return self.regression.rank

    @property
    def dispersion(self) -> float:
        """Residual variance, or the dispersion of the family."""
        return self.regression.hat.dispersion

    @property
    def sigma(self) -> float:
        """Residual standard error."""
        return float(np.sqrt(self.dispersion))

    @property
    def r_squared(self) -> float:
        """Share of the variance that a linear model explains; NaN for a generalised one."""
        return fit_statistics.sums_of_squares(self.regression).r_squared if self.regression.linear else float("nan")

    @property
    def adj_r_squared(self) -> float:
        """The same, adjusted for the number of coefficients."""
        return fit_statistics.sums_of_squares(self.regression).adj_r_squared if self.regression.linear else float("nan")

    @property
    def fstatistic(self) -> tuple[float, float, float] | None:
        """F test of all regressors: the value and its degrees of freedom; None without regressors."""
        return fit_statistics.sums_of_squares(self.regression).fstatistic if self.regression.linear else None

    @property
    def loglik(self) -> float:
        """Log-likelihood, R's ``logLik``."""
        return fit_statistics.loglik(self.regression)

    @property
    def aic(self) -> float:
        """Akaike's criterion; R counts sigma as a parameter."""
        return fit_statistics.aic(self.regression)

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return fit_statistics.bic(self.regression)

    @property
    def deviance(self) -> float:
        """Deviance; of a linear model the residual sum of squares."""
        return self.regression.deviance

    @property
    def null_deviance(self) -> float:
        """Deviance of the model with the intercept only."""
        return self.regression.null_deviance

    @property
    def iterations(self) -> int:
        """Fisher scoring iterations; 0 for a linear model."""
        return self.regression.iterations

    @property
    def converged(self) -> bool:
        """Whether the iterations converged."""
        return self.regression.converged
