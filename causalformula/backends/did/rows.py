"""Rows of a panel by the time since their unit was first treated, and the regression beside units and periods."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from causalformula.backends.did.panels import (
    COVARIATES,
    FEWEST,
    lasting_columns,
    numbered,
    spread,
    telling,
    told_of_few,
    told_of_small,
    told_of_timing,
)
from causalformula.errors import CapabilityError, DataError, counted, some
from causalformula.frame.adoption import NEVER, Adoption, of_groups
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.panel import Panel
from causalformula.inference.absorbing import fit_absorbed
from causalformula.inference.absorbing_glm import fit_absorbed_glm
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.absorption.singletons import singletons
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.centring import centred_beside
from causalformula.numerics.families import Family


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a panel, balanced or not, and when their units are first treated.

    Parameters
    ----------
    frame : ModelFrame
    adoption : Adoption
    start : ndarray (n,)
        First treated periods; infinite for never and for later than the last period.
    used : ndarray (n,) of bool
        Rows that take part.
    notes : tuple of str
        Who takes no part.
    last : str
        The group that is treated last, where it stands for those never treated.
    """

    frame: ModelFrame
    adoption: Adoption
    start: Array
    used: Bools
    notes: tuple[str, ...]
    last: str = ""

    @property
    def panel(self) -> Panel:
        """The two variables of ``did(...)``."""
        assert self.frame.panel is not None
        return self.frame.panel

    @property
    def times(self) -> Array:
        """The periods (P,)."""
        return self.adoption.times

    @property
    def periods(self) -> Codes:
        """The period of each row (n,)."""
        return self.panel.periods.codes

    @cached_property
    def event(self) -> Array:
        """Time since the first treated period (n,); minus infinity where there is none."""
        return np.asarray(self.times[self.periods] - self.start)

    @cached_property
    def group(self) -> Codes:
        """Position of the first treated period among the groups' (n,), -1 where there is none."""
        return np.where(np.isfinite(self.start), self.adoption.group, -1)

    @cached_property
    def weights(self) -> Array:
        """Sampling weights (n,), zero for rows that take no part."""
        return np.where(self.used, self.frame.unit_weights, 0.0)

    @property
    def groups(self) -> tuple[Codes, int]:
        """The group of each row with those never treated as the last, and how many there are."""
        size = len(self.adoption.starts) + 1
        return np.where(self.group < 0, size - 1, self.group), size

    @cached_property
    def members(self) -> dict[str, int]:
        """How many units (or rows) of each group, and of those never treated, take part."""
        codes, _ = numbered(self.frame)
        counts = {name: len(np.unique(codes[inside])) for name, inside in self.by_group.items()}
        return {name: count for name, count in counts.items() if count or name == self.untreated}

    @property
    def untreated(self) -> str:
        """What those without a first treated period are called."""
        return f"{self.last} (comparison)" if self.last else "never"

    @property
    def by_group(self) -> dict[str, Bools]:
        """Rows (n,) that take part, by group."""
        names = dict(enumerate(self.adoption.names)) | {-1: self.untreated}
        return {name: self.used & (self.group == k) for k, name in names.items()}

    @property
    def small(self) -> list[str]:
        """What is said of groups too small for a standard error of their effects."""
        members = {name: count for name, count in self.members.items() if name != self.untreated}
        return told_of_small(members, FEWEST, self.panel.treated)

    def few(self, never: bool = False, seen: bool = False) -> list[str]:
        """What is said of periods in which few are untreated, or never treated (see ``told_of_few``)."""
        codes, _ = numbered(self.frame)
        untreated = self.used & ((self.group < 0) if never else ~(self.event >= 0))
        there = np.unique(self.periods[self.used & (self.event >= 0)])
        levels = self.panel.periods.levels
        counts = {levels[k]: len(np.unique(codes[untreated & (self.periods == k)])) for k in there}
        return told_of_few({period: count for period, count in counts.items() if count}, FEWEST, self.panel.time, seen)

    @property
    def sampled(self) -> Bools:
        """Rows (n,) that take part, those that a resample did not draw among them."""
        return np.asarray(self.frame.sampled & (self.start > self.times[0]))

    @property
    def of_unit(self) -> tuple[Codes, int, str]:
        """The factor whose effects stand for units: these, or the groups where no unit is observed repeatedly."""
        unit = self.frame.unit
        if unit is not None:
            return *numbered(self.frame), unit.name
        return *self.groups, self.panel.treated


