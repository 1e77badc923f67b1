"""R's expression grammar: from text to the syntax tree, with R's precedence of operators.

Nothing here knows what a name or a function means, and nothing is ever run.
"""

from __future__ import annotations

import math
from functools import lru_cache

from causalformula.errors import FormulaError
from causalformula.formula.language.syntax import Argument, Call, Constant, Name, Node, Number, String
from causalformula.formula.language.tokens import Token, tokenize

MAX_DEPTH = 100

# Binding powers, from R's grammar; a higher one binds tighter.
TILDE, OR, AND, NOT, COMPARE, SUM, PRODUCT, SPECIAL, RANGE, SIGN, POWER = range(1, 12)
BINARY = {
    "~": TILDE, "|": OR, "&": AND,
    "==": COMPARE, "!=": COMPARE, "<": COMPARE, "<=": COMPARE, ">": COMPARE, ">=": COMPARE,
    "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, ":": RANGE, "^": POWER,
}  # fmt: skip
PREFIX = {"~": TILDE, "!": NOT, "+": SIGN, "-": SIGN}

ADVICE = {
    "=": "; the two sides are joined by `~`, and equality is `==`",
    ")": "; there is no `(` that it closes, or something is missing before it",
    "and": "; write `&`",
    "or": "; write `|`",
    "is": "; write `==`",
    **dict.fromkeys(
        "[]", "; formulas have no indexing but fixest's slopes, fe(a[x]): make the column in the data first"
    ),
}


def binding(operator: str) -> int | None:
    """How tightly a binary operator binds, or None when it is not one."""
    if len(operator) > 1 and operator[0] == operator[-1] == "%":
        return SPECIAL
    return BINARY.get(operator)


def parse_expression(text: str) -> Node:
    """Syntax tree of an expression or formula of R's language.

    Raises
    ------
    FormulaError
        When the text is not one complete expression, nests too deeply or is too long.
    """
    parser = _Parser(text)
    tree = parser.expression(0)
    parser.close()
    return tree


@lru_cache(maxsize=4096)
def is_identifier(text: str) -> bool:
    """Whether a name can be written without backquotes."""
    try:
        tokens = tokenize(text)
    except FormulaError:
        return False
    return len(tokens) == 2 and tokens[0].kind == "name" and tokens[0].value == text


