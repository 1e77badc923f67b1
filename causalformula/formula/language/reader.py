"""From formula text to ``Spec``: roles are lifted out before anything is evaluated."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from causalformula.errors import FormulaError
from causalformula.formula.language.absorbed import AbsorbedTerm, absorbed_terms
from causalformula.formula.language.deparse import deparse, symbol
from causalformula.formula.language.from_formulaic import formula_text
from causalformula.formula.language.grammar import (
    ROLES,
    check_functions,
    enclosed,
    function_span,
    has_dot,
    plus,
    summands,
    variable_nodes,
    variables,
)
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.roles import (
    ONE_TREATMENT,
    Context,
    check_intercept,
    is_number,
    logical,
    read_role,
    refuse_bars,
    role_calls,
    short,
)
from causalformula.formula.language.spec import Role, Spec
from causalformula.formula.language.syntax import Argument, Call, Name, Node, Number

if TYPE_CHECKING:
    from formulaic import Formula

Signed = tuple[int, Node]


@dataclass(frozen=True, slots=True)
class _Group:
    """Summands of one ``adjust(...)`` (explicit), or one bare term."""

    explicit: bool
    signed: list[Signed]


def parse(text: str | Formula, outcome: str | None = None, env: Iterable[str] = ()) -> Spec:
    """Read a causal formula.

    Parameters
    ----------
    text : str or formulaic.Formula
        ``"Y ~ treat(A) + adjust(x)"``, or a right-hand side alone with ``outcome=``. The left side may be empty:
        a design without an outcome.
    outcome : str, optional
        The left side.
    env : iterable of str
        Names of functions of the caller's own.

    Returns
    -------
    Spec
        With ``parse(str(spec)) == spec``.

    Raises
    ------
    FormulaError
        With the place in the text, and what to write instead.
    """
    functions = frozenset(env)
    source, tree = _whole(formula_text(text, functions), outcome)
    context = Context(source, functions)
    left, right = _sides(tree, context)
    if left is not None:
        _check_left(left, context)
    spec = Spec(left, tuple(_roles(right, context)), source)
    _check_roles(spec, right, context)
    # What was written compactly at the limit of size may be too long when written out.
    parse_expression(str(spec))
    return spec


def parse_model(text: str, env: Iterable[str] = ()) -> tuple[Node | None, Node]:
    """Left (None when empty) and right side of one of R's plain model formulas, without roles.

    Raises
    ------
    FormulaError
        When the text is no such formula, or holds a causal role.
    """
    left, right, _ = parse_absorbing(text, env, absorbs=False)
    return left, right


def parse_absorbing(
    text: str, env: Iterable[str] = (), *, absorbs: bool = True
) -> tuple[Node | None, Node, tuple[AbsorbedTerm, ...]]:
    """The sides of a plain model formula, and the fixed effects behind its bar or in ``fe(...)``.

    Raises
    ------
    FormulaError
        As ``parse_model``, which has no such effects: ``absorbs=False``.
    """
    tree = parse_expression(text)
    context = Context(text, frozenset(env) | {"offset"})
    if not _is_formula(tree):
        raise context.error("no `~`: a model formula is `y ~ x`, or `~ x` without an outcome", tree)
    left, right = _sides(tree, context)
    bodies: list[Node] = []
    if absorbs:
        right, bodies = _absorbed(right, context)
    for call in (*role_calls(right), *(() if left is None else role_calls(left))):
        if call.function != "offset" and call.function not in context.env:
            raise FormulaError(_no_role(call, absorbs), text, function_span(call))
    if left is not None:
        _check_left(left, context)
    refuse_bars(right, context)
    check_functions(right, text, context.env)
    return left, right, absorbed_terms(bodies, text)


def _no_role(call: Call, absorbs: bool) -> str:
    if call.function == "fe":
        return (
            _misplaced(call)
            if absorbs
            else "fe(...) is of cf.lm, cf.glm and cf.fit; here write factor(g) for few groups"
        )
    return f"{call.function}(...) is a causal role: use cf.fit, or leave it out for a plain regression"


def _absorbed(right: Node, context: Context) -> tuple[Node, list[Node]]:
    """Terms of a plain right-hand side, and what is absorbed beside them."""
    main: Node = right
    roles: list[Role] = []
    if isinstance(right, Call) and right.function == "|" and not logical(right.args[1].value):
        main, roles = _bar(right, context)
    kept: list[Signed] = []
    for sign, piece in summands(main):
        if isinstance(piece, Call) and piece.function == "fe" and sign > 0 and "fe" not in context.env:
            roles.append(read_role(piece, context))
        else:
            kept.append((sign, piece))
    if len(kept) < len(summands(main)):
        main = _sum(kept) if kept else Number(1.0, span=right.span)
    return main, [body for role in roles for body in role.body]


def from_json(text: str) -> Spec:
    """Spec from ``Spec.to_json``; the formula in it is parsed, so nothing that ``parse`` refuses gets in.

    Raises
    ------
    FormulaError
        When the text is no such JSON, or the formula in it is refused.
    """
    try:
        record = json.loads(text)
        formula, source, functions = record["formula"], record["source"], record["functions"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise FormulaError(_NO_JSON) from None
    if not (isinstance(source, str) and isinstance(functions, list) and all(isinstance(f, str) for f in functions)):
        raise FormulaError(_NO_JSON)
    # The text as written keeps the carets of later messages; a Spec changed since has none that fits.
    try:
        spec = parse(source, env=functions)
    except FormulaError:
        spec = None
    return spec if spec is not None and str(spec) == formula else parse(formula, env=functions)


_NO_JSON = "not the JSON of a formula: write it with Spec.to_json()"


# -- the two sides -------------------------------------------------------------------------------------------


def _whole(text: str, outcome: str | None) -> tuple[str, Node]:
    """Text and tree of the formula with its left side, wherever that was given."""
    tree = parse_expression(text)
    if outcome is None:
        if not _is_formula(tree):
            message = f'no `~`, so no outcome: write "Y ~ {short(text)}", or give the outcome apart: outcome="Y"'
            raise FormulaError(message, text, tree.span)
        return text, tree
    stated = parse_expression(outcome)
    if _is_formula(stated):
        raise FormulaError("outcome= is the left side alone, without `~`", outcome, stated.span)
    left = deparse(stated, exact=True)
    if _is_formula(tree) and isinstance(tree, Call) and len(tree.args) == 2:
        given = deparse(tree.args[0].value, exact=True)
        if given != left:
            message = f"two outcomes: {short(given)} on the left of `~` and outcome={short(left)!r}; keep one"
            raise FormulaError(message, text, tree.args[0].value.span)
        return text, tree
    full = f"{left} {text}" if _is_formula(tree) else f"{left} ~ {text}"
    return full, parse_expression(full)


def with_tilde(text: Any) -> Any:
    """A text without ``~`` as the right-hand side that it is."""
    return f"~ {text}" if isinstance(text, str) and not _is_formula(parse_expression(text)) else text


def _is_formula(tree: Node) -> bool:
    return isinstance(tree, Call) and tree.function == "~"


def _sides(tree: Node, context: Context) -> tuple[Node | None, Node]:
    assert isinstance(tree, Call)
    first = tree.args[0].value
    if len(tree.args) == 2 and isinstance(first, Call) and first.function == "~":
        behind = first.args[-1].value
        if isinstance(behind, Call) and behind.function == "|":
            raise context.error(_instruments(behind.args[1].value, tree.args[1].value), tree.args[1].value)
    return (tree.args[0].value if len(tree.args) == 2 else None), tree.args[-1].value


def _instruments(treated: Node, instruments: Node) -> str:
    """What is said of fixest's ``| d ~ z``."""
    d, z = short(deparse(treated)), short(deparse(instruments))
    return (
        f"`| {d} ~ {z}` reads as instruments, as fixest writes them; here they are a role of a causal formula, "
        f"treat({d}) + iv({z})"
    )


