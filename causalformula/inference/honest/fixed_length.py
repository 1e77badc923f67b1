"""The shortest interval of fixed length around a linear estimator, when the trend's slope changes by at most M.

An estimator ``v'betas`` with the target's weights after treatment is off by ``v'delta``, which is bounded over
``|second differences of delta| <= M`` only where ``v`` takes linear trends to zero: then ``v = C'w``, with ``C`` the
second differences, and the largest bias is ``M sum |w|``. The entries of ``w`` that reach past the reference follow
from the target; the others are chosen. Standard deviation and largest bias are traded along a lasso (the least
``v'sigma v / 2 + penalty sum |w|``), and one search over the penalty finds the least half-length
``sd cv(bias / sd)``, where ``cv(t)`` is the ``1 - alpha`` quantile of ``|N(t, 1)|`` (Donoho 1994; Armstrong and
Kolesar 2018; Rambachan and Roth 2023, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.inference.honest.restrictions import second_differences
from causalformula.inference.honest.study import EventStudy
from causalformula.numerics.arrays import Array
from causalformula.numerics.lasso import lasso


@dataclass(frozen=True, eq=False)
class FixedLength:
    """An affine estimator and its interval.

    Parameters
    ----------
    weights : ndarray (T + S,)
        Of all coefficients.
    estimate : float
    bias : float
        The largest in absolute value.
    std_error : float
    half_length : float
    """

    weights: Array
    estimate: float
    bias: float
    std_error: float
    half_length: float

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the interval."""
        return self.estimate - self.half_length, self.estimate + self.half_length


def fixed_length(study: EventStudy, target: Array, M: float, alpha: float) -> FixedLength:
    """The fixed-length interval for the target (S,), under second differences of at most ``M``."""
    from scipy.optimize import minimize_scalar

    curve, T = second_differences(study.num_pre, study.num_post), study.num_pre
    # rows of second differences: T - 1 before the reference, and S that reach past it
    after = np.linalg.solve(curve[T - 1 :, T:].T, target)
    start, free = curve[T - 1 :].T @ after, curve[: T - 1].T
    root = np.linalg.cholesky(study.sigma).T
    X, y = np.asarray(root @ free), np.asarray(-root @ start)

    def made(penalty: float) -> FixedLength:
        w = lasso(X, y, np.full(T - 1, penalty)) if T > 1 else np.empty(0)
        weights = start + free @ w
        # of the target itself nothing is rounded
        weights[T:] = target
        bias, sd = M * float(np.abs(after).sum() + np.abs(w).sum()), study.std_error(weights)
        return FixedLength(weights, float(weights @ study.betas), bias, sd, sd * folded_quantile(bias / sd, alpha))

    most = float(np.abs(X.T @ y).max(initial=0.0))
    shares = [0.0, 1.0]
    if most > 0 and M > 0:
        # squared, so that small penalties, where the standard deviation hardly moves, are searched as well
        found = minimize_scalar(
            lambda share: made(most * share**2).half_length, bounds=(0, 1), method="bounded", options={"xatol": 1e-7}
        )
        shares.append(float(found.x))
    return min((made(most * share**2) for share in shares), key=lambda one: one.half_length)


def folded_quantile(mean: float, alpha: float) -> float:
    """The ``1 - alpha`` quantile of ``|N(mean, 1)|``, for ``mean >= 0``."""
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    low, high = mean - float(ndtri(alpha)), mean - float(ndtri(alpha / 2))
    if mean > 40:
        return low
    return float(brentq(lambda c: ndtr(mean - c) + ndtr(-mean - c) - alpha, low - 1e-9, high + 1e-9, xtol=1e-13))
