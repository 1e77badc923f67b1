"""Summaries of group-time effects: weighted means, with the influence of the weights, which are estimated too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from causalformula.backends.did.group_time import Cells
from causalformula.backends.did.panels import Units
from causalformula.backends.fit import Query
from causalformula.errors import OptionError, some
from causalformula.frame.adoption import Adoption
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.numerics.arrays import Array, Bools


class Timed(Protocol):
    """What has groups and periods."""

    @property
    def frame(self) -> ModelFrame: ...  # noqa: D102

    @property
    def adoption(self) -> Adoption: ...  # noqa: D102


KINDS = ("simple", "group", "dynamic", "calendar")


@dataclass(frozen=True, eq=False)
class Aggregated(Query):
    """Asks for a summary of group-time effects.

    Parameters
    ----------
    how : {"simple", "group", "dynamic", "calendar"}
    min_e, max_e : float
        Event times that take part.
    balance_e : float or None
        Of ``dynamic``, only groups that are observed at least so long after their treatment began, and no later event
        times.
    overall : bool
        One number in place of one a group, event time or period.
    """

    kind: str = "aggregated"
    how: str = "simple"
    min_e: float = -np.inf
    max_e: float = np.inf
    balance_e: float | None = None
    overall: bool = False


@dataclass(frozen=True, eq=False)
class Summary:
    """Means of some group-time effects, by what they are of, and their overall mean.

    Parameters
    ----------
    by : str
        ``group``, ``event`` or ``time``; empty for the simple mean.
    values : ndarray (k,)
        Groups' first periods, event times or periods.
    estimate : Estimate
        (k,), or the overall mean alone.
    """

    by: str
    values: Array
    estimate: Estimate


def shares(units: Units) -> Estimate:
    """The share (G,) of each group among the units that take part, with its influence."""
    starts, w = units.adoption.starts, units.weights
    member = w[:, None] * (units.start[:, None] == starts)
    total = w.sum()
    p = member.sum(axis=0) / total
    psi = units.n / total * (member - w[:, None] * p)
    evidence = Influence((), np.zeros((len(p), 0)), units.n, psi, always=True, used=w > 0)
    return Estimate(tuple(f"share {name}" for name in units.adoption.names), p, evidence)


def summarised(cells: Cells, units: Units, share: Estimate, query: Aggregated) -> Summary:
    """A summary of group-time effects.

    Parameters
    ----------
    share : Estimate
        The groups' ``shares``.

    Raises
    ------
    OptionError
        Where no effect is left.
    """
    kept = taken(cells, units, query)
    match query.how:
        case "simple":
            return _means(cells, share, "", [(np.nan, kept)], True, kept)
        case "group":
            return _means(cells, share, "group", _each(cells.starts, kept), query.overall, kept, by_share=True)
        case "calendar":
            return _means(cells, share, "time", _each(cells.times, kept), query.overall, kept)
    return _means(cells, share, "event", _each(cells.event, kept), query.overall, kept & (cells.event >= 0))


def _each(values: Array, kept: Bools) -> list[tuple[float, Bools]]:
    return [(float(value), kept & (values == value)) for value in np.unique(values[kept])]


def taken(cells: Cells, units: Units, query: Aggregated) -> Bools:
    """Which cells a summary is of."""
    last = cells.times.max() if len(cells.times) else np.nan
    return in_window(cells.event, cells.starts, (units.times[0], last), query)


def in_window(event: Array, starts: Array, span: tuple[float, float], query: Aggregated) -> Bools:
    """Which cells have one of the event times that a summary is of.

    Parameters
    ----------
    event, starts : ndarray (q,)
        Event times and first treated periods of the cells.
    span : tuple of float
        First and last period.
    """
    low = query.min_e if query.how == "dynamic" else 0.0
    kept = (event >= low) & (event <= query.max_e)
    if query.how == "dynamic" and query.balance_e is not None:
        first, last = span
        kept &= (last - starts >= query.balance_e) & (event <= query.balance_e)
        kept &= event >= query.balance_e - last + first
    return np.asarray(kept)


def told_of_summary(query: Aggregated, kept: Bools, event: Array, member: Bools, names: Sequence[str]) -> list[str]:
    """What a summary is not of: event times, groups, and groups that some of its event times do not have.

    Parameters
    ----------
    kept : ndarray (q,) of bool
        Cells that it is of.
    event : ndarray (q,)
    member : ndarray (G, q) of bool
        Which groups are in a cell.
    names : sequence of str
        Of the groups.
    """
    lines, after, dynamic = [], event >= 0, query.how == "dynamic"
    if not kept[after | dynamic].all():
        first, last = event[kept].min(), event[kept].max()
        lines.append(f"Event times that take part:  {first:g}{f' to {last:g}' if last > first else ''}")
    inside = member[:, kept & after].any(axis=1)
    gone = [names[g] for g in np.flatnonzero(member[:, after].any(axis=1) & ~inside)]
    if gone and inside.any():
        lines.append(f"Groups that take no part:  {some(gone)}")
    sizes = {
        value: int(member[:, kept & (event == value)].any(axis=1).sum()) for value in np.unique(event[kept & after])
    }
    fewer = [f"{value:g} ({size})" for value, size in sizes.items() if size < inside.sum()]
    if dynamic and fewer:
        remedy = "; balance_e= takes those that are in all" if query.balance_e is None else ""
        lines.append(f"Event times of fewer than the {int(inside.sum())} groups:  {some(fewer)}{remedy}")
    return lines


def _means(
    cells: Cells,
    share: Estimate,
    by: str,
    parts: list[tuple[float, Bools]],
    overall: bool,
    of: Bools,
    *,
    by_share: bool = False,
) -> Summary:
    """Means over the cells of each part, weighted by the groups' shares, or the mean of those that are ``of``."""
    if not parts or (overall and not of.any()) or not any(inside.any() for _, inside in parts):
        raise OptionError("no group-time effect is left to summarise; widen min_e, max_e and balance_e")
    group = np.array([cell.group for cell in cells.cells])
    theta, p = cells.estimate.theta, share.theta
    rows, moved = np.zeros((len(parts), len(theta))), np.zeros((len(parts), len(p)))
    for k, (_, inside) in enumerate(parts):
        weight = np.where(inside, p[group], 0.0)
        rows[k] = weight / weight.sum()
        np.add.at(moved[k], group[inside], (theta[inside] - rows[k] @ theta) / weight.sum())
    values, means = np.array([value for value, _ in parts]), rows @ theta
    if overall:
        inside = np.array([bool((part & of).any()) for _, part in parts])
        own = np.array([group[part][0] for _, part in parts])
        outer = p[own] if by_share else inside.astype(float)
        total, outer = outer.sum(), outer / outer.sum()
        mean = outer @ means
        rows, moved = outer[None, :] @ rows, outer[None, :] @ moved
        if by_share:
            np.add.at(moved[0], own, (means - mean) / total)
        means, values = np.array([mean]), np.array([np.nan])
    return Summary(by, values, _with_shares(cells.estimate, share, means, rows, moved, _names(by, values)))


def _with_shares(
    effects: Estimate, share: Estimate, means: Array, rows: Array, moved: Array, names: list[str]
) -> Estimate:
    """Combinations of effects and shares, by their Jacobians in both."""
    found = effects.map(lambda _: means, rows, names)
    assert isinstance(found.evidence, Influence) and isinstance(share.evidence, Influence)
    own, of_weights = found.evidence.direct, share.evidence.map(moved).direct
    assert own is not None and of_weights is not None
    return replace(found, evidence=replace(found.evidence, direct=own + of_weights))


def _names(by: str, values: Array) -> list[str]:
    return [f"{by}={value:.15g} ATT" if by and np.isfinite(value) else "ATT" for value in values]


def shown_values(by: str, values: Iterable[float], units: Timed) -> list[str]:
    """Groups, event times and periods as the data have them."""
    if by == "group":
        place = np.searchsorted(units.adoption.starts, np.fromiter(values, float))
        return [units.adoption.names[k] for k in place]
    if by == "time":
        panel = units.frame.panel
        assert panel is not None
        place = np.searchsorted(units.adoption.times, np.fromiter(values, float))
        return [panel.periods.levels[k] for k in place]
    return [f"{value:.15g}" for value in values]
