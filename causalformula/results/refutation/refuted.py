"""What one refuter found: the effect after it beside the effect before, a p-value, and a verdict in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.fit import Label
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array
from causalformula.results.effects.core import ResultCore
from causalformula.results.reading.reading import two_sided
from causalformula.results.refutation.refuters import REFUTERS, Refuter

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
# Effects apart by no more than this share of what they are made of are alike: all between them is rounding.
ALIKE = 1e-12
ONE_OF_THEM = (
    "folds or matches are made anew each time, and the effect is one such draw: its p-value compares it with single "
    "refits, and is seldom small where these rest on different rows"
)


@dataclass(frozen=True, eq=False)
class Refuted:
    """One refuter, done.

    Parameters
    ----------
    test : str
    labels : tuple of Label
        The effects that it is of.
    estimate, refuted : ndarray (q,)
        Effects before and after, as they are read; NaN where there is none.
    p_value : ndarray (q,)
    verdicts : tuple of str
    draws : ndarray (R, q), optional
        Effects of the refits, as they are read.
    limits : ndarray (q, 2), optional
        Of the one refit's effects, at 95%.
    table : DataFrame, optional
    notes : tuple of str
    """

    test: str
    labels: tuple[Label, ...]
    estimate: Array
    refuted: Array
    p_value: Array
    verdicts: tuple[str, ...]
    draws: Array | None = None
    limits: Array | None = None
    table: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    @property
    def refuter(self) -> Refuter:
        """What it is."""
        return REFUTERS[self.test]


def of_draws(result: ResultCore, test: str, draws: Array, smooth: bool, notes: tuple[str, ...] = ()) -> Refuted:
    """The verdict on refits (R, q) on the working scale, those that failed left out.

    Their mean has the standard error ``sd / sqrt(R)``. Where the effect itself is one draw of what the refits draw
    anew, of folds or of matches, it is compared with them as another of them, ``sd sqrt(1 + 1/R)``.
    """
    refuter, measure = REFUTERS[test], result.answer.measure
    theta = result.answer.estimate.theta
    size, mean, sd = len(draws), draws.mean(axis=0), draws.std(axis=0, ddof=1)
    target = np.zeros_like(theta) if refuter.expects == "nothing" else theta
    one_of_them = refuter.expects == "effect" and not smooth
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (mean - target) / (sd * np.sqrt(1 + 1 / size) if one_of_them else sd / np.sqrt(size))
    p = two_sided(statistic, np.full(len(theta), size - 1.0))
    # refits that are all alike, and are the target, leave nothing to doubt
    tiny = rounding(result, draws)
    p = np.where((sd <= tiny) & (np.abs(mean - target) <= tiny), 1.0, p)
    if one_of_them:
        notes = (*notes, ONE_OF_THEM)
    far = standard_errors(result, mean - target, tiny)
    by = [f", by {abs(each):.2g} standard errors" if np.isfinite(each) else "" for each in far]
    verdicts = tuple(map(verdict, [refuter] * len(p), p, by))
    return Refuted(
        test,
        result.answer.labels,
        measure.read(theta),
        measure.read(mean),
        p,
        verdicts,
        measure.read(draws),
        notes=notes,
    )


def rounding(result: ResultCore, effects: Array) -> Array:
    """How far effects (R, q) of a fit's refits may be apart by rounding alone (q,), on the working scale.

    A difference of two arms comes from means of the size of the outcome, however near they are.
    """
    answer, frame = result.answer, result.call.frame
    size = np.abs(np.vstack([answer.estimate.theta, effects]))
    size = np.where(np.isfinite(size), size, 0.0).max(axis=0)
    dose = frame.treatment is not None and frame.treatment.kind is Kind.CONTINUOUS
    if answer.measure.name == "difference" and not dose:
        size = np.maximum(size, np.abs(frame.outcome_for(result.call.options.outcome_family)).max())
    return np.asarray(ALIKE * size)


def standard_errors(result: ResultCore, off: Array, tiny: Array) -> Array:
    """How far ``off`` (..., q) is in standard errors of the effect, as what is far from chance may be small.

    None where it is off by rounding, and NaN where the standard errors are rounding themselves.
    """
    se = result.covariance.std_error
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(off) <= tiny, 0.0, np.where(se > tiny, off / se, np.nan))


def verdict(refuter: Refuter, p: float, off: str = "") -> str:
    """The verdict on a p-value, in words."""
    if np.isnan(p):
        return "no answer: the refits have no spread to judge by"
    return refuter.sound if p >= LEVEL else refuter.unsound + off


def no_answer(result: ResultCore, test: str, why: str) -> Refuted:
    """A refuter whose refits failed."""
    theta = result.answer.estimate.theta
    none = np.full(len(theta), np.nan)
    verdicts = ("no answer: refits fail",) * len(theta)
    read = result.answer.measure.read(theta)
    return Refuted(test, result.answer.labels, read, none, none, verdicts, notes=(why,))
