"""The complete algorithm: an effect as an expression in the distribution of what is observed, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from causalformula.graphs.diagram import Diagram, reached
from causalformula.graphs.expressions import Expression, Probability, product, quotient, summed
from causalformula.graphs.separation import separated


@dataclass(frozen=True)
class Hedge:
    """Why an effect is not identified: two sets of nodes that unmeasured common causes hold together.

    Attributes
    ----------
    inner, outer : tuple of str
        What the outcome needs, and what it cannot be told apart from.
    """

    inner: tuple[str, ...]
    outer: tuple[str, ...]


class _NotIdentified(Exception):
    """Carries the hedge out of the recursion."""

    def __init__(self, hedge: Hedge) -> None:
        super().__init__(hedge)
        self.hedge = hedge


def identified(diagram: Diagram, treatment: str, outcome: str) -> Expression | Hedge:
    """``P(outcome | do(treatment))`` in terms of the observed distribution, or the hedge that forbids it.

    The effect is a sum of products of c-factors (the distribution of nodes that bidirected edges hold together, all
    others set), each of which is found from the c-factor of the whole diagram in which it lies, if at all.

    References
    ----------
    Tian and Pearl (2002); Shpitser and Pearl (2006); Huang and Valtorta (2006).
    """
    seen = diagram.projected
    seen = seen.among(seen.ancestors(outcome))
    if treatment not in seen.nodes:
        return Probability((outcome,))
    whole = _Known(seen, {part: _observed(seen, part) for part in components(seen)})
    rest = seen.among(n for n in seen.nodes if n != treatment)
    needed = rest.ancestors(outcome)
    try:
        factors = [whole.factor(part) for part in components(rest.among(needed))]
    except _NotIdentified as found:
        return found.hedge
    over = tuple(n for n in seen.topological if n in needed - {outcome})
    return summed(over, product(factors))


def components(diagram: Diagram) -> tuple[tuple[str, ...], ...]:
    """Nodes held together by bidirected edges."""
    left, found = list(diagram.nodes), []
    spouses = {n: diagram.spouses(n) for n in diagram.nodes}
    while left:
        part = reached(spouses, left[:1])
        found.append(tuple(n for n in left if n in part))
        left = [n for n in left if n not in part]
    return tuple(found)


@dataclass(frozen=True)
class _Known:
    """The diagram of the observed nodes, and the c-factors that the data give at once."""

    diagram: Diagram
    factors: dict[tuple[str, ...], Expression]

    def factor(self, wanted: tuple[str, ...]) -> Expression:
        (whole,) = [part for part in self.factors if set(wanted) <= set(part)]
        return self._from(frozenset(wanted), frozenset(whole), self.factors[whole])

    def _from(self, wanted: frozenset[str], within: frozenset[str], known: Expression) -> Expression:
        """The c-factor of a set from that of a larger one."""
        above = self.diagram.among(within).ancestors(*wanted)
        if above == wanted:
            return summed(self._ordered(within - wanted), known)
        if above == within:
            raise _NotIdentified(Hedge(self._ordered(wanted), self._ordered(within)))
        smaller = summed(self._ordered(within - above), known)
        parts = components(self.diagram.among(above))
        (part,) = [part for part in parts if wanted <= set(part)]
        return self._from(wanted, frozenset(part), self._split(frozenset(above), part, smaller))

    def _split(self, whole: frozenset[str], part: tuple[str, ...], known: Expression) -> Expression:
        """The c-factor of a component from that of the set: quotients of partial sums, node by node."""
        order = self._ordered(whole)
        factors: list[Expression] = []
        for k, name in enumerate(order):
            if name not in part:
                continue
            factors.append(quotient(summed(order[k + 1 :], known), summed(order[k:], known)))
        return product(factors)

    def _ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        wanted = set(names)
        return tuple(n for n in self.diagram.topological if n in wanted)


def _observed(diagram: Diagram, part: tuple[str, ...]) -> Expression:
    """The c-factor of a component of the whole: each node given those before it, of which it needs only some."""
    order = diagram.topological
    factors = []
    for name in (n for n in order if n in part):
        before = order[: order.index(name)]
        kept = list(before)
        for other in before:  # drop one by one what tells nothing more
            fewer = [n for n in kept if n != other]
            if separated(diagram, [name], [other], fewer):
                kept = fewer
        factors.append(Probability((name,), tuple(kept)))
    return product(factors)
