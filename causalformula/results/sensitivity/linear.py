"""``sensitivity("linear")``: omitted confounders of a linear model, of effects and of coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.options import flag, is_number, shown
from causalformula.errors import OptionError
from causalformula.formula.language.wrap import wrapped
from causalformula.formula.matrix.recipe import Recipe
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.covariance import Covariance
from causalformula.inference.requests import Classical, Cluster
from causalformula.inference.sensitivity.linear import Hypothesis, LinearEffect, Regressors, bounds, regressors
from causalformula.numerics.arrays import HasArray
from causalformula.results.effects.core import ResultCore
from causalformula.results.models.core import ModelCore
from causalformula.results.models.formula import formula_lines
from causalformula.results.sensitivity.benchmarks import Benchmark, columns_of, label_of, multiples, read_benchmarks
from causalformula.results.sensitivity.linear_page import LinearSensitivity
from causalformula.scale.whole import WholeFrame

Names = str | Sequence[str] | Mapping[str, str | Sequence[str]]
ADJUSTED = ("adjusted_estimate", "adjusted_se", "adjusted_t", "adjusted_lower_CI", "adjusted_upper_CI")
# Of covariances, which shares of variances do not follow from.
ROBUST = (
    "shares of variances, and all numbers here, follow from the classical standard errors of the regression; those of "
    "the fit ({label}) play no part in them"
)
WEIGHTED = (
    "the regression is weighted: the shares are of weighted variances, and weights that were estimated are held as "
    "they are"
)
WITHOUT_REGRESSION = (
    "no linear regression gives this effect: the numbers are those of one with the fit's own t and degrees of freedom "
    "({label})"
)


@dataclass(frozen=True, eq=False)
class Behind:
    """What the analysis is of.

    Parameters
    ----------
    labels : tuple of str
    effects : tuple of LinearEffect
    found : Regressors or None
    recipe : Recipe or None
    outcome, formula : str
    notes : tuple of str
    """

    labels: tuple[str, ...]
    effects: tuple[LinearEffect, ...]
    found: Regressors | None
    recipe: Recipe | None
    outcome: str
    formula: str
    notes: tuple[str, ...]


def linear_of_result(
    result: ResultCore,
    *,
    benchmark: Names | None = None,
    kd: float | Sequence[float] | HasArray = 1.0,
    ky: float | Sequence[float] | HasArray | None = None,
    q: float = 1.0,
    alpha: float = 0.05,
    reduce: bool = True,
) -> LinearSensitivity:
    """How strong omitted confounders would have to be to change what a linear model says of an effect.

    A confounder that explains the share ``r2dz.x`` of what the covariates leave of the treatment, and ``r2yz.dx`` of
    what these and the treatment leave of the outcome, has the bias
    ``se sqrt(df) sqrt(r2yz.dx r2dz.x / (1 - r2dz.x))`` at most.

    Parameters
    ----------
    result : Result
        Whose effects are combinations of coefficients of a least-squares regression; or with t and degrees of freedom.
    benchmark : str, list of str or dict, optional
        Covariates that confounders are compared with: a column of the regression, or variables, whose columns are taken
        together: ``"age"``, ``"race"``, ``"age + educ"``; several in a list, and groups under names of their own in a
        dict.
    kd : float or sequence of float
        How many times as strong as the benchmark the confounder is for the treatment.
    ky : float or sequence of float, optional
        And for the outcome; as ``kd`` where not given.
    q : float
        The share of the estimate that is to be explained away.
    alpha : float
        Of the tests and limits.
    reduce : bool
        Whether the bias that is feared makes the estimate too large (in absolute value), or too small.

    Returns
    -------
    LinearSensitivity
        ``.tidy() .bounds .adjusted(r2dz_x, r2yz_dx) .plot() .summary()``.

    Raises
    ------
    OptionError
        For what is no benchmark, and multiples that no confounder has.

    Notes
    -----
    R: ``sensemakr`` 0.1.6, whose ``summary`` is that of the page.

    References
    ----------
    Cinelli and Hazlett (2020). Making sense of sensitivity. *Journal of the Royal Statistical Society B* 82, 39-67.
    """
    return _analysed(_behind_result(result), benchmark, kd, ky, _hypothesis(q, alpha, reduce))


def linear_of_model(
    model: ModelCore,
    term: str,
    *,
    benchmark: Names | None = None,
    kd: float | Sequence[float] | HasArray = 1.0,
    ky: float | Sequence[float] | HasArray | None = None,
    q: float = 1.0,
    alpha: float = 0.05,
    reduce: bool = True,
) -> LinearSensitivity:
    """The same for one coefficient of a model: ``sensemakr(lm(...), treatment = term)``.

    Parameters
    ----------
    model : Model
    term : str
        The coefficient.
    benchmark, kd, ky, q, alpha, reduce : optional
        As in ``linear_of_result``.

    Returns
    -------
    LinearSensitivity
    """
    return _analysed(_behind_model(model, term), benchmark, kd, ky, _hypothesis(q, alpha, reduce))


# ---- what there is -------------------------------------------------------------------------------------------------


def lacks_linear(result: ResultCore) -> str:
    """Why effects have no such analysis; empty where they have."""
    if reason := free_of_confounders(result):
        return reason
    if result.answer.measure.name != "difference":
        return f"it is of differences, and this fit has measure={result.answer.measure.name!r}"
    found = regressors(result.answer.estimate.evidence, result.answer.estimate.theta)
    if found is not None:
        return "" if found.df > 1 else "the regression has no residual degrees of freedom to spare"
    df = result.covariance.df
    if isinstance(result.covariance.request, Cluster) or not np.isfinite(df).all() or not (df > 1).all():
        return "no least-squares regression, nor a t and its degrees of freedom, gives these effects"
    return "" if (result.covariance.std_error > 0).all() else "the effects have no standard error"


def free_of_confounders(result: ResultCore) -> str:
    """Why unmeasured confounders of treatment and outcome are not what is to be asked of; empty where they are."""
    if result.query is None:
        return "it is of the effects of a fit, and these were derived from others; ask the fit that they came from"
    if result.query.kind != "effects":
        return "it is of effects, and these are means"
    if result.call.frame.spec.has("iv"):
        return "an instrument is there for unmeasured confounders of the treatment; what it needs is another question"
    if result.call.record.name == "front_door":
        return "the front door is open to unmeasured confounders of treatment and outcome; they bias nothing there"
    return ""


def lacks_linear_model(model: ModelCore, term: str) -> str:
    """Why a coefficient has no such analysis; empty where it has."""
    if not model.regression.linear:
        return "it is of linear models, and this is a generalised one"
    if model.regression.instrumented is not None:
        return "instruments have confounders of their own, of which partial R2 of the regressors say nothing"
    if term == "(Intercept)":
        return "the intercept is no effect"
    found = _of_coefficient(model, term)
    return "" if found is not None and found.df > 1 else "the regression leaves no residuals to speak of"


def _of_coefficient(model: ModelCore, term: str) -> Regressors | None:
    one = model.regression.estimate().select([model.regression.kept_names.index(term)])
    return regressors(one.evidence, one.theta)


def _behind_model(model: ModelCore, term: str) -> Behind:
    found = _of_coefficient(model, term)
    assert found is not None
    recipe = None if model.replay is None else model.replay.recipe
    notes = _notes(model.covariance, model.regression.unequal)
    return Behind((term,), (found.effect(0),), found, recipe, model.outcome_name, formula_lines(model), notes)


def _behind_result(result: ResultCore) -> Behind:
    estimate = result.answer.estimate
    found = regressors(estimate.evidence, estimate.theta)
    labels = tuple(str(label) for label in result.answer.labels)
    outcome, formula = result.endog_names, wrapped(result.call.text)
    if found is None:
        reading = result.read()
        rows = zip(reading.estimate.tolist(), reading.std_error.tolist(), reading.df.tolist(), strict=True)
        note = WITHOUT_REGRESSION.format(label=result.covariance.label)
        return Behind(labels, tuple(LinearEffect(*row) for row in rows), None, None, outcome, formula, (note,))
    effects = tuple(found.effect(k) for k in range(len(labels)))
    notes = _notes(result.covariance, _is_weighted(result))
    return Behind(labels, effects, found, _recipe(result), outcome, formula, notes)


def _recipe(result: ResultCore) -> Recipe | None:
    """What the columns of the outcome model were made by, where it is in memory."""
    behind, frame = result.fit.models.get("outcome"), result.call.frame
    if behind is None or behind.part is None or isinstance(frame, WholeFrame) or not isinstance(frame, ModelFrame):
        return None
    return frame.design(behind.part).recipe


def _is_weighted(result: ResultCore) -> bool:
    behind = result.fit.models.get("outcome")
    return behind is not None and behind.model.unequal


def _notes(covariance: Covariance, weighted: bool) -> tuple[str, ...]:
    robust = () if isinstance(covariance.request, Classical) else (ROBUST.format(label=covariance.label),)
    return (*robust, *((WEIGHTED,) if weighted else ()))


# ---- the analysis --------------------------------------------------------------------------------------------------


def _hypothesis(q: Any, alpha: Any, reduce: Any) -> Hypothesis:
    if not is_number(q) or q <= 0:
        raise OptionError(f"q={shown(q)}: the share of the estimate that is to be explained away, a number above 0")
    if not is_number(alpha) or not 0 < alpha < 1:
        raise OptionError(f"alpha={shown(alpha)}: the level of the test, between 0 and 1")
    return Hypothesis(float(q), float(alpha), flag("reduce", reduce))


def _analysed(behind: Behind, benchmark: Any, kd: Any, ky: Any, asked: Hypothesis) -> LinearSensitivity:
    import pandas as pd

    groups, (by_treatment, by_outcome) = read_benchmarks(benchmark), multiples(kd, ky)
    if not groups and (ky is not None or by_treatment != [1.0]):
        raise OptionError("kd= and ky= are multiples of benchmark=: name covariates that confounders are compared with")
    if groups and behind.found is None:
        raise OptionError("benchmark= needs the regression behind the effect, and there is none")
    rows, own, notes = [], [], list(behind.notes)
    for k, (label, one) in enumerate(zip(behind.labels, behind.effects, strict=True)):
        for group in groups:
            assert behind.found is not None
            shares = behind.found.shares(k, columns_of(group, behind.found, behind.recipe, k))
            own.append((group.label, label, *shares))
            for x, y, each in zip(
                by_treatment, by_outcome, bounds(shares, by_treatment, by_outcome, group.label), strict=True
            ):
                found = one.adjusted(each.r2dz_x, each.r2yz_dx, asked, one.df)
                name = label_of(group, x, y)
                rows.append((name, each.r2dz_x, each.r2yz_dx, label, *(float(v) for v in vars(found).values())))
                if each.capped:
                    notes.append(_capped(group, name))
    head = ["bound_label", "r2dz.x", "r2yz.dx", "treatment", *ADJUSTED]
    return LinearSensitivity(
        behind.labels, behind.effects, asked, pd.DataFrame(rows, columns=head),
        pd.DataFrame(own, columns=["benchmark", "treatment", "r2dxj.x", "r2yxj.dx"]), behind.outcome, behind.formula,
        tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def _capped(group: Benchmark, name: str) -> str:
    return (
        f"{name}: a confounder so many times as strong as {group.label} would explain more of the outcome than is "
        "left; r2yz.dx was set to 1"
    )
