"""Imputation: outcomes without treatment from a model of the untreated rows, and means of what the treated are above.

The model has effects of units and periods. A unit's effect is the mean of its untreated rows less what the rest of the
model says of them, so that only the rest, ``gamma``, is a regression of its own. A mean of ``y - y0`` moves with the
errors of its own rows, with ``gamma`` by their columns less their units' means, and with the errors in these means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.did.averages import Averages, Members, cells_of
from causalformula.backends.did.event_study import effects
from causalformula.backends.did.options import EXEMPT, ROLES, UNREAD, Staggered, refuse_measures
from causalformula.backends.did.panels import numbered
from causalformula.backends.did.rows import Rows, based, controls, indicators, regressed, rows_of
from causalformula.backends.estimands import ATT
from causalformula.backends.fit import DesignWeights, Fit, Fitted, Query
from causalformula.backends.options import is_number, shown
from causalformula.backends.registry import Record
from causalformula.errors import DataError, IdentificationError, OptionError, counted, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.absorbing import fit_absorbed
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.regression import FittedRegression
from causalformula.inference.stage import Stage
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.least_squares import group_sums

RESIDUALS = "residuals"
# What the print says of standard errors, conditional ones and unconditional ones.
ERRORS = (
    "Errors of treated rows are counted from the mean of their group in their period (conservative)",
    "Errors of treated rows are counted from the means that are asked for (two-stage)",
)


@dataclass(frozen=True, kw_only=True)
class Imputation(Staggered):
    """Options of ``method="imputation"``.

    Parameters
    ----------
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``.
    anticipation : float
        How long before its first treated period a group may react, in the unit of time: these rows tell nothing of
        outcomes without treatment.
    pretrends : bool, sequence of float or "residuals"
        Whether ``aggregate("dynamic")`` has times before treatment, or which: coefficients of a regression of the
        untreated rows, compared with all others of them. ``"residuals"`` are the means of what the model leaves there,
        as ``did2s`` has them, which lie nearer to zero than trends do.
    """

    pretrends: Any = False

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.pretrends
        if isinstance(given, (list, tuple, range, np.ndarray)):
            if not len(given) or not all(is_number(value) and value < 0 for value in given):
                raise OptionError(f"pretrends={shown(given)}: times before treatment, as in pretrends=[-3, -2, -1]")
            object.__setattr__(self, "pretrends", tuple(float(value) for value in given))
        elif not isinstance(given, bool) and not (isinstance(given, str) and given == RESIDUALS):
            raise OptionError(
                f"pretrends={shown(given)}: True, times before treatment such as [-3, -2], or 'residuals'"
            )


@Record(
    name="imputation",
    options=Imputation,
    aliases=("borusyak", "did2s"),
    treatments={Kind.BINARY},
    estimands=(ATT,),
    default_vcov="asympt",
    vcov_words="asympt on units; two_stage",
    face="causalformula.results.families.did:DidResult",
    roles=ROLES,
    required=("did",),
    unread=UNREAD,
    r="didimputation::did_imputation(), did2s::did2s()",
    summary="outcomes without treatment imputed from untreated rows (Borusyak, Jaravel and Spiess)",
    title="Imputation",
    exempt=EXEMPT,
)
def imputation(frame: ModelFrame, options: Imputation) -> Fit:
    """Average effects on the treated: outcomes less those that a model of the untreated rows imputes.

    ``y = a_i + l_t + X c`` is fitted by least squares to the rows without treatment, and ``tau_it = y_it - a_i - l_t -
    x_it c`` is averaged over treated rows. Identified when, without treatment and given X, all units would have changed
    alike, and nobody reacted before (but for the anticipation).

    Standard errors are those of Borusyak, Jaravel and Spiess: the treated's errors are counted from the mean of their
    group in their period, which is conservative, and the shares of groups and periods count as given.
    ``vcov="two_stage"``, and ``unconditional=True`` of a covariance, count them from the mean that is asked for, as the
    equations of both stages do (``did2s``).

    Parameters
    ----------
    frame : ModelFrame
    options : Imputation

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        If no treated row has an untreated one of its unit and one of its period.

    References
    ----------
    Borusyak, Jaravel and Spiess (2024), Review of Economic Studies 91, 3253-3285; Gardner (2022). R:
    ``didimputation::did_imputation`` 0.5.0, ``did2s::did2s`` 1.2.1.
    """
    refuse_measures(options, "an imputation compares")
    rows = based(rows_of(frame), options.anticipation)
    model = Imputed.of(rows, options.anticipation)
    rows = model.rows
    inside = rows.sampled & (rows.event >= 0)
    residual = options.pretrends == RESIDUALS
    if residual:
        inside |= rows.sampled & np.isfinite(rows.event) & (rows.event < -options.anticipation)
    cells = cells_of(rows, inside)
    cells, estimate = _with_leads(rows, model, cells, model.means(cells), options)
    outcomes = Averages(rows, cells, estimate, "simple", ahead=options.anticipation, errors=ERRORS)
    design = DesignWeights(rows.used.astype(float), vcov="asympt", on_units=frame.unit is not None)
    gone = dropped_terms(model.model)
    notes = (*rows.notes, *rows.small, *rows.few(seen=True), *model.notes, *gone, *model.model.notes)
    words = "imputation from untreated rows"
    return Fit(outcomes.answer(Query()), ATT, design, words, outcomes, {"outcome": Fitted(model.model)}, notes)


@dataclass(frozen=True, eq=False)
class Imputed:
    """The model of the untreated rows, and what rows are above it.

    Parameters
    ----------
    rows : Rows
    model : FittedRegression
        On periods and covariates beside the effects of units; of weight zero are all but untreated rows.
    above : ndarray (n,)
        Outcomes less the imputed ones.
    apart : ndarray (n, r)
        Estimable columns less their means over the untreated rows of the unit.
    total : ndarray (units,)
        Weight of the untreated rows of a unit.
    notes : tuple of str
    """

    rows: Rows
    model: FittedRegression
    above: Array
    apart: Array
    total: Array
    notes: tuple[str, ...]

    @classmethod
    def of(cls, rows: Rows, anticipation: float) -> Imputed:
        """Fit it.

        Raises
        ------
        DataError
            Where no effect can be imputed.
        """
        frame = rows.frame
        codes, size, name = rows.of_unit
        untreated = rows.used & ~(rows.event >= -anticipation)
        w = np.where(untreated, rows.weights, 0.0)
        rows, lost = _imputable(rows, codes, size, w, anticipation)
        X, called, notes = controls(rows.frame)
        there = np.flatnonzero(np.bincount(rows.periods, w, len(rows.times)) > 0)[1:]
        columns = np.hstack([np.asarray(rows.periods[:, None] == there, dtype=float), X])
        names = (*(f"{rows.panel.time} = {rows.panel.periods.levels[k]}" for k in there), *called)
        model = fit_absorbed(
            columns, frame.y, names, [Effect(codes, size)], (name,), weights=w, offset=frame.offset, centre=True
        )  # fmt: skip
        total = np.bincount(codes, w, size)
        share = np.divide(w, total[codes], out=np.zeros(len(w)), where=w > 0)
        y = frame.y if frame.offset is None else frame.y - frame.offset
        left = np.column_stack([model.as_solved(model.X)[:, model.kept], y])
        left -= left[rows.used].mean(axis=0)  # for the digits: a constant is in every unit's mean
        left -= group_sums(left * share[:, None], codes, size)[codes]
        apart, own = left[:, :-1], left[:, -1]
        return cls(rows, model, own - apart @ model.inner, apart, total, (*notes, *lost))

    @property
    def share(self) -> Array:
        """Share of each untreated row (n,) in the mean of its unit."""
        codes, w = self.rows.of_unit[0], self.model.weights
        return np.divide(w, self.total[codes], out=np.zeros(len(w)), where=w > 0)

    def means(self, cells: Members) -> Estimate:
        """Means of cells, the errors of a cell's rows counted from its mean.

        Raises
        ------
        IdentificationError
            Where the untreated rows do not tell a covariate's part.
        """
        rows, w = self.rows, self.rows.weights
        size, place = len(cells), cells.of_row
        member = indicators(place, size) * w[:, None]
        sums = member.sum(axis=0)
        over = np.divide(member, sums, out=np.zeros(member.shape), where=sums > 0)  # (n, q)
        theta = over.T @ self.above
        gradients = -over.T @ self.apart
        self._refuse_undetermined(over)
        mine = over * (self.above - np.append(theta, 0.0)[place])[:, None]
        codes, count, _ = rows.of_unit
        through = group_sums(over, codes, count)[codes] * (self.share * self.above)[:, None]
        return self._estimate(cells, theta, gradients, mine - through)

    def _estimate(self, cells: Members, theta: Array, gradients: Array, scores: Array) -> Estimate:
        """The cells' means from sums over rows (n, q), on units where there are some."""
        unit, (codes, n) = self.rows.frame.unit, numbered(self.rows.frame)
        first, of_unit = self.model.stage(), None
        rest = Stage("cells", cells.named(self.rows), theta, np.eye(len(theta)), scores)
        used = self.rows.used
        if unit is not None:
            of_unit = codes
            added = group_sums(first.project(np.eye(first.size)), of_unit, n)
            first = replace(first, scores=added, hat=None)
            rest = replace(rest, scores=group_sums(scores, of_unit, n))
            used = np.bincount(of_unit, used, n) > 0
        jac = np.hstack([gradients, np.eye(len(theta))])
        evidence = Influence((first, rest), jac, n, units=of_unit, used=np.asarray(used))
        return Estimate(cells.named(self.rows), theta, evidence)

    def _refuse_undetermined(self, over: Array) -> None:
        """Columns that untreated rows leave out, where treated rows differ in them."""
        dropped = np.setdiff1d(np.arange(len(self.model.names)), self.model.kept)
        if not len(dropped):
            return
        codes, size, _ = self.rows.of_unit
        X = self.model.as_solved(self.model.X)
        apart = X - group_sums(X * self.share[:, None], codes, size)[codes]
        asked = over.T @ apart
        lost = ~self.model.determined(asked).all(axis=0)
        if lost.any():
            names = [self.model.names[j] for j in dropped[lost]]
            raise IdentificationError(
                f"outcomes without treatment cannot be imputed: untreated rows do not tell the part of {some(names)}. "
                "Adjust for fewer covariates, or leave out the periods in which too few are untreated"
            )


