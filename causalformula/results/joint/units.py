"""The units of several fits: the union of their rows, by the data's row labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from causalformula.errors import CapabilityError, DataError, some
from causalformula.frame.bound import BoundRows
from causalformula.frame.grouping import Grouping
from causalformula.numerics.arrays import Codes


@dataclass(frozen=True, eq=False)
class Units:
    """The union of several fits' rows, by the data's row labels.

    Parameters
    ----------
    index : pandas Index (n,)
    frames : tuple
        The fits' own frames.
    """

    index: Any
    frames: tuple[Any, ...]
    cluster_names: tuple[str, ...] = ()
    outcome: None = None
    treatment: None = None
    strata: None = None
    dropped: int = 0
    missing_by: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, frames: Sequence[Any]) -> Units:
        """The union, in order of appearance."""
        for frame in frames:
            if isinstance(frame, BoundRows):
                frame.refuse_away()
        _refuse_unrelated(frames)
        union = frames[0].index
        for frame in frames:
            if len(frames) > 1 and not frame.index.is_unique:
                twice = frame.index[frame.index.duplicated()].unique()
                raise DataError(
                    f"the data's row labels repeat ({some(twice)}), so it is not known which rows of the fits are the "
                    "same unit; give every row its own label before fitting, as in data.reset_index(drop=True)"
                )
            union = union if frame.index.equals(union) else union.union(frame.index, sort=False)
        return cls(union, tuple(frames))

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.index)

    @property
    def nobs(self) -> int:
        """Number of units."""
        return self.n

    def place(self, frame: Any) -> Codes:
        """Positions of a fit's rows."""
        if frame.index is self.index or frame.index.equals(self.index):
            return np.arange(self.n)
        return np.asarray(self.index.get_indexer(frame.index), dtype=np.intp)

    def groups(self, name: str) -> Grouping:
        """Codes of a column of the data; the fits must agree on it where they have a row in common."""
        labels = np.full(self.n, None, dtype=object)
        for frame in self.frames:
            place, found = self.place(frame), frame.groups(name)
            new = np.array([str(level) for level in found.levels], dtype=object)[found.codes]
            old = labels[place]
            if bool(np.any([a is not None and a != b for a, b in zip(old, new, strict=True)])):
                raise DataError(f"the fits' data differ in {name} for the same row labels; labels must identify units")
            labels[place] = new
        levels, codes = np.unique(labels.astype(str), return_inverse=True)
        return Grouping(name, tuple(levels.tolist()), codes.astype(np.intp))

    def subgroups(self, name: str) -> Grouping:
        """Several fits have no effects by group."""
        raise CapabilityError("this result was derived from others; ask the fits that it came from")


def _refuse_unrelated(frames: Sequence[Any]) -> None:
    """A ``DataError`` for other data with the positions 0, 1, 2, ... for labels, which identify no unit."""
    tables = [table for frame in frames for table in _tables(frame)]
    numbered = sorted((table for table in tables if table.numbered), key=lambda table: table.n)
    sizes = sorted({table.n for table in numbered})
    if any(a.n < b.n and not a.begins(b) for a, b in pairwise(numbered)):
        raise DataError(
            f"the fits are of different data, of {some(sizes)} rows, whose labels are their positions and do not say "
            "which rows are the same unit; give the data an index that does, as in data.set_index('id'), or fit to one "
            "data frame with subset="
        )


def _tables(frame: Any) -> list[Any]:
    return [table for each in frame.frames for table in _tables(each)] if isinstance(frame, Units) else [frame.table]
