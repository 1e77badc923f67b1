"""Pictures of group-time effects: their grid, an event study, and the means of the groups over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.did.aggregate import Aggregated
from causalformula.plots.draw import short
from causalformula.plots.event_study import Series, event_study, grid, paths
from causalformula.results.effects.core import ResultCore
from causalformula.results.effects.pictures import axis_label, effects
from causalformula.results.families.group_time import (
    averages_of,
    before_treatment,
    of_groups,
    the_group_time,
    values_of,
)
from causalformula.results.families.groups_over_time import groups_over_time
from causalformula.results.joint.bands import simultaneous

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Draws of the band in a picture, always the same ones; simultaneous(seed=) has others.
REPS, SEED = 9999, 1
HEADS = {"event": "Time since treatment", "group": "First treated period", "time": "Period"}


def series_of(result: ResultCore, level: float) -> Series:
    """A summary of group-time effects with its intervals and its band, in order."""
    (name, _), *_ = result.answer.labels[0].groups
    values = values_of(result, name)
    at = np.array([float(value) for value in values]) if name == "event" else np.arange(float(len(values)))
    reading = result.read(level)
    low, high = reading.low, reading.high
    table = simultaneous(result, level, REPS, SEED, "normal").table
    before = before_treatment(result)
    reference = reference_of(result) if name == "event" else None
    return Series(
        at, reading.estimate, low, high, table["conf.low"].to_numpy(), table["conf.high"].to_numpy(),
        np.zeros(len(at), dtype=bool) if before is None else before, reference,
    )  # fmt: skip


def reference_of(result: ResultCore) -> float | None:
    """The event time that all others are compared with, where there is one."""
    averages = averages_of(result)
    if averages is not None:
        return averages.reference
    found, options = the_group_time(result, "plot"), result.call.options
    since = np.unique(found.units.times[[cell.base for cell in found.cells.cells]] - found.cells.starts)
    universal = options.base_period == "universal"  # type: ignore[attr-defined]
    return float(since[0]) if universal and len(since) == 1 else None


def study(
    result: ResultCore, ax: Axes | None = None, level: float = 0.95, beside: Mapping[str, ResultCore] | None = None
) -> Axes:
    """Effects by event time, group or period, with the interval of each and the band of all; others beside them."""
    series, (name, _) = series_of(result, level), result.answer.labels[0].groups[0]
    shown = {result.call.record.words if beside else "": series}
    shown |= {label: series_of(other, level) for label, other in (beside or {}).items()}
    ax = event_study(shown, ax, level=level, began=-0.5 if name == "event" else None)
    if name != "event":
        ax.set_xticks(series.at, values_of(result, name))
    ax.set_xlabel(HEADS[name])
    ax.set_ylabel(short(axis_label(result)))
    return ax


def group_grid(result: ResultCore, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Effects of all groups in all periods."""
    found = the_group_time(result, "plot")
    adoption, panel, cells = found.units.adoption, result.call.frame.panel, found.cells
    assert panel is not None
    shown = sorted({cell.group for cell in cells.cells})
    place = {group: k for k, group in enumerate(shown)}
    estimate = np.full((len(shown), len(panel.periods.levels)), np.nan)
    apart = np.zeros(estimate.shape, dtype=bool)
    table = simultaneous(result, level, REPS, SEED, "normal").table
    excludes = (table["conf.low"] > 0) | (table["conf.high"] < 0)
    for k, cell in enumerate(cells.cells):
        estimate[place[cell.group], cell.period] = cells.estimate.theta[k]
        apart[place[cell.group], cell.period] = excludes.iloc[k]
    began = np.searchsorted(adoption.times, adoption.starts[shown])
    groups = [adoption.names[k] for k in shown]
    return grid(
        ax, groups, panel.periods.levels, estimate, apart, began, names=(panel.treated, panel.time),
        of=axis_label(result),
    )  # fmt: skip


def group_paths(result: ResultCore, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Means of the groups over time, and where the treated would be without treatment; no intervals."""
    found = the_group_time(result, "plot")
    frame, cells = result.call.frame, found.cells
    over = groups_over_time(frame)
    means = over.means()
    labels = [f"{frame.panel.treated} = {name}" for name in over.groups]  # type: ignore[union-attr]
    without: dict[str, Any] = {}
    for k in sorted({cell.group for cell in cells.cells}):
        line = np.full(len(over.periods), np.nan)
        for cell, effect, event in zip(cells.cells, cells.estimate.theta, cells.event, strict=True):
            if cell.group == k and event >= 0:
                line[cell.period] = means[k, cell.period] - effect
        first = int(np.flatnonzero(np.isfinite(line))[0]) if np.isfinite(line).any() else 0
        if first:
            line[first - 1] = means[k, first - 1]
        without[labels[k]] = line
    outcome = "" if frame.outcome is None else frame.outcome.name
    at = found.units.times
    return paths(
        ax, at, over.periods, dict(zip(labels, means, strict=True)), without,
        names=(f"Mean of {outcome}", over.time),
    )  # fmt: skip


GRID: Mapping[str, Callable[[Any, Any, float], Any]] = {"grid": group_grid, "trends": group_paths, "effects": effects}
STUDY: Mapping[str, Callable[[Any, Any, float], Any]] = {"event_study": study, "effects": effects}
ONE: Mapping[str, Callable[[Any, Any, float], Any]] = {"effects": effects}


def pictures_of(result: ResultCore) -> Mapping[str, Callable[[Any, Any, float], Any]]:
    """Those that a result of group-time effects has; the first is drawn where none is named."""
    if of_groups(result) and averages_of(result) is not None:
        return ONE if not result.answer.labels[0].groups else STUDY
    if not isinstance(result.query, Aggregated):
        return GRID
    return ONE if result.query.overall or result.query.how == "simple" else STUDY
