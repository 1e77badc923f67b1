"""What must be known of all rows before a chunk can be read: counts, levels, and a few rows that have them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.formula.expressions.values import Factor, Logical, Strings, Value, as_factor, length
from causalformula.frame.notices import made_missing, made_notes
from causalformula.numerics.arrays import Array, Codes
from causalformula.scale.reading import Reading
from causalformula.scale.sources.source import Chunk
from causalformula.scale.sources.stacked import stacked

# Distinct values of a number that the sample of rows keeps.
FEW = 8


# -- counts, and a few rows that have every level ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass says of the rows, with a few of them that have every level and the ends of every number.

    Parameters
    ----------
    total, kept, nobs : int
        Rows asked for, those without a missing value, and of these those of positive weight.
    missing_by : dict
    made : dict
        By call, numbers of the rows in which it gave no value where its arguments had one.
    compared : dict
        What there is to say of comparisons.
    marks : dict
        By variable: its values, and for each the place in ``rows`` of a row that has it.
    rows : pandas DataFrame
    shares, whole : bool
        Whether an outcome lies between 0 and 1, and whether weights, and weights times it, are whole numbers.
    arms : dict
        Rows of positive weight by level of the treatment.
    """

    total: int
    kept: int
    nobs: int
    missing_by: dict[str, int]
    made: dict[str, tuple[Any, ...]]
    compared: dict[str, str]
    marks: dict[str, dict[Any, int]]
    rows: Any = field(repr=False)
    shares: bool = False
    whole: bool = True
    arms: dict[Any, int] = field(default_factory=dict)

    def ordered(self, labels: Sequence[str]) -> Survey:
        """The same with variables in the formula's order, whichever chunk had them first."""
        counts = {name: self.missing_by[name] for name in labels if name in self.missing_by}
        place = {text: min((k for k, x in enumerate(labels) if text in x), default=0) for text in self.made}
        made = {text: self.made[text] for text in sorted(self.made, key=lambda text: (place[text], text))}
        return replace(self, missing_by=counts, made=made)

    def __add__(self, other: Survey) -> Survey:
        shift = len(self.rows)
        marks = {}
        for label, mine in self.marks.items():
            theirs = {value: place + shift for value, place in other.marks[label].items()}
            marks[label] = _few({**theirs, **mine})
        used = sorted({place for each in marks.values() for place in each.values()})
        new = {place: k for k, place in enumerate(used)}
        rows = stacked([self.rows, other.rows]).iloc[used].reset_index(drop=True)
        counts = {
            name: self.missing_by.get(name, 0) + other.missing_by.get(name, 0)
            for name in {**self.missing_by, **other.missing_by}
        }
        made = {name: self.made.get(name, ()) + other.made.get(name, ()) for name in {**self.made, **other.made}}
        return Survey(
            self.total + other.total,
            self.kept + other.kept,
            self.nobs + other.nobs,
            counts,
            made,
            {**other.compared, **self.compared},
            {label: {value: new[place] for value, place in each.items()} for label, each in marks.items()},
            rows,
            self.shares or other.shares,
            self.whole and other.whole,
            {arm: self.arms.get(arm, 0) + other.arms.get(arm, 0) for arm in {**self.arms, **other.arms}},
        )


def _few(places: dict[Any, int]) -> dict[Any, int]:
    """Of many numbers the ends, and some between; all levels of text."""
    if len(places) <= FEW or not all(isinstance(value, float) for value in places):
        return places
    values = sorted(places)
    return {value: places[value] for value in (*values[: FEW - 1], values[-1])}


