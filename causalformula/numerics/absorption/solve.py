"""The normal equations of several absorbed factors: the largest eliminated, the others solved for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from causalformula.numerics.absorption.conjugate import MOST_STEPS, Product, conjugate_gradients
from causalformula.numerics.absorption.effect import Basis, Matrix, stacked
from causalformula.numerics.absorption.factored import factored
from causalformula.numerics.arrays import Array

# So many coefficients are solved for at once; more of them step by step.
DIRECT = 400
# Eigenvalues below this share of a unit vector's square, for each of them, are rounding.
NOTHING = 1e-13
# What is left is multiplied out where that takes at most this many times the work of a step without.
EXPLICIT = 30

# Diagonal elements of what is left below this are rounding.
MISSING = 1e-12
# Steps after which what is left is factorised, where its rows have at most so many numbers.
PATIENCE = 100
NEIGHBOURS = 40


@dataclass(frozen=True, eq=False)
class Solved:
    """Coefficients of each basis, the steps that they took, and whether each column's are there."""

    coefficients: list[Array]
    iterations: int
    converged: bool


class Equations:
    """``G c = g`` for the coefficients of all bases together, ``G`` their inner products.

    With bases at unit length and the largest eliminated, ``S = G_oo - C'C`` is left for the others, ``C`` the inner
    products of the largest with them. It is singular wherever the factors overlap, and the equations are consistent.

    Attributes
    ----------
    rank : int or None
        Dimensions that the bases span together; None where that was not needed.
    """

    def __init__(self, bases: Sequence[Basis]) -> None:
        self._first = int(np.argmax([basis.size for basis in bases]))
        self._others = [i for i in range(len(bases)) if i != self._first]
        self._ends = np.cumsum([bases[i].size for i in self._others])[:-1]
        self.rank: int | None = int((bases[self._first].scale > 0).sum())
        if not self._others:
            return
        others = [bases[i] for i in self._others]
        self._cross = stacked([[bases[self._first].cross(other) for other in others]])
        self._among = stacked(_inner(others))
        self._back = self._cross.T if isinstance(self._cross, np.ndarray) else self._cross.T.tocsr()
        self._inverse: Array | None = None
        if self._back.shape[0] <= DIRECT:
            plain = len(bases) == 2 and all(basis.plain for basis in bases)
            self._inverse, more = _inverted(_dense(self._among) - _dense(self._back @ self._cross), plain)
            self.rank += more
            return
        self.rank = None
        self._left = self._complement()
        diagonal = self._among.diagonal() - _row_squares(self._back)
        self._inverse_diagonal = np.where(diagonal > MISSING, 1 / np.maximum(diagonal, MISSING), 0.0)[:, None]
        self._factor: Product | None = None
        starts = [0, *map(int, self._ends)]
        self._plain = all(basis.plain for basis in bases)
        self._intercepts = [slice(at, at + basis.levels) for at, basis in zip(starts, others, strict=True)]

    def _complement(self) -> Matrix | None:
        """``S`` itself, where it has fewer numbers than what it is the product of, as where few rows move."""
        if isinstance(self._cross, np.ndarray):
            return sparse.csr_matrix(_dense(self._among) - self._back @ self._cross)
        ends = [0, *self._ends, self._cross.shape[1]]
        blocks = list(pairwise(ends))
        # of each row of the largest factor, in how many levels of each of the others it is met
        met = [np.diff(self._cross[:, slice(*block)].indptr).astype(np.float64) for block in blocks]
        work = float(sum(met) @ sum(met))
        filled = sum(
            min((i[1] - i[0]) * (j[1] - j[0]), float(a @ b))
            for i, a in zip(blocks, met, strict=True)
            for j, b in zip(blocks, met, strict=True)
        )
        if work > EXPLICIT * self._cross.nnz or filled > 2 * self._cross.nnz:
            return None
        return (sparse.csr_matrix(self._among) - self._back @ self._cross).tocsr()

    def solve(self, gathered: Sequence[Array], square: Array) -> Solved:
        """Coefficients of each basis for what it gathered of columns whose squared lengths are ``square`` (k,)."""
        first = gathered[self._first]
        if not self._others:
            return Solved([first], 1, True)
        b = np.concatenate([gathered[i] for i in self._others]) - self._back @ first
        if self._inverse is not None:
            rest, steps, converged = self._inverse @ b, 1, True
        else:
            left = square - np.einsum("ij,ij->j", first, first)
            rest, steps, converged = self._stepped(b, left, square)
        found: list[Array] = [first] * len(gathered)
        found[self._first] = first - self._cross @ rest
        for i, part in zip(self._others, np.split(rest, self._ends), strict=True):
            found[i] = part
        return Solved(found, steps, converged)

    def _stepped(self, b: Array, left: Array, whole: Array) -> tuple[Array, int, bool]:
        """Step by step, with the diagonal as long as that gets far.

        Many small eigenvalues, which make for many steps, are those of long chains of levels: their factorisation is
        nearly as sparse as they are. With slopes it is not known in which dimensions ``S`` is singular.
        """
        chains = self._plain and self._left is not None and self._left.nnz <= NEIGHBOURS * len(b)
        steps = 0
        if self._factor is None:
            first = PATIENCE if chains else MOST_STEPS
            rest, steps, converged = conjugate_gradients(self._times, self._by_diagonal, b, left, whole, first)
            if converged or not chains:
                return rest, steps, converged
            self._factor = factored(self._left, self._intercepts)
        rest, more, converged = conjugate_gradients(self._times, self._factor, b, left, whole)
        return rest, steps + more, converged

    def _by_diagonal(self, r: Array) -> Array:
        return r * self._inverse_diagonal

    def _times(self, v: Array) -> Array:
        if self._left is not None:
            return np.asarray(self._left @ v)
        return np.asarray(self._among @ v - self._back @ (self._cross @ v))


def _inner(bases: list[Basis]) -> list[list[Matrix]]:
    """Inner products of bases, block by block."""
    blocks: list[list[Matrix]] = []
    for i, basis in enumerate(bases):
        own = sparse.diags((basis.scale.ravel() > 0).astype(np.float64))
        blocks.append([blocks[j][i].T for j in range(i)] + [own] + [basis.cross(other) for other in bases[i + 1 :]])
    return blocks


def _dense(matrix: Matrix) -> Array:
    return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray())


def _row_squares(matrix: Matrix) -> Array:
    if isinstance(matrix, np.ndarray):
        return np.asarray(np.einsum("ij,ij->i", matrix, matrix))
    return np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64).ravel()


def _inverted(S: Array, plain: bool) -> tuple[Array, int]:
    """Generalised inverse of what is left, and its rank.

    Of two factors' intercepts the rank is known, however weak the links are: a dimension is lost for each connected
    component.
    """
    values, vectors = np.linalg.eigh((S + S.T) / 2)
    if plain:
        # an empty level is a component of its own
        lost = connected_components(sparse.csr_matrix(S), directed=False)[0]
        kept = (np.arange(len(values)) >= lost) & (values > 0)
    else:
        kept = values > NOTHING * len(S)
    return np.asarray((vectors[:, kept] / values[kept]) @ vectors[:, kept].T), int(kept.sum())