def _check_left(left: Node, context: Context) -> None:
    for call in role_calls(left):
        raise context.error(f"{call.function}(...) belongs on the right of `~`", call)
    if has_dot(left):
        raise context.error("the left side cannot hold the dot; name the outcome", left)
    if not variables(left):
        raise context.error("the left side names no variable; a name is written without quotation marks", left)
    inner = [a.value for a in left.args] if isinstance(left, Call) and left.function == "Surv" else [left]
    if inner != [left] and len(inner) not in (2, 3):
        raise context.error("Surv takes a time and an event: Surv(time, event)", left)
    for node in inner:
        check_functions(node, context.source, context.env)


# -- lifting the roles ---------------------------------------------------------------------------------------


def _roles(right: Node, context: Context) -> list[Role]:
    """Roles in order of appearance, all that is adjusted for gathered where the first of it stands."""
    main, absorbed = _bar(right, context)
    refuse_bars(main, context)
    roles: list[Role] = []
    groups: list[_Group] = []
    place = 0
    for sign, node in _pieces(main):
        role = _lift(sign, node, context)
        if role is not None and role.kind != "adjust":
            roles.append(role)
        elif role is not None or not _is_intercept(sign, node):
            place = place if groups else len(roles)
            groups.append(_Group(False, [(sign, node)]) if role is None else _Group(True, summands(role.body[0])))
    adjusted = _adjust(groups)
    return [*roles[:place], *adjusted, *roles[place:], *absorbed]


