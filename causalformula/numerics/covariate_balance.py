"""Covariate balancing propensity scores beyond two arms: as many balance conditions as coefficients, solved exactly.

Unlike the duals of two arms these conditions are no convex function's gradient, so Newton's steps are damped towards
gradient steps (Levenberg-Marquardt) until the conditions' sum of squares falls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.errors import ConvergenceError
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.balancing import REQUIRED, TARGET
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.multinomial import multinomial
from causalformula.numerics.reachable import Shortfall, Side, spreads

DAMPING = (0.0, *(10.0**k for k in range(-8, 5)))
Equations = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True, eq=False)
class LevelsSolution:
    """Multinomial model whose inverse probabilities give every arm the same weighted sums.

    Attributes
    ----------
    coef : ndarray, shape (K - 1, r)
    kept : ndarray of int, shape (r,)
    P : ndarray, shape (n, K)
    jacobian : ndarray, shape ((K - 1) r, (K - 1) r)
        Of the conditions ``sum_i s_i (1[a_i = k] - 1[a_i = 0]) z_i / P_i``, level by level.
    """

    coef: Array
    kept: Codes
    P: Array
    jacobian: Array


@dataclass(frozen=True, eq=False)
class DoseSolution:
    """Normal model of a dose whose density ratios leave it uncorrelated with the covariates.

    Attributes
    ----------
    coef : ndarray, shape (r,)
    variance : float
        Residual variance.
    kept : ndarray of int, shape (r,)
    jacobian : ndarray, shape (r + 1, r + 1)
        Of the conditions ``sum s w (a - mean) z`` and ``sum s (residual^2 - variance)``.
    """

    coef: Array
    variance: float
    kept: Codes
    jacobian: Array


def balance_levels(Z: Array, codes: Codes, levels: int, s: Array, names: Sequence[str]) -> LevelsSolution:
    """Solve ``sum_i s_i (1[a_i = k] - 1[a_i = 0]) z_i / P_i(a_i) = 0`` for k = 1 ... K - 1.

    Raises
    ------
    ConvergenceError
        If no coefficients balance the covariates, naming the worst.
    """
    kept = least_squares(Z, np.zeros(len(Z)), s).kept
    columns = Z[:, kept]
    T = standardising(columns, s)
    X = columns @ T
    hot = (codes[:, None] == np.arange(levels)).astype(float)
    start = multinomial(X, codes, levels, s).coef.ravel()

    def failed(theta: Array) -> Shortfall:
        w = s / probabilities(X, theta.reshape(levels - 1, -1))[np.arange(len(codes)), codes]
        sides = [Side(Z[codes == k], np.minimum(w[codes == k], 1e300)) for k in range(levels)]
        return Shortfall(sides, None, spreads(Z, s, hot), names)

    theta = solve(lambda at: level_equations(X, codes, levels, s, at), start, float(s.sum()), failed)
    B = theta.reshape(levels - 1, -1)
    jacobian = level_equations(X, codes, levels, s, theta, columns)[1]
    return LevelsSolution(B @ T.T, kept, probabilities(X, B), jacobian)


def probabilities(X: Array, B: Array) -> Array:
    """Probabilities (n, K) of the levels, by a multinomial model with coefficients B (K - 1, p)."""
    eta = np.column_stack([np.zeros(len(X)), X @ B.T])
    with np.errstate(over="ignore", under="ignore"):
        P = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(P / P.sum(axis=1, keepdims=True))


def level_equations(
    X: Array, codes: Codes, levels: int, s: Array, theta: Array, A: Array | None = None
) -> tuple[Array, Array]:
    """The conditions, sums over rows, and their derivatives; of columns A of the same span where they are given."""
    P, A = probabilities(X, theta.reshape(levels - 1, -1)), X if A is None else A
    hot = (codes[:, None] == np.arange(levels)).astype(float)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        w = s / P[np.arange(len(codes)), codes]
        sides = (hot[:, 1:] - hot[:, :1]) * w[:, None]
        moves = P[:, 1:] - hot[:, 1:]
        blocks = [[(A * (side * move)[:, None]).T @ A for move in moves.T] for side in sides.T]
        return (sides.T @ A).ravel(), np.block(blocks)


def balance_dose(Z: Array, a: Array, s: Array, names: Sequence[str]) -> DoseSolution:
    """Solve ``sum s w (a - mean) z = 0`` and ``sum s (r^2 - v) = 0``, ``w`` the ratio of two normal densities.

    ``w = exp(r^2 / 2 v - (a - mean)^2 / 2 V)`` with ``r = a - z'b`` and V the dose's variance.

    Raises
    ------
    ConvergenceError
        If no coefficients leave the dose uncorrelated with the covariates, naming the worst. A small sample often has
        none, even where other weights balance it.
    """
    total = s.sum()
    mean = s @ a / total
    sd = np.sqrt(s @ (a - mean) ** 2 / total)
    first = least_squares(Z, (a - mean) / sd, s)
    kept = first.kept
    columns = Z[:, kept]
    T = standardising(columns, s)
    X, c = columns @ T, (a - mean) / sd

    def equations(theta: Array, A: Array = X, unit: float = 1.0) -> tuple[Array, Array]:
        coef, v = theta[:-1], theta[-1]
        if v <= 0:
            return np.full(len(theta), np.inf), np.zeros((len(theta), len(theta)))
        d, r = unit * c, unit * c - A @ coef
        with np.errstate(over="ignore", invalid="ignore"):
            weight = s * d * np.exp(r**2 / (2 * v) - c**2 / 2)
            top = np.column_stack([(A * (-weight * r / v)[:, None]).T @ A, A.T @ (-weight * r**2 / (2 * v**2))])
            bottom = np.concatenate([-2 * (s * r) @ A, [-total]])
            return np.append(weight @ A, s @ (r**2 - v)), np.vstack([top, bottom])

    coef = np.linalg.solve(T, first.coef[kept])
    start = np.append(coef, s @ (c - X @ coef) ** 2 / total)

    def failed(theta: Array) -> str:
        r = c - X @ theta[:-1]
        weight = s * np.exp(np.minimum(r**2 / (2 * theta[-1]) - c**2 / 2, 500.0))
        reached = np.abs((weight * (c - weight @ c / weight.sum())) @ X) / weight.sum()
        worst = int(np.argmax(reached[1:])) + 1
        return (
            "no coefficients of this normal model were found that leave the dose uncorrelated with the covariates; "
            f"furthest off: {names[kept[worst]]} (a covariance of {reached[worst]:.2g} standard deviations). "
            "Use method='ebal', which needs no model of the dose, or method='ipw', which does not insist on balance"
        )

    theta = solve(equations, start, float(total), failed)
    b, v = sd * (T @ theta[:-1]), float(sd**2 * theta[-1])
    # The equations take the dose at its mean: a residual is (a - mean) - z'b.
    jacobian = equations(np.append(b, v), columns, sd)[1]
    b = b.copy()
    b[0] += mean
    return DoseSolution(b, v, kept, jacobian)


def standardising(columns: Array, s: Array) -> Array:
    """The matrix that gives columns mean 0 and variance 1; the first, the intercept, stays."""
    centre = s @ columns / s.sum()
    return to_standard(centre, np.sqrt(s @ (columns - centre) ** 2 / s.sum()))


def to_standard(centre: Array, spread: Array) -> Array:
    """The same of columns with these means and standard deviations."""
    spread = spread.copy()
    spread[0] = 1.0
    T = np.diag(1 / spread)
    T[0, 1:] = -centre[1:] / spread[1:]
    return np.asarray(T)


def solve(
    equations: Equations, theta: Array, size: float, failed: Callable[[Array], object], maxit: int = 200
) -> Array:
    """A root of the equations by damped Newton steps; ``failed`` makes the message of the point where they stop short.

    Raises
    ------
    ConvergenceError
        If the conditions are not met to 1e-8 of the size.
    """
    F, J = equations(theta)
    for _ in range(maxit):
        if np.abs(F).max() <= TARGET * size:
            break
        found = _step(equations, theta, F, J)
        if found is None:
            break
        theta, F, J = found
    if not np.abs(F).max() <= REQUIRED * size:
        raise ConvergenceError(failed(theta))
    return theta


def _step(equations: Equations, theta: Array, F: Array, J: Array) -> tuple[Array, Array, Array] | None:
    """The first point, from a full Newton step to ever shorter and steeper ones, with a smaller sum of squares."""
    square, slope = J.T @ J, J.T @ F
    for damping in DAMPING:
        A = square + damping * np.diag(np.diag(square))
        move = -np.linalg.lstsq(J, F, rcond=None)[0] if damping == 0 else -np.linalg.lstsq(A, slope, rcond=None)[0]
        for halvings in range(4):
            at = theta + move / 2**halvings
            reached, jacobian = equations(at)
            with np.errstate(over="ignore", invalid="ignore"):
                lower = reached @ reached < (1 - 1e-4 / 2**halvings) * (F @ F)
            if lower and np.isfinite(jacobian).all():
                return at, reached, jacobian
    return None
