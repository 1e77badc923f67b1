"""The recipe of a design matrix: what is needed to build the same columns from other data."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import DataError, FormulaError, some, warn
from causalformula.formula.expressions.evaluate import Env, Memory, evaluate
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import (
    Columns,
    Contrast,
    Factor,
    Logical,
    Matrix,
    Strings,
    Value,
    as_factor,
    as_strings,
    kind,
    length,
    lookup,
)
from causalformula.formula.language.grammar import variables as columns_used
from causalformula.formula.matrix.terms import Terms
from causalformula.numerics.arrays import Array, Codes

Term: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Block:
    """How one variable becomes columns.

    Attributes
    ----------
    label : str
    suffixes : tuple of str
        Of a numeric variable's columns; empty for a factor.
    levels : tuple of str or None
        Of a factor; None for a numeric variable.
    contrast : Contrast or None
        A factor's columns where it is coded by contrasts; None where no term needs them.
    """

    label: str
    suffixes: tuple[str, ...] = ()
    levels: tuple[str, ...] | None = None
    contrast: Contrast | None = None

    def names(self, code: int) -> tuple[str, ...]:
        """Column names under coding 1 (contrasts) or 2 (dummies)."""
        if self.levels is None:
            return tuple(self.label + s for s in self.suffixes)
        if code == 2 or self.contrast is None:
            return tuple(self.label + level for level in self.levels)
        numbered = map(str, range(1, self.contrast.matrix.shape[1] + 1))
        return tuple(self.label + name for name in self.contrast.names or numbered)

    def prepare(self, value: Value) -> Prepared:
        """The value as arrays from which columns are written."""
        if self.levels is None:
            if isinstance(value, Matrix) and value.values.shape[1] == len(self.suffixes):
                return Prepared(self, list(value.values.T), None)
            if isinstance(value, np.ndarray) and len(self.suffixes) == 1:
                return Prepared(self, [value], None)
            raise DataError(f"{self.label} was a number when this was fitted, and here it is {kind(value)}")
        return Prepared(self, [], self._codes(value))

    def _codes(self, value: Value) -> Codes:
        assert self.levels is not None
        if self.levels == LOGICAL_LEVELS and isinstance(value, np.ndarray):
            absent = np.isnan(value.astype(float))
            if np.isin(value[~absent], (0, 1)).all():
                value = Logical.of(value == 1, absent)
        if not isinstance(value, Factor | Strings | Logical):
            raise DataError(f"{self.label} was a factor when this was fitted, and here it is {kind(value)}")
        factor = logical_factor(value) if isinstance(value, Logical) else as_factor(value)
        if factor.levels == self.levels:
            return factor.codes.astype(np.intp)
        place = {level: i for i, level in enumerate(self.levels)}
        new = [v for v, used in zip(factor.levels, factor.used, strict=True) if used and v not in place]
        if new:
            quoted = some(repr(v) for v in new)
            known = some(self.levels)
            raise DataError(f"{self.label} has a level that was not there at the fit: {quoted}; known: {known}")
        return lookup(factor.codes, [place.get(v, -1) for v in factor.levels]).astype(np.intp)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A block together with one data set's values for it."""

    block: Block
    arrays: list[NDArray[Any]]
    codes: Codes | None

    def write(self, out: Array, code: int, j: int, multiply: bool) -> None:
        """Put column ``j`` into ``out``, or multiply ``out`` by it."""
        if self.codes is None:
            if multiply:
                out *= self.arrays[j]
            else:
                out[:] = self.arrays[j]
            return
        table = self._table(code, j)
        if multiply:
            out *= table[self.codes]
        else:
            np.take(table, self.codes, out=out, mode="wrap")

    def _table(self, code: int, j: int) -> Array:
        """Value of the column at each level, and at the end, where -1 points, NaN for a missing one."""
        assert self.block.levels is not None
        table = np.zeros(len(self.block.levels) + 1)
        table[-1] = np.nan
        if code == 1 and self.block.contrast is not None:
            table[:-1] = self.block.contrast.matrix[:, j]
        else:
            table[j] = 1.0
        return table


LOGICAL_LEVELS = ("FALSE", "TRUE")


def logical_factor(value: Logical) -> Factor:
    """R codes a logical as a factor with both levels, whichever occur."""
    return Factor(value.codes, LOGICAL_LEVELS)


