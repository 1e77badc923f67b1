"""Weights on moment inequalities, ``gamma >= 0`` with ``gamma'X = 0`` and ``sum(gamma) = 1``: the largest ``gamma'y``.

This linear programme is the dual of ``min eta`` subject to ``y - X t <= eta``, the least violation of the inequalities
``y <= 0`` when nuisance parameters ``t`` are free. Where the weights have few vertices these are found once, and many
programmes are solved by a product of matrices; otherwise HiGHS solves the programmes, many in one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from causalformula.errors import ConvergenceError
from causalformula.numerics.arrays import Array

ROUNDING = 1e-10
# More vertices than this, or work to find them, leave the programmes to HiGHS.
MOST_RAYS = 5000
MOST_WORK = 30_000_000
# Rows of a product with all vertices that are held at once.
ROWS = 1000
# Programmes that one call solves: its own cost is then small, and so is its basis.
BLOCK = 100
# The window's ends are sought this far out, in standard deviations: beyond it a normal has no mass that counts.
FAR = 60.0
# What the solver takes for feasible.
SLACK = 1e-7


class Weights(Protocol):
    """The set of weights, and what is asked of it."""

    def largest(self, y: Array) -> tuple[Array, Array]:
        """For each row of ``y`` (n, m) the largest ``gamma'y``, and where it is reached (n, m)."""
        ...

    def window(self, chosen: Array, rest: Array, slope: Array) -> tuple[Array, Array]:
        """Between which ``c`` the ``chosen`` weights stay the best for ``rest + slope c``, row by row."""
        ...

    def reach(self, y: Array, along: Array, most: float) -> tuple[float, float]:
        """The smallest and largest ``x`` with ``max gamma'(y - along x) <= most``; NaN where there is none."""
        ...


def moment_weights(X: Array) -> Weights:
    """The weights for nuisance columns ``X`` (m, k)."""
    rays = extreme_rays(X)
    return Programmes(X) if rays is None else Vertices(rays / rays.sum(axis=1, keepdims=True))


# ---- vertices -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Vertices:
    """The weights by their vertices.

    Parameters
    ----------
    vertices : ndarray (v, m)
    """

    vertices: Array

    def largest(self, y: Array) -> tuple[Array, Array]:
        """See ``Weights``."""
        best = np.concatenate([(y[k : k + ROWS] @ self.vertices.T).argmax(axis=1) for k in range(0, len(y), ROWS)])
        chosen = self.vertices[best]
        return np.einsum("nm,nm->n", chosen, y), chosen

    def window(self, chosen: Array, rest: Array, slope: Array) -> tuple[Array, Array]:
        """See ``Weights``: where another vertex is worth as much, ``v'rest + c v'slope = c``."""
        level, against = rest @ self.vertices.T, 1 - slope @ self.vertices.T
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = level / against
        low = np.where(against > ROUNDING, crossing, -np.inf).max(axis=1)
        high = np.where(against < -ROUNDING, crossing, np.inf).min(axis=1)
        return low, high

    def reach(self, y: Array, along: Array, most: float) -> tuple[float, float]:
        """See ``Weights``: each vertex gives an end, or a condition of its own."""
        over, slope = self.vertices @ y - most, self.vertices @ along
        flat = np.abs(slope) <= ROUNDING * (self.vertices @ np.abs(along))
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = over / slope
        low = float(ends[~flat & (slope > 0)].max(initial=-np.inf))
        high = float(ends[~flat & (slope < 0)].min(initial=np.inf))
        return (np.nan, np.nan) if low > high or (over[flat] > SLACK).any() else (low, high)


def extreme_rays(X: Array) -> Array | None:
    """The extreme rays of ``{gamma >= 0: gamma'X = 0}`` by double description; None where there are too many.

    Parameters
    ----------
    X : ndarray (m, k)

    Returns
    -------
    ndarray (v, m) or None
        The largest entry of each is one.
    """
    rays = np.eye(len(X))
    # columns of few entries first: the rays between are fewer (for period after period that is the last one first)
    order = np.argsort((X[:, ::-1] != 0).sum(axis=0), kind="stable")
    for k, column in enumerate(X.T[::-1][order]):
        side = rays @ column
        zero = np.abs(side) <= ROUNDING * (rays @ np.abs(column))
        above, below = ~zero & (side > 0), ~zero & (side < 0)
        if above.sum() * below.sum() * len(X) > MOST_WORK:
            return None
        held = rays > 0
        i, j = (pair.ravel() for pair in np.meshgrid(np.flatnonzero(above), np.flatnonzero(below), indexing="ij"))
        union = held[i] | held[j]
        # two rays span a face where no third one lives within their entries
        few = union.sum(axis=1) <= k + 2
        i, j, union = i[few], j[few], union[few]
        if len(i) * len(rays) > MOST_WORK:
            return None
        inside = (~union).astype(float) @ held.T.astype(float) == 0
        faces = inside.sum(axis=1) == 2
        i, j = i[faces], j[faces]
        made = rays[i] * -side[j][:, None] + rays[j] * side[i][:, None]
        made[~union[faces]] = 0.0
        rays = np.vstack([rays[zero], made / made.max(axis=1, keepdims=True)] if len(made) else [rays[zero]])
        if len(rays) > MOST_RAYS:
            return None
    return rays


