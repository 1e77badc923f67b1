"""Balancing weights by passes: the columns to balance, and the convex duals that they solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from causalformula.backends.weighting.moments import Powers
from causalformula.errors import ConvergenceError
from causalformula.frame.parts import PROPENSITY
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.balancing import (
    REQUIRED,
    Conditions,
    Dual,
    Tilt,
    divisors,
    newton,
    unscaled,
    worst_gap,
)
from causalformula.numerics.reachable import REMEDY
from causalformula.scale.blocks.regression import Columns, Rows
from causalformula.scale.equations import Model, independent, moves_of
from causalformula.scale.passes import Passes
from causalformula.scale.sums import Spread, Sums
from causalformula.scale.whole import WholeFrame

# Values of a covariate that are looked for: more than two have powers.
DISTINCT = 3


@dataclass(frozen=True, eq=False)
class Balancing:
    """The columns to balance on a chunk, as ``balancing_columns`` makes them of all rows.

    Parameters
    ----------
    columns : Columns
        How the design's columns are moved.
    powers : Powers, optional
    """

    columns: Columns
    powers: Powers | None = None

    def of(self, frame: Any) -> tuple[Array, tuple[str, ...]]:
        """Columns and names."""
        found: tuple[Array, tuple[str, ...]] = frame.remembered(("balancing", self), lambda: self._made(frame))
        return found

    def _made(self, frame: Any) -> tuple[Array, tuple[str, ...]]:
        design = frame.design(PROPENSITY)
        near = self.columns.apply(design.X)
        return (near, design.names) if self.powers is None else self.powers.columns(near, design.X[:, 1:], design.names)


@dataclass(frozen=True)
class _Design:
    """Reads the columns of the treatment model, all rows alike."""

    def __call__(self, frame: Any) -> Rows:
        return Rows(frame.design(PROPENSITY).X, np.zeros(frame.n))


@dataclass(frozen=True)
class _Values:
    """Means, a few distinct values and products of the covariates."""

    def __call__(self, frame: Any) -> _Found:
        X = frame.design(PROPENSITY).X[:, 1:]
        values = tuple(np.unique(x)[:DISTINCT] for x in X.T)
        met = np.array([bool((X[:, i] * X[:, j]).any()) for i, j in combinations(range(X.shape[1]), 2)], dtype=bool)
        return _Found(Spread.of(X, np.ones(len(X))), values, met)


@dataclass(frozen=True, eq=False)
class _Found:
    spread: Spread
    values: tuple[Array, ...]
    met: Any

    def __add__(self, other: _Found) -> _Found:
        both = zip(self.values, other.values, strict=True)
        values = tuple(np.union1d(a, b)[:DISTINCT] for a, b in both)
        return _Found(self.spread + other.spread, values, self.met | other.met)


def balancing_columns(frame: WholeFrame, moments: int, interactions: bool) -> Balancing:
    """See ``backends.weighting.moments.balancing_columns``."""
    like, passes = frame.passes.plan.prototype, frame.passes
    sample = _Design()(like)
    design = frame.design(PROPENSITY)
    anchors = np.zeros(sample.X.shape[1], dtype=np.intp)
    model = Model(design.names, _Design(), True, False, False, anchors, sample.X, 0.0)
    columns = moves_of(passes, model, multiply=False)
    if moments == 1 and not interactions:
        return Balancing(columns)
    found: _Found = passes.total(_Values())
    many = tuple(j for j, values in enumerate(found.values) if len(values) > 2)
    pairs = combinations(range(sample.X.shape[1] - 1), 2) if interactions else ()
    met = tuple(pair for pair, there in zip(pairs, found.met, strict=False) if there)
    return Balancing(columns, Powers(found.spread.mean, moments, many, met))


# -- duals -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pieces:
    """What a row has in the conditions: multipliers of ``e^eta`` and ``e^-eta``, what stands beside, and the target."""

    up: Array
    down: Array
    constant: Array
    target: Array


@dataclass(frozen=True, eq=False)
class Problem:
    """Balancing conditions on chunks.

    Parameters
    ----------
    balancing : Balancing
    pieces : callable
        ``pieces(frame) -> Pieces``; it pickles.
    where : str
        Whose weights they are, for a message.
    remedy : str
        What a message of weights that do not exist proposes first.
    """

    balancing: Balancing
    pieces: Callable[[Any], Pieces]
    where: str = ""
    remedy: str = ""


@dataclass(frozen=True, eq=False)
class _Start:
    """Moments of the columns over all rows and over those that take part, and the constants of the conditions."""

    problem: Problem

    def __call__(self, frame: Any) -> Sums:
        Z, _ = self.problem.balancing.of(frame)
        found, s = self.problem.pieces(frame), frame.unit_weights
        active = (s > 0) & ((found.up != 0) | (found.down != 0))
        added = {
            "all": Spread.of(Z, s),
            "active": Spread.of(Z, np.where(active, s, 0.0)),
            "b": Z.T @ (s * found.constant),
            "size": float(s @ found.target),
        }
        return Sums(added)


@dataclass(frozen=True, eq=False)
class Summed:
    """A point of the dual; see ``numerics.balancing.Point``."""

    value: float
    gradient: Array
    hessian: Array

    def __add__(self, other: Summed) -> Summed:
        return Summed(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)


@dataclass(frozen=True, eq=False)
class _At:
    """The dual's value and derivatives at a point."""

    problem: Problem
    kept: Codes
    centre: Array
    spread: Array
    coef: Array

    def __call__(self, frame: Any) -> Summed:
        Z, names = self.problem.balancing.of(frame)
        found = self.problem.pieces(frame)
        none = np.zeros(len(self.kept))
        conditions = Conditions(Z[:, self.kept], frame.unit_weights, found.up, found.down, none, 0.0, names)
        point = Dual.of(conditions, self.centre, self.spread).at(self.coef)
        return Summed(point.value, point.gradient, point.hessian)


