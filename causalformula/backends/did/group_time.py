"""Group-time average treatment effects: each group in each period, compared with those who are not treated yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from causalformula.backends.did.cells import Odds, Solved, known_odds
from causalformula.backends.did.estimators import Estimator
from causalformula.backends.did.options import LEARNED, DiD, estimator_of
from causalformula.backends.did.panels import COVARIATES, Units
from causalformula.backends.learning.crossfit import Learned, Task, cross_fit
from causalformula.backends.learning.folds import make_folds
from causalformula.backends.learning.table import GLM, features, read_learner, refuse_kind
from causalformula.errors import CapabilityError, ConvergenceError, DataError, IdentificationError, some
from causalformula.frame.parts import PROPENSITY
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.numerics.arrays import Array, Bools, Codes


class Cell(NamedTuple):
    """A group in a period, and the period it is compared with: positions among the groups and periods."""

    group: int
    period: int
    base: int


@dataclass(frozen=True, eq=False)
class Cells:
    """Group-time effects.

    Parameters
    ----------
    cells : tuple of Cell
    starts : ndarray (q,)
        The groups' first treated periods.
    times : ndarray (q,)
        The periods.
    estimate : Estimate
        Of the effects (q,), with their influence on units.
    trimmed : int
        Controls that were not compared, over all cells.
    learned : tuple of Learned
        Nuisance functions that were cross-fitted.
    """

    cells: tuple[Cell, ...]
    starts: Array
    times: Array
    estimate: Estimate
    trimmed: int = 0
    learned: tuple[Learned, ...] = ()

    @property
    def event(self) -> Array:
        """Time since the first treated period (q,)."""
        return self.times - self.starts


def planned(units: Units, options: DiD) -> tuple[tuple[Cell, ...], list[str], list[int]]:
    """Cells that have a base period and somebody to compare with, groups that have none, and periods without anybody.

    Raises
    ------
    DataError
        Where there is no cell.
    """
    times, out, alone, lost = units.times, [], [], set()
    latest = np.max(units.start, initial=-np.inf, where=units.weights > 0)  # of all, who serve as comparison
    for k, start in enumerate(units.adoption.starts):
        if start > times[-1] or not (units.start == start).any():
            continue
        if start == latest:
            alone.append(units.adoption.names[k])
            continue
        before = np.flatnonzero(times + options.anticipation < start)
        found = 0
        for period in range(len(times)) if len(before) else ():
            last = int(before[-1])
            base = last if options.base_period == "universal" or times[period] >= start else period - 1
            if base < 0 or base == period:
                continue
            if compared(units, options, float(start), max(period, base)).any():
                out.append(Cell(k, period, base))
                found += 1
            else:
                lost.add(period)
        if not found:
            alone.append(units.adoption.names[k])
    if not out:
        raise DataError(_nobody(options))
    return tuple(out), alone, sorted(lost)


def _nobody(options: DiD) -> str:
    if options.control_group == "nevertreated":
        return (
            "no unit is never treated, so there is nobody to compare with; control_group='notyettreated' compares a "
            "group with those who are treated later"
        )
    return "no group has a period before its treatment in which others are not yet treated: nothing can be compared"


def compared(units: Units, options: DiD, start: float, latest: int) -> Bools:
    """Units (n,) that a group is compared with: never treated, or not before the later of two periods."""
    never = units.start == np.inf
    if options.control_group == "nevertreated":
        return never
    later = units.start > units.times[latest] + options.anticipation
    return np.asarray(later & (units.start != start))


def comparisons(units: Units, options: DiD, cells: tuple[Cell, ...]) -> list[int]:
    """How many units each cell is compared with: of samples of different units, the fewer of its two periods."""
    found = []
    for cell in cells:
        start = float(units.adoption.starts[cell.group])
        inside = compared(units, options, start, max(cell.period, cell.base)) & (units.weights > 0)
        if units.rows is None and units.frame.panel is not None:
            rows, periods = units.used & inside[units.of_row], units.frame.panel.periods.codes
            found.append(min(int((rows & (periods == k)).sum()) for k in (cell.period, cell.base)))
        else:
            found.append(int(inside.sum()))
    return found


def group_time(units: Units, options: DiD, cells: tuple[Cell, ...], names: list[str]) -> Cells:
    """All cells; those that share their rows and covariates share the models of treatment and outcome."""
    theta = np.empty(len(cells))
    psi = np.zeros((units.n, len(cells)))
    solve = from_samples if units.rows is None else from_learners if options.learns else from_changes
    trimmed, learned = 0, []
    for found in solve(units, options, cells):
        theta[found.where] = found.effects.theta
        psi[np.ix_(found.part, found.where)] = found.effects.influence
        trimmed += found.trimmed
        learned += found.learned
    psi *= units.n
    evidence = Influence(
        (), np.zeros((len(cells), 0)), units.n, psi, always=True, units=units.named, held=options.learns,
        used=units.weights > 0,
    )  # fmt: skip
    starts = units.adoption.starts[[cell.group for cell in cells]]
    times = units.times[[cell.period for cell in cells]]
    return Cells(cells, starts, times, Estimate(tuple(names), theta, evidence), trimmed, tuple(learned))


@dataclass(frozen=True, eq=False)
class Found:
    """Cells that were solved together: which, of which units (m,), and what was learned on the way."""

    where: list[int]
    part: Codes
    effects: Solved
    trimmed: int
    learned: tuple[Learned, ...] = ()


class Changes(NamedTuple):
    """Cells that share their units, and the covariates before: changes (m, T), and who is treated."""

    where: list[int]
    part: Codes
    before: Codes
    treated: Array
    weights: Array
    change: Array


def changes_of(units: Units, options: DiD, cells: tuple[Cell, ...]) -> Iterator[Changes]:
    """Changes of units that are observed throughout, those of many periods at once."""
    assert units.rows is not None
    y, w = units.frame.y, units.frame.unit_weights
    shared: dict[tuple[int, int, int], list[int]] = {}
    for j, cell in enumerate(cells):
        latest = max(cell.period, cell.base) if options.control_group == "notyettreated" else 0
        shared.setdefault((cell.group, latest, -1 if units.lasting else cell.base), []).append(j)
    for (group, latest, _), where in shared.items():
        start = float(units.adoption.starts[group])
        treated = units.start == start
        part = np.flatnonzero(treated | compared(units, options, start, latest))
        rows = units.rows[part]
        before = rows[:, cells[where[0]].base]
        change = np.column_stack([y[rows[:, cells[j].period]] - y[rows[:, cells[j].base]] for j in where])
        yield Changes(where, part, before, treated[part].astype(float), w[before], change)


def from_changes(units: Units, options: DiD, cells: tuple[Cell, ...]) -> Iterator[Found]:
    """By the estimator's own models, whose estimation is in the influence."""
    (X, Z), estimator = units.regressors, estimator_of(options)
    for where, part, before, treated, weights, change in changes_of(units, options, cells):
        with _named(units, cells, where):
            odds = estimator.odds(Z[before], treated, weights)
            effects = estimator.changes(X[before], change, treated, weights, odds)
        yield Found(where, part, effects, _cut(odds))


