"""Rows from the highest priority to the lowest: sums over the first of them, and what half-samples make of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalformula.diagnostics.regressed import numbers, sample_weights
from causalformula.errors import DataError, OptionError
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.ties import ROUNDING

# Replicates of grf::rank_average_treatment_effect.
REPS = 200
# Numbers of one (half-)sample: from columns (m, n) in order and the last position of each group of equal priority,
# None where no two are equal.
Numbers = Callable[[Array, Codes | None], Array]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows in the order in which they would be treated.

    Parameters
    ----------
    order : ndarray (m,) of int
        Rows with sampling weight, the highest priority first.
    first : ndarray (m,) of bool
        Whether a row begins a group of equal priority.
    weights : ndarray (m,)
        In this order.
    clusters : ndarray (n,) of int, optional
        Of all rows, 0..G-1.
    rows : int
        How many rows there are, n.
    """

    order: Codes
    first: Bools
    weights: Array
    clusters: Codes | None
    rows: int

    @classmethod
    def of(cls, priority: Array, weights: Array | None = None, clusters: Codes | None = None) -> Ranking:
        """The ranking by ``priority`` (n,): one sort; priorities that differ by rounding only are equal."""
        priority = numbers("the priority", priority)
        if len(priority) < 2:
            raise DataError("a ranking needs two rows or more")
        if clusters is not None and len(clusters) != len(priority):
            raise DataError(f"clusters must hold one code for each of the {len(priority)} rows, not {len(clusters)}")
        w = sample_weights(weights, len(priority))
        order = np.argsort(-priority)
        if not w.all():
            order = order[w[order] > 0]
        ordered = priority[order]
        size = max(abs(float(ordered[0])), abs(float(ordered[-1])))
        first = np.concatenate([[True], ordered[:-1] - ordered[1:] > ROUNDING * size])
        return cls(order, first, w[order], clusters, len(priority))

    @cached_property
    def ends(self) -> Codes | None:
        """The last position of each group of equal priority; None where no two are equal."""
        return None if self.first.all() else np.append(np.flatnonzero(self.first)[1:] - 1, len(self.first) - 1)

    def columns(self, *values: Array) -> Array:
        """The weights, and weighted columns, in order (1 + k, m)."""
        out = np.empty((1 + len(values), len(self.order)))
        out[0] = self.weights
        for row, value in zip(out[1:], values, strict=True):
            np.multiply(value[self.order], self.weights, out=row)
        return out

    @cached_property
    def units(self) -> tuple[Codes, int]:
        """The unit that half-samples draw of each ordered row, and how many there are."""
        if self.clusters is None:
            if len(self.order) == self.rows:
                return self.order, self.rows
            used = np.sort(self.order)
            return np.searchsorted(used, self.order), len(used)
        present, codes = np.unique(self.clusters[self.order], return_inverse=True)
        return codes, len(present)

    def treated(self, share: float) -> Array:
        """How much of each row is treated (n,) where the top share is: 1, 0, or a part of those at the threshold."""
        sums = running(self.weights)[1:]
        ends = np.arange(len(sums)) if self.ends is None else self.ends
        sizes = np.diff(sums[ends], prepend=0.0)
        parts = np.clip((share * sums[-1] - (sums[ends] - sizes)) / sizes, 0.0, 1.0)
        out = np.zeros(self.rows)
        out[self.order] = np.repeat(parts, np.diff(ends, prepend=-1))
        return out

    def halves(self, columns: Array, found: Numbers, reps: int, seed: int) -> Array:
        """Numbers of ``reps`` random halves of the rows, or of the clusters (reps, q).

        Parameters
        ----------
        columns : ndarray (m, n)
            In order; the order of a half is theirs.
        found : callable
            The numbers of a sample.
        seed : int
            Two rankings of the same rows have the same halves under one seed.
        """
        units, count = self.units
        if reps == 1:
            raise OptionError("reps=1: one half-sample has no spread; 2 or more, or 0 for no standard errors")
        if reps and count < 4:
            raise DataError(f"half-samples need four rows or clusters at the least, and there are {count}")
        draws = []
        for child in np.random.SeedSequence(seed).spawn(reps):
            kept = half(np.random.default_rng(child), count)[units]
            part = np.compress(kept, columns, axis=1)
            draws.append(found(part, self._ends_of(kept)))
        return np.array(draws)

    def _ends_of(self, kept: Bools) -> Codes | None:
        """The last positions, among the rows kept, of the groups of equal priority that have some left."""
        if self.ends is None:
            return None
        sizes = np.add.reduceat(kept, np.flatnonzero(self.first), dtype=np.intp)
        return np.cumsum(sizes[sizes > 0]) - 1


def half(rng: np.random.Generator, count: int) -> Bools:
    """A random half of so many units, each set of ``count // 2`` equally likely.

    Coins first, which are quick; then, of the side that came up too often, as many at random are turned over.
    """
    coins = np.unpackbits(np.frombuffer(rng.bytes(-(-count // 8)), np.uint8), count=count).view(np.bool_)
    many = int(np.count_nonzero(coins)) - count // 2
    if many:
        side = np.flatnonzero(coins == (many > 0))
        coins[rng.choice(side, abs(many), replace=False, shuffle=False)] = many < 0
    return coins


def running(x: Array) -> Array:
    """Sums of the first 0, 1, ..., n numbers (n + 1,)."""
    out = np.zeros(len(x) + 1)
    np.cumsum(x, out=out[1:])
    return out


def within_groups(x: Array, ends: Codes) -> Array:
    """Each number's mean over its group of equal priority."""
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = np.diff(np.append(starts, len(x)))
    return np.repeat(np.add.reduceat(x, starts) / sizes, sizes)
