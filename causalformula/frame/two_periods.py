"""Two groups and two periods: which of them the variables of ``did(A, time, unit = id)`` say, and what forbids it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from causalformula.errors import DataError, counted, some
from causalformula.formula.expressions.text_readings import reading
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import (
    Factor,
    Logical,
    Strings,
    Value,
    as_factor,
    kind,
)
from causalformula.formula.language.deparse import symbol
from causalformula.frame.adoption import (
    adopted,
    is_switch,
    levels_of,
    missing_notes,
    refuse_changes,
    refuse_no_group,
    switch_note,
    switched_on,
)
from causalformula.frame.grouping import Grouping
from causalformula.frame.panel import Panel
from causalformula.frame.treatment import Treatment, read_treatment
from causalformula.numerics.arrays import Array, Bools, Codes

# Words whose alphabetical order is not that of time.
LATER, EARLIER = ("after", "post"), ("before", "pre")
# Periods by number ("9", "week 10"), and dates whose alphabetical order is that of time.
_NUMBERED = re.compile(r"(?P<name>(?:.*[^\d.])?)(?P<number>\d+(?:\.\d+)?)\Z").match
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?\Z").match
_ISO = re.compile(r"\d{4}[-/.]?\d{2}(?:[-/.]?\d{2})?(?:[ T].*)?\Z").match


def two_by_two(panel: Panel, used: Bools) -> tuple[Panel, tuple[str, ...]]:
    """The panel with its two groups and two periods, and what to say of how they were read.

    Where they say first treated periods, it has its ``adoption``; where they ask for another design, ``other`` says
    which. In both cases there are no ``groups``.

    Parameters
    ----------
    panel : Panel
    used : ndarray (n,) of bool
        Rows of positive weight.

    Raises
    ------
    DataError
        If a unit is there twice in a period, is treated and then untreated, or changes its group; if a group has no
        rows in a period; if there is one period, or a group's variable has more than two levels.
    """
    _refuse_swapped(panel)
    refuse_repeats(panel)
    on = is_switch(panel.first)
    if on is not None:
        refuse_switched_off(panel, on)
    _refuse_one_period(panel)
    if (several := _staggered(panel, on)) is not None:
        return several
    if other := _another_design(panel):
        return replace(panel, other=other), ()
    _refuse_backwards(panel)
    panel, notes = _constant(panel, on)
    groups = read_treatment(panel.treated, panel.first)
    found = replace(panel, groups=groups, first=groups.column, second=coded_periods(panel.second, panel.periods))
    _refuse_empty_cells(found, used)
    return found, (*notes, *order_notes(panel, groups), *_alone(found, used))


def _staggered(panel: Panel, on: Bools | None) -> tuple[Panel, tuple[str, ...]] | None:
    """The panel with its groups by first treated period, where its variables say these; None where they do not."""
    name, first = panel.treated, panel.first
    if on is not None:
        if panel.unit is None or not _switches(panel, on):
            return None
        found = switched_on(on, panel.unit, panel.periods, panel.second)
        refuse_no_group(name, found)
        return replace(panel, adoption=found), (switch_note(name, on, panel.unit),)
    if not isinstance(first, np.ndarray | Times) or is_switch(panel.second) is not None:
        return None
    if isinstance(first, Times) != isinstance(panel.second, Times) or isinstance(panel.second, Factor | Strings):
        return None
    refuse_changes(name, first, panel.unit)
    found = adopted(first, panel.second, panel.periods)
    refuse_no_group(name, found)
    return replace(panel, adoption=found), missing_notes(name, first, found, panel.unit)


def _switches(panel: Panel, on: Bools) -> bool:
    """Whether a treatment switches on within units, at different times or in one of several periods."""
    assert panel.unit is not None
    low, high = _range(on.astype(np.intp), panel.unit)
    early = bool((on & (panel.periods.codes == 0)).any())
    return bool((low != high).any()) and (len(panel.periods.levels) > 2 or early)


def _refuse_swapped(panel: Panel) -> None:
    """A ``DataError`` for dates that say who is treated, beside a period that is none."""
    found = reading(panel.first)
    dated = isinstance(panel.first, Times) or (found is not None and "date" in found.what)
    if dated and not all(_ISO(level) for level in panel.periods.levels):
        treated, time = panel.treated, panel.time
        raise DataError(
            f"{treated} holds dates, and the first variable of did(...) says who is in the treated group, the second "
            f"is the period. The other way round it is did({time}, {treated})"
        )


def _refuse_one_period(panel: Panel) -> None:
    """A ``DataError`` where there is no period before or none after."""
    if len(panel.periods.levels) == 1:
        raise DataError(
            f"{panel.time} is {panel.periods.levels[0]} in all rows used; a difference in differences needs a period "
            "before the treatment and one after it. Check the subset, and the rows dropped for missing values"
        )


def _another_design(panel: Panel) -> str:
    """What the variables lack for two groups and two periods, and for first treated periods; empty where nothing."""
    treated, time, size = panel.treated, panel.time, len(panel.periods.levels)
    if isinstance(panel.first, np.ndarray | Times) and is_switch(panel.first) is None:
        values = levels_of(panel.first)
        several = f", or did(factor({treated}), {time}) if its values are two groups" if len(values) == 2 else ""
        return (
            f"did({treated}, {time}) has the values {some(values)} in {treated}, which are no periods of {time} "
            f"({some(panel.periods.levels, 5)}): a first treated period is a number or a date as {time} is. With two "
            f"periods write did({treated} == ..., {time}), which says who is in the treated group{several}"
            f"{_swapped(panel)}{_in_numbers(panel)}"
        )
    if not isinstance(panel.first, (np.ndarray, Logical, Factor, Strings)):
        raise DataError(f"{treated} in did(...) is {kind(panel.first)}; it says who is treated, in one column")
    if size > 2:
        _refuse_one_arm(panel)
        once = "" if panel.unit is None else f" + cluster({symbol(panel.unit.name)}), without unit="
        return (
            f"{time} has {size} periods ({some(panel.periods.levels, 5)}), and {treated} does not say in which of them "
            f"the treatment began. Write did(first_treated, {time}) with each unit's first treated period (0, NA or "
            "Inf where it has none), or with unit= a column that is 1 from then on; to average the periods before and "
            f"those after write did({treated}, {_later(panel)}){once}{_in_numbers(panel)}"
        )
    levels = [] if isinstance(panel.first, np.ndarray) else as_factor(panel.first).drop_unused().levels
    if len(levels) > 2:
        raise DataError(
            f"{treated} has {len(levels)} levels ({some(levels)}); a difference in differences compares two groups. "
            f'Write did({treated} == "...", {time}), or leave the others out with subset='
        )
    return ""


def _refuse_one_arm(panel: Panel) -> None:
    """A ``DataError`` for a column of one value, which says that nobody is treated, or everybody always."""
    levels = (
        levels_of(panel.first) if isinstance(panel.first, np.ndarray) else as_factor(panel.first).drop_unused().levels
    )
    if len(levels) == 1:
        raise DataError(
            f"{panel.treated} is {levels[0]} in all rows used: there is nobody with and nobody without treatment to "
            "compare. Check the subset, and the rows dropped for missing values"
        )


def _in_numbers(panel: Panel) -> str:
    """What to write where numbers stand as text or as levels, and where text says when a treatment is on."""
    treated, time = panel.treated, panel.time
    found = [_number(treated, panel.first), _number(time, panel.second)]
    if any(found):
        held = " and ".join(name for name, text in zip((treated, time), found, strict=True) if text)
        return (
            f". {held} {'hold' if all(found) else 'holds'} numbers as text or levels: write "
            f"did({found[0] or treated}, {found[1] or time}, ...)"
        )
    if panel.unit is None or not isinstance(panel.first, Factor | Strings):
        return ""
    low, high = _range(as_factor(panel.first).codes, panel.unit)
    if not (low != high).any():
        return ""
    return f'. Where {treated} says in words when the treatment is on, write did({treated} == "...", {time}, ...)'


def _number(name: str, value: Value) -> str:
    """The expression that makes numbers of text or levels that read as such; empty where they do not."""
    if isinstance(value, Strings):
        found = reading(value)
        return found.within.format(name=name) if found is not None and found.within else ""
    if isinstance(value, Factor) and all(_NUMBER(str(level)) for level in as_factor(value).drop_unused().levels):
        return f"as.numeric(as.character({name}))"
    return ""


def _later(panel: Panel) -> str:
    """A condition of the later periods: words have no order that is that of time, and numbers as text another."""
    time, found = panel.time, reading(panel.second)
    unordered = isinstance(panel.second, Strings) or (isinstance(panel.second, Factor) and not panel.second.ordered)
    if not unordered or (isinstance(panel.second, Strings) and all(map(_ISO, panel.periods.levels))):
        return f"{time} > ..."
    within = "" if found is None else found.within
    return f"{within.format(name=time)} > ..." if within else f'{time} %in% c("...")'


def _swapped(panel: Panel) -> str:
    """The suggestion that group and period stand in each other's place, where the period is 0 and 1."""
    if is_switch(panel.second) is None:
        return ""
    treated, time = panel.treated, panel.time
    return f". If {time} is the group and {treated} the period, write did({time}, {treated})"


