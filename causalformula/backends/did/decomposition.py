"""What the coefficient of a treatment beside units and periods is made of: comparisons of groups, and effects.

With equally many rows of each unit it is a weighted mean of the differences in differences of all pairs of groups over
the periods in which one of the two changes (Goodman-Bacon 2021), and, if trends are parallel, one of the effects of the
groups in the periods, with weights that may be negative (de Chaisemartin and D'Haultfoeuille 2020).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalformula.backends.did.panels import COVARIATES, numbered, told_of_timing
from causalformula.backends.did.rows import controls, two_groups
from causalformula.errors import CapabilityError, DataError, counted
from causalformula.frame.adoption import NEVER, Adoption, of_groups
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.absorbed import absorber
from causalformula.inference.absorbing import within_effects
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.least_squares import least_squares

# A weight below this share of the largest is rounding.
ROUNDING = 1e-12
UNTREATED, ALWAYS = "Treated vs Untreated", "Later vs Always Treated"
BOTH = "Both Treated"
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
    within : tuple of float
        With covariates, the weight and the estimate of what these make differ between units of one group: the
        coefficient is ``w e + (1 - w) m``, with m the weighted mean of the comparisons.
    given : tuple of str
        Covariates beside the treatment.
    notes : tuple of str
        How units and covariates count.
    """

    coefficient: float
    comparisons: tuple[Comparison, ...]
    groups: Array
    periods: Codes
    weights: Array
    within: tuple[float, float] = (0.0, 0.0)
    given: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def decomposed(frame: ModelFrame, said: tuple[str, ...] = ()) -> Decomposed:
    """Decompose the coefficient of a treatment that is on from the first treated period; ``said`` is among its notes.

    Raises
    ------
    CapabilityError
        For an offset, panels that are not balanced, and weights that change within units.
    DataError
        Where no two groups can be compared.
    """
    table = _Table.of(frame)
    periods, w = frame_periods(frame), frame.unit_weights
    on = (table.times[periods] >= table.adoption.start).astype(float)
    codes, levels = table.units
    effects = [Effect(codes, levels), Effect(periods, len(table.times))]
    X, names, told = controls(frame)
    within, left, _ = within_effects(absorber(effects, w), X, on, w, None)
    rest = least_squares(within, left, w).residuals if X.shape[1] else left
    explained = left - rest
    size = float(w @ rest**2)
    if size <= 1e-12 * float(w @ on):
        raise DataError(
            "nothing is left of the treatment beside units, periods and covariates: all units are treated at one time, "
            "or the covariates tell the treatment"
        )
    coefficient, key = float(w @ (rest * frame.y)) / size, table.group * len(table.times) + periods
    cells, shares = _shares(key, (on == 1) & (w > 0), w * rest / size)
    group, period = np.divmod(cells, len(table.times))
    starts, pairs = table.starts[group], tuple(_comparisons(table))
    given = frame.design(COVARIATES).recipe.terms.term_labels if names else ()
    notes = (*said, *_told_of_late(frame, table), *told)
    found = Decomposed(coefficient, pairs, starts, period.astype(np.intp), shares, given=tuple(given), notes=notes)
    return found if not X.shape[1] else _with_covariates(found, table, frame.y, w, explained, rest, key)


def _told_of_late(frame: ModelFrame, table: _Table) -> list[str]:
    """How many units are treated after the last period only."""
    start, what = table.adoption.start, "row" if frame.unit is None else "unit"
    late = np.isfinite(start) & (start > table.times[-1]) & (frame.unit_weights > 0)
    units = np.bincount(numbered(frame)[0][late]) > 0
    return told_of_timing(units, np.zeros(0, dtype=bool), what, frame.panel.treated if frame.panel else "")


def _shares(key: Codes, inside: Bools, part: Array) -> tuple[Codes, Array]:
    """The cells of some rows, and the sums of a part of the rows over each; zero where they are rounding."""
    cells, place = np.unique(key[inside], return_inverse=True)
    sums, sizes = np.bincount(place, part[inside]), np.bincount(place, np.abs(part[inside]))
    return cells, np.where(np.abs(sums) > ROUNDING * np.maximum(sizes, np.abs(sums).max()), sums, 0.0)


def _with_covariates(
    found: Decomposed, table: _Table, y: Array, w: Array, explained: Array, rest: Array, key: Codes
) -> Decomposed:
    """The same with comparisons that are less what covariates tell of the treatment, on average of a group in a period.

    Parameters
    ----------
    explained, rest : ndarray (n,)
        What the covariates tell of the treatment, beside units and periods, and what is left of it.
    key : ndarray (n,) of int
        Group and period of each row.
    """
    shape = table.means.shape
    total = np.bincount(key, w, shape[0] * shape[1])
    means = np.bincount(key, w * explained, shape[0] * shape[1]) / total
    within = explained - means[key]
    size = float(w @ within**2)
    pairs = _adjusted(table, means.reshape(shape))
    estimate = -float(w @ (within * y)) / size if size > 0 else 0.0
    return replace(found, comparisons=tuple(pairs), within=(size / float(w @ rest**2), estimate))


def _adjusted(table: _Table, explained: Array) -> list[Comparison]:
    """Pairs of groups over all periods, each by the coefficient of the treatment less what covariates tell of it."""
    on = (table.times >= table.starts[:, None]).astype(float)
    found = []
    for k, start in enumerate(table.starts):
        for j in range(k + 1, len(table.starts)):
            both = [k, j]
            n = table.sizes[both]
            z = _two_way(on[both], n) - _two_way(explained[both], n)
            size = float((n @ z**2).mean())
            if size <= 0:
                continue
            estimate = float((n @ (z * table.means[both])).mean()) / size
            other, always = float(table.starts[j]), bool(start <= table.times[0])
            kind = ALWAYS if always else UNTREATED if other == NEVER else BOTH
            pair = (other, float(start)) if always else (float(start), other)
            found.append(Comparison(*pair, kind, estimate, float(n.sum()) * size))
    total = sum(one.weight for one in found)
    return [replace(one, weight=one.weight / total) for one in found]


def _two_way(values: Array, n: Array) -> Array:
    """Values (2, P) less their means over periods, and over groups by their sizes."""
    apart = values - values.mean(axis=1, keepdims=True)
    return np.asarray(apart - n @ apart / n.sum())


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
        if frame.has("offset"):
            raise CapabilityError("decompose() has no offset; take it from the outcome, as in I(y - o) ~ ...")
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
    return [replace(one, weight=one.weight / total) for one in found]


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
