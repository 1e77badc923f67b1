"""Covariate balancing propensity scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalformula.backends.estimands import ATC, ATE, ATO, ATT
from causalformula.backends.options import flag
from causalformula.backends.propensity import (
    Propensity,
    Regressors,
    binary_propensity,
    estimand_weights,
    propensity_sensitivity,
)
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.arms import balanced_arms, tilt_stage
from causalformula.backends.weighting.batch import weighted_batch
from causalformula.backends.weighting.effect import weighted_fit
from causalformula.backends.weighting.moments import BalancingOptions, balancing_columns
from causalformula.backends.weighting.weights import Weighting, indicators, indicators_of
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array
from causalformula.numerics.balancing import Conditions, Tilt, balance
from causalformula.numerics.covariate_balance import LevelsSolution, balance_dose, balance_levels
from causalformula.numerics.moments import Moments, minimize_moments
from causalformula.numerics.reachable import Report

WORDS = "covariate balancing propensity score"
OF_LEVELS = f"{WORDS} (multinomial)"


@dataclass(frozen=True, kw_only=True)
class CBPS(BalancingOptions):
    """Options of ``method="cbps"``.

    Parameters
    ----------
    moments : int
        Balance powers of the covariates up to this one (1 to 3).
    int : bool
        Balance pairwise products too.
    over : bool
        Over-identified: the likelihood's score counts beside the balance conditions, which then hold only nearly.
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    over: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("over", self.over)
        if self.over and self.estimand == ATO:
            raise OptionError("over=True adds nothing for the ATO: its balance conditions are the likelihood's score")


def cbps_weights(frame: ModelFrame, options: CBPS) -> Weighting:
    """Weights of one propensity model whose coefficients balance the covariates exactly."""
    Z, names = balancing_columns(frame, options.moments, options.int)
    kind = frame.the_treatment.kind
    if options.over and kind is not Kind.BINARY:
        raise OptionError("over=True is for two arms; over=False balances several levels and doses exactly")
    if kind is Kind.CONTINUOUS:
        return balanced_dose(frame, Z, names, options)
    hot = indicators(frame)
    if kind is Kind.MULTI:
        return balanced_levels(frame, Z, names, hot, options)
    codes, s = frame.the_treatment.codes, frame.unit_weights
    arm = target_arm(frame, options)
    if options.estimand == ATO:
        return overlap_weights(frame, binary_propensity(frame, "logit", Regressors(Z, names, None)))
    if options.over:
        return over_identified(frame, Z, names, arm)
    tilt = solve_cbps(Z, names, s, (codes == 1).astype(float), arm)
    return tilted_scores(frame, Z, names, tilt, str(options.estimand), arm)


def overlap_weights(frame: ModelFrame, found: Propensity) -> Weighting:
    """The ATO's weights by the maximum likelihood fit, which balance exactly: its score is their balance."""
    w, dlog = estimand_weights(found.P, frame.the_treatment.codes, ATO, None, frame.unit_weights)
    assert found.stage is not None
    dw = {"propensity": propensity_sensitivity(found, w, dlog)}
    return Weighting(w, found.P[:, 1], (found.stage,), dw, notes=found.notes, words=WORDS)


def tilted_scores(
    frame: ModelFrame,
    Z: Array,
    names: tuple[str, ...],
    tilt: Tilt,
    estimand: str,
    arm: int | None,
    information: Array | None = None,
) -> Weighting:
    """The weights by the solution, and their equations; ``information`` where that is of more rows."""
    codes, s = frame.the_treatment.codes, frame.unit_weights
    multiplier, curvature = at_solution(tilt, s, (codes == 1).astype(float), arm)
    stage, columns = tilt_stage("propensity", tilt, Z, names, multiplier, curvature, information)
    p = 1 / (1 + np.exp(-tilt.eta))
    # 1 / p and the odds are taken from eta, exact where p itself rounds to 0 or 1
    P = np.column_stack([1 / (1 + np.exp(tilt.eta)), p])
    w, dlog = estimand_weights(P, codes, estimand, arm, s)
    dw = {"propensity": Sensitivity(columns, w[:, None] * dlog)}
    return Weighting(w, p, (stage,), dw, words=WORDS)


