"""``DesignMatrix``: a matrix with its names, and the recipe that rebuilds its columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from causalformula.formula.expressions.values import Value
from causalformula.formula.matrix.recipe import Recipe
from causalformula.frame.counterfactual import Counterfactual
from causalformula.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class DesignMatrix:
    """A design matrix with its names and recipe.

    Parameters
    ----------
    X : ndarray (n, p)
    names : tuple of str
        R's column names.
    recipe : Recipe
    values : mapping of int to Value
        The variables' values on the rows kept, by their place in the recipe's terms.
    """

    X: Array
    names: tuple[str, ...]
    recipe: Recipe
    values: Mapping[int, Value]

    @property
    def intercept(self) -> bool:
        """Whether the first column is the intercept."""
        return self.recipe.intercept

    def at(self, label: str, value: Value) -> Counterfactual:
        """The columns that involve a variable, rebuilt from the recipe with the variable set to ``value``."""
        return self.at_all({label: value})

    def at_all(self, values: Mapping[str, Value]) -> Counterfactual:
        """The columns that involve any of several variables, with each of them set to a value."""
        labels = self.recipe.terms.labels
        places = {labels.index(label): value for label, value in values.items() if label in labels}
        if not places:
            return Counterfactual(np.empty(0, dtype=np.intp), np.empty((len(self.X), 0)))
        columns, found = self.recipe.partial({**self.values, **places}, set(places), len(self.X))
        return Counterfactual(columns, found)
