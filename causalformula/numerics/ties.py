"""Values that are the same but for rounding: ties, which must not be told apart by the order of rows."""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array

# Values closer than this share of the largest are one value: a score of the same covariates is computed in another
# order of operations in another row.
ROUNDING = 1e-12


def tied(x: Array) -> Array:
    """The values, those that differ by rounding only made equal."""
    if not np.isfinite(x).all() or len(x) < 2:
        return x
    order = np.argsort(x, kind="stable")
    gaps = np.diff(x[order])
    apart = gaps > ROUNDING * max(abs(float(x[order[0]])), abs(float(x[order[-1]])))
    if (apart | (gaps == 0)).all():
        return x
    first = np.concatenate([[True], apart])
    out = np.empty_like(x)
    out[order] = x[order][first][np.cumsum(first) - 1]
    return out
