"""Refuters of one refit, whose effect should be none: negative controls, and a placebo in time."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causalformula.backends import registry
from causalformula.errors import CapabilityError, DataError, IdentificationError, OptionError, choose, counted
from causalformula.formula.expressions.text_readings import reading
from causalformula.formula.expressions.values import Factor, Strings, as_factor, take
from causalformula.formula.language.grammar import plus, variables
from causalformula.formula.language.reader import parse
from causalformula.formula.language.spec import Role, Spec
from causalformula.formula.language.syntax import Name
from causalformula.frame.bind import bind
from causalformula.frame.grouping import Grouping
from causalformula.frame.leave_out import without_dot
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.requests import Given
from causalformula.numerics.arrays import Codes
from causalformula.results.answered import answered
from causalformula.results.call import Call
from causalformula.results.effects.core import ResultCore
from causalformula.results.effects.facts import notes_of
from causalformula.results.named import named_columns
from causalformula.results.refutation.refuted import Refuted, verdict
from causalformula.results.refutation.refuters import NAMED, REFUTERS

CONTROLS = {column: test for test, column in NAMED.items()}


def negative_control_outcome(result: ResultCore, column: str) -> Refuted:
    """The effect on an outcome that the treatment cannot change, on the same rows."""
    frame = result.call.frame
    spec = without_dot(result.call.spec, frame)
    _check_column(frame, "negative_outcome", column)
    _refuse_used(spec, "negative_outcome", column)
    return _control(result, "negative_outcome", column, replace(spec, outcome=Name(column)))


def negative_control_exposure(result: ResultCore, column: str) -> Refuted:
    """The effect of a treatment that cannot change the outcome, with the real one among the covariates."""
    frame, record = result.call.frame, result.call.record
    spec = without_dot(result.call.spec, frame)
    _check_column(frame, "negative_exposure", column)
    treatment = spec.treatment
    if treatment is None:
        raise CapabilityError(
            "negative_control_exposure puts another variable in the place of treat(...), and the formula has none; a "
            "difference in differences has placebo_in_time and negative_control_outcome"
        )
    if "adjust" not in record.roles:
        raise CapabilityError(
            f"negative_control_exposure adjusts for the real treatment, and method {record.name!r} adjusts for "
            "nothing; use method='regression'"
        )
    if column in variables(treatment):
        raise OptionError(
            f"negative_exposure={column!r} is the treatment itself; name one that cannot change the outcome"
        )
    _refuse_used(spec, "negative_exposure", column)
    roles = [role for role in spec.roles if role.kind not in ("treat", "adjust")]
    adjusted = spec.rhs("adjust")
    body = treatment if adjusted is None else plus(adjusted, treatment)
    found = replace(spec, roles=(Role("treat", (Name(column),)), Role("adjust", (body,)), *roles))
    return _control(result, "negative_exposure", column, found)


def _control(result: ResultCore, what: str, column: str, spec: Spec) -> Refuted:
    """The fit of another formula as the analysis is; where it cannot be, the error says whose it is."""
    try:
        return _refitted(result, CONTROLS[what], _rebound(result, spec))
    except (CapabilityError, DataError, IdentificationError, OptionError) as error:
        kind = "outcome" if what == "negative_outcome" else "treatment"
        raise type(error)(
            f"{what}={column!r} goes through the analysis as its {kind} does, and cannot: {error}. Name a column that "
            f"can stand for the {kind}"
        ) from error


def _check_column(frame: ModelFrame, what: str, column: object) -> None:
    if not isinstance(column, str):
        raise OptionError(f"{what}= is the name of a column of the data, not {column!r}")
    if column not in frame.table:
        raise OptionError(f"{what}={column!r} is no column of the data{choose(column, frame.table.names)}")


def _refuse_used(spec: Spec, what: str, column: str) -> None:
    """A control that the analysis uses already says nothing."""
    if spec.outcome is not None and column in variables(spec.outcome):
        raise OptionError(f"{what}={column!r} is the outcome itself, which the effect is on")
    for role in spec.roles:
        if role.kind not in ("treat", "did") and any(column in variables(node) for node in role.nodes()):
            raise OptionError(
                f"{what}={column!r} is in {role.kind}(...) of the formula; a negative control is a variable that the "
                "analysis does not use"
            )
        if any(column in variables(node) for node in role.nodes()):
            raise OptionError(f"{what}={column!r} is in {role.kind}(...): it is what the effect is of")


def _rebound(result: ResultCore, spec: Spec) -> Call:
    """Another formula, bound to the same rows of the data, but for those where it has missing values."""
    call, frame = result.call, result.call.frame
    spec = parse(str(spec), None, tuple(frame.env or ()))
    rows = np.zeros(frame.table.n, dtype=bool)
    rows[frame.rows] = True
    extra = (*call.options.columns, *named_columns(result.covariance.request, frame.table, call.record))
    contrasts, env = frame.contrasts, frame.env
    found = bind(spec, frame.table, extra=extra, subset=rows, contrasts=contrasts, env=env)
    return Call(str(spec), spec, found, registry.settled_anew(frame, found, call.options))


def _refitted(result: ResultCore, test: str, call: Call) -> Refuted:
    """The refit's own effects, under the covariance of the fit."""
    request = result.covariance.request
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the refit has to say is among the notes
        found = answered(call, None if isinstance(request, Given) else request)
    reading, labels = found.read(), found.answer.labels
    same = [label.contrast for label in labels] == [label.contrast for label in result.answer.labels]
    before = (
        result.read().estimate if same or len(labels) == len(result.answer.labels) else np.full(len(labels), np.nan)
    )
    verdicts = tuple(verdict(REFUTERS[test], p) for p in reading.p_value)
    fewer = result.call.frame.n - call.frame.n
    known = notes_of(result)
    notes = (str(call.spec),) if call.spec is not result.call.spec else ()
    notes += tuple(note.removeprefix("Note: ") for note in notes_of(found) if note not in known)
    if fewer > 0 and test != "placebo_in_time":
        notes = (*notes, f"on {counted(fewer, 'row')} fewer, for missing values")
    limits = np.column_stack([reading.low, reading.high])
    return Refuted(test, labels, before, reading.estimate, reading.p_value, verdicts, limits=limits, notes=notes)