def _imputable(rows: Rows, codes: Codes, size: int, w: Array, anticipation: float) -> tuple[Rows, tuple[str, ...]]:
    """Without treated rows of a unit or a period that has no untreated row."""
    alone = ~(np.bincount(codes, w, size) > 0)[codes]
    late = ~(np.bincount(rows.periods, w, len(rows.times)) > 0)[rows.periods]
    gone = rows.used & (alone | late)
    if not gone.any():
        return rows, ()
    left = rows.used & ~gone
    if not (left & (rows.event >= 0)).any():
        raise DataError(
            "no treated row has an untreated row of its unit and one of its period, from which its outcome without "
            "treatment could be imputed"
        )
    told = []
    if (rows.used & late).any():
        names = [rows.panel.periods.levels[p] for p in np.unique(rows.periods[rows.used & late])]
        told.append(f"everybody is treated in {rows.panel.time} = {some(names)}, which takes no part")
    few = int((rows.used & alone & ~late).sum())
    if few:
        told.append(f"{counted(few, 'row')} of units without an untreated row: no outcome can be imputed, so no part")
    return replace(rows, used=left, start=np.where(gone, np.nan, rows.start)), tuple(told)


def _with_leads(
    rows: Rows, model: Imputed, cells: Members, estimate: Estimate, options: Imputation
) -> tuple[Members, Estimate]:
    """The cells with times before treatment, coefficients of a regression of the untreated rows."""
    asked = options.pretrends
    if asked is False or asked == RESIDUALS:
        return cells, estimate
    inside = rows.used & (rows.event < -options.anticipation) & np.isfinite(rows.event)
    values = np.unique(rows.event[inside])
    shown = values[:-1] if asked is True else _asked(asked, values)
    if not len(shown):
        raise OptionError("pretrends=True: units are observed in one period before their treatment, which is no trend")
    place = np.where(inside & np.isin(rows.event, shown), np.searchsorted(shown, np.where(inside, rows.event, 0.0)), -1)
    leads = leads_of(rows, model, place, shown)
    none = np.full(len(shown), -1, dtype=np.intp)
    joined = Members(
        np.where(place >= 0, place + len(cells), cells.of_row).astype(np.intp),
        np.concatenate([cells.group, none]),
        np.concatenate([cells.period, none]),
        np.concatenate([cells.event, shown]),
    )
    return joined, _together(estimate, leads, rows.frame)


