"""``Task``: who is to be matched with whom, how often, in which order and under which conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from causalformula.numerics.arrays import Array, Bools, Codes

CLOSEST, FARTHEST = "closest", "farthest"
# Orders that depend on distances, which only the matching knows.
BY_DISTANCE = (CLOSEST, FARTHEST)
# No distance is beyond it, and infinity is: a place where no unit stands.
WIDEST = float(np.finfo(float).max)
# A unit may be used so often where it is matched with replacement.
UNLIMITED = 2**62


@dataclass(frozen=True, eq=False)
class Gap:
    """A caliper on a variable: partners differ by no more than ``width``, or by more where ``beyond``."""

    values: Array
    width: float
    beyond: bool = False

    def allows(self, i: Codes | int, c: Codes | int) -> Bools:
        """Whether rows may be partners; shapes are broadcast."""
        apart = np.abs(self.values[i] - self.values[c])
        return np.asarray(apart > self.width if self.beyond else apart <= self.width)

    @cached_property
    def plain(self) -> list[float]:
        """The values as Python's numbers, which are quick one by one."""
        return list(self.values.tolist())

    def pairwise(self) -> Callable[[int, int], bool]:
        """Whether two rows may be partners, for many questions one by one."""
        values, width = self.plain, self.width
        if self.beyond:
            return lambda i, c: abs(values[i] - values[c]) > width
        return lambda i, c: abs(values[i] - values[c]) <= width


@dataclass(frozen=True, eq=False)
class Apart:
    """Anti-exact matching: partners have different codes."""

    codes: Codes

    def allows(self, i: Codes | int, c: Codes | int) -> Bools:
        """Whether rows may be partners; shapes are broadcast."""
        return np.asarray(self.codes[i] != self.codes[c])

    @cached_property
    def plain(self) -> list[int]:
        """The codes as Python's numbers, which are quick one by one."""
        return list(self.codes.tolist())

    def pairwise(self) -> Callable[[int, int], bool]:
        """Whether two rows may be partners, for many questions one by one."""
        codes = self.plain
        return lambda i, c: codes[i] != codes[c]


