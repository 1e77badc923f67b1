"""Omitted confounders of double machine learning: bounds of its effects, and what observed covariates would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends import registry
from causalformula.backends.doubly_robust.dml import ScoredOutcomes
from causalformula.backends.estimands import title_of
from causalformula.backends.fit import Answer, Fit, Label
from causalformula.backends.options import is_number, shown
from causalformula.backends.orthogonal.scores import Score, root, scored, solved
from causalformula.errors import CapabilityError, DataError, OptionError
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.parse import parse_expression
from causalformula.frame.leave_out import COVARIATE_ROLES, without
from causalformula.inference.estimate import median_of, stack
from causalformula.numerics.arrays import Array
from causalformula.results.effects.core import ResultCore
from causalformula.results.reading.reading import check_level
from causalformula.results.sensitivity.omitted_page import Bound, Sensitivity, critical_value

if TYPE_CHECKING:
    import pandas as pd

NO_SIZE = (
    "the mean square of the outcome's residual, or that of the weights, is estimated as no more than zero, and bounds "
    "are made of both: propensities are too near 0 or 1 for it. A larger bounds=, or a subset where the arms overlap, "
    "may help"
)


def omitted_confounders(
    result: ResultCore,
    *,
    cf_y: float = 0.03,
    cf_d: float = 0.03,
    rho: float = 1.0,
    level: float = 0.95,
    null: float = 0.0,
    benchmark: str | Sequence[str] | None = None,
) -> Sensitivity:
    """What confounders that the formula does not have could make of the effect.

    Their bias is at most ``|rho| sqrt(cf_y cf_d / (1 - cf_d)) sqrt(sigma2 nu2)``, with ``sigma2`` the mean square
    of the outcome's residual and ``nu2`` that of the Riesz representer.

    Parameters
    ----------
    result : DMLResult
    cf_y : float
        The share of the outcome's residual variance that they explain.
    cf_d : float
        Their gain in the variance of the Riesz representer; in a partially linear model the share of the
        treatment's residual variance that they explain.
    rho : float
        Correlation of what they add to both; 1 is the worst.
    level : float
        Of one-sided limits of the bounds.
    null : float
        The hypothesis that the robustness values RV and RVa are of.
    benchmark : str or sequence of str, optional
        Covariates whose leaving out shows what shares are large: each entry a set, ``"x"`` or ``"x + z"``. The
        model is fitted again without them, on the same folds.

    Returns
    -------
    Sensitivity

    Raises
    ------
    CapabilityError
        For models without such bounds.
    OptionError
        For shares outside of [0, 1).

    References
    ----------
    Chernozhukov, Cinelli, Newey, Sharma and Syrgkanis (2022). Python: ``DoubleML``'s ``sensitivity_analysis``.
    """
    scores = scores_behind(result, "sensitivity()")
    _check_shares(cf_y, cf_d, rho, null)
    check_level(level)
    bounds = tuple(_bound(result, scores, k, level) for k in range(len(result.answer.labels)))
    sets = _sets(benchmark)
    found = _benchmarks(result, scores, sets)
    title = f"{title_of(result.fit.estimand)} of {result.call.frame.the_treatment.name} on {result.endog_names}"
    return Sensitivity(
        title, bounds, float(cf_y), float(cf_d), float(rho), level, float(null), found, result.covariance.label
    )


def _bound(result: ResultCore, scores: Sequence[Score], k: int, level: float) -> Bound:
    """An effect and the largest bias of it, with their covariance under the result's own request."""
    w, label = result.call.frame.unit_weights, result.answer.labels[k]
    parts = []
    for score in scores:
        assert score.moments is not None
        one = Score(score.a[:, [k]], score.b[:, [k]])
        bias = scored(["bias"], score.moments.bias[[k]], score.moments.psi_bias[:, [k]])
        parts.append(stack([solved(one, [str(label)], w), bias]))
    answer = Answer(median_of(parts), (label, Label("bias", "")))
    covariance = result.call.covariance(answer, result.covariance.request, None)
    values = np.array([part.theta for part in parts])
    return Bound(str(label), values, covariance.matrix, critical_value(level, covariance.df))


def _benchmarks(result: ResultCore, scores: Sequence[Score], sets: Sequence[str]) -> pd.DataFrame:
    """What leaving out sets of covariates gains in both shares."""
    import pandas as pd

    rows, w = [], result.call.frame.unit_weights
    for text in sets:
        short = _without(result, text).outcomes
        assert isinstance(short, ScoredOutcomes)
        if not bounded(short.scores):
            raise CapabilityError(f"benchmark={text!r}: without it, {NO_SIZE}")
        gains = np.array([_gains(long, other, w) for long, other in zip(scores, short.scores, strict=True)])
        for label, numbers in zip(result.answer.labels, np.median(gains, axis=0).T, strict=True):
            rows.append([text, str(label), *numbers])
    return pd.DataFrame(rows, columns=["left_out", "effect", "cf_y", "cf_d", "rho", "delta_theta"])