def _bar(right: Node, context: Context) -> tuple[Node, list[Role]]:
    """Terms before, and fixed effects behind, fixest's ``|``."""
    if not (isinstance(right, Call) and right.function == "|"):
        return right, []
    main, absorbed = (a.value for a in right.args)
    if isinstance(main, Call) and main.function == "|":
        raise context.error("a second `|`; fixed effects go behind one `|`, instruments in iv(...)", absorbed)
    bare = Call("fe", (Argument(absorbed),), span=absorbed.span)
    return main, [read_role(bare, context)]


def _pieces(node: Node) -> Iterator[Signed]:
    """Summands of a right-hand side; parentheses are opened where a role stands in them."""
    for sign, piece in summands(node):
        inside = isinstance(piece, Call) and piece.function == "(" and any(role_calls(piece))
        if inside and isinstance(piece, Call) and sign > 0:
            yield from _pieces(piece.args[0].value)
        else:
            yield sign, piece


def _lift(sign: int, node: Node, context: Context) -> Role | None:
    """The role that a summand is, or None for a bare term."""
    if isinstance(node, Call) and node.function in ROLES:
        if sign < 0:
            raise context.error(f"a role cannot be taken away; leave {node.function}(...) out", node)
        return read_role(node, context)
    for call in role_calls(node):
        raise context.error(_misplaced(call), call)
    check_functions(node, context.source, context.env)
    if not (variables(node) or has_dot(node) or is_number(node, 0, 1)):
        raise context.error("this term names no variable; a name has no quotation marks", node)
    return None


def _misplaced(call: Call) -> str:
    if call.function == "did":
        advice = _OF_DID
    elif call.function == "treat":
        advice = "for an effect that differs by x write modify(x), and transform inside the role: treat(factor(A))"
    else:
        advice = f"operators and functions go inside it: {ROLES[call.function].example}"
    return f"{call.function}(...) is a role and can only be joined by `+`; {advice}"


def _adjust(groups: list[_Group]) -> list[Role]:
    """The one adjust role. Terms taken away in an ``adjust(...)`` are not taken from what stands outside it."""
    signed: list[Signed] = []
    for group in groups:
        apart = group.explicit and len(groups) > 1 and any(sign < 0 for sign, _ in group.signed)
        signed.extend([(1, enclosed(_sum(group.signed)))] if apart else group.signed)
    kept = [(sign, node) for sign, node in signed if not _is_intercept(sign, node)]
    return [Role("adjust", (_sum(kept),))] if kept else []


def _is_intercept(sign: int, node: Node) -> bool:
    """Whether the summand is `+ 1`, which says nothing: the intercept is always there."""
    return sign > 0 and is_number(node, 1)


