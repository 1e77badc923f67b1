"""``Units``: the learners of unit effects, fitted to all rows; and the same effects for rows that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.learning.crossfit import Learned, Task, cross_fit, predicted
from causalformula.backends.learning.folds import Folds
from causalformula.backends.learning.table import Features, Learner, refuse_kind
from causalformula.backends.meta.kinds import MetaLearner, Seen, Target
from causalformula.backends.meta.surfaces import Surfaces
from causalformula.backends.orthogonal.nuisances import LEARNED_BOUNDS, CrossFitOptions, within
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array, Bools

WORDS = "Learning unit effects"


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of units: outcome means under each arm (n, K), and effects against the first (n, K - 1)."""

    means: Array
    effects: Array


@dataclass(frozen=True, eq=False)
class Units:
    """Learners of unit effects.

    Parameters
    ----------
    kind : MetaLearner
    models : mapping of str to pair of Task and estimator
        Fitted to all rows, by key.
    arms : int
    bounds : pair of float
        Of the propensities.
    folds : Folds
    first : mapping of str to ndarray
        Cross-fitted predictions of the first step, by key.
    y : ndarray (n,)
        The outcome.
    scores : ndarray (n, K)
        Doubly robust scores of the mean under each arm, over the repetitions.
    held : Predicted, optional
        For rows that took no part in the learning, a column for each repetition: (n, repeats, ...); made on demand
        (``held_out``) where the learner's last step learns from cross-fitted predictions.
    """

    kind: MetaLearner
    models: Mapping[str, tuple[Task, Any]]
    arms: int
    bounds: tuple[float, float]
    folds: Folds
    first: Mapping[str, Array]
    y: Array
    scores: Array
    held: Predicted | None = None

    def predict(self, surfaces: Surfaces) -> Predicted:
        """Means and effects of rows with these covariates."""
        values: dict[str, Array] = {}
        for key, (task, model) in self.models.items():
            name = key.split(" ")[0]
            where = f"{task.learner.name} for the {task.name}"
            if task.settings:
                settings = surfaces.each_arm(self.arms)
                columns = [task.means(_read(model, task, each, where)) for each in settings]
                values[key] = np.stack(columns, axis=-1)
                continue
            found = _read(model, task, getattr(surfaces, name), where)
            values[key] = within(found, self.bounds) if name == "treatment" else task.means(found)
        return Predicted(*self.kind.combine(values, self.arms))


def _read(model: Any, task: Task, found: Features, where: str) -> Array:
    return predicted(model, task, task.learner.matrix(found), where)


@dataclass(frozen=True, eq=False)
class First:
    """What the first step found over folds: predictions by key, within the bounds, (n, repeats, ...)."""

    learned: Mapping[str, Learned]
    values: Mapping[str, Array]


def bounds_of(options: CrossFitOptions) -> tuple[float, float]:
    """Bounds of learned propensities."""
    return options.bounds or LEARNED_BOUNDS


def first_step(tasks: Mapping[str, Task], folds: Folds, weights: Array | None, bounds: tuple[float, float]) -> First:
    """Cross-fit the first step's models."""
    found = dict(zip(tasks, cross_fit(list(tasks.values()), folds, weights), strict=True))
    return First(found, {key: _values(key, each, bounds) for key, each in found.items()})


def _values(key: str, found: Learned, bounds: tuple[float, float]) -> Array:
    if key == "treatment":
        return np.stack([within(found.predictions[:, r], bounds) for r in range(found.predictions.shape[1])], axis=1)
    return found.at if found.task.settings else found.means


def all_rows(n: int, seed: int) -> Folds:
    """One fold of all rows, which are learned from and predicted."""
    return Folds(np.zeros((n, 1), dtype=np.intp), 1, seed)


def fitted_to_all(tasks: Mapping[str, Task], frame: ModelFrame, seed: int) -> dict[str, Learned]:
    """Models of all rows, kept."""
    plain = [replace(task, everywhere=False, settings=()) for task in tasks.values()]  # predicted when asked for
    found = cross_fit(plain, all_rows(frame.n, seed), frame.weights, words=WORDS, keep=True)
    return dict(zip(tasks, found, strict=True))


def seen_of(frame: ModelFrame, y: Array) -> Seen:
    """The outcome and the arms of a frame."""
    treatment = frame.the_treatment
    return Seen(y, treatment.codes, len(treatment.levels))


def last_tasks(
    targets: Mapping[str, Target], learner: Learner, surfaces: Surfaces, frame: ModelFrame
) -> dict[str, Task]:
    """What the last step learns, as tasks."""
    refuse_kind(learner, "regression", "effect_model")
    treatment, tasks = frame.the_treatment, {}
    for key, target in targets.items():
        _, a, *arm = key.split(" ")
        level, first = treatment.levels[int(a)], treatment.levels[0]
        name = f"effect {level} - {first}" + (f" of the {arm[0]}" if arm else "")
        tasks[key] = Task(
            name, learner, "regression", surfaces.effect, target.y, target.rows,
            option="effect_model", precision=target.precision,
        )  # fmt: skip
    return tasks


def over(values: Mapping[str, Array], *place: Any) -> dict[str, Array]:
    """Predictions of one repetition, or of whatever else stands behind the rows."""
    return {key: each[(slice(None), *place)] for key, each in values.items()}


def joined(targets: list[Mapping[str, Target]], shape: tuple[int, ...]) -> dict[str, Target]:
    """Targets of each repetition (and fold) as one, with the shape that a task has them in."""
    found = {}
    for key, first in targets[0].items():
        each = [target[key] for target in targets]
        y = np.stack([target.y for target in each], axis=-1).reshape(len(first.y), *shape)
        counts = [target.precision for target in each if target.precision is not None]
        precision = np.stack(counts, axis=-1).reshape(y.shape) if counts else None
        found[key] = Target(y, precision, first.rows)
    return found


def held_out(frame: ModelFrame, options: Any, units: Units) -> Predicted:
    """Means and effects of every row by learners no step of which saw its fold (n, repeats, ...).

    A last step that learns from cross-fitted predictions of the first would have seen the fold through these: the
    first step is cross-fitted anew among the other folds, once for each fold that is left out.
    """
    kind, folds, surfaces = units.kind, units.folds, Surfaces.of(frame)
    assert kind.targets is not None
    tasks, seen = kind.first(frame, options, surfaces), seen_of(frame, units.y)
    targets: list[Mapping[str, Target]] = []
    for r in range(folds.repeats):
        for k in range(folds.size):
            left = folds.outside(r, k)
            others = replace(folds, codes=np.where(left, folds.codes[:, r], -1)[:, None])
            inner = {
                key: replace(task, rows=left if task.rows is None else left & task.rows) for key, task in tasks.items()
            }
            found = first_step(inner, others, frame.weights, units.bounds)
            targets.append(kind.targets(over(found.values, 0), seen))
    last = last_tasks(joined(targets, (folds.repeats, folds.size)), options.effect_learner, surfaces, frame)
    learned = cross_fit(list(last.values()), folds, frame.weights, words=WORDS)
    effects = {key: each.means for key, each in zip(last, learned, strict=True)}
    return Predicted(*kind.combine({**units.first, **effects}, units.arms))


def _among(task: Task, rows: Bools) -> Task:
    return replace(task, rows=rows if task.rows is None else rows & task.rows)
