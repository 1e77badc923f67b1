"""Averages of predictions over rows that are elsewhere: g-computation by passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from causalformula.backends.contrasts import Contrast, Setting, column_at, contrasts
from causalformula.backends.fit import Answer, Query, with_labels
from causalformula.backends.options import Options
from causalformula.backends.outcomes import PotentialMeans, joined
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.standardize import Surface, mean_gradient
from causalformula.backends.target import target_arm, target_weights
from causalformula.backends.weighting.effect import weighted_target
from causalformula.backends.weighting.weights import Weighting
from causalformula.frame.parts import Part
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Accumulated, Influence
from causalformula.inference.evidence import Part as EvidencePart
from causalformula.inference.stage import Stage, influence_weights
from causalformula.numerics.arrays import Array
from causalformula.scale.blocks.regression import Reader
from causalformula.scale.chunk_frames import ChunkFrame
from causalformula.scale.order import quantiles
from causalformula.scale.passes import Passes
from causalformula.scale.regression import Fitted, Shared
from causalformula.scale.sums import Spread, Sums
from causalformula.scale.whole import WholeFrame, WholeGroups

SPREADS = ("sd", "iqr", "minmax")


class Weigh(Protocol):
    """How the rows of a chunk are weighted: weights, and the equations behind them with what all rows say; it pickles.

    Of a few rows that have every level it gives names and parameters.
    """

    def __call__(self, frame: Any) -> Weighting:
        """The weighting of a frame's rows."""
        ...


def weighting_of(weigh: Weigh, frame: Any) -> Weighting:
    """The weighting of a frame, made once."""
    found: Weighting = frame.remembered(("weighting", weigh), lambda: weigh(frame))
    return found


def model_of(fitted: Fitted, read: Reader, weigh: Weigh | None, frame: Any) -> Shared:
    """The outcome model on a chunk, with the equations of its weights there."""
    model = fitted.at(read(frame))
    return model if weigh is None else replace(model, earlier=weighting_of(weigh, frame).stages)


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A regression's coefficients on a chunk."""

    fitted: Fitted
    read: Reader
    weigh: Weigh | None = None

    def at(self, chunk: Any) -> Influence:
        """See ``inference.evidence.Part``."""
        evidence = model_of(self.fitted, self.read, self.weigh, chunk).estimate().evidence
        assert isinstance(evidence, Influence)
        return evidence


def coefficients(passes: Passes, fitted: Fitted, read: Reader, weigh: Weigh | None = None) -> Estimate:
    """The estimable coefficients of a fit to rows that are elsewhere."""
    record = fitted.record
    stage, back = record.stage(), np.eye(record.rank)
    if record.hat.moved is not None:
        back = back - record.hat.moved
    before = sum(s.size for s in record.earlier)
    jac = np.hstack([np.zeros((record.rank, before)), back])
    shape = Influence((*record.earlier, stage), jac, passes.plan.survey.kept, rooted=True)
    evidence = Accumulated(passes, Coefficients(fitted, read, weigh), shape, np.eye(record.rank))
    return Estimate(stage.names, record.theta, evidence)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is predicted on a chunk, for whom.

    Parameters
    ----------
    fitted : Fitted
    read : Reader
    part : Part
    options : Options
    keys : tuple
        Settings of the treatment.
    slope : bool
        Whether the derivative in the dose is meant, instead of means.
    groups : WholeGroups, optional
    weigh : Weigh, optional
        Of a weighted outcome model.
    """

    fitted: Fitted
    read: Reader
    part: Part
    options: Options
    keys: tuple[Any, ...]
    slope: bool = False
    groups: WholeGroups | None = None
    weigh: Weigh | None = None

    def pieces(self, frame: ChunkFrame) -> tuple[Surface, list[Array], list[tuple[Array, Any]]]:
        """The surface on a chunk, the target's weights of each group, and for each setting predictions and slopes."""
        target: Array = target_weights(frame, self.options)
        moving: Mapping[str, Sensitivity] = {}
        if self.weigh is not None:
            target, moving = weighted_target(frame, weighting_of(self.weigh, frame), self.options)
        model = model_of(self.fitted, self.read, self.weigh, frame)
        surface = Surface(model, frame, self.part, self.options, base=target, moving=moving)
        targets = [target]
        if self.groups is not None:
            codes = self.groups.of(frame)
            targets = [np.where(codes == k, target, 0.0) for k in range(len(self.groups.levels))]
        found: list[tuple[Array, Any]] = []
        for key in self.keys:
            setting = Setting(key, "", column_at(frame.the_treatment, key))
            if self.slope:
                item = Contrast(setting, setting, slope=True)
                found.append((surface.rising(item, target, 1.0)[0], item))
            else:
                m, change, d = surface.predicted(setting)
                found.append((m, (change, d)))
        return surface, targets, found

    def __call__(self, frame: ChunkFrame) -> Sums:
        """Sums of predictions (groups, settings) and of their gradients (groups, settings, p)."""
        surface, targets, found = self.pieces(frame)
        means = np.array([[t @ m for m, _ in found] for t in targets])
        gradients = np.array([[self._gradient(surface, t, how) for _, how in found] for t in targets])
        sums = {"total": np.array([t.sum() for t in targets]), "means": means, "gradients": gradients}
        if surface.moving:
            sums["moved"] = np.array([[_moved(surface, np.where(t != 0, m, 0.0)) for m, _ in found] for t in targets])
            sums["drift"] = np.array([_moved(surface, (t != 0).astype(float)) for t in targets])
        return Sums(sums)

    def _gradient(self, surface: Surface, target: Array, how: Any) -> Array:
        if self.slope:
            return surface.rising(how, target, 1.0)[1]
        change, d = how
        return mean_gradient(surface.model, change, target * d)


