"""Calipers, as the options give them: on which variables, how wide, and in which unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causalformula.backends.options import flag, is_number, shown
from causalformula.errors import OptionError

# What stands for the distance measure among the names of calipers.
DISTANCE = "distance"


@dataclass(frozen=True)
class Caliper:
    """The largest distance of partners in a variable; below zero, the distance that they must exceed."""

    name: str
    width: float
    standard: bool


def read_calipers(caliper: Any, standard: Any) -> tuple[Caliper, ...]:
    """Calipers by variable.

    Raises
    ------
    OptionError
        For what is no number or mapping of names to numbers.
    """
    if caliper is None:
        if standard is not True:
            raise OptionError("std_caliper= says in which unit caliper= is, and there is no caliper=")
        return ()
    given = caliper if isinstance(caliper, Mapping) else {DISTANCE: caliper}
    widths = {DISTANCE if name in (None, "") else name: width for name, width in given.items()}
    if not widths or not all(isinstance(name, str) and is_number(width) for name, width in widths.items()):
        raise OptionError(
            f"caliper={shown(caliper)}: a number, or a number for each variable, as {{'distance': 0.25, 'age': 3}}"
        )
    units = _units(standard, list(widths))
    if 0 in widths.values():
        raise OptionError("a caliper of 0 lets only equal values be partners: use exact=")
    return tuple(Caliper(name, float(width), units[name]) for name, width in widths.items())


def _units(standard: Any, names: Sequence[str]) -> dict[str, bool]:
    """Whether each caliper is in standard deviations."""
    if isinstance(standard, Mapping):
        named = {DISTANCE if name in (None, "") else name: value for name, value in standard.items()}
        unknown = [name for name in named if name not in names]
        if unknown:
            raise OptionError(f"std_caliper= names {unknown[0]!r}, on which there is no caliper; there are {names}")
        return {name: flag("std_caliper", named.get(name, True)) for name in names}
    if isinstance(standard, (list, tuple)):
        if len(standard) != len(names):
            raise OptionError(f"std_caliper= has {len(standard)} values for {len(names)} calipers")
        return {name: flag("std_caliper", value) for name, value in zip(names, standard, strict=True)}
    return dict.fromkeys(names, flag("std_caliper", standard, "; for each caliper in a mapping or list"))
