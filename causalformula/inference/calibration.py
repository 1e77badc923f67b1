"""Empirical calibration: what estimates of effects that are known to be none say of the error that a design has.

Each control's estimate is ``x_i = b_i + e_i``: a systematic error ``b_i ~ N(mean, sd^2)``, and a random one whose
standard error ``s_i`` is known. Mean and sd are by maximum likelihood; an estimate of interest is then compared with
``N(mean, sd^2 + s^2)`` instead of ``N(0, s^2)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from causalformula.numerics.arrays import Array

# Variances at which the likelihood is looked at, as shares of the greatest that it can have its maximum at.
GRID = np.append(0.0, np.geomspace(1e-10, 1, 201))


@dataclass(frozen=True)
class EmpiricalNull:
    """The systematic error, as negative controls tell it.

    Attributes
    ----------
    mean, sd : float
        Of the systematic error, on the scale of the estimates (logarithms of ratios).
    n : int
        Controls that it is estimated from.
    """

    mean: float
    sd: float
    n: int

    def p_value(self, estimate: Array, se: Array) -> Array:
        """Calibrated two-sided p-values: of no effect, given the systematic error.

        Parameters
        ----------
        estimate, se : ndarray (n,)
            On the scale of the null.

        Returns
        -------
        ndarray (n,)

        References
        ----------
        Schuemie, Ryan, DuMouchel, Suchard and Madigan (2014), as R's ``EmpiricalCalibration::calibrateP``.
        """
        z = (np.asarray(estimate) - self.mean) / np.sqrt(self.sd**2 + np.asarray(se) ** 2)
        return np.asarray(2 * norm.sf(np.abs(z)))


def empirical_null(estimate: Array, se: Array) -> EmpiricalNull:
    """The systematic error's mean and sd by maximum likelihood.

    Parameters
    ----------
    estimate, se : ndarray (n,)
        Of the negative controls; n at least 1, standard errors above zero.

    Notes
    -----
    With one standard error s of all, the mean is theirs and the variance ``max(0, mean((x - mean)^2) - s^2)``. R:
    ``EmpiricalCalibration::fitNull``.

    References
    ----------
    Schuemie et al. (2014); Schuemie, Hripcsak, Ryan, Madigan and Suchard (2016).
    """
    x, s2 = np.asarray(estimate, dtype=float), np.asarray(se, dtype=float) ** 2
    # above this variance the likelihood falls: every squared residual is below it
    grid = GRID * max(float(np.ptp(x)) ** 2, float(np.finfo(float).tiny))
    best = int(np.argmax([_loglik(v, x, s2) for v in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    if _score(low, x, s2) <= 0:
        variance = low
    elif _score(high, x, s2) >= 0:
        variance = high
    else:
        variance = brentq(_score, low, high, args=(x, s2), xtol=1e-300, rtol=1e-14)
    return EmpiricalNull(_mean(variance, x, s2), float(np.sqrt(variance)), len(x))


def _mean(variance: float, x: Array, s2: Array) -> float:
    """The mean that is the most likely under a variance."""
    weight = 1 / (variance + s2)
    return float(weight @ x / weight.sum())


def _loglik(variance: float, x: Array, s2: Array) -> float:
    total = variance + s2
    return float(-0.5 * (np.log(total) + (x - _mean(variance, x, s2)) ** 2 / total).sum())


def _score(variance: float, x: Array, s2: Array) -> float:
    """The derivative of the log-likelihood in the variance, at the mean that is the most likely (twice as much)."""
    total = variance + s2
    return float((((x - _mean(variance, x, s2)) / total) ** 2 - 1 / total).sum())
