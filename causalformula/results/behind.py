"""The models behind a causal fit, as ``Model``s."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from causalformula.backends.fit import Fitted
from causalformula.errors import CausalFormulaWarning, FormulaError
from causalformula.formula.language.deparse import deparse, symbol
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.wrap import wrapped
from causalformula.frame.replay import Replay
from causalformula.inference.covariance import Covariance
from causalformula.inference.regression import FittedRegression
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import HC, LINEARISED, AbadieImbens, Given, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.structural import Instrumented
from causalformula.results.call import Call
from causalformula.results.designs.core import DesignCore
from causalformula.results.model import Model
from causalformula.results.models.core import model_covariance
from causalformula.results.models.formula import family_text, right_side

if TYPE_CHECKING:
    import pandas as pd


def model_of(behind: Fitted, call: Call, name: str, covariance: Covariance) -> Model:
    """One of the models behind a causal fit.

    The outcome model has the fit's covariance, where that is one of coefficients too; models of the treatment have
    their classical one, or the linearised one of a sample with sampling weights (``survey::svyglm``).

    Parameters
    ----------
    behind : Fitted
    call : Call
    name : str
        ``outcome``, ``propensity`` or ``first_stage``.
    covariance : Covariance
        That of the effects.
    """
    fitted, left = behind.model, _left(call, name)
    replay = _replay(behind, call, name)
    linear = name in ("outcome", "first_stage", "reduced_form")
    request = _request(call, covariance) if linear else HC(LINEARISED) if call.sampling else None
    with warnings.catch_warnings():
        # the fit has said what there is to say of its covariance, and the model's print has it as a note
        warnings.simplefilter("ignore", CausalFormulaWarning)
        own = model_covariance(fitted, call.frame, request, call.codes, rests=call.coefficient_rests)
    return Model(fitted, own, call.frame, replay, _text(behind, call, left, replay), fitted.notes, left)


def scores_of(made: DesignCore) -> pd.Series[Any] | pd.DataFrame | None:
    """Propensity scores by row label: of a treatment of two levels a column, of several one for each level.

    A distance that strata were made on may be no probability.
    """
    import pandas as pd

    treatment, found = made.call.frame.treatment, made.design_weights
    if found.probabilities is not None and treatment is not None:
        return pd.DataFrame(found.probabilities, index=made.call.frame.index, columns=list(treatment.levels))
    return None if found.strata or made.distance is None else made.distance.rename("propensity")


def _request(call: Call, covariance: Covariance) -> Request | None:
    """The covariance of the outcome model's coefficients; None for the classical.

    Replicates, matrices and variances of effects say nothing of coefficients. The outcome model of a weighted or
    stratified fit, and that of a sample with sampling weights, has the method's default then: the classical one would
    take the weights for precisions.
    """
    asked = covariance.request
    of_effects = isinstance(asked, Given) and len(asked.matrix) == len(covariance.matrix)
    if not (of_effects or isinstance(asked, (Bootstrap, Jackknife, Wild, AbadieImbens))):
        return replace(asked, unconditional=False)
    if not call.sampling and call.record.make_design is None:
        return None
    own = call.default_vcov()
    return read_request(call.record.default_vcov) if isinstance(own, AbadieImbens) else own


def _left(call: Call, name: str) -> str:
    frame = call.frame
    if name not in ("outcome", "reduced_form") and frame.treatment is not None:
        return frame.treatment.name
    return "" if frame.outcome is None else frame.outcome.name


def _text(behind: Fitted, call: Call, left: str, replay: Replay | None) -> str:
    """The model as R would be asked for it; ``weights`` are those of ``matched_data()``, as in MatchIt's guide."""
    fitted = behind.model
    columns = " + ".join(_written(name) for name in fitted.names if name != "(Intercept)")
    right = right_side(replay) if replay is not None else (columns or "1") + _beside(fitted)
    family = "" if fitted.linear else f", family = {family_text(fitted.family)}"
    weights = "" if not fitted.weighted else f", weights = {_weights(behind, call)}"
    if isinstance(fitted.instrumented, Instrumented):
        return wrapped(f"ivreg({left} ~ {right} | {_instruments(call, fitted.instrumented)}{weights})")
    return wrapped(f"{'lm' if fitted.linear else 'glm'}({left} ~ {right}{family}{weights})")


def _instruments(call: Call, used: Instrumented) -> str:
    """All instruments as ``ivreg`` takes them, and k where it is not that of two-stage least squares."""
    terms = [deparse(call.frame.bodies[role]) for role in ("iv", "adjust", "modify") if role in call.frame.bodies]
    return " + ".join(terms) + ("" if used.rule.k == 1 else f", k = {used.k:.7g}")


def _written(name: str) -> str:
    """A column's name as a formula has it: in backquotes where it is no expression."""
    try:
        parse_expression(name)
    except FormulaError:
        return f"`{name}`"
    return name


def _beside(fitted: FittedRegression) -> str:
    """The absorbed effects of a model that has no recipe."""
    return "" if fitted.absorbed is None else " | " + " + ".join(map(symbol, fitted.absorbed.names))


def _weights(behind: Fitted, call: Call) -> str:
    """What the rows are weighted by, in R's words."""
    sampling = call.spec.rhs("weights")
    balanced = behind.part is not None and behind.part.kind == "weighted"
    return "weights" if balanced or sampling is None else deparse(sampling)


def _replay(behind: Fitted, call: Call, name: str) -> Replay | None:
    """The recipe of the design that was fitted, where it is one of the frame's own."""
    frame = call.frame
    if behind.part is None:
        return None
    offsets = tuple(node for role in call.spec.of("offset") for node in role.body) if name == "outcome" else ()
    treatment = frame.treatment
    levels = {} if treatment is None or not treatment.levels else {treatment.name: treatment.levels}
    if frame.panel is not None:
        levels[frame.panel.time] = frame.panel.periods.levels
    return Replay(frame.design(behind.part).recipe, offsets, frame.memory, levels)
