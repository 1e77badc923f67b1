"""How near to balance any weights come: what is said where none were found.

The least over weights ``w >= 0`` of the largest standardised imbalance is a linear programme. Its value tells weights
that do not exist from steps that did not converge, and its shadow prices name the covariates that stand in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalformula.numerics.arrays import Array, Codes

# A programme over this many numbers takes a few seconds.
MOST_NUMBERS = 2_000_000
SECONDS = 20.0
# Below this (in standard deviations) the programme's solution counts as balance.
BALANCED = 1e-6
REMEDY = "drop or coarsen these terms, restrict the sample, or use method='ipw', which does not insist on exact balance"


@dataclass(frozen=True, eq=False)
class Side:
    """Rows whose weights move.

    Attributes
    ----------
    Z : ndarray, shape (m, p)
        Their columns.
    weights : ndarray, shape (m,)
        Where the steps stopped.
    floor : ndarray, shape (m,), optional
        Least shares of the side's weight that the weights' form allows; None where it is zero.
    """

    Z: Array
    weights: Array
    floor: Array | None = None

    @property
    def mean(self) -> Array:
        """Weighted means."""
        scaled = self.weights / self.weights.max()
        return np.asarray(scaled @ self.Z / scaled.sum())


@dataclass(frozen=True, eq=False)
class Report:
    """What a message about weights needs to know beside the equations.

    Attributes
    ----------
    groups : ndarray, shape (n, G), optional
        Indicators of the arms whose pooled standard deviations are the unit; all rows where there are none.
    floor : float
        What the weights' form adds to a positive number: 1 for inverse probabilities.
    remedy : str
    where : str
        Whose weights they are.
    """

    groups: Array | None = None
    floor: float = 0.0
    remedy: str = REMEDY
    where: str = ""


@dataclass(frozen=True, eq=False)
class Shortfall:
    """The message of weights that were not found; computed when it is read, since resampling throws most away.

    Attributes
    ----------
    sides : sequence of Side
        One, which is to have the target's means, or several, which are to have the same.
    target : ndarray, shape (p,), optional
        Means to reach.
    spread : ndarray, shape (p,)
        Standard deviations.
    names : sequence of str
    remedy : str
    bound : ndarray, shape (p,), optional
        Imbalances that are allowed; None for exact balance.
    where : str
        Whose weights they are.
    """

    sides: Sequence[Side]
    target: Array | None
    spread: Array
    names: Sequence[str]
    remedy: str = REMEDY
    bound: Array | None = None
    where: str = ""

    def __str__(self) -> str:
        return self.text

    @cached_property
    def text(self) -> str:
        """What failed, where, and what to do."""
        what = "these covariates" + ("" if self.bound is None else " within tols")
        free = self._nearest([np.zeros(len(side.Z)) for side in self.sides])
        if free is None:
            return f"no weights were found that balance {what}; {self._reached()}. Try: {self.remedy}"
        if free.worst > BALANCED:
            ends = f"The groups may not overlap there: {self.remedy}"
            return f"no weights balance {what}; {self._told(free)}. {ends}"
        formed = self._formed()
        if formed is not None and formed.worst > BALANCED:
            return (
                f"no weights of the form 1/p, which are at least 1, balance {what}; {self._told(formed)}. "
                f"Smaller weights do: use method='ebal'; or {self.remedy}"
            )
        return (
            f"the weights did not converge, though some that balance {what} exist; {self._reached()} where the steps "
            f"stopped. Rescale skewed terms, {'' if self.bound is None else 'change tols a little, '}or {self.remedy}"
        )

    def _formed(self) -> Nearest | None:
        """As near as weights of the method's form come, where the form says more than that they are not negative."""
        floors = [side.floor for side in self.sides]
        return self._nearest([f for f in floors if f is not None]) if all(f is not None for f in floors) else None

    def _nearest(self, floors: Sequence[Array]) -> Nearest | None:
        if sum(side.Z.size for side in self.sides) > MOST_NUMBERS or any(f.sum() > 1 for f in floors):
            return None
        allowed = np.zeros(len(self.spread)) if self.bound is None else self.bound / self.spread
        return nearest(
            [side.Z / self.spread for side in self.sides],
            None if self.target is None else self.target / self.spread,
            floors,
            allowed,
        )

    def _told(self, found: Nearest) -> str:
        """The columns that stand in the way, and by how much."""
        more = "" if self.bound is None else "more than allowed, "
        told = ", ".join(self.names[j] for j in found.columns[:3])
        each = "each, " if len(found.columns) > 1 else ""
        return f"furthest off: {told} ({found.worst:.2g} standard deviations {each}{more}at best){self.where}"

    def _reached(self) -> str:
        """The imbalance of the normalised weighted means where the steps stopped."""
        means = np.array([side.mean for side in self.sides])
        gap = np.ptp(means, axis=0) if self.target is None else np.abs(means - self.target).max(axis=0)
        gap = np.maximum(gap - (0 if self.bound is None else self.bound), 0.0) / self.spread
        order = np.argsort(-gap[1:])[:3] + 1
        told = ", ".join(f"{self.names[j]} ({gap[j]:.2g} standard deviations)" for j in order if gap[j] > 0)
        return f"furthest off: {told or self.names[0]}{self.where}"


