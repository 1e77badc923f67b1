"""States of remembering calls, fitted to all rows: by sums, by the ends, by the distinct values, or by the column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from causalformula.errors import CapabilityError
from causalformula.formula.expressions.evaluate import Memory, evaluate
from causalformula.formula.expressions.functions import STATELESS
from causalformula.formula.expressions.stateful import STATEFUL
from causalformula.formula.expressions.transforms.polynomial import Polynomial, Recurrence
from causalformula.formula.expressions.transforms.scaling import Scaling
from causalformula.formula.expressions.transforms.splines import b_spline, natural_spline
from causalformula.formula.expressions.values import Logical
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.syntax import Call, Constant, Node, Number
from causalformula.frame.columns import Table
from causalformula.numerics.arrays import Array
from causalformula.scale.order import quantiles
from causalformula.scale.sources.source import Chunk, Source
from causalformula.scale.sources.stacked import stacked
from causalformula.scale.sums import Spread, added

# Calls whose state depends on which values there are, and not on how often; and on the ends alone.
OF_VALUES = frozenset(["factor", "as.factor", "droplevels", "unclass", "ordered", "relevel", "C", "nlevels"])
OF_ENDS = frozenset(["cut", "max", "min", "range"])
# Polynomials of a higher degree are fitted to the column.
MOST_DEGREE = 20


def remembering(nodes: Iterable[Node]) -> list[Call]:
    """Calls that remember, those inside others first.

    Raises
    ------
    CapabilityError
        For a call that depends on the order of all rows.
    """
    found: dict[str, Call] = {}

    def walk(node: Node) -> None:
        if not isinstance(node, Call):
            return
        for argument in node.args:
            walk(argument.value)
        if node.function in STATEFUL:
            found.setdefault(deparse(node), node)
        elif node.function in STATELESS and STATELESS[node.function].of_the_fit:
            raise CapabilityError(
                f"{deparse(node)} depends on all rows and their order, which chunks of rows do not have; make it a "
                "column of the data"
            )

    for node in nodes:
        walk(node)
    return list(found.values())


def remembered(source: Source, nodes: Iterable[Node], text: str) -> Memory:
    """The states of all remembering calls, fitted to all rows."""
    memory = Memory()
    for call in remembering(nodes):
        names = tuple(dict.fromkeys(v for v in variables(call) if v in source.names))
        state = BY_SUMS[call.function](_Column(source, call, names, text, memory)) if _summable(call, names) else None
        if state is not None:
            memory.calls[deparse(call)] = state
            continue
        table = None
        if call.function in OF_ENDS and names:
            table = _gathered(source, _Ends(call, names, text, memory), names)
        elif names:
            table = _gathered(source, _Pick(names, call.function in OF_VALUES), names)
        columns = {} if table is None else table.columns(names)
        evaluate(call, columns, 1 if table is None else table.n, source=text, memory=memory)
    return Memory(calls=memory.calls)


# -- by values, by ends, by the column -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pick:
    names: tuple[str, ...]
    distinct: bool

    def __call__(self, chunk: Chunk) -> _Frames:
        frame = chunk.frame.select(*self.names)
        return _Frames((frame.unique() if self.distinct else frame,), self.distinct)


@dataclass(frozen=True, eq=False)
class _Ends:
    """The rows in which an argument is smallest, largest or missing."""

    call: Call
    names: tuple[str, ...]
    text: str
    memory: Memory

    def __call__(self, chunk: Chunk) -> _Frames:
        places: list[int] = [0]
        for argument in self.call.args:
            value = evaluate(argument.value, chunk.columns(self.names), chunk.n, source=self.text, memory=self.memory)
            numbers = value if isinstance(value, np.ndarray) else getattr(value, "values", None)
            if isinstance(numbers, np.ndarray) and numbers.shape == (chunk.n,):
                gone = np.isnan(numbers.astype(float))
                places += [int(gone.argmax()), int(np.where(gone, np.inf, numbers).argmin())]
                places.append(int(np.where(gone, -np.inf, numbers).argmax()))
            elif value is not None and chunk.n > 1 and not isinstance(argument.value, (Number, Constant)):
                places += range(chunk.n)  # of a kind whose ends are not known here
        return _Frames((chunk.frame.select(*self.names)[sorted(set(places))],), False)


@dataclass(frozen=True, eq=False)
class _Frames:
    frames: tuple[Any, ...]
    distinct: bool

    def __add__(self, other: _Frames) -> _Frames:
        together = (*self.frames, *other.frames)
        return _Frames((nw.from_native(stacked(together)).unique(),) if self.distinct else together, self.distinct)


def _gathered(source: Source, task: Callable[[Chunk], Any], names: tuple[str, ...]) -> Table:
    """Rows of some columns, in memory."""
    found = source.run(task, names, added)
    if found is None:
        return Table({name: np.empty(0) for name in names})
    return Table(stacked(found.frames))


# -- by sums ---------------------------------------------------------------------------------------------------------


def _summable(call: Call, names: tuple[str, ...]) -> bool:
    """Whether the call is of one expression of columns, its other arguments being numbers or logicals."""
    if call.function not in BY_SUMS or not call.args or not names:
        return False
    first, *others = call.args
    return first.name in (None, "x") and not any(variables(other.value) for other in others)


@dataclass(frozen=True, eq=False)
class _Column:
    """The first argument of a call, over all rows."""

    source: Source
    call: Call
    names: tuple[str, ...]
    text: str
    memory: Memory

    def option(self, name: str, place: int, default: Any) -> Any:
        """An argument: a number or a logical, or an array of several numbers; None where it is neither."""
        unnamed = [argument for argument in self.call.args[1:] if argument.name is None]
        named = [argument for argument in self.call.args[1:] if argument.name == name]
        found = named or unnamed[place : place + 1]
        if not found:
            return default
        value = evaluate(found[0].value, {}, 1, source=self.text)
        if isinstance(value, Logical):
            return bool(value.codes[0] == 1)
        if not isinstance(value, np.ndarray) or value.ndim != 1 or np.isnan(value.astype(float)).any():
            return None
        return value.astype(float) if len(value) > 1 else float(value[0])

    def asks(self, *names: str) -> bool:
        """Whether an argument is given by one of these names."""
        return any(argument.name in names for argument in self.call.args)

    def total(self, function: Callable[[Array], Any]) -> Any:
        """What a function says of the column's chunks, added up; None where it is no column of numbers."""
        found = self.source.run(_Total(self.call, self.names, self.text, self.memory, function), self.names, added)
        return None if found is None or found.parts is None else found.parts


