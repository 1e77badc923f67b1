"""Group-time average treatment effects: each group in each period, compared with those who are not treated yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from causalformula.backends.did.cells import Odds, Solved
from causalformula.backends.did.options import DiD, estimator_of
from causalformula.backends.did.panels import Units
from causalformula.errors import ConvergenceError, DataError, IdentificationError, some
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.numerics.arrays import Array, Bools


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
    """

    cells: tuple[Cell, ...]
    starts: Array
    times: Array
    estimate: Estimate
    trimmed: int = 0

    @property
    def event(self) -> Array:
        """Time since the first treated period (q,)."""
        return self.times - self.starts


def planned(units: Units, options: DiD) -> tuple[tuple[Cell, ...], list[str]]:
    """Cells that have a base period and somebody to compare with, and the groups that have none.

    Raises
    ------
    DataError
        Where there is no cell.
    """
    times, out, alone = units.times, [], []
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
        if not found:
            alone.append(units.adoption.names[k])
    if not out:
        raise DataError(_nobody(options))
    return tuple(out), alone


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


def group_time(units: Units, options: DiD, cells: tuple[Cell, ...], names: list[str]) -> Cells:
    """All cells; those that share their rows and covariates share the models of treatment and outcome."""
    theta = np.empty(len(cells))
    psi = np.zeros((units.n, len(cells)))
    solve = _from_samples if units.rows is None else _from_changes
    trimmed = 0
    for where, part, found, cut in solve(units, options, cells):
        theta[where] = found.theta
        psi[np.ix_(part, where)] = found.influence
        trimmed += cut
    psi *= units.n
    evidence = Influence(
        (), np.zeros((len(cells), 0)), units.n, psi, always=True,
        units=units.named, used=units.weights > 0,
    )  # fmt: skip
    starts = units.adoption.starts[[cell.group for cell in cells]]
    times = units.times[[cell.period for cell in cells]]
    return Cells(cells, starts, times, Estimate(tuple(names), theta, evidence), trimmed)


Found = Iterator[tuple[list[int], Array, Solved, int]]


def _from_changes(units: Units, options: DiD, cells: tuple[Cell, ...]) -> Found:
    """Cells of units that are observed throughout: their changes, many periods at once."""
    assert units.rows is not None
    estimator = estimator_of(options)
    y, w, (X, Z) = units.frame.y, units.frame.unit_weights, units.regressors
    shared: dict[tuple[object, ...], list[int]] = {}
    masks: dict[tuple[int, int], Bools] = {}
    for j, cell in enumerate(cells):
        latest = max(cell.period, cell.base) if options.control_group == "notyettreated" else 0
        if (cell.group, latest) not in masks:
            start = float(units.adoption.starts[cell.group])
            masks[cell.group, latest] = compared(units, options, start, latest)
        key = (cell.group, latest, None if units.lasting else cell.base)
        shared.setdefault(key, []).append(j)
    for (group, latest, _), where in shared.items():
        treated = units.start == units.adoption.starts[group]  # type: ignore[call-overload]
        part = np.flatnonzero(treated | masks[group, latest])  # type: ignore[index]
        rows = units.rows[part]
        before = rows[:, cells[where[0]].base]
        one, weights = treated[part].astype(float), w[before]
        change = np.column_stack([y[rows[:, cells[j].period]] - y[rows[:, cells[j].base]] for j in where])
        with _named(units, cells, where):
            odds = estimator.odds(Z[before], one, weights)
            found = estimator.changes(X[before], change, one, weights, odds)
        yield where, part, found, _cut(odds)


def _from_samples(units: Units, options: DiD, cells: tuple[Cell, ...]) -> Found:
    """Cells of periods that are samples of their own, the influences of a unit's rows added up."""
    frame, (X, Z), estimator = units.frame, units.regressors, estimator_of(options)
    assert frame.panel is not None
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
        yield [j], part, Solved(found.theta, np.bincount(place, found.influence[:, 0])[:, None]), _cut(odds)


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
