"""Propensity scores from a learner, cross-fitted or of the rows that it was fitted to."""

from __future__ import annotations

from causalformula.backends.learning.crossfit import Learned, Task, cross_fit
from causalformula.backends.learning.folds import Folds, make_folds
from causalformula.backends.learning.table import Features, Learner, features, refuse_kind
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY


def treatment_task(frame: ModelFrame, learner: Learner, option: str, found: Features | None = None) -> Task:
    """The treatment's probabilities as what is to be learned.

    Raises
    ------
    OptionError
        If the learner gives no probabilities.
    """
    refuse_kind(learner, "classification", option)
    treatment = frame.the_treatment
    found = features(frame, PROPENSITY) if found is None else found
    return Task(
        "treatment", learner, "classification", found, treatment.codes, classes=len(treatment.levels), option=option
    )


def learned_propensity(
    frame: ModelFrame, learner: Learner, folds: int, seed: int, option: str, found: Features | None = None
) -> tuple[Learned, Folds]:
    """Probabilities of the arms, each row's from a learner that did not see it (``folds`` > 1).

    Raises
    ------
    DataError
        If the learner fails, or an arm is too small for the folds.
    OptionError
        If it gives no probabilities, or the formula has weights and it takes none.
    """
    task = treatment_task(frame, learner, option, found)
    made = make_folds(frame, folds, 1, seed)
    return cross_fit([task], made, frame.weights)[0], made
