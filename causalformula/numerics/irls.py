"""Generalised linear models: R's iteratively reweighted least squares, and Newton's method to the exact solution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from causalformula.errors import ConvergenceError, DataError, OptionError
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import Family
from causalformula.numerics.glm import (
    Ending,
    GLMFit,
    Point,
    Problem,
    checked_problem,
    finished,
    information,
    information_weights,
    working,
)
from causalformula.numerics.least_squares import Solution, solve
from causalformula.numerics.linalg import as_floats
from causalformula.numerics.newton import SEPARATED, climb

__all__ = ["GLMFit", "information", "information_weights", "irls", "newton", "polish"]

NOT_CONVERGED = "glm.fit: algorithm did not converge"
# What is left of a column beside those before it is rounding below this share of it: R's rule for aliased columns goes
# down with epsilon, and would keep a constant twice.
ROUNDING = 1e-13


def irls(
    X: Any,
    y: Any,
    family: Family,
    weights: Any = None,
    offset: Any = None,
    *,
    start: Any = None,
    mustart: Any = None,
    epsilon: float = 1e-8,
    maxit: int = 25,
    intercept: bool = True,
    floor: float | Array = 0.0,
) -> GLMFit:
    """Fit a generalised linear model exactly as R's ``glm`` does.

    R's starting values, step halving, stopping rule (relative change of the deviance below ``epsilon``), count of
    iterations, aliased columns and messages; nothing is polished.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design matrix.
    y : array_like, shape (n,)
        Response; for the binomial family 0/1 or proportions (with the numbers of trials as ``weights``).
    family : Family
        From `causalformula.numerics.families.family`.
    weights, offset : array_like, shape (n,), optional
        Prior weights, not negative; known part of the linear predictor.
    start : array_like, shape (p,), optional
        Coefficients to start from instead of the family's starting means.
    mustart : array_like, shape (n,), optional
        Means to start from instead of the family's.
    epsilon, maxit : float, int
        R's ``glm.control``.
    intercept : bool
        Whether the null model has an intercept.
    floor : float or ndarray, shape (p,)
        Relative length below which a column is aliased however small ``epsilon`` is.

    Returns
    -------
    GLMFit
        The fit. Not converging is a warning in it, not an error.

    Raises
    ------
    DataError
        For input outside what the family allows.
    ConvergenceError
        Where R stops with an error: no valid starting values, or no valid step.

    Notes
    -----
    R 4.2.2: ``glm.fit``, and the null deviance of ``glm``.
    """
    if not epsilon > 0 or maxit < 1:
        raise OptionError(f"epsilon must be positive and maxit at least 1, not {epsilon!r} and {maxit!r}")
    problem = replace(checked_problem(X, y, family, weights, offset), floor=floor)
    if mustart is not None:
        problem = replace(problem, mustart=as_floats(mustart, "mustart", (len(problem.y),)))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        last = _scoring(problem, start, epsilon, maxit)
        _note_ending(problem, last)
        null = _null_deviance(problem, last.point.mu, intercept, epsilon, maxit)
        return finished(problem, last, null, intercept)


def _scoring(problem: Problem, start: Any, epsilon: float, maxit: int) -> Ending:
    """Fisher scoring with R's bookkeeping."""
    p = problem.X.shape[1]
    tol = np.maximum(max(min(1e-7, epsilon / 1000), ROUNDING), problem.floor)
    point, origin = _first_point(problem, start)
    if p == 0:
        return _without_columns(problem)
    solution, w, boundary, iteration = nothing(p), np.zeros(len(problem.y)), False, 0
    # with the weights of a row going to zero, rounding would hide that a column is a combination of others: what the
    # family's own start leaves out stays out
    known, part = None, problem
    for iteration in range(1, maxit + 1):
        w, residual = working(problem, point)
        if not w.any():
            problem.warnings.append(f"glm.fit: no observations informative at iteration {iteration}")
            return Ending(point, solution, w, iteration, False, boundary)
        solution = _scoring_step(part, known, point, solution, w, residual, tol)
        if iteration == 1 and start is None and solution.rank < p:
            known, part = solution, replace(problem, X=problem.X[:, solution.kept])
        if not np.isfinite(solution.coef).all():
            problem.warnings.append(f"glm.fit: non-finite coefficients at iteration {iteration}")
            return Ending(point, solution, w, iteration, False, boundary)
        moved = problem.at(solution.full_coef(p, 0.0)[:, 0])
        moved, boundary = _shortened(problem, moved, origin, maxit)
        settled = abs(moved.deviance - point.deviance) / (abs(moved.deviance) + 0.1) < epsilon
        point = origin = moved
        if settled:
            return Ending(point, solution, w, iteration, True, boundary)
    return Ending(point, solution, w, iteration, False, boundary)


