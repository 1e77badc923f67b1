"""Columns less the fixed effects that are absorbed, and these effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.errors import DataError
from causalformula.numerics.absorption.effect import Basis, Effect
from causalformula.numerics.absorption.references import components, referenced
from causalformula.numerics.absorption.solve import Equations
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.centring import CONSTANT
from causalformula.numerics.linalg import checked_weights

# Columns are demeaned, so many times at most, until the effects that are left are below this share of their length.
EXACT = 1e-10
TIMES = 5
# Rows of a column at a time: they stay in the processor's cache.
BLOCK = 2**15
# Rows that are looked at for where a column is.
GLANCE = 1024


@dataclass(frozen=True, eq=False)
class Taken:
    """What was taken from columns: where each is (k,), and for each basis the coefficients (size, k)."""

    origin: Array
    coefficients: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Demeaned:
    """Columns without the effects.

    Attributes
    ----------
    values : ndarray, shape (n, k)
        The residuals of each column's weighted least squares on all effects; contiguous by column. Exactly zero, in
        rows of weight, where the effects leave nothing but rounding.
    iterations : int
        Steps that were needed; 1 where they are computed at once.
    converged : bool
        Whether every column is exact to ten digits of its length.
    taken : Taken
        What puts the columns together again.
    """

    values: Array
    iterations: int
    converged: bool
    taken: Taken


class Absorber:
    """Least squares on the levels of several factors, without their dummies.

    Parameters
    ----------
    effects : sequence of Effect
        The factors, in the order of the formula.
    weights : ndarray, shape (n,), optional
        Weights of the rows. A row of weight zero takes no part, and gets the value that it is predicted.
    """

    def __init__(self, effects: Sequence[Effect], weights: Array | None = None) -> None:
        if not effects:
            raise DataError("no effect is absorbed")
        n = len(effects[0].codes)
        if any(len(effect.codes) != n for effect in effects):
            raise DataError("the absorbed factors differ in their numbers of rows")
        self.effects = tuple(effects)
        self.weights = checked_weights(weights, n)
        self._bases = [Basis(effect, self.weights) for effect in self.effects]
        self._equations = Equations(self._bases)

    def __reduce__(self) -> tuple[type[Absorber], tuple[Sequence[Effect], Array | None]]:
        # what is computed from these is made anew: a sparse factorisation cannot be pickled
        return Absorber, (self.effects, self.weights)

    def demean(self, M: Array, *, in_place: bool = False) -> Demeaned:
        """The columns (n, k) less their effects; ``in_place`` takes them from ``M`` itself, which saves a copy."""
        return self._fit(np.asarray(M, dtype=np.float64), in_place)

    def restored(self, values: Array, taken: Taken) -> Array:
        """Columns (n, k) as they were before they were demeaned, to rounding."""
        out = np.array(values, order="F")
        self._subtract(out, [-found for found in taken.coefficients])
        out += taken.origin
        self._put_back(out, -taken.origin)
        return out

    def coefficients(self, part: Array) -> list[Array]:
        """The effects whose sum is ``part``, as fixest's ``fixef`` gives them.

        The first factor has all of its values. Of each connected component of the levels, the later ones have one
        reference each, which is 0: that of the component's first row.

        Parameters
        ----------
        part : ndarray, shape (n,)
            What the effects make up of each row's prediction; what they cannot is left out.

        Returns
        -------
        list of ndarray, shape (levels,) or (levels, width)
            For each effect the intercepts or the one slope, or a column for each: the intercept first. NaN for a
            level without rows of weight; 0 for a slope that is constant in its level.
        """
        fitted = self._fit(np.asarray(part, dtype=np.float64)[:, None])
        found = [basis.read(own[:, 0]) for basis, own in zip(self._bases, fitted.taken.coefficients, strict=True)]
        intercepts = [i for i, effect in enumerate(self.effects) if effect.intercept]
        if intercepts:
            found[intercepts[0]][0] += fitted.taken.origin[0]
        referenced([self.effects[i].codes for i in intercepts], [found[i][0] for i in intercepts], self._rows())
        for values, basis in zip(found, self._bases, strict=True):
            values[:, ~basis.populated] = np.nan
        return [values[0] if len(values) == 1 else values.T for values in found]

    @property
    def counted(self) -> Codes:
        """How many coefficients fixest counts for each effect: one less than its levels after the first intercept."""
        seen, counts = False, []
        for effect, basis in zip(self.effects, self._bases, strict=True):
            levels = int(basis.populated.sum())
            counts.append(effect.width * levels - (seen and effect.intercept and levels > 0))
            seen = seen or effect.intercept
        return np.asarray(counts, dtype=np.intp)

    @property
    def rank(self) -> int | None:
        """How many dimensions the effects span; None where that is not known without much work."""
        if len(self._bases) == 1:
            return int((self._bases[0].scale > 0).sum())
        if len(self._bases) == 2 and all(effect.width == 1 and effect.intercept for effect in self.effects):
            levels = sum(int(basis.populated.sum()) for basis in self._bases)
            return levels - components([effect.codes for effect in self.effects], self._rows())[0]
        return self._equations.rank

    def _rows(self) -> Codes:
        """The rows of weight."""
        return np.arange(len(self.effects[0].codes)) if self.weights is None else np.flatnonzero(self.weights > 0)

    def _fit(self, M: Array, in_place: bool = False) -> Demeaned:
        """Demean, and again while more than rounding is left: of columns far from zero, or of weakly linked levels."""
        values = np.asfortranarray(M) if in_place else np.array(M, order="F")
        known = CONSTANT**2 * self._squares(values)
        origin = self._origin(values)
        values -= origin
        total = [np.zeros((basis.size, values.shape[1])) for basis in self._bases]
        steps = 0
        for time in range(TIMES + 1):
            gathered = [basis.gather(values) for basis in self._bases]
            square = self._squares(values)
            nothing = square <= known
            solved = self._equations.solve(gathered, square)
            converged = solved.converged and bool((_little(gathered, solved.coefficients, square) | nothing).all())
            if time and (converged or time == TIMES):
                break
            steps += solved.iterations
            for own, found in zip(total, solved.coefficients, strict=True):
                own += found
            self._subtract(values, solved.coefficients)
        if nothing.any():
            values[np.ix_(self._rows(), nothing)] = 0.0
        self._put_back(values, origin)
        return Demeaned(values, steps, converged, Taken(origin, tuple(total)))

    def _put_back(self, values: Array, origin: Array) -> None:
        """The origin, where no intercept of a level made up for it: in rows of weight zero in levels of weight zero."""
        first = next((i for i, effect in enumerate(self.effects) if effect.intercept), 0)
        populated = self._bases[first].populated
        if not populated.all():
            values[~populated[self.effects[first].codes]] += origin

    def _subtract(self, values: Array, coefficients: Sequence[Array]) -> None:
        """Take the effects from the columns, in place, a stretch of a column at a time."""
        own = [basis.unscaled(found) for basis, found in zip(self._bases, coefficients, strict=True)]
        buffer = np.empty(min(BLOCK, len(values)))
        for k in range(values.shape[1]):
            column, each = values[:, k], [list(np.ascontiguousarray(part[:, :, k])) for part in own]
            for start in range(0, len(values), BLOCK):
                rows = slice(start, min(start + BLOCK, len(values)))
                for basis, coefs in zip(self._bases, each, strict=True):
                    basis.subtract(column[rows], rows, coefs, buffer)

    def _origin(self, M: Array) -> Array:
        """About where the columns are, which an intercept makes up for: sums of columns far from zero lose digits."""
        if len(M) and any(effect.intercept for effect in self.effects):
            return np.asarray(M[:: max(1, len(M) // GLANCE)].mean(axis=0), dtype=np.float64)
        return np.zeros(M.shape[1])

    def _squares(self, values: Array) -> Array:
        """Squared lengths of the columns."""
        columns = values.T
        return np.asarray([x @ x if self.weights is None else (x * x) @ self.weights for x in columns])


def _little(gathered: Sequence[Array], coefficients: Sequence[Array], square: Array) -> Bools:
    """Which columns (k,) keep next to nothing of the effects: neither of each alone, nor of all together."""
    alone = np.max([np.einsum("ij,ij->j", g, g) for g in gathered], axis=0)
    together = np.sum([np.einsum("ij,ij->j", g, c) for g, c in zip(gathered, coefficients, strict=True)], axis=0)
    return np.asarray(np.maximum(alone, together) <= EXACT**2 * square)
