"""Frames in memory, one after another: a list of them, or the batches of an Arrow reader that were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from causalformula.errors import DataError, counted
from causalformula.frame.columns import Table
from causalformula.scale.sources.source import Chunk, Merge, P, Task, merged
from causalformula.scale.sources.stacked import stacked


class Chunks:
    """Frames of the same columns, taken as one after another.

    Parameters
    ----------
    frames : sequence of frames that narwhals reads
    words : str, optional

    Raises
    ------
    DataError
        Where a frame lacks a column of the first.
    """

    numbered = True

    def __init__(self, frames: Sequence[Any], words: str = ""):
        if not frames:
            raise DataError("the list of frames is empty")
        self.tables = tuple(Table(frame) for frame in frames)
        self.words = words or f"{counted(len(frames), 'frame')} in memory"
        self.names = self.tables[0].names
        for place, table in enumerate(self.tables):
            gone = [name for name in self.names if name not in table]
            if gone:
                raise DataError(f"frame {place} of the list has no column {gone[0]!r}, which the first has")

    @property
    def types(self) -> dict[str, str]:
        """What narwhals calls the type of each column."""
        return {name: str(kind) for name, kind in self.tables[0].frame.schema.items()}

    def rows(self) -> int:
        """Number of rows."""
        return sum(table.n for table in self.tables)

    def run(self, task: Task[P], columns: Sequence[str], merge: Merge[P], *, ids: bool = False) -> P | None:
        """See ``Source``."""
        return merged([task(chunk) for chunk in self._chunks(columns, ids)], merge)

    def _chunks(self, columns: Sequence[str], ids: bool) -> Iterator[Chunk]:
        first = 0
        for table in self.tables:
            last = first + table.n
            if table.n:
                yield Chunk(table.frame.select(*columns), np.arange(first, last) if ids else None)
            first = last

    def collect(self) -> Any:
        """All rows as a frame of the library of the first."""
        return stacked([table.frame for table in self.tables])

    def write(self, task: Callable[[Chunk], Any], columns: Sequence[str], path: str) -> None:
        """See ``Source``."""
        stacked([task(chunk) for chunk in self._chunks(columns, False)]).to_parquet(path)
