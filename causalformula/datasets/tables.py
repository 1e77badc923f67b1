"""Data named in words, as on a command line: a bundled data set, a file, or the standard input."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from causalformula.datasets import EXACT, load, names
from causalformula.errors import DataError, did_you_mean, some


def read(source: str) -> pd.DataFrame:
    """The data named on the command line: a bundled name, the path of a table, or ``-`` for CSV on the standard input.

    Raises
    ------
    DataError
        If there is no such data set or file, or it cannot be read.
    """
    if source in names():
        return load(source)
    if source == "-":
        return _read(source, _csv, sys.stdin.buffer)
    path = Path(source)
    if not path.exists():
        near = did_you_mean(source, names())
        raise DataError(f"--data {source}: no such file, and no bundled data set of this name{near}")
    readers = _readers()
    kind = next((suffix for suffix in readers if path.name.lower().endswith(suffix)), None)
    if kind is None:
        raise DataError(f"--data {source}: cannot tell the format; the name must end in {some(readers)}")
    return _read(source, readers[kind], path)


def _read(source: str, reader: Callable[[Any], pd.DataFrame], path: Any) -> pd.DataFrame:
    try:
        return reader(path)
    except DataError as error:
        raise DataError(f"--data {source}: {error}") from None
    except ImportError as error:
        raise DataError(f"--data {source}: reading this format needs pyarrow (pip install pyarrow)") from error
    except Exception as error:  # every reader has exceptions of its own; none of them may pass as a bug of ours
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"--data {source}: cannot be read: {why}") from error


def _csv(source: Any, sep: str = ",") -> pd.DataFrame:
    """Delimited text, a header first; pandas would rename a name that stands twice, and the formula find the first."""
    place = source if isinstance(source, Path) else _unpacked(source.read())
    options: dict[str, Any] = {"sep": sep, "encoding": "utf-8-sig"}
    header = pd.read_csv(place, header=None, nrows=1, dtype=str, keep_default_na=False, **options).iloc[0]
    twice = header[header.duplicated() & (header != "")]
    if len(twice):
        raise DataError(f"duplicated column names: {some(dict.fromkeys(twice))}; rename them")
    if isinstance(place, io.BytesIO):
        place.seek(0)
    return pd.read_csv(place, **options, **EXACT)


def _unpacked(content: bytes) -> io.BytesIO:
    return io.BytesIO(gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content)


def _readers() -> dict[str, Callable[[Path], pd.DataFrame]]:
    """File name ending to the function that reads it."""
    tabbed = partial(_csv, sep="\t")
    return {
        ".csv": _csv,
        ".csv.gz": _csv,
        ".tsv": tabbed,
        ".tsv.gz": tabbed,
        ".parquet": pd.read_parquet,
        ".feather": pd.read_feather,
        ".arrow": pd.read_feather,
    }