@dataclass(frozen=True, eq=False)
class Task:
    """A matching problem over the rows of a sample.

    Parameters
    ----------
    focal : ndarray (m,) of int
        Rows that are to be matched, in the order of the data.
    pool : ndarray (p,) of int
        Rows that may be their matches, in the order of the data.
    wanted : ndarray (m,) of int
        How many matches each focal row should have. A round gives each one match, then the next round begins.
    order : ndarray (m,) of int or str
        Places in ``focal`` in the order in which they choose; ``"closest"``: whoever has the nearest match chooses
        first; ``"farthest"``: whoever's nearest match, with all of the pool there, is farthest.
    reuse : int
        How often a row of the pool can be a match.
    strata : ndarray (n,) of int, optional
        Partners are of one stratum.
    caliper : float
        The largest distance of partners.
    beyond : float
        Partners are farther apart than this; below zero no condition.
    conditions : tuple of Gap or Apart
    units : ndarray (n,) of int, optional
        Rows of one unit: once one of them is a match, the others are none.
    """

    focal: Codes
    pool: Codes
    wanted: Codes
    order: Codes | str
    reuse: int = 1
    strata: Codes | None = None
    caliper: float = WIDEST
    beyond: float = -1.0
    conditions: tuple[Gap | Apart, ...] = ()
    units: Codes | None = None

    @property
    def most(self) -> int:
        """The largest number of matches that a row wants."""
        return int(self.wanted.max(initial=0))

    @property
    def replaced(self) -> bool:
        """Whether the pool is never used up."""
        return self.reuse >= len(self.focal)

    def empty(self) -> Codes:
        """Matches (m, most), none found yet."""
        return np.full((len(self.focal), self.most), -1, dtype=np.intp)

    def parts(self) -> Iterator[tuple[Codes, Task]]:
        """The problem stratum by stratum: places in ``focal``, and the task of these rows alone.

        Strata are independent unless units reach across them.
        """
        if self.strata is None or self.units is not None:
            yield np.arange(len(self.focal)), self
            return
        size = int(self.strata.max()) + 1
        of_focal, of_pool = self.strata[self.focal], self.strata[self.pool]
        focal_first, focal_ends = _grouped(of_focal, size)
        pool_first, pool_ends = _grouped(of_pool, size)
        place = np.empty(len(self.focal), dtype=np.intp)
        ordered = None if isinstance(self.order, str) else self.order[_grouped(of_focal[self.order], size)[0]]
        for k in np.unique(of_focal):
            inside = focal_first[focal_ends[k] : focal_ends[k + 1]]
            members = pool_first[pool_ends[k] : pool_ends[k + 1]]
            if not len(members):
                continue
            place[inside] = np.arange(len(inside))
            order = self.order if ordered is None else place[ordered[focal_ends[k] : focal_ends[k + 1]]]
            yield (
                inside,
                replace(
                    self,
                    focal=self.focal[inside],
                    pool=self.pool[members],
                    wanted=self.wanted[inside],
                    order=order,
                    strata=None,
                ),
            )

    def pairwise(self) -> list[Callable[[int, int], bool]]:
        """What two rows must fulfil to be partners, their distance apart, for many questions one by one."""
        found = [condition.pairwise() for condition in self.conditions]
        if self.strata is not None:
            strata = self.strata.tolist()
            found.append(lambda i, c: strata[i] == strata[c])
        return found

    def allowed(self, rows: Codes, columns: Codes) -> Bools | None:
        """Which rows (r,) and columns (c,) may be partners, (r, c); None where all may."""
        found = [condition.allows(rows[:, None], columns[None, :]) for condition in self.conditions]
        if self.strata is not None:
            found.append(self.strata[rows][:, None] == self.strata[columns][None, :])
        return np.logical_and.reduce(found) if found else None

    def mates(self) -> dict[int, Codes]:
        """By place in ``pool``, the places of the other rows of its unit; empty where rows are units."""
        if self.units is None:
            return {}
        codes = self.units[self.pool]
        first, ends = _grouped(codes, int(codes.max(initial=-1)) + 1)
        out = {}
        for k in np.flatnonzero(np.diff(ends) > 1):
            members = first[ends[k] : ends[k + 1]]
            out.update({int(c): members[members != c] for c in members})
        return out


def _grouped(codes: Codes, size: int) -> tuple[Codes, Codes]:
    """Places by group, in order within each, and where each group begins and ends (size + 1,)."""
    ends = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=size))]).astype(np.intp)
    return np.argsort(codes, kind="stable"), ends


def focal_order(order: str, x: Array | None, m: int, seed: int | None) -> Codes | str:
    """Places of focal rows in the order in which they choose; ties stay in the order of the data.

    Parameters
    ----------
    order : str
        ``largest, smallest, data, random, closest`` or ``farthest``.
    x : ndarray (m,), optional
        Their distance measure, for the first two.
    """
    if order in BY_DISTANCE:
        return order
    if order == "random":
        return np.random.default_rng(seed).permutation(m)
    if order == "data" or x is None:
        return np.arange(m)
    return np.argsort(-x if order == "largest" else x, kind="stable")


def extremal_ratio(order: Sequence[int] | Codes, ratio: float, least: int, most: int) -> Codes:
    """Numbers of matches between ``least`` and ``most`` whose sum is ``ratio`` times the number of units.

    Some units have the least, the others the most, and one what is left; those that come first have the least.

    References
    ----------
    Ming and Rosenbaum (2000), "Substantial gains in bias reduction from matching with a variable number of controls",
    Biometrics 56, 118-124.
    """
    m = len(order)
    spare = max(round(ratio * m) - least * m, 0)
    full, rest = divmod(spare, most - least)
    wanted = np.full(m, least, dtype=np.intp)
    wanted[m - full :] = most
    if rest:
        wanted[m - full - 1] += rest
    out = np.empty(m, dtype=np.intp)
    out[np.asarray(order)] = wanted
    return out
