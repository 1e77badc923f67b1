"""The outcome model of any method: least squares or a polished GLM on one of the frame's designs."""

from __future__ import annotations

from dataclasses import replace

from causalformula.frame.design_matrix import DesignMatrix
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.absorbing import fit_absorbed
from causalformula.inference.absorbing_glm import fit_absorbed_glm
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array
from causalformula.numerics.centring import first_column
from causalformula.numerics.families import KINDS, Family

# R's warning of weights that are no numbers of trials, which sampling weights and weights of a design are not.
NON_INTEGER = "non-integer"


def fit_outcome(frame: ModelFrame, part: object, family: Family, weights: Array | None) -> FittedRegression:
    """The outcome model on one of the frame's designs, by least squares or a polished GLM."""
    design = frame.design(part)
    y = frame.outcome_for(family)
    if frame.effects:
        return _beside_effects(frame, design, y, family, weights)
    if family.name == "gaussian" and family.link_name == "identity":
        return fit_linear(
            design.X,
            y,
            design.names,
            weights=weights,
            offset=frame.offset,
            intercept=design.intercept,
            anchors=first_column(design.X, design.intercept),
        )
    model = fit_glm(
        design.X,
        y,
        design.names,
        family,
        weights=weights,
        offset=frame.offset,
        intercept=design.intercept,
        to_zero=True,
        anchors=first_column(design.X, design.intercept),
    )
    if weights is None:
        return model
    return replace(model, notes=tuple(note for note in model.notes if NON_INTEGER not in note))


def _beside_effects(
    frame: ModelFrame, design: DesignMatrix, y: Array, family: Family, weights: Array | None
) -> FittedRegression:
    """The outcome model beside absorbed effects."""
    effects, names = [one.effect() for one in frame.effects], [one.name for one in frame.effects]
    X, called, offset = design.X, design.names, frame.offset
    if family.name == "gaussian" and family.link_name == "identity":
        return fit_absorbed(X, y, called, effects, names, weights=weights, offset=offset, centre=True)
    return fit_absorbed_glm(X, y, called, family, effects, names, weights=weights, offset=offset, centre=True)


def idle_interact(frame: ModelFrame, interact: bool) -> tuple[str, ...]:
    """A note on ``interact=True`` where a weighted outcome model has no terms to cross."""
    if not interact or frame.has("outcome") or frame.has("modify"):
        return ()
    return (
        "interact=True has no effect: in a weighted sample adjust(...) stays out of the outcome model, and the formula "
        "has no outcome(...) whose terms the treatment could be crossed with",
    )


def model_word(family: Family, model: FittedRegression) -> str:
    """How the print names the outcome model: ``linear``, ``binomial``, ``binomial, probit link``."""
    link = "" if family.link_name == KINDS[family.name].link else f", {family.link_name} link"
    variance = "" if family.variance_name == KINDS[family.name].variance else f", variance {family.variance_name}"
    return "linear" if model.linear else f"{family.name}{link}{variance}"
