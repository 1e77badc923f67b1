"""Equations among estimates: parsed as R expressions, differentiated exactly by complex steps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from causalformula.backends.fit import Answer
from causalformula.backends.options import shown
from causalformula.errors import FormulaError, OptionError, did_you_mean, some
from causalformula.formula.language.deparse import deparse, symbol
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.parse import is_identifier, parse_expression
from causalformula.formula.language.syntax import Argument, Call, Name, Node, Number
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Draws, Evidence
from causalformula.numerics.arrays import Array

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": lambda a, b: a**b,
}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt}


def evaluate(node: Node, values: Mapping[str, Any], source: str) -> Any:
    """Value of an arithmetic expression of named numbers."""
    if isinstance(node, Number):
        # numpy's number: by zero it divides to infinity, where Python's raises
        return np.float64(node.value)
    if isinstance(node, Name):
        if node.id not in values:
            written = [symbol(name) for name in values if bare(name) == name]
            near = did_you_mean(symbol(node.id), written)
            printed = {bare(name): name for name in sorted(values, key=lambda name: "`" in name)}
            known = near or f"; there are {some(printed[name] for name in dict.fromkeys(map(bare, values)))}"
            raise FormulaError(f"unknown estimate {node.id!r}{known}", source, node.span)
        return values[node.id]
    if isinstance(node, Call):
        args = [evaluate(a.value, values, source) for a in node.args]
        if node.function == "(":
            return args[0]
        if node.function in ("-", "+") and len(args) == 1:
            return -args[0] if node.function == "-" else args[0]
        if node.function in OPERATORS and len(args) == 2:
            return OPERATORS[node.function](*args)
        if node.function in FUNCTIONS and len(args) == 1:
            return FUNCTIONS[node.function](args[0])
    raise FormulaError(
        f"a hypothesis is arithmetic of estimates (+ - * / ^ log exp sqrt), not {deparse(node)}", source, node.span
    )


def quote_names(text: str, names: Iterable[str]) -> str:
    """The text with names that are no plain names (``Drug:I.H``, ``factor(x)2``) in backquotes.

    R prints some names with backquotes of their own (``x:`z 1```): these are found as printed, and stand under the name
    without any.
    """
    odd = sorted((name for name in names if not is_identifier(name)), key=len, reverse=True)
    if not odd:
        return text
    quoted = "|".join(re.escape(name) for name in odd if "`" in name) or "(?!)"
    one = "|".join(re.escape(name) for name in odd if "`" not in name) or "(?!)"
    found = re.compile(rf"(?<![\w.:`])({quoted})(?![\w.:`])|`[^`]*`|(?<![\w.:])({one})(?![\w.:])")
    return found.sub(lambda match: f"`{bare(match[1] or match[2])}`" if match[1] or match[2] else match[0], text)


def bare(name: str) -> str:
    """A name without the backquotes that R prints around parts of it."""
    return name.replace("\\`", "").replace("`", "")


def with_bare(names: Mapping[str, int]) -> dict[str, int]:
    """The names, and those among them that hold backquotes once more without."""
    return {bare(name): k for name, k in names.items()} | dict(names)


def read_equation(text: str, names: Iterable[str] = ()) -> Node:
    """An equation as left minus right side; ``a`` alone means ``a = 0``; ``==`` is accepted for ``=``.

    Raises
    ------
    FormulaError
        With the place in the text as it was given.
    """
    quoted = quote_names(text, names)
    place = _places(quoted, text)
    try:
        tree = _read_sides(quoted)
    except FormulaError as error:
        span = None if error.span is None else (place[error.span[0]], place[error.span[1]])
        raise FormulaError(error.message, text, span) from None
    return _placed(tree, place)


def _read_sides(text: str) -> Node:
    equals = list(_EQUALS.finditer(text))
    if len(equals) > 1:
        raise FormulaError("an equation has one `=`; give several equations as a list", text, equals[1].span())
    if not equals:
        return parse_expression(text)
    start, stop = equals[0].span()
    for side, where in ((text[:start], "before"), (text[stop:], "after")):
        if not side.strip():
            raise FormulaError(f"an equation has two sides, and nothing stands {where} this `=`", text, (start, stop))
    # blanks keep each side's places in the text
    left, right = parse_expression(text[:start]), parse_expression(" " * stop + text[stop:])
    return Call("-", (Argument(left), Argument(right)), span=(0, len(text)))


def _places(quoted: str, text: str) -> list[int]:
    """For each place in the quoted text the same one in the text as it was given."""
    place = [0]
    for letter in quoted:
        place.append(place[-1] + (place[-1] < len(text) and letter == text[place[-1]]))
    return [*place, place[-1] + 1]


def _placed(node: Node, place: Sequence[int]) -> Node:
    """The tree with its places in the text as it was given."""
    node = replace(node, span=(place[node.span[0]], place[node.span[1]]))
    if not isinstance(node, Call):
        return node
    return replace(node, args=tuple(replace(arg, value=_placed(arg.value, place)) for arg in node.args))


# an equals sign that is not inside backquotes
_EQUALS = re.compile(r"==?(?=(?:[^`]*`[^`]*`)*[^`]*$)")


def gradient(node: Node, names: Mapping[str, int], theta: Array, text: str) -> tuple[float, Array]:
    """Value and exact gradient (complex steps) of an expression of the parameters.

    Raises
    ------
    OptionError
        Where the expression is not defined at the estimates: the logarithm or root of a negative one, a division by
        zero, or no finite slope.
    """
    slope, step = np.zeros(len(theta)), 1e-30
    with np.errstate(all="ignore"):
        # in real numbers, in which an undefined step gives NaN that no later one takes back
        value = float(evaluate(node, {name: np.float64(theta[k]) for name, k in names.items()}, text))
        for k in range(len(theta) if np.isfinite(value) else 0):
            moved = {name: np.complex128(complex(theta[j], step if j == k else 0.0)) for name, j in names.items()}
            slope[k] = complex(evaluate(node, moved, text)).imag / step
    if not np.isfinite(value) or not np.isfinite(slope).all():
        used = {name: float(theta[names[name]]) for name in variables(node)}
        shown = ", ".join(f"{name} is {number:.4g}" for name, number in used.items())
        raise OptionError(f"the hypothesis {text!r} is not defined at the estimates" + (f": {shown}" if shown else ""))
    return value, slope


def hypothesis_parts(
    equations: str | Sequence[str], names: Mapping[str, int], theta: Array, aliased: Sequence[str] = ()
) -> tuple[Array, Array, list[str]]:
    """Values (h,), Jacobian (h, q) and texts of one or several equations; ``aliased`` names are refused."""
    texts = equation_texts(equations)
    if not texts:
        raise OptionError("no hypothesis was given")
    trees = [read_equation(text, [*names, *aliased]) for text in texts]
    for tree, text in zip(trees, texts, strict=True):
        gone = sorted(set(variables(tree)) & {*aliased, *map(bare, aliased)})
        if gone:
            raise OptionError(f"{', '.join(gone)} is aliased: the data do not determine it, so {text!r} has no test")
    found = [gradient(tree, names, theta, text) for tree, text in zip(trees, texts, strict=True)]
    return np.array([v for v, _ in found]), np.array([g for _, g in found]), texts


def equation_texts(equations: str | Sequence[str]) -> list[str]:
    """One equation, or several, as a list of texts."""
    texts = [equations] if isinstance(equations, str) else equations
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise OptionError(f"a hypothesis is text such as 'b1 = b2', or a list of such texts, not {shown(equations)}")
    return list(texts)


def aliases(answer: Answer) -> dict[str, int]:
    """What an equation may call the estimates, with their places.

    ``b1, b2, ...`` in the order of ``tidy()``; a row's name; its term, or its group, where no other row has it.
    """
    names = {f"b{k + 1}": k for k in range(len(answer.labels))}
    names |= _only([(label.term,) for label in answer.labels])
    names |= _only([tuple(value for _, value in label.groups) for label in answer.labels])
    return names | {name: k for k, name in enumerate(answer.estimate.names)}


def _only(rows: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """Names that one row has and no other."""
    counts = Counter(name for row in rows for name in set(row))
    return {name: k for k, row in enumerate(rows) for name in row if name and counts[name] == 1}


def mapped(estimate: Estimate, jac: Array, value: Array) -> Evidence | None:
    """Evidence of the equations; draws are carried linearly about the estimates, as the delta method does."""
    if isinstance(estimate.evidence, Draws):
        return Draws(value + (estimate.evidence.values - estimate.theta) @ jac.T)
    return None if estimate.evidence is None else estimate.evidence.map(jac)
