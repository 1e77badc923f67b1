"""``ChunkFrame`` and ``ChunkRegression``: the rows of a chunk as the ordinary frames that estimators read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causalformula.formula.expressions.values import take
from causalformula.formula.matrix.recipe import Recipe
from causalformula.frame.counterfactual import Counterfactual
from causalformula.frame.design_matrix import DesignMatrix
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.frame.regression_frame import RegressionFrame
from causalformula.scale.reading import Read, Reading
from causalformula.scale.sources.source import Chunk


@dataclass(frozen=True, eq=False, kw_only=True)
class ChunkFrame(ModelFrame):
    """The rows of a chunk, with the recipes of a prototype.

    Parameters
    ----------
    prototype : ModelFrame
    read : Read
    """

    prototype: ModelFrame
    reading: Reading
    read: Read

    def design(self, part: Part) -> DesignMatrix:
        """See ``ModelFrame``: the same columns in every chunk."""
        key = self.prototype.design_key(part)
        made: DesignMatrix = self._remember(key, lambda: self._filled(self.prototype.design(part).recipe))
        return made

    def _filled(self, recipe: Recipe) -> DesignMatrix:
        labels = recipe.terms.labels
        values = {i: self.values[labels[i]] for i in range(len(labels)) if labels[i] in self.values}
        X = recipe.fill({i: block.prepare(values[i]) for i, block in recipe.blocks.items()}, self.n)
        return DesignMatrix(X, recipe.names, recipe, values)

    def cell(self, part: Part, group: int, period: int) -> Counterfactual:
        """See ``ModelFrame``; these rows may lack a group in a period, which the prototype has."""

        def make() -> Counterfactual:
            known, design = self.prototype.the_panel, self.design(part)
            rows = np.full(self.n, int(np.flatnonzero(known.cells == 2 * group + period)[0]))
            return design.at_all({known.treated: take(known.first, rows), known.time: take(known.second, rows)})

        change: Counterfactual = self._remember(("cell", self.design_key(part), group, period), make)
        return change

    def keys(self, name: str) -> Any:
        """What a grouping of the formula, or a column of the data, has on these rows (n,): numbers, or text."""
        return self.reading.groups(self.read, self.chunk, name)

    @property
    def chunk(self) -> Chunk:
        """The rows as they were read."""
        assert isinstance(self.table, Chunk)
        return self.table


@dataclass(frozen=True, eq=False, kw_only=True)
class ChunkRegression(RegressionFrame):
    """The rows of a chunk of a plain regression."""

    reading: Reading
    read: Read
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    def remembered(self, key: Any, make: Callable[[], Any]) -> Any:
        """See ``ModelFrame``."""
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]

    def keys(self, name: str) -> Any:
        """See ``ChunkFrame``."""
        return self.reading.groups(self.read, self.chunk, name)

    @property
    def chunk(self) -> Chunk:
        """The rows as they were read."""
        assert isinstance(self.table, Chunk)
        return self.table


AnyChunk = ChunkFrame | ChunkRegression
