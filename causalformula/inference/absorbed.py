"""``Absorbed``: the fixed effects beside a regression's columns, as far as inference needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.numerics.absorption.absorber import Absorber, Taken
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.absorption.leverage import CELLS, dummy_basis, own_leverage
from causalformula.numerics.arrays import Array, Bools, Codes


@dataclass(frozen=True, eq=False)
class Absorbed:
    """Effects of factors that a regression holds without their dummies.

    Parameters
    ----------
    names : tuple of str
        Of the factors.
    effects : tuple of Effect
    weights : ndarray (n,)
        Of the regression; rows of weight zero take no part.
    X : ndarray (n, p)
        All columns of the regression less the effects.
    squares : float
        Weighted squares of the outcome less the effects: what the columns may explain.
    counted : tuple of int
        Coefficients of each factor, as ``Absorber`` counts them.
    taken : Taken, optional
        The effects of the columns, where these were kept without them alone.
    """

    names: tuple[str, ...]
    effects: tuple[Effect, ...]
    weights: Array
    X: Array
    squares: float
    counted: tuple[int, ...]
    taken: Taken | None = None

    @cached_property
    def used(self) -> Bools:
        """Rows that take part."""
        return np.asarray(self.weights > 0)

    @cached_property
    def absorber(self) -> Absorber:
        """What takes the effects out of columns."""
        return absorber(self.effects, self.weights)

    def restored(self) -> Array:
        """The columns of the regression with the effects."""
        assert self.taken is not None
        return self.absorber.restored(self.X, self.taken)

    def coefficients(self, among: Sequence[bool] | None = None) -> int:
        """How many coefficients the effects have, as fixest counts them; of some factors only where told.

        The one that all factors with intercepts have in common counts in any case.
        """
        first = next((j for j, effect in enumerate(self.effects) if effect.intercept), None)
        own = [k - (j == first) for j, k in enumerate(self.counted)]
        return int(first is not None) + sum(k for j, k in enumerate(own) if among is None or among[j])

    def nested(self, groupings: Sequence[Codes]) -> tuple[bool, ...]:
        """Whether each factor is nested in one of several groupings: all rows of a level are in one group."""
        return tuple(any(self._within(effect.codes, codes) for codes in groupings) for effect in self.effects)

    def size_beside(self, groupings: Sequence[Codes]) -> int:
        """How many columns the effects of the factors have that are not nested in one of several groupings."""
        nested = self.nested(groupings)
        return sum(each.width * each.levels for each, inside in zip(self.effects, nested, strict=True) if not inside)

    def _within(self, codes: Array | Codes, groups: Codes) -> bool:
        own, outer = np.asarray(codes), groups
        if not self.used.all():
            own, outer = own[self.used], outer[self.used]
        last = np.zeros(int(own.max()) + 1, dtype=np.intp)
        last[own] = outer
        return bool((last[own] == outer).all())

    @cached_property
    def _largest(self) -> tuple[bool, ...]:
        """Which factor has the most coefficients."""
        sizes = [effect.width * effect.levels for effect in self.effects]
        return tuple(j == int(np.argmax(sizes)) for j in range(len(sizes)))

    @property
    def exact(self) -> bool:
        """Whether leverages can be had: all factors but the largest are small beside the memory."""
        return self._cells(self._largest) <= CELLS

    def _cells(self, but: Sequence[bool]) -> int:
        others = (effect for effect, out in zip(self.effects, but, strict=True) if not out)
        return len(self.weights) * sum(effect.width * effect.levels for effect in others)

    def basis(self, but: Sequence[bool]) -> Array:
        """Orthonormal columns (n, r), in the inner product of the weights, of the effects of all factors but some.

        They are less the effects of these.

        Raises
        ------
        CapabilityError
            Where there are so many levels that they cannot be had.
        """
        if self._cells(but) > CELLS:
            wide = " and ".join(name for name, out in zip(self.names, but, strict=True) if not out)
            raise CapabilityError(
                f"this would take a column for each level of {wide}, which are too many; use 'HC1', a cluster formula "
                "or a bootstrap, which need none"
            )
        others = [effect for effect, out in zip(self.effects, but, strict=True) if not out]
        held = [effect for effect, out in zip(self.effects, but, strict=True) if out]
        return dummy_basis(others, absorber(held, self.weights) if held else None, self.weights)

    def leverage_of(self, rows: Codes) -> Array:
        """What the effects add to the leverages of a few rows: how much of a column that is one there they make up."""
        if len(self.effects) == 1:
            return np.asarray(self.leverage[rows])
        out = np.zeros(len(rows))
        step = max(1, CELLS // len(self.weights))
        for at in range(0, len(rows), step):
            block = rows[at : at + step]
            unit = np.zeros((len(self.weights), len(block)))
            unit[block, np.arange(len(block))] = 1.0
            out[at : at + step] = 1 - self.absorber.demean(unit).values[block, np.arange(len(block))]
        return out

    @cached_property
    def leverage(self) -> Array:
        """What the effects add to the leverage of each row (n,).

        Raises
        ------
        CapabilityError
            Where several factors have so many levels that it cannot be had.
        """
        largest = self.effects[self._largest.index(True)]
        rest = self.basis(self._largest)
        added = self.weights * np.einsum("ij,ij->i", rest, rest)
        return np.asarray(own_leverage(largest, self.weights) + added)


def absorber(effects: Sequence[Effect], weights: Array) -> Absorber:
    """What takes effects out of columns; equal weights are none."""
    same = bool((weights == weights[0]).all()) and weights[0] > 0
    return Absorber(effects, None if same else weights)
