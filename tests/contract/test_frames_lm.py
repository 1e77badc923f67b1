"""The same data as pandas, polars and pyarrow give ``cf.lm``, ``cf.glm`` and ``cf.model_matrix`` the same numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalformula as cf
from causalformula.errors import CausalFormulaWarning, DataError

FRAMES = {
    "polars": pl.from_pandas,
    "pyarrow": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "mapping": lambda d: {name: d[name].tolist() for name in d},
}


def frame(seed: int, n: int, gaps: bool) -> pd.DataFrame:
    """Numbers, whole numbers, logicals, strings and categories, some of them missing."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "i": rng.integers(-3, 9, n),
            "b": rng.uniform(size=n) < 0.5,
            "s": rng.choice(["u", "V", "w w"], n),
            "w": rng.uniform(0.5, 2, n),
        }
    )
    if gaps:
        data.loc[rng.choice(n, 3, replace=False), "x"] = np.nan
        data.loc[rng.choice(n, 2, replace=False), "y"] = np.nan
    return data


def same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Values, names and order; the labels differ where the frame has none but positions."""
    assert list(ours.columns) == list(theirs.columns)
    for name in ours:
        if ours[name].dtype == object or isinstance(ours[name].iloc[0], str):
            assert ours[name].tolist() == theirs[name].tolist()
        else:
            np.testing.assert_array_equal(ours[name].to_numpy(dtype=float), theirs[name].to_numpy(dtype=float))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(30, 60),
    gaps=st.booleans(),
    right=st.sampled_from(["x + s", "x * b + i", "poly(i, 2) + s:x", "factor(i > 2) + log(w)", "s * b - 1", "."]),
    vcov=st.sampled_from([None, "HC3", "~s", "~i"]),
)
@pytest.mark.parametrize("kind", FRAMES)
def test_the_same_numbers(kind: str, seed: int, n: int, gaps: bool, right: str, vcov: str | None) -> None:
    pandas = frame(seed, n, gaps)
    other = FRAMES[kind](pandas)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        a, b = (cf.lm(f"y ~ {right}", d, weights="w", vcov=vcov) for d in (pandas, other))
        same(a.tidy(), b.tidy())
        same(a.glance(), b.glance())
        assert list(a.fitted.index) == list(b.fitted.index)
        np.testing.assert_array_equal(a.predict(pandas), b.predict(other))
        same(cf.model_matrix(f"~ {right}", pandas), cf.model_matrix(f"~ {right}", other))
        one, two = (cf.glm("b ~ x + s", d, family="binomial") for d in (pandas, other))
        same(one.tidy(), two.tidy())


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_categories(kind: str) -> None:
    """A categorical column keeps the order of its levels in every kind of frame."""
    data = frame(1, 40, False)
    data["c"] = pd.Categorical(data["s"], categories=["w w", "u", "V"])
    made: Any = {"pandas": lambda d: d, **FRAMES}[kind](data)
    if kind == "polars":
        made = made.with_columns(pl.col("c").cast(pl.Enum(["w w", "u", "V"])))
    model = cf.lm("y ~ c", made)
    assert list(model.params.index) == ["(Intercept)", "cu", "cV"]
    np.testing.assert_array_equal(model.params, cf.lm("y ~ c", data).params)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "string", "int8", "float32", "object"])
def test_column_types(dtype: str) -> None:
    """Nullable, narrow and object columns are what they hold."""
    data = frame(2, 40, False)
    column = {"boolean": "b", "string": "s", "object": "s"}.get(dtype, "i")
    plain = cf.lm(f"y ~ {column}", data)
    typed = data.assign(**{column: data[column].astype(dtype)})
    np.testing.assert_allclose(cf.lm(f"y ~ {column}", typed).params, plain.params, rtol=1e-12)
    if dtype in ("Int64", "Float64", "boolean", "string", "object"):
        typed.loc[4, column] = None if dtype in ("string", "object") else pd.NA
        gone = cf.lm(f"y ~ {column}", typed)
        assert gone.missing_by == {column: 1}
        np.testing.assert_allclose(gone.params, cf.lm(f"y ~ {column}", data.drop(4)).params, rtol=1e-12)


def test_row_labels_are_those_of_pandas() -> None:
    data = frame(3, 30, True).set_index(pd.date_range("2020-01-01", periods=30))
    model = cf.lm("y ~ x", data)
    assert model.fitted.index.isin(data.index).all() and len(model.fitted) == 30 - model.dropped
    assert cf.model_matrix("~ x", data).index.isin(data.index).all()


def test_only_the_columns_used_are_read() -> None:
    """A column that no formula can use does no harm while it is not named."""
    data = frame(4, 30, False).assign(odd=[{"a": 1}] * 30)
    assert cf.lm("y ~ x", data).nobs == 30
    with pytest.raises(DataError, match="odd"):
        cf.lm("y ~ odd", data)


def test_duplicated_names_are_refused() -> None:
    data = frame(5, 30, False)
    twice = pd.concat([data, data[["x"]]], axis=1)
    arrow = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["x", "x"])
    for frame_ in (twice, arrow):
        with pytest.raises(DataError, match="duplicated"):
            cf.lm("y ~ x", frame_)


@pytest.mark.parametrize("wrap", [lambda d: d, nw.from_native])
def test_frames_that_are_yet_to_be_computed_are_refused(wrap: Callable[[Any], Any]) -> None:
    with pytest.raises(DataError, match=r"not LazyFrame; call .collect\(\) first"):
        cf.lm("y ~ x", wrap(pl.LazyFrame({"x": [1.0], "y": [1.0]})))


@pytest.mark.parametrize("thing", [None, 3, "heart", np.ones((3, 2)), pd.Series([1.0]), [1.0]])
def test_what_is_no_frame_is_refused(thing: object) -> None:
    with pytest.raises(
        DataError,
        match=f"must be a data frame .*, not {type(thing).__name__}(; the formula comes first, then the data)?$",
    ):
        cf.lm("y ~ x", thing)


def test_a_pandas_column_may_be_an_arrow_dictionary() -> None:
    data = frame(6, 30, False)
    kind = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    text = pd.Series(np.where(data["x"] > 0, "up", "down"))
    plain, coded = (cf.lm("y ~ g", data.assign(g=text.astype(t))) for t in ("object", kind))
    assert dict(plain.coef) == dict(coded.coef)
