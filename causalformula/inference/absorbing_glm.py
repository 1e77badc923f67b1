"""Generalised linear models beside absorbed fixed effects: scoring on columns less their effects at each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import ConvergenceError, some
from causalformula.inference.absorbed import Absorbed, absorber
from causalformula.inference.absorbing import UNCONVERGED, fit_absorbed, within_effects
from causalformula.inference.columns import readable, refuse_overflowing
from causalformula.inference.generalised import dispersion_of, target_of
from causalformula.inference.regression import FittedRegression, kept_moves, moves
from causalformula.inference.stage import Hat
from causalformula.numerics.absorption.absorber import Absorber
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.absorption.saturated import removed
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import TOL, Centred, centred_beside
from causalformula.numerics.families import Family
from causalformula.numerics.glm import Point, Problem, checked_problem, working
from causalformula.numerics.irls import irls
from causalformula.numerics.least_squares import LeastSquares, least_squares
from causalformula.numerics.linalg import refuse_extreme

# The steps end where none moves a coefficient by this share of it or of its error ...
SETTLED = 1e-10
# ... and the fitted values by this share of the residuals: columns are less their effects to ten digits themselves.
STILL = 1e-9
MOST_STEPS = 200
HALVINGS = 30
# With the deviance this settled (relative change), steps that do not halve mean a maximum at infinity.
LEVEL = 1e-6
# Rounding may raise the deviance by this share of it.
RISE = 1e-12
# Rows a level below which the bias of nonlinear models with many effects is told.
FEW_ROWS = 20
STOPPED = "the coefficients did not settle in {} steps; allow more with maxit="


@dataclass(frozen=True, eq=False)
class _Step:
    """The columns less their effects at a point, the step from there, and how the point was reached."""

    point: Point
    w: Array
    e: Array
    takes: Absorber
    within: Array
    fit: LeastSquares
    count: int
    exact: bool
    settled: bool = False
    infinite: tuple[int, ...] | None = None


def fit_absorbed_glm(
    X: Array,
    y: Array,
    names: Sequence[str],
    family: Family,
    effects: Sequence[Effect],
    factors: Sequence[str],
    *,
    weights: Array | None = None,
    offset: Array | None = None,
    epsilon: float = SETTLED,
    maxit: int = MOST_STEPS,
    start: tuple[Array, Array] | None = None,
    centre: bool = False,
) -> FittedRegression:
    """A generalised linear model beside the effects of factors, fixest's ``fepois`` and ``feglm``.

    Each step is least squares of the working response on the columns, both less their effects under the working
    weights; the columns of one step are where those of the next begin.

    Parameters
    ----------
    X, y, names, effects, factors, weights, offset, centre
        As in ``fit_absorbed``.
    family : Family
    epsilon : float
        The steps end where none moves a coefficient by this share of it or of its standard error; 1e-10 at most.
    maxit : int
        Bound on their number.
    start : pair of ndarray, optional
        Coefficients (p,) and linear predictor (n,) of a fit of the same columns, to start from.

    Notes
    -----
    Expected information stands for the observed one where the link is not canonical.
    """
    refuse_extreme(y, "the outcome")
    refuse_overflowing(X, names)
    w = _finite(y, family, effects, weights)
    problem = checked_problem(np.empty((len(y), 0)), y, family, w, offset)
    Z = centred_beside(X, w, names, TOL) if centre else Centred(X, None, TOL)
    if start is not None and Z.moved is not None:
        start = (np.asarray(np.linalg.solve(np.eye(len(Z.moved)) - Z.moved, start[0])), start[1])
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        last = _scoring(problem, Z, effects, start, min(epsilon, SETTLED), maxit)
        null = _null_deviance(problem)
    if not readable(Z, last.fit.kept):
        return fit_absorbed_glm(
            X, y, names, family, effects, factors, weights=weights, offset=offset, epsilon=epsilon, maxit=maxit
        )  # fmt: skip
    kept = last.fit.kept
    design = last.within if len(kept) == X.shape[1] else last.within[:, kept]
    counted = tuple(map(int, last.takes.counted))
    absorbed = Absorbed(tuple(factors), tuple(effects), last.w, last.within, 0.0, counted)
    nobs = int((problem.weights > 0).sum())
    k = len(kept) + absorbed.coefficients()
    df = nobs - k
    dispersion = dispersion_of(family, last.w, last.e, df)
    target = target_of(family, last.point.mu, problem.weights)
    hat = Hat(
        design,
        last.w,
        last.e,
        last.fit.bread,
        dispersion,
        float(df),
        False,
        nobs,
        k=k,
        target=target,
        moved=kept_moves(Z, kept),
        absorbed=absorbed,
    )
    coef = np.full(X.shape[1], np.nan)
    coef[kept] = last.point.beta[kept]
    unspread = 0.0 if family.dispersion_known else 2.0
    notes = (*_notes(last, names, factors, problem, maxit), *_incidental(absorbed, family, nobs))
    return FittedRegression(
        names=tuple(names),
        coef=Z.read(coef),
        kept=kept,
        alias=last.fit.alias,
        given=X,
        y=problem.y,
        weights=problem.weights,
        offset=offset,
        family=family,
        mu=last.point.mu,
        eta=last.point.eta,
        hat=hat,
        deviance=last.point.deviance,
        null_deviance=null,
        aic=family.aic(problem.y, last.point.mu, problem.weights, last.point.deviance) - unspread + 2 * k,
        df_null=float(nobs - 1),
        iterations=last.count,
        converged=last.settled,
        boundary=False,
        weighted=weights is not None,
        intercept=True,
        linear=False,
        notes=notes,
        lost=notes,
        solved=moves(Z, coef, last.w, last.within),
        absorbed=absorbed,
    )


def refitted_glm(model: FittedRegression, w: Array) -> Array | None:
    """Estimable coefficients under other weights; None where they are not all there."""
    fit = with_columns(model, model.kept, w)
    return fit.coef if fit.converged and fit.rank == model.rank else None


def with_columns(model: FittedRegression, columns: Codes, weights: Array | None) -> FittedRegression:
    """A model beside absorbed effects, linear or not, with some of its columns only, or with other weights."""
    assert model.absorbed is not None
    X, names = model.X[:, columns], [model.names[int(j)] for j in columns]
    effects, factors, centre = model.absorbed.effects, model.absorbed.names, model.solved is not None
    if model.linear:
        return fit_absorbed(X, model.y, names, effects, factors, weights=weights, offset=model.offset, centre=centre)
    same = np.array_equal(columns, model.kept)
    return fit_absorbed_glm(
        X,
        model.y,
        names,
        model.family,
        effects,
        factors,
        weights=weights,
        offset=model.offset,
        start=(model.theta, model.eta) if same else None,
        centre=centre,
    )


def _finite(y: Array, family: Family, effects: Sequence[Effect], weights: Array | None) -> Array | None:
    """The weights, zero in levels whose outcomes put their effects at infinity."""
    if not family.limits:
        return weights
    stays = removed(effects, weights, family.at_limits(y), alone=False).stays
    return weights if stays.all() else np.where(stays, 1.0 if weights is None else weights, 0.0)


def _scoring(
    problem: Problem,
    Z: Centred,
    effects: Sequence[Effect],
    start: tuple[Array, Array] | None,
    epsilon: float,
    maxit: int,
) -> _Step:
    """Fisher scoring to where nothing moves."""
    family, p = problem.family, Z.X.shape[1]
    beta, eta = (np.zeros(p), family.linkfun(problem.mustart)) if start is None else start
    point, within = problem.of_eta(beta, eta), Z.X
    before, settled = np.inf, False
    for count in range(maxit + 1):
        fresh = count == 0 and start is None
        w, e = working(problem, point)
        left = e + (point.eta - problem.offset) * fresh
        takes = absorber(effects, w)
        within, own, exact = within_effects(takes, within, left, w, None)
        fit = least_squares(within, own, w, tol=Z.tol)
        step = np.nan_to_num(fit.coef)
        change = left - fit.residuals
        here = _Step(point, w, e, takes, within, fit, count, exact)
        if not fresh:
            move = float(np.abs(change)[w > 0].max(initial=0.0))
            if _little(here, step, change, epsilon):
                return replace(here, settled=True)
            if settled and move > max(before / 2, 1e-3):
                spread = np.abs(step) * np.abs(within[w > 0]).max(axis=0, initial=0.0)
                infinite = tuple(int(j) for j in np.flatnonzero(spread > 1e-3))
                return replace(here, infinite=infinite)
            before = move
        if count == maxit:
            return here
        moved = _uphill(problem, point, step, change, fresh)
        if moved is None:
            return here
        settled = not fresh and abs(point.deviance - moved.deviance) <= LEVEL * (abs(moved.deviance) + 0.1)
        point = moved
    raise AssertionError


def _little(here: _Step, step: Array, change: Array, epsilon: float) -> bool:
    """Whether a step moves neither the coefficients nor the fitted values."""
    kept, w = here.fit.kept, here.w
    square = float(w @ here.e**2)
    rows = int((w > 0).sum())
    error = np.sqrt(np.diagonal(here.fit.bread) * square / max(1, rows))
    still = float(w @ change**2) <= STILL**2 * square
    return still and bool((np.abs(step[kept]) <= epsilon * np.maximum(np.abs(here.point.beta[kept]), error)).all())


def _uphill(problem: Problem, point: Point, step: Array, change: Array, fresh: bool) -> Point | None:
    """The point after a step, halved until the deviance does not rise; None where no part of it will do."""
    if fresh:
        moved = problem.of_eta(step, problem.offset + change)
        if not (np.isfinite(moved.deviance) and problem.valid(moved)):
            raise ConvergenceError("the first step beside the fixed effects leaves what the family allows")
        return moved
    highest = point.deviance + RISE * (abs(point.deviance) + 0.1)
    for halvings in range(HALVINGS):
        share = 0.5**halvings
        moved = problem.of_eta(point.beta + share * step, point.eta + share * change)
        if moved.deviance <= highest and problem.valid(moved):
            return moved
    return None


def _null_deviance(problem: Problem) -> float:
    """Of the model with an intercept alone, and the offset."""
    ones = np.ones((len(problem.y), 1))
    return irls(ones, problem.y, problem.family, problem.weights, problem.offset).deviance


def _notes(last: _Step, names: Sequence[str], factors: Sequence[str], problem: Problem, maxit: int) -> tuple[str, ...]:
    """What is to be said of the end of the steps."""
    told = () if last.exact else (UNCONVERGED,)
    if last.infinite is not None:
        ends = " or ".join(f"{limit:g}" for limit in problem.family.limits)
        who = [names[j] for j in last.infinite] or [" and ".join(factors)]
        runs = "whose coefficient runs" if len(who) == 1 else "whose coefficients run"
        return (
            *told,
            f"separation: {some(who)}, {runs} to infinity, can fit some outcomes of {ends} exactly beside the fixed "
            "effects; what is printed of it is where the steps ended. Leave it out, or the rows that it fits",
        )
    return told if last.settled else (*told, STOPPED.format(maxit))


def _incidental(absorbed: Absorbed, family: Family, nobs: int) -> tuple[str, ...]:
    """A note on effects that few rows tell of, where their errors bias the other coefficients; not in poisson models.

    Neyman and Scott (1948); with a log link and a poisson's variance the effects can be conditioned out.
    """
    if (family.variance_name, family.link_name) == ("mu", "log") or family.link_name == "identity":
        return ()
    each = {name: nobs / effect.levels for name, effect in zip(absorbed.names, absorbed.effects, strict=True)}
    few = [f"{name} ({rows:.1f})" for name, rows in each.items() if rows < FEW_ROWS]
    if not few:
        return ()
    return (
        f"there are few rows a level of {' and '.join(few)}: beside estimated effects of so few rows each the "
        f"coefficients of a {family.name} model are biased away from zero (incidental parameters), and so is what "
        "follows from them",
    )
