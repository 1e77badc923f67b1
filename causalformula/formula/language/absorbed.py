"""What ``fe(...)`` and fixest's bar list: factors, their combinations, and slopes that differ by factor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from causalformula.errors import FormulaError
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import summands, variables
from causalformula.formula.language.syntax import INDEX, Call, Name, Node

COMBINED = ("^", ":")


@dataclass(frozen=True)
class AbsorbedTerm:
    """One factor whose effects are absorbed.

    Attributes
    ----------
    factors : tuple of Node
        The variables whose combinations are its levels: one, or those of ``a^b``.
    slopes : tuple of Node
        The variables of ``a[x, z]``, each with a coefficient a level.
    intercept : bool
        Whether levels have an effect of their own: not in ``a[[x]]``.
    """

    factors: tuple[Node, ...]
    slopes: tuple[Node, ...] = ()
    intercept: bool = True

    @property
    def name(self) -> str:
        """The factor as fixest writes it."""
        return "^".join(plain_name(node) for node in self.factors)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Everything that is to be evaluated."""
        return (*self.factors, *self.slopes)

    def __str__(self) -> str:
        inside = ", ".join(deparse(node) for node in self.slopes)
        first, last = ("[", "]") if self.intercept else ("[[", "]]")
        return self.name + (f"{first}{inside}{last}" if inside else "")


def plain_name(node: Node) -> str:
    """A variable's text; a name alone has no backquotes."""
    return node.id if isinstance(node, Name) else deparse(node)


def absorbed_terms(bodies: Iterable[Node], source: str | None = None) -> tuple[AbsorbedTerm, ...]:
    """The factors that are listed, each once: slopes of a factor that is listed again join it.

    Raises
    ------
    FormulaError
        For what is no factor: a term taken away, one that names no variable, operators of the term algebra.
    """
    found: dict[str, AbsorbedTerm] = {}
    for piece in (piece for body in bodies for piece in _pieces(body, source)):
        term = _term(piece, source)
        known = found.get(term.name)
        if known is not None:
            slopes = {deparse(node): node for node in (*known.slopes, *term.slopes)}
            term = replace(known, slopes=tuple(slopes.values()), intercept=known.intercept or term.intercept)
        found[term.name] = term
    return tuple(found.values())


def _pieces(body: Node, source: str | None) -> Iterator[Node]:
    """The summands, those in parentheses too: there, too, nothing is added up."""
    for sign, piece in summands(body):
        if sign < 0:
            raise FormulaError("a fixed effect cannot be taken away; leave it out", source, piece.span)
        if isinstance(piece, Call) and piece.function == "(":
            yield from _pieces(piece.args[0].value, source)
        else:
            yield piece


def _term(piece: Node, source: str | None) -> AbsorbedTerm:
    factors = tuple(_factors(piece, source))
    last, intercept = factors[-1], True
    slopes: tuple[Node, ...] = ()
    if isinstance(last, Call) and last.function in INDEX:
        slopes, intercept = tuple(a.value for a in last.args[1:]), last.function == "["
        factors = (*factors[:-1], last.args[0].value)
    for node in factors:
        if isinstance(node, Call) and node.function in INDEX:
            raise FormulaError("slopes are of the whole combination and stand at its end: a^b[x]", source, node.span)
    for node in (*factors, *slopes):
        if not variables(node):
            raise FormulaError("a fixed effect names a column, without quotation marks", source, node.span)
    return AbsorbedTerm(factors, slopes, intercept)


def _factors(piece: Node, source: str | None) -> Iterator[Node]:
    """The variables of ``a^b``; any other piece is one variable."""
    if isinstance(piece, Call) and len(piece.args) == 2:
        if piece.function in COMBINED:
            for argument in piece.args:
                yield from _factors(argument.value, source)
            return
        if piece.function in ("*", "/", "%in%"):
            left, right = (deparse(a.value) for a in piece.args)
            message = f"fixed effects of two factors are {left} + {right}, of their combinations {left}^{right}"
            raise FormulaError(message, source, piece.span)
    yield piece
