"""What an expression evaluates to: R's vectors as numpy arrays, without pandas.

A numeric vector is a one-dimensional array. Float64 is R's double, with NaN for a missing value; an integer dtype is
R's integer, which has no missing values here and differs only in how its numbers are written as factor levels
(``100000`` where a double gives ``1e+05``). Everything else is one of the classes below. Factors and strings are
stored as codes into a table of levels, with -1 for a missing value, so nothing here loops over rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import FormulaError
from causalformula.formula.expressions.times import Times, labels
from causalformula.numerics.arrays import Array, Bools, Integers


@dataclass(frozen=True, eq=False)
class Matrix:
    """Several numeric columns that go together, such as ``poly(x, 2)`` or ``cbind(a, b)``.

    Attributes
    ----------
    values : ndarray (n, m)
    names : tuple of str or None
        R's column names; without them the columns are numbered.
    """

    values: Array
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Logical:
    """True, false or missing: 1, 0 and -1 in an int8 array."""

    codes: NDArray[np.int8]

    @staticmethod
    def of(values: Bools, missing: Bools | None = None) -> Logical:
        """From a boolean array and, where there are some, the missing places."""
        codes = np.asarray(values, dtype=bool).astype(np.int8)
        if missing is not None:
            codes[missing] = -1
        return Logical(codes)


@dataclass(frozen=True, eq=False)
class Strings:
    """A character vector.

    Attributes
    ----------
    codes : integer array (n,)
        Places in ``table``; -1 is missing.
    table : tuple of str
        The distinct strings, in any order; it may hold strings that no row has.
    """

    codes: Integers
    table: tuple[str, ...]

    @staticmethod
    def of(values: Iterable[Any]) -> Strings:
        """From strings, with None (or NaN) where one is missing."""
        places: dict[str, int] = {}
        codes = [places.setdefault(v, len(places)) if isinstance(v, str) else -1 for v in values]
        return Strings(np.asarray(codes, dtype=np.int32), tuple(places))


@dataclass(frozen=True, eq=False)
class Contrast:
    """The columns that stand for a factor: a matrix (levels, k), its column names, and R's name for it if any."""

    matrix: Array
    names: tuple[str, ...] | None = None
    label: str | None = None


@dataclass(frozen=True, eq=False)
class Factor:
    """A categorical variable.

    Attributes
    ----------
    codes : integer array (n,)
        Places in ``levels``; -1 is missing.
    levels : tuple of str
    ordered : bool
    contrast : Contrast or None
        Set by ``C(f, ...)``.
    """

    codes: Integers
    levels: tuple[str, ...]
    ordered: bool = False
    contrast: Contrast | None = None

    @cached_property
    def used(self) -> Bools:
        """Which levels some row has."""
        return np.bincount(self.codes + 1, minlength=len(self.levels) + 1)[1:] > 0

    def drop_unused(self) -> Factor:
        """Without the levels that no row has; a contrast that no longer fits is given up, as in R."""
        if self.used.all():
            return self
        kept = np.flatnonzero(self.used)
        return Factor(_recode(self.codes, kept, len(self.levels)), tuple(self.levels[i] for i in kept), self.ordered)

    def with_levels(self, levels: Sequence[str]) -> Factor:
        """The same values over ``levels``, to which levels that they lack are added at the end."""
        if tuple(levels) == self.levels:
            return self
        extra = [v for v, used in zip(self.levels, self.used, strict=True) if used and v not in set(levels)]
        table = {v: i for i, v in enumerate([*levels, *extra])}
        return replace(self, codes=lookup(self.codes, [table.get(v, -1) for v in self.levels]), levels=tuple(table))


@dataclass(frozen=True)
class ContrastFunction:
    """A contrast named without being called: ``contr.sum`` in ``C(f, contr.sum)``."""

    name: str


Vector: TypeAlias = NDArray[Any]
Value: TypeAlias = Vector | Matrix | Logical | Strings | Factor | Times | ContrastFunction | None
Columns: TypeAlias = Mapping[str, Value]


def _recode(codes: Integers, kept: Integers, size: int) -> Integers:
    table = np.full(size, -1)
    table[kept] = np.arange(len(kept))
    return lookup(codes, table)


def lookup(codes: Integers, table: Sequence[int] | NDArray[Any]) -> Integers:
    """``table[codes]`` where missing codes stay missing."""
    padded = np.append(np.asarray(table, dtype=np.int32), np.int32(-1))
    return padded[codes]


def length(value: Value) -> int:
    """Number of rows."""
    if isinstance(value, np.ndarray):
        return len(value)
    if isinstance(value, Matrix | Times):
        return len(value.values)
    if isinstance(value, Logical | Strings | Factor):
        return len(value.codes)
    return 0


