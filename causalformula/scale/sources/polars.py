"""polars: a lazy frame, computed by its streaming engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from causalformula.errors import CapabilityError, DataError, some
from causalformula.scale.sources.source import CHUNK_ROWS
from causalformula.scale.sources.streamed import Streamed


def of_polars(data: Any) -> Streamed | None:
    """A source of a lazy frame; None for one in memory."""
    import polars as pl

    return Lazy(data) if isinstance(data, pl.LazyFrame) else None


class Lazy(Streamed):
    """A polars LazyFrame; a filter or a join of it is computed anew for each pass.

    Parameters
    ----------
    frame : polars.LazyFrame
    """

    def __init__(self, frame: Any):
        self.frame = frame
        schema = frame.collect_schema()
        self.names = tuple(schema.names())
        self.types = {name: str(kind) for name, kind in schema.items()}
        self.words = f"polars LazyFrame ({some(self.names)})"

    def rows(self) -> int:
        """Number of rows."""
        import polars as pl

        return int(self.frame.select(pl.len()).collect(engine="streaming").item())

    def collect(self) -> Any:
        """All rows and columns as a polars frame."""
        return self.frame.collect(engine="streaming")

    def pieces(self, columns: Sequence[str]) -> Iterator[Any]:
        """Frames of polars, in the order of the rows; categories without an order are text, as in memory."""
        import polars as pl

        text = [pl.col(name).cast(pl.String) for name in columns if self.types[name].startswith("Categorical")]
        picked = self.frame.select(*columns).with_columns(*text)
        batches = getattr(picked, "collect_batches", None)
        if batches is None:
            raise CapabilityError(
                f"{self.words}: this version of polars does not give a LazyFrame in batches; upgrade it, or write the "
                "rows by .sink_parquet(path) and give the path"
            )
        try:
            yield from batches(chunk_size=CHUNK_ROWS, maintain_order=True)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{self.words}: {str(error).strip()}{self._whose()}") from error

    def _whose(self) -> str:
        """How to learn which of several files an error is about, that polars does not name."""
        read = re.findall(r" SCAN \[(.+?)\]", self.frame.explain())
        if not any("," in files for files in read):
            return f"; it reads {read[0]}" if read else ""
        return f"; it reads {some(read, 3)}: give these files as data, by their paths, to be told which of them it is"
