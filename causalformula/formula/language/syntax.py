"""The syntax tree of R's expression language: plain data, never code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of a formula; ``span`` is its place in the source text and takes no part in equality."""

    span: Span = field(default=(0, 0), compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A numeric literal; ``integer`` for R's ``2L``."""

    value: float
    integer: bool = False


@dataclass(frozen=True, slots=True)
class String(Node):
    """A quoted string."""

    value: str


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """One of ``TRUE``, ``FALSE``, ``NULL``, ``NA``, ``Inf``, ``NaN``."""

    name: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable, without its backquotes; ``.`` is the dot of formulas."""

    id: str


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call, with its name where it was given one."""

    value: Node
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call. Operators are calls too, as in R: ``+``, ``:``, ``%in%``, ``~``, ``!``, and ``(`` for parentheses."""

    function: str
    args: tuple[Argument, ...] = ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, parents first."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        if isinstance(top, Call):
            stack.extend(a.value for a in reversed(top.args))


def names(node: Node) -> list[str]:
    """Variables that the expression uses, each once, in order of appearance."""
    return list(dict.fromkeys(n.id for n in walk(node) if isinstance(n, Name)))
