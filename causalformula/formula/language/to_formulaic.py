"""Pieces of a formula as text that formulaic reads alike; what it would read otherwise is refused by name."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable

from causalformula.errors import FormulaError
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import is_operator, summands
from causalformula.formula.language.syntax import Call, Constant, Name, Node, Number, String, literal

# Functions of one number, and what formulaic calls them.
PLAIN = {
    **{name: name for name in ("log", "log2", "log10", "exp")},
    **{name: f"np.{name}" for name in ("log1p", "expm1", "sqrt", "abs", "sign", "floor")},
    "ceiling": "np.ceil",
}
CONTRASTS = {
    "contr.treatment": "contr.treatment", "contr.sum": "contr.sum", "contr.helmert": "contr.helmert",
    "contr.poly": "contr.poly", "contr.sdif": "contr.diff",
}  # fmt: skip
ARITHMETIC = {"+": "+", "-": "-", "*": "*", "/": "/", "^": "**", "%%": "%", "%/%": "//"}
ALGEBRA = {"*": "*", "/": "/", ":": ":", "^": "**"}
# Characters by which formulaic's scanner takes quoted text, or a name in backquotes, to pieces.
UNSAFE = frozenset("()[]{}`'\"%\\\n")

COLUMN = "make the column in the data first"
# What R has and formulaic has not, or reads otherwise, with what to do.
INSTEAD = {
    "%in%": "formulaic adds the outer factor on its own; write a:b",
    "factor": "only factor(x) and factor(x, levels = c(...)) are written C(x) there",
    "ns": "its cr() spans the same in another basis; build the columns with cf.model_matrix",
    "bs": "only df, knots, degree and Boundary.knots (not with df) mean the same there",
    "poly": "of several variables; build the columns with cf.model_matrix",
    "Surv": "it has no survival outcomes",
}


def terms_text(node: Node, source: str, *, intercept: bool) -> str:
    """A right-hand side of formulaic's.

    Raises
    ------
    FormulaError
        For the piece that it has not, or would read otherwise.
    """
    return f"{'1' if intercept else '0'} + {_Writer(source).terms(node)}"


def variables_text(nodes: Iterable[Node], source: str) -> str:
    """Single variables: an expression outside ``I()`` is put into it, as formulaic would take it for terms."""
    writer = _Writer(source)
    return " + ".join(["0", *(writer.identity(n) if is_operator(n) else writer.term(n) for n in nodes)])


def treatment_text(node: Node, ref: Node | None, source: str) -> str:
    """The treatment, its reference level as the base of its contrasts."""
    writer = _Writer(source)
    if ref is None:
        return f"1 + {writer.term(node)}"
    inner = node.args[0].value if isinstance(node, Call) and node.function == "factor" and len(node.args) == 1 else node
    return f"1 + C({writer.value(inner)}, contr.treatment({writer.value(ref)}))"


class _Writer:
    """Writes nodes; ``source`` is the text that carets point into."""

    def __init__(self, source: str) -> None:
        self.source = source

    def refuse(self, node: Node, why: str) -> FormulaError:
        shown = deparse(node)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return FormulaError(f"formulaic cannot say `{shown}`: {why}", self.source, node.span)

    # -- terms --

    def terms(self, node: Node) -> str:
        """Term algebra; a loop along sums, which may be thousands of terms long."""
        pieces = summands(node)
        signs = ["+" if sign > 0 else "-" for sign, _ in pieces]
        if len(pieces) == 1 and signs == ["+"]:
            return self.product(node)
        text = " ".join(f"{sign} {self.product(piece)}" for sign, (_, piece) in zip(signs, pieces, strict=True))
        return text.removeprefix("+ ")

    def product(self, node: Node) -> str:
        if not (isinstance(node, Call) and is_operator(node)):
            return self.term(node)
        if node.function in ("(", "+", "-"):
            return f"({self.terms(node.args[0].value if node.function == '(' else node)})"
        if node.function not in ALGEBRA or len(node.args) != 2:
            raise self.refuse(node, INSTEAD.get(node.function, "arithmetic goes inside I()"))
        left, right = (a.value for a in node.args)
        last = self.value(right) if node.function == "^" else self.grouped(right)
        return f"{self.grouped(left)}{ALGEBRA[node.function]}{last}"

    def grouped(self, node: Node) -> str:
        """An operand in parentheses where it is an operator itself."""
        text = self.terms(node)
        closed = not is_operator(node) or (isinstance(node, Call) and node.function == "(")
        return text if closed else f"({text})"

    def term(self, node: Node) -> str:
        """A column, a number of the intercept, or a call."""
        if isinstance(node, Name):
            return self.name(node)
        if isinstance(node, Number) and node.value in (0, 1):
            return f"{node.value:g}"
        if isinstance(node, Call) and not is_operator(node):
            return self.call(node)
        raise self.refuse(node, "it is no term there")

    def name(self, node: Name) -> str:
        if node.id == ".":
            raise self.refuse(node, "the dot is resolved with the data; name the columns")
        if node.id.isidentifier() and not keyword.iskeyword(node.id):
            return node.id
        if UNSAFE & set(node.id) or node.id == "1":
            raise self.refuse(node, "it takes such a name to pieces; rename the column")
        return f"`{node.id}`"

    # -- values --

    def value(self, node: Node) -> str:
        """An expression as Python."""
        if isinstance(node, Name):
            if keyword.iskeyword(node.id):
                raise self.refuse(node, "it is a word of Python's; rename the column")
            return self.name(node)
        if isinstance(node, Number):
            return repr(int(node.value)) if node.value.is_integer() else repr(node.value)
        if isinstance(node, Constant) and node.name in ("TRUE", "FALSE"):
            return node.name.title()
        if isinstance(node, String) and not UNSAFE & set(node.value):
            return repr(node.value)
        if isinstance(node, Call):
            return self.arithmetic(node) if is_operator(node) else self.nested(node)
        raise self.refuse(node, COLUMN)

    def arithmetic(self, node: Call) -> str:
        if node.function == "(":
            return f"({self.value(node.args[0].value)})"
        if node.function not in ARITHMETIC:
            raise self.refuse(node, f"logicals are numbers there, and factors in R; {COLUMN}")
        texts = [self.value(a.value) for a in node.args]
        closed = [f"({t})" if self.open(a.value) else t for t, a in zip(texts, node.args, strict=True)]
        return (
            f" {ARITHMETIC[node.function]} ".join(closed) if len(closed) > 1 else ARITHMETIC[node.function] + closed[0]
        )

    @staticmethod
    def open(node: Node) -> bool:
        return is_operator(node) and not (isinstance(node, Call) and node.function == "(")

    def nested(self, node: Call) -> str:
        """A call inside an expression: those that give one column."""
        if node.function in PLAIN or node.function == "I":
            return self.call(node)
        raise self.refuse(node, f"it stands inside another expression; {COLUMN}")

    # -- calls --

    def call(self, node: Call) -> str:
        if node.function in PLAIN and self.bare(node):
            return f"{PLAIN[node.function]}({self.value(node.args[0].value)})"
        writer = _CALLS.get(node.function)
        if writer is None:
            raise self.refuse(node, INSTEAD.get(node.function, COLUMN))
        return writer(self, node)

    @staticmethod
    def bare(node: Call) -> bool:
        """Whether the call has one argument, by place."""
        return len(node.args) == 1 and node.args[0].name is None

    def identity(self, node: Node) -> str:
        return f"I({self.value(node)})"

    def as_is(self, node: Call) -> str:
        return self.identity(node.args[0].value)

    def options(self, node: Call, formals: tuple[str, ...], spelled: dict[str, str], *, places: bool = True) -> str:
        """Arguments under formulaic's names, or by place where they were and it has the same order."""
        unnamed = [a for a in node.args if a.name is None]
        given = dict(zip(formals, unnamed, strict=False)) | {a.name: a for a in node.args if a.name is not None}
        if len(given) < len(node.args) or not set(given) <= set(spelled) or formals[0] not in given:
            raise self.refuse(node, INSTEAD.get(node.function, COLUMN))
        bare = formals[: len(unnamed)] if places else ()
        first = self.value(given.pop(formals[0]).value)
        rest = ((str(k), self.vector(a.value)) for k, a in given.items())
        return ", ".join([first, *(value if name in bare else f"{spelled[name]}={value}" for name, value in rest)])

    def vector(self, node: Node) -> str:
        if isinstance(node, Call) and node.function == "c":
            return f"[{', '.join(self.value(a.value) for a in node.args)}]"
        return self.value(node)

    def poly(self, node: Call) -> str:
        if any(not isinstance(a.value, Number) for a in node.args[1:] if a.name in (None, "degree")):
            raise self.refuse(node, INSTEAD["poly"])
        return f"poly({self.options(node, ('x', 'degree'), {'x': 'x', 'degree': 'degree', 'raw': 'raw'})})"

    def scale(self, node: Call) -> str:
        spelled = {"x": "data", "center": "center", "scale": "scale"}
        return f"scale({self.options(node, tuple(spelled), spelled)})"

    def bs(self, node: Call) -> str:
        ends = next((a.value for a in node.args if a.name == "Boundary.knots"), None)
        rest = Call("bs", tuple(a for a in node.args if a.name != "Boundary.knots"), span=node.span)
        text = self.options(rest, ("x", "df", "knots", "degree"), {k: k for k in ("x", "df", "knots", "degree")})
        if ends is not None:
            by_df = any(a.name == "df" for a in rest.args) or sum(a.name is None for a in rest.args) > 1
            if by_df or not (isinstance(ends, Call) and ends.function == "c" and len(ends.args) == 2):
                raise self.refuse(node, INSTEAD["bs"])
            low, high = (self.value(a.value) for a in ends.args)
            text += f", lower_bound={low}, upper_bound={high}"
        return f'bs({text}, extrapolation="extend")'

    def factor(self, node: Call) -> str:
        spelled = {"x": "data", "levels": "levels"}
        return f"C({self.options(node, tuple(spelled), spelled, places=False)})"

    def contrasted(self, node: Call) -> str:
        """``C(x)``, or with one of R's contrasts, by name or in quotes."""
        data, *rest = node.args
        inner = data.value
        if isinstance(inner, Call) and inner.function in ("factor", "as.factor") and self.bare(inner):
            inner = inner.args[0].value
        if not rest:
            return f"C({self.value(inner)})"
        contrast = rest[0].value
        name = contrast.id if isinstance(contrast, Name) else literal(contrast)
        if len(rest) > 1 or data.name is not None or name not in CONTRASTS:
            raise self.refuse(node, f"only {', '.join(CONTRASTS)} by their names; {COLUMN}")
        return f"C({self.value(inner)}, {CONTRASTS[str(name)]})"


_CALLS: dict[str, Callable[[_Writer, Call], str]] = {
    "I": _Writer.as_is, "poly": _Writer.poly, "scale": _Writer.scale, "bs": _Writer.bs, "factor": _Writer.factor,
    "as.factor": _Writer.factor, "C": _Writer.contrasted,
}  # fmt: skip
