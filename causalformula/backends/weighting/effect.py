"""The weighted outcome regression that every weighting method ends in, standardised over the target population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.distance import refuse_single_rows, thin_arms
from causalformula.backends.entangled import strained_notes
from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.fit import Fit, Fitted, Query
from causalformula.backends.options import Options
from causalformula.backends.outcome_model import fit_outcome, idle_interact, model_word
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.standardize import Surface
from causalformula.backends.target import target_weights
from causalformula.backends.weighting.weights import Weighting, WeightingOptions
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import family as read_family


def weighted_fit(frame: ModelFrame, weighting: Weighting, options: WeightingOptions) -> Fit:
    """Fit the outcome model to the weighted sample and average its predictions over the target population.

    The outcome scores ``s_i w_i r_i x_i`` move with the weights' parameters, so their derivative
    ``sum_i s_i r_i x_i (d w_i / d theta)'`` chains the stages; inference uses the normal distribution.
    """
    family = read_family(options.family)
    part = Part("weighted", options.interact)
    s = frame.unit_weights
    refuse_single_rows(frame, weighting.weights)
    model = fit_outcome(frame, part, family, s * weighting.weights)
    hat = replace(model.hat, least_squares=False)
    model = replace(model, hat=hat, earlier=weighting.stages, cross=moved_scores(model, s, weighting.dw))
    base, moving = weighted_target(frame, weighting, options)
    potential = Surface(model, frame, part, options, base=base, moving=moving).potential()
    answer, recipe = potential.answer(Query()), frame.design(part).recipe
    return Fit(
        answer=answer,
        estimand=str(options.estimand),
        design=weighting.design,
        method=f"{weighting.words}; weighted outcome regression ({model_word(family, model)})",
        outcomes=potential,
        models={"outcome": Fitted(model, part), **weighting.models},
        notes=(
            *weighting.notes,
            *thin_arms(frame, weighting.weights),
            *model.notes,
            *dropped_terms(model),
            *strained_notes(answer, model, recipe, frame.the_treatment.name),
            *idle_interact(frame, options.interact),
        ),
        caveats=weighting.caveats,
        given=weighting.given,
        designed=weighting,
        learned=weighting.learned,
        folds=weighting.folds,
    )


def moved_scores(model: FittedRegression, s: Array, dw: Mapping[str, Sensitivity]) -> dict[str, Array]:
    """Derivatives of the outcome scores in each stage's parameters."""
    residual = s * (model.hat.e if model.linear else model.y - model.mu)
    if not (model.linear or model.family.canonical):
        residual = residual * model.family.mu_eta(model.eta) / model.family.variance(model.mu)
    return {name: moves.against(model.hat.X, residual) for name, moves in dw.items()}


def weighted_target(
    frame: ModelFrame, weighting: Weighting, options: Options
) -> tuple[Array, Mapping[str, Sensitivity]]:
    """Weights of the target population, and their derivatives where they are estimated."""
    s = frame.unit_weights
    if ESTIMANDS[str(options.estimand)].tilted:
        return s * weighting.weights, {name: moves.scaled(s) for name, moves in weighting.dw.items()}
    base = target_weights(frame, options)
    return (base if weighting.kept is None else base * weighting.kept), {}
