"""Least squares as fitted regressions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.inference.columns import (
    lost_to_tolerance,
    readable,
    refuse_overflowing,
    refuse_vanished,
    solved_columns,
)
from causalformula.inference.regression import FittedRegression, Solved, kept_moves, moves
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.families import family as read_family
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.linalg import refuse_extreme


def fit_linear(
    X: Array,
    y: Array,
    names: Sequence[str],
    *,
    weights: Array | None = None,
    offset: Array | None = None,
    intercept: bool = True,
    anchors: Codes | None = None,
) -> FittedRegression:
    """Least squares, R's ``lm``.

    Parameters
    ----------
    X : ndarray (n, p)
    y : ndarray (n,)
    weights : ndarray (n,), optional
        Prior weights; rows of weight zero take no part.
    anchors : ndarray (p,) of int, optional
        The intercept of each column, from which columns far from zero may be counted, so that none is lost to a
        tolerance; without it rank is decided by R's rule.
    """
    refuse_extreme(y, "the outcome")
    refuse_overflowing(X, names)
    w = np.ones(len(y)) if weights is None else weights
    Z = solved_columns(X, weights, anchors, names)
    fit = least_squares(Z.X, y, weights, offset, tol=Z.tol)
    if not readable(Z, fit.kept):
        Z = solved_columns(X, weights, anchors)
        fit = least_squares(Z.X, y, weights, offset, tol=Z.tol)
    refuse_vanished(X, names, fit.kept)
    design = Z.X if fit.rank == X.shape[1] else Z.X[:, fit.kept]
    e = fit.residuals
    nobs = len(y) if weights is None else int((w > 0).sum())
    rss = float(np.dot(w * e, e))
    df = nobs - fit.rank
    dispersion = rss / df if df > 0 else np.nan
    hat = Hat(design, w, e, fit.bread, dispersion, float(df), True, nobs, moved=kept_moves(Z, fit.kept))
    lost = () if Z.moved is not None else lost_to_tolerance(X, weights, names, fit.kept, intercept)
    return of_least_squares(
        names, Z.read(fit.coef), fit.kept, fit.alias, X, y, weights, offset, hat, null_fit(y, w, offset, intercept),
        intercept=intercept, lost=lost, solved=moves(Z, fit.coef, w),
    )  # fmt: skip


def of_least_squares(
    names: Sequence[str],
    coef: Array,
    kept: Codes,
    alias: Array,
    X: Array | None,
    y: Array,
    weights: Array | None,
    offset: Array | None,
    hat: Hat,
    centre: float | Array,
    *,
    intercept: bool,
    converged: bool = True,
    lost: tuple[str, ...] = (),
    solved: Solved | None = None,
) -> FittedRegression:
    """The record of a linear model from its coefficients and its hat, whose residuals are the outcome's.

    Parameters
    ----------
    centre : float or ndarray (n,)
        Fitted values of the null model.
    names, coef, kept, alias, X, y, weights, offset, hat, intercept, converged, lost, solved
        As in ``FittedRegression``; ``X`` is what was given.
    """
    w = hat.w if weights is None else weights
    apart = y - centre
    apart *= apart
    null_deviance = float(np.dot(w, apart))
    del apart  # of the room that a fit takes each vector is a good part
    mu = y - hat.e
    return FittedRegression(
        names=tuple(names),
        coef=coef,
        kept=kept,
        alias=alias,
        given=X,
        y=y,
        weights=w,
        offset=offset,
        family=read_family("gaussian"),
        mu=mu,
        eta=mu,
        hat=hat,
        deviance=float(np.dot(w * hat.e, hat.e)),
        null_deviance=null_deviance,
        aic=np.nan,
        df_null=float(hat.nobs - int(intercept)),
        iterations=0,
        converged=converged,
        boundary=False,
        weighted=weights is not None,
        intercept=intercept,
        linear=True,
        notes=lost,
        lost=lost,
        solved=solved,
    )


def null_fit(y: Array, w: Array, offset: Array | None, intercept: bool) -> float | Array:
    """Fitted values of the null model."""
    if not intercept:
        return 0.0 if offset is None else offset
    if offset is None:
        return float(np.dot(w, y) / w.sum())
    return np.asarray(offset + np.dot(w, y - offset) / w.sum())
