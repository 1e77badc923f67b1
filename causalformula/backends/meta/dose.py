"""Unit effects of a dose: an S-learner's differences of predictions, an R-learner's slope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends.contrasts import Contrast, Setting, contrasts, step_between
from causalformula.backends.fit import Fit, Query, unit_design
from causalformula.backends.learning.crossfit import Learned, Task, cross_fit, predicted
from causalformula.backends.learning.folds import Folds, make_folds
from causalformula.backends.learning.notes import learning_notes
from causalformula.backends.learning.table import Features, refuse_kind
from causalformula.backends.meta.kinds import NO_RESIDUAL, R_LEARNER, S_LEARNER, MetaLearner
from causalformula.backends.meta.options import EffectOptions, MetaOptions
from causalformula.backends.meta.surfaces import Surfaces
from causalformula.backends.meta.units import WORDS, Predicted, fitted_to_all
from causalformula.backends.orthogonal.learned_family import family_notes
from causalformula.backends.orthogonal.nuisances import learned_outcome
from causalformula.backends.orthogonal.repeated import RepeatedOutcomes
from causalformula.backends.orthogonal.scores import refuse_explained
from causalformula.backends.outcomes import PotentialMeans, averaged
from causalformula.errors import OptionError, counted
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.estimate import Estimate
from causalformula.numerics.arrays import Array

# A variance of the dose below this share of its mean is taken for that: what is divided by it would carry the average.
LEAST_VARIANCE = 0.05
NO_MEANS = "a dose has an effect here and no mean potential outcomes; method='regression' has both"


@dataclass(frozen=True, eq=False)
class DoseUnits:
    """Learners of the effect of a dose on units; fields as of ``Units``, with one effect and no levels.

    Parameters
    ----------
    kind, models, folds, y, scores, held
        As of ``Units``; scores are of the effect (n, 1).
    first : mapping of str to ndarray
        Cross-fitted ``outcome`` given the covariates, and ``treatment``, both (n, repeats).
    contrast : Contrast
        The two settings of the dose.
    step : float
        Between them.
    """

    kind: MetaLearner
    models: Mapping[str, tuple[Task, Any]]
    folds: Folds
    first: Mapping[str, Array]
    y: Array
    scores: Array
    contrast: Contrast
    step: float
    held: Predicted | None = None

    def predict(self, surfaces: Surfaces) -> Predicted:
        """Effects of rows with these covariates (n, 1)."""
        none = np.empty((len(surfaces.outcome.design), 0))
        task, model = self.models["outcome" if self.kind is S_LEARNER else "effect"]
        where = f"{task.learner.name} for the {task.name}"
        if self.kind is R_LEARNER:
            effect = predicted(model, task, task.learner.matrix(surfaces.effect), where)  # of a whole step, as v is
            return Predicted(none, effect[:, None])
        high, low = (
            task.means(predicted(model, task, task.learner.matrix(each), where))
            for each in dose_settings(surfaces, self.contrast)
        )
        return Predicted(none, (high - low)[:, None])


def dose_settings(surfaces: Surfaces, contrast: Contrast) -> tuple[Features, Features]:
    """The features of an S-learner with the dose of every row under both settings."""
    high, low = (_doses(surfaces, setting) for setting in (contrast.high, contrast.low))
    return with_dose(surfaces, high), with_dose(surfaces, low)


def with_dose(surfaces: Surfaces, dose: Array) -> Features:
    """The outcome's covariates beside a dose."""
    return surfaces.beside(dose[:, None], dose, False)


def _doses(surfaces: Surfaces, setting: Setting) -> Array:
    key, n = setting.key, len(surfaces.outcome.design)
    if isinstance(key, tuple) and key[0] == "dose":
        return np.full(n, float(key[1]))
    if surfaces.dose is None:
        raise OptionError(
            "an increment of the dose starts from the dose of each row: give new data the treatment's column"
        )
    return surfaces.dose + (0.0 if key == "observed" else float(key[1]))


