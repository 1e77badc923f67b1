"""Rows that absorbed effects fit exactly: alone in a level, or in one whose outcomes put its effect at infinity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.absorption.singletons import singletons
from causalformula.numerics.arrays import Array, Bools, Codes


@dataclass(frozen=True, eq=False)
class Removed:
    """Which rows stay, and which leave for what.

    Attributes
    ----------
    stays : ndarray of bool, shape (n,)
    alone : int
        Rows that leave as they are alone in a level.
    idle : int
        Rows of weight zero that leave with the levels that they are in, and count as neither of these.
    levels, rows : tuple of int
        By factor, the levels at infinity, and the rows that leave with them.
    """

    stays: Bools
    alone: int
    idle: int
    levels: tuple[int, ...]
    rows: tuple[int, ...]


def removed(
    effects: Sequence[Effect], weights: Array | None = None, limits: Codes | None = None, *, alone: bool = True
) -> Removed:
    """Take out rows alone in a level and levels at infinity, again and again until none is left.

    Parameters
    ----------
    effects : sequence of Effect
    weights : ndarray, shape (n,), optional
        Rows of weight zero keep no level.
    limits : ndarray of int, shape (n,), optional
        At which limit of the family each outcome is, from 1; 0 where it is inside. A level with an intercept whose
        outcomes are all at the same limit is at infinity.
    alone : bool
        Whether rows alone in a level leave too.
    """
    stays = np.ones(len(effects[0].codes), dtype=bool)
    counts = stays.copy() if weights is None else weights > 0
    single, levels, rows = 0, [0] * len(effects), [0] * len(effects)
    while True:
        before = int(stays.sum())
        if alone:
            at = np.flatnonzero(stays)
            kept = singletons([effect.codes[at] for effect in effects], None if weights is None else weights[at])
            stays[at[~kept]] = False
            single += int((counts[at] & ~kept).sum())
        for k, effect in enumerate(effects if limits is not None else ()):
            gone, count = _at_infinity(effect, stays, weights, limits)
            levels[k] += count
            rows[k] += int((stays & gone & counts).sum())
            stays &= ~gone
        if int(stays.sum()) == before:
            idle = int((~stays & ~counts).sum())
            return Removed(stays, single, idle, tuple(levels), tuple(rows))


def _at_infinity(effect: Effect, stays: Bools, weights: Array | None, limits: Codes | None) -> tuple[Bools, int]:
    """The rows in levels at infinity, and how many such levels there are."""
    assert limits is not None
    if not effect.intercept:
        return np.zeros(len(stays), dtype=bool), 0
    used = stays if weights is None else stays & (weights > 0)
    count = np.bincount(effect.codes[used], minlength=effect.levels)
    gone = np.zeros(effect.levels, dtype=bool)
    for limit in range(1, int(limits.max(initial=0)) + 1):
        there = np.bincount(effect.codes[used & (limits == limit)], minlength=effect.levels)
        gone |= (there == count) & (count > 0)
    return np.asarray(gone[effect.codes]), int(gone.sum())
