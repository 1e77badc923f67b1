"""Base R's functions in formulas, and dates, against R's values: every stored expression and design matrix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.formula.expressions.evaluate import evaluate
from causalformula.formula.expressions.operators import floats
from causalformula.formula.expressions.values import as_factor, as_strings
from causalformula.formula.language.parse import parse_expression
from causalformula.frame.columns import Table

# As numbers times are days here, and R's seconds: a departure.
SECONDS = {"as.numeric(time)": slice(None), "~ time": (slice(None), 1)}
STORED: dict[str, Any] = json.loads((Path(__file__).parent / "values/r_functions.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    columns = {name: [np.nan if v is None else v for v in values] for name, values in STORED["data"].items()}
    frame = pd.DataFrame(columns)
    frame["date"] = [pd.Timestamp(v).date() for v in frame["date"]]
    frame["time"] = pd.to_datetime(frame["time"])
    return frame


def value(text: str, data: pd.DataFrame) -> Any:
    table = Table(data)
    return evaluate(parse_expression(text), table.columns(table.names), table.n)


@pytest.mark.parametrize("text", STORED["numbers"])
def test_numbers(text: str, data: pd.DataFrame) -> None:
    """R: eval(parse(text = text), data)."""
    expected = np.array([np.nan if v is None else v for v in STORED["numbers"][text]], dtype=float)
    got = floats(value(text, data), text)
    if text in SECONDS:
        got = got * 86400
    assert got.shape == expected.shape
    # qnorm and the gamma functions of R and scipy differ in the last digits
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("text", STORED["texts"])
def test_texts(text: str, data: pd.DataFrame) -> None:
    """R: as.character(eval(parse(text = text), data))."""
    found = as_strings(value(text, data))
    assert [found.table[c] for c in found.codes] == STORED["texts"][text]


def test_labels_of_dates(data: pd.DataFrame) -> None:
    """R: levels(factor(date)), of times too, and of times that are all midnight."""
    data = data.assign(midnight=pd.to_datetime(data["date"].astype(str)))
    for name, expected in STORED["levels"].items():
        assert list(as_factor(value(name, data)).levels) == expected


@pytest.mark.parametrize("text", STORED["matrices"])
def test_matrices(text: str, data: pd.DataFrame) -> None:
    """R: model.matrix(formula, data)."""
    expected = STORED["matrices"][text]
    X = cf.model_matrix(text, data)
    assert list(X.columns) == expected["columns"]
    right = np.array(expected["values"], dtype=float)
    if text in SECONDS:
        right[SECONDS[text]] /= 86400
    np.testing.assert_allclose(X.to_numpy(), right, rtol=1e-9, atol=1e-12)
