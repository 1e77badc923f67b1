"""Confidence limits from the profile likelihood of a generalised linear model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from causalformula.errors import CapabilityError, CausalFormulaError
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.irls import newton
from causalformula.results.reading.reading import quantile

# A limit further than this many times the Wald one is not looked for: the likelihood is flat, as under separation.
FURTHEST = 64


def profile_limits(model: FittedRegression, level: float) -> Array:
    """Limits (r, 2) of the estimable coefficients; NaN where the likelihood never falls low enough.

    A limit is where the signed root of the deviance, ``sqrt((D(b_j) - D) / phi)`` with the other coefficients fitted
    anew, reaches the normal quantile. R 4.2.2: ``confint.glm``, which interpolates between points of the profile.
    """
    if model.absorbed is not None:
        raise CapabilityError("the profile likelihood has no place for absorbed fixed effects; use method='wald'")
    cut = float(quantile(level, np.array([np.inf]))[0])
    limits = [[_limit(model, j, sign, cut) for sign in (-1, 1)] for j in range(model.rank)]
    return np.array(limits).reshape(model.rank, 2)


def _limit(model: FittedRegression, j: int, sign: int, cut: float) -> float:
    from scipy.optimize import brentq

    profile = _Profile.of(model, j)
    step = sign * cut * np.sqrt(model.hat.dispersion * profile.bread[j, j])
    start = profile.theta[j]

    def excess(reach: float) -> float:
        return profile.root(start + reach * step) - cut

    try:
        outside = _bracket(excess)
    except (CausalFormulaError, np.linalg.LinAlgError):
        return float("nan")
    if outside is None:
        return float("nan")
    return float(start + brentq(excess, 0.0, outside, xtol=1e-12, rtol=1e-12) * step)


def _bracket(excess: Callable[[float], float]) -> float | None:
    """A distance, in units of the Wald one, that lies beyond the limit."""
    reach = 1.0
    while reach <= FURTHEST:
        if excess(reach) > 0:
            return reach
        reach *= 1.5
    return None


@dataclass(frozen=True, eq=False)
class _Profile:
    """The deviance as a function of one coefficient, the others at their best: columns, coefficients and bread."""

    model: FittedRegression
    j: int
    X: Array
    theta: Array
    bread: Array

    @classmethod
    def of(cls, model: FittedRegression, j: int) -> _Profile:
        """On the columns as they were solved, unless their coefficient is another one than that of the column given."""
        hat = model.hat
        if hat.moved is None or not hat.moved[j].any():
            return cls(model, j, hat.X, model.inner, hat.bread)
        back = np.eye(model.rank) - hat.moved
        return cls(model, j, model.design, model.theta, back @ hat.bread @ back.T)

    def root(self, value: float) -> float:
        """Root of the scaled rise of the deviance."""
        m = self.model
        others = np.delete(np.arange(m.rank), self.j)
        offset = self.X[:, self.j] * value + (0.0 if m.offset is None else m.offset)
        fit = newton(self.X[:, others], m.y, m.family, m.weights, offset, self._start(value, others))
        return float(np.sqrt(max(fit.deviance - m.deviance, 0) / m.hat.dispersion))

    def _start(self, value: float, others: Codes) -> Array:
        """The other coefficients where the normal approximation of the likelihood has them."""
        rate = self.bread[others, self.j] / self.bread[self.j, self.j]
        return np.asarray(self.theta[others] + rate * (value - self.theta[self.j]))
