"""R's operators over values: arithmetic, comparison, logic, and ``%in%``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import FormulaError
from causalformula.formula.expressions.text_readings import reading
from causalformula.formula.expressions.times import Times, read_texts, shifted
from causalformula.formula.expressions.values import (
    Factor,
    Logical,
    Matrix,
    Strings,
    Value,
    Vector,
    as_strings,
    kind,
    lookup,
)
from causalformula.numerics.arrays import Array, Bools


def numbers(value: Value, what: str) -> Vector:
    """A vector (n,) or matrix (n, m) of numbers; a logical counts as 0 and 1, a date and a time as days.

    Raises
    ------
    FormulaError
        For a factor or a string, saying who asked.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Times):
        return value.days()
    if isinstance(value, Matrix):
        return value.values
    if isinstance(value, Logical):
        return np.where(value.codes < 0, np.nan, value.codes.astype(np.float64))
    raise NotNumbers(what, value)


class NotNumbers(FormulaError):
    """A value that is no number where one is needed; ``named`` says it of the expression that it came from."""

    def __init__(self, what: str, value: Value):
        self.what, self.value = what, value
        super().__init__(f"{what} needs a number, and this is {kind(value)}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (FormulaError, (self.message, self.source, self.span))

    def named(self, name: str) -> str:
        """The message, with what turns the expression into numbers where anything does."""
        factor = isinstance(self.value, Factor)
        found = reading(as_strings(self.value)) if isinstance(self.value, Factor | Strings) else None
        of = f"a factor whose text reads as {found.what}" if found and factor else found and found.described()
        this = f"{self.what} needs a number, and {name} is {of or kind(self.value)}"
        if found is not None and found.within:
            within = found.within.format(name=f"as.character({name})" if factor else name)
            return f"{this}; {within} turns it into one"
        return f"{this}; as.numeric({name}) numbers its levels" if factor else this


def floats(value: Value, what: str) -> Array:
    """As ``numbers``, in double precision."""
    return numbers(value, what).astype(np.float64, copy=False)


def vector(value: Value, what: str) -> Array:
    """As ``floats``, for one column: a matrix that has just one counts as such."""
    x = floats(value, what)
    if x.ndim == 1:
        return x
    if x.ndim == 2 and x.shape[1] == 1:
        return x[:, 0]
    raise FormulaError(f"{what} needs one column, and this is a matrix")


def like(result: Vector, *sources: Value) -> Value:
    """A result in the shape of the first matrix among its sources."""
    if result.ndim == 1:
        return result
    return Matrix(result, next((s.names for s in sources if isinstance(s, Matrix)), None))


def aligned(a: Vector, b: Vector) -> tuple[Vector, Vector]:
    """Two operands that broadcast: vectors stand beside a matrix as columns."""
    if a.ndim != b.ndim:
        a, b = (x[:, None] if x.ndim == 1 else x for x in (a, b))
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise FormulaError(f"the two sides have {len(a)} and {len(b)} values")
    if a.ndim > 1 and a.shape[1] != b.shape[1] and 1 not in (a.shape[1], b.shape[1]):
        raise FormulaError(f"the two sides have {a.shape[1]} and {b.shape[1]} columns")
    return a, b


def arithmetic(operator: str, left: Value, right: Value) -> Value:
    """``+ - * / ^ %% %/%``."""
    if isinstance(left, Times) or isinstance(right, Times):
        return _of_times(operator, left, right)
    a, b = aligned(numbers(left, f"`{operator}`"), numbers(right, f"`{operator}`"))
    if operator not in ("+", "-"):  # a product of 64-bit integers could wrap round
        a, b = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    return like(ARITHMETIC[operator](a, b), left, right)


def _of_times(operator: str, left: Value, right: Value) -> Value:
    """A date and a number of days make a date, as in R; two dates are some days apart."""
    if isinstance(left, Times) and isinstance(right, Times):
        if operator == "-" and left.date and right.date:
            return np.subtract(*aligned(left.values, right.values))
        advice = 'write difftime(a, b, units = "days")' if operator == "-" else "as.numeric() turns it into a number"
        raise FormulaError(f"`{operator}` has no plain meaning for two times; {advice}")
    times, other = (left, right) if isinstance(left, Times) else (right, left)
    assert isinstance(times, Times)
    if operator == "+" or (operator == "-" and isinstance(left, Times)):
        return shifted(times, vector(other, f"`{operator}`"), 1 if operator == "+" else -1)
    raise FormulaError(f"`{operator}` has no meaning for {times.word}; as.numeric() turns it into days since 1970")


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
    "%%": np.mod, "%/%": np.floor_divide,
}  # fmt: skip

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


