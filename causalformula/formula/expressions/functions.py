"""The functions that a formula may call, apart from those that remember: each from values to a value.

A table entry names R's arguments; the Python function behind it takes them with dots as underscores.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod
from typing import Any

import numpy as np

from causalformula.errors import FormulaError, did_you_mean, warn
from causalformula.formula.expressions import contrasts as coding
from causalformula.formula.expressions.operators import floats, like, numbers, truth, vector
from causalformula.formula.expressions.values import (
    Contrast,
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
    lookup,
    missing,
)
from causalformula.numerics.arrays import Array

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
    """

    name: str
    formals: tuple[str, ...]
    run: Callable[..., Any]
    replay: Callable[..., Value] | None = None
    tags: bool = False

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


def _elementwise(name: str, function: Callable[[Any], Any]) -> Function:
    def run(x: Value) -> Value:
        return like(function(floats(x, f"{name}()")), x)

    return Function(name, ("x",), run)


def _log(x: Value, base: Value = None) -> Value:
    out = np.log(floats(x, "log()"))
    return like(out if base is None else out / np.log(scalar(base, "base")), x)


def _round(x: Value, digits: Any = 0) -> Value:
    """R 4's rule: the nearer of the two decimals on either side of x, the even one on a tie."""
    values, places = floats(x, "round()"), whole(digits, "digits")
    if places == 0:
        return like(np.round(values), x)
    unit = 10.0 ** min(abs(places), 300)
    scaled = values * unit if places > 0 else values / unit
    low, high = (f(scaled) / unit if places > 0 else f(scaled) * unit for f in (np.floor, np.ceil))
    below, above = values - low, high - values
    even = np.mod(np.floor(scaled), 2) == 0
    out = np.where((below < above) | ((below == above) & even), low, high)
    return like(np.where(np.isfinite(values), out, values), x)


def _identity(x: Value) -> Value:
    return x


def _offset(x: Value) -> Value:
    return vector(x, "offset()")


def _is_na(x: Value) -> Value:
    if isinstance(x, Matrix):
        raise FormulaError("is.na() of a matrix is not one column")
    rows = missing(x)
    return Logical.of(np.zeros(length(x), dtype=bool) if rows is None else rows)


def _extreme(name: str, plain: np.ufunc, skipping: np.ufunc) -> Function:
    def run(dots: Dots, na_rm: Any = False) -> Value:
        if not dots:
            raise FormulaError(f"{name}() needs at least one argument")
        pick = skipping if flag(na_rm, "na.rm") else plain
        return like(reduce(pick, (numbers(v, f"{name}()") for _, v in dots)), *(v for _, v in dots))

    return Function(name, ("...", "na.rm"), run)


def _ifelse(test: Value, yes: Value, no: Value) -> Value:
    codes = truth(test, "ifelse()")
    rows = max(len(codes), length(yes), length(no))
    codes = np.broadcast_to(codes, rows)
    if isinstance(yes, Strings) or isinstance(no, Strings):
        table = list(dict.fromkeys([*as_strings(yes).table, *as_strings(no).table]))
        place = {v: i for i, v in enumerate(table)}
        sides = [lookup(s.codes, [place[v] for v in s.table]) for s in (as_strings(yes), as_strings(no))]
        return Strings(np.where(codes < 0, -1, np.where(codes == 1, *sides)), tuple(table))
    if isinstance(yes, Logical) and isinstance(no, Logical):
        return Logical(np.where(codes < 0, -1, np.where(codes == 1, yes.codes, no.codes)).astype(np.int8))
    # R gives the codes of a factor here, not its labels.
    a, b = (vector(_as_numeric(v) if isinstance(v, Factor) else v, "ifelse()") for v in (yes, no))
    return np.where(codes < 0, np.nan, np.where(codes == 1, a, b))


def _as_numeric(x: Value) -> Value:
    if isinstance(x, Factor):
        return np.where(x.codes < 0, np.nan, x.codes + 1.0)
    if isinstance(x, Strings):
        return _parsed(x)
    if isinstance(x, Matrix) and x.values.shape[1] == 1:
        return x.values[:, 0]
    return numbers(x, "as.numeric()")


def _parsed(x: Strings) -> Array:
    numbers_ = np.array([_number(v) for v in x.table] + [np.nan])
    if np.isnan(numbers_[:-1]).any():
        warn("as.numeric(): text that is no number became missing")
    out: Array = numbers_[x.codes]
    return out


def _number(text: str) -> float:
    try:
        return float(text.strip().replace("_", "x"))
    except ValueError:
        return np.nan


def _as_integer(x: Value) -> Value:
    values = np.trunc(floats(_as_numeric(x), "as.integer()"))
    return values if values.ndim > 1 or not (np.abs(values) < 2.0**53).all() else values.astype(np.int64)


def _c(dots: Dots) -> Value:
    parts = [v for _, v in dots if v is not None]
    if not parts:
        return None
    if any(isinstance(v, Factor | Matrix) for v in parts):
        raise FormulaError("c() joins numbers, strings and logicals only")
    if any(isinstance(v, Strings) for v in parts):
        return Strings.of([t for v in parts for t in _elements(as_strings(v))])
    if all(isinstance(v, Logical) for v in parts):
        return Logical(np.concatenate([v.codes for v in parts if isinstance(v, Logical)]))
    return np.concatenate([numbers(v, "c()") for v in parts])


