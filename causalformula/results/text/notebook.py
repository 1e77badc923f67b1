"""What a notebook shows of a thing that prints itself: its print, in letters of one width."""

from __future__ import annotations

from html import escape

# Notebooks set `pre` in the page's own letters in places, where columns do not stand below each other.
_STYLE = "font-family: monospace; white-space: pre; line-height: 1.2; text-align: left; overflow-x: auto"


def pre(text: str) -> str:
    """Text as it stands on the console, as HTML."""
    return f'<pre style="{_STYLE}">{escape(text)}</pre>'


def fenced(text: str) -> str:
    """Text as it stands on the console, as markdown; the fence is longer than any in the text."""
    marks = "```"
    while marks in text:
        marks += "`"
    return f"{marks}text\n{text}\n{marks}"


class Shown:
    """What a notebook shows as the console prints it, and markdown in a block of code."""

    def _repr_html_(self) -> str:
        return pre(str(self))

    def _repr_markdown_(self) -> str:
        return fenced(str(self))
