"""Text that was meant as numbers or dates: what it says, and what turns it into that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product

import numpy as np

from causalformula.errors import some
from causalformula.formula.expressions.times import iso_time, with_form
from causalformula.formula.expressions.values import Strings, Value
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Name

# Text of which so many values can be read, and such a share, was meant so but for what is stray.
MOST_READ, MOST_SHARE = 5, 0.8
# Whole numbers up to so many are likely the codes of levels: "1", "2" and "3" of a clinic.
FEW = 10
# What stands between thousands and before decimals, the plain one first: a tie goes to the earlier.
MARKS = (("", "."), (",", "."), ("", ","), (".", ","), (" ", "."), (" ", ","), ("'", "."))
# Dates; where days and months cannot be told apart, the first that reads most.
FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
MONTHS = "%Y-%m"
# Of so many texts a share must read as something before the rest is looked at.
SAMPLE, SAMPLE_SHARE = 200, 0.5
_ZONED = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d").match


@dataclass(frozen=True)
class Reading:
    """How a column of text reads.

    Attributes
    ----------
    what : str
        What it holds, in words: ``numbers``, ``percentages``, ``dates``.
    read, stray : tuple of str
        Its distinct values that read so, and those that do not.
    convert, within : str
        What converts it in pandas, and in a formula (nothing where that cannot), of ``{column}`` and ``{name}``.
    """

    what: str
    read: tuple[str, ...]
    stray: tuple[str, ...]
    convert: str
    within: str

    @property
    def levels(self) -> int:
        """How many levels the text has as a factor."""
        return len(self.read) + len(self.stray)

    @property
    def coded(self) -> bool:
        """Whether levels may well be meant: few values, and of numbers whole ones; nothing that is not read."""
        if self.levels > FEW or self.stray:
            return False
        return "date" in self.what or (self.what == "numbers" and all(float(v).is_integer() for v in self.read))

    def advice(self, name: str) -> str:
        """How to make a variable, by its text in a formula, what it says, in words that work when followed."""
        within = self.within.format(name=name)
        column = _column(name)
        if column is None:
            return f"write {within}" if within else "convert the column that it is made of"
        held = f"data[{json.dumps(column, ensure_ascii=False)}]"
        coerce = ', errors="coerce"' if self.stray else ""
        converted = f"convert it, {held} = {self.convert.format(column=held, coerce=coerce)}"
        return f"{converted}, or write {within}" if within else converted

    def described(self) -> str:
        """What it is, in words."""
        but = f" but for {some(map(repr, self.stray), 3)}" if self.stray else ""
        return f"text that reads as {self.what}{but}"


def reading(value: Value) -> Reading | None:
    """What text says as numbers or dates; None where it is no such text. Codes such as ``007`` are no numbers."""
    if not isinstance(value, Strings):
        return None
    used = np.flatnonzero(np.bincount(value.codes + 1, minlength=len(value.table) + 1)[1:])
    texts = [value.table[k] for k in used]
    if any(_is_code(text) for text in texts) or not any(c.isdigit() for text in texts[:FEW] for c in text):
        return None
    if len(texts) > SAMPLE and _best(texts[:SAMPLE])[1].count(True) < SAMPLE_SHARE * SAMPLE:
        return None
    way, found = _best(texts)
    read = tuple(text for text, good in zip(texts, found, strict=True) if good)
    stray = tuple(text for text, good in zip(texts, found, strict=True) if not good)
    if not read or (stray and (len(read) < MOST_READ or len(read) < MOST_SHARE * len(texts))):
        return None
    return Reading(way.what, read, stray, way.convert, "" if stray and way.strict else way.within)


@dataclass(frozen=True)
class _Way:
    """A way to read text: its name, what converts it, whether a text reads so, and if no stray text is forgiven."""

    what: str
    convert: str
    within: str
    reads: Callable[[str], bool]
    strict: bool = False


def _best(texts: list[str]) -> tuple[_Way, list[bool]]:
    """The first way that reads most, and which texts it reads."""
    best, most = None, [False] * len(texts)
    for way in _ways(texts):
        found = [way.reads(text.strip()) for text in texts]
        if best is None or sum(found) > sum(most):
            best, most = way, found
        if all(found):
            break
    assert best is not None
    return best, most


def _ways(texts: list[str]) -> Iterator[_Way]:
    for percent, (thousands, decimal) in product(("", "%"), MARKS):
        yield _as_number(thousands, decimal, percent)
    for form in (*FORMS, MONTHS):
        within = "" if form == MONTHS else f'as.Date({{name}}, "{form}")'
        convert = f'pd.to_datetime({{column}}, format="{form}"{{coerce}})'
        yield _Way("dates", convert, within, _dated(form))
    form = "mixed" if any("/" in text for text in texts) else "ISO8601"
    within = "as.POSIXct({name})" if all(iso_time(text.strip()) is not None for text in texts) else ""
    yield _Way("dates and times", f'pd.to_datetime({{column}}, format="{form}"{{coerce}})', within, _timed, True)


def _dated(form: str) -> Callable[[str], bool]:
    read = with_form(form)
    return lambda text: read(text) is not None


def _timed(text: str) -> bool:
    """Whether text is a date, with or without a time of day and a time zone."""
    if iso_time(text) is not None:
        return True
    try:
        return bool(_ZONED(text)) and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _as_number(thousands: str, decimal: str, percent: str) -> _Way:
    """Numbers written with these signs."""
    kind = "percentages" if percent else "numbers"
    signs = ["thousands separators"] * bool(thousands) + ["decimal commas"] * (decimal == ",")
    what = f"{kind} with {' and '.join(signs)}" if signs else kind
    column, name = "{column}", "{name}"
    for old, new in ((percent, ""), (thousands, ""), (decimal if decimal != "." else "", ".")):
        if old:
            column = f'{column}.str.replace("{old}", "{new}", regex=False)'
            name = f'gsub("{old}", "{new}", {name}, fixed = TRUE)'
    share = " / 100" if percent else ""
    within = f"I(as.numeric({name}){share})" if share else f"as.numeric({name})"
    groups = rf"[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+|\d+" if thousands else r"\d+"
    point = re.escape(decimal)
    marked = re.compile(rf"[-+]?(?:(?:{groups})(?:{point}\d*)?|{point}\d+)(?:[eE][-+]?\d+)?\s*{percent}\Z", re.ASCII)
    return _Way(what, f"pd.to_numeric({column}{{coerce}}){share}", within, lambda text: marked.match(text) is not None)


def _column(name: str) -> str | None:
    """The column that a variable's text names; None of a call."""
    node = parse_expression(name)
    return node.id if isinstance(node, Name) else None


def _is_code(text: str) -> bool:
    plain = text.strip()
    return len(plain) > 1 and plain[0] == "0" and plain.isdigit()
