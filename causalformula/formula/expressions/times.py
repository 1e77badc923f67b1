"""Dates and times: R's ``Date`` (days since 1970-01-01) and ``POSIXct`` (seconds since then).

As a number both are days: those of a time have fractions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from causalformula.errors import FormulaError
from causalformula.numerics.arrays import Array

DAY = 86_400.0
_DATE = re.compile(
    r"(-?\d{1,4})[-/](\d{1,2})[-/](\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?)?\Z", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What may stand in a format; names of days and months are English whatever the machine speaks.
_PIECES = re.compile(r"%(.?)")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Times:
    """A column of dates or of times.

    Attributes
    ----------
    values : ndarray (n,)
        Days (``date``) or seconds since 1970-01-01 UTC; NaN is missing.
    date : bool
        Whether these are dates, R's ``Date``; otherwise times, R's ``POSIXct``.
    zone : str or None
        The time zone in which times are written; UTC where there is none.
    """

    values: Array
    date: bool
    zone: str | None = None

    @property
    def word(self) -> str:
        """What it is, in words."""
        return "a date" if self.date else "a time"

    def seconds(self) -> Array:
        """Seconds since 1970-01-01 UTC; a date begins at midnight UTC."""
        return self.values * DAY if self.date else self.values

    def days(self) -> Array:
        """Days since 1970-01-01 UTC, of a time with fractions: what it is where a number is needed."""
        return self.values if self.date else self.values / DAY

    def of_days(self, numbers: Array) -> Times:
        """Days as the same kind of date or time."""
        return replace(self, values=numbers if self.date else numbers * DAY)

    def as_kind(self, date: bool) -> Times:
        """The same as dates or as times; a time is on the day that its own time zone has then."""
        if date == self.date:
            return self
        return days(self) if date else Times(self.values * DAY, False)


def days(times: Times, zone: str | None = None) -> Times:
    """The day of each time, in its own time zone unless another is named."""
    if times.date:
        return times
    local = times.values + offsets(times.values, zone or times.zone)
    return Times(np.floor(local / DAY), True)


def read_zone(name: str | None) -> tzinfo:
    """A time zone by its name (``Europe/Berlin``) or its distance from UTC (``+02:00``)."""
    if name is None or name in ("", "UTC", "GMT"):
        return UTC
    fixed = re.fullmatch(r"(?:UTC)?([+-])(\d{2}):?(\d{2})", name)
    if fixed:
        size = timedelta(hours=int(fixed[2]), minutes=int(fixed[3]))
        return timezone(size if fixed[1] == "+" else -size)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise FormulaError(f"unknown time zone {name!r}; write UTC or a name such as Europe/Berlin") from None


def offsets(seconds: Array, zone: str | None) -> Array:
    """Seconds to add to UTC for the clock of a time zone, by row."""
    where = read_zone(zone)
    if where is UTC:
        return np.zeros(len(seconds))
    distinct, inverse = np.unique(seconds, return_inverse=True)
    found = [0.0 if np.isnan(s) else _offset(float(s), where) for s in distinct]
    return np.asarray(found)[inverse]


def _offset(seconds: float, where: tzinfo) -> float:
    shift = (_EPOCH + timedelta(seconds=seconds)).astimezone(where).utcoffset()
    return 0.0 if shift is None else shift.total_seconds()


def _clock(number: float, times: Times) -> datetime:
    """The local date and time of one value."""
    try:
        moment = _EPOCH + (timedelta(days=number) if times.date else timedelta(seconds=number))
    except OverflowError:
        raise FormulaError("a date lies outside the years 1 to 9999") from None
    return moment if times.date else moment.astimezone(read_zone(times.zone))


def labels(values: Array, times: Times) -> list[str]:
    """R's text of distinct values: ``2020-01-31``; with the time of day where that is not midnight throughout."""
    clocks = [_clock(float(v), times) for v in values]
    if times.date or all((c.hour, c.minute, c.second, c.microsecond) == (0, 0, 0, 0) for c in clocks):
        return [f"{c.year:04d}-{c.month:02d}-{c.day:02d}" for c in clocks]
    return [_long(c) for c in clocks]


