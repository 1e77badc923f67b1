"""Two-way fixed effects with leads and lags: one effect for each time since treatment, the same in all groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.did.averages import Averages, Members
from causalformula.backends.did.options import DiD
from causalformula.backends.did.rows import Rows, controls, indicators, regressed, rows_of
from causalformula.backends.estimands import ATT
from causalformula.backends.fit import DesignWeights, Fit, Fitted, Query
from causalformula.errors import IdentificationError, OptionError, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array, Bools

ONE_FOR_ALL = (
    "two-way fixed effects have one effect for each time since treatment, the same in all groups; method='sunab', "
    "'imputation', 'etwfe' and group-time effects (event_study=False) let groups differ"
)


def event_study(frame: ModelFrame, options: DiD) -> Fit:
    """Effects by the time since treatment, by least squares beside units and periods."""
    rows = rows_of(frame)
    ever = np.isfinite(rows.start) & rows.sampled
    event = np.where(ever, rows.event, np.nan)
    if options.bins is not None:
        event = np.clip(event, *options.bins)
    values = np.unique(event[ever])
    held = references(options, values)
    shown = values[~np.isin(values, held)]
    of_row = np.where(np.isin(event, shown), np.searchsorted(shown, np.where(ever, event, 0.0)), -1).astype(np.intp)
    none = np.full(len(shown), -1, dtype=np.intp)
    cells = Members(of_row, none, none, shown)
    names = tuple(f"event = {value:g}" for value in shown)
    X, called, notes = controls(rows.frame)
    model = regressed(rows, np.hstack([indicators(of_row, len(shown)), X]), (*names, *called))
    refuse_undetermined(rows, model, shown)
    estimate = effects(model, np.eye(len(shown), len(model.names)), names)
    refused = dict.fromkeys(("group", "calendar"), ONE_FOR_ALL)
    words = (f"Event times as compared with {some([f'{value:g}' for value in held])}", *_binned(options))
    outcomes = Averages(rows, cells, estimate, "dynamic", refused, float(held[0]), None, options.anticipation, words)
    caution = (
        "one effect for each time since treatment: where effects differ between groups, each estimate mixes effects of "
        "other times (Sun and Abraham 2021); method='sunab' and 'imputation' do not"
    )
    several = (caution,) if len(np.unique(rows.group[ever])) > 1 else ()
    told = (*notes, *dropped_terms(model, first=len(shown)), *several)
    return fit_of(outcomes, model, "event study (two-way fixed effects, leads and lags)", told)


def fit_of(
    outcomes: Averages, model: FittedRegression, method: str, notes: tuple[str, ...] = (), *, never: bool = False
) -> Fit:
    """The fit of effects that one regression has, compared with all untreated rows, or with the ``never`` treated."""
    design = DesignWeights(outcomes.rows.used.astype(float))
    rows = outcomes.rows
    told = (*rows.notes, *rows.small, *rows.few(never), *notes, *model.notes)
    return Fit(outcomes.answer(Query()), ATT, design, method, outcomes, {"outcome": Fitted(model)}, told)


def references(options: DiD, values: Array) -> Array:
    """The event times that the others are compared with: by default the last one before treatment and anticipation."""
    given: Any = options.reference
    if given is None:
        before = values[values < -options.anticipation]
        if not len(before):
            raise IdentificationError("no unit is observed before its treatment, so there is nothing to compare with")
        return before[-1:]
    asked = np.atleast_1d(np.asarray(given, dtype=float))
    unknown = [f"{value:g}" for value in asked if value not in values]
    if unknown:
        raise OptionError(
            f"reference={given!r}: no row is of the event time {some(unknown)}; there are "
            f"{some([f'{value:g}' for value in values], 12)}"
        )
    return np.asarray(asked)


def _binned(options: DiD) -> tuple[str, ...]:
    if options.bins is None:
        return ()
    low, high = options.bins
    return (f"Event times up to {low:g} are one, and those from {high:g} on",)


def refuse_undetermined(rows: Rows, model: FittedRegression, shown: Array) -> None:
    """An ``IdentificationError`` where leads and lags are a combination of units, periods and each other."""
    gone = np.setdiff1d(np.arange(len(shown)), model.kept)
    if not len(gone):
        return
    which = some([f"{shown[k]:g}" for k in gone])
    never = bool((rows.used & ~np.isfinite(rows.start)).any())
    why = (
        "use bins=, fewer covariates, or leave out the groups that alone have them"
        if never
        else f"nobody is never treated, so that trends in event times are trends in periods. Give {len(gone)} more "
        f"of them as references, before treatment as in reference=(-1, {shown[0]:g}), or bins=; method='sunab' and "
        "'imputation' need neither"
    )
    raise IdentificationError(f"the effects at the event times {which} cannot be told from units and periods: {why}")


def effects(model: FittedRegression, rows: Array, names: tuple[str, ...]) -> Estimate:
    """Combinations (q, p) of a regression's coefficients."""
    values = rows[:, model.kept] @ model.theta
    evidence = Influence((model.stage(),), model.jacobian(rows), len(model.y), rooted=True)
    return Estimate(names, values, evidence)


def told_of_lost(names: tuple[str, ...], there: Bools) -> tuple[str, ...]:
    """A note on cells without a comparison.

    Raises
    ------
    IdentificationError
        Where none has one.
    """
    lost = [name for name, kept in zip(names, there, strict=True) if not kept]
    if lost and not there.any():
        raise IdentificationError(
            f"nobody without treatment is left to compare {some(lost, 5)} with in its period, beside the covariates "
            "and the rows that take no part: no effect can be told. Adjust for fewer covariates, or use data with "
            "units that are never treated, or later"
        )
    return (f"no comparison for {some(lost)}, which have no part in the means",) if lost else ()


def determined(model: FittedRegression, size: int) -> Bools:
    """Which of the first columns have a coefficient."""
    return np.isin(np.arange(size), model.kept)
