"""What a regression of any family sums over rows: one pass a task, which reads a chunk as the solvers read all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from causalformula.inference.starts import inner_means
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import Plan
from causalformula.numerics.families import Family
from causalformula.numerics.glm import Point, Problem, checked_problem, information_weights, working
from causalformula.numerics.linalg import gram, moments, triangular_factor
from causalformula.scale.sums import Spread, Sums

# Families whose information criterion counts the dispersion, by two.
COUNTED = ("gaussian", "Gamma", "inverse.gaussian")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a chunk, as a regression reads them.

    Parameters
    ----------
    X : ndarray (n, p)
    y : ndarray (n,)
    weights, offset : ndarray (n,) or None
    mustart : ndarray (n,), optional
        Means to start from where they are not the family's.
    """

    X: Array
    y: Array
    weights: Array | None = None
    offset: Array | None = None
    mustart: Array | None = None

    @cached_property
    def w(self) -> Array:
        """Weights, ones where there are none."""
        return np.ones(len(self.y)) if self.weights is None else self.weights


# The rows of a chunk's frame.
Reader = Callable[[Any], Rows]


@dataclass(frozen=True, eq=False)
class Columns:
    """How the columns of all chunks are moved before they are solved; see ``numerics.centring``.

    Parameters
    ----------
    tol : float or ndarray (p,)
        Relative length below which a column is aliased.
    plan : Plan, optional
    moved : ndarray (p, p), optional
    constant : tuple of int
        Columns of which nothing is left but rounding.
    """

    tol: Any
    plan: Plan | None = None
    moved: Array | None = None
    constant: tuple[int, ...] = ()

    def apply(self, X: Array) -> Array:
        """The columns of a chunk as they are solved."""
        if self.plan is None:
            return X
        Z = self.plan.apply(X)
        Z[:, list(self.constant)] = 0.0
        return Z


@dataclass(frozen=True, eq=False)
class Look:
    """First pass: moments of the columns and of the response, weights, and what is too large."""

    read: Reader
    anchors: Codes | None
    first: float

    def __call__(self, frame: Any) -> Sums:
        """Of a chunk."""
        rows = self.read(frame)
        used = rows.w > 0
        shift = rows.y if rows.offset is None else rows.y - rows.offset
        with np.errstate(over="ignore", invalid="ignore"):
            spread = 0 if self.anchors is None else self._columns(rows, self.anchors)
        added = {
            "rows": len(rows.y),
            "nobs": int(used.sum()),
            "weight": float(rows.w.sum()),
            "columns": spread,
            "response": Spread.of(shift[:, None], rows.w),
            "outcome": Spread.of(rows.y[:, None], rows.w),
            "far": float(((rows.y - self.first) ** 2).sum()),
            "logs": 0.0 if rows.weights is None else float(np.log(rows.w[used]).sum()),
            "offsets": 0 if rows.offset is None else int(np.count_nonzero(rows.offset)),
        }
        ends = {"heaviest": float(rows.w.max()), "lightest": -float(rows.w.min())}
        largest = np.maximum(rows.X.max(axis=0), -rows.X.min(axis=0))
        return Sums(added, {"X": largest, "y": float(np.abs(rows.y).max()), **ends})

    def _columns(self, rows: Rows, anchors: Codes) -> Spread:
        """Moments of the columns among the rows where their intercept is not zero."""
        if not anchors.any() and rows.X[:, 0].all():
            return Spread.near(rows.X, rows.w)
        return Spread.of(rows.X, rows.w[:, None] * (rows.X[:, anchors] != 0))


@dataclass(frozen=True, eq=False)
class Normal:
    """Least squares: cross-products of the columns and with the response, counted from ``origin``."""

    read: Reader
    columns: Columns
    origin: float

    def __call__(self, frame: Any) -> Sums:
        """Of a chunk."""
        Z, Y, rows = _solved(self, frame)
        G, C = moments(Z, Y, rows.weights)
        return Sums({"G": G, "C": C})


@dataclass(frozen=True, eq=False)
class Factor:
    """The triangular factor of the columns and the response, where cross-products have too few digits."""

    value: Array

    def __add__(self, other: Factor) -> Factor:
        return Factor(np.asarray(np.linalg.qr(np.vstack([self.value, other.value]), mode="r")))


@dataclass(frozen=True, eq=False)
class Factored:
    """Least squares by triangular factors."""

    read: Reader
    columns: Columns
    origin: float

    def __call__(self, frame: Any) -> Factor:
        """Of a chunk."""
        Z, Y, rows = _solved(self, frame)
        used = rows.w > 0
        return Factor(triangular_factor(Z[used], Y[used], rows.w[used]))


def _solved(task: Normal | Factored, frame: Any) -> tuple[Array, Array, Rows]:
    rows = task.read(frame)
    Y = rows.y if rows.offset is None else rows.y - rows.offset
    return task.columns.apply(rows.X), (Y - task.origin)[:, None], rows


@dataclass(frozen=True, eq=False)
class Residuals:
    """Least squares at given coefficients: what is left, and the equations there."""

    read: Reader
    columns: Columns
    origin: float
    coef: Array

    def __call__(self, frame: Any) -> Sums:
        """Of a chunk."""
        rows = self.read(frame)
        Z = self.columns.apply(rows.X)
        Y = (rows.y if rows.offset is None else rows.y - rows.offset) - self.origin
        e = Y - Z @ self.coef
        we = rows.w * e
        mu = rows.y - e
        return Sums(
            {
                "score": Z.T @ we,
                "rss": float(we @ e),
                "fitted": Spread.of(mu[:, None], rows.w),
                "lengths": rows.w @ Z**2,
                "products": float(rows.w @ mu**2),
                "squares": float(mu @ mu),
                "null": float(rows.w @ (Y + self.origin) ** 2),
            }
        )


