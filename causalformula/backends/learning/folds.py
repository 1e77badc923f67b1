"""Folds for cross-fitting: stratified by arm, never splitting a cluster, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.errors import DataError, counted, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Bools, Codes


@dataclass(frozen=True, eq=False)
class Folds:
    """A partition of the rows for each repetition; a single fold is all rows, which are learned from and predicted.

    Parameters
    ----------
    codes : ndarray (n, repeats) of int
        The fold of each row, from 0.
    size : int
        Number of folds.
    seed : int
    """

    codes: Codes
    size: int
    seed: int

    @property
    def repeats(self) -> int:
        """Number of repetitions."""
        return int(self.codes.shape[1])

    def inside(self, repeat: int, fold: int) -> Bools:
        """Rows of a fold."""
        return np.asarray(self.codes[:, repeat] == fold)

    def outside(self, repeat: int, fold: int) -> Bools:
        """Rows that a learner may see before it predicts a fold."""
        return ~self.inside(repeat, fold) if self.size > 1 else np.ones(len(self.codes), dtype=bool)


def make_folds(frame: ModelFrame, size: int, repeats: int, seed: int) -> Folds:
    """Folds of nearly equal size; every arm is dealt out evenly, and a cluster stays whole.

    Rows of weight zero are dealt out too, and train nothing.

    Raises
    ------
    DataError
        For fewer clusters, or fewer rows of an arm, than folds; for an arm that a fold has for itself.
    """
    used = frame.unit_weights > 0
    arms, names = _arms(frame)
    units = frame.clusters[0] if frame.clusters else frame.unit
    if units is None:
        _refuse_short(arms[used], names, size)
    else:
        _refuse_few(len(np.unique(units.codes[used])), units.name, size)
    generators = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(repeats)]
    dealt = np.where(used, arms, len(names) + arms)  # rows of no weight are dealt out apart, after the others
    found = [_dealt(dealt, size, rng) if units is None else _whole(units.codes, arms, size, rng) for rng in generators]
    folds = Folds(np.column_stack(found), size, seed)
    if units is not None:
        _refuse_lone(folds, np.where(used, arms, -1), names, units.name)
    return folds


def split_note(frame: ModelFrame) -> tuple[str, ...]:
    """A note where there are several clusterings: the folds keep those of the first whole."""
    if len(frame.clusters) < 2:
        return ()
    first, *others = [group.name for group in frame.clusters]
    return (f"folds keep the clusters of {first} whole, and split those of {some(others)}",)


def _arms(frame: ModelFrame) -> tuple[Codes, tuple[str, ...]]:
    """The arm of each row, and their names; one where the treatment has none."""
    treatment = frame.treatment
    if treatment is None or not treatment.levels:
        return np.zeros(frame.n, dtype=np.intp), ("",)
    return treatment.codes, tuple(f"{treatment.name} = {level}" for level in treatment.levels)


def _refuse_few(clusters: int, name: str, size: int) -> None:
    if clusters < size:
        remedy = f"use folds={clusters} or less" if clusters > 1 else "use two glms, which need no folds"
        raise DataError(
            f"{counted(clusters, 'cluster')} of {name} cannot be dealt out to {size} folds, which never split one; "
            f"{remedy}"
        )


def _refuse_short(arms: Codes, names: tuple[str, ...], size: int) -> None:
    counts = np.bincount(arms, minlength=len(names))
    least = int(counts.argmin())
    if counts[least] < size:
        what = f"the smallest arm, {names[least]}, has {counted(int(counts[least]), 'row')}" if names[least] else ""
        what = what or f"there are {counted(len(arms), 'row')}"
        raise DataError(
            f"{what}, fewer than the {size} folds; use folds={max(2, int(counts[least]))} or less, or two glms, which "
            "need no folds"
        )


def _refuse_lone(folds: Folds, arms: Codes, names: tuple[str, ...], units: str) -> None:
    """A ``DataError`` for an arm all of whose rows are in one fold, so that nothing is left to learn it from."""
    for r in range(folds.repeats):
        for k in range(folds.size):
            counts = np.bincount(arms[folds.outside(r, k) & (arms >= 0)], minlength=len(names))
            if not counts.all():
                arm = names[int(counts.argmin())] or "any arm"
                raise DataError(
                    f"fold {k + 1} of {folds.size} has all rows of {arm}, so that outside it nothing is left to learn "
                    f"that arm from: folds never split a cluster of {units}, and too few have this arm. Use another "
                    "seed=, fewer folds, or two glms, which need no folds"
                )


def _dealt(arms: Codes, size: int, rng: np.random.Generator) -> Codes:
    """Rows in random order, arm by arm, dealt out to the folds in turn."""
    shuffled = rng.permutation(len(arms))
    order = shuffled[np.argsort(arms[shuffled], kind="stable")]
    folds = np.empty(len(arms), dtype=np.intp)
    folds[order] = np.arange(len(arms)) % size
    return folds


def _whole(clusters: Codes, arms: Codes, size: int, rng: np.random.Generator) -> Codes:
    """Clusters, those of most rows first, each to the fold that has the fewest rows of its arms so far."""
    number, levels = int(clusters.max()) + 1, int(arms.max()) + 1
    counts = np.zeros((number, levels))
    np.add.at(counts, (clusters, arms), 1.0)
    share = counts / counts.sum(axis=0).clip(min=1)
    order = rng.permutation(number)
    order = order[np.argsort(-share[order].sum(axis=1), kind="stable")]
    load, fold = np.zeros((size, levels)), np.empty(number, dtype=np.intp)
    for cluster in order:
        fold[cluster] = int(np.argmin((load + share[cluster]).max(axis=1) + 1e-9 * load.sum(axis=1)))
        load[fold[cluster]] += share[cluster]
    return np.asarray(fold[clusters])
