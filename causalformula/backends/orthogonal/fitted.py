"""What doubly robust estimators share once both nuisance functions are there: target, weights, and the fit."""

from __future__ import annotations

import numpy as np

from causalformula.backends.distance import thin_arms
from causalformula.backends.fit import DesignWeights, Fit, Query
from causalformula.backends.options import Options
from causalformula.backends.orthogonal.nuisances import CrossFitOptions, Nuisances, Stacked
from causalformula.backends.orthogonal.repeated import RepeatedOutcomes
from causalformula.backends.propensity import estimand_weights, propensity_sensitivity
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.target import target_arm
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.evidence import Exactly
from causalformula.inference.regression import FittedRegression
from causalformula.inference.sandwich.variances import fitted_rows
from causalformula.numerics.arrays import Array, Codes


def doubly_robust_fit(
    frame: ModelFrame, options: CrossFitOptions, found: Nuisances, outcomes: RepeatedOutcomes, words: str
) -> Fit:
    """The fit of any estimator that starts from both nuisance functions."""
    design = scored_design(frame, options, found.scores, found.each[0].P)
    return Fit(
        answer=outcomes.answer(Query()),
        estimand=str(options.estimand),
        design=design,
        method=words,
        outcomes=outcomes,
        models=found.models,
        notes=(*found.notes, *thin(frame, design)),
        learned=found.learned,
        folds=found.folds,
    )


def scored_design(frame: ModelFrame, options: Options, scores: Array, P: Array) -> DesignWeights:
    """Propensities (n, K) before their bounds, and the weights that those within the bounds give to residuals."""
    w, _ = estimand_weights(
        P, frame.the_treatment.codes, str(options.estimand), target_arm(frame, options), frame.unit_weights
    )
    binary = frame.the_treatment.kind is Kind.BINARY
    return DesignWeights(
        np.ones(frame.n),
        distance=scores[:, 1] if binary else None,
        probabilities=None if binary else scores,
        correction=w,
    )


def thin(frame: ModelFrame, design: DesignWeights) -> tuple[str, ...]:
    """Notes on arms whose residuals few rows carry."""
    return () if design.correction is None else thin_arms(frame, design.correction)


def fitted_exactly(model: FittedRegression, jac: Array, direct: Array) -> Exactly | None:
    """Rows of leverage one in an outcome model, whose residuals are zero whatever their errors; None without any."""
    rows = fitted_rows(model.hat)
    return Exactly(rows, moved_by_errors(model, jac, direct)) if len(rows) else None


def moved_by_errors(model: FittedRegression, jac: Array, direct: Array) -> Array:
    """How averages move with the error of each row, in units of equal errors (n, q).

    Parameters
    ----------
    jac : ndarray (q, r)
        Derivatives of the averages in the model's parameters.
    direct : ndarray (n, q)
        Their derivatives in the outcomes of rows beside that.
    """
    hat = model.hat
    root = np.sqrt(hat.w)[:, None]
    moved = direct * model.family.mu_eta(model.eta)[:, None]
    beside = np.divide(moved, root, out=np.zeros_like(moved), where=root > 0)
    return np.asarray(root * (hat.X @ hat.bread @ jac.T) + beside)


def target_share(frame: ModelFrame, options: Options) -> Array:
    """Each row's part in the target population: all of it, or the units of one arm."""
    arm = target_arm(frame, options)
    return np.ones(frame.n) if arm is None else (frame.the_treatment.codes == arm).astype(float)


def weights_of(part: Stacked, codes: Codes, estimand: str, arm: int | None, target: Array) -> tuple[Array, Sensitivity]:
    """Weights (n,) of rows in the arms ``codes``, and how they move with the propensity model.

    A weight is the ratio of two propensities, or the inverse of one; each moves unless a bound holds it, whatever
    the row's other propensities do.
    """
    w, _ = estimand_weights(part.P, codes, estimand, arm, target)
    P, free = part.propensity.P, part.free
    rows, levels = np.arange(len(P)), np.arange(P.shape[1])
    dlog = np.where(free[rows, codes][:, None], P - (codes[:, None] == levels), 0.0)
    if arm is not None:
        dlog -= np.where(free[:, [arm]], P - (levels == arm), 0.0)
    return w, propensity_sensitivity(part.propensity, w, dlog[:, 1:])
