"""The record of ``method="did"``: the regression of two groups over two periods, and group-time effects."""

from __future__ import annotations

from collections.abc import Collection

from causalformula.backends.did.event_study import event_study
from causalformula.backends.did.options import EXEMPT, OF_CHANGES, DiD, estimator_of, given_of, refuse_measures
from causalformula.backends.did.outcomes import staggered, two_periods
from causalformula.backends.did.regression import batch, two_period_regression
from causalformula.backends.estimands import ATT
from causalformula.backends.fit import Fit, Label
from causalformula.backends.learning.table import GLM, read_learner, refuse_unweighted
from causalformula.backends.registry import Record
from causalformula.backends.routing import pointed
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind


def _idle(options: DiD) -> Collection[str]:
    """A regression of the changes alone has no model of the treatment, and weights alone none of the outcome."""
    return {"reg": ("propensity",), "ipw": ("outcome",)}.get(options.est_method or "", ())


def _resampled(options: DiD) -> None:
    """An ``OptionError`` for learners that take no weights, which see no replicate."""
    kinds = {"outcome_model": "regression", "treatment_model": "classification"}
    for name, kind in kinds.items() if options.learns else ():
        refuse_unweighted(read_learner(getattr(options, name) or GLM, name), kind)


@Record(
    name="did",
    options=DiD,
    aliases=("difference_in_differences", "diff_in_diff"),
    treatments={Kind.BINARY},
    estimands=(ATT,),
    default_vcov="classical",
    vcov_words="classical; clustered by id with unit = id; asympt on units for group-time effects",
    # the classical variance would take sampling weights for precisions
    weighted_vcov="linearised",
    face="causalformula.results.families.did:DidResult",
    roles=("did", "adjust", "outcome", "propensity", "cluster", "weights", "offset"),
    unread={
        "treat": "write did(A, time) in place of treat(A), where A says who is in the treated group and time is the "
        "period",
        "modify": "effects that differ between the treated need trends that differ too; fit each group with subset=",
        "fe": "with two groups and two periods their effects are in the regression; leave fe(...) out, and name the "
        "units: did(A, time, unit = id)",
    },
    required=("did",),
    default_for=("did",),
    idle=_idle,
    r="lm(y ~ A * time + x), DRDID::drdid(), did::att_gt()",
    summary="difference in differences: two groups over two periods, or groups treated at different times",
    title="Difference in differences",
    batch=batch,
    resampled=_resampled,
    exempt=EXEMPT,
)
def did(frame: ModelFrame, options: DiD) -> Fit:
    """Average effects on the treated by difference in differences: of two groups over two periods, or many of both.

    Two groups over two periods are a regression, ``E[Y | A, t, X] = b0 + b1 A + b2 t + b3 A t + X c``, by least
    squares. The effect is what the treated after the change are above the prediction for them from their own past and
    the change of the others, ``m(1, 1) - {m(1, 0) + m(0, 1) - m(0, 0)}``, which is ``b3``. Identified when, without
    treatment and given X, both groups would have changed alike (parallel trends), nobody reacted before the change, and
    X does not itself react.

    Groups that are first treated at different times have an effect each in each period, ``ATT(g, t)``: their change
    since the last period before their treatment, less that of those who are not treated (yet), given the covariates
    before (Callaway and Sant'Anna). Weights and regressions come into it by ``est_method``, which two groups over two
    periods may ask for too. The influence is on units where there are some, with every nuisance model re-estimated.
    With ``event_study=True`` they are one regression beside effects of units and periods, with one effect for each time
    since treatment (leads and lags).

    Parameters
    ----------
    frame : ModelFrame
    options : DiD

    Returns
    -------
    Fit

    Raises
    ------
    CapabilityError
        For several periods where nothing says when the treatment began, and roles that the estimator does not read.
    IdentificationError
        If a control is a combination of the period and of being treated after the change, or a comparison group does
        not determine a regression.
    ConvergenceError
        If a model of the treatment has no finite solution.

    References
    ----------
    Ashenfelter and Card (1985); Card and Krueger (1994); Bertrand, Duflo and Mullainathan (2004) for standard errors
    clustered by unit; Heckman, Ichimura and Todd (1997); Abadie (2005); Sant'Anna and Zhao (2020); Callaway and
    Sant'Anna (2021). R: ``lm(y ~ A * time + x)`` with ``sandwich::vcovCL(cluster = ~unit)``;
    ``DRDID`` 1.2.2, ``did`` 2.1.2.
    """
    if options.event_study:
        refuse_idle_roles(frame, ("propensity",), "an event study by two-way fixed effects")
        refuse_measures(options, "an event study compares")
        return event_study(frame, options)
    several = frame.panel is not None and frame.panel.adoption is not None
    label = None if several else Label(frame.the_panel.treated, "1 - 0")  # refuses another design before all else
    if label is not None and options.est_method is None and not options.learns:
        refuse_unread(frame, options)
        return two_period_regression(frame, options)
    word = estimator_of(options).name
    refuse_idle_roles(frame, ("offset", *_idle(options)), f"est_method={word!r}")
    refuse_measures(options)
    return staggered(frame, options) if label is None else two_periods(frame, options, label)


def refuse_unread(frame: ModelFrame, options: DiD) -> None:
    """Refuse roles and options that the regression of two groups over two periods does not read."""
    refuse_idle_roles(frame, ("propensity",), "the regression of two groups over two periods; see est_method=")
    if given := given_of(options, OF_CHANGES):
        raise OptionError(
            f"{given}: the regression of two groups over two periods, which is made without est_method=, reads no such "
            "option; leave it out, or name an est_method"
        )


def refuse_idle_roles(frame: ModelFrame, roles: Collection[str], what: str) -> None:
    """A ``CapabilityError`` for a role that would have no effect."""
    for role in frame.spec.roles:
        if role.kind in roles:
            raise CapabilityError(pointed(f"method 'did' does not use {role.kind}(...) with {what}", frame.spec, role))
