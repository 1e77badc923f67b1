"""R's summaries of a column, remembered from the fit, and what depends on where each row stands among the others.

``I(x / max(x))`` of one new row must divide by the maximum of the fit, as ``scale(x)`` subtracts its mean. A rank or a
running sum has no such number to remember: it belongs to the rows of the fit, and new rows have none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from causalformula.errors import DataError, FormulaError, counted
from causalformula.formula.expressions.operators import floats, vector
from causalformula.formula.expressions.signature import Dots, Function, flag, whole, word
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import Factor, Strings, Value, as_factor, kind, length
from causalformula.numerics.arrays import Array

# R's types of quantiles, by numpy's names for them.
_TYPES = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased",
)  # fmt: skip


def _present(values: Sequence[Value], na_rm: Any, name: str) -> Array:
    """All numbers of the arguments; one that is missing is an error, since nothing is known of the summary then."""
    x = np.concatenate([floats(v, f"{name}()").reshape(-1) for v in values])
    gone = np.isnan(x)
    if not gone.any():
        return x
    if not flag(na_rm, "na.rm"):
        raise DataError(f"{counted(int(gone.sum()), 'value')} missing, so that it has no value; say na.rm = TRUE")
    out: Array = x[~gone]
    return out


def _restored(state: Array, values: Sequence[Value]) -> Value:
    """The number remembered: of dates a date."""
    first = values[0] if values else None
    return first.of_days(state) if isinstance(first, Times) else state


def _spread(name: str, summary: Callable[[Array], Any]) -> Function:
    """A summary of one column in units of its own: a number even of dates."""

    def run(x: Value, na_rm: Any = False) -> Array:
        return np.atleast_1d(np.asarray(summary(_present([x], na_rm, name)), dtype=np.float64))

    return Function(name, ("x", "na.rm"), run, lambda state, x, na_rm=False: state)


def _middle(name: str, summary: Callable[[Array], Any]) -> Function:
    """A summary of one column that is a value such as those in it."""

    def run(x: Value, na_rm: Any = False) -> Array:
        return np.atleast_1d(np.asarray(summary(_present([x], na_rm, name)), dtype=np.float64))

    return Function(name, ("x", "na.rm"), run, lambda state, x, na_rm=False: _restored(state, [x]))


def _over_all(name: str, summary: Callable[[Array], Any], *, of_dates: bool) -> Function:
    """A summary of all that its arguments hold."""

    def run(dots: Dots, na_rm: Any = False) -> Array:
        values = [v for _, v in dots]
        if not values:
            raise FormulaError(f"{name}() needs at least one argument")
        if any(isinstance(v, Times) for v in values) and (not of_dates or not _alike(values)):
            raise FormulaError(f"{name}() of dates is no date; as.numeric() turns them into numbers")
        found = _present(values, na_rm, name)
        if not len(found) and name in ("min", "max", "range"):
            raise DataError("no value is present")
        return np.atleast_1d(np.asarray(summary(found), dtype=np.float64))

    return Function(
        name, ("...", "na.rm"), run, lambda state, dots, na_rm=False: _restored(state, [v for _, v in dots])
    )


def _alike(values: Sequence[Value]) -> bool:
    return len({v.date for v in values if isinstance(v, Times)}) == 1 and all(isinstance(v, Times) for v in values)


def _variance(x: Array) -> float:
    return float(x.var(ddof=1)) if len(x) > 1 else np.nan


def _mad(x: Array) -> float:
    return 1.4826 * float(np.median(np.abs(x - np.median(x))))


def _quantile(x: Value, probs: Value = None, na_rm: Any = False, names: Any = True, type: Any = 7) -> Array:
    points = np.array([0, 0.25, 0.5, 0.75, 1]) if probs is None else vector(probs, "probs")
    kind_ = whole(type, "type")
    if not 1 <= kind_ <= len(_TYPES):
        raise FormulaError(f"the type of quantile() is from 1 to {len(_TYPES)}")
    if not ((points >= 0) & (points <= 1)).all():
        raise FormulaError("the probabilities of quantile() lie between 0 and 1")
    found = _present([x], na_rm, "quantile")
    if not len(found):
        raise DataError("no value is present")
    out: Array = np.quantile(found, points, method=_TYPES[kind_ - 1])  # type: ignore[call-overload]
    return out


def _length(x: Value) -> Array:
    return np.array([float(length(x))])


def _levels_of(x: Value) -> Array:
    if not isinstance(x, Factor | Strings):
        raise FormulaError(f"nlevels() is of a factor, and this is {kind(x)}")
    return np.array([float(len(as_factor(x).levels))])


def _rank(x: Value, ties_method: Value = None) -> Array:
    """Missing values have no rank, and as in a model frame their rows are left out."""
    from scipy.stats import rankdata

    ties = "average" if ties_method is None else word(ties_method, "ties.method")
    ways = {"average": "average", "first": "ordinal", "min": "min", "max": "max"}
    if ties not in ways:
        raise FormulaError(f"ties.method must be one of {', '.join(ways)}, not {ties!r}")
    values = as_factor(x).codes.astype(np.float64) if isinstance(x, Factor | Strings) else vector(x, "rank()")
    if isinstance(x, Factor | Strings):
        values[values < 0] = np.nan
    out = np.full(len(values), np.nan)
    present = ~np.isnan(values)
    out[present] = rankdata(values[present], method=ways[ties])  # type: ignore[call-overload]
    return out


def _by_rows(name: str, function: Callable[[Array], Array]) -> Function:
    return Function(name, ("x",), lambda x: function(vector(x, f"{name}()")), of_the_fit=True)


def _running(extreme: np.ufunc) -> Callable[[Array], Array]:
    return lambda x: np.asarray(extreme.accumulate(x))


SUMMARIES = (
    _middle("mean", lambda x: x.mean() if len(x) else np.nan),
    _middle("median", lambda x: np.median(x) if len(x) else np.nan),
    _spread("sd", lambda x: np.sqrt(_variance(x))),
    _spread("var", _variance),
    _spread("IQR", lambda x: np.subtract(*np.quantile(x, [0.75, 0.25])) if len(x) else np.nan),
    _spread("mad", lambda x: _mad(x) if len(x) else np.nan),
    _over_all("max", np.max, of_dates=True),
    _over_all("min", np.min, of_dates=True),
    _over_all("range", lambda x: np.array([x.min(), x.max()]), of_dates=True),
    _over_all("sum", np.sum, of_dates=False),
    _over_all("prod", np.prod, of_dates=False),
    Function(
        "quantile",
        ("x", "probs", "na.rm", "names", "type"),
        _quantile,
        lambda state, x, probs=None, na_rm=False, names=True, type=7: _restored(state, [x]),
    ),
    Function("length", ("x",), _length, lambda state, x: state),
    Function("nlevels", ("x",), _levels_of, lambda state, x: state),
)

BY_ROWS = (
    Function("rank", ("x", "ties.method"), _rank, of_the_fit=True),
    _by_rows("rev", lambda x: x[::-1].copy()),
    _by_rows("cumsum", np.cumsum),
    _by_rows("cumprod", np.cumprod),
    _by_rows("cummax", _running(np.maximum)),
    _by_rows("cummin", _running(np.minimum)),
    Function("seq_along", ("along.with",), lambda along_with: np.arange(1.0, length(along_with) + 1), of_the_fit=True),
)