def score_pieces(treated: Array, arm: int | None) -> tuple[Array, Array, Array, Array]:
    """What multiplies ``e^eta`` and ``e^-eta`` in the conditions, what stands beside, and who the target is, by row.

    Minus the difference of the weighted arms is the gradient of a convex function of the coefficients.
    """
    control, zero = 1 - treated, np.zeros(len(treated))
    if arm is None:
        return control, -treated, control - treated, np.ones(len(treated))
    return (control, zero, -treated, treated) if arm == 1 else (zero, -treated, control, control)


def solve_cbps(Z: Array, names: tuple[str, ...], s: Array, treated: Array, arm: int | None) -> Tilt:
    """Solve ``sum_i s_i (A_i w_i - (1 - A_i) w_i) z_i = 0``."""
    up, down, constant, target = score_pieces(treated, arm)
    report = Report(np.column_stack([1 - treated, treated])[:, slice(None) if arm is None else [arm]])
    return balance(Conditions(Z, s, up, down, Z.T @ (s * constant), float(s @ target), names, report))


def at_solution(tilt: Tilt, s: Array, treated: Array, arm: int | None) -> tuple[Array, Array]:
    """Multipliers of the scores, and curvatures, by row."""
    up, down, constant, _ = score_pieces(treated, arm)
    rise, fall = np.where(up, up * np.exp(tilt.eta), 0.0), np.where(down, down * np.exp(-tilt.eta), 0.0)
    return -s * (rise + fall + constant), s * (rise - fall)


def over_identified(frame: ModelFrame, Z: Array, names: tuple[str, ...], arm: int | None) -> Weighting:
    """Two-step generalised method of moments on the score and the balance conditions together (Imai and Ratkovic 2014).

    The moments ``s (A - p) z`` and ``s (A w - (1 - A) w) z`` are weighed by the inverse of their model variance at the
    just-identified solution, whose equations are a stage of their own.
    """
    s, codes = frame.unit_weights, frame.the_treatment.codes
    treated = (codes == 1).astype(float)
    tilt = solve_cbps(Z, names, s, treated, arm)
    multiplier, curvature = at_solution(tilt, s, treated, arm)
    columns = Z[:, tilt.kept]
    spread = np.sqrt(s @ columns**2 / s.sum())
    first, _ = tilt_stage("exact balance", tilt, Z, names, multiplier, curvature)
    problem = Moments(columns / spread, treated, s, arm)
    found = minimize_moments(problem, tilt.coef * spread)
    theta = found.coef / spread
    p = 1 / (1 + np.exp(-columns @ theta))
    w, dlog = estimand_weights(np.column_stack([1 - p, p]), codes, ATE if arm is None else ATT, arm, s)
    labels = tuple(names[j] for j in tilt.kept)
    cross = {first.name: found.cross * spread}
    stage = Stage("propensity", labels, theta, found.information * spread, found.scores, cross)
    dw = {"propensity": Sensitivity(columns, w[:, None] * dlog)}
    return Weighting(w, p, (first, stage), dw, words="covariate balancing propensity score (over-identified)")


def balanced_levels(frame: ModelFrame, Z: Array, names: tuple[str, ...], hot: Array, options: CBPS) -> Weighting:
    """Several levels: a multinomial model whose inverse probabilities give all arms the same weighted sums.

    For the ATT the weights ``P_focal / P_own`` are log-linear and each arm's conditions stand alone, as in inverse
    probability tilting.
    """
    treatment, s = frame.the_treatment, frame.unit_weights
    if options.estimand == ATO:
        raise CapabilityError("cbps for the ATO needs two arms; with several levels use method='ipw', estimand='ATO'")
    arm = target_arm(frame, options)
    if arm is not None:
        return replace(balanced_arms(Z, names, s, hot, arm, treatment, 0.0), words=OF_LEVELS)
    found = balance_levels(Z, treatment.codes, len(treatment.levels), s, names)
    return levels_weighting(frame, Z, names, found)


