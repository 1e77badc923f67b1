"""Differences in means within strata, and their weighted mean, by passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.backends.contrasts import settings
from causalformula.backends.options import Options
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.stratified import Stratified, cell_rows, cell_stage
from causalformula.backends.target import target_weights
from causalformula.inference.away import away
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Accumulated, Influence
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.families import Family
from causalformula.scale.sums import Sums
from causalformula.scale.weighting import without_rows
from causalformula.scale.whole import WholeFrame

# The strata of a chunk's rows.
CodesOf = Callable[[Any], Codes]


@dataclass(frozen=True, eq=False)
class _Cells:
    """Weight, weighted outcome and rows of each cell, and the target's weight in each stratum."""

    codes: CodesOf
    options: Options
    family: Family
    size: int
    origin: float

    def __call__(self, frame: Any) -> Sums:
        codes, arm, s = self.codes(frame), frame.the_treatment.codes, frame.unit_weights
        inside = codes >= 0
        cell = (2 * codes + arm)[inside]
        w, y = s[inside], frame.outcome_for(self.family)[inside] - self.origin
        target = target_weights(frame, self.options)[inside]
        return Sums(
            {
                "weight": np.bincount(cell, w, 2 * self.size),
                "outcome": np.bincount(cell, w * y, 2 * self.size),
                "rows": np.bincount(cell, w > 0, 2 * self.size),
                "target": np.bincount(codes[inside], target, self.size),
            }
        )


@dataclass(frozen=True, eq=False)
class Means:
    """Means of both arms over the target population and then in each stratum, on a chunk.

    Parameters
    ----------
    codes : callable
    options : Options
    family : Family
    total, mean : ndarray (2 strata,)
    share : ndarray (strata,)
        The target's.
    target : float
        Weight of the target.
    rows : ndarray (2 strata,)
        Rows with weight.
    left : float
        Sum of squares within cells.
    jac : ndarray
    """

    codes: CodesOf
    options: Options
    family: Family
    total: Array
    mean: Array
    share: Array
    target: float
    rows: Array
    left: float
    jac: Array

    @property
    def nobs(self) -> int:
        """All rows with weight."""
        return int(self.rows.sum())

    def squares(self, frame: Any) -> Sums:
        """What is left within cells."""
        w, _, residual = self._rows(frame)
        return Sums({"left": float(w @ residual**2)})

    def _rows(self, frame: Any) -> tuple[Array, Array, Array]:
        codes, y = self.codes(frame), frame.outcome_for(self.family)
        w = np.where(codes >= 0, frame.unit_weights, 0.0)
        X, residual = cell_rows(codes, frame.the_treatment.codes, y, self.mean)
        return w, X, residual

    def at(self, chunk: Any) -> Influence:
        """See ``inference.evidence.Part``."""
        w, X, residual = self._rows(chunk)
        arms = chunk.the_treatment.levels
        stage = cell_stage(arms, self.total, self.mean, self.nobs, self.left, X, w, residual)
        codes, table = self.codes(chunk), self.mean.reshape(-1, 2)
        target = np.where(codes >= 0, target_weights(chunk, self.options), 0.0)
        direct = np.zeros((chunk.n, len(self.jac)))
        off = table[np.maximum(codes, 0)] - self.share @ table
        direct[:, :2] = chunk.n * target[:, None] * off / self.target
        return Influence((stage,), self.jac, chunk.n, direct, rooted=True)


@dataclass(frozen=True, eq=False)
class WholeStratified(Stratified):
    """See ``backends.stratified.Stratified``.

    Parameters
    ----------
    part : Means
    """

    part: Means | None = None
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """Number of strata."""
        assert self.part is not None
        return len(self.part.share)

    def potential(self) -> PotentialMeans:
        """See ``Stratified``; the population is that of the part."""
        return replace(super().potential(), target=np.empty(0))

    def _all(self) -> Accumulated:
        """The evidence of all means, made once, so that they stack."""
        if "all" not in self._known:
            part, frame = self.part, self.frame
            assert part is not None and isinstance(frame, WholeFrame)
            rows = away(frame.passes.words)
            arms = frame.the_treatment.levels
            stage = cell_stage(arms, part.total, part.mean, part.nobs, part.left, rows, rows, rows)
            shape = Influence((without_rows(stage, rows),), part.jac, frame.passes.plan.survey.kept, rooted=True)
            self._known["all"] = Accumulated(frame.passes, part, shape, np.eye(len(part.jac)), True)
        found: Accumulated = self._known["all"]
        return found

    def _over_all(self) -> Estimate:
        return self._of(0)

    def _within(self, k: int) -> Estimate:
        return self._of(2 * (k + 1))

    def _of(self, first: int) -> Estimate:
        assert self.part is not None
        rows = np.eye(len(self.part.jac))[first : first + 2]
        names = tuple(setting.label for setting in settings(self.frame.the_treatment))
        return Estimate(names, rows @ self.part.jac @ self.part.mean, self._all().map(rows))


def stratified(frame: WholeFrame, options: Options, codes: CodesOf, size: int) -> WholeStratified:
    """Means in so many strata, and over the target population."""
    passes, family = frame.passes, options.outcome_family
    origin = float(passes.plan.prototype.outcome_for(family)[0])  # type: ignore[union-attr]
    sums: Sums = passes.total(_Cells(codes, options, family, size, origin))
    weight, target = sums["weight"], float(sums["target"].sum())
    mean, share = origin + sums["outcome"] / weight, sums["target"] / target
    jac = np.vstack([np.kron(share, np.eye(2)), np.eye(2 * size)])
    part = Means(codes, options, family, weight, mean, share, target, sums["rows"], 0.0, jac)
    part = replace(part, left=passes.total(part.squares)["left"])
    rows, binomial = away(passes.words), family.name in ("binomial", "quasibinomial")
    return WholeStratified(frame, options, rows, rows, rows, binomial, part)  # type: ignore[arg-type]
