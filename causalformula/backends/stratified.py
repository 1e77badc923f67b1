"""Differences in means within strata, and their weighted mean: the stratified estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from causalformula.backends.contrasts import Setting, settings
from causalformula.backends.fit import Answer, Query, with_labels
from causalformula.backends.options import Options
from causalformula.backends.outcomes import PotentialMeans
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.estimate import Estimate, stack
from causalformula.inference.evidence import Influence
from causalformula.inference.stage import Hat, Stage
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.linalg import refuse_extreme


@dataclass(frozen=True, eq=False)
class ByStratum(Query):
    """Effects within each stratum."""

    @property
    def split(self) -> str:
        """The strata."""
        return "stratum"

    @property
    def tested(self) -> str:
        """The column that says who is in which."""
        return "subclass"


@dataclass(frozen=True, eq=False)
class Stratified:
    """Means of both arms in every stratum, as one saturated regression.

    ``mu_a = sum_k share_k m_ka`` with ``share_k`` the target's weight in stratum k. HC2 of the saturated regression is
    the Neyman variance ``sum_k share_k^2 (s_k1^2 / n_k1 + s_k0^2 / n_k0)``.

    Parameters
    ----------
    frame : ModelFrame
    options : Options
    codes : ndarray (n,) of int
        Strata, -1 for rows in none.
    target : ndarray (n,)
        Weights of the target population, sampling weights included.
    y : ndarray (n,)
    binomial : bool
        Whether the means are probabilities.
    """

    frame: ModelFrame
    options: Options
    codes: Codes
    target: Array
    y: Array
    binomial: bool

    @property
    def size(self) -> int:
        """Number of strata."""
        return int(self.codes.max()) + 1

    @cached_property
    def _cells(self) -> tuple[Stage, Array]:
        """The regression on dummies of stratum x arm (stratum by stratum, the control arm first), and their means."""
        w = np.where(self.codes >= 0, self.frame.unit_weights, 0.0)
        size = 2 * self.size
        cell = 2 * np.maximum(self.codes, 0) + self.frame.the_treatment.codes
        refuse_extreme(self.y, "the outcome")
        total = np.bincount(cell, w, minlength=size)
        mean = np.bincount(cell, w * self.y, minlength=size) / total
        X, residual = cell_rows(self.codes, self.frame.the_treatment.codes, self.y, mean)
        nobs, left = int((w > 0).sum()), float(w @ residual**2)
        stage = cell_stage(self.frame.the_treatment.levels, total, mean, nobs, left, X, w, residual)
        return stage, mean.reshape(self.size, 2)

    def potential(self) -> PotentialMeans:
        """What the means over the target population answer."""
        hint = "strata() has them by stratum"
        return PotentialMeans(
            self.frame,
            self.options,
            self.over_all,
            binomial=self.binomial,
            no_groups=f"the stratified estimator has no effects by group; {hint}",
        )

    def over_all(self, wanted: Sequence[Setting], target: Array) -> Estimate:
        """Means of some arms over the target population."""
        return _selected(self._over_all(), wanted, target)

    @cached_property
    def overall(self) -> Answer:
        """Effects over the target population."""
        return self.potential().answer(Query())

    def by_stratum(self) -> Answer:
        """Effects within each stratum."""
        parts = []
        for k in range(self.size):
            inside = replace(self.potential(), means=partial(_selected, self._within(k)))
            parts.append(with_labels(inside.answer(Query()), (("subclass", str(k + 1)),)))
        labels = tuple(label for part in parts for label in part.labels)
        return Answer(stack([part.estimate for part in parts]), labels, parts[0].measure)

    def _over_all(self) -> Estimate:
        """Mean potential outcomes in the target population, with the sampling of its strata in ``direct``."""
        inside = np.maximum(self.codes, 0)
        share = np.bincount(inside, self.target, minlength=self.size) / self.target.sum()
        _, mean = self._cells
        theta = share @ mean
        direct = len(inside) * self.target[:, None] * (mean[inside] - theta) / self.target.sum()
        return self._means(share, direct)

    def _within(self, k: int) -> Estimate:
        chosen = np.zeros(self.size)
        chosen[k] = 1.0
        return self._means(chosen, None)

    def _means(self, share: Array, direct: Array | None) -> Estimate:
        stage, _ = self._cells
        jac = np.asarray(np.kron(share, np.eye(2)), dtype=float)
        names = tuple(setting.label for setting in settings(self.frame.the_treatment))
        return Estimate(names, jac @ stage.theta, Influence((stage,), jac, self.frame.n, direct, rooted=True))


def cell_rows(codes: Codes, arm: Codes, y: Array, mean: Array) -> tuple[Array, Array]:
    """Dummies of stratum and arm (n, 2 strata), and what an outcome is off its cell's mean; zero in no stratum."""
    cell, inside = 2 * np.maximum(codes, 0) + arm, codes >= 0
    X = np.zeros((len(codes), len(mean)), order="F")
    X[np.arange(len(codes)), cell] = inside
    return X, np.where(inside, y - mean[cell], 0.0)


def cell_stage(
    arms: Sequence[str], total: Array, mean: Array, nobs: int, left: float, X: Array, w: Array, residual: Array
) -> Stage:
    """The saturated regression, from the weight and mean of each cell, rows of weight and the squares that are left.

    ``X``, ``w`` and ``residual`` are of some or all of the rows.
    """
    df = float(nobs - len(mean))
    hat = Hat(X, w, residual, np.diag(1 / total), left / df if df > 0 else np.nan, df, True, nobs)
    names = tuple(f"subclass{k + 1}:{arm}" for k in range(len(mean) // 2) for arm in arms)
    return Stage("strata", names, mean, np.diag(total), hat=hat)


def _selected(means: Estimate, wanted: Sequence[Setting], target: Array) -> Estimate:
    """Means of some arms."""
    return means.select([int(setting.key) for setting in wanted])
