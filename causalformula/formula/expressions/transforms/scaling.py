"""R's ``scale``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.formula.expressions.values import Matrix
from causalformula.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Scaling:
    """What is taken off each column, and what it is then divided by."""

    center: Array
    scale: Array
    names: tuple[str, ...] | None

    def apply(self, x: Array) -> Matrix:
        """The columns (n, m) centred and scaled."""
        return Matrix((x - self.center) / self.scale, self.names)


def scaling(x: Array, names: tuple[str, ...] | None, center: bool | Array, scale: bool | Array) -> Scaling:
    """Fit to the rows that are present.

    Parameters
    ----------
    x : ndarray (n, m)
    center : bool or ndarray (m,)
        True for the means.
    scale : bool or ndarray (m,)
        True for the root mean square about zero after centring, with n - 1: the standard deviation if centred.
    """
    columns = x.shape[1]
    if isinstance(center, bool):
        middle = np.nanmean(x, axis=0) if center else np.zeros(columns)
    else:
        middle = np.broadcast_to(center, columns)
    if isinstance(scale, bool):
        size = _root_mean_square(x - middle) if scale else np.ones(columns)
    else:
        size = np.broadcast_to(scale, columns)
    return Scaling(middle, size, names)


def _root_mean_square(x: Array) -> Array:
    count = (~np.isnan(x)).sum(axis=0)
    out: Array = np.sqrt(np.nansum(x * x, axis=0) / np.maximum(count - 1, 1))
    return out