def _long(clock: datetime) -> str:
    fraction = f".{clock.microsecond:06d}".rstrip("0") if clock.microsecond else ""
    return f"{clock.year:04d}-{clock.month:02d}-{clock.day:02d} {clock:%H:%M:%S}{fraction}"


def read_texts(texts: Sequence[str], like: Times, form: str | None = None) -> list[float]:
    """Texts as numbers of the same kind and time zone as ``like``; NaN where a ``form`` does not fit.

    Raises
    ------
    FormulaError
        For a text that is no date, where no ``form`` was given.
    """
    read: Callable[[str], datetime | None] = iso_time if form is None else with_form(form)
    out = []
    for text in texts:
        clock = read(text.strip())
        if clock is None and form is None:
            raise FormulaError(f'{text!r} is not a date: write it as in "2020-01-31", or give as.Date() a format')
        out.append(np.nan if clock is None else _number(clock, like))
    return out


def _number(clock: datetime, like: Times) -> float:
    if like.date:
        return float((clock.replace(tzinfo=UTC) - _EPOCH).days)
    return (clock.replace(tzinfo=read_zone(like.zone)) - _EPOCH).total_seconds()


def iso_time(text: str) -> datetime | None:
    """The date and time of text such as ``2020-01-31 12:30``; None for other text."""
    match = _DATE.match(text)
    if match is None:
        return None
    year, month, day, hour, minute = (int(part or 0) for part in match.groups()[:5])
    second = float(match[6] or 0)
    try:
        return datetime(year, month, day, hour, minute) + timedelta(seconds=second)
    except (ValueError, OverflowError):
        return None


def with_form(form: str) -> Callable[[str], datetime | None]:
    """What reads text under a format such as ``%d.%m.%Y``."""

    def read(text: str) -> datetime | None:
        try:
            return datetime.strptime(text, form).replace(tzinfo=None)
        except ValueError:
            return None

    unknown = [m[1] for m in _PIECES.finditer(form) if not m[1] or m[1] not in "YymdHMSBbjf%"]
    if unknown:
        raise FormulaError(f"the format {form!r} holds %{unknown[0]}; it is made of %Y %y %m %d %B %b %j %H %M %S")
    return read


def _names(clock: datetime) -> dict[str, str]:
    week = clock.isocalendar()
    return {
        "Y": f"{clock.year}", "y": f"{clock.year % 100:02d}", "m": f"{clock.month:02d}", "d": f"{clock.day:02d}",
        "e": f"{clock.day:2d}", "H": f"{clock.hour:02d}", "M": f"{clock.minute:02d}", "S": f"{clock.second:02d}",
        "j": f"{clock.timetuple().tm_yday:03d}", "A": _DAYS[clock.weekday()], "a": _DAYS[clock.weekday()][:3],
        "B": _MONTHS[clock.month - 1], "b": _MONTHS[clock.month - 1][:3], "u": f"{clock.isoweekday()}",
        "w": f"{clock.isoweekday() % 7}", "V": f"{week.week:02d}", "G": f"{week.year}", "%": "%",
        "F": f"{clock.year}-{clock.month:02d}-{clock.day:02d}",
        "T": f"{clock.hour:02d}:{clock.minute:02d}:{clock.second:02d}",
    }  # fmt: skip


def formatted(values: Array, times: Times, form: str) -> list[str]:
    """Distinct values as text under a format such as ``%Y-%m``; days and months have their English names."""
    if unknown := [m[0] for m in _PIECES.finditer(form) if m[1] not in _names(_EPOCH)]:
        raise FormulaError(f"format() does not know {unknown[0]}; it knows {' '.join('%' + k for k in _names(_EPOCH))}")
    tables = [_names(_clock(float(v), times)) for v in values]
    return [_PIECES.sub(lambda m, table=table: table[m[1]], form) for table in tables]  # type: ignore[misc]


def shifted(times: Times, by: Any, sign: int) -> Times:
    """Dates some days later, or times some seconds later."""
    return replace(times, values=times.values + sign * np.asarray(by, dtype=np.float64))
