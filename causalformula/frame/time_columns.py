"""Columns of dates and times of any data frame as the formula language's values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causalformula.errors import DataError
from causalformula.formula.expressions.times import DAY, Times
from causalformula.numerics.arrays import Array, Bools

# Types near to these that are no point in time.
OTHER_TIMES = {
    "Duration": "convert it to a number, in pandas with .dt.total_seconds()",
    "Time": "convert it to a number, such as the seconds since midnight",
}
_UNITS = {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0}


def read_times(series: nw.Series[Any]) -> Times:
    """R's ``Date`` (days) from a type of dates, ``POSIXct`` (seconds) from one of dates with a time of day."""
    dtype = series.dtype
    date_type = not isinstance(dtype, nw.Datetime)
    null = np.asarray(series.is_null().to_numpy(), dtype=bool)
    if date_type:
        return Times(np.floor(_ticks(series.cast(nw.Datetime("ms")), "ms", null) / 1e3 / DAY), True)
    zone = getattr(dtype, "time_zone", None)
    unit = "us" if getattr(dtype, "time_unit", "us") != "ms" else "ms"
    seconds = _ticks(series, unit, null) / _UNITS[unit]
    return _dates_or_times(Times(seconds, False, None if zone is None else str(zone)))


def _dates_or_times(times: Times) -> Times:
    """Dates where every row is a midnight of no time zone, as pandas, which has no type of dates, holds them."""
    present = times.values[~np.isnan(times.values)]
    whole = not times.date and times.zone is None and len(present) and not (present % DAY).any()
    return Times(times.values / DAY, True) if whole else times


def times_of_pandas(native: Any, name: str) -> Times | None:
    """A pandas column of times whose zone narwhals does not read, or None where it is no column of times."""
    import pandas as pd

    if isinstance(getattr(native, "dtype", None), pd.PeriodDtype):
        raise DataError(f"column {name!r} holds periods; convert it to times with .dt.to_timestamp()")
    if not (isinstance(native, pd.Series) and pd.api.types.is_datetime64_any_dtype(native.dtype)):
        return None
    zone = native.dt.tz
    plain = native if zone is None else native.dt.tz_convert("UTC").dt.tz_localize(None)
    found = read_times(nw.from_native(plain, series_only=True))
    return found if zone is None else Times(found.seconds(), False, str(zone))


def _ticks(series: nw.Series[Any], unit: Any, null: Bools) -> Array:
    """Whole units since 1970-01-01 UTC; NaN where missing."""
    ticks = series.dt.timestamp(unit)
    if not null.any():
        return np.asarray(ticks.to_numpy(), dtype=np.float64)
    out = np.asarray(ticks.fill_null(0).to_numpy(), dtype=np.float64).copy()
    out[null] = np.nan
    return out


def times_of_objects(values: NDArray[Any], null: Bools) -> Times:
    """Python's own dates, or times: with a time zone where the first has one."""
    present = values[~null]
    dates = all(isinstance(v, date) and not isinstance(v, datetime) for v in present)
    first = present[0].tzinfo if len(present) and isinstance(present[0], datetime) else None
    distinct = {v: _number(v, dates) for v in set(present.tolist())}
    numbers = [np.nan if gone else distinct[v] for v, gone in zip(values.tolist(), null, strict=True)]
    return _dates_or_times(Times(np.array(numbers, dtype=np.float64), dates, None if first is None else str(first)))


def _number(value: Any, dates: bool) -> float:
    if dates:
        return float(value.toordinal() - date(1970, 1, 1).toordinal())
    if not isinstance(value, datetime):
        return float(np.datetime64(value, "us").astype(np.int64)) / 1e6
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
