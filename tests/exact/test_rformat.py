"""R's number formatting by its documented rules, on values worked out by hand."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalformula.results.text import coefmat
from causalformula.results.text import console as rtext
from causalformula.results.text import numbers as rformat
from causalformula.results.text import page as rlayout
from causalformula.results.text.coefmat import coefmat_cells, effect_cells, limit_names
from causalformula.results.text.console import omitted_line
from causalformula.results.text.numbers import (
    format_c,
    format_each,
    format_int,
    format_num,
    format_pval,
    quantile7,
    r_round,
    signif,
    stars,
    zapsmall,
)
from causalformula.results.text.page import WIDTH, display_width, matrix_text, pad_left, pad_right, vector_text

NAN = float("nan")
finite = st.floats(allow_nan=False, allow_infinity=False)


def effect_text(table, rows, width=WIDTH, **options):
    """The effect table on a page of R's width."""
    return effect_cells(table, rows, **options).text(width)


# ---- format ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "digits", "texts"),
    [
        ([1.0], 7, ["1"]),
        ([3.14159265358979], 7, ["3.141593"]),
        ([1.0, 10.5], 7, [" 1.0", "10.5"]),
        ([48.6722, 3.4709], 4, ["48.672", " 3.471"]),  # the neediest element decides
        ([100000.0], 7, ["1e+05"]),  # five characters against six
        ([123456.0], 7, ["123456"]),
        ([0.0001], 7, ["1e-04"]),
        ([0.00012], 7, ["0.00012"]),  # a tie in width stays fixed
        ([1e-300, 1.0], 7, ["1e-300", " 1e+00"]),
        ([NAN, 1.5, math.inf, -math.inf], 7, ["  NA", " 1.5", " Inf", "-Inf"]),
        ([NAN], 7, ["NA"]),
        ([-0.0], 7, ["0"]),
        ([99996.0], 4, ["99996"]),  # 1.000e+05, but fixed notation keeps all five digits before the point
        ([99999.7], 4, ["1e+05"]),
        ([0.1 + 0.2], 15, ["0.3"]),
        ([0.1 + 0.2], 17, ["0.30000000000000004"]),
    ],
)
def test_format(x, digits, texts):
    assert format_num(x, digits) == texts


def test_format_options():
    assert format_num([1.5, 20.0], nsmall=3) == [" 1.500", "20.000"]
    assert format_num([1.5], width=8) == ["     1.5"]
    assert format_num([1.5, 20.0], trim=True) == ["1.5", "20.0"]
    assert format_num([100000.0], scientific=False) == ["100000"]
    assert format_num([12.0], scientific=True) == ["1.2e+01"]
    assert format_num([NAN], na="NaN") == ["NaN"]
    assert format_num([]) == []


def test_format_each_ignores_the_neighbours():
    assert format_each([1.0, 10.25, 1e5, 1e-20]) == ["1", "10.25", "1e+05", "1e-20"]
    assert format_each([1 / 3], 15) == ["0.333333333333333"]


def test_whole_numbers_stay_whole():
    assert format_int([999, 100000]) == ["   999", "100000"]
    assert format_int([1.5, 100000]) == ["1.5e+00", "1.0e+05"]


@given(finite, st.integers(1, 15))
def test_format_keeps_the_digits_asked_for(x, digits):
    assert float(format_num([x], digits)[0]) == pytest.approx(
        float(f"{x:.{digits - 1}e}"), rel=0.5 * 10.0 ** (1 - digits)
    )


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.integers(1, 10))
def test_format_is_of_one_width(x, digits):
    texts = format_num(x, digits)
    assert len({len(t) for t in texts}) == 1
    assert len({"e" in t for t in texts}) == 1
    assert len({len(t.partition("e")[0].partition(".")[2]) for t in texts}) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"x": 3.73, "digits": 4}, " 3.73"),  # R pads to digits + 1
        ({"x": 1.0, "digits": 4}, "    1"),
        ({"x": NAN, "digits": 4}, "  NaN"),
        ({"x": 123456.0, "digits": 4}, "1.235e+05"),
        ({"x": 3.14159}, "3.142"),
        ({"x": 3.14159, "digits": 2, "format": "f", "width": 8}, "    3.14"),
        ({"x": 3.14159, "digits": 2, "format": "f", "width": 8, "flag": "-"}, "3.14    "),
        ({"x": 42.0, "format": "d", "width": 8, "flag": "0"}, "00000042"),
        ({"x": 2.0, "digits": 3, "flag": "#", "width": 1}, "2.00"),
        ({"x": 1234567.5, "digits": 1, "format": "f", "big_mark": ","}, "1,234,567.5"),
        ({"x": 1e300, "digits": 3, "big_mark": ","}, "1e+300"),
        ({"x": -math.inf, "width": 6, "flag": "-"}, "-Inf  "),
    ],
)
def test_format_c(arguments, text):
    assert format_c(**arguments) == text


