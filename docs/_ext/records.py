"""The directive ``{records} NAME``: a table that the package writes itself, by its name in ``TABLES``."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from record_tables import TABLES
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Records(SphinxDirective):
    """Parse the table as the document's own Markdown."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """The table's nodes."""
        return self.parse_text_to_nodes(TABLES[self.arguments[0]]())


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive; pages that use it are read anew at each build."""
    app.add_directive("records", Records)
    return {"version": "1", "parallel_read_safe": True, "env_version": 1}
