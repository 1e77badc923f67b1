"""Documents whose code is run: each ``python`` block and each shell call of ``causalformula``, with what it prints.

A fenced block of output (``text``) belongs to the block of code above it. The blocks of one document share one
namespace. An error of the package is part of the output, as its class and message.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causalformula.cli import main as command
from causalformula.errors import CausalFormulaError

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(
    r"^```(?P<language>python|sh)\n(?P<code>.*?)^```$(?:\n\n?```text\n(?P<output>.*?)^```$)?", re.DOTALL | re.MULTILINE
)
PICTURE = re.compile(r"\s*!\[[^\]]*\]\((?P<path>images/[\w.-]+\.png)\)")


@dataclass(frozen=True)
class Block:
    """Code of a document, the output that it shows (None for no block of it), and the picture that follows."""

    language: str
    code: str
    output: str | None
    start: int
    stop: int
    picture: str | None = None

    @property
    def runs(self) -> bool:
        """Whether it is executed: all Python, and shell calls that show what they print."""
        return self.language == "python" or self.output is not None


def documents() -> list[Path]:
    """The README, the site's own pages and the vignettes."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "vignettes").glob("*.md"))]


def blocks(text: str) -> Iterator[Block]:
    """The blocks of code of a document, in order."""
    for match in FENCE.finditer(text):
        picture = PICTURE.match(text, match.end())
        path = picture["path"] if picture and match["language"] == "python" else None
        yield Block(match["language"], match["code"], match["output"], match.start(), match.end(), path)


def run(block: Block, namespace: dict[str, Any]) -> str:
    """What a block prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        if block.language == "sh":
            program, *arguments = shlex.split(block.code.replace("\\\n", " "))
            assert program == "causalformula", f"cannot run {program}"
            command(arguments)
        else:
            _python(block.code, namespace)
    return tidied(printed.getvalue())


def _python(code: str, namespace: dict[str, Any]) -> None:
    try:
        exec(compile(code, "<document>", "exec"), namespace)
    except CausalFormulaError as error:
        print(f"{type(error).__name__}: {error}")


def tidied(text: str) -> str:
    """Without blanks at the ends of lines and of the text, which editors take away."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def outputs(text: str) -> Iterator[tuple[Block, str]]:
    """Each block that runs, with what it prints now."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(text):
        if block.runs:
            yield block, run(block, namespace)


def namespace(text: str) -> dict[str, Any]:
    """What a document's own code defines."""
    made: dict[str, Any] = {}
    for block in blocks(text):
        if block.language == "python":
            exec(compile(block.code, "<document>", "exec"), made)
    return made


def table_rows(text: str) -> list[list[str]]:
    """The cells of every row of a document's tables; a bar within a cell is escaped."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def calls(cell: str) -> list[str]:
    """The pieces of code of a cell."""
    return re.findall(r"`([^`]+)`", cell)
