"""What surrounds the code agrees with itself: addresses, versions, the commands of CI, what documents promise."""

import re
import tomllib

import pytest

import causalformula as cf
from causalformula.backends import registry
from causalformula.backends.catalogue import CATALOGUE, planned
from causalformula.formula.language.grammar import ROLES
from tests.vignettes import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
URLS = PYPROJECT["project"]["urls"]
FILES = ["CITATION.cff", "CONTRIBUTING.md", "SECURITY.md", ".pre-commit-config.yaml", ".readthedocs.yaml"]
WORKFLOW = ".github/workflows/ci.yml"
# The distribution of the sources has what the tests need, and not what the repository's hosts read.
if not (ROOT / WORKFLOW).exists():
    pytest.skip("not a checkout of the repository", allow_module_level=True)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_the_files_of_a_kept_project_are_there(name):
    assert read(name).strip()


def test_addresses_of_the_project_begin_as_pyproject_says():
    documents = ["README.md", "CHANGELOG.md", *FILES, *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
    ours = [u for name in documents for u in re.findall(r"https://[^\s)>\"']*causalformula[^\s)>\"']*", read(name))]
    assert len(ours) > 10
    for url in [*ours, *URLS.values(), *re.findall(r"https://\S+", cf.__doc__)]:
        assert url.startswith((URLS["Documentation"], URLS["Source"])), url


def test_versions_agree():
    version = PYPROJECT["project"]["version"]
    assert version == cf.__version__
    assert f"\nversion: {version}\n" in read("CITATION.cff")


def test_python_versions_are_the_ones_that_ci_runs():
    named = {c.rpartition(" ")[2] for c in PYPROJECT["project"]["classifiers"] if ":: 3." in c}
    assert named == {"3.11", *re.findall(r'"(3\.\d+)"', read(WORKFLOW))}
    assert PYPROJECT["project"]["requires-python"] == ">=3.11"


def test_the_workflow_calls_ci_run_which_builds_the_site():
    assert "- run: .ci/run\n" in read(WORKFLOW)
    assert "sphinx-build -q -W" in read(".ci/run")


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_it_is_installed_from_a_checkout(page):
    assert f"\ngit clone {URLS['Source']}\npip install ./causalformula\n" in read(page)


def test_the_contributing_page_says_what_ci_runs():
    told = read("CONTRIBUTING.md").partition("`.ci/run` is what CI runs")[2].partition("```")[0]
    steps = re.findall(r'^step "(.*)"$', read(".ci/run"), re.MULTILINE)
    words = {
        "README": "README's two commands",
        "long vignettes": "long vignettes",
        "style": "ruff",
        "types": "mypy",
        "site": "the site",
        "import rules": "import rules",
        "speed": "benchmarks",
        "older pandas": "pandas",
        "lowest versions": "lowest version",
        "together": "neighbours",
        "beside DoubleML": "DoubleML",
        "beside scikit-uplift": "scikit-uplift and causalml",
        "beside EconML": "EconML",
        "beside DoWhy": "DoWhy",
        "beside diff-diff": "diff-diff and csdid",
        "clusters": "clusters of Dask and Spark",
        "beside pyfixest": "pyfixest",
        "R's values": "R's values",
    }
    for step in steps:
        if step != "all is well":
            assert any(key in step and word in " ".join(told.split()) for key, word in words.items()), step
    assert "later versions of Python" in " ".join(told.split()) and "pythons:" in read(WORKFLOW)
    assert {"ruff check .", "ruff format --check ."} <= set(re.findall(r"ruff .*", read(".ci/run")))


def test_the_changelog_says_how_things_are_deprecated():
    head = read("CHANGELOG.md").partition("## [Unreleased]")[0]
    assert "FutureWarning" in head and "removed or renamed" in head


def test_the_readme_names_every_role():
    table = read("README.md").partition("## Roles of the formula")[2].partition("\n## ")[0]
    assert set(ROLES) == set(re.findall(r"`(\w+)\(", table)) - {"poly", "factor"}


def test_what_the_readme_says_is_not_read_is_not_read():
    (row,) = [line for line in read("README.md").splitlines() if line.endswith("no method uses it yet |")]
    used = {role for record in registry.methods() for role in record.roles}
    assert not set(re.findall(r"`(\w+)\(", row)) & used


# What the README says is missing, and the methods, or the role, whose arrival makes it untrue.
MISSING = {
    **{name: (name,) for name in ("optimal", "full", "quick", "cardinality", "genetic")},
    "causal forests": ("causal_forest",),
    "fixed effects": ("fe",),
    "front-door": ("front_door",),
    "censoring": ("censoring",),
    "event studies by regression or imputation": ("sunab", "imputation", "etwfe"),
}


def test_what_the_readme_says_is_missing_is_missing():
    sentence = " ".join(read("README.md").partition("Not yet available: ")[2].partition("\n\n")[0].split())
    used = {role for record in registry.methods() for role in record.roles}
    waiting = {name for name in CATALOGUE if planned(name)} | (set(ROLES) - used)
    assert waiting <= {name for names in MISSING.values() for name in names}
    for words, names in MISSING.items():
        assert (words in sentence) == bool(waiting & set(names)), words
    with pytest.raises(cf.CapabilityError, match="no method for survival outcomes"):
        cf.fit("Surv(I.H, Severity) ~ treat(Drug)", cf.datasets.load("heart"))
    assert "survival outcomes" in sentence
