"""Sun and Abraham's event study: an effect for each group in each period, averaged by the groups' shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.did.averages import Averages, cells_of
from causalformula.backends.did.event_study import determined, effects, fit_of, told_of_lost
from causalformula.backends.did.options import EXEMPT, ROLES, UNREAD, Staggered, refuse_measures
from causalformula.backends.did.rows import (
    based,
    common,
    compared_with_last,
    controls,
    indicators,
    last_before,
    regressed,
    rows_of,
    told_of_reference,
)
from causalformula.backends.estimands import ATT
from causalformula.backends.fit import Fit
from causalformula.backends.registry import Record
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind


@dataclass(frozen=True, kw_only=True)
class SunAb(Staggered):
    """Options of ``method="sunab"``.

    Parameters
    ----------
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``.
    anticipation : float
        How long before its first treated period a group may react, in the unit of time: the period before that is the
        one that a group's others are compared with.
    """


@Record(
    name="sunab",
    options=SunAb,
    aliases=("sun_abraham",),
    treatments={Kind.BINARY},
    estimands=(ATT,),
    default_vcov="classical",
    vcov_words="classical; clustered by id with unit = id",
    weighted_vcov="linearised",
    face="causalformula.results.families.did:DidResult",
    roles=ROLES,
    required=("did",),
    unread=UNREAD,
    r="fixest::feols(y ~ x + sunab(g, t) | id + t)",
    summary="event study by groups and periods, averaged by the groups' shares (Sun and Abraham)",
    title="Sun-Abraham event study",
    exempt=EXEMPT,
)
def sunab(frame: ModelFrame, options: SunAb) -> Fit:
    """Average effects on the treated by the time since treatment, each group compared with those never treated.

    Least squares ``y = a_i + l_t + sum_{g, t} b_{g,t} 1(G_i = g) 1(t) + X c``, where of each group the last period
    before its treatment has no term, and ``att(e) = sum_g s_{g,e} b_{g,g+e}`` with the groups' shares ``s`` among the
    rows of that event time. Where nobody is never treated, the group that is treated last is the comparison, without
    its treated periods. Identified when, without treatment and given X, all groups would have changed alike, and nobody
    reacted before (but for the anticipation).

    Standard errors take the shares as given, as fixest's do; ``unconditional=True`` of a covariance adds their part.

    Parameters
    ----------
    frame : ModelFrame
    options : SunAb

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        If nobody is observed before a treatment and after it.

    References
    ----------
    Sun and Abraham (2021), Journal of Econometrics 225, 175-199. R: ``fixest::sunab`` 0.14.
    """
    refuse_measures(options, "an event study compares")
    rows = based(compared_with_last(rows_of(frame)), options.anticipation)
    before = last_before(rows, options.anticipation)
    ever = (rows.group >= 0) & rows.sampled
    cells = cells_of(rows, ever & (rows.periods != np.append(before, -1)[rows.group]))
    names = cells.named(rows)
    X, called, told = controls(rows.frame)
    model = regressed(rows, np.hstack([indicators(cells.of_row, len(cells)), X]), (*names, *called))
    there = determined(model, len(cells))
    gone = told_of_lost(names, there)
    estimate = effects(model, np.eye(len(cells), len(model.names))[there], tuple(np.array(names)[there]))
    shown, ahead = cells.without(~there), options.anticipation
    words = (told_of_reference(rows, before),)
    outcomes = Averages(rows, shown, estimate, "dynamic", reference=common(rows, before), ahead=ahead, words=words)
    notes = (*told, *dropped_terms(model, first=len(cells)), *gone)
    return fit_of(outcomes, model, "event study (Sun-Abraham, weighted by the groups' shares)", notes, never=True)
