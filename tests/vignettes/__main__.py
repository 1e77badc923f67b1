"""``python -m tests.vignettes --update``: write what the documents' code prints, and the pictures, into them."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

from tests.vignettes import Block, documents, outputs
from tests.vignettes.dag import draw_dag


def updated(path: Path) -> str:
    """The document with its outputs as they are now; its pictures are saved."""
    text = path.read_text(encoding="utf-8")
    parts, place = [], 0
    for block, printed in outputs(text):
        parts += [text[place : block.start], _fenced(block, printed)]
        place = block.stop
        _save(block, path.parent)
    return "".join([*parts, text[place:]])


def _fenced(block: Block, printed: str) -> str:
    code = f"```{block.language}\n{block.code}```"
    return f"{code}\n\n```text\n{printed}\n```" if printed else code


def _save(block: Block, folder: Path) -> None:
    """The last figure drawn, where the document shows one below the block."""
    from matplotlib import pyplot as plt

    if block.picture is not None:
        plt.gcf().savefig(folder / block.picture, dpi=110, metadata={"Software": None})
    plt.close("all")


def main() -> int:
    """Update, or say which documents are out of date."""
    matplotlib.use("Agg")
    update = "--update" in sys.argv[1:]
    stale = []
    for path in documents():
        new = updated(path)
        if new != path.read_text(encoding="utf-8"):
            stale.append(path.name)
            if update:
                path.write_text(new, encoding="utf-8")
    if update:
        draw_dag(documents()[-1].parent / "images" / "dag.png")
    print(f"{'updated' if update else 'out of date'}: {', '.join(stale) or 'none'}")
    return 0 if update or not stale else 1


if __name__ == "__main__":
    sys.exit(main())
