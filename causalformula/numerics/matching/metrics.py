"""Coordinates in which Euclidean distance is the distance that was asked for."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.linalg import independent_columns

METRICS = ("mahalanobis", "robust_mahalanobis", "scaled_euclidean", "euclidean")
# Directions with less than this share of the largest variance have none; its square is rounding of a variance of one.
NO_SPREAD = 1e-10


def coordinates(metric: str, X: Array, treated: Bools, used: Bools, s: Array | None = None) -> Array:
    """Coordinates (n, r) of covariates ``X`` (n, p) under a distance.

    ``mahalanobis`` by the pooled covariance within arms, ``robust_mahalanobis`` by the covariance of ranks, rescaled to
    the variance of ranks without ties; ``scaled_euclidean`` over the pooled standard deviations; ``euclidean`` as they
    are. Directions without spread are left out, as a generalised inverse does, and r may be 0.

    Parameters
    ----------
    used : ndarray (n,) of bool
        Rows whose spread counts.
    s : ndarray (n,), optional
        Sampling weights of the spread.

    References
    ----------
    Rubin (1980); Rosenbaum (2010), section 8.3. R: ``MatchIt::mahalanobis_dist()`` and its like, 4.7.
    """
    w = np.where(used, 1.0 if s is None else s, 0.0)
    X = np.ascontiguousarray(X, dtype=float)  # sums in one order, so that ties by rounding do not depend on the layout
    if metric == "euclidean":
        return X
    if metric == "robust_mahalanobis":
        ranks = np.column_stack([rankdata(column) for column in X.T])
        V = covariance(ranks, w)
        untied = np.sqrt((len(X) * (len(X) + 1) / 12) / np.where(np.diag(V) > 0, np.diag(V), 1.0))
        return mahalanobis(ranks, V * np.outer(untied, untied))
    within = pooled_covariance(X, treated, w)
    if metric == "scaled_euclidean":
        spread = np.sqrt(np.diag(within))
        return np.asarray(X / np.where(spread > 0, spread, 1.0))
    # on one scale first, so that the pivots of the factor do not depend on the units of measurement
    spread = np.sqrt(np.diag(covariance(X, w)))
    spread = np.where(spread > 0, spread, 1.0)
    return mahalanobis(X / spread, within / np.outer(spread, spread))


def without_part(metric: str, X: Array, treated: Bools, used: Bools) -> Bools:
    """Columns (p,) that add nothing to a distance: without spread, or combinations of columns before them.

    A generalised inverse leaves these directions out. Other distances than Mahalanobis' take each column by itself.
    """
    ranked = metric == "robust_mahalanobis"
    Y = np.column_stack([rankdata(column) for column in X.T]) if ranked else np.asarray(X, dtype=float)
    scale = np.abs(Y[used] - Y[used].mean(axis=0)).max(axis=0)
    if metric not in ("mahalanobis", "robust_mahalanobis"):
        return np.asarray(scale == 0)
    Y = Y[used] / np.where(scale > 0, scale, 1.0)
    arms = [np.ones(len(Y), dtype=bool)] if ranked else [treated[used], ~treated[used]]
    for arm in (arm for arm in arms if arm.any()):  # over the whole sample there is one
        Y[arm] -= Y[arm].mean(axis=0)
    Y[:, np.abs(Y).max(axis=0) < NO_SPREAD] = 0.0
    kept, _ = independent_columns(np.asarray(np.linalg.qr(Y, mode="r")), np.sqrt(NO_SPREAD))
    return ~np.isin(np.arange(X.shape[1]), kept)


def covariance(X: Array, w: Array) -> Array:
    """Weighted covariance, without bias for weights of one."""
    share = w / w.sum()
    off = X - share @ X
    return np.asarray((off * share[:, None]).T @ off / (1 - share @ share))


def pooled_covariance(X: Array, treated: Bools, w: Array) -> Array:
    """Covariance within arms: over all rows about the means of their arms, with one degree of freedom an arm."""
    off = X.astype(float)
    for arm in (treated, ~treated):
        share = np.where(arm, w, 0.0)
        if share.any():
            off = np.where(arm[:, None], X - share @ X / share.sum(), off)
    n = len(w[w > 0])
    share = w / w.sum()
    return np.asarray((off * share[:, None]).T @ off * (n / max(n - 2, 1)))


def mahalanobis(X: Array, V: Array) -> Array:
    """``X R'`` with ``R' R`` the generalised inverse of ``V``, R from a Cholesky factorisation with pivots."""
    values, vectors = np.linalg.eigh(V)
    kept = values > max(values.max() * NO_SPREAD, NO_SPREAD**2)
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    if not kept.any():
        return np.empty((len(X), 0))
    R = _pivoted_cholesky(inverse, int(kept.sum()))
    return np.column_stack([sum(x * r for x, r in zip(X.T, row, strict=True)) for row in R])


def _pivoted_cholesky(A: Array, rank: int) -> Array:
    """``R`` (rank, p) with ``R' R = A``, its columns in the order of ``A``'s."""
    rest, R = A.copy(), np.zeros((rank, len(A)))
    for k in range(rank):
        pivot = int(np.argmax(np.diag(rest)))
        R[k] = rest[pivot] / np.sqrt(rest[pivot, pivot])
        rest -= np.outer(R[k], R[k])
    return R
