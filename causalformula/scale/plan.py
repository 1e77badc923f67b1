"""``Plan``: a formula bound to data that stay elsewhere; every chunk of rows is read by it as all rows would be.

``plan.frame(chunk)`` is an ordinary frame of the chunk's rows, with the levels, the memory and the treatment of all
rows. The plan's own ``prototype`` is a frame of a few rows that have every level: recipes, names and labels come from
it, and nothing that depends on how many rows there are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.errors import CapabilityError, CausalFormulaWarning, DataError, OptionError
from causalformula.formula.expressions.values import Factor, Logical, Strings, Value, as_factor
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.reader import parse_absorbing
from causalformula.formula.language.spec import Spec
from causalformula.formula.language.syntax import Name, Node
from causalformula.formula.matrix.design import Contrasts
from causalformula.formula.matrix.terms import terms
from causalformula.frame.bind import bind, entering_nodes, role_bodies, special_nodes
from causalformula.frame.columns import Table
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import day_notes, sum_notes, text_notes, told
from causalformula.frame.outcome import Outcome
from causalformula.frame.panel import Panel
from causalformula.frame.regression_frame import RegressionFrame, bind_regression
from causalformula.frame.rows import check_na_action, no_rows_left, shown
from causalformula.frame.treatment import Kind, Treatment
from causalformula.frame.two_periods import coded_periods, order_notes
from causalformula.scale.chunk_frames import AnyChunk, ChunkFrame, ChunkRegression
from causalformula.scale.preparation import Survey, Surveyor, merged_notes
from causalformula.scale.reading import Reading
from causalformula.scale.sources.source import Chunk, Source
from causalformula.scale.states import remembered
from causalformula.scale.sums import added


@dataclass(frozen=True, eq=False)
class Plan:
    """How the chunks of one question are read; it pickles.

    Parameters
    ----------
    reading : Reading
    prototype : ModelFrame or RegressionFrame
        A few rows that have every level.
    survey : Survey
        Counts of all rows.
    notes : tuple of str
        What is to be said of how the data were read.
    """

    reading: Reading
    prototype: ModelFrame | RegressionFrame
    survey: Survey
    notes: tuple[str, ...]

    def with_columns(self, names: Iterable[str]) -> Plan:
        """The same, of which chunks have further columns of the data.

        Raises
        ------
        OptionError
            For a column that the data do not have.
        """
        own = tuple(name for name in names if self.reading.key(name) is None)
        for name in own:
            if name not in self.reading.known:
                _head(self.reading.known).named(name)
        return replace(self, reading=self.reading.with_columns(own))

    def frame(self, chunk: Chunk) -> AnyChunk | None:
        """The rows of a chunk that are kept; None where none is."""
        read = self.reading.of(chunk)
        if not len(read.rows):
            return None
        values, like, index = read.values, self.prototype, chunk.index()[read.rows]
        outcome = None if like.outcome is None else _outcome(like.outcome, values[like.outcome.name])
        shared = {
            "table": chunk,
            "rows": read.rows,
            "index": index,
            "total": int(read.asked.sum()),
            "missing_by": {},
            "outcome": outcome,
            "weights": self.reading.weights(values, index),
            "offset": self.reading.offset(values),
            "reading": self.reading,
            "read": read,
        }
        if isinstance(like, RegressionFrame):
            recipe = like.replay.recipe
            labels = recipe.terms.labels
            X = recipe.fill({i: b.prepare(values[labels[i]]) for i, b in recipe.blocks.items()}, len(read.rows))
            offsets = [np.asarray(values[labels[i]], dtype=float) for i in recipe.terms.offsets]
            own = shared["offset"]
            shared["offset"] = np.sum([*offsets, *([] if own is None else [own])], axis=0) if offsets else own
            return ChunkRegression(**shared, text=like.text, X=X, replay=like.replay)
        treatment, panel = like.treatment, like.panel
        if panel is not None and panel.groups is not None:
            panel = _panel(panel, values)
            treatment = panel.groups
            values = {**values, panel.treated: panel.first, panel.time: panel.second}
        elif treatment is not None:
            treatment = _treatment(treatment, values[treatment.name])
            values = {**values, treatment.name: treatment.column}
        return ChunkFrame(
            **shared,
            spec=like.spec,
            treatment=treatment,
            panel=panel,
            bodies=like.bodies,
            values=values,
            memory=like.memory,
            contrasts=like.contrasts,
            prototype=like,
        )


def _outcome(whole: Outcome, value: Value) -> Outcome:
    """A chunk's left side; of levels the first of all rows is 0, others 1."""
    if isinstance(value, (Factor, Strings)):
        levels = as_factor(whole.value).drop_unused().levels
        factor = as_factor(value)
        first = np.array([level != levels[0] for level in factor.levels], dtype=float)
        return Outcome(whole.name, first[factor.codes])
    return Outcome(whole.name, value)


