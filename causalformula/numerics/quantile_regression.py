"""Weighted linear quantile regression, by an interior-point method on its dual linear programme."""

from __future__ import annotations

import numpy as np

from causalformula.errors import ConvergenceError
from causalformula.numerics.arrays import Array

MOST_STEPS = 200
# The gap between primal and dual, as a share of the loss at the start, at which a solution is one.
GAP = 1e-11
# Steps end this far before the boundary.
INSIDE = 0.99995


def check_loss(residuals: Array, tau: float) -> Array:
    """``r (tau - 1[r < 0])``, the loss that a quantile minimises."""
    return np.asarray(np.where(residuals < 0, tau - 1, tau) * residuals)


def quantile_line(X: Array, y: Array, tau: float, weights: Array) -> Array:
    """Coefficients (p,) that minimise ``sum w_i rho_tau(y_i - x_i' b)``.

    The dual is ``max a' y`` subject to ``X' a = (1 - tau) X' 1`` and ``0 <= a <= 1``, of rows times their weights; it
    is solved by Mehrotra's predictor and corrector.

    Parameters
    ----------
    X : ndarray (n, p)
    y : ndarray (n,)
    tau : float
    weights : ndarray (n,)
        Rows without weight say nothing.

    Raises
    ------
    ConvergenceError
        Where the gap does not close.

    References
    ----------
    Koenker and Bassett (1978); Portnoy and Koenker (1997). R: ``quantreg::rq(method = "fn")``.
    """
    used = weights > 0
    scale = np.abs(X).max(axis=0, initial=0.0)
    scale = np.where(scale > 0, scale, 1.0)
    w = weights[used] / weights[used].mean()
    # an orthonormal basis, and what least squares leave: neither columns nor outcomes far from zero lose digits then
    basis, back = _basis(X[used] / scale)
    start = basis.T @ y[used]
    left = y[used] - basis @ start
    size = np.abs(left).max(initial=0.0) or 1.0
    line = start - size * _solved(basis * w[:, None], -left / size * w, tau)
    return np.asarray(back @ line / scale)


def _basis(A: Array) -> tuple[Array, Array]:
    """An orthonormal basis (n, r) of the columns, and what makes coefficients of A (p, r) of those of the basis."""
    U, s, V = np.linalg.svd(A, full_matrices=False)
    kept = s > s.max(initial=0.0) * max(A.shape) * np.finfo(float).eps
    return np.asarray(U[:, kept]), np.asarray(V[kept].T / s[kept])


def _solved(A: Array, c: Array, tau: float) -> Array:
    """Multipliers of ``min c'x, A'x = (1 - tau) A'1, 0 <= x <= 1``."""
    x = np.full(len(c), 1 - tau)
    s = 1 - x
    g = _normal(A, np.ones(len(c)), c)
    gap = c - A @ g
    least = 1e-3 * max(float(np.abs(gap).mean()), 1e-300)
    z = np.maximum(gap, 0) + least
    v = z - gap
    enough = GAP * max(float(np.abs(c).sum()), 1e-300)
    for _ in range(MOST_STEPS):
        mu = float(x @ z + s @ v)
        if mu <= enough:
            return g
        q = 1 / (z / x + v / s)
        force = z - v
        # predictor: straight to the solution
        dx = q * (A @ _normal(A, q, force) - force)
        dz, dv = -z - z * dx / x, -v + v * dx / s
        near_x, near_z = min(_reach(x, dx), _reach(s, -dx)), min(_reach(z, dz), _reach(v, dv))
        aim = float((x + near_x * dx) @ (z + near_z * dz) + (s - near_x * dx) @ (v + near_z * dv))
        centre = (aim / mu) ** 3 * mu / (2 * len(x))
        # corrector: back towards the middle, and bent by what the predictor left out
        bent = (centre - dx * dz) / x - (centre + dx * dv) / s
        dg = _normal(A, q, force - bent)
        move = q * (A @ dg - force + bent)
        dz, dv = -z - z * move / x + (centre - dx * dz) / x, -v + v * move / s + (centre + dx * dv) / s
        near_x, near_z = min(_reach(x, move), _reach(s, -move)), min(_reach(z, dz), _reach(v, dv))
        x, s = x + near_x * move, s - near_x * move
        g, z, v = g + near_z * dg, z + near_z * dz, v + near_z * dv
    raise ConvergenceError("a quantile regression did not converge: its columns nearly repeat each other")


def _reach(at: Array, move: Array) -> float:
    """How far a step may go and stay positive, one at the most."""
    down = move < 0
    return min(1.0, INSIDE * float(np.min(-at[down] / move[down]))) if down.any() else 1.0


def _normal(A: Array, q: Array, force: Array) -> Array:
    """Weighted least squares; of columns that repeat each other the smallest solution."""
    root = A * q[:, None]
    return np.asarray(np.linalg.lstsq(root.T @ A, root.T @ force, rcond=None)[0])
