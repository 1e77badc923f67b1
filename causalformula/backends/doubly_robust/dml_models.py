"""The models of double machine learning: from learned nuisance functions to an orthogonal score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.backends.contrasts import Contrast, contrasts, step_between
from causalformula.backends.doubly_robust.dml_options import DML, PARTIAL, instruments, model_of
from causalformula.backends.fit import DesignWeights, Fit, Outcomes
from causalformula.backends.learning.crossfit import Learned, Task, cross_fit
from causalformula.backends.learning.crossfit import Target as Learning
from causalformula.backends.learning.folds import Folds, make_folds
from causalformula.backends.learning.objects import classifies
from causalformula.backends.learning.table import Features, Learner, features, refuse_kind
from causalformula.backends.orthogonal.learned_family import family_outcome
from causalformula.backends.orthogonal.nuisances import COVARIATES, LEARNED_BOUNDS, bounded
from causalformula.backends.orthogonal.scores import Moments, Score, Signal, mean_influence, refuse_explained, root
from causalformula.errors import DataError, OptionError, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import ADJUST, PROPENSITY
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array

# First stages below this F are told, as those of two-stage least squares are.
WEAK = 10.0


@dataclass(frozen=True, eq=False)
class Found:
    """What a model hands on.

    Parameters
    ----------
    scores : sequence of Score
        One for each repetition.
    learned : mapping of str to Learned
    folds : Folds
    names : str
        The learners in words.
    notes : tuple of str
    means : Outcomes, optional
        Mean potential outcomes, where the model has them.
    design : DesignWeights, optional
        Propensities and the weights they give, where the model weighs by them.
    """

    scores: Sequence[Score]
    learned: Mapping[str, Learned]
    folds: Folds
    names: str
    notes: tuple[str, ...] = field(default=())
    means: Outcomes | None = None
    design: DesignWeights | None = None


def asked(frame: ModelFrame, options: DML) -> Contrast:
    """The comparison that is asked for, of which a linear effect is a multiple."""
    if options.measure != "difference":
        other = "method='regression'" if frame.the_treatment.kind is Kind.CONTINUOUS else "model='irm'"
        raise OptionError(
            f"measure={options.measure!r} compares mean potential outcomes, and model={model_of(options, frame)!r} has "
            f"a difference only; {other} has the others"
        )
    return contrasts(frame.the_treatment, options.contrast, frame.sampled)[0]


def number(learner: Learner, name: str, binary: bool, found: Features, y: Array, option: str) -> Task:
    """What predicts a number: its mean, or a probability where it is 0 or 1 and the learner has one."""
    kind: Learning = (
        "classification" if binary and (learner.given is None or classifies(learner.given)) else "regression"
    )
    refuse_kind(learner, kind, option)
    return Task(name, learner, kind, found, y, option=option)


def means_of(learned: Learned) -> Array:
    """Predicted means (n, repeats)."""
    return learned.predictions[..., 1] if learned.task.kind == "classification" else learned.predictions


def zero_one(y: Array) -> bool:
    """Whether all values are 0 or 1."""
    return bool(np.isin(y, (0.0, 1.0)).all())


def outcome_of(frame: ModelFrame, options: DML) -> tuple[Array, bool]:
    """The outcome (n,), and whether it has a probability."""
    return family_outcome(frame, options.outcome_family)


def received(frame: ModelFrame) -> Array:
    """The treatment as a number (n,): a dose, or 0 and 1."""
    treatment = frame.the_treatment
    return treatment.values if treatment.kind is Kind.CONTINUOUS else treatment.codes.astype(float)


def words_of(tasks: Sequence[Task]) -> str:
    """Their learners, each once."""
    return " and ".join(dict.fromkeys(task.learner.name for task in tasks))


# ---- partially linear regression -------------------------------------------------------------------------------------


def plr(frame: ModelFrame, options: DML) -> Found:
    """``Y = theta D + g(X) + e`` (Robinson 1988): residuals on residuals, or ``(D - m)(Y - theta D - g)``."""
    folds = make_folds(frame, options.folds, options.repeats, options.seed)
    (y, binary), d, size = outcome_of(frame, options), received(frame), step_between(asked(frame, options))
    unit = d / size
    surface, scores = features(frame, COVARIATES), features(frame, PROPENSITY)
    tasks = [
        number(options.outcome_learner, "outcome", binary, surface, y, "outcome_model"),
        number(options.treatment_learner, "treatment", zero_one(d), scores, d, "treatment_model"),
    ]
    found = cross_fit(tasks, folds, frame.weights)
    mean, v = means_of(found[0]), (d[:, None] - means_of(found[1])) / size
    refuse_explained(v, unit, frame.unit_weights, frame.the_treatment.name)
    learned = {each.task.name: each for each in found}
    if options.score == "iv_type":
        first = root(Score(-v * v, v * (y[:, None] - mean)), frame.unit_weights)
        learned["structure"] = _structure(frame, options, folds, surface, y, unit, first)
    out = []
    for r in range(folds.repeats):
        g = means_of(learned["structure"])[:, r] if "structure" in learned else None
        out.append(_linear_score(y, unit, mean[:, r], v[:, r], g, frame.unit_weights))
    return Found(out, learned, folds, words_of(tasks))


def _structure(
    frame: ModelFrame, options: DML, folds: Folds, surface: Features, y: Array, unit: Array, first: Array
) -> Learned:
    """``g(x) = E[Y - theta D | x]``, with the theta (repeats,) of a first estimate."""
    learner = options.outcome_learner
    refuse_kind(learner, "regression", "outcome_model")
    task = Task("structure", learner, "regression", surface, y[:, None] - unit[:, None] * first, option="outcome_model")
    return cross_fit([task], folds, frame.weights)[0]


def _linear_score(y: Array, unit: Array, mean: Array, v: Array, g: Array | None, w: Array) -> Score:
    """The score of one repetition, with what omitted confounders and varying effects are read off."""
    if g is None:
        score = Score((-v * v)[:, None], (v * (y - mean))[:, None])
        theta = root(score, w)[0]
        rest = y - mean - theta * v
    else:
        score = Score((-v * unit)[:, None], (v * (y - g))[:, None])
        theta = root(score, w)[0]
        rest = y - g - theta * unit
    sigma2, psi_sigma2 = mean_influence((rest**2)[:, None], w)
    spread, psi_spread = mean_influence((v**2)[:, None], w)
    moments = Moments(sigma2, 1 / spread, psi_sigma2, -psi_spread / spread**2)
    return Score(score.a, score.b, moments, Signal((rest + theta * v)[:, None], v[:, None]))


# ---- with instruments ------------------------------------------------------------------------------------------------


def pliv(frame: ModelFrame, options: DML) -> Found:
    """``Y = theta D + g(X) + e``, ``E[e | Z, X] = 0``: residuals of instruments stand for those of the treatment.

    Several instruments are projected on: two-stage least squares of the residuals.
    """
    Z, names = instruments(frame)
    several = Z.shape[1] > 1
    if several and options.score == "iv_type":
        raise OptionError(
            f"score='iv_type' is of one instrument, and iv(...) has {Z.shape[1]} columns; use score='partialling_out'"
        )
    folds = make_folds(frame, options.folds, options.repeats, options.seed)
    (y, binary), d, size = outcome_of(frame, options), received(frame), step_between(asked(frame, options))
    surface, scores, given = (features(frame, part) for part in (COVARIATES, PROPENSITY, ADJUST))
    tasks = [
        number(options.outcome_learner, "outcome", binary, surface, y, "outcome_model"),
        number(options.treatment_learner, "treatment", zero_one(d), scores, d, "treatment_model"),
        *(
            number(options.instrument_learner, f"instrument {name}", zero_one(z), given, z, "instrument_model")
            for name, z in zip(names, Z.T, strict=True)
        ),
    ]
    found = cross_fit(tasks, folds, frame.weights)
    unit, w = d / size, frame.unit_weights
    u, x = y[:, None] - means_of(found[0]), (d[:, None] - means_of(found[1])) / size
    v = np.stack([z[:, None] - means_of(each) for z, each in zip(Z.T, found[2:], strict=True)], axis=2)
    for k, name in enumerate(names):
        refuse_explained(v[..., k], Z[:, k], w, name)
    moved = np.column_stack([_projected(v[:, r], x[:, r], w) if several else v[:, r, 0] for r in range(folds.repeats)])
    learned = {each.task.name: each for each in found}
    out = [Score(-(x * moved)[:, [r]], (moved * u)[:, [r]]) for r in range(folds.repeats)]
    notes = _weak(x[:, 0], v[:, 0], w)
    if options.score == "iv_type":
        first = np.array([root(score, w)[0] for score in out])
        learned["structure"] = _structure(frame, options, folds, surface, y, unit, first)
        g = means_of(learned["structure"])
        out = [
            Score(-(moved * unit[:, None])[:, [r]], (moved * (y[:, None] - g))[:, [r]]) for r in range(folds.repeats)
        ]
    return Found(out, learned, folds, words_of(tasks), notes)


def _projected(V: Array, x: Array, w: Array) -> Array:
    """The treatment's residual as the instruments' residuals predict it."""
    A, s = np.column_stack([np.ones(len(V)), V]), np.sqrt(w)
    return np.asarray(A @ np.linalg.lstsq(A * s[:, None], x * s, rcond=None)[0])


def _weak(x: Array, V: Array, w: Array) -> tuple[str, ...]:
    """A note on instruments that hardly move the treatment, by the robust F of residuals on residuals."""
    bread = np.linalg.pinv(V.T @ (w[:, None] * V))
    beta = bread @ (V.T @ (w * x))
    rows = (w * (x - V @ beta))[:, None] * V
    F = float(beta @ np.linalg.pinv(bread @ (rows.T @ rows) @ bread) @ beta) / V.shape[1]
    if F >= WEAK:
        return ()
    return (
        f"weak instruments: given the covariates their first-stage F is {F:.3g}, below {WEAK:g}; the estimate leans "
        "towards that without instruments, and its interval is too short",
    )


def iivm(frame: ModelFrame, options: DML) -> Found:
    """``LATE``: the effect of the instrument on the outcome over that on the treatment, each doubly robust."""
    size = step_between(asked(frame, options))
    z, name, levels = binary_instrument(frame)
    folds = make_folds(frame, options.folds, options.repeats, options.seed)
    (y, binary), d, codes = outcome_of(frame, options), received(frame), z.astype(np.intp)
    surface, scores, given = (features(frame, part) for part in (COVARIATES, PROPENSITY, ADJUST))
    tasks = [_instrument(options, given, codes)]
    for level in (0, 1):
        at, rows = f"at {name} = {levels[level]}", codes == level
        for what, learner, is_binary, X, target, option in (
            ("outcome", options.outcome_learner, binary, surface, y, "outcome_model"),
            ("treatment", options.treatment_learner, True, scores, d, "treatment_model"),
        ):
            if what == "treatment" and len(np.unique(target[rows])) == 1:
                continue  # one-sided: nobody takes it, or everybody does, and there is nothing to learn
            task = number(learner, f"{what} {at}", is_binary, X, target, option)
            tasks.append(replace(task, rows=rows))
    found = {each.task.name: each for each in cross_fit(tasks, folds, frame.weights)}
    out, notes = [], list[str]()
    P = found["instrument"].predictions
    for r in range(folds.repeats):
        inside, _, told = bounded(frame, P[:, r], options.bounds or LEARNED_BOUNDS, of=" of the instrument")
        notes += [note for note in told if r == 0]

        def augmented(what: str, y: Array, r: int = r, p: Array = inside) -> Array:
            names = [f"{what} at {name} = {level}" for level in levels]
            g = [
                means_of(found[each])[:, r] if each in found else np.full(len(y), y[codes == k][0])
                for k, each in enumerate(names)
            ]
            signs = ((1.0, 1), (-1.0, 0))
            return np.asarray(sum(sign * (g[k] + (codes == k) * (y - g[k]) / p[:, k]) for sign, k in signs))

        a, b = augmented("treatment", d) / size, augmented("outcome", y)
        out.append(Score(-a[:, None], b[:, None]))
    w = frame.unit_weights
    mean, psi = mean_influence(-out[0].a, w)
    F = float(mean[0] ** 2 / (psi[:, 0] @ psi[:, 0] / len(w) ** 2))
    if F < WEAK:
        notes.append(
            f"weak instrument: its effect on the treatment has an F of {F:.3g}, below {WEAK:g}; few comply, and the "
            "interval is too short"
        )
    return Found(out, found, folds, words_of(tasks), tuple(notes))


def _instrument(options: DML, given: Features, codes: Any) -> Task:
    """The instrument's probabilities as what is to be learned."""
    learner, option = options.instrument_learner, "instrument_model"
    refuse_kind(learner, "classification", option)
    return Task("instrument", learner, "classification", given, codes, option=option)