def take(value: Value, rows: Integers) -> Value:
    """The rows asked for."""
    if isinstance(value, np.ndarray):
        return value[rows]
    if isinstance(value, Matrix | Times):
        return replace(value, values=value.values[rows])
    if isinstance(value, Logical | Strings | Factor):
        return replace(value, codes=value.codes[rows])
    return value


def missing(value: Value) -> Bools | None:
    """Rows in which the value is missing, or None when there are none."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f" or _finite(value):
            return None
        rows: Bools = np.isnan(value)
    elif isinstance(value, Times):
        rows = np.isnan(value.values)
    elif isinstance(value, Matrix):
        if _finite(value.values):
            return None
        rows = np.asarray(np.isnan(value.values).any(axis=1))
    elif isinstance(value, Logical | Strings | Factor):
        if not len(value.codes) or value.codes.min() >= 0:
            return None
        rows = value.codes < 0
    else:
        return None
    return rows if rows.any() else None


def _finite(values: Vector) -> bool:
    """The sum is NaN or infinite whenever a value is, and reading it costs no array."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(values.sum()))


def number_label(value: float) -> str:
    """A number as R's ``as.character`` writes it: at most 15 significant digits, fixed notation unless it is longer."""
    if value != value:
        return "NaN"
    if np.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    mantissa, _, exponent = f"{value:.14e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    power = int(exponent)
    digits = sum(c.isdigit() for c in mantissa)
    fixed = f"{value:.{max(digits - 1 - power, 0)}f}"
    scientific = f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return fixed if len(fixed) <= len(scientific) else scientific


def number_labels(values: Vector) -> list[str]:
    """Labels of several numbers; integers are written in full."""
    if values.dtype.kind in "iu":
        return [str(int(v)) for v in values]
    return [number_label(float(v)) for v in values]


def as_strings(value: Value) -> Strings:
    """R's ``as.character``."""
    if isinstance(value, Strings):
        return value
    if isinstance(value, Factor):
        return Strings(value.codes, value.levels)
    if isinstance(value, Logical):
        return Strings(value.codes, ("FALSE", "TRUE"))
    if isinstance(value, np.ndarray):
        distinct, codes = encode(value)
        return merged(codes, number_labels(distinct))
    if isinstance(value, Times):
        distinct, codes = encode(value.values)
        return merged(codes, labels(distinct, value))
    raise FormulaError(f"text is needed here, and this is {kind(value)}")


def encode(values: Vector) -> tuple[Vector, Integers]:
    """Sorted distinct numbers, and each row's place among them (-1 where it is NaN)."""
    if values.dtype.kind == "f":
        present = ~np.isnan(values)
        distinct, inverse = np.unique(values[present], return_inverse=True)
        codes = np.full(len(values), -1, dtype=np.int32)
        codes[present] = inverse
        return distinct, codes
    if values.dtype.kind in "iu" and len(values) and int(values.max()) - int(values.min()) <= 2 * len(values):
        return _counted(values)
    distinct, inverse = np.unique(values, return_inverse=True)
    return distinct, inverse.astype(np.int32)


def _counted(values: Vector) -> tuple[Vector, Integers]:
    """The same of whole numbers that lie close together, without sorting them."""
    least = values.min()
    # a narrow type holds no distance between its ends, and the widest unsigned one no number below its least
    steps = (values - least).astype(np.intp) if values.dtype.kind == "u" else values.astype(np.intp) - int(least)
    met = np.bincount(steps) > 0
    place = (np.cumsum(met) - 1).astype(np.int32)
    return least + np.flatnonzero(met).astype(values.dtype), place[steps]


def merged(codes: Integers, texts: Sequence[str]) -> Strings:
    """Codes with a text each; those that share a text (numbers that differ beyond 15 digits) become one."""
    table = {v: i for i, v in enumerate(dict.fromkeys(texts))}
    if len(table) == len(texts):
        return Strings(codes, tuple(table))
    return Strings(lookup(codes, [table[v] for v in texts]), tuple(table))


def as_factor(value: Value) -> Factor:
    """R's ``factor``: sorted levels (strings by code point, numbers by size), those that occur."""
    if isinstance(value, Factor):
        return value
    if isinstance(value, Logical):
        return Factor(value.codes, ("FALSE", "TRUE")).drop_unused()
    text = as_strings(value)
    if not isinstance(value, Strings):
        return Factor(text.codes, text.table)
    order = sorted(range(len(text.table)), key=text.table.__getitem__)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order))
    return Factor(lookup(text.codes, rank), tuple(text.table[i] for i in order)).drop_unused()


_KINDS: dict[type, str] = {
    np.ndarray: "a number", Matrix: "a matrix", Logical: "a logical", Strings: "a string", Factor: "a factor",
    ContrastFunction: "a contrast", type(None): "NULL",
}  # fmt: skip


def kind(value: Value) -> str:
    """What the value is, in words."""
    return value.word if isinstance(value, Times) else _KINDS[type(value)]
