"""Summaries as HTML and LaTeX: every table a table, its stars explained, nothing that TeX would read as its own."""

import re

import numpy as np
import pytest

import causalformula as cf
from causalformula.results.effects.summary import Summary
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.markup import html, latex

# What TeX takes for a command, unless a backslash stands before it.
SPECIAL = re.compile(r"(?<!\\)[%$#_]|[<>|\t‘’“”\"]")
LEGEND = "0.001 `**' 0.01 `*' 0.05 `.' 0.1"


@pytest.fixture(scope="module")
def heart():
    heart = cf.datasets.load("heart")
    return heart.assign(severe_1=(heart["Severity"] > 50).astype(int), share=np.arange(1000) % 7)


@pytest.fixture(scope="module", params=["lm", "glm", "ipw", "wide"])
def summary(request, heart):
    fits = {
        "lm": lambda: cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart, vcov="HC3"),
        "glm": lambda: cf.fit("severe_1 ~ treat(Drug) + I.H", heart, family="binomial"),
        "ipw": lambda: cf.fit("Severity ~ treat(Drug) + I.H", heart, method="ipw"),
        "wide": lambda: cf.fit("Severity ~ treat(Drug) + I(I.H^2):`share` + I.H", heart.iloc[:7]),
    }
    return fits[request.param]().summary()


def environments(text):
    return re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, flags=re.S)


def test_the_models_tables_are_tables_too(summary):
    tables = [part for part in summary.parts if isinstance(part, Cells)]
    assert len(tables) >= 2
    text = summary.as_latex()
    found = environments(text)
    assert len(found) == len(tables) == summary.as_html().count("<table>")
    for table, written in zip(tables, found, strict=True):
        rows = [line for line in written.splitlines() if line.endswith(r"\\")]
        assert [row.count(" & ") for row in rows] == [len(table.cols)] * (len(table.rows) + 1)
    outside = re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "", text, flags=re.S)
    assert "Std. Error" not in outside


def test_nothing_is_left_to_tex(summary):
    text = summary.as_latex()
    outside = re.sub(r"\\(begin|end)\{tabular\}(\{[lr]+\})?|\\(hline|noindent)|\\text\w*\{\}?", "", text)
    assert not SPECIAL.search(outside)
    assert text.count("{") == text.count("}")
    # a break followed by a star or a bracket would be read as one command
    assert not re.search(r"\\\\\s*[*\[]", text)


def test_stars_are_explained_below_their_table(summary):
    starred = [part for part in summary.parts if isinstance(part, Cells) and part.legend]
    assert starred
    assert summary.as_latex().count(LEGEND) == len(starred)
    assert summary.as_html().count("0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1") == len(starred)


def test_text_and_tables_are_paragraphs_of_their_own():
    table = Cells(("a",), ("x",), (("1",),), False)
    text = Summary(("above", table, "below\nlast")).as_latex()
    assert text.startswith("\\noindent\nabove\n\n\\begin{tabular}")
    assert text.endswith("\\end{tabular}\n\n\\noindent\nbelow \\\\\nlast")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("‘***’ “a”", "`***' ``a''"),
        ("a\tb", "a b"),
        ("p < 0.05 & 5%", r"p \textless{} 0.05 \& 5\%"),
        ("x_1 ~ y^2 \\ {z}", r"x\_1 \textasciitilde{} y\textasciicircum{}2 \textbackslash{} \{z\}"),
        ("* p", "{}* p"),
        ("[0, 1]", "{}[0, 1]"),
    ],
)
def test_characters(text, written):
    assert latex(text) == f"\\noindent\n{written}"


def test_numbers_stay_below_their_names():
    lines = latex("Residuals:\n   Min     1Q \n-15.00  -3.22 ").splitlines()
    assert lines[1:] == ["Residuals: \\\\", "\\texttt{~~~Min~~~~~1Q} \\\\", "\\texttt{-15.00~~-3.22}"]


def test_blank_text_is_nothing():
    assert latex(" \n") == html("\n") == ""


def test_the_printed_text_is_that_of_effect_and_model(heart):
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart)
    assert str(fit.summary()) == f"{fit}\n\nOutcome model:\n{str(fit.outcome.summary()).strip(chr(10))}"