def dose_fit(frame: ModelFrame, options: MetaOptions, kind: MetaLearner) -> Fit:
    """The learners of the effect of a dose, and the average by an orthogonal score.

    With ``v = (D - e(X)) / step`` the score is ``tau(X) + v / V(X) (Y - m(D, X))``, where ``V = E[v^2 | X]`` is learned
    too (``grf::average_treatment_effect`` of a dose; Hirshberg and Wager 2021): debiased where the outcome is linear in
    the dose given the covariates.
    """
    item = contrasts(frame.the_treatment, options.contrast, frame.sampled)[0]
    if options.measure != "difference":
        raise OptionError(f"measure={options.measure!r} is of means, and a dose has an effect here; use 'difference'")
    if item.slope and kind is S_LEARNER:
        raise OptionError(
            "contrast='slope' is a derivative, which learners need not have; give an increment, or r_learner"
        )
    step, dose = step_between(item), frame.the_treatment.values
    folds, surfaces = make_folds(frame, options.folds, options.repeats, options.seed), Surfaces.of(frame)
    y, _ = learned_outcome(frame, options)
    tasks = _tasks(frame, options, kind, surfaces, item)
    first = dict(zip(tasks, cross_fit(list(tasks.values()), folds, frame.weights), strict=True))
    v = (dose[:, None] - first["treatment"].means) / step
    refuse_explained(v, dose / step, frame.unit_weights, frame.the_treatment.name)
    effects, own, last = _effects(frame, options, kind, surfaces, folds, first, v, y)
    spread = replace(tasks["treatment"], name="variance of the treatment", y=v**2)
    variance = cross_fit([spread], folds, frame.weights)[0]
    floor = LEAST_VARIANCE * np.average(v**2, axis=0, weights=frame.unit_weights)
    few = int((variance.means[:, 0] < floor[0]).sum())
    scores = effects + v / np.maximum(variance.means, floor) * (y[:, None] - own)
    models = _whole(frame, options, tasks, last)
    values = {"outcome": own - v * effects, "treatment": first["treatment"].means}
    held = Predicted(np.empty((frame.n, folds.repeats, 0)), effects[..., None]) if kind is S_LEARNER else None
    units = DoseUnits(kind, models, folds, values, y, scores.mean(axis=1)[:, None], item, step, held)
    outcomes = RepeatedOutcomes.of([_potential(frame, options, item, scores[:, r]) for r in range(folds.repeats)])
    learned = {each.task.name: each for each in (*first.values(), variance)}
    unused = family_notes(frame, options.outcome_family, options.outcome_learner)
    names = " and ".join(dict.fromkeys(each.task.learner.name for each in first.values()))
    return Fit(
        answer=outcomes.answer(Query()),
        estimand=str(options.estimand),
        design=unit_design(frame.n),
        method=f"{kind.name} ({names}, cross-fitted in {folds.words}), average by orthogonal scores",
        outcomes=outcomes,
        notes=(*learning_notes(learned.values(), folds), *_told_of(few), *unused),
        learned=learned,
        folds=folds,
        units=units,
    )


def _told_of(few: int) -> tuple[str, ...]:
    """A note on rows whose dose is nearly explained, by whose variance the average divides."""
    if not few:
        return ()
    return (
        f"{counted(few, 'row')} where the learned variance of the dose given the covariates is below "
        f"{LEAST_VARIANCE:.0%} of its mean, which was taken instead",
    )


def _tasks(
    frame: ModelFrame, options: MetaOptions, kind: MetaLearner, surfaces: Surfaces, item: Contrast
) -> dict[str, Task]:
    (y, target), dose = learned_outcome(frame, options), frame.the_treatment.values
    refuse_kind(options.treatment_learner, "regression", "treatment_model")
    own, settings = surfaces.outcome, ()
    if kind is S_LEARNER:
        own, settings = with_dose(surfaces, dose), dose_settings(surfaces, item)  # type: ignore[assignment]
    outcome = Task("outcome", options.outcome_learner, target, own, y, option="outcome_model", settings=settings)
    treatment = Task(
        "treatment", options.treatment_learner, "regression", surfaces.treatment, dose, option="treatment_model"
    )
    return {"outcome": outcome, "treatment": treatment}


def _effects(
    frame: ModelFrame,
    options: MetaOptions,
    kind: MetaLearner,
    surfaces: Surfaces,
    folds: Folds,
    first: Mapping[str, Learned],
    v: Array,
    y: Array,
) -> tuple[Array, Array, Task | None]:
    """Effects (n, repeats) of other folds, what is predicted at the own dose, and the last step where there is one."""
    mean = first["outcome"].means
    if kind is S_LEARNER:
        at = first["outcome"].at
        return at[..., 0] - at[..., 1], mean, None
    last = last_task(options, surfaces, v, y[:, None] - mean)
    effects = cross_fit([last], folds, frame.weights, words=WORDS)[0].means
    return effects, mean + v * effects, last


