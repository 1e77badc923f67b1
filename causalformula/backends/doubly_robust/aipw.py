"""Augmented inverse probability weighting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends.contrasts import Setting, column_at
from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.fit import Fit
from causalformula.backends.orthogonal.augmented import learned_means
from causalformula.backends.orthogonal.fitted import doubly_robust_fit, fitted_exactly, target_share, weights_of
from causalformula.backends.orthogonal.nuisances import CrossFitted, NuisanceOptions, Stacked, nuisances, resampled
from causalformula.backends.orthogonal.repeated import RepeatedOutcomes
from causalformula.backends.outcomes import PotentialMeans, averaged
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.standardize import mean_gradient, shifted_predictor
from causalformula.backends.target import target_arm
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import Estimate
from causalformula.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class AIPW(NuisanceOptions):
    """Options of ``method="aipw"``: two GLMs, or learners by name or scikit-learn objects, cross-fitted.

    Parameters
    ----------
    outcome_model, treatment_model, model, link, interact, folds, repeats, seed, bounds
        As in ``NuisanceOptions``.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """


def aipw_fit(frame: ModelFrame, options: AIPW) -> Fit:
    """Both nuisance functions, and the averages of the augmented scores."""
    found = nuisances(frame, options)
    outcomes = RepeatedOutcomes.of([potential(frame, options, part) for part in found.each])
    return doubly_robust_fit(
        frame, options, found, outcomes, f"augmented inverse probability weighting ({found.words})"
    )


def potential(frame: ModelFrame, options: AIPW, part: Stacked | CrossFitted) -> PotentialMeans:
    """What the augmented scores answer, over the target population and its groups."""
    if isinstance(part, CrossFitted):
        return PotentialMeans(frame, options, partial(learned_means, frame, options, part), frame.unit_weights)
    means = partial(_stacked_means, frame, options, part)
    return PotentialMeans(frame, options, means, frame.unit_weights, origin=part.outcome.origin)


def _stacked_means(
    frame: ModelFrame, options: AIPW, part: Stacked, wanted: Sequence[Setting], target: Array
) -> Estimate:
    """Means ``sum t (h m_a + 1[A = a] w (y - m_a)) / sum t h``, with the derivatives in both models' parameters."""
    share, (found, model) = target_share(frame, options), (part.propensity, part.outcome)
    assert found.stage is not None
    scores, gradients, own = augmented(frame, options, part, [s.key for s in wanted], target)
    total = target @ share
    names, moved = [setting.label for setting in wanted], gradients / total
    exactly = fitted_exactly(model, moved[:, found.stage.size :], own / total)
    return averaged(names, scores, target, (found.stage, model.stage()), moved, share, exactly)


def augmented(
    frame: ModelFrame, options: AIPW, part: Stacked, keys: Sequence[Any], target: Array
) -> tuple[Array, Array, Array]:
    """What the rows add to the averages of some arms, outcomes counted from the model's origin.

    Returns
    -------
    scores : ndarray (n, q)
    gradients : ndarray (q, P)
        Derivatives of ``target @ scores`` in both models' parameters.
    own : ndarray (n, q)
        Derivatives of ``target @ scores`` in the outcomes, beside those through the model.
    """
    codes, share, model = frame.the_treatment.codes, target_share(frame, options), part.outcome
    w, moves = weights_of(part, codes, str(options.estimand), target_arm(frame, options), target)
    scores, jac, own = [], [], []
    for key in keys:
        change = frame.counterfactual(part.part, key, column_at(frame.the_treatment, key))
        eta = shifted_predictor(model, change, model.origin)
        inside, m = (codes == key).astype(float), model.family.linkinv(eta)
        gap = model.y - model.origin - m
        scores.append(share * m + inside * w * gap)
        slopes = mean_gradient(model, change, target * (share - inside * w) * model.family.mu_eta(eta))
        jac.append(np.concatenate([moves.total(target * inside * gap), model.jacobian(slopes)]))
        own.append(target * inside * w)
    return np.column_stack(scores), np.array(jac), np.column_stack(own)


@Record(
    name="aipw",
    options=AIPW,
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE, ATT, ATC),
    roles=MODELLED,
    r="by hand: mean(m1 - m0 + A (Y - m1) / e - (1 - A) (Y - m0) / (1 - e))",
    summary="augmented inverse probability weighting, doubly robust, by GLMs or cross-fitted learners",
    title="Augmented inverse probability weighting",
    estimate=None,
    face="causalformula.results.families.learned:LearnedResult",
    resampled=resampled,
    exempt={"singleton_clusters": "no regression is the root, so there is no leverage to adjust by"},
)
def aipw(frame: ModelFrame, options: AIPW) -> Fit:
    """Average effect by augmented inverse probability weighting: right if either nuisance model is.

    ``mu_a = sum_i s_i [h_i m_a(x_i) + 1(A_i = a) w_i (y_i - m_a(x_i))] / sum_i s_i h_i`` with the weights ``w`` of the
    estimand (``1 / e_a``, for the ATT ``e_f / e_a``) and ``h`` the rows of its target. Two GLMs are stacked: the
    standard errors know their estimation (``vcov=cf.Asympt(weights="fixed")`` holds them fixed). Learners are
    cross-fitted, and the score's orthogonality lets them count as known.

    Parameters
    ----------
    frame : ModelFrame
    options : AIPW

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.
    IdentificationError
        If the covariates predict the treatment perfectly.

    References
    ----------
    Robins, Rotnitzky and Zhao (1994); Chernozhukov et al. (2018). R: by hand.
    """
    return aipw_fit(frame, options)
