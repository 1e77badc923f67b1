"""DuckDB: Parquet and CSV files, a relation, or a table of a database, streamed as Arrow batches."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from glob import escape, glob
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
# What the first lines of a CSV file look like, and what DuckDB would make it of later ones without a word: 1.5 a 2, an
# hour of a day the day.
WIDER = {"BIGINT": "DOUBLE", "DATE": "TIMESTAMP"}
DELIMITERS = (",", ";", "\t", "|")
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
    parquet : str
        Parquet files in SQL, where there are several: their columns are compared.
    connection : DuckDBPyConnection, optional
        Kept, as older versions close a connection that only its relation knows.
    """

    words: str
    query: str = ""
    database: str = ""
    relation: Any = field(default=None, repr=False)
    order: tuple[str, ...] = ()
    parquet: str = ""
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
            self.connection = _connected(self.words, self.database)
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
        self._refuse_unlike(columns)
        with self._readable():
            rows = self._relation().project(", ".join(map(_name, columns)))
            yield from _reader(rows.order(self._values(self.order)) if self.order else rows)

    def holds(self, column: str, text: str) -> bool:
        """Whether values of a column have a text in them."""
        with self._readable():
            inside = f"count(*) FILTER (contains(CAST({_name(column)} AS VARCHAR), {_quoted(text)}))"
            return bool(self._relation().aggregate(inside).fetchall()[0][0])

    def groups(self, columns: Sequence[str]) -> int:
        """See ``Sortable``."""
        with self._readable():
            found = self._relation().aggregate(f"approx_count_distinct(hash({self._values(columns)}))")
            return int(found.fetchall()[0][0])

    def cut(self, kinds: Mapping[str, str]) -> list[str]:
        """Of columns of text, those that have more to them somewhere than numbers or times of these types hold."""
        asked = []
        for name, kind in kinds.items():
            wide, own = f"TRY_CAST({_name(name)} AS {WIDER[kind]})", f"TRY_CAST({_name(name)} AS {kind})"
            asked.append(f"coalesce(bool_or({wide} IS DISTINCT FROM CAST({own} AS {WIDER[kind]})), false)")
        with self._readable():
            found = self._relation().aggregate(", ".join(asked)).fetchall()[0]
        return [name for name, more in zip(kinds, found, strict=True) if more]

    def _values(self, columns: Sequence[str]) -> str:
        """Columns in SQL, text letter by letter: a collation may take unlike texts for equal."""
        return ", ".join(f"encode({_name(c)})" if self.types[c] == "VARCHAR" else _name(c) for c in columns)

    def sorted_by(self, columns: Sequence[str]) -> Duck:
        """See ``Sortable``."""
        return replace(self, relation=self._relation(), order=tuple(columns))

    def collect(self) -> Any:
        """All rows and columns as an Arrow table."""
        self._refuse_unlike(self.names)
        with self._readable():
            return _reader(self._relation()).read_all()

    @cached_property
    def _held(self) -> dict[str, dict[str, str]]:
        """By file, the columns that it has, and whether each is ``text`` or ``none``."""
        held: dict[str, dict[str, str]] = {}
        if self.parquet:
            # a column without any value is of no type
            kind = (
                "CASE WHEN logical_type LIKE 'Null%' THEN 'none' WHEN converted_type = 'UTF8' THEN 'text' ELSE '' END"
            )
            wanted = f"SELECT file_name, lower(name), {kind} FROM parquet_schema({self.parquet})"
            with self._readable():
                self._relation()
                for file, name, kind in self.connection.sql(wanted).fetchall():
                    held.setdefault(file, {})[name] = kind
        return held

    def _refuse_unlike(self, columns: Sequence[str]) -> None:
        """By name, DuckDB takes a column that a file lacks for missing values, and numbers for text."""
        for name in columns:
            kinds = {file: held.get(name.lower()) for file, held in self._held.items()}
            lacking = [file for file, kind in kinds.items() if kind is None]
            if lacking and len(lacking) < len(kinds):
                raise DataError(f"{self.words}: file {lacking[0]} has no column {name!r}, which others have")
            one, other = (next((file for file in kinds if kinds[file] == kind), None) for kind in ("text", ""))
            if one is not None and other is not None:
                raise DataError(f"{self.words}: file {one} has {name!r} as text, and file {other} does not")


