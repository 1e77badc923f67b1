"""The normal equations of several absorbed factors: the largest eliminated, the others solved for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from causalformula.numerics.absorption.effect import Basis
from causalformula.numerics.arrays import Array

# So many coefficients are solved for at once; more of them step by step.
DIRECT = 400
# Squared lengths below this share of a unit vector's are rounding.
NOTHING = 1e-12
# Error of a demeaned column, as a share of its length, at which steps end.
TOLERANCE = 1e-11
# Steps over which the decrease to come is summed up.
LOOK_AHEAD = 5
MOST_STEPS = 10_000


@dataclass(frozen=True, eq=False)
class Solved:
    """Coefficients of each basis, the steps that they took, and whether each column's are there."""

    coefficients: list[Array]
    iterations: int
    converged: bool


class Equations:
    """``G c = g`` for the coefficients of all bases together, ``G`` their inner products.

    With bases at unit length and the first eliminated, ``S = G_oo - C'C`` is left for the others, ``C`` the inner
    products of the first with them. It is singular wherever the factors overlap, and the equations are consistent.
    """

    def __init__(self, bases: Sequence[Basis]) -> None:
        self.first = int(np.argmax([basis.size for basis in bases]))
        self.others = [i for i in range(len(bases)) if i != self.first]
        self._ends = np.cumsum([bases[i].size for i in self.others])[:-1]
        self._count = len(bases)
        self._rank: int | None = None
        self._filled = int((bases[self.first].scale > 0).sum())
        if not self.others:
            return
        self._cross = sparse.csr_matrix(
            sparse.hstack([bases[self.first].cross(bases[i]) for i in self.others], format="csr")
        )
        self._back = sparse.csr_matrix(self._cross.T)
        self._among = self._inner([bases[i] for i in self.others])
        self._inverse = self._direct() if self._cross.shape[1] <= DIRECT else None
        squares = np.asarray(self._back.multiply(self._back).sum(axis=1)).ravel()
        diagonal = self._among.diagonal() - squares
        self._precondition = np.where(diagonal > NOTHING, 1 / np.maximum(diagonal, NOTHING), 0.0)

    @staticmethod
    def _inner(bases: list[Basis]) -> sparse.csr_matrix:
        blocks: list[list[sparse.csr_matrix]] = []
        for i, basis in enumerate(bases):
            own = sparse.csr_matrix(sparse.diags((basis.scale.ravel() > 0).astype(np.float64)))
            right = [basis.cross(other) for other in bases[i + 1 :]]
            blocks.append([sparse.csr_matrix(blocks[j][i].T) for j in range(i)] + [own, *right])
        return sparse.csr_matrix(sparse.bmat(blocks))

    @property
    def rank(self) -> int | None:
        """Rank of ``G``, where the others are few; None elsewhere."""
        return self._rank

    def _direct(self) -> Array:
        S = (self._among - self._back @ self._cross).toarray()
        values, vectors = np.linalg.eigh(S)
        kept = values > NOTHING * len(S)
        self._rank = int(kept.sum()) + self._filled
        return np.asarray((vectors[:, kept] / values[kept]) @ vectors[:, kept].T)

    def solve(self, gathered: Sequence[Array], square: Array) -> Solved:
        """Coefficients of each basis for what was gathered by each; ``square`` (k,) are the columns' squared lengths."""
        first = gathered[self.first]
        if not self.others:
            return Solved([first], 1, True)
        b = np.concatenate([gathered[i] for i in self.others]) - self._back @ first
        if self._inverse is not None:
            rest, steps, converged = self._inverse @ b, 1, True
        else:
            rest, steps, converged = self._steps(b, square - np.einsum("ij,ij->j", first, first))
        found: list[Array] = [first] * self._count
        found[self.first] = first - self._cross @ rest
        for i, part in zip(self.others, np.split(rest, self._ends), strict=True):
            found[i] = part
        return Solved(found, steps, converged)

    def _times(self, v: Array) -> Array:
        return np.asarray(self._among @ v - self._back @ (self._cross @ v))

    def _steps(self, b: Array, square: Array) -> tuple[Array, int, bool]:
        """Conjugate gradients, all columns at once.

        A step lowers a column's squared length by ``alpha r'z``, and the squared error is the sum of the decreases to
        come: that of the last few steps is its estimate (Strakos and Tichy, 2002), for which no bound on ``S`` is
        needed.
        """
        x, r = np.zeros_like(b), b.copy()
        z = r * self._precondition[:, None]
        p, rz = z.copy(), np.einsum("ij,ij->j", r, z)
        floor = np.finfo(np.float64).eps ** 2 * np.maximum(square, 0.0)
        recent: list[Array] = []
        for step in range(1, MOST_STEPS + 1):
            q = self._times(p)
            pq = np.einsum("ij,ij->j", p, q)
            going = (pq > 0) & (rz > 0)
            alpha = np.where(going, rz / np.where(going, pq, 1.0), 0.0)
            x += alpha * p
            r -= alpha * q
            recent = [*recent[1 - LOOK_AHEAD :], alpha * rz]
            square = square - alpha * rz
            if len(recent) == LOOK_AHEAD and (sum(recent) <= np.maximum(TOLERANCE**2 * square, floor)).all():
                return x, step, True
            if not going.any():
                return x, step, True
            z = r * self._precondition[:, None]
            new = np.einsum("ij,ij->j", r, z)
            p = z + np.where(rz > 0, new / np.where(rz > 0, rz, 1.0), 0.0) * p
            rz = new
        return x, MOST_STEPS, False
