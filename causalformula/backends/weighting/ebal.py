"""Entropy balancing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.fit import Fit, Query
from causalformula.backends.registry import backend
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.weighting.arms import balanced_arms, tilt_stage
from causalformula.backends.weighting.batch import weighted_batch
from causalformula.backends.weighting.moments import balancing_columns, check_moments
from causalformula.backends.weighting.outcome import weighted_fit
from causalformula.backends.weighting.stage import Weighting, WeightingOptions, indicators, target_arm, with_shares
from causalformula.errors import CapabilityError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.stage import Stage
from causalformula.numerics.balancing import balance

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Ebal(WeightingOptions):
    """Options of ``method="ebal"``.

    Parameters
    ----------
    moments : int
        Balance powers of the covariates up to this one (1 to 3).
    int : bool
        Balance pairwise products too.
    """

    moments: int = 1
    int: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_moments(self.moments, self.int)


def ebal_weights(frame: ModelFrame, options: Ebal) -> Weighting:
    """The weights of least relative entropy that balance the covariates exactly; each arm's sum to its own size."""
    Z, names = balancing_columns(frame, options.moments, options.int)
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        if options.estimand != "ATE":
            raise CapabilityError(f"weights for a dose estimate the ATE; the {options.estimand} needs arms")
        return dose_weights(frame, Z, names)
    hot, s = indicators(frame), frame.unit_weights
    arm = target_arm(frame, options)
    made = balanced_arms(Z, names, s, hot, arm, frame.the_treatment.levels, 0.0)
    target = np.ones(frame.n) if arm is None else hot[:, arm]
    return replace(with_shares(made, hot, target, s), words="entropy balancing")


def dose_weights(frame: ModelFrame, X: Array, names: tuple[str, ...]) -> Weighting:
    """For a dose: its correlations with the covariates are zero, its mean and theirs as in the sample.

    ``sum_i s_i w_i (1, x_i, a_i, a_i x_i) = sum_i s_i (1, x_i, a_i, mean(a) mean(x))``, with the means a stage of their
    own.
    """
    s, a = frame.unit_weights, frame.the_treatment.values
    total = s.sum()
    C = np.column_stack([X[:, 1:], a])
    # Moving the origin to the sample's means keeps the products' columns well conditioned.
    C = C - (s @ C) / total
    p = X.shape[1] - 1
    Z = np.column_stack([np.ones(frame.n), C, C[:, :p] * C[:, p:]])
    dose = frame.the_treatment.name
    labels = (*names, dose, *(f"{dose} * {name}" for name in names[1:]))
    b = -np.concatenate([[total], s @ C, np.zeros(p)])
    tilt = balance(Z, s, np.ones(frame.n), np.zeros(frame.n), b, float(total), labels)
    w = np.exp(tilt.eta)
    means = Stage("means", (*names[1:], dose), np.zeros(p + 1), total * np.eye(p + 1), s[:, None] * C)
    stage, columns = tilt_stage("balance", tilt, Z, labels, -s * w, s * w)
    wanted = np.column_stack([np.ones(frame.n), C, np.zeros((frame.n, p))])[:, tilt.kept]
    # At the sample's means the product of the two means does not move: its derivative is zero there.
    stage = replace(stage, scores=s[:, None] * (wanted - w[:, None] * columns), hat=None)
    dw = {"balance": Sensitivity(columns, w[:, None])}
    return Weighting(w, stages=(means, stage), dw=dw, words="entropy balancing")


def _batch(frame: ModelFrame, options: Ebal, query: Query, W: Array) -> Array | None:
    """Many reweighted fits: the design stage each time, the outcome models at once."""
    return weighted_batch(frame, options, query, W, lambda w: ebal_weights(frame.reweight(w), options).weights)


@backend(
    "ebal",
    options=Ebal,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=("ATE", "ATT", "ATC"),
    default_estimand="ATE",
    default_vcov="asympt",
    roles=("treat", "adjust", "outcome", "propensity", "modify", "cluster", "weights", "offset"),
    r="WeightIt::weightit(method = 'ebal') |> lm_weightit()",
    summary="entropy balancing: exact balance with the least variable weights",
    batch=_batch,
    design=ebal_weights,
    estimate=weighted_fit,
)
def ebal(frame: ModelFrame, options: Ebal) -> Fit:
    """Average effect by entropy balancing.

    Of all weights that give each arm the target population's covariate means, those of least entropy relative to one,
    ``w_i = exp(z_i'lambda_a)``; lambda solves a convex dual by Newton's method until the means agree to 1e-8 standard
    deviations.

    Parameters
    ----------
    frame : ModelFrame
    options : Ebal

    Returns
    -------
    Fit

    Raises
    ------
    ConvergenceError
        If no weights balance the covariates, naming the worst.

    Notes
    -----
    The standard errors include the estimation of the target's means; WeightIt 1.4.0's hold them fixed.

    References
    ----------
    Hainmueller (2012). R: ``WeightIt::weightit(method = "ebal")`` 1.4.
    """
    return weighted_fit(frame, ebal_weights(frame, options), options)
