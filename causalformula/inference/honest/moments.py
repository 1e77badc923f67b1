"""Tests of moment inequalities that are linear in nuisance parameters (Andrews, Roth and Pakes 2023).

Under a value theta of the target, ``A (beta - effects) <= d`` for some effects after treatment whose weighted sum is
theta. With rows in units of their standard errors the statistic is the least violation,
``eta = min_t max(y - a theta - X t) = max gamma'(y - a theta)`` over the dual weights ``gamma``. The conditional test
holds it against a normal truncated to where the same weights are the best; the hybrid one rejects first above a least
favourable critical value, the ``1 - kappa`` quantile of ``max gamma'xi`` with ``xi ~ N(0, V)``, and truncates there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from causalformula.inference.honest.study import EventStudy
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.moment_weights import Vertices, Weights, moment_weights

# Draws for the least favourable critical value; fewer where each one is a linear programme.
DRAWS, FEWER_DRAWS = 10_000, 1000
# Values of the target that are tried at first, and between two neighbours of these.
POINTS, FINER = 300, 9
ROUNDS = 6
# Where no critical value bounds the statistic, values are tried up to a violation of so many standard errors.
FURTHEST = 20.0
# The share of alpha that the first stage of the hybrid test takes.
FIRST_STAGE = 0.1
# Variances of weighted moments below this are zero: such moments oppose each other.
NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class MomentTest:
    """A test of each value theta of the target.

    Parameters
    ----------
    y, along : ndarray (m,)
        Moments are ``y - along theta - X t``, in standard errors.
    V : ndarray (m, m)
        Correlations of the moments.
    weights : Weights
    critical : float
        The least favourable critical value; infinite for a conditional test.
    alpha : float
        Of the truncated normal's tail.
    """

    y: Array
    along: Array
    V: Array
    weights: Weights
    critical: float
    alpha: float

    def accepts(self, theta: Array) -> Bools:
        """Which values are not rejected."""
        y = self.y - np.outer(theta, self.along)
        eta, chosen = self.weights.largest(y)
        products = chosen @ self.V
        variance = np.einsum("nm,nm->n", products, chosen)
        # opposed moments without variance are violated by all or by none, and the statistic is then zero
        moves = variance > NOTHING
        out = eta <= 1e-9
        tried = np.flatnonzero(moves & ~out & (eta < self.critical))
        if len(tried):
            eta, sd = eta[tried], np.sqrt(variance[tried])
            slope = products[tried] / variance[tried][:, None]
            low, high = self.weights.window(chosen[tried], y[tried] - eta[:, None] * slope, slope)
            out[tried] = upper_tail(eta / sd, low / sd, np.minimum(high, self.critical) / sd) >= self.alpha
        return out

    def limits(self) -> tuple[float, float]:
        """The smallest and largest value that is not rejected; NaN where all are, infinite where no end was found."""
        low, high = self.weights.reach(self.y, self.along, min(self.critical, FURTHEST))
        if np.isnan(low):
            return np.nan, np.nan
        inner = [end for end in self.weights.reach(self.y, self.along, 0.0) if np.isfinite(end)]
        if not np.isfinite([low, high]).all():
            return low, high
        grid = np.union1d(np.linspace(low, high, POINTS), np.clip(inner, low, high))
        first, last = first_accepted(self.accepts, grid), first_accepted(self.accepts, grid[::-1])
        if np.isnan(first):
            return np.nan, np.nan
        open_ended = not np.isfinite(self.critical)
        return (-np.inf if open_ended and first == low else first), (np.inf if open_ended and last == high else last)


def moment_test(study: EventStudy, A: Array, d: Array, target: Array, alpha: float, noise: Array | None) -> MomentTest:
    """The test of the target (S,), for trends with ``A delta <= d``.

    Rows that are of periods before treatment alone say nothing of the target and are left out. With ``noise``, draws of
    the coefficients' error (R, T + S), it is the hybrid test, and else the conditional one.
    """
    of_post = np.abs(A[:, study.post]).any(axis=1)
    A, d = A[of_post], d[of_post]
    scale = np.sqrt(np.einsum("mk,kl,ml->m", A, study.sigma, A))
    A, d = A / scale[:, None], d / scale
    after, pivot = A[:, study.post], int(np.abs(target).argmax())
    # the period of the largest weight makes up for the others, so that the weighted sum is theta
    along = after[:, pivot] / target[pivot]
    X = np.delete(after - np.outer(along, target), pivot, axis=1)
    weights = moment_weights(X)
    critical = np.inf
    if noise is not None:
        kappa = FIRST_STAGE * alpha
        draws = noise if isinstance(weights, Vertices) else noise[:FEWER_DRAWS]
        critical = float(np.quantile(weights.largest(draws @ A.T)[0], 1 - kappa))
        alpha = (alpha - kappa) / (1 - kappa)
    return MomentTest(A @ study.betas - d, along, A @ study.sigma @ A.T, weights, critical, alpha)


def first_accepted(accepts: Callable[[Array], Bools], grid: Array) -> float:
    """The first value on a grid that is accepted, sought more finely before it; NaN where none is."""
    taken = np.flatnonzero(accepts(grid))
    if not len(taken):
        return np.nan
    for _ in range(ROUNDS):
        at = int(taken[0])
        if at == 0:
            break
        grid = np.linspace(grid[at - 1], grid[at], FINER)
        # the last was accepted already; rounding in the new grid does not take it back
        taken = np.flatnonzero(np.append(accepts(grid[:-1]), True))
    return float(grid[taken[0]])


def upper_tail(x: Array, low: Array, high: Array) -> Array:
    """The chance that a standard normal within ``(low, high)`` is above ``x``."""
    from scipy.special import log_ndtr

    at, bottom, top = (log_ndtr(-end) for end in (x, low, high))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.exp(_minus(at, top) - _minus(bottom, top))
    # nothing between the ends: then x is at the upper one
    return np.nan_to_num(share, nan=0.0)


def _minus(larger: Array, smaller: Array) -> Array:
    """``log(exp(larger) - exp(smaller))``."""
    return np.asarray(larger + np.log(-np.expm1(np.minimum(smaller - larger, 0.0))))
