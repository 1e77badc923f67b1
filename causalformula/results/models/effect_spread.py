"""What absorbed effects are less the mean of their factor's levels, with the errors of that."""

from __future__ import annotations

import numpy as np

from causalformula.inference.absorbed import Absorbed, absorber
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.absorption.leverage import CELLS
from causalformula.numerics.arrays import Array
from causalformula.numerics.linalg import gram

# Directions of the levels' information below this share of the largest are not estimated: levels of other components.
UNKNOWN = 1e-10


def centred_effects(model: FittedRegression, j: int, values: Array) -> tuple[Array, Array]:
    """Values of factor j less the mean of its levels (G,), and their classical standard errors.

    In parts of the data that no level connects each is less the mean of its own part. Levels without rows have NaN.
    Errors are NaN where slopes differ by the factor, or where its dummies beside other factors would be too many.

    Parameters
    ----------
    values : ndarray (G,)
        The effects as they are normalised; NaN for a level without rows.
    """
    absorbed = model.absorbed
    assert absorbed is not None
    there = np.flatnonzero(~np.isnan(values))
    centred = np.full(len(values), np.nan)
    centred[there] = values[there] - values[there].mean()
    error = np.full(len(values), np.nan)
    effect = absorbed.effects[j]
    if effect.width > 1 or not effect.intercept:
        return centred, error
    if len(absorbed.effects) == 1:
        error[there] = np.sqrt(model.hat.dispersion * _alone(model, absorbed, there))
    elif len(there) * len(absorbed.weights) <= CELLS:
        information = _information(model, absorbed, j, there)
        size, basis = np.linalg.eigh(information)
        known = size > UNKNOWN * size.max()
        centred[there] = basis[:, known] @ (basis[:, known].T @ values[there])
        error[there] = np.sqrt(model.hat.dispersion * ((basis[:, known] ** 2) @ (1 / size[known])))
    return centred, error


def _alone(model: FittedRegression, absorbed: Absorbed, there: Array) -> Array:
    """Variances (G,) of one factor's effects, dispersion one: of the levels' means and of the coefficients."""
    codes, w = absorbed.effects[0].codes, absorbed.weights
    levels = absorbed.effects[0].levels
    weight = np.bincount(codes, w, levels)[there]
    X = model.design
    means = np.column_stack([np.bincount(codes, w * x, levels)[there] for x in X.T] or [np.empty((len(there), 0))])
    means = means / weight[:, None]
    off = means - means.mean(axis=0)
    own, count = 1 / weight, len(there)
    # of a value less the mean of all: (1 - 2/G) of its own variance and the mean's
    return np.asarray(
        own * (1 - 2 / count) + own.sum() / count**2 + np.einsum("gi,ij,gj->g", off, model.hat.bread, off)
    )


def _information(model: FittedRegression, absorbed: Absorbed, j: int, there: Array) -> Array:
    """Information (G, G) of a factor's dummies beside the other factors and the columns."""
    others = [effect for k, effect in enumerate(absorbed.effects) if k != j]
    codes, w = absorbed.effects[j].codes, absorbed.weights
    dummies = (codes[:, None] == there[None, :]).astype(float)
    X = model.design
    left = absorber(others, w).demean(np.hstack([dummies, X])).values
    D, Z = left[:, : len(there)], left[:, len(there) :]
    if Z.shape[1]:
        D = D - Z @ np.linalg.lstsq(np.sqrt(w)[:, None] * Z, np.sqrt(w)[:, None] * D, rcond=None)[0]
    return gram(D, w)
