"""The two refined bootstrap intervals: reference distributions that travel with a `Covariance`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.errors import ConvergenceError
from causalformula.inference.evidence import Influence
from causalformula.inference.resampling.resample import order_statistics
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.least_squares import group_sums


@dataclass(frozen=True, eq=False)
class BCa:
    """Bias-corrected and accelerated bootstrap limits.

    With ``z0 = qnorm(#(theta* < theta) / R)`` and the acceleration ``a``, the limit at ``alpha`` is the order
    statistic at ``pnorm(z0 + (z0 + z_alpha) / (1 - a (z0 + z_alpha)))``, interpolated on the normal scale.

    Parameters
    ----------
    draws : ndarray (R, q)
    theta : ndarray (q,)
    acceleration : ndarray (q,)
        See `acceleration`.

    References
    ----------
    Efron (1987); Davison and Hinkley (1997), section 5.3. R: ``boot::boot.ci(type = "bca")`` 1.3; Stata:
    ``estat bootstrap, bca``.
    """

    draws: Array
    theta: Array
    acceleration: Array

    def limits(self, level: float) -> tuple[Array, Array]:
        """Limits at a level.

        Raises
        ------
        ConvergenceError
            If all replicates lie on one side of the estimate, so that its bias cannot be corrected.
        """
        both = np.array([self._one(j, level) for j in range(len(self.theta))])
        return both[:, 0], both[:, 1]

    def _one(self, j: int, level: float) -> Array:
        from scipy.special import ndtr, ndtri

        share = float(np.mean(self.draws[:, j] < self.theta[j]))
        if not 0 < share < 1:
            raise ConvergenceError(
                "all bootstrap replicates lie on one side of the estimate, so kind='bca' has no bias correction; use "
                "more replicates or kind='percentile'"
            )
        z0 = ndtri(share)
        z = z0 + ndtri([(1 - level) / 2, (1 + level) / 2])
        return order_statistics(self.draws[:, [j]], ndtr(z0 + z / (1 - self.acceleration[j] * z)), self.draws)[:, 0]

    def p_values(self) -> Array | None:
        """None: the table's p-values are those of the bootstrap standard error."""
        return None


def acceleration(evidence: Influence, clusters: Codes | None = None) -> Array:
    """Acceleration of the BCa interval from the exact influence, ``sum L^3 / (6 (sum L^2)^(3/2))`` (q,).

    The influence replaces the jackknife's n refits: for a mean the two agree exactly, otherwise to second order.

    Parameters
    ----------
    evidence : Influence
    clusters : ndarray (n,) of int, optional
        Units that are resampled whole; their influences are summed.
    """
    values = evidence.psi()
    if clusters is not None:
        clusters = evidence.on_units(clusters)
        values = group_sums(values, clusters, int(clusters.max()) + 1)
    # a scale of one keeps the cubes of very small or large influences away from under- and overflow
    scale = np.abs(values).max(axis=0)
    values = values / np.where(scale > 0, scale, 1.0)
    squares = (values**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(squares > 0, (values**3).sum(axis=0) / (6 * squares**1.5), 0.0))


@dataclass(frozen=True, eq=False)
class Studentized:
    """Bootstrap-t limits: ``theta - s z*`` with ``z* = (theta* - theta) / s*`` at its order statistics, crossed.

    Parameters
    ----------
    draws, errors : ndarray (R, q)
        Replicates and their standard errors.
    theta, error : ndarray (q,)
        Estimate and its standard error, of the same kind as ``errors``.

    References
    ----------
    Efron (1979); Davison and Hinkley (1997), section 5.2. R: ``boot::boot.ci(type = "stud")`` 1.3.
    """

    draws: Array
    errors: Array
    theta: Array
    error: Array

    def limits(self, level: float) -> tuple[Array, Array]:
        """Limits at a level."""
        z = (self.draws - self.theta) / self.errors
        low, high = order_statistics(z, np.array([(1 - level) / 2, (1 + level) / 2]), self.draws)
        return self.theta - high * self.error, self.theta - low * self.error

    def p_values(self) -> Array | None:
        """None: the table's p-values are those of the bootstrap standard error."""
        return None