@dataclass(frozen=True, eq=False)
class Surveyor:
    """The pass: reads a chunk and says what a ``Survey`` holds."""

    reading: Reading
    treated: str | None = None
    crossed: tuple[str, ...] = ()

    def __call__(self, chunk: Chunk) -> Survey:
        """Of a chunk."""
        read = self.reading.of(chunk, fresh=True)
        index = chunk.index()
        made = {
            text: tuple(index[places].tolist()) for text, places in made_missing(read.made, read.all_values, read.asked)
        }
        marks: dict[str, dict[Any, int]] = {}
        places: list[int] = []
        for label, value in read.values.items():
            if label.startswith(("cluster:", "unit:")):
                continue
            marks[label] = {}
            every = as_factor(value) if label.startswith("strata:") and isinstance(value, np.ndarray) else value
            for key, at in _marked(every).items():
                marks[label][key] = len(places)
                places.append(at)
        w = self.reading.weights(read.values, index[read.rows])
        if self.crossed:
            marks["crossed"] = {}
            for key, at in _crossings([read.values[label] for label in self.crossed], w).items():
                marks["crossed"][key] = len(places)
                places.append(at)
        if not marks:
            marks["rows"] = {0.0: 0} if len(read.rows) else {}
            places = [0] if len(read.rows) else []
        # each row once, whatever it is there for: units are not to be there twice
        once, place = np.unique(np.array(places, dtype=np.intp), return_inverse=True)
        marks = {label: {key: int(place[k]) for key, k in found.items()} for label, found in marks.items()}
        rows = _some_rows(chunk, self.reading.columns, read.rows[once])
        nobs = len(read.rows) if w is None else int((w > 0).sum())
        shares, whole = self.reading.proportions(read.values, w)
        return Survey(
            int(read.asked.sum()),
            len(read.rows),
            nobs,
            read.missing_by,
            made,
            read.compared,
            marks,
            rows,
            shares,
            whole,
            {} if self.treated is None else _arms(read.values[self.treated], w),
        )


def _crossings(values: Sequence[Value], w: Array | None) -> dict[Any, int]:
    """Combinations of the levels of two variables, each with the first row of positive weight that has it."""
    one, other = map(as_factor, values)
    rows = np.arange(len(one.codes)) if w is None else np.flatnonzero(w > 0)
    found, first = np.unique(one.codes[rows] * len(other.levels) + other.codes[rows], return_index=True)
    cells = (divmod(int(k), len(other.levels)) for k in found)
    return {(one.levels[a], other.levels[b]): int(rows[at]) for (a, b), at in zip(cells, first, strict=True)}


def _some_rows(chunk: Chunk, names: Sequence[str], places: Codes) -> Any:
    """Rows of a chunk as pandas; levels, and which text has none, are as the formula reads them."""
    import pandas as pd

    rows = chunk.frame.select(*names)[places.tolist()].to_pandas().reset_index(drop=True)
    for name in names:
        value = chunk.column(name)
        if isinstance(value, Factor):
            levels = pd.Categorical.from_codes(value.codes[places], pd.Index(value.levels), ordered=value.ordered)
            rows[name] = pd.Series(levels, index=rows.index)
        elif isinstance(value, Strings):
            rows[name] = pd.Series(np.array([*value.table, None], dtype=object)[value.codes[places]], index=rows.index)
    return rows


def _arms(value: Value, w: Array | None) -> dict[Any, int]:
    """Rows of positive weight by level of a treatment; of a dose none."""
    used = slice(None) if w is None else w > 0
    if isinstance(value, (Factor, Strings, Logical)):
        factor = as_factor(value)
        counts = np.bincount(factor.codes[used], minlength=len(factor.levels))
        return {level: int(count) for level, count in zip(factor.levels, counts, strict=True) if count}
    if not isinstance(value, np.ndarray) or not len(value[used]):
        return {}
    numbers = value[used]
    ends = {float(numbers.min()), float(numbers.max())}
    counted = {end: int((numbers == end).sum()) for end in ends}
    return counted if sum(counted.values()) == len(numbers) else {np.nan: len(numbers)}


def _marked(value: Value) -> dict[Any, int]:
    """Values of a variable, each with the first row that has it: all levels, or the ends of numbers and some more."""
    if isinstance(value, (Factor, Strings, Logical)):
        factor = as_factor(value)
        first = np.full(len(factor.levels), -1)
        present = np.flatnonzero(factor.codes >= 0)[::-1]
        first[factor.codes[present]] = present  # of equal places the last is kept, the first row
        return {level: int(at) for level, at in zip(factor.levels, first, strict=True) if at >= 0}
    if not isinstance(value, np.ndarray) or not len(value):
        return {0.0: 0} if length(value) else {}
    found = {float(value[at]): int(at) for at in np.unique(value[: 2 * FEW], return_index=True)[1]}
    for at in (int(value.argmin()), int(value.argmax())):
        found.setdefault(float(value[at]), at)
    other = np.ones(len(value), dtype=bool)
    for known in found if len(found) < FEW else ():
        other &= value != known
    while len(found) < FEW and other.any():
        at = int(other.argmax())
        found[float(value[at])] = at
        other &= value != value[at]
    return _few(found)


def merged_notes(made: Mapping[str, Sequence[Any]]) -> list[str]:
    """What is said of calls that gave no value."""
    import pandas as pd

    out: list[str] = []
    for text, labels in made.items():
        out += made_notes([(text, np.arange(len(labels)))], pd.Index(sorted(labels)))
    return out
