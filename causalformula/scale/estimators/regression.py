"""Outcome regression and g-computation by passes, and the plain regressions of ``lm`` and ``glm``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.entangled import strained_notes
from causalformula.backends.fit import Answer, DesignWeights, Fit, Query
from causalformula.backends.fit import Fitted as Behind
from causalformula.backends.outcome_model import NON_INTEGER, model_word
from causalformula.backends.regression import Regression
from causalformula.frame.parts import Part
from causalformula.frame.response import response
from causalformula.inference.away import away
from causalformula.numerics.centring import first_column
from causalformula.numerics.families import Family
from causalformula.numerics.families import family as read_family
from causalformula.scale.averages import Weigh, WholeMeans, coefficients, no_means
from causalformula.scale.blocks.regression import Reader, Rows
from causalformula.scale.equations import Model, generalised, linear
from causalformula.scale.passes import Passes
from causalformula.scale.regression import Fitted, Whole
from causalformula.scale.whole import WholeFrame, WholeRegression


@dataclass(frozen=True)
class OutcomeRows:
    """Reads the outcome model of a causal formula."""

    part: Part
    family: Family

    def __call__(self, frame: Any) -> Rows:
        """Of a chunk."""
        return Rows(frame.design(self.part).X, frame.outcome_for(self.family), frame.weights, frame.offset)


@dataclass(frozen=True)
class RegressionRows:
    """Reads a plain regression."""

    family: Family
    linear: bool

    def __call__(self, frame: Any) -> Rows:
        """Of a chunk."""
        if self.linear:
            return Rows(frame.X, frame.outcome.numeric(), frame.weights, frame.offset)
        found = response(frame, self.family)
        return Rows(frame.X, found.y, found.weights, frame.offset, found.mustart)


def is_linear(family: Family) -> bool:
    """Whether a family's outcome model is least squares."""
    return family.name == "gaussian" and family.link_name == "identity"


def fit_outcome(frame: WholeFrame, part: Part, family: Family, read: Reader | None = None) -> tuple[Fitted, Reader]:
    """The outcome model: least squares, or a generalised linear model with a zero score."""
    like = frame.passes.plan.prototype
    read = read or OutcomeRows(part, family)
    sample, design = read(like), frame.design(part)
    model = Model(
        design.names,
        read,
        design.intercept,
        sample.weights is not None,
        sample.offset is not None,
        first_column(design.X, design.intercept),
        design.X,
        float(sample.y[0]),
    )
    if is_linear(family):
        return linear(frame.passes, model), read
    found = generalised(frame.passes, model, family, to_zero=True)
    if sample.weights is None:
        return found, read
    notes = tuple(note for note in found.record.notes if NON_INTEGER not in note)
    return replace(found, record=replace(found.record, notes=notes)), read


def regression(frame: WholeFrame, options: Regression) -> Fit:
    """Average effect by outcome regression and standardisation; see ``backends.regression``.

    Parameters
    ----------
    frame : WholeFrame
    options : Regression

    Returns
    -------
    Fit
    """
    family = read_family(options.family)
    part = Part("outcome", options.interact)
    fitted, read = fit_outcome(frame, part, family)
    model = whole_model(frame.passes, fitted, read)
    potential = WholeMeans(
        frame,
        options,
        no_means,
        binomial=family.name in ("binomial", "quasibinomial"),
        slope=None,
        origin=model.origin,
        fitted=fitted,
        read=read,
        part=part,
    )
    answer = potential.answer(Query())
    shape = Answer(replace(answer.estimate, evidence=answer.estimate.evidence.shape), answer.labels)  # type: ignore[union-attr]
    strained = strained_notes(shape, model, frame.design(part).recipe, frame.the_treatment.name)
    return Fit(
        answer=answer,
        estimand=str(options.estimand),
        design=DesignWeights(away(frame.passes.words)),
        method=f"outcome regression ({model_word(family, model)})",
        outcomes=potential,
        models={"outcome": Behind(model, part)},
        notes=(*model.notes, *dropped_terms(model), *strained),
    )


def whole_model(passes: Passes, fitted: Fitted, read: Reader, weigh: Weigh | None = None) -> Whole:
    """The record of a fit, whose estimate has its evidence by passes."""
    return Whole.of(fitted.record, coefficients(passes, fitted, read, weigh))


def plain(frame: WholeRegression, family: Family | None, **passed: Any) -> Whole:
    """R's ``lm`` (without a family) or ``glm`` by passes."""
    fitted, read = plainly(frame, family, **passed)
    return whole_model(frame.passes, fitted, read)


def plainly(
    frame: WholeRegression,
    family: Family | None,
    *,
    epsilon: float = 1e-8,
    maxit: int = 25,
    to_zero: bool = False,
    start: Any = None,
) -> tuple[Fitted, Reader]:
    """The same, to a zero score with ``to_zero``, without what stands behind its estimate."""
    like = frame.passes.plan.prototype
    read = RegressionRows(family or read_family("gaussian"), family is None)
    sample = read(like)
    model = Model(
        frame.names,
        read,
        frame.intercept,
        sample.weights is not None,
        sample.offset is not None,
        None,
        np.asarray(sample.X),
        float(sample.y[0]),
    )
    if family is None:
        return linear(frame.passes, model), read
    found = generalised(frame.passes, model, family, epsilon=epsilon, maxit=maxit, to_zero=to_zero, start=start)
    return found, read
