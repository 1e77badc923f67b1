"""Weighted least squares, as exact as R's QR and as fast as a cross-product; and many reweighted fits at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.errors import DataError
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import Centred, centred, origin_of
from causalformula.numerics.linalg import (
    RCOND_NORMAL,
    ScaledInverse,
    as_floats,
    checked_weights,
    group_scores,
    group_sums,
    independent_columns,
    leverage,
    meat,
    moments,
    row_blocks,
    scaled_inverse,
    scores,
    triangular_factor,
)

# The sums over rows that a sandwich is made of are offered here beside the fit that they belong to.
__all__ = ["LeastSquares", "group_scores", "group_sums", "least_squares", "leverage", "meat", "replicates", "scores"]

# A correction below this, relative to the response, is rounding: refinement stops.
REFINED = 1e-13
# A reweighted cross-product (of an orthonormal basis) is singular below this share of its largest eigenvalue.
SINGULAR = 1e-12


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Solution of a weighted least squares problem.

    Attributes
    ----------
    coef : ndarray, shape (p,) or (p, q)
        Coefficients; NaN for aliased columns.
    kept : ndarray of int, shape (r,)
        The estimable columns, in order.
    alias : ndarray, shape (r, p - r)
        ``X[:, dropped] = X[:, kept] @ alias``.
    bread : ndarray, shape (r, r)
        ``(X'WX)^{-1}`` of the kept columns.
    residuals : ndarray, shape (n,) or (n, q)
        ``y - offset - X coef``, for rows of weight zero too.
    """

    coef: Array
    kept: Codes
    alias: Array
    bread: Array
    residuals: Array

    @property
    def rank(self) -> int:
        """Number of estimable coefficients."""
        return len(self.kept)


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver hands back: coefficients of the kept columns, and what ``LeastSquares`` says of the rest."""

    coef: Array
    kept: Codes
    alias: Array
    bread: Array
    residuals: Array | None = None

    @property
    def rank(self) -> int:
        """Number of estimable coefficients."""
        return len(self.kept)

    def full_coef(self, p: int, fill: float = np.nan) -> Array:
        """Coefficients of all ``p`` columns, ``fill`` where aliased."""
        out = np.full((p, *self.coef.shape[1:]), fill)
        out[self.kept] = self.coef
        return out

    def among(self, known: Solution) -> Solution:
        """Of a solution on the columns that another one keeps, what it says of all columns."""
        p, lost = known.rank + known.alias.shape[1], np.setdiff1d(np.arange(known.rank), self.kept)
        dropped = np.concatenate([np.setdiff1d(np.arange(p), known.kept), known.kept[lost]])
        alias = np.hstack([known.alias[self.kept] + self.alias @ known.alias[lost], self.alias])
        return replace(self, kept=known.kept[self.kept], alias=alias[:, np.argsort(dropped)])


def least_squares(
    X: Any, y: Any, weights: Any = None, offset: Any = None, *, tol: float | Array = 1e-7
) -> LeastSquares:
    """Coefficients that minimise ``sum_i w_i (y_i - offset_i - x_i' b)^2``.

    The normal equations on columns of unit norm, refined on the residuals; when their condition is poor, Householder
    QR with R's rule for aliased columns instead. Both give what R's ``lm`` gives.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design matrix, in C or Fortran order.
    y : array_like, shape (n,) or (n, q)
        Response or responses.
    weights : array_like, shape (n,), optional
        Not negative; a row of weight zero takes no part.
    offset : array_like, shape (n,), optional
        Known part of the linear predictor.
    tol : float or ndarray, shape (p,)
        A column is aliased when its norm outside the columns before it is below ``tol`` times its own.

    Returns
    -------
    LeastSquares
        The solution.

    Raises
    ------
    DataError
        For missing, infinite or misshapen input, and for negative weights.

    Notes
    -----
    R 4.2.2: ``lm.fit``, ``lm.wfit``.
    """
    X = as_floats(X, "X")
    y = as_floats(y, "y")
    w = checked_weights(weights, len(X))
    Y = (y if y.ndim == 2 else y[:, None]).astype(np.float64, copy=False)
    if offset is not None:
        Y = Y - as_floats(offset, "offset", (len(X),))[:, None]
    origins = _origins(X, Y)
    if origins.any():
        Y = Y - origins
    found = solve(X, Y, w, tol=tol)
    coef = found.full_coef(X.shape[1])
    residuals = found.residuals if found.residuals is not None else Y - X @ found.full_coef(X.shape[1], 0.0)
    if origins.any():
        coef[0] += origins / X[0, 0]
    if y.ndim == 1:
        coef, residuals = coef[:, 0], residuals[:, 0]
    return LeastSquares(coef, found.kept, found.alias, found.bread, residuals)


def _origins(X: Array, Y: Array) -> Array:
    """Where each response is counted from: not zero where it is far from that and the first column is constant."""
    origins = np.array([origin_of(each) for each in Y.T])
    if origins.any() and not (X.shape[1] and X[0, 0] != 0 and (X[:, 0] == X[0, 0]).all()):
        return np.zeros(len(origins))
    return origins


def solve(X: Array, Y: Array, weights: Array | None, *, tol: float | Array, refine: int = 2) -> Solution:
    """Least squares for checked arrays, ``Y`` of shape (n, q); at most ``refine`` corrections by the residuals."""
    if X.shape[1] == 0:
        return Solution(np.empty((0, Y.shape[1])), np.empty(0, np.intp), np.empty((0, 0)), np.empty((0, 0)), Y.copy())
    with np.errstate(over="ignore", invalid="ignore"):
        G, C = moments(X, Y, weights)
    normal = scaled_inverse(G)
    if not np.isfinite(C).all():
        raise DataError("the response or the offset holds missing or infinite values")
    if normal is None or normal.rcond < RCOND_NORMAL:
        return solve_qr(X, Y, weights, tol=tol)
    coef, residuals = refined(X.__matmul__, X.T.__matmul__, Y, weights, G, normal, normal.solve(C), refine)
    p = X.shape[1]
    return Solution(coef, np.arange(p), np.empty((p, 0)), normal.inverse, residuals)


def refined(
    times: Callable[[Array], Array],
    products: Callable[[Array], Array],
    Y: Array,
    weights: Array | None,
    G: Array,
    normal: ScaledInverse,
    coef: Array,
    refine: int = 2,
) -> tuple[Array, Array | None]:
    """Coefficients corrected by their own residuals; and the residuals, if they are those of the answer.

    Parameters
    ----------
    times, products : callable
        ``X b`` of coefficients (p, q), and ``Z' r`` of rows (n, q), Z the columns that residuals are orthogonal to.
    G : ndarray (p, p)
        ``Z'WX``, or nearly so, whose inverse is ``normal``.
    """
    for _ in range(refine):
        residuals = Y - times(coef)
        weighted = residuals if weights is None else residuals * weights[:, None]
        step = normal.solve(products(weighted))
        fitted = np.einsum("jq,jk,kq->q", coef, G, coef)
        coef = coef + step
        # norms of fitted values, through the cross-product: is the step rounding beside the fit and the residuals?
        moved = np.einsum("jq,jk,kq->q", step, G, step)
        size = np.abs(fitted) + np.einsum("iq,iq->q", weighted, residuals)
        if (moved <= REFINED**2 * size).all():
            return coef, residuals
    return coef, None


def solve_qr(X: Array, Y: Array, weights: Array | None, *, tol: float | Array) -> Solution:
    """Least squares by Householder QR, with R's choice of aliased columns."""
    p = X.shape[1]
    if weights is not None and not weights.all():
        # a row of weight zero must not count as one of the rows that bound the rank
        used = weights > 0
        X, Y, weights = X[used], Y[used], weights[used]
    return of_factor(triangular_factor(X, Y, weights), p, tol=tol)


def of_factor(R: Array, p: int, *, tol: float | Array) -> Solution:
    """Least squares from the triangular factor of ``p`` columns and the responses beside them."""
    kept, basis = independent_columns(R[:, :p], tol)
    dropped = np.setdiff1d(np.arange(p), kept)
    rotated = np.asarray(basis.T @ R)
    upper = np.triu(rotated[:, kept])
    # of a triangular matrix the general solver is back substitution
    inverse: Array = np.asarray(np.linalg.solve(upper, np.eye(len(kept))), dtype=np.float64)
    coef: Array = np.asarray(np.linalg.solve(upper, rotated[:, p:]), dtype=np.float64)
    alias: Array = np.asarray(np.linalg.solve(upper, rotated[:, dropped]), dtype=np.float64)
    return Solution(coef, kept, alias, inverse @ inverse.T)


def replicates(
    X: Any, y: Any, W: Any, offset: Any = None, *, tol: float = 1e-7, names: Sequence[str] | None = None
) -> Array:
    """Weighted least squares for many weightings of the same rows, such as bootstrap frequencies.

    With ``Q`` an orthonormal basis of the columns and ``e`` the residuals of the unweighted fit, all the
    cross-products ``Q' diag(W_r) [Q e]`` are one matrix product of ``W`` with the products of columns; each
    replicate is then a small system, well conditioned whatever the columns of ``X`` are.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design matrix.
    y : array_like, shape (n,)
        Response.
    W : array_like, shape (R, n)
        Weights of each replicate, not negative; any numeric type.
    offset : array_like, shape (n,), optional
        Known part of the linear predictor.
    tol : float
        As in `least_squares`.
    names : sequence of str, optional
        Of the columns, the first of which is one: those far from zero are then counted from their means.

    Returns
    -------
    ndarray, shape (R, p)
        Coefficients. Columns aliased in the whole sample are NaN; so is every coefficient of a replicate in which
        the remaining columns cannot be told apart.
    """
    W = np.asarray(W)
    design = (
        centred(as_floats(X, "X"), tol=tol, names=names) if names is not None else Centred(as_floats(X, "X"), None, tol)
    )
    X = design.X
    whole = least_squares(X, y, offset=offset, tol=design.tol)
    kept, e = whole.kept, whole.residuals
    R = triangular_factor(X[:, kept], np.empty((len(X), 0)), None)
    T: Array = np.asarray(np.linalg.solve(R, np.eye(len(kept))), dtype=np.float64)
    products = _replicated_products(X[:, kept], T, e, W)
    steps = _solve_replicates(products, len(kept))
    out = np.full((len(W), X.shape[1]), np.nan)
    out[:, kept] = whole.coef[kept] + steps @ T.T
    return design.read(out)


def _replicated_products(X: Array, T: Array, e: Array, W: Any) -> Array:
    """``W @ Z``, (R, m): Z holds the distinct products of pairs of columns of ``Q = X T``, then ``Q e``."""
    n, r = len(X), X.shape[1]
    width = r * (r + 1) // 2 + r
    total = np.zeros((len(W), width))
    # wide blocks: a few thousand rows, so that converting the weights and starting the product cost little
    for rows in row_blocks(n, max(1, (width + len(W)) // 16)):
        Q = T.T @ X[rows].T
        Z = np.empty((width, Q.shape[1]))
        start = 0
        for i in range(r):
            np.multiply(Q[i], Q[i:], out=Z[start : start + r - i])
            start += r - i
        np.multiply(Q, e[rows], out=Z[start:])
        total += np.asarray(W[:, rows], dtype=np.float64) @ Z.T
    return total


def _solve_replicates(products: Array, r: int) -> Array:
    """Solutions of the ``R`` small systems, (R, r); NaN where one is singular."""
    out = np.full((len(products), r), np.nan)
    if r == 0:
        return out
    i, j = np.triu_indices(r)
    G = np.empty((len(products), r, r))
    G[:, i, j] = G[:, j, i] = products[:, : len(i)]
    c = products[:, len(i) :, None]
    values = np.linalg.eigvalsh(G)
    regular = values[:, 0] > SINGULAR * values[:, -1]
    out[regular] = np.linalg.solve(G[regular], c[regular])[:, :, 0]
    return out
