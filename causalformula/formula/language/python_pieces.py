"""Pieces of Python in a formula of formulaic's, read as syntax and never run.

Those that mean in R what they mean there are written as R writes them; the others are refused, with what to write.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

from causalformula.errors import FormulaError
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import FUNCTIONS, ROLES
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Argument, Call, Constant, Name, Node, String

TEXT = "write the formula as text"

# Functions of one number that are the same in both.
PLAIN = {
    **{name: name for name in ("log", "log2", "log10", "exp")},
    **{
        f"np.{name}": name for name in ("log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "sign", "floor")
    },
    "np.ceil": "ceiling",
}
CONTRASTS = {
    "contr.treatment": "contr.treatment", "contr.sum": "contr.sum", "contr.helmert": "contr.helmert",
    "contr.poly": "contr.poly", "contr.diff": "contr.sdif", "Treatment": "contr.treatment", "Sum": "contr.sum",
    "Helmert": "contr.helmert", "Poly": "contr.poly", "Diff": "contr.sdif",
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^", ast.Mod: "%%", ast.FloorDiv: "%/%",
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip

# What formulaic has and this language has not, with what comes nearest.
INSTEAD = {
    **dict.fromkeys(["cr", "cs", "cc"], "natural splines are ns(x, 3), in another basis"),
    "standardize": "scale(x) divides by the standard deviation with n - 1",
    "lag": "make the column in the data first",
    "hashed": "make the column in the data first",
    "exp2": "write I(2**x)",
    "exp10": "write I(10**x)",
}

_QUOTED = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`([^`]*)`""")


