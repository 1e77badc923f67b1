"""``bind``: a formula and data become a ``ModelFrame``. Every variable is evaluated once, rows are chosen once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from causalformula.errors import DataError, FormulaError, OptionError, choose
from causalformula.formula.expressions.contrasts import check_contrasts
from causalformula.formula.expressions.evaluate import Env, Memory, evaluate
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import Factor, Logical, Strings, Value, take
from causalformula.formula.language.absorbed import AbsorbedTerm, absorbed_terms
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import ROLES, has_dot, plus, summands, variables
from causalformula.formula.language.leave_one_out import leave_one_out, leave_one_out_terms
from causalformula.formula.language.spec import Spec
from causalformula.formula.language.syntax import Argument, Call, Name, Node
from causalformula.formula.matrix.design import Contrasts
from causalformula.formula.matrix.recipe import one_column
from causalformula.formula.matrix.terms import terms
from causalformula.frame.absorbed import as_group, limits_of
from causalformula.frame.adoption import marks_never
from causalformula.frame.columns import Table
from causalformula.frame.grouping import Grouping, crossed, grouping
from causalformula.frame.leave_one_out import rows_with_others
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import day_notes, sum_notes, text_notes, told
from causalformula.frame.outcome import Outcome
from causalformula.frame.panel import Panel
from causalformula.frame.rows import (
    as_numbers,
    check_na_action,
    checked_weights,
    choose_rows,
    refuse_infinite,
    subset_rows,
)
from causalformula.frame.treatment import read_treatment, refuse_empty_arms
from causalformula.frame.two_periods import two_by_two
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.families import Family

CONSTANTS = frozenset(["T", "F", "pi"])
# Roles whose body is a right-hand side of its own, and those that group rows.
TERM_ROLES = tuple(name for name, record in ROLES.items() if record.adjusts)
GROUPED = ("cluster", "strata", "unit", "period", "loo")


def bind(
    spec: Spec,
    data: Any,
    *,
    extra: Iterable[str] = (),
    subset: Any = None,
    na_action: str = "omit",
    contrasts: Contrasts | None = None,
    env: Env | None = None,
    family: Family | None = None,
    memory: Memory | None = None,
) -> ModelFrame:
    """Bind a formula to data.

    Parameters
    ----------
    spec : Spec
    data : any frame that narwhals reads
    extra : iterable of str
        Columns that options or the covariance name; a missing value there drops the row too.
    subset : str or boolean array, optional
        An R expression such as ``"race != 'hispan'"``, or one boolean a row. Rows where it is missing are left out.
    na_action : {"omit", "fail"}
        Drop rows with missing values and report them, or raise.
    contrasts : mapping or pair, optional
        Contrasts of factors, by variable or as R's option.
    env : mapping of str to callable, optional
        Functions of the caller's own.
    family : Family, optional
        Of the outcome model: levels of absorbed effects whose outcomes are all at the end of its range leave.
    memory : Memory, optional
        What remembering calls know already, of more rows than these.

    Raises
    ------
    FormulaError
        For an unknown column or function.
    DataError
        For data that cannot answer: infinite values, negative weights, one arm, missing values under ``"fail"``.
    """
    check_na_action(na_action)
    table = data if isinstance(data, Table) else Table(data)
    if table.n == 0:
        raise DataError("the data have no rows")
    reader = _Reader(spec, table, env, memory)
    bodies = role_bodies(spec, table.names)
    values = reader.all_values(bodies)
    _known_contrasts(contrasts, values)
    special = reader.special(extra)
    chosen = subset_rows(subset, table, env, reader.memory.compared)
    made = reader.memory.made
    never = _marks_never(spec, reader, bodies, values)
    entered = _without(never, {**values, **special})
    complete, total, missing_by, notes = choose_rows(table, entered, chosen, na_action, made)
    made.clear()  # a recipe holds no data, and what there was to say is said
    absorbed, means = _absorbed(spec), leave_one_out_terms(spec)
    known = _Kept(table, complete, special).weights(spec) if absorbed or means else None
    ends = limits_of(_outcome(spec, values, complete), family) if absorbed else None
    effects, rows, left_out = rows_with_others(means, absorbed, special, complete, known, table.index(), ends)
    kept = _Kept(table, rows, {**values, **special})
    refuse_infinite(_without(never, kept.values), kept.index)
    entering = reader.nodes(bodies)
    notes += (*sum_notes(spec.outcome), *text_notes(entering, kept.values), *reader.memory.compared.values())
    asked = (node for node in (spec.outcome, spec.treatment) if node is not None)
    notes += day_notes((*asked, *entering), reader.memory.counted)
    treatment = None
    if spec.treatment is not None:
        name = deparse(spec.treatment)
        treatment = read_treatment(name, kept.values[name], spec.treatment_ref)
        kept.values[name] = treatment.column
    outcome = _outcome(spec, values, rows)
    if outcome is not None:
        _refuse_constant(outcome)
    weights = kept.weights(spec)
    if outcome is not None and outcome.trials is not None:  # as many rows of 0 and 1 as there were trials
        weights = outcome.trials if weights is None else outcome.trials * weights
    if treatment is not None and weights is not None:
        refuse_empty_arms(treatment, weights)
    groupings = {role: found for role in GROUPED if (found := kept.groupings(spec, role))}
    if effects:
        groupings["fe"] = tuple(effect.grouping for effect in effects)
    panel = kept.panel(spec, groupings)
    if panel is not None and memory is not None:
        panel = replace(panel, unit=None)  # some of the rows do not tell whether units stay in their groups
    if panel is not None:
        panel, said = two_by_two(panel, np.ones(kept.n, dtype=bool) if weights is None else weights > 0)
        treatment, notes = panel.groups, (*notes, *said)
        kept.values.update({panel.treated: panel.first, panel.time: panel.second})
    return ModelFrame(
        spec=spec,
        table=table,
        rows=rows,
        index=kept.index,
        total=total,
        missing_by=missing_by,
        notes=told(notes),
        outcome=outcome,
        treatment=treatment,
        bodies=bodies,
        values=kept.values,
        memory=reader.memory,
        contrasts=contrasts,
        env=env,
        weights=weights,
        offset=kept.offset(spec),
        groupings=groupings,
        panel=panel,
        effects=effects,
        left_out=left_out,
    )


def _marks_never(spec: Spec, reader: _Reader, bodies: Mapping[str, Node], values: Mapping[str, Value]) -> set[str]:
    """Where first treated periods are filed, whose missing and infinite values say never; not where a term has them."""
    terms_ = {deparse(node) for node in reader.nodes(bodies)}
    labels = {deparse(item.body[0]) for item in spec.of("did")} - terms_
    found = {label for label in labels if marks_never(values[label])}
    return found | {f"did:{label}" for label in found}


def _without(labels: set[str], values: dict[str, Value]) -> dict[str, Value]:
    return {label: value for label, value in values.items() if label not in labels} if labels else values


class _Reader:
    """Evaluates the formula's variables over all rows of the table, each once."""

    def __init__(self, spec: Spec, table: Table, env: Env | None, memory: Memory | None = None):
        self.spec, self.table, self.env = spec, table, env
        self.memory = Memory() if memory is None else memory
        # `T`, `F` and `pi` are R's constants unless the data have such a column.
        wanted = [name for name in spec.variables() if name in table or name not in CONSTANTS]
        # where a name stands is looked up for a message only: it takes a walk through the whole formula
        self.columns = {
            name: table.column(name, spec.source, None if name in table else spec.span_of(name)) for name in wanted
        }

    def value(self, node: Node) -> Value:
        if leave_one_out(node) is not None:  # a mean of the rows kept, under each of their weights
            return np.ones(self.table.n)
        return evaluate(node, self.columns, self.table.n, env=self.env, source=self.spec.source, memory=self.memory)

    def all_values(self, bodies: Mapping[str, Node]) -> dict[str, Value]:
        """Every variable of the outcome, the treatment and the terms of all roles, by label."""
        nodes = entering_nodes(self.spec, bodies)
        for name in {n for node in nodes for n in variables(node)} - set(self.columns):
            if name in self.table or name not in CONSTANTS:
                self.columns[name] = self.table.column(name, self.spec.source)
        out: dict[str, Value] = {}
        for node in nodes:
            label = deparse(node)
            if label not in out:
                out[label] = one_column(self.value(node), self.table.n, label, self.spec.source, node.span)
        return out

    def nodes(self, bodies: Mapping[str, Node]) -> list[Node]:
        """The variables in the terms of all roles."""
        return term_nodes(self.spec, bodies)

    def special(self, extra: Iterable[str]) -> dict[str, Value]:
        """Weights, offsets, strata, clusters, and the columns that options name."""
        out = {}
        for key, node in special_nodes(self.spec).items():
            out[key] = self._special(self.value(node), key.partition(":")[0], deparse(node), node)
        for item in self.spec.of("did"):  # dates, which their numbers would not show
            for node in item.body:
                if isinstance(value := self.value(node), Times):
                    out[f"did:{deparse(node)}"] = value
        for name in extra:
            out[f"cluster:{name}"] = self.table.named(name)
        return out

    def _special(self, value: Value, role: str, label: str, node: Node) -> Value:
        if role in ("fe", *GROUPED):
            return as_group(value, node, self.table.n, self.spec.source)
        return one_column(value, self.table.n, label, self.spec.source, node.span)


