"""One-sided formulas that options give, ``"~ race + married"``: their variables on the rows of a frame."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from causalformula.errors import OptionError
from causalformula.formula.expressions.values import Value, take
from causalformula.formula.language.deparse import symbol
from causalformula.formula.language.grammar import has_dot, variables
from causalformula.formula.language.reader import parse_model
from causalformula.formula.language.syntax import Node
from causalformula.formula.matrix.design import evaluate_variables
from causalformula.formula.matrix.terms import Terms, terms
from causalformula.frame.model_frame import ModelFrame


def side_text(option: str, value: Any) -> str | None:
    """A one-sided formula as text; a list of column names is the formula that names them.

    Raises
    ------
    OptionError
        For what is neither.
    """
    if value is None:
        return None
    if isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value):
        value = " + ".join(symbol(name) for name in value)
    if not isinstance(value, str) or not value.strip(" ~"):
        raise OptionError(f"{option}= names columns in a one-sided formula, as {option}='~ race + married'")
    text = value.strip()
    text = text if text.startswith("~") else f"~ {text}"
    if has_dot(_side(text)):
        raise OptionError(f"{option}='{text}': name the columns; `.` stands for none here")
    return text


@cache
def _side(text: str) -> Node:
    left, right = parse_model(text)
    if left is not None:
        raise OptionError(f"{text!r} has a left side; write a one-sided formula, as '~ race + married'")
    return right


def side_columns(texts: Iterable[str | None]) -> tuple[str, ...]:
    """The columns that one-sided formulas read."""
    return tuple(dict.fromkeys(name for text in texts if text is not None for name in variables(_side(text))))


def side_values(frame: ModelFrame, text: str) -> list[tuple[str, Value]]:
    """The variables of a one-sided formula, by label, on the rows kept."""
    found: Terms = terms(_side(text), source=text)
    names = [name for name in variables(_side(text)) if name in frame.table]
    columns = {name: frame.table.named(name) for name in names}
    evaluated = evaluate_variables(found, columns, frame.table.n, source=text)
    return [(label, take(value, frame.rows)) for label, value in zip(found.labels, evaluated.values, strict=True)]
