"""The generalised linear model as a problem: checked input, a point on the likelihood, the record of a fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from causalformula.errors import ConvergenceError, DataError, OptionError
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.families import Family
from causalformula.numerics.least_squares import Solution
from causalformula.numerics.linalg import as_floats, checked_weights, gram

Information = Literal["observed", "expected"]


@dataclass(frozen=True, eq=False)
class GLMFit:
    """A fitted generalised linear model.

    Attributes
    ----------
    coef : ndarray, shape (p,)
        Coefficients; NaN where aliased.
    kept : ndarray of int, shape (r,)
        The estimable columns, in order.
    alias : ndarray, shape (r, p - r)
        ``X[:, dropped] = X[:, kept] @ alias``.
    bread : ndarray, shape (r, r)
        Inverse of ``X'WX``: at the weights of the last iteration after `irls`, as in R's summary; at the solution
        after `newton` and `polish`.
    eta, mu : ndarray, shape (n,)
        Linear predictor (offset included) and mean.
    working_weights : ndarray, shape (n,)
        The weights that ``bread`` was made with; zero for a row that took no part.
    working_residuals : ndarray, shape (n,)
        ``(y - mu) / (d mu / d eta)`` at the solution.
    prior_weights : ndarray, shape (n,)
        The weights asked for.
    dispersion : float
        One where the family fixes it; otherwise Pearson's estimate (NaN without degrees of freedom).
    deviance, null_deviance, aic : float
        As R defines them; ``null_deviance`` is NaN after `newton`.
    df_residual, df_null : int
        Degrees of freedom, over rows of positive weight.
    iterations : int
        Scoring iterations (`irls`), Newton steps (`newton`); `polish` of a fit keeps that fit's.
    converged : bool
        `irls`: the deviance settled, as R says it. `newton`, `polish`: the score is zero.
    boundary : bool
        Steps were cut at the edge of the parameter space.
    separated : bool
        The likelihood has no finite maximum in some direction; known only after `newton` or `polish`.
    warnings : tuple of str
        R's messages, for the caller to emit.
    """

    coef: Array
    kept: Codes
    alias: Array
    bread: Array
    eta: Array
    mu: Array
    working_weights: Array
    working_residuals: Array
    prior_weights: Array
    dispersion: float
    deviance: float
    null_deviance: float
    aic: float
    df_residual: int
    df_null: int
    iterations: int
    converged: bool
    boundary: bool
    separated: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        """Number of estimable coefficients."""
        return len(self.kept)


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked input: ``y`` is the response as the family uses it; ``warnings`` grow as the fit goes on.

    ``floor`` is the relative length (of each column) below which a column is aliased however small ``epsilon`` is.
    """

    X: Array
    y: Array
    family: Family
    weights: Array
    offset: Array
    mustart: Array
    warnings: list[str]
    floor: float | Array = 0.0

    def at(self, beta: Array) -> Point:
        """The linear predictor and means of a coefficient vector."""
        return self.of_eta(beta, self.offset + self.X @ beta)

    def of_eta(self, beta: Array, eta: Array) -> Point:
        """The means of a linear predictor."""
        return Point(beta, eta, self.family.linkinv(eta), self)

    def valid(self, point: Point) -> bool:
        """Whether the point is inside the parameter space."""
        return self.family.valideta(point.eta) and self.family.validmu(point.mu)


@dataclass(frozen=True, eq=False)
class Point:
    """Coefficients (zero where aliased), and what follows from them."""

    beta: Array
    eta: Array
    mu: Array
    problem: Problem = field(repr=False)

    @cached_property
    def deviance(self) -> float:
        """Of all rows; not every reader of a point asks for its logarithms."""
        own = self.problem
        return float(own.family.dev_resids(own.y, self.mu, own.weights).sum())


@dataclass(frozen=True, eq=False)
class Ending:
    """The end of the iterations."""

    point: Point
    solution: Solution
    working_weights: Array
    iterations: int
    converged: bool
    boundary: bool
    separated: bool = False