def refuse_repeats(panel: Panel) -> None:
    """A ``DataError`` for a unit that is observed more than once in a period, naming such units."""
    if panel.unit is None:
        return
    size = len(panel.periods.levels)
    counts = np.bincount(panel.unit.codes * size + panel.periods.codes, minlength=len(panel.unit.levels) * size)
    twice = counts.reshape(-1, size) > 1
    if twice.any():
        units, periods = np.nonzero(twice)
        where = [f"{panel.unit.levels[u]} at {panel.periods.levels[p]}" for u, p in zip(units, periods, strict=True)]
        raise DataError(
            f"{_named(panel.unit, np.unique(units))} more than one row in a period of {panel.time} "
            f"({some(where, 5)}); give each unit one row a period, or write "
            f"cluster({symbol(panel.unit.name)}), without unit="
        )


def refuse_switched_off(panel: Panel, on: Bools) -> None:
    """A ``DataError`` for a unit that is treated and then untreated, naming such units."""
    if panel.unit is None:
        return
    order = np.lexsort((panel.periods.codes, panel.unit.codes))
    unit = panel.unit.codes[order]
    off = (unit[1:] == unit[:-1]) & (np.diff(on[order].astype(np.int8)) < 0)
    if off.any():
        raise DataError(
            f"{_named(panel.unit, np.unique(unit[1:][off]))} been treated and then untreated ({panel.treated} "
            "goes from 1 to 0): a difference in differences is about a treatment that stays. Leave these units, or "
            "their later periods, out with subset="
        )