def binary_instrument(frame: ModelFrame) -> tuple[Array, str, tuple[str, str]]:
    """The instrument as 0 and 1 (n,), its name, and its two values.

    Raises
    ------
    DataError
        For another one.
    """
    Z, names = instruments(frame)
    values = np.unique(Z[:, 0])
    if Z.shape[1] != 1 or len(values) != 2:
        what = f"{Z.shape[1]} columns ({some(names)})" if Z.shape[1] != 1 else f"{len(values)} values"
        raise DataError(f"model='iivm' needs one instrument of two values, and iv(...) has {what}; use model='pliv'")
    return (Z[:, 0] == values[1]).astype(float), names[0], (f"{values[0]:g}", f"{values[1]:g}")


@dataclass(frozen=True)
class Model:
    """A row of the table of models.

    Parameters
    ----------
    words : str
        As the print names it.
    fit : callable
        ``(frame, options) -> Found``, or a ``Fit`` where nothing is cross-fitted.
    kinds : tuple of Kind
        Treatments that it takes.
    estimands : tuple of str
        Those of ``estimand=`` that it gives, its own first; none where its effect is a partial one.
    iv : bool
        Whether it reads ``iv(...)``.
    scored : bool
        Whether ``score=`` chooses between its scores.
    weighed : bool
        Whether it divides by propensities, which ``bounds=`` holds.
    """

    words: str
    fit: Callable[[ModelFrame, Any], Found | Fit]
    kinds: tuple[Kind, ...]
    estimands: tuple[str, ...] = ()
    iv: bool = False
    scored: bool = False
    weighed: bool = False

    @property
    def gives(self) -> str:
        """What it gives, in words."""
        if not self.estimands:
            return f"a {PARTIAL.lower()}"
        *others, last = (f"the {estimand}" for estimand in self.estimands)
        return f"{', '.join(others)} or {last}" if others else last
