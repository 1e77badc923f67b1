"""Solving a regression by passes: least squares, R's scoring, and Newton's steps to a zero score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.errors import DataError
from causalformula.inference.away import away
from causalformula.inference.columns import lost_words, readable
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import FAR, FAR_OUTCOME, Centred, given_coefficients, planned, products
from causalformula.numerics.families import Family
from causalformula.numerics.families import family as read_family
from causalformula.numerics.irls import NOT_CONVERGED
from causalformula.numerics.least_squares import REFINED, Solution, of_factor
from causalformula.numerics.linalg import RCOND_NORMAL, refuse_extreme, scaled_inverse
from causalformula.numerics.newton import ALIASED, SEPARATED
from causalformula.scale.blocks.regression import (
    COUNTED,
    Columns,
    End,
    Factor,
    Factored,
    Likelihood,
    Look,
    Normal,
    Reader,
    Residuals,
    Step,
)
from causalformula.scale.iterations import Iterations, Runs
from causalformula.scale.regression import Fitted, Shared, solved_record, whitening
from causalformula.scale.sums import Sums

# Passes that correct the coefficients by their own residuals.
REFINEMENTS = 3


@dataclass(frozen=True, eq=False)
class Model:
    """What is fitted.

    Parameters
    ----------
    names : tuple of str
        Of the columns.
    read : Reader
    intercept, weighted, offset : bool
    anchors : ndarray (p,) of int or None
        As in ``fit_linear``.
    sample : ndarray (m, p)
        A few rows of the columns, by whose values products of columns are known.
    first : float
        One of the responses.
    """

    names: tuple[str, ...]
    read: Reader
    intercept: bool
    weighted: bool
    offset: bool
    anchors: Codes | None
    sample: Array
    first: float


def moved_columns(model: Model, look: Sums, tol: float, multiply: bool = True) -> Columns:
    """How the columns are moved: as ``numerics.centring.centred`` moves those of all rows."""
    if model.anchors is None:
        return Columns(tol)
    spread, far = look["columns"], {}
    for j in np.flatnonzero(np.arange(len(model.names)) != model.anchors):
        centre, deviation = float(spread.mean[j]), float(spread.deviation[j])
        if abs(centre) > FAR * deviation:
            far[int(j)] = (centre, deviation)
    if not far:
        return Columns(tol)
    factors = products(model.sample, model.names) if multiply else {}
    plan, moved, tols, constant = planned(far, factors, model.anchors, tol)
    return Columns(tols, plan, moved, constant)


def _looked(runs: Runs, model: Model) -> Sums:
    look: Sums = runs.total(Look(model.read, model.anchors, model.first))
    refuse_extreme(np.array([look["y"]]), "the outcome")
    for name, largest in zip(model.names, look["X"], strict=True):
        if largest > 1:
            refuse_extreme(np.array([largest]), name)
    return look


def _origin(model: Model, look: Sums) -> float:
    """Where a response far from zero is counted from; the first column takes it up."""
    constant = bool(len(model.names)) and model.intercept
    far = abs(model.first) > FAR_OUTCOME * np.sqrt(look["far"] / look["rows"])
    return model.first if constant and model.first != 0 and far else 0.0


def moves_of(runs: Runs, model: Model, tol: float = 1e-7, multiply: bool = True) -> Columns:
    """How the columns are moved, by one pass."""
    return moved_columns(model, _looked(runs, model), tol, multiply)


def independent(runs: Runs, model: Model) -> Codes:
    """Columns, as they are read, that are no combination of those before them."""
    found, _, _ = _least_squares(runs, model, Columns(1e-7), 0.0)
    return found.kept


# -- least squares ---------------------------------------------------------------------------------------------------


def linear(runs: Runs, model: Model) -> Fitted:
    """Least squares, R's ``lm``."""
    look = _looked(runs, model)
    columns = moved_columns(model, look, 1e-7)
    found, G, root = _least_squares(runs, model, columns, _origin(model, look))
    if not _readable(columns, found.kept):
        columns = moved_columns(model, look, 1e-7, multiply=False)
        found, G, root = _least_squares(runs, model, columns, _origin(model, look))
    lost = () if columns.plan is not None else _lost(runs, model, look, found.kept)
    origin, p = _origin(model, look), len(model.names)
    beta, left = _refined(runs, model, columns, found, G, origin)
    coef = np.full(p, np.nan)
    coef[found.kept] = beta[found.kept]
    if origin:
        coef[0] += origin
    df = look["nobs"] - found.rank
    dispersion = left["rss"] / df if df > 0 else np.nan
    null = look["response"].square[0] if model.intercept else left["null"]
    explained = left["fitted"].square[0] if model.intercept else left["products"]
    record = _record(
        runs.words,
        model,
        columns,
        found,
        coef,
        read_family("gaussian"),
        look,
        whole={
            "origin": origin,
            "observed": G[np.ix_(found.kept, found.kept)],
            "lengths": np.sqrt(left["lengths"]),
            "explained": explained,
            "size": left["squares"] / look["rows"],
        },
        numbers={
            "deviance": left["rss"],
            "null_deviance": float(null),
            "aic": np.nan,
            "iterations": 0,
            "converged": True,
            "boundary": False,
            "linear": True,
            "notes": lost,
            "lost": lost,
        },
        dispersion=dispersion,
    )
    return Fitted(record, columns, None, beta, root=root)


