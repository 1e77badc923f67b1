"""Numbers and tables as cobalt and WeightIt print them: decimals aligned column by column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.results.text.numbers import r_round
from causalformula.results.text.page import matrix_text


def short(x: float, digits: int) -> str:
    """A number rounded to ``digits`` decimals, without zeros at the end."""
    if np.isinf(x):
        return "Inf" if x > 0 else "-Inf"
    text = f"{float(r_round(x, digits)) + 0.0:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def aligned(values: Sequence[float], digits: int, pad: str = "0", missing: str = ".") -> list[str]:
    """A column of numbers with the decimals that its longest needs, the others filled up with ``pad``."""
    texts = [missing if np.isnan(x) else short(x, digits) for x in values]
    decimals = max((len(t.partition(".")[2]) for t in texts if t != missing), default=0)
    return [t if t == missing or not decimals or "Inf" in t else _filled(t, decimals, pad) for t in texts]


def _filled(text: str, decimals: int, pad: str) -> str:
    whole, _, part = text.partition(".")
    return f"{whole}.{part}{pad * (decimals - len(part))}"


def table_text(rows: Sequence[str], columns: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A table of columns already written, laid out as R prints a data frame of text."""
    cells = [[column[k] for _, column in columns] for k in range(len(rows))]
    return matrix_text(rows, [name for name, _ in columns], cells)


def bare_text(columns: Sequence[tuple[str, Sequence[str]]]) -> str:
    """The same without row names."""
    return table_text([""] * len(columns[0][1]), columns)
