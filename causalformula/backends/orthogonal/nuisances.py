"""The two nuisance functions of a doubly robust estimator: outcome means by arm, and propensities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.distance import LINKS
from causalformula.backends.fit import Fitted
from causalformula.backends.learning.crossfit import Learned, Target, Task, cross_fit
from causalformula.backends.learning.folds import MOST_FOLDS, Folds, GivenFolds, make_folds, read_folds
from causalformula.backends.learning.notes import learning_notes
from causalformula.backends.learning.propensity import treatment_task
from causalformula.backends.learning.table import (
    GLM,
    Features,
    Learner,
    features,
    is_glm,
    read_learner,
    refuse_kind,
    refuse_unweighted,
)
from causalformula.backends.options import Options, flag, one_of, read_bounds, whole
from causalformula.backends.orthogonal.learned_family import family_notes, family_outcome
from causalformula.backends.outcome_model import fit_outcome, model_word
from causalformula.backends.propensity import (
    Propensity,
    Regressors,
    binary_propensity,
    multinomial_propensity,
)
from causalformula.backends.separation import apart_on, weak_overlap
from causalformula.backends.target import target_arm
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY, Part
from causalformula.frame.treatment import Kind
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.centring import first_column

COVARIATES = Part("covariates")
# Learned propensities are kept within these, as their errors near 0 and 1 are divided by; DoubleML's default too.
LEARNED_BOUNDS = (0.01, 0.99)
# So large a share of propensities that bounds have moved is told with what it does.
MANY = 0.05
LESS = "; the outcome means are corrected there by less than they should be, and the standard error does not know it"


@dataclass(frozen=True, kw_only=True)
class CrossFitOptions(Options):
    """What every method takes that cross-fits an outcome and a treatment model.

    Parameters
    ----------
    outcome_model, treatment_model : str or estimator
        ``"glm"``, the formula's regressions; ``"lasso"``, ``"ridge"``, ``"elastic_net"``, ``"rlasso"`` (post-lasso with
        the penalty that theory gives), ``"spline"``, ``"forest"``, ``"boosting"``, ``"knn"``, ``"stack"`` (the Super
        Learner of several of these); or a scikit-learn estimator or search. Learners are cross-fitted.
    folds : int, str, list of str or array
        How many folds; or the folds themselves: a column that says which each row is in, or an array of whole numbers
        with one for each row of the data (a column for each repetition).
    repeats : int
        Repetitions of the cross-fitting, whose estimates are summarised by their median.
    seed : int
        Of the folds, and of learners that draw.
    bounds : pair of numbers, optional
        Propensities are moved to within these, and counted; of two levels those of the second. Learned ones are moved
        to within 0.01 and 0.99 where not given.
    """

    # Whether the bounds are of every arm's propensities, where there are two of them too.
    each_arm: ClassVar[bool] = False

    outcome_model: Any = GLM
    treatment_model: Any = GLM
    folds: Any = 5
    repeats: int = 1
    seed: int = 0
    bounds: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("outcome_model", "treatment_model"):
            read_learner(getattr(self, name), name)
        object.__setattr__(self, "folds", read_folds(self.folds))
        whole("repeats", self.repeats, "repetitions of the cross-fitting", MOST_FOLDS)
        whole("seed", self.seed, "the seed of the folds", 2**32 - 1, 0)
        object.__setattr__(self, "bounds", read_bounds(self.bounds))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that hold given folds."""
        return self.folds.columns if isinstance(self.folds, GivenFolds) else ()

    @property
    def outcome_learner(self) -> Learner:
        """The learner of the outcome."""
        return read_learner(self.outcome_model, "outcome_model")

    @property
    def treatment_learner(self) -> Learner:
        """The learner of the treatment."""
        return read_learner(self.treatment_model, "treatment_model")