# ---- rounding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "digits", "expected"),
    [
        (0.15, 1, 0.1),
        (0.25, 1, 0.2),
        (0.35, 1, 0.3),
        (2.675, 2, 2.67),
        (2.5, 0, 2.0),
        (-2.5, 0, -2.0),
        (123456.789, -2, 123500.0),
        (5e-324, 5, 0.0),
        (1.5, 400, 1.5),
        (1e200, -310, 0.0),
    ],
)
def test_round(x, digits, expected):
    assert r_round(x, digits) == expected


def test_rounding_keeps_shape_and_special_values():
    a = np.array([[1.26, NAN], [math.inf, -1.24]])
    np.testing.assert_array_equal(r_round(a, 1), [[1.3, NAN], [math.inf, -1.2]])
    np.testing.assert_array_equal(signif(a, 2), [[1.3, NAN], [math.inf, -1.2]])
    assert signif(12345.0, 30) == 12345.0
    assert signif(0.0, 3) == 0.0
    assert signif(1.2345e-305, 3) == 1.23e-305


def test_zapsmall():
    np.testing.assert_array_equal(zapsmall([1e-20, 1.0], 5), [0, 1])
    np.testing.assert_array_equal(zapsmall([3.1, math.pi / 10], 5), [3.1, 0.31416])
    np.testing.assert_array_equal(zapsmall([3.17, math.pi / 10], 5), [3.17, 0.3142])  # beyond the square root of ten
    np.testing.assert_array_equal(zapsmall([0.0, 0.0]), [0, 0])
    np.testing.assert_array_equal(zapsmall([math.inf, 0.4]), [math.inf, 0])


@given(st.lists(finite.filter(lambda v: abs(v) < 1e150), min_size=1, max_size=40))
def test_quantiles_are_numpys_linear_ones(x):
    ours, numpys = quantile7(x), np.quantile(x, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(ours, numpys, rtol=1e-13, atol=1e-13 * max(map(abs, x)))


# ---- p-values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "digits", "texts"),
    [
        ([1e-128], 3, ["<2e-16"]),
        ([1e-128], 4, ["< 2.2e-16"]),
        ([1e-30, 1.83e-15, 0.838], 3, ["< 2e-16", "1.83e-15", "0.838"]),
        ([1e-30, 0.838], 3, ["<2e-16", "0.838"]),
        ([0.02493, 6.2e-7], 3, ["0.0249", "6.2e-07"]),
        ([0.5, NAN], 3, ["0.5", "NA"]),
        ([0.0], 7, ["< 2.2204e-16"]),
        ([0.9, 0.00012], 3, ["0.90000", "0.00012"]),
        ([0.9, 0.0000999], 3, ["0.9", "9.99e-05"]),
    ],
)
def test_format_pval(p, digits, texts):
    assert format_pval(p, digits) == texts


def test_stars_close_on_the_right():
    p = [0, 0.001, 0.0010001, 0.01, 0.05, 0.1, 0.1001, 1, NAN]
    assert stars(p) == ["***", "***", "**", "**", "*", ".", " ", " ", ""]


# ---- layout ------------------------------------------------------------------------------------------------------


