"""From a recipe to a fit: learners of unit effects, the average by its score, and effects of rows held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends.fit import Fit
from causalformula.backends.learning.crossfit import Learned, Task, cross_fit
from causalformula.backends.learning.folds import Folds, make_folds
from causalformula.backends.meta.dose import DoseUnits, dose_fit, held_dose, refitted_dose
from causalformula.backends.meta.kinds import (
    MetaLearner,
    Seen,
    robust_scores,
)
from causalformula.backends.meta.options import (
    EffectOptions,
    MetaOptions,
    refuse_kinds,
)
from causalformula.backends.meta.surfaces import Surfaces
from causalformula.backends.meta.units import (
    WORDS,
    First,
    Predicted,
    Units,
    bounds_of,
    first_step,
    fitted_to_all,
    held_out,
    joined,
    last_tasks,
    over,
    seen_of,
)
from causalformula.backends.orthogonal.augmented import learned_means
from causalformula.backends.orthogonal.fitted import doubly_robust_fit
from causalformula.backends.orthogonal.learned_family import family_notes
from causalformula.backends.orthogonal.nuisances import (
    CrossFitOptions,
    CrossFitted,
    learned_outcome,
    of_learned,
    refuse_offset,
)
from causalformula.backends.orthogonal.repeated import RepeatedOutcomes
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.target import target_arm
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Codes

# Folds of a last step's first within the folds before.
INNER = 2


def meta_fit(frame: ModelFrame, options: MetaOptions, kind: MetaLearner) -> Fit:
    """The learners of unit effects, and the average effect by the doubly robust score."""
    refuse_offset(frame)
    refuse_kinds(frame, options)
    target_arm(frame, options)
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        return dose_fit(frame, options, kind)
    folds = make_folds(frame, options.folds, options.repeats, options.seed)
    surfaces, (y, _), bounds = Surfaces.of(frame), learned_outcome(frame, options), bounds_of(options)
    seen, tasks = seen_of(frame, y), kind.first(frame, options, surfaces)
    first = first_step(_everywhere(tasks, kind), folds, frame.weights, bounds)
    models = _whole(frame, options, kind, tasks, first, seen, surfaces)
    held = _held(frame, options, kind, first, seen, surfaces, folds)
    learned = {each.task.name: each for each in first.learned.values()}
    P = first.learned["treatment"].predictions
    found = of_learned(frame, options, np.moveaxis(held.means, 1, 2), P, learned, folds)
    found = replace(found, notes=(*found.notes, *family_notes(frame, options.outcome_family, options.outcome_learner)))
    parts = [part for part in found.each if isinstance(part, CrossFitted)]
    outcomes = RepeatedOutcomes.of([_potential(frame, options, part) for part in parts])
    scores = np.mean([robust_scores(seen, part.m, part.P) for part in parts], axis=0)
    units = Units(kind, models, seen.arms, bounds, folds, first.values, y, scores, None if kind.nested else held)
    words = f"{kind.name} ({found.words}), average by doubly robust scores"
    return replace(doubly_robust_fit(frame, options, found, outcomes, words), units=units)


def _potential(frame: ModelFrame, options: CrossFitOptions, part: CrossFitted) -> PotentialMeans:
    return PotentialMeans(frame, options, partial(learned_means, frame, options, part), frame.unit_weights)


def held_predictions(frame: ModelFrame, options: MetaOptions, units: Units | DoseUnits) -> Predicted:
    """Means and effects of rows that were not learned from (n, repeats, ...), made now where they are not there."""
    if units.held is not None:
        return units.held
    if isinstance(units, DoseUnits):
        return held_dose(frame, options, units)
    return held_out(frame, options, units)


def sequential_predictions(
    frame: ModelFrame, options: MetaOptions, units: Units | DoseUnits
) -> tuple[Predicted, Codes]:
    """Means and effects of each fold by learners of the folds before it, and the fold of each row; NaN in the first.

    What is judged of a fold is then independent of what its learners saw, given which what is judged of the folds
    before is known: sums over folds have the variance of independent ones, as those of ordinary cross-fitting, whose
    learners have seen each other's folds, have not (Wager 2024). Of the first repetition.
    """
    surfaces, codes = Surfaces.of(frame), units.folds.codes[:, 0]
    inner = replace(units, folds=make_folds(frame, INNER, 1, options.seed + 1)) if units.kind.nested else units
    parts: list[Predicted] = []
    for k in range(1, units.folds.size):
        before = units.folds.outside(0, k) & (codes < k)
        parts.append(refitted(frame.reweight(before.astype(float)), options, inner).predict(surfaces.take(codes == k)))
    whole = [np.full((frame.n, *array.shape[1:]), np.nan) for array in (parts[0].means, parts[0].effects)]
    for k, part in enumerate(parts, 1):
        whole[0][codes == k], whole[1][codes == k] = part.means, part.effects
    return Predicted(*whole), codes


def refitted(frame: ModelFrame, options: MetaOptions, units: Units | DoseUnits) -> Units | DoseUnits:
    """The learners of unit effects fitted to a reweighted frame, in the same folds."""
    if isinstance(units, DoseUnits):
        return refitted_dose(frame, options, units)
    kind, surfaces = units.kind, Surfaces.of(frame)
    seen, tasks = seen_of(frame, learned_outcome(frame, options)[0]), kind.first(frame, options, surfaces)
    first = first_step(tasks if kind.nested else {}, units.folds, frame.weights, units.bounds)
    return replace(units, models=_whole(frame, options, kind, tasks, first, seen, surfaces), first={}, held=None)


def _everywhere(tasks: Mapping[str, Task], kind: MetaLearner) -> dict[str, Task]:
    """Where a last step learns from the first's predictions of other folds, and is held out with them."""
    direct = kind.targets is not None and not kind.nested
    return {key: replace(task, everywhere=direct and key != "treatment") for key, task in tasks.items()}