@dataclass(frozen=True, kw_only=True)
class NuisanceOptions(CrossFitOptions):
    """What every method takes that has an outcome and a treatment model, by two GLMs or by learners.

    Parameters
    ----------
    outcome_model, treatment_model, folds, repeats, seed, bounds
        As in ``CrossFitOptions``.
    model : str or estimator, optional
        Short for both models.
    link : str
        Of a GLM for a binary treatment.
    interact : bool
        A GLM of the outcome for each arm (the treatment crossed with all terms), or one with the treatment as a term.
        Learners are fitted arm by arm.
    """

    model: Any = None
    link: str = "logit"
    interact: bool = True

    def __post_init__(self) -> None:
        if self.model is not None:
            read_learner(self.model, "model")
            for name in ("outcome_model", "treatment_model"):
                if getattr(self, name) is not self.model and getattr(self, name) != GLM:
                    raise OptionError(f"model= sets both learners, and {name}= is given too; use one of the two")
                object.__setattr__(self, name, self.model)
        super().__post_init__()
        one_of("link", self.link, LINKS)
        flag("interact", self.interact)
        self._refuse_idle()

    def _refuse_idle(self) -> None:
        """Options that would have no effect."""
        if not self.learned:
            given = {
                name: getattr(self, name) != getattr(NuisanceOptions, name) for name in ("folds", "repeats", "seed")
            }
            for name in (name for name, other in given.items() if other):
                raise OptionError(
                    f"{name}= is of the cross-fitting of learners, and both models are 'glm', whose estimation the "
                    "standard errors know; give outcome_model= or treatment_model="
                )
        elif self.link != NuisanceOptions.link or self.interact != type(self).interact:
            name = "link" if self.link != NuisanceOptions.link else "interact"
            raise OptionError(
                f"{name}= is of two GLMs; with a learner both models are cross-fitted, the outcome's by arm"
            )

    @property
    def learned(self) -> bool:
        """Whether a learner takes part, so that both are cross-fitted."""
        return not (is_glm(self.outcome_model) and is_glm(self.treatment_model))


def resampled(options: CrossFitOptions) -> None:
    """An ``OptionError`` for learners that take no weights, which see no replicate."""
    kinds = {"outcome_model": "regression", "treatment_model": "classification", "instrument_model": "regression"}
    for name, kind in kinds.items():
        refuse_unweighted(read_learner(getattr(options, name, GLM), name), kind)