def last_task(options: MetaOptions, surfaces: Surfaces, v: Array, gap: Array) -> Task:
    """Residuals of the outcome over those of the dose, which count by the square of the latter."""
    assert isinstance(options, EffectOptions)
    refuse_kind(options.effect_learner, "regression", "effect_model")
    some = np.abs(v) > NO_RESIDUAL
    y = np.where(some, gap, 0.0) / np.where(some, v, 1.0)
    precision = np.where(some, v * v, 0.0)
    return Task(
        "effect", options.effect_learner, "regression", surfaces.effect, y, option="effect_model", precision=precision
    )


def _whole(
    frame: ModelFrame, options: MetaOptions, tasks: Mapping[str, Task], last: Task | None
) -> dict[str, tuple[Task, Any]]:
    """The model that effects are read off, of all rows; that of a last step from residuals over the repetitions."""
    if last is None:
        kept = {"outcome": tasks["outcome"]}
    else:
        assert last.precision is not None
        v = np.sqrt(last.precision)
        kept = {
            "effect": replace(last, y=(last.y * v**2).mean(axis=1) / (v**2).mean(axis=1), precision=(v**2).mean(axis=1))
        }
    found = fitted_to_all(kept, frame, options.seed)
    return {key: (kept[key], each.models[0]) for key, each in found.items()}


def _potential(frame: ModelFrame, options: MetaOptions, item: Contrast, scores: Array) -> PotentialMeans:
    """The average of the score, as the mean under the higher setting counted from that under the lower."""
    means = partial(_means, scores, item.high.key)
    return PotentialMeans(frame, options, means, frame.unit_weights, no_means=NO_MEANS, slope=partial(_slope, scores))


def _means(scores: Array, high: Any, wanted: Sequence[Setting], target: Array) -> Estimate:
    columns = [scores if setting.key == high else np.zeros(len(scores)) for setting in wanted]
    none = np.zeros((len(wanted), 0))
    return averaged([setting.label for setting in wanted], np.column_stack(columns), target, (), none)


def _slope(scores: Array, item: Contrast, target: Array) -> Estimate:
    return averaged(["dY/dX"], scores[:, None], target, (), np.zeros((1, 0)))


def refitted_dose(frame: ModelFrame, options: MetaOptions, units: DoseUnits) -> DoseUnits:
    """The learners of unit effects fitted to a reweighted frame, in the same folds."""
    surfaces, (y, _) = Surfaces.of(frame), learned_outcome(frame, options)
    tasks = _tasks(frame, options, units.kind, surfaces, units.contrast)
    last = None
    if units.kind is R_LEARNER:
        outcome, treatment = cross_fit([tasks["outcome"], tasks["treatment"]], units.folds, frame.weights)
        v = (frame.the_treatment.values[:, None] - treatment.means) / units.step
        last = last_task(options, surfaces, v, y[:, None] - outcome.means)
    return replace(units, models=_whole(frame, options, tasks, last), held=None)


def held_dose(frame: ModelFrame, options: MetaOptions, units: DoseUnits) -> Predicted:
    """Effects of every row by learners no step of which saw its fold (n, repeats, 1)."""
    surfaces, folds = Surfaces.of(frame), units.folds
    tasks = _tasks(frame, options, units.kind, surfaces, units.contrast)
    shape = (frame.n, folds.repeats, folds.size)
    gaps, residuals = np.full(shape, np.nan), np.full(shape, np.nan)
    dose = frame.the_treatment.values
    for r in range(folds.repeats):
        for k in range(folds.size):
            left = folds.outside(r, k)
            others = replace(folds, codes=np.where(left, folds.codes[:, r], -1)[:, None])
            inner = [replace(task, rows=left) for task in tasks.values()]
            outcome, treatment = cross_fit(inner, others, frame.weights)
            gaps[:, r, k] = units.y - outcome.means[:, 0]
            residuals[:, r, k] = (dose - treatment.means[:, 0]) / units.step
    last = last_task(options, surfaces, residuals, gaps)
    found = cross_fit([last], folds, frame.weights, words=WORDS)[0].means
    return Predicted(np.empty((frame.n, folds.repeats, 0)), found[..., None])
