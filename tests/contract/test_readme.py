"""The README keeps its promises: its commands are found, its tour prints what it shows."""

import re

import matplotlib
import pytest

from tests.vignettes import ROOT, outputs, tidied

matplotlib.use("Agg")
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["example", "tests"])
def test_a_command_block_follows_its_mark(name):
    assert re.search(rf"^<!-- command: {name} -->\n```sh\n\S", README, re.MULTILINE)


def test_the_introduction_is_five_lines():
    introduction = README.split("\n\n")[1]
    assert len(introduction.splitlines()) <= 5


def test_the_tour_prints_what_it_shows():
    ran = 0
    for block, printed in outputs(README):
        assert printed == tidied(block.output or ""), f"after\n{block.code}"
        ran += 1
    assert ran == 10


def test_the_tour_shows_what_it_should():
    for word in (
        "summary()",
        "with_vcov",
        "measure=",
        ".by(",
        "cf.table",
        "cf.compare",
        "FormulaError",
        "causalformula fit",
    ):
        assert word in README


def linked():
    """Sources of the site's pages that the README links to; PyPI shows it too, so its links are whole addresses."""
    site = "https://causalformula.readthedocs.io/en/latest/"
    return set(re.findall(rf"^\[[\w-]+\]: {re.escape(site)}([\w/-]+)\.html$", README, re.MULTILINE))


def test_links_lead_somewhere():
    assert not re.findall(r"\]\((?!https?:)", README), "a relative link, which PyPI does not have"
    for page in linked():
        folder = ROOT if page.startswith("vignettes/") else ROOT / "docs"
        assert any((folder / f"{page}{end}").exists() for end in (".md", ".rst")), page
    used = set(re.findall(r"\]\[([\w-]+)\]", README))
    assert used == set(re.findall(r"^\[([\w-]+)\]: ", README, re.MULTILINE))


def test_every_vignette_is_linked():
    pages = {page for page in linked() if page.startswith("vignettes/")}
    assert pages == {f"vignettes/{path.stem}" for path in (ROOT / "vignettes").glob("*.md")}
