"""In a notebook everything stands as on the console, in letters of one width, and pastes as markdown or LaTeX."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from html import unescape

import pytest

import causalformula as cf
from causalformula import results
from causalformula.results.text.notebook import Shown, fenced
from causalformula.results.text.summary import Paged, Summary

FORMULA = "Severity ~ treat(Drug) + adjust(I.H)"


@pytest.fixture(scope="module")
def fit():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        return cf.fit(FORMULA, cf.datasets.load("heart"), method="ipw")


PRINTED = {
    "test": lambda fit: fit.hypothesis("b1 = 0").test,
    "hypotheses": lambda fit: fit.outcome.hypothesis("b1 = b2"),
    "inequalities": lambda fit: fit.outcome.hypothesis("b1 <= 0"),
    "anova": lambda fit: cf.anova(cf.lm("Severity ~ Drug * I.H", cf.datasets.load("heart"))),
    "permutation": lambda fit: fit.permutation_test(19, seed=1),
    "bands": lambda fit: fit.simultaneous(reps=99, seed=1),
    "balance": lambda fit: fit.design.balance(),
    "overlap": lambda fit: fit.design.overlap(),
    "weights": lambda fit: fit.design.summary(),
    "design": lambda fit: fit.design,
    "bptest": lambda fit: cf.bptest(cf.lm("Severity ~ Drug", cf.datasets.load("heart"))),
}
PAGES = {
    "result": lambda fit: fit,
    "model": lambda fit: fit.outcome,
    "summary": lambda fit: fit.summary(),
    "stack": lambda fit: cf.stack([fit, fit]),
    "table": lambda fit: cf.table([fit]),
    "comparison": lambda fit: cf.compare(FORMULA, cf.datasets.load("heart"), ["regression", "aipw"], truth=-10),
    "refutation": lambda fit: fit.refute(["subset", "leave_one_out"], reps=5, seed=1),
}
PRE = re.compile(r"<pre style=\"[^\"]*font-family: monospace[^\"]*white-space: pre;[^\"]*\">(.*?)</pre>", re.S)


@pytest.mark.parametrize("name", PRINTED)
def test_shown_as_printed(fit, name):
    thing = PRINTED[name](fit)
    assert PRE.fullmatch(thing._repr_html_())
    assert unescape(PRE.fullmatch(thing._repr_html_())[1]) == str(thing)
    assert thing._repr_markdown_() == f"```text\n{thing}\n```"


@pytest.mark.parametrize("name", [*PRINTED, *PAGES])
def test_at_the_prompt_as_printed(fit, name):
    thing = {**PRINTED, **PAGES}[name](fit)
    assert repr(thing) == str(thing)


def shown(base: type) -> set[type]:
    """A class, and all that are made from it."""
    return {base}.union(*map(shown, base.__subclasses__()))


def test_nothing_that_prints_is_shown_as_its_fields():
    for module in pkgutil.walk_packages(results.__path__, f"{results.__name__}."):
        importlib.import_module(module.name)
    printed = {*shown(Shown), *shown(Paged), *shown(Summary), *shown(cf.Table)}
    assert {cf.Test, cf.Result, cf.MatchedDesign} <= printed
    fields = [kind for kind in printed - {Shown, Paged} if hasattr(kind.__repr__, "__wrapped__")]
    assert not fields, f"their __repr__ is the dataclass's: {fields}"


@pytest.mark.parametrize("name", PAGES)
def test_pages(fit, name):
    thing = PAGES[name](fit)
    page = thing._repr_html_()
    assert page.count("<table>") >= 1 and page.count("<pre") == len(PRE.findall(page))
    assert thing._repr_latex_().count(r"\begin{tabular}") == page.count("<table>")
    pipes = [line for line in thing._repr_markdown_().splitlines() if line.startswith("| :--")]
    assert len(pipes) == page.count("<table>")
    # every number of the print is in each of them
    for number in re.findall(r"-?\d+\.\d{3,}", str(thing._page() if name in ("result", "model", "stack") else thing)):
        assert number in page and number in thing._repr_markdown_()


def test_markdown_of_a_summary(fit):
    text = fit.summary().as_markdown()
    assert text.startswith("```text\nAverage treatment effect of Drug on Severity\n")
    row = next(line for line in text.splitlines() if line.startswith("| Drug 1 - 0 |"))
    assert row.endswith(r"| \*\*\* |") and r"| Pr(>\|z\|) |" in text
    assert text.count("```") % 2 == 0


def test_lines_between_tables_are_one_block():
    assert Summary(("one", "two")).as_html().count("<pre") == 1
    assert Summary(("one", "two")).as_markdown() == "```text\none\ntwo\n```"
    assert fenced("```").startswith("````text\n")


def test_an_executed_notebook():
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbconvert = pytest.importorskip("nbconvert", reason="nbconvert is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    cells = [
        "import causalformula as cf",
        f"fit = cf.fit({FORMULA!r}, cf.datasets.load('heart'))\nfit",
        "fit.design.balance()",
        "fit.outcome.hypothesis('b1 = b2')",
        "cf.table([fit])",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, kernel_name="python3", timeout=120).execute()
    outputs = [output for cell in book.cells for output in cell.outputs if output.output_type == "execute_result"]
    assert len(outputs) == 4
    assert all({"text/html", "text/markdown", "text/plain"} <= set(output.data) for output in outputs)
    page, _ = nbconvert.HTMLExporter().from_notebook_node(book)
    assert len(PRE.findall(page)) >= 4 and "Balance Measures" in page
