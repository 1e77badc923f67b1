"""The targeted step: outcome means moved along a one-dimensional path until the efficient score vanishes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from causalformula.errors import ConvergenceError
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import family as read_family
from causalformula.numerics.irls import newton


@dataclass(frozen=True, eq=False)
class Targeted:
    """Outcome means of one arm after the step.

    Parameters
    ----------
    epsilon : float
        How far they were moved.
    m : ndarray (n,)
    along : ndarray (n,)
        ``dm / d epsilon``.
    covariate : ndarray (n,)
        ``dm / d H``, zero where H is a weight.
    initial : ndarray (n,)
        ``dm / d`` the initial mean, zero where that was outside the bounds.
    """

    epsilon: float
    m: Array
    along: Array
    covariate: Array
    initial: Array


@dataclass(frozen=True)
class Fluctuation:
    """The path, ``logit m* = logit m + epsilon`` on the outcome scaled to [0, 1], or ``m* = m + epsilon``.

    Parameters
    ----------
    low, high : float
        Range of the outcome.
    alpha : float
        Scaled initial means are kept within ``1 - alpha`` and ``alpha``.
    logistic : bool
    weighted : bool
        Whether the inverse propensities H are weights of the step; they multiply ``epsilon`` otherwise.
    """

    low: float
    high: float
    alpha: float
    logistic: bool
    weighted: bool

    def step(self, y: Array, m: Array, H: Array, s: Array, where: str) -> Targeted:
        """The means that solve ``sum_i s_i H_i (y_i - m*_i) = 0``.

        Parameters
        ----------
        y, m : ndarray (n,)
            Outcomes, and initial means of the arm.
        H : ndarray (n,)
            Its weights, of every row as if in the arm.
        s : ndarray (n,)
            Weights of the target, zero outside the arm.
        where : str
            The arm, for messages.

        Raises
        ------
        ConvergenceError
            Where every outcome is at the same end of the range, so that the logistic path has no end.
        """
        x = np.ones(len(y)) if self.weighted else H
        v = s * H if self.weighted else s
        if not self.logistic:
            epsilon = float((v * x) @ (y - m) / ((v * x) @ x))
            return Targeted(epsilon, m + epsilon * x, x, self._moves(epsilon, np.ones(len(y))), np.ones(len(y)))
        width = self.high - self.low
        z = (m - self.low) / width
        free, z = (z >= 1 - self.alpha) & (z <= self.alpha), np.clip(z, 1 - self.alpha, self.alpha)
        epsilon = self._logistic((y - self.low) / width, logit(z), x, v, where)
        q = expit(logit(z) + epsilon * x)
        slope = q * (1 - q)
        initial = np.where(free, slope / (z * (1 - z)), 0.0)
        return Targeted(epsilon, self.low + width * q, width * slope * x, self._moves(epsilon, width * slope), initial)

    def _moves(self, epsilon: float, slope: Array) -> Array:
        return np.zeros(len(slope)) if self.weighted else epsilon * slope

    def _logistic(self, y: Array, offset: Array, x: Array, v: Array, where: str) -> float:
        inside = v > 0
        share = float(v[inside] @ y[inside] / v[inside].sum())
        if not 0 < share < 1:
            end = "highest" if share else "lowest"
            raise ConvergenceError(
                f"every outcome {where} is at the {end} value of the data, so the logistic fluctuation has no end; use "
                "fluctuation='linear', or method='aipw'"
            )
        found = newton(x[inside, None], y[inside], read_family("quasibinomial"), v[inside], offset[inside], np.zeros(1))
        if not found.converged:
            raise ConvergenceError(f"the targeted step {where} did not converge; raise bounds=, or use method='aipw'")
        return float(found.coef[0])
