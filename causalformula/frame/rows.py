"""Which rows a fit uses: the subset asked for, without the rows in which a variable is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from causalformula.errors import DataError, OptionError, counted, did_you_mean, some
from causalformula.formula.expressions.evaluate import BASE, Env, Memory, evaluate
from causalformula.formula.expressions.text_readings import reading
from causalformula.formula.expressions.values import Logical, Matrix, Value, kind, missing
from causalformula.formula.language.grammar import variable_nodes
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Node
from causalformula.frame.columns import Table
from causalformula.frame.notices import made_missing, made_notes
from causalformula.numerics.arrays import Array, Bools, Codes

NA_ACTIONS = ("omit", "fail")
# Values that are no term of the formula are filed under `role:label`, so that both can have the same text.
PREFIXES = ("cluster:", "weights:", "offset:", "strata:", "unit:", "period:", "fe:", "did:", "loo:")


def check_na_action(na_action: str) -> None:
    """Refuse a word that is not an action on missing values."""
    if not isinstance(na_action, str):
        raise OptionError(f"na_action must be one of {', '.join(NA_ACTIONS)}, not a {type(na_action).__name__}")
    if na_action not in NA_ACTIONS:
        near = did_you_mean(na_action, NA_ACTIONS)
        raise OptionError(f"na_action must be one of {', '.join(NA_ACTIONS)}, not {na_action!r}{near}")


def check_env(env: Any) -> None:
    """Refuse what is no mapping of names to functions."""
    named = isinstance(env, Mapping) and all(isinstance(name, str) and callable(f) for name, f in env.items())
    if env is not None and not named:
        raise OptionError(f'env gives functions by name, as in env={{"f": f}}, not a {type(env).__name__}')


def shown(label: str) -> str:
    """A variable's own text, without the role it is filed under."""
    return label.partition(":")[2] if label.startswith(PREFIXES) else label


def columns_used(nodes: Iterable[Node], table: Table, source: str) -> dict[str, Value]:
    """The columns that expressions name; an unknown one is a ``FormulaError`` with its place in ``source``."""
    out: dict[str, Value] = {}
    for node in nodes:
        for name in variable_nodes(node):
            if name.id in out or (name.id in BASE and name.id not in table):
                continue
            out[name.id] = table.column(name.id, source, name.span)
    return out


def subset_rows(
    subset: Any,
    table: Table,
    env: Env | None,
    compared: dict[str, str] | None = None,
    calls: dict[str, Any] | None = None,
) -> Bools | None:
    """Rows asked for, over the whole table: those where an expression is true, or one boolean a row.

    ``compared`` takes what there is to say of comparisons; ``calls`` are remembering calls that know more rows.
    """
    if subset is None:
        return None
    if isinstance(subset, str):
        node = parse_expression(subset)
        memory = Memory(calls={} if calls is None else calls, compared={} if compared is None else compared)
        value = evaluate(node, columns_used([node], table, subset), table.n, env=env, source=subset, memory=memory)
        if isinstance(value, Logical) and len(value.codes) == table.n:
            return np.asarray(value.codes == 1)
        raise OptionError(f'subset={subset!r} is not a condition; write a comparison such as "age > 30"')
    try:
        chosen = np.asarray(_aligned(subset, table))
    except ValueError:  # a list of lists of different lengths
        chosen = np.empty(0)
    if chosen.dtype != bool or chosen.shape != (table.n,):
        raise OptionError(f"subset must be an expression or {table.n} booleans, one a row")
    return chosen


def _aligned(subset: Any, table: Table) -> Any:
    """A pandas Series in the order of the data's row labels, as pandas would read it; missing counts as false."""
    import pandas as pd

    if not isinstance(subset, pd.Series):
        return subset
    if isinstance(subset.dtype, pd.BooleanDtype):
        subset = subset.fillna(False).astype(bool)
    index = table.index()
    if len(subset) != table.n or subset.index.equals(index):
        return subset
    if not (subset.index.is_unique and index.is_unique and index.isin(subset.index).all()):
        raise OptionError("subset has row labels that the data do not have; pass an array to select by position")
    return subset.reindex(index)


