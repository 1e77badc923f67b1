"""The models behind a causal fit, as ``Model``s."""

from __future__ import annotations

from causalformula.backends.fit import Fitted
from causalformula.formula.language.deparse import deparse
from causalformula.frame.replay import Replay
from causalformula.inference.requests import HC, LINEARISED, Request
from causalformula.results.call import Call
from causalformula.results.model import Model
from causalformula.results.models.core import model_covariance
from causalformula.results.models.formula import family_text, right_side


def model_of(behind: Fitted, call: Call, name: str) -> Model:
    """One of the models behind a causal fit, with its classical covariance.

    A weighted or stratified outcome model has the fit's default one: the classical would take the weights for
    precisions (``WeightIt::lm_weightit`` shows the same table). So does any model of a sample with sampling weights
    (``survey::svyglm``).

    Parameters
    ----------
    behind : Fitted
    call : Call
    name : str
        ``outcome``, ``propensity`` or ``first_stage``.
    """
    fitted, left = behind.model, _left(call, name)
    replay = _replay(behind, call, name)
    sampling = call.sampling
    request: Request | None = None
    if name == "outcome" and (sampling or call.record.make_design is not None):
        request = call.default_vcov()
    elif sampling:
        request = HC(LINEARISED)
    covariance = model_covariance(fitted, call.frame, request)
    return Model(fitted, covariance, call.frame, replay, _text(behind, call, left, replay), fitted.notes, left)


def _left(call: Call, name: str) -> str:
    frame = call.frame
    if name != "outcome" and frame.treatment is not None:
        return frame.treatment.name
    return "" if frame.outcome is None else frame.outcome.name


def _text(behind: Fitted, call: Call, left: str, replay: Replay | None) -> str:
    """The model as R would be asked for it; ``weights`` are those of ``matched_data()``, as in MatchIt's guide."""
    fitted = behind.model
    columns = " + ".join(name for name in fitted.names if name != "(Intercept)")
    right = right_side(replay) if replay is not None else columns or "1"
    family = "" if fitted.linear else f", family = {family_text(fitted.family)}"
    weights = "" if not fitted.weighted else f", weights = {_weights(behind, call)}"
    return f"{'lm' if fitted.linear else 'glm'}({left} ~ {right}{family}{weights})"


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
