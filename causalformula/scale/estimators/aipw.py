"""Augmented inverse probability weighting by two generalised linear models, by passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.distance import arm_sizes, thin_words
from causalformula.backends.doubly_robust.aipw import AIPW, augmented
from causalformula.backends.fit import DesignWeights, Fit, Query
from causalformula.backends.fit import Fitted as Behind
from causalformula.backends.orthogonal.fitted import moved_by_errors, scored_design, target_share
from causalformula.backends.orthogonal.nuisances import (
    Stacked,
    beyond,
    bound_words,
    clipped,
    floors,
    treatment_words,
)
from causalformula.backends.outcome_model import model_word
from causalformula.backends.separation import small_scores, weak_words
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.weights import Weighting
from causalformula.errors import CapabilityError
from causalformula.frame.parts import Part
from causalformula.frame.treatment import Kind
from causalformula.inference.away import away
from causalformula.inference.evidence import Accumulated, Exactly, Influence
from causalformula.inference.sandwich.variances import full_leverage
from causalformula.numerics.arrays import Array
from causalformula.scale.averages import Averaged, WholeAverages, no_means
from causalformula.scale.blocks.regression import Reader
from causalformula.scale.estimators.regression import fit_outcome, whole_model
from causalformula.scale.propensity import Scores, binary_scores, level_scores
from causalformula.scale.regression import Fitted
from causalformula.scale.sums import Sums
from causalformula.scale.weighting import without_rows
from causalformula.scale.whole import WholeFrame, WholeGroups


@dataclass(frozen=True, eq=False)
class Nuisances:
    """Both models on a chunk.

    Parameters
    ----------
    fitted : Fitted
    read : Reader
    part : Part
    scores : Scores
    options : AIPW
    """

    fitted: Fitted
    read: Reader
    part: Part
    scores: Scores
    options: AIPW

    def at(self, frame: Any) -> Stacked:
        """Of a chunk."""
        found = self.scores(frame)
        inside, free = clipped(found.P, self.options.bounds, self.options.each_arm)
        return Stacked(self.fitted.at(self.read(frame)), self.part, found, inside, free)


@dataclass(frozen=True, eq=False)
class Shown:
    """What tables of overlap and balance read of a chunk: its scores, and the weights of its residuals or ones."""

    nuisances: Nuisances
    corrected: bool = True

    def __call__(self, frame: Any) -> Weighting:
        """Of a chunk."""
        part = self.nuisances.at(frame)
        made = scored_design(frame, self.nuisances.options, part.propensity.P, part.P)
        weights = made.correction if self.corrected and made.correction is not None else made.weights
        return Weighting(weights, made.distance, probabilities=made.probabilities)


@dataclass(frozen=True, eq=False)
class Augmented:
    """Augmented scores of some arms, in all groups one after another, on a chunk."""

    nuisances: Nuisances
    keys: tuple[Any, ...]
    groups: WholeGroups | None = None

    def targets(self, frame: Any) -> list[Array]:
        """The weights of each group."""
        if self.groups is None:
            return [frame.unit_weights]
        codes = self.groups.of(frame)
        return [np.where(codes == k, frame.unit_weights, 0.0) for k in range(len(self.groups.levels))]

    def __call__(self, frame: Any) -> Sums:
        """Sums of scores (groups, arms) and their derivatives (groups, arms, P)."""
        part, options = self.nuisances.at(frame), self.nuisances.options
        share = target_share(frame, options)
        means, gradients, totals = [], [], []
        for target in self.targets(frame):
            scores, gradient, _ = augmented(frame, options, part, self.keys, target)
            means.append(target @ scores)
            gradients.append(gradient)
            totals.append(target @ share)
        return Sums({"total": np.array(totals), "means": np.array(means), "gradients": np.array(gradients)})


@dataclass(frozen=True, eq=False)
class Averages:
    """Averages of augmented scores on a chunk; see ``inference.evidence.Part``.

    Parameters
    ----------
    augmented : Augmented
    total, mean, jac : ndarray
        As in ``scale.averages.Averages``.
    exact : bool
        Whether the outcome model fits some of all rows exactly.
    """

    augmented: Augmented
    total: Array
    mean: Array
    jac: Array
    exact: bool = False

    def at(self, chunk: Any) -> Influence:
        """See ``inference.evidence.Part``."""
        nuisances = self.augmented.nuisances
        part, share = nuisances.at(chunk), target_share(chunk, nuisances.options)
        direct, own = [], []
        for g, target in enumerate(self.augmented.targets(chunk)):
            scores, _, errors = augmented(chunk, nuisances.options, part, self.augmented.keys, target)
            total = self.total[g] or 1.0
            own.append(errors / total)
            direct.append(chunk.n * target[:, None] * (scores - share[:, None] * self.mean[g]) / total)
        assert part.propensity.stage is not None
        before, exactly = part.propensity.stage, None
        if self.exact:
            moved = moved_by_errors(part.outcome, self.jac[:, before.size :], np.hstack(own))
            exactly = Exactly(full_leverage(part.outcome.hat), moved)
        stages = (before, part.outcome.stage())
        return Influence(stages, self.jac, chunk.n, np.hstack(direct), always=True, exactly=exactly)


@dataclass(frozen=True, eq=False)
class WholeAugmented(WholeAverages):
    """What augmented scores answer, where their rows are elsewhere; ``exact`` as in ``Averages``."""

    nuisances: Nuisances | None = None
    exact: bool = False

    def _passed(self, groups: WholeGroups | None, keys: tuple[Any, ...], slope: bool) -> tuple[Averaged, Accumulated]:
        assert self.nuisances is not None
        passes = self.passes if groups is None else self.passes.with_columns((groups.name,))
        task = Augmented(self.nuisances, keys, groups)
        sums: Sums = passes.total(task)
        total = np.where(sums["total"] > 0, sums["total"], 1.0)
        means, gradients = sums["means"] / total[:, None], sums["gradients"] / total[:, None, None]
        jac = gradients.reshape(-1, gradients.shape[-1])
        if "stages" not in self._known:
            rows = away(self.passes.words)
            found = self.nuisances.scores(self.passes.plan.prototype).stage
            assert found is not None
            self._known["stages"] = (without_rows(found, rows), self.nuisances.fitted.record.stage())
        # which rows these are is known where they are
        exactly = Exactly(np.empty(0, dtype=np.intp), np.empty((0, len(jac)))) if self.exact else None
        shape = Influence(self._known["stages"], jac, self.passes.plan.survey.kept, always=True, exactly=exactly)
        part = Averages(task, sums["total"], means, jac, self.exact)
        return part, Accumulated(passes, part, shape, np.eye(len(jac)), True)


@dataclass(frozen=True, eq=False)
class _Said:
    """What the print must know: propensities beyond bounds and small ones, who carries residuals, exact fits."""

    nuisances: Nuisances
    arm: int | None

    def __call__(self, frame: Any) -> Sums:
        part, options = self.nuisances.at(frame), self.nuisances.options
        P, used = part.propensity.P, frame.unit_weights > 0
        design = scored_design(frame, options, P, part.P)
        assert design.correction is not None
        finite = np.where(np.isfinite(design.correction), design.correction, 0.0)
        return Sums(
            {
                "beyond": np.array(beyond(P, used, options.bounds, options.each_arm)),
                "small": np.array(small_scores(P, self.arm, floors(P, options.bounds, options.each_arm), used)),
                "sizes": arm_sizes(frame, finite),
                "exact": len(full_leverage(part.outcome.hat)),
            }
        )


def aipw(frame: WholeFrame, options: AIPW) -> Fit:
    """Average effect by augmented inverse probability weighting; see ``backends.doubly_robust.aipw``.

    Parameters
    ----------
    frame : WholeFrame
    options : AIPW

    Returns
    -------
    Fit

    Raises
    ------
    CapabilityError
        For learners.
    """
    if options.learned:
        raise CapabilityError(
            "learners need all rows in memory; use two GLMs (outcome_model='glm', treatment_model='glm'), or fit to a "
            "sample of a million rows"
        )
    passes, part, family = frame.passes, Part("outcome", options.interact), options.outcome_family
    fitted, read = fit_outcome(frame, part, family)
    words, binary = treatment_words(frame, options), frame.the_treatment.kind is Kind.BINARY
    scores, models, notes = binary_scores(frame, options.link) if binary else level_scores(frame)
    nuisances, arm = Nuisances(fitted, read, part, scores, options), target_arm(frame, options)
    said: Sums = passes.total(_Said(nuisances, arm))
    model = whole_model(passes, fitted, read)
    exact = bool(said["exact"])
    potential = WholeAugmented(frame, options, no_means, origin=model.origin, nuisances=nuisances, exact=exact)
    rows, levels = away(passes.words), len(frame.the_treatment.levels)
    near, used = (int(count) for count in said["small"])
    bound = floors(np.empty((0, levels)), options.bounds, options.each_arm)
    told = (
        *model.notes,
        *dropped_terms(model),
        *notes,
        *bound_words(tuple(int(count) for count in said["beyond"]), options.bounds),  # type: ignore[arg-type]
        *weak_words(levels, arm, bound, near, used),
        *thin_words(frame, said["sizes"]),
    )
    design = replace(DesignWeights(rows), distance=rows if binary else None, probabilities=None if binary else rows)
    return Fit(
        answer=potential.answer(Query()),
        estimand=str(options.estimand),
        design=design,
        method="augmented inverse probability weighting "
        f"({model_word(family, model)} outcome model, {words} treatment model)",
        outcomes=potential,
        models={"outcome": Behind(model, part), **models},
        notes=told,
    )
