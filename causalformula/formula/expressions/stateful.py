"""The functions that remember: fitted once to a state, which new data then go through.

R does this for ``poly``, ``ns``, ``bs`` and ``scale`` when they stand alone in a term. Here it holds wherever they
stand, and for ``mean`` and other summaries, ``cut``, and the levels of factors too, so that ``I(age - mean(age))`` of a
counterfactual or of one new row means what it meant when the model was fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.errors import FormulaError, did_you_mean
from causalformula.formula.expressions import contrasts
from causalformula.formula.expressions.operators import floats, vector
from causalformula.formula.expressions.signature import (
    MAX_CELLS,
    MAX_LEVELS,
    Dots,
    Function,
    flag,
    scalar,
    whole,
    words,
)
from causalformula.formula.expressions.summaries import SUMMARIES
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.transforms import b_spline, bins, natural_spline, polynomial, scaling
from causalformula.formula.expressions.values import (
    Contrast,
    ContrastFunction,
    Factor,
    Logical,
    Matrix,
    Strings,
    Value,
    as_factor,
    as_strings,
)
from causalformula.formula.expressions.values import lookup as recode
from causalformula.numerics.arrays import Array


def _optional(value: Value, what: str) -> Array | None:
    return None if value is None else floats(value, what)


def _columns(x: Value, what: str) -> tuple[Array, tuple[str, ...] | None]:
    values = floats(x, what)
    return (values if values.ndim > 1 else values[:, None]), (x.names if isinstance(x, Matrix) else None)


def _scale(x: Value, center: Any = True, scale: Any = True) -> Any:
    values, names = _columns(x, "scale()")
    return scaling(values, names, *(_switch(v, n) for v, n in ((center, "center"), (scale, "scale"))))


def _switch(value: Any, name: str) -> bool | Array:
    return flag(value, name) if isinstance(value, bool | Logical) else floats(value, name)


def _scale_with(state: Any, x: Value, center: Any = True, scale: Any = True) -> Value:
    value: Matrix = state.apply(_columns(x, "scale()")[0])
    return value


def _poly(x: Value, dots: Dots, degree: Any = 1, raw: Any = False, simple: Any = False) -> Any:
    values, wanted = _poly_input(x, dots, degree)
    if wanted < 1:
        raise FormulaError("the degree of poly() must be at least 1")
    if values.shape[1] * math.log(wanted + 1) > math.log(MAX_CELLS):
        raise FormulaError("the degree of poly() is too high for so many variables")
    return polynomial(values, wanted, flag(raw, "raw"))


def _poly_with(state: Any, x: Value, dots: Dots, degree: Any = 1, raw: Any = False, simple: Any = False) -> Value:
    # A variable of a single row is as short as a degree: only the state knows how many variables there are.
    first = _columns(x, "poly()")[0]
    extra = [floats(v, "poly()") for _, v in dots] if first.shape[1] < state.variables else []
    value: Matrix = state.apply(np.column_stack([first, *extra]))
    return value


def _poly_input(x: Value, dots: Dots, degree: Any) -> tuple[Array, int]:
    """An unnamed second argument of length 1 is the degree."""
    first = floats(x, "poly()")
    extra = [floats(v, "poly()") for _, v in dots]
    if len(extra) == 1 and extra[0].size == 1 and first.size > 1:
        return _columns(x, "poly()")[0], whole(extra[0], "degree")
    if any(len(e) != len(first) for e in extra):
        raise FormulaError("the variables of poly() differ in length; name the degree, as in poly(a, b, degree = 2)")
    return np.column_stack([first, *extra]), whole(degree, "degree")


def _df(value: Any) -> int | None:
    if value is None:
        return None
    df = scalar(value, "df")
    if not df <= MAX_LEVELS:
        raise FormulaError(f"df must be at most {MAX_LEVELS}")
    return int(df)


def _ns(x: Value, df: Any = None, knots: Value = None, intercept: Any = False, Boundary_knots: Value = None) -> Any:
    return natural_spline(
        vector(x, "ns()"),
        df=_df(df),
        knots=_optional(knots, "knots"),
        intercept=flag(intercept, "intercept"),
        boundary=_optional(Boundary_knots, "Boundary.knots"),
    )


def _bs(
    x: Value, df: Any = None, knots: Value = None, degree: Any = 3, intercept: Any = False, Boundary_knots: Value = None
) -> Any:
    return b_spline(
        vector(x, "bs()"),
        df=_df(df),
        knots=_optional(knots, "knots"),
        degree=whole(degree, "degree"),
        intercept=flag(intercept, "intercept"),
        boundary=_optional(Boundary_knots, "Boundary.knots"),
    )


def _apply(state: Any, x: Value, **_: Any) -> Value:
    value: Value = state.apply(vector(x, "this transform"))
    return value


def _cut(
    x: Value,
    breaks: Value,
    labels: Value = None,
    include_lowest: Any = False,
    right: Any = True,
    dig_lab: Any = 3,
    ordered_result: Any = False,
) -> Any:
    if isinstance(x, Times):
        raise FormulaError('cut() is of numbers here; cut as.numeric(x), or write format(x, "%Y-%m") for months')
    named = flag(labels, "labels") if isinstance(labels, Logical) else None if labels is None else words(labels)
    return bins(
        vector(x, "cut()"),
        floats(breaks, "breaks"),
        named,
        include_lowest=flag(include_lowest, "include.lowest"),
        right=flag(right, "right"),
        digits=whole(dig_lab, "dig.lab"),
        ordered=flag(ordered_result, "ordered_result"),
    )


@dataclass(frozen=True)
class Levels:
    """What a factor remembers.

    Attributes
    ----------
    levels, labels : tuple of str
        What is looked for in the data, and what it is called; labels that repeat merge levels.
    ordered : bool
    open : bool
        Whether a value that was not there at the fit becomes a new level (to be refused by name later on) or missing.
    contrast : Contrast or None
    """

    levels: tuple[str, ...]
    labels: tuple[str, ...]
    ordered: bool = False
    open: bool = True
    contrast: Contrast | None = None

    def apply(self, x: Value) -> Factor:
        """The factor over the levels remembered."""
        text = as_factor(x) if isinstance(x, Factor) else as_strings(x)
        present = text.levels if isinstance(text, Factor) else text.table
        final = {label: i for i, label in enumerate(dict.fromkeys(self.labels))}
        place = {level: final[label] for level, label in zip(self.levels, self.labels, strict=True)}
        if self.open:
            codes = text.codes
            seen = np.bincount(codes + 1, minlength=len(present) + 1)[1:] > 0
            for value in (v for v, used in zip(present, seen, strict=True) if used and v not in place):
                place[value] = final.setdefault(value, len(final))
        codes = recode(text.codes, [place.get(v, -1) for v in present])
        return Factor(codes, tuple(final), self.ordered, self.contrast)


def _factor(x: Value, levels: Value = None, labels: Value = None, exclude: Value = None, ordered: Any = None) -> Levels:
    if isinstance(x, Matrix) or x is None:
        raise FormulaError("factor() needs one column")
    found = list(as_factor(x).drop_unused().levels) if levels is None else words(levels)
    dropped = set() if exclude is None else set(words(exclude))
    found = [v for v in found if v not in dropped]
    if len(set(found)) < len(found):
        raise FormulaError("the levels of factor() are not unique")
    in_order = (isinstance(x, Factor) and x.ordered) if ordered is None else flag(ordered, "ordered")
    return Levels(tuple(found), tuple(_labels(labels, found)), in_order, open=levels is None and not dropped)


def _labels(labels: Value, levels: list[str]) -> list[str]:
    if labels is None:
        return levels
    named = words(labels)
    if len(named) == 1 and len(levels) > 1:
        return [f"{named[0]}{i}" for i in range(1, len(levels) + 1)]
    if len(named) != len(levels):
        raise FormulaError(f"factor() finds {len(levels)} levels, and there are {len(named)} labels")
    return named


def _factor_with(state: Levels, x: Value, **_: Any) -> Value:
    return state.apply(x)


def _as_factor(x: Value) -> Levels:
    if isinstance(x, Factor):  # R keeps a factor as it is, unused levels included
        return Levels(x.levels, x.levels, x.ordered)
    return _factor(x)


def _ordered(x: Value, levels: Value = None, labels: Value = None) -> Levels:
    return replace(_factor(x, levels, labels), ordered=True)


def _droplevels(x: Value) -> Levels:
    factor = as_factor(x).drop_unused()
    return Levels(factor.levels, factor.levels, factor.ordered)


def _unclass(x: Value) -> Levels:
    """A factor as its codes, which count the levels of the fit."""
    return _as_factor(x) if isinstance(x, Factor) else Levels((), ())


def _unclass_with(state: Levels, x: Value) -> Value:
    if isinstance(x, Factor):
        codes = state.apply(x).codes
        return np.where(codes < 0, np.nan, codes + 1.0)
    return floats(x, "unclass()") if isinstance(x, Times) else x


def _relevel(x: Value, ref: Value) -> Levels:
    factor = as_factor(x)
    if factor.ordered:
        raise FormulaError("relevel() is for factors that are not ordered")
    if isinstance(ref, Strings):
        first = words(ref)[0] if len(ref.codes) == 1 and words(ref) else ""
        if first not in factor.levels:
            allowed = ", ".join(factor.levels[:20])
            near = did_you_mean(first, factor.levels)
            raise FormulaError(f"ref {first!r} is not a level{near}; levels are {allowed}")
    else:
        place = whole(ref, "ref")
        if not 1 <= place <= len(factor.levels):
            raise FormulaError(f"ref must be a level, or its place from 1 to {len(factor.levels)}")
        first = factor.levels[place - 1]
    levels = (first, *(v for v in factor.levels if v != first))
    return Levels(levels, levels)


def _c_with_contrast(object: Value, contr: Value = None, how_many: Any = None, dots: Dots = ()) -> Levels:
    factor = as_factor(object)
    contrast = _called(contr, factor, dots) if dots else _requested(contr, factor)
    if how_many is not None:
        contrast = contrast or contrasts.default(factor, contrasts.DEFAULTS, "C()")
        count = whole(how_many, "how.many")
        contrast = Contrast(contrast.matrix[:, :count], contrast.names and contrast.names[:count])
    return Levels(factor.levels, factor.levels, factor.ordered, contrast=contrast)


def _requested(contr: Value, factor: Factor) -> Contrast | None:
    if contr is None:
        return None
    if isinstance(contr, ContrastFunction):
        # R calls the function with the number of levels, so that they are numbered here, and named under a string.
        return contrasts.named(contr.name, [str(i) for i in range(1, len(factor.levels) + 1)])
    if isinstance(contr, Strings):
        return contrasts.named(words(contr)[0], factor.levels)
    names = contr.names if isinstance(contr, Matrix) else None
    return contrasts.complete(floats(contr, "C()"), names, factor.levels, "C()")


def _called(contr: Value, factor: Factor, dots: Dots) -> Contrast:
    """A contrast function with arguments of its own; like R's, it sees the number of levels, not their names."""
    usual = contrasts.DEFAULTS[factor.ordered]
    name = usual if contr is None else contr.name if isinstance(contr, ContrastFunction) else ""
    if isinstance(contr, Strings):
        name = words(contr)[0]
    numbered = [str(i) for i in range(1, len(factor.levels) + 1)]
    plain = contrasts.named(name, numbered) if name else None
    own = contrasts.ARGUMENTS.get(name)
    given, value = dots[0]
    if plain is None or own is None or len(dots) > 1 or given not in ("", own):
        takes = f"{name} takes {own or 'no argument'}" if name else "a contrast matrix takes none"
        raise FormulaError(f"C() cannot pass on {', '.join(tag or 'an argument' for tag, _ in dots)}: {takes}")
    if own == "base":
        return contrasts.contr_treatment(numbered, whole(value, "base"))
    return contrasts.contr_poly(numbered, floats(value, "scores"))


