"""Assignments that a randomised design could have made: permutations of the treatment over units, within strata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import factorial, prod

import numpy as np

from causalformula.errors import DataError, OptionError, some
from causalformula.numerics.arrays import Array, Codes

# Statistics this near, relative to their size, are tied.
TIED = 1e-9


@dataclass(frozen=True, eq=False)
class Assignments:
    """The reassignments of a treatment that keep how many units of each stratum have each value of it.

    An assignment is an array (n,) of row positions: row i gets the treatment that row ``assignment[i]`` had.

    Parameters
    ----------
    treatment : ndarray (n,) of int
        Value 0..K-1 of each row.
    strata, clusters : ndarray (n,) of int, optional
        Blocks within which units are exchanged; clusters that are treated as a whole.
    """

    treatment: Codes
    strata: Codes | None = None
    clusters: Codes | None = None

    def __post_init__(self) -> None:
        for what, codes in (("the treatment", self.treatment), ("strata", self.strata)):
            if codes is not None and self.clusters is not None:
                mixed = np.flatnonzero(np.bincount(self.clusters, codes != codes[self.first][self.clusters]))
                if len(mixed):
                    raise OptionError(
                        f"{what} must be constant within clusters to exchange whole clusters; not so in clusters "
                        f"number {some(mixed + 1)}"
                    )
        if all(len(np.unique(self.treatment[self.first][pool])) < 2 for pool in self.pools):
            raise DataError("the treatment does not vary within any stratum, so there is nothing to permute")

    @cached_property
    def first(self) -> Codes:
        """First row of each unit."""
        if self.clusters is None:
            return np.arange(len(self.treatment))
        return np.unique(self.clusters, return_index=True)[1]

    @cached_property
    def pools(self) -> list[Codes]:
        """Units of each stratum."""
        if self.strata is None:
            return [np.arange(len(self.first))]
        stratum = self.strata[self.first]
        return [np.flatnonzero(stratum == s) for s in range(int(stratum.max()) + 1)]

    @property
    def count(self) -> int:
        """How many different assignments there are."""
        total = 1
        for pool in self.pools:
            sizes = np.bincount(self.treatment[self.first][pool])
            total *= factorial(len(pool)) // prod(factorial(int(size)) for size in sizes)
        return total

    def random(self, rng: np.random.Generator) -> Codes:
        """One assignment, all equally likely."""
        source = np.arange(len(self.first))
        for pool in self.pools:
            source[pool] = rng.permutation(pool)
        return self._rows(source)

    def all(self) -> Iterator[Codes]:
        """Every different assignment once, the one that was made among them."""
        values = self.treatment[self.first]
        varying = [pool for pool in self.pools if len(np.unique(values[pool])) > 1]

        def extend(source: Codes, left: list[Codes]) -> Iterator[Codes]:
            if not left:
                yield self._rows(source)
                return
            pool = left[0]
            for order in _arrangements(values[pool]):
                changed = source.copy()
                changed[pool] = pool[order]
                yield from extend(changed, left[1:])

        return extend(np.arange(len(self.first)), varying)

    def _rows(self, source: Codes) -> Codes:
        """From units to rows: each row takes the treatment of its unit's source."""
        rows = self.first[source]
        return rows if self.clusters is None else rows[self.clusters]


def _arrangements(values: Codes) -> Iterator[Codes]:
    """One permutation of positions for each different order of a multiset: choose places value by value."""
    holders = [np.flatnonzero(values == value) for value in np.unique(values)]

    def place(order: Codes, free: Codes, left: list[Codes]) -> Iterator[Codes]:
        if len(left) == 1:
            changed = order.copy()
            changed[free] = left[0]
            yield changed
            return
        for chosen in combinations(range(len(free)), len(left[0])):
            taken = np.zeros(len(free), dtype=bool)
            taken[list(chosen)] = True
            changed = order.copy()
            changed[free[taken]] = left[0]
            yield from place(changed, free[~taken], left[1:])

    # the most frequent value last: it takes the places that are left
    return place(np.empty(len(values), dtype=np.intp), np.arange(len(values)), sorted(holders, key=len))


def permutation_p(observed: Array, draws: Array, alternative: str, *, exact: bool) -> Array:
    """p-values (q,) of a randomisation test.

    ``(b + 1) / (R + 1)`` with b of R random assignments at least as extreme (Phipson and Smyth 2010), or the share of
    all assignments when ``draws`` holds every one.

    Parameters
    ----------
    observed : ndarray (q,)
    draws : ndarray (R, q)
    alternative : {"two-sided", "greater", "less"}
    """
    slack = TIED * np.maximum(np.abs(observed), np.abs(draws).max(axis=0) * 1e-3)
    if alternative == "two-sided":
        extreme = np.abs(draws) >= np.abs(observed) - slack
    elif alternative == "greater":
        extreme = draws >= observed - slack
    else:
        extreme = draws <= observed + slack
    own = 0 if exact else 1
    return np.asarray((extreme.sum(axis=0) + own) / (len(draws) + own))
