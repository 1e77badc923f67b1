"""Extended two-way fixed effects: one regression with an effect for each group in each period, averaged over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from causalformula.backends.did.averages import Averages, Members, cells_of
from causalformula.backends.did.event_study import effects, fit_of
from causalformula.backends.did.nonlinear import bounded, responses, told_of_nothing
from causalformula.backends.did.options import (
    CONTROLS,
    EXEMPT,
    NONLINEAR,
    ROLES,
    UNREAD,
    Staggered,
    refuse_measures,
)
from causalformula.backends.did.panels import telling
from causalformula.backends.did.rows import (
    Rows,
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
from causalformula.backends.options import one_of
from causalformula.backends.outcome_model import model_word
from causalformula.backends.registry import Record
from causalformula.errors import OptionError, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import family as read_family
from causalformula.words import ComparisonGroup, UnitEffects

BESIDE = ("group", "unit")


@dataclass(frozen=True, kw_only=True)
class ETWFE(Staggered):
    """Options of ``method="etwfe"``.

    Parameters
    ----------
    estimand, contrast, measure, focal : optional
        As in ``cf.fit``.
    family : optional
        ``"gaussian"``, or ``"poisson"`` or ``"binomial"`` (or their quasi-families) with their canonical links: trends
        are then parallel on the scale of the link, and effects are differences of means on the outcome's own.
    anticipation : float
        How long before its first treated period a group may react, in the unit of time.
    control_group : {"notyettreated", "nevertreated"}
        Who a group is compared with: all rows without treatment, or units that are never treated; with the latter there
        are effects before treatment too.
    unit_effects : {"group", "unit"}
        Whether the regression has an effect of each group, or of each unit: the same estimates where all units are
        observed in all periods.
    """

    families: ClassVar[tuple[str, ...]] = ("gaussian", *NONLINEAR)

    control_group: ComparisonGroup = "notyettreated"
    unit_effects: UnitEffects = "group"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("control_group", self.control_group, CONTROLS)
        one_of("unit_effects", self.unit_effects, BESIDE)
        if not self.linear and self.unit_effects == "unit":
            raise OptionError(
                f"unit_effects='unit' with family={str(self.family)!r}: the effects of units would be estimated from a "
                "few rows each, and their errors would not leave the means; effects of groups do (Wooldridge 2023): "
                "unit_effects='group'"
            )

    @property
    def linear(self) -> bool:
        """Whether trends are parallel on the outcome's own scale."""
        return read_family(self.family).name == "gaussian"


