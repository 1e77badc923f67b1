"""R's ``scale``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..values import Floats, Matrix


@dataclass(frozen=True, eq=False)
class Scaling:
    """What is taken off each column, and what it is then divided by."""

    center: Floats
    scale: Floats
    names: tuple[str, ...] | None

    def apply(self, x: Floats) -> Matrix:
        """The columns (n, m) centred and scaled."""
        return Matrix((x - self.center) / self.scale, self.names)


def scaling(x: Floats, names: tuple[str, ...] | None, center: bool | Floats, scale: bool | Floats) -> Scaling:
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


def _root_mean_square(x: Floats) -> Floats:
    count = (~np.isnan(x)).sum(axis=0)
    out: Floats = np.sqrt(np.nansum(x * x, axis=0) / np.maximum(count - 1, 1))
    return out
