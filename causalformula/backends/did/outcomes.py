"""What a difference in differences answers: effects of groups over time, their summaries, the one of two periods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from causalformula.backends.did.aggregate import Aggregated, shares, shown_values, summarised, taken, told_of_summary
from causalformula.backends.did.group_time import Cells, comparisons, group_time, planned
from causalformula.backends.did.options import ESTIMATORS, LEARNED, OF_MANY, DiD, estimator_of, given_of
from causalformula.backends.did.panels import FEWEST, Units, told_of_covariates, told_of_few, told_of_small, units_of
from causalformula.backends.estimands import ATT
from causalformula.backends.fit import Answer, DesignWeights, Fit, Label, Query
from causalformula.backends.learning.folds import make_folds
from causalformula.backends.learning.notes import learning_notes
from causalformula.backends.learning.table import GLM, read_learner
from causalformula.backends.outcomes import means_answer
from causalformula.errors import CapabilityError, OptionError, counted, some
from causalformula.frame.adoption import of_groups
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.estimate import Estimate, stack
from causalformula.inference.evidence import Influence

TERM = "ATT"
NO_MEANS = (
    "group-time effects have no mean potential outcomes of their own: they are differences of changes; see "
    "aggregate() for their summaries"
)


@dataclass(frozen=True, eq=False)
class GroupTime:
    """Group-time effects, and what else is read off them.

    Parameters
    ----------
    units : Units
    cells : Cells
    """

    units: Units
    cells: Cells
    no_groups: str = "effects by group are aggregate('group'); for other groups fit each with subset="

    @cached_property
    def shares(self) -> Estimate:
        """The shares of the groups."""
        return shares(self.units)

    def answer(self, query: Query) -> Answer:
        """Group-time effects, or a summary of them."""
        if isinstance(query, Aggregated):
            return self._summary(query)
        if query.kind != "effects":
            raise CapabilityError(NO_MEANS)
        if query.split:
            raise CapabilityError(self.no_groups)
        cells = self.cells
        groups = shown_values("group", cells.starts, self.units)
        times = shown_values("time", cells.times, self.units)
        pairs = zip(groups, times, strict=True)
        labels = tuple(Label(TERM, "", (("group", group), ("time", time))) for group, time in pairs)
        return Answer(replace(cells.estimate, names=tuple(map(str, labels))), labels)

    def told(self, query: Aggregated) -> list[str]:
        """What a summary is not of."""
        cells, adoption = self.cells, self.units.adoption
        group = np.array([cell.group for cell in cells.cells])
        member = group == np.arange(len(adoption.starts))[:, None]
        return told_of_summary(query, taken(cells, self.units, query), cells.event, member, adoption.names)

    def _summary(self, query: Aggregated) -> Answer:
        found = summarised(self.cells, self.units, self.shares, query)
        if not found.by or query.overall:
            return Answer(replace(found.estimate, names=(TERM,)), (Label(TERM, ""),))
        values = shown_values(found.by, found.values, self.units)
        labels = tuple(Label(TERM, "", ((found.by, value),)) for value in values)
        return Answer(replace(found.estimate, names=tuple(map(str, labels))), labels)


def staggered(frame: ModelFrame, options: DiD) -> Fit:
    """Effects of groups that are treated at different times."""
    panel = frame.panel
    assert panel is not None and panel.adoption is not None
    units = units_of(frame, panel.adoption, options)
    plan, alone, lost = planned(units, options)
    cells = group_time(units, options, plan, [str(cell) for cell in plan])
    outcomes = GroupTime(units, cells)
    method = f"group-time effects ({_estimation(options)})"
    notes = (
        *units.notes,
        *_of_groups(units, options, cells, alone, lost),
        *_trimmed(cells),
        *_of_learners(frame, options, cells),
    )
    design = _design(units, "asympt")
    return Fit(outcomes.answer(Query()), ATT, design, method, outcomes, notes=notes)


def _estimation(options: DiD) -> str:
    """The estimator, and its learners."""
    word = ESTIMATORS[estimator_of(options).name]
    if not options.learns:
        return word
    names = (read_learner(getattr(options, name) or GLM, name).name for name in LEARNED)
    return f"{word}, {' and '.join(names)} cross-fitted"


def _of_learners(frame: ModelFrame, options: DiD, cells: Cells) -> tuple[str, ...]:
    """What is to be said of what was learned."""
    if not cells.learned:
        return ()
    return learning_notes(cells.learned, make_folds(frame, options.folds, 1, options.seed))


def _design(units: Units, vcov: str) -> DesignWeights:
    """Who takes part; the covariance that R's package has."""
    return DesignWeights(units.used.astype(float), vcov=vcov, on_units=units.frame.unit is not None)


