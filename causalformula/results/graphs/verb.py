"""``dag``: a graph from text, a file or a networkx digraph."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalformula.errors import GraphError, OptionError, asks
from causalformula.graphs.diagram import Diagram
from causalformula.graphs.language import cycle_words, find_cycle, flags, read_graph
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
        ``[exposure]``, ``[outcome]``, ``[adjusted]``. Or a file of dagitty's or DOT's, or a networkx digraph, whose
        nodes may have these marks as attributes. DoWhy's ``observed = "no"`` is latent too.

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
        return Graph(read.diagram, read.exposures, read.outcomes, read.adjusted, text)
    if hasattr(source, "is_directed") and hasattr(source, "edges"):
        return _from_networkx(source)
    raise OptionError(f"cf.dag reads text, a file or a networkx digraph, not {type(source).__name__}")


def _text(source: str | os.PathLike[str]) -> str:
    is_path = isinstance(source, os.PathLike) or (
        (source.strip().endswith(ENDINGS) or ("." in source and _is_file(source))) and ">" not in source
    )
    if not is_path:
        return str(source)
    path = Path(source)
    if not path.is_file():
        raise OptionError(f"there is no file {str(source)!r}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise GraphError(f"the file {str(source)!r} is not text in UTF-8 ({error.reason}): save it as that") from None


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long, or with signs that no file name has
        return False


def _from_networkx(source: Any) -> Graph:
    if not source.is_directed():
        raise GraphError("a networkx graph without directions says nothing of causes: give a DiGraph")
    if not all(isinstance(node, str) for node in source.nodes):
        raise GraphError("nodes of a networkx graph are text, the names of columns")
    arrows = tuple(dict.fromkeys((a, b) for a, b in source.edges()))
    if cycle := find_cycle(source.nodes, arrows):
        raise GraphError(cycle_words(cycle))
    marked: dict[str, dict[str, None]] = {}
    for node, facts in source.nodes(data=True):
        for flag in flags(facts):
            marked.setdefault(flag, {})[node] = None
    missing = {node: facts["missing"] for node, facts in source.nodes(data=True) if "missing" in facts}
    latent, selected = (frozenset(marked.get(kind, ())) for kind in ("latent", "selected"))
    drawn = Diagram(tuple(source.nodes), arrows, (), latent, selected, missing)
    drawn.require(*missing.values())
    return Graph(_undrawn(drawn), *(tuple(marked.get(kind, ())) for kind in ("exposure", "outcome", "adjusted")))


def _undrawn(drawn: Diagram) -> Diagram:
    """The diagram with a bidirected edge for each latent node that stands for one, as ``Graph.to_networkx`` has it."""
    bows = {}
    for node in drawn.in_order(drawn.latent):
        a, _, b = node.partition(" <-> ")
        if not drawn.parents(node) and drawn.children(node) == {a, b}:
            bows[node] = (a, b)
    kept = drawn.among(node for node in drawn.nodes if node not in bows)
    return replace(kept, bows=(*kept.bows, *bows.values()), latent=kept.latent - set(bows))