def _treatment(whole: Treatment, value: Value) -> Treatment:
    """A chunk's treatment, in the levels of all rows."""
    if isinstance(whole.column, np.ndarray) and isinstance(value, np.ndarray):
        numbers = value.astype(float)
        if whole.kind is Kind.CONTINUOUS:
            return replace(whole, column=numbers, values=numbers)
        codes = (numbers == np.unique(whole.values)[1]).astype(np.intp)
        return replace(whole, column=numbers, codes=codes, values=numbers)
    if isinstance(whole.column, Logical) and isinstance(value, Logical):
        codes = value.codes.astype(np.intp)
        return replace(whole, column=value, codes=codes, values=codes.astype(float))
    factor = as_factor(value)
    place = np.array([whole.levels.index(level) if level in whole.levels else -1 for level in factor.levels], dtype=int)
    codes = place[factor.codes].astype(np.intp)
    return replace(whole, column=Factor(codes, whole.levels), codes=codes, values=codes.astype(float))


def _panel(whole: Panel, values: Mapping[str, Value]) -> Panel:
    """A chunk's groups and periods, in the levels of all rows."""
    assert whole.groups is not None
    groups = _treatment(whole.groups, values[whole.treated])
    time = as_factor(values[whole.time])
    place = np.array([whole.periods.levels.index(level) for level in time.levels], dtype=np.intp)
    periods = replace(whole.periods, codes=place[time.codes])
    second = coded_periods(values[whole.time], periods)
    return replace(whole, groups=groups, first=groups.column, second=second, periods=periods, unit=None)


def _refuse_switching(spec: Spec, survey: Survey) -> None:
    """A ``CapabilityError`` for a treatment of units that nobody has in the first period: it may switch on in them."""
    cells = survey.marks.get("crossed", {})
    named = any(key.startswith("unit:") for key in special_nodes(spec))
    if len(cells) == 3 and named and {first for first, _ in cells} <= {"0", "1", "FALSE", "TRUE"}:
        treated = deparse(spec.of("did")[0].body[0])
        raise CapabilityError(
            f"{treated} is never on in one of the periods, so that it switches on within units: where the data are, "
            "the first variable of did(...) must say in which group a unit is, in all its rows; make it a column of "
            "the data"
        )


def raw_panel(panel: Panel, reading: Reading, rows: Table) -> Panel:
    """The panel with its variables as they are in the data."""
    values = reading.of(Chunk(rows.to_pandas()), fresh=True).values
    return replace(panel, first=values[panel.treated], second=values[panel.time])


# -- making plans ----------------------------------------------------------------------------------------------------


def plan_question(
    spec: Spec,
    source: Source,
    *,
    extra: Iterable[str] = (),
    subset: Any = None,
    na_action: str = "omit",
    contrasts: Contrasts | None = None,
    env: Any = None,
) -> Plan:
    """The plan of a causal formula.

    Parameters
    ----------
    spec : Spec
    source : Source
    extra, subset, na_action, contrasts, env
        As in ``bind``.

    Raises
    ------
    CapabilityError
        For what chunks of rows do not have.
    """
    _refuse(spec.source or str(spec), subset, env, na_action)
    if spec.has("fe"):
        raise CapabilityError(
            "fe(...) does not run on data that stay elsewhere: fit to a sample of the rows, or give "
            "cf.scan(data, limit=...) a higher limit"
        )
    bodies = role_bodies(spec, source.names)
    nodes = {deparse(node): node for node in entering_nodes(spec, bodies)} | special_nodes(spec)
    nodes |= _named(source, extra)
    left = None if spec.outcome is None else deparse(spec.outcome)
    reading, survey = _surveyed(source, nodes, spec.source or str(spec), subset, na_action, left, spec)
    rows = Table(survey.rows)
    _refuse_switching(spec, survey)
    with warnings.catch_warnings():
        # said below, of all rows
        warnings.simplefilter("ignore", CausalFormulaWarning)
        frame = bind(spec, rows, extra=extra, contrasts=contrasts, memory=reading.memory)
    entering = [node for node in entering_nodes(spec, bodies)]
    panel = frame.panel
    ordered = (
        () if panel is None or panel.groups is None else order_notes(raw_panel(panel, reading, rows), panel.groups)
    )
    said = [*sum_notes(spec.outcome), *text_notes(_of_terms(spec, entering), frame.values, survey.kept)]
    days = day_notes(entering, frame.memory.counted)
    return _planned(reading, frame, survey, [*said, *survey.compared.values(), *days, *ordered])


