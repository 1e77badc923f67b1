"""What the caller gives as data, as an eager frame: read as it is, taken from a stream, or refused by its own name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

import narwhals as nw

from causalformula.errors import DataError, some

# Frames that are computed elsewhere, by their module: what they are called, and the call that fetches their rows.
ELSEWHERE = {
    "pyspark.pandas": ("pandas-on-Spark", ".to_pandas()"),
    "pyspark": ("PySpark", ".toPandas()"),
    "sqlframe": ("SQLFrame", ".toPandas()"),
    "dask": ("Dask", ".compute()"),
    "dask_expr": ("Dask", ".compute()"),
    "modin": ("Modin", ".modin.to_pandas()"),
    "cudf": ("cuDF", ".to_pandas()"),
    "vaex": ("Vaex", ".to_pandas_df()"),
    "daft": ("Daft", ".to_pandas()"),
    "datafusion": ("DataFusion", ".to_pandas()"),
    "snowflake.snowpark": ("Snowpark", ".to_pandas()"),
    "ibis": ("ibis", ".to_pandas()"),
    "pyarrow._dataset": ("pyarrow", ".to_table()"),
}


@runtime_checkable
class ArrowStream(Protocol):
    """Whatever hands its rows over as an Arrow stream: a DuckDB relation, a reader of record batches."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream, in a capsule."""
        ...


def eager(data: Any) -> nw.DataFrame[Any]:
    """The frame as narwhals has it.

    Raises
    ------
    DataError
        For what is no frame, has yet to be computed, or has two columns of one name.
    """
    if isinstance(data, Mapping):
        data = _of_columns(data)
    native = nw.to_native(data, pass_through=True)
    _refuse_elsewhere(native)
    if isinstance(native, ArrowStream) and not _read_as_it_is(native):
        native = _of_stream(native)
    refuse_duplicates(_native_names(native))
    frame = nw.from_native(native, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return frame
    fetch = "call .collect() first" if nw.dependencies.is_polars_lazyframe(native) else "fetch its rows first"
    raise DataError(
        f"data must be a data frame (pandas, polars, pyarrow, ...), not {type(data).__name__}"
        + (f"; {fetch}" if isinstance(frame, nw.LazyFrame) else "")
        + (_of_text(data) if isinstance(data, str) else "")
    )


def _of_text(text: str) -> str:
    if "~" in text:
        return "; the formula comes first, then the data"
    return (
        f": {text!r} is the name of nothing that is read; as text data are the path or glob of Parquet or CSV files, a "
        "folder of Parquet files, or 'duckdb:///file.db?table=t', and the formula comes first"
    )


def refuse_duplicates(names: Iterable[Any]) -> None:
    """A ``DataError`` for columns of one name, of which a formula could mean either."""
    seen: set[Any] = set()
    twice = []
    for name in names:
        if not isinstance(name, str):
            continue
        if name in seen:
            twice.append(name)
        seen.add(name)
    if twice:
        raise DataError(f"duplicated column names: {some(dict.fromkeys(twice))}; rename them")


def _of_columns(data: Mapping[Any, Any]) -> Any:
    import pandas as pd

    try:
        return pd.DataFrame(dict(data))
    except (TypeError, ValueError) as error:
        raise DataError(f"data is a mapping, but not of names to columns of one length: {error}") from error


def _refuse_elsewhere(native: Any) -> None:
    """Of frames that another machine or a database computes, only the caller knows when to fetch them."""
    homes = [cls.__module__ for cls in type(native).__mro__]
    for module, (name, call) in ELSEWHERE.items():
        if any(home == module or home.startswith(f"{module}.") for home in homes):
            raise DataError(
                f"data must be a data frame in memory (pandas, polars, pyarrow, ...), not {name} "
                f"{type(native).__name__}; call {call} first"
            )


def _read_as_it_is(native: Any) -> bool:
    """Whether narwhals has it in memory already: a frame, or a single column, which is none even as a stream."""
    of = nw.dependencies
    if of.is_pandas_like_dataframe(native) or of.is_polars_dataframe(native) or of.is_pyarrow_table(native):
        return True
    return isinstance(nw.from_native(native, pass_through=True, allow_series=True), nw.Series)


def _of_stream(native: ArrowStream) -> Any:
    """The rows of a stream, as a pyarrow table or, without pyarrow, as a polars frame."""
    if find_spec("pyarrow") is not None:
        import pyarrow as pa

        return pa.RecordBatchReader.from_stream(native).read_all()
    if find_spec("polars") is not None:
        import polars as pl

        return pl.DataFrame(native)
    raise DataError(
        f"rows of a {type(native).__name__} are read through pyarrow, which is not installed: "
        "pip install 'causalformula[arrow]', or convert them to a pandas frame"
    )


def _native_names(native: Any) -> Iterable[Any]:
    """Names of the columns of a frame in which one can stand twice."""
    if nw.dependencies.is_pandas_like_dataframe(native):
        return list(native.columns)
    return native.column_names if nw.dependencies.is_pyarrow_table(native) else []
