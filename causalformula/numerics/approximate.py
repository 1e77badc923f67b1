"""Balance within tolerances: the dual of entropy balancing with a penalty on each coefficient's size.

Weights ``up_i exp(z_i'lambda)`` whose conditions hold within bounds,

    |sum_i s_i up_i exp(z_i'lambda) z_ij + b_j| <= size bound_j,

with least entropy, have the ``lambda`` that minimises the exact problem's convex dual plus
``size sum_j bound_j |lambda_j|``. A coefficient that is not zero has its condition at the bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import ConvergenceError
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.balancing import REQUIRED, Conditions, Dual, Tilt, balance, shortfall, standardised
from causalformula.numerics.linalg import gram

# The penalised steps find which conditions are at their bounds; Newton's method on these then ends exactly.
NEAR = 1e-7
ROUNDS = 3
# Standardised columns with a smaller eigenvalue of their mean cross-product cannot be told apart.
DEPENDENT = 1e-12


@dataclass(frozen=True, eq=False)
class Bounded:
    """Solution within bounds.

    Attributes
    ----------
    tilt : Tilt
        Its ``kept`` are the columns whose coefficients are not zero.
    sign : ndarray, shape (r,)
        Of these coefficients where they have a bound, else 0: the condition's gap is ``-size bound sign``.
    """

    tilt: Tilt
    sign: Array


def balance_within(conditions: Conditions, bound: Array, *, maxit: int = 100) -> Bounded:
    """Solve the balancing equations within bounds. Columns may be combinations of each other.

    Parameters
    ----------
    conditions : Conditions
        With ``up`` alone.
    bound : ndarray, shape (p,)
        Largest gap of each column's mean; zero asks for exact balance, as the intercept must.

    Raises
    ------
    ConvergenceError
        If no weights come within the bounds, naming the columns that are furthest off.
    """
    part, spread = standardised(conditions)
    size, limit = conditions.size, bound / spread
    coef = np.zeros(len(bound))
    for attempt in range(ROUNDS):
        coef, gradient = _penalised(part, size * limit, coef, NEAR * 10.0 ** (-2 * attempt), maxit)
        excess = np.maximum(np.abs(gradient) / size - limit, 0.0)
        if not excess.max() <= 1e-4:
            break
        coef = _independent(part, limit, coef)
        found = _ended(conditions, bound, part, spread, coef)
        if found is not None:
            return found
    coef = coef / spread
    coef[0] -= float(coef[1:] @ part.centre[1:])
    raise ConvergenceError(shortfall(conditions, conditions.Z @ coef, bound))


def _ended(conditions: Conditions, bound: Array, part: Dual, spread: Array, coef: Array) -> Bounded | None:
    """Newton's exact end, taking the conditions at their bounds from a point nearby; None if they are others."""
    active = np.flatnonzero((coef != 0) | (bound == 0))
    sign = np.where(bound[active] > 0, np.sign(coef[active]), 0.0)
    shifted = conditions.b[active] + conditions.size * bound[active] * sign
    try:
        tilt = balance(conditions.select(active, shifted))
    except ConvergenceError:
        return None
    gap = (part.Z.T @ part.value(_rescaled(tilt, active, spread, part))[1] + part.b) / conditions.size
    kept = sign[tilt.kept]
    if (np.abs(gap) <= bound / spread + REQUIRED).all() and (kept * tilt.coef >= 0).all():
        return Bounded(replace(tilt, kept=active[tilt.kept]), kept)
    return None


