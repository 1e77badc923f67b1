"""Engines that hand their rows over one piece after another: what these sources have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import Any

import numpy as np

from causalformula.errors import CausalFormulaError, DataError
from causalformula.inference.refit import one_thread, processes
from causalformula.scale.sources.source import CHUNK_ROWS, Chunk, Merge, P, Task, chunk_of, merged, unnumbered

# Bytes: a little less than the largest block that glibc learns from.
KEPT = 2**25 - 2**16


class Streamed(ABC):
    """A source whose rows come in pieces, in an order that the engine keeps.

    To make one, give ``words``, ``names`` and ``types``, and define what is abstract here.
    """

    words: str
    names: tuple[str, ...]
    types: dict[str, str]
    numbered = True

    @abstractmethod
    def pieces(self, columns: Sequence[str]) -> Iterator[Any]:
        """Arrow record batches, or frames, of at least one column; what goes wrong may be any error of the engine."""

    @abstractmethod
    def rows(self) -> int:
        """Number of rows."""

    @abstractmethod
    def collect(self) -> Any:
        """All rows and columns as an eager frame."""

    def run(self, task: Task[P], columns: Sequence[str], merge: Merge[P], *, ids: bool = False) -> P | None:
        """See ``Source``; rows are numbered as they come.

        The numbers do not depend on how many threads there are: a chunk is added up on one, and merged in its place.
        """
        total: P | None = None
        keep_freed()
        with one_thread("blas"):
            for part in in_threads(task, self._chunks(columns, ids), processes(None)):
                total = merged([total, part], merge)
        return total

    def write(self, task: Callable[[Chunk], Any], columns: Sequence[str], path: str) -> None:
        """See ``Source``: one Parquet file."""
        import pyarrow.parquet as pq

        writer = None
        for chunk in self._chunks(columns, False):
            schema = chunk.frame[:0].to_arrow().schema if writer is None else writer.schema
            table = as_arrow(task(chunk), schema)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table.cast(writer.schema))
        if writer is not None:
            writer.close()

    def told(self, columns: Sequence[str]) -> Iterator[Any]:
        """The pieces; what goes wrong in the engine is a ``DataError``."""
        try:
            yield from self.pieces(columns)
        except (CausalFormulaError, MemoryError):
            raise
        except Exception as error:  # the engines have no base of their own
            raise DataError(f"{self.words}: {str(error).strip()}") from error

    def _chunks(self, columns: Sequence[str], ids: bool) -> Iterator[Chunk]:
        if ids and not self.numbered:
            raise unnumbered(self.words)
        first = 0
        # no column at all is still a number of rows
        for piece in gathered(self.told(tuple(columns) or self.names[:1])):
            last = first + len(piece)
            if len(piece):
                numbers = np.arange(first, last) if ids else None
                yield _chunk(piece, numbers)
            first = last


@cache
def keep_freed() -> None:
    """Let glibc keep what a chunk frees for the next one, instead of giving it to the system and asking again.

    It does after a block of this size was freed, which nothing was written to; without it the threads of a pass spend
    a third of their time on new pages. Other allocators do not mind.
    """
    block = np.empty(KEPT, dtype=np.uint8)
    del block


def in_threads(task: Task[P], chunks: Iterable[Chunk], threads: int) -> Iterator[P | None]:
    """``task`` of each chunk, in order; so many at a time, and no more chunks than these and the next are held."""
    if threads == 1:
        yield from map(task, chunks)
        return
    with ThreadPoolExecutor(threads) as pool:
        held: deque[Future[P | None]] = deque()
        for chunk in chunks:
            held.append(pool.submit(copy_context().run, task, chunk))
            if len(held) > threads:
                yield held.popleft().result()
        while held:
            yield held.popleft().result()


def as_arrow(made: Any, like: Any) -> Any:
    """A pandas frame as an Arrow table, whose columns have the types of those of the same name where they can.

    By themselves the types would depend on the rows: on whether one is missing, how many levels or digits there are.
    """
    import pyarrow as pa

    arrays = []
    for name in made.columns:
        place = like.get_field_index(str(name))
        try:
            kind = like.field(place).type if place >= 0 and not pa.types.is_null(like.field(place).type) else None
            arrays.append(pa.array(made[name], type=kind, from_pandas=True))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            arrays.append(pa.array(made[name], from_pandas=True))
    flat = [array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array for array in arrays]
    return pa.table(flat, names=[str(name) for name in made.columns])


def gathered(pieces: Iterable[Any]) -> Iterator[Any]:
    """Arrow record batches as tables of at most ``CHUNK_ROWS`` rows and not much less; other frames as they are."""
    import pyarrow as pa

    held: list[Any] = []
    for piece in pieces:
        if not isinstance(piece, pa.RecordBatch):
            yield piece
            continue
        for start in range(0, len(piece), CHUNK_ROWS):
            part = piece.slice(start, CHUNK_ROWS)
            if held and sum(map(len, held)) + len(part) > CHUNK_ROWS:
                yield pa.Table.from_batches(held)
                held = []
            held.append(part)
    if held:
        yield pa.Table.from_batches(held)


def _chunk(piece: Any, ids: Any) -> Chunk:
    import pyarrow as pa

    return chunk_of(piece, ids) if isinstance(piece, pa.Table) else Chunk(piece, ids)
