"""``dag``: a graph from text, a file or a networkx digraph."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalformula.errors import GraphError, OptionError, asks
from causalformula.graphs.diagram import Diagram
from causalformula.graphs.language import FLAGS, cycle_words, find_cycle, read_graph
from causalformula.results.graphs.graph import Graph

if TYPE_CHECKING:
    import networkx as nx

# Files that hold a graph.
ENDINGS = (".dot", ".gv", ".dagitty", ".dag", ".txt")


@asks
def dag(source: str | os.PathLike[str] | nx.DiGraph | Graph) -> Graph:
    """Read a causal diagram.

    Parameters
    ----------
    source : str, path or networkx.DiGraph
        Edges as dagitty and DOT write them, ``"I.H -> Drug; I.H -> Severity; Drug -> Severity"``: chains
        ``A -> B -> C``, sets ``{A B} -> C``, ``A <-> B`` for an unmeasured common cause, and marks: ``U [latent]``,
        ``S [selected]`` (it decides who is in the data), ``R [missing = Y]`` (it decides whether Y is observed),
        ``[exposure]``, ``[outcome]``. Or a file of dagitty's or DOT's, or a networkx digraph, whose nodes may have the
        attributes ``latent`` and ``selected``.

    Returns
    -------
    Graph
        ``.identify() .formula() .implications() .test() .simulate() .plot() .to_dagitty()``; it prints as text.

    Raises
    ------
    GraphError
        For what cannot be read, an edge without a direction, or a cycle, with the place in the text.

    Notes
    -----
    R: ``dagitty::dagitty``, 0.3.

    Examples
    --------
    >>> import causalformula as cf
    >>> cf.dag("Z -> {A Y}; A -> Y")
    Z -> {A Y}
    A -> Y
    """
    if isinstance(source, Graph):
        return source
    if isinstance(source, (str, os.PathLike)):
        text = _text(source)
        read = read_graph(text)
        return Graph(read.diagram, read.exposures, read.outcomes, text)
    if hasattr(source, "is_directed") and hasattr(source, "edges"):
        return Graph(_from_networkx(source))
    raise OptionError(f"cf.dag reads text, a file or a networkx digraph, not {type(source).__name__}")


def _text(source: str | os.PathLike[str]) -> str:
    is_path = isinstance(source, os.PathLike) or (source.strip().endswith(ENDINGS) and ">" not in source)
    if not is_path:
        return str(source)
    path = Path(source)
    if not path.is_file():
        raise OptionError(f"there is no file {str(source)!r}")
    return path.read_text(encoding="utf-8")


def _from_networkx(source: Any) -> Diagram:
    if not source.is_directed():
        raise GraphError("a networkx graph without directions says nothing of causes: give a DiGraph")
    if not all(isinstance(node, str) for node in source.nodes):
        raise GraphError("nodes of a networkx graph are text, the names of columns")
    arrows = tuple(dict.fromkeys((a, b) for a, b in source.edges()))
    if cycle := find_cycle(source.nodes, arrows):
        raise GraphError(cycle_words(cycle))
    latent, selected = (
        frozenset(node for node, facts in source.nodes(data=True) if any(facts.get(w) for w in _words(kind)))
        for kind in ("latent", "selected")
    )
    return Diagram(tuple(source.nodes), arrows, (), latent, selected)


def _words(kind: str) -> list[str]:
    return [word for word, flag in FLAGS.items() if flag == kind]
