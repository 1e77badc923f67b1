"""Sources: every row once, in chunks of one schema, and errors that say where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causalformula.errors import DataError, OptionError
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
    with pytest.raises(DataError, match=r'(?s)p9.parquet.*column "x"'):
        source = recognise(f"{files}/p*.parquet")
        assert source is not None
        source.run(total, ["x"], added)
    pd.DataFrame({"g": ["a"]}).to_csv(files / "c9.csv", index=False)
    with pytest.raises(DataError, match=r'c9.csv; Column with name: "x" is missing'):
        source = recognise(f"{files}/c*.csv")
        assert source is not None
        source.run(total, ["x"], added)


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