def _whole(
    frame: ModelFrame,
    options: CrossFitOptions,
    kind: MetaLearner,
    tasks: Mapping[str, Task],
    first: First,
    seen: Seen,
    surfaces: Surfaces,
) -> dict[str, tuple[Task, Any]]:
    """Models of all rows; the last step's target is from them, or from cross-fitted predictions."""
    kept = {key: task for key, task in tasks.items() if kind.targets is not None or key != "treatment"}
    found = fitted_to_all(kept, frame, options.seed)
    models = {key: (tasks[key], each.models[0]) for key, each in found.items()}
    if kind.targets is None:
        return models
    assert isinstance(options, EffectOptions)
    values = {key: each.mean(axis=1) for key, each in first.values.items()}
    if not kind.nested:
        values = {key: _means(key, each) for key, each in found.items()}
    last = last_tasks(kind.targets(values, seen), options.effect_learner, surfaces, frame)
    fitted = fitted_to_all(last, frame, options.seed)
    return {**models, **{key: (last[key], each.models[0]) for key, each in fitted.items()}}


def _means(key: str, found: Learned) -> Array:
    return found.predictions[:, 0] if key == "treatment" else found.means[:, 0]


def _held(
    frame: ModelFrame,
    options: CrossFitOptions,
    kind: MetaLearner,
    first: First,
    seen: Seen,
    surfaces: Surfaces,
    folds: Folds,
) -> Predicted:
    """What the average's score starts from: means and effects of every row by models of the last step without its fold.

    Those of a DR-learner's score are of the first step alone.
    """
    if kind.targets is None:
        return Predicted(*kind.combine(first.values, seen.arms))
    if not kind.scored:
        m = np.stack([first.values[f"outcome {a}"] for a in range(seen.arms)], axis=-1)
        return Predicted(m, m[..., 1:] - m[..., :1])
    assert isinstance(options, EffectOptions)
    wide = {key: each.everywhere for key, each in first.learned.items() if each.everywhere is not None}
    if kind.nested:
        whole = joined([kind.targets(over(first.values, r), seen) for r in range(folds.repeats)], (folds.repeats,))
    else:
        places = [(r, k) for r in range(folds.repeats) for k in range(folds.size)]
        whole = joined([kind.targets(over(wide, *place), seen) for place in places], (folds.repeats, folds.size))
    last = last_tasks(whole, options.effect_learner, surfaces, frame)
    found = cross_fit(list(last.values()), folds, frame.weights, words=WORDS)
    effects = {key: each.means for key, each in zip(last, found, strict=True)}
    return Predicted(*kind.combine({**first.values, **effects}, seen.arms))