def _connected(words: str, database: str = "") -> Any:
    """A connection to a database, by itself to one in memory."""
    try:
        import duckdb
    except ImportError as error:
        raise CapabilityError(
            f"{words} is read through DuckDB, which is not installed: pip install 'causalformula[scale]'"
        ) from error
    return duckdb.connect(database, read_only=True) if database else duckdb.connect()


def _name(name: str) -> str:
    """A column or a table in SQL."""
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
    if text.strip() and Path(text).is_dir():  # no text is the current folder to a path
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
    twice = [name for name, count in Counter(map(os.path.normpath, files)).items() if count > 1]
    if twice:
        raise OptionError(f"data in files count every file once, and {some(twice, 3)} would be there twice")
    readers = {_reader_of(name) for name in files}
    if len(readers) > 1 or None in readers:
        raise OptionError(f"data in files are Parquet or CSV, all of one kind, not {some(files, 3)}")
    kind, function = readers.pop() or ("", "")
    many = f"{counted(len(files), f'{kind} file')} ({_where(given)})"
    what = many if len(files) > 1 else f"{kind} file {Path(files[0]).name}"
    # a name is a pattern to DuckDB
    listed = f"[{', '.join(_quoted(name if '://' in name else escape(name)) for name in files)}]"
    if kind == "CSV":
        return _of_lines(what, listed)
    # by name each column has a type that holds those of all files; else they would be rounded to that of the first
    return Duck(what, f"SELECT * FROM {function}({listed}, union_by_name = true)", parquet=listed)


def _of_lines(what: str, listed: str) -> Duck:
    """CSV files, whose columns have types that hold all lines, and not the first ones alone."""

    def query(types: Mapping[str, str]) -> str:
        # a file of text alone would else be guessed to have no header
        return f"SELECT * FROM read_csv({listed}, header = true{f', types = {_struct(types)}' * bool(types)})"

    guessed = Duck(what, query({}))
    _refuse_uneven(what, listed, guessed)
    narrow = {name: kind for name, kind in guessed.types.items() if kind in WIDER}
    if not narrow:
        return guessed
    try:
        read = Duck(what, query(dict.fromkeys(narrow, "VARCHAR")))
    except DataError:
        # a file lacks one of them: reading says which
        return guessed
    return Duck(what, query({name: WIDER[narrow[name]] for name in read.cut(narrow)}))


def _refuse_uneven(what: str, listed: str, guessed: Duck) -> None:
    """A ``DataError`` with the line where lines have unlike numbers of fields: all are guessed to be one field then."""
    names = guessed.names
    apart = next((mark for mark in DELIMITERS if mark in names[0]), "") if len(names) == 1 else ""
    if apart and guessed.holds(names[0], apart):
        fields = [name.strip().strip('"') for name in names[0].split(apart)]
        text = _struct(dict.fromkeys(fields, "VARCHAR"))
        given = f"header = true, auto_detect = false, delim = {_quoted(apart)}, quote = '\"', escape = '\"'"
        Duck(what, f"SELECT * FROM read_csv({listed}, {given}, columns = {text})").collect()


def _struct(values: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{_quoted(name)}: {_quoted(value)}' for name, value in values.items())}}}"


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
    if Path(text).is_file():
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
    words = f"table {name} of {Path(path).name}"
    try:
        return Duck(words, f"SELECT * FROM {_name(name)}", path)
    except DataError:
        if "." not in name:
            raise
    # a table of a schema
    return Duck(words, f"SELECT * FROM {'.'.join(map(_name, name.split('.')))}", path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def of_relation(relation: Any) -> Duck:
    """A relation of the caller's own connection."""
    return Duck(f"DuckDB relation ({some(relation.columns)})", relation=relation)