def _lost(runs: Runs, model: Model, look: Sums, kept: Codes) -> tuple[str, ...]:
    """See ``inference.columns.lost_to_tolerance``."""
    if not model.intercept or len(kept) == len(model.names):
        return ()
    anchored = replace(model, anchors=np.zeros(len(model.names), dtype=np.intp))
    columns = moves_of(runs, anchored, multiply=False)
    if columns.plan is None:
        return ()
    found, _, _ = _least_squares(runs, anchored, columns, _origin(model, look))
    return lost_words(model.names, found.kept, kept)


def _readable(columns: Columns, kept: Codes) -> bool:
    return readable(Centred(np.empty((0, 0)), columns.moved, columns.tol, columns.plan), kept)


def _least_squares(runs: Runs, model: Model, columns: Columns, origin: float) -> tuple[Solution, Array, Array | None]:
    """The solution, the cross-product, and a whitening where that has too few digits for an inverse."""
    sums: Sums = runs.total(Normal(model.read, columns, origin))
    G, C = sums["G"], sums["C"]
    if not np.isfinite(C).all():
        raise DataError("the response or the offset holds missing or infinite values")
    normal = scaled_inverse(G)
    p = len(model.names)
    if p == 0:
        return Solution(np.empty((0, 1)), np.empty(0, np.intp), np.empty((0, 0)), np.empty((0, 0))), G, None
    if normal is None or normal.rcond < RCOND_NORMAL:
        factor: Factor = runs.total(Factored(model.read, columns, origin))
        found = of_factor(factor.value, p, tol=columns.tol)
        return found, G, whitening(factor.value, found)
    return Solution(normal.solve(C), np.arange(p), np.empty((p, 0)), normal.inverse), G, None


def _refined(
    runs: Runs, model: Model, columns: Columns, found: Solution, G: Array, origin: float
) -> tuple[Array, Sums]:
    """Coefficients corrected by their own residuals (p,), zero where aliased, and what is left."""
    beta = found.full_coef(len(model.names), 0.0)[:, 0]
    for _ in range(REFINEMENTS):
        left: Sums = runs.total(Residuals(model.read, columns, origin, beta))
        step = np.zeros(len(beta))
        step[found.kept] = found.bread @ left["score"][found.kept]
        moved, fitted = step @ G @ step, beta @ G @ beta
        if moved <= REFINED**2 * (abs(fitted) + left["rss"]):
            break
        beta = beta + step
    return beta, left


# -- generalised linear models ---------------------------------------------------------------------------------------


def generalised(
    runs: Runs,
    model: Model,
    family: Family,
    *,
    epsilon: float = 1e-8,
    maxit: int = 25,
    to_zero: bool = False,
    start: Array | None = None,
) -> Fitted:
    """A generalised linear model by R's iterations, and with ``to_zero`` to a zero score."""
    look = _looked(runs, model)
    for multiply in (True, False):
        columns = moved_columns(model, look, 0.0, multiply)
        solved = _solved(runs, model, family, columns, look, epsilon, maxit, to_zero, start)
        if _readable(columns, solved.found.kept):
            break
    lost = () if columns.plan is not None else _lost(runs, model, look, solved.found.kept)
    found, steps = solved.found, solved
    rank, likelihood = found.rank, solved.likelihood
    null = None if not model.intercept else float(look["outcome"].mean[0])
    end: Sums = runs.total(
        End(likelihood, steps.beta, steps.weighed, null, look["weight"], look["rows"], steps.deviance)
    )
    null_deviance = end["null"]
    if model.intercept and look["offsets"]:
        null_deviance = _null_with_offset(runs, likelihood, steps.beta, epsilon, maxit, steps.warnings)
    df = look["nobs"] - rank
    dispersion = 1.0 if family.dispersion_known else end["square"] / df if df > 0 else np.nan
    coef = np.full(len(model.names), np.nan)
    coef[found.kept] = steps.beta[found.kept]
    warnings = [*steps.warnings, *(w for w in sorted(end.seen) if w not in steps.warnings)]
    record = _record(
        runs.words,
        model,
        columns,
        found,
        coef,
        family,
        look,
        whole={
            "origin": 0.0,
            "observed": end["observed"][np.ix_(found.kept, found.kept)],
            "lengths": np.sqrt(end["lengths"]),
            "explained": np.nan,
            "size": np.nan,
        },
        numbers={
            "deviance": steps.deviance,
            "null_deviance": float(null_deviance),
            "aic": float(end["aic"] + 2 * (family.name in COUNTED) + 2 * rank),
            "iterations": steps.iterations,
            "converged": steps.converged,
            "boundary": steps.boundary,
            "linear": False,
            "notes": (*dict.fromkeys(warnings), *lost),
            "lost": lost,
        },
        dispersion=float(dispersion),
    )
    return Fitted(record, columns, likelihood, steps.beta, steps.weighed, steps.root)


