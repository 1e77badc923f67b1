"""The covariate functions that a balancing method balances: the design's columns, their powers and products."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import OptionError
from causalformula.frame.model_frame import ModelFrame

Array = NDArray[np.float64]
MOST_MOMENTS = 3


def check_moments(moments: int, interactions: bool) -> None:
    """Refuse orders other than 1 to 3."""
    if isinstance(moments, bool) or moments not in range(1, MOST_MOMENTS + 1):
        raise OptionError(f"moments={moments!r}: powers of the covariates to balance, 1 to {MOST_MOMENTS}")
    if not isinstance(interactions, bool):
        raise OptionError(f"int must be True or False, not {interactions!r}")


def balancing_columns(frame: ModelFrame, moments: int = 1, interactions: bool = False) -> tuple[Array, tuple[str, ...]]:
    """Intercept, covariates, their powers up to ``moments`` (of those with more than two values) and pairwise products.

    Powers and products are of centred columns, which spans the same space and is far better conditioned.
    """

    def make() -> tuple[Array, tuple[str, ...]]:
        design = frame.design("propensity")
        X, names = design.X[:, 1:], design.names[1:]
        centred = X - X.mean(axis=0)
        many = [j for j in range(X.shape[1]) if len(np.unique(X[: 10**4, j])) > 2]
        columns = [design.X]
        labels = list(design.names)
        for power in range(2, moments + 1):
            columns.append(centred[:, many] ** power)
            labels += [f"{names[j]}^{power}" for j in many]
        if interactions:
            for i, j in combinations(range(X.shape[1]), 2):
                product = X[:, i] * X[:, j]
                if product.any():  # two levels of one factor never meet
                    columns.append((centred[:, i] * centred[:, j])[:, None])
                    labels.append(f"{names[i]} * {names[j]}")
        return np.hstack(columns), tuple(labels)

    if moments == 1 and not interactions:
        design = frame.design("propensity")
        return design.X, design.names
    found: tuple[Array, tuple[str, ...]] = frame.remembered(("balancing", moments, interactions), make)
    return found
