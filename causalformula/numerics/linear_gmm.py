"""Linear moment conditions weighted by the inverse of their covariance: stepwise and continuously updated GMM.

With residuals ``e = y - X b`` and instruments q the moments are ``g(b) = sum_i w_i e_i q_i``, and their covariance is
``S(b) = sum_k s_k s_k'``, uncentred, with ``s_k`` the sum of ``v_i e_i q_i`` over a cluster (or one row). Steps solve
``G' S^{-1} g(b) = 0``, ``G = Q'WX``, with S at the step before; continuously updated, what is least is
``g(b)' S(b)^{-1} g(b)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalformula.errors import ConvergenceError, DataError, counted
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.linalg import group_scores, group_sums, meat

# A covariance of moments whose smallest eigenvalue, on a diagonal of ones, is below this says nothing of some of them.
SINGULAR = 1e-12
# Lengths of a step in standard errors: of the last one, whose error is then its square; of those that no rounding of
# the criterion may shorten; and from which on Newton's steps are taken where others are safe.
LAST, NEAR, SHORT = 1e-8, 1e-4, 0.01
STEPS, HALVINGS = 200, 40


@dataclass(frozen=True, eq=False)
class Conditions:
    """Moment conditions, linear in the coefficients.

    Parameters
    ----------
    X : ndarray (n, p)
        Regressors.
    Q : ndarray (n, l)
        Instruments, exogenous regressors among them.
    w : ndarray (n,)
        Weights of the rows in the moments.
    v : ndarray (n,)
        Weights of the rows in the sums that the covariance is made of: a row that counts twice has root two.
    codes : ndarray (n,) of int, optional
        Clusters of rows; every row is its own by default.
    """

    X: Array
    Q: Array
    w: Array
    v: Array
    codes: Codes | None = None

    @cached_property
    def slope(self) -> Array:
        """``G = Q'WX`` (l, p)."""
        return np.asarray(self.Q.T @ (self.X * self.w[:, None]))

    @property
    def groups(self) -> int:
        """Number of clusters."""
        return len(self.w) if self.codes is None else int(self.codes.max()) + 1

    def sums(self, columns: Array, u: Array) -> Array:
        """Sums (groups, m) of rows times ``u`` over clusters."""
        assert self.codes is not None
        return group_scores(np.ascontiguousarray(columns), u, self.codes, self.groups)

    def by_row(self, u: Array) -> Array:
        """Sums of ``u`` (n,) over each row's cluster, by row."""
        return u if self.codes is None else group_sums(u, self.codes, self.groups)[self.codes]

    def moments(self, e: Array) -> Array:
        """``g`` (l,)."""
        return np.asarray(self.Q.T @ (self.w * e))

    def weight(self, e: Array) -> Array:
        """``S^{-1}`` at residuals (l, l).

        Raises
        ------
        DataError
            Where the residuals say nothing of some combination of the moments.
        """
        u = self.v * e
        if self.codes is None:
            S = meat(self.Q, u)
        else:
            sums = self.sums(self.Q, u)
            S = sums.T @ sums
        size = np.sqrt(np.diag(S))
        if not (size > 0).all() or np.linalg.eigvalsh(S / np.outer(size, size))[0] < SINGULAR:
            told = counted(self.groups, "row" if self.codes is None else "cluster")
            raise DataError(
                f"the weight matrix of {len(S)} moments is singular: {told} do not tell their covariance; use fewer "
                "instruments" + ("" if self.codes is None else ", or wmatrix='robust'")
            )
        inverse = np.linalg.inv(S / np.outer(size, size))
        return np.asarray((inverse + inverse.T) / 2 / np.outer(size, size))


@dataclass(frozen=True, eq=False)
class Moved:
    """How the covariance of the moments moves with the coefficients, where multipliers are ``lambda = S^{-1} g``.

    Parameters
    ----------
    m : ndarray (n,)
        ``q_i' lambda``.
    total : ndarray (n,)
        Sums of ``v e m`` over each row's cluster.
    E : ndarray (l, p)
        ``-dS lambda / db'``.
    squares : ndarray (p, p)
        ``sum_k r_k r_k'`` with ``r_k`` the sums of ``v m x``.
    """

    m: Array
    total: Array
    E: Array
    squares: Array

    @classmethod
    def at(cls, of: Conditions, e: Array, multipliers: Array) -> Moved:
        """At residuals."""
        m = of.Q @ multipliers
        total = of.by_row(of.v * e * m)
        E = of.Q.T @ (of.X * (of.v * total)[:, None])
        if of.codes is None:
            return cls(m, total, 2 * E, meat(of.X, of.v * m))
        r = of.sums(of.X, of.v * m)
        return cls(m, total, E + of.sums(of.Q, of.v * e).T @ r, r.T @ r)


