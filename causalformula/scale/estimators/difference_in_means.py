"""The difference in means of an experiment, by passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.contrasts import settings
from causalformula.backends.difference_in_means import (
    Arms,
    Cells,
    DifferenceInMeans,
    arm_means,
    from_cells,
    refuse_adjusting,
)
from causalformula.backends.fit import DesignWeights, Fit
from causalformula.backends.outcomes import PotentialMeans
from causalformula.errors import CapabilityError, DataError, some
from causalformula.formula.expressions.values import as_factor
from causalformula.inference.away import away
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Accumulated, Influence
from causalformula.inference.sandwich.grouped import Grouped, joint_keys
from causalformula.numerics.arrays import Array
from causalformula.scale.chunk_frames import ChunkFrame
from causalformula.scale.whole import WholeFrame


def blocks_of(frame: ChunkFrame) -> Any:
    """The block (n,) of each row of a chunk, by its name."""
    found = []
    for key, value in frame.read.values.items():
        if key.startswith("strata:"):
            factor = as_factor(value)
            found.append(np.asarray(factor.levels, dtype=object)[factor.codes])
    if not found:
        return np.full(frame.n, "all", dtype=object)
    out = np.empty(frame.n, dtype=object)
    out[:] = [":".join(names) for names in zip(*found, strict=True)]
    return out


@dataclass(frozen=True)
class _Sums:
    """Weights, outcomes and rows by block and arm."""

    origin: float

    def __call__(self, frame: ChunkFrame) -> Grouped:
        w = frame.unit_weights
        values = np.column_stack([w, w * (frame.y - self.origin), (w > 0).astype(float)])
        return Grouped.of(joint_keys([blocks_of(frame), frame.the_treatment.codes]), values)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The cells of all rows, on the rows of a chunk."""

    cells: Cells
    names: tuple[str, ...]

    def on(self, frame: ChunkFrame) -> Cells:
        """The chunk's own rows among them."""
        place = {name: b for b, name in enumerate(self.cells.names)}
        # a block without weight counts, for nothing, in the first
        block = np.fromiter((place.get(name, 0) for name in blocks_of(frame)), dtype=np.intp, count=frame.n)
        w, y = frame.unit_weights, frame.y - self.cells.origin
        return replace(self.cells, block=block, arm=frame.the_treatment.codes, w=w, y=y)

    def at(self, chunk: Any) -> Influence:
        """See ``inference.evidence.Part``."""
        evidence = arm_means(self.on(chunk), self.names, ()).evidence
        assert isinstance(evidence, Influence)
        return evidence


@dataclass(frozen=True, eq=False)
class _Squares:
    rows: _Rows

    def __call__(self, frame: ChunkFrame) -> Array:
        c = self.rows.on(frame)
        cell = c.block * c.mean.shape[1] + c.arm
        each = c.w * (c.y - c.mean[c.block, c.arm]) ** 2
        return np.asarray(np.bincount(cell, each, minlength=c.mean.size).reshape(c.mean.shape), dtype=float)


@dataclass(frozen=True, eq=False)
class WholeArms(Arms):
    """Mean potential outcomes by arm, of rows that are elsewhere."""

    def potential(self) -> PotentialMeans:
        """See ``Arms``; everyone is the population."""
        return replace(super().potential(), target=np.empty(0))

    def means(self) -> Estimate:
        """See ``Arms``."""
        assert isinstance(self.frame, WholeFrame)
        passes, names = self.frame.passes, tuple(s.label for s in settings(self.frame.the_treatment))
        found = arm_means(self.cells, names, ())
        shape = found.evidence
        assert isinstance(shape, Influence)
        whole = replace(shape, n=passes.plan.survey.kept, direct=None)
        part = _Rows(self.cells, names)
        return replace(found, evidence=Accumulated(passes, part, whole, np.eye(len(names)), True))


def difference_in_means(frame: WholeFrame, options: DifferenceInMeans) -> Fit:
    """Average effect in a randomised experiment; see ``backends.difference_in_means``.

    Parameters
    ----------
    frame : WholeFrame
    options : DifferenceInMeans

    Returns
    -------
    Fit

    Raises
    ------
    CapabilityError
        For blocks of clusters.
    """
    refuse_adjusting(frame, options)
    if frame.strata is not None and frame.clusters:
        raise CapabilityError("blocks of clusters need all rows in memory; fit to the clusters' means, or to a sample")
    passes, treatment = frame.passes, frame.the_treatment
    origin = float(passes.plan.prototype.outcome.numeric()[0])  # type: ignore[union-attr]
    sums: Grouped = passes.total(_Sums(origin))  # type: ignore[arg-type]
    levels = len(treatment.levels)
    by_name: dict[str, Array] = {}
    for (name, arm), row in zip(sums.keys, sums.sums, strict=True):
        by_name.setdefault(name, np.zeros((levels, 3)))[int(arm)] = row
    table = {name: each for name, each in sorted(by_name.items()) if each[:, 0].sum() > 0}
    stacked = np.stack(list(table.values()))
    total = stacked[:, :, 0]
    empty = [(b, a) for b, a in np.argwhere(total == 0)]
    if empty:
        names = list(table)
        missing = [f"{names[b]} (no {treatment.name} = {treatment.levels[a]})" for b, a in empty]
        raise DataError(f"every block needs every arm; these do not have them: {some(missing)}")
    none = np.empty(0)
    cells = Cells(
        np.empty(0, dtype=np.intp),
        np.empty(0, dtype=np.intp),
        none,
        none,
        total,
        stacked[:, :, 2].astype(np.intp),
        stacked[:, :, 1] / total,
        tuple(table),
        origin,
        np.zeros(total.shape),
    )
    square = passes.total(_Squares(_Rows(cells, ())))  # type: ignore[arg-type]
    arms = WholeArms(frame, options, replace(cells, square=square))
    clusters = None if not frame.clusters else frame.clusters_by_arm(frame.clusters[0].name)[None, :]
    fit = from_cells(frame, options, arms, cells.count, clusters)
    return replace(fit, design=DesignWeights(away(passes.words)))