def _of_groups(units: Units, options: DiD, cells: Cells, alone: list[str], lost: list[int]) -> list[str]:
    """Groups without a comparison, and those too small for a standard error."""
    notes, panel = told_of_covariates(units), units.frame.panel
    assert panel is not None
    name = panel.treated
    if alone:
        notes.append(
            f"{name} = {some(alone)}: no period before treatment, or nobody treated later to be compared with, so no "
            "effects"
        )
    if lost:
        notes.append(
            f"nobody is left to compare some groups with in {panel.time} = "
            f"{some(panel.periods.levels[k] for k in lost)}, where these have no effects"
        )
    members = {units.adoption.names[k]: units.members(k) for k in dict.fromkeys(cell.group for cell in cells.cells)}
    few = FEWEST + max(X.shape[1] for X in units.regressors)
    least: dict[str, int] = {}
    for cell, count in zip(cells.cells, comparisons(units, options, cells.cells), strict=True):
        period = panel.periods.levels[cell.period]
        least[period] = min(count, least.get(period, count))
    return notes + told_of_small(members, few, name) + told_of_few(least, few, panel.time)


def _trimmed(cells: Cells) -> list[str]:
    if not cells.trimmed:
        return []
    return [
        f"{counted(cells.trimmed, 'comparison')} with a control whose probability of treatment is trim_level or more "
        "left out, over all effects"
    ]


@dataclass(frozen=True, eq=False)
class TwoPeriods:
    """The effect on the treated of two groups over two periods."""

    units: Units
    cells: Cells
    label: Label
    no_groups: str = "this estimate has one effect for all the treated; for groups of them fit each with subset="

    def answer(self, query: Query) -> Answer:
        """The effect, or the treated's mean outcomes after the change without treatment and with it."""
        if query.split:
            raise CapabilityError(self.no_groups)
        if query.kind == "means":
            treatment = self.units.frame.the_treatment
            both = stack([self.cells.estimate, _mean_after(self.units)])
            return means_answer(treatment, both.contrast([[-1.0, 1.0], [0.0, 1.0]], treatment.levels))
        return Answer(replace(self.cells.estimate, names=(str(self.label),)), (self.label,))


def _mean_after(units: Units) -> Estimate:
    """Mean outcome of the treated after the change."""
    frame, periods = units.frame, units.frame.the_panel.periods.codes
    weights = np.where(units.used & (periods == 1) & np.isfinite(units.start[units.of_row]), frame.unit_weights, 0.0)
    total = weights.sum()
    mean = float(weights @ frame.y / total)
    psi = np.bincount(units.of_row, weights * (frame.y - mean), minlength=units.n) * (units.n / total)
    evidence = Influence(
        (), np.zeros((1, 0)), units.n, psi[:, None], always=True, units=units.named, used=units.weights > 0
    )  # fmt: skip
    return Estimate(("mean",), np.array([mean]), evidence)


def two_periods(frame: ModelFrame, options: DiD, label: Label) -> Fit:
    """The effect of two groups over two periods, by weights or regressions of the changes."""
    if given := given_of(options, OF_MANY):
        raise OptionError(f"{given}: with two groups and two periods there is one comparison; leave it out")
    panel = frame.the_panel
    assert panel.groups is not None
    units = units_of(frame, of_groups(panel.groups.codes, panel.periods), options)
    plan, _, _ = planned(units, options)
    cells = group_time(units, options, plan, [str(label)])
    outcomes = TwoPeriods(units, cells, label)
    method = f"difference in differences (two groups, two periods; {_estimation(options)})"
    notes = (
        *units.notes,
        *_of_groups(units, options, cells, [], []),
        *_trimmed(cells),
        *_of_learners(frame, options, cells),
    )
    design = _design(units, "" if frame.unit is not None else "HC1")
    return Fit(outcomes.answer(Query()), ATT, design, method, outcomes, notes=notes)
