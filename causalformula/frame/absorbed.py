"""``FixedEffect``: a factor that is absorbed, on the rows kept and on other data; rows that are alone in a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.errors import DataError, counted, some
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import Value, as_factor, take
from causalformula.formula.language.absorbed import AbsorbedTerm, plain_name
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.syntax import Node
from causalformula.formula.matrix.recipe import one_column
from causalformula.frame.grouping import Grouping, crossed, grouping
from causalformula.frame.outcome import Outcome
from causalformula.frame.rows import as_numbers
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.absorption.saturated import removed
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.families import Family


@dataclass(frozen=True, eq=False)
class FixedEffect:
    """A factor whose effects are absorbed.

    Parameters
    ----------
    term : AbsorbedTerm
        As the formula has it.
    parts : tuple of Grouping
        Its variables; of ``a^b`` two.
    grouping : Grouping
        Its levels: the combinations that there are.
    slopes : ndarray (n, s)
        The variables whose coefficients differ by level.
    """

    term: AbsorbedTerm
    parts: tuple[Grouping, ...]
    grouping: Grouping
    slopes: Array

    @property
    def name(self) -> str:
        """The factor's name."""
        return self.term.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its coefficients: the factor, then the factor with each of its slopes, as ``a[[x]]``."""
        own = (self.name,) if self.term.intercept else ()
        return (*own, *(f"{self.name}[[{plain_name(node)}]]" for node in self.term.slopes))

    @property
    def held(self) -> tuple[str, ...]:
        """Variables that it holds fixed: its slopes', and its factors' where levels have an effect of their own."""
        nodes = (*(self.term.factors if self.term.intercept else ()), *self.term.slopes)
        return tuple(dict.fromkeys(name for node in nodes for name in variables(node)))

    def take(self, rows: Codes) -> FixedEffect:
        """The same on some rows."""
        parts = tuple(part.take(rows) for part in self.parts)
        return replace(self, parts=parts, grouping=self.grouping.take(rows), slopes=self.slopes[rows])

    def compact(self) -> FixedEffect:
        """The same without the levels that no row has."""
        return replace(self, parts=tuple(part.compact() for part in self.parts), grouping=self.grouping.compact())

    def effect(self) -> Effect:
        """Its arrays."""
        slope = self.slopes if self.slopes.shape[1] else None
        return Effect(self.grouping.codes, len(self.grouping.levels), slope, self.term.intercept)

    def places(self, values: Mapping[str, Value], n: int) -> tuple[Codes, Array]:
        """Levels (m,) of other data, -1 where a variable is missing, and the slopes' variables (m, s).

        Raises
        ------
        DataError
            For a level that was not there at the fit.
        """
        found, absent = [], np.zeros(n, dtype=bool)
        for node, part in zip(self.term.factors, self.parts, strict=True):
            factor = as_factor(values[deparse(node)])
            absent |= factor.codes < 0
            found.append(Grouping(part.name, factor.levels, np.maximum(factor.codes, 0).astype(np.intp)))
        out = np.full(n, -1, dtype=np.intp)
        known = np.flatnonzero(~absent)
        if len(known):
            joint = crossed([group.take(known) for group in found])
            out[known] = self._known(joint)
        columns = [as_numbers(values[deparse(node)], deparse(node), "fe") for node in self.term.slopes]
        return out, np.column_stack(columns) if columns else np.empty((n, 0))

    def _known(self, joint: Grouping) -> Codes:
        place = {level: k for k, level in enumerate(self.grouping.levels)}
        used = np.unique(joint.codes)
        new = [joint.levels[k] for k in used if joint.levels[k] not in place]
        if new:
            raise DataError(
                f"the fixed effect {self.name} has {counted(len(new), 'level')} that the fit has no value for: "
                f"{some(new)}. Leave these rows out, or predict without the effects: fixed_effects=False"
            )
        table = np.array([place.get(level, -1) for level in joint.levels], dtype=np.intp)
        return np.asarray(table[joint.codes])


@dataclass(frozen=True)
class LeftOut:
    """Rows that absorbed effects fit exactly, or that no other row gives an instrument, which are left out.

    Parameters
    ----------
    singletons : int
        Rows alone in a level.
    infinite : tuple of (str, int, int)
        Of each factor that has some: its name, how many of its levels have one and the same outcome at the end of
        the family's range, which puts their effects at infinity, and how many rows leave with these.
    ends : str
        These outcomes, for the print.
    idle : int
        Rows of weight zero in levels of these alone.
    alone : int
        Rows without another row in their group, of whose treatment ``loo(g)`` would be the mean.
    alone_in : str
        These instruments, for the print.
    """

    singletons: int = 0
    infinite: tuple[tuple[str, int, int], ...] = ()
    ends: str = ""
    idle: int = 0
    alone: int = 0
    alone_in: str = ""

    @property
    def rows(self) -> int:
        """How many rows these are."""
        return self.singletons + self.idle + sum(rows for _, _, rows in self.infinite) + self.alone

    def plus(self, more: LeftOut) -> LeftOut:
        """Both together, of the same factors."""
        rows: dict[str, tuple[int, int]] = {}
        for name, levels, count in (*self.infinite, *more.infinite):
            before = rows.get(name, (0, 0))
            rows[name] = (before[0] + levels, before[1] + count)
        return LeftOut(
            self.singletons + more.singletons,
            tuple((name, *counts) for name, counts in rows.items()),
            self.ends or more.ends,
            self.idle + more.idle,
            self.alone + more.alone,
            self.alone_in or more.alone_in,
        )


def as_group(value: Value, node: Node, n: int, source: str | None) -> Value:
    """The value of a variable that groups rows, once it is known to be one; dates keep their dates as labels."""
    column = one_column(value, n, deparse(node), source, node.span)
    return value if isinstance(value, Times) else column


@dataclass(frozen=True, eq=False)
class Limits:
    """Which outcomes are at the end of a family's range.

    Parameters
    ----------
    codes : ndarray (n,) of int
        At which, from 1; 0 where inside.
    ends : str
        These outcomes, for messages: ``only 0 or only 1``.
    """

    codes: Codes
    ends: str


def limits_of(outcome: Outcome | None, family: Family | None) -> Limits | None:
    """The outcomes at the ends of the family's range; None where it has none."""
    if outcome is None or family is None or not family.limits:
        return None
    y = outcome.binary() if family.variance_name == "mu(1-mu)" else outcome.numeric()
    return Limits(family.at_limits(y), " or ".join(f"only {limit:g}" for limit in family.limits))


