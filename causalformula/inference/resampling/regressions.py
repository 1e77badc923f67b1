"""Regressions fitted again under other frequencies of their rows: what resampling a model asks for."""

from __future__ import annotations

from functools import partial

import numpy as np

from causalformula.inference.absorbing import refitted_within
from causalformula.inference.absorbing_glm import refitted_glm, with_columns
from causalformula.inference.evidence import influence_error
from causalformula.inference.generalised import from_glm
from causalformula.inference.linear import fit_linear
from causalformula.inference.refit import refit_each
from causalformula.inference.regression import FittedRegression
from causalformula.inference.weighted_moments import refitted
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import Centred, given_coefficients
from causalformula.numerics.irls import newton
from causalformula.numerics.least_squares import replicates


def refits(model: FittedRegression, W: Array) -> Array:
    """Estimable coefficients (R, r) of the model refitted under frequency weights (R, n); NaN rows where that fails.

    Least squares solves all replicates at once; a generalised linear model takes Newton steps from its own solution.
    """
    if model.instrumented is not None:
        return refit_each(partial(_instrumented, model), W, size=model.rank)
    weights = W * model.weights if model.weighted else W
    if model.absorbed is not None:
        again = refitted_within if model.linear else refitted_glm
        return refit_each(partial(again, model), weights, size=model.rank)
    if model.linear:
        return given_coefficients(replicates(model.hat.X, model.y, weights, model.offset), model.hat.moved)

    def one(w: Array) -> Array | None:
        fit = newton(model.hat.X, model.y, model.family, w, model.offset, model.inner)
        if not fit.converged or fit.separated:
            return None
        return given_coefficients(fit.coef, model.hat.moved)

    return refit_each(one, weights, size=model.rank)


def studentized(model: FittedRegression, clusters: Codes | None, W: Array) -> Array:
    """Coefficients of the refits and, beside them, their standard errors (R, 2r); NaN rows where a refit fails.

    Each standard error is that of the refit's own influence, a row (or cluster) drawn c times counting as c.
    """

    def one(w: Array) -> Array | None:
        found = _refitted(model, w)
        if found is None or found.rank < model.rank:
            return None
        again = found.estimate()
        if model.hat.moved is not None and model.absorbed is None:
            again = again.contrast(np.eye(model.rank) - model.hat.moved, again.names)
        error = influence_error(again.evidence, w, clusters)
        return np.concatenate([again.theta, error]) if (error > 0).all() else None

    return refit_each(one, W, size=2 * model.rank)


def _instrumented(model: FittedRegression, counts: Array) -> Array | None:
    found = refitted(model, counts)
    return found.coef[model.kept] if found.rank == model.rank else None


def _refitted(model: FittedRegression, counts: Array) -> FittedRegression | None:
    """The model under frequency weights; None where its likelihood has no maximum."""
    if model.instrumented is not None:
        return refitted(model, counts)
    X, weights = model.hat.X, counts * model.weights if model.weighted else counts
    if model.absorbed is not None:
        found = with_columns(model, model.kept, weights)
        return found if found.converged else None
    if model.linear:
        return fit_linear(X, model.y, model.kept_names, weights=weights, offset=model.offset)
    fit = newton(X, model.y, model.family, weights, model.offset, model.inner)
    if not fit.converged or fit.separated:
        return None
    unmoved = Centred(X, None, 0.0)
    return from_glm(fit, X, model.y, model.kept_names, model.family, weights, model.offset, True, unmoved)