def _asked(asked: Sequence[float], values: Array) -> Array:
    unknown = [f"{value:g}" for value in asked if value not in values]
    if unknown:
        raise OptionError(
            f"pretrends: no untreated row is at the event time {some(unknown)}; there are "
            f"{some([f'{value:g}' for value in values], 12)}"
        )
    return np.unique(np.asarray(asked, dtype=float))


def leads_of(rows: Rows, model: Imputed, place: Codes, shown: Array) -> Estimate:
    """Coefficients of times before treatment in the untreated rows, beside the effects of units and periods."""
    names = tuple(f"event = {value:g}" for value in shown)
    untreated = replace(rows, used=model.model.weights > 0)
    X, called, _ = controls(rows.frame)
    fit = regressed(untreated, np.hstack([indicators(place, len(shown)), X]), (*names, *called))
    gone = np.setdiff1d(np.arange(len(shown)), fit.kept)
    if len(gone):
        raise IdentificationError(
            f"the times before treatment {some([names[k] for k in gone])} cannot be told from units and periods in the "
            "untreated rows: ask for fewer, as in pretrends=[-3, -2, -1]"
        )
    return effects(fit, np.eye(len(shown), len(fit.names)), names)


def _together(cells: Estimate, leads: Estimate, frame: ModelFrame) -> Estimate:
    """Both with the influence of each, on units where there are some."""
    first, second = cells.evidence, leads.evidence
    assert isinstance(first, Influence) and isinstance(second, Influence)
    (stage,) = second.stages
    stage = replace(stage, name="leads")
    if frame.unit is not None:
        added = group_sums(stage.project(np.eye(stage.size)), numbered(frame)[0], first.n)
        stage = replace(stage, scores=added, hat=None)
    jac = np.block(
        [
            [first.jac, np.zeros((len(cells), stage.size))],
            [np.zeros((len(leads), first.jac.shape[1])), second.jac],
        ]
    )
    evidence = replace(first, stages=(*first.stages, stage), jac=jac)
    return Estimate((*cells.names, *leads.names), np.concatenate([cells.theta, leads.theta]), evidence)
