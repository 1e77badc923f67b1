"""Equations among estimates: parsed as R expressions, differentiated exactly by complex steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.fit import Answer, Label
from causalformula.errors import FormulaError, OptionError, did_you_mean, some
from causalformula.formula.deparse import deparse
from causalformula.formula.parse import parse_expression
from causalformula.formula.syntax import Call, Name, Node, Number
from causalformula.inference.covariance import Covariance
from causalformula.inference.scales import read_measure

Array = NDArray[np.float64]

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
        return node.value
    if isinstance(node, Name):
        if node.id not in values:
            near = did_you_mean(node.id, values)
            raise FormulaError(f"unknown estimate {node.id!r}{near or '; there are ' + some(values)}", source, node.span)
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


def read_equation(text: str) -> Node:
    """An equation as left minus right side; ``a`` alone means ``a = 0``; ``==`` is accepted for ``=``."""
    left, equals, right = text.replace("==", "=").partition("=")
    if not equals:
        return parse_expression(text)
    if "=" in right:
        raise FormulaError("an equation has one `=`; give several equations as a list", text, (0, len(text)))
    return parse_expression(f"({left.strip()}) - ({right.strip()})")


def gradient(node: Node, names: Mapping[str, int], theta: Array, text: str) -> tuple[float, Array]:
    """Value and exact gradient (complex steps) of an expression of the parameters."""
    base = {name: complex(theta[k]) for name, k in names.items()}
    value = complex(evaluate(node, base, text))
    slope = np.zeros(len(theta))
    step = 1e-30
    for k in range(len(theta)):
        moved = {name: complex(theta[j], step if j == k else 0.0) for name, j in names.items()}
        slope[k] = complex(evaluate(node, moved, text)).imag / step
    if not np.isfinite(value.real) or not np.isfinite(slope).all():
        raise OptionError(f"the hypothesis {text!r} is not defined at the estimates")
    return value.real, slope


def hypothesis_parts(
    equations: str | Sequence[str], names: Mapping[str, int], theta: Array
) -> tuple[Array, Array, list[str]]:
    """Values (h,), Jacobian (h, q) and texts of one or several equations."""
    texts = [equations] if isinstance(equations, str) else list(equations)
    if not texts:
        raise OptionError("no hypothesis was given")
    found = [gradient(read_equation(text), names, theta, text) for text in texts]
    return np.array([v for v, _ in found]), np.array([g for _, g in found]), texts


def hypothesis_answer(answer: Answer, equations: str | Sequence[str]) -> Answer:
    """The equations' left minus right sides as an answer, on the reported scale of the estimates."""
    estimate, measure = answer.estimate, answer.measure
    names = {f"b{k + 1}": k for k in range(len(estimate))}
    names |= {name: k for k, name in enumerate(estimate.names)}
    value, jac, texts = hypothesis_parts(equations, names, measure.read(estimate.theta))
    working = jac * measure.slope(estimate.theta)[None, :]
    labels = tuple(Label(text, "") for text in texts)
    derived = estimate.map(lambda theta: value, working, texts)
    return Answer(derived, labels, read_measure("difference"))


def carried(result: Any, answer: Answer) -> Covariance:
    """The covariance of a function of a result's estimates, carried over by the delta method."""
    from dataclasses import replace

    measure = result.answer.measure
    names = {f"b{k + 1}": k for k in range(len(result.answer.estimate))}
    names |= {name: k for k, name in enumerate(result.answer.estimate.names)}
    texts = [label.term for label in answer.labels]
    _, jac, _ = hypothesis_parts(texts, names, measure.read(result.answer.estimate.theta))
    jac = jac * measure.slope(result.answer.estimate.theta)[None, :]
    old = result.covariance
    df = np.full(len(jac), float(old.df.min()))
    return replace(old, matrix=jac @ old.matrix @ jac.T, df=df, draws=None)