def rows_of(frame: ModelFrame) -> Rows:
    """The rows of a panel: units that are treated from the first period on take no part.

    Raises
    ------
    DataError
        Where nobody is treated after a period without treatment.
    """
    panel = frame.panel
    if panel is None:
        raise CapabilityError("this method needs did(first_treated, time) in the formula")
    adoption = panel.adoption
    if adoption is None:
        adoption = of_groups(two_groups(frame), panel.periods)
    start, times = adoption.start, adoption.times
    there = frame.unit_weights > 0
    late, early = np.isfinite(start) & (start > times[-1]), start <= times[0]
    used = there & ~early
    used &= singletons([unit_codes(frame, adoption), panel.periods.codes], np.where(used, frame.unit_weights, 0.0))
    unit = frame.unit
    codes, size = numbered(frame)
    among = [np.bincount(codes[which & there], minlength=size) > 0 for which in (late, early)]
    notes = told_of_timing(*among, "row" if unit is None else "unit", panel.treated)
    alone = int((there & ~early & ~used).sum())
    if alone:
        notes.append(
            f"{counted(alone, 'row')} alone in a unit or a period: {'it says' if alone == 1 else 'they say'} nothing "
            f"beside its effect, and {'takes' if alone == 1 else 'take'} no part"
        )
    return _with_effect(Rows(frame, adoption, np.where(late, NEVER, start), used, tuple(notes)))


def _with_effect(rows: Rows) -> Rows:
    """The rows, or a ``DataError`` where none of them is under treatment."""
    if (rows.used & (rows.event >= 0)).any():
        return rows
    raise DataError(
        "no row of a unit that is observed before its treatment lies after it: there is no effect to estimate. "
        "Check the subset, and the rows dropped for missing values"
    )


def two_groups(frame: ModelFrame) -> Codes:
    """Who is in the treated group of two (n,)."""
    groups = frame.the_panel.groups
    assert groups is not None
    return groups.codes


def compared_with_last(rows: Rows) -> Rows:
    """The same where somebody is never treated; else with the group that is treated last, before it is."""
    if (rows.used & (rows.start == NEVER)).any():
        return rows
    starts = rows.start[rows.used]
    last = starts.max()
    gone = rows.times[rows.periods] >= last
    start = np.where(gone, np.nan, np.where(rows.start == last, NEVER, rows.start))
    group = rows.adoption.names[int(np.searchsorted(rows.adoption.starts, last))]
    name = f"{rows.panel.treated} = {group}"
    if not (rows.used & ~gone & np.isfinite(start)).any() or not np.isfinite(start[rows.used & ~gone]).any():
        raise DataError(f"nobody is never treated, and nobody is treated before the last group, {name}: no comparison")
    note = (
        f"nobody is never treated: the comparison is {name}, the group that is treated last, and the periods from its "
        "treatment on take no part"
    )
    return replace(rows, start=start, used=rows.used & ~gone, notes=(*rows.notes, note), last=group)


def last_before(rows: Rows, anticipation: float) -> Codes:
    """Where each group is seen last before its treatment and anticipation: a position, -1 for nowhere."""
    size = len(rows.times)
    inside = rows.sampled & (rows.group >= 0)
    key = rows.group[inside] * size + rows.periods[inside]
    seen = np.bincount(key, minlength=len(rows.adoption.starts) * size).reshape(-1, size) > 0
    early = seen & (rows.times + anticipation < rows.adoption.starts[:, None])
    return np.where(early.any(axis=1), size - 1 - np.argmax(early[:, ::-1], axis=1), -1)


def based(rows: Rows, anticipation: float) -> Rows:
    """The same without units that have no row before their treatment and its anticipation."""
    none = np.append(last_before(rows, anticipation) < 0, False)[rows.group]
    if not (rows.used & none).any():
        return rows
    names = [rows.adoption.names[k] for k in np.unique(rows.group[rows.used & none])]
    note = f"{rows.panel.treated} = {some(names)}: no period before the treatment and its anticipation, so no effects"
    start = np.where(none, np.nan, rows.start)
    return _with_effect(replace(rows, start=start, used=rows.used & ~none, notes=(*rows.notes, note)))


def common(rows: Rows, before: Codes) -> float | None:
    """The event time of the periods ``before`` treatment that groups are compared with, where it is one."""
    since = _since(rows, before)
    return float(since[0]) if len(since) == 1 else None


def _since(rows: Rows, before: Codes) -> Array:
    """Event times of these periods."""
    groups = np.unique(rows.group[rows.group >= 0])
    return np.unique(rows.times[before[groups]] - rows.adoption.starts[groups])


