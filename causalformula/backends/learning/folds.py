"""Folds for cross-fitting: stratified by arm, never splitting a cluster, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.errors import DataError, counted
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Bools, Codes


@dataclass(frozen=True, eq=False)
class Folds:
    """A partition of the rows for each repetition.

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


def make_folds(frame: ModelFrame, size: int, repeats: int, seed: int) -> Folds:
    """Folds of nearly equal size; every arm is dealt out evenly, and a cluster stays whole.

    Rows of weight zero are dealt out too, and train nothing.

    Raises
    ------
    DataError
        For fewer clusters, or fewer rows of an arm, than folds.
    """
    treatment = frame.treatment
    arms = np.zeros(frame.n, dtype=np.intp)
    if treatment is not None and treatment.levels:
        arms = treatment.codes
    units = frame.clusters[0] if frame.clusters else frame.unit
    if units is not None and len(units.levels) < size:
        raise DataError(
            f"{counted(len(units.levels), 'cluster')} of {units.name} cannot be dealt out to {size} folds, which never "
            f"split one; use folds={max(2, len(units.levels) // 2)} or less"
        )
    if units is None and (short := np.bincount(arms[frame.unit_weights > 0]).min()) < size:
        raise DataError(
            f"the smallest arm has {counted(int(short), 'row')}, fewer than the {size} folds; use folds={max(2, short)} "
            "or less, or method='aipw' with its default models, which needs none"
        )
    children = np.random.SeedSequence(seed).spawn(repeats)
    generators = [np.random.default_rng(child) for child in children]
    found = [_dealt(arms, size, rng) if units is None else _whole(units.codes, arms, size, rng) for rng in generators]
    return Folds(np.column_stack(found), size, seed)


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
