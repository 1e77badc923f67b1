"""The treatment variable: its kind, its levels, and the columns that set it to something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from causalformula.errors import DataError, FormulaError, OptionError, did_you_mean, some
from causalformula.formula.expressions.text_readings import reading
from causalformula.formula.expressions.values import (
    Factor,
    Logical,
    Strings,
    Value,
    as_factor,
    kind,
    number_label,
    take,
)
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.linalg import refuse_extreme

# Whole numbers from here on are no numbers of the machine.
HUGE = 10**300


class Kind(Enum):
    """What a treatment is; backends say which kinds they take."""

    BINARY = "binary"
    MULTI = "several levels"
    CONTINUOUS = "dose"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, eq=False)
class Treatment:
    """A treatment on the rows kept.

    Parameters
    ----------
    name : str
        The term as written, ``Drug`` or ``factor(arm)``.
    kind : Kind
    column : Value
        As it enters a design matrix: numeric 0/1 and doses as numbers, logicals as logicals, the rest as factors.
    levels : tuple of str
        Labels, the reference first; empty for a dose.
    codes : ndarray (n,) of int
        Positions in ``levels``; empty for a dose.
    values : ndarray (n,)
        The dose, or the numeric values of a numeric treatment.
    """

    name: str
    kind: Kind
    column: Value
    levels: tuple[str, ...]
    codes: Codes
    values: Array

    def __len__(self) -> int:
        return len(self.values) if self.kind is Kind.CONTINUOUS else len(self.codes)

    def index(self, level: Any) -> int:
        """Position of a level given as text, number or logical."""
        text = level_label(level)
        if text not in self.levels:
            raise OptionError(f"{self.name!r} has no level {text!r}{_among(text, self.levels)}")
        return self.levels.index(text)

    def at_level(self, k: int) -> Value:
        """The column with every row at level ``k``."""
        n = len(self)
        if isinstance(self.column, Factor):
            return replace(self.column, codes=np.full(n, k, dtype=self.column.codes.dtype))
        if isinstance(self.column, Logical):
            return Logical(np.full(n, self.levels[k] == "TRUE", dtype=np.int8))
        return np.full(n, float(self.levels[k]))

    def take(self, rows: Codes) -> Treatment:
        """The same on some rows."""
        values = self.values[rows] if len(self.values) else self.values
        codes = self.codes[rows] if len(self.codes) else self.codes
        return replace(self, column=take(self.column, rows), codes=codes, values=values)


def _among(text: str, levels: Sequence[str]) -> str:
    """The nearest level, and those that there are."""
    near, listed = did_you_mean(text, levels), f"ts levels are {some(levels)}"
    return f"{near} I{listed}" if near else f"; i{listed}"


def refuse_empty_arms(treatment: Treatment, w: Array) -> None:
    """A ``DataError`` when sampling weights leave an arm with none."""
    total = np.bincount(treatment.codes, w, minlength=len(treatment.levels)) if treatment.levels else np.ones(1)
    empty = [treatment.levels[k] for k in np.flatnonzero(total == 0)] if treatment.levels else []
    if empty:
        raise DataError(
            f"no row of positive weight has {treatment.name} = {some(empty)}; an effect needs weight in every arm. "
            "Check weights(...), or leave that level out with subset="
        )


def level_label(level: Any) -> str:
    """R's label of a level: ``TRUE`` for True, ``1`` for 1.0."""
    if isinstance(level, (bool, np.bool_)):
        return "TRUE" if level else "FALSE"
    if isinstance(level, (int, float, np.integer, np.floating)):
        return number_label(float(level)) if not isinstance(level, int) or abs(level) < HUGE else str(level)
    return str(level)


def read_treatment(name: str, value: Value, ref: Any = None) -> Treatment:
    """Classify an evaluated treatment column (without missing values).

    Raises
    ------
    DataError
        If fewer than two values are present.
    """
    if isinstance(value, np.ndarray):
        return _numeric(name, value.astype(float), ref)
    if isinstance(value, Logical):
        codes = value.codes.astype(np.intp)
        _two_arms(name, ["FALSE", "TRUE"], np.bincount(codes, minlength=2))
        treatment = Treatment(name, Kind.BINARY, value, ("FALSE", "TRUE"), codes, codes.astype(float))
        return treatment if ref is None or treatment.index(ref) == 0 else _factor(name, as_factor(value), ref)
    if not isinstance(value, (Strings, Factor)):
        raise FormulaError(f"treat({name}) is {kind(value)}; a treatment is one variable")
    found = reading(value) if ref is None else None
    if found is not None and len(found.read) > 2:
        advice = found.advice(name)
        raise OptionError(
            f"the treatment {name!r} is {found.described()}. If it is a dose, {advice} in treat(...); if levels are "
            f"meant, write treat(factor({name}))"
        )
    return _factor(name, as_factor(value), ref)


def _numeric(name: str, value: Array, ref: Any) -> Treatment:
    if not np.isfinite(value).all():
        raise DataError(f"the treatment {name!r} has infinite values")
    distinct = np.unique(value[:1000])
    if len(distinct) <= 2:
        distinct = np.unique(value)
    if len(distinct) < 2:
        _two_arms(name, [number_label(v) for v in distinct], np.array([len(value)]))
    if len(distinct) > 2:
        if ref is not None:
            raise OptionError(
                f"ref= names the reference level of a treatment with levels; {name!r} is numeric with more than two "
                f"values, a dose. Write treat(factor({name}), ref = ...) for levels"
            )
        refuse_extreme(value, f"the treatment {name!r}")
        return Treatment(name, Kind.CONTINUOUS, value, (), np.empty(0, dtype=np.intp), value)
    labels = tuple(number_label(v) for v in distinct)
    codes = (value == distinct[1]).astype(np.intp)
    treatment = Treatment(name, Kind.BINARY, value, labels, codes, value)
    if ref is None or treatment.index(ref) == 0:
        return treatment
    return _factor(name, Factor(codes, labels), ref)


def _factor(name: str, factor: Factor, ref: Any) -> Treatment:
    counts = np.bincount(factor.codes, minlength=len(factor.levels))
    used = np.flatnonzero(counts)
    _two_arms(name, [factor.levels[k] for k in used], counts[used])
    order = list(used)
    levels = [factor.levels[k] for k in order]
    if ref is not None:
        text = level_label(ref)
        if text not in levels:
            raise OptionError(f"ref = {text!r} is not a level of {name!r}{_among(text, levels)}")
        order.insert(0, order.pop(levels.index(text)))
    place = np.full(len(factor.levels), -1, dtype=np.intp)
    place[order] = np.arange(len(order))
    codes = place[factor.codes]
    levels = [factor.levels[k] for k in order]
    arms = Kind.BINARY if len(levels) == 2 else Kind.MULTI
    column = Factor(codes, tuple(levels))
    return Treatment(name, arms, column, tuple(levels), codes, codes.astype(float))


def _two_arms(name: str, levels: Sequence[str], counts: Codes) -> None:
    present = [level for level, c in zip(levels, counts, strict=False) if c]
    if len(present) < 2:
        found = f"only {present[0]!r}" if present else "no value"
        raise DataError(
            f"the treatment {name!r} has {found} in the rows used; an effect needs at least two arms. "
            "Check the subset, and the rows dropped for missing values"
        )
