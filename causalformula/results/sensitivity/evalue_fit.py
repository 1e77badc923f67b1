"""``sensitivity("evalue")``: E-values of fits of any measure, and of coefficients of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.options import flag, is_number, shown
from causalformula.backends.outcomes import PotentialMeans
from causalformula.errors import CausalFormulaError, OptionError
from causalformula.inference.sensitivity.evalue import PER_SD, Ratio, difference_as_risk, odds_as_risk
from causalformula.inference.sensitivity.linear import regressors
from causalformula.numerics.arrays import Array
from causalformula.results.effects.core import ResultCore
from causalformula.results.models.core import ModelCore
from causalformula.results.reading.reading import Reading, check_level, read
from causalformula.results.sensitivity.evalue_page import EValues
from causalformula.results.sensitivity.linear import free_of_confounders
from causalformula.scale.whole import WholeFrame

RATIOS = {"ratio": False, "log_ratio": True}
ODDS = {"odds_ratio": False, "log_odds_ratio": True}
COMMON = (
    "odds ratios are turned into risk ratios by their square root, as for a common outcome; rare=True takes them as "
    "they are"
)
RARE = "odds ratios are taken for risk ratios, as of a rare outcome"
OF_MEANS = "the difference of a binary outcome is read as the ratio of its two mean potential outcomes"
IN_SDS = (
    "a difference of d standard deviations is read as a risk ratio exp({per} d) of an outcome that is cut in two; "
    "a standard deviation is {sd:.4g}, {what}"
)


@dataclass(frozen=True)
class Asked:
    """What E-values are told.

    Parameters
    ----------
    true : float or None
    rare : bool
    sd : float or None
    level : float
    """

    true: float | None
    rare: bool
    sd: float | None
    level: float


def evalue_of_result(
    result: ResultCore,
    *,
    true: float | None = None,
    rare: bool = False,
    sd: float | None = None,
    level: float = 0.95,
) -> EValues:
    """How strongly a confounder must be related to treatment and outcome to explain an effect away: its E-value.

    Parameters
    ----------
    result : Result
    true : float, optional
        What the confounder shall take the effect to: a difference of differences, a ratio of ratios, of their
        logarithms and of differences of a binary outcome; no effect where not given.
    rare : bool
        Of odds ratios, whether the outcome is rare, so that they are risk ratios as they stand.
    sd : float, optional
        Of differences, the standard deviation that they are counted in. Where not given, that of the residuals of the
        regression that gives them, otherwise that of the outcome.
    level : float
        Of the limits.

    Returns
    -------
    EValues
        ``.tidy() .plot() .sentence``.

    Raises
    ------
    OptionError
        For what is no number, or of another measure.

    Notes
    -----
    R: ``EValue`` 4.1.4; limits of differences are made of the standard error as there. The difference of a binary
    outcome is read as the ratio of the means of its potential outcomes, which are adjusted as the difference is.

    References
    ----------
    VanderWeele and Ding (2017); VanderWeele (2017) for odds ratios of common outcomes.
    """
    asked, measure = _asked(true, rare, sd, level), result.answer.measure.name
    labels = tuple(str(label) for label in result.answer.labels)
    reading = result.read(asked.level)
    if measure in RATIOS:
        _refuse(asked, sd=measure, rare=measure)
        ratios, note = _ratios(reading, RATIOS[measure], asked, float), ""
    elif measure in ODDS:
        _refuse(asked, sd=measure)
        ratios, note = _of_odds(reading, ODDS[measure], asked)
    else:
        _refuse(asked, rare=measure)
        found = None if sd is not None else _ratio_of_means(result, asked.level)
        if found is None:
            spread, what = _deviation(result, asked.sd)
            ratios, note = _in_deviations(reading, spread, what, asked)
        else:
            ratios, note = _ratios(found, False, asked, float), OF_MEANS
    return EValues(labels, ratios, reading.estimate, result.endog_names, measure, asked.level, (note,) if note else ())


def evalue_of_model(
    model: ModelCore,
    term: str,
    *,
    true: float | None = None,
    rare: bool = False,
    sd: float | None = None,
    level: float = 0.95,
) -> EValues:
    """The same for one coefficient of a model: a difference, or the logarithm of a risk ratio or an odds ratio.

    Parameters
    ----------
    model : Model
    term : str
    true : float, optional
        On the scale of the ratio, or of the coefficient of a linear model.
    rare, sd, level : optional
        As in ``evalue_of_result``.

    Returns
    -------
    EValues
    """
    asked, scale = _asked(true, rare, sd, level), _scale(model)
    at = model.regression.kept_names.index(term)
    whole = model.read(asked.level)
    reading = Reading(*(np.atleast_1d(getattr(whole, name)[at]) for name in whole.__dataclass_fields__))
    if scale == "difference":
        _refuse(asked, rare=scale)
        ratios, note = _in_deviations(reading, *_model_deviation(model, asked.sd), asked)
    elif scale == "odds_ratio":
        _refuse(asked, sd=scale)
        ratios, note = _of_odds(reading, True, asked)
    else:
        _refuse(asked, sd=scale, rare=scale)
        ratios, note = _ratios(reading, True, asked, float), ""
    shown_as = reading.estimate if scale == "difference" else np.exp(reading.estimate)
    return EValues((term,), ratios, shown_as, model.outcome_name, scale, asked.level, (note,) if note else ())


# ---- what there is -------------------------------------------------------------------------------------------------


def lacks_evalue(result: ResultCore) -> str:
    """Why effects have no E-values; empty where they have."""
    if reason := free_of_confounders(result):
        return reason
    if result.answer.measure.name == "nnt":
        return "a number needed to treat has none; ask for measure='difference' or measure='ratio'"
    if result.call.frame.spec.has("did"):
        return "what threatens a difference in differences are trends that are not parallel; fit.honest() asks of these"
    if result._compared != "mean":
        return f"it is of means, and these are effects on a {result._compared}"
    return ""


def lacks_evalue_model(model: ModelCore, term: str) -> str:
    """Why a coefficient has no E-value; empty where it has."""
    if term == "(Intercept)":
        return "the intercept is no effect"
    if model.regression.instrumented is not None:
        return "instruments are there for confounders of the regressors"
    family = model.regression.family
    return (
        "" if _scale(model) else f"coefficients of a {family.name} model with the link {family.link_name} are no ratios"
    )


def _scale(model: ModelCore) -> str:
    """What a coefficient is: a difference, or the logarithm of what; empty where it is something else."""
    family = model.regression.family
    if model.regression.linear:
        return "difference"
    if family.link_name == "log":
        return "ratio"
    return "odds_ratio" if family.link_name == "logit" else ""


# ---- conversions ---------------------------------------------------------------------------------------------------


def _asked(true: Any, rare: Any, sd: Any, level: Any) -> Asked:
    if true is not None and not is_number(true):
        raise OptionError(f"true={shown(true)}: what the confounder shall take the effect to, a number")
    if sd is not None and (not is_number(sd) or sd <= 0):
        raise OptionError(f"sd={shown(sd)}: a standard deviation, a number above 0")
    return Asked(true, flag("rare", rare), sd, check_level(level))


def _refuse(asked: Asked, sd: str = "", rare: str = "") -> None:
    if sd and asked.sd is not None:
        raise OptionError(f"sd= is of differences, and this fit has measure={sd!r}")
    if rare and asked.rare:
        raise OptionError(f"rare= is of odds ratios, and this fit has measure={rare!r}")


def _ratios(reading: Reading, logs: bool, asked: Asked, change: Callable[[float], float]) -> tuple[Ratio, ...]:
    """Ratios, or their logarithms, as risk ratios."""
    true = 1.0 if asked.true is None else asked.true
    if true <= 0:
        raise OptionError(f"true={shown(asked.true)}: a ratio is a number above 0")
    back: Callable[[Array], Array] = np.exp if logs else np.asarray
    columns = [back(values).tolist() for values in (reading.estimate, reading.low, reading.high)]
    return tuple(Ratio(*(change(x) for x in row), change(true)) for row in zip(*columns, strict=True))


def _of_odds(reading: Reading, logs: bool, asked: Asked) -> tuple[tuple[Ratio, ...], str]:
    return _ratios(reading, logs, asked, lambda x: odds_as_risk(x, asked.rare)), RARE if asked.rare else COMMON


def _in_deviations(reading: Reading, sd: float, what: str, asked: Asked) -> tuple[tuple[Ratio, ...], str]:
    """Differences as risk ratios, with the limits that their standard errors give."""
    to = 0.0 if asked.true is None else asked.true
    rows = zip(reading.estimate.tolist(), reading.std_error.tolist(), strict=True)
    found = tuple(difference_as_risk(d / sd, se / sd, to / sd, asked.level) for d, se in rows)
    return found, IN_SDS.format(per=PER_SD, sd=sd, what=what)


def _ratio_of_means(result: ResultCore, level: float) -> Reading | None:
    """The ratio of the potential outcomes' means, where the outcome is binary and the method has them."""
    outcomes, query = result.fit.outcomes, result.query
    if query is None or not isinstance(outcomes, PotentialMeans) or not _is_binary(result):
        return None
    options: Any = {"measure": "ratio"}
    try:
        answer = replace(outcomes, options=replace(outcomes.options, **options)).answer(query)
        covariance = replace(result.call, options=replace(result.call.options, **options)).covariance(
            answer, result.covariance.request, query
        )
    except CausalFormulaError:
        return None
    return read(answer.estimate.theta, covariance, answer.measure, level)


