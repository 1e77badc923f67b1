"""``Passes``: a plan and where its rows are; each question to all rows is one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from causalformula.errors import DataError
from causalformula.numerics.arrays import Array
from causalformula.scale.plan import AnyChunk, Plan
from causalformula.scale.sources.source import Chunk, Source
from causalformula.scale.sums import added

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _OnFrames:
    """A task on frames as one on chunks; it pickles if the task does."""

    plan: Plan
    task: Callable[[Any], Any]

    def __call__(self, chunk: Chunk) -> Any:
        frame = self.plan.frame(chunk)
        return None if frame is None else self.task(frame)


@dataclass(frozen=True, eq=False)
class Passes:
    """A plan, and the source of its rows.

    Parameters
    ----------
    source : Source
    plan : Plan
    """

    source: Source
    plan: Plan

    @property
    def words(self) -> str:
        """Where the rows are."""
        return self.source.words

    def with_columns(self, names: Iterable[str]) -> Passes:
        """The same, of which frames have further columns of the data."""
        return replace(self, plan=self.plan.with_columns(names))

    def total(self, task: Callable[[AnyChunk], T]) -> T:
        """What a task says of the frames of all chunks, added up by ``+``.

        Raises
        ------
        DataError
            If no row is kept: the data have changed since the plan was made.
        """
        found: T | None = self.source.run(_OnFrames(self.plan, task), self.plan.reading.columns, added)
        if found is None:
            raise DataError(f"{self.words}: the rows are gone since the fit; fit again")
        return found


@dataclass(frozen=True, eq=False)
class Grouped:
    """Sums by group, which merge by the groups' values.

    Parameters
    ----------
    keys : ndarray (G,) or (G, k)
        Values of the grouping: numbers, or text.
    sums : ndarray (G, q)
    """

    keys: Any
    sums: Array

    @classmethod
    def of(cls, keys: Any, values: Array) -> Grouped:
        """Of rows with these values (n, q)."""
        import pandas as pd

        codes, levels = pd.factorize(keys)
        sums = np.empty((len(levels), values.shape[1]))
        for j in range(values.shape[1]):
            sums[:, j] = np.bincount(codes, values[:, j], minlength=len(levels))
        return cls(levels, sums)

    def __add__(self, other: Grouped) -> Grouped:
        keys = np.concatenate([np.asarray(self.keys), np.asarray(other.keys)])
        return Grouped.of(keys, np.vstack([self.sums, other.sums]))


def joint_keys(columns: list[Any]) -> Any:
    """The values of several groupings taken together, one object a row."""
    if len(columns) == 1:
        return columns[0]
    out = np.empty(len(columns[0]), dtype=object)
    out[:] = list(zip(*(column.tolist() for column in columns), strict=True))
    return out