@Record(
    name="etwfe",
    options=ETWFE,
    aliases=("extended_twfe", "wooldridge"),
    treatments={Kind.BINARY},
    estimands=(ATT,),
    default_vcov="classical",
    vcov_words="classical; clustered by id with unit = id",
    weighted_vcov="linearised",
    face="causalformula.results.families.did:DidResult",
    roles=ROLES,
    required=("did",),
    unread={**UNREAD, "fe": "the effects of groups (or units) and periods are absorbed already; leave fe(...) out"},
    r="etwfe::etwfe(y ~ x, tvar = t, gvar = g) |> etwfe::emfx()",
    summary="one regression with an effect for each group in each period (Wooldridge)",
    title="Extended two-way fixed effects",
    exempt=EXEMPT,
)
def etwfe(frame: ModelFrame, options: ETWFE) -> Fit:
    """Average effects on the treated by one regression that lets every group in every period have its own.

    Least squares ``y = a_g + l_t + sum_{g, t >= g} 1(G_i = g) 1(t) {b_{g,t} + (x - xbar_g) d_{g,t}} + x (c_g + f_t)``,
    and the effects are averaged over the rows under treatment. Without covariates these are the imputation's means.
    Identified when, without treatment and given X, all groups would have changed alike, and nobody reacted before (but
    for the anticipation). With another family the sum is the linear predictor ``eta_i``, with what is in braces as
    ``tau_i``, and ``m(eta_i) - m(eta_i - tau_i)`` is averaged: the changes are alike on the scale of the link.

    Standard errors take the rows that are averaged over as given, as ``emfx`` does; ``unconditional=True`` of a
    covariance adds their part.

    Parameters
    ----------
    frame : ModelFrame
    options : ETWFE

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        If nobody is observed before a treatment and after it.

    References
    ----------
    Wooldridge (2025), Empirical Economics 69, 2545-2587; Wooldridge (2023), Econometrics Journal 26, C31-C66. R:
    ``etwfe::etwfe`` and ``emfx`` 0.5.0.
    """
    refuse_measures(options, "extended two-way fixed effects compare")
    family = read_family(options.family)
    rows = based(compared_with_last(bounded(rows_of(frame), family)), options.anticipation)
    before = last_before(rows, options.anticipation)
    leads = options.control_group == "nevertreated"
    base = rows.periods == np.append(before, -1)[rows.group]
    inside = (rows.group >= 0) & rows.sampled & (~base if leads else rows.event >= -options.anticipation)
    cells = cells_of(rows, inside)
    member, names = indicators(cells.of_row, len(cells)), cells.named(rows)
    X, called, _ = controls(rows.frame, crossed=False)
    kept, told = telling(X, called, rows.used)  # a slope that is one twice would count as two degrees of freedom
    X, called = X[:, kept] - X[rows.used][:, kept].mean(axis=0), tuple(np.array(called)[kept])
    columns, more = _crossed(rows, member, names, X, called)
    columns = np.hstack([member, columns])
    model = regressed(
        rows, columns, (*names, *more), slopes=X, of_groups=options.unit_effects == "group",
        family=None if options.linear else family,
    )  # fmt: skip
    if options.linear:
        gradients, apart = _gradients(rows, model.coef, cells, member, X, len(model.names))
        there = model.estimable(gradients)
        estimate = effects(model, gradients[there], tuple(np.array(names)[there]))
    else:
        found = responses(rows, model, columns, cells)
        there, apart = model.estimable(found.gradients), found.apart
        estimate = found.estimate(model, there, tuple(np.array(names)[there]))
    lost = [names[k] for k in np.flatnonzero(~there)]
    whom = f"of {rows.panel.treated} = {rows.last}" if rows.last else "never treated"
    scale = f"Trends are parallel on the scale of the link ({family.link_name}); effects are differences of means"
    words = (
        *(scale,) * (not options.linear),
        f"Compared with those {whom if leads else 'not yet treated'}",
        *[told_of_reference(rows, before)] * leads,
    )
    outcomes = Averages(
        rows, cells.without(~there), estimate, "simple", reference=common(rows, before) if leads else None,
        apart=apart, ahead=options.anticipation, words=words,
    )  # fmt: skip
    gone = (f"no comparison for {some(lost)}, which have no part in the means",) if lost else ()
    method = f"extended two-way fixed effects{'' if options.linear else f' ({model_word(family, model)})'}"
    nothing = () if options.linear else told_of_nothing(rows, family)
    return fit_of(outcomes, model, method, (*told, *nothing, *gone), never=leads)


def _crossed(
    rows: Rows, member: Array, names: tuple[str, ...], X: Array, called: tuple[str, ...]
) -> tuple[Array, tuple[str, ...]]:
    """The cells crossed with the covariates less their means in the groups."""
    if not called:
        return np.empty((len(member), 0)), ()
    centred = X - group_means(rows, X)
    columns = [member * centred[:, [j]] for j in range(len(called))]
    return np.hstack(columns), tuple(f"{name}:{x}" for x in called for name in names)


def group_means(rows: Rows, X: Array) -> Array:
    """Means of covariates (n, p) over the rows of each group."""
    codes, size = rows.groups
    total = np.bincount(codes, rows.weights, size)
    sums = np.column_stack([np.bincount(codes, rows.weights * x, size) for x in X.T])
    return np.asarray((sums / np.where(total > 0, total, 1.0)[:, None])[codes])


def _gradients(
    rows: Rows, coef: Array, cells: Members, member: Array, X: Array, size: int
) -> tuple[Array, Array | None]:
    """The mean effect of each cell as a combination (q, p) of coefficients, and rows' effects beside it (n,)."""
    q, columns = len(cells), X.shape[1]
    out = np.zeros((q, size))
    out[:, :q] = np.eye(q)
    if not columns:
        return out, None
    w = rows.weights[:, None] * member
    sums = w.sum(axis=0)
    centred = X - group_means(rows, X)
    apart = np.zeros(len(X))
    for j in range(columns):
        mean = np.divide(w.T @ centred[:, j], sums, out=np.zeros(q), where=sums > 0)
        out[:, (1 + j) * q + np.arange(q)] = np.diag(mean)
        slope = np.append(np.nan_to_num(coef[(1 + j) * q : (2 + j) * q]), 0.0)[cells.of_row]
        apart += slope * (centred[:, j] - np.append(mean, 0.0)[cells.of_row])
    return out, apart