def nothing(p: int) -> Solution:
    return Solution(np.empty((0, 1)), np.empty(0, np.intp), np.empty((0, p)), np.empty((0, 0)))


def _first_point(problem: Problem, start: Any) -> tuple[Point, Point | None]:
    """Where to start; and the coefficients to halve a first step towards, which exist only if the caller gave some."""
    if start is None:
        eta = problem.family.linkfun(problem.mustart)
        point, origin = problem.of_eta(np.zeros(problem.X.shape[1]), eta), None
    else:
        point = problem.at(as_floats(start, "start", (problem.X.shape[1],)))
        origin = point
    if not problem.valid(point):
        raise ConvergenceError("cannot find valid starting values: pass start=")
    return point, origin


def _without_columns(problem: Problem) -> Ending:
    """The model of the offset alone."""
    point = problem.at(np.empty(0))
    if not problem.valid(point):
        raise ConvergenceError("the offset alone gives fitted values that the family does not allow")
    w, _ = working(problem, point)
    return Ending(point, nothing(0), w, 0, True, True)


def _scoring_step(
    part: Problem,
    known: Solution | None,
    point: Point,
    before: Solution,
    w: Array,
    residual: Array,
    tol: float | Array,
) -> Solution:
    """The next coefficients; ``part`` has the columns that are not ``known`` to be aliased.

    After the first iteration the change is solved for, not the coefficients: the same number, and rounding in the
    cross-product then matters only relative to the change. When the aliased columns change, all is solved anew.
    """
    if known is not None:
        tol = np.broadcast_to(tol, len(point.beta))[known.kept]

    def solved(response: Array, refine: int) -> Solution:
        found = solve(part.X, response[:, None], w, tol=tol, refine=refine)
        return found if known is None else found.among(known)

    if before.rank:
        step = solved(residual, 0)
        if np.array_equal(step.kept, before.kept):
            return replace(step, coef=point.beta[step.kept, None] + step.coef)
    found = solved(np.where(w > 0, point.eta - part.offset + residual, 0.0), 2)
    if (w > 0).sum() < found.rank:
        raise DataError(f"the design has rank {found.rank}, but only {int((w > 0).sum())} rows carry information")
    return found


def _shortened(problem: Problem, moved: Point, origin: Point | None, maxit: int) -> tuple[Point, bool]:
    """The step, halved while it leaves the parameter space; and whether it was."""
    boundary = False
    tests: tuple[tuple[Callable[[Point], bool], str], ...] = (
        (lambda at: bool(np.isfinite(at.deviance)), "step size truncated due to divergence"),
        (problem.valid, "step size truncated: out of bounds"),
    )
    for accepts, message in tests:
        if accepts(moved):
            continue
        if origin is None:
            raise ConvergenceError("no valid set of coefficients has been found: pass starting values as start=")
        problem.warnings.append(message)
        moved, boundary = _halved(problem, moved, origin, accepts, maxit), True
    return moved, boundary


def _halved(problem: Problem, moved: Point, origin: Point, accepts: Callable[[Point], bool], maxit: int) -> Point:
    for _ in range(maxit):
        moved = problem.at((moved.beta + origin.beta) / 2)
        if accepts(moved):
            return moved
    raise ConvergenceError(
        "no step size keeps the fitted values inside what the family allows; pass other start= values"
    )


def _note_ending(problem: Problem, last: Ending) -> None:
    if not last.converged:
        problem.warnings.append(NOT_CONVERGED)
    if last.boundary and len(last.point.beta):
        problem.warnings.append("glm.fit: algorithm stopped at boundary value")
    problem.warnings.extend(problem.family.end_warnings(last.point.mu))


