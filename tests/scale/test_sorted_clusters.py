"""Sums by very many clusters: rows are sorted by cluster in DuckDB, and each cluster is squared as it ends."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import causalformula as cf
from causalformula.inference.sandwich import ended
from causalformula.inference.sandwich.ended import Ended, told
from causalformula.inference.sandwich.grouped import Grouped
from causalformula.scale.sources import streamed
from causalformula.scale.sources.duck import Duck
from tests.scale.test_law import DATA, agree, fitted
from tests.scale.test_law_did import PANEL

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

# clusters of text whose letters alone differ in case, of numbers, of days, one large, and two groupings
ROWS = DATA.assign(
    text=np.where(DATA.index % 2, "A", "a") + DATA.k.astype(str).to_numpy(),
    large=np.where(DATA.c < 30, -1, DATA.c),
    lone=(DATA.index == 100).astype(int) * 7 + (DATA.index > 100) * DATA.c,
    spike=(DATA.index == 100).astype(float),
)
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("y ~ treat(A) + adjust(x)", {"vcov": "CR1 ~ text"}),
    ("y ~ treat(A) + adjust(x) + weights(z)", {"vcov": "CR1S ~ c"}),
    ("y ~ treat(A) + adjust(x)", {"vcov": "~text + large"}),
    ("y ~ treat(A) + adjust(x) + cluster(day)", {}),
    ("y ~ treat(A) + adjust(x + spike)", {"vcov": "CR0 ~ lone"}),
    ("y ~ treat(A) + cluster(c)", {"vcov": "CR1 ~ c"}),
    ("y ~ treat(A) + x", {"method": "ipw", "vcov": "~k"}),
    ("b ~ treat(A) + adjust(x) + cluster(factor(k))", {"family": "binomial"}),
]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Sums of three clusters held and chunks of 37 rows; by which columns rows are sorted."""
    asked: list[tuple[str, ...]] = []
    own = Duck.sorted_by

    def sorted_by(self: Duck, columns: Any) -> Duck:
        asked.append(tuple(columns))
        return own(self, columns)

    monkeypatch.setattr(ended, "MOST_HELD", 3)
    monkeypatch.setattr(streamed, "CHUNK_ROWS", 37)
    monkeypatch.setattr(Duck, "sorted_by", sorted_by)
    return asked


@pytest.mark.parametrize(("formula", "options"), ASKED)
def test_sorted_clusters_give_the_numbers_of_memory(
    formula: str, options: dict[str, Any], few: list[tuple[str, ...]], tmp_path: Path
) -> None:
    known = fitted(formula, ROWS, options)
    ROWS.sample(frac=1, random_state=1).to_parquet(tmp_path / "rows.parquet")
    found = fitted(formula, cf.scan(str(tmp_path), limit=0), options)
    plain = "factor" not in formula
    assert bool(few) == plain
    if plain:
        agree(found, known)
        return
    # an expression is not sorted by, and the print says what that took
    np.testing.assert_allclose(found.std_error, known.std_error, rtol=1e-10)
    assert "Note: the sums of 25 clusters of factor(k) were held in memory" in str(found)


def test_both_groupings_are_sorted_by_together(few: list[tuple[str, ...]], tmp_path: Path) -> None:
    ROWS.to_parquet(tmp_path / "rows.parquet")
    assert fitted("y ~ treat(A)", cf.scan(str(tmp_path), limit=0), {"vcov": "~c + k"}).std_error > 0
    assert {("c",), ("k",), ("c", "k")} <= set(few)


def test_a_collation_does_not_mix_clusters(few: list[tuple[str, ...]]) -> None:
    connection = duckdb.connect()
    connection.execute("SET default_collation = 'NOCASE'")
    connection.register("rows", ROWS.sample(frac=1, random_state=2)[["y", "A", "text"]])
    data = cf.scan(connection.sql("SELECT * FROM rows"), limit=0)
    agree(fitted("y ~ treat(A)", data, {"vcov": "~text"}), fitted("y ~ treat(A)", ROWS, {"vcov": "~text"}))
    assert few


def test_frames_say_that_sums_were_held(few: list[tuple[str, ...]]) -> None:
    found = fitted("y ~ treat(A)", cf.scan([ROWS[:100], ROWS[100:]], limit=0), {"vcov": "~c + k"})
    held = " and ".join(f"{ROWS[name].nunique()} clusters of {name}" for name in "ck")
    assert f"Note: the sums of {held} were held in memory" in " ".join(str(found).split())
    assert not few


def test_units_of_a_panel_are_counted_as_they_end(few: list[tuple[str, ...]], tmp_path: Path) -> None:
    formula = "y ~ did(T, post, unit = id) + x"
    PANEL.sample(frac=1, random_state=3).to_parquet(tmp_path / "rows.parquet")
    agree(fitted(formula, cf.scan(str(tmp_path), limit=0), {}), fitted(formula, PANEL, {}))
    assert ("id",) in few
    PANEL[PANEL.id != 7].assign(id=lambda frame: frame.id.replace(8, 9)).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(cf.DataError, match="id 9 has more than one row in a period"):
        fitted(formula, cf.scan(str(tmp_path), limit=0), {})


def count(groups: Grouped) -> Any:
    return np.array([len(groups.keys), (groups.sums**2).sum()])


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_two_groups_are_held_of_sorted_rows(size: int) -> None:
    rng = np.random.default_rng(size)
    keys = np.empty(40, dtype=object)
    keys[:] = [(k, str(k)) for k in np.sort(rng.integers(0, 12, 40))]
    values = rng.normal(size=(40, 2))
    parts = [Ended.of(keys[k : k + size], values[k : k + size], count) for k in range(0, 40, size)]
    found = parts[0]
    for part in parts[1:]:
        found = found + part
        assert len(found.ends.keys) <= 2
    np.testing.assert_allclose(told(found, count), count(Grouped.of(keys, values)), rtol=1e-13)


@pytest.mark.parametrize(("by", "sorts"), [("c", True), ("text", False)])
def test_databases_behind_ibis_sort_by_numbers(
    by: str, sorts: bool, monkeypatch: pytest.MonkeyPatch, few: list[tuple[str, ...]], tmp_path: Path
) -> None:
    ibis = pytest.importorskip("ibis", reason="ibis is not installed")
    from causalformula.scale.sources.ibis import Ibis

    asked, own = [], Ibis.sorted_by
    monkeypatch.setattr(Ibis, "sorted_by", lambda self, columns: (asked.append(columns), own(self, columns))[1])
    with sqlite3.connect(tmp_path / "rows.db") as connection:
        ROWS.sample(frac=1, random_state=4)[["y", "A", "x", by]].to_sql("claims", connection, index=False)
    table = ibis.sqlite.connect(tmp_path / "rows.db").table("claims")
    options = {"vcov": f"CR1 ~ {by}"}
    found = fitted("y ~ treat(A) + adjust(x)", cf.scan(table, limit=0), options)
    np.testing.assert_allclose(found.std_error, fitted("y ~ treat(A) + adjust(x)", ROWS, options).std_error, rtol=1e-10)
    assert bool(asked) == sorts and ("were held in memory" in str(found)) != sorts and not few
