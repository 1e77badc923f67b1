"""Which nodes are independent of which, given others: d-separation, and minimal sets that separate."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from causalformula.graphs.diagram import Diagram, reached

if TYPE_CHECKING:
    import networkx as nx


@lru_cache(maxsize=256)
def _networkx(diagram: Diagram) -> nx.DiGraph:
    import networkx as nx

    drawn = diagram.drawn
    graph = nx.DiGraph()
    graph.add_nodes_from(drawn.nodes)
    graph.add_edges_from(drawn.arrows)
    return graph


def separated(diagram: Diagram, left: Iterable[str], right: Iterable[str], given: Iterable[str] = ()) -> bool:
    """Whether nodes are d-separated from others by a set.

    A node that is in the set is separated from everything.
    """
    import networkx as nx

    held = set(given)
    a, b = set(left) - held, set(right) - held
    if a & b:
        return False
    if not a or not b:
        return True
    test = nx.is_d_separator if hasattr(nx, "is_d_separator") else nx.d_separated  # the older name, before 3.3
    return bool(test(_networkx(diagram), a, b, held))


def separators(
    diagram: Diagram, start: str, stop: str, among: Collection[str], held: Iterable[str] = ()
) -> Iterator[frozenset[str]]:
    """Every minimal set among some nodes that separates two nodes where others are held too.

    Sets that separate lie in a moral graph: that of the ancestors of both ends and of what is held, with these taken
    out. A minimal one is a minimal vertex cut there. Nodes that may not be used are contracted: their neighbours are
    joined. Cuts are listed from the one nearest the start, each next one by moving a node of the last to the start's
    side.

    References
    ----------
    van der Zander, Liskiewicz and Textor (2014); Shen and Liang (1997).
    """
    near = _moral(diagram.drawn, {start, stop}, set(held))
    usable = set(among) - set(held) - {start, stop}
    for node in [node for node in near if node not in usable | {start, stop}]:
        around = near.pop(node)
        for other in around:
            near[other] |= around - {other}
            near[other].discard(node)
    if stop in near[start]:
        return
    first = _cut(near, {start}, stop)
    seen, queue = {first}, deque([first])
    while queue:
        cut = queue.popleft()
        yield cut
        inside = reached({n: near[n] - cut for n in near}, [start])
        for node in sorted(cut - near[stop]):
            moved = _cut(near, inside | {node}, stop)
            if moved not in seen:
                seen.add(moved)
                queue.append(moved)


def _cut(near: dict[str, set[str]], side: set[str], stop: str) -> frozenset[str]:
    """Nodes next to the part that holds ``stop`` when a side and all around it are taken out."""
    border = {other for node in side for other in near[node]} - side
    gone = side | border
    part = reached({n: near[n] - gone for n in near}, [stop])
    return frozenset(other for node in part for other in near[node]) - part


def _moral(drawn: Diagram, ends: set[str], held: set[str]) -> dict[str, set[str]]:
    """Neighbours in the moral graph of the ancestors, without what is held."""
    kept = drawn.ancestors(*ends, *held)
    near: dict[str, set[str]] = {node: set() for node in kept}
    for node in kept:
        family = {node, *drawn.parents(node)}
        for member in family:
            near[member] |= family - {member}
    return {node: others - held for node, others in near.items() if node not in held}