def _known_contrasts(contrasts: Contrasts | None, values: Mapping[str, Value]) -> None:
    """Refuse what is no ``contrasts=``, and contrasts of what is no variable of the formula: they would be ignored."""
    check_contrasts(contrasts)
    if isinstance(contrasts, Mapping):
        for name in contrasts:
            if name not in values:
                listed = choose(name, values, "it uses")
                raise OptionError(f"contrasts= names {name!r}, which the formula does not use{listed}")


def role_bodies(spec: Spec, names: Iterable[str]) -> dict[str, Node]:
    """Right-hand sides by role, of data with these columns."""
    return {role: _body(spec, role, names) for role in TERM_ROLES if spec.has(role)}


def entering_nodes(spec: Spec, bodies: Mapping[str, Node]) -> list[Node]:
    """The outcome, the treatment and the variables in the terms of all roles."""
    nodes = [node for node in (spec.outcome, spec.treatment) if node is not None]
    nodes += [body for role in spec.of("did") for body in role.body]
    return nodes + term_nodes(spec, bodies)


def term_nodes(spec: Spec, bodies: Mapping[str, Node]) -> list[Node]:
    """The variables in the terms of all roles."""
    out: list[Node] = []
    for role, body in bodies.items():
        found = terms(body, source=spec.source)
        if not found.intercept:
            why = f"{role}(...) cannot take the intercept out; a causal model keeps it"
            raise FormulaError(why, spec.source)
        out += found.variables
    return out


