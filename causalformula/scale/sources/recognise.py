"""Which source reads what the caller gives as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from os import PathLike, fspath
from typing import Any

from causalformula.scale.sources.chunks import Chunks
from causalformula.scale.sources.source import Source

# By the module of a table's type: the module beside this one, and its function, that makes a source of the table.
KNOWN = {"duckdb": "duck:of_relation", "_duckdb": "duck:of_relation"}


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
    if isinstance(data, Source):
        return data
    homes = [cls.__module__ for cls in type(data).__mro__]
    for module, maker in KNOWN.items():
        if any(home == module or home.startswith(f"{module}.") for home in homes):
            made: Source | None = _of(maker)(data)
            return made
    return None


def of_frames(frames: Sequence[Any]) -> Source:
    """Frames in memory, one after another."""
    return Chunks(frames)


def _of(maker: str) -> Callable[[Any], Source | None]:
    """A maker of sources, whose module is imported only when it is needed."""
    module, _, name = maker.partition(":")
    made: Callable[[Any], Source | None] = getattr(import_module(f"causalformula.scale.sources.{module}"), name)
    return made
