"""Inverse probability tilting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.arms import balanced_arms
from causalformula.backends.weighting.batch import weighted_batch
from causalformula.backends.weighting.effect import weighted_fit
from causalformula.backends.weighting.moments import BalancingOptions, balancing_columns
from causalformula.backends.weighting.weights import Weighting, indicators
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind, Treatment


@dataclass(frozen=True, kw_only=True)
class IPT(BalancingOptions):
    """Options of ``method="ipt"``.

    Parameters
    ----------
    moments : int
        Balance powers of the covariates up to this one (1 to 3).
    int : bool
        Balance pairwise products too.
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """


def ipt_weights(frame: ModelFrame, options: IPT) -> Weighting:
    """Inverse probabilities of a logistic model an arm, fitted so that the arm's covariate means are the target's."""
    Z, names = balancing_columns(frame, options.moments, options.int)
    hot, s, treatment = indicators(frame), frame.unit_weights, frame.the_treatment
    arm = target_arm(frame, options)
    return scored(balanced_arms(Z, names, s, hot, arm, treatment, floor(arm)), treatment, arm)


def floor(arm: int | None) -> float:
    """What the weights' form adds to a positive number."""
    return 1.0 if arm is None else 0.0


def scored(made: Weighting, treatment: Treatment, arm: int | None) -> Weighting:
    """The weighting with the probabilities of two arms that its weights are of."""
    p = None
    if treatment.kind is Kind.BINARY:
        if arm is None:
            p = np.where(treatment.codes == 1, 1 / made.weights, 1 - 1 / made.weights)
        else:
            # The odds of the target arm are exp(z'lambda), in the target arm too.
            (stage,) = made.stages
            eta = made.dw[stage.name].X @ stage.theta
            p = 1 / (1 + np.exp(-eta if arm == 1 else eta))
    return replace(made, distance=p, words="inverse probability tilting")


@Record(
    name="ipt",
    options=IPT,
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE, ATT, ATC),
    default_vcov="asympt",
    roles=MODELLED,
    r="WeightIt::weightit(method = 'ipt') |> lm_weightit()",
    summary="inverse probability tilting: a propensity model an arm, balanced exactly",
    title="Inverse probability tilting",
    batch_after=weighted_batch,
    estimate=weighted_fit,
)
def ipt(frame: ModelFrame, options: IPT) -> Weighting:
    """Average effect by inverse probability tilting.

    A logistic model of belonging to each arm, with coefficients such that the arm weighted by its inverse probability
    has the target's covariate means exactly: ``sum_i s_i (1[A_i = a] / p_a(x_i) - 1) z_i = 0``.

    Parameters
    ----------
    frame : ModelFrame
    options : IPT

    Returns
    -------
    Weighting

    Raises
    ------
    ConvergenceError
        If no weights balance the covariates, naming the worst.

    References
    ----------
    Graham, de Xavier Pinto and Egel (2012). R: ``WeightIt::weightit(method = "ipt")`` 1.4.
    """
    return ipt_weights(frame, options)
