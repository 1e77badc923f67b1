"""Means and regressions of numbers that are given, with the covariance of ``inference``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from causalformula.errors import DataError
from causalformula.inference.covariance import covariance
from causalformula.inference.linear import fit_linear
from causalformula.inference.requests import HC, Cluster
from causalformula.numerics.arrays import Array, Codes
from causalformula.words import CRType, HCType


@dataclass(frozen=True, eq=False)
class Measured:
    """Numbers with their covariance.

    Parameters
    ----------
    estimate : ndarray (q,)
    matrix : ndarray (q, q)
    df : ndarray (q,)
        Degrees of freedom of the t distribution.
    """

    estimate: Array
    matrix: Array
    df: Array

    @property
    def std_error(self) -> Array:
        """Standard errors (q,)."""
        return np.sqrt(np.diag(self.matrix))

    def map(self, jac: Array) -> Measured:
        """Linear combinations ``jac`` (r, q), with the least of the degrees of freedom of what takes part."""
        df = np.array([self.df[row != 0].min(initial=np.inf) for row in jac])
        return Measured(jac @ self.estimate, jac @ self.matrix @ jac.T, df)

    def take(self, which: Sequence[int]) -> Measured:
        """Some of the numbers."""
        at = list(which)
        return Measured(self.estimate[at], self.matrix[np.ix_(at, at)], self.df[at])

    def limits(self, level: float = 0.95) -> tuple[Array, Array]:
        """Lower and upper confidence limits (q,)."""
        half = stats.t.ppf((1 + level) / 2, self.df) * self.std_error
        return self.estimate - half, self.estimate + half


def regressed(
    X: Array,
    y: Array,
    names: Sequence[str],
    weights: Array | None = None,
    clusters: Codes | None = None,
    rows: HCType = "HC2",
    grouped: CRType = "CR2",
    df: float | None = None,
) -> Measured:
    """Least squares of ``y`` on ``X`` without an intercept of its own, with a sandwich covariance.

    ``rows`` is the covariance without clusters, ``grouped`` that with them, ``df`` degrees of freedom in the place of
    the residual ones, or with clusters of Satterthwaite's. A coefficient that the others leave
    undetermined is NaN, with a variance that is NaN.
    """
    model = fit_linear(X, y, tuple(names), weights=weights, intercept=False)
    if clusters is None:
        found = covariance(model.estimate(), HC(rows, df=df))
    else:
        found = covariance(model.estimate(), Cluster(("cluster",), grouped, df=df), groups={"cluster": clusters})
    matrix = np.full((X.shape[1],) * 2, np.nan)
    matrix[np.ix_(model.kept, model.kept)] = found.matrix
    freedom = np.full(X.shape[1], np.nan)
    freedom[model.kept] = found.df
    return Measured(model.coef, matrix, freedom)


def mean_of(values: Array, weights: Array | None = None, clusters: Codes | None = None) -> Measured:
    """The weighted mean of values (n,), with the standard error of a sample: ``sd / sqrt(n)`` without weights."""
    return regressed(np.ones((len(values), 1)), values, ("mean",), weights, clusters)


def numbers(what: str, values: Array, n: int | None = None) -> Array:
    """Values as numbers, all of them finite and as many as there are rows.

    Raises
    ------
    DataError
        Otherwise.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{what} must hold numbers") from None
    if found.ndim != 1 or (n is not None and len(found) != n):
        rows = "one number a row" if n is None else f"one number for each of the {n} rows"
        raise DataError(f"{what} must hold {rows}; it has shape {found.shape}")
    if not len(found):
        raise DataError(f"{what} must hold one number a row, and there are no rows")
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        raise DataError(f"{what} is missing or infinite in {len(bad)} of {len(found)} rows, the first at {bad[0]}")
    return found


def sample_weights(weights: Array | None, n: int) -> Array:
    """Sampling weights (n,): ones where there are none."""
    if weights is None:
        return np.ones(n)
    found = numbers("weights", weights, n)
    if (found < 0).any() or not found.any():
        raise DataError("weights must not be negative, and one of them must be positive")
    return found
