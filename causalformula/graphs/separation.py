"""Which nodes are independent of which, given others: d-separation, and minimal sets that separate."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from causalformula.graphs.diagram import Diagram

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
    joined. Cuts are listed from the one nearest the start, each next one by moving a node of an earlier one to the
    start's side. Sets of nodes are bits of whole numbers here, which keeps graphs of hundreds of nodes quick.

    References
    ----------
    van der Zander, Liskiewicz and Textor (2014); Shen and Liang (1997).
    """
    bits = _bits(diagram)
    first, last = bits.of([start]), bits.of([stop])
    out = bits.of(held)
    kept = bits.ancestors([start, stop, *held])
    near = {node: around & ~out for node, around in _moral(bits, kept).items() if not out >> node & 1}
    for node in _members(kept & ~(out | first | last | bits.of(among))):
        around = near.pop(node)
        for other in _members(around):
            near[other] = (near[other] | around) & ~(1 << node | 1 << other)
    if near[bits.place[start]] & last:
        return
    cut = _cut(near, first, last)
    seen, queue = {cut}, deque([cut])
    yield bits.names(cut)
    while queue:
        cut = queue.popleft()
        inside, _ = _spread(near, first, cut)
        for node in _members(cut & ~near[bits.place[stop]]):
            moved = _cut(near, inside | 1 << node, last)
            if moved not in seen:
                seen.add(moved)
                queue.append(moved)
                yield bits.names(moved)


def _cut(near: Mapping[int, int], side: int, stop: int) -> int:
    """Nodes next to the part that holds ``stop`` when a side and all around it are taken out."""
    border = 0
    for node in _members(side):
        border |= near[node]
    part, around = _spread(near, stop, side | border)
    return around & ~part


def _spread(near: Mapping[int, int], start: int, closed: int) -> tuple[int, int]:
    """All that is reached from some nodes without entering closed ones, and all next to these."""
    seen = fresh = start
    around = 0
    while fresh:
        for node in _members(fresh):
            around |= near[node]
        fresh = around & ~seen & ~closed
        seen |= fresh
    return seen, around


def _members(bits: int) -> Iterator[int]:
    """Places of the bits that are set."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


@dataclass(frozen=True, eq=False)
class _Bits:
    """A diagram whose nodes are places of bits, common causes that are not drawn among them."""

    drawn: Diagram
    place: Mapping[str, int]
    families: Mapping[int, int]
    above: Mapping[str, int]

    def of(self, names: Iterable[str]) -> int:
        return sum(1 << self.place[name] for name in set(names))

    def names(self, bits: int) -> frozenset[str]:
        return frozenset(self.drawn.nodes[node] for node in _members(bits))

    def ancestors(self, names: Iterable[str]) -> int:
        """These and all that causes them."""
        found = 0
        for name in names:
            found |= self.above[name]
        return found


@lru_cache(maxsize=256)
def _moral(bits: _Bits, kept: int) -> Mapping[int, int]:
    """Neighbours in the moral graph of an ancestral set; many pairs of nodes have the same."""
    near = dict.fromkeys(_members(kept), 0)
    for node in near:
        for member in _members(bits.families[node]):
            near[member] |= bits.families[node]
    return {node: around & ~(1 << node) for node, around in near.items()}


@lru_cache(maxsize=256)
def _bits(diagram: Diagram) -> _Bits:
    drawn = diagram.drawn
    place = {name: k for k, name in enumerate(drawn.nodes)}
    families: dict[int, int] = {}
    above: dict[str, int] = {}
    for name in drawn.topological:
        families[place[name]] = above[name] = 1 << place[name]
        for parent in drawn.parents(name):
            families[place[name]] |= 1 << place[parent]
            above[name] |= above[parent]
    return _Bits(drawn, place, families, above)
