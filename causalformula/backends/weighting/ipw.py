"""Inverse probability weighting by a propensity model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from causalformula.backends.estimands import ATC, ATE, ATM, ATO, ATOS, ATT
from causalformula.backends.fit import Fitted, Query
from causalformula.backends.learning.table import refuse_unweighted
from causalformula.backends.propensity import (
    Propensity,
    binary_weights,
    estimand_weights,
    propensity_sensitivity,
    warm_scores,
)
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.separation import apart_on, weak_overlap
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.batch import weighted_batch
from causalformula.backends.weighting.dose import density_weights
from causalformula.backends.weighting.effect import weighted_fit
from causalformula.backends.weighting.options import IPW
from causalformula.backends.weighting.scores import found_scores, propensity_design
from causalformula.backends.weighting.weights import Weighting, discarded, finite, indicators, trimmed, with_shares
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array

# Estimands whose weights grow without end where a propensity is small.
DIVIDING = (ATE, ATT, ATC)


def ipw_weights(frame: ModelFrame, options: IPW) -> Weighting:
    """The design stage: weights, propensity scores, and the equations behind them."""
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        _refuse_for_dose(options)
        made = density_weights(frame, options.density, propensity_design(frame, options.by))
        return trimmed(made, frame, options, options.trim, options.trim_lower)
    if options.density != IPW.density:
        raise OptionError(f"density={options.density!r} is for a dose; {frame.the_treatment.name!r} has arms")
    hot = indicators(frame)
    arm = target_arm(frame, options)
    refuse_subset(frame, options)
    found, words = found_scores(frame, options)
    made = by_scores(frame, found, options, words)
    made = _noted(made, *found.notes, *_no_overlap(frame, found, options))
    if options.estimand == "ATOS":
        made = _noted(made, subset_words(int(((made.weights == 0) & (frame.unit_weights > 0)).sum())))
    if options.stabilize:
        made = with_shares(made, hot, np.ones(frame.n), frame.unit_weights)
    made = discarded(made, frame, options, options.discard)
    if options.estimand in DIVIDING:
        made = _noted(made, *weak_overlap(frame, found.P, arm, kept=made.weights > 0))
    return finite(trimmed(made, frame, options, options.trim, options.trim_lower), frame)


def refuse_subset(frame: ModelFrame, options: IPW) -> None:
    """A ``CapabilityError`` for the optimal subset of several levels."""
    if options.estimand == "ATOS" and frame.the_treatment.kind is not Kind.BINARY:
        raise CapabilityError("the ATOS is defined for a binary treatment; use the ATO or ATM for several levels")


def subset_words(count: int) -> str:
    """How many rows the optimal subset leaves out."""
    return f"{count} rows outside the optimal subset have weight 0"


def by_scores(frame: ModelFrame, found: Propensity, options: IPW, words: str, most: float | None = None) -> Weighting:
    """Weights by propensity scores, before any are shared, dropped or capped; ``most`` as in ``estimand_weights``."""
    codes, s, arm = frame.the_treatment.codes, frame.unit_weights, target_arm(frame, options)
    w, dlog = estimand_weights(found.P, codes, str(options.estimand), arm, s, most)
    binary = frame.the_treatment.kind is Kind.BINARY
    return Weighting(
        weights=w,
        distance=found.P[:, 1] if binary else None,
        stages=() if found.stage is None else (found.stage,),
        dw={} if found.stage is None else {"propensity": propensity_sensitivity(found, w, dlog)},
        models={} if found.model is None else {"propensity": Fitted(found.model, PROPENSITY)},
        caveats=found.caveats if options.ps is None else (),
        given=() if options.ps is None else found.caveats,
        words=words,
        probabilities=None if binary else found.P,
        learned={} if found.learned is None else {"treatment": found.learned},
        folds=found.folds,
    )


def _no_overlap(frame: ModelFrame, found: Propensity, options: IPW) -> tuple[str, ...]:
    """A note on scores, given or learned, that have no value in common between two arms; a fitted model has its own."""
    if frame.the_treatment.kind is not Kind.BINARY or (options.ps is None and options.learner is None):
        return ()
    return apart_on(frame, found.P[:, 1])


def _noted(made: Weighting, *notes: str) -> Weighting:
    return replace(made, notes=(*made.notes, *notes))


def _refuse_for_dose(options: IPW) -> None:
    given = [name for name in ("stabilize", "discard", "ps") if getattr(options, name)]
    if options.learner is not None:
        given.append("treatment_model" if options.model is None else "model")
    if options.link != "logit":
        given.append("link")
    if options.estimand != "ATE":
        raise CapabilityError(f"weights for a dose estimate the ATE; the {options.estimand} needs arms")
    if given:
        raise OptionError(
            f"{', '.join(given)}: for treatments with arms. Weights for a dose are the ratio of its marginal density "
            "to its conditional one, already stabilised, from a linear model; density= and trim= are their options"
        )


def _batch(frame: ModelFrame, options: IPW, query: Query, W: Array) -> Array | None:
    """Many reweighted fits: propensity models of two arms start from the sample's own solution."""
    plain = options.learner is None and options.ps is None and options.trim is None and options.discard is None
    if frame.the_treatment.kind is not Kind.BINARY or not plain or options.stabilize:
        return None
    codes, s, arm = frame.the_treatment.codes, frame.unit_weights, target_arm(frame, options)
    model = ipw_weights(frame, options).models["propensity"].model

    def weigh(W: Array) -> Array:
        P = warm_scores(frame, options.link, model.hat.X, model.inner, W)
        if options.estimand != "ATOS":
            return binary_weights(P, codes == 1, str(options.estimand), arm)
        out = np.full(P.shape, np.nan)
        for r in np.flatnonzero(~np.isnan(P[:, 0])):
            scores = np.column_stack([1 - P[r], P[r]])
            out[r] = estimand_weights(scores, codes, "ATOS", None, s * W[r])[0]
        return out

    return weighted_batch(frame, options, query, W, weigh)


def _resampled(options: IPW) -> None:
    """A learner that takes no weights sees no replicate."""
    if options.learner is not None:
        refuse_unweighted(options.learner)


@Record(
    name="ipw",
    options=IPW,
    aliases=("weighting",),
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC, ATO, ATM, ATOS),
    default_vcov="asympt",
    roles=MODELLED,
    r="WeightIt::weightit(method = 'glm') |> lm_weightit()",
    summary="inverse probability weighting by a propensity model",
    title="Inverse probability weighting",
    face="causalformula.results.families.learned:LearnedResult",
    batch=_batch,
    resampled=_resampled,
    estimate=weighted_fit,
    rebalance="More terms in the treatment model (poly(), ns(), products) may help, or method='ebal', which balances "
    "exactly, estimand='ATO' where the arms hardly overlap, or outcome({x}), which adjusts for what is left",
)
def ipw(frame: ModelFrame, options: IPW) -> Weighting:
    """Average effect by inverse probability weighting.

    The weights ``h(P) / P_own`` make every arm resemble the target population that the tilting function h stands for;
    the weighted outcome regression then compares the arms. Identified when, given the covariates, treatment is
    independent of the potential outcomes, every unit could have had each level, and the propensity model is right.

    Parameters
    ----------
    frame : ModelFrame
    options : IPW

    Returns
    -------
    Weighting

    Raises
    ------
    IdentificationError
        If the covariates predict the treatment perfectly.

    References
    ----------
    Robins, Hernan and Brumback (2000); Li, Morgan and Zaslavsky (2018). R: ``WeightIt::weightit(method = "glm")`` 1.4.
    """
    return ipw_weights(frame, options)
