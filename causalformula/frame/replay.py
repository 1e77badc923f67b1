"""The same design on other data: what predictions for new rows need."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.errors import FormulaError, OptionError
from causalformula.formula.expressions.evaluate import Memory, evaluate
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.syntax import Node
from causalformula.formula.matrix.recipe import Recipe, one_column
from causalformula.frame.columns import Table
from causalformula.frame.rows import as_numbers, columns_used
from causalformula.numerics.arrays import Array


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

    Notes
    -----
    It pickles; functions of the caller's own that do not are left out, and a prediction that needs one then says so.
    """

    recipe: Recipe
    offsets: tuple[Node, ...] = ()
    memory: Memory | None = None

    def __getstate__(self) -> dict[str, Any]:
        recipe = self.recipe if _pickles(self.recipe.env) else replace(self.recipe, env=None)
        return {**self.__dict__, "recipe": recipe}

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
        X = recipe.apply(columns, table.n)
        parts = [self._offset(node, columns, table.n) for node in self.offsets]
        own = recipe.offset(columns, table.n)
        parts += [] if own is None else [own]
        return X, np.sum(parts, axis=0) if parts else None, table.index()

    def _offset(self, node: Node, columns: Any, n: int) -> Array:
        name = deparse(node)
        value = evaluate(node, columns, n, env=self.recipe.env, memory=self.memory, replay=True)
        try:
            column = one_column(value, n, name, None, node.span)
        except FormulaError as error:
            raise OptionError(f"offset={name!r}: {error.message}") from None
        return as_numbers(column, name, "offset")


def _pickles(env: Any) -> bool:
    try:
        pickle.dumps(env)
    except Exception:  # pickle raises whatever the object's own code does
        return False
    return True
