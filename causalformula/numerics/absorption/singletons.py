"""Rows that are alone in a level, which their effect fits exactly: removed until none is left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.numerics.arrays import Array, Bools, Codes, Integers


def singletons(codes: Sequence[Integers], weights: Array | None = None) -> Bools:
    """Which rows stay when rows that are alone in a level of some factor leave, again and again.

    Parameters
    ----------
    codes : sequence of ndarray of int, shape (n,)
        Levels of each factor, from 0.
    weights : ndarray, shape (n,), optional
        Rows of weight zero keep no level; they leave with the levels that they are in.

    Returns
    -------
    ndarray of bool, shape (n,)
        The rows that stay.
    """
    n = len(codes[0]) if len(codes) else 0
    counted = np.arange(n) if weights is None else np.flatnonzero(weights > 0)
    alive = np.zeros(n, dtype=bool)
    alive[counted] = True
    # a level's number of rows, and the sum of their positions: that of the last row where it is alone
    counts = [np.bincount(c[counted], minlength=_levels(c)) for c in codes]
    places = [np.bincount(c[counted], counted, _levels(c)).astype(np.float64) for c in codes]
    leaving = _alone(counts, places, [np.arange(len(c)) for c in counts])
    while len(leaving):
        alive[leaving] = False
        touched = []
        for own, count, place in zip(codes, counts, places, strict=True):
            levels, at = np.unique(own[leaving], return_inverse=True)
            count[levels] -= np.bincount(at)
            place[levels] -= np.bincount(at, leaving)
            touched.append(levels)
        leaving = _alone(counts, places, touched)
    if weights is None:
        return alive
    kept = np.ones(n, dtype=bool)
    for own, count in zip(codes, counts, strict=True):
        kept &= count[own] > 0
    return kept


def _alone(counts: Sequence[Integers], places: Sequence[Array], levels: Sequence[Integers]) -> Codes:
    """The rows that are alone in one of these levels."""
    rows = [place[own[count[own] == 1]] for count, place, own in zip(counts, places, levels, strict=True)]
    return np.unique(np.concatenate(rows)).astype(np.intp) if rows else np.empty(0, dtype=np.intp)


def _levels(codes: Integers) -> int:
    return int(codes.max()) + 1 if len(codes) else 0
