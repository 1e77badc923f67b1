"""The tipping point: one unmeasured confounder, by its imbalance between the arms and its tie to the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import flag, is_number
from causalformula.errors import OptionError
from causalformula.frame.treatment import Kind as Treated
from causalformula.inference.checks import shown
from causalformula.inference.honest.study import as_numbers
from causalformula.inference.sensitivity.evalue import odds_as_risk
from causalformula.inference.sensitivity.tipping import Imbalance
from causalformula.numerics.arrays import Array
from causalformula.results.effects.core import ResultCore
from causalformula.results.reading.reading import check_level
from causalformula.results.sensitivity.asked import not_the_effect, number
from causalformula.results.sensitivity.evalue_fit import COMMON
from causalformula.results.sensitivity.tipping_page import Observed, Tipping

if TYPE_CHECKING:
    from causalformula.numerics.arrays import HasArray

# Standard deviations between the arms, where nothing is given.
IMBALANCES = (0.1, 0.25, 0.5, 0.75, 1.0)
RATIOS = ("ratio", "log_ratio", "odds_ratio", "log_odds_ratio")


def tipping(
    result: ResultCore,
    *,
    imbalance: float | Sequence[float] | HasArray | None = None,
    prevalence: float | Sequence[float] | None = None,
    outcome: float | None = None,
    rare: bool = False,
    level: float = 0.95,
) -> Tipping:
    """What one unmeasured confounder would have to be like to tip an effect.

    Its difference between the arms, given the measured covariates, and its effect on the outcome make the bias. Of the
    two, what is not given is what takes the effect, and the nearer limit of its interval, to no effect.

    Parameters
    ----------
    result : Result
    imbalance : float or sequence of float, optional
        Of a continuous confounder with a standard deviation of 1: the difference of its means, treated less control, or
        between the doses that are compared.
        0.1, 0.25, 0.5, 0.75 and 1 where nothing is given.
    prevalence : pair of float, or float, optional
        Of a binary confounder: its share among the treated and among the controls. One number is that among the
        controls, and that among the treated is sought.
    outcome : float, optional
        Its effect on the outcome: for a difference the slope, in units of the outcome; for ratios the ratio of means
        for one unit of it. With both, the page says what the effect would be.
    rare : bool
        Of an odds ratio: whether the outcome is rare, so that it is near a ratio of risks.
    level : float
        Of the interval whose limit is tipped.

    Returns
    -------
    Tipping

    Raises
    ------
    OptionError
        For what is no difference, share or effect, and for two kinds of confounder at once.

    References
    ----------
    Lin, Psaty and Kronmal (1998); D'Agostino McGowan (2022). R: ``tipr``.
    """
    check_level(level)
    flag("rare", rare)
    if imbalance is not None and prevalence is not None:
        raise OptionError("imbalance= is of a continuous confounder and prevalence= of a binary one; give one of them")
    frame, measure = result.call.frame, result.answer.measure.name
    dose = frame.treatment is not None and frame.treatment.kind is Treated.CONTINUOUS
    if dose and prevalence is not None:
        raise OptionError("prevalence= is of two arms, and here doses are compared; imbalance= is of these too")
    ratio, slope = (
        measure in RATIOS,
        None if outcome is None else number("outcome", outcome, "an effect on the outcome"),
    )
    if ratio and slope is not None and slope <= 0:
        raise OptionError(f"outcome={shown(outcome)}: the effect is a ratio, and so is that of the confounder: above 0")
    at, control = _confounders(imbalance, prevalence, slope)
    odds = measure in ("odds_ratio", "log_odds_ratio") and not rare
    return Tipping(
        _observed(result, level, odds), ratio, at, control, slope, prevalence is not None, level, result.endog_names,
        dose, (COMMON,) if odds else (),
    )  # fmt: skip


def _observed(result: ResultCore, level: float, odds: bool) -> tuple[Observed, ...]:
    """Each effect, with the limit that is nearer to no effect; NaN where the interval holds it."""
    reading, measure = result.read(level), result.answer.measure

    def plain(values: Array) -> Array:
        natural = np.exp(values) if measure.name.startswith("log_") else values
        return np.array([odds_as_risk(value, rare=False) for value in natural]) if odds else natural

    null = 1.0 if measure.name in RATIOS else 0.0
    found = []
    columns = (plain(reading.estimate), plain(reading.low), plain(reading.high))
    for label, estimate, low, high in zip(result.answer.labels, *columns, strict=True):
        limit = low if low > null else high if high < null else np.nan
        found.append(Observed(label, float(estimate), float(limit), null))
    return tuple(found)


def _confounders(imbalance: Any, prevalence: Any, outcome: float | None) -> tuple[tuple[Imbalance, ...], float]:
    """Confounders whose tie to the outcome is sought, or known; none where their imbalance is. And the controls'."""
    if prevalence is not None:
        return _binary(prevalence, outcome)
    if imbalance is None:
        return tuple(Imbalance(d, 0.0, False) for d in IMBALANCES if outcome is None), 0.0
    found = as_numbers(imbalance)
    values = np.empty(0) if found is None or found.ndim > 1 else np.unique(found)
    if not len(values) or not np.isfinite(values).all() or not values.all():
        raise OptionError(
            f"imbalance={shown(imbalance)}: the difference of the confounder's means in standard deviations, a number "
            "other than 0, or several in a list"
        )
    return tuple(Imbalance(float(d), 0.0, False) for d in values), 0.0


def _binary(prevalence: Any, outcome: float | None) -> tuple[tuple[Imbalance, ...], float]:
    alone = is_number(prevalence)
    shares = [prevalence] if alone else list(prevalence) if isinstance(prevalence, (list, tuple, np.ndarray)) else []
    good = len(shares) == (1 if alone else 2) and all(is_number(p) and 0 <= p <= 1 for p in shares)
    if not good or (not alone and shares[0] == shares[1]):
        raise OptionError(
            f"prevalence={shown(prevalence)}: a pair of different shares from 0 to 1, as (0.4, 0.2), of the treated "
            "and of the controls who have the confounder, or that of the controls alone"
        )
    if alone and outcome is None:
        raise OptionError(f"prevalence={shown(prevalence)} is that of the controls: give outcome= too, or both arms'")
    if alone:
        return (), float(shares[0])
    return (Imbalance(float(shares[0]), float(shares[1]), True),), float(shares[1])


def lacks_tipping(result: ResultCore) -> str:
    """Why a fit has no tipping point; empty where it has."""
    if reason := not_the_effect(result):
        return reason
    if result.answer.measure.name == "nnt":
        return "it is not of the number needed to treat; use measure='difference'"
    return ""
