"""The same design on other data: what predictions for new rows need."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.errors import FormulaError, OptionError
from causalformula.formula.expressions.evaluate import Memory, evaluate
from causalformula.formula.expressions.values import Factor, Value, number_label
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.syntax import Node
from causalformula.formula.matrix.recipe import Prepared, Recipe, one_column
from causalformula.frame.absorbed import FixedEffect, as_group
from causalformula.frame.columns import Table
from causalformula.frame.rows import as_numbers, columns_used
from causalformula.numerics.arrays import Array, Codes


@dataclass(frozen=True, eq=False)
class Replay:
    """What rebuilds a design and its offset from other data; it holds no data.

    Parameters
    ----------
    recipe : Recipe
    offsets : tuple of Node
        Offsets that were given beside the formula.
    memory : Memory
        What these remember of the data of the fit.
    levels : mapping of str to tuple of str
        Columns that were taken for levels at the fit (a treatment of 0 and 1 with a reference of its own), whose new
        values may be the numbers that they were.

    Notes
    -----
    It pickles; functions of the caller's own that do not are left out, and a prediction that needs one then says so.
    """

    recipe: Recipe
    offsets: tuple[Node, ...] = ()
    memory: Memory | None = None
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        recipe = self.recipe if _pickles(self.recipe.env) else replace(self.recipe, env=None)
        return {**self.__dict__, "recipe": recipe}

    def prepared(self, data: Any) -> tuple[dict[int, Prepared], Array, Any]:
        """Variables of other data by their place in the terms, the design (m, p) of them, and row labels.

        Raises
        ------
        FormulaError, DataError
            As ``design`` does.
        """
        table = data if isinstance(data, Table) else Table(data)
        recipe = self.recipe
        columns = columns_used([recipe.terms.variables[i] for i in sorted(recipe.blocks)], table, recipe.source or "")
        found = recipe.prepared(columns, table.n)
        return found, recipe.fill(found, table.n), table.index()

    def design(self, data: Any) -> tuple[Array, Array | None, Any]:
        """Design (m, p), offset (m,) or None, and row labels of other data; NaN wherever a variable is missing.

        Raises
        ------
        FormulaError
            If a column is not there.
        DataError
            For a level that was not there at the fit, or a column of another kind.
        """
        table = data if isinstance(data, Table) else Table(data)
        recipe = self.recipe
        places = sorted([*recipe.blocks, *recipe.terms.offsets])
        nodes = [*(recipe.terms.variables[i] for i in places), *self.offsets]
        columns = columns_used(nodes, table, recipe.source or "")
        columns |= {name: _as_levels(columns[name], self._coded(name)) for name in self.levels if name in columns}
        X = recipe.apply(columns, table.n)
        parts = [self._offset(node, columns, table.n) for node in self.offsets]
        own = recipe.offset(columns, table.n)
        parts += [] if own is None else [own]
        return X, np.sum(parts, axis=0) if parts else None, table.index()

    def absorbed(self, data: Any, effect: FixedEffect) -> tuple[Codes, Array]:
        """Levels (m,) of other data, -1 where a variable is missing, and the variables (m, s) of the slopes.

        Raises
        ------
        DataError
            For a level that was not there at the fit.
        """
        table = data if isinstance(data, Table) else Table(data)
        source = self.recipe.source or ""
        columns = columns_used(effect.term.nodes, table, source)
        values = {}
        for node in effect.term.nodes:
            value = evaluate(
                node, columns, table.n, env=self.recipe.env, source=source, memory=self.recipe.memory, replay=True
            )
            values[deparse(node)] = as_group(value, node, table.n, source)
        return effect.places(values, table.n)

    def _coded(self, name: str) -> tuple[str, ...]:
        """The levels by which the design has a column; none where it has it as numbers."""
        labels = self.recipe.terms.labels
        place = labels.index(name) if name in labels else -1
        block = self.recipe.blocks.get(place)
        return () if block is None else tuple(block.levels or ())

    def _offset(self, node: Node, columns: Any, n: int) -> Array:
        name = deparse(node)
        value = evaluate(node, columns, n, env=self.recipe.env, memory=self.memory, replay=True)
        try:
            column = one_column(value, n, name, None, node.span)
        except FormulaError as error:
            raise OptionError(f"offset={name!r}: {error.message}") from None
        return as_numbers(column, name, "offset")


def _as_levels(value: Value, levels: tuple[str, ...]) -> Value:
    """Numbers as the levels that they are the labels of; anything else as it is."""
    if not levels or not isinstance(value, np.ndarray):
        return value
    place = {level: k for k, level in enumerate(levels)}
    known, codes = np.unique(value, return_inverse=True)
    labels = [number_label(float(x)) for x in known]
    if not set(labels) <= set(levels):
        return value
    return Factor(np.array([place[label] for label in labels])[codes], levels)


def _pickles(env: Any) -> bool:
    try:
        pickle.dumps(env)
    except Exception:  # pickle raises whatever the object's own code does
        return False
    return True
