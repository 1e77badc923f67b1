"""Data from elsewhere: Arrow streams are read, and what must be fetched first is refused by its own name."""

from __future__ import annotations

from types import ModuleType

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import causalformula as cf

FORMULA = "y ~ treat(a) + adjust(x + g)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=50), "g": rng.choice(["u", "v"], 50), "a": np.arange(50) % 2})
    data["y"] = data["x"] + data["a"] + rng.normal(size=50)
    data.loc[3, "x"] = np.nan
    return data


class Stream:
    """Rows behind nothing but the protocol."""

    def __init__(self, table: pa.Table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.to_reader().__arrow_c_stream__(requested_schema)


STREAMS = {
    "reader": lambda table: table.to_reader(),
    "batch": lambda table: table.to_batches()[0],
    "anything": Stream,
}


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_are_read(data, kind):
    table = pa.Table.from_pandas(data)
    made = STREAMS[kind](table)
    fit = cf.fit(FORMULA, made)
    pd.testing.assert_frame_equal(fit.tidy(), cf.fit(FORMULA, data).tidy())
    # a stream is read once, and what the fit is asked for later stands in what was read
    assert len(fit.by("g").tidy()) == 2
    assert cf.lm("y ~ x", STREAMS[kind](table)).nobs == 49


def test_duckdb_relations_are_read(data):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    relation = duckdb.sql("select * from data where g in ('u', 'v')")
    pd.testing.assert_frame_equal(cf.fit(FORMULA, relation).tidy(), cf.fit(FORMULA, data).tidy())
    money = duckdb.sql("select y::decimal(9, 4) as y, a::hugeint as a, x, g from data")
    assert cf.fit(FORMULA, money).estimate == pytest.approx(cf.fit(FORMULA, data).estimate, rel=1e-3)


def test_duplicated_names_of_a_stream():
    batch = pa.RecordBatch.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["x", "x"])
    with pytest.raises(cf.DataError, match="duplicated column names: x"):
        cf.lm("x ~ 1", batch)


@pytest.mark.parametrize("single", [pa.chunked_array([[1.0]]), pl.Series([1.0]), pd.Series([1.0]), nw.new_series])
def test_a_column_is_no_frame(single):
    with pytest.raises(cf.DataError, match="must be a data frame"):
        cf.lm("y ~ x", single)


def elsewhere(module: str, name: str) -> object:
    """An object whose class says that it comes from there."""
    return type(name, (), {"__module__": module, "__arrow_c_stream__": lambda self, schema=None: None})()


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("dask.dataframe.dask_expr._collection", "DataFrame", r"not Dask DataFrame; call \.compute\(\) first"),
        ("pyspark.sql.dataframe", "DataFrame", r"not PySpark DataFrame; call \.toPandas\(\) first"),
        ("pyspark.sql.connect.dataframe", "DataFrame", r"not PySpark DataFrame; call \.toPandas\(\) first"),
        ("pyspark.pandas.frame", "DataFrame", r"not pandas-on-Spark DataFrame; call \.to_pandas\(\) first"),
        ("dask_expr._collection", "DataFrame", r"not Dask DataFrame; call \.compute\(\) first"),
        ("modin.pandas.dataframe", "DataFrame", r"not Modin DataFrame; call \.modin\.to_pandas\(\) first"),
        ("cudf.core.dataframe", "DataFrame", r"not cuDF DataFrame; call \.to_pandas\(\) first"),
        ("vaex.dataframe", "DataFrameLocal", r"not Vaex DataFrameLocal; call \.to_pandas_df\(\) first"),
        ("daft.dataframe.dataframe", "DataFrame", r"not Daft DataFrame; call \.to_pandas\(\) first"),
        ("datafusion.dataframe", "DataFrame", r"not DataFusion DataFrame; call \.to_pandas\(\) first"),
        ("snowflake.snowpark.dataframe", "DataFrame", r"not Snowpark DataFrame; call \.to_pandas\(\) first"),
        ("ibis.expr.types.relations", "Table", r"not ibis Table; call \.to_pandas\(\) first"),
    ],
)
def test_what_must_be_fetched_first(module, name, message):
    # what is fitted by passes takes some of these as they are
    with pytest.raises(cf.DataError, match=message):
        cf.model_matrix("~ x", elsewhere(module, name))


@pytest.mark.parametrize("made", [lambda found: found, lambda found: found.scanner()])
def test_a_dataset_of_pyarrow_is_fetched_by_the_call_that_is_named(made):
    dataset = pytest.importorskip("pyarrow.dataset")
    lazy = made(dataset.dataset(pa.table({"y": [1.0, 2.0, 4.0], "x": [1, 2, 3]})))
    with pytest.raises(cf.DataError, match=r"not pyarrow \w+; call \.to_table\(\) first"):
        cf.model_matrix("~ x", lazy)
    assert cf.model_matrix("~ x", lazy.to_table()).shape == (3, 2)
    assert cf.lm("y ~ x", lazy).nobs == 3


def test_the_real_ones(data):
    """The modules that these libraries' frames say they are from."""
    made = []
    for name in ("dask.dataframe", "ibis"):
        try:
            made.append((name, __import__(name, fromlist=["*"])))
        except ImportError:
            continue
    if not made:
        pytest.skip("neither dask nor ibis is installed")
    for name, module in made:
        assert isinstance(module, ModuleType)
        frame = module.from_pandas(data, npartitions=2) if name == "dask.dataframe" else module.memtable(data)
        with pytest.raises(cf.DataError, match=r"in memory .* call \.(compute|to_pandas)\(\) first"):
            cf.model_matrix("~ x", frame)
        assert len(cf.fit(FORMULA, frame).tidy()) == 1
