"""A function of the formula language: its name, R's argument names, and how a call's arguments find their places."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from causalformula.errors import FormulaError, did_you_mean
from causalformula.formula.expressions.operators import truth
from causalformula.formula.expressions.values import Logical, Strings, Value, as_strings, length

Dots = Sequence[tuple[str, Value]]

# A formula may come from a stranger: what it can ask for has an end.
MAX_LEVELS = 2_000
MAX_CELLS = 1_000_000


@dataclass(frozen=True)
class Function:
    """One entry of the table.

    Attributes
    ----------
    name : str
    formals : tuple of str
        R's argument names; ``...`` takes what is left, as pairs of name and value.
    run : callable
        For a function that remembers, ``(*arguments) -> state``; otherwise ``(*arguments) -> value``.
    replay : callable or None
        ``(state, *arguments) -> value`` for a function that remembers.
    tags : bool
        Whether what goes into ``...`` may be named.
    of_the_fit : bool
        Whether the value depends on which rows stand where (a rank, a running sum), so that new rows have none.
    """

    name: str
    formals: tuple[str, ...]
    run: Callable[..., Any]
    replay: Callable[..., Value] | None = None
    tags: bool = False
    of_the_fit: bool = False

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Arguments without a default."""
        params = inspect.signature(self.run).parameters
        return tuple(f for f in self.formals if f != "..." and params[_python(f)].default is inspect.Parameter.empty)

    def bind(self, given: Sequence[tuple[str | None, str, Value]]) -> dict[str, Any]:
        """Match arguments as R does: names (or the start of one) first, then by position.

        Parameters
        ----------
        given : sequence of (argument name or None, symbol, value)
        """
        out: dict[str, Any] = {}
        rest: list[tuple[str | None, str, Value]] = []
        for name, symbol, value in given:
            formal = self._formal(name) if name is not None else None
            if formal is None:
                rest.append((name, symbol, value))
            elif _python(formal) in out:
                raise FormulaError(f"{self.name}() got {formal} twice")
            else:
                out[_python(formal)] = value
        self._by_position(out, rest)
        if lacking := [f for f in self.required if _python(f) not in out]:
            raise FormulaError(f"{self.name}() needs {' and '.join(lacking)}")
        return out

    def _formal(self, name: str) -> str | None:
        if name in self.formals:
            return name
        before = self.formals[: self.formals.index("...")] if "..." in self.formals else self.formals
        near = [f for f in before if f.startswith(name)]
        if len(near) == 1:
            return near[0]
        if self.tags:
            return None
        near_text = did_you_mean(name, self.formals)
        raise FormulaError(f"{self.name}() has no argument {name!r}{near_text}; it takes {', '.join(self.formals)}")

    def _by_position(self, out: dict[str, Any], rest: list[tuple[str | None, str, Value]]) -> None:
        for formal in self.formals:
            if formal == "...":
                out["dots"] = [(name or symbol, value) for name, symbol, value in rest]
                return
            # what has a name of its own can only go into the dots
            place = next((i for i, (name, _, _) in enumerate(rest) if name is None), None)
            if _python(formal) not in out and place is not None:
                out[_python(formal)] = rest.pop(place)[2]
        if rest:
            raise FormulaError(f"{self.name}() takes at most {len(self.formals)} arguments: {', '.join(self.formals)}")


def _python(formal: str) -> str:
    return formal.replace(".", "_")


def flag(value: Any, name: str) -> bool:
    """A TRUE or FALSE among the arguments."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Logical | np.ndarray) and length(value) == 1:
        code = int(truth(value, name)[0])
        if code >= 0:
            return bool(code)
    raise FormulaError(f"{name} must be TRUE or FALSE")


def scalar(value: Any, name: str) -> float:
    """A single number among the arguments."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, np.ndarray) and len(value) == 1 and not np.isnan(value[0]):
        return float(value[0])
    raise FormulaError(f"{name} must be one number")


def whole(value: Any, name: str) -> int:
    """A single whole number among the arguments."""
    number = scalar(value, name)
    if not np.isfinite(number) or number != int(number):
        raise FormulaError(f"{name} must be a whole number")
    return int(number)


def words(value: Value) -> list[str]:
    """The elements of a short vector as text; a missing one is left out."""
    text = as_strings(value)
    return [text.table[c] for c in text.codes if c >= 0]


def word(value: Value, name: str) -> str:
    """A single string among the arguments."""
    if isinstance(value, Strings) and len(value.codes) == 1 and value.codes[0] >= 0:
        return value.table[int(value.codes[0])]
    raise FormulaError(f"{name} must be one string")
