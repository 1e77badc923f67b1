"""Expressions of a formula over columns of data: R's semantics, a fixed table of functions, nothing else.

What depends on the whole column (``poly``, ``scale``, a factor's levels, ``mean``, ...) is remembered at the fit under
the text of its call, and used again on new data. See ``stateful``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.errors import DataError, FormulaError, did_you_mean
from causalformula.formula.expressions.contrasts import CONTRASTS
from causalformula.formula.expressions.functions import STATELESS
from causalformula.formula.expressions.operators import (
    ARITHMETIC,
    COMPARE,
    NotNumbers,
    arithmetic,
    compare,
    floats,
    like,
    logic,
    member,
    negate,
)
from causalformula.formula.expressions.signature import Function
from causalformula.formula.expressions.stateful import STATEFUL
from causalformula.formula.expressions.text_numbers import as_numbers, as_text_note
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import (
    Columns,
    ContrastFunction,
    Factor,
    Logical,
    Matrix,
    Strings,
    Value,
    Vector,
    as_factor,
    as_strings,
    kind,
    length,
    missing,
)
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import NO_INDEXING, nearest_function
from causalformula.formula.language.syntax import INDEX, Argument, Call, Constant, Name, Node, Number, String
from causalformula.numerics.arrays import Bools

Env = Mapping[str, Callable[..., Any]]

# Names that R's base package gives a value; a column of the same name comes first.
BASE: dict[str, Value] = {
    "T": Logical(np.array([1], dtype=np.int8)),
    "F": Logical(np.array([0], dtype=np.int8)),
    "pi": np.array([np.pi]),
}

CONSTANTS: dict[str, Value] = {
    "TRUE": BASE["T"],
    "FALSE": BASE["F"],
    "NULL": None,
    "NA": Logical(np.array([-1], dtype=np.int8)),
    "Inf": np.array([np.inf]),
    "NaN": np.array([np.nan]),
}


@dataclass(frozen=True)
class Memory:
    """What one fit has to remember.

    Attributes
    ----------
    calls : dict
        State of each remembering call, by its text.
    levels : dict
        Levels of each factor column, and whether they are ordered.
    read : set
        Columns of the data that were looked up.
    times : dict
        By column of dates or times, whether it is of dates.
    made : dict
        By its text, the rows in which a call has no value although all its arguments have.
    counted : set
        Expressions of dates or times, which count in days where they are numbers.
    compared : dict
        By its text, what to say of a comparison of numbers that are text.
    """

    calls: dict[str, Any] = field(default_factory=dict)
    levels: dict[str, tuple[tuple[str, ...], bool]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    times: dict[str, bool] = field(default_factory=dict)
    made: dict[str, Bools] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    compared: dict[str, str] = field(default_factory=dict)


def evaluate(
    node: Node,
    columns: Columns,
    n: int,
    *,
    env: Env | None = None,
    source: str | None = None,
    memory: Memory | None = None,
    replay: bool = False,
) -> Value:
    """Value of an expression over ``columns``.

    Parameters
    ----------
    node : Node
    columns : mapping of str to Value
        The data.
    n : int
        Number of rows.
    env : mapping of str to callable, optional
        The caller's own functions. They get numpy arrays (text and factors as arrays of strings, None where missing).
    source : str, optional
        The formula's text, for messages.
    memory : Memory, optional
        Filled at the fit, read on replay.
    replay : bool
        Whether these are new data for expressions already fitted.

    Returns
    -------
    Value
        A single number for an expression that is one (``mean(x)``), otherwise with ``n`` rows.

    Raises
    ------
    FormulaError
        For an unknown column or function, a wrong argument, or a value of a kind that cannot be used there.
    DataError
        For data that a transform cannot take.
    """
    memory = Memory() if memory is None else memory
    with np.errstate(all="ignore"):
        value = _Evaluator(columns, n, env or {}, source, memory, replay).value(node)
    if isinstance(value, Times):
        memory.counted.add(deparse(node))
    return value


@dataclass(frozen=True)
class _Evaluator:
    columns: Columns
    n: int
    env: Env
    source: str | None
    memory: Memory
    replay: bool

    def value(self, node: Node) -> Value:
        if isinstance(node, Name):
            return self.name(node)
        if isinstance(node, Number):
            return np.array([node.value], dtype=np.int64 if node.integer and abs(node.value) < 2**53 else np.float64)
        if isinstance(node, String):
            return Strings(np.zeros(1, dtype=np.int32), (node.value,))
        if isinstance(node, Constant):
            return CONSTANTS[node.name]
        assert isinstance(node, Call)
        try:
            return self.call(node)
        except NotNumbers as error:
            raise FormulaError(self.unnumbered(node, error), self.source, node.span) from None
        except FormulaError as error:
            if error.span is not None or self.source is None:
                raise
            raise FormulaError(error.message, self.source, node.span) from None

    def unnumbered(self, node: Call, error: NotNumbers) -> str:
        """The message of an argument that is no number, by its own name."""
        for argument in node.args:
            if type(self.value(argument.value)) is type(error.value):
                return error.named(deparse(argument.value))
        return error.message

    def name(self, node: Name) -> Value:
        if node.id in self.columns:
            return self.column(node.id)
        if node.id in BASE:
            return BASE[node.id]
        if node.id in CONTRASTS:
            return ContrastFunction(node.id)
        if node.id == ".":
            raise FormulaError("`.` cannot stand inside an expression", self.source, node.span)
        near = did_you_mean(node.id, self.columns)
        raise FormulaError(f"unknown column {node.id!r}{near}", self.source, node.span)

    def column(self, name: str) -> Value:
        value = self.columns[name]
        if self.replay:
            value = self.on_one_clock(name, value)
        else:
            self.memory.read.add(name)
            if isinstance(value, Times):
                self.memory.times[name] = value.date
        if isinstance(value, Factor) and not self.replay:
            self.memory.levels[name] = value.levels, value.ordered
        elif self.replay and name in self.memory.levels:
            return self.recoded(name, value)
        return _widened(value) if isinstance(value, np.ndarray) else value

    def on_one_clock(self, name: str, value: Value) -> Value:
        """Days stay days, and seconds seconds, whatever type the new data hold."""
        date = self.memory.times.get(name)
        if date is not None and isinstance(value, Times):
            return value.as_kind(date)
        if (date is None) == (not isinstance(value, Times)) or (date is None and name not in self.memory.read):
            return value
        then = "a number or text" if date is None else "a date" if date else "a time"
        raise DataError(f"column {name!r} was {then} when this was fitted, and here it is {kind(value)}")

    def recoded(self, name: str, value: Value) -> Factor:
        levels, ordered = self.memory.levels[name]
        if not isinstance(value, Factor | Strings):
            raise DataError(f"column {name!r} was a factor when this was fitted, and here it is {kind(value)}")
        return replace(as_factor(value).with_levels(levels), ordered=ordered)

    def call(self, node: Call) -> Value:
        function, count = node.function, len(node.args)
        if function == "(" and count == 1:
            return self.value(node.args[0].value)
        if function in BINARY and count == 2:
            return self.chain(node)
        if function in UNARY and count == 1:
            return UNARY[function](self.value(node.args[0].value))
        if function in self.env:
            return self.foreign(node)
        if function in STATEFUL:
            return self.remembered(STATEFUL[function], node)
        if function in STATELESS:
            if self.replay and STATELESS[function].of_the_fit:
                raise DataError(
                    f"{deparse(node)} depends on all rows of the fit and their order, and has no value for new rows; "
                    "make it a column of the data, where each row keeps its own"
                )
            return self.run(STATELESS[function], node)
        if function in INDEX:
            raise FormulaError(NO_INDEXING, self.source, node.span)
        near = nearest_function(function, frozenset([*STATELESS, *STATEFUL, *self.env]))
        advice = near or "; pass your own functions in env="
        raise FormulaError(f"unknown function {function!r}{advice}", self.source, node.span)

    def chain(self, node: Call) -> Value:
        """``a + b + c`` walked down its left side in a loop: such chains may be thousands of terms long."""
        pending: list[Call] = []
        head: Node = node
        while isinstance(head, Call) and head.function in BINARY and len(head.args) == 2:
            pending.append(head)
            head = head.args[0].value
        result = self.value(head)
        for step in reversed(pending):
            result = self.operate(step, result)
        return result

    def operate(self, step: Call, left: Value) -> Value:
        right = self.value(step.args[1].value)
        try:
            result = BINARY[step.function](step.function, left, right)
            if isinstance(result, Logical) and not self.replay and (meant := as_numbers(step, left, right)) is not None:
                self.compared(step, result, meant, (left, right))
            return self.noted(step, result, (left, right))
        except NotNumbers as error:
            raise FormulaError(self.unnumbered(step, error), self.source, step.span) from None
        except FormulaError as error:
            raise FormulaError(error.message, self.source, step.span) from None

    def compared(self, step: Call, result: Logical, meant: Call, sides: tuple[Value, Value]) -> None:
        """Remember a comparison of numbers that are text, where it answers otherwise than that of the numbers."""
        with suppress(FormulaError):
            codes = _Evaluator(self.columns, self.n, self.env, None, Memory(), False).value(meant)
            if isinstance(codes, Logical) and (note := as_text_note(step, result, meant, codes, sides)):
                self.memory.compared[deparse(step)] = note

    def noted(self, node: Call, result: Value, arguments: Iterable[Any]) -> Value:
        """The result, once the rows are noted in which the call itself made it missing."""
        if self.replay or length(result) != self.n or (rows := missing(result)) is None:
            return result
        for argument in arguments:
            absent = missing(argument)
            if absent is not None:
                rows = rows & ~absent
        if rows.any():
            text = deparse(node)
            self.memory.made[text] = rows | self.memory.made.get(text, False)
        return result

    def arguments(self, entry: Function, node: Call) -> dict[str, Any]:
        return entry.bind([(a.name, _symbol(a), self.value(a.value)) for a in node.args])

    def run(self, entry: Function, node: Call) -> Value:
        arguments = self.arguments(entry, node)
        try:
            result: Value = entry.run(**arguments)
        except _NONSENSE as error:
            raise FormulaError(f"{entry.name}() cannot take these arguments: {error}") from error
        return result if entry.name in _CHOOSING else self.noted(node, result, _flat(arguments))

    def remembered(self, entry: Function, node: Call) -> Value:
        assert entry.replay is not None
        arguments = self.arguments(entry, node)
        text = deparse(node)
        try:
            if text not in self.memory.calls:
                if self.replay:
                    raise FormulaError(f"{text} was not part of what was fitted")
                self.memory.calls[text] = entry.run(**arguments)
            result = entry.replay(self.memory.calls[text], **arguments)
            return result if "exclude" in arguments else self.noted(node, result, _flat(arguments))
        except DataError as error:
            raise DataError(f"{text}: {error}") from None
        except _NONSENSE as error:
            raise FormulaError(f"{entry.name}() cannot take these arguments: {error}") from error

    def foreign(self, node: Call) -> Value:
        values = [self.value(a.value) for a in node.args]
        given = [(a.name, _outward(v)) for a, v in zip(node.args, values, strict=True)]
        positional = [v for name, v in given if name is None]
        named = {name: v for name, v in given if name is not None}
        try:
            result = inward(self.env[node.function](*positional, **named))
        except Exception as error:
            message = f"{node.function}() from env= failed: {type(error).__name__}: {error}"
            raise FormulaError(message, self.source, node.span) from error
        return self.noted(node, result, values)


# Functions that pick among their arguments: what is missing there was missing before, or was asked for.
_CHOOSING = frozenset(["ifelse", "is.na", "c", "I"])


def _flat(arguments: Mapping[str, Any]) -> Iterator[Any]:
    """The values of a call's arguments, those in the dots too."""
    for name, value in arguments.items():
        if name == "dots":
            yield from (v for _, v in value)
        else:
            yield value


