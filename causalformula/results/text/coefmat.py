"""Coefficient and effect tables as text, by the digit, p-value and star rules of R's ``printCoefmat``."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causalformula.numerics.arrays import Array
from causalformula.results.text.numbers import (
    EPS,
    STAR_LEGEND,
    as_table,
    format_num,
    format_pval,
    r_round,
    stars,
    zapsmall,
)
from causalformula.results.text.page import WIDTH, display_width, matrix_text, pad_right

DIGITS = 4
EFFECT_WIDTH = 120
T_COLUMNS = ("Estimate", "Std. Error", "t value", "Pr(>|t|)")
Z_COLUMNS = ("Estimate", "Std. Error", "z value", "Pr(>|z|)")


@dataclass(frozen=True)
class Cells:
    """A table whose numbers are already written: what the text, HTML and LaTeX layouts share.

    Attributes
    ----------
    rows, cols : tuple of str
        Row and column names; the column of stars has an empty name.
    body : tuple of tuple of str
        The cells, row by row.
    legend : bool
        Whether the stars are to be explained below.
    rules : tuple of int
        Rows above which a line is drawn (0 the first, their number the last line of all); none in R's own tables.
    width : int
        The page: R's 80 columns, more for effect tables, which carry limits and stars beside the coefficients' columns.
    """

    rows: tuple[str, ...]
    cols: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    legend: bool
    rules: tuple[int, ...] = ()
    width: int = WIDTH

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int | None = None) -> str:
        """Lay the table out as R prints it; ends with a newline."""
        table = self._ruled() if self.rules else matrix_text(self.rows, self.cols, self.body, width or self.width)
        return table + legend_text() if self.legend else table

    def _ruled(self) -> str:
        """One block, however wide, with lines above the header and where they are asked for."""
        head, *lines = matrix_text(self.rows, self.cols, self.body, sys.maxsize).splitlines()
        line = "-" * display_width(head)
        drawn = [line, head]
        for k in range(len(lines) + 1):
            drawn += [line] * (k in self.rules) + lines[k : k + 1]
        return "".join(text.rstrip() + "\n" for text in drawn)


def legend_text() -> str:
    """Return the two lines that explain the stars."""
    return f"---\nSignif. codes:  {STAR_LEGEND}\n"


# ---- the digit rules ---------------------------------------------------------------------------------------------


def _estimate_texts(block: Array, digits: int) -> list[str]:
    """Write estimates and standard errors together: decimals enough for the smallest of them."""
    size = np.abs(block[np.isfinite(block)])
    if not size.size:
        return ["" for _ in range(block.size)]
    size = size[size != 0]
    smallest = 1 + math.floor(math.log10(size.min())) if size.size else 0
    return format_num(r_round(block, max(1, digits - smallest)), digits)


def _rescue_zeros(texts: NDArray[np.object_], values: Array, digits: int) -> None:
    """Give one digit less, but not zero, to numbers that are not zero and were written as if they were."""
    lost = np.array([v != 0 and t != "" and float(t) == 0 for t, v in zip(texts, values, strict=True)], dtype=bool)
    if lost.any():
        texts[lost] = format_num(values[lost], max(1, digits - 1))


@dataclass(frozen=True)
class _Columns:
    """Which columns hold estimates, test statistics and anything else; ``p`` is the p-value's, or None."""

    estimates: tuple[int, ...]
    tests: tuple[int, ...]
    others: tuple[int, ...]
    p: int | None


def _assign(n_cols: int, has_p: bool, cs_ind: Sequence[int] | None, tst_ind: Sequence[int] | None) -> _Columns:
    n_tests = 1 if tst_ind is None else len(tst_ind)
    k = n_cols - has_p - n_tests
    estimates = tuple(range(k)) if cs_ind is None else tuple(cs_ind)
    tests = (k,) if tst_ind is None else tuple(tst_ind)
    p = n_cols - 1 if has_p else None
    others = tuple(j for j in range(n_cols) if j not in estimates and j not in tests and j != p)
    return _Columns(estimates, tests, others, p)


def _number_cells(xm: Array, where: _Columns, digits: int, dig_tst: int) -> NDArray[np.object_]:
    """Write every column except the p-values."""
    cells = np.full(xm.shape, "", dtype=object)
    if where.estimates:
        at = list(where.estimates)
        block = xm[:, at]
        cells[:, at] = np.array(_estimate_texts(block, digits), dtype=object).reshape(block.shape)
    if where.tests:
        at = list(where.tests)
        block = xm[:, at]
        cells[:, at] = np.array(format_num(r_round(block, dig_tst), digits), dtype=object).reshape(block.shape)
    for j in where.others:
        cells[:, j] = format_num(xm[:, j], digits)
    checked = ~np.isnan(xm)
    checked[:, [*where.tests, *([] if where.p is None else [where.p])]] = False
    # R walks a matrix column by column; the rescued numbers share one notation, so the order is free.
    texts = cells[checked]
    _rescue_zeros(texts, xm[checked], digits)
    cells[checked] = texts
    return cells


def _star_cells(p: Array) -> list[str] | None:
    """Return the padded marks, or None when no p-value is below 0.1."""
    known = p[~np.isnan(p)]
    return pad_right(stars(p)) if (known < 0.1).any() else None