def told_of_reference(rows: Rows, before: Codes) -> str:
    """Which event times are those of the periods ``before`` treatment that groups are compared with."""
    since = _since(rows, before)
    each = "" if len(since) == 1 else ", the last of each group before its treatment"
    return f"Event times as compared with {some(f'{value:g}' for value in since)}{each}"


def unit_codes(frame: ModelFrame, adoption: Adoption) -> Codes:
    """Units, or groups where there are none."""
    return adoption.group + 1 if frame.unit is None else frame.unit.codes


def controls(frame: ModelFrame, crossed: bool = True) -> tuple[Array, tuple[str, ...], tuple[str, ...]]:
    """Columns of the covariates, their names, and what is said of them.

    What is the same in all periods of a unit is in the unit's own effect, and trends may still differ by it: it has a
    slope in each period.

    Parameters
    ----------
    crossed : bool
        Whether it has; otherwise all columns stay as they are, but for products of such as are far from zero.
    """
    return frame.remembered(("controls", crossed), lambda: _controls(frame, crossed))  # type: ignore[no-any-return]


def _controls(frame: ModelFrame, crossed: bool) -> tuple[Array, tuple[str, ...], tuple[str, ...]]:
    design = frame.design(COVARIATES)
    skip = int(design.intercept)
    X, names = (design.X if crossed else spread(design))[:, skip:], design.names[skip:]
    panel = frame.panel
    if frame.unit is None or panel is None or not crossed or not names:
        return X, names, ()
    lasting = lasting_columns(frame, X)
    if not lasting.any():
        return X, names, ()
    X = _beside_units(X, names, lasting)
    of_units = X[:, lasting] - X[:, lasting].mean(axis=0)  # wherever it is counted from: periods have their effects
    kept, told = telling(of_units, np.array(names)[lasting], frame.unit_weights > 0)
    of_units, held = of_units[:, kept], [str(name) for name in np.array(names)[lasting][kept]]
    levels = panel.periods.levels
    columns, called = [X[:, ~lasting]], [name for name, same in zip(names, lasting, strict=True) if not same]
    for k in range(1, len(levels)):  # the slope in the first period is in the units' effects
        columns.append(of_units * (panel.periods.codes == k)[:, None])
        called += [f"{name}:({panel.time} = {levels[k]})" for name in held]
    note = (
        f"{some(held)} {'is' if len(held) == 1 else 'are'} the same in all periods of a unit, and trends may differ by "
        f"{'it' if len(held) == 1 else 'them'}: a slope in each period"
    )
    return np.hstack(columns), tuple(called), (*told, *(note,) * bool(held))


def _beside_units(X: Array, names: tuple[str, ...], lasting: Bools) -> Array:
    """Covariates with products less what is the same in all periods of a unit, where that is nearly all of them."""
    Z = centred_beside(X, None, names)
    if Z.moved is None:
        return X
    taken = Z.moved != 0
    near = taken.any(axis=0) & ~taken[~lasting].any(axis=0)
    return np.where(near, Z.X, X)


def regressed(
    rows: Rows,
    columns: Array,
    names: tuple[str, ...],
    slopes: Array | None = None,
    *,
    of_groups: bool = False,
    family: Family | None = None,
) -> FittedRegression:
    """A regression on some columns beside the effects of units (or groups) and periods, linear if no family is given.

    Parameters
    ----------
    columns : ndarray (n, q)
    names : tuple of str
    slopes : ndarray (n, p), optional
        Covariates that have a slope in each group and in each period.
    of_groups : bool
        Effects of groups in place of those of units.
    """
    frame, panel = rows.frame, rows.panel
    slope = None if slopes is None or not slopes.shape[1] else slopes
    groups, size = rows.groups
    units, levels, name = rows.of_unit
    effects, factors = [Effect(rows.periods, len(rows.times), slope)], [panel.time]
    if of_groups or name == panel.treated:
        effects, factors = [Effect(groups, size, slope), *effects], [panel.treated, *factors]
    else:
        apart = [] if slope is None else [Effect(groups, size, slope, intercept=False)]
        effects = [Effect(units, levels), *apart, *effects]
        factors = [name, *[panel.treated] * len(apart), *factors]
    weights = None if frame.weights is None and rows.used.all() else rows.weights
    if family is None:
        y, offset = frame.y, frame.offset
        return fit_absorbed(columns, y, names, effects, factors, weights=weights, offset=offset, centre=True)
    y = frame.outcome_for(family)
    return fit_absorbed_glm(columns, y, names, family, effects, factors, weights=weights, offset=frame.offset)


def indicators(codes: Codes, size: int) -> Array:
    """A column for each code from 0 on (n, size)."""
    return np.asarray(codes[:, None] == np.arange(size), dtype=float)