def _constant(panel: Panel, on: Bools | None) -> tuple[Panel, tuple[str, ...]]:
    """The panel with a group that is constant within units; a treatment that switches on is the group that gets it."""
    if panel.unit is None:
        return panel, ()
    codes = on if on is not None else as_factor(panel.first).codes
    low, high = _range(np.asarray(codes, dtype=np.intp), panel.unit)
    changed = np.flatnonzero(low != high)
    if not len(changed):
        return panel, ()
    treated, unit = panel.treated, panel.unit
    if on is None:
        raise DataError(
            f"{_named(unit, changed)} more than one value of {treated}; the first variable of did(...) says in which "
            "group a unit is, in all its rows (or, as 0 and 1, when its treatment is on)"
        )
    first = panel.periods.codes == 0
    _refuse_unknown(panel, first)
    group = (high[unit.codes] == 1).astype(float)
    column: Value = group if isinstance(panel.first, np.ndarray) else Logical.of(group == 1)
    later = panel.periods.levels[1]
    note = (
        f"{treated} switches on within {unit.name}: it was taken for the group that is treated at "
        f"{panel.time} = {later}, in both periods ({counted(len(changed), 'unit')})"
    )
    return replace(panel, first=column), (note,)


def _range(codes: Codes, unit: Grouping) -> tuple[Codes, Codes]:
    """Smallest and largest code of each unit."""
    low = np.full(len(unit.levels), codes.max())
    high = np.zeros(len(unit.levels), dtype=np.intp)
    np.minimum.at(low, unit.codes, codes)
    np.maximum.at(high, unit.codes, codes)
    return low, high


def _refuse_unknown(panel: Panel, first: Bools) -> None:
    """Units that are seen before only: whether their treatment switched on is not known."""
    unit = panel.unit
    assert unit is not None
    seen = np.bincount(unit.codes[~first], minlength=len(unit.levels)) > 0
    unknown = np.flatnonzero(~seen)
    if len(unknown):
        raise DataError(
            f"{panel.treated} switches on within {unit.name}, and {_named(unit, unknown)} no row in the later "
            "period, so it is not known in which group they are. Leave these units out with subset=, or give did(...) "
            "a column that says who is in the treated group"
        )


