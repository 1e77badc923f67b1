"""Weighted means and variances of many columns under many weights, in one pass over the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array, Bools

# A spread below this share of the mean is that of rounding.
ROUNDING = 1e-15
# Weights beyond this and its inverse are counted in units of the largest.
LEAST = 1e-100
# Rows at a time: their weights stay in the cache while column after column is read.
BLOCK = 16384


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of p columns under m sets of weights.

    Parameters
    ----------
    total, squares : ndarray (m,)
        Sums of the weights and of their squares.
    mean : ndarray (p, m)
    scatter : ndarray (p, m)
        ``sum_i w_i (x_i - mean)^2``.
    """

    total: Array
    squares: Array
    mean: Array
    scatter: Array

    def variance(self, binary: Bools) -> Array:
        """Variances (p, m): ``p (1 - p)`` of 0/1 columns, otherwise without bias for weights that are no counts."""
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = 1 - self.squares / self.total**2
            plain = np.where(freedom > 0, self.scatter / self.total / freedom, np.nan)
        return np.where(binary[:, None], self.mean * (1 - self.mean), plain)

    def __add__(self, other: Moments) -> Moments:
        """Of the rows of both, under the same sets of weights (Chan, Golub and LeVeque 1983)."""
        total = self.total + other.total
        share = np.divide(other.total, total, out=np.zeros(len(total)), where=total > 0)
        mine, theirs = (np.where(m.total > 0, m.mean, 0.0) for m in (self, other))
        gap = np.where((self.total > 0) & (other.total > 0), theirs - mine, 0.0)
        mean = np.where(self.total > 0, mine, theirs) + gap * share
        mean = np.where(total > 0, mean, np.nan)
        between = gap**2 * self.total * share
        scatter = np.nan_to_num(self.scatter) + np.nan_to_num(other.scatter) + between
        return Moments(total, self.squares + other.squares, mean, scatter)

    def merged(self) -> Moments:
        """Of all sets together, where they are groups of rows that do not overlap."""
        total = self.total.sum()
        mean = (self.mean * self.total)[:, self.total > 0].sum(axis=1, keepdims=True) / total
        between = (self.total * (self.mean - mean) ** 2)[:, self.total > 0].sum(axis=1, keepdims=True)
        scatter = self.scatter.sum(axis=1, keepdims=True) + between
        return Moments(np.array([total]), np.array([self.squares.sum()]), mean, scatter)


def counted(weights: Array) -> Array:
    """The weights; those whose squares would overflow in units of the largest, as no variance has units of weight."""
    largest = float(weights.max(initial=0.0))
    return weights if largest == 0 or LEAST < largest < 1 / LEAST else weights / largest


def moments(columns: Sequence[Array], weights: Array) -> Moments:
    """Moments of columns (n,) under the columns of ``weights`` (n, m)."""
    return moments_and_sums(columns, weights, np.empty((len(weights), 0)))[0]


def moments_and_sums(columns: Sequence[Array], weights: Array, others: Array) -> tuple[Moments, Array]:
    """Moments under ``weights`` (n, m), and sums about the columns' own means under ``others`` (n, k): (p, k).

    Column by column: with a handful of sets of weights, a product of matrices would spend its time on copies.
    """
    n, m = weights.shape
    weights = counted(weights)
    both = np.concatenate([weights.T, others.T])
    centre = np.array([x.mean() if n else 0.0 for x in columns])
    sums, second = np.zeros((len(columns), len(both))), np.zeros((len(columns), m))
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        block = both[:, rows]
        for j, column in enumerate(columns):
            off = column[rows] - centre[j]
            sums[j] += block @ off
            second[j] += block[:m] @ np.multiply(off, off, out=off)
    total, first = both[:m].sum(axis=1), sums[:, :m]
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = first / total
    scatter = second - first * np.where(total > 0, shift, 0.0)
    # a mean far from the centre beside the spread about it: the difference has cancelled, so it is taken again
    for j, k in np.argwhere(scatter < 1e-4 * second):
        off = columns[j] - centre[j] - shift[j, k]
        off = off - both[k] @ off / total[k]
        scatter[j, k] = both[k] @ off**2
    mean = centre[:, None] + shift
    scatter = np.where(scatter <= total * (ROUNDING * mean) ** 2, 0.0, scatter)
    return Moments(total, np.einsum("mi,mi->m", both[:m], both[:m]), mean, scatter), sums[:, m:]
