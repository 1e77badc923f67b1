"""Propensity models by passes: the probabilities of the rows of a chunk, and the equations behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.fit import Fitted as Behind
from causalformula.backends.propensity import (
    Propensity,
    Regressors,
    dropped_columns,
    levels_propensity,
    model_propensity,
)
from causalformula.backends.separation import Variable, overlap_words, scores_seen, seen
from causalformula.backends.weighting.scores import within_levels
from causalformula.errors import DataError
from causalformula.frame.parts import PROPENSITY
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import first_column
from causalformula.numerics.families import family as read_family
from causalformula.numerics.multinomial import Likelihood, climb, fitted_at
from causalformula.scale.blocks.regression import Columns, Rows
from causalformula.scale.equations import Model, generalised, linear
from causalformula.scale.estimators.regression import whole_model
from causalformula.scale.regression import Fitted
from causalformula.scale.sums import Sums
from causalformula.scale.whole import WholeFrame, WholeGroups

# The propensities of a chunk's rows.
Scores = Callable[[Any], Propensity]


@dataclass(frozen=True)
class TreatmentRows:
    """Reads the treatment model: whether a row is in the second arm, or in any arm but the first.

    Parameters
    ----------
    by : WholeGroups, optional
        Groups in which the model is fitted.
    """

    by: WholeGroups | None = None

    def regressors(self, frame: Any) -> Regressors:
        """Columns of the model on a frame's rows."""
        design = frame.design(PROPENSITY)
        if self.by is None:
            return Regressors(design.X, design.names, first_column(design.X, design.intercept))
        return within_levels(design, self.by.name, self.by.levels, self.by.of(frame))

    def __call__(self, frame: Any) -> Rows:
        """Of a chunk."""
        return Rows(self.regressors(frame).X, (frame.the_treatment.codes > 0).astype(float), frame.weights)


def treatment_model(frame: WholeFrame, read: TreatmentRows, weighted: bool) -> Model:
    """What is fitted."""
    like = frame.passes.plan.prototype
    columns = read.regressors(like)
    return Model(columns.names, read, True, weighted, False, columns.anchors, columns.X, 0.0)


@dataclass(frozen=True, eq=False)
class BinaryScores:
    """Probabilities of two arms, by a fitted model."""

    fitted: Fitted
    read: TreatmentRows
    link: str

    def __call__(self, frame: Any) -> Propensity:
        """Of a chunk."""
        return model_propensity(self.fitted.at(self.read(frame)), self.link)


@dataclass(frozen=True, eq=False)
class _Said:
    """What the print must know of fitted probabilities."""

    scores: Scores
    two: bool
    converged: bool

    def __call__(self, frame: Any) -> Sums:
        found = self.scores(frame)
        eta = found.model.eta if self.two and found.model is not None else None
        ends, extreme = scores_seen(frame, found.P, eta, self.converged)
        return Sums({"extreme": extreme}, {"ends": -ends})


@dataclass(frozen=True, eq=False)
class _Variables:
    """Where variables are when probabilities are extreme."""

    scores: Scores
    converged: bool

    def __call__(self, frame: Any) -> Seen:
        return Seen(seen(frame, self.scores(frame).P, self.converged))


@dataclass(frozen=True, eq=False)
class Seen:
    """Variables by label, which merge one by one."""

    variables: dict[str, Variable]

    def __add__(self, other: Seen) -> Seen:
        return Seen({name: each + other.variables[name] for name, each in self.variables.items()})


def overlap_notes(frame: WholeFrame, scores: Scores, converged: bool) -> tuple[str, ...]:
    """See ``backends.separation.overlap_notes``."""
    passes, two = frame.passes, len(frame.the_treatment.levels) == 2
    said: Sums = passes.total(_Said(scores, two, converged))

    def look() -> dict[str, Variable]:
        return passes.total(_Variables(scores, converged)).variables

    return overlap_words(frame, -said["ends"], said["extreme"], converged, look)


def binary_scores(
    frame: WholeFrame, link: str, by: WholeGroups | None = None
) -> tuple[BinaryScores, dict[str, Behind], tuple[str, ...]]:
    """The model of two arms: probabilities, what stands behind the fit, and notes."""
    read = TreatmentRows(by)
    model = treatment_model(frame, read, frame.weights is not None)
    fitted = generalised(frame.passes, model, read_family("binomial", link), to_zero=True)
    scores = BinaryScores(fitted, read, link)
    record = whole_model(frame.passes, fitted, read)
    notes = (*overlap_notes(frame, scores, record.converged), *dropped_terms(record, "propensity model"))
    return scores, {"propensity": Behind(record, PROPENSITY)}, notes


# -- several arms ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LevelScores:
    """Probabilities of several arms, by multinomial logit.

    Parameters
    ----------
    read : TreatmentRows
    columns : Columns
        How they are moved.
    kept : ndarray (r,) of int
    coef : ndarray (K - 1, r)
    information : ndarray
        Of all rows.
    converged : bool
    """

    read: TreatmentRows
    columns: Columns
    kept: Codes
    coef: Array
    information: Array
    converged: bool

    def __call__(self, frame: Any) -> Propensity:
        """Of a chunk."""
        found, treatment = self.read.regressors(frame), frame.the_treatment
        X = self.columns.apply(found.X)
        fit = fitted_at(
            X[:, self.kept], self.coef, self.kept, treatment.codes, frame.unit_weights, self.converged, self.information
        )
        return levels_propensity(fit, X, found.names, treatment.levels)


@dataclass(frozen=True, eq=False)
class _Climbed:
    """The likelihood of several arms at a point."""

    read: TreatmentRows
    columns: Columns
    kept: Codes
    scale: Array
    coef: Array

    def __call__(self, frame: Any) -> Likelihood:
        Z = self.columns.apply(self.read.regressors(frame).X)[:, self.kept] / self.scale
        return Likelihood.of(Z, self.coef, frame.the_treatment.codes, frame.unit_weights)


def level_scores(
    frame: WholeFrame, by: WholeGroups | None = None
) -> tuple[LevelScores, dict[str, Behind], tuple[str, ...]]:
    """The model of several arms; see ``binary_scores``."""
    passes, read, treatment = frame.passes, TreatmentRows(by), frame.the_treatment
    model = treatment_model(frame, read, frame.weights is not None)
    # what a regression says of the same columns: which are kept, how they are moved, how long they are
    first = linear(passes, model)
    kept, total = first.record.kept, float(first.record.whole["weight"])
    scale = first.record.lengths[kept] / np.sqrt(total)
    start = np.zeros((len(treatment.levels) - 1, len(kept)))
    columns = first.columns
    coef, converged = climb(lambda at: passes.total(_Climbed(read, columns, kept, scale, at)), start, total)
    coef = coef / scale
    one = np.ones(len(kept))
    information = passes.total(_Climbed(read, columns, kept, one, coef)).information
    scores = LevelScores(read, columns, kept, coef, information, converged)
    notes = (*overlap_notes(frame, scores, converged), *dropped_columns(model.names, kept))
    return scores, {}, notes


# -- given scores ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GivenScores:
    """A column of propensity scores."""

    name: str

    def __call__(self, frame: Any) -> Propensity:
        """Of a chunk."""
        p = np.asarray(frame.table.named(self.name), dtype=float)[frame.rows]
        bad = int((~((p >= 0) & (p <= 1))).sum())
        if bad:
            raise DataError(f"propensity scores must lie between 0 and 1; {self.name!r} does not in {bad} rows")
        note = "standard errors treat the given propensity scores as known"
        return Propensity(np.column_stack([1 - p, p]), None, np.empty((len(p), 0)), caveats=(note,))
