"""A diagram in other forms: our own text, dagitty's, DOT, mermaid, and a digraph of networkx."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from causalformula.graphs.diagram import Diagram

if TYPE_CHECKING:
    import networkx as nx

# Treatments, outcomes and what is adjusted for, by the words that mark them.
Roles = Mapping[str, Collection[str]]

_PLAIN = re.compile(r"[^\W\d][\w.]*")
# Words that begin a statement of DOT or of dagitty.
_RESERVED = frozenset(["graph", "node", "edge", "digraph", "subgraph", "strict", "dag"])


def named(name: str) -> str:
    """A node as a text has it: in quotation marks where it would else not be read back."""
    if _PLAIN.fullmatch(name) and name.casefold() not in _RESERVED:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def marks(diagram: Diagram, name: str, roles: Roles) -> list[str]:
    """What is marked of a node."""
    found = ["latent"] * (name in diagram.latent) + ["selected"] * (name in diagram.selected)
    found += [role for role, names in roles.items() if name in names]
    return found + [f"missing = {named(diagram.missing[name])}" for _ in range(name in diagram.missing)]


def text(diagram: Diagram, roles: Roles) -> str:
    """The text that ``cf.dag`` reads back: a line a cause, then common causes, then marks."""
    lines = []
    for name in diagram.nodes:
        ends = [named(end) for end in diagram.in_order(diagram.children(name))]
        if ends:
            lines.append(f"{named(name)} -> {ends[0] if len(ends) == 1 else '{' + ' '.join(ends) + '}'}")
    lines += [f"{named(a)} <-> {named(b)}" for a, b in diagram.bows]
    joined = {name for edge in (*diagram.arrows, *diagram.bows) for name in edge}
    for name in diagram.nodes:
        found = marks(diagram, name, roles)
        if found or name not in joined:
            lines.append(named(name) + (f" [{', '.join(found)}]" if found else ""))
    return "\n".join(lines)


def dagitty(diagram: Diagram, roles: Roles) -> str:
    """The text that dagitty reads.

    It has no mark for missingness; a node of that kind is written without one.
    """
    lines = []
    for name in diagram.nodes:
        found = [word for word in marks(diagram, name, roles) if not word.startswith("missing")]
        lines.append(f"  {named(name)}" + (f" [{','.join(found)}]" if found else ""))
    lines += [f"  {named(a)} -> {named(b)}" for a, b in diagram.arrows]
    lines += [f"  {named(a)} <-> {named(b)}" for a, b in diagram.bows]
    return "\n".join(["dag {", *lines, "}"])


def dot(diagram: Diagram, roles: Roles) -> str:
    """The text that Graphviz draws, and ``cf.dag`` reads: latent nodes and common causes dashed."""
    lines = []
    for name in diagram.nodes:
        found = marks(diagram, name, roles)
        found += ["style = dashed"] * (name in diagram.latent)
        found += ["shape = box"] * (name in diagram.selected or name in diagram.missing)
        lines.append(
            f"  {_quoted(name)}" + (f" [{', '.join(_with_value(word) for word in found)}]" if found else "") + ";"
        )
    lines += [f"  {_quoted(a)} -> {_quoted(b)};" for a, b in diagram.arrows]
    lines += [f"  {_quoted(a)} -> {_quoted(b)} [dir = both, style = dashed];" for a, b in diagram.bows]
    return "\n".join(["digraph {", *lines, "}"])


def _quoted(name: str) -> str:
    """A node in DOT, whose plain names have no dots."""
    return named(name) if "." not in name else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _with_value(word: str) -> str:
    """A mark in DOT, where each has a value."""
    return word if " = " in word else f"{word} = true"


def mermaid(diagram: Diagram) -> str:
    """The text that mermaid draws, in Markdown pages: latent nodes round, with dashed edges."""
    place = {name: f"n{k}" for k, name in enumerate(diagram.nodes)}
    lines = []
    for name in diagram.nodes:
        label = '"' + name.replace('"', "#quot;") + '"'
        left, right = ("([", "])") if name in diagram.latent else ("[", "]")
        lines.append(f"  {place[name]}{left}{label}{right}")
    for a, b in diagram.arrows:
        lines.append(f"  {place[a]} {'-.->' if a in diagram.latent else '-->'} {place[b]}")
    lines += [f"  {place[a]} <-.-> {place[b]}" for a, b in diagram.bows]
    return "\n".join(["flowchart TD", *lines])


def digraph(diagram: Diagram, roles: Roles) -> nx.DiGraph:
    """A digraph whose nodes have their marks as attributes; latent nodes stand for bidirected edges."""
    import networkx as nx

    drawn, out = diagram.drawn, nx.DiGraph()
    for name in drawn.nodes:
        out.add_node(name, latent=name in drawn.latent, selected=name in drawn.selected)
    for role, names in roles.items():
        out.add_nodes_from(names, **{role: True})
    for name, variable in drawn.missing.items():
        out.add_node(name, missing=variable)
    out.add_edges_from(drawn.arrows)
    return out