@dataclass(frozen=True, eq=False)
class _Ended:
    likelihood: Likelihood
    beta: Array
    found: Solution
    weighed: Array | None
    deviance: float
    iterations: int
    converged: bool
    boundary: bool
    warnings: list[str]
    root: Array | None = None


def _solved(
    runs: Runs,
    model: Model,
    family: Family,
    columns: Columns,
    look: Sums,
    epsilon: float,
    maxit: int,
    to_zero: bool,
    start: Array | None,
) -> _Ended:
    inner = to_zero and model.weighted and family.name in ("binomial", "quasibinomial")
    unit = look["weight"] / look["nobs"] if inner else None
    likelihood = Likelihood(model.read, columns, family, unit)
    steps = Iterations(runs, likelihood, len(model.names), 0.0, [])
    point, found, weighed, (count, converged, boundary) = steps.scoring(start, epsilon, maxit)
    assert point.beta is not None
    notes = steps.warnings
    if not converged:
        notes.append(NOT_CONVERGED)
    if boundary:
        notes.append("glm.fit: algorithm stopped at boundary value")
    root = None
    if to_zero:
        climbed = steps.climb(point.beta, found.kept)
        bread = None if climbed is None else steps.solve(climbed[0], "score", ALIASED, found)
        if climbed is not None and bread is not None and bread.rank == found.rank:
            point, converged, separated = climbed
            weighed, found = point.beta, replace(found, bread=bread.bread)
            if converged:
                notes[:] = [note for note in notes if note != NOT_CONVERGED]
                boundary = False
            if separated:
                notes.append(SEPARATED)
    assert point.beta is not None
    normal = scaled_inverse(point.sums["G"][np.ix_(found.kept, found.kept)])
    if normal is None or normal.rcond < RCOND_NORMAL:
        factor: Factor = runs.total(Step(likelihood, weighed, factor=True))
        root = whitening(factor.value, found)
    return _Ended(likelihood, point.beta, found, weighed, point.deviance, count, converged, boundary, notes, root)


def _null_with_offset(
    runs: Runs, likelihood: Likelihood, beta: Array, epsilon: float, maxit: int, warnings: list[str]
) -> float:
    """Deviance of the offset and the intercept."""
    alone = Iterations(runs, replace(likelihood, alone=True, mu_at=beta), 1, 0.0, [])
    point, _, _, (_, converged, _) = alone.scoring(None, epsilon, maxit)
    if not converged:
        warnings.append("fitting to calculate the null deviance did not converge -- increase 'maxit'?")
    return point.deviance


def _record(
    words: str,
    model: Model,
    columns: Columns,
    found: Solution,
    coef: Array,
    family: Family,
    look: Sums,
    whole: dict[str, Any],
    numbers: dict[str, Any],
    dispersion: float,
) -> Shared:
    """The record of a fit, its arrays of rows away."""
    rows = away(words)
    kept, df = found.kept, look["nobs"] - found.rank
    moved = None if columns.moved is None else columns.moved[np.ix_(kept, kept)]
    hat = Hat(rows, rows, rows, found.bread, dispersion, float(df), numbers["linear"], look["nobs"], moved=moved)
    return Shared(
        names=model.names,
        coef=given_coefficients(coef, columns.moved),
        kept=kept,
        alias=found.alias,
        given=rows,
        y=rows,
        weights=rows,
        offset=rows if model.offset else None,
        family=family,
        mu=rows,
        eta=rows,
        hat=hat,
        df_null=float(look["nobs"] - int(model.intercept)),
        weighted=model.weighted,
        intercept=model.intercept,
        solved=solved_record(columns, coef, whole["lengths"]),
        whole={
            **whole,
            "rows": look["rows"],
            "weight": look["weight"],
            "logs": look["logs"],
            "unequal": model.weighted and bool(look["heaviest"] > -look["lightest"]),
        },
        **numbers,
    )
