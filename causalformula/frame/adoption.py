"""``Adoption``: when the groups of a panel are first treated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import DataError, counted, some
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import Logical, Value, as_factor
from causalformula.frame.grouping import Grouping
from causalformula.numerics.arrays import Array, Bools, Codes

NEVER = np.inf


@dataclass(frozen=True, eq=False)
class Adoption:
    """Groups by their first treated period.

    Parameters
    ----------
    times : ndarray (P,)
        The periods, in order, as numbers: an event time is a difference of two. Of dates and words they are positions.
    starts : ndarray (G,)
        First treated periods, in order, on the same scale; they may lie between periods, and outside of them.
    names : tuple of str
        Of the groups.
    group : ndarray (n,) of int
        The group of each row; -1 where its unit is never treated.
    """

    times: Array
    starts: Array
    names: tuple[str, ...]
    group: Codes

    @property
    def start(self) -> Array:
        """The first treated period of each row (n,), infinite where there is none."""
        return np.append(self.starts, NEVER)[self.group]

    def take(self, rows: Codes) -> Adoption:
        """The same on some rows."""
        return replace(self, group=self.group[rows])


def adopted(first: Value, second: Value, periods: Grouping) -> Adoption:
    """Groups from the first treated periods (n,), a number or a date; missing and infinite is never.

    Raises
    ------
    DataError
        For first treated periods that are no periods, or where 0 may be a period or never.
    """
    if isinstance(first, Times) and isinstance(second, Times):
        return _of_dates(first, second, periods)
    assert isinstance(first, np.ndarray) and isinstance(second, np.ndarray)
    times = np.empty(len(periods.levels))
    times[periods.codes] = second
    start = np.where(np.isfinite(first), first, NEVER)
    if 0.0 not in times:
        start = np.where(start == 0, NEVER, start)
    elif bool((start == 0).any()) and bool(np.isfinite(start).all()):
        raise DataError(
            "0 is a period, and among the first treated periods it may also mean never treated; write NA or Inf for "
            "units that are never treated"
        )
    return grouped(times, start, {})


def _of_dates(first: Times, second: Times, periods: Grouping) -> Adoption:
    """Dates: the position of the first period that is not before them."""
    days = np.empty(len(periods.levels))
    days[periods.codes] = second.days()
    own = first.days()
    start = np.where(np.isfinite(own), np.searchsorted(days, own).astype(float), NEVER)
    times = np.arange(len(days), dtype=float)
    return grouped(times, start, dict(zip(times.tolist(), periods.levels, strict=True)))


def grouped(times: Array, start: Array, names: Mapping[float, str]) -> Adoption:
    """Rows with the same first treated period are a group."""
    starts, codes = np.unique(start, return_inverse=True)
    treated = int(np.isfinite(starts).sum())
    group = np.where(codes < treated, codes, -1).astype(np.intp)
    labels = tuple(names.get(float(s), f"{s:.15g}") for s in starts[:treated])
    return Adoption(times, starts[:treated], labels, group)


def switched_on(on: Bools, unit: Grouping, periods: Grouping, second: Value) -> Adoption:
    """Groups from a treatment that is on or off in each row (n,): the first period in which a unit has it."""
    size = len(periods.levels)
    first = np.full(len(unit.levels), size)
    np.minimum.at(first, unit.codes[on], periods.codes[on])
    times = np.arange(size, dtype=float)
    if isinstance(second, np.ndarray):
        times[periods.codes] = second
    start = np.append(times, NEVER)[first][unit.codes]
    return grouped(times, start, dict(zip(times.tolist(), periods.levels, strict=True)))


def of_groups(treated: Codes, periods: Grouping) -> Adoption:
    """Two groups over two periods: the treated are first treated in the second."""
    return Adoption(np.arange(2.0), np.ones(1), periods.levels[1:], np.where(treated == 1, 0, -1).astype(np.intp))


def marks_never(first: Value) -> bool:
    """Whether a missing value says never treated: beside numbers that are no 0 and 1, or dates."""
    if isinstance(first, Times):
        return bool(np.isfinite(first.values).any())
    if not isinstance(first, np.ndarray):
        return False
    finite = first[np.isfinite(first)]
    return bool(len(finite)) and not bool(np.isin(finite, (0, 1)).all())


def refuse_changes(name: str, first: Value, unit: Grouping | None) -> None:
    """A ``DataError`` for a unit with several first treated periods."""
    if unit is None:
        return
    given = first.values if isinstance(first, Times) else np.asarray(first, dtype=float)
    values = np.where(np.isfinite(given), given, NEVER)
    one = np.empty(len(unit.levels))
    one[unit.codes] = values
    changed = np.unique(unit.codes[one[unit.codes] != values])
    if len(changed):
        gaps = np.isnan(given[np.isin(unit.codes, changed)]).any()
        missing = "; a missing value counts as never treated" if gaps else ""
        raise DataError(
            f"{unit.name} {some([unit.levels[k] for k in changed])} {'has' if len(changed) == 1 else 'have'} more than "
            f"one value of {name}: it says in which period a unit is first treated, in all its rows{missing}"
        )


def refuse_no_group(name: str, found: Adoption) -> None:
    """A ``DataError`` where no first treated period lies after the first period and not after the last one."""
    inside = (found.starts > found.times[0]) & (found.starts <= found.times[-1])
    if not inside.any():
        has = f"it has {some(found.names, 5)}" if found.names else "all are never treated"
        raise DataError(
            f"no first treated period in {name} lies among the periods after the first one, {found.times[0]:.15g} to "
            f"{found.times[-1]:.15g} ({has}); 0, NA and Inf mean never treated"
        )


def is_switch(first: Value) -> Bools | None:
    """Whether each row (n,) is under treatment, where the variable is 0/1 or logical."""
    if isinstance(first, Logical):
        return np.asarray(first.codes == 1)
    if isinstance(first, np.ndarray) and np.isin(first, (0, 1)).all():
        return np.asarray(first == 1)
    return None


def switch_note(name: str, on: Bools, unit: Grouping) -> str:
    """That a treatment was read as first treated periods, and of how many units."""
    ever = len(np.unique(unit.codes[on]))
    return (
        f"{name} switches on within {unit.name}: a unit's first treated period is the first in which it is 1 "
        f"({counted(ever, 'unit')} of {len(unit.levels)})"
    )


def missing_notes(name: str, first: Value, found: Adoption, unit: Grouping | None) -> tuple[str, ...]:
    """Says how many count as never treated for a missing value, where others have a value that says so."""
    missing = np.isnan(first.values if isinstance(first, Times) else np.asarray(first, dtype=float))
    said = (found.group < 0) & ~missing
    if not missing.any() or not said.any():
        return ()
    k = int(missing.sum()) if unit is None else len(np.unique(unit.codes[missing]))
    what = counted(k, "row" if unit is None else "unit")
    return (
        f"{what} without a value of {name} {'counts' if k == 1 else 'count'} as never treated, as {name} = "
        f"{np.asarray(first)[said][0]:g} does; where it is not known, leave them out with subset=",
    )


def levels_of(value: Value) -> tuple[str, ...]:
    """The values as text, missing ones left out."""
    return as_factor(value).drop_unused().levels
