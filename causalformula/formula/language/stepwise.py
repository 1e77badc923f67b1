"""fixest's formulas that stand for several: outcomes in ``c(...)``, terms in ``sw() csw() sw0() csw0()``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import TypeAlias

from causalformula.errors import FormulaError
from causalformula.formula.language.grammar import ROLES, STEPS, summands
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Call, Node, walk

# Formulas that one may stand for.
MOST = 1000

# The text that a step's call has in one of the formulas; None where it has none.
Chosen: TypeAlias = Mapping[int, str | None]


def several(text: str, env: Collection[str] = ()) -> tuple[str, ...] | None:
    """The formulas that a text stands for, in fixest's order; None where it is one formula as it is.

    Those with the same fixed effects stand together, and among them those of one outcome.

    Raises
    ------
    FormulaError
        For steps within steps, or where they are no terms of their own.
    """
    if not any(f"{name}(" in text.replace(" ", "") for name in ("c", *STEPS)):
        return None
    tree = parse_expression(text)
    if not (isinstance(tree, Call) and tree.function == "~"):
        return None
    left = tree.args[0].value if len(tree.args) == 2 else None
    main, behind = tree.args[-1].value, None
    if isinstance(main, Call) and main.function == "|":
        main, behind = (a.value for a in main.args)
    names = {name for name in STEPS if name not in env}
    outcomes = _outcomes(left, text, names, env)
    ahead, after = _steps(main, text, names), [] if behind is None else _steps(behind, text, names)
    if len(outcomes) == 1 and not ahead and not after and (_plain(left) or "c" in env):
        return None
    count = len(outcomes)
    for step in (*ahead, *after):
        count *= len(_texts(step, text))
    if count > MOST:
        raise FormulaError(f"this stands for {count:,} formulas, and {MOST:,} are the most", text, tree.span)
    found = (
        f"{outcome} ~ {_written(main, text, terms) or '1'}{_bar(behind, text, effects)}".lstrip()
        for effects in _ways(after, text)
        for outcome in outcomes
        for terms in _ways(ahead, text)
    )
    return tuple(dict.fromkeys(found))


def _plain(left: Node | None) -> bool:
    return not (isinstance(left, Call) and left.function == "c")


def _outcomes(left: Node | None, text: str, names: Collection[str], env: Collection[str]) -> list[str]:
    """The outcomes that are listed on the left; one empty text where there is none."""
    if left is None:
        return [""]
    for node in walk(left):
        if isinstance(node, Call) and node.function in names:
            raise FormulaError(
                f"{node.function}(...) is of terms, on the right of `~`; several outcomes are c(y1, y2)",
                text,
                node.span,
            )
    if _plain(left) or "c" in env:
        return [_source(left, text)]
    assert isinstance(left, Call)
    if not left.args:
        raise FormulaError("c(...) on the left lists outcomes: c(y1, y2)", text, left.span)
    return [_source(argument.value, text) for argument in left.args]


def _steps(node: Node, text: str, names: Collection[str]) -> list[Call]:
    """The calls that stand for one of several terms, each a summand, of the whole or in a role."""
    found = list(_summand_steps(node, names))
    for step in found:
        if not step.args:
            raise FormulaError(f"{step.function}(...) lists terms: {step.function}(x, z)", text, step.span)
        for inner in (n for a in step.args for n in walk(a.value)):
            if isinstance(inner, Call) and inner.function in names:
                why = f"{inner.function}(...) within {step.function}(...): steps are not nested; join them by `+`"
                raise FormulaError(f"{why}, and every pair of theirs is fitted", text, inner.span)
    known = {id(step) for step in found}
    for other in walk(node):
        if isinstance(other, Call) and other.function in names and id(other) not in known:
            why = f"{other.function}(...) can only be joined by `+` to other terms"
            raise FormulaError(f"{why}: write interactions inside, {other.function}(x, x:z)", text, other.span)
    return found


def _summand_steps(node: Node, names: Collection[str]) -> Iterator[Call]:
    for sign, piece in summands(node):
        if not isinstance(piece, Call):
            continue
        if piece.function in names and sign > 0:
            yield piece
        elif _opens(piece):
            yield from _summand_steps(piece.args[0].value, names)


def _opens(piece: Call) -> bool:
    """Whether what stands in a call is a sum of terms: parentheses, and roles of one right-hand side."""
    return len(piece.args) == 1 and (piece.function == "(" or piece.function in ROLES)


def _ways(steps: Sequence[Call], text: str) -> list[Chosen]:
    """What each step may be, in every combination; the last changes first."""
    each = [[(id(step), way) for way in _texts(step, text)] for step in steps]
    return [dict(ways) for ways in product(*each)]


def _texts(step: Call, text: str) -> list[str | None]:
    piled, empty = step.function.startswith("c"), step.function.endswith("0")
    terms = [_source(argument.value, text) for argument in step.args]
    ways = [" + ".join(terms[: k + 1]) if piled else term for k, term in enumerate(terms)]
    return [*([None] if empty else []), *ways]


def _written(node: Node, text: str, chosen: Chosen) -> str:
    """A right-hand side with what is chosen in place of its steps; empty where nothing is left."""
    out = ""
    for sign, piece in summands(node):
        own = _piece(piece, text, chosen)
        if own:
            out += f" {'+' if sign > 0 else '-'} {own}" if out else own if sign > 0 else f"-{own}"
    return out


def _piece(piece: Node, text: str, chosen: Chosen) -> str:
    if id(piece) in chosen:
        return chosen[id(piece)] or ""
    if isinstance(piece, Call) and _opens(piece) and any(id(node) in chosen for node in walk(piece)):
        inside = _written(piece.args[0].value, text, chosen)
        return f"{piece.function.rstrip('(')}({inside})" if inside else ""
    return _source(piece, text)


def _bar(behind: Node | None, text: str, chosen: Chosen) -> str:
    effects = "" if behind is None else _written(behind, text, chosen)
    return f" | {effects}" if effects else ""


def _source(node: Node, text: str) -> str:
    return text[slice(*node.span)]