@dataclass(frozen=True, eq=False)
class Likelihood:
    """A generalised linear model on a chunk: the same problem as on all rows.

    Parameters
    ----------
    read : Reader
    columns : Columns
    family : Family
    unit : float, optional
        Mean of the positive weights, where the means to start from are those of weights at mean one.
    alone : bool
        Whether the intercept alone is fitted, for the null deviance.
    mu_at : ndarray, optional
        For ``alone``, the coefficients whose fitted means are started from.
    """

    read: Reader
    columns: Columns
    family: Family
    unit: float | None = None
    alone: bool = False
    mu_at: Array | None = None

    def problem(self, rows: Rows) -> Problem:
        """The chunk's problem, on the columns as they are solved."""
        Z = self.columns.apply(rows.X)
        found = checked_problem(Z, rows.y, self.family, rows.weights, rows.offset)
        start = rows.mustart
        if self.unit is not None:
            start = inner_means(self.family, rows.y, rows.weights, self.unit)
        if start is not None:
            found = replace(found, mustart=start)
        if self.alone:
            mu = self.family.linkinv(found.offset + Z @ self.mu_at) if self.mu_at is not None else found.mustart
            found = replace(found, X=np.ones((len(rows.y), 1)), mustart=mu)
        return found

    def point(self, problem: Problem, beta: Array | None) -> Point:
        """Where coefficients are; the means to start from where there are none."""
        if beta is None:
            return problem.of_eta(np.zeros(problem.X.shape[1]), self.family.linkfun(problem.mustart))
        return problem.at(beta)


@dataclass(frozen=True, eq=False)
class Step:
    """One pass of the iterations: deviance, equations and information at given coefficients."""

    model: Likelihood
    beta: Array | None
    before: Array | None = None
    factor: bool = False
    kept: tuple[int, ...] | None = None

    def __call__(self, frame: Any) -> Any:
        """Of a chunk."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            problem = self.model.problem(self.model.read(frame))
            return self._sums(problem, self.model.point(problem, self.beta))

    def _sums(self, problem: Problem, point: Point) -> Any:
        valid = self.model.point(problem, self.beta) is not None and problem.valid(point)
        good = valid and np.isfinite(point.deviance)
        p = problem.X.shape[1]
        w, residual = working(problem, point) if good else (np.zeros(len(problem.y)), np.zeros(len(problem.y)))
        if self.factor:
            used = w > 0
            response = residual if self.beta is not None else point.eta - problem.offset + residual
            return Factor(triangular_factor(problem.X[used], response[used, None], w[used]))
        first = np.where(w > 0, point.eta - problem.offset + residual, 0.0)
        H = np.zeros((p, p))
        if good and not problem.family.canonical:
            a = information_weights(problem.family, problem.y, point.mu, point.eta, problem.weights)
            H = gram(problem.X, np.where(problem.weights > 0, a, 0.0))
        move = 0.0
        if self.before is not None and (w > 0).any():
            move = float(np.abs(problem.X @ (point.beta - self.before))[w > 0].max())
        added = {
            "deviance": point.deviance,
            "invalid": int(not valid),
            "G": gram(problem.X, w),
            "score": problem.X.T @ (w * residual),
            "first": problem.X.T @ (w * first),
            "square": float(w @ residual**2),
            "informative": int((w > 0).sum()),
            "H": H,
        }
        return Sums(added, {"move": move, "eta": float(np.abs(point.eta).max())}, frozenset(problem.warnings))


@dataclass(frozen=True, eq=False)
class End:
    """The last pass of a generalised linear model: what its record says beside the coefficients."""

    model: Likelihood
    beta: Array
    weighed_at: Array | None
    null: float | None
    weight: float
    rows: int
    deviance: float = field(default=np.nan)

    def __call__(self, frame: Any) -> Sums:
        """Of a chunk."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            rows = self.model.read(frame)
            problem, family = self.model.problem(rows), self.model.family
            point = problem.at(self.beta)
            w, _ = working(problem, self.model.point(problem, self.weighed_at))
            e = (problem.y - point.mu) / family.mu_eta(point.eta)
            used, prior = w > 0, problem.weights
            null = family.linkinv(problem.offset) if self.null is None else np.full(len(problem.y), self.null)
            # the criterion's own scale is that of all rows
            share = len(problem.y) / self.rows if family.name == "gaussian" else float(prior.sum()) / self.weight
            aic = family.aic(problem.y, point.mu, prior, self.deviance * share) - 2 * (family.name in COUNTED)
            a = information_weights(family, problem.y, point.mu, point.eta, prior)
            return Sums(
                {
                    "square": float(w[used] @ e[used] ** 2),
                    "null": float(family.dev_resids(problem.y, null, prior).sum()),
                    "aic": aic,
                    "lengths": prior @ problem.X**2,
                    "observed": gram(problem.X, np.where(prior > 0, a, 0.0)),
                },
                seen=frozenset(family.end_warnings(point.mu)),
            )
