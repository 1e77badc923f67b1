"""Exact order statistics by passes: a number is found sixteen bits at a time, from counts of the numbers before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.numerics.arrays import Array

# Bits that one pass settles, and passes.
BITS, PASSES = 16, 4
SIZE = 1 << BITS
Ordered = NDArray[np.uint64]


def ordered(x: Array) -> Ordered:
    """Doubles as whole numbers of the same order; -0 is 0."""
    bits = (x + 0.0).view(np.uint64)
    sign = np.uint64(1) << np.uint64(63)
    return np.where(bits & sign, ~bits, bits | sign)


def doubles(u: Ordered) -> Array:
    """The doubles that whole numbers stand for."""
    sign = np.uint64(1) << np.uint64(63)
    return np.where(u & sign, u & ~sign, ~u).view(np.float64)


@dataclass(frozen=True)
class Counts:
    """Numbers of a chunk by their next bits, for each of some prefixes of those before; missing ones are left out."""

    prefixes: tuple[int, ...]
    settled: int

    def __call__(self, x: Array, weights: Array | None = None) -> NDArray[Any]:
        """Counts (prefixes, 65536) of a chunk's numbers, or sums of their weights."""
        known = ~np.isnan(x)
        u, w = ordered(np.ascontiguousarray(x[known], dtype=np.float64)), None if weights is None else weights[known]
        shift = np.uint64(64 - BITS * (self.settled + 1))
        head, digit = u >> shift, (u >> shift) & np.uint64(SIZE - 1)
        out = np.empty((len(self.prefixes), SIZE), dtype=np.int64 if w is None else np.float64)
        for k, prefix in enumerate(self.prefixes):
            inside = slice(None) if not self.settled else head >> np.uint64(BITS) == np.uint64(prefix)
            out[k] = np.bincount(digit[inside].astype(np.int64), None if w is None else w[inside], minlength=SIZE)
        return out


def order_statistics(total: Callable[[Counts], Any], ranks: Sequence[int]) -> Array:
    """The numbers with these places (from 0) in the order of all that are not missing.

    Parameters
    ----------
    total : callable
        Adds up what a function says of the numbers of each chunk.
    ranks : sequence of int

    Returns
    -------
    ndarray (len(ranks),)
    """
    prefix, left = [0] * len(ranks), [int(rank) for rank in ranks]
    for settled in range(PASSES):
        wanted = tuple(sorted(set(prefix)))
        found = np.cumsum(np.asarray(total(Counts(wanted, settled))), axis=1)
        for k in range(len(ranks)):
            counts = found[wanted.index(prefix[k])]
            digit = int(np.searchsorted(counts, left[k], side="right"))
            left[k] -= int(counts[digit - 1]) if digit else 0
            prefix[k] = (prefix[k] << BITS) | digit
    return doubles(np.array(prefix, dtype=np.uint64))


def weighted_statistics(total: Callable[[Counts], Any], places: Sequence[float]) -> Array:
    """The least numbers at which the weights of all up to them come to these places.

    Parameters
    ----------
    total : callable
        Adds up what a function says of the numbers of each chunk and their weights.
    places : sequence of float
        Above zero; of one beyond all the weight the largest number is found.
    """
    prefix, below = [0] * len(places), [0.0] * len(places)
    for settled in range(PASSES):
        wanted = tuple(sorted(set(prefix)))
        sums = np.asarray(total(Counts(wanted, settled)))
        for k, place in enumerate(places):
            weights = sums[wanted.index(prefix[k])]
            filled = below[k] + np.cumsum(weights)
            # the last number that there is, where the rounding of a sum leaves a place beyond all
            digit = min(int(np.searchsorted(filled, place)), int(np.flatnonzero(weights)[-1]))
            below[k] = float(filled[digit] - weights[digit])
            prefix[k] = (prefix[k] << BITS) | digit
    return doubles(np.array(prefix, dtype=np.uint64))


def quantiles(total: Callable[[Any], Any], count: int, probabilities: Sequence[float] | Array) -> Array:
    """R's quantiles of type 7, numpy's ``linear``, of ``count`` numbers."""
    place = np.asarray(probabilities, dtype=float) * (count - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, count - 1)
    found = order_statistics(total, [*low.tolist(), *high.tolist()])
    below, above = found[: len(low)], found[len(low) :]
    return np.asarray(below + (above - below) * (place - low))
