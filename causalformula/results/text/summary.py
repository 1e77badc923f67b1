"""``Summary``: a printed page whose tables can be set in HTML and LaTeX too."""

from __future__ import annotations

from dataclasses import dataclass

from causalformula.results.text.coefmat import Cells
from causalformula.results.text.markup import html, latex


@dataclass(frozen=True)
class Summary:
    """A printed summary: ``str`` for the console, and HTML and LaTeX of the same parts.

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
        return "\n".join(html(part) for part in self.parts)

    def as_latex(self) -> str:
        """LaTeX, with tables as ``tabular``."""
        return "\n\n".join(text for text in map(latex, self.parts) if text)

    def _repr_html_(self) -> str:
        return self.as_html()
