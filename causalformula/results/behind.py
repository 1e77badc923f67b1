"""The models behind a causal fit, as ``Model``s."""

from __future__ import annotations

from causalformula.frame.parts import Part
from causalformula.frame.replay import Replay
from causalformula.inference.regression import FittedRegression
from causalformula.results.call import Call
from causalformula.results.model import Model
from causalformula.results.models.core import model_covariance
from causalformula.results.models.formula import family_text, right_side


def model_of(fitted: FittedRegression, call: Call, name: str) -> Model:
    """One of the models behind a causal fit, with its classical covariance.

    A weighted or stratified outcome model has the fit's default one: the classical would take the weights for
    precisions (``WeightIt::lm_weightit`` shows the same table).

    Parameters
    ----------
    fitted : FittedRegression
    call : Call
    name : str
        ``outcome``, ``propensity`` or ``first_stage``.
    """
    replay = _replay(fitted, call, name)
    text = _text(fitted, _left(call, name), replay)
    request = call.default_vcov() if name == "outcome" and call.record.make_design is not None else None
    return Model(fitted, model_covariance(fitted, call.frame, request), call.frame, replay, text, fitted.notes)


def _left(call: Call, name: str) -> str:
    frame = call.frame
    if name != "outcome" and frame.treatment is not None:
        return frame.treatment.name
    return "" if frame.outcome is None else frame.outcome.name


def _text(fitted: FittedRegression, left: str, replay: Replay | None) -> str:
    """The model as R would be asked for it."""
    columns = " + ".join(name for name in fitted.names if name != "(Intercept)")
    right = right_side(replay) if replay is not None else columns or "1"
    family = "" if fitted.linear else f", family = {family_text(fitted.family)}"
    return f"{'lm' if fitted.linear else 'glm'}({left} ~ {right}{family})"


def _replay(fitted: FittedRegression, call: Call, name: str) -> Replay | None:
    """The recipe of the design that was fitted, where it is one of the frame's own."""
    frame = call.frame
    if frame.treatment is None or name not in ("outcome", "propensity"):
        return None
    interact = bool(getattr(call.options, "interact", False))
    recipe = frame.design(Part("outcome", interact) if name == "outcome" else "propensity").recipe
    if recipe.names != fitted.names:
        return None
    offsets = tuple(node for role in call.spec.of("offset") for node in role.body) if name == "outcome" else ()
    return Replay(recipe, offsets, frame.memory)