@dataclass(frozen=True, eq=False)
class Nearest:
    """Least largest imbalance over all weights, and the columns that cannot come nearer, the most binding first."""

    worst: float
    columns: Codes


def nearest(sides: Sequence[Array], target: Array | None, floors: Sequence[Array], allowed: Array) -> Nearest | None:
    """Minimise t such that the sides' weighted means are ``t + allowed`` from the target, or from the first side's.

    Parameters
    ----------
    sides : sequence of ndarray (m_g, p)
        Columns in units of their standard deviations; the first, the intercept, is left out.
    target : ndarray (p,), optional
    floors : sequence of ndarray (m_g,)
        Least shares.
    allowed : ndarray (p,)

    Returns
    -------
    Nearest or None
        None where the solver gave up.
    """
    from scipy.optimize import linprog

    centre = np.concatenate(sides).mean(axis=0) if target is None else target
    blocks = [np.asarray((Z - centre).T[1:]) / len(Z) for Z in sides]
    ends = np.cumsum([0, *(len(Z) for Z in sides)])
    rows = []
    for g in range(0 if target is not None else 1, len(sides)):
        row = np.zeros((len(blocks[g]), ends[-1]))
        row[:, ends[g] : ends[g + 1]] = blocks[g]
        if target is None:
            row[:, : ends[1]] -= blocks[0]
        rows.append(row)
    gaps = np.vstack(rows)
    limit = np.tile(allowed[1:], len(rows))
    once = np.zeros((len(sides), ends[-1] + 1))
    for g, Z in enumerate(sides):
        once[g, ends[g] : ends[g + 1]] = 1 / len(Z)
    cost = np.append(np.zeros(ends[-1]), 1.0)
    # a share is a variable over the side's size: the variables are one on average
    low = np.append(np.concatenate([f * len(f) for f in floors]), 0.0)
    both = np.hstack([np.vstack([gaps, -gaps]), -np.ones((2 * len(gaps), 1))])
    found = linprog(
        cost,
        A_ub=both,
        b_ub=np.tile(limit, 2),
        A_eq=once,
        b_eq=np.ones(len(sides)),
        bounds=[(least, None) for least in low.tolist()],
        method="highs",
        options={"time_limit": SECONDS},
    )
    if found.status != 0 or found.fun is None:
        return None
    prices = np.abs(found.ineqlin.marginals).reshape(2, len(rows), -1).sum(axis=(0, 1))
    order = np.argsort(-prices, kind="stable")
    return Nearest(float(found.fun), order[prices[order] > 1e-9] + 1)


def spreads(Z: Array, s: Array, groups: Array | None) -> Array:
    """Pooled standard deviations within groups; those of all rows where they vanish, and one where these do too."""
    whole = _variance(Z, s)
    inside = whole if groups is None else np.mean([_variance(Z, s * g) for g in groups.T], axis=0)
    out = np.sqrt(np.where(inside > 1e-20 * whole, inside, whole))
    return np.where(out > 0, out, 1.0)


def _variance(Z: Array, s: Array) -> Array:
    centred = Z - s @ Z / s.sum()
    return np.asarray(s @ centred**2 / s.sum())