def _without(result: ResultCore, text: str) -> Fit:
    """The model fitted again without a set of covariates."""
    frame = without(result.call.frame, variables(parse_expression(text)))
    try:
        return registry.run(frame, result.call.options)
    except DataError as error:
        nothing = not any(role in frame.bodies for role in COVARIATE_ROLES)
        reason = "nothing is left to learn from; leave out fewer covariates" if nothing else str(error)
        raise DataError(f"benchmark={text!r}: {reason}") from None


def scores_behind(result: ResultCore, verb: str) -> tuple[Score, ...]:
    """The scores behind the effects."""
    found = result.fit.outcomes
    assert isinstance(found, ScoredOutcomes)
    if of_quantiles(result):
        raise CapabilityError(f"{verb} is of averages, and these are quantiles; leave out quantiles=")
    if not found.scores and result.answer.measure.name == "difference":
        raise CapabilityError(
            f"{verb} is of the scores of cross-fitted learners; model='plr' and model='irm' have them, with the "
            "learner 'rlasso' too"
        )
    if not found.scores:
        raise CapabilityError(f"{verb} is of a difference; this fit has measure={result.answer.measure.name!r}")
    if verb == "sensitivity()" and (result.query is None or result.query.split):
        raise CapabilityError("sensitivity() is of the effects over everyone; ask the fit that these came from")
    if verb == "sensitivity()" and found.scores[0].moments is None:
        raise CapabilityError("bounds for omitted confounders are those of model='plr' and model='irm'")
    if verb == "sensitivity()" and not bounded(found.scores):
        raise CapabilityError(NO_SIZE)
    return found.scores


def bounded(scores: Sequence[Score]) -> bool:
    """Whether both mean squares behind the bounds are estimated as above zero."""
    found = [score.moments for score in scores if score.moments is not None]
    return all(bool((each.sigma2 > 0).all() and (each.nu2 > 0).all()) for each in found)


def lacks_bounds(result: ResultCore) -> str:
    """Why a result has no such bounds; empty where it has."""
    if not isinstance(result.fit.outcomes, ScoredOutcomes):
        return "they are of method='dml'"
    try:
        scores_behind(result, "sensitivity()")
    except CapabilityError as error:
        return str(error)
    return ""


def of_quantiles(result: ResultCore) -> bool:
    """Whether quantiles of the potential outcomes are compared."""
    return getattr(result.call.options, "quantiles", None) is not None


def _sets(benchmark: Any) -> list[str]:
    """The sets of covariates that are left out in turn."""
    sets = [] if benchmark is None else [benchmark] if isinstance(benchmark, str) else benchmark
    if isinstance(sets, (list, tuple)) and all(isinstance(text, str) and text.strip() for text in sets):
        return list(sets)
    raise OptionError(f"benchmark={shown(benchmark)}: covariates by name, 'x', sets 'x + z', or a list of them")


def _check_shares(cf_y: Any, cf_d: Any, rho: Any, null: Any) -> None:
    for name, value in (("cf_y", cf_y), ("cf_d", cf_d)):
        if not is_number(value) or not 0 <= value < 1:
            raise OptionError(f"{name}={shown(value)}: a share from 0 to below 1")
    if not is_number(rho) or not -1 <= rho <= 1:
        raise OptionError(f"rho={shown(rho)}: a correlation from -1 to 1")
    if not is_number(null):
        raise OptionError(f"null={shown(null)}: the value of the effect that is the hypothesis, a number")


def _gains(long: Score, short: Score, w: Array) -> Array:
    """Shares that left-out covariates gain, the correlation that their bias shows, and the change (4, q)."""
    a, b = long.moments, short.moments
    assert a is not None and b is not None
    cf_y = np.clip(b.sigma2 / a.sigma2 - 1, 0, 1)
    cf_d = np.clip(a.nu2 / b.nu2 - 1, 0, 1)
    change = root(short, w) - root(long, w)
    gain, other = b.sigma2 - a.sigma2, a.nu2 - b.nu2
    both = (gain > 0) & (other > 0)
    size = np.sqrt(np.where(both, gain * other, 1.0))
    rho = np.where(both, np.clip(np.abs(change) / size, 0, 1), 1.0) * np.sign(change)
    return np.array([cf_y, cf_d, rho, change])
