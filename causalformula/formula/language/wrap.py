"""Long formulas over several lines, where R's ``deparse`` breaks them."""

from __future__ import annotations

from causalformula.formula.language.deparse import TIGHT, deparse, is_binary, symbol
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Call, Node

CUTOFF = 60
INDENT = "    "


def wrapped(text: str) -> str:
    """The formula with R's line breaks: after an operator or a comma, once the line holds more than 60 characters."""
    if len(text) <= CUTOFF:
        return text
    page = _Page()
    page.write(parse_expression(text))
    out = "\n".join([*page.lines, page.line])
    # parentheses that the tree implies and the text lacks are not written here
    return out if "".join(out.split()) == "".join(text.split()) else text


class _Page:
    """The lines written so far, and how deep what is being written stands inside what was broken."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line = ""
        self.depth = 0

    def write(self, node: Node) -> None:
        if isinstance(node, Call) and is_binary(node):
            self.chain(node)
        elif isinstance(node, Call) and node.function == "(":
            self.line += "("
            self.write(node.args[0].value)
            self.line += ")"
        elif isinstance(node, Call) and len(node.args) > 0 and deparse(node).startswith(f"{symbol(node.function)}("):
            self.call(node)
        else:
            self.line += deparse(node, exact=True)

    def chain(self, node: Call) -> None:
        """``a + b + c`` walked down its left side in a loop: such chains may be thousands of terms long."""
        steps: list[Call] = []
        head: Node = node
        while isinstance(head, Call) and is_binary(head):
            steps.append(head)
            head = head.args[0].value
        self.write(head)
        for step in reversed(steps):
            tight = step.function in TIGHT
            self.line += step.function if tight else f" {step.function} "
            broken = not tight and self.broken()
            self.depth += broken
            self.start(broken)
            self.write(step.args[1].value)
            self.depth -= broken

    def call(self, node: Call) -> None:
        self.line += f"{symbol(node.function)}("
        inside = False
        for k, argument in enumerate(node.args):
            if k:
                self.line += ", "
            if self.broken():
                self.depth += not inside
                inside = True
                self.start(True)
            self.line += "" if argument.name is None else f"{symbol(argument.name)} = "
            self.write(argument.value)
        self.depth -= inside
        self.line += ")"

    def broken(self) -> bool:
        return len(self.line) > CUTOFF

    def start(self, new: bool) -> None:
        if new:
            self.lines.append(self.line)
            self.line = INDENT * self.depth