def special_nodes(spec: Spec) -> dict[str, Node]:
    """Weights, offsets, strata and clusters as they are written, by ``role:label``."""
    roles = ("weights", "offset", "fe", *GROUPED)
    return {f"{role}:{deparse(node)}": node for role in roles for node in _pieces(spec, role)}


def _body(spec: Spec, role: str, columns: Iterable[str]) -> Node:
    """A role's right-hand side with the dot expanded to the columns that have no other role."""
    body = spec.rhs(role)
    assert body is not None
    if not has_dot(body):
        return body
    left_out = spec.dot_excluded(role)
    names = [name for name in columns if name not in left_out]
    if not names:
        raise FormulaError("`.` stands for no column: every column of the data has a role", spec.source)
    return _expanded(body, names)


def _expanded(node: Node, names: list[str]) -> Node:
    if isinstance(node, Name) and node.id == ".":
        total: Node = Name(names[0], span=node.span)
        for name in names[1:]:
            total = plus(total, Name(name, span=node.span))
        return Call("(", (Argument(total),), span=node.span)
    if isinstance(node, Call):
        args = tuple(Argument(_expanded(a.value, names), a.name) for a in node.args)
        return Call(node.function, args, span=node.span)
    return node


def _pieces(spec: Spec, role: str) -> list[Node]:
    """The variables that a grouping role lists, ``cluster(g + h)``; weights and offsets are one expression each."""
    if role == "unit":
        unit = spec.option("did", "unit")
        return [] if unit is None else [unit]
    if role == "period":
        return [item.body[1] for item in spec.of("did")]
    if role == "fe":
        return [node for term in _absorbed(spec) for node in term.nodes]
    if role == "loo":
        return list({deparse(term.group): term.group for term in leave_one_out_terms(spec)}.values())
    bodies = [body for item in spec.of(role) for body in item.body]
    if role not in GROUPED:
        return bodies
    return [piece for body in bodies for sign, piece in summands(body) if sign > 0]