@dataclass(frozen=True, eq=False)
class _Maybe:
    parts: Any

    def __add__(self, other: _Maybe) -> _Maybe:
        return _Maybe(None if self.parts is None or other.parts is None else self.parts + other.parts)


@dataclass(frozen=True, eq=False)
class _Total:
    call: Call
    names: tuple[str, ...]
    text: str
    memory: Memory
    function: Callable[[Array], Any]

    def __call__(self, chunk: Chunk) -> _Maybe:
        node = self.call.args[0].value
        value = evaluate(node, chunk.columns(self.names), chunk.n, source=self.text, memory=self.memory)
        if not isinstance(value, np.ndarray) or value.shape != (chunk.n,):
            return _Maybe(None)
        return _Maybe(self.function(value.astype(float)))


@dataclass(frozen=True, eq=False)
class _Moments:
    """Counts of values and of missing ones, and the spread of the former."""

    gone: int
    spread: Spread

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(self.gone + other.gone, self.spread + other.spread)


def _moments(x: Array) -> _Moments:
    gone = np.isnan(x)
    return _Moments(int(gone.sum()), Spread.of(np.where(gone, 0.0, x)[:, None], (~gone).astype(float)))


def _complete(column: _Column) -> Spread | None:
    """The spread of a column; None where there is something to refuse, which the column itself does in its words."""
    na_rm = column.option("na.rm", 0, False)
    found: _Moments | None = column.total(_moments)
    if found is None or na_rm is None or (found.gone and not na_rm) or not found.spread.weight[0]:
        return None
    return found.spread


def _mean(column: _Column) -> Any:
    found = _complete(column)
    return None if found is None else found.mean


def _variance(column: _Column) -> Any:
    found = _complete(column)
    return None if found is None or found.weight[0] < 2 else found.square / (found.weight - 1)


def _deviation(column: _Column) -> Any:
    found = _variance(column)
    return None if found is None else np.sqrt(found)


def _scaling(column: _Column) -> Any:
    center, scale = column.option("center", 0, True), column.option("scale", 1, True)
    found: _Moments | None = column.total(_moments)
    if found is None or not isinstance(center, bool) or not isinstance(scale, bool) or not found.spread.weight[0]:
        return None
    spread = found.spread
    middle = spread.mean if center else np.zeros(1)
    square = spread.square + spread.weight * (spread.mean - middle) ** 2
    size = np.sqrt(square / np.maximum(spread.weight - 1, 1)) if scale else np.ones(1)
    return Scaling(middle, size, None)


@dataclass(frozen=True)
class _Powers:
    """Sums of squares of the polynomial of the next degree, plain and times the variable."""

    center: float
    alpha: tuple[float, ...]
    norm2: tuple[float, ...]

    def __call__(self, x: Array) -> Array:
        z = x - self.center
        p = np.ones(len(x))
        if self.alpha:
            known = Recurrence(self.center, np.array(self.alpha), np.array([*self.norm2, 1.0]))
            p = known.apply(x)[:, -1]
        return np.array([p @ p, z @ (p * p)])


