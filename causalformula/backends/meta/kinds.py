"""The meta-learners as recipes: what each learns first, what of that its last step learns, and the effect in the end.

Predictions are held by key: ``outcome a`` (the outcome of arm a; of an R-learner that of arms 0 and a together),
``treatment`` (all propensities, within the bounds), ``effect a`` (arm a against the first), of an X-learner
``effect a treated`` and ``effect a control``. All arrays may have further axes, as of repetitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from causalformula.backends.learning.crossfit import Task
from causalformula.backends.learning.propensity import treatment_task
from causalformula.backends.meta.surfaces import Surfaces
from causalformula.backends.orthogonal.nuisances import CrossFitOptions, arm_tasks, learned_outcome
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array, Bools, Codes

Values = Mapping[str, Array]
# A residual of the treatment below this says nothing of the effect.
NO_RESIDUAL = 1e-10


@dataclass(frozen=True, eq=False)
class Seen:
    """The outcome (n,), the arm of each row (n,) and the number of arms."""

    y: Array
    codes: Codes
    arms: int


@dataclass(frozen=True, eq=False)
class Target:
    """What a last step learns: numbers (n,), how much each counts, and from which rows."""

    y: Array
    precision: Array | None = None
    rows: Bools | None = None


@dataclass(frozen=True)
class MetaLearner:
    """One of the meta-learners.

    Parameters
    ----------
    name : str
        In words.
    first : callable
        ``(frame, options, surfaces)`` to the tasks of the first step, by key.
    combine : callable
        From predictions by key to outcome means under each arm (n, ..., K) and effects (n, ..., K - 1).
    targets : callable, optional
        ``(values, seen)`` to what the last step learns, by key; none where effects are differences of predictions.
    nested : bool
        Whether that is made of cross-fitted predictions of the first step.
    scored : bool
        Whether the average's score takes the outcome means of the effect learned, and not those of the first step.
    """

    name: str
    first: Callable[[ModelFrame, CrossFitOptions, Surfaces], dict[str, Task]]
    combine: Callable[[Values, int], tuple[Array, Array]]
    targets: Callable[[Values, Seen], dict[str, Target]] | None = None
    nested: bool = False
    scored: bool = True


# ---- the first step --------------------------------------------------------------------------------------------------


def _by_arm(frame: ModelFrame, options: CrossFitOptions, surfaces: Surfaces) -> dict[str, Task]:
    tasks = {f"outcome {a}": task for a, task in enumerate(arm_tasks(frame, options, surfaces.outcome))}
    return {**tasks, "treatment": _treatment(frame, options, surfaces)}


def _treatment(frame: ModelFrame, options: CrossFitOptions, surfaces: Surfaces) -> Task:
    return treatment_task(frame, options.treatment_learner, "treatment_model", surfaces.treatment)


def _as_covariate(frame: ModelFrame, options: CrossFitOptions, surfaces: Surfaces) -> dict[str, Task]:
    (y, kind), treatment = learned_outcome(frame, options), frame.the_treatment
    arms = len(treatment.levels)
    own, settings = surfaces.under(treatment.codes, arms), surfaces.each_arm(arms)
    task = Task("outcome", options.outcome_learner, kind, own, y, option="outcome_model", settings=settings)
    return {"outcome": task, "treatment": _treatment(frame, options, surfaces)}


def _by_pair(frame: ModelFrame, options: CrossFitOptions, surfaces: Surfaces) -> dict[str, Task]:
    (y, kind), treatment = learned_outcome(frame, options), frame.the_treatment
    two, first, tasks = len(treatment.levels) == 2, treatment.levels[0], {}
    for a, level in enumerate(treatment.levels[1:], 1):
        name = "outcome" if two else f"outcome at {treatment.name} = {first} or {level}"
        rows = None if two else np.isin(treatment.codes, (0, a))
        tasks[f"outcome {a}"] = Task(
            name, options.outcome_learner, kind, surfaces.outcome, y, rows, option="outcome_model"
        )
    return {**tasks, "treatment": _treatment(frame, options, surfaces)}


# ---- the last step ---------------------------------------------------------------------------------------------------


def pair_share(P: Array, a: int) -> Array:
    """Propensity of an arm among those in it or in the first."""
    return np.asarray(P[..., a] / (P[..., a] + P[..., 0]))


def _imputed(values: Values, seen: Seen) -> dict[str, Target]:
    """What the other arm's model says that each row's effect is."""
    found, y, control = {}, seen.y, seen.codes == 0
    for a in range(1, seen.arms):
        found[f"effect {a} treated"] = Target(y - values["outcome 0"], rows=seen.codes == a)
        found[f"effect {a} control"] = Target(values[f"outcome {a}"] - y, rows=control)
    return found


def _residuals(values: Values, seen: Seen) -> dict[str, Target]:
    """Residuals of the outcome over those of the treatment, which count by the square of the latter."""
    found = {}
    for a in range(1, seen.arms):
        v = (seen.codes == a) - pair_share(values["treatment"], a)
        some = np.abs(v) > NO_RESIDUAL
        y = np.where(some, seen.y - values[f"outcome {a}"], 0.0) / np.where(some, v, 1.0)
        rows = None if seen.arms == 2 else np.isin(seen.codes, (0, a))
        found[f"effect {a}"] = Target(y, np.where(some, v * v, 0.0), rows)
    return found


def _scores(values: Values, seen: Seen) -> dict[str, Target]:
    """Doubly robust scores of the effect of each row."""
    m = np.stack([values[f"outcome {a}"] for a in range(seen.arms)], axis=-1)
    scores = robust_scores(seen, m, values["treatment"])
    return {f"effect {a}": Target(scores[:, a] - scores[:, 0]) for a in range(1, seen.arms)}


def robust_scores(seen: Seen, m: Array, P: Array) -> Array:
    """Doubly robust scores of the mean under each arm (n, K): ``m_a + 1(A = a) (Y - m_a) / P_a``."""
    inside = seen.codes[:, None] == np.arange(seen.arms)
    return np.asarray(m + inside * (seen.y[:, None] - m) / P)


# ---- the effect in the end -------------------------------------------------------------------------------------------


def _differences(values: Values, arms: int) -> tuple[Array, Array]:
    m = np.stack([values[f"outcome {a}"] for a in range(arms)], axis=-1)
    return m, m[..., 1:] - m[..., :1]


def _at_settings(values: Values, arms: int) -> tuple[Array, Array]:
    m = values["outcome"]
    return m, m[..., 1:] - m[..., :1]


def _mixed(values: Values, arms: int) -> tuple[Array, Array]:
    """The treated's effect counts by the share of controls, and the controls' by that of the treated."""
    e = [pair_share(values["treatment"], a) for a in range(1, arms)]
    tau = [
        e[a - 1] * values[f"effect {a} control"] + (1 - e[a - 1]) * values[f"effect {a} treated"]
        for a in range(1, arms)
    ]
    return _around(values, np.stack(tau, axis=-1), arms)


def _learned(values: Values, arms: int) -> tuple[Array, Array]:
    return _around(values, np.stack([values[f"effect {a}"] for a in range(1, arms)], axis=-1), arms)


def _around(values: Values, tau: Array, arms: int) -> tuple[Array, Array]:
    """Means that differ by the effects, and whose average over the propensities is that of the outcome models."""
    P, m = values["treatment"], np.stack([values[f"outcome {a}"] for a in range(arms)], axis=-1)
    P = P / P.sum(axis=-1, keepdims=True)  # bounds may have moved one of several
    first = (P * m).sum(axis=-1) - (P[..., 1:] * tau).sum(axis=-1)
    return np.concatenate([first[..., None], first[..., None] + tau], axis=-1), tau


def _residual(values: Values, arms: int) -> tuple[Array, Array]:
    """The same from models of the outcome in pairs of arms, each of which says what the first arm's mean is."""
    tau = np.stack([values[f"effect {a}"] for a in range(1, arms)], axis=-1)
    e = np.stack([pair_share(values["treatment"], a) for a in range(1, arms)], axis=-1)
    both = np.stack([values[f"outcome {a}"] for a in range(1, arms)], axis=-1)
    first = (both - e * tau).mean(axis=-1)
    return np.concatenate([first[..., None], first[..., None] + tau], axis=-1), tau


S_LEARNER = MetaLearner("S-learner", _as_covariate, _at_settings)
T_LEARNER = MetaLearner("T-learner", _by_arm, _differences)
X_LEARNER = MetaLearner("X-learner", _by_arm, _mixed, _imputed)
R_LEARNER = MetaLearner("R-learner", _by_pair, _residual, _residuals, nested=True)
DR_LEARNER = MetaLearner("DR-learner", _by_arm, _learned, _scores, nested=True, scored=False)
