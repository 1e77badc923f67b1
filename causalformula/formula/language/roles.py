"""One role at a time: what it holds, and what is said when that is not what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from causalformula.errors import FormulaError, did_you_mean
from causalformula.formula.language.absorbed import absorbed_terms
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import (
    LEAVE_ONE_OUT,
    ROLES,
    RoleRecord,
    check_functions,
    has_dot,
    is_operator,
    variables,
)
from causalformula.formula.language.leave_one_out import check_leave_one_out
from causalformula.formula.language.spec import Role
from causalformula.formula.language.syntax import Call, Node, Number, is_name, literal, walk
from causalformula.formula.language.tokens import random_effect

# Operators of the term algebra; outside I() they are not arithmetic.
ALGEBRA = frozenset(["+", "-", "*", "/", ":", "^", "%in%", "|"])

# Operators whose value is a truth.
LOGICAL = frozenset(["==", "!=", "<", "<=", ">", ">=", "!", "&", "%in%"])

ONE_TREATMENT = "for treatments given together make one column that says which (several levels are fine)"
INTERCEPT = "a causal formula keeps its intercept; leave `- 1` or `0` out"


@dataclass(frozen=True, slots=True)
class Context:
    """The text that is read, for the messages, and the caller's functions."""

    source: str
    env: frozenset[str]

    def error(self, message: str, node: Node) -> FormulaError:
        """Make an error that points at a piece of the text."""
        return FormulaError(message, self.source, node.span)


def role_calls(node: Node) -> Iterator[Call]:
    """Every role that stands anywhere in an expression."""
    return (piece for piece in walk(node) if isinstance(piece, Call) and piece.function in ROLES)


def is_number(node: Node, *values: float) -> bool:
    """Whether the node is one of these numbers."""
    return isinstance(node, Number) and node.value in values


def short(text: str) -> str:
    """Cut a text for a message."""
    text = text.strip()
    return text if len(text) <= 60 else text[:57] + "..."


def read_role(call: Call, context: Context) -> Role:
    """Read the call of a role, or raise the FormulaError that says what it takes."""
    record = ROLES[call.function]
    body = tuple(a.value for a in call.args if a.name is None)
    for argument in call.args:
        for inner in role_calls(argument.value):
            raise context.error(f"{inner.function}(...) inside {record.name}(...): join roles by `+`", inner)
        own = [LEAVE_ONE_OUT] if record.name == "iv" else []
        check_functions(argument.value, context.source, [*context.env, *own], slopes=record.name == "fe")
    _check_count(call, body, record, context)
    for node in body:
        _check_body(node, record, context)
    return Role(record.name, body, _options(call, record, context))


def _check_count(call: Call, body: tuple[Node, ...], record: RoleRecord, context: Context) -> None:
    if len(body) == record.arguments:
        return
    wanted = {1: "one argument", 2: "two arguments"}[record.arguments]
    joined = " + ".join(deparse(node) for node in body) if record.reads == "terms" and body else ""
    advice = f"{record.name}({short(joined)})" if joined else record.example
    if record.name == "treat" and len(body) > 1:
        raise context.error(f"treat takes one variable; {ONE_TREATMENT}", call)
    raise context.error(f"{record.name} takes {wanted}, and has {len(body)}: write {advice}", call)


def _check_body(node: Node, record: RoleRecord, context: Context) -> None:
    used = variables(node)
    if has_dot(node) and not record.adjusts:
        raise context.error(f"the dot stands for many columns; {record.name} needs them named: {record.example}", node)
    if record.reads == "variable" and len(used) > 1:
        advice = ONE_TREATMENT if record.name == "treat" else record.example
        raise context.error(f"{record.name} takes one variable here, not {len(used)}; {advice}", node)
    if not (used or has_dot(node) or (record.name == "adjust" and is_number(node, 0, 1))):
        raise context.error(f"{record.name}(...) names no variable; a name has no quotation marks", node)
    if record.reads == "variable" and is_operator(node) and isinstance(node, Call) and node.function in ALGEBRA:
        raise context.error(f"arithmetic in {record.name}(...) goes inside I(): I({deparse(node)})", node)
    if record.reads == "terms":
        refuse_bars(node, context, record)
        check_intercept(node, context)
    if record.name == "fe":
        absorbed_terms([node], context.source)
    if record.name == "iv":
        check_leave_one_out(node, _algebra(node), context.source, context.env)