def _c_replay(state: Levels, object: Value, **_: Any) -> Value:
    return state.apply(object)


_FACTOR = ("x", "levels", "labels", "exclude", "ordered")
STATEFUL = {
    entry.name: entry
    for entry in [
        *SUMMARIES,
        Function("scale", ("x", "center", "scale"), _scale, _scale_with),
        Function("poly", ("x", "...", "degree", "raw", "simple"), _poly, _poly_with),
        Function("ns", ("x", "df", "knots", "intercept", "Boundary.knots"), _ns, _apply),
        Function("bs", ("x", "df", "knots", "degree", "intercept", "Boundary.knots"), _bs, _apply),
        Function(
            "cut", ("x", "breaks", "labels", "include.lowest", "right", "dig.lab", "ordered_result"), _cut, _apply
        ),
        Function("factor", _FACTOR, _factor, _factor_with),
        Function("as.factor", ("x",), _as_factor, _factor_with),
        Function("droplevels", ("x",), _droplevels, _factor_with),
        Function("unclass", ("x",), _unclass, _unclass_with),
        Function("ordered", _FACTOR[:3], _ordered, _factor_with),
        Function("relevel", ("x", "ref"), _relevel, _factor_with),
        Function("C", ("object", "contr", "how.many", "..."), _c_with_contrast, _c_replay, tags=True),
    ]
}
