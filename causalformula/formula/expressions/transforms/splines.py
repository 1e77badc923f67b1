"""R's ``splines::bs`` and ``splines::ns``: B-spline bases and natural cubic splines.

The B-spline basis within the boundary knots is formulaic's. What it has not, derivatives and R's continuation beyond
them, and with these natural splines, comes from scipy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.errors import DataError, warn
from causalformula.formula.expressions.values import Matrix
from causalformula.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class BSplineBasis:
    """A B-spline basis; beyond the boundary the polynomials of the outer pieces go on."""

    knots: Array
    boundary: Array
    degree: int = 3
    intercept: bool = False

    def apply(self, x: Array) -> Matrix:
        """The basis at ``x``, missing where ``x`` is."""
        out = np.full((len(x), len(self.knots) + self.degree + 1), np.nan, order="F")
        inside = (x >= self.boundary[0]) & (x <= self.boundary[1])
        out[inside] = self._within(x[inside])
        beyond = ~(inside | np.isnan(x))
        if beyond.any():
            message = "bs(): values beyond the boundary knots may make the basis ill-conditioned"
            warn(message)
            out[beyond] = _evaluate(x[beyond], _with_boundary(self.knots, self.boundary, self.degree), self.degree)
        return _numbered(out[:, 0 if self.intercept else 1 :])

    def _within(self, x: Array) -> Array:
        """The basis between the boundary knots, with its intercept."""
        from formulaic.transforms import basis_spline

        low, high = self.boundary
        knots = list(self.knots)
        found = basis_spline(
            x, knots=knots, degree=self.degree, include_intercept=True, lower_bound=low, upper_bound=high
        )
        return np.column_stack(list(found.values()))


@dataclass(frozen=True, eq=False)
class NaturalBasis:
    """A natural cubic spline basis: linear beyond the boundary.

    Attributes
    ----------
    rotation : ndarray (cubic B-splines, columns)
        Spans the splines whose second derivatives at the boundary are zero.
    """

    knots: Array
    boundary: Array
    intercept: bool
    rotation: Array

    def apply(self, x: Array) -> Matrix:
        """The basis at ``x``, missing where ``x`` is."""
        knots = _with_boundary(self.knots, self.boundary, 3)
        near = np.clip(x, *self.boundary)
        basis = _evaluate(near, knots, 3)
        for end in self.boundary:
            rows = np.flatnonzero((near == end) & (x != end))
            if len(rows):
                slope = _evaluate(np.array([end]), knots, 3, derivative=1)
                basis[rows] += (x[rows] - end)[:, None] * slope
        return _numbered(basis[:, 0 if self.intercept else 1 :] @ self.rotation)


def b_spline(
    x: Array, *, df: int | None, knots: Array | None, degree: int, intercept: bool, boundary: Array | None
) -> BSplineBasis:
    """Fit the knots: ``df`` places them at quantiles of the values within the boundary."""
    if degree < 1:
        raise DataError("bs() needs a degree of at least 1")
    boundary = _boundary(x, boundary)
    if knots is None:
        wanted = 0 if df is None else df - degree - (1 if intercept else 0)
        message = f"bs() with degree {degree}: df was too small; used {degree + intercept}"
        knots = _quantiles(x, boundary, wanted, message)
    return BSplineBasis(_inner(knots, boundary), boundary, degree, intercept)


def natural_spline(
    x: Array, *, df: int | None, knots: Array | None, intercept: bool, boundary: Array | None
) -> NaturalBasis:
    """Fit the knots, and the rotation onto natural splines."""
    boundary = _boundary(x, boundary)
    if knots is None:
        wanted = 0 if df is None else df - 1 - (1 if intercept else 0)
        knots = _quantiles(x, boundary, wanted, f"ns(): df was too small; used {1 + intercept}")
    knots = _inner(knots, boundary)
    bend = _evaluate(boundary, _with_boundary(knots, boundary, 3), 3, derivative=2)[:, 0 if intercept else 1 :]
    # The full orthogonal factor of a Householder QR, as in R, so that the signs agree.
    rotation = np.linalg.qr(bend.T, mode="complete")[0][:, 2:]
    return NaturalBasis(knots, boundary, intercept, rotation)


def _boundary(x: Array, boundary: Array | None) -> Array:
    if boundary is None:
        if not np.isfinite(x).any():
            raise DataError("a spline needs at least some values that are present")
        return np.array([np.nanmin(x), np.nanmax(x)])
    return np.sort(boundary)


def _quantiles(x: Array, boundary: Array, count: int, too_small: str) -> Array:
    if count < 0:
        warn(too_small)
    if count <= 0:
        return np.empty(0)
    inside = x[(x >= boundary[0]) & (x <= boundary[1])]
    out: Array = np.quantile(inside, np.linspace(0, 1, count + 2)[1:-1])
    return out


def _inner(knots: Array, boundary: Array) -> Array:
    knots = np.sort(knots)
    if len(knots) and not (boundary[0] < knots[0] and knots[-1] < boundary[1]):
        raise DataError(
            "inner knots of a spline must lie strictly between the boundary knots "
            f"{boundary[0]:g} and {boundary[1]:g}; with heavily tied values ask for fewer degrees of freedom"
        )
    return knots


def _with_boundary(knots: Array, boundary: Array, degree: int) -> Array:
    return np.sort(np.concatenate([np.repeat(boundary, degree + 1), knots]))


def _evaluate(x: Array, knots: Array, degree: int, derivative: int = 0) -> Array:
    from scipy.interpolate import BSpline

    spline = BSpline(knots, np.eye(len(knots) - degree - 1), degree)
    out: Array = spline(x, nu=derivative, extrapolate=True)
    return out


def _numbered(values: Array) -> Matrix:
    return Matrix(values, tuple(str(j) for j in range(1, values.shape[1] + 1)))
