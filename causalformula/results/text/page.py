"""Strings on R's page: padding by terminal width, and vectors and matrices wrapped as R's ``print`` wraps them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WIDTH = 80


def display_width(text: str) -> int:
    """Count the columns that a text takes on a terminal: wide East Asian letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    marks = sum(unicodedata.combining(c) != 0 for c in text)
    return len(text) + wide - marks


def pad_left(texts: Sequence[str], width: int = 0) -> list[str]:
    """Right-justify at the common width."""
    common = max([width, *map(display_width, texts)])
    return [" " * (common - display_width(t)) + t for t in texts]


def pad_right(texts: Sequence[str], width: int = 0) -> list[str]:
    """Left-justify at the common width."""
    common = max([width, *map(display_width, texts)])
    return [t + " " * (common - display_width(t)) for t in texts]


def vector_text(cells: Sequence[str], names: Sequence[str] | None = None, gap: int = 1, width: int = WIDTH) -> str:
    """Lay out a vector as R's ``print`` does, wrapped at the page width; ends with a newline.

    Parameters
    ----------
    cells : sequence of str
        The elements, already written.
    names : sequence of str, optional
        Their names; without them each line starts with the index of its first element.
    gap : int
        Blanks between columns (``print.gap``).
    width : int
        The page width.
    """
    if names is None:
        return _indexed_vector(cells, gap, width)
    both = pad_left([*names, *cells])
    heads, bodies = both[: len(names)], both[len(names) :]
    per_line = max(1, width // (display_width(both[0]) + gap)) if both else 1
    lines = []
    for start in range(0, len(bodies), per_line):
        for part in (heads, bodies):
            lines.append("".join(t + " " * gap for t in part[start : start + per_line]))
    return "".join(line + "\n" for line in lines)


def _indexed_vector(cells: Sequence[str], gap: int, width: int) -> str:
    body = pad_left(cells)
    label = len(str(len(body))) + 2
    step = (display_width(body[0]) if body else 0) + gap
    per_line = max(1, (width - label) // step)
    lines = []
    for start in range(0, len(body), per_line):
        row = "".join(" " * gap + t for t in body[start : start + per_line])
        lines.append(f"[{start + 1}]".rjust(label) + row)
    return "".join(line + "\n" for line in lines)


def matrix_text(rows: Sequence[str], cols: Sequence[str], cells: Sequence[Sequence[str]], width: int = WIDTH) -> str:
    """Lay out a matrix of strings as R prints it right-justified; ends with a newline.

    Columns that do not fit on the page follow below, with the row names repeated.
    """
    labels = pad_right(["", *rows])
    columns = [pad_left([name, *(row[j] for row in cells)]) for j, name in enumerate(cols)]
    blocks: list[list[list[str]]] = []
    room = 0
    for column in columns:
        need = 1 + display_width(column[0])
        # R keeps the last column of the page free.
        if not blocks or room + need >= width:
            blocks.append([labels])
            room = display_width(labels[0])
        blocks[-1].append(column)
        room += need
    return "".join(" ".join(parts) + "\n" for block in blocks for parts in zip(*block, strict=True))