def kept_columns(passes: Passes, balancing: Balancing) -> Codes:
    """Columns that are no combination of those before them."""
    read = _Balanced(balancing)
    sample, names = balancing.of(passes.plan.prototype)
    model = Model(names, read, True, False, False, None, sample, 0.0)
    return independent(passes, model)


@dataclass(frozen=True, eq=False)
class _Balanced:
    balancing: Balancing

    def __call__(self, frame: Any) -> Rows:
        return Rows(self.balancing.of(frame)[0], np.zeros(frame.n), frame.weights)


def balance(passes: Passes, problem: Problem, kept: Codes) -> Tilt:
    """Solve the conditions; see ``numerics.balancing.balance``. The solution has no linear predictor of rows.

    Raises
    ------
    ConvergenceError
        If no weights satisfy the conditions, or the steps stopped short of them.
    """
    start: Sums = passes.total(_Start(problem))
    centre = start["all"].mean.copy()
    centre[0] = 0.0
    active: Spread = start["active"]
    about = (active.square + active.weight * (active.mean - centre) ** 2) / active.weight
    centre, b, size = centre[kept], start["b"][kept], start["size"]
    spread = divisors(np.sqrt(about[kept]), centre)

    def at(coef: Array) -> Summed:
        return passes.total(_At(problem, kept, centre, spread, coef))

    coef, gradient, steps = newton(at, (b - centre * b[0]) / spread, size)
    worst = worst_gap(gradient, size)
    if worst > REQUIRED:
        names = problem.balancing.of(passes.plan.prototype)[1]
        raise ConvergenceError(unbalanced([names[j] for j in kept], gradient / size, problem))
    return Tilt(unscaled(coef, centre, spread), kept, np.empty(0), worst, steps)


def unbalanced(names: list[str], gaps: Array, problem: Problem) -> str:
    """What is said where the steps stopped short of balance."""
    size = np.abs(np.nan_to_num(gaps, nan=np.inf))
    # the intercept's is of how much weight there is
    order = [int(j) for j in np.argsort(-size, kind="stable") if size[j] > REQUIRED and j][:3] or [0]
    told = ", ".join(
        f"{names[j]} ({size[j]:.2g} standard deviations)" if np.isfinite(size[j]) else names[j] for j in order
    )
    remedy = problem.remedy + REMEDY
    return f"no weights were found that balance these covariates; furthest off: {told}{problem.where}. Try: {remedy}"