def levels_weighting(frame: ModelFrame, Z: Array, names: tuple[str, ...], found: LevelsSolution) -> Weighting:
    """The weights of the ATE by the multinomial model, and their equations."""
    treatment, s, hot = frame.the_treatment, frame.unit_weights, indicators_of(frame)
    columns = Z[:, found.kept]
    w, dlog = estimand_weights(found.P, treatment.codes, "ATE", None, s)
    sides = (hot[:, 1:] - hot[:, :1]) * (s * w)[:, None]
    scores = np.hstack([columns * side[:, None] for side in sides.T])
    labels = tuple(f"{level}: {names[j]}" for level in treatment.levels[1:] for j in found.kept)
    stage = Stage("propensity", labels, found.coef.ravel(), -found.jacobian, scores)
    dw = {"propensity": Sensitivity(columns, w[:, None] * dlog)}
    return Weighting(w, stages=(stage,), dw=dw, words=OF_LEVELS, probabilities=found.P)


def balanced_dose(frame: ModelFrame, Z: Array, names: tuple[str, ...], options: CBPS) -> Weighting:
    """A dose: normal-density weights whose model leaves no weighted covariance of dose and covariates.

    ``sum s w (a - mean) z = 0``, z with an intercept (so that the dose keeps its mean), and ``sum s (r^2 - v) = 0``
    for the residuals' variance; ``w = f((a - mean) / sd) / f(r / sqrt v)`` as in ``ipw``.
    """
    if options.estimand != "ATE":
        raise CapabilityError(f"weights for a dose estimate the ATE; the {options.estimand} needs arms")
    s, a = frame.unit_weights, frame.the_treatment.values
    total = s.sum()
    mean = float(s @ a / total)
    d = a - mean
    spread = float(s @ d**2 / total)
    found = balance_dose(Z, a, s, names)
    columns, v = Z[:, found.kept], found.variance
    r = a - columns @ found.coef
    z0, z1 = d / np.sqrt(spread), r / np.sqrt(v)
    w = np.exp(z1**2 / 2 - z0**2 / 2)
    margin = Stage(
        "margin", ("mean", "variance"), np.array([mean, spread]), total * np.eye(2),
        s[:, None] * np.column_stack([d, d**2 - spread]),
    )  # fmt: skip
    up = np.column_stack([z0 / np.sqrt(spread), z0**2 / (2 * spread)])
    moved = columns.T @ ((s * w)[:, None] * (d[:, None] * up - np.array([1.0, 0.0])))
    scores = np.column_stack([columns * (s * w * d)[:, None], s * (r**2 - v)])
    labels = (*(names[j] for j in found.kept), "variance")
    cross = {"margin": np.vstack([moved, np.zeros(2)])}
    stage = Stage("propensity", labels, np.append(found.coef, v), -found.jacobian, scores, cross)
    # one block: the derivative in the variance is that in the linear predictor times z1 / (2 sqrt v)
    regressors = np.column_stack([columns, z1 / (2 * np.sqrt(v))])
    dw = {
        "margin": Sensitivity(np.ones((frame.n, 1)), w[:, None] * up),
        "propensity": Sensitivity(regressors, (-w * z1 / np.sqrt(v))[:, None]),
    }
    words = "covariate balancing generalised propensity score"
    return Weighting(w, stages=(margin, stage), dw=dw, words=words)


@Record(
    name="cbps",
    options=CBPS,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC, ATO),
    default_vcov="asympt",
    roles=MODELLED,
    r="WeightIt::weightit(method = 'cbps') |> lm_weightit()",
    summary="a propensity model fitted to balance the covariates",
    title="Covariate balancing propensity score",
    batch_after=weighted_batch,
    estimate=weighted_fit,
    rebalance="over=False balances exactly, and outcome({x}) adjusts for what is left",
)
def cbps(frame: ModelFrame, options: CBPS) -> Weighting:
    """Average effect by the (just-identified) covariate balancing propensity score.

    One logistic model, with coefficients that make the two weighted arms' covariate means equal:
    ``sum_i s_i (A_i w_i - (1 - A_i) w_i) z_i = 0`` with the estimand's weights. Several levels have a multinomial model
    that makes all arms' means equal; a dose a normal model whose density ratios leave it uncorrelated with the
    covariates.

    Parameters
    ----------
    frame : ModelFrame
    options : CBPS

    Returns
    -------
    Weighting

    Raises
    ------
    ConvergenceError
        If no coefficients balance the covariates, naming the worst.

    References
    ----------
    Imai and Ratkovic (2014); Fong, Hazlett and Imai (2018). R: ``WeightIt::weightit(method = "cbps")`` 1.4.
    """
    return cbps_weights(frame, options)
