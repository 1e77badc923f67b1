"""Sources: every row once, in chunks of one schema, and errors that say where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import DataError, OptionError
from causalformula.frame.columns import Table
from causalformula.scale.sources.chunks import Chunks
from causalformula.scale.sources.recognise import recognise
from causalformula.scale.sources.source import Chunk, Source, chunk_of

duckdb = pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")


Seen = tuple[int, float, tuple[int, ...]]


def total(chunk: Chunk) -> Seen:
    ids = () if chunk.ids is None else tuple(chunk.ids)
    return chunk.n, float(np.nansum(np.asarray(chunk.column("x"), dtype=float))), ids


def added(
    a: tuple[int, float, tuple[int, ...]], b: tuple[int, float, tuple[int, ...]]
) -> tuple[int, float, tuple[int, ...]]:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for k in range(3):
        pd.DataFrame({"x": np.arange(k, k + 4.0), "g": list("abca")}).to_parquet(tmp_path / f"p{k}.parquet")
        pd.DataFrame({"x": np.arange(k, k + 4.0), "g": list("abca")}).to_csv(tmp_path / f"c{k}.csv", index=False)
    connection = duckdb.connect(str(tmp_path / "file.db"))
    connection.execute(f"CREATE TABLE t AS SELECT * FROM '{tmp_path}/p*.parquet'")
    connection.close()
    return tmp_path


@pytest.mark.parametrize("where", ["{}/p*.parquet", "{}/c*.csv", "duckdb:///{}/file.db?table=t"])
def test_files_are_read_once(files: Path, where: str) -> None:
    source = recognise(where.format(files))
    assert isinstance(source, Source)
    assert source.names == ("x", "g")
    assert source.rows() == 12
    assert source.run(total, ["x"], added, ids=True) == (12, 30.0, tuple(range(12)))
    assert len(source.collect()) == 12


def test_a_relation_and_a_path_object(files: Path) -> None:
    relation = duckdb.connect().sql(f"SELECT * FROM '{files}/p*.parquet'")
    for data in (relation, files / "p0.parquet"):
        source = recognise(data)
        assert source is not None
        assert source.run(total, ["x"], added) == (source.rows(), 30.0 if source.rows() == 12 else 6.0, ())


def test_chunks_skip_empty_frames_and_number_rows() -> None:
    frame = pd.DataFrame({"x": np.arange(5.0)})
    source = Chunks([frame.iloc[:2], frame.iloc[:0], frame.iloc[2:]])
    assert isinstance(source, Source)
    assert source.run(total, ["x"], added, ids=True) == (5, 10.0, (0, 1, 2, 3, 4))
    with pytest.raises(DataError, match="frame 1 of the list has no column 'x'"):
        Chunks([frame, frame.rename(columns={"x": "z"})])


def test_a_missing_column_in_one_file_of_many(files: Path) -> None:
    pd.DataFrame({"g": ["a"]}).to_parquet(files / "p9.parquet")
    with pytest.raises(DataError, match=r"p9.parquet has no column 'x'"):
        source = recognise(f"{files}/p*.parquet")
        assert source is not None
        source.run(total, ["x"], added)
    pd.DataFrame({"g": ["a"]}).to_csv(files / "c9.csv", index=False)
    with pytest.raises(DataError, match=r'c9.csv; Column with name: "x" is missing'):
        source = recognise(f"{files}/c*.csv")
        assert source is not None
        source.run(total, ["x"], added)


def test_numbers_of_files_of_several_types_are_not_rounded(tmp_path: Path) -> None:
    whole, parts = pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [1.6, 0.3]})
    days = [pd.DataFrame({"d": pd.to_datetime([day])}) for day in ("2020-01-01", "2020-01-02 13:00")]
    days[0]["d"] = days[0]["d"].dt.date
    for name, frames in {"n": [whole, parts], "d": days, "b": [whole > 1, parts]}.items():
        for k, frame in enumerate(frames):
            frame.to_parquet(tmp_path / f"{name}{k}.parquet")
    numbers = Table(recognise(f"{tmp_path}/n*.parquet").collect()).column("x")
    assert np.asarray(numbers).tolist() == [1, 2, 1.6, 0.3]
    assert recognise(f"{tmp_path}/d*.parquet").collect()["d"].to_pylist()[1].hour == 13
    assert recognise(f"{tmp_path}/b*.parquet").collect()["x"].to_pylist() == [0, 1, 1.6, 0.3]


@pytest.mark.parametrize(
    ("early", "late", "read"),
    [("1", "1.5", 1.5), ("1", "1e-3", 1e-3), ("1", str(2**53 + 1), 2**53 + 1), ("2020-01-01", "2020-01-02 13:00", 13)],
)
def test_a_csv_file_whose_last_line_has_more_to_it_than_the_first(
    tmp_path: Path, early: str, late: str, read: float
) -> None:
    path = tmp_path / "c.csv"
    path.write_text("\n".join(["x", *[early] * 30_000, late]) + "\n")
    last = recognise(path).collect()["x"].to_pylist()[-1]
    assert (last if isinstance(last, (int, float)) else last.hour) == read


def test_a_column_without_values_in_one_file_and_text_in_another(tmp_path: Path) -> None:
    pd.DataFrame({"g": [None, None]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"g": ["a", None]}).to_parquet(tmp_path / "b.parquet")
    assert recognise(f"{tmp_path}/*.parquet").collect()["g"].to_pylist() == [None, None, "a", None]
    pd.DataFrame({"g": [1.5]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match=r"b.parquet has 'g' as text, and file .*c.parquet does not"):
        recognise(f"{tmp_path}/*.parquet").collect()


def test_names_of_files_and_tables_are_no_patterns(tmp_path: Path) -> None:
    for k, name in enumerate(["e1", "e[1]", "it's *"]):
        pd.DataFrame({"x": [k]}).to_parquet(tmp_path / f"{name}.parquet")
    assert sorted(recognise(f"{tmp_path}/*.parquet").collect()["x"].to_pylist()) == [0, 1, 2]
    assert recognise(tmp_path / "e[1].parquet").collect()["x"].to_pylist() == [1]
    with pytest.raises(OptionError, match=r"every file once, and .*e1.parquet would be there twice"):
        recognise([f"{tmp_path}/e*.parquet", tmp_path / "e1.parquet"])
    with duckdb.connect(str(tmp_path / "f.db")) as connection:
        for k, name in enumerate(['"a ""b"" c"', '"odd.name"', '"select"', "s.t"]):
            connection.execute("CREATE SCHEMA IF NOT EXISTS s")
            connection.execute(f"CREATE TABLE {name} AS SELECT {k} AS x")
    for k, name in enumerate(['a "b" c', "odd.name", "select", "s.t"]):
        assert recognise(f"duckdb:///{tmp_path}/f.db?table={name}").collect()["x"].to_pylist() == [k]


def test_a_row_that_cannot_be_parsed(files: Path) -> None:
    rows = "\n".join(["x", *(str(k) for k in range(30_000)), "many", "1"])
    (files / "c9.csv").write_text(rows + "\n")
    source = recognise(files / "c9.csv")
    assert source is not None
    with pytest.raises(DataError, match=r"(?s)Line: 30002; Original Line: many; .*\"x\".*file = .*c9.csv"):
        source.run(total, ["x"], added)


def test_whole_numbers_past_two_to_the_53rd() -> None:
    large = 2**53 + 1
    assert chunk_of(pa.table({"x": [large, 1]})).column("x")[0] == large
    assert np.isnan(np.asarray(chunk_of(pa.table({"x": [5, None]})).column("x"))[1])
    with pytest.raises(DataError, match=r"'x' has whole numbers past 2\^53 beside missing"):
        chunk_of(pa.table({"x": [large, None]})).column("x")


def test_what_is_no_source(files: Path) -> None:
    assert recognise(pd.DataFrame({"x": [1.0]})) is None
    assert recognise("y ~ x") is None
    with pytest.raises(DataError, match="there is no file"):
        recognise(f"{files}/q*.parquet")
    with pytest.raises(OptionError, match=r"duckdb:///file\.db"):
        recognise(f"duckdb:///{files}/file.db")


def test_a_row_with_a_field_less_is_named(tmp_path: Path) -> None:
    """All of its lines are guessed to be one field else, and its columns are unknown."""
    (tmp_path / "a.csv").write_text("a,x,y\n" + "1,2,3\n" * 50 + "1,2\n")
    with pytest.raises(DataError, match=r"(?s)a\.csv.*Line: 52"):
        cf.lm("y ~ x", cf.scan(tmp_path / "a.csv", limit=0))
    (tmp_path / "b.csv").write_text('"y,x"\n' + "1.5\n2.5\n4.0\n" * 5)
    assert cf.lm("`y,x` ~ 1", cf.scan(tmp_path / "b.csv", limit=0)).nobs == 15
