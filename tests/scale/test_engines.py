"""Spark, Dask and ibis give the numbers of the same rows in memory, and lose nothing with a worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.scale.sources.recognise import recognise
from causalformula.scale.sources.sampling import sampled
from causalformula.scale.sources.source import Chunk, Source
from tests.scale.claims import FORMULA, QUESTION, claims, written

pytestmark = pytest.mark.engines
pa = pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("claims")
    written(found)
    return found


def table() -> Any:
    return pa.concat_tables(claims())


def as_text() -> Any:
    """The rows as an engine has them that does not know the order of a dictionary."""
    whole = table()
    return whole.set_column(whole.schema.get_field_index("kind"), "kind", whole.column("kind").cast(pa.string()))


def of_spark(request: Any, folder: Path) -> Any:
    return request.getfixturevalue("spark").read.parquet(str(folder))


def of_spark_rows(request: Any, folder: Path) -> Any:
    """Rows that come from no file, in more partitions than some have rows of."""
    spark = request.getfixturevalue("spark")
    return spark.read.parquet(str(folder)).repartition(5, "site").drop("_metadata").localCheckpoint()


def of_pandas_on_spark(request: Any, folder: Path) -> Any:
    return of_spark(request, folder).pandas_api()


def of_dask(request: Any, folder: Path) -> Any:
    request.getfixturevalue("cluster")
    dd = pytest.importorskip("dask.dataframe")
    return dd.read_parquet(str(folder), dtype_backend="pyarrow")


def of_dask_frame(request: Any, folder: Path) -> Any:
    """Partitions of other sizes than the files, some without a row."""
    frame = of_dask(request, folder)
    return frame[frame["a"] >= 0].repartition(npartitions=7)


def of_ibis(request: Any, folder: Path) -> Any:
    ibis = pytest.importorskip("ibis", reason="ibis is not installed")
    return ibis.duckdb.connect().read_parquet(str(folder / "*.parquet"))


Maker = Callable[[Any, Path], Any]
ENGINES: dict[str, tuple[Maker, Callable[[], Any]]] = {
    "spark": (of_spark, as_text),
    "spark rows": (of_spark_rows, as_text),
    "dask": (of_dask, table),
    "dask frame": (of_dask_frame, table),
    "ibis": (of_ibis, as_text),
}
NUMBERED = [kind for kind in ENGINES if kind != "spark rows"]


@pytest.fixture
def made(request: pytest.FixtureRequest, folder: Path) -> Callable[[str], Any]:
    return lambda kind: ENGINES[kind][0](request, folder)


@pytest.mark.parametrize("kind", ENGINES)
def test_the_numbers_of_the_same_rows_in_memory(made: Callable[[str], Any], kind: str) -> None:
    scan, memory = cf.scan(made(kind), limit=0), ENGINES[kind][1]()
    here, there = cf.lm(FORMULA, memory), cf.lm(FORMULA, scan)
    assert list(there.coef.index) == list(here.coef.index)
    assert "sitewest" in there.coef.index
    np.testing.assert_allclose(there.coef, here.coef, rtol=1e-10)
    np.testing.assert_allclose(there.vcov(), here.vcov(), rtol=1e-9)
    asked = ["estimate", "std.error"]
    here, there = cf.fit(QUESTION, memory, vcov="HC1"), cf.fit(QUESTION, scan, vcov="HC1")
    np.testing.assert_allclose(there.tidy()[asked], here.tidy()[asked], rtol=1e-10)
    assert there.nobs == here.nobs < len(memory)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_source_that_fits_is_collected(made: Callable[[str], Any], kind: str) -> None:
    asked = ["estimate", "std.error"]
    here, there = cf.fit(QUESTION, ENGINES[kind][1]()), cf.fit(QUESTION, made(kind))
    np.testing.assert_allclose(there.tidy()[asked], here.tidy()[asked], rtol=1e-10)
    assert "1520 rows were collected" in str(there)
