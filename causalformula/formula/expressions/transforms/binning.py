"""R's ``cut``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from causalformula.errors import DataError
from causalformula.formula.expressions.values import Factor
from causalformula.numerics.arrays import Array, Integers

MAX_INTERVALS = 100_000


@dataclass(frozen=True, eq=False)
class Bins:
    """Sorted breaks and the labels of the intervals between them; ``labels`` is None for plain numbers."""

    breaks: Array
    labels: tuple[str, ...] | None
    right: bool
    include_lowest: bool
    ordered: bool

    def apply(self, x: Array) -> Factor | Array:
        """Interval of each value; missing outside the breaks."""
        codes = self._codes(x)
        if self.labels is None:
            return np.where(codes < 0, np.nan, codes + 1.0)
        return Factor(codes, self.labels, self.ordered)

    def _codes(self, x: Array) -> Integers:
        last = len(self.breaks) - 1
        codes = np.searchsorted(self.breaks, x, side="left" if self.right else "right") - 1
        if self.include_lowest:
            codes[x == self.breaks[0 if self.right else last]] = 0 if self.right else last - 1
        codes[(codes >= last) | np.isnan(x)] = -1
        return codes


def bins(
    x: Array,
    breaks: Array,
    labels: Sequence[str] | bool | None = None,
    *,
    include_lowest: bool = False,
    right: bool = True,
    digits: int = 3,
    ordered: bool = False,
) -> Bins:
    """Fit: a single number of ``breaks`` is spread evenly over the range, widened by a thousandth at both ends.

    Raises
    ------
    DataError
        For fewer than two intervals asked for, breaks that repeat, or labels of the wrong number.
    """
    points = np.sort(breaks) if len(breaks) > 1 else _even(x, float(breaks[0]))
    if np.isnan(points).any():
        raise DataError("cut() has no breaks to work with: they, or all values, are missing")
    if (np.diff(points) == 0).any():
        raise DataError("the breaks of cut() are not unique")
    if labels is None or labels is True:
        named: tuple[str, ...] | None = _intervals(points, right, include_lowest, digits)
    elif labels is False:
        named = None
    else:
        named = tuple(labels)
        if len(named) != len(points) - 1:
            raise DataError(f"cut() makes {len(points) - 1} intervals, and there are {len(named)} labels")
    return Bins(points, named, right, include_lowest, ordered)


def _even(x: Array, count: float) -> Array:
    if not 2 <= count <= MAX_INTERVALS:
        raise DataError(f"cut() makes 2 to {MAX_INTERVALS} intervals, not {count:g}")
    low, high = np.nanmin(x), np.nanmax(x)
    width = high - low or abs(low)
    number = int(count) + 1
    if high == low:
        return np.linspace(low - width / 1000, high + width / 1000, number)
    points = np.linspace(low, high, number)
    points[[0, -1]] = low - width / 1000, high + width / 1000
    return points


def _ends(points: Array, precision: int) -> list[str]:
    """Ends of intervals; beside minus infinity R writes infinity as wide."""
    infinity = " Inf" if np.isneginf(points).any() else "Inf"
    words = {np.inf: infinity, -np.inf: "-Inf"}
    return [words.get(p, f"{p:.{precision}g}") for p in points.tolist()]


def _intervals(points: Array, right: bool, include_lowest: bool, digits: int) -> tuple[str, ...]:
    """Labels such as ``(0,20]``, with as many digits as it takes to tell neighbours apart."""
    for precision in range(digits, max(12, digits) + 1):
        ends = _ends(points, precision)
        if all(a != b for a, b in pairwise(ends)):
            break
    else:
        return tuple(f"Range_{i}" for i in range(1, len(points)))
    left, close = ("(", "]") if right else ("[", ")")
    labels = [f"{left}{a},{b}{close}" for a, b in pairwise(ends)]
    if include_lowest and right:
        labels[0] = "[" + labels[0][1:]
    elif include_lowest:
        labels[-1] = labels[-1][:-1] + "]"
    return tuple(labels)
