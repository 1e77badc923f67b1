"""Generalised method of moments for the over-identified covariate balancing propensity score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.errors import ConvergenceError
from causalformula.numerics.arrays import Array

# Of the linear predictor, for the last step; Newton's error is then its square.
TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class Moments:
    """Score and balance conditions of a logistic propensity model.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    a : ndarray, shape (n,)
        Treatment, 0 or 1.
    s : ndarray, shape (n,)
        Sampling weights.
    arm : int or None
        Target of the weights: everyone (None), the treated (1) or the controls (0).
    """

    X: Array
    a: Array
    s: Array
    arm: int | None

    def rows(self, b: Array) -> tuple[Array, Array]:
        """What multiplies x in each row's score, and in its balance condition."""
        p = self.probability(b)
        return self.s * (self.a - p), self.s * np.where(self.a == 1, self.tilt(p) / p, -self.tilt(p) / (1 - p))

    def probability(self, b: Array) -> Array:
        """Propensity scores."""
        return np.asarray(1 / (1 + np.exp(-self.X @ b)))

    def tilt(self, p: Array) -> Array:
        """The target population's share at a propensity: 1, p or 1 - p."""
        return np.ones_like(p) if self.arm is None else p if self.arm == 1 else 1 - p

    def mean(self, b: Array) -> Array:
        """Both sets of moments, averaged (2p,)."""
        score, balance = self.rows(b)
        return np.asarray(np.concatenate([score @ self.X, balance @ self.X]) / self.s.sum())

    def jacobian(self, b: Array) -> Array:
        """Derivative of the averaged moments (2p, p)."""
        blocks = [(self.X * (self.s * u)[:, None]).T @ self.X for u in self.slopes(b)]
        return np.asarray(-np.vstack(blocks) / self.s.sum())

    def slopes(self, b: Array) -> tuple[Array, Array]:
        """Minus the derivatives of a row's multipliers in its linear predictor: ``v`` and the odds of the other arm."""
        p = self.probability(b)
        odds = np.where(self.a == 1, (1 - p) / p if self.arm != 1 else 0.0, p / (1 - p) if self.arm != 0 else 0.0)
        return p * (1 - p), odds

    def curvature(self, b: Array, r: Array) -> Array:
        """``sum_m r_m`` times the second derivative of the m-th averaged moment (p, p)."""
        p, k = self.probability(b), self.X.shape[1]
        v, odds = self.slopes(b)
        second = v * (1 - 2 * p) * (self.X @ r[:k]) + np.where(self.a == 1, -odds, odds) * (self.X @ r[k:])
        return np.asarray(-(self.X * (self.s * second)[:, None]).T @ self.X / self.s.sum())

    def blocks(self, b: Array) -> tuple[Array, Array, Array]:
        """What multiplies ``x x'`` in the blocks of a row's model variance: ``v, h, h^2 / v``."""
        p = self.probability(b)
        v, h = p * (1 - p), self.tilt(p)
        return v, h, h**2 / v

    def blocks_slope(self, b: Array) -> tuple[Array, Array, Array]:
        """Their derivatives in the row's linear predictor."""
        p = self.probability(b)
        v, h = p * (1 - p), self.tilt(p)
        dv, dh = v * (1 - 2 * p), np.zeros_like(p) if self.arm is None else v if self.arm == 1 else -v
        return dv, dh, 2 * h * dh / v - h**2 * dv / v**2

    def weight(self, b: Array) -> Array:
        """Inverse of the moments' variance under the model: blocks of ``v, h, h^2 / v`` with ``v = p (1 - p)``."""
        parts = [(self.X * (self.s * u)[:, None]).T @ self.X / self.s.sum() for u in self.blocks(b)]
        whole = np.block([[parts[0], parts[1]], [parts[1], parts[2]]])
        return np.asarray(np.linalg.pinv(whole, hermitian=True), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Minimum:
    """Minimiser of ``g' W g``, W from a first step: the equations ``G' W g = 0`` and their derivatives.

    Attributes
    ----------
    coef : ndarray, shape (p,)
    scores : ndarray, shape (n, p)
        What each row adds to the equations, through the moments, their derivative and W alike.
    information : ndarray, shape (p, p)
        Minus the equations' derivative in the coefficients.
    cross : ndarray, shape (p, p)
        Their derivative in the first step's coefficients.
    """

    coef: Array
    scores: Array
    information: Array
    cross: Array


def minimize_moments(problem: Moments, start: Array, maxit: int = 500) -> Minimum:
    """Minimise ``g' W g`` with W from the starting point, by Newton steps (Gauss-Newton where that is no minimum's).

    Raises
    ------
    ConvergenceError
        If the steps do not settle.
    """
    W = problem.weight(start)
    b = start
    for _ in range(maxit):
        g, G = problem.mean(b), problem.jacobian(b)
        slope = G.T @ W @ g
        step = _direction(G.T @ W @ G, problem.curvature(b, W @ g), slope)
        value = float(g @ W @ g)
        moved = _shorter(problem, W, b, step, value, float(slope @ step))
        settled = moved is None or np.abs(problem.X @ (moved - b)).max() < TOLERANCE
        if settled:
            break
        assert moved is not None
        b = moved
    else:
        raise ConvergenceError("the over-identified cbps did not converge; use over=False, which balances exactly")
    return _derivatives(problem, start, b, W)


def _direction(gauss: Array, curvature: Array, slope: Array) -> Array:
    """Newton's direction, or where the second derivative is not positive definite Gauss and Newton's."""
    whole = gauss + curvature
    chosen = whole if np.linalg.eigvalsh((whole + whole.T) / 2)[0] > 0 else gauss
    return -np.asarray(np.linalg.lstsq(chosen, slope, rcond=1e-13)[0], dtype=np.float64)


def _derivatives(problem: Moments, start: Array, b: Array, W: Array) -> Minimum:
    """Rows' exact contributions, and both derivatives: with ``r = W g`` and ``q = W G``, W' = -W Omega' W."""
    X, s, total = problem.X, problem.s, problem.s.sum()
    p = X.shape[1]
    g, G = problem.mean(b), problem.jacobian(b)
    r, q = W @ g, W @ G
    score, balance = problem.rows(b)
    lean, pull = (X @ r[:p], X @ r[p:]), (X @ q[:p], X @ q[p:])
    through_g = pull[0] * score[:, None] + pull[1] * balance[:, None]
    u, v = problem.slopes(b)
    through_G = X * (-s * (u * lean[0] + v * lean[1]))[:, None]
    first = _row_variance(problem.blocks(start), lean, pull) * s[:, None]
    moved = _row_variance(problem.blocks_slope(start), lean, pull) * s[:, None]
    information = -total * (G.T @ W @ G + problem.curvature(b, r))
    return Minimum(b, through_g + through_G - first, information, -(moved.T @ X))


def _row_variance(blocks: tuple[Array, Array, Array], lean: tuple[Array, Array], pull: tuple[Array, Array]) -> Array:
    """Rows of ``q' Omega_i r`` without the sampling weight (n, p)."""
    one, both, two = blocks
    left = one * lean[0] + both * lean[1]
    right = both * lean[0] + two * lean[1]
    return np.asarray(pull[0] * left[:, None] + pull[1] * right[:, None])


def _shorter(problem: Moments, W: Array, b: Array, step: Array, value: float, slope: float) -> Array | None:
    for halvings in range(40):
        at = b + step / 2**halvings
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            g = problem.mean(at)
        reached = float(g @ W @ g)
        if np.isfinite(reached) and reached <= value + 1e-4 / 2**halvings * slope + 1e-10 * value + 1e-16:
            return np.asarray(at)
    return None
