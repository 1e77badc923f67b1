"""R's term algebra: from a right-hand side to terms, each a set of variables, in R's order.

A term is a bitset: bit i is set when variable i takes part. Interaction is then ``|``, and R's rules are a few lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import FormulaError, warn
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.syntax import Call, Constant, Name, Node, Number

MAX_TERMS = 20_000

Bits = dict[int, None]  # an ordered set of terms


@dataclass(frozen=True)
class Terms:
    """The terms of a formula, as R's ``terms`` describes them.

    Attributes
    ----------
    variables : tuple of Node
        Expressions to evaluate: the response first where there is one, then in order of appearance.
    labels : tuple of str
        Their text.
    term_labels : tuple of str
        By degree of interaction, then by appearance.
    coding : tuple
        For each term the pairs (place in ``variables``, 1 or 2): a factor stands by its contrasts where it has 1 and by
        all its dummies where it has 2.
    intercept : bool
    response : bool
        Whether the first variable is the response.
    offsets : tuple of int
        Places in ``variables`` of the offsets, which belong to no term.
    """

    variables: tuple[Node, ...]
    labels: tuple[str, ...]
    term_labels: tuple[str, ...]
    coding: tuple[tuple[tuple[int, int], ...], ...]
    intercept: bool = True
    response: bool = False
    offsets: tuple[int, ...] = ()

    @property
    def order(self) -> tuple[int, ...]:
        """Number of variables in each term."""
        return tuple(len(c) for c in self.coding)

    @cached_property
    def factors(self) -> NDArray[np.int8]:
        """R's factors matrix (variables, terms): 0, 1 or 2."""
        matrix = np.zeros((len(self.variables), len(self.coding)), dtype=np.int8)
        for j, term in enumerate(self.coding):
            for i, code in term:
                matrix[i, j] = code
        return matrix


def terms(
    rhs: Node, *, response: Node | None = None, dot: Sequence[str] | None = None, source: str | None = None
) -> Terms:
    """Terms of a right-hand side.

    Parameters
    ----------
    rhs : Node
    response : Node, optional
        The left side. A term that equals it is dropped with a warning.
    dot : sequence of str, optional
        The columns that ``.`` stands for; those that the response uses must have been left out.
    source : str, optional
        The formula's text, for messages.

    Raises
    ------
    FormulaError
        For an operator used wrongly, ``.`` without ``dot``, or more than 20000 terms.
    """
    algebra = _Algebra(source, dot)
    if response is not None:
        algebra.variable(response)
    found = algebra.encode(rhs, keep=True)
    return _arrange(algebra, found, response is not None)


def _arrange(algebra: _Algebra, found: Bits, response: bool) -> Terms:
    labels = tuple(algebra.places)
    offsets = tuple(i for i, node in enumerate(algebra.nodes) if isinstance(node, Call) and node.function == "offset")
    if response:
        offsets = tuple(i for i in offsets if i)
        found = _without_response(found, labels[0])
    hidden = sum(1 << i for i in offsets)
    # A term that is all interaction with an offset is no term; R's sort by degree is stable.
    kept = sorted((t for t in found if t and not t & hidden), key=int.bit_count)
    return Terms(
        variables=tuple(algebra.nodes),
        labels=labels,
        term_labels=tuple(":".join(labels[i] for i in _members(t)) for t in kept),
        coding=_coding(kept),
        intercept=algebra.intercept,
        response=response,
        offsets=offsets,
    )


def _without_response(found: Bits, label: str) -> Bits:
    if 1 not in found:
        return found
    message = f"the response {label} is also on the right-hand side and was dropped there"
    warn(message)
    return {t: None for t in found if t != 1}


def _members(term: int) -> list[int]:
    """Places of the bits that are set, lowest first."""
    out = []
    while term:
        low = term & -term
        out.append(low.bit_length() - 1)
        term ^= low
    return out


