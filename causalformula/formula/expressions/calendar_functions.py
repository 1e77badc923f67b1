"""R's functions of dates and times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from causalformula.errors import FormulaError
from causalformula.formula.expressions.operators import vector
from causalformula.formula.expressions.signature import Function, word
from causalformula.formula.expressions.times import DAY, Times, days, formatted, read_texts, read_zone
from causalformula.formula.expressions.values import Factor, Logical, Strings, Value, as_strings, encode, kind, merged
from causalformula.numerics.arrays import Array

UNITS = {"secs": 1.0, "mins": 60.0, "hours": 3600.0, "days": DAY, "weeks": 7 * DAY}


def _as_date(x: Value, format: Value = None, tz: Value = None) -> Value:
    """Of a time the day in its own time zone; of text by ``format``; of a number the days since 1970-01-01."""
    if isinstance(x, Times):
        return days(x, _zone(tz))
    if isinstance(x, Strings | Factor):
        return Times(_read(as_strings(x), Times(np.empty(0), True), format), True)
    if isinstance(x, Logical) and bool((x.codes < 0).all()):
        return Times(np.full(len(x.codes), np.nan), True)
    if not isinstance(x, np.ndarray):
        raise FormulaError(f"as.Date() needs text, a time or a number of days, and this is {kind(x)}")
    return Times(vector(x, "as.Date()"), True)


def _as_time(x: Value, tz: Value = None, format: Value = None) -> Value:
    zone = _zone(tz)
    if isinstance(x, Times):
        times = x.as_kind(False)
        return times if zone is None else Times(times.values, False, zone)
    like = Times(np.empty(0), False, zone)
    if isinstance(x, Strings | Factor):
        return Times(_read(as_strings(x), like, format), False, zone)
    return Times(vector(x, "as.POSIXct()"), False, zone)


def _zone(tz: Value) -> str | None:
    if tz is None:
        return None
    name = word(tz, "tz")
    read_zone(name)
    return name


def _read(text: Strings, like: Times, format: Value) -> Array:
    form = None if format is None else word(format, "format")
    numbers: Array = np.array([*read_texts(text.table, like, form), np.nan])
    return numbers[text.codes]


def _as_text(x: Value, what: str, write: Callable[[Array, Times], list[str]]) -> Strings:
    if not isinstance(x, Times):
        raise FormulaError(f"{what} needs a date, and this is {kind(x)}; as.Date() reads text as one")
    distinct, codes = encode(x.values)
    return merged(codes, write(distinct, x))


def _named(name: str, form: str) -> Function:
    return Function(name, ("x",), lambda x: _as_text(x, f"{name}()", lambda v, t: formatted(v, t, form)))


def _quarters(x: Value) -> Strings:
    def write(values: Array, times: Times) -> list[str]:
        return [f"Q{(int(month) + 2) // 3}" for month in formatted(values, times, "%m")]

    return _as_text(x, "quarters()", write)


def _format(x: Value, format: Value = None) -> Strings:
    if format is None:
        return as_strings(x) if isinstance(x, Times) else _as_text(x, "format()", lambda v, t: [])
    form = word(format, "format")
    return _as_text(x, "format()", lambda v, t: formatted(v, t, form))


def _difftime(time1: Value, time2: Value, units: Value = None) -> Value:
    sides = [v for v in (time1, time2) if isinstance(v, Times)]
    if len(sides) < 2:
        raise FormulaError("difftime() is of two dates or times; as.Date() reads text as one")
    if units is None:  # R picks one by the smallest difference, so that one row more can change them all
        raise FormulaError(f'difftime() needs its unit: units = "days", or another of {", ".join(UNITS)}')
    unit = word(units, "units")
    if unit not in UNITS:
        raise FormulaError(f"units must be one of {', '.join(UNITS)}, not {unit!r}")
    return np.asarray((sides[0].seconds() - sides[1].seconds()) / UNITS[unit])


def _julian(x: Value) -> Any:
    if not isinstance(x, Times):
        raise FormulaError(f"julian() needs a date, and this is {kind(x)}; as.Date() reads text as one")
    return x.seconds() / DAY


DATES = (
    Function("as.Date", ("x", "format", "tz"), _as_date),
    Function("as.POSIXct", ("x", "tz", "format"), _as_time),
    _named("weekdays", "%A"),
    _named("months", "%B"),
    Function("quarters", ("x",), _quarters),
    Function("format", ("x", "format"), _format),
    Function("difftime", ("time1", "time2", "units"), _difftime),
    Function("julian", ("x",), _julian),
)
