"""Residuals, leverages and influence measures of a fitted regression, as R defines them.

Every function returns one value a row. A row of weight zero takes no part in the fit: its leverage is zero, and what is
scaled by the leverage is NaN there (R leaves such rows out).
"""

from __future__ import annotations

import numpy as np

from causalformula.backends.options import shown
from causalformula.errors import CapabilityError, OptionError, did_you_mean
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array

KINDS = ("response", "working", "deviance", "pearson", "standardized", "studentized")
# R counts a leverage this near one as one: the row is fitted exactly whatever its outcome.
FULL = 1 - 10 * np.finfo(float).eps


def residuals(model: FittedRegression, kind: str) -> Array:
    """Residuals (n,) of one kind.

    Parameters
    ----------
    kind : str
        ``response`` (``y - mu``), ``working`` (of the linearised model), ``deviance``, ``pearson``, ``standardized``
        (R's ``rstandard``) or ``studentized`` (``rstudent``).
    """
    if not isinstance(kind, str) or kind not in KINDS:
        near = did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
        raise OptionError(f"unknown type of residuals {shown(kind)}{near}; choose from {', '.join(KINDS)}")
    if kind == "response":
        return model.hat.e if model.linear else model.y - model.mu
    if kind == "working":
        return model.hat.e
    if kind == "standardized":
        return standardized(model)
    if kind == "studentized":
        return studentized(model)
    return pearson(model) if kind == "pearson" else deviance(model)


def deviance(model: FittedRegression) -> Array:
    """Signed square root of each row's share of the deviance."""
    if model.linear:
        return weighted(model)
    unit = np.maximum(model.family.dev_resids(model.y, model.mu, model.weights), 0)
    return np.asarray(np.where(model.y > model.mu, 1.0, -1.0) * np.sqrt(unit))


def pearson(model: FittedRegression) -> Array:
    """``(y - mu) sqrt(w / V(mu))``."""
    if model.linear:
        return weighted(model)
    return np.asarray((model.y - model.mu) * np.sqrt(model.weights / model.family.variance(model.mu)))


def weighted(model: FittedRegression) -> Array:
    """Residuals of least squares times the square root of the weights."""
    return np.asarray(model.hat.e * np.sqrt(model.weights)) if model.weighted else model.hat.e


def leverages(model: FittedRegression) -> Array:
    """Diagonal of the hat matrix."""
    if model.hat.instrumented not in (None, "projection"):
        raise CapabilityError(
            "leverages are of least squares and of two-stage least squares, whose fitted values are linear in the "
            "outcome; those of GMM, LIML and other members of the k-class are not"
        )
    h = model.hat.leverage()
    return np.asarray(np.where(h > FULL, 1.0, h))


def _refuse_instrumented(model: FittedRegression) -> None:
    if model.instrumented is not None:
        raise CapabilityError(
            "deletion statistics are of least squares, and this model's regressors are instrumented: leaving a row out "
            "moves the first stage too. fit.influence() holds what each row does to the effect"
        )


def standardized(model: FittedRegression) -> Array:
    """Deviance residuals over their estimated standard deviation."""
    _refuse_instrumented(model)
    return _over(deviance(model), np.sqrt(model.hat.dispersion) * np.sqrt(1 - leverages(model)), model)


def studentized(model: FittedRegression) -> Array:
    """Residuals over a standard deviation estimated without the row itself (for a GLM, Williams' approximation)."""
    _refuse_instrumented(model)
    h = leverages(model)
    if model.linear:
        return _over(weighted(model), leave_one_out_sigma(model) * np.sqrt(1 - h), model)
    d = deviance(model)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.sign(d) * np.sqrt(d**2 + h * pearson(model) ** 2 / (1 - h))
    known = model.family.name in ("binomial", "poisson")
    return _over(r, np.ones(len(r)) if known else leave_one_out_sigma(model), model)


def leave_one_out_sigma(model: FittedRegression) -> Array:
    """Residual standard error of the fit without each row (for a GLM, of its deviance residuals)."""
    e, h = deviance(model), leverages(model)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(h < 1, e**2 / (1 - h), 0.0)
        rest = np.maximum(float(np.dot(e, e)) - own, 0) / (model.hat.df_residual - 1)
    return np.sqrt(rest)


def cooks_distance(model: FittedRegression) -> Array:
    """How far the coefficients move when a row is left out, in units of their own covariance."""
    _refuse_instrumented(model)
    h = leverages(model)
    scale = model.hat.dispersion * model.parameters
    with np.errstate(divide="ignore", invalid="ignore"):
        return _over((pearson(model) / (1 - h)) ** 2 * h, np.full(len(h), scale), model)


def _over(numerator: Array, denominator: Array, model: FittedRegression) -> Array:
    """The quotient; NaN where it is infinite, and for rows of weight zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.asarray(numerator / denominator)
    out[~np.isfinite(out)] = np.nan
    if model.weighted:
        out[model.weights == 0] = np.nan
    return out
