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
    assert ran == 7


def test_the_tour_shows_what_it_should():
    for word in ("summary()", "with_vcov", "measure=", ".by(", "cf.table", "FormulaError", "causalformula fit"):
        assert word in README


def test_links_lead_somewhere():
    for path in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / path).exists(), path


def test_every_vignette_is_linked():
    linked = set(re.findall(r"\]\((vignettes/[^)#]+\.md)\)", README))
    assert linked == {f"vignettes/{path.name}" for path in (ROOT / "vignettes").glob("*.md")}
