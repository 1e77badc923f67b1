"""How alike the arms are, by one pass: moments of the covariates before and after a design."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from causalformula.backends.distance import arm_sizes
from causalformula.backends.options import Options
from causalformula.diagnostics.balance import Sample, default_denominator, sample_moments
from causalformula.diagnostics.covariates import Covariate, covariates
from causalformula.diagnostics.imbalance import Imbalance, beyond_threshold, standardised
from causalformula.diagnostics.moments import Moments
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array
from causalformula.scale.averages import Weigh, weighting_of
from causalformula.scale.whole import WholeFrame


@dataclass(frozen=True, eq=False)
class WholeSample(Sample):
    """What a table knows of a sample whose rows are elsewhere."""

    names: tuple[str, ...] = ()
    rows_of: Array | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        """See ``Sample``."""
        return self.names

    @property
    def sizes(self) -> Array:
        """See ``Sample``."""
        assert self.rows_of is not None
        return self.rows_of


@dataclass(frozen=True, eq=False)
class Balanced:
    """Moments of covariates by arm, before and after a design.

    Parameters
    ----------
    columns : tuple of Covariate
        Without values.
    found : tuple of Moments
        Before and, where there are weights, after.
    rows : ndarray (arms,)
        Rows of each arm with sampling weight.
    ends : ndarray (2, p)
        Minus the least and the largest value of each covariate.
    sizes : ndarray (arms, 4)
        Sums of weights and of their squares, before and after.
    """

    columns: tuple[Covariate, ...]
    found: tuple[Moments, ...]
    rows: Array
    ends: Array
    sizes: Array

    def __add__(self, other: Balanced) -> Balanced:
        found = tuple(a + b for a, b in zip(self.found, other.found, strict=True))
        ends = np.maximum(self.ends, other.ends)
        return Balanced(self.columns, found, self.rows + other.rows, ends, self.sizes + other.sizes)

    @cached_property
    def varying(self) -> Balanced:
        """Without products of covariates that do not vary."""
        kept = [j for j, c in enumerate(self.columns) if " * " not in c.source or -self.ends[0, j] < self.ends[1, j]]
        found = tuple(Moments(m.total, m.squares, m.mean[kept], m.scatter[kept]) for m in self.found)
        columns = tuple(self.columns[j] for j in kept)
        return Balanced(columns, found, self.rows, self.ends[:, kept], self.sizes)

    @property
    def effective(self) -> Array:
        """Effective sample sizes of the arms, before and after (2, arms)."""
        total, square = self.sizes[:, [0, 2]].T, self.sizes[:, [1, 3]].T
        return np.asarray(np.divide(total**2, square, out=np.zeros(total.shape), where=square > 0))


@dataclass(frozen=True, eq=False)
class _Balancing:
    weigh: Weigh | None
    products: bool
    poly: int
    score: str

    def __call__(self, frame: Any) -> Balanced:
        w = None if self.weigh is None else weighting_of(self.weigh, frame)
        columns = covariates(frame, int=self.products, poly=self.poly, like=frame.prototype)
        if self.score and w is not None and w.distance is not None:
            columns = [Covariate(self.score, w.distance, False, self.score, distance=True), *columns]
        treatment, s = frame.the_treatment, frame.unit_weights
        arms = {level: treatment.codes == k for k, level in enumerate(treatment.levels)}
        sample = Sample(arms, None, s, None if w is None else w.weights)
        rows = np.array([(arm & (s > 0)).sum() for arm in arms.values()])
        ends = np.array([[(sign * c.values).max() for c in columns] for sign in (-1.0, 1.0)]).reshape(2, -1)
        made = np.ones(frame.n) if w is None else w.weights
        empty = tuple(replace(c, values=np.empty(0)) for c in columns)
        return Balanced(empty, tuple(sample_moments(columns, sample)), rows, ends, arm_sizes(frame, made))


def balanced(
    frame: WholeFrame, weigh: Weigh | None, *, products: bool = False, poly: int = 1, score: str = ""
) -> Balanced:
    """Moments of the covariates of the treatment model; the propensity score first, where it is named."""
    found: Balanced = frame.passes.total(_Balancing(weigh, products, poly, score))
    return found.varying


def sample_of(frame: WholeFrame, options: Options, found: Balanced) -> WholeSample:
    """What a table knows of the sample."""
    treatment = frame.the_treatment
    level = None if options.focal is None else treatment.levels[treatment.index(options.focal)]
    none = np.empty(0)
    return WholeSample({}, None, none, none if len(found.found) > 1 else None, level, treatment.levels, found.rows)


def imbalance(frame: WholeFrame, options: Options, weigh: Weigh) -> Imbalance:
    """Covariates that the design leaves beyond the threshold of the balance table."""
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        return Imbalance((), np.empty(0))
    found = balanced(frame, weigh)
    if not found.columns:
        return Imbalance((), np.empty(0))
    base, after = found.found
    sample = sample_of(frame, options, found)
    denominator = default_denominator(str(options.estimand), False)
    values = standardised(found.columns, base, after.mean, sample, denominator, after)
    return beyond_threshold(found.columns, values)