def test_widths_are_those_of_a_terminal():
    assert display_width("été") == 3
    assert display_width("水") == 2
    assert display_width("e\N{COMBINING ACUTE ACCENT}") == 1
    assert pad_left(["水", "abc"]) == [" 水", "abc"]
    assert pad_right(["水", "abc"]) == ["水 ", "abc"]


def test_vectors_wrap_at_the_page():
    text = vector_text(["1"] * 30, ["n" * 6] * 30)
    assert [len(line) for line in text.splitlines()] == [77, 77] * 2 + [56, 56]
    assert vector_text(["1", "22"]) == "[1]  1 22\n"
    assert vector_text(["3"] * 45).splitlines()[1].startswith("[39] 3")
    assert vector_text([], []) == ""


def test_matrices_wrap_below_the_page_width():
    text = matrix_text(["a" * 70], ["x", "yyyyyyy", "z"], [["1", "2", "3"]])
    pad = " " * 70
    assert text == f"{pad} x\n{'a' * 70} 1\n{pad} yyyyyyy\n{'a' * 70}       2\n{pad} z\n{'a' * 70} 3\n"
    assert matrix_text(["a"], ["x"], [["1"]], width=500) == "  x\na 1\n"


# ---- tables ------------------------------------------------------------------------------------------------------


def test_no_stars_and_no_legend_when_nothing_is_below_a_tenth():
    text = str(coefmat_cells([[1, 2, 0.5, 0.1]], ["a"], ["Estimate", "Std. Error", "t value", "Pr(>|t|)"]))
    assert text == "  Estimate Std. Error t value Pr(>|t|)\na        1          2     0.5      0.1\n"


def test_which_nan_is_na():
    cols = ["Estimate", "Std. Error", "t value", "Pr(>|t|)"]
    table = [[NAN] * 4, [25.0, NAN, NAN, NAN]]
    missing = [[True] * 4, [False] * 4]
    assert coefmat_cells(table, ["a", "b"], cols, missing=missing).body == (("NA",) * 4, ("25", "NaN", "NaN", "NaN"))
    assert coefmat_cells(table, ["a", "b"], cols, na_print="-").body[0] == ("-",) * 4


def test_cells_are_the_printed_ones():
    cols = ["Estimate", "Std. Error", "z value", "Pr(>|z|)"]
    cells = coefmat_cells([[-9.8877, 0.35288, -28.02, 0.0], [1, 1, 1, 0.3]], ["a", "b"], cols)
    assert cells.cols == (*cols, "")
    assert cells.body[0] == ("-9.8877", " 0.3529", "-28.02", "<2e-16", "***")
    assert cells.legend
    assert str(cells) == cells.text()


@pytest.mark.parametrize(
    ("level", "names"),
    [(0.95, ("2.5 %", "97.5 %")), (0.9, ("5 %", "95 %")), (0.99, ("0.5 %", "99.5 %")), (2 / 3, ("16.7 %", "83.3 %"))],
)
def test_limit_names(level, names):
    assert limit_names(level) == names


def test_effect_text_of_several_effects():
    table = [[2.5, 1.25, 2.0, 0.0455, 0.05, 4.95], [-1.0, 4.0, -0.25, 0.803, -8.84, 6.84]]
    assert effect_text(table, ["B - A", "C - A"], statistic="z", level=0.9) == (
        "      Estimate Std. Error z value Pr(>|z|)   5 %  95 %  \n"
        "B - A     2.50       1.25    2.00   0.0455  0.05  4.95 *\n"
        "C - A    -1.00       4.00   -0.25   0.8030 -8.84  6.84  \n"
        "---\n"
        "Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1\n"
    )


def test_omitted_rows_are_counted_in_words():
    assert omitted_line(0) == ""
    assert omitted_line(1) == "  (1 observation deleted due to missingness)\n"
    assert omitted_line(15) == "  (15 observations deleted due to missingness)\n"


def test_summaries_ask_for_nothing_heavy():
    """The modules themselves: what the package loads around them is the architecture tests' affair."""
    for module in (rlayout, rformat, coefmat, rtext):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
        names |= {str(node.module) for node in top if isinstance(node, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in names} & {"scipy", "pandas", "matplotlib", "statsmodels", "sklearn"}
