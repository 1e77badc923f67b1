"""``Source``: data that are read a chunk at a time, wherever they are.

To add an engine, write one module beside ``duck.py`` with a class that has the members of ``Source``, and a line in
``recognise.py`` that says by which module its tables are known. Nothing else in the package knows an engine.

- ``run`` calls ``task`` on every chunk of rows and merges what it returns, in any order. The task, and what it returns,
  pickle; it may be called in other processes. It gets a ``Chunk`` of the columns asked for, which ``chunk_of`` makes of
  an Arrow table or record batch, and returns None where it has nothing to say; the answer is None if no chunk has.
- Columns have one type in all chunks. Chunks without rows are left out.
- ``ids``: where asked for, each chunk has a number a row, the same in every run and no matter how rows are split. An
  engine that has none has ``numbered = False``: messages then count rows within their chunk, and what needs numbers
  asks for a column of the data.
- An engine that sorts has the members of ``Sortable`` too: sums by very many clusters then need no memory for them.
- Errors of the engine are a ``DataError`` that names the file, the row or the column as the engine knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import CapabilityError
from causalformula.frame.columns import Table

P = TypeVar("P")
# Rows of a chunk, where the engine lets one choose: a few columns of these stay in the processor's cache.
CHUNK_ROWS = 2**17


class Chunk(Table):
    """Some rows of the data, in memory.

    Parameters
    ----------
    data : any eager frame that narwhals reads
    ids : ndarray (n,) of int, optional
        A number for each row of the data, where the task asked for them.
    """

    def __init__(self, data: Any, ids: NDArray[np.int64] | None = None):
        self.ids = ids
        super().__init__(data)

    def index(self) -> Any:
        """Numbers of the rows in the whole data, where they are known."""
        import pandas as pd

        return super().index() if self.ids is None else pd.Index(self.ids)


Task = Callable[[Chunk], P | None]
Merge = Callable[[P, P], P]


@runtime_checkable
class Source(Protocol):
    """Data that are read a chunk at a time."""

    @property
    def words(self) -> str:
        """What it is, for the print: ``3 Parquet files (claims/*.parquet)``."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        ...

    @property
    def types(self) -> dict[str, str]:
        """What the engine calls the type of each column."""
        ...

    @property
    def numbered(self) -> bool:
        """Whether rows have numbers, see ``ids`` above."""
        ...

    def rows(self) -> int:
        """Number of rows."""
        ...

    def run(self, task: Task[P], columns: Sequence[str], merge: Merge[P], *, ids: bool = False) -> P | None:
        """What ``task`` says of all chunks, merged; None where it says nothing of any."""
        ...

    def collect(self) -> Any:
        """All rows and columns as an eager frame."""
        ...

    def write(self, task: Callable[[Chunk], Any], columns: Sequence[str], path: str) -> None:
        """Write the pandas frames that ``task`` makes of all chunks to a Parquet file (or folder), in their order."""
        ...


@runtime_checkable
class Sortable(Protocol):
    """A source whose engine sorts rows outside memory, and which merges what is said of chunks in their order."""

    def groups(self, columns: Sequence[str]) -> int:
        """About how many different values some columns have together."""
        ...

    def sorted_by(self, columns: Sequence[str]) -> Source:
        """The same rows, those of equal values of these columns one after another."""
        ...


def unnumbered(words: str) -> CapabilityError:
    """What a source raises that is asked for numbers of its rows and has none."""
    return CapabilityError(
        f"{words}: its rows have no numbers that stay the same from pass to pass; write them to Parquet files, and "
        "give these as data"
    )


def merged(parts: Sequence[P | None], merge: Merge[P]) -> P | None:
    """Partial answers as one; those that say nothing are left out."""
    found = [part for part in parts if part is not None]
    return reduce(merge, found) if found else None


def chunk_of(table: Any, ids: NDArray[np.int64] | None = None) -> Chunk:
    """A chunk of an Arrow table or record batch; a column without a value in any row holds missing numbers."""
    import pyarrow as pa

    table = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
    for place, column in enumerate(table.schema):
        if pa.types.is_null(column.type):
            table = table.set_column(place, column.name, table.column(place).cast(pa.float64()))
    return Chunk(table.unify_dictionaries(), ids)
