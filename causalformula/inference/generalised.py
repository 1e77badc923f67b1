"""Generalised linear models as fitted regressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from causalformula.inference.columns import (
    lost_to_tolerance,
    readable,
    refuse_overflowing,
    refuse_vanished,
    solved_columns,
)
from causalformula.inference.regression import FittedRegression, kept_moves, moves
from causalformula.inference.stage import Hat
from causalformula.inference.starts import inner_means, polished_fit
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import Centred
from causalformula.numerics.families import Family
from causalformula.numerics.irls import GLMFit, irls, polish
from causalformula.numerics.linalg import refuse_extreme


def fit_glm(
    X: Array,
    y: Array,
    names: Sequence[str],
    family: Family,
    *,
    weights: Array | None = None,
    offset: Array | None = None,
    intercept: bool = True,
    epsilon: float = 1e-8,
    maxit: int = 25,
    to_zero: bool = False,
    start: Array | None = None,
    mustart: Array | None = None,
    anchors: Codes | None = None,
) -> FittedRegression:
    """A generalised linear model by R's IRLS, R's ``glm``.

    Parameters
    ----------
    to_zero : bool
        Polish the solution by Newton's method until the score vanishes, as a stage of an estimator needs; R stops at a
        relative change of the deviance below ``epsilon``.
    start, mustart : ndarray, optional
        Coefficients (p,) or means (n,) to start from instead of the family's own.
    anchors : ndarray (p,) of int, optional
        As in ``linear.fit_linear``.
    """
    refuse_extreme(y, "the outcome")
    refuse_overflowing(X, names)

    def solved(Z: Centred) -> GLMFit:
        scoring = partial(
            irls, Z.X, y, family, weights, offset, epsilon=epsilon, maxit=maxit, intercept=intercept, floor=Z.tol
        )
        if not to_zero:
            return scoring(start=start, mustart=mustart)
        first, inner = mustart, inner_means(family, y, weights) if start is None and mustart is None else None
        if family.name in ("binomial", "quasibinomial"):
            first, inner = (mustart if inner is None else inner), None
        polished = partial(polish, Z.X, y, family, weights, offset, floor=Z.tol)
        return polished_fit(polished, scoring, start, first, inner)

    Z = solved_columns(X, weights, anchors, names, tol=0.0)
    fit = solved(Z)
    if not readable(Z, fit.kept):
        Z = solved_columns(X, weights, anchors, tol=0.0)
        fit = solved(Z)
    model = from_glm(fit, X, y, tuple(names), family, weights, offset, intercept, Z)
    lost = () if Z.moved is not None else lost_to_tolerance(X, weights, names, fit.kept, intercept)
    return replace(model, notes=(*model.notes, *lost), lost=lost)


def target_of(family: Family, mu: Array, prior: Array) -> Array:
    """Variance of each response under the model, without the dispersion; one for a row that takes no part."""
    return np.asarray(family.variance(mu) / np.where(prior > 0, prior, 1.0))


def dispersion_of(family: Family, w: Array, e: Array, df: int) -> float:
    """Pearson's estimate by working weights and residuals, where the family leaves the dispersion open."""
    if family.dispersion_known:
        return 1.0
    used = w > 0
    return float(np.dot(w[used], e[used] ** 2) / df) if df > 0 else np.nan


def from_glm(
    fit: GLMFit,
    X: Array,
    y: Array,
    names: tuple[str, ...],
    family: Family,
    weights: Array | None,
    offset: Array | None,
    intercept: bool,
    Z: Centred,
) -> FittedRegression:
    """The record of a regression from a fit on the columns ``Z``."""
    refuse_vanished(X, names, fit.kept)
    prior = np.ones(len(y)) if weights is None else weights
    design = Z.X if len(fit.kept) == X.shape[1] else Z.X[:, fit.kept]
    nobs = int((prior > 0).sum())
    df = nobs - len(fit.kept)
    w, e = fit.working_weights, fit.working_residuals
    dispersion = dispersion_of(family, w, e, df)
    target, moved = target_of(family, fit.mu, prior), kept_moves(Z, fit.kept)
    hat = Hat(design, w, e, fit.bread, dispersion, float(df), False, nobs, target=target, moved=moved)
    return FittedRegression(
        names=names,
        coef=Z.read(fit.coef),
        kept=fit.kept,
        alias=fit.alias,
        given=X,
        y=y,
        weights=prior,
        offset=offset,
        family=family,
        mu=fit.mu,
        eta=fit.eta,
        hat=hat,
        deviance=fit.deviance,
        null_deviance=fit.null_deviance,
        aic=fit.aic,
        df_null=float(nobs - int(intercept)),
        iterations=fit.iterations,
        converged=fit.converged,
        boundary=fit.boundary,
        weighted=weights is not None,
        intercept=intercept,
        linear=False,
        notes=fit.warnings,
        solved=moves(Z, fit.coef, prior),
    )
