"""Sums of rows by group, and the values of groupings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Grouped:
    """Sums by group, which merge by the groups' values.

    Parameters
    ----------
    keys : ndarray (G,)
        Values of the grouping: numbers, text, or tuples of several.
    sums : ndarray (G, q)
    """

    keys: Any
    sums: Array

    @classmethod
    def of(cls, keys: Any, values: Array) -> Grouped:
        """Of rows with these values (n, q)."""
        levels, codes = coded(keys)
        sums = np.empty((len(levels), values.shape[1]))
        for j in range(values.shape[1]):
            sums[:, j] = np.bincount(codes, values[:, j], minlength=len(levels))
        return cls(levels, sums)

    def __add__(self, other: Grouped) -> Grouped:
        return Grouped.of(_together(self.keys, other.keys), np.vstack([self.sums, other.sums]))

    def beside(self, other: Grouped) -> Grouped:
        """These groups and others, which are no groups of these, in this order."""
        return Grouped(_together(self.keys, other.keys), np.vstack([self.sums, other.sums]))

    def part(self, places: slice) -> Grouped:
        """Some of the groups."""
        return Grouped(self.keys[places], self.sums[places])


def _together(a: Any, b: Any) -> Any:
    """Keys of two chunks; whole numbers stay whole where a missing one made doubles of them in one chunk only."""
    if {a.dtype.kind, b.dtype.kind} == {"i", "f"}:
        a, b = (x.astype(np.int64) if x.dtype.kind == "f" and (x == np.rint(x)).all() else x for x in (a, b))
    return np.concatenate([a, b])


def coded(keys: Any) -> tuple[Any, Any]:
    """Distinct keys, and the place of each key among them."""
    if keys.dtype != object:
        levels, codes = np.unique(keys, return_inverse=True)
        return levels, codes
    place: dict[Any, int] = {}
    codes = np.fromiter((place.setdefault(key, len(place)) for key in keys), dtype=np.intp, count=len(keys))
    found = np.empty(len(place), dtype=object)
    found[:] = list(place)
    return found, codes


def joint_keys(columns: list[Any]) -> Any:
    """The values of several groupings taken together, one a row."""
    if len(columns) == 1:
        return columns[0]
    out = np.empty(len(columns[0]), dtype=object)
    out[:] = list(zip(*(column.tolist() for column in columns), strict=True))
    return out