class _Parser:
    """Precedence climbing over the tokens; ``depth`` counts what is open, so that recursion is bounded."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.at = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def sees(self, *operators: str) -> bool:
        return self.next.kind == "op" and self.next.value in operators

    def close(self) -> None:
        if self.next.kind != "end":
            raise self.unexpected(self.next)

    def unexpected(self, token: Token) -> FormulaError:
        if token.kind == "end":
            message = "the formula ends too early" if len(self.tokens) > 1 else "the formula is empty"
            return FormulaError(message, self.text, token.span)
        shown = self.text[slice(*token.span)]
        between = self.between(token) if token.kind != "op" and self.at else ""
        message = f"unexpected {shown if len(shown) < 40 else shown[:40] + '...'}{ADVICE.get(shown, between)}"
        return FormulaError(message, self.text, token.span)

    def between(self, token: Token) -> str:
        """What is missing between two operands; the words together may be the name of a column."""
        missing = "; an operator such as `+` is missing before it"
        words = ("name", "number", "integer", "constant")
        first, last = self.tokens[self.at - 1], token
        if first.kind != "name" or token.kind not in words:
            return missing
        for following in self.tokens[self.at + 1 :]:
            if following.kind not in words:
                break
            last = following
        return f"{missing}, or a column's name is to stand in backquotes: `{self.text[first.span[0] : last.span[1]]}`"

    def expression(self, lowest: int) -> Node:
        """An expression whose outer operators all bind at least as tightly as ``lowest``."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FormulaError(f"nested more than {MAX_DEPTH} levels deep", self.text, self.next.span)
        left = self.operand()
        power = 0
        while (new := self.ahead()) >= max(lowest, 1):
            if new == power == COMPARE:
                raise FormulaError("comparisons cannot be chained; join two with `&`", self.text, self.next.span)
            power = new
            left = self.binary(left, power)
        self.depth -= 1
        return left

    def ahead(self) -> int:
        return (binding(self.next.value) or 0) if self.next.kind == "op" else 0

    def binary(self, left: Node, power: int) -> Node:
        operator = self.take().value
        # `^` groups to the right, everything else to the left.
        right = self.expression(power if operator == "^" else power + 1)
        return Call(operator, (Argument(left), Argument(right)), span=(left.span[0], right.span[1]))

    def operand(self) -> Node:
        if self.next.kind == "op":
            return self.prefixed()
        token = self.take()
        node = self.leaf(token)
        if self.sees("("):
            return self.call(token)
        return self.indexed(node) if isinstance(node, Name) and self.sees("[") else node

    def indexed(self, node: Node) -> Node:
        """``a[x, z]`` or ``a[[x]]``: whether it may stand there is not for the grammar to say."""
        opening = self.take()
        double = self.sees("[")
        opening = self.take() if double else opening
        args = [Argument(node), self.argument()]
        while self.sees(","):
            self.take()
            args.append(self.argument())
        for _ in range(1 + double):
            if not self.sees("]"):
                raise FormulaError("this `[` is never closed", self.text, opening.span)
            stop = self.take().span[1]
        return Call("[[" if double else "[", tuple(args), span=(node.span[0], stop))

    def prefixed(self) -> Node:
        token = self.next
        if token.value == "(":
            self.take()
            inner = self.expression(0)
            return Call("(", (Argument(inner),), span=(token.span[0], self.closing(token)))
        if token.value not in PREFIX:
            raise self.unexpected(token)
        self.take()
        operand = self.expression(PREFIX[token.value] + 1)
        return Call(token.value, (Argument(operand),), span=(token.span[0], operand.span[1]))

    def closing(self, opening: Token) -> int:
        if self.sees(")"):
            return self.take().span[1]
        if self.next.kind == "end":
            raise FormulaError("this `(` is never closed", self.text, opening.span)
        raise self.unexpected(self.next)

    def leaf(self, token: Token) -> Node:
        if token.kind in ("number", "integer"):
            return self.number(token)
        if token.kind == "string":
            return String(token.value, span=token.span)
        if token.kind == "constant":
            return Constant(token.value, span=token.span)
        if token.kind == "end":
            raise self.unexpected(token)
        return Name(token.value, span=token.span)

    def number(self, token: Token) -> Node:
        value = _value(token.value)
        # R gives a double where `L` stands behind something that is no whole number.
        whole = token.kind == "integer" and math.isfinite(value) and value == int(value)
        if math.isinf(value):
            return Constant("Inf", span=token.span)
        return Number(value, whole, span=token.span)

    def call(self, function: Token) -> Node:
        if function.kind not in ("name", "quoted") or not is_identifier(function.value):
            raise FormulaError("only a function's plain name can be called", self.text, function.span)
        opening = self.take()
        args: list[Argument] = []
        while not self.sees(")") or args:
            args.append(self.argument())
            if not self.sees(","):
                break
            self.take()
        stop = self.closing(opening)
        if self.sees("("):
            raise FormulaError("the result of a call cannot be called", self.text, self.next.span)
        return Call(function.value, tuple(args), span=(function.span[0], stop))

    def argument(self) -> Argument:
        if self.sees(",", ")"):
            raise FormulaError("an argument is missing", self.text, self.next.span)
        following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if self.next.kind in ("name", "quoted", "string") and following.kind == "op" and following.value == "=":
            name = self.take().value
            self.take()
            return Argument(self.expression(0), name)
        return Argument(self.expression(0))


def _value(text: str) -> float:
    if not text.lower().startswith("0x"):
        return float(text)
    try:
        return float.fromhex(text)
    except OverflowError:
        return math.inf
