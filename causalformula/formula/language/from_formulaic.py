"""A ``formulaic.Formula`` as text of this language: the same terms, or a refusal that says what to write.

formulaic keeps a formula as terms, each a product of columns and of pieces of Python; ``python_pieces`` reads these.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

from causalformula.errors import FormulaError, choose
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import ROLES, plus
from causalformula.formula.language.python_pieces import TEXT, Piece
from causalformula.formula.language.syntax import Argument, Call, Name, Node, String


def formula_text(formula: Any, env: Iterable[str] = ()) -> Any:
    """Text of a formula of formulaic; anything else as it is.

    Parameters
    ----------
    formula : formulaic.Formula, str or anything else
    env : iterable of str
        Names of functions of the caller's own.

    Raises
    ------
    FormulaError
        For a piece that runs Python, or means something else in R.
    """
    if isinstance(formula, str):
        return formula
    from formulaic import Formula

    return _text(formula, frozenset(env)) if isinstance(formula, Formula) else formula


# -- the parts of a formula ------------------------------------------------------------------------------------


def _text(formula: Any, env: frozenset[str]) -> str:
    parts = _parts(formula)
    left = _left(parts.pop("lhs"), env) + " " if "lhs" in parts else ""
    right = _right(parts.pop("rhs"), env) if "rhs" in parts else []
    unit = [_only(parts.pop("unit"), "unit", env)] if "unit" in parts else []
    for kind, terms in parts.items():
        right += _role(kind, _terms(terms, env), unit if kind == "did" else [])
    if unit and "did" not in parts:
        raise FormulaError("a part `unit` goes with a part `did`")
    return f"{left}~ {' + '.join(right) or '0'}"


def _parts(formula: Any) -> dict[str, Any]:
    """Parts by name: ``lhs``, ``rhs``, and roles."""
    from formulaic import SimpleFormula

    if isinstance(formula, SimpleFormula):
        return {"rhs": formula}
    parts: dict[str, Any] = {}
    for name, part in formula._to_dict(recurse=False).items():
        found = _parts(part) if name == "root" and not isinstance(part, tuple) else {name: part}
        for key, value in found.items():
            if not isinstance(value, SimpleFormula):
                several = "a formulaic formula with several parts (`|`, `[ ]`) leaves open what they are for"
                raise FormulaError(f"{several}; {TEXT}, with roles: fe(...), iv(...), cluster(...)")
            if key not in ("lhs", "rhs", "unit", *ROLES):
                known = choose(key, ("lhs", "rhs", *ROLES))
                raise FormulaError(f"a formulaic formula has a part {key!r}, which is no role{known}")
            parts[key] = value
    return parts


def _left(terms: Any, env: frozenset[str]) -> str:
    return deparse(_only(terms, "left side", env), exact=True)


def _only(terms: Any, what: str, env: frozenset[str]) -> Node:
    """The one variable of a part."""
    found = _terms(terms, env)
    if len(found) != 1 or _is_interaction(found[0]):
        raise FormulaError(f"the {what} of a formulaic formula must be one variable here, not {str(terms)!r}")
    return found[0]


def _is_interaction(node: Node) -> bool:
    return isinstance(node, Call) and node.function == ":"


def _right(terms: Any, env: frozenset[str]) -> list[str]:
    """Terms of a right-hand side; formulaic says with a ``1`` that there is an intercept, R without it that not."""
    found = [deparse(node, exact=True) for node in _terms(terms, env)]
    if not any(_is_one(term) for term in terms):
        return ["0", *found]
    return found or ["1"]


def _role(kind: str, bodies: list[Node], options: list[Node]) -> list[str]:
    """A part named after a role. Whether it has a ``1`` says nothing: the intercept is the model's."""
    if not bodies:
        raise FormulaError(f"the part {kind!r} of the formulaic formula is empty; leave it out")
    if kind == "did":
        calls = [Call(kind, (*map(Argument, bodies), *(Argument(node, "unit") for node in options)))]
    elif ROLES[kind].reads == "expression":
        calls = [Call(kind, (Argument(body),)) for body in bodies]
    elif kind == "treat" and len(bodies) == 1:
        calls = [Call(kind, _with_reference(bodies[0]))]
    else:
        calls = [Call(kind, (Argument(reduce(plus, bodies)),))]
    return [deparse(call, exact=True) for call in calls]


def _with_reference(node: Node) -> tuple[Argument, ...]:
    """``treat(A, ref = "b")`` for what was ``C(A, contr.treatment("b"))``; numbers stay levels, not doses."""
    if not (isinstance(node, Call) and node.function == "relevel"):
        return (Argument(node),)
    factor, ref = node.args
    plain = isinstance(ref.value, String) and not ref.value.value.replace(".", "", 1).isdecimal()
    inner = factor.value.args if isinstance(factor.value, Call) else ()
    return (inner[0] if plain and len(inner) == 1 else factor), ref


# -- terms -----------------------------------------------------------------------------------------------------


def _terms(terms: Any, env: frozenset[str]) -> list[Node]:
    """The terms without the ``1``."""
    return [_term(term, env) for term in terms if not _is_one(term)]


def _is_one(term: Any) -> bool:
    return [(factor.expr, _method(factor)) for factor in term.factors] == [("1", "literal")]


def _method(factor: Any) -> str:
    return str(factor.eval_method.value)


def _term(term: Any, env: frozenset[str]) -> Node:
    for factor in term.factors:
        if _method(factor) == "literal":
            message = (
                f"formulaic scales a term by {factor.expr}, which a term of R cannot say; write I({factor.expr} * x)"
            )
            raise FormulaError(message, str(term), (0, len(str(term))))
    factors = [Name(f.expr) if _method(f) == "lookup" else Piece(f.expr, env).read() for f in term.factors]
    return reduce(lambda left, right: Call(":", (Argument(left), Argument(right))), factors)
