"""Rows that change between one pass and the next, and weights below zero in rows that are elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

pytest.importorskip("duckdb")


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    x, a = rng.normal(size=300), rng.integers(0, 2, 300)
    return pd.DataFrame({"y": a + x + rng.normal(size=300), "a": a, "x": x, "w": rng.uniform(1, 2, 300)})


@pytest.mark.parametrize(("other", "words"), [(299, "299 rows now, and there were 300"), (0, "the rows are gone")])
def test_rows_that_come_or_go_after_the_fit(tmp_path: Path, data: pd.DataFrame, other: int, words: str) -> None:
    path = tmp_path / "d.parquet"
    data.to_parquet(path)
    fit = cf.fit("y ~ treat(a) + x", cf.scan(path, limit=0))
    data.iloc[:other].to_parquet(path)
    with pytest.raises(cf.DataError, match=rf"d.parquet: .*{words}.*; fit again"):
        fit.with_vcov("HC0").std_error  # noqa: B018


@pytest.mark.parametrize("fit", [cf.lm, cf.fit])
def test_weights_below_zero_are_named_as_in_memory(tmp_path: Path, data: pd.DataFrame, fit: Any) -> None:
    path, data.loc[7, "w"] = tmp_path / "d.parquet", -1.0
    data.to_parquet(path)
    for given in (data, cf.scan(path, limit=0)):
        with pytest.raises(cf.DataError, match=r"weights\(w\) has values below zero, in rows? \[?7"):
            if fit is cf.lm:
                cf.lm("y ~ x", given, weights="w")
            else:
                cf.fit("y ~ treat(a) + x + weights(w)", given)
