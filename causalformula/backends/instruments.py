"""Instrumental variables: two-stage least squares, LIML, Fuller's estimator and the k-class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.estimands import LATE
from causalformula.backends.fit import Fit, Fitted
from causalformula.backends.leave_one_out import instruments_of, refuse_held_fixed
from causalformula.backends.options import Options, is_number, shown
from causalformula.backends.registry import Record
from causalformula.backends.standardize import Surface
from causalformula.errors import IdentificationError, OptionError, counted, some
from causalformula.formula.expressions.values import Factor, Strings
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.frame.treatment import Kind
from causalformula.inference.instrumented import fit_instrumented
from causalformula.inference.regression import FittedRegression
from causalformula.inference.structural import TWO_STAGES, Equations, Instrumented, KClass
from causalformula.numerics.arrays import Array

PART, EXCLUDED = Part("outcome"), Part("iv")
# Instruments that explain a smaller share of a treatment than this explain none of it.
UNMOVED = 1e-12


def _linear(options: Options, name: str) -> None:
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


@dataclass(frozen=True, kw_only=True)
class IV(Options):
    """Options of ``method="iv"``, two-stage least squares.

    Parameters
    ----------
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``; the equations are linear.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _linear(self, "iv")


@dataclass(frozen=True, kw_only=True)
class LIML(Options):
    """Options of ``method="liml"``.

    Parameters
    ----------
    fuller : float
        What LIML's k is lowered by, over the rows less the instruments: 1 is nearly unbiased, 4 has the least mean
        squared error (Fuller 1977). 0 is LIML.
    k : float, optional
        A k of one's own: 0 for least squares, 1 for two-stage least squares.
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``; the equations are linear.
    """

    fuller: float = 0.0
    k: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _linear(self, "liml")
        if not is_number(self.fuller) or self.fuller < 0:
            raise OptionError(f"fuller={shown(self.fuller)}: a number from 0, as 1 or 4; 0 is LIML itself")
        if self.k is not None and not is_number(self.k):
            raise OptionError(f"k={shown(self.k)}: a number, as 1 for two-stage least squares")
        if self.k is not None and self.fuller:
            raise OptionError("fuller= lowers LIML's own k; give it or k=, not both")

    @property
    def words(self) -> str:
        """The estimator, for the print."""
        if self.k is not None:
            return f"k-class (k = {self.k:g})"
        return f"Fuller's estimator ({self.fuller:g})" if self.fuller else "limited information maximum likelihood"


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


def fit_equation(frame: ModelFrame, rule: KClass) -> FittedRegression:
    """The structural equation, fitted.

    Raises
    ------
    IdentificationError
        For too few instruments, or such as do not move the treatment.
    """
    eq = equations(frame)
    model = fit_instrumented(eq, rule)
    _refuse_unidentified(frame, model.instrumented)
    if rule.k is not None and np.linalg.eigvalsh(model.hat.bread).min() <= 0:
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
    if used.strength <= UNMOVED:
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


def _answered(frame: ModelFrame, options: Options, rule: KClass, words: str) -> Fit:
    model = fit_equation(frame, rule)
    used = model.instrumented
    potential = Surface(model, frame, PART, options).potential()
    gone = left_out(used)
    told = (f"the first stage leaves out instruments: {'; '.join(gone)}",) if gone else ()
    notes = (*model.notes, *dropped_terms(model), *told)
    words += ", fixed effects absorbed" * bool(frame.effects)
    return Fit.of(potential, words, {"outcome": Fitted(model, PART)}, notes)


ROLES = ("treat", "adjust", "modify", "iv", "fe", "cluster", "weights", "offset")
UNREAD = {
    "outcome": "a term of the structural equation is an instrument for itself; write it in adjust(...)",
    "propensity": "instruments need no model of the treatment; write the term in adjust(...)",
}
EXEMPT = {
    "singleton_clusters": "leverages of HC2 and HC3 are AER's, by which a response moves its fitted value; those of "
    "CR2 and CR3 are the projected regressors'",
}
FACE = "causalformula.results.families.instruments:IVResult"


@Record(
    name="iv",
    options=IV,
    aliases=("2sls", "tsls"),
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(LATE,),
    default_vcov="classical",
    weighted_vcov="linearised",
    roles=ROLES,
    required=("iv",),
    unread=UNREAD,
    default_for=("iv",),
    face=FACE,
    r="AER::ivreg(y ~ a + x | z + x)",
    summary="instruments: two-stage least squares",
    title="Two-stage least squares",
    exempt=EXEMPT,
)
def iv(frame: ModelFrame, options: IV) -> Fit:
    """Effect of a treatment by two-stage least squares.

    Solves ``X^' W (y - X b) = 0`` with ``X^ = P_Z X``: the part of the treatment that instruments and covariates
    predict. Identified when the instruments reach the outcome through the treatment alone, given the covariates, share
    no cause with it, and move the treatment; the effect is then that of all, if it is the same for all, or an average
    over those whom the instruments move, if these move nobody the other way.

    ``iv(loo(judge))`` is the leniency of who decides: the mean of the treatment in the other rows of the judge, with
    their weights, standard errors clustered by judge. Without covariates this is the jackknife estimator with judges'
    dummies (JIVE1). With covariates or absorbed effects, as court by year, the treatment is first regressed on these,
    and the residuals are averaged without the row's own (Dobbie, Goldin and Yang 2018); ``loo(judge, raw = TRUE)``
    averages the treatment as it is. Either way a row's own treatment stays in the mean of its court and year, which
    matters where few rows share one. Rows of judges without another case are left out and counted.

    Parameters
    ----------
    frame : ModelFrame
    options : IV

    Returns
    -------
    Fit

    Raises
    ------
    IdentificationError
        If there are too few instruments, or they do not move the treatment.

    References
    ----------
    Theil (1953); Imbens and Angrist (1994); Angrist, Imbens and Krueger (1999) for JIVE1; Kolesár, Chetty, Friedman,
    Glaeser and Imbens (2015) for many instruments. R: ``AER::ivreg`` 1.2.
    """
    return _answered(frame, options, TWO_STAGES, "two-stage least squares")


@Record(
    name="liml",
    options=LIML,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(LATE,),
    default_vcov="classical",
    weighted_vcov="linearised",
    roles=ROLES,
    required=("iv",),
    unread=UNREAD,
    face=FACE,
    r="ivmodel::LIML()",
    summary="instruments: LIML, Fuller's estimator and the k-class",
    title="LIML",
    exempt=EXEMPT,
)
def liml(frame: ModelFrame, options: LIML) -> Fit:
    """Effect of a treatment by limited information maximum likelihood, or another member of the k-class.

    Solves ``(X - k M_Z X)' W (y - X b) = 0``; LIML's k is the smallest root of ``|Y' M_X Y - k Y' M_Z Y| = 0``, with
    Y the outcome beside the treatment. Identified as two-stage least squares is; with many or weak instruments its
    median is nearer to the truth, and its tails are heavier.

    Parameters
    ----------
    frame : ModelFrame
    options : LIML

    Returns
    -------
    Fit

    Raises
    ------
    IdentificationError
        If there are too few instruments, or they do not move the treatment.

    References
    ----------
    Anderson and Rubin (1949); Fuller (1977). R: ``ivmodel::LIML``, ``ivmodel::Fuller``.
    """
    rule = KClass(options.k, options.fuller, int(frame.sampled.sum()))
    return _answered(frame, options, rule, options.words)
