"""Term algebra: what R's rules say, and what is refused."""

import pickle
import time
import warnings

import numpy as np
import pytest

from causalformula.errors import CausalFormulaWarning, FormulaError
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Name
from causalformula.formula.matrix.terms import MAX_TERMS, Terms, terms


def read(text: str, **given) -> Terms:
    return terms(parse_expression(text), source=text, **given)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a*b", ("a", "b", "a:b")),
        ("b:a + a", ("a", "b:a")),
        ("a/b/c", ("a", "a:b", "a:b:c")),
        ("(a + b)/c", ("a", "b", "a:b:c")),
        ("(a + b) %in% c", ("a:c", "b:c")),
        ("(a + b + c)^2 - a:b", ("a", "b", "c", "a:c", "b:c")),
        ("a - a", ()),
        ("a + NULL", ("a",)),
        ("a:a", ("a",)),
        ("a + offset(w) + b", ("a", "b")),
        ("log(a) + I(b^2)", ("log(a)", "I(b^2)")),
        ("`my column` + a", ("`my column`", "a")),
        ("a > 1", ("a > 1",)),
        ("(a)", ("a",)),
    ],
)
def test_labels(text: str, labels: tuple[str, ...]) -> None:
    assert read(text).term_labels == labels


@pytest.mark.parametrize(
    ("text", "intercept"),
    [("a", True), ("a - 1", False), ("0 + a", False), ("a + 0 + 1", True), ("a - 0", True), ("a - (b + 1)", False)],
)
def test_intercept(text: str, intercept: bool) -> None:
    assert read(text).intercept is intercept


def test_factor_codes_follow_the_margins() -> None:
    found = read("a + a:b + c:d")
    assert found.factors.tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 2], [0, 0, 2]]
    # c alone is no term here, but the earlier c:d holds it, so that e is coded by contrasts: R's rule.
    assert read("c:d + c:e").coding == (((0, 2), (1, 2)), ((0, 2), (2, 1)))


def test_offsets_cannot_be_taken_out() -> None:
    assert read("a - offset(w)").offsets == (1,)


def test_dot_stands_for_the_columns_given() -> None:
    assert read("a * (. - b)", dot=["a", "b", "c"]).term_labels == ("a", "c", "a:c")
    assert read(".^2", dot=["a", "b"]).term_labels == ("a", "b", "a:b")


def test_dot_without_data() -> None:
    with pytest.raises(FormulaError, match="no data to name them"):
        read("a + .")


def test_the_response_on_the_right_is_dropped_with_a_warning() -> None:
    with pytest.warns(CausalFormulaWarning, match="response y is also"):
        found = read("y + x", response=Name("y"))
    assert found.term_labels == ("x",)
    assert found.response and found.labels == ("y", "x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read("x", response=Name("y"))


@pytest.mark.parametrize(
    ("text", "message", "under"),
    [
        ("a + 2", "2 is not a term", "2"),
        ("a + TRUE", "TRUE is not a term", "TRUE"),
        ("a + 'b'", "a string is not a term", "'b'"),
        ("(a + b)^c", "the power of terms", "c"),
        ("(a + b)^0", "the power of terms", "0"),
        ("(a + b)^1.5", "the power of terms", "1.5"),
    ],
)
def test_refusals_point_at_the_place(text: str, message: str, under: str) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        read(text)
    start, stop = caught.value.span
    assert text[start:stop] == under
    assert "^" * len(under) in str(caught.value)


def test_an_explosion_of_terms_is_refused_at_once() -> None:
    text = "(" + " + ".join(f"x{i}" for i in range(40)) + ")^30"
    started = time.perf_counter()
    with pytest.raises(FormulaError, match=f"more than {MAX_TERMS} terms"):
        read(text)
    assert time.perf_counter() - started < 1


def test_many_terms_are_no_trouble() -> None:
    assert len(read(" + ".join(f"x{i}" for i in range(2500))).term_labels) == 2500
    pairs = read("(" + " + ".join(f"x{i}" for i in range(60)) + ")^2")
    assert len(pairs.coding) == 60 + 60 * 59 // 2
    assert all(code == 1 for term in pairs.coding for _, code in term)


def test_terms_are_plain_data() -> None:
    found = read("a * log(b) + offset(w)")
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    np.testing.assert_array_equal(again.factors, found.factors)