def _is_binary(result: ResultCore) -> bool:
    options, frame = result.call.options, result.call.frame
    if options.outcome_family.name in ("binomial", "quasibinomial"):
        return True
    return not isinstance(frame, WholeFrame) and bool(np.isin(frame.outcome_for(options.outcome_family), (0, 1)).all())


def _deviation(result: ResultCore, given: float | None) -> tuple[float, str]:
    """A standard deviation to count differences in, and what it is."""
    if given is not None:
        return float(given), "as given"
    estimate = result.answer.estimate
    found = regressors(estimate.evidence, estimate.theta)
    if found is not None:
        return float(np.sqrt(found.dispersion)), "that of the residuals"
    frame = result.call.frame
    if isinstance(frame, WholeFrame):
        raise OptionError("give sd=, the standard deviation of the outcome, whose rows are not in memory")
    y, w = frame.outcome_for(result.call.options.outcome_family), frame.unit_weights
    used = w > 0
    centre = np.average(y[used], weights=w[used])
    spread = np.average((y[used] - centre) ** 2, weights=w[used]) * used.sum() / max(int(used.sum()) - 1, 1)
    return float(np.sqrt(spread)), "that of the outcome"


def _model_deviation(model: ModelCore, given: float | None) -> tuple[float, str]:
    return (model.sigma, "that of the residuals") if given is None else (float(given), "as given")
