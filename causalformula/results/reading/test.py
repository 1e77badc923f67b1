"""Joint tests that several estimates are zero: Wald's and Hotelling's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.errors import OptionError
from causalformula.numerics.arrays import Array
from causalformula.results.text.notebook import Shown
from causalformula.results.text.numbers import format_each, format_pval

NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Test(Shown):
    """A joint test.

    Parameters
    ----------
    statistic : float
        F where the denominator's degrees of freedom are finite, otherwise chi-squared.
    df : float or tuple of float
        ``(numerator, denominator)`` for F.
    p_value : float
    method : str
    table : DataFrame, optional
        R's table of the test, where it has one.
    text : str
        What R prints of it; a line of ours where R has no such print.
    """

    __test__ = False  # not a test case, whatever its name says to a test runner

    statistic: float
    df: Any
    p_value: float
    method: str
    table: Any = None
    text: str = ""

    def __str__(self) -> str:
        if self.text:
            return self.text
        name, df = (
            ("F", f"{self.df[0]:g} and {self.df[1]:g}") if isinstance(self.df, tuple) else ("Chisq", f"{self.df:g}")
        )
        p = format_pval([self.p_value], 4)[0]
        p = p if p.startswith("<") else f"= {p}"
        text = f"{self.method}\n{name} = {format_each([self.statistic], 5)[0]} on {df} DF, p-value {p}"
        return text if self.table is None else f"{text}\n{self.table.to_string()}"

    __repr__ = __str__


def wald(
    theta: Array,
    matrix: Array,
    df: float,
    method: str,
    table: Any = None,
    *,
    reduce: bool = False,
    known: int | None = None,
    source: str = "",
) -> Test:
    """Joint Wald test that ``theta`` is zero: F with ``df`` denominator degrees of freedom, chi-squared if infinite.

    Parameters
    ----------
    reduce : bool
        Restrictions that imply each other count once (a generalised inverse, with the rank as degrees of freedom);
        without it they are an ``OptionError``.
    known : int, optional
        Rank of the restrictions themselves, where it is known: what the covariance lacks beyond it, it lacks by itself.
    source : str
        What the covariance comes from, such as ``"3 clusters"``, for the message.

    Notes
    -----
    A covariance that is not positive semidefinite gives no test: its statistic and p-value are NaN.
    """
    from scipy.special import chdtrc, fdtrc

    numerator = float(len(theta))
    none = Test(NAN, numerator if np.isinf(df) else (numerator, float(df)), NAN, method, table)
    if not np.isfinite(matrix).all() or (np.diag(matrix) < 0).any():
        return none
    scale = np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    if values[0] < -1e-8 * max(values[-1], 1.0):
        return none
    good = values > 1e-10 * max(values.max(), 1e-6)
    q = int(good.sum())
    if q < len(theta) and not reduce:
        raise OptionError(_dependent(len(theta), q, known, source))
    value = float((((theta / scale) @ vectors[:, good]) ** 2 / values[good]).sum())
    if np.isinf(df):
        return Test(value, float(q), float(chdtrc(q, value)), method, table)
    return Test(value / q, (float(q), float(df)), float(fdtrc(q, df, value / q)), method, table)


def _dependent(count: int, rank: int, known: int | None, source: str) -> str:
    """Why restrictions have no joint test: they imply each other, or their covariance knows fewer of them."""
    if count == 1:
        return "the restriction has a variance of zero, so there is nothing to test it by"
    if known is None or known < count:
        shown = rank if known is None else known
        return f"the {count} restrictions are not independent (rank {shown}); drop the redundant ones"
    origin = f", which comes from {source}," if source else ""
    return (
        f"the covariance of the {count} restrictions{origin} has rank {rank}, too little to test them jointly; test at "
        f"most {rank} at a time, or use a covariance that rests on more units"
    )


def hotelling(theta: Array, matrix: Array, freedom: float, method: str) -> Test:
    """Joint test that ``theta`` is zero, ``matrix`` being as variable as a Wishart of ``freedom`` degrees of freedom.

    With q restrictions ``(freedom - q + 1) / freedom`` times the Wald F is F with ``q`` and ``freedom - q + 1``.
    """
    from scipy.special import fdtrc

    plain = wald(theta, matrix, np.inf, method)
    q = len(theta)
    below = freedom - q + 1
    if below <= 0:
        raise OptionError(
            f"{q} restrictions are too many for these clusters (the covariance has {freedom:.3g} degrees of "
            "freedom); test fewer at a time"
        )
    value = below / freedom * plain.statistic / q
    return Test(
        value, (float(q), float(below)), float(fdtrc(q, below, value)), f"{method}, Hotelling's T-squared (HTZ)"
    )