# Smaller matrices are not held against the machine's memory.
MOST_BYTES = 2**30
# A factor of more levels, in a matrix of more cells, takes long as columns.
MANY_LEVELS, MANY_CELLS = 1000, 10**7


def memory_of_machine() -> float:
    """Bytes of memory; unbounded where the system does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return np.inf


@dataclass(frozen=True, eq=False)
class Recipe:
    """Everything needed to build the same columns from other data; it holds no data, and pickles.

    Attributes
    ----------
    terms : Terms
    blocks : dict
        By place of the variable in ``terms.variables``; those that a term uses.
    coding : tuple
        ``terms.coding``, with the first factor coded in full where there is no intercept.
    memory : Memory
        The states of remembering calls.
    bare : bool
        Whether the intercept, beside which factors are coded, has no column: absorbed effects hold it.
    """

    terms: Terms
    blocks: dict[int, Block]
    coding: tuple[Term, ...]
    memory: Memory
    env: Env | None = None
    source: str | None = None
    bare: bool = False

    @property
    def intercept(self) -> bool:
        """Whether the first column is the intercept."""
        return self.terms.intercept and not self.bare

    @cached_property
    def names(self) -> tuple[str, ...]:
        """R's column names."""
        out = ["(Intercept)"] if self.intercept else []
        for term in self.coding:
            # The first variable varies fastest.
            parts = [self.blocks[i].names(code) for i, code in reversed(term)]
            out += [":".join(reversed(combination)) for combination in product(*parts)]
        return tuple(out)

    @cached_property
    def assign(self) -> Codes:
        """For each column the number of its term; 0 is the intercept."""
        widths = [prod(len(self.blocks[i].names(code)) for i, code in term) for term in self.coding]
        first = [0] if self.intercept else []
        return np.array(first + [j for j, width in enumerate(widths, 1) for _ in range(width)], dtype=np.intp)

    @cached_property
    def uses(self) -> dict[int, tuple[str, ...]]:
        """Columns of the data behind each variable; names such as ``T`` and ``pi`` need not be columns."""
        read = self.memory.read
        places = sorted([*self.blocks, *self.terms.offsets])
        return {i: tuple(v for v in columns_used(self.terms.variables[i]) if v in read) for i in places}

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Columns of the data that the matrix and its offset are built from."""
        return tuple(dict.fromkeys(v for used in self.uses.values() for v in used))

    @cached_property
    def contrasts(self) -> dict[str, str | Array]:
        """By factor, the name of its contrasts, or their matrix where they have none."""
        found = ((b.label, b.contrast) for b in self.blocks.values() if b.contrast is not None)
        return {label: contrast.label or contrast.matrix for label, contrast in found}

    @cached_property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """Levels of each factor."""
        return {b.label: b.levels for b in self.blocks.values() if b.levels is not None}

    def apply(self, columns: Columns, n: int) -> Array:
        """The matrix (n, p) of other data, missing wherever a variable is.

        Raises
        ------
        DataError
            For a level that was not there at the fit, or a column of another kind.
        """
        return self.fill(self.prepared(columns, n), n)

    def prepared(self, columns: Columns, n: int) -> dict[int, Prepared]:
        """The variables of other data by their place in the terms, as the matrix reads them."""
        return {i: self._prepared(i, columns, n) for i in self.blocks}

    def partial(self, values: Mapping[int, Value], touched: Collection[int], n: int) -> tuple[Codes, Array]:
        """Places and values (n, c) of only those columns whose terms use a variable in ``touched``.

        Parameters
        ----------
        values : mapping of int to Value
            Variables by their place in ``terms.variables``, changed ones included.
        touched : collection of int
            Places of the variables that changed.
        """
        layout = [(at, term) for at, term in self._layout() if any(i in touched for i, _ in term)]
        prepared = {i: self.blocks[i].prepare(values[i]) for i in {i for _, term in layout for i, _ in term}}
        widths = [prod(len(self.blocks[i].names(code)) for i, code in term) for _, term in layout]
        out = np.empty((n, sum(widths)), order="F")
        places = [np.arange(at, at + width) for (at, _), width in zip(layout, widths, strict=True)]
        start = 0
        for (_, term), width in zip(layout, widths, strict=True):
            _write(out, start, term, prepared)
            start += width
        return np.concatenate([np.empty(0, dtype=np.intp), *places]).astype(np.intp), out

    def offset(self, columns: Columns, n: int) -> Array | None:
        """The sum of the formula's offsets, or None when it has none."""
        return offset_total([self._value(i, columns, n) for i in self.terms.offsets])

    def _value(self, place: int, columns: Columns, n: int) -> Value:
        node = self.terms.variables[place]
        value = evaluate(node, columns, n, env=self.env, source=self.source, memory=self.memory, replay=True)
        block = self.blocks.get(place)
        if isinstance(value, Times) and block is not None and block.levels is not None:
            value = as_strings(value)  # two dates that were taken for levels, the periods of did(...)
        return one_column(value, n, self.terms.labels[place], self.source, node.span)

    def _prepared(self, place: int, columns: Columns, n: int) -> Prepared:
        return self.blocks[place].prepare(self._value(place, columns, n))

    def _layout(self) -> list[tuple[int, Term]]:
        """First column of each term."""
        starts = np.searchsorted(self.assign, np.arange(1, len(self.coding) + 1))
        return list(zip(starts.tolist(), self.coding, strict=True))

    def _check_width(self, n: int) -> None:
        """Refuse a matrix that memory has no room for, and warn of one that takes long, with the remedy."""
        widest = max(self.levels, key=lambda label: len(self.levels[label]), default="")
        levels = len(self.levels[widest]) if widest else 0
        check_room(len(self.names), n, widest, levels)
        if levels > MANY_LEVELS and n * len(self.names) > MANY_CELLS:
            warn(f"{widest} has {levels:,} levels, each a column of its own, which takes long: {_absorb(widest)}")

    def fill(self, prepared: Mapping[int, Prepared], n: int) -> Array:
        """The matrix, from prepared blocks."""
        self._check_width(n)
        out = np.empty((n, len(self.names)), order="F")
        if self.intercept:
            out[:, 0] = 1.0
        for position, term in self._layout():
            _write(out, position, term, prepared)
        return out


