"""Halves of the rows outside each fold: the first gives a preliminary estimate, of which the second learns.

A nuisance function that depends on the parameter is learned at one preliminary value of it, which rows of their own
give (Kallus, Mao and Uehara 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.backends.learning.folds import Folds, whole_clusters
from causalformula.errors import CapabilityError, DataError, counted
from causalformula.frame.grouping import Grouping
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Bools, Codes


@dataclass(frozen=True, eq=False)
class InnerFolds(Folds):
    """Folds of the first half of the rows outside each fold, -1 elsewhere: a column for each repetition and fold."""

    def outside(self, repeat: int, fold: int) -> Bools:
        """Rows of the same half in another fold."""
        found = self.codes[:, repeat]
        return np.asarray((found >= 0) & (found != fold))

    def place(self, repeat: int, fold: int) -> str:
        """Which fold, within what is outside of which fold."""
        r, k = divmod(repeat, self.size)
        again = f", repetition {r + 1}" if self.repeats > self.size else ""
        return f", fold {fold + 1} of {self.size} in half of the rows outside fold {k + 1}{again}"


@dataclass(frozen=True, eq=False)
class Halves:
    """Both halves of the rows outside each fold.

    Parameters
    ----------
    first : InnerFolds
        Folds of the first half.
    second : ndarray (n, repeats, folds) of bool
    """

    first: InnerFolds
    second: Bools


def make_halves(frame: ModelFrame, folds: Folds) -> Halves:
    """Halves by arm, as scikit-learn's ``train_test_split`` with the seed makes them; whole clusters where there are.

    Raises
    ------
    CapabilityError
        For clusters that cross each other.
    DataError
        Where half of the rows outside a fold has too few of an arm, or too few clusters, for folds of its own.
    """
    if folds.ways:
        raise CapabilityError(
            "quantile effects halve the rows outside each fold, and clusters that cross have no halves that share none "
            "of either kind; name one way in cluster(...), and give the other as vcov='~ a + b'"
        )
    units = frame.clusters[0] if frame.clusters else frame.unit
    used, arms = frame.unit_weights > 0, frame.the_treatment.codes
    inner = np.full((frame.n, folds.repeats * folds.size), -1, dtype=np.intp)
    second = np.zeros((frame.n, folds.repeats, folds.size), dtype=bool)
    for r in range(folds.repeats):
        for k in range(folds.size):
            rows = np.flatnonzero(folds.outside(r, k) & used)
            _refuse_few(frame, folds, rows, f"outside fold {k + 1} of {folds.size}")
            split = _by_row(rows, arms, folds) if units is None else _by_cluster(rows, arms, units, folds, (r, k))
            first, codes, other = split
            inner[first, r * folds.size + k], second[other, r, k] = codes, True
    halves = Halves(InnerFolds(inner, folds.size, folds.seed), second)
    if units is not None:
        _refuse_lone(frame, halves, units)
    return halves


def _by_row(rows: Codes, arms: Codes, folds: Folds) -> tuple[Codes, Codes, Codes]:
    """Rows of the first half, their folds, and rows of the second half."""
    from sklearn.model_selection import StratifiedKFold, train_test_split

    first, second = train_test_split(rows, test_size=0.5, random_state=folds.seed, stratify=arms[rows])
    codes = np.empty(len(first), dtype=np.intp)
    for fold, (_, test) in enumerate(StratifiedKFold(folds.size).split(first, arms[first])):
        codes[test] = fold
    return first, codes, second


def _by_cluster(
    rows: Codes, arms: Codes, units: Grouping, folds: Folds, place: tuple[int, int]
) -> tuple[Codes, Codes, Codes]:
    """The same of whole clusters."""
    rng = np.random.default_rng(np.random.SeedSequence([folds.seed, *place]))
    half = whole_clusters(np.unique(units.codes[rows], return_inverse=True)[1], arms[rows], 2, rng)
    first, second = rows[half == 0], rows[half == 1]
    inside = np.unique(units.codes[first], return_inverse=True)[1]
    return first, whole_clusters(inside, arms[first], folds.size, rng), second


def _refuse_few(frame: ModelFrame, folds: Folds, rows: Codes, where: str) -> None:
    """A ``DataError`` where half of the rows has fewer of an arm than there are folds to deal them out to."""
    treatment = frame.the_treatment
    counts = np.bincount(treatment.codes[rows], minlength=len(treatment.levels))
    least = int(counts.argmin())
    if counts[least] < 2 * folds.size:
        raise DataError(
            f"{where} there are {counted(int(counts[least]), 'row')} of {treatment.name} = {treatment.levels[least]}: "
            f"quantile effects deal out half of them to {folds.size} folds again, which takes {2 * folds.size}; use "
            "fewer folds, or leave out quantiles="
        )


def _refuse_lone(frame: ModelFrame, halves: Halves, units: Grouping) -> None:
    """A ``DataError`` where whole clusters leave a half, or what is outside of one of its folds, without an arm."""
    treatment, first = frame.the_treatment, halves.first
    learned = [halves.second[:, r, k] for r, k in np.ndindex(halves.second.shape[1:])]
    learned += [first.outside(r, k) for r, k in np.ndindex(first.repeats, first.size)]
    for rows in learned:
        counts = np.bincount(treatment.codes[rows], minlength=len(treatment.levels))
        if not counts.all():
            raise DataError(
                f"too few clusters of {units.name} have rows of {treatment.name} = "
                f"{treatment.levels[int(counts.argmin())]}: quantile effects halve the clusters outside each fold, and "
                "a part of a half has none of them. Use fewer folds or another seed=, or leave out quantiles="
            )
