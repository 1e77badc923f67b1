"""Generalised method of moments for the over-identified covariate balancing propensity score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.errors import ConvergenceError
from causalformula.numerics.linalg import Floats

TOLERANCE = 1e-12


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

    X: Floats
    a: Floats
    s: Floats
    arm: int | None

    def rows(self, b: Floats) -> tuple[Floats, Floats]:
        """What multiplies x in each row's score, and in its balance condition."""
        p = self.probability(b)
        return self.s * (self.a - p), self.s * np.where(self.a == 1, self.tilt(p) / p, -self.tilt(p) / (1 - p))

    def probability(self, b: Floats) -> Floats:
        """Propensity scores."""
        return np.asarray(1 / (1 + np.exp(-self.X @ b)))

    def tilt(self, p: Floats) -> Floats:
        """The target population's share at a propensity: 1, p or 1 - p."""
        return np.ones_like(p) if self.arm is None else p if self.arm == 1 else 1 - p

    def mean(self, b: Floats) -> Floats:
        """Both sets of moments, averaged (2p,)."""
        score, balance = self.rows(b)
        return np.asarray(np.concatenate([score @ self.X, balance @ self.X]) / self.s.sum())

    def jacobian(self, b: Floats) -> Floats:
        """Derivative of the averaged moments (2p, p)."""
        p = self.probability(b)
        odds = np.where(self.a == 1, (1 - p) / p if self.arm != 1 else 0.0, p / (1 - p) if self.arm != 0 else 0.0)
        blocks = [(self.X * (self.s * u)[:, None]).T @ self.X for u in (p * (1 - p), odds)]
        return np.asarray(-np.vstack(blocks) / self.s.sum())

    def weight(self, b: Floats) -> Floats:
        """Inverse of the moments' variance under the model: blocks of ``v, h, h^2 / v`` with ``v = p (1 - p)``."""
        p = self.probability(b)
        v, h = p * (1 - p), self.tilt(p)
        parts = [(self.X * (self.s * u)[:, None]).T @ self.X / self.s.sum() for u in (v, h, h**2 / v)]
        whole = np.block([[parts[0], parts[1]], [parts[1], parts[2]]])
        return np.asarray(np.linalg.pinv(whole, hermitian=True), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Minimum:
    """Solution: coefficients, rows' first-order scores ``G' W g_i``, and their information."""

    coef: Floats
    scores: Floats
    information: Floats


def minimize_moments(problem: Moments, start: Floats, maxit: int = 500) -> Minimum:
    """Minimise ``g' W g`` with W from the starting point, by Gauss-Newton steps.

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
        step = -np.asarray(np.linalg.lstsq(G.T @ W @ G, slope, rcond=1e-13)[0], dtype=np.float64)
        value = float(g @ W @ g)
        moved = _shorter(problem, W, b, step, value, float(slope @ step))
        settled = moved is None or np.abs(problem.X @ (moved - b)).max() < TOLERANCE
        if settled:
            break
        assert moved is not None
        b = moved
    else:
        raise ConvergenceError("the over-identified cbps did not converge; use over=False, which balances exactly")
    score, balance = problem.rows(b)
    G = problem.jacobian(b)
    lead = G.T @ W
    p = problem.X.shape[1]
    rows = (problem.X * score[:, None]) @ lead[:, :p].T + (problem.X * balance[:, None]) @ lead[:, p:].T
    return Minimum(b, rows, -problem.s.sum() * lead @ G)


def _shorter(problem: Moments, W: Floats, b: Floats, step: Floats, value: float, slope: float) -> Floats | None:
    for halvings in range(40):
        at = b + step / 2**halvings
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            g = problem.mean(at)
        reached = float(g @ W @ g)
        if np.isfinite(reached) and reached <= value + 1e-4 / 2**halvings * slope + 1e-16:
            return np.asarray(at)
    return None
