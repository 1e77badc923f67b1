"""Every vignette is run, and prints what it shows; the first one finds the study's known numbers."""

import re

import matplotlib
import pytest

import causalformula as cf
from causalformula.backends import kit, registry
from causalformula.backends.catalogue import CATALOGUE
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.regression import FittedRegression
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import CR_TYPES, HAC, HC, HC_TYPES, Asympt, Classical, Cluster, DriscollKraay
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.numerics.families import Family
from tests.vignettes import ROOT, blocks, documents, outputs, tidied

matplotlib.use("Agg")
VIGNETTES = [path for path in documents() if path.parent.name == "vignettes"]


# Those that take half a minute each have a step of their own.
LONG = (
    "04-doubly-robust", "05-individual-effects", "06-who-to-treat", "10-how-wrong-could-it-be",
    "11-more-data-than-memory",
)  # fmt: skip
PAGES = [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LONG else []) for path in VIGNETTES]


@pytest.fixture(params=VIGNETTES, ids=lambda path: path.stem)
def vignette(request):
    return request.param


@pytest.mark.parametrize("vignette", PAGES)
def test_code_prints_what_the_page_shows(vignette, monkeypatch):
    """``python -m tests.vignettes --update`` writes the outputs anew, for a reader to judge."""
    from matplotlib import pyplot as plt

    # a page may file a method of its own, and take it out again
    own = {record.name: record for record in registry.methods() if record.name in CATALOGUE}
    monkeypatch.setattr(registry, "RECORDS", own)
    code = "\n".join(block.code for block in blocks(vignette.read_text(encoding="utf-8")) if block.language == "python")
    for package in re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE):
        pytest.importorskip(package, reason=f"{vignette.name} needs {package} (the extra `test`)")
    for block, printed in outputs(vignette.read_text(encoding="utf-8")):
        assert printed == tidied(block.output or ""), f"after\n{block.code}"
        assert block.picture is None or plt.get_fignums(), f"no figure for {block.picture}"
        plt.close("all")


def test_links_and_pictures_are_there(vignette):
    text = vignette.read_text(encoding="utf-8")
    for path in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (vignette.parent / path).exists(), path


def test_every_picture_is_shown_somewhere():
    shown = {p for path in VIGNETTES for p in re.findall(r"\]\((images/[^)]+)\)", path.read_text(encoding="utf-8"))}
    there = {f"images/{path.name}" for path in (ROOT / "vignettes" / "images").glob("*")}
    assert shown == there


def test_no_block_of_code_is_left_out():
    text = "```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\nx = 1\n```\n\n```sh\nls\n```\n"
    found = list(blocks(text))
    assert [(b.language, b.output, b.runs) for b in found] == [
        ("python", "1\n", True),
        ("python", None, True),
        ("sh", None, False),
    ]


def test_an_output_that_is_wrong_is_seen():
    (found,) = outputs("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
    assert found[1] == "2" != tidied(found[0].output)


@pytest.mark.parametrize(
    "number",
    ["3.4709", "-9.8877", "0.3529", "-28.02", "0.8561", "2965", "-2994.6", "5997.2", "6016.9", "5995", "6010"],
)
def test_the_first_vignette_finds_the_known_numbers(number):
    """In what the code prints, not in the text around it (rounded where it prints more digits)."""
    text = next(path for path in VIGNETTES if path.stem.startswith("01-")).read_text(encoding="utf-8")
    printed = "\n".join(block.output or "" for block in blocks(text))
    numbers = {float(n) for n in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", printed)}
    places = len(number.partition(".")[2])
    assert float(number) in {round(n, places) for n in numbers}


@pytest.mark.parametrize("place", ["vignette 00", "cf.fit"])
def test_every_covariance_is_listed(place):
    """Wherever the covariances are listed all are there, and each can be asked for as it is written."""
    if place == "vignette 00":
        text = next(path for path in VIGNETTES if path.stem.startswith("00-")).read_text(encoding="utf-8")
        rows = [line.split("|")[1] for line in text.splitlines() if line.startswith('| `"')]
        found = [name for row in rows for name in re.findall(r'`"([^"]+)"`', row)]
    else:
        text = cf.fit.__doc__.partition("vcov : ")[2].partition("subset : ")[0]
        text = text.replace('``"HC0"`` to ``"HC5"``', " ".join(f'``"HC{k}"``' for k in range(6)))
        found = re.findall(r'``"([^"]+)"``', text)
    requests = [read_request(name) for name in found]
    kinds = {type(request) for request in requests}
    assert kinds == {HC, Asympt, Cluster, HAC, DriscollKraay, Classical, Bootstrap, Jackknife, Wild}
    assert {request.type for request in requests if isinstance(request, HC)} == set(HC_TYPES)
    assert {request.type for request in requests if isinstance(request, Cluster)} == {*CR_TYPES, None}
    assert any(isinstance(request, Cluster) and len(request.by) == 2 for request in requests)


def test_the_table_of_names_is_complete_and_true():
    """Whatever the method of vignette 00 is made of has a place in the table below it, and every name there exists."""
    text = next(path for path in VIGNETTES if path.stem.startswith("00-")).read_text(encoding="utf-8")
    code = text.partition("<!-- a method of your own -->")[2].partition("\n```\n")[0]
    table = text.partition("What it uses, by name:")[2].partition("That is all.")[0]
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", table))))
    own = r"\b(?:frame|options|the_treatment|setting|m|e|hat|family)\.(\w+)"
    used = {*kit.__all__, *re.findall(own, code)}
    assert used <= named, f"not in the table: {used - named}"
    holders = {"frame": ModelFrame, "options": kit.Options}
    for holder, name in re.findall(r"\b(frame|options)\.(\w+)", table):
        assert name in dir(holders[holder]) or name in holders[holder].__dataclass_fields__, f"{holder}.{name}"
    model = {
        name for row in table.splitlines() if row.startswith("| `fit_outcome`") for name in re.findall(r"`\.(\w+)", row)
    }
    known = {*dir(FittedRegression), *FittedRegression.__dataclass_fields__, *dir(Family), *Family.__dataclass_fields__}
    assert model and model <= known, model - known
