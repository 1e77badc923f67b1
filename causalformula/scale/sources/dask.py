"""Dask: a data frame in partitions; tasks run on the workers that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from causalformula.errors import CausalFormulaError, DataError, counted, some
from causalformula.scale.sources.remote import Ordered, Partial, opened
from causalformula.scale.sources.source import CHUNK_ROWS, Chunk, Merge, P, Task
from causalformula.scale.sources.stacked import stacked
from causalformula.scale.sources.streamed import as_arrow

# Answers that one worker merges at a time.
TOGETHER = 8
# Rows by which the types of columns of objects are known.
FIRST = 1000


def of_dask(data: Any) -> Dask | None:
    """A source of a data frame; None for a column and the like."""
    import dask.dataframe as dd

    return Dask(data) if isinstance(data, dd.DataFrame) else None


class Dask:
    """A Dask DataFrame.

    A pass is a task a partition, whose answers are merged on the workers, a few at a time. A worker that dies takes
    nothing with it: the scheduler computes again what it held. What the frame is made of is computed anew for each
    pass, unless it is persisted.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    """

    numbered = True

    def __init__(self, frame: Any):
        self.frame = frame
        self._rows: int | None = None
        self._native = {str(name): name for name in frame.columns}
        self.names: tuple[str, ...] = tuple(self._native)
        self.types: dict[str, str] = {str(name): str(kind) for name, kind in frame.dtypes.items()}
        self.words = f"Dask DataFrame of {counted(frame.npartitions, 'partition')} ({some(self.names)})"

    def _lengths(self, parts: Sequence[Any]) -> list[int]:
        from dask import compute, delayed

        with self._told():
            return list(compute(*map(delayed(len), parts)))

    def rows(self) -> int:
        """Number of rows."""
        if self._rows is None:
            self._rows = sum(self._lengths(self._picked(()).to_delayed()))
        return self._rows

    def run(self, task: Task[P], columns: Sequence[str], merge: Merge[P], *, ids: bool = False) -> P | None:
        """See ``Source``; rows are numbered in the order of the partitions."""
        from dask import compute, delayed

        picked = self._picked(columns)
        # one object of the graph, however many partitions there are
        partial, ordered = delayed(_Partition(Partial(task, merge), picked._meta)), delayed(Ordered(merge))
        # which rows are a partition depends on the columns: files of which little is read are read together
        given = picked.to_delayed()
        firsts = np.cumsum([0, *self._lengths(given)]).tolist() if ids else [None] * len(given)
        parts = [partial(part, place, firsts[place]) for place, part in enumerate(given)]
        while len(parts) > 1:
            parts = [ordered(parts[k : k + TOGETHER]) for k in range(0, len(parts), TOGETHER)]
        with self._told():
            (answer,) = compute(*parts)
        found: P | None = opened(answer)
        return found

    def _picked(self, columns: Sequence[str]) -> Any:
        """The columns asked for; where there is none, one, since no column at all is still a number of rows."""
        return self.frame[[self._native[name] for name in columns or self.names[:1]]]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors in making the partitions as a ``DataError``; those of the cluster itself stay what they are."""
        try:
            yield
        except (CausalFormulaError, MemoryError):
            raise
        except Exception as error:
            if type(error).__module__.partition(".")[0] == "distributed":
                raise
            # a file lacks a column, and Dask does not say which file
            which = "; give the files as data, by their paths, to be told which of them" * isinstance(error, KeyError)
            raise DataError(f"{self.words}: {str(error).strip()}{which}") from error

    def collect(self) -> Any:
        """All rows and columns as a pandas frame."""
        with self._told():
            return self.frame.compute().reset_index(drop=True)

    def mapped(self, task: Callable[[Chunk], Any], columns: Sequence[str]) -> Any:
        """A Dask DataFrame of the frames that ``task`` makes of all chunks."""
        picked = self._picked(columns)
        meta = self._first(task, picked).iloc[:0]
        return picked.map_partitions(_Frames(task, meta), meta=meta)

    def _first(self, task: Callable[[Chunk], Any], picked: Any) -> Any:
        """What a task makes of the first rows."""
        with self._told():
            return task(Chunk(picked.head(FIRST, npartitions=-1)))

    def write(self, task: Callable[[Chunk], Any], columns: Sequence[str], path: str) -> None:
        """See ``Source``: a folder of Parquet files, one a partition."""
        import pyarrow as pa

        # what is in a column of objects, only its values say
        schema = as_arrow(self._first(task, self._picked(columns)), pa.schema([])).schema
        with self._told():
            self.mapped(task, columns).to_parquet(path, write_index=False, schema=schema)


class _Partition:
    """A partial answer of a partition, by chunks."""

    def __init__(self, partial: Partial[Any], meta: Any):
        self.partial, self.meta = partial, meta

    def __call__(self, part: Any, place: int, first: int | None) -> Any:
        _refuse_other(part, self.meta, place)
        return self.partial(_chunks(part, first))


class _Frames:
    """What a task makes of a partition, in the columns and types of ``meta``."""

    def __init__(self, task: Callable[[Chunk], Any], meta: Any):
        self.task, self.meta = task, meta

    def __call__(self, part: Any) -> Any:
        import pandas as pd

        made = [self.task(chunk) for chunk in _chunks(part, None)]
        if not made:
            return self.meta
        # levels of categories are the partition's own
        kinds = {name: kind for name, kind in self.meta.dtypes.items() if not isinstance(kind, pd.CategoricalDtype)}
        return stacked(made).astype(kinds)


def _chunks(part: Any, first: int | None) -> Iterator[Chunk]:
    for start in range(0, len(part), CHUNK_ROWS):
        rows = part.iloc[start : start + CHUNK_ROWS]
        yield Chunk(rows, None if first is None else np.arange(first + start, first + start + len(rows)))


def _refuse_other(part: Any, meta: Any, place: int) -> None:
    """Dask takes each partition as it comes, whatever columns its file had."""
    where = f"partition {place} of the Dask DataFrame"
    for name in meta.columns:
        if name not in part.columns:
            raise DataError(f"{where} has no column {str(name)!r}, which others have")
        here, others = _kind(part[name]), _kind(meta[name])
        if here and others and here != others:
            raise DataError(f"{where} has {str(name)!r} as {part[name].dtype}, others as {meta[name].dtype}")


def _kind(column: Any) -> str:
    """What a column holds; empty where that is not known of one without values."""
    from pandas.api import types

    if types.is_object_dtype(column.dtype):
        held = types.infer_dtype(column, skipna=True)
        return {"boolean": "logical", "string": "text", "decimal": "number", "empty": ""}.get(held, held)
    if types.is_bool_dtype(column.dtype):
        return "logical"
    if types.is_datetime64_any_dtype(column.dtype):
        return "time"
    return "number" if types.is_numeric_dtype(column.dtype) else "text"
