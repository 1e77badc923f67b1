"""Difference in differences of two groups over two periods by passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.did.options import DiD
from causalformula.backends.did.record import refuse_unread
from causalformula.backends.did.regression import (
    NO_GROUPS,
    PART,
    WORDS,
    control_columns,
    lasting_words,
    raise_unidentified,
    trend,
)
from causalformula.backends.entangled import strained_notes
from causalformula.backends.fit import Answer, DesignWeights, Fit, Query
from causalformula.backends.fit import Fitted as Behind
from causalformula.errors import CapabilityError, DataError, counted, some
from causalformula.formula.language.deparse import symbol
from causalformula.frame.two_periods import alone_words
from causalformula.inference.away import away
from causalformula.inference.evidence import Accumulated, Influence
from causalformula.inference.sandwich.ended import Ended, grouped, told
from causalformula.inference.sandwich.grouped import Grouped
from causalformula.numerics.arrays import Array
from causalformula.scale.averages import Averaged, WholeAverages, no_means
from causalformula.scale.blocks.regression import Reader
from causalformula.scale.estimators.regression import fit_outcome, whole_model
from causalformula.scale.regression import Fitted
from causalformula.scale.sums import Sums
from causalformula.scale.whole import WholeFrame, WholeGroups, by_group


@dataclass(frozen=True, eq=False)
class Trend:
    """Sums over the treated after the change, of their outcomes as they were and under parallel trends."""

    fitted: Fitted
    read: Reader
    keys: tuple[Any, ...]

    def __call__(self, frame: Any) -> Sums:
        """Of a chunk."""
        model, target = self.fitted.at(self.read(frame)), after(frame)
        found = [trend(model, frame, bool(key), target) for key in self.keys]
        means, gradients = np.array([target @ m for m, _ in found]), np.array([gradient for _, gradient in found])
        return Sums({"total": float(target.sum()), "means": means, "gradients": gradients})


def after(frame: Any) -> Array:
    """Weights (n,) of the treated after the change."""
    return np.where(frame.the_panel.cells == 3, frame.unit_weights, 0.0)


@dataclass(frozen=True, eq=False)
class Averages:
    """Averages over the treated after the change on a chunk; see ``inference.evidence.Part``."""

    trends: Trend
    total: Array
    mean: Array
    jac: Array

    def at(self, chunk: Any) -> Influence:
        """See ``inference.evidence.Part``."""
        model, target = self.trends.fitted.at(self.trends.read(chunk)), after(chunk)
        off = [trend(model, chunk, bool(key), target)[0] - self.mean[0, k] for k, key in enumerate(self.trends.keys)]
        direct = chunk.n * target[:, None] * np.column_stack(off) / self.total[0]
        return Influence((model.stage(),), self.jac, chunk.n, direct, rooted=True)


@dataclass(frozen=True, eq=False)
class WholeTrends(WholeAverages):
    """What the regression answers, where its rows are elsewhere, and the four cell means.

    Parameters
    ----------
    cells : ndarray (4, 3)
        Weight, mean outcome and rows of each group in each period.
    units : tuple of (list of int, list of int), optional
        Units in each group and period, and in each group.
    """

    fitted: Fitted | None = None
    read: Reader | None = None
    cells: Array | None = None
    units: tuple[list[int], list[int]] | None = None

    def _passed(self, groups: WholeGroups | None, keys: tuple[Any, ...], slope: bool) -> tuple[Averaged, Accumulated]:
        assert self.fitted is not None and self.read is not None
        task = Trend(self.fitted, self.read, keys)
        sums: Sums = self.passes.total(task)
        total, record = sums["total"], self.fitted.record
        gradients = sums["gradients"] / total
        if not record.estimable(gradients).all():
            raise_unidentified(record, self.frame, gradients)
        if "stage" not in self._known:
            self._known["stage"] = record.stage()
        jac = record.jacobian(gradients)
        shape = Influence((self._known["stage"],), jac, self.passes.plan.survey.kept, rooted=True)
        part = Averages(task, np.array([total]), sums["means"][None, :] / total, jac)
        return part, Accumulated(self.passes, part, shape, np.eye(len(jac)), True)


@dataclass(frozen=True)
class _Cells:
    """Weight, weighted outcome from an origin, and rows, of each group and period."""

    origin: float

    def __call__(self, frame: Any) -> Sums:
        cells, w = frame.the_panel.cells, frame.unit_weights
        y = frame.y - self.origin
        return Sums({"cells": np.array([np.bincount(cells, v, 4) for v in (w, w * y, (w > 0).astype(float))])})


@dataclass(frozen=True)
class _Units:
    """Rows of each unit in each group and period, those of positive weight, and by how much controls change."""

    name: str
    ordered: bool

    def __call__(self, frame: Any) -> Grouped | Ended:
        cells = frame.the_panel.cells
        hot = (cells[:, None] == np.arange(4)).astype(float)
        # a difference is zero where both are the same, and nowhere else
        change = control_columns(frame)[1] * np.where(cells % 2, 1.0, -1.0)[:, None]
        values = np.hstack([hot, hot * (frame.unit_weights > 0)[:, None], change])
        return grouped(frame.keys(self.name), values, _unit_sums, self.ordered)


def _unit_sums(units: Grouped) -> Sums:
    """How many units there are of each kind, and the values of a few that have several rows in a period."""
    every, used, change = units.sums[:, :4], units.sums[:, 4:8] > 0, units.sums[:, 8:]
    two = (every[:, [0, 2]].sum(axis=1) > 0) & (every[:, [1, 3]].sum(axis=1) > 0)
    twice = np.flatnonzero((every[:, :2] + every[:, 2:] > 1).any(axis=1))
    both = (every[:, :2].sum(axis=1) > 0) & (every[:, 2:].sum(axis=1) > 0)
    return Sums(
        {
            "twice": tuple(units.keys[twice]),
            "both": int(both.sum()),
            "alone": int((used.sum(axis=1) == 1).sum()),
            "cells": used.sum(axis=0),
            "changed": (change[two] != 0).sum(axis=0),
            "groups": np.array([used[:, :2].any(axis=1).sum(), used[:, 2:].any(axis=1).sum()]),
        }
    )


def with_units(frame: WholeFrame) -> WholeFrame:
    """The frame, whose print says which units are observed in one period; see ``told_units``."""
    if frame.panel is None or frame.panel.groups is None:
        return frame
    told_of = told_units(frame).alone
    return replace(frame, notes=(*frame.notes, *told_of)) if told_of else frame


@dataclass(frozen=True)
class Told:
    """What is known of units.

    Parameters
    ----------
    counts : tuple of (list of int, list of int), optional
        Units in each group and period, and in each group.
    alone, lasting : tuple of str
        Notes on units of one period, and on controls that are the same in both.
    """

    counts: tuple[list[int], list[int]] | None = None
    alone: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()


def told_units(frame: WholeFrame) -> Told:
    """What is known of units, asked once."""
    found: Told = frame.remembered("units", lambda: unit_counts(frame))
    return found


def unit_counts(frame: WholeFrame) -> Told:
    """What one pass says of units.

    Raises
    ------
    DataError
        For a unit with several rows in a period, or with two groups that are none of a treatment.
    CapabilityError
        For a treatment that switches on within units.
    """
    if frame.unit is None:
        return Told()
    panel, name = frame.the_panel, frame.unit.name
    passes, ordered = by_group(frame.passes, name)
    found: Sums = told(passes.total(_Units(name, ordered)), _unit_sums)
    if found["twice"]:
        have = "has" if len(found["twice"]) == 1 else "have"
        raise DataError(
            f"{name} {some(found['twice'], 5)} {have} more than one row in a period "
            f"of {panel.time}; give each unit one row a period, or write cluster({symbol(name)}), without unit="
        )
    if found["both"]:
        raise CapabilityError(
            f"{panel.treated} changes within {counted(found['both'], 'unit')} of {name}: where the data are, the first "
            "variable of did(...) must say in which group a unit is, in all its rows; make it a column of the data"
        )
    counts = found["cells"].tolist(), found["groups"].tolist()
    lasting = lasting_words(control_columns(frame)[0], found["changed"] == 0)
    return Told(counts, alone_words(name, found["alone"]), tuple(lasting))


def did(frame: WholeFrame, options: DiD) -> Fit:
    """Average effect on the treated by the difference in differences of two groups; see ``backends.did``.

    Parameters
    ----------
    frame : WholeFrame
    options : DiD

    Returns
    -------
    Fit

    Raises
    ------
    CapabilityError
        For several groups and periods, and for estimators other than the regression.
    """
    several = frame.panel is not None and frame.panel.adoption is not None
    if several or options.est_method is not None or options.learns:
        raise CapabilityError(
            "where the data are, a difference in differences is the regression of two groups over two periods; for "
            "several groups and periods, est_method= and learners fit to a sample of the units, in memory"
        )
    panel, passes = frame.the_panel, frame.passes  # which refuses another design before anything is fitted
    refuse_unread(frame, options)
    units = told_units(frame)
    origin = float(passes.plan.prototype.outcome.numeric()[0])  # type: ignore[union-attr]
    weight, outcome, rows = passes.total(_Cells(origin))["cells"]
    fitted, read = fit_outcome(frame, PART, options.outcome_family)
    model = whole_model(passes, fitted, read)
    potential = WholeTrends(
        frame,
        options,
        no_means,
        no_groups=NO_GROUPS,
        origin=model.origin,
        fitted=fitted,
        read=read,
        cells=np.column_stack([weight, origin + outcome / weight, rows]),
        units=units.counts,
    )
    answer = potential.answer(Query())
    shape = Answer(replace(answer.estimate, evidence=answer.estimate.evidence.shape), answer.labels)  # type: ignore[union-attr]
    strained = strained_notes(shape, model, frame.design(PART).recipe, panel.treated, panel.time)
    return Fit(
        answer=answer,
        estimand=str(options.estimand),
        design=DesignWeights(away(passes.words)),
        method=WORDS,
        outcomes=potential,
        models={"outcome": Behind(model, PART)},
        notes=(*model.notes, *dropped_terms(model, "regression"), *units.lasting, *strained),
    )
