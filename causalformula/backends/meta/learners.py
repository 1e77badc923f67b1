"""Meta-learners: from the learners of any regression to the effect for every unit."""

from __future__ import annotations

from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.fit import Fit
from causalformula.backends.meta.fitting import meta_fit
from causalformula.backends.meta.kinds import DR_LEARNER, R_LEARNER, S_LEARNER, T_LEARNER, X_LEARNER
from causalformula.backends.meta.options import DRLearner, RLearner, SLearner, TLearner, XLearner
from causalformula.backends.registry import MODELLED, Record
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind

_DRAWN = "the folds are drawn anew"
_HELD = "nuisances of other folds count as known, which the score's orthogonality allows"
EXEMPT = {
    "influence": _HELD,
    "integer_weights": f"a row and its copy may be in different folds; {_DRAWN}",
    "row_order": f"folds are dealt out by row; {_DRAWN}",
    "label_swap": f"folds are dealt out arm by arm; {_DRAWN}",
    "singleton_clusters": "no regression is the root, so there is no leverage to adjust by",
}
UNREAD = {"offset": "its learners have no place for one; subtract it from the outcome"}
ROLES = tuple(role for role in MODELLED if role not in UNREAD)
FACE = "causalformula.results.families.units:UnitResult"


@Record(
    name="s_learner",
    options=SLearner,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="causalToolbox::S_RF; Python: econml.metalearners.SLearner",
    summary="unit effects from one learner that has the treatment among its covariates",
    title="S-learner",
)
def s_learner(frame: ModelFrame, options: SLearner) -> Fit:
    """Effect for every unit from a single model of ``E[Y | A = a, X = x]``, ``tau(x) = m(1, x) - m(0, x)``.

    The treatment is a covariate among others, crossed with ``modify(...)``; a learner that penalises or splits may
    leave it out, and draws effects towards zero. Of a dose, the effect is the difference of predictions under the two
    settings of ``contrast=``, and its average counts the outcome as linear in the dose given the covariates.

    Parameters
    ----------
    frame : ModelFrame
    options : SLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.

    References
    ----------
    Hill (2011); Kuenzel, Sekhon, Bickel and Yu (2019).
    """
    return meta_fit(frame, options, S_LEARNER)


@Record(
    name="t_learner",
    options=TLearner,
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="causalToolbox::T_RF; Python: econml.metalearners.TLearner",
    summary="unit effects as the difference of a learner of each arm",
    title="T-learner",
)
def t_learner(frame: ModelFrame, options: TLearner) -> Fit:
    """Effect for every unit from a model of each arm: ``tau(x) = m_1(x) - m_0(x)``.

    Parameters
    ----------
    frame : ModelFrame
    options : TLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.

    References
    ----------
    Kuenzel, Sekhon, Bickel and Yu (2019).
    """
    return meta_fit(frame, options, T_LEARNER)


@Record(
    name="x_learner",
    options=XLearner,
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="causalToolbox::X_RF; Python: econml.metalearners.XLearner",
    summary="unit effects from those that the other arm's model imputes, weighted by the propensity score",
    title="X-learner",
)
def x_learner(frame: ModelFrame, options: XLearner) -> Fit:
    """Effect for every unit from imputed effects, ``tau(x) = e(x) tau_0(x) + (1 - e(x)) tau_1(x)``.

    ``tau_1`` is learned from ``Y - m_0(X)`` of the treated, ``tau_0`` from ``m_1(X) - Y`` of the controls: where one
    arm is small, its effects rest on the other's model. Several levels are each set against the first.

    Parameters
    ----------
    frame : ModelFrame
    options : XLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.

    References
    ----------
    Kuenzel, Sekhon, Bickel and Yu (2019).
    """
    return meta_fit(frame, options, X_LEARNER)


@Record(
    name="r_learner",
    options=RLearner,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="rlearner::rlasso, rboost; Python: econml.dml.NonParamDML",
    summary="unit effects from residuals of the outcome on residuals of the treatment",
    title="R-learner",
)
def r_learner(frame: ModelFrame, options: RLearner) -> Fit:
    """Effect for every unit from residuals: ``tau = argmin sum [Y - l(X) - (A - e(X)) tau(X)]^2``.

    ``l(x) = E[Y | X = x]`` and the propensity ``e`` are cross-fitted; the minimum is a regression of
    ``(Y - l) / (A - e)`` with the weights ``(A - e)^2``, which the effect's learner must take. Several levels are each
    set against the first, on the rows of the two. Of a dose ``e`` is its mean, ``tau`` the slope, and the average has
    the score ``tau + (D - e) / V[D | X] (Y - l - (D - e) tau)``.

    Parameters
    ----------
    frame : ModelFrame
    options : RLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.
    OptionError
        For an effect model that takes no weights.

    References
    ----------
    Nie and Wager (2021).
    """
    return meta_fit(frame, options, R_LEARNER)


@Record(
    name="dr_learner",
    options=DRLearner,
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE, ATT, ATC),
    roles=ROLES,
    unread=UNREAD,
    face=FACE,
    exempt=EXEMPT,
    r="by hand: a regression of AIPW's scores; Python: econml.dr.DRLearner",
    summary="unit effects as the regression of doubly robust scores",
    title="DR-learner",
)
def dr_learner(frame: ModelFrame, options: DRLearner) -> Fit:
    """Effect for every unit by regression of its doubly robust score on the covariates.

    The score of level a is ``m_a(X) + 1(A = a) (Y - m_a(X)) / e_a(X)``, with cross-fitted outcome means and
    propensities; its difference from the first level's has the effect as its mean if either is right.

    Parameters
    ----------
    frame : ModelFrame
    options : DRLearner

    Raises
    ------
    DataError
        Where a learner fails, or an arm is too small for the folds.

    References
    ----------
    Kennedy (2023).
    """
    return meta_fit(frame, options, DR_LEARNER)