def _independent(part: Dual, limit: Array, coef: Array) -> Array:
    """An equally good point whose coefficients that are not zero belong to columns that can be told apart.

    Along a combination of columns that vanishes the weights do not move: the point slides, downhill in the penalty,
    until a coefficient is zero.
    """
    coef = coef.copy()
    for _ in range(len(coef)):
        free = np.flatnonzero((coef != 0) | (limit == 0))
        values, vectors = np.linalg.eigh(gram(part.Z[:, free]) / len(part.Z))
        slide = np.where(limit[free] > 0, vectors[:, 0], 0.0)
        if values[0] > DEPENDENT or np.abs(slide).max() < 1e-6:
            return coef
        direction = vectors[:, 0] * (-1.0 if limit[free] @ (np.sign(coef[free]) * slide) > 0 else 1.0)
        towards = (coef[free] * direction < 0) & (limit[free] > 0)
        if not towards.any():
            return coef
        reach = np.where(towards, -coef[free] / np.where(towards, direction, 1.0), np.inf)
        first = int(np.argmin(reach))
        coef[free] += reach[first] * direction
        coef[free[first]] = 0.0
    return coef


def _rescaled(tilt: Tilt, active: Codes, spread: Array, part: Dual) -> Array:
    """The coefficients of standardised columns."""
    coef = np.zeros(len(spread))
    coef[active[tilt.kept]] = tilt.coef
    shift = float(coef[1:] @ part.centre[1:])
    coef *= spread
    coef[0] += shift
    return coef


def _penalised(part: Dual, penalty: Array, coef: Array, near: float, maxit: int) -> tuple[Array, Array]:
    """Proximal Newton steps to a point that is nearly optimal, and the smooth part's gradient there."""
    value, rise, _ = part.value(coef)
    gradient = part.Z.T @ rise + part.b
    for _ in range(maxit):
        if _stationarity(coef, gradient, penalty) <= near * part.size:
            break
        information = gram(part.Z, rise)
        move = _quadratic(information, gradient, penalty, coef) - coef
        before = value + penalty @ np.abs(coef)
        promised = gradient @ move + penalty @ (np.abs(coef + move) - np.abs(coef))
        for halvings in range(40):
            at = coef + move / 2**halvings
            reached, rises, _ = part.value(at)
            total = reached + penalty @ np.abs(at)
            if np.isfinite(total) and total <= before + 1e-4 * promised / 2**halvings + 1e-13 * (
                abs(before) + part.size
            ):
                break
        else:
            break
        coef, value, rise = at, reached, rises
        gradient = part.Z.T @ rise + part.b
    return coef, gradient


def _stationarity(coef: Array, gradient: Array, penalty: Array) -> float:
    """Largest violation of the optimality conditions."""
    off = np.where(coef != 0, np.abs(gradient + penalty * np.sign(coef)), np.maximum(np.abs(gradient) - penalty, 0.0))
    return float(off.max())


def _quadratic(H: Array, gradient: Array, penalty: Array, at: Array, rounds: int = 50) -> Array:
    """Minimise the penalised quadratic model around a point.

    Sweeps of coordinate descent find which coefficients are zero; the others' linear equations then end exactly.
    """
    curvature = np.diag(H) * (1 + 1e-10) + 1e-300
    point, slope = at.copy(), gradient.copy()
    for _ in range(rounds):
        for _ in range(5):
            for j in range(len(at)):
                aim = point[j] - slope[j] / curvature[j]
                new = np.sign(aim) * max(abs(aim) - penalty[j] / curvature[j], 0.0)
                if new != point[j]:
                    slope += H[:, j] * (new - point[j])
                    point[j] = new
        ended = _on_support(H, gradient, penalty, at, point)
        if ended is not None:
            return ended
    return point


def _on_support(H: Array, gradient: Array, penalty: Array, at: Array, point: Array) -> Array | None:
    """The model's minimum, if its coefficients that are not zero, and their signs, are those of a point."""
    free = (point != 0) | (penalty == 0)
    sign = np.sign(point) * (penalty > 0)
    out = np.zeros(len(at))
    right = (H @ at - gradient - penalty * sign)[free]
    out[free] = np.linalg.lstsq(H[np.ix_(free, free)], right, rcond=1e-13)[0]
    slope = gradient + H @ (out - at)
    signs_hold = (out * sign >= 0).all()
    slack = 1e-9 * (np.abs(gradient).max() + penalty.max())
    held = np.abs(slope + penalty * sign)[free] <= slack
    return out if signs_hold and held.all() and (np.abs(slope) <= penalty + slack)[~free].all() else None
