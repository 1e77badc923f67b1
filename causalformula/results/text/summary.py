"""``Summary``: a printed page whose tables can be set in HTML, LaTeX and markdown too."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from causalformula.results.text.coefmat import Cells
from causalformula.results.text.markup import html, latex, markdown


@dataclass(frozen=True)
class Summary:
    """A printed summary: ``str`` for the console, and HTML, LaTeX and markdown of the same parts.

    Attributes
    ----------
    parts : tuple
        Text, and tables with their row and column names, in order.
    """

    parts: tuple[str | Cells, ...]

    def __str__(self) -> str:
        return "\n".join(part if isinstance(part, str) else part.text().rstrip("\n") for part in self.parts)

    def __repr__(self) -> str:
        return str(self)

    def as_text(self) -> str:
        """Plain text, as printed."""
        return str(self)

    def as_html(self) -> str:
        """HTML, with tables as tables."""
        return "\n".join(text for text in map(html, self._joined()) if text)

    def as_markdown(self) -> str:
        """Markdown, with tables as pipe tables and text as it stands on the console."""
        return "\n\n".join(text for text in map(markdown, self._joined()) if text)

    def as_latex(self) -> str:
        """LaTeX, with tables as ``tabular``."""
        return "\n\n".join(text for text in map(latex, self.parts) if text)

    def _joined(self) -> list[str | Cells]:
        """The parts, lines of text between two tables in one."""
        groups = groupby(self.parts, key=lambda part: isinstance(part, str))
        return [p for text, group in groups for p in (["\n".join(map(str, group))] if text else group)]

    def _repr_html_(self) -> str:
        return self.as_html()

    def _repr_markdown_(self) -> str:
        return self.as_markdown()

    def _repr_latex_(self) -> str:
        return self.as_latex()


class Paged:
    """What a notebook shows, and a reader pastes, as a summary: a table as a table."""

    def _page(self) -> Summary:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self._page().as_html()

    def _repr_markdown_(self) -> str:
        return self._page().as_markdown()

    def _repr_latex_(self) -> str:
        return self._page().as_latex()


class Written(Paged):
    """A page that prints itself, and is written as text, Markdown, HTML and LaTeX."""

    def summary(self) -> Summary:
        """The page."""
        raise NotImplementedError

    def as_text(self) -> str:
        """For the console, as printed."""
        return self._page().as_text()

    def as_markdown(self) -> str:
        """The table as a pipe table, as GitHub and Quarto read it."""
        return self._page().as_markdown()

    def as_html(self) -> str:
        """HTML, with the table as a table."""
        return self._page().as_html()

    def as_latex(self) -> str:
        """LaTeX, with the table as a ``tabular``."""
        return self._page().as_latex()

    def _page(self) -> Summary:
        return self.summary()

    def __repr__(self) -> str:
        return self.as_text()

    __str__ = __repr__