# ---- before the change ----------------------------------------------------------------------------------------------


def placebo_in_time(result: ResultCore, time: str | None, at: object) -> Refuted:
    """The difference in differences of the periods before the change, as if it had come between two of these."""
    frame, spec = result.call.frame, result.call.spec
    if frame.panel is None:
        raise CapabilityError(
            "placebo_in_time is for a difference in differences, did(A, time): it puts the change before the real one; "
            "for treat(...) there are placebo and negative controls"
        )
    column = _time_column(frame, spec, time)
    before = np.flatnonzero(frame.the_panel.periods.codes == 0)
    levels, codes = _periods(frame, column, before)
    label = frame.the_panel.periods.levels[0]
    if len(levels) < 2:
        raise CapabilityError(
            f"placebo_in_time needs two periods before the change, and {column} is {levels[0]} in all rows with "
            f"{frame.the_panel.time} = {label}; name a column that tells periods apart, time='year', in data that have "
            f"several before the change{_no_unit(frame)}"
        )
    start = _start(levels, at)
    made = _as_if(frame.take(before), codes, start)
    found = _refitted(result, "placebo_in_time", replace(result.call, frame=made, made=None, designed=None))
    said = f"as if the change had come at {column} = {levels[start]}; {counted(len(before), 'row')} before the real one"
    return replace(found, notes=(said, *found.notes))


def _no_unit(frame: ModelFrame) -> str:
    """What to write in place of ``unit =``, which has one row a unit before the change."""
    if frame.unit is None:
        return ""
    return f" (with cluster({frame.unit.name}), as unit = takes one row a unit and period)"


def _time_column(frame: ModelFrame, spec: Spec, time: str | None) -> str:
    if time is not None:
        _check_column(frame, "time", time)
        grouped = (*frame.cluster_names, *(name for role in spec.of("did") for name in variables(role.body[0])))
        if time in grouped:
            raise OptionError(f"time={time!r} says who a row is of; it is the column of the periods")
        return time
    names = list(dict.fromkeys(name for role in spec.of("did") for name in variables(role.body[1])))
    if len(names) != 1:
        raise OptionError(f"time= is the column of the periods before the change; the formula has {', '.join(names)}")
    return names[0]


def _periods(frame: ModelFrame, column: str, rows: Codes) -> tuple[tuple[str, ...], Codes]:
    """The periods of some rows, in order, and which of them each row is in."""
    value = take(take(frame.table.named(column), frame.rows), rows)
    if isinstance(value, Strings) and (found := reading(value)) is not None:
        raise OptionError(
            f"the periods {column!r} are {found.described()}; {found.advice(column)} and name that column"
        )
    factor = as_factor(value)
    factor = factor.drop_unused() if isinstance(factor, Factor) else factor
    if (factor.codes < 0).any():
        raise DataError(f"{column} is missing in some rows before the change; placebo_in_time needs it in all")
    return factor.levels, np.asarray(factor.codes, dtype=np.intp)


def _start(levels: Sequence[str], at: object) -> int:
    """Which of the periods the change is put at: one given, or the one in the middle."""
    if at is None:
        return -(-len(levels) // 2)
    text = f"{at:g}" if isinstance(at, float) else str(at)
    if text not in levels[1:]:
        raise OptionError(
            f"placebo_time={at!r} is not one of the periods before the change but the first{choose(text, levels[1:])}"
        )
    return list(levels).index(text)


def _as_if(frame: ModelFrame, codes: Codes, start: int) -> ModelFrame:
    """The rows before the change, with another change."""
    panel, late = frame.the_panel, (codes >= start).astype(np.intp)
    periods = Grouping(panel.periods.name, ("before", "after"), late)
    panel = replace(panel, second=late.astype(float), periods=periods)
    if len(np.unique(panel.cells)) < 4:
        raise DataError("a group has no rows before, or none after, the change of placebo_in_time; give placebo_time=")
    values = {**frame.values, panel.time: panel.second}
    return replace(frame, panel=panel, values=values, groupings={**frame.groupings, "period": (periods,)}, _memo={})
