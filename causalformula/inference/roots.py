"""Inverse square roots of diagonal-minus-low-rank matrices, for stacks of clusters of one size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A direction that a cluster alone determines is fitted exactly: its residual is zero, and so is its contribution.
FREE = 1e-10
# Up to this size a cluster's matrix is decomposed; above it, its inverse root is an integral of resolvents.
DENSE = 100
# Trapezoidal rule on the line: the error falls as exp(-pi^2 / STEP), so this is below rounding.
STEP = 0.29
TAIL = 35.0


def power_of_free(values: Array, power: float) -> Array:
    """``(1 - values) ** power``, zero where a value is one (a generalised inverse)."""
    free = 1 - values
    return np.asarray(np.where(free > FREE, np.maximum(free, FREE), np.inf) ** power)


def inverse_root_times(z: Array, phi: Array) -> Array:
    """``F (F (I - zz') F)^{-1/2} z`` with ``F = diag(phi)``, for each of m clusters.

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
    phi = phi / phi.max(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(np.swapaxes(z, 1, 2) @ z)
    if z.shape[1] <= DENSE:
        return _by_decomposition(z, phi, values, vectors)
    return np.stack([_by_integral(*cluster) for cluster in zip(z, phi, values, vectors, strict=True)])


def _by_decomposition(z: Array, phi: Array, values: Array, vectors: Array) -> Array:
    """Through the orthogonal factor U of ``C = (I - zz')^{1/2} F``: ``F (C'C)^{-1/2} z = (I - zz')^{-1/2} U z``.

    Small variances keep their relative accuracy, which squaring ``C`` would lose.
    """
    s = z.shape[1]
    root = np.sqrt(np.maximum(1 - values, 0))
    zv = z @ vectors
    back = np.swapaxes(zv, 1, 2)
    C = (np.eye(s) - (zv / (1 + root)[:, None, :]) @ back) * phi[:, None, :]
    left, _, right = np.linalg.svd(C)
    free = 1 - values > FREE
    kept = np.arange(s) < s - (~free).sum(axis=1)[:, None]
    turned = (left * kept[:, None, :]) @ (right @ z)
    grow = np.where(free, 1 / (root * (1 + root) + ~free), -1.0)
    return np.asarray(turned + (zv * grow[:, None, :]) @ (back @ turned))


def _by_integral(z: Array, phi: Array, values: Array, vectors: Array) -> Array:
    """``B^{-1/2} z = (2 / pi) int e^x (e^{2x} + B)^{-1} z dx``, each resolvent a diagonal and a small system.

    Null directions of ``B = F (I - zz') F`` are moved to eigenvalue one and left out of the result.
    """
    free = 1 - values > FREE
    null = np.linalg.qr(z @ vectors[:, ~free] / phi[:, None])[0]
    W = np.hstack([phi[:, None] * z, null])
    signs = np.diag(np.concatenate([-np.ones(z.shape[1]), np.ones(null.shape[1])]))
    y = z - null @ (null.T @ z)
    lowest = 2 * np.log(phi.min()) + np.log(float((1 - values[free]).min(initial=1.0)))
    out = np.zeros_like(y)
    for x in np.arange(lowest / 2 - TAIL, TAIL, STEP):
        diagonal = 1 / (np.exp(2 * x) + phi**2)
        scaled = diagonal[:, None] * W
        out += np.exp(x) * (diagonal[:, None] * y - scaled @ np.linalg.solve(signs + scaled.T @ W, scaled.T @ y))
    out *= 2 * STEP / np.pi
    return np.asarray(phi[:, None] * (out - null @ (null.T @ out)))
