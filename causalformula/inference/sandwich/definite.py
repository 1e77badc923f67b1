"""Matrices that should be covariances: what rounding or inclusion-exclusion may do to their definiteness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.numerics.arrays import Array


def nearest_psd(matrix: Array) -> tuple[Array, bool]:
    """The matrix with negative eigenvalues set to zero, and whether it had any (on the scale of its diagonal)."""
    scale = np.sqrt(np.abs(np.diag(matrix)))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    if not len(values) or values[0] >= -1e-10 * max(values[-1], 1.0):
        return matrix, False
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T), True


def transformed(matrix: Array, jac: Array) -> Array:
    """``J V J'``; a variance that is zero but for rounding is zero, not negative."""
    out = jac @ matrix @ jac.T
    size = np.einsum("qi,ij,qj->q", np.abs(jac), np.abs(matrix), np.abs(jac), optimize=True)
    at = np.flatnonzero(np.abs(np.diag(out)) <= 1e-15 * size)
    out[at, at] = 0.0
    return np.asarray(out)


def summed(terms: Sequence[Array]) -> Array:
    """The sum of an inclusion-exclusion; a variance that is zero but for rounding is zero, not negative."""
    total = np.sum(terms, axis=0)
    size = np.sum([np.abs(np.diag(term)) for term in terms], axis=0)
    at = np.flatnonzero(np.abs(np.diag(total)) <= 1e-13 * size)
    total[at, at] = 0.0
    return np.asarray(total)
