"""Spark: a table of a cluster, or of Spark on one machine; tasks run where its partitions are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from causalformula.errors import DataError, some
from causalformula.scale.sources.remote import Ordered, Partial, opened
from causalformula.scale.sources.source import Chunk, Merge, P, Task, chunk_of, unnumbered
from causalformula.scale.sources.streamed import as_arrow, gathered

# Columns beside those of the data, by which rows are numbered.
FILE, PLACE = "__file", "__row_of_file"


def of_spark(data: Any) -> Spark | None:
    """A source of a table; None for a column and the like."""
    if type(data).__name__ != "DataFrame":
        return None
    return Spark(data.to_spark() if type(data).__module__.startswith("pyspark.pandas") else data)


class Spark:
    """A PySpark DataFrame.

    A pass is one ``mapInArrow``: each partition comes back as one small answer. What the table is made of is computed
    anew for each pass, unless it is cached.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
    """

    def __init__(self, frame: Any):
        self.frame = frame
        self.names: tuple[str, ...] = tuple(frame.columns)
        self.types: dict[str, str] = dict(frame.dtypes)
        self.words = f"Spark table ({some(self.names)})"

    def __getstate__(self) -> dict[str, Any]:
        raise DataError("a Spark table lives in its session, so that a fit to it cannot be pickled")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of Spark as a ``DataError``, without the lines of its own code."""
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        try:
            yield
        except (PySparkException, Py4JError) as error:
            raise DataError(f"{self.words}: {_said(str(error))}") from error

    def rows(self) -> int:
        """Number of rows."""
        with self._told():
            return int(self.frame.count())

    @property
    def numbered(self) -> bool:
        """Whether rows have numbers that stay: those of Parquet files have."""
        return self._by_file is not None

    @cached_property
    def _by_file(self) -> Any:
        """The table with the file and the place of each row; None where it does not come from Parquet files alone."""
        from pyspark.errors import AnalysisException
        from pyspark.sql import functions as F

        try:
            return self.frame.select(
                "*", F.col("_metadata.file_path").alias(FILE), F.col("_metadata.row_index").alias(PLACE)
            )
        except AnalysisException:
            return None

    @cached_property
    def _first_of_file(self) -> dict[str, int]:
        """The number of the first row of each file, the files in the order of their names."""
        from pyspark.sql import functions as F

        with self._told():
            ends = self._by_file.groupBy(FILE).agg(F.max(PLACE).alias("end")).collect()
        lengths = {row[FILE]: row["end"] + 1 for row in sorted(ends, key=lambda row: str(row[FILE]))}
        firsts = np.cumsum([0, *lengths.values()])
        return {name: int(first) for name, first in zip(lengths, firsts, strict=False)}

    def run(self, task: Task[P], columns: Sequence[str], merge: Merge[P], *, ids: bool = False) -> P | None:
        """See ``Source``; rows are numbered by their files, in the order of the names, and their places there."""
        import pickle

        if ids and self._by_file is None:
            raise unnumbered(self.words)
        firsts = self._first_of_file if ids else None
        table = (self._by_file if ids else self.frame).select(
            *(_quoted(name) for name in (*(columns or self.names[:1]), *((FILE, PLACE) if ids else ())))
        )
        partial = Partial(task, merge)

        def answer(batches: Iterator[Any]) -> Iterator[Any]:
            import pyarrow as pa

            yield pa.RecordBatch.from_pydict({"part": [pickle.dumps(partial(_chunks(batches, firsts)))]})

        with self._told():
            parts = [pickle.loads(row["part"]) for row in table.mapInArrow(answer, "part binary").collect()]
        found: P | None = opened(Ordered(merge)(parts))
        return found

    def collect(self) -> Any:
        """All rows and columns as an Arrow table."""
        with self._told():
            return _collected(self.frame)

    def mapped(self, task: Callable[[Chunk], Any], columns: Sequence[str]) -> Any:
        """A Spark table of the frames that ``task`` makes of all chunks."""
        from pyspark.sql.pandas.types import from_arrow_schema

        picked = self.frame.select(*(_quoted(name) for name in columns))
        with self._told():
            head = _collected(picked.limit(1))
        schema = as_arrow(task(chunk_of(head)), head.schema).schema

        def frames(batches: Iterator[Any]) -> Iterator[Any]:
            for chunk in _chunks(batches, None):
                yield from as_arrow(task(chunk), schema).cast(schema).to_batches()

        return picked.mapInArrow(frames, from_arrow_schema(schema))

    def write(self, task: Callable[[Chunk], Any], columns: Sequence[str], path: str) -> None:
        """See ``Source``: a folder of Parquet files, one a partition."""
        with self._told():
            self.mapped(task, columns).write.parquet(path)


def _chunks(batches: Iterator[Any], firsts: Mapping[str, int] | None) -> Iterator[Chunk]:
    """Chunks of the batches of a partition, whose last two columns say file and row where rows are to be numbered."""
    for table in gathered(batches):
        if not len(table):
            continue
        if firsts is None:
            yield chunk_of(table)
            continue
        files = table.column(FILE).combine_chunks().dictionary_encode()
        first = np.array([firsts[name] for name in files.dictionary.to_pylist()], dtype=np.int64)
        ids = first[files.indices.to_numpy()] + table.column(PLACE).to_numpy()
        yield chunk_of(table.drop_columns([FILE, PLACE]), ids)


def _collected(frame: Any) -> Any:
    """All rows as an Arrow table, which Spark before 4.0 gives by way of pandas."""
    later = getattr(frame, "toArrow", None)
    if later is not None:
        return later()
    import pyarrow as pa

    return pa.Table.from_pandas(frame.toPandas(), preserve_index=False)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _said(message: str) -> str:
    """What Spark says is wrong, without the lines of its code."""
    lines = [line.strip() for line in message.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("at ", "An error occurred while calling", "..."))]
    named = next((line for line in lines if re.search(r"\[[A-Z_.]{6,}\]", line)), lines[0] if lines else message)
    return re.sub(r"^.*?\[[A-Z_.]{6,}\]\s*|\s*SQLSTATE: \w+$", "", named)