def checked_problem(X: Any, y: Any, family: Family, weights: Any, offset: Any) -> Problem:
    """Arrays as doubles, ones and zeros for absent weights and offset, the response as the family wants it."""
    X = as_floats(X, "X")
    n = len(X)
    y = as_floats(y, "y", (n,))
    if not np.isfinite(y).all():
        raise DataError("the response holds missing or infinite values")
    prior = checked_weights(weights, n)
    prior = np.ones(n) if prior is None else prior
    shift = np.zeros(n) if offset is None else as_floats(offset, "offset", (n,))
    y, mustart, notes = family.initialize(y, prior)
    return Problem(X, y, family, prior, shift, mustart, list(notes))


def working(problem: Problem, point: Point) -> tuple[Array, Array]:
    """Weights (zero for a row that says nothing) and residuals of the linearised model."""
    used = problem.weights > 0
    variance, slope = problem.family.variance(point.mu), problem.family.mu_eta(point.eta)
    if np.isnan(variance[used]).any() or np.isnan(slope[used]).any():
        raise ConvergenceError("the variance or the link's derivative is not a number at the current fitted values")
    if (variance[used] == 0).any():
        raise ConvergenceError("the variance is zero at some of the current fitted values")
    used &= slope != 0
    if used.all():
        return problem.weights * slope**2 / variance, (problem.y - point.mu) / slope
    w, residual = np.zeros(len(used)), np.zeros(len(used))
    w[used] = problem.weights[used] * slope[used] ** 2 / variance[used]
    residual[used] = (problem.y[used] - point.mu[used]) / slope[used]
    return w, residual


def finished(problem: Problem, last: Ending, null_deviance: float, intercept: bool) -> GLMFit:
    """The record of a fit that has ended."""
    point, found, p = last.point, last.solution, problem.X.shape[1]
    coef = np.full(p, np.nan)
    coef[found.kept] = point.beta[found.kept]
    residuals = (problem.y - point.mu) / problem.family.mu_eta(point.eta)
    rows = int((problem.weights > 0).sum())
    rank = len(found.kept)
    return GLMFit(
        coef=coef,
        kept=found.kept,
        alias=found.alias,
        bread=found.bread,
        eta=point.eta,
        mu=point.mu,
        working_weights=last.working_weights,
        working_residuals=residuals,
        prior_weights=problem.weights,
        dispersion=_dispersion(problem.family, last.working_weights, residuals, rows - rank),
        deviance=point.deviance,
        null_deviance=null_deviance,
        aic=problem.family.aic(problem.y, point.mu, problem.weights, point.deviance) + 2 * rank,
        df_residual=rows - rank,
        df_null=rows - int(intercept),
        iterations=last.iterations,
        converged=last.converged,
        boundary=last.boundary,
        separated=last.separated,
        warnings=tuple(dict.fromkeys(problem.warnings)),
    )


def _dispersion(family: Family, w: Array, residuals: Array, df: int) -> float:
    if family.dispersion_known:
        return 1.0
    used = w > 0
    return float(np.dot(w[used], residuals[used] ** 2) / df) if df > 0 else float("nan")


def information_weights(
    family: Family, y: Any, mu: Array, eta: Array, weights: Any = None, kind: Information = "observed"
) -> Array:
    """Minus the second derivative of each row's log-likelihood in ``eta``, or its expectation; dispersion one.

    Parameters
    ----------
    family : Family
    y, mu, eta : ndarray, shape (n,)
        Response, mean and linear predictor.
    weights : ndarray, shape (n,), optional
        Prior weights.
    kind : {"observed", "expected"}
        The same for canonical links. The observed one may be negative for a row.

    Returns
    -------
    ndarray, shape (n,)
        Weights ``a`` such that the information is ``X' diag(a) X``.
    """
    if kind not in ("observed", "expected"):
        raise OptionError(f"unknown information {kind!r}; 'observed' or 'expected'")
    slope, variance = family.mu_eta(eta), family.variance(mu)
    out = slope**2 / variance
    if kind == "observed" and not family.canonical:
        bend = family.mu_eta2(eta) / variance - slope**2 * family.variance_prime(mu) / variance**2
        out = out - (y - mu) * bend
    return np.asarray(out if weights is None else weights * out)


def information(
    X: Array,
    family: Family,
    y: Any,
    mu: Array,
    eta: Array,
    weights: Any = None,
    kind: Information = "observed",
) -> Array:
    """Information matrix of the coefficients at dispersion one, (p, p): see `information_weights`."""
    return gram(X, information_weights(family, y, mu, eta, weights, kind))
