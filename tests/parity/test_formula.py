"""Terms, design matrices, prediction matrices and expressions against R's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causalformula.errors import CausalFormulaWarning, DataError, FormulaError
from causalformula.formula.expressions.evaluate import evaluate
from causalformula.formula.expressions.operators import numbers
from causalformula.formula.expressions.values import Columns, Factor, Logical, Strings, Value, number_label
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Call, Node
from causalformula.formula.matrix.design import Recipe, build, evaluate_variables
from causalformula.formula.matrix.terms import Terms, terms
from tests.parity.columns import model_matrix

from . import reference

BASES = 1e-9  # the design's tolerance for bases; column sums are on the scale of their largest entry


def column(series: pd.Series) -> Value:
    """A pandas column as a value."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return Factor(series.cat.codes.to_numpy(np.int32), tuple(series.cat.categories), bool(series.cat.ordered))
    if series.dtype == bool:
        return Logical.of(series.to_numpy())
    return series.to_numpy() if pd.api.types.is_numeric_dtype(series) else Strings.of(series)


def columns_of(frame: pd.DataFrame) -> dict[str, Value]:
    """A pandas frame as columns."""
    return {str(name): column(frame[name]) for name in frame}


def sides(text: str) -> tuple[Node | None, Node]:
    """Left and right of the tilde."""
    tree = parse_expression(text)
    assert isinstance(tree, Call) and tree.function == "~"
    args = [a.value for a in tree.args]
    return (args[0] if len(args) == 2 else None), args[-1]


def read(text: str, names: list[str] | None = None) -> Terms:
    """Terms of a formula, the dot standing for what the left side does not use."""
    left, right = sides(text)
    used = variables(left) if left is not None else []
    return terms(right, response=left, dot=[n for n in names or [] if n not in used], source=text)


def scale(matrix: np.ndarray) -> np.ndarray:
    """Size of each column."""
    return np.maximum(np.abs(matrix).max(axis=0), 1e-300) if len(matrix) else np.ones(matrix.shape[1])


MATRICES = [f"formula_{name}" for name in ("lalonde_basic", "dot", "dotted_names", "contr_sum_option", "missing_rows")]


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name in MATRICES for text in reference.values(name)], ids=lambda v: v
)
def test_model_matrix_of_reference_case(name: str, text: str) -> None:
    """R: model.matrix(formula, data)."""
    stored = reference.case(name)
    frame = reference.data(stored["data"])
    if name == "formula_dot":
        frame = frame[["treat", "age", "educ", "race", "married", "nodegree", "re74", "re75", "re78"]]
    expected = stored["values"][text]
    option = ("contr.sum", "contr.poly") if name == "formula_contr_sum_option" else None
    found = read(text, list(frame))
    matrix, recipe, evaluated = model_matrix(found, columns_of(frame), len(frame), contrasts=option, source=text)
    assert list(recipe.names) == expected["columns"]
    assert recipe.assign.tolist() == expected["assign"]
    assert list(found.term_labels) == expected["term_labels"]
    assert found.intercept == bool(expected["intercept"])
    assert len(matrix) == expected["nrow"]
    rows = evaluated.kept if evaluated.kept is not None else np.arange(len(frame))
    assert [str(i + 1) for i in rows[:12]] == expected["row_names_head"]
    size = scale(matrix)
    reference.close(matrix[:12], expected["head"], BASES, size, "head")
    # Sums over n rows: an error of n * BASES in the worst case, far less where the basis is right.
    reference.close(matrix.sum(axis=0), expected["col_sums"], BASES, size * len(matrix), "column sums")
    reference.close((matrix**2).sum(axis=0), expected["col_sumsq"], BASES, size**2, "sums of squares")
    if expected["offset_head"] is not None:
        offset = build(evaluated, evaluated.kept)[2]
        reference.close(offset[:12], expected["offset_head"], 1e-14, what="offset")
    for label, contrast in (expected["contrasts"] or {}).items():
        # R also lists contrasts of factors that no term codes by them.
        if isinstance(contrast, str) and label in recipe.contrasts:
            assert recipe.contrasts[label] == contrast


@pytest.mark.parametrize("text", list(reference.values("formula_parse_terms")))
def test_terms_of_reference_case(text: str) -> None:
    """R: terms(formula) and its attributes."""
    expected = reference.values("formula_parse_terms")[text]
    found = read(text)
    assert list(found.term_labels) == expected["term_labels"]
    assert list(found.order) == expected["order"]
    assert int(found.intercept) == expected["intercept"]
    assert int(found.response) == expected["response"]
    assert list(found.labels) == expected["variables"]
    assert [i + 1 for i in found.offsets] == ([] if expected["offset"] is None else [expected["offset"]])
    if expected["factors"] is not None:
        assert found.factors.tolist() == expected["factors"]["values"]


@pytest.mark.filterwarnings("ignore:bs.*beyond the boundary")
@pytest.mark.parametrize("text", list(reference.values("formula_safe_prediction")["models"]))
def test_prediction_matrix_of_reference_case(text: str) -> None:
    """R: model.matrix(delete.response(terms(lm)), newdata, xlev = , contrasts.arg = ), and the fitted line."""
    stored = reference.values("formula_safe_prediction")
    expected = stored["models"][text]
    frame, new = reference.data("lalonde.csv"), reference.table(stored["newdata"])
    _, recipe, _ = model_matrix(read(text), columns_of(frame), len(frame), source=text, drop_unused=True)
    matrix = recipe.apply(columns_of(new), len(new))
    assert list(recipe.names) == expected["newdata_columns"]
    theirs = np.array(expected["newdata_matrix"]["values"], dtype=float)
    reference.close(matrix, theirs, BASES, scale(theirs))
    fitted = matrix @ reference.vector(expected["coef"])
    reference.close(fitted, np.array(expected["fit"]["values"])[:, 0], 1e-8)


