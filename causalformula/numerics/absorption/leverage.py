"""Absorbed factors as columns, and what they add to the diagonal of the hat matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.numerics.absorption.absorber import Absorber
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.arrays import Array

# Numbers of the dummies of all factors but the largest.
CELLS = 20_000_000
# An eigenvalue below this share of the largest is that of a dummy that others make up.
SINGULAR = 1e-10


def _columns(effect: Effect) -> Array:
    """The variables of each level's regression (n, width)."""
    n = len(effect.codes)
    return np.column_stack([np.ones(n) if column is None else column for column in effect.columns()])


def own_leverage(effect: Effect, weights: Array) -> Array:
    """Leverages (n,) of one factor by itself: a small regression in each level."""
    Z = _columns(effect)
    sums = np.empty((effect.levels, effect.width, effect.width))
    for i in range(effect.width):
        for j in range(i + 1):
            own = np.bincount(effect.codes, weights * Z[:, i] * Z[:, j], effect.levels)
            sums[:, i, j] = sums[:, j, i] = own
    # to unit columns, so that a share tells what is rounding
    length = np.sqrt(np.einsum("gii->gi", sums))
    scale = np.where(length > 0, 1 / np.where(length > 0, length, 1.0), 0.0)
    inverse = np.linalg.pinv(sums * scale[:, :, None] * scale[:, None, :], rcond=SINGULAR, hermitian=True)
    scaled = Z * scale[effect.codes]
    return np.asarray(weights * np.einsum("ni,nij,nj->n", scaled, inverse[effect.codes], scaled))


def dummy_basis(effects: Sequence[Effect], held: Absorber | None, weights: Array) -> Array:
    """Orthonormal columns (n, r), by the weights, that span the effects of some factors less those of ``held``."""
    n, blocks = len(weights), [np.empty((len(weights), 0))]
    for effect in effects:
        for column in effect.columns():
            block = np.zeros((n, effect.levels))
            block[np.arange(n), effect.codes] = 1.0 if column is None else column
            length = np.sqrt(weights @ block**2)
            blocks.append(block / np.where(length > 0, length, 1.0))
    D = np.hstack(blocks)
    if not D.shape[1]:
        return D
    D = D if held is None else held.demean(D).values
    values, vectors = np.linalg.eigh(D.T @ (weights[:, None] * D))
    kept = values > SINGULAR * max(1.0, float(values[-1]))
    return np.asarray(D @ (vectors[:, kept] / np.sqrt(values[kept])))