def _outcome(spec: Spec, values: Mapping[str, Value], rows: Codes) -> Outcome | None:
    """The left side on some rows."""
    if spec.outcome is None:
        return None
    name = deparse(spec.outcome)
    return Outcome(name, take(values[name], rows))


def _absorbed(spec: Spec) -> tuple[AbsorbedTerm, ...]:
    """The factors whose effects are absorbed."""
    return absorbed_terms((body for item in spec.of("fe") for body in item.body), spec.source)


class _Kept:
    """The evaluated values on the rows kept."""

    def __init__(self, table: Table, rows: Codes, values: Mapping[str, Value]):
        whole = len(rows) == table.n
        self.index = table.index() if whole else table.index()[rows]
        self.values = dict(values) if whole else {k: take(v, rows) for k, v in values.items()}
        self.n = len(rows)

    def _numbers(self, label: str, name: str, role: str) -> Array:
        return as_numbers(self.values[label], name, role)

    def weights(self, spec: Spec) -> Array | None:
        pieces = _pieces(spec, "weights")
        if not pieces:
            return None
        name = deparse(pieces[0])
        return checked_weights(self._numbers(f"weights:{name}", name, "weights"), name, self.index)

    def offset(self, spec: Spec) -> Array | None:
        pieces = _pieces(spec, "offset")
        if not pieces:
            return None
        parts = [self._numbers(f"offset:{deparse(p)}", deparse(p), "offset") for p in pieces]
        return np.asarray(np.sum(parts, axis=0))

    def groupings(self, spec: Spec, role: str) -> tuple[Grouping, ...]:
        """What a role groups the rows by; several strata are taken together."""
        found = tuple(self.group(node, role) for node in _pieces(spec, role))
        return (crossed(found),) if role == "strata" and found else found

    def group(self, node: Node, role: str) -> Grouping:
        label = deparse(node)
        name = node.id if isinstance(node, Name) else label
        return grouping(name, self.values[f"{role}:{label}"], self.index)

    def panel(self, spec: Spec, groupings: Mapping[str, tuple[Grouping, ...]]) -> Panel | None:
        """The variables of ``did(...)``."""
        for role in spec.of("did"):
            treated, time = (deparse(body) for body in role.body)
            unit = next(iter(groupings.get("unit", ())), None)
            first, second = (self.values.get(f"did:{label}", self.values[label]) for label in (treated, time))
            return Panel(treated, time, first, second, groupings["period"][0], unit)
        return None


def _refuse_constant(outcome: Outcome) -> None:
    value = outcome.value
    array = value.codes if isinstance(value, (Logical, Factor, Strings)) else value
    if isinstance(array, np.ndarray) and len(array) > 1 and bool((array == array[0]).all()):
        raise DataError(f"the outcome {outcome.name!r} is constant in the rows used: there is nothing to explain")
