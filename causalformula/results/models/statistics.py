"""Likelihood, information criteria and sums of squares of a fitted regression, as R defines them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.inference.regression import FittedRegression

# Families whose dispersion R counts as a parameter of the likelihood.
WITH_DISPERSION = ("gaussian", "Gamma", "inverse.gaussian")


@dataclass(frozen=True)
class SumsOfSquares:
    """Of a linear model: explained (about the mean where there is an intercept) and residual, with their freedom.

    Where regressors are instrumented, what is explained may be below zero, and the F is a Wald test: ``wald``.
    """

    explained: float
    residual: float
    df_explained: int
    df_residual: int
    intercept: bool
    wald: float | None = None

    @property
    def r_squared(self) -> float:
        """Share of the sum of squares that is explained; zero without regressors, NaN where that sum is zero."""
        if self.df_explained == 0:
            return 0.0
        total = self.explained + self.residual
        return self.explained / total if total else float("nan")

    @property
    def adj_r_squared(self) -> float:
        """The same, for unbiased variances."""
        if self.df_explained == 0:
            return 0.0
        freedom = self.df_explained + self.df_residual
        if self.df_residual == 0:
            return float("nan")
        return 1 - (1 - self.r_squared) * freedom / self.df_residual

    @property
    def pseudo_r_squared(self) -> float:
        """McFadden's share of the log-likelihood of the intercept alone; NaN for a linear model and quasi-families."""
        return pseudo_r_squared(self.regression)

    @property
    def adj_pseudo_r_squared(self) -> float:
        """The same, adjusted for the number of coefficients as fixest does."""
        return pseudo_r_squared(self.regression, adjusted=True)

    @property
    def fstatistic(self) -> tuple[float, float, float] | None:
        """F with its degrees of freedom; None without regressors."""
        if self.df_explained == 0:
            return None
        if self.wald is not None:
            return self.wald, float(self.df_explained), float(self.df_residual)
        if self.df_residual == 0:
            return float("nan"), float(self.df_explained), 0.0
        variance = self.residual / self.df_residual
        nothing = float("inf") if self.explained else float("nan")
        f = self.explained / self.df_explained / variance if variance > 0 else nothing
        return f, float(self.df_explained), float(self.df_residual)


def sums_of_squares(model: FittedRegression) -> SumsOfSquares:
    """Sums of squares of a linear model; as in R 4.2, what an offset explains counts."""
    df = model.parameters - int(model.intercept)
    free = int(model.hat.df_residual)
    if model.instrumented is not None:
        explained = model.null_deviance - model.deviance
        return SumsOfSquares(explained, model.deviance, df, free, model.intercept, _wald(model))
    return SumsOfSquares(model.explained, model.deviance, df, free, model.intercept)


def _wald(model: FittedRegression) -> float:
    """Wald's F that all coefficients but the intercept are zero, under the classical covariance."""
    estimate = model.estimate()
    at = np.array([j for j, name in enumerate(estimate.names) if name != "(Intercept)"], dtype=np.intp)
    if not len(at):
        return float("nan")
    back = np.eye(model.rank) if model.hat.moved is None else np.eye(model.rank) - model.hat.moved
    V = (back @ model.hat.classical() @ back.T)[np.ix_(at, at)]
    return float(estimate.theta[at] @ np.linalg.solve(V, estimate.theta[at])) / len(at)


def within_r_squared(model: FittedRegression) -> float:
    """What the columns explain of the outcome less absorbed effects; NaN where there are none."""
    if model.absorbed is None or not model.absorbed.squares > 0:
        return float("nan")
    return 1 - model.deviance / model.absorbed.squares


def rmse(model: FittedRegression) -> float:
    """Root of the mean squared residual of a linear model."""
    return float(np.sqrt(model.deviance / model.weights.sum()))


def parameters(model: FittedRegression) -> int:
    """Parameters of the likelihood: R counts sigma, but fixest beside absorbed effects does not."""
    if model.absorbed is not None:
        return model.parameters
    return model.rank + int(model.linear or model.family.name in WITH_DISPERSION)


