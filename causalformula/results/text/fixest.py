"""fixest's console page of a model with absorbed effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.results.text.coefmat import T_COLUMNS, Z_COLUMNS, Cells
from causalformula.results.text.numbers import EPS, format_num, r_round, signif, stars
from causalformula.results.text.page import pad_right

DIGITS = 6
# Numbers below this in size have so many significant digits instead of so many decimals.
SMALL, FEW = 1e-4, 3


@dataclass(frozen=True)
class FixestText:
    """What the page shows.

    Attributes
    ----------
    title : str
        The first line: how the model is estimated, and its outcome.
    head : sequence of str
        Lines between the title and the table.
    names : sequence of str
        Of the coefficients that are estimated.
    table : ndarray (p, 4)
        Estimate, standard error, statistic and p.
    statistic : {"t", "z"}
    removed : str
        The line that names variables left out as collinear; empty where there are none.
    left, right : sequence of (str, str)
        Statistics of the fit with their names, in the first and second column of the last lines.
    tests : sequence of (str, float, float, float, float), optional
        Diagnostic tests of instruments: name, degrees of freedom, statistic and p.
    """

    title: str
    head: Sequence[str]
    names: Sequence[str]
    table: Array
    statistic: str
    removed: str
    left: Sequence[tuple[str, str]]
    right: Sequence[tuple[str, str]]
    tests: Sequence[tuple[str, float, float, float, float]] = ()


def fixest_page(text: FixestText) -> tuple[str | Cells, ...]:
    """The parts of the page."""
    head = "\n".join([text.title, *text.head])
    table: list[str | Cells] = [_cells(text)] if len(text.names) else ["(no coefficient is estimated)"]
    return (head, *table, *([text.removed] if text.removed else []), _fit_lines(text), *_tests(text))


def _tests(text: FixestText) -> list[str]:
    """The diagnostic tests, names to the right."""
    if not text.tests:
        return []
    wide = max(len(name) for name, *_ in text.tests)
    values = [f"{value:,.3f}" for _, _, _, value, _ in text.tests]
    p = ["< 2.2e-16" if one < EPS else f"= {one:.4g}" for *_, one in text.tests]
    far, long = max(map(len, values)), max(map(len, p))
    lines = []
    for (name, df1, df2, _, _), value, shown in zip(text.tests, values, p, strict=True):
        on = f"{df1:,.0f}" if np.isnan(df2) else f"{df1:,.0f} and {df2:,.0f}"
        lines.append(f"{name.rjust(wide)}: stat = {value.rjust(far)}, p {shown.ljust(long)}, on {on} DoF.")
    return ["\n".join(lines)]


def _cells(text: FixestText) -> Cells:
    columns = [_numbers(text.table[:, j]) for j in range(2)]
    columns.append(format_num(r_round(text.table[:, 2], DIGITS), DIGITS))
    p = text.table[:, 3]
    columns.append(_p_values(p))
    names = T_COLUMNS if text.statistic == "t" else Z_COLUMNS
    marked = bool((p[~np.isnan(p)] < 0.1).any())
    if marked:
        columns.append(pad_right(stars(p)))
        names = (*names, "")
    return Cells(tuple(text.names), tuple(names), tuple(zip(*columns, strict=True)), marked)


def _numbers(values: Array) -> list[str]:
    """Six decimals, or six digits of larger numbers; a few digits of numbers that so many decimals would not show."""
    tiny = (np.abs(values) < SMALL) & (values != 0)
    rounded = np.where(tiny, signif(values, FEW), r_round(values, DIGITS))
    return format_num(rounded, DIGITS)


def _p_values(p: Array) -> list[str]:
    """All in one notation, those of rounding apart."""
    out = ["NA"] * len(p)
    written = np.flatnonzero(p >= EPS)
    for j, one in zip(written, format_num(p[written], DIGITS - 1), strict=True):
        out[j] = one
    for j in np.flatnonzero(p < EPS):
        out[j] = "< 2.2e-16"
    return out


def _fit_lines(text: FixestText) -> str:
    """Statistics of the fit in two columns, their names to the right; values to the right in the first, else left."""
    first, second = _column(text.left, 0), _column(text.right, 1)
    height = max(len(first), len(second))
    blank = " " * len(first[0])
    lines = zip(first + [blank] * (height - len(first)), second + [""] * (height - len(second)), strict=True)
    return "\n".join(f"{left}   {right}" for left, right in lines)


def _column(pairs: Sequence[tuple[str, str]], place: int) -> list[str]:
    names, values = (max((len(pair[k]) for pair in pairs), default=0) for k in range(2))
    return [f"{name.rjust(names)}: {value.ljust(values) if place else value.rjust(values)}" for name, value in pairs]


def statistic_text(value: float) -> str:
    """Six digits, one decimal from ten on; a few digits of numbers that six decimals would not show."""
    if not np.isfinite(value):
        return "NA" if np.isnan(value) else str(value)
    if SMALL <= abs(value) < 1:
        return f"{round(value, DIGITS):.10g}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{float(signif(np.array([value]), DIGITS)[0]):.10g}"
