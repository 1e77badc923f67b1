"""Clusters whose rows only their own coefficients fit: two regressions in one, of which theirs tells no error.

Where the rank of a cluster's rows and that of all others add up to the number of coefficients, columns can be combined
so that each is zero in the cluster or outside it. An adjusted cluster's part in every estimate is then zero, and the
estimates of the others are those without it. Its weights, however large, need not enter, so no digits are lost to them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.linalg import group_sums, independent_columns, triangular_factor

# Columns are dependent where less than this share of their length is left.
DEPENDENT = 1e-10
# The leverages of a cluster that stands apart sum to its rank, but for their rounding.
ROUNDING = 1e-6


def apart(hat: Hat, codes: Codes, count: int) -> tuple[Hat, Array | None]:
    """The regression of the other clusters, and its columns (p, r) as combinations of those of ``hat``.

    Rows of clusters that stand apart have weight zero in it. None where there are no such clusters.
    """
    rows = _rows(hat, codes, count)
    if not rows.any():
        return hat, None
    others = (hat.w > 0) & ~rows
    columns = _vanishing(hat.X[rows])
    X = hat.X @ columns
    if not _spanned(hat.X[others], X[others]):
        return hat, None
    w = np.where(others, hat.w, 0.0)
    bread = _bread(X, w)
    e = hat.e
    if hat.least_squares:
        # beside large weights the coefficients have lost digits that the others' residuals need
        e = e - X @ (bread @ (X.T @ (w * e)))
    return replace(hat, X=X, w=w, e=e, bread=bread, nobs=int(others.sum()), k=None, regressors=None), columns


def _rows(hat: Hat, codes: Codes, count: int) -> Bools:
    """Rows (n,) of clusters whose leverages sum to the rank of their rows."""
    found = np.zeros(len(codes), dtype=bool)
    total = group_sums(np.where(hat.w > 0, hat.leverage(), 0.0), codes, count)
    whole = np.abs(total - np.rint(total)) <= ROUNDING * np.maximum(total, 1.0)
    for g in np.flatnonzero(whole & (total >= 0.5)):
        own = (codes == g) & (hat.w > 0)
        if len(independent_columns(hat.X[own], DEPENDENT)[0]) == round(total[g]):
            found |= own
    return found


def _vanishing(X: Array) -> Array:
    """Combinations (p, r) of columns that are zero in all rows of X: each dependent column less what it is made of."""
    kept, basis = independent_columns(X, DEPENDENT)
    rest = np.setdiff1d(np.arange(X.shape[1]), kept)
    out = np.zeros((X.shape[1], len(rest)))
    out[rest, np.arange(len(rest))] = 1.0
    out[kept] = -np.linalg.solve(basis.T @ X[:, kept], basis.T @ X[:, rest])
    return out


def _spanned(X: Array, by: Array) -> bool:
    """Whether all columns of X are combinations of others, which are independent."""
    kept, basis = independent_columns(by, DEPENDENT)
    left = X - basis @ (basis.T @ X)
    left -= basis @ (basis.T @ left)
    sizes = np.sqrt((X**2).sum(axis=0))
    return len(kept) == by.shape[1] and bool((np.sqrt((left**2).sum(axis=0)) <= DEPENDENT * sizes).all())


def _bread(X: Array, w: Array) -> Array:
    """``(X'WX)^{-1}``."""
    used = w > 0
    upper = triangular_factor(X[used], np.empty((int(used.sum()), 0)), w[used])
    inverse = np.linalg.solve(upper, np.eye(len(upper)))
    return np.asarray(inverse @ inverse.T, dtype=np.float64)