def loglik(model: FittedRegression) -> float:
    """Log-likelihood; NaN for quasi-families, which have none."""
    if model.instrumented is not None:
        return float("nan")
    if not model.linear:
        return parameters(model) - model.aic / 2
    n = model.hat.nobs
    with np.errstate(divide="ignore"):
        return float(0.5 * (model.logs - n * (np.log(2 * np.pi) + 1 - np.log(n) + np.log(model.deviance))))


def aic(model: FittedRegression) -> float:
    """Akaike's criterion."""
    return -2 * loglik(model) + 2 * parameters(model) if model.linear else model.aic


def bic(model: FittedRegression) -> float:
    """Schwarz's criterion; R's count of rows has those of weight zero for a glm, but not for an lm."""
    rows = model.hat.nobs if model.linear else model.rows
    return float(-2 * loglik(model) + np.log(rows) * parameters(model))


def pseudo_r_squared(model: FittedRegression, *, adjusted: bool = False) -> float:
    """McFadden's share of the log-likelihood of the intercept alone, as fixest has it; NaN of a linear model.

    Adjusted, each coefficient but the intercept takes one from the likelihood.
    """
    if model.linear or not model.family.dispersion_known:
        return float("nan")
    full = loglik(model)
    null = full + (model.deviance - model.null_deviance) / 2
    return 1 - (full - adjusted * (model.parameters - int(model.intercept))) / null


def squared_correlation(model: FittedRegression) -> float:
    """Of the outcome with the fitted means, over rows that take part."""
    used = model.weights > 0
    y, mu = model.y[used] - model.y[used].mean(), model.mu[used] - model.mu[used].mean()
    scale = float(y @ y) * float(mu @ mu)
    return float(y @ mu) ** 2 / scale if scale > 0 else float("nan")


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
        return sums_of_squares(self.regression).r_squared if self.regression.linear else float("nan")

    @property
    def adj_r_squared(self) -> float:
        """The same, adjusted for the number of coefficients."""
        return sums_of_squares(self.regression).adj_r_squared if self.regression.linear else float("nan")

    @property
    def within_r_squared(self) -> float:
        """Share of the variance that absorbed effects leave which the terms explain; NaN where none are absorbed."""
        return within_r_squared(self.regression)

    @property
    def pseudo_r_squared(self) -> float:
        """McFadden's share of the log-likelihood of the intercept alone; NaN for a linear model and quasi-families."""
        return pseudo_r_squared(self.regression)

    @property
    def adj_pseudo_r_squared(self) -> float:
        """The same, adjusted for the number of coefficients as fixest does."""
        return pseudo_r_squared(self.regression, adjusted=True)

    @property
    def fstatistic(self) -> tuple[float, float, float] | None:
        """F test of all regressors: the value and its degrees of freedom; None without regressors."""
        return sums_of_squares(self.regression).fstatistic if self.regression.linear else None

    @property
    def loglik(self) -> float:
        """Log-likelihood, R's ``logLik``."""
        return loglik(self.regression)

    @property
    def aic(self) -> float:
        """Akaike's criterion; R counts sigma as a parameter."""
        return aic(self.regression)

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return bic(self.regression)

    @property
    def deviance(self) -> float:
        """Deviance; of a linear model the residual sum of squares."""
        return self.regression.deviance

    @property
    def null_deviance(self) -> float:
        """Deviance of the model with the intercept only."""
        return self.regression.null_deviance

    # -- statsmodels' names ----------------------------------------------------------------------------------------

    @property
    def rsquared(self) -> float:
        """``r_squared``, by statsmodels' name."""
        return self.r_squared

    @property
    def rsquared_adj(self) -> float:
        """``adj_r_squared``, by statsmodels' name."""
        return self.adj_r_squared

    @property
    def llf(self) -> float:
        """``loglik``, by statsmodels' name."""
        return self.loglik

    @property
    def df_resid(self) -> int:
        """``df_residual``, by statsmodels' name."""
        return self.df_residual

    @property
    def df_model(self) -> int:
        """Estimable coefficients beside the intercept, those of absorbed effects too (statsmodels' name)."""
        return self.regression.parameters - int(self.regression.intercept)

    @property
    def iterations(self) -> int:
        """Fisher scoring iterations; 0 for a linear model."""
        return self.regression.iterations

    @property
    def converged(self) -> bool:
        """Whether the iterations converged."""
        return self.regression.converged
