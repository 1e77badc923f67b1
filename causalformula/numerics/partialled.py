"""One coefficient of many regressions that differ in a single column: what the others explain is taken out once."""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array

# A column is explained by the others where this share of its length, or less, is left.
EXPLAINED = 1e-7


def others(C: Array, w: Array | None) -> tuple[Array, Array] | None:
    """An orthonormal basis (n, p) of the common columns under weights, and the roots (n,) of these.

    None where the columns are not independent.
    """
    root = np.ones(len(C)) if w is None else np.sqrt(w)
    Q, R = np.linalg.qr(C * root[:, None])
    lengths = np.sqrt(np.einsum("ij,ij->j", R, R))
    if (np.abs(np.diag(R)) <= EXPLAINED * lengths).any():
        return None
    return np.asarray(Q), root


def left(V: Array, basis: tuple[Array, Array]) -> Array:
    """What a basis leaves of each row of ``V`` (R, n)."""
    Q, root = basis
    V = V * root
    return np.asarray(V - (V @ Q) @ Q.T)


def of_each(D: Array, y: Array, basis: tuple[Array, Array]) -> Array:
    """Coefficients (R,) of each row of ``D`` (R, n) in a regression of ``y`` on it and the common columns."""
    rest = left(D, basis)
    return _ratio(rest @ left(y[None, :], basis)[0], rest, D * basis[1])


def on_each(d: Array, Y: Array, basis: tuple[Array, Array]) -> Array:
    """Coefficients (R,) of ``d`` in a regression of each row of ``Y`` (R, n) on it and the common columns."""
    rest = left(d[None, :], basis)
    return _ratio(left(Y, basis) @ rest[0], rest, d * basis[1])


def beside_each(d: Array, Z: Array, y: Array, basis: tuple[Array, Array]) -> Array:
    """Coefficients (R,) of ``d`` in a regression of ``y`` on it, the common columns and each row of ``Z`` (R, n)."""
    e, rest, added = left(y[None, :], basis)[0], left(d[None, :], basis)[0], left(Z, basis)
    size = np.einsum("rn,rn->r", added, added)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (added @ rest) / size
    apart = rest - share[:, None] * added
    return _ratio(apart @ e, apart, d * basis[1])


def _ratio(product: Array, rest: Array, whole: Array) -> Array:
    """``product`` over the squared length of what is left; NaN where that is rounding."""
    size = np.einsum("rn,rn->r", rest, rest)
    whole = np.atleast_2d(whole)
    good = size > EXPLAINED**2 * np.einsum("rn,rn->r", whole, whole)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(good, product / size, np.nan))
