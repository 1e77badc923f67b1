"""One absorbed factor: its groups, and in each an intercept, slopes, or both, as an orthonormal basis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from causalformula.errors import DataError
from causalformula.numerics.arrays import Array, Integers

# A slope that keeps less than this share of its length beside what precedes it is constant in its group.
CONSTANT_SLOPE = 1e-11
# Inner products of two factors are an array where it has at most this many times as many cells as there are rows.
DENSE = 2

# An array, or one of scipy's sparse matrices.
Matrix = Any


@dataclass(frozen=True, eq=False)
class Effect:
    """A factor whose effects are absorbed.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        Level of each row, from 0.
    levels : int
        How many levels there are; one without rows is not counted.
    slope : ndarray, shape (n,) or (n, s), optional
        Variables whose coefficient differs between levels.
    intercept : bool
        Whether the levels have an intercept; without one there must be a slope.
    """

    codes: Integers
    levels: int
    slope: Array | None = None
    intercept: bool = True

    def __post_init__(self) -> None:
        if self.slope is None and not self.intercept:
            raise DataError("an absorbed factor has neither an intercept nor a slope")
        if self.slope is not None and len(self.slope) != len(self.codes):
            raise DataError(f"a slope of {len(self.slope)} rows for a factor of {len(self.codes)}")
        if len(self.codes) and not 0 <= int(self.codes.min()) <= int(self.codes.max()) < self.levels:
            raise DataError(f"a factor of {self.levels} levels has codes outside 0 to {self.levels - 1}")

    @property
    def slopes(self) -> int:
        """How many variables have a slope in each level."""
        return 0 if self.slope is None else 1 if self.slope.ndim == 1 else self.slope.shape[1]

    @property
    def width(self) -> int:
        """How many coefficients a level has."""
        return self.slopes + self.intercept

    def columns(self) -> list[Array | None]:
        """The variables of each level's regression; None is the intercept's column of ones."""
        first: list[Array | None] = [None] if self.intercept else []
        if self.slope is None:
            return first
        return first + list(np.asarray(self.slope, dtype=np.float64).reshape(len(self.codes), -1).T)


class Basis:
    """An orthogonal basis of an effect's columns, level by level, in the inner product of the weights.

    Coefficients have a row for each level and basis column, column by column: row ``j * levels + g``. They are those
    of the basis at unit length, so that what is gathered of a column is its projection.

    Attributes
    ----------
    scale : ndarray, shape (width, levels)
        One over the length of each basis vector; 0 where there is none, as for a slope that is constant in its level.
    populated : ndarray of bool, shape (levels,)
        Which levels have rows of weight.
    plain : bool
        Whether the levels have an intercept and nothing else.
    """

    def __init__(self, effect: Effect, weights: Array | None) -> None:
        self.levels, self.width = effect.levels, effect.width
        self.plain = effect.slope is None
        self._weights = weights
        self._codes = np.ascontiguousarray(effect.codes, dtype=np.intp)
        self.populated = self._sums(None) > 0
        self._columns: list[Array | None] = []
        self._above = np.zeros((self.width, self.width, self.levels))
        self.scale = np.zeros((self.width, self.levels))
        for j, column in enumerate(effect.columns()):
            self._add(j, column)

    @property
    def size(self) -> int:
        """How many coefficients there are."""
        return self.width * self.levels

    def _add(self, j: int, column: Array | None) -> None:
        """Append a column less its projections on those before it, twice for the rounding of the first time."""
        if column is None:
            self._columns.append(None)
            self.scale[j] = _inverse_root(self._sums(None))
            return
        rest, whole = column, self._sums(column**2)
        for _ in range(2):
            for i, other in enumerate(self._columns):
                slope = self._sums(rest if other is None else rest * other) * self.scale[i] ** 2
                self._above[i, j] += slope
                taken = slope[self._codes]
                rest = rest - (taken if other is None else taken * other)
        square = self._sums(rest**2)
        self.scale[j] = np.where(square > CONSTANT_SLOPE**2 * whole, _inverse_root(square), 0.0)
        self._columns.append(rest)

    def _sums(self, values: Array | None) -> Array:
        """Weighted sums over the rows of each level."""
        weighted = self._weights if values is None else values if self._weights is None else values * self._weights
        return np.asarray(np.bincount(self._codes, weighted, self.levels), dtype=np.float64)

    def gather(self, M: Array) -> Array:
        """Coefficients (size, k) of the projection of columns (n, k)."""
        found = np.empty((self.width, self.levels, M.shape[1]))
        for k in range(M.shape[1]):
            for j, (column, scale) in enumerate(zip(self._columns, self.scale, strict=True)):
                found[j, :, k] = self._sums(M[:, k] if column is None else M[:, k] * column) * scale
        return found.reshape(self.size, M.shape[1])

    def subtract(self, values: Array, rows: slice, own: Sequence[Array], buffer: Array) -> None:
        """Take effects from these rows of a column, in place: its coefficients on each variable of the basis."""
        for column, coefficients in zip(self._columns, own, strict=True):
            taken = np.take(coefficients, self._codes[rows], out=buffer[: len(values)], mode="clip")
            if column is not None:
                taken *= column[rows]
            values -= taken

    def unscaled(self, coefficients: Array) -> Array:
        """Coefficients (width, levels, k) on the basis as it stands, from those at unit length (size, k)."""
        return np.asarray(coefficients.reshape(self.width, self.levels, coefficients.shape[1]) * self.scale[:, :, None])

    def cross(self, other: Basis) -> Matrix:
        """Inner products (size, size of the other) of the two bases; an array where most levels may meet."""
        dense = self.levels * other.levels <= DENSE * len(self._codes)
        cells = self._codes * other.levels + other._codes if dense else None
        blocks: list[list[Matrix]] = []
        for mine, length in zip(self._columns, self.scale, strict=True):
            blocks.append([])
            for theirs, width in zip(other._columns, other.scale, strict=True):
                data = self._product(mine, theirs)
                if cells is not None:
                    sums = np.bincount(cells, data, self.levels * other.levels).reshape(self.levels, other.levels)
                    blocks[-1].append(sums * length[:, None] * width)
                    continue
                data = length[self._codes] * width[other._codes] * (1.0 if data is None else data)
                shape = (self.levels, other.levels)
                blocks[-1].append(sparse.coo_matrix((data, (self._codes, other._codes)), shape=shape))
        return stacked(blocks)

    def _product(self, mine: Array | None, theirs: Array | None) -> Array | None:
        """Product of two columns and the weights; None where all are ones."""
        product = mine if theirs is None else theirs if mine is None else mine * theirs
        return product if self._weights is None else self._weights if product is None else product * self._weights

    def read(self, coefficients: Array) -> Array:
        """Coefficients (width, levels) of the effect's own columns, from those of the basis (size,)."""
        own = coefficients.reshape(self.width, self.levels) * self.scale
        for j in reversed(range(self.width)):
            own[j] *= self.scale[j] > 0
            for i in range(j):
                own[i] -= self._above[i, j] * own[j]
        return np.asarray(own)


def _inverse_root(square: Array) -> Array:
    """One over the root; 0 for 0."""
    positive = square > 0
    return np.where(positive, 1 / np.sqrt(np.where(positive, square, 1.0)), 0.0)


def stacked(blocks: list[list[Matrix]]) -> Matrix:
    """One matrix of the blocks: an array if all are arrays."""
    if all(isinstance(block, np.ndarray) for row in blocks for block in row):
        return np.block(blocks)
    return sparse.bmat(blocks).tocsr()
