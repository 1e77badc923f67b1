"""Absorbed effects as columns, where an adjustment by clusters needs them beside those of the regression.

Effects of a factor that is nested in the clusters need none: they are orthogonal to the columns within each cluster, so
that the adjusted residuals are the same without them (Pustejovsky and Tipton 2018, theorem 2, for equal weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Codes


def expanded(hat: Hat, jac: Array, groupings: Sequence[Codes] = (), *, every: bool = False) -> tuple[Hat, Array]:
    """The regression with columns for absorbed effects that are not nested in clusters, and Jacobians (q, p) in these.

    Parameters
    ----------
    hat : Hat
    jac : ndarray (q, p)
    groupings : sequence of ndarray of int
        The clusters; rows are their own where there are none.
    every : bool
        Whether nested effects get columns too.

    Raises
    ------
    CapabilityError
        Where these would be too many.
    """
    if hat.absorbed is None:
        return hat, jac
    nested = hat.absorbed.nested(groupings) if groupings and not every else (False,) * len(hat.absorbed.effects)
    basis = hat.absorbed.basis(nested)
    p, r = len(hat.bread), basis.shape[1]
    bread = np.eye(p + r)
    bread[:p, :p] = hat.bread
    wide = replace(hat, X=np.hstack([hat.X, basis]), bread=bread, absorbed=None)
    return wide, np.hstack([jac, np.zeros((len(jac), r))])