def from_learners(units: Units, options: DiD, cells: tuple[Cell, ...]) -> Iterator[Found]:
    """Doubly robust with learned models, each unit's from folds without it; the score lets them count as known."""
    frame, n = units.frame, units.frame.n
    folds = make_folds(frame, options.folds, 1, options.seed)
    of_outcome, of_treatment = features(frame, COVARIATES), features(frame, PROPENSITY)
    outcome = read_learner(options.outcome_model or GLM, LEARNED[0])
    treatment = read_learner(options.treatment_model or GLM, LEARNED[1])
    refuse_kind(treatment, "classification", LEARNED[1])
    for where, part, before, treated, weights, change in changes_of(units, options, cells):
        inside, arms, targets = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.intp), np.zeros((len(where), n))
        inside[before], arms[before], targets[:, before] = True, treated.astype(np.intp), change.T
        of = f"{frame.panel.treated} = {units.adoption.names[cells[where[0]].group]}" if frame.panel else ""
        tasks = [Task(f"treatment of {of}", treatment, "classification", of_treatment, arms, inside, option=LEARNED[1])]
        controls, levels = inside & (arms == 0), frame.panel.periods.levels if frame.panel else ()
        tasks += [
            Task(
                f"change to {levels[cells[j].period]} without {of}", outcome, "regression", of_outcome, y, controls,
                option=LEARNED[0],
            )
            for j, y in zip(where, targets, strict=True)
        ]  # fmt: skip
        learned = cross_fit(tasks, folds, frame.weights)
        p, *changes = (each.means[before, 0] for each in learned)
        with _named(units, cells, where):
            odds = known_odds(p, treated, weights, float(options.trim_level))
            left = change - np.column_stack(changes)
            effects = Estimator("ipw").changes(np.zeros((len(p), 0)), left, treated, weights, odds)
        yield Found(where, part, effects, odds.trimmed, tuple(learned))


