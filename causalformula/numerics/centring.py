"""Columns far from zero: counted from their means, so that a confounder of 1e8 and a bit is not taken for the constant.

A design with an intercept spans the same space whichever origin its columns are counted from, but sums of squares about
a distant origin hold few digits of what varies. Effects are estimated on the columns moved here; coefficients are
brought back for whoever reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array, Codes

# A column whose mean is this many times its standard deviation is far from zero: cross-products lose three digits.
FAR = 30.0
# Rows looked at first: columns that vary among them are not far, and most designs are settled there.
FIRST = 1024
# What varies by less than this share of itself is a constant that was computed.
CONSTANT = 1e-13
# A number is known to this share of itself, so that differences of columns below it are rounding.
KNOWN = 16 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Centred:
    """A design as it is solved.

    Attributes
    ----------
    X : ndarray, shape (n, p)
        The columns; those far from zero less their means.
    moved : ndarray, shape (p, p), optional
        How much of each column (row of the matrix) was taken from each other one: ``X_given = X (I + moved)``. None
        where nothing was moved.
    tol : float or ndarray, shape (p,)
        Relative length below which a column is aliased; longer where the column was known to fewer digits.
    """

    X: Array
    moved: Array | None
    tol: float | Array

    def read(self, coef: Array) -> Array:
        """Coefficients (..., p) of the columns as given, from those of the columns as solved; NaN where aliased."""
        return given_coefficients(coef, self.moved)


def given_coefficients(coef: Array, moved: Array | None) -> Array:
    """``(I - moved) coef`` along the last axis; aliased coefficients (NaN) stay NaN and count as zero."""
    if moved is None:
        return coef
    return np.asarray(coef - np.nan_to_num(coef) @ moved.T)


def first_column(X: Array, intercept: bool) -> Codes | None:
    """The intercept of each column where the first one is it; None without an intercept."""
    return np.zeros(X.shape[1], dtype=np.intp) if intercept else None


def centred(X: Array, weights: Array | None = None, tol: float = 1e-7, anchors: Codes | None = None) -> Centred:
    """Move the columns that are far from zero.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    weights : ndarray, shape (n,), optional
        Weights of the rows.
    tol : float
        Relative length below which a column is aliased.
    anchors : ndarray of int, shape (p,), optional
        The intercept of each column: a column that is one where the column is not zero. The first by default.
    """
    anchors = np.zeros(X.shape[1], dtype=np.intp) if anchors is None else anchors
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # squares that overflow are refused by name where they are summed
        far = _far(X, weights, anchors)
    if not len(far):
        return Centred(X, None, tol)
    Z = X.astype(np.float64, copy=True)
    moved, tols = np.zeros((X.shape[1], X.shape[1])), np.full(X.shape[1], tol)
    for j in far:
        inside = X[:, anchors[j]] != 0
        centre, spread = _moments(X[inside, j], None if weights is None else weights[inside])
        moved[anchors[j], j] = centre
        Z[inside, j] = 0.0 if spread <= CONSTANT * abs(centre) else Z[inside, j] - centre
        tols[j] = max(tol, KNOWN * abs(centre) / spread) if spread > 0 else tol
    return Centred(Z, moved, tols)


def _far(X: Array, weights: Array | None, anchors: Codes) -> Codes:
    """Columns far from zero, among the rows where their intercept is one."""
    if not len(X):
        return np.empty(0, dtype=np.intp)
    glance = X[:: max(1, len(X) // FIRST)]
    maybe = []
    for j in np.flatnonzero(np.arange(X.shape[1]) != anchors):
        x = glance[glance[:, anchors[j]] != 0, j]
        if not len(x) or abs(x.mean()) > FAR / 3 * x.std():
            maybe.append(j)
    found = [j for j in maybe if _is_far(X, weights, int(j), int(anchors[j]))]
    return np.asarray(found, dtype=np.intp)


def _is_far(X: Array, weights: Array | None, j: int, anchor: int) -> bool:
    inside = X[:, anchor] != 0
    centre, spread = _moments(X[inside, j], None if weights is None else weights[inside])
    return bool(abs(centre) > FAR * spread)


def _moments(x: Array, weights: Array | None) -> tuple[float, float]:
    """Mean and standard deviation; zeros where no row has weight."""
    if weights is None:
        return (float(x.mean()), float(x.std())) if len(x) else (0.0, 0.0)
    total = float(weights.sum())
    if not total > 0:
        return 0.0, 0.0
    # counted from one of the values, so that the mean of a constant is that constant
    first = float(x[int(np.argmax(weights > 0))])
    centre = first + float(weights @ (x - first)) / total
    return centre, float(np.sqrt(weights @ (x - centre) ** 2 / total))
