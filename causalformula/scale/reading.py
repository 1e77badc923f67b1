"""The variables of a formula on the rows of a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from causalformula.errors import DataError, some
from causalformula.formula.expressions.evaluate import Memory, evaluate
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import Factor, Logical, Matrix, Strings, Value, as_factor, missing, take
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Name, Node
from causalformula.formula.matrix.recipe import one_column
from causalformula.frame.model_frame import whole_numbers
from causalformula.frame.rows import as_numbers, complete_rows, refuse_below_zero, refuse_infinite, subset_rows
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.scale.sources.source import Chunk


@dataclass(frozen=True, eq=False)
class Read:
    """The variables on the rows of a chunk that are kept.

    Parameters
    ----------
    values : mapping of str to Value
        By key, on the rows kept.
    rows : ndarray of int
        Positions in the chunk.
    asked : ndarray of bool
        Rows of the subset.
    missing_by, made, compared
        As in ``choose_rows`` and ``Memory``.
    all_values : mapping
        Over all rows of the chunk.
    """

    values: dict[str, Value]
    rows: Codes
    asked: Bools
    missing_by: dict[str, int]
    made: dict[str, Bools]
    compared: dict[str, str]
    all_values: Mapping[str, Value] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Reading:
    """How the variables of a formula are read from a chunk.

    Parameters
    ----------
    nodes : mapping of str to Node
        By label; weights, offsets, strata and clusters by ``role:label``.
    text : str
        The formula, for messages.
    subset : str or None
    na_action : str
    memory : Memory
        The states of remembering calls, of all rows.
    known : tuple of str
        Columns of the data.
    outcome : str or None
        Label of the left side.
    beside : tuple of str
        Columns that are read though the formula does not name them.
    trials : bool
        Whether the numbers of trials of ``cbind(successes, failures)`` count as weights.
    """

    nodes: Mapping[str, Node]
    text: str
    subset: str | None
    na_action: str
    memory: Memory
    known: tuple[str, ...]
    outcome: str | None = None
    beside: tuple[str, ...] = ()
    trials: bool = True

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that are read."""
        nodes = list(self.nodes.values())
        if self.subset is not None:
            nodes.append(parse_expression(self.subset))
        names = dict.fromkeys(v for node in nodes for v in variables(node) if v in self.known)
        return tuple(dict.fromkeys((*names, *self.beside)))

    def with_columns(self, names: tuple[str, ...]) -> Reading:
        """The same with other columns beside those of the formula."""
        return replace(self, beside=tuple(dict.fromkeys((*self.beside, *names))))

    def of(self, chunk: Chunk, *, fresh: bool = False) -> Read:
        """The variables of a chunk; ``fresh`` at the first pass, which notes what is to be said of them."""
        memory = Memory(calls=self.memory.calls) if fresh else self.memory
        known = len(memory.calls)
        read = dict.fromkeys(v for node in self.nodes.values() for v in variables(node) if v in self.known)
        columns = chunk.columns(read)
        values: dict[str, Value] = {}
        for key, node in self.nodes.items():
            value = evaluate(node, columns, chunk.n, source=self.text, memory=memory, replay=not fresh)
            values[key] = one_column(value, chunk.n, deparse(node), self.text, node.span)
        chosen = subset_rows(self.subset, chunk, None, memory.compared, memory.calls)
        if len(memory.calls) != known:
            raise DataError(f"{self.text}: a call that depends on all rows was read from some of them")
        asked, absent, counts = complete_rows(chunk.n, values, chosen)
        lost = asked & absent
        if self.na_action == "fail" and lost.any():
            by = ", ".join(f"{name} ({count})" for name, count in counts.items())
            labels = chunk.index()[np.flatnonzero(lost)]
            raise DataError(f"missing values in {by}; rows {some(labels)}. Use na_action='omit' to drop them")
        rows = np.flatnonzero(asked & ~absent)
        kept = values if len(rows) == chunk.n else {key: take(value, rows) for key, value in values.items()}
        if fresh:
            refuse_infinite(kept, chunk.index()[rows])
        return Read(kept, rows, asked, counts, dict(memory.made) if fresh else {}, dict(memory.compared), values)

    def numbers(self, values: Mapping[str, Value], role: str) -> list[Array]:
        """Numbers of a role's expressions."""
        found = ((key, node) for key, node in self.nodes.items() if key.startswith(f"{role}:"))
        return [as_numbers(values[key], deparse(node), role) for key, node in found]

    def weights(self, values: Mapping[str, Value], index: Any) -> Array | None:
        """Weights, with the numbers of trials of ``cbind(successes, failures)``; none below zero."""
        found = self.numbers(values, "weights")
        w = found[0] if found else None
        if w is not None and (w < 0).any():
            name = next(deparse(node) for key, node in self.nodes.items() if key.startswith("weights:"))
            refuse_below_zero(w, name, index)
        left = None if self.outcome is None else values[self.outcome]
        if self.trials and isinstance(left, Matrix) and self.outcome is not None and self.outcome.startswith("cbind("):
            trials = np.asarray(left.values.sum(axis=1))
            w = trials if w is None else trials * w
        return w

    def offset(self, values: Mapping[str, Value]) -> Array | None:
        """The sum of the offsets."""
        found = self.numbers(values, "offset")
        return np.asarray(np.sum(found, axis=0)) if found else None

    def proportions(self, values: Mapping[str, Value], w: Array | None) -> tuple[bool, bool]:
        """Whether an outcome has values between 0 and 1, and whether weights make whole numbers of it."""
        y = None if self.outcome is None else values[self.outcome]
        if w is None or not isinstance(y, np.ndarray):
            return False, True
        whole = whole_numbers(w) and whole_numbers(w * y)
        return bool(((y > 0) & (y < 1)).any()), whole

    def key(self, name: str) -> str | None:
        """The key of a grouping of the formula by its name; None for another column of the data."""
        for key, node in self.nodes.items():
            role = key.partition(":")[0]
            text = node.id if isinstance(node, Name) else deparse(node)
            if role in ("cluster", "strata", "unit") and key.startswith(f"{role}:") and text == name:
                return key
        return None

    def groups(self, read: Read, chunk: Chunk, name: str) -> Any:
        """What a grouping has on the rows kept of a chunk: numbers as they are, levels as text.

        Raises
        ------
        DataError
            Where it is missing in one of them.
        """
        key = self.key(name)
        value = read.values[key] if key is not None else take(chunk.named(name), read.rows)
        gone = missing(value)
        if gone is not None and gone.any():
            labels = chunk.index()[read.rows[np.flatnonzero(gone)]]
            raise DataError(
                f"{name!r} is missing in {int(gone.sum())} of the rows used (rows {some(labels)}); name it in the "
                "formula so that these rows are dropped before the fit, or fill it in"
            )
        if isinstance(value, (Factor, Strings, Logical)):
            factor = as_factor(value)
            return np.asarray(factor.levels, dtype=object)[factor.codes]
        return value.values if isinstance(value, Times) else value