def _sum(signed: list[Signed]) -> Node:
    (sign, first), *rest = signed
    start = first if sign > 0 else Call("-", (Argument(first),), span=first.span)
    return reduce(lambda left, item: plus(left, item[1]) if item[0] > 0 else _minus(left, item[1]), rest, start)


def _minus(left: Node, right: Node) -> Node:
    return Call("-", (Argument(left), Argument(right)), span=(left.span[0], right.span[1]))


# -- the formula as a whole ----------------------------------------------------------------------------------


def _check_roles(spec: Spec, right: Node, context: Context) -> None:
    for kind, record in ROLES.items():
        if record.once and len(spec.of(kind)) > 1:
            raise context.error(_twice(kind), spec.of(kind)[1].body[0])
    if spec.has("treat") and spec.has("did"):
        raise context.error("did(...) holds the treatment already; leave treat(...) out", spec.of("treat")[0].body[0])
    if not (spec.has("treat") or spec.has("did")):
        raise context.error(_no_treatment(right, context.source), right)
    for role in spec.of("did"):
        if variables(role.body[0]) == variables(role.body[1]):
            raise context.error(f"did takes two different variables: {ROLES['did'].example}", role.body[1])
    for body in spec.of("adjust"):
        check_intercept(body.body[0], context)
    _check_places(spec, context)


def _twice(kind: str) -> str:
    advice = ONE_TREATMENT if kind == "treat" else f"keep one: {ROLES[kind].example}"
    return f"{kind}(...) stands twice; {advice}"


def _no_treatment(right: Node, source: str) -> str:
    main = right.args[0].value if isinstance(right, Call) and right.function == "|" else right
    first = next((node for _, node in summands(main) if isinstance(node, Name) and node.id != "."), None)
    offer = "treat(A)"
    if first is not None and len(source) <= 200:
        start, stop = first.span
        offer = f"{source[:start]}treat({source[start:stop]}){source[stop:]}"
    return f"no treatment: mark it, as in `{offer}`; for a regression without one use cf.lm"


def _check_places(spec: Spec, context: Context) -> None:
    """The treatment and the outcome are not among the terms of any model's right-hand side."""
    treated = variables(spec.rhs("treat") or spec.of("did")[0].body[0])
    # An outcome of several variables, as a change score, may well be adjusted for one of them.
    outcome = variables(spec.outcome) if spec.outcome is not None else []
    single = outcome if len(outcome) == 1 or _is_surv(spec.outcome) else []
    for name in _names_in(spec, ("treat", "did"), single):
        raise context.error(f"{name.id} is the outcome and cannot be the treatment", name)
    kinds = [kind for kind, record in ROLES.items() if record.adjusts]
    for name in _names_in(spec, kinds, treated):
        said = _TREATED if spec.has("treat") else _IN_GROUPS
        raise context.error(said.format(symbol(name.id), "x" if name.id != "x" else "z"), name)
    for name in _names_in(spec, kinds, single):
        raise context.error(f"{name.id} is the outcome and cannot stand on the right", name)


_TREATED = (
    "{0} is the treatment and enters by itself; for an effect that differs by another variable {1} write modify({1}). "
    "If it is a dose, it enters linearly; for a curve write treat(cut({0}, 3)) or treat(factor({0})), or use cf.lm "
    "with poly({0}, 2)"
)


_OF_DID = 'for an effect that differs by x make a fit of each group, as with subset="x > 0"'
_IN_GROUPS = f"{{0}} says who is treated in did(...), and enters by itself and with the period; {_OF_DID}"


def _is_surv(node: Node | None) -> bool:
    return isinstance(node, Call) and node.function == "Surv"


def _names_in(spec: Spec, kinds: Collection[str], wanted: Collection[str]) -> Iterator[Name]:
    """Where any of the wanted variables stands in those roles; `. - A` takes it away and is no use of it."""
    for role in spec.roles:
        for node in role.nodes() if role.kind in kinds else ():
            for sign, piece in summands(node):
                yield from (name for name in variable_nodes(piece) if sign > 0 and name.id in wanted)
