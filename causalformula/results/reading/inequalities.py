"""Inequalities among estimates, as text: which of them a hypothesis holds, and the equation at its boundary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from causalformula.errors import FormulaError, OptionError
from causalformula.formula.language.parse import parse_expression
from causalformula.results.reading.equations import equation_texts, evaluate

# a sign of comparison that is not inside backquotes, and no equality
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


def read_claims(equations: str | Sequence[str]) -> tuple[Claim, ...]:
    """The inequalities of a hypothesis; empty where it holds equations alone.

    Raises
    ------
    OptionError
        Where equations and inequalities are mixed.
    FormulaError
        For a chain that is no interval of numbers.
    """
    texts = equation_texts(equations)
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


def _number(side: str, text: str) -> float:
    try:
        return float(evaluate(parse_expression(side), {}, side))
    except FormulaError:
        raise FormulaError(f"the bounds of an equivalence are numbers, as in -1 < b1 < 1, not {side}", text) from None