# -- our own values from R: tests/parity/r/formula.R --

OURS: dict[str, Any] = reference.values("r_formula")


def made(stored: dict[str, Any]) -> tuple[Columns, int]:
    """The synthetic data as columns."""
    out: dict[str, Value] = {}
    for name, value in stored.items():
        if isinstance(value, dict):
            out[name] = Factor(np.array(value["codes"]) - 1, tuple(value["levels"]), value["ordered"])
        elif isinstance(value[0], bool):
            out[name] = Logical.of(np.array(value))
        elif isinstance(value[0], str):
            out[name] = Strings.of(value)
        else:
            out[name] = reference.vector(value)
    return out, len(stored["x"])


DATA, ROWS = made(OURS["data"])
NEW, NEW_ROWS = made(OURS["newdata"])


@pytest.mark.parametrize("drop", ["all", "used"])
@pytest.mark.parametrize("text", list(OURS["matrices"]))
def test_model_matrix(text: str, drop: str) -> None:
    """R: model.matrix of model.frame, with unused levels kept and dropped."""
    expected = OURS["matrices"][text][drop]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        if "error" in expected:
            with pytest.raises((FormulaError, DataError)):
                model_matrix(read(text), DATA, ROWS, source=text, drop_unused=drop == "used")
            return
        matrix, recipe, evaluated = model_matrix(read(text), DATA, ROWS, source=text, drop_unused=drop == "used")
    assert list(recipe.names) == expected["columns"]
    assert recipe.assign.tolist() == expected["assign"]
    rows = evaluated.kept if evaluated.kept is not None else np.arange(ROWS)
    assert (rows + 1).tolist() == expected["rows"]
    theirs = np.array(expected["matrix"], dtype=float).reshape(matrix.shape)
    reference.close(matrix, theirs, BASES, scale(theirs))
    if expected["offset"]:
        reference.close(build(evaluated, evaluated.kept)[2], expected["offset"], 1e-10, 1.0)
    # The recipe makes the same matrix from the same data.
    again = recipe.apply(DATA, ROWS)[rows]
    np.testing.assert_array_equal(again, matrix)


@pytest.mark.parametrize("text", list(OURS["predictions"]))
def test_prediction_matrix(text: str) -> None:
    """R: model.matrix of new data with the terms, levels and contrasts of the fit, partly beyond the old range."""
    expected = OURS["predictions"][text]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        _, recipe, _ = model_matrix(read(text), DATA, ROWS, source=text, drop_unused=True)
        matrix = recipe.apply(NEW, NEW_ROWS)
    assert list(recipe.names) == expected["columns"]
    theirs = np.array(expected["matrix"], dtype=float)
    reference.close(matrix, theirs, BASES, scale(theirs))


@pytest.mark.parametrize("place", range(len(OURS["contrasts"])))
def test_contrasts_argument(place: int) -> None:
    """R: model.matrix(formula, data, contrasts.arg = list(...))."""
    expected = OURS["contrasts"][place]
    evaluated = evaluate_variables(read(expected["formula"]), DATA, ROWS)
    matrix, recipe, _ = build(evaluated, contrasts=expected["contrasts"])
    assert list(recipe.names) == expected["columns"]
    assert recipe.contrasts | expected["contrasts"] == recipe.contrasts
    reference.close(matrix, expected["matrix"], BASES, 1.0)


@pytest.mark.parametrize("text", list(OURS["expressions"]))
def test_expression(text: str) -> None:
    """R: as.numeric(expression)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        found = numbers(evaluate(parse_expression(text), {}, 1), text)
    expected = np.array([float(v.replace("NA", "nan")) for v in OURS["expressions"][text]])
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(("number", "label"), list(zip(OURS["numbers"], OURS["labels"], strict=True)))
def test_number_label(number: str, label: str) -> None:
    """R: as.character(number)."""
    assert number_label(float(number)) == label


@pytest.mark.parametrize("text", list(OURS["terms"]))
def test_terms_of_generated_formula(text: str) -> None:
    """R: terms(formula), for formulas drawn at random from the operators."""
    expected = OURS["terms"][text]
    found = read("~ " + text)
    assert list(found.term_labels) == expected["labels"]
    assert list(found.order) == expected["order"]
    assert int(found.intercept) == expected["intercept"]
    assert list(found.labels) == expected["variables"]
    assert [i + 1 for i in found.offsets] == expected["offset"]
    if found.coding:
        assert found.factors.T.ravel().tolist() == expected["factors"]


def test_recipe_is_what_a_fit_keeps() -> None:
    """The recipe holds no data."""
    _, recipe, _ = model_matrix(read("~ poly(x, 2) * f"), DATA, ROWS)
    assert isinstance(recipe, Recipe)
    assert all(not isinstance(v, np.ndarray) or v.size < ROWS for b in recipe.blocks.values() for v in vars(b).values())
