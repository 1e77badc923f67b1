"""``cf.model_matrix``: rows, names and levels as R's ``model.matrix`` has them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import DataError, FormulaError

DATA = pd.DataFrame(
    {
        "y": [1.0, 2, np.nan, 4, 5],
        "x": [1.0, 2, 3, 4, np.nan],
        "f": pd.Categorical(["b", "a", "a", "b", "b"], categories=["a", "b", "never"]),
        "t": [True, False, True, True, False],
    },
    index=list("pqrst"),
)


def test_rows_and_names() -> None:
    """A missing value on either side drops the row; a level without rows keeps its column."""
    X = cf.model_matrix("y ~ x * f", DATA)
    assert list(X.columns) == ["(Intercept)", "x", "fb", "fnever", "x:fb", "x:fnever"]
    assert list(X.index) == ["p", "q", "s"]
    np.testing.assert_array_equal(X["x:fb"], [1, 0, 4])
    assert list(cf.model_matrix("~ x", DATA).index) == ["p", "q", "r", "s"]


def test_options() -> None:
    assert list(cf.model_matrix("~ f + t", DATA, contrasts={"f": "contr.sum"})) == ["(Intercept)", "f1", "f2", "tTRUE"]
    assert list(cf.model_matrix("~ half(x)", DATA, env={"half": lambda v: v / 2})["half(x)"]) == [0.5, 1, 1.5, 2]
    assert list(cf.model_matrix("y ~ .", DATA)) == ["(Intercept)", "x", "fb", "fnever", "tTRUE"]
    assert cf.model_matrix("~ 0", DATA).shape == (5, 0)
    with pytest.raises(DataError, match=r"missing values in x \(1\); rows t"):
        cf.model_matrix("~ x", DATA, na_action="fail")
    with pytest.raises(FormulaError, match="no `~`"):
        cf.model_matrix("x", DATA)
