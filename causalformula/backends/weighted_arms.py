"""The arms of a weighted estimate as they stand for its target: what bounds under unmeasured confounding move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.backends.contrasts import column_at
from causalformula.backends.options import Options
from causalformula.backends.orthogonal.nuisances import CrossFitted, NuisanceOptions, Stacked, nuisances
from causalformula.backends.propensity import binary_weights, estimand_weights, warm_scores
from causalformula.backends.registry import record_of, run_design
from causalformula.backends.standardize import shifted_predictor
from causalformula.backends.target import target_arm, target_weights
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.sensitivity.marginal import Arm
from causalformula.numerics.arrays import Array, Bools


@dataclass(frozen=True, eq=False)
class WeightedArms:
    """Treated and control units.

    Parameters
    ----------
    treated, control : Arm
    rows : ndarray (n,) of bool
        Who is treated.
    """

    treated: Arm
    control: Arm
    rows: Bools


def weighted_arms(frame: ModelFrame, options: Options, weights: Array | None = None) -> WeightedArms:
    """The arms behind a difference of weighted means, or of doubly robust ones, of a binary treatment.

    Parameters
    ----------
    frame : ModelFrame
    options : Options
        Of a weighting method, or of ``"aipw"`` without repetitions.
    weights : ndarray (n,), optional
        Of the units, where they are known.
    """
    if isinstance(options, NuisanceOptions):
        return _augmented(frame, options)
    w = _weights(frame, options) if weights is None else weights
    one, zero = (_arm(frame, options, k, w, frame.y) for k in (1, 0))
    return WeightedArms(one, zero, frame.the_treatment.codes == 1)


def _weights(frame: ModelFrame, options: Options) -> Array:
    made = run_design(frame, options).design
    if getattr(options, "stabilize", False) and made.distance is not None:
        # shares of the arms cancel in a weighted mean, but an inverse probability is one again without them
        return np.asarray(1 / np.where(frame.the_treatment.codes == 1, made.distance, 1 - made.distance))
    return made.weights


def warm_weights(frame: ModelFrame, options: Options, W: Array) -> Array | None:
    """Weights under each row of frequencies (R, n), where they are by scores of a model that starts from the sample's.

    None where they are not; NaN where a row has none.
    """
    if record_of(options).name != "ipw":
        return None
    fitted = getattr(run_design(frame, options), "models", {}).get("propensity")
    if fitted is None:
        return None
    model, treated = fitted.model, frame.the_treatment.codes == 1
    P = warm_scores(frame, options.link, model.hat.X, model.inner, W)  # type: ignore[attr-defined]
    return binary_weights(P, treated, str(options.estimand), target_arm(frame, options))


def _arm(frame: ModelFrame, options: Options, k: int, w: Array, y: Array, m: Array | None = None) -> Arm:
    """The units of one level; ``m`` (n,) are the outcome model's means there, of which ``y`` are the residuals."""
    inside, target = frame.the_treatment.codes == k, target_arm(frame, options)
    s = frame.unit_weights[inside]
    base = 1.0 if target in (None, k) else 0.0
    odds = np.zeros(len(s)) if target == k else w[inside] - base
    if m is None:
        return Arm(y[inside], s, base, odds)
    share = target_weights(frame, options)
    corrected = float(s @ w[inside] / share.sum())
    return Arm(y[inside], s, base, odds, float(share @ m / share.sum()), corrected)


def _augmented(frame: ModelFrame, options: NuisanceOptions) -> WeightedArms:
    part = nuisances(frame, options).each[0]
    codes = frame.the_treatment.codes
    w, _ = estimand_weights(part.P, codes, str(options.estimand), target_arm(frame, options), frame.unit_weights)
    arms = []
    for k in (1, 0):
        m = _means(frame, part, k)
        arms.append(_arm(frame, options, k, w, frame.y - m, m))
    return WeightedArms(arms[0], arms[1], codes == 1)


def _means(frame: ModelFrame, part: Stacked | CrossFitted, k: int) -> Array:
    """Outcome means at a level (n,)."""
    if isinstance(part, CrossFitted):
        return part.m[:, k]
    model = part.outcome
    change = frame.counterfactual(part.part, k, column_at(frame.the_treatment, k))
    return np.asarray(model.origin + model.family.linkinv(shifted_predictor(model, change, model.origin)))