def _coding(kept: list[int]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """R's rule: contrasts (1) where an earlier term holds all the others of the term, else dummies (2).

    Terms come by degree, so an earlier term that holds all but one of k variables has k - 1 of them, and is that set,
    or has k, and is that set and one more: looking in a table of such sets is enough.
    """
    out = []
    held = {0}
    for term in kept:
        rests = [(i, term & ~(1 << i)) for i in _members(term)]
        out.append(tuple((i, 1 if rest in held else 2) for i, rest in rests))
        held.add(term)
        held.update(rest for _, rest in rests)
    return tuple(out)


class _Algebra:
    """The state of one reading: variables met so far, and whether the intercept is in."""

    def __init__(self, source: str | None, dot: Sequence[str] | None) -> None:
        self.source = source
        self.dot = dot
        self.intercept = True
        self.places: dict[str, int] = {}
        self.nodes: list[Node] = []

    def error(self, message: str, node: Node) -> FormulaError:
        return FormulaError(message, self.source, node.span)

    def variable(self, node: Node) -> Bits:
        label = deparse(node)
        if label not in self.places:
            self.places[label] = len(self.nodes)
            self.nodes.append(node)
        return {1 << self.places[label]: None}

    def encode(self, node: Node, keep: bool) -> Bits:
        """Terms of an expression; ``keep`` is false right of a minus, where 1 takes the intercept out."""
        if isinstance(node, Name):
            return self.dotted(node) if node.id == "." else self.variable(node)
        if isinstance(node, Number | Constant):
            return self.constant(node, keep)
        if not isinstance(node, Call):
            raise self.error("a string is not a term; write the variable's name without quotes", node)
        if node.function in ("+", "-"):
            return self.sum(node, keep)
        if node.function == "(":
            return self.encode(node.args[0].value, keep)
        if node.function == "^":
            return self.power(node, keep)
        if node.function in OPERATORS and len(node.args) == 2:
            left, right = (self.encode(a.value, keep) for a in node.args)
            return OPERATORS[node.function](left, right, lambda: self.too_many(node))
        if node.function == "~":
            raise self.error("a second `~` inside the formula", node)
        return self.variable(node)

    def dotted(self, node: Node) -> Bits:
        if self.dot is None:
            raise self.error("`.` stands for the other columns, and there are no data to name them", node)
        out: Bits = {}
        for name in self.dot:
            out.update(self.variable(Name(name, span=node.span)))
        return out

    def constant(self, node: Number | Constant, keep: bool) -> Bits:
        if isinstance(node, Constant) and node.name == "NULL":
            return {}
        if isinstance(node, Constant) or node.value not in (0, 1):
            raise self.error(f"{deparse(node)} is not a term: only 0 and 1 are, for the intercept", node)
        self.intercept = keep if node.value == 1 else not keep
        return {}

    def sum(self, node: Call, keep: bool) -> Bits:
        """``a + b - c`` walked down its left side in a loop: such chains may be thousands of terms long."""
        chain: list[tuple[str, Node]] = []
        head: Node = node
        while isinstance(head, Call) and head.function in ("+", "-") and len(head.args) == 2:
            chain.append((head.function, head.args[1].value))
            head = head.args[0].value
        signed = isinstance(head, Call) and head.function in ("+", "-")
        if isinstance(head, Call) and signed:
            chain.append((head.function, head.args[0].value))
        found: Bits = {} if signed else dict(self.encode(head, keep))
        for operator, part in reversed(chain):
            self.add(found, operator, part, keep)
        return found

    def add(self, found: Bits, operator: str, part: Node, keep: bool) -> None:
        if operator == "+":
            found.update(self.encode(part, keep))
            if len(found) > MAX_TERMS:
                raise self.too_many(part)
            return
        for term in self.encode(part, not keep):
            found.pop(term, None)

    def power(self, node: Call, keep: bool) -> Bits:
        exponent = node.args[1].value
        if not isinstance(exponent, Number) or exponent.value < 1 or exponent.value != int(exponent.value):
            raise self.error("the power of terms must be a whole number, as in (a + b)^2", exponent)
        base = self.encode(node.args[0].value, keep)
        found = dict(base)
        for _ in range(int(exponent.value) - 1):
            size = len(found)
            # A term with itself is itself, so this holds the lower powers too, in R's order of appearance.
            found = _interact(found, base, lambda: self.too_many(node))
            if len(found) == size:
                break
        return found

    def too_many(self, node: Node) -> FormulaError:
        return self.error(f"this makes more than {MAX_TERMS} terms", node)


TooMany = Callable[[], FormulaError]


def _interact(left: Bits, right: Bits, too_many: TooMany) -> Bits:
    if len(left) * len(right) > 20 * MAX_TERMS:
        raise too_many()
    return {a | b: None for a in left for b in right}


def _cross(left: Bits, right: Bits, too_many: TooMany) -> Bits:
    # Nothing crossed with terms (`1 * a`) is nothing in R, where terms crossed with nothing (`a * 1`) are kept.
    return {**left, **right, **_interact(left, right, too_many)} if left else {}


def _union(found: Bits) -> Bits:
    whole = 0
    for term in found:
        whole |= term
    return {whole: None}


def _within(left: Bits, right: Bits, too_many: TooMany) -> Bits:
    return _interact(left, _union(right), too_many)


def _nest(left: Bits, right: Bits, too_many: TooMany) -> Bits:
    return {**left, **_interact(_union(left), right, too_many)} if left else {}


OPERATORS: dict[str, Callable[[Bits, Bits, TooMany], Bits]] = {
    ":": _interact, "*": _cross, "/": _nest, "%in%": _within,
}  # fmt: skip
