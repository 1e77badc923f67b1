"""Paths between two nodes: which are causal, which are open, and what blocks them."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from causalformula.graphs.diagram import Diagram
from causalformula.graphs.write import named

# Beyond so many partial paths the search stops: a dense graph has more paths than anyone reads.
MOST_STEPS = 100_000
# Edges with an arrowhead at their second node, and at their first.
INTO, OUT_OF = ("->", "<->"), ("<-", "<->")


@dataclass(frozen=True, repr=False)
class Path:
    """A path without repeated nodes.

    Attributes
    ----------
    nodes : tuple of str
        From one end to the other.
    marks : tuple of str
        The edges between them: ``->``, ``<-`` or ``<->``.
    """

    nodes: tuple[str, ...]
    marks: tuple[str, ...] = ()

    def __str__(self) -> str:
        pieces = [piece for pair in zip(self.marks, self.nodes[1:], strict=True) for piece in (pair[0], named(pair[1]))]
        return " ".join([named(self.nodes[0]), *pieces])

    __repr__ = __str__

    @property
    def causal(self) -> bool:
        """Whether all arrows lead from the first node to the last."""
        return all(mark == "->" for mark in self.marks)

    @property
    def backdoor(self) -> bool:
        """Whether it enters the first node."""
        return self.marks[0] != "->"

    @property
    def colliders(self) -> tuple[str, ...]:
        """Nodes within at which two arrowheads meet: the path is closed there."""
        met = zip(self.marks, self.marks[1:], self.nodes[1:-1], strict=False)
        return tuple(node for left, right, node in met if left in INTO and right in OUT_OF)

    @property
    def others(self) -> tuple[str, ...]:
        """Nodes within that are no colliders: adjusting for one of them blocks the path."""
        closed = self.colliders
        return tuple(node for node in self.nodes[1:-1] if node not in closed)

    def open(self, diagram: Diagram, given: Collection[str] = ()) -> bool:
        """Whether it carries association when some nodes are held fixed.

        Parameters
        ----------
        diagram : Diagram
            The graph's, which knows what a collider causes.
        given : collection of str

        Returns
        -------
        bool
        """
        if any(node in given for node in self.others):
            return False
        opened = diagram.ancestors(*given)
        return all(node in opened for node in self.colliders)


def paths(diagram: Diagram, start: str, stop: str, most: int = MOST_STEPS) -> Iterator[Path]:
    """Paths between two nodes, the shorter first; none is new after ``most`` steps of the search."""
    edges = {node: _steps(diagram, node) for node in diagram.nodes}
    queue = deque([Path((start,))])
    for _ in range(most):
        if not queue:
            return
        path = queue.popleft()
        for mark, node in edges[path.nodes[-1]]:
            longer = Path((*path.nodes, node), (*path.marks, mark))
            if node == stop:
                yield longer
            elif node not in path.nodes:
                queue.append(longer)


def _steps(diagram: Diagram, node: str) -> list[tuple[str, str]]:
    found = [("->", other) for other in diagram.in_order(diagram.children(node))]
    found += [("<-", other) for other in diagram.in_order(diagram.parents(node))]
    return found + [("<->", other) for other in diagram.in_order(diagram.spouses(node))]


def open_path(diagram: Diagram, start: str, stop: str, given: Collection[str]) -> Path | None:
    """A shortest path that is open when some nodes are held fixed; None where there is none.

    The search goes from node to node by how each was entered, so its time is linear in the edges. A shortest open walk
    repeats no node: a loop could be left out.
    """
    opened = diagram.ancestors(*given)
    queue, seen = deque([Path((start,))]), {(start, True), (start, False)}
    while queue:
        path = queue.popleft()
        for mark, node in _steps(diagram, path.nodes[-1]):
            if path.marks and not _passes(path, mark, given, opened):
                continue
            longer = Path((*path.nodes, node), (*path.marks, mark))
            if node == stop:
                return longer
            state = (node, mark in INTO)
            if state not in seen:
                seen.add(state)
                queue.append(longer)
    return None


def _passes(path: Path, mark: str, given: Collection[str], opened: Collection[str]) -> bool:
    """Whether association gets through the last node of a path to an edge behind it."""
    node = path.nodes[-1]
    collider = path.marks[-1] in INTO and mark in OUT_OF
    return node in opened if collider else node not in given
