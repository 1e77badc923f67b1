"""Inequalities among estimates, as text: which of them a hypothesis holds, and the equation at its boundary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from causalformula.errors import FormulaError, OptionError
from causalformula.formula.language.parse import parse_expression
from causalformula.results.reading.equations import equation_texts, evaluate

# a sign of comparison that is not inside backquotes, and no equality
_AGAINST = {"<": ">=", ">": "<=", "<=": ">", ">=": "<"}
_UNEQUAL = re.compile(r"(!=)(?=(?:[^`]*`[^`]*`)*[^`]*$)")
_SIZE = re.compile(r"abs\((.*)\)\Z", re.DOTALL)
_SIGN = re.compile(r"(<=|>=|<|>)(?=(?:[^`]*`[^`]*`)*[^`]*$)")


@dataclass(frozen=True)
class Claim:
    """One inequality.

    Attributes
    ----------
    text : str
        As it was written.
    equation : str
        What is estimated, and tested against ``low`` and ``high``.
    low, high : float or None
        For equivalence (``-1 < b1 < 1``) both bounds; for one inequality 0 is the bound on its side: the null
        hypothesis ``b1 <= 2`` is that ``b1 - 2`` is at most ``high = 0``.
    equivalence : bool
    """

    text: str
    equation: str
    low: float | None
    high: float | None
    equivalence: bool = False

    @property
    def null(self) -> str:
        """The null hypothesis, in words."""
        if not self.equivalence:
            return self.text
        return f"{self.equation} outside ({self.low:g}, {self.high:g})"

    @property
    def alternative(self) -> str:
        """What the data may show against it, in words."""
        if self.equivalence:
            return f"{self.low:g} < {self.equation} < {self.high:g}"
        return _SIGN.sub(lambda sign: _AGAINST[sign[0]], self.text)


def two_sided(equations: Sequence[str]) -> str:
    """Null and alternative hypothesis of equations, in words."""
    if len(equations) > 1:
        return "Null hypothesis of each row: the equation holds (below: all of them); alternative: it does not"
    null = equations[0] if "=" in equations[0] else f"{equations[0]} = 0"
    left, _, right = null.partition("=")
    return f"Null hypothesis: {null}; alternative: {left.strip()} != {right.lstrip('=').strip()}"


def read_claims(equations: str | Sequence[str]) -> tuple[Claim, ...]:
    """The inequalities of a hypothesis; empty where it holds equations alone.

    One inequality is a null hypothesis, to be rejected. An interval (``-1 < b1 < 1``, ``abs(b1) < 1``) is an
    alternative, to be shown: the null hypothesis is that the value lies outside.

    Raises
    ------
    OptionError
        Where equations and inequalities are mixed.
    FormulaError
        For a chain that is no interval of numbers.
    """
    texts = equation_texts(equations)
    for text in texts:
        if unequal := _UNEQUAL.search(text):
            equation = _UNEQUAL.sub("=", text)
            why = "is an alternative and no null hypothesis; its two-sided test is that of"
            raise FormulaError(f"{text} {why} {equation!r}", text, unequal.span())
    found = [bool(_SIGN.search(text)) for text in texts]
    if not any(found):
        return ()
    if not all(found):
        raise OptionError("equations have one joint test, and each inequality one of its own; ask for them apart")
    return tuple(_claim(text) for text in texts)


def _claim(text: str) -> Claim:
    pieces = _SIGN.split(text)
    sides, signs = [piece.strip() for piece in pieces[::2]], [sign[0] for sign in pieces[1::2]]
    at = next(_SIGN.finditer(text)).span()
    if not all(sides) or any("=" in side for side in sides):
        raise FormulaError("an inequality has something on both sides, as in b1 <= 0 or -1 < b1 < 1", text, at)
    if len(signs) == 1 and any(_SIZE.match(side) for side in sides):
        return _sized(text, sides, signs[0])
    if len(signs) == 1:
        high = signs[0] == "<"
        return Claim(text, f"{sides[0]} = {sides[1]}", None if high else 0.0, 0.0 if high else None)
    if len(signs) != 2 or signs[0] != signs[1]:
        raise FormulaError("equivalence is between two bounds, as in -1 < b1 < 1", text, at)
    first, last = (_number(side, text) for side in (sides[0], sides[2]))
    low, high_ = (first, last) if signs[0] == "<" else (last, first)
    if not low < high_:
        raise FormulaError(f"no number lies between {low:g} and {high_:g}; the smaller bound comes first", text, at)
    return Claim(text, sides[1], low, high_, True)


def _sized(text: str, sides: Sequence[str], sign: str) -> Claim:
    """``abs(b1) < 1``: equivalence with bounds of one size."""
    left = _SIZE.match(sides[0])
    inner, bound = (left, sides[1]) if left else (_SIZE.match(sides[1]), sides[0])
    assert inner is not None
    size, what = _number(bound, text), inner[1].strip()
    if (sign == "<") != (left is not None) or size <= 0:
        raise FormulaError(
            f"the size of an estimate can be shown to be below a bound, as in abs({what}) < 1, which is -1 < {what} < "
            f"1; that it is large is shown on one side, by rejecting {what} <= 1 or {what} >= -1",
            text,
        )
    return Claim(text, what, -size, size, True)


def _number(side: str, text: str) -> float:
    try:
        return float(evaluate(parse_expression(side), {}, side))
    except FormulaError:
        raise FormulaError(f"the bounds of an equivalence are numbers, as in -1 < b1 < 1, not {side}", text) from None
