"""``cf.model_matrix`` against R's ``model.matrix``, from data frame to data frame: every stored formula."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from tests.parity import reference

CASES = [f"formula_{name}" for name in ("lalonde_basic", "dot", "dotted_names", "contr_sum_option", "missing_rows")]
# The data set of the dot case, as R had it.
DOTTED = ["treat", "age", "educ", "race", "married", "nodegree", "re74", "re75", "re78"]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name in CASES for text in reference.values(name)])
def test_model_matrix(name: str, text: str) -> None:
    """R: model.matrix(formula, data): names, row names, the first rows, and sums over all of them."""
    stored = reference.case(name)
    expected, frame = stored["values"][text], reference.data(stored["data"])
    frame = frame[DOTTED] if name == "formula_dot" else frame
    option = ("contr.sum", "contr.poly") if name == "formula_contr_sum_option" else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        X = cf.model_matrix(text, frame, contrasts=option)
    assert list(X.columns) == expected["columns"]
    assert len(X) == expected["nrow"]
    assert [str(label + 1) for label in X.index[:12]] == expected["row_names_head"]
    size = np.maximum(np.abs(X.to_numpy()).max(axis=0, initial=0), 1e-300)
    reference.close(X.head(12), expected["head"], 1e-9, size, "head")
    reference.close(X.sum(), expected["col_sums"], 1e-9, size * len(X), "column sums")