# ---- linear programmes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Programmes:
    """The weights by linear programmes.

    Parameters
    ----------
    X : ndarray (m, k)
        Nuisance columns.
    """

    X: Array

    def largest(self, y: Array) -> tuple[Array, Array]:
        """See ``Weights``."""
        rows = [self._largest(y[at : at + BLOCK]) for at in range(0, len(y), BLOCK)]
        chosen = np.vstack(rows)
        return np.einsum("nm,nm->n", chosen, y), chosen

    def _largest(self, y: Array) -> Array:
        n, m = y.shape
        found = self._solve(np.ones((n, m)), -y, 1.0, None)
        prices = np.maximum(-found.ineqlin.marginals.reshape(n, m), 0.0)
        return np.asarray(prices / prices.sum(axis=1, keepdims=True))

    def window(self, chosen: Array, rest: Array, slope: Array) -> tuple[Array, Array]:
        """See ``Weights``: the weights stay the best while nuisance parameters hold all moments at their worth."""
        ends = []
        for sign in (1.0, -1.0):
            blocks = [
                self._end(rest[at : at + BLOCK], slope[at : at + BLOCK], sign) for at in range(0, len(rest), BLOCK)
            ]
            ends.append(np.concatenate(blocks))
        low, high = ends
        return np.where(low <= -FAR + SLACK, -np.inf, low), np.where(high >= FAR - SLACK, np.inf, high)

    def reach(self, y: Array, along: Array, most: float) -> tuple[float, float]:
        """See ``Weights``."""
        return reach(y, along, self.X, most)

    def _end(self, rest: Array, slope: Array, sign: float) -> Array:
        found = self._solve(1 - slope, -rest + SLACK, sign, FAR)
        return np.asarray(found.x[: len(rest)])

    def _solve(self, first: Array, limit: Array, cost: float, reach: float | None) -> Any:
        """One programme of many blocks: ``min cost x`` subject to ``-first x - X t <= limit`` in each of its rows."""
        from scipy import sparse
        from scipy.optimize import linprog

        n, m = first.shape
        own = sparse.csr_matrix((-first.ravel(), (np.arange(n * m), np.repeat(np.arange(n), m))), shape=(n * m, n))
        A = sparse.hstack([own, sparse.kron(sparse.identity(n), sparse.csr_matrix(-self.X))], format="csr")
        free = (None, None)
        bounds = [free if reach is None else (-reach, reach)] * n + [free] * (n * self.X.shape[1])
        costs = np.repeat([cost, 0.0], [n, n * self.X.shape[1]])
        return solved(linprog(costs, A_ub=A, b_ub=limit.ravel(), bounds=bounds, method="highs"))


def reach(y: Array, along: Array, X: Array, most: float) -> tuple[float, float]:
    """The smallest and largest ``x`` with ``y - along x - X t <= most`` for some ``t``; NaN where there is none.

    Parameters
    ----------
    y, along : ndarray (m,)
    X : ndarray (m, k)
    most : float

    Returns
    -------
    tuple of float
        Infinite where nothing bounds them.
    """
    from scipy.optimize import linprog

    A, ends = np.column_stack([-along, -X]), []
    for sign in (1.0, -1.0):
        cost = np.append(sign, np.zeros(X.shape[1]))
        found = linprog(cost, A_ub=A, b_ub=most - y, bounds=(None, None), method="highs")
        if found.status == 2:
            return np.nan, np.nan
        ends.append(-sign * np.inf if found.status == 3 else float(solved(found).x[0]))
    return ends[0], ends[1]


def solved(found: Any) -> Any:
    """What ``linprog`` found; a ``ConvergenceError`` where it gave up."""
    if found.status != 0:
        raise ConvergenceError(f"a linear programme was not solved: {found.message}")
    return found
