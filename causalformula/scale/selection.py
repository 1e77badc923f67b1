"""Order statistics of all rows, exact: by counting the digits of their numbers, one pass a digit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.scale.passes import Passes
from causalformula.scale.sums import Sums

# Bits of a digit, of the 64 of a double.
DIGIT = 16
# The numbers of a frame's rows, and how many each counts for.
Read = Callable[[Any], tuple[Array, Array]]


@dataclass(frozen=True, eq=False)
class _Digits:
    """How many numbers have each next digit, among those with the digits before."""

    read: Read
    before: tuple[int, ...]
    place: int

    def __call__(self, frame: Any) -> Sums:
        values, counts = self.read(frame)
        keys, shift = ordered_bits(values), np.uint64(64 - DIGIT * (self.place + 1))
        digits = ((keys >> shift) & np.uint64(2**DIGIT - 1)).astype(np.intp)
        head = keys >> (shift + np.uint64(DIGIT)) if self.place else np.zeros(len(keys), dtype=np.uint64)
        found = [np.bincount(digits[rows], counts[rows], 2**DIGIT) for rows in (head == b for b in self.before)]
        return Sums({"counts": np.array(found)})


def ordered_bits(values: Array) -> Any:
    """Unsigned numbers in the order of the doubles."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)
    top = np.uint64(1) << np.uint64(63)
    return np.where(bits & top, ~bits, bits | top)


def _double(bits: int) -> float:
    top = 1 << 63
    return float(np.array([bits ^ top if bits & top else ~bits & (2**64 - 1)], dtype=np.uint64).view(np.float64)[0])


def order_statistics(passes: Passes, read: Read, places: Callable[[float], Sequence[float]]) -> list[float]:
    """The smallest numbers up to which the counts come to given places.

    Parameters
    ----------
    passes : Passes
    read : callable
        ``read(frame)``: numbers (m,), and how many each counts for (m,).
    places : callable
        ``places(total)``: the places, of so many in all.
    """
    first: Sums = passes.total(_Digits(read, (0,), 0))
    wanted = list(places(float(first["counts"].sum())))
    found, below = [0] * len(wanted), [0.0] * len(wanted)
    for place in range(64 // DIGIT):
        heads = tuple(dict.fromkeys(found))
        sums = first if place == 0 else passes.total(_Digits(read, heads, place))
        for k, target in enumerate(wanted):
            counts = sums["counts"][heads.index(found[k])]
            filled = below[k] + np.cumsum(counts)
            # the last digit that there is, where the rounding of a sum leaves a place beyond all
            digit = min(int(np.searchsorted(filled, target)), int(np.flatnonzero(counts)[-1]))
            below[k] = float(filled[digit] - counts[digit])
            found[k] = (found[k] << DIGIT) | digit
    return [_double(bits) for bits in found]
