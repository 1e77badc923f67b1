"""Designs that are held fixed, matches and strata: the outcome model that they weight, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.distance import thin_arms
from causalformula.backends.entangled import strained_notes
from causalformula.backends.fit import DesignWeights, Fit, Fitted, Query
from causalformula.backends.options import Options
from causalformula.backends.outcome_model import fit_outcome, idle_interact, model_word
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.standardize import Surface
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.families import family as read_family


@dataclass(frozen=True, eq=False)
class HeldDesign:
    """Matches or strata, with the weights that they make.

    Parameters
    ----------
    design : DesignWeights
    target : ndarray (n,) of bool
        Rows of the population that the effect is averaged over, where they are matched.
    words : str
        How it was made, for the print.
    lines : tuple of str
        The same in MatchIt's words.
    models : mapping of str to Fitted
    notes : tuple of str
    estimator : callable, optional
        What the design makes of the answers of the weighted regression: an estimator with a variance of its own.
    regressed : bool
        Whether the estimate is still the regression's.
    without : tuple of (str, str), optional
        The default covariance where the estimator has no variance of its own for what is asked, and why.
    """

    design: DesignWeights
    target: Bools
    words: str
    lines: tuple[str, ...]
    models: Mapping[str, Fitted] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    estimator: Callable[[PotentialMeans], PotentialMeans] | None = None
    regressed: bool = True
    without: tuple[str, str] | None = None


def held_fit(frame: ModelFrame, made: HeldDesign, options: Options) -> Fit:
    """A weighted outcome regression on the matched sample, averaged over the matched rows of the target."""
    weights = made.design.weights
    rows = np.where(made.target & (weights > 0), frame.unit_weights, 0.0)
    interact = bool(getattr(options, "interact", False))
    model = weighted_model(frame, options, weights)
    part = Part("weighted", interact)
    outcomes = Surface(model, frame, part, options, base=rows).potential()
    strained = strained_notes(outcomes.answer(Query()), model, frame.design(part).recipe, frame.the_treatment.name)
    design, base = made.design, outcomes
    if made.estimator is not None:
        outcomes = made.estimator(outcomes)
    if outcomes is base and made.without is not None:
        design = replace(design, vcov=made.without[0], because=made.without[1])
    return Fit(
        answer=outcomes.answer(Query()),
        estimand=str(options.estimand),
        design=design,
        method=f"{made.words}; {outcome_words(model)}" if made.regressed else made.words,
        outcomes=outcomes,
        models={**({"outcome": Fitted(model, part)} if made.regressed else {}), **made.models},
        notes=(
            *made.notes,
            *thin_arms(frame, weights, held=True),
            *model.notes,
            *dropped_terms(model),
            *strained,
            *idle_interact(frame, interact),
        ),
        designed=made,
    )


def outcome_words(model: FittedRegression) -> str:
    """How the print names the outcome model of a weighted sample."""
    return f"weighted outcome regression ({model_word(model.family, model)})"


def weighted_model(frame: ModelFrame, options: Options, weights: Array) -> FittedRegression:
    """The outcome model of a weighted sample."""
    part = Part("weighted", bool(getattr(options, "interact", False)))
    return fit_outcome(frame, part, read_family(options.family), frame.unit_weights * weights)
