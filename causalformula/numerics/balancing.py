"""Balancing weights as k-dimensional convex duals, solved by Newton's method.

Entropy balancing, inverse probability tilting and the covariate balancing propensity score all ask for ``lambda`` in

    sum_i s_i (up_i exp(z_i'lambda) + down_i exp(-z_i'lambda)) z_i + b = 0,   up >= 0 >= down,

which is the gradient of a convex function: its Hessian is ``sum_i s_i (up_i e^eta - down_i e^-eta) z_i z_i'``. Entropy
balancing of an arm to a target has ``up`` the arm's indicator and ``b`` minus the target's sums; the treated's
inverse probabilities ``1 + e^-eta`` have ``down`` minus the arm's indicator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from causalformula.errors import ConvergenceError
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.linalg import gram, scaled_inverse
from causalformula.numerics.reachable import Report, Shortfall, Side, spreads

# Newton goes on until the conditions hold to this, in standard deviations of the covariates ...
TARGET = 1e-12
# ... and a solution that does not reach this is none.
REQUIRED = 1e-8
ARMIJO = 1e-4


@dataclass(frozen=True, eq=False)
class Tilt:
    """Solution of the balancing equations.

    Attributes
    ----------
    coef : ndarray, shape (r,)
        ``lambda`` of the columns kept.
    kept : ndarray of int, shape (r,)
        Columns that are no combination of those before them.
    eta : ndarray, shape (n,)
        Linear predictor of every row.
    imbalance : float
        Largest violated condition, in standard deviations of its column.
    steps : int
        Newton steps.
    """

    coef: Array
    kept: Codes
    eta: Array
    imbalance: float
    steps: int


@dataclass(frozen=True, eq=False)
class Dual:
    """The equations of the active rows, on columns with mean 0 and standard deviation 1 (the intercept stays)."""

    Z: Array
    up: Array
    down: Array
    b: Array
    size: float
    centre: Array

    def value(self, coef: Array) -> tuple[float, Array, Array]:
        """The convex function at a point, and ``e^eta`` and ``e^-eta`` times their multipliers."""
        eta = self.Z @ coef
        with np.errstate(over="ignore", invalid="ignore"):
            rise, fall = self.up * np.exp(eta), self.down * np.exp(-eta)
        return float(rise.sum() - fall.sum() + self.b @ coef), rise, fall

    @classmethod
    def of(cls, conditions: Conditions, centre: Array, spread: Array) -> Dual:
        """Of the rows that take part, on columns with these means and standard deviations."""
        s, up, down, b = conditions.s, conditions.up, conditions.down, conditions.b
        active = (s > 0) & ((up != 0) | (down != 0))
        part = (conditions.Z if active.all() else conditions.Z[active]) - centre
        part /= spread
        return cls(part, (s * up)[active], (s * down)[active], (b - centre * b[0]) / spread, conditions.size, centre)

    def at(self, coef: Array) -> Reached:
        """The rows' part of the function at a point."""
        eta = self.Z @ coef
        with np.errstate(over="ignore", invalid="ignore"):
            rise, fall = self.up * np.exp(eta), self.down * np.exp(-eta)
        return Reached(self.Z, rise, fall)


class Point(Protocol):
    """What rows add to the convex function at a point, to its gradient and to its Hessian."""

    @property
    def value(self) -> float:
        """``sum up e^eta - down e^-eta``."""
        ...

    @property
    def gradient(self) -> Array:
        """Gradient (p,), without the constants."""
        ...

    @property
    def hessian(self) -> Array:
        """Second derivatives (p, p)."""
        ...


@dataclass(frozen=True, eq=False)
class Reached:
    """A point, on rows in memory: what is not asked for is not computed."""

    Z: Array
    rise: Array
    fall: Array

    @property
    def value(self) -> float:
        """See ``Point``."""
        return float(self.rise.sum() - self.fall.sum())

    @property
    def gradient(self) -> Array:
        """See ``Point``."""
        return np.asarray(self.Z.T @ (self.rise + self.fall))

    @property
    def hessian(self) -> Array:
        """See ``Point``."""
        return gram(self.Z, self.rise - self.fall)


@dataclass(frozen=True, eq=False)
class Conditions:
    """Balancing equations ``sum_i s_i (up_i e^eta_i + down_i e^-eta_i) z_i + b = 0``, and what a message says of them.

    Parameters
    ----------
    Z : ndarray, shape (n, p)
        Columns to balance; the first is the intercept.
    s : ndarray, shape (n,)
        Sampling weights.
    up, down : ndarray, shape (n,)
        Multipliers of ``e^eta`` (not negative) and of ``e^-eta`` (not positive).
    b : ndarray, shape (p,)
        The equations' constants.
    size : float
        Size of the target population, which conditions are measured against.
    names : sequence of str
        Of the columns.
    report : Report
        What else a message needs.
    """

    Z: Array
    s: Array
    up: Array
    down: Array
    b: Array
    size: float
    names: Sequence[str]
    report: Report = field(default_factory=Report)

    def select(self, kept: Codes, b: Array | None = None) -> Conditions:
        """Some of the columns, their constants replaced where others are given."""
        Z = self.Z if len(kept) == self.Z.shape[1] else self.Z[:, kept]
        return replace(self, Z=Z, b=self.b[kept] if b is None else b, names=[self.names[int(j)] for j in kept])


