"""Newton's method on the likelihood of a generalised linear model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.glm import Ending, Point, Problem, information_weights, working
from causalformula.numerics.least_squares import Solution, least_squares, solve
from causalformula.numerics.linalg import RCOND_NORMAL, ScaledInverse, gram, scaled_inverse

SEPARATED = "the likelihood has no finite maximum (separation): some coefficients are infinite"
# A step that moves the linear predictor by less than this share of it is rounding.
ROUNDING = 1e-14
# With the deviance this settled (relative change), steps that do not halve mean a maximum at infinity.
SETTLED = 1e-6
# Rounding may raise the deviance by this share of it.
RISE = 1e-12
# R's relative length for aliased columns at glm's default epsilon.
ALIASED = 1e-11


@dataclass(frozen=True, eq=False)
class _Reached:
    """Where the steps ended; ``normal`` is the inverse of the expected information there, when it is at hand."""

    point: Point
    steps: int
    converged: bool = False
    separated: bool = False
    normal: ScaledInverse | None = None


def climb(problem: Problem, start: Array, tol: float, maxit: int) -> Ending | None:
    """Newton steps (on the observed information where it is positive definite) from ``start`` to a zero score.

    NaN in ``start`` leaves a column out. None when nothing can be done from there: a point outside the parameter
    space, or columns that cannot be told apart under these weights.
    """
    kept = np.flatnonzero(~np.isnan(start))
    part = problem if len(kept) == len(start) else replace(problem, X=np.ascontiguousarray(problem.X[:, kept]))
    point = part.at(start[kept])
    if not (np.isfinite(point.deviance) and part.valid(point)):
        return None
    reached = _steps(part, point, tol, maxit)
    point = reached.point
    w, residual = working(part, point)
    bread = _bread(part, reached.normal, w, residual)
    if len(bread) < len(kept):
        return None
    solution = Solution(point.beta[:, None], kept, _alias(problem.X, kept), bread)
    full = replace(point, beta=solution.full_coef(len(start), 0.0)[:, 0])
    return Ending(full, solution, w, reached.steps, reached.converged, False, reached.separated)


def _bread(problem: Problem, normal: ScaledInverse | None, w: Array, residual: Array) -> Array:
    """Inverse of the expected information; by QR when its condition is poor."""
    if normal is not None and normal.rcond >= RCOND_NORMAL:
        return normal.inverse
    return solve(problem.X, residual[:, None], w, tol=ALIASED, refine=0).bread


def _alias(X: Array, kept: Codes) -> Array:
    """The columns left out as combinations of the others."""
    dropped = np.setdiff1d(np.arange(X.shape[1]), kept)
    if not len(dropped):
        return np.empty((len(kept), 0))
    return least_squares(X[:, kept], X[:, dropped]).coef


def _steps(problem: Problem, point: Point, tol: float, maxit: int) -> _Reached:
    before, count = np.inf, 0
    for count in range(maxit + 1):
        w, residual = working(problem, point)
        expected = gram(problem.X, w)
        normal = scaled_inverse(expected)
        score = problem.X.T @ (w * residual)
        if (np.abs(score) <= tol * np.sqrt(np.diagonal(expected) * np.dot(w, residual**2))).all():
            return _Reached(point, count, True, normal=normal)
        normal = _observed(problem, point) or normal
        moved = None if normal is None or count == maxit else _uphill(problem, point, normal.solve(score))
        if moved is None:
            break
        move = float(np.abs(moved.eta - point.eta)[w > 0].max())
        settled = point.deviance - moved.deviance <= SETTLED * (abs(moved.deviance) + 0.1)
        point, count = moved, count + 1
        if move <= ROUNDING * float(np.abs(moved.eta).max()):
            return _Reached(point, count, True)
        if settled and move > max(before / 2, 1e-3):
            return _Reached(point, count, separated=True)
        before = move
    return _Reached(point, count)


def _observed(problem: Problem, point: Point) -> ScaledInverse | None:
    """Inverse of the observed information, where it differs from the expected one and is positive definite."""
    if problem.family.canonical:
        return None
    a = information_weights(problem.family, problem.y, point.mu, point.eta, problem.weights)
    H = gram(problem.X, np.where(problem.weights > 0, a, 0.0))
    if not np.isfinite(H).all() or (np.diagonal(H) <= 0).any():
        return None
    return scaled_inverse(H)


def _uphill(problem: Problem, point: Point, step: Array) -> Point | None:
    """The point after a step, halved until the deviance does not rise; None when no part of it will do."""
    highest = point.deviance + RISE * (abs(point.deviance) + 0.1)
    for halvings in range(30):
        moved = problem.at(point.beta + step / 2**halvings)
        if moved.deviance <= highest and problem.valid(moved):
            return moved
    return None
