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
GLMS = "two glms, which need no folds"


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
    """A partition of the rows for each repetition; a single fold is all rows, which are learned from and predicted.

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
        if self.size == 1:
            return np.ones(len(self.codes), dtype=bool)
        inside = self.inside(repeat, fold)
        out = ~inside
        for codes in self.ways:
            out &= ~np.isin(codes, codes[inside])
        return out

    def place(self, repeat: int, fold: int) -> str:
        """Which fold of which repetition, for a message that names something before it."""
        where = f", fold {fold + 1} of {self.size}" if self.size > 1 else ""
        return where + (f", repetition {repeat + 1}" if self.repeats > 1 else "")

    @property
    def lone(self) -> int:
        """How many folds of the first repetition are of a single row."""
        return int((np.bincount(self.codes[:, 0]) == 1).sum())

    @property
    def words(self) -> str:
        """How many, and where they come from, for the print."""
        times = f", {self.repeats} times" if self.repeats > 1 else ""
        if self.given:
            return f"{self.size} folds{times}, as given"
        way = round(self.size ** (1 / max(1, len(self.ways))))
        sides = " x ".join([str(way)] * max(1, len(self.ways)))
        of = f" of the {len(self.ways)} kinds of clusters" if self.ways else ""
        return f"{sides} folds{of}{times}, seed {self.seed}"


def make_folds(frame: ModelFrame, size: int | GivenFolds, repeats: int, seed: int, *, glms: bool = False) -> Folds:
    """Folds of nearly equal size; every arm is dealt out evenly, and a cluster stays whole.

    Clusters that cross each other are each dealt out to ``size`` folds; a fold is where two meet, ``size^2`` in all,
    and no row is learned from that shares a cluster of either kind with it (Chiang, Kato, Ma and Sasaki 2022). Rows of
    weight zero are dealt out too, and train nothing.

    Parameters
    ----------
    glms : bool
        Whether the method does without folds where both its models are glms, which a refusal then says.

    Raises
    ------
    DataError
        For fewer clusters, or fewer rows of an arm, than folds; for an arm that a fold has for itself; for given folds
        that split a cluster.
    """
    if isinstance(size, GivenFolds):
        return _given(frame, size, repeats, seed)
    if len(frame.clusters) > 1:
        return _crossed(frame, size, repeats, seed, glms)
    used = frame.unit_weights > 0
    arms, names = _arms(frame)
    units = frame.clusters[0] if frame.clusters else frame.unit
    if units is None:
        _refuse_short(arms[used], names, size, glms)
    else:
        _refuse_few(units, used, size, glms)
    generators = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(repeats)]
    dealt = np.where(used, arms, len(names) + arms)  # rows of no weight are dealt out apart, after the others
    found = [
        _dealt(dealt, size, rng) if units is None else whole_clusters(units.codes, arms, size, rng)
        for rng in generators
    ]
    folds = Folds(np.column_stack(found), size, seed)
    if units is not None:
        _refuse_lone(folds, np.where(used, arms, -1), names, units.name, glms)
    return folds


def _arms(frame: ModelFrame) -> tuple[Codes, tuple[str, ...]]:
    """The arm of each row, and their names; one where the treatment has none."""
    treatment = frame.treatment
    if treatment is None or not treatment.levels:
        return np.zeros(frame.n, dtype=np.intp), ("",)
    return treatment.codes, tuple(f"{treatment.name} = {level}" for level in treatment.levels)


def _refuse_few(units: Grouping, used: Bools, size: int, glms: bool) -> None:
    clusters = len(np.unique(units.codes[used]))
    if clusters < size:
        alone = f"use {GLMS}" if glms else "cross-fitting needs two or more"
        remedy = _fewer(clusters) if clusters > 1 else alone
        raise DataError(
            f"{counted(clusters, 'cluster')} of {units.name} cannot be dealt out to {size} folds, which never split "
            f"one; {remedy}"
        )


def _fewer(most: int) -> str:
    return f"use folds={most}" + (" or less" if most > 2 else "")


def _refuse_short(arms: Codes, names: tuple[str, ...], size: int, glms: bool) -> None:
    counts = np.bincount(arms, minlength=len(names))
    least = int(counts.argmin())
    if counts[least] < size:
        what = f"the smallest arm, {names[least]}, has {counted(int(counts[least]), 'row')}" if names[least] else ""
        what = what or f"there are {counted(len(arms), 'row')}"
        remedies = [_fewer(int(counts[least]))] if counts[least] > 1 else []
        remedies += [GLMS if remedies else f"use {GLMS}"] if glms else []
        remedy = ", or ".join(remedies) or "cross-fitting needs two or more"
        raise DataError(f"{what}, fewer than the {size} folds; {remedy}")


def _refuse_lone(folds: Folds, arms: Codes, names: tuple[str, ...], units: str, glms: bool) -> None:
    """A ``DataError`` for an arm all of whose rows are in one fold, so that nothing is left to learn it from."""
    for r in range(folds.repeats):
        for k in range(folds.size):
            counts = np.bincount(arms[folds.outside(r, k) & (arms >= 0)], minlength=len(names))
            if not counts.all():
                arm = names[int(counts.argmin())] or "any arm"
                has = "shares clusters with" if folds.ways else "has"
                raise DataError(
                    f"fold {k + 1} of {folds.size} {has} all rows of {arm}, so that outside it nothing is left to "
                    f"learn that arm from: folds never split a cluster of {units}, and too few have this arm. Use "
                    f"another seed=, {f'fewer folds, or {GLMS}' if glms else 'or fewer folds'}"
                )


def _crossed(frame: ModelFrame, size: int, repeats: int, seed: int, glms: bool) -> Folds:
    """Folds of clusters in several ways: where a fold of each way meets the others."""
    used = frame.unit_weights > 0
    arms, names = _arms(frame)
    codes = np.zeros((frame.n, repeats), dtype=np.intp)
    for way, units in enumerate(frame.clusters):
        _refuse_few(units, used, size, glms)
        children = np.random.SeedSequence([seed, way]).spawn(repeats)
        for r, child in enumerate(children):
            codes[:, r] = codes[:, r] * size + whole_clusters(units.codes, arms, size, np.random.default_rng(child))
    ways = tuple(units.codes for units in frame.clusters)
    folds = Folds(codes, size ** len(ways), seed, ways)
    _refuse_lone(folds, np.where(used, arms, -1), names, " or ".join(units.name for units in frame.clusters), glms)
    return folds


def _given(frame: ModelFrame, given: GivenFolds, repeats: int, seed: int) -> Folds:
    """The caller's folds on the rows kept."""
    if repeats not in (1, given.repeats):
        raise OptionError(f"repeats={repeats}, and folds= gives {given.repeats}: a column for each repetition")
    if given.labels is None:
        columns = [np.unique(_column(frame, name), return_inverse=True)[1] for name in given.columns]
    elif len(given.labels) != frame.table.n:
        raise DataError(f"folds= has {counted(len(given.labels), 'row')}, and the data have {frame.table.n}")
    else:
        columns = [np.unique(found, return_inverse=True)[1] for found in given.labels[frame.rows].T]
    codes = np.column_stack(columns).astype(np.intp)
    counts = codes.max(axis=0) + 1
    if (counts < 2).any() or len(set(counts)) > 1:
        raise DataError("given folds are at least two, and as many in every repetition")
    ways = tuple(units.codes for units in frame.clusters)
    units = frame.clusters[0] if frame.clusters else frame.unit
    if units is not None and len(ways) < 2:
        pairs = {len(np.unique(np.column_stack([units.codes, each]), axis=0)) for each in columns}
        if max(pairs) > len(np.unique(units.codes)):
            raise DataError(
                f"the given folds split clusters of {units.name}, whose rows are alike; give whole clusters"
            )
    return Folds(codes, int(counts[0]), seed, ways if len(ways) > 1 else (), given=True)


def _column(frame: ModelFrame, name: str) -> Codes:
    """A column of folds; fractions are measurements, as in an array."""
    values = frame.table.named(name)
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        found = values[frame.rows]
        if (np.isfinite(found) & (found != np.rint(found))).any():
            raise DataError(f"folds={name!r} is a column of fractions; give one of whole numbers, or labels, of folds")
    return frame.groups(name).codes


def _dealt(arms: Codes, size: int, rng: np.random.Generator) -> Codes:
    """Rows in random order, arm by arm, dealt out to the folds in turn."""
    shuffled = rng.permutation(len(arms))
    order = shuffled[np.argsort(arms[shuffled], kind="stable")]
    folds = np.empty(len(arms), dtype=np.intp)
    folds[order] = np.arange(len(arms)) % size
    return folds


def whole_clusters(clusters: Codes, arms: Codes, size: int, rng: np.random.Generator) -> Codes:
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
