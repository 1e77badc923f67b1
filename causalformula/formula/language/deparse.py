"""From the syntax tree back to text, as R's ``deparse`` writes it: term labels and column names depend on it."""

from __future__ import annotations

import math

from causalformula.formula.language.parse import PREFIX, binding, is_identifier
from causalformula.formula.language.syntax import INDEX, Argument, Call, Constant, Name, Node, Number, String

TIGHT = frozenset({"^", ":", "/", "%%", "%/%"})
_ATOM = 100

_ESCAPED = {
    "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v",
}  # fmt: skip


def deparse(node: Node, *, exact: bool = False) -> str:
    """Text of an expression in R's layout.

    Parameters
    ----------
    node : Node
        What to write.
    exact : bool
        Write numbers so that they read back unchanged. R's term labels, and the default, keep 15 digits, and no ``L``.
    """
    return _text(node, exact)


def _text(node: Node, exact: bool) -> str:
    if isinstance(node, Number):
        return number(node.value, node.integer, exact)
    if isinstance(node, String):
        return quote(node.value, '"')
    if isinstance(node, Constant):
        return node.name
    if isinstance(node, Name):
        return symbol(node.id)
    if not isinstance(node, Call):
        raise TypeError(f"not a piece of a formula: {type(node).__name__}")
    if is_binary(node):
        return _chain(node, exact)
    if is_prefix(node):
        operand = node.args[0].value
        return node.function + _guard(operand, PREFIX[node.function] + 1, exact)
    if node.function == "(":
        return f"({_text(node.args[0].value, exact)})"
    if node.function in INDEX:
        inside = ", ".join(_argument(a, exact) for a in node.args[1:])
        return f"{_text(node.args[0].value, exact)}{node.function}{inside}{INDEX[node.function]}"
    return f"{symbol(node.function)}({', '.join(_argument(a, exact) for a in node.args)})"


def is_binary(node: Node) -> bool:
    """Whether the node is an operator between two operands."""
    return isinstance(node, Call) and len(node.args) == 2 and binding(node.function) is not None


def is_prefix(node: Node) -> bool:
    """Whether the node is a sign, ``!`` or ``~`` before one operand."""
    return isinstance(node, Call) and len(node.args) == 1 and node.function in PREFIX


def _chain(node: Call, exact: bool) -> str:
    """``a + b + c`` walked down its left side in a loop: such chains may be thousands of terms long."""
    pieces: list[str] = []
    while True:
        power = binding(node.function) or 0
        left, right = (a.value for a in node.args)
        groups_right = node.function == "^"
        pieces.append(_guard(right, power if groups_right else power + 1, exact))
        pieces.append(node.function if node.function in TIGHT else f" {node.function} ")
        if not (isinstance(left, Call) and is_binary(left)) or _needs(left, power + groups_right):
            pieces.append(_guard(left, power + groups_right, exact, left=True))
            return "".join(reversed(pieces))
        node = left


def _guard(node: Node, lowest: int, exact: bool, *, left: bool = False) -> str:
    """Text of an operand, in parentheses where it would otherwise be read as something else."""
    text = _text(node, exact)
    # A prefix operator on the right takes what follows whatever stands before it: `a * -b`, `a & !b`.
    bare = is_prefix(node) and not left
    return f"({text})" if _needs(node, lowest) and not bare else text


def _needs(node: Node, lowest: int) -> bool:
    return _strength(node) < lowest


def _strength(node: Node) -> int:
    if isinstance(node, Call):
        if is_binary(node):
            return binding(node.function) or 0
        if is_prefix(node):
            return PREFIX[node.function]
    return _ATOM


def _argument(argument: Argument, exact: bool) -> str:
    text = _text(argument.value, exact)
    return text if argument.name is None else f"{symbol(argument.name)} = {text}"


def symbol(name: str) -> str:
    """A name, in backquotes when it could not be read otherwise."""
    return name if is_identifier(name) else quote(name, "`")


def quote(text: str, mark: str) -> str:
    """A string between quotation marks, with R's escapes."""
    return mark + "".join(_escape(c, mark) for c in text) + mark


def _escape(character: str, mark: str) -> str:
    if character == mark:
        return "\\" + mark
    if character in _ESCAPED:
        return _ESCAPED[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\{code:03o}" if code < 128 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: float, integer: bool = False, exact: bool = False) -> str:
    """A number as R deparses it: the shorter of fixed and scientific notation, fixed when they tie."""
    if integer:  # R's terms drop the mark, so that no column has it in its name
        return f"{value:.0f}L" if exact else f"{value:.0f}"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    digits = next((d for d in range(1, 16) if float(f"{value:.{d - 1}e}") == float(f"{value:.14e}")), 15)
    if exact and float(f"{value:.{digits - 1}e}") != value:
        digits = 16 if float(f"{value:.15e}") == value else 17
    scientific = f"{value:.{digits - 1}e}"
    exponent = int(scientific.partition("e")[2])
    fixed = f"{value:.{max(0, digits - 1 - exponent)}f}"
    return fixed if len(fixed) <= len(scientific) else scientific
