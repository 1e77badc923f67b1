"""The functions that a formula may call, apart from those that remember: each from values to a value.

A table entry names R's arguments; the Python function behind it takes them with dots as underscores. The elementwise
functions of numbers, those of text and those of dates have modules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from causalformula.errors import FormulaError
from causalformula.formula.expressions import contrasts as coding
from causalformula.formula.expressions.calendar_functions import DATES
from causalformula.formula.expressions.mathematics import MATHEMATICS
from causalformula.formula.expressions.operators import floats, like, numbers, truth, vector
from causalformula.formula.expressions.signature import (
    MAX_CELLS,
    MAX_LEVELS,
    Dots,
    Function,
    flag,
    whole,
    word,
    words,
)
from causalformula.formula.expressions.summaries import BY_ROWS
from causalformula.formula.expressions.text_functions import TEXT
from causalformula.formula.expressions.times import Times
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


def _identity(x: Value) -> Value:
    return x


def _offset(x: Value) -> Value:
    return vector(x, "offset()")


def _is_na(x: Value) -> Value:
    if isinstance(x, Matrix):
        raise FormulaError("is.na() of a matrix is not one column")
    rows = missing(x)
    return Logical.of(np.zeros(length(x), dtype=bool) if rows is None else rows)


def _all_times(values: Sequence[Value]) -> list[Times] | None:
    """The values as dates, or as times, where all of them are."""
    times = [v for v in values if isinstance(v, Times)]
    same = len(times) == len(values) and len({t.date for t in times}) == 1
    return times if same else None


def _extreme(name: str, plain: np.ufunc, skipping: np.ufunc) -> Function:
    def run(dots: Dots, na_rm: Any = False) -> Value:
        if not dots:
            raise FormulaError(f"{name}() needs at least one argument")
        pick = skipping if flag(na_rm, "na.rm") else plain
        if (times := _all_times([v for _, v in dots])) is not None:
            return replace(times[0], values=reduce(pick, (t.values for t in times)))
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
    out: Array = np.array([*(_number(v) for v in x.table), np.nan])[x.codes]
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
    if (times := _all_times(parts)) is not None:
        return replace(times[0], values=np.concatenate([t.values for t in times]))
    if any(isinstance(v, Factor | Matrix | Times) for v in parts):
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
        *MATHEMATICS,
        *TEXT,
        *DATES,
        *BY_ROWS,
        Function("I", ("x",), _identity),
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
