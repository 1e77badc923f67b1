"""Rows with whatever a warehouse holds, in files that are not alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

# What is fitted to them: every kind of column, a level that only the last file has, and whole numbers past 2^53.
FORMULA = "y ~ x + n + flag + site + kind + price + seen"
QUESTION = "y ~ treat(a) + adjust(x + site + flag)"
SIZES = (700, 0, 300, 520)


def claims() -> list[Any]:
    """Arrow tables of one schema."""
    import pyarrow as pa

    rng = np.random.default_rng(16)
    schema = pa.schema(
        {
            "y": pa.float64(),
            "a": pa.int32(),
            "x": pa.float64(),
            "n": pa.int64(),
            "id": pa.int64(),
            "flag": pa.bool_(),
            "site": pa.string(),
            "kind": pa.dictionary(pa.int32(), pa.string()),
            "price": pa.decimal128(12, 2),
            "seen": pa.timestamp("us", tz="Europe/Paris"),
        }
    )
    first, tables = 2**53, []
    for place, size in enumerate(SIZES):
        x, a = rng.normal(size=size), rng.integers(0, 2, size)
        sites = ["north", "south", *(["west"] if place == len(SIZES) - 1 else [])]
        n = [None if k % 97 == 5 else int(v) for k, v in enumerate(rng.integers(0, 9, size))]
        flag = [None if k % 89 == 7 else bool(v) for k, v in enumerate(rng.integers(0, 2, size))]
        site = [None if k % 83 == 3 else str(v) for k, v in enumerate(rng.choice(sites, size))]
        price = pa.array(np.round(rng.gamma(2.0, 30.0, size), 2)).cast(pa.decimal128(12, 2), safe=False)
        seen = pa.array(1.7e15 + 1e9 * rng.integers(0, 9000, size)).cast(pa.int64()).cast(schema.field("seen").type)
        # NaN and NULL are both missing
        values = pa.array(np.where(np.arange(size) % 71 == 2, np.nan, x), mask=np.arange(size) % 79 == 4)
        columns = {
            "y": 1.0 + 0.5 * x + a + np.array([v == "south" for v in site]) + rng.normal(size=size),
            "a": a,
            "x": values,
            "n": pa.array(n, pa.int64()),
            "id": first + np.arange(size),
            "flag": pa.array(flag, pa.bool_()),
            "site": pa.array(site, pa.string()),
            "kind": pa.DictionaryArray.from_arrays(rng.integers(0, 3, size).astype("int32"), ["low", "mid", "high"]),
            "price": price,
            "seen": seen,
        }
        tables.append(pa.table(columns, schema=schema))
        first += size
    return tables


def written(folder: Path) -> str:
    """A file each of the tables; the glob of all of them."""
    import pyarrow.parquet as pq

    for place, table in enumerate(claims()):
        pq.write_table(table, folder / f"part-{place}.parquet", row_group_size=250)
    return str(folder / "part-*.parquet")
