"""``evalue``: how strong a confounder must be to explain an association of any measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import flag, is_number, one_of, shown
from causalformula.errors import OptionError, asks
from causalformula.inference.sensitivity.evalue import (
    DIFFERENCES,
    MEASURES,
    PER_SD,
    Counts,
    Ratio,
    difference_as_risk,
    hazards_as_risk,
    odds_as_risk,
)
from causalformula.numerics.arrays import HasArray
from causalformula.results.reading.reading import check_level
from causalformula.words import EValueMeasure

if TYPE_CHECKING:
    import pandas as pd

ROWS = ("point", "limit")
TABLE = "measure='RD' takes counts, [[cases, others], [cases, others]], the exposed first"


@asks
def evalue(
    estimate: float | Sequence[Sequence[float]] | HasArray,
    low: float | None = None,
    high: float | None = None,
    *,
    measure: EValueMeasure = "RR",
    true: float | None = None,
    rare: bool = False,
    se: float | None = None,
    sd: float | None = None,
    delta: float = 1.0,
    level: float = 0.95,
) -> pd.DataFrame:
    """E-values: how strongly a confounder must be related to exposure and outcome to explain an association.

    With ``r`` the risk ratio (its inverse, where it is below one), ``r + sqrt(r (r - 1))``: the least risk ratio that
    an unmeasured confounder must have both with the exposure and with the outcome, beside the measured covariates, to
    explain the whole of it. For the interval, that of the limit that is nearer to no effect.

    Parameters
    ----------
    estimate : float
        The estimate; for a risk difference the table of counts, ``[[cases, others], [cases, others]]``, the exposed
        first.
    low, high : float, optional
        Its limits.
    measure : {"RR", "OR", "HR", "MD", "OLS", "RD"}
        Risk ratio, odds ratio, hazard ratio, standardised mean difference, coefficient of a linear regression, risk
        difference. All but the first are turned into risk ratios: an odds ratio of a common outcome is its square root,
        a difference of ``d`` standard deviations ``exp(0.91 d)``.
    true : float, optional
        What the confounder shall take it to, on the scale of the measure; no effect where not given, 1 of ratios and 0
        of differences.
    rare : bool
        Of odds and hazard ratios, whether the outcome is rare (below 15% at the end of follow-up), so that they are
        risk ratios as they stand.
    se : float, optional
        Of differences, the standard error, instead of limits.
    sd : float, optional
        Of ``"OLS"``, the standard deviation of the outcome; that of the residuals makes a standardised difference.
    delta : float
        Of ``"OLS"``, the change of the exposure that the coefficient is multiplied by.
    level : float
        Of ``"RD"``, of the limits that are made of its counts.

    Returns
    -------
    DataFrame
        Rows ``point`` and ``limit``; columns ``RR``, the risk ratio that it is turned into, and ``evalue``. NaN for a
        limit that is not known, and an E-value of 1 where the interval contains ``true``.

    Raises
    ------
    OptionError
        For ratios that are not positive, limits on the wrong side, and arguments of other measures.

    Notes
    -----
    R: ``EValue`` 4.1.4. As there, the limits of a standardised difference are ``exp(0.91 d -+ 1.78 se)``, and the bias
    factor at the lower limit of a risk difference is looked for in steps of 1e-4.

    References
    ----------
    VanderWeele and Ding (2017). Sensitivity analysis in observational research: introducing the E-value. *Annals of
    Internal Medicine* 167, 268-274.

    Ding and VanderWeele (2016). Sensitivity analysis without assumptions. *Epidemiology* 27, 368-377.

    Examples
    --------
    >>> import causalformula as cf
    >>> cf.evalue(3.9, 1.8, 8.7)
            RR    evalue
    point  3.9  7.263034
    limit  1.8  3.000000
    """
    one_of("measure", measure, MEASURES)
    _refuse_others(measure, flag("rare", rare), se, sd, delta, low, high)
    check_level(level)
    if measure == "RD":
        return _of_counts(estimate, true, level)
    if level != 0.95:
        raise OptionError(f"level= is of measure='RD', whose limits are made here; {measure} has those that are given")
    center = _number("estimate", estimate)
    if measure in DIFFERENCES:
        return as_frame(_of_difference(center, low, high, se, sd, delta, true))
    change: dict[str, Callable[[float], float]] = {
        "RR": float, "OR": lambda x: odds_as_risk(x, rare), "HR": lambda x: hazards_as_risk(x, rare)
    }  # fmt: skip
    values = {"estimate": center, "low": low, "high": high, "true": 1.0 if true is None else true}
    checked = {name: _positive(name, value) for name, value in values.items()}
    _refuse_order(checked["estimate"], checked["low"], checked["high"])
    return as_frame(Ratio(*(change[measure](value) for value in checked.values())))


def as_frame(found: Ratio) -> pd.DataFrame:
    """The frame of a risk ratio."""
    import pandas as pd

    columns = {"RR": [found.point, found.limit], "evalue": [found.evalue, found.limit_evalue]}
    return pd.DataFrame(columns, index=list(ROWS))


def _of_counts(table: Any, true: float | None, level: float) -> pd.DataFrame:
    import pandas as pd

    try:
        counts = np.asarray(table, dtype=float)
    except (TypeError, ValueError, OverflowError):
        counts = np.empty(0)
    if counts.shape != (2, 2) or not np.isfinite(counts).all() or (counts < 0).any() or isinstance(table, str):
        raise OptionError(f"{TABLE}, not {shown(table)}")
    found = Counts(*(float(x) for x in counts.ravel()))
    if not (counts.sum(axis=1) > 0).all() or not found.unexposed:
        raise OptionError(f"{TABLE}: there must be some of each, and cases among those who are not exposed")
    if found.least(1.0, 0.0) < 0:
        raise OptionError("the risk of the exposed is the smaller one: give the other group first, as the exposed")
    value = 0.0 if true is None else _number("true", true)
    if value < 0:
        raise OptionError(f"true={shown(true)}: a difference from 0, as that of the counts is")
    point, limit = found.evalues(value, level)
    return pd.DataFrame({"RR": [found.risk_ratio, np.nan], "evalue": [point, limit]}, index=list(ROWS))


def _of_difference(d: float, low: Any, high: Any, se: Any, sd: Any, delta: Any, true: float | None) -> Ratio:
    """A difference, in standard deviations where there are any, as a risk ratio."""
    unit = 1.0 if sd is None else _above("sd", sd) / _number("delta", delta)
    to = 0.0 if true is None else _number("true", true)
    if low is None and high is None:
        error = np.nan if se is None else _above("se", se, least=True)
        return difference_as_risk(d / unit, abs(error / unit), to / unit)
    ends = [np.nan if end is None else _number(name, end) for name, end in (("low", low), ("high", high))]
    _refuse_order(d, *ends)
    if unit < 0:
        ends.reverse()
    return Ratio(*(float(np.exp(PER_SD * x / unit)) for x in (d, *ends, to)))


# ---- what is refused -----------------------------------------------------------------------------------------------


def _refuse_others(measure: str, rare: bool, se: Any, sd: Any, delta: Any, low: Any, high: Any) -> None:
    """Arguments of other measures."""
    if rare and measure not in ("OR", "HR"):
        raise OptionError(f"rare= is of odds and hazard ratios, not of measure={measure!r}")
    if se is not None and measure not in ("MD", "OLS"):
        raise OptionError("se= is of measure='MD' and 'OLS'; give the limits of a ratio, low= and high=")
    if measure == "OLS" and sd is None:
        raise OptionError("measure='OLS' needs sd=, the standard deviation of the outcome, or of the residuals")
    if sd is not None and measure != "OLS":
        raise OptionError(f"sd= is of measure='OLS', not of measure={measure!r}")
    if not is_number(delta) or delta == 0:
        raise OptionError(f"delta={shown(delta)}: the change of the exposure, a number other than 0")
    if delta != 1 and measure != "OLS":
        raise OptionError(f"delta= is of measure='OLS', not of measure={measure!r}")
    if se is not None and not (low is None and high is None):
        raise OptionError("give se= or limits, not both")
    if measure == "RD" and not (low is None and high is None):
        raise OptionError(f"{TABLE}, and no limits")


def _refuse_order(center: float, low: float, high: float) -> None:
    if low > center or high < center:
        raise OptionError(f"the limits, {low:g} and {high:g}, are not on both sides of the estimate, {center:g}")


def _number(name: str, value: Any) -> float:
    if not is_number(value):
        raise OptionError(f"{name}={shown(value)}: a number")
    return float(value)


def _above(name: str, value: Any, least: bool = False) -> float:
    if not is_number(value) or value < 0 or (value == 0 and not least):
        raise OptionError(f"{name}={shown(value)}: a number {'from' if least else 'above'} 0")
    return float(value)


def _positive(name: str, value: Any) -> float:
    """A ratio, or a limit of one that may be missing."""
    if value is None:
        return float("nan")
    if not is_number(value) or value < 0 or (value == 0 and name != "low"):
        raise OptionError(f"{name}={shown(value)}: a ratio is a number above 0")
    return float(value)
