"""What a diagram says of the data: independences that must hold if it is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice

from causalformula.graphs.diagram import Diagram
from causalformula.graphs.separation import separated, separators
from causalformula.graphs.write import named

# Of so many minimal sets that separate a pair the smallest is taken: fewer in a large graph, of so many in all.
MOST_SETS, SETS_IN_ALL = 50, 40_000


@dataclass(frozen=True, repr=False)
class Implication:
    """Two nodes are independent given others."""

    left: str
    right: str
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        behind = f" | {', '.join(map(named, self.given))}" if self.given else ""
        return f"{named(self.left)} _||_ {named(self.right)}{behind}"

    __repr__ = __str__


def implications(diagram: Diagram) -> tuple[Implication, ...]:
    """An independence for every pair of measured nodes that some set separates, with a small such set.

    It is the smallest of up to 50 minimal ones, in a graph of hundreds of nodes of at least two.

    Who is in the data, and which values are missing, is held fixed, as it is in the data.
    """
    return tuple(_found(diagram))


def _found(diagram: Diagram) -> Iterator[Implication]:
    pairs = list(combinations(diagram.measured, 2))
    # with gaps in the data the first sets may not do, so that none is passed over for the size of the graph
    most = MOST_SETS if diagram.missing else min(MOST_SETS, max(2, SETS_IN_ALL // max(1, len(pairs))))
    for left, right in pairs:
        held = diagram.selected | {r for r, of in diagram.missing.items() if of in (left, right)}
        found = separators(diagram, left, right, diagram.measured, held)
        sets = list(islice(found, 1))
        if most == MOST_SETS or (sets and len(sets[0]) > 1):  # else none is smaller, and a large graph need not look
            sets += islice(found, most - 1)
        for given in sorted(sets, key=lambda z: (len(z), diagram.in_order(z))):
            more = held | {r for r, of in diagram.missing.items() if of in given}
            if more == held or separated(diagram, [left], [right], given | more):
                yield Implication(left, right, diagram.in_order(given))
                break
