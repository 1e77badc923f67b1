"""Leverages of absorbed factors: what their dummies add to the diagonal of the hat matrix."""

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


def rest_leverage(others: Sequence[Effect], first: Absorber, weights: Array) -> Array | float:
    """Leverages (n,) that other factors add to that of ``first``: of their dummies less its effects."""
    if not others:
        return 0.0
    blocks = []
    for effect in others:
        for column in effect.columns():
            block = np.zeros((len(weights), effect.levels))
            block[np.arange(len(weights)), effect.codes] = 1.0 if column is None else column
            length = np.sqrt(weights @ block**2)
            blocks.append(block / np.where(length > 0, length, 1.0))
    D = first.demean(np.hstack(blocks)).values
    values, vectors = np.linalg.eigh(D.T @ (weights[:, None] * D))
    kept = values > SINGULAR * max(1.0, float(values[-1]))
    basis = D @ (vectors[:, kept] / np.sqrt(values[kept]))
    return np.asarray(weights * np.einsum("ij,ij->i", basis, basis))
