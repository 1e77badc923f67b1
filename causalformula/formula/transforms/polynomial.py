"""R's ``poly``: orthogonal or raw polynomials in one or several variables."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from ...errors import DataError
from ..values import Floats, Matrix


@dataclass(frozen=True, eq=False)
class Polynomial:
    """One recurrence for each variable.

    Attributes
    ----------
    degree : int
    alpha : tuple of ndarray (degree,) or None
        The recurrence's centres, by variable; None for raw powers.
    norm2 : tuple of ndarray (degree + 2,) or None
        1, then the squared norms of the polynomials of degree 0, 1, ...: R's ``coefs``.
    """

    degree: int
    alpha: tuple[Floats, ...] | None
    norm2: tuple[Floats, ...] | None

    def apply(self, x: Floats) -> Matrix:
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

    def _powers(self, x: Floats, variable: int) -> Floats:
        if self.alpha is None or self.norm2 is None:
            return np.column_stack([x**d for d in range(1, self.degree + 1)])
        basis = _recur(x, self.alpha[variable], self.norm2[variable], self.degree)
        out: Floats = basis[:, 1:] / np.sqrt(self.norm2[variable][2 : self.degree + 2])
        return out


def polynomial(x: Floats, degree: int, raw: bool) -> Polynomial:
    """Fit to ``x`` (n, variables).

    The monic polynomials that are orthogonal over the data satisfy
    p_{k+1} = (x - alpha_k) p_k - (norm2_k / norm2_{k-1}) p_{k-1}; this is what R's QR of the powers gives, signs included, and loses less to rounding.

    Raises
    ------
    DataError
        When a value is missing (R refuses too), or there are too few distinct values.
    """
    if np.isnan(x).any():
        raise DataError("poly() does not take missing values; drop those rows first, for example with subset=")
    if raw:
        return Polynomial(degree, None, None)
    for column in x.T:
        if len(np.unique(column)) <= degree:
            raise DataError(f"poly() of degree {degree} needs more than {degree} distinct values")
    fitted = [_orthogonal(column, degree) for column in x.T]
    return Polynomial(degree, tuple(a for a, _ in fitted), tuple(n for _, n in fitted))


def _orthogonal(x: Floats, degree: int) -> tuple[Floats, Floats]:
    alpha = np.zeros(degree)
    norm2 = np.ones(degree + 2)
    # Centred and scaled, the powers neither overflow nor cancel.
    middle, size = x.mean(), np.abs(x - x.mean()).max()
    z = (x - middle) / size
    before, current = np.zeros_like(z), np.ones_like(z)
    norm2[1] = len(z)
    for k in range(degree):
        alpha[k] = (z * current * current).sum() / norm2[k + 1]
        before, current = current, (z - alpha[k]) * current - (norm2[k + 1] / norm2[k] if k else 0.0) * before
        norm2[k + 2] = (current * current).sum()
    powers = size ** (2.0 * np.arange(degree + 1))
    norm2[1:] *= powers
    return alpha * size + middle, norm2


def _recur(x: Floats, alpha: Floats, norm2: Floats, degree: int) -> Floats:
    basis = np.empty((len(x), degree + 1), order="F")
    basis[:, 0] = 1.0
    if degree:
        basis[:, 1] = x - alpha[0]
    for k in range(1, degree):
        basis[:, k + 1] = (x - alpha[k]) * basis[:, k] - norm2[k + 1] / norm2[k] * basis[:, k - 1]
    return basis


def _mixed(variables: int, degree: int) -> list[tuple[int, ...]]:
    """Degrees by variable with a sum of at most ``degree``, the first variable varying fastest."""
    grid = product(range(degree + 1), repeat=variables)
    return [tuple(reversed(d)) for d in grid if 0 < sum(d) <= degree]
