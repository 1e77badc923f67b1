"""Spark, Dask and ibis give the numbers of the same rows in memory, and lose nothing with a worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer
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


def of_dask(request: Any, folder: Path) -> Any:
    request.getfixturevalue("cluster")
    dd = pytest.importorskip("dask.dataframe")
    return dd.read_parquet(str(folder))


def of_dask_frame(request: Any, folder: Path) -> Any:
    """Partitions of other sizes than the files, some without a row."""
    request.getfixturevalue("cluster")
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.read_parquet(str(folder), dtype_backend="pyarrow")
    return frame[frame["a"] >= 0].repartition(npartitions=7)


def of_ibis(request: Any, folder: Path) -> Any:
    ibis = pytest.importorskip("ibis", reason="ibis is not installed")
    return ibis.duckdb.connect().read_parquet(str(folder / "*.parquet"))


# What is given as data; the rows in memory are what the engine itself makes of them.
ENGINES: dict[str, tuple[Callable[[Any, Path], Any], Callable[[Any], Any]]] = {
    "spark": (of_spark, lambda data: as_text()),
    "spark rows": (of_spark_rows, lambda data: as_text()),
    "dask": (of_dask, lambda data: data.compute().reset_index(drop=True)),
    "dask frame": (of_dask_frame, lambda data: data.compute().reset_index(drop=True)),
    "ibis": (of_ibis, lambda data: as_text()),
}
NUMBERED = [kind for kind in ENGINES if kind != "spark rows"]


@pytest.fixture
def made(request: pytest.FixtureRequest, folder: Path) -> Callable[[str], Any]:
    return lambda kind: ENGINES[kind][0](request, folder)


@pytest.mark.parametrize("kind", ENGINES)
def test_the_numbers_of_the_same_rows_in_memory(made: Callable[[str], Any], kind: str) -> None:
    data = made(kind)
    scan, memory = cf.scan(data, limit=0), ENGINES[kind][1](data)
    here, there = cf.lm(FORMULA, memory), cf.lm(FORMULA, scan)
    assert list(there.coef.index) == list(here.coef.index)
    assert "sitewest" in there.coef.index
    np.testing.assert_allclose(there.coef, here.coef, rtol=1e-10)
    np.testing.assert_allclose(there.vcov(), here.vcov(), rtol=1e-9)
    asked = ["estimate", "std.error"]
    here, there = cf.fit(QUESTION, memory, vcov="HC1"), cf.fit(QUESTION, scan, vcov="HC1")
    np.testing.assert_allclose(there.tidy()[asked], here.tidy()[asked], rtol=1e-10)
    assert there.nobs == here.nobs < len(memory)
    collected = cf.fit(QUESTION, data, vcov="HC1")
    np.testing.assert_allclose(collected.tidy()[asked], here.tidy()[asked], rtol=1e-10)
    assert "1520 rows were collected" in str(collected)


def ids_and_values(chunk: Chunk) -> tuple[tuple[int, int], ...]:
    assert chunk.ids is not None
    return tuple(zip(chunk.ids.tolist(), np.asarray(chunk.column("id")).tolist(), strict=True))


def counted(chunk: Chunk) -> int:
    return chunk.n


def added(a: Any, b: Any) -> Any:
    return a + b


@pytest.mark.parametrize("kind", NUMBERED)
def test_rows_are_numbered_alike_and_sampled_alike(made: Callable[[str], Any], folder: Path, kind: str) -> None:
    source, files = recognise(made(kind)), recognise(folder)
    assert isinstance(source, Source) and files is not None and source.numbered
    assert source.rows() == source.run(counted, [], added) == len(table())
    found = source.run(ids_and_values, ["id"], added, ids=True)
    assert sorted(found or ()) == [(k, 2**53 + k) for k in range(len(table()))]
    first = sampled(files, 200, seed=4).column("id").to_pylist()
    assert sampled(source, 200, seed=4).column("id").to_pylist() == first


def test_pandas_on_spark_is_the_table_of_spark(request: pytest.FixtureRequest, folder: Path) -> None:
    # PySpark 4.3 cannot import it beside pandas 3
    pytest.importorskip("pyspark.pandas", exc_type=ImportError)
    source = recognise(of_spark(request, folder).pandas_api())
    assert source is not None and source.numbered
    assert source.run(counted, ["x"], added) == len(table())


def test_an_ibis_table_joined_to_a_frame_in_memory(folder: Path) -> None:
    ibis = pytest.importorskip("ibis", reason="ibis is not installed")
    sites = ibis.memtable(pd.DataFrame({"site": ["north", "south", "west"], "beds": [3.0, 5.0, 4.0]}))
    joined = ibis.duckdb.connect().read_parquet(str(folder / "*.parquet")).inner_join(sites, "site")
    known = as_text().to_pandas().merge(pd.DataFrame({"site": ["north", "south", "west"], "beds": [3.0, 5.0, 4.0]}))
    for given in (cf.scan(joined, limit=0), joined):
        np.testing.assert_allclose(cf.lm("y ~ x + beds", given).coef, cf.lm("y ~ x + beds", known).coef, rtol=1e-10)


def test_rows_without_numbers(made: Callable[[str], Any]) -> None:
    source = recognise(made("spark rows"))
    assert source is not None and not source.numbered
    with pytest.raises(cf.CapabilityError, match=r"have no numbers that stay the same .* write them to Parquet"):
        source.run(ids_and_values, ["id"], added, ids=True)
    assert len(set(sampled(source, 200).column("id").to_pylist())) == 200


def doubled(chunk: Chunk) -> pd.DataFrame:
    return pd.DataFrame({"id": chunk.column("id"), "twice": 2 * np.asarray(chunk.column("x"))})


@pytest.mark.parametrize("kind", ENGINES)
def test_rows_are_written_and_read_again(made: Callable[[str], Any], tmp_path: Path, kind: str) -> None:
    source = recognise(made(kind))
    assert source is not None
    source.write(doubled, ["id", "x"], str(tmp_path / "out.parquet"))
    back = recognise(tmp_path / "out.parquet")
    assert back is not None
    rows = back.collect().to_pandas().sort_values("id")
    np.testing.assert_array_equal(rows["id"], 2**53 + np.arange(len(table())))
    np.testing.assert_array_equal(rows["twice"], 2 * table().column("x").to_pandas())


@pytest.mark.parametrize("kind", ENGINES)
def test_augmented_rows_are_those_of_memory(made: Callable[[str], Any], tmp_path: Path, kind: str) -> None:
    data = made(kind)
    cf.lm(FORMULA, cf.scan(data, limit=0)).augment(str(tmp_path / "out.parquet"))
    back = recognise(tmp_path / "out.parquet")
    assert back is not None
    rows = back.collect().to_pandas().sort_values("id")
    known = cf.lm(FORMULA, ENGINES[kind][1](data)).augment().sort_values("id")
    np.testing.assert_array_equal(rows["id"], known["id"])
    np.testing.assert_allclose(rows[".fitted"], known[".fitted"], rtol=1e-9)
    assert rows["price"].astype(float).tolist() == known["price"].astype(float).tolist()


class Broken(Exception):
    """An error that does not pickle."""

    def __init__(self, one: object, two: object):
        super().__init__("broken")


def refusing(chunk: Chunk) -> int:
    raise cf.FormulaError("not this", "y ~ x", (4, 5))


def breaking(chunk: Chunk) -> int:
    raise Broken(1, 2)


@pytest.mark.parametrize("kind", ["spark", "dask"])
def test_errors_of_workers_come_back_as_they_were(made: Callable[[str], Any], kind: str) -> None:
    source = recognise(made(kind))
    assert source is not None
    with pytest.raises(cf.FormulaError, match=r"(?s)not this.*\^") as caught:
        source.run(refusing, ["x"], added)
    assert "in refusing" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Broken: broken"):
        source.run(breaking, ["x"], added)


# -- what cannot be read ----------------------------------------------------------------------------------------------


def test_a_column_of_another_type_in_one_file(spark: Any, cluster: Any, tmp_path: Path) -> None:
    dd = pytest.importorskip("dask.dataframe")
    pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [1.0, 2.0, 5.0]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"y": [1.0], "x": ["many"]}).to_parquet(tmp_path / "b.parquet")
    given = spark.read.schema("y double, x double").parquet(str(tmp_path))
    with pytest.raises(cf.DataError, match=r"b\.parquet.*\[x\]. Expected Spark type double"):
        cf.lm("y ~ x", cf.scan(given, limit=0))
    with pytest.raises(cf.DataError, match=r"partition 1 .* has 'x' as (str|object|string), others as float64"):
        cf.lm("y ~ x", cf.scan(dd.read_parquet(str(tmp_path)), limit=0))


def test_a_column_that_one_file_lacks(cluster: Any, tmp_path: Path) -> None:
    dd = pytest.importorskip("dask.dataframe")
    pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [1.0, 2.0, 5.0]}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"y": [1.0], "z": [2.0]}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(cf.DataError, match=r"partition 1 .* has no column 'x', which others have"):
        cf.lm("y ~ x", cf.scan(dd.read_csv(f"{tmp_path}/*.csv"), limit=0))
    for name in ("a", "b"):
        pd.read_csv(tmp_path / f"{name}.csv").to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(cf.DataError, match=r"'x'.* give the files as data, by their paths"):
        cf.lm("y ~ x", cf.scan(dd.read_parquet(f"{tmp_path}/*.parquet"), limit=0))
    with pytest.raises(cf.DataError, match=r"b\.parquet has no column 'x', which others have"):
        cf.lm("y ~ x", cf.scan(f"{tmp_path}/*.parquet", limit=0))


def test_a_column_that_one_file_lacks_is_missing_in_a_table_of_spark(spark: Any, tmp_path: Path) -> None:
    first = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "x": [1.0, 2.0, 5.0, 6.0]})
    first.to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"y": [1.0, 9.0]}).to_parquet(tmp_path / "b.parquet")
    found = cf.lm("y ~ x", cf.scan(spark.read.option("mergeSchema", True).parquet(str(tmp_path)), limit=0))
    np.testing.assert_allclose(found.coef, cf.lm("y ~ x", first).coef, rtol=1e-10)
    assert "2 observations deleted due to missingness" in str(found.summary())


def test_rows_that_cannot_be_parsed(spark: Any, cluster: Any, tmp_path: Path) -> None:
    dd = pytest.importorskip("dask.dataframe")
    (tmp_path / "a.csv").write_text("y,x\n" + "1,2\n" * 50)
    (tmp_path / "b.csv").write_text("y,x\n1,2\n3,many\n")
    given = spark.read.csv(str(tmp_path), header=True, schema="y double, x double", mode="FAILFAST")
    with pytest.raises(cf.DataError, match=r"b\.csv"):
        cf.lm("y ~ x", cf.scan(given, limit=0))
    with pytest.raises(cf.DataError, match=r"(?s)Mismatched dtypes.*x.*many"):
        cf.lm("y ~ x", cf.scan(dd.read_csv(f"{tmp_path}/*.csv"), limit=0))


def test_columns_and_the_like_are_no_source(spark: Any, cluster: Any) -> None:
    frame = spark.range(3)
    assert recognise(frame["id"]) is None and recognise(frame.groupBy("id")) is None
    dd = pytest.importorskip("dask.dataframe")
    assert recognise(dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=1)["x"]) is None


# -- a worker dies ----------------------------------------------------------------------------------------------------


def slowly(frame: pd.DataFrame) -> pd.DataFrame:
    time.sleep(0.2)
    return frame


def test_a_worker_killed_in_a_fit_loses_nothing(cluster: Any) -> None:
    dd = pytest.importorskip("dask.dataframe")
    frame = table().to_pandas()
    data = dd.from_pandas(frame, npartitions=8).map_partitions(slowly)
    died: list[int] = []

    def kill() -> None:
        died.append(next(iter(cluster.run(os.getpid).values())))
        os.kill(died[0], signal.SIGKILL)

    # a pass takes most of a second, and the fit some of them
    timer = Timer(1.5, kill)
    timer.start()
    found = cf.fit(QUESTION, cf.scan(data, limit=0), vcov="HC1").tidy()
    assert died, "the fit was over before the worker died"
    timer.join()
    known = cf.fit(QUESTION, frame, vcov="HC1").tidy()
    asked = ["estimate", "std.error"]
    np.testing.assert_allclose(found[asked], known[asked], rtol=1e-10)
    assert died[0] not in cluster.run(os.getpid).values()


@pytest.mark.parametrize("engine", ["spark", "cluster"])
def test_columns_with_a_dot_in_their_name(request: Any, engine: str, tmp_path: Path) -> None:
    found, heart = request.getfixturevalue(engine), cf.datasets.load("heart")
    heart.to_parquet(tmp_path / "heart.parquet")
    path = str(tmp_path / "heart.parquet")
    lazy = found.read.parquet(path) if engine == "spark" else pytest.importorskip("dask.dataframe").read_parquet(path)
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", cf.scan(lazy, limit=0))
    known = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart)
    np.testing.assert_allclose([fit.estimate, fit.std_error], [known.estimate, known.std_error], rtol=1e-10)
    fit.augment(path=str(tmp_path / "rows"))
    rows = pd.read_parquet(tmp_path / "rows")
    np.testing.assert_array_equal(np.sort(rows["I.H"]), np.sort(heart["I.H"]))
