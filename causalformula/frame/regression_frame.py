"""``RegressionFrame``: a plain R formula bound to data, as ``lm`` and ``glm`` read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.errors import DataError, FormulaError, OptionError
from causalformula.formula.expressions.contrasts import check_contrasts
from causalformula.formula.expressions.evaluate import Env, Memory, evaluate
from causalformula.formula.expressions.values import Value, take
from causalformula.formula.language.absorbed import AbsorbedTerm
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.from_formulaic import formula_text
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.reader import parse_absorbing
from causalformula.formula.language.syntax import Node
from causalformula.formula.matrix.design import Contrasts, Evaluated, build, evaluate_variables
from causalformula.formula.matrix.recipe import one_column
from causalformula.formula.matrix.terms import terms
from causalformula.frame.absorbed import as_group, fixed_effects, limits_of
from causalformula.frame.bound import BoundRows
from causalformula.frame.columns import Table
from causalformula.frame.notices import day_notes, sum_notes, text_notes, told
from causalformula.frame.outcome import Outcome
from causalformula.frame.replay import Replay
from causalformula.frame.rows import (
    as_numbers,
    check_env,
    check_na_action,
    checked_weights,
    choose_rows,
    columns_used,
    refuse_infinite,
    subset_rows,
)
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.families import Family

if TYPE_CHECKING:
    from formulaic import Formula


@dataclass(frozen=True, eq=False, kw_only=True)
class RegressionFrame(BoundRows):
    """What a regression is fitted to, on the rows kept.

    Parameters
    ----------
    text : str
        The formula as it was written.
    outcome : Outcome or None
        None for a formula without a left side.
    X : ndarray (n, p)
    replay : Replay
        Makes ``X`` and the offset of other data.
    weights, offset : ndarray (n,) or None
        Prior weights; the sum of all offsets.
    """

    text: str
    outcome: Outcome | None
    X: Array
    replay: Replay
    weights: Array | None = None
    offset: Array | None = None

    def __repr__(self) -> str:
        return f"RegressionFrame({self.text!r}, {self.n} rows)"

    @property
    def names(self) -> tuple[str, ...]:
        """R's names of the columns of ``X``."""
        return self.replay.recipe.names

    @property
    def intercept(self) -> bool:
        """Whether the first column is the intercept."""
        return self.replay.recipe.intercept

    def without_design(self) -> RegressionFrame:
        """The frame where the fitted model has what there is of the design: no rows of it."""
        return replace(self, X=self.X[:0].copy())


def bind_regression(
    text: str | Formula,
    data: Any,
    *,
    weights: str | None = None,
    offset: str | None = None,
    extra: Iterable[str] = (),
    subset: Any = None,
    na_action: str = "omit",
    contrasts: Contrasts | None = None,
    env: Env | None = None,
    drop_unused: bool = True,
    memory: Memory | None = None,
    absorbs: bool = False,
    family: Family | None = None,
) -> RegressionFrame:
    """Bind a plain R formula to data, as R's ``model.frame`` and ``model.matrix`` do.

    Parameters
    ----------
    text : str or formulaic.Formula
        ``y ~ x``, or ``~ x``; ``.`` stands for the columns that the left side does not use.
    data : any frame that narwhals reads
    weights, offset : str, optional
        A column, or an expression of columns. The offset adds to those in the formula.
    extra : iterable of str
        Columns that the covariance names; a missing value there drops the row too.
    subset : str or boolean array, optional
    na_action : {"omit", "fail"}
    contrasts, env
        As in ``bind``.
    drop_unused : bool
        Whether factor levels that no kept row has are dropped: ``lm`` does, ``model.matrix`` does not.
    memory : Memory, optional
        What remembering calls know already, of more rows than these.
    absorbs : bool
        Whether fixed effects may stand behind ``|`` or in ``fe(...)``.
    family : Family, optional
        Levels of these whose outcomes are all at the end of its range leave.

    Raises
    ------
    FormulaError, DataError, OptionError
        As ``bind`` does.
    """
    check_na_action(na_action)
    check_contrasts(contrasts)
    check_env(env)
    text = formula_text(text, tuple(env or ()))
    table = data if isinstance(data, Table) else Table(data)
    if table.n == 0:
        raise DataError("the data have no rows")
    evaluated, absorbed = _evaluated(text, table, env, absorbs, memory)
    beside = {role: given for role, given in (("weights", weights), ("offset", offset)) if given is not None}
    special = {role: _special(role, given, table, env, evaluated) for role, given in beside.items()}
    named = dict(zip(evaluated.terms.labels, evaluated.values, strict=True))
    named |= {f"{role}:{given}": special[role][1] for role, given in beside.items()}
    named |= {f"cluster:{name}": table.named(name) for name in extra}
    named |= _of_effects(absorbed, table, evaluated)
    chosen = subset_rows(subset, table, env, evaluated.memory.compared)
    complete, total, missing_by, notes = choose_rows(table, named, chosen, na_action, evaluated.memory.made)
    evaluated.memory.made.clear()  # a recipe holds no data, and what there was to say is said
    known = _weights_of(special, complete, weights, table.index())
    ends = limits_of(_outcome(evaluated, complete), family) if absorbed else None
    effects, rows, left_out = fixed_effects(absorbed, named, complete, known, table.index(), ends)
    whole = len(rows) == table.n
    index = table.index() if whole else table.index()[rows]
    refuse_infinite(named if whole else {k: take(v, rows) for k, v in named.items()}, index)
    X, recipe, own = build(
        evaluated, None if whole else rows, contrasts=contrasts, drop_unused=drop_unused, bare=bool(absorbed)
    )
    outcome = _outcome(evaluated, rows)
    arrays = {
        role: as_numbers(value if whole else take(value, rows), beside[role], role)
        for role, (_, value) in special.items()
    }
    parts = [part for part in (own, arrays.get("offset")) if part is not None]
    return RegressionFrame(
        text=text,
        table=table,
        rows=rows,
        index=index,
        total=total,
        missing_by=missing_by,
        notes=told((*notes, *_reading_notes(evaluated, None if whole else rows))),
        outcome=outcome,
        X=X,
        replay=Replay(recipe, (special["offset"][0],) if "offset" in special else (), evaluated.memory),
        weights=arrays.get("weights"),
        offset=np.sum(parts, axis=0) if parts else None,
        groupings={"fe": tuple(effect.grouping for effect in effects)} if effects else {},
        effects=effects,
        left_out=left_out,
    )


