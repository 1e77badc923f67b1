"""The site's pages: every role, method and public name is there, and every call of ours that a page shows runs."""

import inspect
import pkgutil
import re
import runpy
import shutil
import sys
import warnings

import matplotlib
import pytest

import causalformula as cf
from causalformula.backends import catalogue, registry
from causalformula.backends.estimands import ESTIMANDS
from causalformula.errors import CapabilityError, CausalFormulaWarning
from causalformula.formula.language.grammar import ROLES
from causalformula.results.families.faces import face_of
from tests.vignettes import ROOT, calls, namespace, outputs, table_rows, tidied

matplotlib.use("Agg")
DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("the site's sources are not here", allow_module_level=True)
sys.path.insert(0, str(DOCS / "_ext"))
import record_tables as tables  # noqa: E402

PAGES = sorted(DOCS.glob("*.md"))
# What each R package exports for its users.
VERBS = {
    line.split()[0]: line.partition(": ")[2].split()
    for line in (ROOT / "tests" / "contract" / "r_verbs.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
}
# Words of a cell that holds no call of ours.
WITHOUT = ("not yet: ", "no counterpart")


@pytest.fixture(autouse=True)
def in_silence():
    from matplotlib import pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        yield
    plt.close("all")


def read(name):
    return (DOCS / name).read_text(encoding="utf-8")


def rows(name):
    """The cells of every row of a page's tables, but for the headers."""
    return [row for row in table_rows(read(name)) if row[0] not in ("R", "call")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_code_prints_what_the_page_shows(page):
    for block, printed in outputs(page.read_text(encoding="utf-8")):
        assert printed == tidied(block.output or ""), f"after\n{block.code}"


@pytest.mark.parametrize("name, column", [("from-r.md", 1), ("results.md", 0)])
def test_every_call_of_ours_runs(name, column, capsys):
    made, ran = namespace(read(name)), 0
    for row in rows(name):
        if row[column].startswith(WITHOUT):
            continue
        assert calls(row[column]), f"no call in {row}"
        for call in calls(row[column]):
            if not call.startswith("."):
                eval(compile(call, name, "eval"), dict(made))
                ran += 1
    assert ran > 30


def test_what_is_not_yet_there_is_planned():
    """A row that says "not yet" becomes a call when the method arrives."""
    waiting = {row[0]: row[1].removeprefix("not yet: ") for row in rows("from-r.md") if row[1].startswith("not yet")}
    assert len(waiting) > 3
    for r, method in waiting.items():
        assert catalogue.planned(method.strip("`")), f"{r} is there now: write the call in docs/from-r.md"


@pytest.mark.parametrize("package", VERBS)
def test_every_verb_of_a_package_has_a_row_or_a_line(package):
    """In a piece of code of R's side, or among those without a counterpart."""
    section = read("from-r.md").partition(f"\n## {package}\n")[2].partition("\n## ")[0]
    assert section.startswith("\n| R | here |")
    table, _, without = section.partition("No counterpart:")
    theirs = [row[0] for row in table_rows(table)] + re.findall(r"`[^`]+`", without)
    named = set(re.findall(r"(?<![\w.])[A-Za-z][\w.]*", " ".join(code for cell in theirs for code in calls(cell))))
    assert set(VERBS[package]) <= named, f"no row: {set(VERBS[package]) - named}"


# Values in R's calls that are functions, constants or columns that matching adds.
KNOWN_IN_R = {"TRUE", "FALSE", "NULL", "Inf", "binomial", "exp", "subclass", "svymean", "vcovCL", "vcovHC", "weights"}


def test_names_in_r_calls_are_made_on_the_page():
    """By the block of R, as a column of the data, or as an argument of a function that the call writes."""
    text = read("from-r.md")
    block = text.partition("```r\n")[2].partition("```")[0]
    made = namespace(text)
    known = KNOWN_IN_R | {
        *made["heart"],
        *made["panel"],
        *made["adopters"],
        *re.findall(r"^(\w+) <- ", block, re.MULTILINE),
    }
    for row in rows("from-r.md"):
        for call in calls(row[0]):
            bare = re.sub(r'"[^"]*"|[\w.]+::', "", call)
            own = {name.strip() for found in re.findall(r"function\(([^)]*)\)", bare) for name in found.split(",")}
            names = set(re.findall(r"(?<![\w.$])[A-Za-z][\w.]*+(?!\s*\()(?!\s*=(?!=))", bare))
            assert names <= known | own, f"{names - known - own} in {call}"


def test_the_packages_of_the_page_are_loaded():
    text = read("from-r.md")
    sections = set(re.findall(r"^## (.*)", text, re.MULTILINE)) - {"stats and car"}
    assert sections == set(re.findall(r"library\((\w+)\)", text))


def test_every_matching_method_of_matchit_is_named():
    text = read("from-r.md")
    for method in ("nearest", "optimal", "full", "quick", "genetic", "cem", "exact", "cardinality", "subclass"):
        assert f'matchit(method = "{method}")' in text or f'method = "{method}"' in text


# ---- the tables that the package writes ----------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_an_example_that_runs(role):
    example = tables.EXAMPLES[role]
    assert f"{role}(" in example and example in tables.roles_table()
    made = namespace(read("roles.md"))
    if tables.readers(role):
        assert eval(example, made).tidy()["estimate"].notna().all()
    else:
        with pytest.raises(CapabilityError, match="not available yet"):
            eval(example, made)
        assert f"{ROLES[role].meaning} (no method reads it yet)" in tables.roles_table()


def test_no_example_is_left_over():
    assert list(tables.EXAMPLES) == list(ROLES)


def test_every_record_has_a_row_in_every_table():
    for table in (tables.methods_table(), tables.options_table(), tables.readers_table()):
        first = [line.split(" | ")[0] for line in table.splitlines()[2:]]
        assert [calls(cell)[0] for cell in first] == [record.name for record in registry.methods()]


def test_the_tables_of_methods_explain_their_words():
    (did,) = [line for line in tables.methods_table().splitlines() if line.startswith("| `did`")]
    assert "classical; clustered by id with unit = id" in did
    named = {word for r in registry.methods() for word in r.estimands}
    assert [calls(line)[0] for line in tables.estimands_table().splitlines()[2:]] == [
        row.name for row in ESTIMANDS.values() if row.name in named
    ]
    assert tables.glosses().startswith("`asympt` is M-estimation")
    for page in ("roles.md", "results.md"):
        assert set(re.findall(r"AT[A-Z]+", read(page))) >= {"ATO", "ATM", "ATOS"}


def test_a_bar_in_a_cell_does_not_end_it():
    assert tables.markdown(("a",), [("x |> y",)]).splitlines()[-1] == r"| x \|> y |"


def test_planned_methods_are_listed():
    assert set(calls(tables.planned_list())) == {name for name, where in catalogue.CATALOGUE.items() if not where}


def test_every_table_is_shown():
    shown = {name for page in PAGES for name in re.findall(r"```\{records\} (\w+)", page.read_text(encoding="utf-8"))}
    assert shown == set(tables.TABLES)


# ---- the API reference -----------------------------------------------------------------------------------------------


def test_every_public_name_is_in_the_api_reference():
    listed = set(re.findall(r"^   ([\w.]+)$", read("api/index.rst"), re.MULTILINE))
    assert set(cf.__all__) <= listed, f"missing: {set(cf.__all__) - listed}"
    for path in listed:
        assert inspect.getdoc(pkgutil.resolve_name(f"causalformula.{path}")), path


def test_every_family_of_results_is_in_the_api_reference():
    listed = read("api/index.rst")
    for record in registry.methods():
        face = face_of(record.face)
        named = face.__name__ in cf.__all__
        assert named or f"results.{face.__module__.partition('.results.')[2]}." in listed, record.face


def test_pages_of_what_is_no_more_are_cleared(tmp_path):
    """Whoever builds the site again has no warnings of files that an earlier build made."""
    for folder in ("docs", "vignettes"):
        (tmp_path / folder).mkdir()
    for name in ("pyproject.toml", "docs/conf.py", "vignettes/02-weighting.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    old = [tmp_path / "docs" / name for name in ("api/generated/causalformula.gone.rst", "vignettes/99-gone.md")]
    for path in old:
        path.parent.mkdir(parents=True)
        path.write_text("gone", "utf-8")
    runpy.run_path(str(tmp_path / "docs" / "conf.py"))
    assert not [path for path in old if path.exists()]
    assert (tmp_path / "docs" / "vignettes" / "02-weighting.md").exists()


# ---- help(cf) --------------------------------------------------------------------------------------------------------


def test_help_is_a_page():
    import pydoc

    text = pydoc.render_doc(cf, renderer=pydoc.plaintext)
    assert len(text.splitlines()) < 60
    for word in ("cf.fit", "cf.design", "dir(cf)", "https://"):
        assert word in text
    assert set(cf.__all__) <= set(dir(cf))