def compare(operator: str, left: Value, right: Value) -> Logical:
    """``== != < <= > >=``: text by code point, an ordered factor by its levels, missing where either side is."""
    left, right = _timely(left, right)
    if isinstance(left, Factor) or isinstance(right, Factor):
        a, b = _factor_ranks(operator, left, right)
    elif isinstance(left, Strings) or isinstance(right, Strings):
        a, b = _ranks(left, right, None)
    else:
        x, y = aligned(numbers(left, f"`{operator}`"), numbers(right, f"`{operator}`"))
        return _logical(COMPARE[operator](x, y), np.isnan(x) | np.isnan(y))
    a, b = aligned(a, b)
    return _logical(COMPARE[operator](a, b), (a < 0) | (b < 0))


def _timely(left: Value, right: Value) -> tuple[Value, Value]:
    """Both sides as numbers on one clock where one is a date or a time: text beside it is read as one."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Times) and isinstance(other, Strings):
            read = np.array([*read_texts(other.table, one), np.nan])[other.codes]
            return (one.values, read) if one is left else (read, one.values)
    if isinstance(left, Times) and isinstance(right, Times) and left.date != right.date:
        return left.seconds(), right.seconds()
    return left, right


def _logical(truth: Bools, missing: Bools) -> Logical:
    if truth.ndim > 1 and truth.shape[1] > 1:
        raise FormulaError("a comparison of a whole matrix is not one column")
    return Logical.of(truth.reshape(-1), np.broadcast_to(missing, truth.shape).reshape(-1))


def _factor_ranks(operator: str, left: Value, right: Value) -> tuple[Vector, Vector]:
    if operator in ("==", "!="):
        return _ranks(left, right, None)
    factor = left if isinstance(left, Factor) else right
    assert isinstance(factor, Factor)
    if not factor.ordered:
        raise FormulaError(f"`{operator}` has no meaning for an unordered factor; compare with ==, or use ordered()")
    return _ranks(left, right, factor.levels)


def _ranks(left: Value, right: Value, order: tuple[str, ...] | None) -> tuple[Vector, Vector]:
    """Both sides as places in one table of strings: ``order``, or the code points' own."""
    a, b = as_strings(left), as_strings(right)
    table = order if order is not None else sorted({*a.table, *b.table})
    place = {v: i for i, v in enumerate(table)}
    return tuple(lookup(s.codes, [place.get(v, -1) for v in s.table]) for s in (a, b))  # type: ignore[return-value]


def truth(value: Value, what: str) -> NDArray[np.int8]:
    """1, 0 or -1 for missing; a number is true when it is not zero."""
    if isinstance(value, Logical):
        return value.codes
    x = vector(value, what)
    return Logical.of(x != 0, np.isnan(x)).codes


def negate(value: Value) -> Logical:
    """``!``: missing stays missing."""
    codes = truth(value, "`!`")
    return Logical(np.where(codes < 0, codes, 1 - codes).astype(np.int8))


def logic(operator: str, left: Value, right: Value) -> Logical:
    """``&`` and ``|``: a missing side matters only where the other does not decide."""
    a, b = aligned(truth(left, f"`{operator}`"), truth(right, f"`{operator}`"))
    decisive = 0 if operator == "&" else 1
    decided = (a == decisive) | (b == decisive)
    unknown = ~decided & ((a < 0) | (b < 0))
    return Logical.of(decided == bool(decisive), unknown)


def member(left: Value, right: Value) -> Logical:
    """``%in%``: never missing."""
    left, right = _timely(left, right)
    if not any(isinstance(v, Strings | Factor) for v in (left, right)):
        a, b = vector(left, "`%in%`"), floats(right, "`%in%`")
        return Logical.of(np.isin(a, b) | (np.isnan(a) & np.isnan(b).any()))
    text, among = as_strings(left), as_strings(right)
    held = {among.table[c] for c in np.unique(among.codes) if c >= 0}
    found = np.array([v in held for v in text.table] + [bool((among.codes < 0).any())])
    return Logical.of(found[text.codes])
