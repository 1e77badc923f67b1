"""R's ``poly``: orthogonal or raw polynomials in one or several variables."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from causalformula.errors import DataError
from causalformula.formula.expressions.values import Matrix
from causalformula.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Recurrence:
    """Orthogonal polynomials of one variable, by their recurrence in z = x - center.

    p_{k+1} = (z - alpha_k) p_k - (norm2_k / norm2_{k-1}) p_{k-1}

    Attributes
    ----------
    center : float
        The mean of the data: taken off first, so that a variable far from zero keeps its digits.
    alpha : ndarray (degree,)
    norm2 : ndarray (degree + 1,)
        Sums of squares over the data, by degree.
    """

    center: float
    alpha: Array
    norm2: Array

    def apply(self, x: Array) -> Array:
        """The polynomials of degree 1 and up, of unit length over the data."""
        degree = len(self.alpha)
        z = x - self.center
        basis = np.empty((len(x), degree + 1), order="F")
        basis[:, 0] = 1.0
        for k in range(degree):
            basis[:, k + 1] = (z - self.alpha[k]) * basis[:, k]
            if k:
                basis[:, k + 1] -= self.norm2[k] / self.norm2[k - 1] * basis[:, k - 1]
        basis /= np.sqrt(self.norm2)
        return basis[:, 1:]


@dataclass(frozen=True, eq=False)
class Polynomial:
    """A polynomial basis in ``variables`` variables; ``recurrences`` is None for raw powers."""

    degree: int
    variables: int
    recurrences: tuple[Recurrence, ...] | None

    def apply(self, x: Array) -> Matrix:
        """The basis at the rows of ``x`` (n, variables); missing where ``x`` is."""
        single = [self._powers(x[:, i], i) for i in range(x.shape[1])]
        if len(single) == 1:
            return Matrix(single[0], tuple(str(d) for d in range(1, self.degree + 1)))
        degrees = _mixed(len(single), self.degree)
        values = np.empty((len(x), len(degrees)), order="F")
        for j, by_variable in enumerate(degrees):
            parts = [single[i][:, d - 1] for i, d in enumerate(by_variable) if d]
            values[:, j] = np.prod(parts, axis=0)
        return Matrix(values, tuple(".".join(map(str, d)) for d in degrees))

    def _powers(self, x: Array, variable: int) -> Array:
        if self.recurrences is None:
            return np.column_stack([x**d for d in range(1, self.degree + 1)])
        return self.recurrences[variable].apply(x)


def polynomial(x: Array, degree: int, raw: bool) -> Polynomial:
    """Fit to ``x`` (n, variables).

    The recurrence gives what R's QR of the powers gives, signs included, and loses less to rounding.

    Raises
    ------
    DataError
        When a value is missing (R refuses too), or there are too few distinct values.
    """
    if raw:
        return Polynomial(degree, x.shape[1], None)
    if np.isnan(x).any():
        raise DataError("poly() does not take missing values; drop those rows first, for example with subset=")
    for column in x.T:
        if len(np.unique(column)) <= degree:
            raise DataError(f"poly() of degree {degree} needs more than {degree} distinct values")
    return Polynomial(degree, x.shape[1], tuple(_orthogonal(column, degree) for column in x.T))


def _orthogonal(x: Array, degree: int) -> Recurrence:
    center = float(x.mean())
    # On the unit interval the powers neither overflow nor vanish.
    size = float(np.abs(x - center).max())
    z = (x - center) / size
    alpha, norm2 = np.zeros(degree), np.zeros(degree + 1)
    before, current = np.zeros_like(z), np.ones_like(z)
    norm2[0] = len(z)
    for k in range(degree):
        alpha[k] = (z * current * current).sum() / norm2[k]
        after = (z - alpha[k]) * current
        if k:
            after -= norm2[k] / norm2[k - 1] * before
        before, current = current, after
        norm2[k + 1] = (current * current).sum()
    return Recurrence(center, alpha * size, norm2 * size ** (2.0 * np.arange(degree + 1)))


def _mixed(variables: int, degree: int) -> list[tuple[int, ...]]:
    """Degrees by variable with a sum of at most ``degree``, the first variable varying fastest."""
    grid = product(range(degree + 1), repeat=variables)
    return [tuple(reversed(d)) for d in grid if 0 < sum(d) <= degree]