class Piece:
    """One piece of Python in a formula, read into a tree of this language."""

    def __init__(self, text: str, env: frozenset[str]) -> None:
        self.text, self.env = text, env
        self.columns: dict[str, str] = {}

    def refuse(self, why: str) -> FormulaError:
        """Make an error that shows the piece."""
        return FormulaError(why, self.text, (0, len(self.text)))

    def read(self) -> Node:
        """The piece as a call of R's, or the FormulaError that says why it is none."""
        try:
            tree = ast.parse(_QUOTED.sub(self._placeholder, self.text).strip(), mode="eval").body
            if not isinstance(tree, ast.Call):
                raise self.refuse(f"formulaic would run this as Python; arithmetic goes inside I(), or {TEXT}")
            return self.call(tree)
        except (SyntaxError, ValueError, RecursionError):
            raise self.refuse(f"formulaic would run this as Python, and it cannot be read here; {TEXT}") from None

    def _placeholder(self, match: re.Match[str]) -> str:
        """A column in backquotes as a name that Python can read."""
        if match[2] is None:
            return match[1]
        name = f"column_in_backquotes_{len(self.columns)}_"
        self.columns[name] = match[2]
        return f" {name} "

    # -- values --

    def value(self, node: ast.expr) -> Node:
        """An expression: a column, a literal, arithmetic or a call."""
        if isinstance(node, ast.Name):
            return Name(self.columns.get(node.id, node.id))
        if isinstance(node, ast.Constant):
            return self.constant(node.value)
        if isinstance(node, ast.BinOp):
            return self.arithmetic(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return Call("-" if isinstance(node.op, ast.USub) else "+", (Argument(self.value(node.operand)),))
        if isinstance(node, ast.List | ast.Tuple):
            return Call("c", tuple(Argument(self.value(item)) for item in node.elts))
        if isinstance(node, ast.Call):
            return self.call(node)
        raise self.refuse(self.unread(node))

    def unread(self, node: ast.expr) -> str:
        """Why an expression is refused."""
        if isinstance(node, ast.Attribute):
            return f"in Python the dot reaches into objects; write a column of that name in backquotes, or {TEXT}"
        if isinstance(node, ast.Compare):
            return f"a comparison inside arithmetic is read otherwise by formulaic than by R; {TEXT}"
        return f"`{ast.unparse(node)}` would be run as Python; {TEXT}"

    def constant(self, value: Any) -> Node:
        """A literal."""
        if isinstance(value, bool):
            return Constant("TRUE" if value else "FALSE")
        if isinstance(value, int | float):
            return parse_expression(repr(value))
        if isinstance(value, str):
            return String(value)
        raise self.refuse(f"{value!r} has no counterpart in R; {TEXT}")

    def arithmetic(self, node: ast.BinOp) -> Node:
        """Walked down the left side in a loop: a role may hold a long sum."""
        chain: list[tuple[str, ast.expr]] = []
        head: ast.expr = node
        while isinstance(head, ast.BinOp):
            if isinstance(head.op, ast.BitXor):
                raise self.refuse("`^` is exclusive or in Python; write ** for a power")
            if type(head.op) not in ARITHMETIC:
                raise self.refuse(self.unread(head))
            chain.append((ARITHMETIC[type(head.op)], head.right))
            head = head.left
        found = self.value(head)
        for operator, right in reversed(chain):
            found = Call(operator, (Argument(found), Argument(self.value(right))))
        return found

    def compared(self, node: ast.expr) -> Node:
        """A comparison on its own: one column of 0 and 1, where R's logical is a factor."""
        if not (isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS):
            return Call("I", (Argument(self.value(node)),))
        sides = (Argument(self.value(side)) for side in (node.left, node.comparators[0]))
        return Call("as.numeric", (Argument(Call(COMPARISONS[type(node.ops[0])], tuple(sides))),))

    # -- calls --

    def call(self, node: ast.Call) -> Node:
        """A call that means the same in R, a role, or a function of the caller's own."""
        name = ast.unparse(node.func)
        if name in ROLES or name in self.env:
            return Call(name, self.arguments(node))
        if name in PLAIN:
            return Call(PLAIN[name], (Argument(self.value(self.bound(node, ("x",))["x"])),))
        if name in _READERS:
            return _READERS[name](self, node)
        raise self.refuse(_unknown(name))

    def arguments(self, node: ast.Call) -> tuple[Argument, ...]:
        """Arguments as they are written."""
        named = [Argument(self.value(k.value), k.arg) for k in node.keywords]
        return (*(Argument(self.value(a)) for a in node.args), *named)

    def bound(self, node: ast.Call, formals: tuple[str, ...]) -> dict[str, ast.expr]:
        """Arguments by name; the first must be there."""
        named = {str(k.arg): k.value for k in node.keywords}
        found = dict(zip(formals, node.args, strict=False)) | named
        extra = set(named) - set(formals)
        if extra or formals[0] not in found or len(node.args) + len(named) != len(found):
            takes = ", ".join(formals)
            raise self.refuse(f"only {ast.unparse(node.func)}({takes}) means the same in R; for other arguments {TEXT}")
        return found

    def with_options(self, function: str, node: ast.Call, options: Mapping[str, str], by_place: int = 1) -> Call:
        """The call of a function of R's, whose first arguments have the same places, the others under R's names."""
        found = []
        for place, (name, value) in enumerate(self.bound(node, tuple(options)).items()):
            unnamed = place < min(by_place, len(node.args)) or not place
            found.append(Argument(self.value(value), None if unnamed else options[name]))
        return Call(function, tuple(found))


# -- transforms ------------------------------------------------------------------------------------------------


def _identity(piece: Piece, node: ast.Call) -> Node:
    return piece.compared(piece.bound(node, ("x",))["x"])


def _quoted(piece: Piece, node: ast.Call) -> Node:
    name = piece.bound(node, ("x",))["x"]
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        return Name(name.value)
    raise piece.refuse(f"Q() takes a name in quotes; {TEXT}")


def _poly(piece: Piece, node: ast.Call) -> Node:
    return piece.with_options("poly", node, {"x": "x", "degree": "degree", "raw": "raw"}, by_place=2)


def _scale(piece: Piece, node: ast.Call) -> Node:
    return piece.with_options("scale", node, {"data": "x", "center": "center", "scale": "scale"}, by_place=3)


def _center(piece: Piece, node: ast.Call) -> Node:
    scaled = piece.with_options("scale", node, {"data": "x"})
    return Call("scale", (*scaled.args, Argument(Constant("FALSE"), "scale")))


def _bs(piece: Piece, node: ast.Call) -> Node:
    """B-splines; an intercept among them is dropped by formulaic where the formula has one, and kept by R."""
    formals = ("x", "df", "knots", "degree", "lower_bound", "upper_bound", "extrapolation")
    given = piece.bound(node, formals)
    ends = [given.pop(name) for name in ("lower_bound", "upper_bound") if name in given]
    how = given.pop("extrapolation", ast.Constant("raise"))
    as_in_r = isinstance(how, ast.Constant) and how.value in ("raise", "extend")
    if not as_in_r or len(ends) == 1 or (ends and "df" in given):
        raise piece.refuse(f"bs() with these bounds is read otherwise by formulaic than by R; {TEXT}")
    unnamed = ("x", *formals[1 : len(node.args)])
    args = [Argument(piece.value(value), None if name in unnamed else name) for name, value in given.items()]
    if ends:
        args.append(Argument(Call("c", tuple(Argument(piece.value(end)) for end in ends)), "Boundary.knots"))
    return Call("bs", tuple(args))


def _categorical(piece: Piece, node: ast.Call) -> Node:
    given = piece.bound(node, ("data", "contrasts", "levels"))
    data = piece.value(given["data"])
    if "levels" in given:
        data = Call("factor", (Argument(data), Argument(piece.value(given["levels"]), "levels")))
    if "contrasts" not in given:
        return data if "levels" in given else Call("C", (Argument(data),))
    return _contrasted(piece, data, given["contrasts"])


def _contrasted(piece: Piece, data: Node, contrast: ast.expr) -> Node:
    """``C(x, contr.sum)`` with R's name of the contrast, or ``relevel`` for a reference level."""
    called = contrast if isinstance(contrast, ast.Call) else None
    name = ast.unparse(called.func if called else contrast)
    if name not in CONTRASTS:
        known = ", ".join(CONTRASTS)
        raise piece.refuse(f"the contrast {name} is not among {known}; give others as contrasts= and write C(x)")
    named = Argument(Name(CONTRASTS[name]))
    if called is None or not (called.args or called.keywords):
        return Call("C", (Argument(data), named))
    if CONTRASTS[name] == "contr.treatment":
        base = piece.bound(called, ("reference" if name == "Treatment" else "base",)).popitem()[1]
        return Call("relevel", (Argument(_as_factor(data)), Argument(_level(piece, base), "ref")))
    if CONTRASTS[name] == "contr.poly":
        scores = Argument(piece.value(piece.bound(called, ("scores",))["scores"]), "scores")
        return Call("C", (Argument(data), named, scores))
    raise piece.refuse(f"{name} takes no arguments in R; {TEXT}")


def _level(piece: Piece, node: ast.expr) -> Node:
    """A level as R labels it."""
    value = piece.constant(node.value) if isinstance(node, ast.Constant) else None
    if value is None:
        raise piece.refuse(f"the reference level must be text or a number; {TEXT}")
    return value if isinstance(value, String) else String(deparse(value).removesuffix("L"))


_READERS: dict[str, Callable[[Piece, ast.Call], Node]] = {
    "I": _identity, "Q": _quoted, "C": _categorical, "poly": _poly, "scale": _scale,
    "center": _center, "bs": _bs,
}  # fmt: skip


def _as_factor(data: Node) -> Node:
    return data if isinstance(data, Call) and data.function == "factor" else Call("factor", (Argument(data),))


def _unknown(name: str) -> str:
    if name in INSTEAD:
        return f"{name}() of formulaic has no counterpart in R: {INSTEAD[name]}"
    if name in FUNCTIONS:
        return f"formulaic does not know {name}(), which is R's; {TEXT}"
    return f"formulaic would run {name}() as Python; write its formula as text, and pass functions of your own in env="