def _of_terms(spec: Spec, nodes: list[Node]) -> list[Node]:
    return [node for node in nodes if node is not spec.outcome and node is not spec.treatment]


def plan_regression(
    text: str,
    source: Source,
    *,
    weights: str | None = None,
    offset: str | None = None,
    extra: Iterable[str] = (),
    subset: Any = None,
    na_action: str = "omit",
    contrasts: Contrasts | None = None,
    env: Any = None,
) -> Plan:
    """The plan of a plain regression, as ``bind_regression`` reads one.

    Parameters
    ----------
    text : str
    source : Source
    weights, offset, extra, subset, na_action, contrasts, env
        As in ``bind_regression``.
    """
    _refuse(text, subset, env, na_action)
    left, right, absorbed = parse_absorbing(text, (), absorbs=True)
    if absorbed:
        raise CapabilityError(
            "fixed effects are not absorbed of data that stay elsewhere: write factor(...) for a few levels, or fit "
            "to a sample of the rows"
        )
    taken = set() if left is None else set(variables(left))
    found = terms(right, response=left, dot=[name for name in source.names if name not in taken], source=text)
    nodes = dict(zip(found.labels, found.variables, strict=True))
    for role, given in (("weights", weights), ("offset", offset)):
        if given is not None and not isinstance(given, str):
            raise OptionError(f"{role}= takes the name of a column or an expression, as text")
        if given is not None:
            nodes[f"{role}:{given}"] = parse_expression(given)
    nodes |= _named(source, extra)
    label = found.labels[0] if found.response else None
    reading, survey = _surveyed(source, nodes, text, subset, na_action, label, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        frame = bind_regression(
            text, survey.rows, weights=weights, offset=offset, extra=extra, contrasts=contrasts, memory=reading.memory
        )
    memory = frame.replay.memory or reading.memory
    values = replace(reading, subset=None).of(Chunk(survey.rows), fresh=True).values
    entering = found.variables[int(found.response) :]
    said = [*sum_notes(left), *text_notes(entering, values, survey.kept)]
    said += [*survey.compared.values(), *day_notes(found.variables, memory.counted)]
    return _planned(replace(reading, memory=memory), frame, survey, said)


def _named(source: Source, extra: Iterable[str]) -> dict[str, Node]:
    """Columns that options and the covariance name."""
    for name in extra:
        if name not in source.names:
            _head(source.names).named(name)
    return {f"cluster:{name}": Name(name) for name in extra}


def _head(names: Iterable[str]) -> Table:
    """The data without rows, which knows how to say that a column is not there."""
    return Table({name: np.empty(0) for name in names})


def _refuse(text: str, subset: Any, env: Any, na_action: str) -> None:
    check_na_action(na_action)
    if env:
        raise CapabilityError(
            "functions of env= see a chunk of rows at a time, and what they make of all rows cannot be known; make "
            "their values a column of the data"
        )
    if subset is not None and not isinstance(subset, str):
        raise CapabilityError('of data that stay elsewhere subset= is an expression, such as "age > 30"')


def _surveyed(
    source: Source,
    nodes: dict[str, Node],
    text: str,
    subset: str | None,
    na_action: str,
    left: str | None,
    spec: Spec | None,
) -> tuple[Reading, Survey]:
    """How chunks are read, and the counts of all rows."""
    head = _head(source.names)
    asked = list(nodes.values()) + ([] if subset is None else [parse_expression(subset)])
    for node in asked:
        for name in variables(node):
            if name not in source.names and name not in ("T", "F", "pi"):
                head.column(name, text, None if spec is None else spec.span_of(name))
    memory = remembered(source, asked, text)
    treated = None if spec is None or spec.treatment is None else deparse(spec.treatment)
    reading = Reading(nodes, text, subset, na_action, memory, source.names, left, trials=spec is not None)
    crossed = () if spec is None else tuple(deparse(body) for role in spec.of("did") for body in role.body)
    survey = source.run(Surveyor(reading, treated, crossed), reading.columns, added, ids=source.numbered)
    if survey is None:
        raise DataError("the data have no rows")
    survey = survey.ordered([shown(key) for key in reading.nodes])
    if not survey.kept:
        raise no_rows_left(survey.total, survey.missing_by, merged_notes(survey.made))
    return reading, survey


def _planned(reading: Reading, frame: ModelFrame | RegressionFrame, survey: Survey, said: list[str]) -> Plan:
    notes = told([*merged_notes(survey.made), *dict.fromkeys(said)])
    memory = frame.memory if isinstance(frame, ModelFrame) else reading.memory
    return Plan(replace(reading, memory=memory), frame, survey, notes)
