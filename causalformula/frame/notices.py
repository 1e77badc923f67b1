"""What a reader of the numbers should know of how the data were read: nothing is wrong, and nothing is silent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from causalformula.errors import counted, some, warn
from causalformula.formula.expressions.text_readings import reading
from causalformula.formula.expressions.values import Strings, Value, length, missing
from causalformula.formula.language.deparse import deparse, symbol
from causalformula.formula.language.grammar import summands
from causalformula.formula.language.syntax import Call, Name, Node
from causalformula.numerics.arrays import Bools, Codes


class Aside(str):
    """A note for the print, of which no warning is given."""


class OfOverlap(str):
    """A note that arms have few units alike, or none: that what is compared rests on few rows, or on the model."""


# Text with this many values, and one for every few rows, was hardly meant to be a factor.
MANY_LEVELS = 20
ROWS_A_LEVEL = 5


def many_levels(value: Value, rows: int | None = None) -> int:
    """How many distinct values text has that has too many for a factor; 0 for any other value."""
    count = len(np.unique(value.codes)) if isinstance(value, Strings) else 0
    return count if count >= max(MANY_LEVELS, (rows or length(value)) / ROWS_A_LEVEL) else 0


def text_notes(nodes: Iterable[Node], values: Mapping[str, Value], rows: int | None = None) -> tuple[str, ...]:
    """Columns of text among the terms that read as numbers or dates: they became factors.

    A few whole numbers may well be codes of levels, which is an aside. ``rows`` is their number, where the values are
    of some of them.
    """
    out: list[str] = []
    for node in nodes:
        found = reading(values.get(deparse(node))) if isinstance(node, Name) else None
        if not isinstance(node, Name):
            continue
        name = symbol(node.id)
        if found is None and (count := many_levels(values.get(deparse(node)), rows)):
            among = counted(rows or length(values[deparse(node)]), "row")
            out.append(f"{name} is text with {count} distinct values in {among}, taken for a factor of {count} levels")
        if found is None or found.levels <= 2:
            continue
        taken = f"{name} is {found.described()}, taken for a factor of {found.levels} levels"
        advice = f"{found.advice(name)}; factor({name}) says that levels are meant"
        out.append(Aside(taken) if found.coded else f"{taken}: {advice}")
    return tuple(dict.fromkeys(out))


def day_notes(nodes: Iterable[Node], counted: Collection[str]) -> tuple[str, ...]:
    """The unit of dates and times that enter as numbers."""
    found = dict.fromkeys(text for node in nodes if (text := deparse(node)) in counted)
    return (Aside(f"{some(found)} {'counts' if len(found) == 1 else 'count'} in days"),) if found else ()


def sum_notes(left: Node | None) -> tuple[str, ...]:
    """Outcomes joined by ``+`` are added up, as in R; whoever knows other software may have meant several."""
    if not (isinstance(left, Call) and left.function == "+" and len(left.args) == 2):
        return ()
    pieces = summands(left)
    if not all(sign > 0 and isinstance(node, Name) for sign, node in pieces):
        return ()
    return (
        f"the outcome is the sum {deparse(left)}, as in R; for an answer on each make {counted(len(pieces), 'fit')}, "
        f"or write I({deparse(left)}) if the sum is meant",
    )


def made_missing(made: Mapping[str, Bools], values: Mapping[str, Value], asked: Bools) -> tuple[tuple[str, Codes], ...]:
    """Calls that gave no value where their arguments had one, and the rows asked for that are lost by them."""
    out = []
    for text, rows in made.items():
        lost = np.zeros(len(rows), dtype=bool)
        for label, value in values.items():
            gone = missing(value) if text in label else None
            lost |= False if gone is None else gone
        places = np.flatnonzero(rows & lost & asked)
        if len(places):
            out.append((text, places))
    return tuple(out)


def made_notes(found: Iterable[tuple[str, Codes]], index: Any) -> tuple[str, ...]:
    """The same in words."""
    return tuple(
        f"{text} has no value in {counted(len(places), 'row')} although what it is computed from is there "
        f"({'row' if len(places) == 1 else 'rows'} {some(index[places], 5)}), and {_were(places)} dropped as missing"
        for text, places in found
    )


def told(notes: Iterable[str]) -> tuple[str, ...]:
    """Warn of each that is no aside; all are kept for the print."""
    kept = tuple(notes)
    for note in kept:
        if not isinstance(note, Aside):
            warn(note)
    return kept


def _were(places: Codes) -> str:
    return "it was" if len(places) == 1 else "they were"