# What numpy raises for arguments that make no sense.
_NONSENSE = (TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError)


def _widened(values: Vector) -> Value:
    """R has one type of number and one of integer; narrower ones would lose digits or wrap round."""
    if values.dtype == bool:
        return Logical.of(values)
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64, copy=False)


def _symbol(argument: Argument) -> str:
    """What R would name the column after: the argument's name, or the variable when it is one."""
    return argument.name or (argument.value.id if isinstance(argument.value, Name) else "")


def _in(operator: str, left: Value, right: Value) -> Value:
    return member(left, right)


def _negative(value: Value) -> Value:
    return like(-floats(value, "`-`"), value)


def _positive(value: Value) -> Value:
    return like(floats(value, "`+`"), value)


BINARY: dict[str, Callable[[str, Value, Value], Value]] = {
    **dict.fromkeys(ARITHMETIC, arithmetic),
    **dict.fromkeys(COMPARE, compare),
    **dict.fromkeys(("&", "|"), logic),
    "%in%": _in,
}
UNARY: dict[str, Callable[[Value], Value]] = {"-": _negative, "+": _positive, "!": negate}


def _outward(value: Value) -> Any:
    """A value as the caller's own functions know it."""
    if isinstance(value, Matrix):
        return value.values
    if isinstance(value, Times):
        return (value.seconds() * 1e6).astype("datetime64[us]")
    if isinstance(value, Logical):
        return floats(value, "") if (value.codes < 0).any() else value.codes == 1
    if isinstance(value, Factor | Strings):
        text = as_strings(value)
        return np.array([*text.table, None], dtype=object)[text.codes]
    return value


def inward(result: Any) -> Value:
    """An array from outside as a value."""
    array = np.atleast_1d(np.asarray(result))
    if array.dtype == bool:
        return Logical.of(array)
    if array.dtype.kind in "OUS":
        return _from_objects(array)
    array = array.astype(np.float64, copy=False)
    return Matrix(array) if array.ndim == 2 else array


def _from_objects(array: Any) -> Value:
    if any(isinstance(v, str) for v in array.flat):
        return Strings.of(array.tolist())
    return np.asarray(array, dtype=np.float64)
