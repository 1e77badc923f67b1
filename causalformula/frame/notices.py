"""What a reader of the numbers should know of how the data were read: nothing is wrong, and nothing is silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.errors import counted, some, warn
from causalformula.formula.expressions.values import Strings, Value, missing
from causalformula.formula.language.deparse import deparse, symbol
from causalformula.formula.language.grammar import summands
from causalformula.formula.language.syntax import Call, Name, Node
from causalformula.numerics.arrays import Bools, Codes

# Text of which so many values are numbers, and such a share, was meant as numbers but for what is stray.
MOST_NUMBERS, MOST_SHARE = 5, 0.8


@dataclass(frozen=True)
class NumericText:
    """A column of text that reads as numbers: its distinct values that do, and those that do not."""

    numbers: int
    stray: tuple[str, ...]

    def advice(self, name: str) -> str:
        """How to make it the number that it is, in words that work when followed."""
        coerce = ', errors="coerce"' if self.stray else ""
        column = f'data["{name}"]'
        return f"convert it, {column} = pd.to_numeric({column}{coerce}), or write as.numeric({symbol(name)})"

    def described(self) -> str:
        """What it is, in words."""
        if not self.stray:
            return "text that reads as numbers"
        return f"text that reads as numbers but for {some(map(repr, self.stray), 3)}"


def numeric_text(value: Value) -> NumericText | None:
    """What text says as numbers; None where it is no such text. Codes such as ``007`` are no numbers."""
    if not isinstance(value, Strings):
        return None
    used = np.flatnonzero(np.bincount(value.codes + 1, minlength=len(value.table) + 1)[1:])
    texts = [value.table[k] for k in used]
    stray = [text for text in texts if not _is_number(text)]
    numbers = len(texts) - len(stray)
    if any(_is_code(text) for text in texts) or not numbers:
        return None
    if stray and (numbers < MOST_NUMBERS or numbers < MOST_SHARE * len(texts)):
        return None
    return NumericText(numbers, tuple(stray))


def _is_number(text: str) -> bool:
    if "_" in text or not any(c.isdigit() for c in text):
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_code(text: str) -> bool:
    plain = text.strip()
    return len(plain) > 1 and plain[0] == "0" and plain.isdigit()


def text_notes(nodes: Iterable[Node], values: Mapping[str, Value]) -> tuple[str, ...]:
    """Columns of text among the terms that were meant as numbers: they became factors."""
    out = []
    for node in nodes:
        if not isinstance(node, Name):
            continue
        found = numeric_text(values.get(deparse(node)))
        levels = 0 if found is None else found.numbers + len(found.stray)
        if found is not None and levels > 2:
            out.append(
                f"{symbol(node.id)} is {found.described()}, taken for a factor of {levels} levels: "
                f"{found.advice(node.id)}; factor({symbol(node.id)}) says that levels are meant"
            )
    return tuple(dict.fromkeys(out))


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
    """Warn of each; they are kept for the print."""
    kept = tuple(notes)
    for note in kept:
        warn(note)
    return kept


def _were(places: Codes) -> str:
    return "it was" if len(places) == 1 else "they were"