def check_room(columns: int, n: int, widest: str, levels: int) -> None:
    """Refuse a matrix that memory has no room for, with the remedy: to absorb the factor of most levels."""
    size = 8 * n * columns
    if size <= MOST_BYTES or size <= memory_of_machine():
        return
    many = f"; {widest} alone has {levels:,} levels: {_absorb(widest)}" if widest else ""
    raise DataError(
        f"the design would have at least {columns:,} columns of {n:,} rows, {size / 2**30:,.0f} GiB, more than the "
        f"memory of this machine{many}"
    )


def _absorb(factor: str) -> str:
    return f"absorb its effects, fe({factor}) in cf.lm, cf.glm or cf.fit, which takes no column for any"


def _write(out: Array, position: int, term: Term, prepared: Mapping[int, Prepared]) -> None:
    parts = [(prepared[i], code, len(prepared[i].block.names(code))) for i, code in reversed(term)]
    for offset, combination in enumerate(product(*(range(width) for _, _, width in parts))):
        column = out[:, position + offset]
        for turn, ((part, code, _), j) in enumerate(zip(reversed(parts), reversed(combination), strict=True)):
            part.write(column, code, j, multiply=turn > 0)


def one_column(value: Value, n: int, label: str, source: str | None, span: tuple[int, int]) -> Value:
    """The value of a variable, once it is known to be one: of a kind that has rows, and as many as the data."""
    if isinstance(value, Times):
        value = value.days()
    if not isinstance(value, np.ndarray | Matrix | Logical | Strings | Factor):
        raise FormulaError(f"{label} is {kind(value)}, not a variable", source, span)
    if isinstance(value, Matrix) and value.values.shape[1] == 1:  # R drops the dimension: scale(x), cbind(x)
        value = value.values[:, 0]
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise FormulaError(f"{label} has {value.ndim} dimensions", source, span)
    if length(value) != n:
        count = f"{length(value)} value{'s' * (length(value) != 1)}"
        raise FormulaError(f"{label} gives {count} for {n} rows of data", source, span)
    return value


def offset_total(values: list[Value]) -> Array | None:
    """Sum of the values of the offsets, or None without any."""
    if not values:
        return None
    total = np.zeros(length(values[0]))
    for value in values:
        if not isinstance(value, np.ndarray):
            raise FormulaError(f"an offset must be one column of numbers, and this is {kind(value)}")
        total += value
    return total
