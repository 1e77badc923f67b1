"""ibis: a table of any of its backends; what another source reads is read by that source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from causalformula.errors import some
from causalformula.scale.sources.duck import of_relation
from causalformula.scale.sources.source import CHUNK_ROWS, Source
from causalformula.scale.sources.spark import Spark
from causalformula.scale.sources.streamed import Streamed


def of_ibis(data: Any) -> Source | None:
    """A source of a table: DuckDB's relation, Spark's table, or batches; None for a column."""
    from ibis.expr.types import Table

    if not isinstance(data, Table):
        return None
    backend = data.get_backend()
    if backend.name not in ("duckdb", "pyspark"):
        return Ibis(data)
    # frames in memory that the table is made of are known to the backend only once it has run something
    backend.to_pyarrow(data.limit(0))
    query = backend.compile(data)
    return of_relation(backend.con.sql(query)) if backend.name == "duckdb" else Spark(backend._session.sql(query))


class Ibis(Streamed):
    """A table of a database, fetched in batches for each pass.

    Parameters
    ----------
    table : ibis.Table
    """

    # rows of a database have no order
    numbered = False

    def __init__(self, table: Any):
        self.table = table
        self.names = tuple(table.columns)
        self.types = {name: str(kind) for name, kind in table.schema().items()}
        self.words = f"ibis table of {table.get_backend().name} ({some(self.names)})"

    def rows(self) -> int:
        """Number of rows."""
        return int(self.table.count().to_pyarrow().as_py())

    def collect(self) -> Any:
        """All rows and columns as an Arrow table."""
        return self.table.to_pyarrow()

    def groups(self, columns: Sequence[str]) -> int:
        """See ``Sortable``; of text a database may sort by a collation that takes unlike ones for equal."""
        kinds = [self.table.schema()[name] for name in columns]
        if not all(kind.is_numeric() or kind.is_temporal() for kind in kinds):
            return 0
        return int(self.table.select(*columns).distinct().count().to_pyarrow().as_py())

    def sorted_by(self, columns: Sequence[str]) -> Ibis:
        """See ``Sortable``."""
        return Ibis(self.table.order_by(list(columns)))

    def pieces(self, columns: Sequence[str]) -> Iterator[Any]:
        """Record batches, in the order of the database."""
        yield from self.table.select(*columns).to_pyarrow_batches(chunk_size=CHUNK_ROWS)