def _moved(surface: Surface, v: Array) -> Array:
    """``sum_i v_i dt_i`` with the target's weights t, in the parameters of all stages before the outcome model."""
    moving, before = surface.moving, surface.stages[:-1]
    return np.concatenate([moving[s.name].total(v) if s.name in moving else np.zeros(s.size) for s in before])


@dataclass(frozen=True, eq=False)
class Averages:
    """Averages of predictions, all groups and settings one after another, on a chunk.

    Parameters
    ----------
    prediction : Prediction
    total : ndarray (groups,)
    mean : ndarray (groups, settings)
    jac : ndarray (groups * settings, r)
    moved : tuple of ndarray (p, groups * settings), optional
        What the scores of each stage before the outcome model are multiplied by, for how they move the target.
    """

    prediction: Prediction
    total: Array
    mean: Array
    jac: Array
    moved: tuple[Array, ...] = ()

    def at(self, chunk: Any) -> Influence:
        """See ``inference.evidence.Part``."""
        surface, targets, found = self.prediction.pieces(chunk)
        n = chunk.n
        direct = [
            n * t * (m - self.mean[g, s]) / self.total[g] if self.total[g] else np.zeros(n)
            for g, t in enumerate(targets)
            for s, (m, _) in enumerate(found)
        ]
        rows = np.column_stack(direct)
        for stage, weights in zip(surface.stages, self.moved, strict=False):
            rows += n * stage.project(weights)
        return Influence(surface.stages, self.jac, n, rows, rooted=True)


class Averaged(EvidencePart, Protocol):
    """Averages of all groups and settings: the weight of each group, and the averages (groups, settings)."""

    @property
    def total(self) -> Array:
        """Weights of the groups."""
        ...

    @property
    def mean(self) -> Array:
        """The averages."""
        ...


