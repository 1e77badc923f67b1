"""What the coefficient of a treatment beside units and periods is made of: comparisons of groups, and effects.

With equally many rows of each unit it is a weighted mean of the differences in differences of all pairs of groups over
the periods in which one of the two changes (Goodman-Bacon 2021), and, if trends are parallel, one of the effects of the
groups in the periods, with weights that may be negative (de Chaisemartin and D'Haultfoeuille 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.backends.did.panels import numbered
from causalformula.backends.did.rows import two_groups
from causalformula.errors import CapabilityError, DataError, counted
from causalformula.frame.adoption import NEVER, Adoption, of_groups
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.absorbed import absorber
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.arrays import Array, Bools, Codes

UNTREATED, ALWAYS = "Treated vs Untreated", "Later vs Always Treated"
EARLIER, LATER = "Earlier vs Later Treated", "Later vs Earlier Treated"


@dataclass(frozen=True)
class Comparison:
    """Two groups over the periods in which the first of them becomes treated, and the other does not change.

    Parameters
    ----------
    treated, control : float
        First treated periods; infinite for never.
    kind : str
        As ``bacondecomp`` names them.
    estimate, weight : float
    """

    treated: float
    control: float
    kind: str
    estimate: float
    weight: float


@dataclass(frozen=True, eq=False)
class Decomposed:
    """The two-way coefficient and its parts.

    Parameters
    ----------
    coefficient : float
    comparisons : tuple of Comparison
        Their weights are positive and sum to one.
    groups, periods : ndarray (q,)
        First treated periods, and positions of the periods, of the cells under treatment.
    weights : ndarray (q,)
        Of the cells' effects in the coefficient; they sum to one.
    """

    coefficient: float
    comparisons: tuple[Comparison, ...]
    groups: Array
    periods: Codes
    weights: Array


def decomposed(frame: ModelFrame) -> Decomposed:
    """Decompose the coefficient of a treatment that is on from the first treated period.

    Raises
    ------
    CapabilityError
        For covariates and an offset, panels that are not balanced, and weights that change within units.
    DataError
        Where no two groups can be compared.
    """
    table = _Table.of(frame)
    on = (table.times[frame_periods(frame)] >= table.adoption.start).astype(float)
    w = frame.unit_weights
    codes, levels = table.units
    effects = [Effect(codes, levels), Effect(frame_periods(frame), len(table.times))]
    left = absorber(effects, w).demean(np.column_stack([on, frame.y])).values
    size = float(w @ left[:, 0] ** 2)
    if size <= 1e-12 * float(w @ on):
        raise DataError(
            "all units are treated at the same time, and nothing is left of the treatment beside the periods"
        )
    coefficient = float(w @ (left[:, 0] * left[:, 1])) / size
    inside = on == 1
    key = table.group * len(table.times) + frame_periods(frame)
    cells = np.unique(key[inside & (w > 0)])
    shares = np.bincount(np.searchsorted(cells, key[inside & (w > 0)]), (w * left[:, 0])[inside & (w > 0)]) / size
    group, period = np.divmod(cells, len(table.times))
    return Decomposed(coefficient, tuple(_comparisons(table)), table.starts[group], period.astype(np.intp), shares)


def frame_periods(frame: ModelFrame) -> Codes:
    """The period of each row (n,)."""
    assert frame.panel is not None
    return frame.panel.periods.codes


@dataclass(frozen=True, eq=False)
class _Table:
    """Means of groups over time.

    Parameters
    ----------
    adoption : Adoption
    starts : ndarray (G,)
        First treated periods of the groups, in order; infinite for never, and for later than the last period.
    group : ndarray (n,) of int
    means : ndarray (G, P)
    sizes : ndarray (G,)
        Weight of a group.
    units : tuple
        Units of the rows, or groups, and how many there are.
    """

    adoption: Adoption
    starts: Array
    group: Codes
    means: Array
    sizes: Array
    units: tuple[Codes, int]

    @property
    def times(self) -> Array:
        """The periods."""
        return self.adoption.times

    @property
    def shares(self) -> Array:
        """Share of the periods in which each group is treated (G,)."""
        return np.asarray((self.times >= self.starts[:, None]).mean(axis=1))

    @classmethod
    def of(cls, frame: ModelFrame) -> _Table:
        panel = frame.panel
        assert panel is not None
        if any(frame.has(role) for role in ("adjust", "outcome", "propensity", "modify", "offset")):
            raise CapabilityError(
                "decompose() is of the coefficient without covariates, whose comparisons are those of groups' means; "
                "fit without adjust(...)"
            )
        adoption = panel.adoption or of_groups(two_groups(frame), panel.periods)
        start = np.where(adoption.start > adoption.times[-1], NEVER, adoption.start)
        start = np.where(start <= adoption.times[0], adoption.times[0], start)
        starts, group = np.unique(start, return_inverse=True)
        w, size = frame.unit_weights, len(adoption.times)
        cell = group * size + panel.periods.codes
        total = np.bincount(cell, w, len(starts) * size).reshape(-1, size)
        _refuse_unbalanced(frame, total)
        sums = np.bincount(cell, w * frame.y, len(starts) * size).reshape(-1, size)
        units = (group.astype(np.intp), len(starts))
        if frame.unit is not None:
            units = numbered(frame)
        return cls(adoption, starts, group.astype(np.intp), sums / total, total[:, 0] / total[:, 0].sum(), units)


def _refuse_unbalanced(frame: ModelFrame, total: Array) -> None:
    """Every unit in every period with one weight, or every group with one weight in all periods."""
    w, unit = frame.unit_weights, frame.unit
    size = total.shape[1]
    short = 0
    if unit is not None:
        count = np.bincount(unit.codes[w > 0], minlength=len(unit.levels))
        short = int(((count > 0) & (count < size)).sum())
    if short:
        raise CapabilityError(
            f"decompose() takes a balanced panel, and {counted(short, 'unit')} of {int((count > 0).sum())} not "
            "observed in all periods; leave these out with subset="
        )
    if not np.allclose(total, total[:, [0]], rtol=1e-9):
        raise CapabilityError(
            "decompose() takes groups that are equally large (or of equal weight) in all periods, and these are not"
        )


def _comparisons(table: _Table) -> list[Comparison]:
    """All pairs of groups, with weights that sum to one."""
    first = table.times[0]
    found = []
    for k, start in enumerate(table.starts):
        if start == NEVER or start <= first:
            continue
        for j, other in enumerate(table.starts):
            if j == k:
                continue
            found.append(_pair(table, k, j, float(start), float(other)))
    total = sum(one.weight for one in found)
    return [Comparison(c.treated, c.control, c.kind, c.estimate, c.weight / total) for c in found]


def _pair(table: _Table, k: int, j: int, start: float, other: float) -> Comparison:
    """A group that becomes treated, and another one over the periods in which that does not change."""
    times, shares = table.times, table.shares
    p, q = float(shares[k]), float(shares[j])
    n = float(table.sizes[k] + table.sizes[j])
    m = float(table.sizes[k]) / n
    if other == NEVER:
        kind, within, size = UNTREATED, np.ones(len(times), dtype=bool), n**2 * m * (1 - m) * p * (1 - p)
    elif other <= times[0]:
        kind, within, size = ALWAYS, np.ones(len(times), dtype=bool), n**2 * m * (1 - m) * p * (1 - p)
    elif start < other:  # before the other one is treated
        kind, within = EARLIER, times < other
        size = n**2 * m * (1 - m) * (p - q) * (1 - p)
    else:  # from the other one's treatment on
        kind, within = LATER, times >= other
        size = n**2 * m * (1 - m) * p * (q - p)
    return Comparison(start, other, kind, _change(table.means, k, j, within, times >= start), size)


def _change(means: Array, k: int, j: int, within: Bools, after: Bools) -> float:
    """The change of a group less that of another over some periods."""
    late, early = within & after, within & ~after
    change = means[:, late].mean(axis=1) - means[:, early].mean(axis=1)
    return float(change[k] - change[j])
