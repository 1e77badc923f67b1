"""Meta-learners: from the learners of any regression to the effect for every unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.fit import Fit
from causalformula.backends.learning.crossfit import Learned, Task, cross_fit
from causalformula.backends.learning.folds import Folds, make_folds
from causalformula.backends.meta.dose import DoseUnits, dose_fit, held_dose, refitted_dose
from causalformula.backends.meta.kinds import (
    DR_LEARNER,
    R_LEARNER,
    S_LEARNER,
    T_LEARNER,
    X_LEARNER,
    MetaLearner,
    Seen,
    robust_scores,
)
from causalformula.backends.meta.options import (
    DRLearner,
    EffectOptions,
    MetaOptions,
    RLearner,
    SLearner,
    TLearner,
    XLearner,
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
from causalformula.backends.registry import MODELLED, Record
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


_DRAWN = "the folds are drawn anew"
_HELD = "nuisances of other folds count as known, which the score's orthogonality allows"
EXEMPT = {
    "influence": _HELD,
    "integer_weights": f"a row and its copy may be in different folds; {_DRAWN}",
    "row_order": f"folds are dealt out by row; {_DRAWN}",
    "label_swap": f"folds are dealt out arm by arm; {_DRAWN}",
    "singleton_clusters": "no regression is the root, so there is no leverage to adjust by",
}
UNREAD = {"offset": "its learners have no place for one; subtract it from the outcome"}
ROLES = tuple(role for role in MODELLED if role not in UNREAD)
FACE = "causalformula.results.families.units:UnitResult"


@Record(
    name="s_learner",
    options=SLearner,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="causalToolbox::S_RF; Python: econml.metalearners.SLearner",
    summary="unit effects from one learner that has the treatment among its covariates",
    title="S-learner",
)
def s_learner(frame: ModelFrame, options: SLearner) -> Fit:
    """Effect for every unit from a single model of ``E[Y | A = a, X = x]``, ``tau(x) = m(1, x) - m(0, x)``.

    The treatment is a covariate among others, crossed with ``modify(...)``; a learner that penalises or splits may
    leave it out, and draws effects towards zero. Of a dose, the effect is the difference of predictions under the two
    settings of ``contrast=``, and its average counts the outcome as linear in the dose given the covariates.

    Parameters
    ----------
    frame : ModelFrame
    options : SLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.

    References
    ----------
    Hill (2011); Kuenzel, Sekhon, Bickel and Yu (2019).
    """
    return meta_fit(frame, options, S_LEARNER)


@Record(
    name="t_learner",
    options=TLearner,
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="causalToolbox::T_RF; Python: econml.metalearners.TLearner",
    summary="unit effects as the difference of a learner of each arm",
    title="T-learner",
)
def t_learner(frame: ModelFrame, options: TLearner) -> Fit:
    """Effect for every unit from a model of each arm: ``tau(x) = m_1(x) - m_0(x)``.

    Parameters
    ----------
    frame : ModelFrame
    options : TLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.

    References
    ----------
    Kuenzel, Sekhon, Bickel and Yu (2019).
    """
    return meta_fit(frame, options, T_LEARNER)


@Record(
    name="x_learner",
    options=XLearner,
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="causalToolbox::X_RF; Python: econml.metalearners.XLearner",
    summary="unit effects from those that the other arm's model imputes, weighted by the propensity score",
    title="X-learner",
)
def x_learner(frame: ModelFrame, options: XLearner) -> Fit:
    """Effect for every unit from imputed effects, ``tau(x) = e(x) tau_0(x) + (1 - e(x)) tau_1(x)``.

    ``tau_1`` is learned from ``Y - m_0(X)`` of the treated, ``tau_0`` from ``m_1(X) - Y`` of the controls: where one
    arm is small, its effects rest on the other's model. Several levels are each set against the first.

    Parameters
    ----------
    frame : ModelFrame
    options : XLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.

    References
    ----------
    Kuenzel, Sekhon, Bickel and Yu (2019).
    """
    return meta_fit(frame, options, X_LEARNER)


@Record(
    name="r_learner",
    options=RLearner,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="rlearner::rlasso, rboost; Python: econml.dml.NonParamDML",
    summary="unit effects from residuals of the outcome on residuals of the treatment",
    title="R-learner",
)
def r_learner(frame: ModelFrame, options: RLearner) -> Fit:
    """Effect for every unit from residuals: ``tau = argmin sum [Y - l(X) - (A - e(X)) tau(X)]^2``.

    ``l(x) = E[Y | X = x]`` and the propensity ``e`` are cross-fitted; the minimum is a regression of
    ``(Y - l) / (A - e)`` with the weights ``(A - e)^2``, which the effect's learner must take. Several levels are each
    set against the first, on the rows of the two. Of a dose ``e`` is its mean, ``tau`` the slope, and the average has
    the score ``tau + (D - e) / V[D | X] (Y - l - (D - e) tau)``.

    Parameters
    ----------
    frame : ModelFrame
    options : RLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.
    OptionError
        For an effect model that takes no weights.

    References
    ----------
    Nie and Wager (2021).
    """
    return meta_fit(frame, options, R_LEARNER)


@Record(
    name="dr_learner",
    options=DRLearner,
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="by hand: a regression of AIPW's scores; Python: econml.dr.DRLearner",
    summary="unit effects as the regression of doubly robust scores",
    title="DR-learner",
)
def dr_learner(frame: ModelFrame, options: DRLearner) -> Fit:
    """Effect for every unit by regression of its doubly robust score on the covariates.

    The score of level a is ``m_a(X) + 1(A = a) (Y - m_a(X)) / e_a(X)``, with cross-fitted outcome means and
    propensities; its difference from the first level's has the effect as its mean if either is right.

    Parameters
    ----------
    frame : ModelFrame
    options : DRLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.

    References
    ----------
    Kennedy (2023).
    """
    return meta_fit(frame, options, DR_LEARNER)