@dataclass(frozen=True, eq=False)
class _Distinct:
    """Some distinct values, and whether one is missing."""

    values: frozenset[float]
    gone: bool

    def __add__(self, other: _Distinct) -> _Distinct:
        values = sorted(self.values | other.values)[: MOST_DEGREE + 2]
        return _Distinct(frozenset(values), self.gone or other.gone)


def _distinct(x: Array) -> _Distinct:
    found = frozenset(np.unique(x[: 4 * MOST_DEGREE]).tolist())
    few = found if len(found) > MOST_DEGREE + 1 else frozenset(np.unique(x)[: MOST_DEGREE + 2].tolist())
    return _Distinct(few, bool(np.isnan(x).any()))


def _polynomial(column: _Column) -> Any:
    degree, raw = column.option("degree", 0, 1.0), column.option("raw", 1, False)
    whole = isinstance(degree, (int, float)) and not isinstance(degree, bool) and degree == int(degree)
    if not whole or not 1 <= degree <= MOST_DEGREE or not isinstance(raw, bool):
        return None
    if raw:
        return Polynomial(int(degree), 1, None)
    seen: _Distinct | None = column.total(_distinct)
    if seen is None or seen.gone or len(seen.values) <= degree:
        return None
    found: _Moments = column.total(_moments)
    center = float(found.spread.mean[0])
    alpha: tuple[float, ...] = ()
    norm2: tuple[float, ...] = ()
    for _ in range(int(degree) + 1):
        square, moved = column.total(_Powers(center, alpha, norm2))
        norm2 = (*norm2, float(square))
        alpha = (*alpha, float(moved / square))
    return Polynomial(int(degree), 1, (Recurrence(center, np.array(alpha[:-1]), np.array(norm2)),))


def _quantiles(column: _Column, probabilities: Sequence[float] | Array) -> Any:
    found = _complete(column)
    return None if found is None else quantiles(column.total, int(found.weight[0]), probabilities)


def _quantile(column: _Column) -> Any:
    probs, kind = column.option("probs", 0, np.array([0, 0.25, 0.5, 0.75, 1])), column.option("type", 3, 7.0)
    inside = not isinstance(probs, (bool, type(None))) and ((np.atleast_1d(probs) >= 0) & (np.atleast_1d(probs) <= 1))
    if kind != 7 or len(column.call.args) > 2 + column.asks("na.rm") or not np.all(inside):
        return None
    na_rm = column.option("na.rm", 99, False)
    found: _Moments | None = column.total(_moments)
    if found is None or (found.gone and not na_rm) or not found.spread.weight[0]:
        return None
    return quantiles(column.total, int(found.spread.weight[0]), np.atleast_1d(probs))


def _knots(column: _Column, count: float) -> tuple[Array, Array] | None:
    """The ends of a column's numbers, and so many quantiles between them."""
    found: _Moments | None = column.total(_moments)
    if found is None or not 0 < count == int(count) or found.spread.weight[0] < 2:
        return None
    inner = quantiles(column.total, int(found.spread.weight[0]), np.linspace(0, 1, int(count) + 2))
    return inner[[0, -1]], inner[1:-1]


def _natural(column: _Column) -> Any:
    df, intercept = column.option("df", 0, None), column.option("intercept", 2, False)
    if not isinstance(df, float) or not isinstance(intercept, bool) or column.asks("knots", "Boundary.knots"):
        return None
    found = _knots(column, int(df) - 1 - intercept) if len(column.call.args) <= 2 + column.asks("intercept") else None
    if found is None:
        return None
    return natural_spline(found[0], df=None, knots=found[1], intercept=intercept, boundary=None)


def _b_spline(column: _Column) -> Any:
    df, degree = column.option("df", 0, None), column.option("degree", 2, 3.0)
    intercept = column.option("intercept", 3, False)
    named = column.asks("intercept") + column.asks("degree")
    good = isinstance(df, float) and isinstance(degree, float) and isinstance(intercept, bool)
    if not good or column.asks("knots", "Boundary.knots") or len(column.call.args) > 2 + named or degree < 1:
        return None
    found = _knots(column, int(df) - int(degree) - intercept) if degree == int(degree) else None
    if found is None:
        return None
    return b_spline(found[0], df=None, knots=found[1], degree=int(degree), intercept=intercept, boundary=None)


BY_SUMS: dict[str, Callable[[_Column], Any]] = {
    "mean": _mean,
    "var": _variance,
    "sd": _deviation,
    "scale": _scaling,
    "poly": _polynomial,
    "median": lambda column: _quantiles(column, [0.5]),
    "IQR": lambda column: None if (q := _quantiles(column, [0.25, 0.75])) is None else np.diff(q),
    "quantile": _quantile,
    "ns": _natural,
    "bs": _b_spline,
}
