"""DuckDB: Parquet and CSV files, a relation, or a table of a database, streamed as Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from causalformula.errors import CapabilityError, DataError, OptionError, counted, some
from causalformula.scale.sources.source import CHUNK_ROWS
from causalformula.scale.sources.streamed import Streamed

READERS = {".parquet": ("Parquet", "read_parquet"), ".pq": ("Parquet", "read_parquet")} | {
    end: ("CSV", "read_csv") for end in (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst")
}
SCHEME = "duckdb://"
MODULES = ("duckdb", "_duckdb", "pyarrow")
# From here on DuckDB's messages are of its own options.
ADVICE = ("Possible solutions", "Potential Fixes", "Possible fixes", "Candidate names", "If you are trying")


@dataclass(eq=False)
class Duck(Streamed):
    """What DuckDB reads.

    Parameters
    ----------
    words : str
        What it is, for the print.
    query : str
        Of all rows; empty for a relation.
    database : str
        The file that the query is of; empty for one in memory.
    relation : DuckDBPyRelation, optional
    order : tuple of str
        Columns that passes sort the rows by; DuckDB does it on disk where it must.
    connection : DuckDBPyConnection, optional
        Kept, as older versions close a connection that only its relation knows.
    """

    words: str
    query: str = ""
    database: str = ""
    relation: Any = field(default=None, repr=False)
    order: tuple[str, ...] = ()
    connection: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        with self._readable():
            relation = self._relation()
            self.names: tuple[str, ...] = tuple(relation.columns)
            self.types = dict(zip(relation.columns, map(str, relation.types), strict=True))

    def __getstate__(self) -> dict[str, Any]:
        if not self.query:
            raise DataError(
                "a DuckDB relation lives in its connection, so that a fit to it cannot be pickled; give a file, or "
                "'duckdb:///file.db?table=t'"
            )
        return {**self.__dict__, "relation": None, "connection": None}

    def _relation(self) -> Any:
        if self.relation is None:
            try:
                import duckdb
            except ImportError as error:
                raise CapabilityError(
                    f"{self.words} is read through DuckDB, which is not installed: pip install 'causalformula[scale]'"
                ) from error
            self.connection = duckdb.connect(self.database, read_only=True) if self.database else duckdb.connect()
            self.relation = self.connection.sql(self.query)
        return self.relation

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """DuckDB's errors as a ``DataError``: they name file, row and column."""
        try:
            yield
        except Exception as error:  # the engines have no base of their own, and pyarrow passes errors on as OSError
            if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in MODULES:
                raise
            raise DataError(f"{self.words}: {_told(str(error))}") from error

    def rows(self) -> int:
        """Number of rows."""
        with self._readable():
            return int(self._relation().aggregate("count(*)").fetchall()[0][0])

    def pieces(self, columns: Sequence[str]) -> Iterator[Any]:
        """Record batches, in the order of the files."""
        with self._readable():
            rows = self._relation().project(", ".join(map(_name, columns)))
            yield from _reader(rows.order(self._values(self.order)) if self.order else rows)

    def groups(self, columns: Sequence[str]) -> int:
        """See ``Sortable``."""
        with self._readable():
            found = self._relation().aggregate(f"approx_count_distinct(hash({self._values(columns)}))")
            return int(found.fetchall()[0][0])

    def _values(self, columns: Sequence[str]) -> str:
        """Columns in SQL, text letter by letter: a collation may take unlike texts for equal."""
        return ", ".join(f"encode({_name(c)})" if self.types[c] == "VARCHAR" else _name(c) for c in columns)

    def sorted_by(self, columns: Sequence[str]) -> Duck:
        """See ``Sortable``."""
        return replace(self, relation=self._relation(), order=tuple(columns))

    def collect(self) -> Any:
        """All rows and columns as an Arrow table."""
        with self._readable():
            return _reader(self._relation()).read_all()


def _name(name: str) -> str:
    """A column in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _reader(relation: Any) -> Any:
    """Arrow batches of a relation: the method's name changed with DuckDB 2."""
    later = getattr(relation, "to_arrow_reader", None)
    return relation.fetch_arrow_reader(CHUNK_ROWS) if later is None else later(CHUNK_ROWS)


def _told(message: str) -> str:
    """What DuckDB says is wrong, without advice on its own options but with the file."""
    lines = [line.strip() for line in message.splitlines()]
    end = next((k for k, line in enumerate(lines) if line.startswith(ADVICE)), len(lines))
    files = [line for line in lines[end:] if line.startswith("file = ")]
    return "; ".join(line for line in (*lines[:end], *files) if line)


def of_path(text: str) -> Duck | None:
    """Parquet or CSV files by path or glob, or a table as ``duckdb:///file.db?table=t``; None for other text.

    Raises
    ------
    DataError
        Where there is no such file.
    OptionError
        For an address that names no table.
    """
    if text.startswith(SCHEME):
        return _of_address(text)
    if Path(text).is_dir():
        return of_paths([text])
    return None if _reader_of(text) is None else of_paths([text])


def _reader_of(text: str) -> tuple[str, str] | None:
    return next((found for end, found in READERS.items() if text.lower().endswith(end)), None)


def of_paths(given: Sequence[str]) -> Duck:
    """Files of one kind, by paths, globs, or folders of Parquet files.

    Raises
    ------
    DataError
        Where there is no such file.
    OptionError
        For files that are not read, or of two kinds.
    """
    files = [name for text in given for name in _files(text)]
    readers = {_reader_of(name) for name in files}
    if len(readers) > 1 or None in readers:
        raise OptionError(f"data in files are Parquet or CSV, all of one kind, not {some(files, 3)}")
    kind, function = readers.pop() or ("", "")
    many = f"{counted(len(files), f'{kind} file')} ({_where(given)})"
    what = many if len(files) > 1 else f"{kind} file {Path(files[0]).name}"
    listed = ", ".join(_quoted(name) for name in files)
    # a file of text alone would else be guessed to have no header
    options = ", header = true" if kind == "CSV" else ""
    return Duck(what, f"SELECT * FROM {function}([{listed}]{options})")


def _where(given: Sequence[str]) -> str:
    """The end of a path, or a few of many."""
    if len(given) > 1:
        return some([Path(name).name for name in given], 3)
    path = Path(given[0])
    return path.name if path.is_dir() else str(Path(*path.parts[-2:]))


def _files(text: str) -> list[str]:
    """The files of a path, a glob, or a folder that holds Parquet files, in the order of their names."""
    if "://" in text:
        return [text]
    folder = Path(text).is_dir()
    found = sorted(glob(str(Path(text) / "**" / "*.parquet") if folder else text, recursive=True))
    if not found:
        raise DataError(f"there is no {'Parquet file in the folder' if folder else 'file'} {text}")
    return found


def _of_address(text: str) -> Duck:
    parts = urlsplit(text)
    asked = parse_qs(parts.query)
    path = parts.path[1:] if not Path(parts.path).exists() else parts.path
    if set(asked) != {"table"} or not path:
        raise OptionError(f"a table of a DuckDB database is 'duckdb:///file.db?table=t', not {text!r}")
    if not Path(path).exists():
        raise DataError(f"there is no file {path}")
    name = asked["table"][0]
    table = ".".join(f'"{piece}"' for piece in name.split("."))
    return Duck(f"table {name} of {Path(path).name}", f"SELECT * FROM {table}", path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def of_relation(relation: Any) -> Duck:
    """A relation of the caller's own connection."""
    return Duck(f"DuckDB relation ({some(relation.columns)})", relation=relation)