def _evaluated(
    text: str, table: Table, env: Env | None, absorbs: bool, memory: Memory | None
) -> tuple[Evaluated, tuple[AbsorbedTerm, ...]]:
    """Every variable of the formula's terms over all rows, and what is absorbed beside them."""
    left, right, absorbed = parse_absorbing(text, tuple(env or ()), absorbs=absorbs)
    apart = [*(() if left is None else (left,)), *(node for term in absorbed for node in term.nodes)]
    taken = {name for node in apart for name in variables(node)}
    dot = [name for name in table.names if name not in taken]
    found = terms(right, response=left, dot=dot, source=text)
    columns = columns_used(found.variables, table, text)
    return evaluate_variables(found, columns, table.n, env, text, memory), absorbed


def _of_effects(absorbed: Sequence[AbsorbedTerm], table: Table, evaluated: Evaluated) -> dict[str, Value]:
    """The variables of the absorbed effects over all rows, filed under their role."""
    text, env, out = evaluated.source or "", evaluated.env, {}
    nodes = [node for term in absorbed for node in term.nodes]
    columns = columns_used(nodes, table, text)
    for node in nodes:
        value = evaluate(node, columns, table.n, env=env, source=text, memory=evaluated.memory)
        out[f"fe:{deparse(node)}"] = as_group(value, node, table.n, text)
    return out


def _outcome(evaluated: Evaluated, rows: Codes) -> Outcome | None:
    """The left side on some rows."""
    if not evaluated.terms.response:
        return None
    return Outcome(evaluated.terms.labels[0], take(evaluated.values[0], rows))


def _weights_of(special: Mapping[str, tuple[Node, Value]], rows: Codes, name: str | None, index: Any) -> Array | None:
    """Weights that are given beside the formula, of some rows: checked before a row leaves for having none."""
    if "weights" not in special:
        return None
    w = as_numbers(take(special["weights"][1], rows), str(name), "weights")
    return checked_weights(w, str(name), index[rows])


def _reading_notes(evaluated: Evaluated, rows: Codes | None) -> tuple[str, ...]:
    """What to say of the left side, and of text among the terms."""
    found, left = evaluated.terms, evaluated.terms.response
    kept = (v if rows is None else take(v, rows) for v in evaluated.values)
    values = dict(zip(found.labels, kept, strict=True))
    outcome = sum_notes(found.variables[0]) if left else ()
    days = day_notes(found.variables, evaluated.memory.counted)
    compared = evaluated.memory.compared.values()
    return (*outcome, *text_notes(found.variables[int(left) :], values), *compared, *days)


def _special(role: str, given: Any, table: Table, env: Env | None, evaluated: Evaluated) -> tuple[Node, Value]:
    """Weights or an offset given beside the formula: the expression and its value over all rows."""
    if not isinstance(given, str):
        raise OptionError(f"{role}= takes the name of a column or an expression, as text, not {type(given).__name__}")
    node = parse_expression(given)
    columns = columns_used([node], table, given)
    value = evaluate(node, columns, table.n, env=env, source=given, memory=evaluated.memory)
    try:
        return node, one_column(value, table.n, deparse(node), given, node.span)
    except FormulaError as error:
        raise OptionError(f"{role}={given!r}: {error.message}") from None
