"""Products, factorisations and sums over the rows of a design matrix, in blocks of rows.

Every function reads ``X`` once, block by block, so that nothing of the size of ``X`` is ever allocated beside it
(``scores`` excepted, whose answer has that size) and the scaled copy of a block stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from causalformula.errors import DataError
from causalformula.numerics.arrays import Array, Codes

# A block holds this many numbers (1 MB): timed on n = 1e6, k = 20, flat between a quarter and four times it.
BLOCK_NUMBERS = 2**17
# Below this reciprocal condition number of the scaled cross-product its inverse has lost five digits: take the QR.
RCOND_NORMAL = 1e-5
# Squares of larger numbers, and of their inverses, summed over rows, leave the range of doubles.
LARGEST = 1e150


def rows_in_block(p: int) -> int:
    """Rows of one block of a matrix of ``p`` columns; never so few that p x p work outweighs the block's own."""
    return max(256, 2 * p, BLOCK_NUMBERS // max(p, 1))


def row_blocks(n: int, p: int) -> Iterator[slice]:
    """Slices over ``n`` rows, each of about ``BLOCK_NUMBERS`` entries of an ``(n, p)`` matrix."""
    step = rows_in_block(p)
    for first in range(0, n, step):
        yield slice(first, min(first + step, n))


def _block_buffer(X: Array) -> Array:
    return np.empty((min(rows_in_block(X.shape[1]), len(X)), X.shape[1]), order="C" if X.flags.c_contiguous else "F")


def gram(X: Array, weights: Array | None = None) -> Array:
    """``X' diag(weights) X``, (p, p); weights of either sign (an observed information can have both)."""
    if weights is None:
        return np.asarray(X.T @ X)
    if len(weights) and weights.min() < 0:
        return _signed_gram(X, weights)
    return meat(X, np.sqrt(weights))


def _signed_gram(X: Array, weights: Array) -> Array:
    total = np.zeros((X.shape[1], X.shape[1]))
    for rows in row_blocks(*X.shape):
        total += X[rows].T @ (X[rows] * weights[rows, None])
    return (total + total.T) / 2


def meat(X: Array, u: Array) -> Array:
    """Cross-product of the scores: ``X' diag(u)^2 X``.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Design matrix.
    u : ndarray, shape (n,)
        Multiplier of each row, such as a weighted (and adjusted) residual.

    Returns
    -------
    ndarray, shape (p, p)
        The middle of the sandwich, symmetric to the last bit.
    """
    total = np.zeros((X.shape[1], X.shape[1]))
    buffer = _block_buffer(X)
    for rows in row_blocks(*X.shape):
        # numpy hands A'A of one and the same array to the symmetric routine: half the work of a general product
        scaled = np.multiply(X[rows], u[rows, None], out=buffer[: rows.stop - rows.start])
        total += scaled.T @ scaled
    return total


def scores(X: Array, u: Array) -> Array:
    """Each row of ``X`` times its ``u``: the estimating functions of a linear predictor, (n, p)."""
    return X * u[:, None]


def leverage(X: Array, bread: Array, weights: Array | None = None) -> Array:
    """Diagonal of the hat matrix: ``w_i x_i' bread x_i``.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Design matrix, of the columns that ``bread`` is for.
    bread : ndarray, shape (p, p)
        Inverse of ``X' diag(weights) X``.
    weights : ndarray, shape (n,), optional
        Weights of the rows; ones when omitted.

    Returns
    -------
    ndarray, shape (n,)
        Leverages; they sum to ``p``.
    """
    out = np.empty(len(X))
    for rows in row_blocks(*X.shape):
        np.einsum("ij,ij->i", X[rows] @ bread, X[rows], out=out[rows])
    return out if weights is None else out * weights


def basis_leverage(X: Array, whitening: Array, weights: Array) -> Array:
    """Diagonal of the hat matrix from an orthonormal basis: squared lengths of the rows of ``W^{1/2} X whitening``."""
    out = np.empty(len(X))
    for rows in row_blocks(*X.shape):
        q = X[rows] @ whitening
        np.einsum("ij,ij->i", q, q, out=out[rows])
    return out * weights


def group_sums(A: Array, codes: Codes, groups: int) -> Array:
    """Sums of the rows of ``A`` within groups.

    Parameters
    ----------
    A : ndarray, shape (n, p) or (n,)
        What to sum.
    codes : ndarray of int, shape (n,)
        Group of each row, from 0 to ``groups - 1``.
    groups : int
        Number of groups; one without rows gets zero.

    Returns
    -------
    ndarray, shape (groups, p) or (groups,)
        The sums.
    """
    if A.ndim == 1:
        return np.asarray(np.bincount(codes, weights=A, minlength=groups), dtype=np.float64)
    return group_scores(A, np.ones(len(A)), codes, groups)


def group_scores(X: Array, u: Array, codes: Codes, groups: int) -> Array:
    """``group_sums(scores(X, u), codes, groups)`` without the (n, p) matrix of scores."""
    if not X.flags.c_contiguous:
        columns = [np.bincount(codes, weights=X[:, j] * u, minlength=groups) for j in range(X.shape[1])]
        return np.stack(columns, axis=1) if columns else np.zeros((groups, 0))
    n = len(X)
    indicator = sparse.csc_matrix((u, codes, np.arange(n + 1)), shape=(groups, n))
    return np.asarray(indicator @ X)


def moments(X: Array, Y: Array, weights: Array | None) -> tuple[Array, Array]:
    """``X'WX`` and ``X'WY`` for ``Y`` of shape (n, q)."""
    if weights is None:
        return gram(X), np.asarray(X.T @ Y)
    return gram(X, weights), np.asarray(X.T @ (weights[:, None] * Y))


@dataclass(frozen=True, eq=False)
class ScaledInverse:
    """Inverse of a cross-product, made on columns of unit norm, and its reciprocal condition number there."""

    inverse: Array
    rcond: float

    def solve(self, b: Array) -> Array:
        """``G^{-1} b`` for ``b`` of shape (p,) or (p, q)."""
        return np.asarray(self.inverse @ b)


def scaled_inverse(G: Array) -> ScaledInverse | None:
    """Inverse of a cross-product, or None when it is not numerically positive definite.

    Raises
    ------
    DataError
        When ``G`` holds a value that is not finite: so did the data.
    """
    if not np.isfinite(G).all():
        raise DataError(
            "the design matrix or the weights hold missing or infinite values, or some so large that their squares are"
        )
    if not len(G):
        return ScaledInverse(G, 1.0)
    scale = np.sqrt(np.diagonal(G))
    if not scale.all():
        return None
    if scale.min() < 1 / LARGEST:
        raise DataError("the design matrix holds a column of values so small that their squares are zero; rescale it")
    unit = G / np.outer(scale, scale)
    # Only numpy's LAPACK here: scipy brings a second pool of threads, and the two get in each other's way
    try:
        np.linalg.cholesky(unit)
        inverse = np.linalg.inv(unit)
    except np.linalg.LinAlgError:
        return None
    rcond = 1 / (np.abs(unit).sum(axis=0).max() * np.abs(inverse).sum(axis=0).max())
    inverse = (inverse + inverse.T) / 2
    return ScaledInverse(inverse / np.outer(scale, scale), float(rcond))


def inverse_of(G: Array) -> Array:
    """Inverse of a symmetric matrix with a positive diagonal, made on a diagonal of ones: columns' units do not matter.

    Raises
    ------
    numpy.linalg.LinAlgError
        For a singular matrix.
    """
    scale = np.sqrt(np.diagonal(G))
    unit = np.outer(scale, scale)
    return np.asarray(np.linalg.inv(G / unit) / unit, dtype=np.float64)


def ill_conditioned(inverse: Array) -> bool:
    """Whether a cross-product, whose inverse this is, has lost five digits in it: see ``RCOND_NORMAL``."""
    scale = np.sqrt(np.diagonal(inverse))
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        return True
    values = np.linalg.eigvalsh(inverse / np.outer(scale, scale))
    return bool(len(values) and values[0] < RCOND_NORMAL * values[-1])


def triangular_factor(A: Array, B: Array, weights: Array | None) -> Array:
    """R of the Householder QR of ``[A B]`` with rows scaled by root weights, one block of rows at a time."""
    width = A.shape[1] + B.shape[1]
    R = np.empty((0, width))
    root = None if weights is None else np.sqrt(weights)
    for rows in row_blocks(len(A), width):
        block = np.hstack([A[rows], B[rows]])
        if root is not None:
            block *= root[rows, None]
        R = np.asarray(np.linalg.qr(np.vstack([R, block]), mode="r"))
    return R


def independent_columns(R: Array, tol: float | Array) -> tuple[Codes, Array]:
    """Which columns to keep, by R's rule, and an orthonormal basis of them.

    Columns are taken in order. One whose part outside the span of those already kept is shorter than ``tol`` times
    the column itself is left out: what R's ``qr(tol = 1e-7)`` does, and what no norm-sorting pivot does.

    Parameters
    ----------
    R : ndarray, shape (m, p)
        The design, or the triangular factor of it (remaining norms are the same).
    tol : float or ndarray, shape (p,)
        Relative length below which a column is aliased.

    Returns
    -------
    kept : ndarray of int, shape (r,)
        Columns kept, in order.
    basis : ndarray, shape (m, r)
        ``basis.T @ R[:, kept]`` is upper triangular.
    """
    kept: list[int] = []
    tols = np.broadcast_to(tol, R.shape[1])
    basis = np.empty((R.shape[0], min(R.shape)))
    for j in range(R.shape[1]):
        Q = basis[:, : len(kept)]
        rest = R[:, j]
        for _ in range(2):  # a second projection removes what rounding left of the first
            rest = rest - Q @ (Q.T @ rest)
        length, whole = np.linalg.norm(rest), np.linalg.norm(R[:, j])
        if length > 0 and length >= tols[j] * whole and len(kept) < basis.shape[1]:
            basis[:, len(kept)] = rest / length
            kept.append(j)
    return np.asarray(kept, dtype=np.intp), basis[:, : len(kept)]


def refuse_extreme(values: Array, what: str) -> None:
    """A ``DataError`` for numbers whose squares overflow, or all vanish: no variance could be computed of them."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest > LARGEST and np.isfinite(largest):
        how = f"up to {largest:.3g}, whose squares are beyond the largest number there is"
    elif 0 < largest < 1 / LARGEST:
        how = f"at most {largest:.3g}, whose squares are zero"
    else:
        return
    raise DataError(f"{what} has values of {how}: no variance can be computed of them; express it in another unit")


def refuse_extreme_columns(X: Array, names: Sequence[str]) -> None:
    """``refuse_extreme`` of the columns of a design."""
    for j, name in enumerate(names):
        refuse_extreme(X[:, j], name)


def as_floats(values: Any, what: str, shape: tuple[int, ...] | None = None) -> Array:
    """``values`` as an array of doubles, copied only if needed; a ``DataError`` when the shape is another."""
    array = np.asarray(values, dtype=np.float64)
    if shape is not None and array.shape != shape:
        raise DataError(f"{what} has shape {array.shape}, expected {shape}")
    return array


def checked_weights(weights: Any, n: int) -> Array | None:
    """Prior weights as doubles, or None; negative or missing ones are a ``DataError``."""
    if weights is None:
        return None
    w = as_floats(weights, "weights", (n,))
    if not (w >= 0).all():  # also catches NaN
        raise DataError("missing or negative weights are not allowed")
    return w
