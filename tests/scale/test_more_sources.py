"""Every source gives the numbers of the same rows in memory, or says which file and column it cannot read."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.scale.sources.recognise import of_frames, recognise
from causalformula.scale.sources.sampling import sampled
from causalformula.scale.sources.source import Chunk, Source
from tests.scale.claims import FORMULA, QUESTION, claims, written

pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
ds = pytest.importorskip("pyarrow.dataset")
pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("claims")
    written(found)
    return found


def table() -> Any:
    return pa.concat_tables(claims())


# What is given as data, and the same rows in memory: each engine has its own word for a dictionary of text.
SOURCES: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "glob": (lambda d: f"{d}/part-*.parquet", lambda d: recognise(str(d)).collect()),
    "folder": (lambda d: d, lambda d: recognise(str(d)).collect()),
    "list": (lambda d: sorted(d.glob("*.parquet")), lambda d: recognise(str(d)).collect()),
    "dataset": (lambda d: ds.dataset(d), lambda d: table()),
    "filtered dataset": (lambda d: ds.dataset(d).filter(ds.field("a") >= 0), lambda d: table()),
    "scanner": (lambda d: ds.dataset(d).scanner(), lambda d: table()),
    "reader": (lambda d: table().to_reader(100), lambda d: table()),
    "lazy": (lambda d: pl.scan_parquet(d), lambda d: pl.read_parquet(d)),
    "lazy by narwhals": (lambda d: nw.from_native(pl.scan_parquet(d)), lambda d: pl.read_parquet(d)),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_numbers_of_the_same_rows_in_memory(folder: Path, kind: str) -> None:
    given, memory = (make(folder) for make in SOURCES[kind])
    scan = cf.scan(given, limit=0)
    here, there = cf.lm(FORMULA, memory), cf.lm(FORMULA, scan)
    assert list(there.coef.index) == list(here.coef.index)
    assert "sitewest" in there.coef.index
    np.testing.assert_allclose(there.coef, here.coef, rtol=1e-10)
    np.testing.assert_allclose(there.vcov(), here.vcov(), rtol=1e-9)
    asked = ["estimate", "std.error"]
    here, there = cf.fit(QUESTION, memory), cf.fit(QUESTION, scan)
    np.testing.assert_allclose(there.tidy()[asked], here.tidy()[asked], rtol=1e-10)
    assert there.nobs == here.nobs < len(table())


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_that_fits_is_collected(folder: Path, kind: str) -> None:
    given, memory = (make(folder) for make in SOURCES[kind])
    pd.testing.assert_frame_equal(cf.fit(QUESTION, given).tidy(), cf.fit(QUESTION, memory).tidy())


def ids_and_values(chunk: Chunk) -> tuple[tuple[int, int], ...]:
    assert chunk.ids is not None
    return tuple(zip(chunk.ids.tolist(), np.asarray(chunk.column("id")).tolist(), strict=True))


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_are_numbered_alike_and_large_numbers_kept(folder: Path, kind: str) -> None:
    source = recognise(SOURCES[kind][0](folder))
    assert isinstance(source, Source) and source.numbered
    assert source.rows() == len(table())
    for _ in range(2):
        found = source.run(ids_and_values, ["id"], lambda a, b: a + b, ids=True)
        assert found == tuple((k, 2**53 + k) for k in range(len(table())))
    assert source.run(lambda chunk: chunk.n, [], lambda a, b: a + b) == len(table())


def test_a_sample_is_the_same_from_every_source(folder: Path) -> None:
    source = recognise(str(folder))
    assert source is not None
    first = sampled(source, 200, seed=4)
    assert len(set(first.column("id").to_pylist())) == 200
    for kind in SOURCES:
        source = recognise(SOURCES[kind][0](folder))
        assert source is not None
        assert sampled(source, 200, seed=4).column("id").to_pylist() == first.column("id").to_pylist()
        assert sampled(source, 200, seed=5).column("id").to_pylist() != first.column("id").to_pylist()
    assert sampled(source, 10**6).num_rows == len(table())
    with pytest.raises(cf.OptionError, match="at least one row"):
        sampled(source, 0)


def test_each_row_is_sampled_as_often() -> None:
    source = of_frames([pd.DataFrame({"x": np.arange(50)}), pd.DataFrame({"x": np.arange(50, 60)})])
    counts = np.zeros(60)
    for seed in range(100):
        counts[sampled(source, 12, seed).column("x").to_numpy()] += 1
    # binomial (100, 1/5), whose standard deviation is 4
    assert abs(counts - 20).max() < 4 * 4
    assert 2.5 < counts.std() < 5.5


def doubled(chunk: Chunk) -> pd.DataFrame:
    return pd.DataFrame({"id": chunk.column("id"), "twice": 2 * np.asarray(chunk.column("x"))})


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_are_written_in_their_order(folder: Path, tmp_path: Path, kind: str) -> None:
    source = recognise(SOURCES[kind][0](folder))
    assert source is not None
    source.write(doubled, ["id", "x"], str(tmp_path / "out.parquet"))
    back = pd.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_array_equal(back["id"], 2**53 + np.arange(len(table())))
    np.testing.assert_array_equal(back["twice"], 2 * table().column("x").to_pandas())


@pytest.mark.parametrize("kind", SOURCES)
def test_augmented_rows_keep_the_types_of_the_data(folder: Path, tmp_path: Path, kind: str) -> None:
    given, memory = (make(folder) for make in SOURCES[kind])
    cf.lm(FORMULA, cf.scan(given, limit=0)).augment(str(tmp_path / "out.parquet"))
    back = pa.parquet.read_table(tmp_path / "out.parquet")
    known = cf.lm(FORMULA, memory).augment()
    assert back.column("id").to_pylist() == known["id"].tolist()
    np.testing.assert_allclose(back.column(".fitted"), known[".fitted"], rtol=1e-9)
    assert pa.types.is_decimal(back.schema.field("price").type) and pa.types.is_boolean(back.schema.field("flag").type)


# -- what cannot be read ----------------------------------------------------------------------------------------------


def one_more(folder: Path, text: Any) -> Path:
    """The folder with one more file of a few rows."""
    pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "x": [1.0, 2.0, 3.0, 5.0]}).to_parquet(folder / "a.parquet")
    pd.DataFrame(text).to_parquet(folder / "b.parquet")
    return folder


MANY = {
    "glob": lambda d: f"{d}/*.parquet",
    "list": lambda d: sorted(d.glob("*.parquet")),
    "dataset": lambda d: ds.dataset(d),
    "filtered dataset": lambda d: ds.dataset(d).filter(ds.field("y") > 0),
    "lazy": lambda d: pl.scan_parquet(f"{d}/*.parquet"),
}


@pytest.mark.parametrize("kind", MANY)
def test_a_file_without_a_column_is_named(tmp_path: Path, kind: str) -> None:
    one_more(tmp_path, {"y": [1.0]})
    with pytest.raises(cf.DataError, match=r"(?s)b\.parquet.*x|x.*b\.parquet"):
        cf.lm("y ~ x", cf.scan(MANY[kind](tmp_path), limit=0))


@pytest.mark.parametrize("kind", MANY)
def test_a_file_with_a_column_of_another_type_is_named(tmp_path: Path, kind: str) -> None:
    one_more(tmp_path, {"y": [1.0], "x": ["many"]})
    with pytest.raises(cf.DataError, match=r"(?s)b\.parquet.*x|x.*b\.parquet"):
        cf.lm("y ~ x", cf.scan(MANY[kind](tmp_path), limit=0))


@pytest.mark.parametrize("kind", MANY)
def test_whole_numbers_beside_others_are_read_as_numbers(tmp_path: Path, kind: str) -> None:
    one_more(tmp_path, {"y": [1.0, 7.0], "x": [7, 8]})
    try:
        found = cf.lm("y ~ x", cf.scan(MANY[kind](tmp_path), limit=0))
    except cf.DataError as error:
        assert "b.parquet" in str(error) and "x" in str(error)
    else:
        whole = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 1.0, 7.0], "x": [1.0, 2.0, 3.0, 5.0, 7.0, 8.0]})
        np.testing.assert_allclose(found.coef, cf.lm("y ~ x", whole).coef, rtol=1e-12)


def test_a_row_that_arrow_or_polars_cannot_parse(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("y,x\n1,2\n2,many\n")
    schema = pa.schema({"y": pa.float64(), "x": pa.float64()})
    with pytest.raises(cf.DataError, match=r"(?s)c\.csv.*column #1.*Row #3.*many"):
        cf.lm("y ~ x", cf.scan(ds.dataset(tmp_path, schema=schema, format="csv"), limit=0))
    lazy = pl.scan_csv(tmp_path / "c.csv", schema={"y": pl.Float64, "x": pl.Float64})
    with pytest.raises(cf.DataError, match=r"(?s)many.*column 'x'.*it reads .*c\.csv"):
        cf.lm("y ~ x", cf.scan(lazy, limit=0))


def test_files_of_two_kinds_and_folders_without_any(tmp_path: Path) -> None:
    with pytest.raises(cf.DataError, match="no Parquet file in the folder"):
        recognise(tmp_path)
    one_more(tmp_path, {"y": [1.0]})
    (tmp_path / "c.csv").write_text("y\n1\n")
    with pytest.raises(cf.OptionError, match="Parquet or CSV, all of one kind"):
        recognise([tmp_path / "a.parquet", tmp_path / "c.csv"])
    with pytest.raises(cf.DataError, match="there is no file"):
        recognise([tmp_path / "a.parquet", tmp_path / "z.parquet"])


def test_whole_numbers_past_two_to_the_53rd_beside_missing_ones() -> None:
    frame = pa.table({"y": [1.0, 2.0, 4.0], "x": [2**53 + 1, None, 5]})
    for data in (frame, pl.from_arrow(frame), frame.to_pandas(types_mapper=pd.ArrowDtype)):
        with pytest.raises(cf.DataError, match=r"'x' has whole numbers past 2\^53 beside missing"):
            cf.lm("y ~ x", data)
    for lazy in (pl.from_arrow(frame).lazy(), ds.dataset(frame), frame.to_reader()):
        with pytest.raises(cf.DataError, match=r"'x' has whole numbers past 2\^53 beside missing"):
            cf.lm("y ~ x", cf.scan(lazy, limit=0))


def test_a_column_whose_missing_values_come_late() -> None:
    frame = pd.DataFrame({"y": np.random.default_rng(0).normal(size=60), "n": np.arange(60.0) % 7})
    whole = pa.Table.from_pandas(frame, preserve_index=False)
    late = whole.set_column(
        1, "n", pa.array([None if k > 50 else int(v) for k, v in enumerate(frame["n"])], pa.int64())
    )
    reader = cf.scan(pa.RecordBatchReader.from_batches(late.schema, late.to_batches(20)), limit=0)
    formula = "y ~ scale(n) + factor(n > 3)"
    np.testing.assert_allclose(cf.lm(formula, reader).coef, cf.lm(formula, late).coef, rtol=1e-10)


def of_levels(*each: list[str]) -> list[Any]:
    rng, out = np.random.default_rng(3), []
    for levels in each:
        codes = rng.integers(0, len(levels), 40).astype("int32")
        out.append(pa.table({"y": rng.normal(size=40), "k": pa.DictionaryArray.from_arrays(codes, levels)}))
    return out


@pytest.mark.parametrize("formula", ["y ~ k", "y ~ factor(k)"])
def test_dictionaries_that_differ_have_the_levels_of_all_rows(formula: str) -> None:
    tables = of_levels(["low", "high"], ["mid", "low"], ["a", "mid"])
    whole = cf.lm(formula, pa.concat_tables(tables)).coef
    assert [name[-1] for name in whole.index[1:]] == ["h", "d", "a"]  # in order of appearance
    batches = [batch for table in tables for batch in table.to_batches()]
    reader = pa.RecordBatchReader.from_batches(tables[0].schema, batches)
    for given in (tables, [table.to_pandas() for table in tables], reader):
        found = cf.lm(formula, cf.scan(given, limit=0)).coef
        assert list(found.index) == list(whole.index)
        np.testing.assert_allclose(found, whole, rtol=1e-10)
    assert list(cf.lm(formula, cf.scan([table.to_pandas() for table in tables])).coef.index) == list(whole.index)


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["c", "a", "b"]), pl.String])
def test_levels_of_polars_are_those_of_memory(kind: Any) -> None:
    text = pl.Series("k", list("bcabbacca"))
    frame = pl.DataFrame({"y": np.random.default_rng(0).normal(size=9), "k": text.cast(kind)})
    known = cf.lm("y ~ k", frame).coef
    for given in (frame.lazy(), [frame[:3], frame[3:]]):
        pd.testing.assert_series_equal(cf.lm("y ~ k", cf.scan(given, limit=0)).coef, known, rtol=1e-10)


def test_what_is_in_memory_is_no_source(folder: Path) -> None:
    batch = table().to_batches()[0]
    eager = nw.from_native(pl.DataFrame({"x": [1]}))
    assert all(recognise(data) is None for data in (table(), batch, pl.DataFrame({"x": [1]}), eager, pl.Series([1])))


def test_a_reader_is_no_file_to_come_back_to(folder: Path) -> None:
    with pytest.raises(cf.DataError, match="cannot be pickled"):
        pickle.dumps(recognise(table().to_reader()))
    for kind in ("glob", "dataset", "lazy"):
        again = pickle.loads(pickle.dumps(recognise(SOURCES[kind][0](folder))))
        assert again.rows() == len(table())
