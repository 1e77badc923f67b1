"""Which source reads what the caller gives as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from os import PathLike, fspath
from typing import Any

import narwhals as nw

from causalformula.scale.sources.chunks import Chunks
from causalformula.scale.sources.source import Source

# By the module of a table's type: the module beside this one, and its function, that makes a source of the table.
KNOWN = {
    "duckdb": "duck:of_relation",
    "_duckdb": "duck:of_relation",
    "pyarrow._dataset": "arrow:of_dataset",
    "pyarrow.lib": "arrow:of_reader",
    "polars": "polars:of_polars",
    "pyspark": "spark:of_spark",
    "dask": "dask:of_dask",
    "dask_expr": "dask:of_dask",
    "ibis": "ibis:of_ibis",
}


def recognise(data: Any) -> Source | None:
    """The source of data that are elsewhere: a path or an address, or a table of an engine; None for any other.

    Parameters
    ----------
    data : any
        What the caller gave.

    Returns
    -------
    Source or None

    Raises
    ------
    DataError
        For a path at which there is no file.
    """
    if isinstance(data, (str, PathLike)):
        found: Source | None = _of("duck:of_path")(fspath(data))
        return found
    if isinstance(data, (list, tuple)) and data and all(isinstance(path, (str, PathLike)) for path in data):
        files: Source | None = _of("duck:of_paths")([fspath(path) for path in data])
        return files
    # of what narwhals has wrapped, the engine's own
    data = nw.to_native(data, pass_through=True)
    homes = [cls.__module__ for cls in type(data).__mro__]
    for module, maker in KNOWN.items():
        if any(home == module or home.startswith(f"{module}.") for home in homes):
            made: Source | None = _of(maker)(data)
            return made
    # only now: a column of Spark has whatever attribute it is asked for
    return data if isinstance(data, Source) else None


def of_frames(frames: Sequence[Any]) -> Source:
    """Frames in memory, one after another."""
    return Chunks(frames)


def _of(maker: str) -> Callable[[Any], Source | None]:
    """A maker of sources, whose module is imported only when it is needed."""
    module, _, name = maker.partition(":")
    made: Callable[[Any], Source | None] = getattr(import_module(f"causalformula.scale.sources.{module}"), name)
    return made
