"""Some of the rows by chance, fetched from wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.errors import OptionError
from causalformula.numerics.row_draws import row_uniforms
from causalformula.scale.sources.source import Chunk, Source

# Rows are kept by their draws alone as long as the number kept lies within this many standard deviations.
MARGIN = 6.0


@dataclass(frozen=True)
class _Draw:
    """The rows of a chunk whose draw is below a limit, with their draws."""

    seed: int
    limit: float
    names: tuple[str, ...]

    def __call__(self, chunk: Chunk) -> tuple[Any, ...]:
        if chunk.ids is None:
            draws, ids = np.random.default_rng().random(chunk.n), np.zeros(chunk.n, dtype=np.int64)
        else:
            draws, ids = row_uniforms(chunk.ids, self.seed), chunk.ids
        kept = np.flatnonzero(draws < self.limit)
        rows = chunk.frame.select(*self.names)[kept].to_arrow()
        return ((draws[kept], ids[kept], rows.replace_schema_metadata(None)),)


def _joined(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return a + b


def sampled(source: Source, rows: int, seed: int = 0) -> Any:
    """A sample without replacement, as an Arrow table in the order of the data.

    Where rows have numbers that stay, the same seed gives the same rows however the data are split, and from every
    engine that numbers them alike; where they have none, the rows are others each time.

    Parameters
    ----------
    source : Source
    rows : int
        How many; of fewer, all are given.
    seed : int

    Raises
    ------
    OptionError
        For a number of rows below one.
    """
    import pyarrow as pa

    if rows < 1:
        raise OptionError(f"a sample has at least one row, not {rows}")
    total, names = source.rows(), source.names
    share = rows / max(total, 1)
    limit = share + MARGIN * np.sqrt(share / max(total, 1))
    found = None
    while found is None or sum(len(ids) for _, ids, _ in found) < min(rows, total):
        found = source.run(_Draw(seed, limit, names), names, _joined, ids=source.numbered) or ()
        if limit > 1:
            break
        limit *= 2
    if not found:
        return source.collect()
    draws, ids, tables = (list(part) for part in zip(*found, strict=True))
    first = np.argsort(np.concatenate(draws), kind="stable")[:rows]
    whole = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
    return whole.take(first[np.argsort(np.concatenate(ids)[first], kind="stable")])
