"""``loo(g)`` among instruments: the mean of the treatment among the other rows of a group, as it is written."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from causalformula.errors import FormulaError
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import LEAVE_ONE_OUT, has_dot, variables
from causalformula.formula.language.spec import Spec
from causalformula.formula.language.syntax import Call, Constant, Name, Node, walk

TRUTHS = {"TRUE": True, "FALSE": False, "T": True, "F": False}


@dataclass(frozen=True)
class LeaveOneOutTerm:
    """``loo(g, raw = FALSE)``.

    Parameters
    ----------
    label : str
        As it is written.
    group : Node
        What says whose rows these are.
    raw : bool
        Whether the treatment is averaged as it is, and not what the exogenous terms and absorbed effects leave of it.
    """

    label: str
    group: Node
    raw: bool


def leave_one_out(node: Node) -> LeaveOneOutTerm | None:
    """The term that a variable of ``iv(...)`` is; None for any other."""
    if not (isinstance(node, Call) and node.function == LEAVE_ONE_OUT):
        return None
    named = {a.name: _truth(a.value) for a in node.args if a.name is not None}
    return LeaveOneOutTerm(deparse(node), node.args[0].value, bool(named.get("raw")))


def leave_one_out_terms(spec: Spec) -> tuple[LeaveOneOutTerm, ...]:
    """Those of a formula, each once."""
    bodies = [body for item in spec.of("iv") for body in item.body]
    found = [term for body in bodies for piece in walk(body) if (term := leave_one_out(piece)) is not None]
    return tuple({term.label: term for term in found}.values())


def check_leave_one_out(body: Node, terms: Iterable[Node], source: str, env: Collection[str]) -> None:
    """Refuse what is no ``loo(g)``, and one inside another function."""
    whole = {piece.span for piece in terms}
    for piece in walk(body):
        if not (isinstance(piece, Call) and piece.function == LEAVE_ONE_OUT):
            continue
        if LEAVE_ONE_OUT in env:
            raise FormulaError("loo is a word of iv(...); give the function in env= another name", source, piece.span)
        if piece.span not in whole:
            why = "loo(...) is a term of its own, which stands in no other function: write iv(loo(g))"
            raise FormulaError(why, source, piece.span)
        _check_arguments(piece, source)


def _check_arguments(call: Call, source: str) -> None:
    plain = [a.value for a in call.args if a.name is None]
    if len(plain) != 1 or call.args[0].name is not None or has_dot(plain[0]) or not variables(plain[0]):
        why = "loo takes one column, whose rows share a judge: loo(judge), or loo(paste(judge, year)) of several"
        raise FormulaError(why, source, call.span)
    if isinstance(plain[0], Call) and plain[0].function in ("+", ":", "*"):
        several = ", ".join(variables(plain[0]))
        raise FormulaError(f"loo takes one column; groups of several are loo(paste({several}))", source, plain[0].span)
    for argument in call.args[1:]:
        if argument.name != "raw":
            why = f"loo has no option {argument.name!r}. It takes raw: loo(judge, raw = TRUE)"
            raise FormulaError(why, source, argument.value.span)
        if _truth(argument.value) is None:
            why = "raw is TRUE or FALSE: whether the treatment is averaged as it is, not less what is adjusted for"
            raise FormulaError(why, source, argument.value.span)


def _truth(node: Node) -> bool | None:
    if isinstance(node, Constant):
        return TRUTHS.get(str(node.name))
    return TRUTHS.get(node.id) if isinstance(node, Name) else None