def _options(call: Call, record: RoleRecord, context: Context) -> tuple[tuple[str, Node], ...]:
    found: dict[str, Node] = {}
    allowed = dict(record.options)
    for argument in call.args:
        name, value = argument.name, argument.value
        if name is None:
            continue
        if name not in allowed:
            raise context.error(_unknown_option(name, record), value)
        if name in found:
            raise context.error(f"{name} is given twice", value)
        if allowed[name] == "level" and literal(value) is None:
            raise context.error(f'{name} is a level: text in quotation marks or a number, {name} = "placebo"', value)
        if allowed[name] == "variable" and not is_name(value):
            raise context.error(f"{name} is the name of one column: {record.example}", value)
        found[name] = value
    return tuple(found.items())


def _unknown_option(name: str, record: RoleRecord) -> str:
    allowed = [option for option, _ in record.options]
    near = did_you_mean(name, allowed) or "."
    return f"{record.name} has no option {name!r}{near} It takes {', '.join(allowed) or 'none'}: {record.example}"


def _algebra(node: Node) -> Iterator[Node]:
    """Every piece that the term algebra sees, in order of appearance: what stands in functions is their own."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        if isinstance(top, Call) and (top.function in ALGEBRA or top.function == "("):
            stack.extend(a.value for a in reversed(top.args[:1] if top.function == "^" else top.args))


def check_intercept(node: Node, context: Context) -> None:
    """Refuse ``- 1`` and ``+ 0`` wherever the term algebra would see them."""
    for piece in _algebra(node):
        if is_number(piece, 0):
            raise context.error(INTERCEPT, piece)
        if isinstance(piece, Call) and piece.function == "-" and isinstance(piece.args[-1].value, Number):
            raise context.error(INTERCEPT, piece.args[-1].value)


def refuse_bars(node: Node, context: Context, record: RoleRecord | None = None) -> None:
    """Refuse ``|`` wherever the term algebra would see it, where R makes a logical "or" in silence.

    Every reader means groups: fixed effects behind fixest's bar, random ones in lme4's parentheses.

    Parameters
    ----------
    record : RoleRecord, optional
        The role whose terms these are.
    """
    bracketed = False
    for piece in _algebra(node):
        if isinstance(piece, Call) and piece.function == "|":
            raise context.error(_bar(piece, bracketed, record), piece.args[1].value)
        bracketed = isinstance(piece, Call) and piece.function == "("


def _bar(bar: Call, bracketed: bool, record: RoleRecord | None) -> str:
    """What is said of a bar; groups are no comparison, so behind one that is the bar is R's."""
    groups = bar.args[1].value
    if logical(groups):
        return f"`|` between terms would be the logical 'or': write I({short(deparse(bar))})"
    if bracketed:
        return random_effect(short(deparse(bar)), _groups(bar)) + _logical(bar)
    return _fixed(bar, record) + _logical(bar)


def logical(node: Node) -> bool:
    """Whether an expression is a comparison, which no factor is."""
    return isinstance(node, Call) and node.function in LOGICAL


def _groups(bar: Call) -> str:
    groups = bar.args[1].value
    return short(deparse(groups)) if is_name(groups) else "g"


def _fixed(bar: Call, record: RoleRecord | None) -> str:
    few = f"write factor({_groups(bar)}) among the terms for few groups"
    if record is None:
        return f"`|` between terms reads as fixed effects, which are absorbed by cf.lm, cf.glm and cf.fit only; {few}"
    if record.adjusts:
        return f"`|` in {record.name}(...) reads as fixed effects; these are a role of their own, fe(...), or {few}"
    both = " + ".join(deparse(a.value) for a in bar.args)
    return f"`|` in {record.name}(...) joins nothing; write {record.name}({short(both)})"


def _logical(bar: Call) -> str:
    alone = is_number(bar.args[0].value, 0, 1) or any(role_calls(bar))
    return "" if alone else f". The logical 'or' is I({short(deparse(bar))})"
