"""Every vignette is run, and prints what it shows; the first one finds the study's known numbers."""

import re

import matplotlib
import pytest

from tests.vignettes import ROOT, blocks, documents, outputs, tidied

matplotlib.use("Agg")
VIGNETTES = [path for path in documents() if path.parent.name == "vignettes"]


@pytest.fixture(params=VIGNETTES, ids=lambda path: path.stem)
def vignette(request):
    return request.param


def test_code_prints_what_the_page_shows(vignette):
    """``python -m tests.vignettes --update`` writes the outputs anew, for a reader to judge."""
    from matplotlib import pyplot as plt

    for package in re.findall(r"^(?:from|import) (\w+)", vignette.read_text(encoding="utf-8"), re.MULTILINE):
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