def fixed_effects(
    terms: Sequence[AbsorbedTerm],
    values: Mapping[str, Value],
    rows: Codes,
    weights: Array | None,
    index: Any,
    limits: Limits | None = None,
) -> tuple[tuple[FixedEffect, ...], Codes, LeftOut]:
    """The factors, and the rows that stay: those that the effects fit exactly say nothing of anything else.

    Parameters
    ----------
    values : mapping of str to Value
        Of the factors and slopes over the whole table, filed under ``fe:label``.
    rows : ndarray of int
        Rows of the table.
    weights : ndarray (len(rows),), optional
        Rows of weight zero keep no level.
    index : pandas Index
        Labels of the whole table's rows, for messages.
    limits : Limits, optional
        Which outcomes (len(rows),) are at the end of the family's range.

    Raises
    ------
    DataError
        If no row is left.
    """
    if not terms:
        return (), rows, LeftOut()
    effects = tuple(_effect(term, values, rows, index) for term in terms)
    found = removed([effect.effect() for effect in effects], weights, None if limits is None else limits.codes)
    if found.stays.all():
        return effects, rows, LeftOut()
    each = zip((effect.name for effect in effects), found.levels, found.rows, strict=True)
    infinite = tuple(one for one in each if one[2])
    out = LeftOut(found.alone, infinite, "" if limits is None else limits.ends, found.idle)
    if not found.stays.any():
        raise DataError(_nothing_left(effects, out, len(rows)))
    return tuple(effect.take(np.flatnonzero(found.stays)).compact() for effect in effects), rows[found.stays], out


def _nothing_left(effects: Sequence[FixedEffect], out: LeftOut, n: int) -> str:
    if out.infinite:
        named = " or ".join(name for name, _, _ in out.infinite)
        return (
            f"no level of {named} has outcomes that differ: they are {out.ends} in each, which its own effect fits "
            "exactly, so that nothing is left to estimate from; absorb factors within whose levels the outcome varies"
        )
    levels = ", ".join(f"{effect.name}: {len(effect.grouping.levels):,}" for effect in effects)
    return (
        f"every row is alone in a level of a fixed effect ({levels} levels for {counted(n, 'row')}), so "
        "that nothing is left to estimate from; absorb factors whose levels have several rows"
    )


def _effect(term: AbsorbedTerm, values: Mapping[str, Value], rows: Codes, index: Any) -> FixedEffect:
    """One factor on some rows."""

    def own(node: Node) -> Value:
        value = values[f"fe:{deparse(node)}"]
        return value if len(rows) == len(index) else take(value, rows)

    parts = tuple(grouping(plain_name(node), own(node), index[rows]) for node in term.factors)
    columns = [as_numbers(own(node), deparse(node), "fe") for node in term.slopes]
    slopes = np.column_stack(columns) if columns else np.empty((len(rows), 0))
    return FixedEffect(term, parts, crossed(parts, "^"), slopes)
