"""A sparse factorisation that preconditions, for levels in long chains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from causalformula.numerics.absorption.conjugate import Product
from causalformula.numerics.absorption.effect import Matrix
from causalformula.numerics.arrays import Array

# What is added to the diagonal, in case more dimensions are lost than are known.
BIT = 1e-8


def factored(S: Matrix, intercepts: Sequence[slice]) -> Product:
    """About the inverse of a singular ``S`` that is sparse, on a space on which it is regular as far as is known.

    Parameters
    ----------
    S : sparse matrix, shape (m, m)
        What is left of inner products when a factor with intercepts is eliminated.
    intercepts : sequence of slice
        The coefficients that are other factors' intercepts. Those of levels that are connected sum to intercepts of
        the eliminated factor: one in each component is left at zero.
    """
    kept = np.ones(S.shape[0], dtype=bool)
    for block in intercepts:
        labels = connected_components(S[block, block], directed=False)[1]
        kept[block.start + np.unique(labels, return_index=True)[1]] = False
    regular = (S[kept][:, kept] + BIT * sparse.identity(int(kept.sum()))).tocsc()
    factor = splu(regular, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})

    def times(r: Array) -> Array:
        out = np.zeros_like(r)
        out[kept] = factor.solve(r[kept])
        return out

    return times
