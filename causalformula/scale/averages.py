"""Averages of predictions over rows that are elsewhere: g-computation by passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.backends.contrasts import Contrast, Setting, column_at, contrasts
from causalformula.backends.fit import Answer, Query, with_labels
from causalformula.backends.options import Options
from causalformula.backends.outcomes import PotentialMeans, joined
from causalformula.backends.standardize import Surface, mean_gradient
from causalformula.backends.target import target_arm, target_weights
from causalformula.frame.parts import Part
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Accumulated, Influence
from causalformula.inference.regression import FittedRegression
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array
from causalformula.scale.blocks.regression import Reader
from causalformula.scale.order import quantiles
from causalformula.scale.passes import Passes
from causalformula.scale.plan import ChunkFrame, Plan
from causalformula.scale.regression import Fitted
from causalformula.scale.sources.source import Chunk
from causalformula.scale.sums import Spread, Sums
from causalformula.scale.whole import WholeFrame, WholeGroups

SPREADS = ("sd", "iqr", "minmax")


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A regression's coefficients on a chunk."""

    fitted: Fitted
    read: Reader

    def at(self, chunk: Any) -> Influence:
        """See ``inference.evidence.Part``."""
        evidence = self.fitted.at(self.read(chunk)).estimate().evidence
        assert isinstance(evidence, Influence)
        return evidence


@dataclass(frozen=True, eq=False)
class Augmented:
    """The rows of a chunk that are kept, with fitted values, residuals and leverages."""

    plan: Plan
    fitted: Fitted
    read: Reader

    def __call__(self, chunk: Chunk) -> Any:
        """Of a chunk, as a pandas frame."""
        frame = self.plan.frame(chunk)
        data = chunk.to_pandas().iloc[[] if frame is None else frame.rows].reset_index(drop=True)
        model = None if frame is None else self.fitted.at(self.read(frame))
        none = np.empty(0)
        data[".fitted"] = none if model is None else model.mu
        data[".resid"] = none if model is None else model.y - model.mu
        data[".hat"] = none if model is None else model.hat.leverage()
        return data


def augmented(passes: Passes, model: FittedRegression, path: str) -> None:
    """Write the rows used, with what a model says of each, to a Parquet file."""
    evidence = model.estimate().evidence
    assert isinstance(evidence, Accumulated) and isinstance(evidence.part, Coefficients)
    names = passes.source.names
    task = Augmented(passes.plan.with_columns(names), evidence.part.fitted, evidence.part.read)
    passes.source.write(task, names, path)


def coefficients(passes: Passes, fitted: Fitted, read: Reader) -> Estimate:
    """The estimable coefficients of a fit to rows that are elsewhere."""
    record = fitted.record
    stage, back = record.stage(), np.eye(record.rank)
    if record.hat.moved is not None:
        back = back - record.hat.moved
    shape = Influence((stage,), back, passes.plan.survey.kept, rooted=True)
    evidence = Accumulated(passes, Coefficients(fitted, read), shape, np.eye(record.rank))
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
    """

    fitted: Fitted
    read: Reader
    part: Part
    options: Options
    keys: tuple[Any, ...]
    slope: bool = False
    groups: WholeGroups | None = None

    def pieces(self, frame: ChunkFrame) -> tuple[Surface, list[Array], list[tuple[Array, Any]]]:
        """The surface on a chunk, the target's weights of each group, and for each setting predictions and slopes."""
        surface = Surface(self.fitted.at(self.read(frame)), frame, self.part, self.options)
        target = target_weights(frame, self.options)
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
        return Sums({"total": np.array([t.sum() for t in targets]), "means": means, "gradients": gradients})

    def _gradient(self, surface: Surface, target: Array, how: Any) -> Array:
        if self.slope:
            return surface.rising(how, target, 1.0)[1]
        change, d = how
        return mean_gradient(surface.model, change, target * d)


@dataclass(frozen=True, eq=False)
class Averages:
    """Averages of predictions, all groups and settings one after another, on a chunk.

    Parameters
    ----------
    prediction : Prediction
    total : ndarray (groups,)
    mean : ndarray (groups, settings)
    jac : ndarray (groups * settings, r)
    """

    prediction: Prediction
    total: Array
    mean: Array
    jac: Array

    def at(self, chunk: Any) -> Influence:
        """See ``inference.evidence.Part``."""
        surface, targets, found = self.prediction.pieces(chunk)
        n = chunk.n
        direct = [
            n * t * (m - self.mean[g, s]) / self.total[g] if self.total[g] else np.zeros(n)
            for g, t in enumerate(targets)
            for s, (m, _) in enumerate(found)
        ]
        return Influence(surface.stages, self.jac, n, np.column_stack(direct), rooted=True)


@dataclass(frozen=True, eq=False)
class WholeMeans(PotentialMeans):
    """What a regression's predictions answer, where its rows are elsewhere.

    Parameters
    ----------
    fitted : Fitted, optional
    read : Reader, optional
    part : Part, optional
    """

    fitted: Fitted | None = None
    read: Reader | None = None
    part: Part | None = None
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

    def _group(self, groups: WholeGroups | None, k: int) -> WholeMeans:
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

    def _averages(self, groups: WholeGroups | None, keys: tuple[Any, ...], slope: bool) -> tuple[Averages, Accumulated]:
        """The averages of all groups, by one pass."""
        known = (None if groups is None else groups.name, keys, slope)
        if known not in self._known:
            self._known[known] = self._passed(groups, keys, slope)
        found: tuple[Averages, Accumulated] = self._known[known]
        return found

    def _passed(self, groups: WholeGroups | None, keys: tuple[Any, ...], slope: bool) -> tuple[Averages, Accumulated]:
        assert self.fitted is not None and self.read is not None and self.part is not None
        prediction = Prediction(self.fitted, self.read, self.part, self.options, keys, slope, groups)
        passes = self.passes if groups is None else self.passes.with_columns((groups.name,))
        sums: Sums = passes.total(prediction)  # type: ignore[arg-type]
        total = np.where(sums["total"] > 0, sums["total"], 1.0)
        means, gradients = sums["means"] / total[:, None], sums["gradients"] / total[:, None, None]
        wanted = [Setting(key, "", column_at(self.frame.the_treatment, key)) for key in keys]
        surface = Surface(self.fitted.record, self.frame, self.part, self.options)
        for each in gradients[sums["total"] > 0]:
            surface.identified(each, wanted)
        jac = self.fitted.record.jacobian(gradients.reshape(-1, gradients.shape[-1]))
        shape = Influence((self._stage(),), jac, self.passes.plan.survey.kept, rooted=True)
        part = Averages(prediction, sums["total"], means, jac)
        return part, Accumulated(passes, part, shape, np.eye(len(jac)), True)

    def _stage(self) -> Stage:
        """The outcome model's equations: the same object in every answer, so that answers stack."""
        assert self.fitted is not None
        if "stage" not in self._known:
            self._known["stage"] = self.fitted.record.stage()
        stage: Stage = self._known["stage"]
        return stage


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
