"""The covariate functions that a balancing method balances: the design's columns, their powers and products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from causalformula.backends.options import flag, whole
from causalformula.backends.weighting.weights import WeightingOptions
from causalformula.formula.expressions.values import Factor, Strings, as_factor
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.numerics.arrays import Array
from causalformula.numerics.centring import centred
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.linalg import refuse_extreme_columns

MOST_MOMENTS = 3


@dataclass(frozen=True, kw_only=True)
class BalancingOptions(WeightingOptions):
    """What the methods that balance covariates exactly take beside ``WeightingOptions``.

    Parameters
    ----------
    moments : int
        Balance powers of the covariates up to this one (1 to 3).
    int : bool
        Balance pairwise products too.
    """

    moments: Any = 1
    int: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("moments", self.moments, "powers of the covariates to balance", MOST_MOMENTS)
        flag("int", self.int)


@dataclass(frozen=True, eq=False)
class Powers:
    """Which powers and products of the covariates join them, from the covariates' means.

    Parameters
    ----------
    centre : ndarray (p,)
    moments : int
        The highest power.
    many : tuple of int
        Covariates with more than two values.
    pairs : tuple of (int, int)
        Covariates whose product is not zero everywhere.
    """

    centre: Array
    moments: Any
    many: tuple[Any, ...]
    pairs: tuple[tuple[Any, Any], ...]

    def columns(self, near: Array, X: Array, names: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
        """The columns ``near`` (named by ``names``, the intercept first), and those made of the covariates X."""
        about, many = X - self.centre, list(self.many)
        columns, labels = [near], list(names)
        for power in range(2, self.moments + 1):
            columns.append(about[:, many] ** power)
            labels += [f"{names[1 + j]}^{power}" for j in many]
        for i, j in self.pairs:
            columns.append((about[:, i] * about[:, j])[:, None])
            labels.append(f"{names[1 + i]} * {names[1 + j]}")
        return np.hstack(columns), tuple(labels)


def balancing_columns(frame: ModelFrame, moments: int = 1, interactions: bool = False) -> tuple[Array, tuple[str, ...]]:
    """Intercept, covariates, their powers up to ``moments`` (of those with more than two values) and pairwise products.

    Powers and products are of centred columns, and columns far from zero are counted from their means, which spans the
    same space and is far better conditioned.
    """

    def make() -> tuple[Array, tuple[str, ...]]:
        design = frame.design(PROPENSITY)
        refuse_extreme_columns(design.X, design.names)
        near = centred(design.X).X
        if moments == 1 and not interactions:
            return near, design.names
        X = design.X[:, 1:]
        many = tuple(j for j in range(X.shape[1]) if len(np.unique(X[: 10**4, j])) > 2)
        # two levels of one factor never meet
        pairs = combinations(range(X.shape[1]), 2) if interactions else ()
        met = tuple((i, j) for i, j in pairs if (X[:, i] * X[:, j]).any())
        return Powers(X.mean(axis=0), moments, many, met).columns(near, X, design.names)

    found: tuple[Array, tuple[str, ...]] = frame.remembered(("balancing", moments, interactions), make)
    return found


def with_every_level(frame: ModelFrame, Z: Array, names: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """The columns, and those of the factors' levels that they imply without showing: the reference levels.

    Exact balance of the others is balance of these; balance within bounds is not, and would depend on which level is
    the reference. The two levels of a two-level factor have the same bound.
    """

    def make() -> tuple[Array, tuple[str, ...]]:
        design = frame.design(PROPENSITY)
        levels = [
            (f"{design.recipe.terms.labels[place]}{level}", (factor.codes == k).astype(float))
            for place, value in design.values.items()
            if isinstance(value, (Factor, Strings))
            for factor in [as_factor(value).drop_unused()]
            if len(factor.levels) > 2
            for k, level in enumerate(factor.levels)
        ]
        hidden = [(name, column) for name, column in levels if not (column[:, None] == design.X).all(axis=0).any()]
        if not hidden:
            return Z, names
        C = np.column_stack([column for _, column in hidden])
        implied = np.abs(least_squares(Z, C).residuals).max(axis=0) < 1e-8
        labels = tuple(name for (name, _), inside in zip(hidden, implied, strict=True) if inside)
        return np.hstack([Z, C[:, implied]]), (*names, *labels)

    found: tuple[Array, tuple[str, ...]] = frame.remembered(("every level", len(names), names), make)
    return found
