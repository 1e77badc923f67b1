"""Entropy balancing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.options import column, is_number, shown
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.arms import balanced_arms, rises, tilt_stage
from causalformula.backends.weighting.batch import weighted_batch
from causalformula.backends.weighting.effect import weighted_fit
from causalformula.backends.weighting.moments import BalancingOptions, balancing_columns, with_every_level
from causalformula.backends.weighting.slack import slack_of_means, slack_of_products
from causalformula.backends.weighting.weights import Weighting, indicators, with_shares
from causalformula.errors import CapabilityError, DataError, OptionError, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.stage import Stage
from causalformula.numerics.approximate import balance_within
from causalformula.numerics.arrays import Array
from causalformula.numerics.balancing import Conditions, balance
from causalformula.numerics.reachable import REMEDY, Report

TOLERATE = "allow some imbalance with tols=, "


@dataclass(frozen=True, kw_only=True)
class Ebal(BalancingOptions):
    """Options of ``method="ebal"``.

    Parameters
    ----------
    moments : int
        Balance powers of the covariates up to this one (1 to 3).
    int : bool
        Balance pairwise products too.
    tols : float
        Above zero, balance is approximate, with less variable weights: standardised mean differences from the target
        (for a dose, correlations) up to this, for every column and every level of a factor. The standard deviation is
        that of the target arm, or pooled over the arms for the ATE; there each arm is within ``tols`` of the sample,
        and two arms within twice that of each other.
    base_weights : str, optional
        A column of weights that the balancing weights stay as near to, in relative entropy, as balance allows.
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    tols: float = 0.0
    base_weights: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (is_number(self.tols) and self.tols >= 0):
            text = "the largest standardised mean difference, a number not below zero"
            raise OptionError(f"tols={shown(self.tols)}: {text}")
        column("base_weights", self.base_weights)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the options name."""
        return () if self.base_weights is None else (self.base_weights,)


def ebal_weights(frame: ModelFrame, options: Ebal) -> Weighting:
    """The weights of least relative entropy that balance the covariates; each arm's sum to its own size."""
    Z, names = balancing_columns(frame, options.moments, options.int)
    base = None if options.base_weights is None else base_weights(frame, options.base_weights)
    if options.tols:
        Z, names = with_every_level(frame, Z, names)
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        if options.estimand != "ATE":
            raise CapabilityError(f"weights for a dose estimate the ATE; the {options.estimand} needs arms")
        made = dose_weights(frame, Z, names, base, options.tols)
        return replace(made, words=balancing_words(options.tols, f"correlations within {options.tols:g} of zero"))
    hot, s = indicators(frame), frame.unit_weights
    arm = target_arm(frame, options)
    slack = None
    if options.tols:
        slack = slack_of_means(Z, names, s, hot if arm is None else hot[:, [arm]], options.tols)
    made = balanced_arms(Z, names, s, hot, arm, frame.the_treatment, 0.0, base, slack, "" if options.tols else TOLERATE)
    target = np.ones(frame.n) if arm is None else hot[:, arm]
    words = balancing_words(options.tols, f"within {options.tols:g} standard deviations of the target")
    return replace(with_shares(made, hot, target, s), words=words)


def balancing_words(tols: float, within: str) -> str:
    """How the weights are made, for the print."""
    return f"entropy balancing, {within}" if tols else "entropy balancing"


def base_weights(frame: ModelFrame, name: str) -> Array:
    """A column of base weights.

    Raises
    ------
    DataError
        If some are negative or not finite.
    """
    base = frame.numbers(name)
    bad = ~((base >= 0) & np.isfinite(base))
    if bad.any():
        rows = some(frame.index[bad])
        raise DataError(f"base weights must be finite and not below zero; {name!r} is not in rows {rows}")
    return base


def dose_weights(
    frame: ModelFrame, X: Array, names: tuple[str, ...], base: Array | None = None, tols: float = 0.0
) -> Weighting:
    """For a dose: its correlations with the covariates are zero, its mean and theirs as in the sample.

    ``sum_i s_i w_i (1, x_i, a_i, a_i x_i) = sum_i s_i (1, x_i, a_i, mean(a) mean(x))``, with the means a stage of their
    own. With ``tols`` the correlations are within it.
    """
    s, a = frame.unit_weights, frame.the_treatment.values
    total = float(s.sum())
    C = np.column_stack([X[:, 1:], a])
    # Moving the origin to the sample's means keeps the products' columns well conditioned.
    C = C - (s @ C) / total
    p = X.shape[1] - 1
    Z = np.column_stack([np.ones(frame.n), C, C[:, :p] * C[:, p:]])
    dose = frame.the_treatment.name
    labels = (*names, dose, *(f"{dose} * {name}" for name in names[1:]))
    wanted = np.column_stack([np.ones(frame.n), C, np.zeros((frame.n, p))])
    b = -s @ wanted
    up = np.ones(frame.n) if base is None else base
    slack = slack_of_products(C, (*names[1:], dose), s, tols) if tols else None
    report = Report(remedy=REMEDY if tols else TOLERATE + REMEDY)
    conditions = Conditions(Z, s, up, np.zeros(frame.n), b, total, labels, report)
    found = None if slack is None else balance_within(conditions, slack.bound)
    tilt = balance(conditions) if found is None else found.tilt
    w = rises(up, tilt)
    means = Stage("means", (*names[1:], dose), np.zeros(p + 1), total * np.eye(p + 1), s[:, None] * C)
    stage, columns = tilt_stage("balance", tilt, Z, labels, -s * w, s * w)
    # At the sample's means the product of the two means does not move: its derivative is zero there.
    scores = s[:, None] * (wanted[:, tilt.kept] - w[:, None] * columns)
    stages: tuple[Stage, ...] = (means, replace(stage, scores=scores, hat=None))
    if found is not None and slack is not None:
        held = slack.bound[tilt.kept] * found.sign
        cross = {slack.stage.name: -total * found.sign[:, None] * slack.slope[tilt.kept]}
        stages = (means, slack.stage, replace(stages[1], scores=scores - np.outer(s, held), cross=cross))
    return Weighting(w, stages=stages, dw={"balance": Sensitivity(columns, w[:, None])})


@Record(
    name="ebal",
    options=Ebal,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC),
    default_vcov="asympt",
    roles=MODELLED,
    r="WeightIt::weightit(method = 'ebal') |> lm_weightit()",
    summary="entropy balancing: exact balance with the least variable weights",
    title="Entropy balancing",
    batch_after=weighted_batch,
    estimate=weighted_fit,
    rebalance="A smaller tols= balances better, tols=0 exactly; outcome({x}) adjusts for what is left",
)
def ebal(frame: ModelFrame, options: Ebal) -> Weighting:
    """Average effect by entropy balancing.

    Of all weights that give each arm the target population's covariate means, those of least entropy relative to one,
    ``w_i = exp(z_i'lambda_a)``; lambda solves a convex dual by Newton's method until the means agree to 1e-8 standard
    deviations. With ``tols`` the means agree within it, and the dual has a penalty on the size of lambda.

    Parameters
    ----------
    frame : ModelFrame
    options : Ebal

    Returns
    -------
    Weighting

    Raises
    ------
    ConvergenceError
        If no weights balance the covariates, naming those in the way and how near to balance any weights come.

    Notes
    -----
    The standard errors include the estimation of the target's means; WeightIt 1.4.0's hold them fixed.

    References
    ----------
    Hainmueller (2012). R: ``WeightIt::weightit(method = "ebal")`` 1.4.
    """
    return ebal_weights(frame, options)