def from_samples(units: Units, options: DiD, cells: tuple[Cell, ...]) -> Iterator[Found]:
    """Periods that are samples of their own, the influences of a unit's rows added up."""
    frame, (X, Z), estimator = units.frame, units.regressors, estimator_of(options)
    assert frame.panel is not None
    if options.learns:
        raise CapabilityError(
            "outcome_model= and treatment_model= are of the changes of units that are observed throughout: name them, "
            "did(..., unit = id), and leave out allow_unbalanced_panel"
        )
    periods, start = frame.panel.periods.codes, units.start[units.of_row]
    by_period = [np.flatnonzero(units.used & (periods == k)) for k in range(len(units.times))]
    for j, cell in enumerate(cells):
        group = float(units.adoption.starts[cell.group])
        inside = (start == group) | compared(units, options, group, max(cell.period, cell.base))[units.of_row]
        rows = np.concatenate([by_period[cell.base], by_period[cell.period]])
        rows = rows[inside[rows]]
        one, after = (start[rows] == group).astype(float), (periods[rows] == cell.period).astype(int)
        with _named(units, cells, [j]):
            _refuse_empty(one, after)
            odds = estimator.odds(Z[rows], one, frame.unit_weights[rows])
            found = estimator.samples(X[rows], frame.y[rows], one, after, frame.unit_weights[rows], odds)
        part, place = np.unique(units.of_row[rows], return_inverse=True)
        effects = Solved(found.theta, np.bincount(place, found.influence[:, 0])[:, None])
        yield Found([j], part, effects, _cut(odds))


def _refuse_empty(treated: Array, after: Array) -> None:
    if len(np.unique(2 * treated + after)) < 4:
        raise IdentificationError("one of the two groups has no row in one of the two periods")


def _cut(odds: Odds | None) -> int:
    return 0 if odds is None else odds.trimmed


class _named:
    """Errors of a cell with its name."""

    def __init__(self, units: Units, cells: tuple[Cell, ...], where: list[int]):
        self.units, self.cells = units, [cells[j] for j in where]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, (ConvergenceError, IdentificationError)):
            return
        panel = self.units.frame.panel
        assert panel is not None
        group = self.units.adoption.names[self.cells[0].group]
        periods = some([panel.periods.levels[cell.period] for cell in self.cells], 5)
        raise type(error)(
            f"the effect on the group {panel.treated} = {group} in {panel.time} = {periods} cannot be estimated: "
            f"{error}. Adjust for fewer covariates (groups that are small, or that a covariate tells apart, bear few)"
            + (", or use est_method='reg'" if isinstance(error, ConvergenceError) else "")
        ) from None
