"""Numbers that are text in a comparison: R compares them as text, where ``"10" > 3`` is false."""

from __future__ import annotations

import numpy as np

from causalformula.formula.expressions.text_readings import reading
from causalformula.formula.expressions.values import Factor, Logical, Strings, Value, as_strings
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Argument, Call, Node, String

# A factor has no other comparison with numbers.
_EQUALITY = ("==", "!=", "%in%")


def as_numbers(step: Call, left: Value, right: Value) -> Call | None:
    """The comparison with its text turned into numbers; None where nothing in it is numbers that are text."""
    nodes = [argument.value for argument in step.args]
    values = (left, right)
    meant = [_number(node, value, step.function) for node, value in zip(nodes, values, strict=True)]
    known = [m is not None or isinstance(value, np.ndarray) for m, value in zip(meant, values, strict=True)]
    if all(node is None for node in meant) or not all(known):
        return None
    return Call(step.function, tuple(Argument(m or node) for m, node in zip(meant, nodes, strict=True)))


def _number(node: Node, value: Value, operator: str) -> Node | None:
    """What reads text as numbers; None of what is no such text, or was written as text."""
    if isinstance(node, String) or not isinstance(value, Strings | Factor):
        return None
    if isinstance(value, Factor) and operator not in _EQUALITY:
        return None
    found = reading(as_strings(value))
    if found is None or not found.what.startswith("numbers") or not found.within:
        return None
    name = deparse(node)
    return parse_expression(found.within.format(name=f"as.character({name})" if isinstance(value, Factor) else name))


def as_text_note(step: Call, result: Logical, meant: Call, numbers: Logical, sides: tuple[Value, Value]) -> str:
    """What to say of the first row in which text and numbers answer otherwise; empty where none does."""
    other = np.flatnonzero((result.codes != numbers.codes) & (result.codes >= 0) & (numbers.codes >= 0))
    if not len(other):
        return ""
    names, seen = [], []
    for argument, value in zip(step.args, sides, strict=True):
        text = deparse(argument.value)
        if isinstance(value, np.ndarray):
            seen.append(text)
            continue
        held = as_strings(value)
        names.append(f"{text} is {'a factor' if isinstance(value, Factor) else 'text'}")
        seen.append(repr(held.table[held.codes[other[0] if len(held.codes) > 1 else 0]]))
    said = "true" if result.codes[other[0]] == 1 else "false"
    example = f"{seen[0]} {step.function} {seen[1]} is {said}"
    return f"{' and '.join(names)} and compared as text, as in R: {example}; write {deparse(meant)}"