def coded_periods(second: Value, periods: Grouping) -> Value:
    """The period as the regression has it: 0/1 and logicals as they are, anything else as two levels."""
    if isinstance(second, Logical) or (isinstance(second, np.ndarray) and np.isin(second, (0, 1)).all()):
        return np.asarray(second, dtype=float) if isinstance(second, np.ndarray) else second
    return Factor(periods.codes, periods.levels)


def _refuse_empty_cells(panel: Panel, used: Bools) -> None:
    """A ``DataError`` that names a group without rows in a period."""
    assert panel.groups is not None
    counts = np.bincount(panel.cells[used], minlength=4)
    if counts.all():
        return
    cells = [f"{panel.treated} = {g} and {panel.time} = {p}" for g, p in _cells(panel)]
    empty = [cell for cell, count in zip(cells, counts, strict=True) if not count]
    weight = "" if used.all() else " of positive weight"
    switched = (
        f". If {panel.treated} is 1 only while the treatment is on, name the units, unit = id, or give a "
        "column of who is in the treated group"
        if not counts[2] and panel.unit is None
        else ""
    )
    raise DataError(
        f"no row{weight} has {' or '.join(empty)}; both groups must be observed in both periods. Check the subset, and "
        f"the rows dropped for missing values{switched}"
    )


def _cells(panel: Panel) -> Iterable[tuple[str, str]]:
    assert panel.groups is not None
    return [(group, period) for group in panel.groups.levels for period in panel.periods.levels]


def _refuse_backwards(panel: Panel) -> None:
    """A ``DataError`` for periods named in words or numbers that the alphabet puts the wrong way round."""
    early, late = (level.strip().casefold() for level in panel.periods.levels)
    numbers = _numbers(early, late)
    backwards = numbers is not None and numbers[0] > numbers[1]
    if backwards or (early.startswith(LATER) and late.startswith(EARLIER)):
        first, second = panel.periods.levels
        raise DataError(
            f"{panel.time} has the periods {first!r} and {second!r}, in this order; the first must be the "
            f'earlier one. Write did(..., {panel.time} == "{first}"), or give the levels in their order in '
            "time, as an ordered categorical"
        )


def order_notes(panel: Panel, groups: Treatment) -> tuple[str, ...]:
    """Text has the order of the alphabet, which may be neither that of time nor that of the treatment."""
    notes = []
    if isinstance(panel.first, Strings):
        (other, treated), name = groups.levels, panel.treated
        notes.append(
            f"the groups of {name} are text, in the order of the alphabet: {other!r} counts as untreated and "
            f'{treated!r} as treated; the other way round is did({name} == "{other}", ...)'
        )
    early, late = panel.periods.levels
    if isinstance(panel.second, Strings) and _numbers(early, late) is None and not (_ISO(early) and _ISO(late)):
        notes.append(
            f"the periods of {panel.time} are text, in the order of the alphabet: {early!r}, then {late!r}; "
            f'the other way round is did(..., {panel.time} == "{early}")'
        )
    return tuple(notes)


def _numbers(early: str, late: str) -> tuple[float, float] | None:
    """The numbers of two texts that are the same but for a number at the end; None of other texts."""
    found = [_NUMBERED(text.strip()) for text in (early, late)]
    if found[0] is None or found[1] is None or found[0]["name"] != found[1]["name"]:
        return None
    return float(found[0]["number"]), float(found[1]["number"])


def _alone(panel: Panel, used: Bools) -> tuple[str, ...]:
    """Units that are observed in one period only: they count, though no difference can be made within them."""
    if panel.unit is None:
        return ()
    rows = np.bincount(panel.unit.codes[used], minlength=len(panel.unit.levels))
    return alone_words(panel.unit.name, int((rows == 1).sum()))


def alone_words(unit: str, alone: int) -> tuple[str, ...]:
    """The note on so many units of one period."""
    if not alone:
        return ()
    return (
        f"{counted(alone, 'unit')} of {unit} {'is' if alone == 1 else 'are'} observed in one period only, "
        f"and {'takes' if alone == 1 else 'take'} part in the means of that period",
    )


def _named(unit: Grouping, codes: Codes | Array | Any) -> str:
    """``id 3, 7 have`` for some units."""
    names = [unit.levels[int(k)] for k in codes]
    count = f" ({len(names)} units)" if len(names) > 10 else ""
    return f"{unit.name} {some(names)}{count} {'has' if len(names) == 1 else 'have'}"
