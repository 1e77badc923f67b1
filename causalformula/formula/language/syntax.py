"""The syntax tree of R's expression language: plain data, never code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Span = tuple[int, int]

# The calls that fixest's slopes are, and their closing: ``a[x]`` and ``a[[x]]``.
INDEX = {"[": "]", "[[": "]]"}


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

    def __reduce__(self) -> tuple[Callable[..., Node], tuple[Any, ...]]:
        # As a list: a sum of a thousand terms is a tree a thousand levels deep, at which pickle gives up.
        return unflatten, (flatten(self),)


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


Opened = tuple[str, Span, tuple[str | None, ...]]


def flatten(node: Node) -> list[Node | Opened]:
    """The tree as a list, parents first: a call as its function, its place and its arguments' names."""
    return [(n.function, n.span, tuple(a.name for a in n.args)) if isinstance(n, Call) else n for n in walk(node)]


def unflatten(pieces: Sequence[Node | Opened]) -> Node:
    """The tree from ``flatten``."""
    ready: list[Node] = []
    for piece in reversed(pieces):
        if isinstance(piece, Node):
            ready.append(piece)
            continue
        function, span, tags = piece
        ready.append(Call(function, tuple(Argument(ready.pop(), tag) for tag in tags), span=span))
    return ready[0]


def literal(node: Node | None) -> str | float | bool | None:
    """Python value of a literal: text, number (int for a whole one) or truth value; None for anything else."""
    if isinstance(node, String):
        return node.value
    if isinstance(node, Number):
        return int(node.value) if node.value.is_integer() else node.value
    if isinstance(node, Constant):
        return {"TRUE": True, "FALSE": False}.get(node.name)
    if isinstance(node, Call) and node.function in "+-" and len(node.args) == 1:
        value = literal(node.args[0].value)
        return None if value is None or isinstance(value, (str, bool)) else -value if node.function == "-" else value
    return None


def is_name(node: Node) -> bool:
    """Whether the expression is one plain column name."""
    return isinstance(node, Name) and node.id != "."