def balance(conditions: Conditions, *, maxit: int = 200) -> Tilt:
    """Solve the balancing equations.

    Returns
    -------
    Tilt
        With every condition within 1e-8 standard deviations of its column.

    Raises
    ------
    ConvergenceError
        If no weights satisfy the conditions (or the steps stopped short of them), naming the columns furthest off.
    """
    kept = least_squares(conditions.Z, np.zeros(len(conditions.Z)), conditions.s).kept
    independent = conditions.select(kept)
    part, spread = standardised(independent)
    coef, gradient, steps = newton(part.at, part.b, part.size, maxit)
    worst = worst_gap(gradient, conditions.size)
    slope = unscaled(coef, part.centre, spread)
    eta = independent.Z @ slope
    if worst > REQUIRED:
        raise ConvergenceError(shortfall(conditions, eta))
    return Tilt(slope, kept, eta, worst, steps)


def worst_gap(gradient: Array, size: float) -> float:
    """The largest violated condition, in standard deviations."""
    return float(np.abs(gradient).max()) / size if np.isfinite(gradient).all() else np.inf


def unscaled(coef: Array, centre: Array, spread: Array) -> Array:
    """Coefficients of the columns, from those of the standardised ones."""
    slope = coef / spread
    slope[0] = coef[0] - float(slope[1:] @ centre[1:])
    return np.asarray(slope)


def standardised(conditions: Conditions) -> tuple[Dual, Array]:
    """The equations of the rows that take part, on standardised columns, and the columns' standard deviations."""
    Z, s, up, down = conditions.Z, conditions.s, conditions.up, conditions.down
    centre = s @ Z / s.sum()
    centre[0] = 0.0
    active = (s > 0) & ((up != 0) | (down != 0))
    part = (Z if active.all() else Z[active]) - centre
    spread = divisors(np.sqrt(np.einsum("ij,ij,i->j", part, part, s[active]) / s[active].sum()), centre)
    return Dual.of(conditions, centre, spread), spread


def divisors(spread: Array, centre: Array) -> Array:
    """What columns are divided by: their standard deviations; one for the intercept, and for constants."""
    spread = spread.copy()
    spread[0] = 1.0
    spread[spread <= 1e-12 * (np.abs(centre) + 1e-300)] = 1.0  # constant in the active rows
    return spread


def newton(at: Callable[[Array], Point], b: Array, size: float, maxit: int = 200) -> tuple[Array, Array, int]:
    """Damped Newton steps from zero: the point, the gradient there, and their number.

    Parameters
    ----------
    at : callable
        What all rows say at a point.
    b : ndarray, shape (p,)
        The equations' constants.
    size : float
        As of ``Conditions``.
    """
    coef = np.zeros(len(b))
    point = at(coef)
    gradient = point.gradient + b
    for step in range(maxit):
        if np.abs(gradient).max() <= TARGET * size:
            return coef, gradient, step
        inverse = scaled_inverse(point.hessian)
        if inverse is None:
            return coef, gradient, step
        move = -inverse.solve(gradient)
        found = _descend(at, b, size, coef, move, point.value + float(b @ coef), float(gradient @ move))
        if found is None:
            return coef, gradient, step
        coef, point = found
        gradient = point.gradient + b
    return coef, gradient, maxit


def _descend(
    at: Callable[[Array], Point], b: Array, size: float, coef: Array, move: Array, value: float, slope: float
) -> tuple[Array, Point] | None:
    """The point after a step, halved until the function falls enough; None when rounding is all that is left."""
    rounding = 1e-13 * (abs(value) + size)
    for halvings in range(40):
        share = 0.5**halvings
        moved = coef + share * move
        point = at(moved)
        reached = point.value + float(b @ moved)
        if np.isfinite(reached) and reached <= value + ARMIJO * share * slope + rounding:
            return moved, point
    return None


def shortfall(conditions: Conditions, eta: Array, bound: Array | None = None) -> Shortfall:
    """The message where weights with linear predictor ``eta`` do not balance.

    The rows with ``up`` and those with ``down`` are compared with each other, or one of them with its target.
    """
    Z, s, up, down, b = conditions.Z, conditions.s, conditions.up, conditions.down, conditions.b
    report = conditions.report
    sides = [
        _side(Z, s * np.abs(form), sign * eta, report.floor) for form, sign in ((up, 1.0), (down, -1.0)) if form.any()
    ]
    target = None
    if len(sides) == 1:
        aim = report.floor * (s * (up + down)) @ Z - b
        target = aim / aim[0]
        if report.floor:
            form = s * np.abs(up + down)
            sides = [Side(sides[0].Z, sides[0].weights, report.floor * form[form > 0] / abs(aim[0]))]
    return Shortfall(sides, target, spreads(Z, s, report.groups), conditions.names, report.remedy, bound, report.where)


def _side(Z: Array, share: Array, eta: Array, floor: float) -> Side:
    """The rows that take part, and their weights, whose scale does not matter unless there is a floor."""
    rows = share > 0
    top = float(eta[rows].max())
    top = max(top, 0.0) if floor else top
    return Side(Z[rows], share[rows] * (floor * np.exp(-top if floor else 0.0) + np.exp(eta[rows] - top)))