@dataclass(frozen=True, eq=False)
class WholeAverages(PotentialMeans):
    """What averages over rows that are elsewhere answer; ``_passed`` makes them."""

    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def passes(self) -> Passes:
        """Where the rows are."""
        assert isinstance(self.frame, WholeFrame)
        return self.frame.passes

    def answer(self, query: Query) -> Answer:
        """See ``PotentialMeans``: effects or means, over the target population or by group."""
        self.refuse(query)
        target_arm(self.frame, self.options)
        if query.by is None:
            return self._group(None, 0)._over(query, np.empty(0))
        groups = query.by
        assert isinstance(groups, WholeGroups)
        parts = []
        for k, level in enumerate(groups.levels):
            inside = self._group(groups, k)
            if self._totals(groups)[k]:
                parts.append(with_labels(inside._over(query, np.empty(0)), ((groups.name, level),)))
        return joined(parts, groups.name)

    def compared(self) -> list[Contrast]:
        """See ``PotentialMeans``: a dose's spread is that of all rows."""
        treatment, doses = self.frame.the_treatment, None
        if treatment.kind is Kind.CONTINUOUS and self.options.contrast in SPREADS:
            if "doses" not in self._known:
                self._known["doses"] = self._spread(str(self.options.contrast))
            doses = self._known["doses"]
        return contrasts(treatment, self.options.contrast, doses=doses)

    def _spread(self, contrast: str) -> Array:
        """A few doses that have the spread of all."""

        def total(function: Callable[[Array], Any]) -> Any:
            return self.passes.total(_Doses(function))

        found: Spread = total(_spread_of)
        count = int(found.weight[0])
        if contrast == "sd":
            half = np.sqrt(found.square[0] / (count - 1) / 2)
            return np.array([found.mean[0] - half, found.mean[0] + half])
        return quantiles(total, count, np.linspace(0, 1, 5))

    def _group(self, groups: WholeGroups | None, k: int) -> WholeAverages:
        """The same for one group of the rows."""

        def means(wanted: Sequence[Setting], target: Array) -> Estimate:
            keys = tuple(setting.key for setting in wanted)
            return self._estimate(groups, k, keys, tuple(s.label for s in wanted), False)

        def slope(item: Contrast, target: Array) -> Estimate:
            return self._estimate(groups, k, (item.high.key,), ("dY/dX",), True)

        return replace(self, means=means, slope=slope)

    def _totals(self, groups: WholeGroups) -> Array:
        """Weight of the target population in each group."""
        settings = (() if self.frame.the_treatment.kind is Kind.CONTINUOUS else (0,)) or ("observed",)
        return self._averages(groups, settings, False)[0].total

    def _estimate(
        self, groups: WholeGroups | None, k: int, keys: tuple[Any, ...], names: tuple[str, ...], slope: bool
    ) -> Estimate:
        """The averages of one group."""
        part, evidence = self._averages(groups, keys, slope)
        size = len(keys)
        rows = np.eye(part.mean.size)[k * size : (k + 1) * size]
        return Estimate(names, part.mean[k], evidence.map(rows))

    def _averages(self, groups: WholeGroups | None, keys: tuple[Any, ...], slope: bool) -> tuple[Averaged, Accumulated]:
        """The averages of all groups, by one pass."""
        known = (None if groups is None else groups.name, keys, slope)
        if known not in self._known:
            self._known[known] = self._passed(groups, keys, slope)
        found: tuple[Averaged, Accumulated] = self._known[known]
        return found

    def _passed(self, groups: WholeGroups | None, keys: tuple[Any, ...], slope: bool) -> tuple[Averaged, Accumulated]:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class WholeMeans(WholeAverages):
    """What a regression's predictions answer, where its rows are elsewhere.

    Parameters
    ----------
    fitted : Fitted, optional
    read : Reader, optional
    part : Part, optional
    weigh : Weigh, optional
        Of a weighted outcome model.
    """

    fitted: Fitted | None = None
    read: Reader | None = None
    part: Part | None = None
    weigh: Weigh | None = None

    def _passed(self, groups: WholeGroups | None, keys: tuple[Any, ...], slope: bool) -> tuple[Averaged, Accumulated]:
        assert self.fitted is not None and self.read is not None and self.part is not None
        prediction = Prediction(self.fitted, self.read, self.part, self.options, keys, slope, groups, self.weigh)
        passes = self.passes if groups is None else self.passes.with_columns((groups.name,))
        sums: Sums = passes.total(prediction)  # type: ignore[arg-type]
        total = np.where(sums["total"] > 0, sums["total"], 1.0)
        means, gradients = sums["means"] / total[:, None], sums["gradients"] / total[:, None, None]
        wanted = [Setting(key, "", column_at(self.frame.the_treatment, key)) for key in keys]
        surface = Surface(self.fitted.record, self.frame, self.part, self.options)
        for each in gradients[sums["total"] > 0]:
            surface.identified(each, wanted)
        stages = self._stages()
        jac = surface.padded(stages, gradients.reshape(-1, gradients.shape[-1]))
        shape = Influence(stages, jac, self.passes.plan.survey.kept, rooted=True)
        part = Averages(prediction, sums["total"], means, jac, self._drift(sums, means, total))
        return part, Accumulated(passes, part, shape, np.eye(len(jac)), True)

    def _drift(self, sums: Sums, means: Array, total: Array) -> tuple[Array, ...]:
        """See ``Averages.moved``."""
        if "moved" not in sums.added:
            return ()
        parts = (sums["moved"] - means[:, :, None] * sums["drift"][:, None, :]) / total[:, None, None]
        before = self._stages()[:-1]
        return tuple(influence_weights(before, parts.reshape(-1, parts.shape[-1]), expected=False, fixed=False))

    def _stages(self) -> tuple[Stage, ...]:
        """The equations: the same objects in every answer, so that answers stack."""
        assert self.fitted is not None
        if "stages" not in self._known:
            record = self.fitted.record
            self._known["stages"] = (*record.earlier, record.stage())
        stages: tuple[Stage, ...] = self._known["stages"]
        return stages


@dataclass(frozen=True)
class _Doses:
    """A function of the doses of rows of positive sampling weight."""

    function: Callable[[Array], Any]

    def __call__(self, frame: Any) -> Any:
        return self.function(frame.the_treatment.values[frame.sampled])


def _spread_of(x: Array) -> Spread:
    return Spread.of(x[:, None], np.ones(len(x)))


def no_means(wanted: Sequence[Setting], target: Array) -> Estimate:
    """What stands for the means before a group is named."""
    raise NotImplementedError
