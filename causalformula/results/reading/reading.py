"""Reading an answer: standard errors, tests and limits from an estimate and its covariance, at any level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.errors import OptionError
from causalformula.inference.covariance import Covariance
from causalformula.inference.requests import Bootstrap
from causalformula.inference.resampling.resample import interval
from causalformula.inference.scales import Measure
from causalformula.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Reading:
    """One row an estimate, on the reported scale."""

    estimate: Array
    std_error: Array
    statistic: Array
    df: Array
    p_value: Array
    low: Array
    high: Array

    @property
    def normal(self) -> bool:
        """Whether statistics are z rather than t."""
        return bool(np.isinf(self.df).all())


def check_level(level: float) -> float:
    """A confidence level strictly between 0 and 1."""
    number = isinstance(level, (int, float, np.number)) and not isinstance(level, bool)
    if not number or not 0 < level < 1:
        hint = f"; did you mean {level / 100:g}?" if number and 1 < level < 100 else ""
        raise OptionError(f"level must lie between 0 and 1, not {shown(level)}{hint}")
    return float(level)


def check_alpha(alpha: float) -> float:
    """A probability of error strictly between 0 and 1, as statsmodels has it."""
    number = isinstance(alpha, (int, float, np.number)) and not isinstance(alpha, bool)
    if not number or not 0 < alpha < 1:
        raise OptionError(f"alpha must lie between 0 and 1, not {shown(alpha)}; 0.05 gives 95% limits")
    return float(alpha)


def two_sided(statistic: Array, df: Array) -> Array:
    """Two-sided p-values of t (normal where df is infinite)."""
    from scipy.special import ndtr, stdtr

    size = -np.abs(statistic)
    finite = np.isfinite(df)
    return np.asarray(2 * np.where(finite, stdtr(np.where(finite, df, 1.0), size), ndtr(size)))


def quantile(level: float, df: Array) -> Array:
    """Upper critical values (q,) for two-sided limits."""
    from scipy.special import ndtri, stdtrit

    p = 1 - (1 - level) / 2
    finite = np.isfinite(df)
    return np.asarray(np.where(finite, stdtrit(np.where(finite, df, 1.0), p), ndtri(p)))


def read(theta: Array, covariance: Covariance, measure: Measure, level: float = 0.95) -> Reading:
    """Estimates on the reported scale with tests and limits built on the working scale.

    Ratios are tested against one and their limits built on the log scale, ``std.error = estimate x s.e.(log)``;
    a number needed to treat takes its p-value from the difference, and has no limits where the difference may be
    zero.
    """
    check_level(level)
    se = covariance.std_error
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = theta / se
    low, high = limits(theta, covariance, level)
    estimate = measure.read(theta)
    reported_se = np.abs(measure.slope(theta)) * se
    p_value = two_sided(statistic, covariance.df)
    if covariance.reference is not None:
        own = covariance.reference.p_values()
        p_value = p_value if own is None else own
    if measure.reading == "exp":
        low, high = np.exp(low), np.exp(high)
    elif measure.reading == "inverse":
        low, high = _inverted(low, high)
    return Reading(estimate, reported_se, statistic, covariance.df, p_value, low, high)


def limits(theta: Array, covariance: Covariance, level: float) -> tuple[Array, Array]:
    """Confidence limits on the working scale."""
    request = covariance.request
    if covariance.reference is not None:
        return covariance.reference.limits(level)
    if covariance.draws is not None and isinstance(request, Bootstrap):
        both = interval(covariance.draws, theta, level, request.kind)
        return both[:, 0], both[:, 1]
    half = quantile(level, covariance.df) * covariance.std_error
    return theta - half, theta + half


def _inverted(low: Array, high: Array) -> tuple[Array, Array]:
    """Limits of 1/difference: NaN where the difference may be zero."""
    with np.errstate(divide="ignore"):
        a, b = 1 / high, 1 / low
    crosses = (low <= 0) & (high >= 0)
    return np.where(crosses, np.nan, a), np.where(crosses, np.nan, b)


@dataclass(frozen=True, eq=False)
class Test:
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

        from causalformula.results.text.numbers import format_each, format_pval

        name, df = (
            ("F", f"{self.df[0]:g} and {self.df[1]:g}") if isinstance(self.df, tuple) else ("Chisq", f"{self.df:g}")
        )
        p = format_pval([self.p_value], 4)[0]
        p = p if p.startswith("<") else f"= {p}"
        text = f"{self.method}\n{name} = {format_each([self.statistic], 5)[0]} on {df} DF, p-value {p}"
        return text if self.table is None else f"{text}\n{self.table.to_string()}"


NAN = float("nan")


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