def choose_rows(
    table: Table, values: Mapping[str, Value], chosen: Bools | None, na_action: str, made: Mapping[str, Bools]
) -> tuple[Codes, int, dict[str, int], tuple[str, ...]]:
    """Rows kept, how many were asked for, in how many of these each variable is missing, and what to say of it.

    ``made`` holds the rows in which calls of the formula gave no value (``log(x)`` of a negative x).

    Raises
    ------
    DataError
        If no row is left, or one would be dropped under ``na_action="fail"``.
    """
    asked, absent, counts = complete_rows(table.n, values, chosen)
    lost = asked & absent
    if na_action == "fail" and lost.any():
        labels = table.index()[np.flatnonzero(lost)]
        by = ", ".join(f"{name} ({count})" for name, count in counts.items())
        raise DataError(f"missing values in {by}; rows {some(labels)}. Use na_action='omit' to drop them")
    rows = np.flatnonzero(asked & ~absent)
    if not len(rows):
        raise no_rows_left(int(asked.sum()), counts, _made(made, values, asked, table))
    return rows, int(asked.sum()), counts, _made(made, values, asked, table)


def complete_rows(n: int, values: Mapping[str, Value], chosen: Bools | None) -> tuple[Bools, Bools, dict[str, int]]:
    """Rows asked for (n,), those in which something is missing, and of the former how many by variable."""
    asked = np.ones(n, dtype=bool) if chosen is None else chosen
    absent = np.zeros(n, dtype=bool)
    counts: dict[str, int] = {}
    for label, value in values.items():
        gone = missing(value)
        if gone is not None and (gone & asked).any():
            absent |= gone
            counts[shown(label)] = int((gone & asked).sum())
    return asked, absent, counts


def no_rows_left(asked: int, counts: Mapping[str, int], made: Iterable[str]) -> DataError:
    """The error of data of which no row is used, ``asked`` of which the subset has."""
    why = "no row is left after dropping missing values" if asked else "subset leaves no row"
    by = ", ".join(f"{name}: {count}" for name, count in counts.items())
    why += f" (missing by variable: {by})" if by else ""
    return DataError("; ".join([why, *made]))


def _made(made: Mapping[str, Bools], values: Mapping[str, Value], asked: Bools, table: Table) -> tuple[str, ...]:
    return made_notes(made_missing(made, values, asked), table.index()) if made else ()


def refuse_infinite(values: Mapping[str, Value], index: Any) -> None:
    """A ``DataError`` that names the first variable with infinite values, and rows."""
    for label, value in values.items():
        array = value.values if isinstance(value, Matrix) else value
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and not _finite(array):
            where = ~np.isfinite(array if array.ndim == 1 else array.sum(axis=1))
            if where.any():
                rows = index[np.flatnonzero(where)]
                name = shown(label)
                place = f"{counted(len(rows), 'row')} ({some(rows)})"
                raise DataError(f"{name} is infinite in {place}; check logs and divisions")


def _finite(array: Array) -> bool:
    """Whether the sum is finite: infinities of both signs make it NaN, of which numpy would warn."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(array.sum()))


def as_numbers(value: Value, name: str, role: str) -> Array:
    """Weights or an offset as doubles; a logical is 0/1."""
    if isinstance(value, Logical):
        return value.codes.astype(np.float64)
    if not isinstance(value, np.ndarray):
        found = reading(value)
        why = kind(value) if found is None else f"{found.described()}: {found.advice(name)}"
        raise DataError(f"{role}({name}) must be numbers, and this is {why}")
    return value.astype(np.float64)


def refuse_below_zero(w: Array, name: str, index: Any) -> None:
    """A ``DataError`` for weights below zero."""
    if (w < 0).any():
        raise DataError(f"weights({name}) has values below zero, in rows {some(index[np.flatnonzero(w < 0)])}")


def checked_weights(w: Array, name: str, index: Any) -> Array:
    """Weights, none below zero and not all zero."""
    refuse_below_zero(w, name, index)
    if not w.any():
        raise DataError(f"weights({name}) are all zero")
    return w
