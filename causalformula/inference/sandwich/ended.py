"""Sums by group of which only a summary is wanted: told of all groups at once, or of each as it ends in sorted rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causalformula.inference.sandwich.grouped import Grouped, coded
from causalformula.numerics.arrays import Array

# Groups whose sums are held in memory at once, where the engine can sort the rows by group instead.
MOST_HELD = 1_000_000
# What is wanted of whole groups, ``(groups) -> answer``: answers add up, and that of no group is zero. It pickles.
Tell = Callable[[Grouped], Any]


@dataclass(frozen=True, eq=False)
class Ended:
    """Rows sorted by group, of which the first and the last group may go on in the rows before and after.

    It merges with the rows that come next, so that no more than two groups are held.

    Parameters
    ----------
    ends : Grouped
        The first group and the last, in this order; one where they are the same.
    within : object
        What is told of those between.
    tell : callable
    """

    ends: Grouped
    within: Any
    tell: Tell = field(repr=False)

    @classmethod
    def of(cls, keys: Any, values: Array, tell: Tell) -> Ended:
        """Of some rows with these values (n, q), one after another."""
        _, codes = coded(keys)
        first, last = codes == codes[0], codes == codes[-1]
        between = ~(first | last)
        rows = [first] if first[-1] else [first, last]
        places = [int(part.argmax()) for part in rows]
        ends = Grouped(keys[places], np.array([values[part].sum(axis=0) for part in rows]))
        return cls(ends, tell(Grouped.of(keys[between], values[between])), tell)

    def __add__(self, other: Ended) -> Ended:
        """With the rows that come next."""
        a, b = self.ends, other.ends
        if a.keys[-1] == b.keys[0]:
            met = Grouped(a.keys[-1:], a.sums[-1:] + b.sums[:1])
            row = a.part(slice(-1)).beside(met).beside(b.part(slice(1, None)))
        else:
            row = a.beside(b)
        within = self.within + other.within + self.tell(row.part(slice(1, -1)))
        ends = row if len(row.keys) < 3 else row.part(slice(1)).beside(row.part(slice(-1, None)))
        return Ended(ends, within, self.tell)


def grouped(keys: Any, values: Array, tell: Tell, ordered: bool) -> Grouped | Ended:
    """Sums by group of rows with these values (n, q); of sorted rows no more than the ends."""
    return Ended.of(keys, values, tell) if ordered else Grouped.of(keys, values)


def told(found: Grouped | Ended, tell: Tell) -> Any:
    """What is wanted of all groups."""
    return found.within + tell(found.ends) if isinstance(found, Ended) else tell(found)