@dataclass(frozen=True, eq=False)
class Stacked:
    """GLM nuisances on all rows, whose estimation enters every standard error.

    Parameters
    ----------
    outcome : FittedRegression
    part : Part
    propensity : Propensity
    P : ndarray (n, K)
        Propensities within the bounds.
    free : ndarray (n, K) of bool
        Those that no bound has moved.
    """

    outcome: FittedRegression
    part: Part
    propensity: Propensity
    P: Array
    free: Bools


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Nuisances of one repetition, each row's from models that did not see it.

    Parameters
    ----------
    m : ndarray (n, K)
        Outcome means by arm; for quantiles, probabilities below each of them.
    P : ndarray (n, K)
        Propensities within the bounds.
    """

    m: Array
    P: Array


@dataclass(frozen=True, eq=False)
class Nuisances:
    """What a doubly robust estimator starts from.

    Parameters
    ----------
    each : tuple of Stacked or CrossFitted
        One for each repetition.
    words : str
        How they were found, for the print.
    models : mapping of str to Fitted
        GLMs.
    learned : mapping of str to Learned
    folds : Folds, optional
    notes : tuple of str
    scores : ndarray (n, K)
        Propensities before the bounds, of the first repetition.
    """

    each: tuple[Stacked, ...] | tuple[CrossFitted, ...]
    words: str
    scores: Array
    models: Mapping[str, Fitted] = field(default_factory=dict)
    learned: Mapping[str, Learned] = field(default_factory=dict)
    folds: Folds | None = None
    notes: tuple[str, ...] = ()


def nuisances(frame: ModelFrame, options: NuisanceOptions) -> Nuisances:
    """Fit both nuisance functions, by two GLMs or by learners over folds.

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.
    IdentificationError
        If the covariates predict the treatment perfectly.
    """
    if not options.learned:
        return _stacked(frame, options)
    found = cross_fitted(frame, options, glms=True)
    return replace(found, notes=(*found.notes, *family_notes(frame, options.outcome_family, options.outcome_learner)))


def _stacked(frame: ModelFrame, options: NuisanceOptions) -> Nuisances:
    part = Part("outcome", options.interact)
    outcome = fit_outcome(frame, part, options.outcome_family, frame.weights)
    own = frame.design(PROPENSITY)
    design = Regressors(own.X, own.names, first_column(own.X, own.intercept))
    words = treatment_words(frame, options)
    if frame.the_treatment.kind is Kind.BINARY:
        found = binary_propensity(frame, options.link, design)
    else:
        found = multinomial_propensity(frame, design)
    P, free, notes = bounded(frame, found.P, options.bounds, options.each_arm, target_arm(frame, options))
    models = {"outcome": Fitted(outcome, part)}
    if found.model is not None:
        models["propensity"] = Fitted(found.model, PROPENSITY)
    return Nuisances(
        (Stacked(outcome, part, found, P, free),),
        f"{model_word(options.outcome_family, outcome)} outcome model, {words} treatment model",
        found.P,
        models,
        notes=(*outcome.notes, *dropped_terms(outcome), *found.notes, *notes),
    )


def treatment_words(frame: ModelFrame, options: NuisanceOptions) -> str:
    """The link of the treatment model, for the print.

    Raises
    ------
    OptionError
        For a link of several levels.
    """
    if frame.the_treatment.kind is Kind.BINARY:
        return options.link
    if options.link != NuisanceOptions.link:
        raise OptionError(f"link={options.link!r} is for a binary treatment; several levels use the multinomial logit")
    return "multinomial logit"


def cross_fitted(frame: ModelFrame, options: CrossFitOptions, *, glms: bool = False) -> Nuisances:
    """Both nuisance functions by learners over folds; ``glms`` as of ``make_folds``.

    Raises
    ------
    CapabilityError
        For an offset, which learners have no place for.
    DataError
        Where a learner fails, or an arm is too small for the folds.
    """
    refuse_offset(frame)
    folds = make_folds(frame, options.folds, options.repeats, options.seed, glms=glms)
    return cross_fitted_in(frame, options, folds, arm_tasks(frame, options, features(frame, COVARIATES)))


def cross_fitted_in(frame: ModelFrame, options: CrossFitOptions, folds: Folds, surfaces: Sequence[Task]) -> Nuisances:
    """Functions of the outcome, and the propensity, by learners over folds."""
    tasks = [*surfaces, treatment_task(frame, options.treatment_learner, "treatment_model")]
    found = cross_fit(tasks, folds, frame.weights)
    m = np.stack([each.means for each in found[:-1]], axis=1)
    learned = {each.task.name: each for each in found}
    return of_learned(frame, options, m, found[-1].predictions, learned, folds)


def refuse_offset(frame: ModelFrame) -> None:
    """A ``CapabilityError`` for an offset, which learners have no place for."""
    if frame.offset is not None:
        raise CapabilityError("a learner has no place for offset(...); use two GLMs, or subtract it from the outcome")


def learned_outcome(frame: ModelFrame, options: CrossFitOptions) -> tuple[Array, Target]:
    """The outcome (n,), and whether it has probabilities to learn or numbers, which its learner must give."""
    y, kind = outcome_target(frame, options)
    refuse_kind(options.outcome_learner, kind, "outcome_model")
    return y, kind


def outcome_target(frame: ModelFrame, options: CrossFitOptions) -> tuple[Array, Target]:
    """The outcome (n,), and whether it has probabilities to learn or numbers."""
    y, binary = family_outcome(frame, options.outcome_family)
    return y, "classification" if binary else "regression"


def arm_tasks(frame: ModelFrame, options: CrossFitOptions, surface: Features) -> list[Task]:
    """The outcome of each arm as what is to be learned."""
    treatment, (y, kind) = frame.the_treatment, learned_outcome(frame, options)
    return [
        Task(
            f"outcome at {treatment.name} = {level}", options.outcome_learner, kind, surface, y, treatment.codes == a,
            option="outcome_model",
        )
        for a, level in enumerate(treatment.levels)
    ]  # fmt: skip


def of_learned(
    frame: ModelFrame, options: CrossFitOptions, m: Array, P: Array, learned: Mapping[str, Learned], folds: Folds
) -> Nuisances:
    """Cross-fitted outcome means (n, K, repeats) and propensities (n, repeats, K), the latter within the bounds."""
    parts, notes, arm = [], [*learning_notes(learned.values(), folds)], target_arm(frame, options)
    for r in range(folds.repeats):
        inside, _, told = bounded(frame, P[:, r], options.bounds or LEARNED_BOUNDS, options.each_arm, arm)
        parts.append(CrossFitted(m[:, :, r], inside))
        notes += [note for note in told if note not in notes and r == 0]
    if frame.the_treatment.kind is Kind.BINARY:
        notes += apart_on(frame, P[:, 0, 1])
    names = " and ".join(dict.fromkeys((options.outcome_learner.name, options.treatment_learner.name)))
    words = f"{names}, cross-fitted in {folds.words}"
    return Nuisances(tuple(parts), words, P[:, 0], {}, learned, folds, tuple(notes))


def within(P: Array, bounds: tuple[float, float], each_arm: bool = False) -> Array:
    """Propensities (n, K) moved to within bounds; of two levels those of the second, unless each arm has its own."""
    inside = np.clip(P, *bounds)
    second = P.shape[1] == 2 and not each_arm
    return np.column_stack([1 - inside[:, 1], inside[:, 1]]) if second else inside


def bounded(
    frame: ModelFrame,
    P: Array,
    bounds: tuple[float, float] | None,
    each_arm: bool = False,
    arm: int | None = None,
    of: str = "",
) -> tuple[Array, Bools, tuple[str, ...]]:
    """Propensities within bounds, which of them are free to move, and notes on those beyond and on weak overlap.

    Parameters
    ----------
    arm : int, optional
        The target's arm, by whose propensity nothing is divided.
    of : str
        Whose propensities they are, where not the treatment's.
    """
    inside, free = clipped(P, bounds, each_arm)
    counts = beyond(P, frame.unit_weights > 0, bounds, each_arm)
    return inside, free, (*bound_words(counts, bounds, of), *weak_overlap(frame, P, arm, floors(P, bounds, each_arm)))


def clipped(P: Array, bounds: tuple[float, float] | None, each_arm: bool = False) -> tuple[Array, Bools]:
    """Propensities within bounds, and which of them are free to move."""
    low, high = bounds or (0.0, 1.0)
    free = (low <= P) & (high >= P)
    return within(P, (low, high), each_arm), free[:, [1, 1]] if P.shape[1] == 2 and not each_arm else free


def beyond(P: Array, used: Bools, bounds: tuple[float, float] | None, each_arm: bool = False) -> tuple[int, int, int]:
    """How many propensities of the rows used lie below and above bounds, and of how many rows."""
    low, high = bounds or (0.0, 1.0)
    # of two arms the bounds are of the second
    looked = P[used][:, 1:] if P.shape[1] == 2 and not each_arm else P[used]
    return int((looked < low).sum()), int((looked > high).sum()), len(looked)


def floors(P: Array, bounds: tuple[float, float] | None, each_arm: bool = False) -> Array | float:
    """Below which bounds let no propensity be."""
    low, high = bounds or (0.0, 1.0)
    return np.array([1 - high, low]) if P.shape[1] == 2 and not each_arm else low


def bound_words(counts: tuple[int, int, int], bounds: tuple[float, float] | None, of: str = "") -> tuple[str, ...]:
    """The note on propensities beyond bounds, as ``beyond`` counts them."""
    low, high = bounds or (0.0, 1.0)
    below, above, rows = counts
    return _moved(below, low, above, high, of, rows)


def _moved(below: int, low: float, above: int, high: float, of: str, rows: int) -> tuple[str, ...]:
    """A note on how many propensities the bounds have moved, and where to."""
    sides = [(count, side) for count, side in ((below, f"below {low:.3g}"), (above, f"above {high:.3g}")) if count]
    if not sides:
        return ()
    (first, side), *others = sides
    what = f"{first} propensit{'y' if first == 1 else 'ies'}{of} {side}"
    what += "".join(f" and {count} {side}" for count, side in others)
    verb, where = "was" if below + above == 1 else "were", "these" if others else "it"
    less = LESS if below + above > MANY * rows else ""
    return (f"{what} {verb} set to {where} (bounds=){less}",)
