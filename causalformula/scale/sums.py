"""Partial answers of chunks that merge in any order: sums, largest values, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causalformula.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Sums:
    """What chunks of rows say together.

    Parameters
    ----------
    added : mapping of str to number or ndarray
        Sums over rows.
    most : mapping of str to number or ndarray
        Largest values.
    seen : frozenset of str
        Messages of any chunk.
    """

    added: dict[str, Any] = field(default_factory=dict)
    most: dict[str, Any] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> Any:
        return self.added[name] if name in self.added else self.most[name]

    def __add__(self, other: Sums) -> Sums:
        added = {name: value + other.added[name] for name, value in self.added.items()}
        most = {name: np.maximum(value, other.most[name]) for name, value in self.most.items()}
        return Sums(added, most, self.seen | other.seen)


def added(a: Any, b: Any) -> Any:
    """The sum of two partial answers."""
    return a + b


@dataclass(frozen=True, eq=False)
class Spread:
    """Weights, means and sums of squares about the means of columns, which merge without loss of digits.

    Chan, Golub and LeVeque (1983).
    """

    weight: Array
    mean: Array
    square: Array

    @classmethod
    def of(cls, X: Array, w: Array) -> Spread:
        """Of the rows of X (n, p) with weights (n,) or (n, p)."""
        weights = np.broadcast_to(w[:, None] if w.ndim == 1 else w, X.shape)
        total = weights.sum(axis=0)
        # counted from one of the values, so that the mean of a constant is that constant
        first = X[(weights > 0).argmax(axis=0), np.arange(X.shape[1])] if len(X) else np.zeros(X.shape[1])
        each = X - first
        shift = np.divide((weights * each).sum(axis=0), total, out=np.zeros(X.shape[1]), where=total > 0)
        return cls(total, first + shift, (weights * (each - shift) ** 2).sum(axis=0))

    @classmethod
    def near(cls, X: Array, w: Array) -> Spread:
        """The same by one reading of X, to the digits that tell which columns are far from zero."""
        total = float(w.sum())
        first = X[int(w.argmax())].copy()
        each = X - first
        sums = w @ each
        shift = sums / total if total > 0 else np.zeros(X.shape[1])
        square = np.maximum(w @ each**2 - sums * shift, 0.0)
        return cls(np.full(X.shape[1], total), first + shift, square)

    def __add__(self, other: Spread) -> Spread:
        total = self.weight + other.weight
        share = np.divide(other.weight, total, out=np.zeros(len(total)), where=total > 0)
        # a column without weight has no mean
        gap = np.where((self.weight > 0) & (other.weight > 0), other.mean - self.mean, 0.0)
        mean = np.where(self.weight > 0, self.mean, other.mean) + gap * share
        return Spread(total, mean, self.square + other.square + gap**2 * self.weight * share)

    @property
    def deviation(self) -> Array:
        """Standard deviations, over the weight."""
        each = np.divide(self.square, self.weight, out=np.zeros(len(self.weight)), where=self.weight > 0)
        return np.asarray(np.sqrt(each))
