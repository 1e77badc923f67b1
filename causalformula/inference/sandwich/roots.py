"""Powers of identity- or diagonal-minus-low-rank matrices, for stacks of clusters of one size."""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array, Bools

# A direction that a cluster alone determines is fitted exactly: its residual is zero, and so is its contribution.
FREE = 1e-10
# exp(-DIGITS) is below rounding.
DIGITS = 37.0
# Rows whose cosine is below this are orthogonal, and sweeps over all pairs after which rotations have long converged.
ORTHOGONAL = 1e-15
SWEEPS = 30


def power_of_free(values: Array, power: float) -> Array:
    """``(1 - values) ** power``, zero where a value is one (a generalised inverse)."""
    free = 1 - values
    return np.asarray(np.where(free > FREE, np.maximum(free, FREE), np.inf) ** power)


def nodes(low: float, high: float) -> tuple[Array, Array]:
    """Points t and weights of ``x^{-1/2} = sum weight / (t^2 + x)``, to rounding for all x in [low, high].

    The integral ``(2 / pi) int_0^inf dt / (t^2 + x)`` after the substitution ``t = sqrt(low) sc(u)`` by a Jacobi
    elliptic function, under which the midpoint rule converges geometrically (Hale, Higham and Trefethen 2008). Points
    come in pairs with product ``sqrt(low high)``, so that no elliptic function is taken near its pole.
    """
    from scipy.special import ellipk, ellipkm1

    ratio = low / high
    period = float(ellipkm1(ratio))
    half = int(np.ceil(DIGITS * period / (4 * np.pi * ellipk(ratio)))) + 1
    step = period / (2 * half)
    sc, slope = _tangent((np.arange(half, dtype=np.float64) + 0.5) * step, ratio)
    t = np.concatenate([np.sqrt(low) * sc, np.sqrt(high) / sc])
    return t, 2 / np.pi * step * np.concatenate([np.sqrt(low) * slope, np.sqrt(high) * slope / sc**2])


def _tangent(u: Array, ratio: float) -> tuple[Array, Array]:
    """``sc(u)`` of complementary parameter ``ratio`` and its derivative, for u up to half the quarter period.

    For a small ratio by Fourier series (in ``iu``, hence hyperbolic): its parameter would round to one.
    """
    from scipy.special import ellipj, ellipk, ellipkm1

    if ratio > 0.01:
        sn, cn, dn, _ = ellipj(u, 1 - ratio)
        return np.asarray(sn / cn), np.asarray(dn / cn**2)
    quarter = float(ellipk(ratio))
    odd = np.arange(1, 26, 2)[:, None]
    power = -np.pi * float(ellipkm1(ratio)) / quarter * odd
    angle = np.pi / (2 * quarter) * odd
    amplitude = 2 * np.pi / (np.sqrt(ratio) * quarter) / -np.expm1(power)
    # exp(power / 2) and the hyperbolic functions under- and overflow together: their exponents are added first
    up, down = np.exp(power / 2 + angle * u), np.exp(power / 2 - angle * u)
    return (amplitude * (up - down) / 2).sum(axis=0), (amplitude * angle * (up + down) / 2).sum(axis=0)


def inverse_root_times(z: Array, phi: Array) -> Array:
    """``F (F (I - zz') F)^{-1/2} z`` with ``F = diag(phi)``, for each of m clusters, without a matrix of their size.

    Parameters
    ----------
    z : ndarray (m, s, p)
    phi : ndarray (m, s)
        Positive. Its scale does not matter.

    Returns
    -------
    ndarray (m, s, p)
        Generalised inverses where a cluster has directions of leverage one.
    """
    phi = (phi / phi.max(axis=1, keepdims=True))[:, :, None]
    values, vectors = np.linalg.eigh(np.swapaxes(z, 1, 2) @ z)
    free = 1 - values > FREE
    null = _null_directions(z, phi, vectors, free)
    # Null directions are moved to the eigenvalue one, and left out of the result.
    W = np.concatenate([phi * z, null], axis=2)
    signs = np.diag(np.concatenate([-np.ones(z.shape[2]), np.ones(null.shape[2])]))
    y = z - null @ (np.swapaxes(null, 1, 2) @ z)
    low = float((phi.min(axis=(1, 2)) ** 2 * np.where(free, 1 - values, 1.0).min(axis=1)).min())
    out = np.zeros_like(y)
    for t, weight in zip(*nodes(low, 1.0), strict=True):
        diagonal = 1 / (t**2 + phi**2)
        scaled = diagonal * W
        back = np.swapaxes(scaled, 1, 2)
        out += weight * (diagonal * y - scaled @ np.linalg.solve(signs + back @ W, back @ y))
    return np.asarray(phi * (out - null @ (np.swapaxes(null, 1, 2) @ out)))


def _null_directions(z: Array, phi: Array, vectors: Array, free: Bools) -> Array:
    """Orthonormal null vectors of ``F (I - zz') F`` (m, s, d), padded with zeros where a cluster has fewer."""
    most = int((~free).sum(axis=1).max(initial=0))
    # eigenvalues ascend, so those that equal one come last; reversed, a cluster's own come first
    lost = ~free[:, ::-1][:, None, :most]
    found = np.linalg.qr(np.where(lost, z @ vectors[:, :, ::-1][:, :, :most] / phi, 0.0))[0]
    return np.asarray(np.where(lost, found, 0.0))


def graded(top: Array, below: Array) -> tuple[Array, Array, Array]:
    """Singular value decomposition of ``[top; below]``, with all digits where the rows of ``top`` are tiny.

    Rotations of pairs of rows keep the small components of the small rows' vectors (Demmel and Veselic 1992), which
    a bidiagonalisation loses. The rows below are of one size, and are made orthogonal together.

    Returns
    -------
    P : ndarray (m, m)
        Left vectors in columns.
    values : ndarray (m,)
        In no order.
    right : ndarray (m, k)
        Right vectors in rows.
    """
    d, rows, P = len(top), np.vstack([top, below]), np.eye(len(top) + len(below))
    for _ in range(SWEEPS):
        U, values, right = np.linalg.svd(rows[d:], full_matrices=False)
        rows[d:], P[d:] = values[:, None] * right, U.T @ P[d:]
        # a list, since all pairs are to be rotated
        if not any([_rotated(rows, P, i, j) for i in range(d) for j in range(i + 1, len(rows))]):
            break
    values = np.sqrt((rows**2).sum(axis=1))
    return P.T, values, rows / values[:, None]


def _rotated(rows: Array, P: Array, i: int, j: int) -> bool:
    """Rotate two rows until they are orthogonal, if they are not."""
    one, other, product = rows[i] @ rows[i], rows[j] @ rows[j], rows[i] @ rows[j]
    if abs(product) <= ORTHOGONAL * np.sqrt(one) * np.sqrt(other):
        return False
    zeta = (other - one) / (2 * product)
    t = (1.0 if zeta >= 0 else -1.0) / (abs(zeta) + np.hypot(1.0, zeta))
    c = 1 / np.hypot(1.0, t)
    turn = np.array([[c, -c * t], [c * t, c]])
    rows[[i, j]], P[[i, j]] = turn @ rows[[i, j]], turn @ P[[i, j]]
    return True
