"""Verbs that need all rows: they take those that fit from wherever they are, and say what to do with more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import causalformula as cf

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")
QUESTION = "Severity ~ treat(Drug) + adjust(I.H)"
VERBS: dict[str, Callable[[Any], Any]] = {
    "cf.design": lambda data: cf.design(QUESTION, data, "ebal").ess(),
    "cf.compare": lambda data: cf.compare(QUESTION, data, ["regression", "ebal"]).tidy(),
    "cf.screen": lambda data: cf.screen(QUESTION, data, "ipw", treatments=["Drug"]).tidy(),
}


@pytest.mark.parametrize("name", VERBS)
def test_rows_that_fit_are_fetched(name: str, tmp_path: Path) -> None:
    data, ask = cf.datasets.load("heart"), VERBS[name]
    data.iloc[:600].to_parquet(tmp_path / "a.parquet")
    data.iloc[600:].to_parquet(tmp_path / "b.parquet")
    assert ask(str(tmp_path)).equals(ask(data))
    with pytest.raises(cf.CapabilityError, match=rf"{name} needs all rows in memory, and 2 Parquet files .* than 999"):
        ask(cf.scan(tmp_path, limit=999))


def test_the_print_says_that_they_were_fetched(tmp_path: Path) -> None:
    cf.datasets.load("heart").to_parquet(tmp_path / "a.parquet")
    for made in (cf.design(QUESTION, tmp_path, "ebal"), cf.compare(QUESTION, tmp_path, ["regression", "ebal"])):
        assert "1000 rows were collected from Parquet file a.parquet" in str(made)


@pytest.mark.parametrize("text", ["claims.xlsx", "select * from t", "heart"])
def test_text_that_names_no_data(text: str) -> None:
    with pytest.raises(cf.DataError, match=f"'{text[:6]}.*is the name of nothing that is read.*Parquet or CSV files"):
        cf.fit(QUESTION, text)
