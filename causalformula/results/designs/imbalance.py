"""What a design left out of balance, in words: which covariate, by how much, and what may help."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.backends.estimands import ATE
from causalformula.backends.fit import DesignWeights
from causalformula.backends.options import Options
from causalformula.backends.registry import Record
from causalformula.diagnostics.balance import Sample, default_denominator
from causalformula.diagnostics.balance_plan import THRESHOLD
from causalformula.diagnostics.covariates import Covariate, covariates
from causalformula.diagnostics.imbalance import Imbalance, imbalance
from causalformula.errors import some
from causalformula.formula.language.grammar import variables
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY, Part
from causalformula.frame.treatment import Kind
from causalformula.results.text.numbers import format_each

# Roles of the outcome model of a weighted sample, which adjusts for what weights leave.
ADJUSTING = Part("weighted").record.roles
# Said of effects on everyone only: the ATO is another population.
OVERLAP = ", estimand='ATO' where the arms hardly overlap"
DOSE = "method='ebal' brings correlations with the dose to zero, and outcome({x}) adjusts for what is left"


def sample_from(frame: ModelFrame, options: Options, made: DesignWeights) -> Sample:
    """Rows, arms and weights that a balance table compares."""
    treatment, w = frame.the_treatment, made.weights
    weights = None if bool((w == 1).all()) else w
    if treatment.kind is Kind.CONTINUOUS:
        return Sample({}, treatment.values, frame.unit_weights, weights)
    arms = {level: treatment.codes == k for k, level in enumerate(treatment.levels)}
    level = None if options.focal is None else treatment.levels[treatment.index(options.focal)]
    return Sample(arms, None, frame.unit_weights, weights, level)


def worst_imbalance(
    columns: Sequence[Covariate], frame: ModelFrame, options: Options, made: DesignWeights, estimand: str
) -> tuple[Covariate | None, float]:
    """The covariate that a design leaves the furthest out of balance, and by how much; None without covariates."""
    dose = frame.the_treatment.kind is Kind.CONTINUOUS
    sample = sample_from(frame, options, made)
    found = imbalance(columns, sample, default_denominator(estimand, dose), threshold=0.0)
    return (found.covariates[0], float(found.values[0])) if len(found.values) else (None, np.nan)


def imbalance_notes(frame: ModelFrame, options: Options, record: Record, made: DesignWeights) -> tuple[str, ...]:
    """A note where the worst covariate stays beyond the threshold of the balance table; none otherwise.

    Covariates for which the outcome model adjusts are named too, and that it does.
    """
    if frame.treatment is None:
        return ()
    dose = frame.treatment.kind is Kind.CONTINUOUS
    sample = sample_from(frame, options, made)
    found = imbalance(covariates(frame), sample, default_denominator(str(options.estimand), dose))
    return imbalance_words(found, frame, options, record)


def imbalance_words(found: Imbalance, frame: ModelFrame, options: Options, record: Record) -> tuple[str, ...]:
    """The note on covariates beyond the threshold; none where there is none."""
    if not len(found.values):
        return ()
    adjusted = [_adjusted(frame, covariate) for covariate in found.covariates]
    return (_text(found, frame, record, options, adjusted),)


def _text(found: Imbalance, frame: ModelFrame, record: Record, options: Options, adjusted: Sequence[bool]) -> str:
    worst, value = found.covariates[0], format_each(found.values[:1], 2)[0]
    others = len(found.values) - 1
    more = f", and {others} other covariate{'' if others == 1 else 's'}" if others else ""
    text = f"not balanced (beyond {THRESHOLD:g}): {worst.name}, {measured_by(frame, worst)} {value}{more}"
    if all(adjusted):
        return f"{text}; the outcome model adjusts for {'it' if not others else 'all of them'}, if it is right"
    if any(adjusted):
        left = some([c.name for c, there in zip(found.covariates, adjusted, strict=True) if not there], 3)
        text += f"; the outcome model does not adjust for {left}"
    first = next(c for c, there in zip(found.covariates, adjusted, strict=True) if not there)
    return f"{text}. {_help(frame, record, options, first)}"


def _help(frame: ModelFrame, record: Record, options: Options, covariate: Covariate) -> str:
    """What may help: the options' advice, or the method's."""
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        return DOSE.replace("{x}", covariate.source)
    text = record.rebalance
    if not isinstance(text, str):
        column = next(name for names in _columns(frame, covariate) for name in names if name in frame.table)
        text = text(options, column, isinstance(frame.table.named(column), np.ndarray))
    text = text if str(options.estimand) == ATE else text.replace(OVERLAP, "")
    return text.replace("{x}", covariate.source)


def measured_by(frame: ModelFrame, covariate: Covariate) -> str:
    """How far arms are apart in a covariate, in words."""
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        return "correlation with the dose"
    return "difference in proportions" if covariate.binary else "standardised mean difference"


def _adjusted(frame: ModelFrame, covariate: Covariate) -> bool:
    """Whether every variable of a covariate stands in the outcome model."""
    inside = {name for role in ADJUSTING if role in frame.bodies for name in variables(frame.bodies[role])}
    return all(names and set(names) <= inside for names in _columns(frame, covariate))


def _columns(frame: ModelFrame, covariate: Covariate) -> list[tuple[str, ...]]:
    """Columns of the data that each variable of a covariate is made of; none for a variable that is not the model's."""
    terms = frame.design(PROPENSITY).recipe.terms
    nodes = dict(zip(terms.labels, terms.variables, strict=True))
    labels = covariate.source.split(" * ")
    return [tuple(variables(nodes[label])) if label in nodes else () for label in labels]