def _elements(x: Strings) -> list[str | None]:
    return [x.table[c] if c >= 0 else None for c in x.codes]


def _cbind(dots: Dots) -> Value:
    parts = [(name, _as_numeric(v) if isinstance(v, Factor) else v) for name, v in dots if v is not None]
    blocks: list[Vector] = []
    names: list[str] = []
    for name, v in parts:
        x = floats(v, "cbind()")
        blocks.append(x if x.ndim > 1 else x[:, None])
        names += _block_names(name, v, blocks[-1].shape[1])
    if not blocks:
        raise FormulaError("cbind() needs at least one argument")
    rows = max(len(b) for b in blocks)
    if any(len(b) not in (1, rows) for b in blocks):
        raise FormulaError("the arguments of cbind() differ in length")
    values = np.column_stack([np.broadcast_to(b, (rows, b.shape[1])) for b in blocks])
    return Matrix(values, tuple(names) if any(names) else None)


def _block_names(name: str, value: Value, width: int) -> list[str]:
    if isinstance(value, Matrix):
        return list(value.names or [""] * width)
    return [name]


def _interaction(dots: Dots, drop: Any = False, sep: Value = None, lex_order: Any = False) -> Value:
    """Levels of the first argument vary fastest, unless ``lex.order``."""
    joint = "." if sep is None else word(sep, "sep")
    parts = [as_factor(v) for _, v in dots]
    if not parts:
        raise FormulaError("interaction() needs at least one argument")
    slowest_first = parts if flag(lex_order, "lex.order") else parts[::-1]
    if prod(len(p.levels) for p in parts) > MAX_CELLS:
        raise FormulaError(f"interaction() would have more than {MAX_CELLS} levels")
    codes = np.zeros(1, dtype=np.int64)
    cells: list[tuple[str, ...]] = [()]
    for part in slowest_first:
        codes = np.where((codes < 0) | (part.codes < 0), -1, codes * len(part.levels) + part.codes)
        cells = [(*cell, level) for cell in cells for level in part.levels]
    ordered = cells if slowest_first is parts else [cell[::-1] for cell in cells]
    factor = Factor(codes, tuple(joint.join(cell) for cell in ordered))
    return factor.drop_unused() if flag(drop, "drop") else factor


def _contrast_levels(n: Value) -> list[str]:
    if isinstance(n, np.ndarray) and len(n) == 1:
        size = whole(n, "n")
        if not 2 <= size <= MAX_LEVELS:
            raise FormulaError(f"a contrast needs 2 to {MAX_LEVELS} levels")
        return [str(i) for i in range(1, size + 1)]
    return words(n)


def _as_matrix(contrast: Contrast, levels: Sequence[str], full: bool) -> Matrix:
    return Matrix(contrast.matrix, contrast.names) if full else Matrix(np.eye(len(levels)), tuple(levels))


def _contr_treatment(n: Value, base: Any = 1, contrasts: Any = True) -> Value:
    levels = _contrast_levels(n)
    return _as_matrix(coding.contr_treatment(levels, whole(base, "base")), levels, flag(contrasts, "contrasts"))


def _contr_poly(n: Value, scores: Value = None, contrasts: Any = True) -> Value:
    levels = _contrast_levels(n)
    points = None if scores is None else floats(scores, "scores")
    return _as_matrix(coding.contr_poly(levels, points), levels, flag(contrasts, "contrasts"))


def _contrast(name: str) -> Function:
    def run(n: Value, contrasts: Any = True) -> Value:
        levels = _contrast_levels(n)
        return _as_matrix(coding.named(name, levels), levels, flag(contrasts, "contrasts"))

    return Function(name, ("n", "contrasts"), run)


def _check_text(x: Value) -> Value:
    if isinstance(x, Matrix):
        raise FormulaError(f"as.character() needs a vector, and this is {kind(x)}")
    return as_strings(x)


STATELESS = {
    entry.name: entry
    for entry in [
        *(
            _elementwise(name, function)
            for name, function in [
                ("log2", np.log2), ("log10", np.log10), ("log1p", np.log1p), ("exp", np.exp), ("expm1", np.expm1),
                ("sqrt", np.sqrt), ("abs", np.abs), ("sign", np.sign), ("floor", np.floor), ("ceiling", np.ceil),
            ]
        ),
        Function("I", ("x",), _identity),
        Function("log", ("x", "base"), _log),
        Function("round", ("x", "digits"), _round),
        Function("offset", ("x",), _offset),
        Function("is.na", ("x",), _is_na),
        _extreme("pmin", np.minimum, np.fmin),
        _extreme("pmax", np.maximum, np.fmax),
        Function("ifelse", ("test", "yes", "no"), _ifelse),
        Function("as.numeric", ("x",), _as_numeric),
        Function("as.integer", ("x",), _as_integer),
        Function("as.character", ("x",), _check_text),
        Function("c", ("...",), _c, tags=True),
        Function("cbind", ("...",), _cbind, tags=True),
        Function("interaction", ("...", "drop", "sep", "lex.order"), _interaction),
        Function("contr.treatment", ("n", "base", "contrasts"), _contr_treatment),
        Function("contr.poly", ("n", "scores", "contrasts"), _contr_poly),
        _contrast("contr.sum"),
        _contrast("contr.helmert"),
        _contrast("contr.sdif"),
    ]
}  # fmt: skip
