"""Covariate balancing propensity scores by passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.estimands import ATO
from causalformula.backends.fit import DesignWeights, Fit
from causalformula.backends.propensity import model_propensity
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.arms import rises
from causalformula.backends.weighting.cbps import (
    CBPS,
    OF_LEVELS,
    WORDS,
    levels_weighting,
    overlap_weights,
    score_pieces,
    tilted_scores,
)
from causalformula.backends.weighting.weights import Weighting, refuse_empty_arm
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.treatment import Kind
from causalformula.inference.away import away
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.balancing import Tilt
from causalformula.numerics.covariate_balance import (
    LevelsSolution,
    level_equations,
    probabilities,
    solve,
    to_standard,
)
from causalformula.numerics.families import family as read_family
from causalformula.numerics.linalg import gram
from causalformula.numerics.multinomial import Likelihood, climb
from causalformula.scale.balancing import (
    Balancing,
    Pieces,
    Problem,
    balance,
    balancing_columns,
    kept_columns,
    unbalanced,
)
from causalformula.scale.blocks.regression import Rows
from causalformula.scale.equations import Model, generalised
from causalformula.scale.estimators.ebal import Sizes, on_rows, refuse_dose, tilted
from causalformula.scale.propensity import overlap_notes
from causalformula.scale.regression import Fitted
from causalformula.scale.sums import Spread, Sums
from causalformula.scale.weighting import WholeWeighting, weighted_fit
from causalformula.scale.whole import WholeFrame


def treated(frame: Any) -> Array:
    """Whether a row is in the second arm."""
    return np.asarray(frame.the_treatment.codes == 1, dtype=float)


@dataclass(frozen=True)
class ScorePieces:
    """What a row has in the conditions of two arms."""

    arm: int | None

    def __call__(self, frame: Any) -> Pieces:
        """Of a chunk."""
        return Pieces(*score_pieces(treated(frame), self.arm))


@dataclass(frozen=True, eq=False)
class _Information:
    problem: Problem
    tilt: Tilt

    def __call__(self, frame: Any) -> Sums:
        Z, _ = self.problem.balancing.of(frame)
        found, tilt = self.problem.pieces(frame), on_rows(self.tilt, Z)
        fall = rises(-found.down, Tilt(tilt.coef, tilt.kept, -tilt.eta, 0.0, 0))
        curvature = frame.unit_weights * (rises(found.up, tilt) + fall)
        return Sums({"information": gram(Z[:, tilt.kept], curvature)})


@dataclass(frozen=True, eq=False)
class TiltedScores:
    """The weighting of a chunk of two arms."""

    balancing: Balancing
    tilt: Tilt
    estimand: str
    arm: int | None
    information: Array

    def __call__(self, frame: Any) -> Weighting:
        """Of a chunk."""
        Z, names = self.balancing.of(frame)
        return tilted_scores(frame, Z, names, on_rows(self.tilt, Z), self.estimand, self.arm, self.information)


# -- the overlap population --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Treated:
    """Reads the treatment model on the columns to balance."""

    balancing: Balancing

    def __call__(self, frame: Any) -> Rows:
        return Rows(self.balancing.of(frame)[0], treated(frame), frame.weights)


@dataclass(frozen=True, eq=False)
class _Scores:
    fitted: Fitted
    read: _Treated

    def __call__(self, frame: Any) -> Any:
        return model_propensity(self.fitted.at(self.read(frame)), "logit")


@dataclass(frozen=True, eq=False)
class Overlapping:
    """The weighting of a chunk for the ATO."""

    scores: _Scores

    def __call__(self, frame: Any) -> Weighting:
        """Of a chunk."""
        return overlap_weights(frame, self.scores(frame))


# -- several levels ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Spread:
    balancing: Balancing

    def __call__(self, frame: Any) -> Spread:
        return Spread.of(self.balancing.of(frame)[0], frame.unit_weights)


@dataclass(frozen=True, eq=False)
class _Levels:
    """Sums of the conditions of several levels, and their derivatives."""

    balancing: Balancing
    kept: Codes
    T: Array
    theta: Array
    as_given: bool = False

    def __call__(self, frame: Any) -> Sums:
        Z = self.balancing.of(frame)[0][:, self.kept]
        treatment = frame.the_treatment
        F, J = level_equations(
            Z @ self.T,
            treatment.codes,
            len(treatment.levels),
            frame.unit_weights,
            self.theta,
            Z if self.as_given else None,
        )
        return Sums({"F": F, "J": J})


@dataclass(frozen=True, eq=False)
class _Likely:
    """The multinomial likelihood, for the start."""

    balancing: Balancing
    kept: Codes
    T: Array
    coef: Array

    def __call__(self, frame: Any) -> Likelihood:
        X = self.balancing.of(frame)[0][:, self.kept] @ self.T
        return Likelihood.of(X, self.coef, frame.the_treatment.codes, frame.unit_weights)


@dataclass(frozen=True, eq=False)
class Levels:
    """The weighting of a chunk of several levels."""

    balancing: Balancing
    kept: Codes
    coef: Array
    jacobian: Array

    def __call__(self, frame: Any) -> Weighting:
        """Of a chunk."""
        Z, names = self.balancing.of(frame)
        P = probabilities(Z[:, self.kept], self.coef)
        return levels_weighting(frame, Z, names, LevelsSolution(self.coef, self.kept, P, self.jacobian))


def levels(frame: WholeFrame, balancing: Balancing, kept: Codes) -> WholeWeighting:
    """One multinomial model whose inverse probabilities give all arms the same weighted sums."""
    passes, count = frame.passes, len(frame.the_treatment.levels)
    spread: Spread = passes.total(_Spread(balancing))
    total, T = float(spread.weight[0]), to_standard(spread.mean[kept], spread.deviation[kept])
    start, _ = climb(
        lambda at: passes.total(_Likely(balancing, kept, T, at)),
        np.zeros((count - 1, len(kept))),
        total,
    )

    def equations(theta: Array) -> tuple[Array, Array]:
        with np.errstate(invalid="ignore"):
            sums: Sums = passes.total(_Levels(balancing, kept, T, theta))
        return sums["F"], sums["J"]

    names = balancing.of(passes.plan.prototype)[1]

    def failed(theta: Array) -> object:
        gaps = np.abs(equations(theta)[0].reshape(count - 1, -1)).max(axis=0) / total
        return unbalanced([names[j] for j in kept], gaps, Problem(balancing, ScorePieces(None)))

    theta = solve(equations, start.ravel(), total, failed)
    jacobian = passes.total(_Levels(balancing, kept, T, theta, True))["J"]
    rows = away(passes.words)
    weigh = Levels(balancing, kept, theta.reshape(count - 1, -1) @ T.T, jacobian)
    return WholeWeighting(weigh, DesignWeights(rows, probabilities=rows), OF_LEVELS)


# -- the method --------------------------------------------------------------------------------------------------------


def cbps(frame: WholeFrame, options: CBPS) -> Fit:
    """Average effect by the covariate balancing propensity score; see ``backends.weighting.cbps``.

    Parameters
    ----------
    frame : WholeFrame
    options : CBPS

    Returns
    -------
    Fit

    Raises
    ------
    CapabilityError
        For doses, and for over-identified scores.
    """
    return weighted_fit(frame, weighting(frame, options), options)


def weighting(frame: WholeFrame, options: CBPS) -> WholeWeighting:
    """The design stage."""
    refuse_dose(frame)
    kind, passes = frame.the_treatment.kind, frame.passes
    if options.over and kind is not Kind.BINARY:
        raise OptionError("over=True is for two arms; over=False balances several levels and doses exactly")
    if options.over:
        raise CapabilityError(
            "over=True needs all rows in memory; over=False balances exactly, or fit to a sample of a million rows"
        )
    arm = target_arm(frame, options) if options.estimand != ATO else None
    if kind is Kind.MULTI and options.estimand == ATO:
        raise CapabilityError("cbps for the ATO needs two arms; with several levels use method='ipw', estimand='ATO'")
    if kind is Kind.MULTI and arm is not None:
        return tilted(frame, options, 0.0, words=OF_LEVELS)
    refuse_empty_arm(frame, passes.total(Sizes(arm))["arms"])
    balancing = balancing_columns(frame, options.moments, options.int)
    if options.estimand == ATO:
        return overlapping(frame, balancing)
    kept = kept_columns(passes, balancing)
    if kind is Kind.MULTI:
        return levels(frame, balancing, kept)
    problem = Problem(balancing, ScorePieces(arm))
    tilt = balance(passes, problem, kept)
    information = passes.total(_Information(problem, tilt))["information"]
    rows = away(passes.words)
    weigh = TiltedScores(balancing, tilt, str(options.estimand), arm, information)
    return WholeWeighting(weigh, DesignWeights(rows, rows), WORDS)


def overlapping(frame: WholeFrame, balancing: Balancing) -> WholeWeighting:
    """The ATO: the overlap weights of the maximum likelihood fit."""
    passes, read = frame.passes, _Treated(balancing)
    sample, names = balancing.of(passes.plan.prototype)
    model = Model(names, read, True, frame.weights is not None, False, None, sample, 0.0)
    fitted = generalised(passes, model, read_family("binomial"), to_zero=True)
    scores, rows = _Scores(fitted, read), away(passes.words)
    notes = overlap_notes(frame, scores, fitted.record.converged)
    return WholeWeighting(Overlapping(scores), DesignWeights(rows, rows), WORDS, notes)
