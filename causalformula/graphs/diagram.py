"""A causal diagram as plain data: nodes, arrows, unmeasured common causes, and what is known of the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from causalformula.errors import GraphError, OptionError, choose
from causalformula.inference.checks import shown

Edge = tuple[str, str]


@dataclass(frozen=True)
class Diagram:
    """An acyclic diagram with directed and bidirected edges.

    Attributes
    ----------
    nodes : tuple of str
        In order of appearance.
    arrows : tuple of (str, str)
        Cause and effect.
    bows : tuple of (str, str)
        Pairs with a common cause that is not drawn, ``A <-> B``.
    latent : frozenset of str
        Nodes that nobody measured.
    selected : frozenset of str
        Nodes that decided who is in the data.
    missing : mapping of str to str
        Nodes that decide whether a variable is observed, each with that variable.
    """

    nodes: tuple[str, ...]
    arrows: tuple[Edge, ...] = ()
    bows: tuple[Edge, ...] = ()
    latent: frozenset[str] = frozenset()
    selected: frozenset[str] = frozenset()
    missing: Mapping[str, str] = field(default_factory=dict, hash=False)

    # -- nodes -------------------------------------------------------------------------------------------------

    def require(self, *names: str) -> None:
        """Refuse a name that is no node.

        Raises
        ------
        GraphError
            With the nearest node, and the list.
        """
        for name in names:
            if not isinstance(name, str) or name not in self._parents:
                raise GraphError(f"the graph has no node {shown(name)}{choose(str(name), self.nodes, 'it has')}")

    def listed(self, what: str, names: object) -> tuple[str, ...]:
        """Nodes that an argument lists: several, or one by its name.

        Raises
        ------
        OptionError
            For what is no list of names.
        GraphError
            For a name that is no node.
        """
        found = None
        if not (isinstance(names, (bytes, Mapping)) or hasattr(names, "columns")):
            with suppress(TypeError):
                found = (names,) if isinstance(names, str) else tuple(names)  # type: ignore[arg-type]
        if found is None:
            raise OptionError(f"{what} lists nodes, as in {what}=[{self.nodes[0]!r}], not {shown(names)}")
        self.require(*found)
        return found

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """Nodes that may be adjusted for: observed, and no mark of who is in the data."""
        return tuple(n for n in self.nodes if n not in self.latent | self.selected | set(self.missing))

    @property
    def facts(self) -> tuple[frozenset[Any], ...]:
        """Nodes, edges and marks, in no order."""
        edges = (frozenset(self.nodes), frozenset(self.arrows), frozenset(frozenset(bow) for bow in self.bows))
        return (*edges, self.latent, self.selected, frozenset(self.missing.items()))

    def in_order(self, names: Iterable[str]) -> tuple[str, ...]:
        """Names in the order of the nodes."""
        wanted = set(names)
        return tuple(name for name in self.nodes if name in wanted)

    # -- families ----------------------------------------------------------------------------------------------

    @cached_property
    def _parents(self) -> dict[str, list[str]]:
        return gathered(self.nodes, ((effect, cause) for cause, effect in self.arrows))

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        return gathered(self.nodes, self.arrows)

    @cached_property
    def _spouses(self) -> dict[str, list[str]]:
        return gathered(self.nodes, [*self.bows, *((b, a) for a, b in self.bows)])

    def parents(self, *names: str) -> frozenset[str]:
        """Direct causes of any of these."""
        return frozenset(p for name in names for p in self._parents[name])

    def children(self, *names: str) -> frozenset[str]:
        """Direct effects of any of these."""
        return frozenset(c for name in names for c in self._children[name])

    def spouses(self, *names: str) -> frozenset[str]:
        """Other ends of bidirected edges."""
        return frozenset(s for name in names for s in self._spouses[name])

    def ancestors(self, *names: str) -> frozenset[str]:
        """These and all that causes them."""
        return frozenset(reached(self._parents, names))

    def descendants(self, *names: str) -> frozenset[str]:
        """These and all that they cause."""
        return frozenset(reached(self._children, names))

    @cached_property
    def topological(self) -> tuple[str, ...]:
        """Causes before effects, else in order of appearance."""
        done: dict[str, None] = {}
        while len(done) < len(self.nodes):
            free = [n for n in self.nodes if n not in done and all(p in done for p in self._parents[n])]
            done.update(dict.fromkeys(free))
        return tuple(done)

    def way(self, start: str, stop: str) -> tuple[str, ...]:
        """A shortest directed path, both ends included; empty where there is none."""
        return way(self._children, start, stop)

    # -- other diagrams ----------------------------------------------------------------------------------------

    def without(self, arrows: Iterable[Edge]) -> Diagram:
        """The diagram with some arrows taken out."""
        gone = set(arrows)
        return replace(self, arrows=tuple(arrow for arrow in self.arrows if arrow not in gone))

    def set_from_outside(self, *names: str) -> Diagram:
        """The diagram when these are set: nothing else causes them."""
        return replace(
            self,
            arrows=tuple((a, b) for a, b in self.arrows if b not in names),
            bows=tuple((a, b) for a, b in self.bows if a not in names and b not in names),
        )

    def among(self, names: Iterable[str]) -> Diagram:
        """The diagram of some nodes, with the edges between these."""
        kept = set(names)
        return replace(
            self,
            nodes=tuple(n for n in self.nodes if n in kept),
            arrows=tuple((a, b) for a, b in self.arrows if a in kept and b in kept),
            bows=tuple((a, b) for a, b in self.bows if a in kept and b in kept),
        )

    @cached_property
    def drawn(self) -> Diagram:
        """The diagram with a latent node for each bidirected edge."""
        hidden = {f"{a} <-> {b}": (a, b) for a, b in self.bows}
        return replace(
            self,
            nodes=(*self.nodes, *hidden),
            arrows=(*self.arrows, *((name, end) for name, ends in hidden.items() for end in ends)),
            bows=(),
            latent=self.latent | set(hidden),
        )

    @cached_property
    def projected(self) -> Diagram:
        """The diagram of the nodes that are not latent: latent ones leave arrows and bidirected edges behind.

        References
        ----------
        Verma (1993); Tian and Pearl (2002).
        """
        full = self.drawn
        kept = tuple(n for n in self.nodes if n not in self.latent)

        def visible(start: str) -> set[str]:
            """Nodes at the ends of directed paths that run through latent nodes only."""
            ends: set[str] = set()
            stack, seen = [start], set()
            while stack:
                for child in full._children[stack.pop()]:
                    if child not in full.latent:
                        ends.add(child)
                    elif child not in seen:
                        seen.add(child)
                        stack.append(child)
            return ends

        arrows = tuple((n, end) for n in kept for end in self.in_order(visible(n)))
        pairs: dict[Edge, None] = {}
        for hidden in (n for n in full.nodes if n in full.latent):
            ends = self.in_order(visible(hidden))
            pairs.update(dict.fromkeys((a, b) for k, a in enumerate(ends) for b in ends[k + 1 :]))
        return replace(self, nodes=kept, arrows=arrows, bows=tuple(pairs), latent=frozenset())


def gathered(nodes: Iterable[str], pairs: Iterable[Edge]) -> dict[str, list[str]]:
    """Second members of the pairs by the first, with an empty list for a node that has none."""
    found: dict[str, list[str]] = {node: [] for node in nodes}
    for key, value in pairs:
        found[key].append(value)
    return found


def reached(neighbours: Mapping[str, Iterable[str]], start: Iterable[str]) -> set[str]:
    """All that can be reached from some nodes, these included."""
    seen = set(start)
    stack = list(seen)
    while stack:
        for node in neighbours[stack.pop()]:
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return seen


def way(children: Mapping[str, Iterable[str]], start: str, stop: str) -> tuple[str, ...]:
    """A shortest directed path, both ends included; empty where there is none."""
    ways: dict[str, tuple[str, ...]] = {start: (start,)}
    queue = [start]
    for node in queue:
        for child in children[node]:
            if child not in ways:
                ways[child] = (*ways[node], child)
                queue.append(child)
    return ways.get(stop, ())
