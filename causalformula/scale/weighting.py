"""The weighted outcome regression that every weighting method ends in, by passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.distance import arm_sizes, single_row, thin_words
from causalformula.backends.entangled import strained_notes
from causalformula.backends.fit import Answer, DesignWeights, Fit, Fitted, Query
from causalformula.backends.outcome_model import idle_interact, model_word
from causalformula.backends.weighting.effect import moved_scores
from causalformula.backends.weighting.weights import WeightingOptions
from causalformula.errors import DataError, counted
from causalformula.frame.parts import Part
from causalformula.inference.away import away
from causalformula.inference.stage import Stage
from causalformula.numerics.families import Family
from causalformula.numerics.families import family as read_family
from causalformula.scale.averages import Weigh, WholeMeans, no_means, weighting_of
from causalformula.scale.blocks.regression import Reader, Rows
from causalformula.scale.estimators.regression import fit_outcome, whole_model
from causalformula.scale.regression import Fitted as FittedElsewhere
from causalformula.scale.sums import Sums
from causalformula.scale.whole import WholeFrame


@dataclass(frozen=True, eq=False)
class WholeWeighting:
    """Weights of rows that are elsewhere; see ``backends.weighting.weights.Weighting``.

    Parameters
    ----------
    weigh : Weigh
        The weighting of a chunk's rows.
    design : DesignWeights
    words : str
    notes, caveats, given : tuple of str
    models : mapping of str to Fitted
    rows : int
        Rows with weight, sampling weights included.
    held : bool
        Whether it is a design of strata, which is held fixed.
    """

    weigh: Weigh
    design: DesignWeights
    words: str
    notes: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    models: Mapping[str, Fitted] = field(default_factory=dict)
    rows: int = 0
    held: bool = False


@dataclass(frozen=True)
class WeightedRows:
    """Reads the outcome model of a weighted sample."""

    part: Part
    family: Family
    weigh: Weigh

    def __call__(self, frame: Any) -> Rows:
        """Of a chunk."""
        weights = frame.unit_weights * weighting_of(self.weigh, frame).weights
        return Rows(frame.design(self.part).X, frame.outcome_for(self.family), weights, frame.offset)


@dataclass(frozen=True, eq=False)
class Carried:
    """Who carries the weight: sums of ``arm_sizes``, rows of each arm with weight, and infinite weights."""

    weigh: Weigh
    held: bool = False

    def __call__(self, frame: Any) -> Sums:
        """Of a chunk."""
        w, s = weighting_of(self.weigh, frame).weights, frame.unit_weights
        bad = ~np.isfinite(w) & (s > 0)
        used = np.where(bad, 0.0, w)
        rows = np.bincount(frame.the_treatment.codes, s * used > 0, len(frame.the_treatment.levels))
        return Sums({"sizes": arm_sizes(frame, used, self.held), "rows": rows, "infinite": int(bad.sum())})


def carried(frame: WholeFrame, weigh: Weigh, *, held: bool = False) -> tuple[int, tuple[str, ...]]:
    """Rows with weight, and notes on arms whose weight few of them carry.

    Raises
    ------
    DataError
        Where one row has all the weight of an arm, or weights are infinite.
    """
    treatment = frame.the_treatment
    sums: Sums = frame.passes.total(Carried(weigh, held))
    if sums["infinite"]:
        count = sums["infinite"]
        raise DataError(
            f"{counted(count, 'row')} {'has' if count == 1 else 'have'} a propensity of 0 for the level of "
            f"{treatment.name!r} that {'it has' if count == 1 else 'they have'}, and with it an infinite weight; leave "
            "them out with discard=(0.01, 0.99), or choose estimand='ATO'"
        )
    for level, rows in zip(treatment.levels, sums["rows"], strict=True):
        if rows == 1 and not held and frame.counts is None:
            raise single_row(f"{treatment.name} = {level}")
    return int(sums["rows"].sum()), thin_words(frame, sums["sizes"])


@dataclass(frozen=True, eq=False)
class _Cross:
    """Derivatives of the outcome model's scores in the parameters of the weights."""

    fitted: FittedElsewhere
    read: Reader
    weigh: Weigh

    def __call__(self, frame: Any) -> Sums:
        model = self.fitted.at(self.read(frame))
        return Sums(moved_scores(model, frame.unit_weights, weighting_of(self.weigh, frame).dw))


def stages_elsewhere(frame: WholeFrame, weigh: Weigh) -> tuple[Stage, ...]:
    """The equations of the weights, their rows away."""
    rows = away(frame.passes.words)
    return tuple(without_rows(stage, rows) for stage in weighting_of(weigh, frame.passes.plan.prototype).stages)


def without_rows(stage: Stage, rows: Any) -> Stage:
    """A stage whose arrays of rows are away."""
    hat = None if stage.hat is None else replace(stage.hat, X=rows, w=rows, e=rows, h=None, target=None)
    return replace(stage, scores=None if stage.scores is None else rows, hat=hat)


def weighted_fit(frame: WholeFrame, made: WholeWeighting, options: WeightingOptions) -> Fit:
    """Fit the outcome model to the weighted rows, and average its predictions over the target population.

    See ``backends.weighting.effect``.
    """
    family, part, weigh = read_family(options.family), Part("weighted", options.interact), made.weigh
    rows, thin = carried(frame, weigh, held=made.held)
    made = replace(made, rows=rows)
    fitted, read = fit_outcome(frame, part, family, WeightedRows(part, family, weigh))
    stages = stages_elsewhere(frame, weigh)
    cross = dict(frame.passes.total(_Cross(fitted, read, weigh)).added) if stages else {}
    hat = fitted.record.hat if made.held else replace(fitted.record.hat, least_squares=False)
    fitted = replace(fitted, record=replace(fitted.record, hat=hat, earlier=stages, cross=cross))
    model = whole_model(frame.passes, fitted, read, weigh)
    potential = WholeMeans(
        frame,
        options,
        no_means,
        binomial=family.name in ("binomial", "quasibinomial"),
        origin=model.origin,
        fitted=fitted,
        read=read,
        part=part,
        weigh=weigh,
    )
    answer = potential.answer(Query())
    shape = Answer(replace(answer.estimate, evidence=answer.estimate.evidence.shape), answer.labels)  # type: ignore[union-attr]
    return Fit(
        answer=answer,
        estimand=str(options.estimand),
        design=made.design,
        method=f"{made.words}; weighted outcome regression ({model_word(family, model)})",
        outcomes=potential,
        models={"outcome": Fitted(model, part), **made.models},
        notes=(
            *made.notes,
            *thin,
            *model.notes,
            *dropped_terms(model),
            *strained_notes(shape, model, frame.design(part).recipe, frame.the_treatment.name),
            *idle_interact(frame, options.interact),
        ),
        caveats=made.caveats,
        given=made.given,
        designed=made,
    )
