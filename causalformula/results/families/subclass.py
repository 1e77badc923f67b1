"""What a subclassification tells stratum by stratum, and the stratified estimator beside the weighted one."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import Query
from causalformula.errors import CapabilityError, CausalFormulaWarning
from causalformula.inference.requests import HC, Classical, Cluster
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_each

if TYPE_CHECKING:
    from causalformula.results.design import Design
    from causalformula.results.result import Result

# Roles of an outcome model, which the stratified estimator does without.
MODELLED = ("outcome", "modify", "offset")


def require_strata(result: Result, asked: str) -> None:
    """A ``CapabilityError`` where a result has no strata to tell of."""
    if "strata" not in result.fit.extras:
        raise CapabilityError(f"method {result.call.record.name!r} has no strata; method='subclass' has")
    if result.query is None or result.query.kind != "effects" or result.query.by is not None:
        raise CapabilityError(f"{asked} is of the effects over everyone; ask the fit that these came from")


def strata_parts(design: Design) -> list[str | Cells]:
    """Parts of a print that count the rows of each stratum, as MatchIt's summary does; none without strata.

    ``None`` are the rows that are in no stratum, of the arms' rows (with sampling weight) that ``All`` counts.
    """
    # here, so that importing results does not file this method before the others
    from causalformula.backends.subclass import Stratification

    made = design.stage
    if not isinstance(made, Stratification):
        return []
    used, arms = design.call.frame.unit_weights > 0, design.arms().values()
    everyone = np.array([int((used & arm).sum()) for arm in arms])
    none = everyone - made.strata.counts.sum(axis=1)
    columns = [*made.strata.counts.T, *([none] if none.any() else []), everyone]
    names = [*map(str, range(1, made.strata.size + 1)), *(["None"] if none.any() else []), "All"]
    table = np.column_stack(columns)
    body = tuple(tuple(map(str, row)) for row in np.vstack([table, table.sum(axis=0)]))
    return ["", "Sample sizes by subclass", Cells((*design.arm_names(), "Total"), tuple(names), body, False)]


def stratified(result: Result, vcov: Any) -> Result:
    """See ``Result.stratified``."""
    require_strata(result, "stratified()")
    call = result.call
    assert call.record.estimate is not None
    options: Any = replace(call.options, **{"estimator": "stratified", "interact": False})
    fit = call.record.estimate(call.frame, result.fit.stage, options)
    call = replace(call, options=options)
    query = Query()
    covariance = call.covariance(fit.answer, vcov, query)
    return replace(result, answer=fit.answer, covariance=covariance, call=call, fit=fit, query=query, test=None)


def stratified_line(result: Result, level: float) -> list[str]:
    """The stratified estimate in a line below the weighted one."""
    frame, query = result.call.frame, result.query
    weighted = getattr(result.call.options, "estimator", "") == "weighted"
    if not weighted or query is None or query.kind != "effects" or query.by is not None:
        return []
    request = result.covariance.request
    independent = isinstance(request, (HC, Classical))
    if any(frame.has(role) for role in MODELLED) or not (independent or isinstance(request, Cluster)):
        return []
    with warnings.catch_warnings():
        # of strata with a single unit of an arm, which the line says itself
        warnings.simplefilter("ignore", CausalFormulaWarning)
        beside = stratified(result, None if independent else request)
    reading = beside.read(level)
    numbers = np.array([reading.estimate[0], reading.std_error[0], reading.low[0], reading.high[0]])
    if not np.isfinite(numbers).all():
        text = f"{format_each(numbers[:1], 4)[0]} (std. error not defined: a stratum has a single unit of an arm)"
    else:
        estimate, error, low, high = format_each(numbers, 4)
        limits = f"{100 * level:g}% limits {low} and {high}"
        text = f"{estimate} (std. error {error}, {limits}; {beside.covariance.label})"
    return [f"Stratified estimator: {text}"]
