"""Two-stage least squares by cross-products of the columns as they stand: none is copied, and few are read twice."""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import FAR
from causalformula.numerics.least_squares import LeastSquares, refined
from causalformula.numerics.linalg import LARGEST, RCOND_NORMAL, ScaledInverse, gram, scaled_inverse

# So few columns are multiplied one by one.
FEW = 4


def by_products(
    X: Array, y: Array, Z: Array, endogenous: Codes, weights: Array | None, intercept: bool
) -> tuple[LeastSquares, LeastSquares] | None:
    """Both stages; None where columns are too nearly dependent, too large, too small, or far from zero for it.

    Parameters
    ----------
    X : ndarray (n, p)
        Regressors.
    y : ndarray (n,)
    Z : ndarray (n, m)
        Excluded instruments.
    endogenous : ndarray (q,) of int
        Columns of ``X`` that are instrumented.
    weights : ndarray (n,), optional
    intercept : bool
        Whether the first column is one, from which others must be counted that are far from zero.

    Returns
    -------
    first : LeastSquares
        Of ``y`` and the endogenous columns on the other columns of ``X`` and ``Z``, in this order.
    second : LeastSquares
        With the bread of the projected columns, and structural residuals.
    """
    own = np.setdiff1d(np.arange(X.shape[1]), endogenous)
    with np.errstate(over="ignore", invalid="ignore"):
        whole, beside, inner, outcome = _products(X, y, Z, weights)
    at = np.concatenate([own, np.arange(X.shape[1], X.shape[1] + Z.shape[1])])
    crossed = np.block([[whole, beside], [beside.T, inner]])
    G = crossed[np.ix_(at, at)]
    normal = _inverse(G)
    if normal is None or not np.isfinite(crossed).all() or (intercept and _far(crossed)):
        return None
    C = np.column_stack([outcome[at], crossed[np.ix_(at, endogenous)]])

    def first_times(coef: Array) -> Array:
        placed = np.zeros((X.shape[1], coef.shape[1]))
        placed[own] = coef[: len(own)]
        return _each(X, placed) + _each(Z, coef[len(own) :])

    def first_products(rows: Array) -> Array:
        return np.concatenate([_each(X.T, rows)[own], Z.T @ rows])

    responses = np.asfortranarray(np.column_stack([y, X[:, endogenous]]))
    coef, left = refined(first_times, first_products, responses, weights, G, normal, normal.solve(C))
    if left is None:
        return None
    stages = np.zeros((len(at), X.shape[1]))  # the projected columns, in the instruments
    stages[np.arange(len(own)), own] = 1.0
    stages[:, endogenous] = coef[:, 1:]
    G2 = stages.T @ G @ stages
    projected = _inverse(G2)
    if projected is None:
        return None

    def products(rows: Array) -> Array:
        found = X.T @ rows
        found[endogenous] -= left[:, 1:].T @ rows
        return np.asarray(found)

    start = projected.solve(stages.T @ C[:, :1])
    beta, e = refined(X.__matmul__, products, y[:, None], weights, G2, projected, start)
    if e is None:
        return None
    return _found(coef, normal, left), _found(beta[:, 0], projected, e[:, 0])


def _each(A: Array, B: Array) -> Array:
    """``A B``; few columns of B one by one, as products of a long matrix by a narrow one are slower than by vectors."""
    if B.shape[1] > FEW:
        return np.asarray(A @ B)
    out = np.empty((len(A), B.shape[1]), order="F")
    for k in range(B.shape[1]):
        out[:, k] = A @ B[:, k]
    return out


def _products(X: Array, y: Array, Z: Array, weights: Array | None) -> tuple[Array, Array, Array, Array]:
    """``X'WX``, ``X'WZ``, ``Z'WZ`` and ``[X Z]'Wy``."""
    if weights is None:
        return gram(X), _each(X.T, Z), gram(Z), np.concatenate([X.T @ y, Z.T @ y])
    u = weights * y
    return gram(X, weights), _each(X.T, Z * weights[:, None]), gram(Z, weights), np.concatenate([X.T @ u, Z.T @ u])


def _far(crossed: Array) -> bool:
    """Whether a column's mean is many times its standard deviation, by its product with the first."""
    centre = crossed[0] / crossed[0, 0]
    spread = np.maximum(np.diagonal(crossed) / crossed[0, 0] - centre**2, 0.0)
    return bool((np.abs(centre[1:]) > FAR * np.sqrt(spread[1:])).any())


def _inverse(G: Array) -> ScaledInverse | None:
    """Where columns are far enough from dependent, and have squares that are numbers."""
    size = np.diagonal(G)
    if not (np.isfinite(G).all() and (size > LARGEST**-2).all() and (size < LARGEST**2).all()):
        return None
    found = scaled_inverse(G)
    return None if found is None or found.rcond < RCOND_NORMAL else found


def _found(coef: Array, normal: ScaledInverse, residuals: Array) -> LeastSquares:
    p = len(coef)
    return LeastSquares(coef, np.arange(p), np.empty((p, 0)), normal.inverse, residuals)
