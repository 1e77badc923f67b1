"""What methods with instruments share: their equation, its fit, and why there may be none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.fit import Fit, Fitted
from causalformula.backends.leave_one_out import instruments_of, refuse_held_fixed
from causalformula.backends.options import Options
from causalformula.backends.standardize import Surface
from causalformula.errors import IdentificationError, OptionError, counted, some
from causalformula.formula.expressions.values import Factor, Strings
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.inference.regression import FittedRegression
from causalformula.inference.structural import Equations, Instrumented, KClass, Weighting
from causalformula.inference.weighted_moments import fit_by
from causalformula.numerics.arrays import Array

PART, EXCLUDED = Part("outcome"), Part("iv")


def refuse_nonlinear(options: Options, name: str) -> None:
    """An ``OptionError`` for a family, or a measure, that linear equations do not have."""
    family = options.outcome_family
    if (family.name, family.link_name) != ("gaussian", "identity"):
        raise OptionError(
            f"method {name!r} has linear equations; leave family= out (a linear model of a 0/1 outcome estimates a "
            "difference in probabilities)"
        )
    if options.measure not in ("difference", "nnt"):
        raise OptionError(
            f"measure={options.measure!r} compares two means, and instruments identify their difference only"
        )


def equations(frame: ModelFrame) -> Equations:
    """The structural equation of a formula with its instruments.

    Raises
    ------
    OptionError
        For a formula without instruments.
    IdentificationError
        For an instrument that is adjusted for, too.
    """
    if not frame.has("iv"):
        raise OptionError("this method needs an instrument: iv(z) in the formula")
    design, excluded = frame.design(PART), frame.design(EXCLUDED)
    treatment = frame.the_treatment
    endogenous = design.at(treatment.name, treatment.column).columns
    Z, names, means = instruments_of(design, excluded, frame)
    exogenous = set(design.names) - {design.names[j] for j in endogenous}
    if both := [name for name in names if name in exogenous]:
        them = "it is" if len(both) == 1 else "they are"
        raise IdentificationError(
            f"{some(both)} in iv(...) is adjusted for as well, so {them} held fixed and can move nothing: an "
            "instrument reaches the outcome through the treatment alone. Leave it out of one of the two (where "
            "iv(z * w) crosses an instrument with an adjusted w, write iv(z + z:w))"
        )
    eq = Equations(
        design.X,
        _outcome(frame),
        design.names,
        Z,
        names,
        np.asarray(endogenous, dtype=np.intp),
        frame.weights,
        frame.offset,
        design.intercept,
        tuple(one.effect() for one in frame.effects),
        tuple(one.name for one in frame.effects),
        frame.counts,
        means,
    )
    refuse_held_fixed(eq)
    return eq.reweighted(frame.weights) if means else eq


def _outcome(frame: ModelFrame) -> Array:
    if frame.outcome is not None and isinstance(frame.outcome.value, (Factor, Strings)):
        raise OptionError(
            f"the outcome {frame.outcome.name!r} is a factor or text, and these equations are linear: recode it as "
            "numbers, 0 and 1 for two levels"
        )
    return frame.y


def fit_equation(frame: ModelFrame, rule: KClass | Weighting) -> FittedRegression:
    """The structural equation, fitted.

    Raises
    ------
    IdentificationError
        For too few instruments, or such as do not move the treatment.
    """
    eq = equations(frame)
    model = fit_by(eq, rule)
    _refuse_unidentified(frame, model.instrumented)
    if isinstance(rule, KClass) and rule.k is not None and np.linalg.eigvalsh(model.hat.bread).min() <= 0:
        raise OptionError(
            f"k={rule.k:g} is too large for these data: it takes from the treatment more than there is. k= goes from 0 "
            "for least squares past 1 for two-stage least squares to LIML's own, which is used without k="
        )
    return model


def _refuse_unidentified(frame: ModelFrame, used: Instrumented) -> None:
    eq, treated = used.equations, frame.the_treatment.name
    needed = [eq.names[j] for j in eq.endogenous]
    if len(used.kept) < len(needed):
        raise IdentificationError(
            f"the effect of {treated} is not identified: {_needs(needed)}, and {_count_words(used)}. "
            f"{_more(frame, needed)}"
        )
    if not used.moves:
        beside = " beside the fixed effects and the terms adjusted for" if eq.effects else (
            " beside the terms adjusted for" if len(eq.exogenous) > 1 else ""
        )  # fmt: skip
        raise IdentificationError(
            f"the effect of {treated} is not identified: {some(eq.instruments)} in iv(...) does not move "
            f"{some(needed) if len(needed) == 1 else f'all of {some(needed)}'}{beside} in these data, so there "
            "is no first stage. Name an instrument that does"
        )


def _needs(needed: Sequence[str]) -> str:
    if len(needed) == 1:
        return f"{needed[0]} needs an instrument"
    return f"{len(needed)} terms of the treatment ({some(needed)}) need as many instruments"


def _count_words(used: Instrumented) -> str:
    """How many instruments there are, and what became of the others."""
    gone = left_out(used)
    if not gone:
        return f"iv(...) has {counted(len(used.kept), 'column')} ({some(used.equations.instruments)})"
    return f"iv(...) has {len(used.kept)} that can be told apart: {'; '.join(gone)}"


def left_out(used: Instrumented) -> list[str]:
    """Instruments that say nothing beside the others, each with the reason."""
    names = used.equations.instruments
    gone = [j for j in range(len(names)) if j not in used.kept]
    empty = [names[j] for j in gone if j in used.empty]
    others = [names[j] for j in gone if j not in used.empty]
    told = []
    if empty:
        one, several = ("varies", "vary") if used.equations.effects else ("is", "are")
        why = "only with the fixed effects" if used.equations.effects else "zero in every row"
        told.append(f"{some(empty)} {one if len(empty) == 1 else several} {why}")
    if others:
        what = "is constant or a combination" if len(others) == 1 else "are constant or combinations"
        told.append(f"{some(others)} {what} of the terms adjusted for and of the instruments before")
    return told


def _more(frame: ModelFrame, needed: Sequence[str]) -> str:
    if frame.has("modify") and len(needed) > 1:
        return "Each product with a modifier is a term of its own: cross the instrument with it too, as in iv(z + z:w)"
    return "Add instruments to iv(...), or leave out of the other terms what holds these fixed"


def answered(frame: ModelFrame, options: Options, rule: KClass | Weighting, words: str) -> Fit:
    """The fit of the equation by an estimator, in words."""
    model = fit_equation(frame, rule)
    used = model.instrumented
    potential = Surface(model, frame, PART, options).potential()
    gone = left_out(used)
    told = (f"the first stage leaves out instruments: {'; '.join(gone)}",) if gone else ()
    if isinstance(rule, Weighting) and rule.steps != 1 and used.excess == 0:
        words += " of as many instruments as terms, which is two-stage least squares"
    notes = (*model.notes, *dropped_terms(model), *told)
    words += ", fixed effects absorbed" * bool(frame.effects)
    return Fit.of(potential, words, {"outcome": Fitted(model, PART)}, notes)


ROLES = ("treat", "adjust", "modify", "iv", "fe", "cluster", "weights", "offset")
UNREAD = {
    "outcome": "a term of the structural equation is an instrument for itself; write it in adjust(...)",
    "propensity": "instruments need no model of the treatment; write the term in adjust(...)",
}
FACE = "causalformula.results.families.instruments:IVResult"
