"""Propensity scores that weights are made of: modelled, learned, or given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.backends.learning.notes import learning_notes
from causalformula.backends.learning.propensity import learned_propensity
from causalformula.backends.learning.table import Features, Learner, features
from causalformula.backends.propensity import Propensity, Regressors, binary_propensity, multinomial_propensity
from causalformula.backends.weighting.options import IPW
from causalformula.errors import DataError, OptionError, some
from causalformula.frame.design_matrix import DesignMatrix
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Codes
from causalformula.numerics.centring import first_column


def found_scores(frame: ModelFrame, options: IPW) -> tuple[Propensity, str]:
    """Probabilities of the arms, and how they were found."""
    binary = frame.the_treatment.kind is Kind.BINARY
    if options.ps is not None:
        given = (
            "ps= gives the propensity scores, so propensity(...) models nothing; adjust(...) names what balance() shows"
        )
        frame.refuse_roles(("propensity",), given)
        words = f"inverse probability weighting (propensity scores in {options.ps!r})"
        return given_propensity(frame, options.ps), words
    if options.learner is not None:
        return _learned(frame, options, options.learner)
    design = propensity_design(frame, options.by)
    words = model_words(frame, options)
    return (binary_propensity(frame, options.link, design) if binary else multinomial_propensity(frame, design)), words


def model_words(frame: ModelFrame, options: IPW) -> str:
    """How the scores are modelled, for the print.

    Raises
    ------
    OptionError
        For a link of several levels.
    """
    within = "" if options.by is None else f" by {options.by}"
    if frame.the_treatment.kind is Kind.BINARY:
        return f"inverse probability weighting ({options.link}{within})"
    if options.link != "logit":
        raise OptionError(f"link={options.link!r} is for a binary treatment; several levels use the multinomial logit")
    return f"inverse probability weighting (multinomial logit{within})"


def _learned(frame: ModelFrame, options: IPW, learner: Learner) -> tuple[Propensity, str]:
    """Cross-fitted probabilities, which have no equations."""
    option = "treatment_model" if options.model is None else "model"
    learned, folds = learned_propensity(
        frame, learner, options.folds, options.seed, option, _features(frame, options.by)
    )
    P = learned.predictions[:, 0]
    note = (
        f"the weights come from {learner.name}, which has no estimating equations: standard errors treat them as given"
    )
    notes = learning_notes([learned], folds)
    found = Propensity(P, None, np.empty((frame.n, 0)), notes=notes, caveats=(note,), learned=learned, folds=folds)
    return found, f"inverse probability weighting ({learner.name}, {_folds_text(options.folds)})"


def _features(frame: ModelFrame, by: str | None) -> Features:
    """What the scores are learned from; with ``by``, the covariates of each of its levels as columns of their own."""
    found = features(frame, PROPENSITY)
    if by is None:
        return found
    design, coded = propensity_design(frame, by), frame.groups(by).codes.astype(float)
    return Features(design.X, design.names, np.column_stack([found.coded, coded]), np.append(found.categories, True))


def _folds_text(folds: int) -> str:
    return f"cross-fitted in {folds} folds" if folds > 1 else "not cross-fitted"


def propensity_design(frame: ModelFrame, by: str | None) -> Regressors:
    """Regressors of the treatment model; with ``by``, a set of them a level."""
    design = frame.design(PROPENSITY)
    if by is None:
        return Regressors(design.X, design.names, first_column(design.X, design.intercept))
    groups = frame.groups(by)
    return within_levels(design, by, groups.levels, groups.codes)


def within_levels(design: DesignMatrix, by: str, levels: Sequence[str], codes: Codes) -> Regressors:
    """A set of the regressors for each level of a column."""
    X = np.hstack([design.X * (codes == k)[:, None] for k in range(len(levels))])
    names = tuple(f"{by}={level}: {name}" for level in levels for name in design.names)
    anchors = np.repeat(np.arange(len(levels)) * len(design.names), len(design.names))
    return Regressors(X, names, anchors if design.intercept else None)


def given_propensity(frame: ModelFrame, name: str) -> Propensity:
    """A column of propensity scores.

    Raises
    ------
    DataError
        If they are no numbers between 0 and 1.
    """
    if frame.the_treatment.kind is not Kind.BINARY:
        raise OptionError("ps= is for a binary treatment")
    p = frame.numbers(name)
    bad = ~((p >= 0) & (p <= 1))
    if bad.any():
        rows = some(frame.index[bad])
        raise DataError(f"propensity scores must lie between 0 and 1; {name!r} does not in rows {rows}")
    note = "standard errors treat the given propensity scores as known"
    return Propensity(np.column_stack([1 - p, p]), None, np.empty((len(p), 0)), caveats=(note,))