@dataclass(frozen=True, eq=False)
class Step:
    """A solution for one weight matrix.

    Parameters
    ----------
    before : ndarray (n,)
        Residuals that the weight matrix is of.
    weight : ndarray (l, l)
        ``S^{-1}``.
    shift : ndarray (p,)
        The solution less the start.
    e : ndarray (n,)
        Its residuals.
    criterion : float
        Hansen's J.
    """

    before: Array
    weight: Array
    shift: Array
    e: Array
    criterion: float

    def multipliers(self, of: Conditions) -> Array:
        """``lambda = S^{-1} g`` (l,)."""
        return self.weight @ of.moments(self.e)


def _solved(of: Conditions, e: Array, shift: Array) -> Step:
    """From the residuals of the step before, which is ``shift`` from the start."""
    weight, before = of.weight(e), e
    A = weight @ of.slope
    bread = np.linalg.inv(of.slope.T @ A)
    for _ in range(2):  # the second corrects the rounding of the first
        move = bread @ (A.T @ of.moments(e))
        shift, e = shift + move, e - of.X @ move
    g = of.moments(e)
    return Step(before, weight, shift, e, float(g @ weight @ g))


def stepped(of: Conditions, e: Array, steps: int) -> list[Step]:
    """Solutions with weights of the residuals of the one before, from those of a consistent start.

    Parameters
    ----------
    e : ndarray (n,)
        Residuals of the start.
    steps : int
        How many weight matrices there are.
    """
    found = [_solved(of, e, np.zeros(of.X.shape[1]))]
    for _ in range(steps - 1):
        found.append(_solved(of, found[-1].e, found[-1].shift))
    return found


def iterated(of: Conditions, e: Array) -> tuple[Step, int]:
    """The solution whose weights are of its own residuals, by steps as above, and Newton's once they are short.

    Beside it, how many there were.

    Raises
    ------
    ConvergenceError
        Where they stay long.
    """
    shift, length = np.zeros(of.X.shape[1]), np.inf
    for count in range(1, STEPS + 1):
        weight, g = of.weight(e), of.moments(e)
        A = weight @ of.slope
        information = of.slope.T @ A
        if length < SHORT:
            information = information - A.T @ Moved.at(of, e, weight @ g).E
        move = np.linalg.solve(information, A.T @ g)
        length = float(np.sqrt(move @ of.slope.T @ A @ move))
        shift, e = shift + move, e - of.X @ move
        if length < LAST:
            return _solved(of, e, shift), count
    raise ConvergenceError(
        f"iterated GMM still moves after {STEPS} weight matrices, as it may with weak instruments: use steps=2"
    )


def continuous(of: Conditions, start: Step) -> tuple[Step, int]:
    """The minimum of ``g' S^{-1} g``, both of the same coefficients, by Newton's method; and its iterations.

    From a step's solution. Lengths are in standard errors, so that no unit matters; where the criterion is not
    convex, the Hessian lacks the part that is negative, and a step is halved until the criterion falls.

    Raises
    ------
    ConvergenceError
        Where no minimum is found.
    """
    shift, e = start.shift, start.e
    value, weight = _criterion(of, e)
    for count in range(1, STEPS + 1):
        slope, bowl, squares = _derivatives(of, e, weight)
        hessian = bowl - squares
        convex = bool(np.linalg.eigvalsh(hessian / _unit(hessian))[0] > 0)
        if not convex:
            hessian = bowl
        step: Array = np.asarray(np.linalg.solve(hessian, slope), dtype=np.float64)
        length = float(np.sqrt(max(float(slope @ step), 0.0)))
        part = 1.0 if length < NEAR else _shortened(of, e, step, value, length)
        shift, e = shift + part * step, e - of.X @ (part * step)
        value, weight = _criterion(of, e)
        if length < LAST and convex:
            return Step(e, weight, shift, e, value), count
    raise ConvergenceError(
        f"no minimum of the continuously updated criterion was found in {STEPS} steps, as it may have none with weak "
        "instruments: use steps=2, or method='liml'"
    )


def _unit(A: Array) -> Array:
    size = np.sqrt(np.abs(np.diag(A)))
    return np.outer(size, size)


def _criterion(of: Conditions, e: Array) -> tuple[float, Array]:
    weight, g = of.weight(e), of.moments(e)
    return float(g @ weight @ g), weight


def _derivatives(of: Conditions, e: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Half the criterion's derivative, downwards; and half its Hessian: what is never negative, and what is taken."""
    multipliers = weight @ of.moments(e)
    moved = Moved.at(of, e, multipliers)
    slope = of.slope.T @ multipliers - of.X.T @ (of.v * moved.m * moved.total)
    D = of.slope - moved.E
    return slope, D.T @ weight @ D, moved.squares


def _shortened(of: Conditions, e: Array, step: Array, value: float, length: float) -> float:
    """How much of a step makes the criterion fall as its slope promises, by the rule of Armijo."""
    part, line = 1.0, of.X @ step
    for _ in range(HALVINGS):
        if _criterion(of, e - part * line)[0] <= value - 1e-4 * part * length**2:
            return part
        part /= 2
    return part
