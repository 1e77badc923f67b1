"""Arrow: a dataset of files, a reader of record batches, and whatever else ``pyarrow`` reads without holding it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from causalformula.errors import DataError, counted, some
from causalformula.scale.sources.source import CHUNK_ROWS
from causalformula.scale.sources.streamed import Streamed

# Chunks that are read before they are asked for: enough that reading and arithmetic overlap.
AHEAD = 4


def of_dataset(data: Any) -> Streamed | None:
    """A source of a dataset or a scanner; None for a part of one."""
    import pyarrow.dataset as ds

    if isinstance(data, ds.Scanner):
        return Spooled(data.to_reader(), "Arrow scanner")
    return Dataset(data) if isinstance(data, ds.Dataset) else None


def of_reader(data: Any) -> Streamed | None:
    """A source of a reader; None for a table or a batch, which are in memory."""
    import pyarrow as pa

    return Spooled(data, "Arrow reader of record batches") if isinstance(data, pa.RecordBatchReader) else None


class Dataset(Streamed):
    """An Arrow dataset: its files in their order, a few batches ahead.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
    """

    def __init__(self, dataset: Any):
        self.dataset = dataset
        self.names = tuple(dataset.schema.names)
        self.types = {field.name: str(field.type) for field in dataset.schema}
        files = _files(dataset)
        what = counted(len(files), "file") if files else some(self.names)
        self.words = f"Arrow dataset ({what})"

    def rows(self) -> int:
        """Number of rows."""
        return int(self.dataset.count_rows())

    def collect(self) -> Any:
        """All rows and columns as an Arrow table."""
        import pyarrow as pa

        return pa.Table.from_batches(list(self.told(self.names)), schema=self.dataset.schema)

    def pieces(self, columns: Sequence[str]) -> Iterator[Any]:
        """Batches of the files, one file after another."""
        scanner = self.dataset.scanner(
            columns=list(columns), batch_size=CHUNK_ROWS, batch_readahead=AHEAD, fragment_readahead=1
        )
        checked = None
        try:
            for tagged in scanner.scan_batches():
                if tagged.fragment is not checked:
                    self._refuse_incomplete(tagged.fragment, columns)
                    checked = tagged.fragment
                yield tagged.record_batch
        except (OSError, ValueError, NotImplementedError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.words}: {self._other_type(columns)}{str(error).strip()}") from error

    def _refuse_incomplete(self, fragment: Any, columns: Sequence[str]) -> None:
        """Arrow takes a column that a file lacks for missing values."""
        import pyarrow.dataset as ds

        if isinstance(fragment, ds.FileFragment):
            held = {*fragment.physical_schema.names, *ds.get_partition_keys(fragment.partition_expression)}
            gone = [name for name in columns if name not in held]
            if gone:
                raise DataError(f"{self.words}: file {fragment.path} has no column {gone[0]!r}, which others have")

    def _other_type(self, columns: Sequence[str]) -> str:
        """The first file in which a column is of another type than in the dataset, in words; else nothing."""
        for path in _files(self.dataset):
            held = self.dataset.format.inspect(path, self.dataset.filesystem)
            for name in columns:
                place = held.get_field_index(name)
                if place >= 0 and str(held.field(place).type) != self.types[name]:
                    kind = held.field(place).type
                    return f"file {path} has {name!r} as {kind}, others as {self.types[name]}; "
        return ""


def _files(dataset: Any) -> list[str]:
    import pyarrow.dataset as ds

    return list(dataset.files) if isinstance(dataset, ds.FileSystemDataset) else []


class Spooled(Streamed):
    """Rows that can be read once, kept in a temporary file for the passes to come.

    Parameters
    ----------
    reader : pyarrow.RecordBatchReader
    what : str
        What it is, for the print.
    """

    def __init__(self, reader: Any, what: str):
        self.words = f"{what} (read once, and kept in a temporary file)"
        self.schema = reader.schema
        self.names = tuple(reader.schema.names)
        self.types = {field.name: str(field.type) for field in reader.schema}
        self._reader, self._count = reader, 0
        # goes with the source
        self._folder = TemporaryDirectory(prefix="causalformula-")

    def __getstate__(self) -> dict[str, Any]:
        raise DataError(
            f"a fit to an {self.words} cannot be pickled; write the rows to a Parquet file and give its path"
        )

    def _path(self) -> str:
        """The file, written when it is first read; a stream, since only that keeps every batch's own dictionary."""
        import pyarrow as pa

        path = str(Path(self._folder.name) / "rows.arrows")
        if self._reader is not None:
            with pa.ipc.new_stream(path, self.schema) as stream:
                for batch in self._reader:
                    self._count += len(batch)
                    stream.write_batch(batch)
            self._reader = None
        return path

    def rows(self) -> int:
        """Number of rows."""
        self._path()
        return self._count

    def collect(self) -> Any:
        """All rows and columns as an Arrow table."""
        import pyarrow as pa

        return pa.Table.from_batches(list(self.told(self.names)), schema=self.schema)

    def pieces(self, columns: Sequence[str]) -> Iterator[Any]:
        """Batches as they were given."""
        import pyarrow as pa

        places = [self.schema.get_field_index(name) for name in columns]
        with pa.OSFile(self._path()) as file:
            yield from pa.ipc.open_stream(file, options=pa.ipc.IpcReadOptions(included_fields=sorted(places)))