def coefmat_cells(
    table: ArrayLike,
    rows: Sequence[str],
    cols: Sequence[str],
    *,
    digits: int = DIGITS,
    signif_stars: bool = True,
    signif_legend: bool | None = None,
    dig_tst: int | None = None,
    cs_ind: Sequence[int] | None = None,
    tst_ind: Sequence[int] | None = None,
    zap_ind: Sequence[int] = (),
    P_values: bool | None = None,
    has_Pvalue: bool | None = None,
    na_print: str = "NA",
    eps_Pvalue: float = EPS,
    missing: ArrayLike | None = None,
) -> Cells:
    """Write the numbers of a coefficient table by the rules of R's ``printCoefmat``.

    Parameters
    ----------
    table : array_like, shape (rows, columns)
        The numbers; the last column may hold p-values.
    rows, cols : sequence of str
        Their names.
    digits : int
        Significant digits; R's summaries use 4, ``coeftest`` and ``anova`` 5.
    signif_stars, signif_legend : bool
        Whether marks, and the lines that explain them, are wanted (they are left out when no p-value is below 0.1).
    dig_tst : int, optional
        Decimals of the test statistic and digits of the p-value: ``max(1, min(5, digits - 1))``.
    cs_ind, tst_ind : sequence of int, optional
        Columns (from 0) of the estimates and their standard errors, and of the test statistics.
    zap_ind : sequence of int
        Columns whose entries tiny beside the largest are written as zero.
    P_values, has_Pvalue : bool, optional
        Whether to show p-values, and whether the last column holds them (judged by its name).
    na_print : str
        What stands for a missing number.
    eps_Pvalue : float
        P-values below it are written ``<eps``.
    missing : array_like of bool, optional
        Which NaNs are R's NA; the others are written NaN. All of them when absent.
    """
    xm = as_table(table).copy()
    names = list(cols)
    has_p = _looks_like_p(names) if has_Pvalue is None else has_Pvalue
    if has_p and P_values is False:
        xm, names, has_p = xm[:, :-1], names[:-1], False
    dig_tst = max(1, min(5, digits - 1)) if dig_tst is None else dig_tst
    for j in zap_ind:
        xm[:, j] = zapsmall(xm[:, j], digits)
    where = _assign(xm.shape[1], has_p, cs_ind, tst_ind)
    cells = _number_cells(xm, where, digits, dig_tst)
    _mark_missing(cells, xm, missing, na_print)
    marks = None
    if where.p is not None:
        known = ~np.isnan(xm[:, where.p])
        cells[known, where.p] = format_pval(xm[known, where.p], dig_tst, eps_Pvalue) if known.any() else ""
        marks = _star_cells(xm[:, where.p]) if signif_stars else None
    return _assemble(rows, names, cells, marks, signif_stars if signif_legend is None else signif_legend)


def _looks_like_p(cols: Sequence[str]) -> bool:
    return len(cols) >= 4 and cols[-1].startswith(("Pr(", "p-"))


def _mark_missing(cells: NDArray[np.object_], xm: Array, missing: ArrayLike | None, na_print: str) -> None:
    gone = np.isnan(xm)
    cells[gone] = na_print
    if missing is not None:
        cells[gone & ~np.asarray(missing, dtype=bool)[:, : xm.shape[1]]] = "NaN"


def _assemble(
    rows: Sequence[str], cols: Sequence[str], cells: NDArray[np.object_], marks: list[str] | None, legend: bool
) -> Cells:
    body = [tuple(map(str, row)) for row in cells]
    names = tuple(cols)
    if marks is not None:
        body = [(*row, mark) for row, mark in zip(body, marks, strict=True)]
        names = (*names, "")
    return Cells(tuple(rows), names, tuple(body), legend and marks is not None)


# ---- the effect table --------------------------------------------------------------------------------------------


def limit_names(level: float = 0.95) -> tuple[str, str]:
    """Return R's names of the limits of a confidence interval: ``("2.5 %", "97.5 %")``."""
    tail = (1 - level) / 2
    low, high = format_num([100 * tail, 100 * (1 - tail)], 3, scientific=False, trim=True)
    return f"{low} %", f"{high} %"


def effect_cells(
    table: ArrayLike,
    rows: Sequence[str],
    *,
    statistic: str = "t",
    level: float = 0.95,
    digits: int = DIGITS,
    eps_Pvalue: float = EPS,
) -> Cells:
    """Write a table of effects: a coefficient table, then the limits of the interval, then the stars.

    Parameters
    ----------
    table : array_like, shape (effects, 6)
        Estimate, standard error, statistic, p-value, lower limit, upper limit; NaN where there is none.
    rows : sequence of str
        The label of each effect, such as ``"Drug 1 - 0"``.
    statistic : {"t", "z"}
        Which test the p-value belongs to.
    level : float
        The confidence level, for the names of the limits.
    digits : int
        Significant digits.
    eps_Pvalue : float
        P-values below it are written ``<eps``.
    """
    xm = as_table(table)
    first = T_COLUMNS if statistic == "t" else Z_COLUMNS
    left = coefmat_cells(xm[:, :4], rows, first, digits=digits, signif_stars=False, eps_Pvalue=eps_Pvalue)
    limits = xm[:, 4:]
    texts = np.array(_estimate_texts(limits, digits), dtype=object)
    known = ~np.isnan(limits.ravel())
    shown = texts[known]
    _rescue_zeros(shown, limits.ravel()[known], digits)
    texts[known], texts[~known] = shown, "NA"
    # limits of which none is finite are blank by R's rule, which has no such limits
    endless = np.isinf(limits.ravel())
    texts[endless] = np.where(limits.ravel()[endless] > 0, "Inf", "-Inf")
    cells = np.hstack([np.array(left.body, dtype=object), texts.reshape(limits.shape)])
    found = _assemble(rows, (*first, *limit_names(level)), cells, _star_cells(xm[:, 3]), True)
    return replace(found, width=EFFECT_WIDTH)
