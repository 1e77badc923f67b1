"""R's model frame and design matrix, from terms and columns of data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from causalformula.errors import OptionError, did_you_mean, warn
from causalformula.formula.expressions import contrasts as coding
from causalformula.formula.expressions.evaluate import Env, Memory, evaluate
from causalformula.formula.expressions.values import (
    Columns,
    Factor,
    Logical,
    Matrix,
    Strings,
    Value,
    as_factor,
    missing,
    take,
)
from causalformula.formula.matrix.recipe import (
    Block,
    Recipe,
    Term,
    check_room,
    logical_factor,
    offset_total,
    one_column,
)
from causalformula.formula.matrix.terms import Terms
from causalformula.numerics.arrays import Array, Bools, Codes

Contrasts = Mapping[str, coding.Request] | tuple[str, str]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """R's model frame: the value of every variable over all rows.

    Attributes
    ----------
    terms : Terms
    values : tuple of Value
        By variable, in the order of ``terms.variables``.
    n : int
    missing : bool ndarray (n,)
        Rows in which some variable is missing (NaN from a logarithm counts, as in R).
    missing_by : dict
        Number of such rows by variable, for the variables that have any.
    memory : Memory
    """

    terms: Terms
    values: tuple[Value, ...]
    n: int
    missing: Bools
    missing_by: dict[str, int]
    memory: Memory
    env: Env | None = None
    source: str | None = None

    @property
    def kept(self) -> Codes | None:
        """Places of the complete rows, or None when every row is complete."""
        return np.flatnonzero(~self.missing) if self.missing_by else None


def evaluate_variables(
    terms: Terms,
    columns: Columns,
    n: int,
    env: Env | None = None,
    source: str | None = None,
    memory: Memory | None = None,
) -> Evaluated:
    """Evaluate the variables of a formula over all rows, as R's ``model.frame`` does before it drops any."""
    memory = Memory() if memory is None else memory
    values = []
    absent = np.zeros(n, dtype=bool)
    missing_by: dict[str, int] = {}
    for node, label in zip(terms.variables, terms.labels, strict=True):
        value = one_column(
            evaluate(node, columns, n, env=env, source=source, memory=memory), n, label, source, node.span
        )
        rows = missing(value)
        if rows is not None:
            absent |= rows
            missing_by[label] = int(rows.sum())
        values.append(value)
    return Evaluated(terms, tuple(values), n, absent, missing_by, memory, env, source)


def build(
    evaluated: Evaluated,
    rows: Codes | None = None,
    *,
    contrasts: Contrasts | None = None,
    drop_unused: bool = True,
    bare: bool = False,
) -> tuple[Array, Recipe, Array | None]:
    """R's ``model.matrix`` of evaluated variables.

    Parameters
    ----------
    evaluated : Evaluated
    rows : integer array, optional
        Rows to keep, usually ``evaluated.kept``; all by default.
    contrasts : mapping or pair of str, optional
        By variable, a name such as ``"contr.sum"`` or a matrix; or a pair, R's option: for factors, for ordered ones.
    drop_unused : bool
        Whether levels that no kept row has are dropped, as ``lm`` does. (Strings have no others.)
    bare : bool
        Leave out the intercept's column, beside which factors are coded nevertheless.

    Returns
    -------
    X : ndarray (rows, p), Fortran order
    recipe : Recipe
    offset : ndarray (rows,) or None
    """
    terms = evaluated.terms
    places = sorted({i for term in terms.coding for i, _ in term})
    values = {i: evaluated.values[i] if rows is None else take(evaluated.values[i], rows) for i in places}
    factors = {i: f for i, v in values.items() if (f := _factor(v, drop_unused, terms.labels[i])) is not None}
    values |= factors
    codings = _full_rank(terms, factors)
    contrasted = {i for term in codings for i, code in term if code == 1}
    blocks = _blocks(terms, values, contrasted, contrasts)
    recipe = Recipe(terms, blocks, codings, evaluated.memory, evaluated.env, evaluated.source, bare)
    size = evaluated.n if rows is None else len(rows)
    matrix = recipe.fill({i: blocks[i].prepare(values[i]) for i in places}, size)
    offsets = [evaluated.values[i] if rows is None else take(evaluated.values[i], rows) for i in terms.offsets]
    return matrix, recipe, offset_total(offsets)


def _factor(value: Value, drop_unused: bool, label: str) -> Factor | None:
    """The value as a factor, or None when it is numeric."""
    if isinstance(value, Logical):
        return logical_factor(value)
    if isinstance(value, Strings):
        return as_factor(value)
    if not isinstance(value, Factor):
        return None
    kept = value.drop_unused() if drop_unused else value
    if kept.contrast is not value.contrast:
        message = f"the contrasts of {label} were dropped, as some of its levels do not occur"
        warn(message)
    return kept


def _full_rank(terms: Terms, factors: Collection[int]) -> tuple[Term, ...]:
    """R's rule without an intercept: the first factor of the first term that has one is coded in full."""
    if terms.intercept:
        return terms.coding
    out = list(terms.coding)
    for k, term in enumerate(out):
        first = next((i for i, _ in term if i in factors), None)
        if first is not None:
            out[k] = tuple((i, 2 if i == first else code) for i, code in term)
            break
    return tuple(out)


def _blocks(
    terms: Terms, values: Mapping[int, Value], contrasted: Collection[int], contrasts: Contrasts | None
) -> dict[int, Block]:
    pair = contrasts if isinstance(contrasts, tuple | list) else coding.DEFAULTS
    own = contrasts if isinstance(contrasts, Mapping) else {}
    labels = {terms.labels[i]: i for i, v in values.items() if isinstance(v, Factor)}
    for label in own:
        if label not in labels:
            near = did_you_mean(label, labels)
            raise OptionError(f"contrasts= names {label!r}, which is no factor of this formula{near}")
    blocks = {}
    for i, value in values.items():
        label = terms.labels[i]
        if not isinstance(value, Factor):
            blocks[i] = Block(label, _suffixes(value))
            continue
        contrast = None
        if i in contrasted:
            if label not in own and value.contrast is None:  # the contrasts alone are a square of the levels
                check_room(len(value.levels), len(value.codes), label, len(value.levels))
            fallback = coding.default(value, (pair[0], pair[1]), label)
            contrast = coding.resolve(own[label], value.levels, label) if label in own else fallback
        blocks[i] = Block(label, (), value.levels, contrast)
    return blocks


def _suffixes(value: Value) -> tuple[str, ...]:
    if not isinstance(value, Matrix) or value.values.shape[1] == 1:
        return ("",)
    return value.names or tuple(str(j) for j in range(1, value.values.shape[1] + 1))
