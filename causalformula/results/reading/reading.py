"""Reading an answer: standard errors, tests and limits from an estimate and its covariance, at any level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.backends.options import shown
from causalformula.errors import OptionError
from causalformula.inference.covariance import Covariance
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.inference.resampling.resample import interval
from causalformula.inference.scales import Measure
from causalformula.numerics.arrays import Array
from causalformula.results.text.coefmat import Cells, effect_cells


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

    def cells(self, labels: Sequence[str], level: float) -> Cells:
        """The effect table: estimates, tests, limits, stars last."""
        columns = [self.estimate, self.std_error, self.statistic, self.p_value, self.low, self.high]
        return effect_cells(np.column_stack(columns), labels, statistic="z" if self.normal else "t", level=level)


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
