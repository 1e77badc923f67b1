"""A model's formula as text, its terms, and the model with some of its columns only."""

from __future__ import annotations

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import has_dot
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.reader import parse_absorbing
from causalformula.formula.language.syntax import Name
from causalformula.formula.language.wrap import wrapped
from causalformula.formula.matrix.terms import Terms
from causalformula.frame.bound import BoundRows
from causalformula.frame.regression_frame import RegressionFrame
from causalformula.frame.replay import Replay
from causalformula.inference.absorbing_glm import with_columns
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Codes
from causalformula.numerics.centring import first_column
from causalformula.numerics.families import KINDS, Family
from causalformula.results.models.core import ModelCore


def family_text(family: Family) -> str:
    """The family, with its link where that is not the usual one, and the variance of a quasi family."""
    kind = KINDS[family.name]
    usual = (family.link_name, family.variance_name) == (kind.link, kind.variance)
    return family.name if usual else str(family)


def right_side(replay: Replay) -> str:
    """The terms of a design, written out."""
    found = replay.recipe.terms
    pieces = [*found.term_labels, *(found.labels[i] for i in found.offsets)]
    pieces += [f"offset({deparse(node)})" for node in replay.offsets]
    start = [] if found.intercept and pieces else ["1" if found.intercept else "0"]
    return " + ".join(start + pieces)


def formula_text(model: ModelCore) -> str:
    """The model's formula as R would write it."""
    frame = model.frame
    if isinstance(frame, RegressionFrame):
        left, right, _ = parse_absorbing(frame.text, tuple(frame.replay.recipe.env or ()))
        if not has_dot(right):
            start = "" if left is None else deparse(left, exact=True)
            return f"{start} ~ {deparse(right, exact=True)}{absorbed_text(frame)}"
    columns = " + ".join(name for name in model.names if name != "(Intercept)")
    right = right_side(model.replay) if model.replay is not None else columns or "1"
    return f"{model.outcome_name} ~ {right}{absorbed_text(frame)}"


def absorbed_text(frame: BoundRows) -> str:
    """The effects that are absorbed, behind fixest's bar; empty where there are none."""
    return f" | {' + '.join(str(effect.term) for effect in frame.effects)}" if frame.effects else ""


def formula_lines(model: ModelCore) -> str:
    """The same over several lines, where R breaks it."""
    return wrapped(formula_text(model))


def response_text(model: ModelCore) -> str:
    """The outcome: a name alone has no backquotes in R's headings."""
    node = parse_expression(model.outcome_name)
    return node.id if isinstance(node, Name) else model.outcome_name


def model_terms(model: ModelCore) -> tuple[Terms, Codes]:
    """The model's terms, and the term of each column (0 the intercept)."""
    if model.replay is None:
        raise CapabilityError("this model's columns belong to no formula, so it has no terms; use cf.lm or cf.glm")
    recipe = model.replay.recipe
    return recipe.terms, np.asarray(recipe.assign, dtype=np.intp)


def refitted(model: ModelCore, columns: Codes, intercept: bool) -> FittedRegression:
    """The model with some of its columns only."""
    fit = model.regression
    if fit.absorbed is not None:
        return with_columns(fit, columns, fit.weights if fit.weighted else None)
    X, names = fit.X[:, columns], [fit.names[j] for j in columns]
    weights = fit.weights if fit.weighted else None
    anchors = None if fit.solved is None else first_column(X, intercept)
    if fit.linear:
        return fit_linear(X, fit.y, names, weights=weights, offset=fit.offset, intercept=intercept, anchors=anchors)
    return fit_glm(
        X, fit.y, names, fit.family, weights=weights, offset=fit.offset, intercept=intercept, anchors=anchors
    )