def _null_deviance(problem: Problem, mu: Array, intercept: bool, epsilon: float, maxit: int) -> float:
    """Deviance of the model with only the offset and, if there is one, the intercept."""
    family, y, w = problem.family, problem.y, problem.weights
    if not intercept:
        null = family.linkinv(problem.offset)
    elif not problem.offset.any():
        null = np.full(len(y), np.dot(w, y) / w.sum())
    else:
        alone = replace(problem, X=np.ones((len(y), 1)), mustart=mu, warnings=[], floor=0.0)
        last = _scoring(alone, None, epsilon, maxit)
        if not last.converged:
            problem.warnings.append("fitting to calculate the null deviance did not converge -- increase 'maxit'?")
        return last.point.deviance
    return float(family.dev_resids(y, null, w).sum())


def newton(
    X: Any,
    y: Any,
    family: Family,
    weights: Any = None,
    offset: Any = None,
    start: Any = None,
    *,
    tol: float = 1e-10,
    maxit: int = 50,
    floor: float | Array = 0.0,
) -> GLMFit:
    """Maximum likelihood by Newton's method from good starting values, without R's bookkeeping.

    Meant for refits, as in a bootstrap: few iterations, each of one weighted cross-product.

    Parameters
    ----------
    X, y, family, weights, offset
        As in `irls`.
    start : array_like, shape (p,), optional
        Coefficients to start from; NaN marks an aliased column, which stays out. When they are omitted, cannot be
        evaluated, or hold a column that is aliased under these weights, an R fit comes first.
    tol : float
        Bound on each element of the score, relative to ``sqrt(information_jj * Pearson's chi-square)``.
    maxit : int
        Bound on the number of steps.
    floor : float or ndarray, shape (p,)
        As in `irls`.

    Returns
    -------
    GLMFit
        ``converged`` says that the score is zero, ``null_deviance`` is NaN. Where the likelihood has no finite
        maximum (separation) the steps end when they no longer shrink, ``separated`` is set and a warning says so.
    """
    problem = replace(checked_problem(X, y, family, weights, offset), floor=floor)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ending = None if start is None else climb(problem, as_floats(start, "start", (problem.X.shape[1],)), tol, maxit)
        if ending is None:
            first = _scoring(problem, None, 1e-8, 25)
            at = first.solution.full_coef(problem.X.shape[1])
            at[first.solution.kept, 0] = first.point.beta[first.solution.kept]
            ending = climb(problem, at[:, 0], tol, maxit) or first
        return _climbed(problem, ending, float("nan"), True)


def polish(
    X: Any,
    y: Any,
    family: Family,
    weights: Any = None,
    offset: Any = None,
    coef: Any = None,
    *,
    tol: float = 1e-12,
    intercept: bool = True,
    floor: float | Array = 0.0,
) -> GLMFit:
    """Newton steps from R's solution until the score is zero: R stops at a small change of the deviance.

    Parameters
    ----------
    X, y, family, weights, offset, tol, floor
        As in `newton`.
    coef : GLMFit or array_like, shape (p,)
        The fit to polish, or its coefficients. A fit passes on its count of iterations and its warnings.
    intercept : bool
        Whether the null model has an intercept; read only for coefficients.

    Returns
    -------
    GLMFit
        As from `newton`, with the null deviance. A fit that cannot be improved is handed back as it is.
    """
    before = coef if isinstance(coef, GLMFit) else None
    if before is not None:
        after = newton(X, y, family, weights, offset, before.coef, tol=tol, floor=floor)
        notes = tuple(note for note in before.warnings if not (after.converged and note == NOT_CONVERGED))
        return replace(
            after,
            null_deviance=before.null_deviance,
            df_null=before.df_null,
            iterations=before.iterations,
            boundary=before.boundary and not after.converged,
            warnings=tuple(dict.fromkeys(notes + after.warnings)),
        )
    after = newton(X, y, family, weights, offset, coef, tol=tol, floor=floor)
    problem = checked_problem(X, y, family, weights, offset)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        null = _null_deviance(problem, after.mu, intercept, 1e-8, 25)
    return replace(after, null_deviance=null, df_null=after.df_null + 1 - int(intercept))


def _climbed(problem: Problem, ending: Ending, null_deviance: float, intercept: bool) -> GLMFit:
    if ending.separated:
        problem.warnings.append(SEPARATED)
    problem.warnings.extend(problem.family.end_warnings(ending.point.mu))
    return finished(problem, ending, null_deviance, intercept)
