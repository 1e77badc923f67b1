"""Fitted regressions as stages: one linear or generalised linear model, with everything that inference reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from causalformula.inference.absorbed import Absorbed
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.stage import Beyond, Hat, Stage
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.centring import Centred, Plan, origin_of
from causalformula.numerics.families import Family
from causalformula.numerics.irls import information
from causalformula.numerics.linalg import gram, inverse_of


@dataclass(frozen=True, eq=False)
class Solved:
    """The columns of a regression as they were solved, where some were counted from their means.

    Parameters
    ----------
    moved : ndarray (p, p)
        ``X_solved = X_given (I - moved)``.
    coef : ndarray (p,)
        Coefficients of the columns as they were solved; NaN where aliased.
    lengths : ndarray (p,)
        Norms of these columns over the rows that take part.
    plan : Plan
        How they are made.
    """

    moved: Array
    coef: Array
    lengths: Array
    plan: Plan


def moves(Z: Centred, coef: Array, w: Array, within: Array | None = None) -> Solved | None:
    """How columns were solved, where some were counted from their means; ``within`` is what effects leave of them."""
    if Z.moved is None or Z.plan is None:
        return None
    return Solved(Z.moved, coef, np.sqrt(w @ (Z.X if within is None else within) ** 2), Z.plan)


def kept_moves(Z: Centred, kept: Codes) -> Array | None:
    """The moves of the estimable columns, where some were counted from their means."""
    return None if Z.moved is None else Z.moved[np.ix_(kept, kept)]


@dataclass(frozen=True, eq=False)
class FittedRegression:
    """A fitted linear or generalised linear model.

    Parameters
    ----------
    names : tuple of str
        All columns of the design, aliased ones included.
    coef : ndarray (p,)
        NaN where aliased, as R's NA.
    kept : ndarray (r,) of int
        Estimable columns, in order.
    alias : ndarray (r, p - r)
        Each aliased column as a combination of the kept ones, as they were solved.
    given : ndarray (n, p), optional
        The columns as they were given; None where what ``absorbed`` has of them was made in their place.
    y, weights, offset : ndarray
        What was fitted; ``weights`` are prior weights.
    family : Family
    mu, eta : ndarray (n,)
        Fitted values and linear predictor.
    hat : Hat
        Over the estimable columns, as they were solved.
    deviance, null_deviance, aic : float
    df_null : float
    iterations : int
        Fisher scoring iterations; 0 for least squares.
    converged, boundary : bool
    weighted, linear, intercept : bool
        What the caller gave.
    notes : tuple of str
        R's warnings, and ``lost``.
    lost : tuple of str
        What is said of columns that only R's tolerance leaves out.
    solved : Solved, optional
        The columns as they were solved, where some were counted from their means.
    absorbed : Absorbed, optional
        Fixed effects beside the columns.
    instrumented : Instrumented, optional
        Its instruments, of which ``inference.instrumented`` makes projections.
    beyond : Beyond, optional
        What the exact influence then has beside the scores.
    earlier : tuple of Stage
        Stages that were estimated before it (of its weights).
    cross : mapping of str to ndarray (r, p_earlier)
        Derivatives of its scores in their parameters.
    """

    names: tuple[str, ...]
    coef: Array
    kept: Codes
    alias: Array
    given: Array | None
    y: Array
    weights: Array
    offset: Array | None
    family: Family
    mu: Array
    eta: Array
    hat: Hat
    deviance: float
    null_deviance: float
    aic: float
    df_null: float
    iterations: int
    converged: bool
    boundary: bool
    weighted: bool
    intercept: bool
    linear: bool
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    solved: Solved | None = None
    absorbed: Absorbed | None = None
    instrumented: Any = None
    beyond: Beyond | None = None
    earlier: tuple[Stage, ...] = ()
    cross: Mapping[str, Array] = field(default_factory=dict)

    @cached_property
    def X(self) -> Array:
        """All columns as they were given (n, p)."""
        if self.given is not None:
            return self.given
        assert self.absorbed is not None
        return self.absorbed.restored()

    @property
    def rank(self) -> int:
        """Number of estimable coefficients."""
        return len(self.kept)

    @property
    def effects_part(self) -> Array:
        """What absorbed effects make up of the linear predictor (n,)."""
        part = self.eta - self.design @ self.theta
        return part if self.offset is None else part - self.offset

    @property
    def parameters(self) -> int:
        """Number of coefficients with those of absorbed effects."""
        return self.rank + (0 if self.absorbed is None else self.absorbed.coefficients())

    @property
    def kept_names(self) -> tuple[str, ...]:
        """Names of the estimable coefficients."""
        return tuple(self.names[j] for j in self.kept)

    @property
    def theta(self) -> Array:
        """Estimable coefficients (r,)."""
        return self.coef[self.kept]

    @property
    def design(self) -> Array:
        """The estimable columns as they were given (n, r)."""
        return self.X if self.rank == len(self.names) else self.X[:, self.kept]

    @property
    def inner(self) -> Array:
        """Coefficients of the estimable columns as they were solved (r,): the parameters of ``stage``."""
        return self.theta if self.solved is None else self.solved.coef[self.kept]

    def stage(self, name: str = "outcome") -> Stage:
        """The estimating equations: score ``w e x``, observed information; on the columns as they were solved."""
        same = self.linear or self.family.canonical or self.absorbed is not None
        return Stage(
            name,
            self.kept_names,
            self.inner,
            self.observed,
            cross=self.cross,
            hat=self.hat,
            canonical=same,
            beyond=self.beyond,
        )

    @cached_property
    def origin(self) -> float:
        """Where an outcome far from zero is counted from, so that predictions keep the digits of what varies."""
        return origin_of(self.y) if self.linear else 0.0

    @cached_property
    def explained(self) -> float:
        """Sum of squares of a linear model's fitted values, about their mean where there is an intercept."""
        fitted = self.mu
        if self.intercept:
            centre = np.average(fitted, weights=self.weights) if self.weighted else fitted.mean()
            fitted = fitted - centre
        return float(np.dot(self.weights * fitted, fitted) if self.weighted else np.dot(fitted, fitted))

    @property
    def rows(self) -> int:
        """Rows that it was fitted to, those of weight zero too."""
        return len(self.y)

    @property
    def logs(self) -> float:
        """Sum of the logarithms of the weights."""
        return float(np.log(self.weights[self.weights > 0]).sum()) if self.weighted else 0.0

    @property
    def unequal(self) -> bool:
        """Whether it has weights that are not all equal."""
        return self.weighted and bool(np.ptp(self.weights) > 0)

    @property
    def in_memory(self) -> bool:
        """Whether there are arrays of its rows."""
        return True

    def perfect(self, *share: float) -> bool:
        """Whether a linear fit leaves a residual variance that is rounding, see ``Hat``."""
        return self.linear and self.hat.perfect(self.mu, *share)

    @property
    def counted(self) -> Array:
        """The linear predictor (n,), counted from ``origin``."""
        return self.eta if not self.origin else self.y - self.origin - self.hat.e

    def as_solved(self, X: Array) -> Array:
        """Rows (m, p) of columns as they were given, as those of the columns as they were solved."""
        return X if self.solved is None else self.solved.plan.apply(X)

    def jacobian(self, gradients: Array) -> Array:
        """Derivatives in the stage's parameters, from those (q, p) in the coefficients of all columns as solved."""
        return np.asarray(gradients[..., self.kept])

    def estimate(self) -> Estimate:
        """The estimable coefficients with their influence."""
        stage = self.stage()
        before = sum(s.size for s in self.earlier)
        back = np.eye(stage.size) if self.hat.moved is None else np.eye(stage.size) - self.hat.moved
        jac = np.hstack([np.zeros((stage.size, before)), back])
        return Estimate(stage.names, self.theta, Influence((*self.earlier, stage), jac, len(self.y), rooted=True))

    @cached_property
    def observed(self) -> Array:
        """Observed information (r, r), on the scale of the score ``w e x`` (without the dispersion)."""
        if self.linear or self.family.canonical or self.absorbed is not None:
            # a bread that is nearly singular has no inverse with any digits; k-class columns are not what it is of
            return gram(self.hat.X, self.hat.w) if self._gram_is_better else inverse_of(self.hat.bread)
        return information(self.hat.X, self.family, self.y, self.mu, self.eta, self.weights, kind="observed")

    @property
    def _gram_is_better(self) -> bool:
        return self.hat.ill_conditioned and (self.instrumented is None or self.instrumented.k == 1)

    def estimable(self, combination: Array) -> Bools:
        """Whether each row of ``combination`` (q, p), of the columns as solved, is identified despite aliased ones."""
        return np.asarray(self.determined(combination).all(axis=1))

    def determined(self, combination: Array) -> Bools:
        """Whether each aliased column leaves each row of ``combination`` (q, p) determined, (q, p - r); as solved."""
        dropped = np.setdiff1d(np.arange(len(self.names)), self.kept)
        if not len(dropped):
            return np.ones((len(combination), 0), dtype=bool)
        kept, asked = combination[:, self.kept], combination[:, dropped]
        # what rounding may leave, in the units of each aliased column
        ratio = np.outer(1 / self.lengths[self.kept], self.lengths[dropped])
        scale = np.abs(kept) @ (np.abs(self.alias) + ratio) + np.abs(asked)
        return np.asarray(np.abs(asked - kept @ self.alias) <= 1e-6 * scale)

    @cached_property
    def lengths(self) -> Array:
        """Norms of the columns, as they were solved, over the rows that take part (p,)."""
        if self.solved is not None:
            return self.solved.lengths
        return np.sqrt(self.weights @ (self.X if self.absorbed is None else self.absorbed.X) ** 2)
