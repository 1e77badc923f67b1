"""Folds for cross-fitting: stratified by arm, never splitting a cluster, the same for the same seed; or given ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.options import shown, whole
from causalformula.errors import DataError, OptionError, counted
from causalformula.frame.grouping import Grouping
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Bools, Codes

MOST_FOLDS = 1000


@dataclass(frozen=True, eq=False)
class GivenFolds:
    """Folds that the caller gives: columns of the data by name, or labels, a column for each repetition.

    Parameters
    ----------
    columns : tuple of str
    labels : ndarray (rows of the data, repeats) of int, optional
    """

    columns: tuple[str, ...] = ()
    labels: Codes | None = None

    @property
    def repeats(self) -> int:
        """Number of repetitions."""
        return len(self.columns) if self.labels is None else int(self.labels.shape[1])

    def __repr__(self) -> str:
        return repr(list(self.columns)) if self.labels is None else f"<folds of {len(self.labels)} rows>"


def read_folds(value: Any) -> int | GivenFolds:
    """A number of folds, the names of columns that hold them, or an array of them, a column for each repetition.

    Raises
    ------
    OptionError
        For anything else.
    """
    if isinstance(value, GivenFolds):
        return value
    if isinstance(value, str):
        return GivenFolds((value,))
    if isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value):
        return GivenFolds(tuple(value))
    if isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
        return _labels(value)
    return whole("folds", value, "folds of the cross-fitting", MOST_FOLDS, 2)


def _labels(value: Any) -> GivenFolds:
    try:
        found = np.asarray(value)
    except ValueError:  # lists of different lengths
        found = np.empty(0)
    numbers = (
        found.dtype.kind in "iuf" and found.ndim in (1, 2) and found.size and bool((found == np.rint(found)).all())
    )
    if not numbers:
        raise OptionError(
            f"folds={shown(value)}: a number of folds, the name of a column, or whole numbers, one for each row of the "
            "data (a column for each repetition)"
        )
    return GivenFolds(labels=found.reshape(len(found), -1).astype(np.intp))


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
    ways : tuple of ndarray (n,) of int
        Clusters of which none may stand both inside and outside of a fold, where they cross each other.
    given : bool
        Whether the caller gave them.
    """

    codes: Codes
    size: int
    seed: int
    ways: tuple[Codes, ...] = ()
    given: bool = False

    @property
    def repeats(self) -> int:
        """Number of repetitions."""
        return int(self.codes.shape[1])

    def inside(self, repeat: int, fold: int) -> Bools:
        """Rows of a fold."""
        return np.asarray(self.codes[:, repeat] == fold)

    def outside(self, repeat: int, fold: int) -> Bools:
        """Rows that may be learned from: in another fold, and in no cluster that the fold has rows of."""
        inside = self.inside(repeat, fold)
        out = ~inside
        for codes in self.ways:
            out &= ~np.isin(codes, codes[inside])
        return out

    @property
    def words(self) -> str:
        """How many, and where they come from, for the print."""
        times = f", {self.repeats} times" if self.repeats > 1 else ""
        return f"{self.size} folds{times}, " + ("as given" if self.given else f"seed {self.seed}")


def make_folds(frame: ModelFrame, size: int | GivenFolds, repeats: int, seed: int) -> Folds:
    """Folds of nearly equal size; every arm is dealt out evenly, and a cluster stays whole.

    Clusters that cross each other are each dealt out to ``size`` folds; a fold is where two meet, ``size^2`` in all,
    and no row is learned from that shares a cluster of either kind with it (Chiang, Kato, Ma and Sasaki 2022). Rows of
    weight zero are dealt out too, and train nothing.

    Raises
    ------
    DataError
        For fewer clusters, or fewer rows of an arm, than folds, and for given folds that split a cluster.
    """
    if isinstance(size, GivenFolds):
        return _given(frame, size, repeats, seed)
    if len(frame.clusters) > 1:
        return _crossed(frame, size, repeats, seed)
    treatment = frame.treatment
    arms = np.zeros(frame.n, dtype=np.intp)
    if treatment is not None and treatment.levels:
        arms = treatment.codes
    units = frame.clusters[0] if frame.clusters else frame.unit
    if units is not None:
        _refuse_few(units, size)
    if units is None and (short := np.bincount(arms[frame.unit_weights > 0]).min()) < size:
        raise DataError(
            f"the smallest arm has {counted(int(short), 'row')}, fewer than the {size} folds; use folds="
            f"{max(2, short)} or less, or method='aipw' with its default models, which needs none"
        )
    children = np.random.SeedSequence(seed).spawn(repeats)
    generators = [np.random.default_rng(child) for child in children]
    found = [_dealt(arms, size, rng) if units is None else _whole(units.codes, arms, size, rng) for rng in generators]
    return Folds(np.column_stack(found), size, seed)


def _refuse_few(units: Grouping, size: int) -> None:
    if len(units.levels) < size:
        raise DataError(
            f"{counted(len(units.levels), 'cluster')} of {units.name} cannot be dealt out to {size} folds, which never "
            f"split one; use folds={max(2, len(units.levels) // 2)} or less"
        )


def _crossed(frame: ModelFrame, size: int, repeats: int, seed: int) -> Folds:
    """Folds of clusters in several ways: where a fold of each way meets the others."""
    arms = frame.treatment.codes if frame.treatment is not None and frame.treatment.levels else np.zeros(frame.n, int)
    codes = np.zeros((frame.n, repeats), dtype=np.intp)
    for way, units in enumerate(frame.clusters):
        _refuse_few(units, size)
        children = np.random.SeedSequence([seed, way]).spawn(repeats)
        for r, child in enumerate(children):
            codes[:, r] = codes[:, r] * size + _whole(units.codes, arms, size, np.random.default_rng(child))
    ways = tuple(units.codes for units in frame.clusters)
    return Folds(codes, size ** len(ways), seed, ways)


def _given(frame: ModelFrame, given: GivenFolds, repeats: int, seed: int) -> Folds:
    """The caller's folds on the rows kept."""
    if repeats not in (1, given.repeats):
        raise OptionError(f"repeats={repeats}, and folds= gives {given.repeats}: a column for each repetition")
    if given.labels is None:
        columns = [np.unique(frame.groups(name).codes, return_inverse=True)[1] for name in given.columns]
    elif len(given.labels) != frame.table.n:
        raise DataError(f"folds= has {counted(len(given.labels), 'row')}, and the data have {frame.table.n}")
    else:
        columns = [np.unique(found, return_inverse=True)[1] for found in given.labels[frame.rows].T]
    codes = np.column_stack(columns).astype(np.intp)
    counts = codes.max(axis=0) + 1
    if (counts < 2).any() or len(set(counts)) > 1:
        raise DataError("given folds are at least two, and as many in every repetition")
    ways = tuple(units.codes for units in frame.clusters)
    if len(frame.clusters) == 1:
        (units,) = frame.clusters
        pairs = {len(np.unique(np.column_stack([units.codes, each]), axis=0)) for each in columns}
        if max(pairs) > len(np.unique(units.codes)):
            raise DataError(
                f"the given folds split clusters of {units.name}, whose rows are alike; give whole clusters"
            )
    return Folds(codes, int(counts[0]), seed, ways if len(ways) > 1 else (), given=True)


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
