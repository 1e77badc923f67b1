"""Units over time: which row is which unit in which period, and who takes part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from causalformula.backends.aliased import left_out, told_left_out
from causalformula.backends.did.estimators import standardised
from causalformula.backends.did.options import DiD
from causalformula.errors import DataError, counted, some
from causalformula.frame.adoption import NEVER, Adoption
from causalformula.frame.design_matrix import DesignMatrix
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY, Part
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.centring import centred_beside
from causalformula.numerics.linalg import independent_columns, triangular_factor

COVARIATES = Part("covariates")
# A group of fewer units beyond the number of regressors is small, as R's did has it.
FEWEST = 4
# A covariate whose part beyond the ones before is this share of it is one of these, as in R's lm.
TOL = 1e-7


@dataclass(frozen=True, eq=False)
class Units:
    """The units of a difference in differences: those that ``unit=`` names, or rows.

    Parameters
    ----------
    frame : ModelFrame
    adoption : Adoption
    n : int
    of_row : ndarray (rows,) of int
        The unit of each row.
    rows : ndarray (n, P) of int or None
        The row of each unit in each period, -1 where there is none; None for samples of different units.
    start : ndarray (n,)
        First treated periods; infinite for never, NaN for units that take no part.
    weights : ndarray (n,)
        Sampling weights, means over a unit's rows; zero for units that take no part.
    notes : tuple of str
        Who takes no part, and how units were read.
    """

    frame: ModelFrame
    adoption: Adoption
    n: int
    of_row: Codes
    rows: Codes | None
    start: Array
    weights: Array
    notes: tuple[str, ...]

    @property
    def times(self) -> Array:
        """The periods."""
        return self.adoption.times

    def members(self, group: int) -> int:
        """How many units of a group take part."""
        return int(((self.start == self.adoption.starts[group]) & (self.weights > 0)).sum())

    @property
    def named(self) -> Codes | None:
        """The unit of each row (rows,), where ``unit=`` names some."""
        return None if self.frame.unit is None else self.of_row

    @cached_property
    def used(self) -> Bools:
        """Rows of units that take part."""
        return np.asarray((self.frame.unit_weights > 0) & (self.weights > 0)[self.of_row])

    @cached_property
    def regressors(self) -> tuple[Array, Array]:
        """Covariates (rows, p) of the outcome and of the treatment model, standardised."""
        return self.frame.remembered("did", self._regressors)  # type: ignore[no-any-return]

    def _regressors(self) -> Any:
        outcome, treatment = self.frame.design(COVARIATES), self.frame.design(PROPENSITY)
        first = standardised(spread(outcome))
        return first, first if treatment.X is outcome.X else standardised(spread(treatment))

    @cached_property
    def lasting(self) -> bool:
        """Whether covariates and weights are the same in all periods."""
        assert self.rows is not None
        part = self.rows[self.weights > 0]
        w = self.frame.unit_weights
        for columns in (*dict.fromkeys(map(_Same, self.regressors)), _Same(w)):
            values = columns.array
            for period in range(1, part.shape[1]):
                if not np.array_equal(values[part[:, period]], values[part[:, 0]]):
                    return False
        return True


@dataclass(frozen=True, eq=False)
class _Same:
    """An array that is compared by identity."""

    array: Array

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.array is self.array

    def __hash__(self) -> int:
        return id(self.array)


def units_of(frame: ModelFrame, adoption: Adoption, options: DiD) -> Units:
    """Who takes part: units of positive weight that are not treated from the first period on, and observed throughout.

    Raises
    ------
    DataError
        Where nobody is left.
    """
    panel, times = frame.panel, adoption.times
    assert panel is not None
    seen = frame.unit_weights > 0
    codes, n = numbered(frame)
    start = np.full(n, np.nan)
    start[codes] = adoption.start
    # later than the last period: as good as never
    late = np.isfinite(start) & (start > times[-1] + options.anticipation)
    early = start <= times[0]
    weights = np.bincount(codes[seen], frame.unit_weights[seen], minlength=n)
    count = np.bincount(codes[seen], minlength=n)
    weights = np.divide(weights, count, out=np.zeros(n), where=count > 0)
    notes = told_of_timing(
        late & (weights > 0), early & (weights > 0), "row" if frame.unit is None else "unit", panel.treated
    )
    notes += _told_of_weights(frame, codes, weights)
    weights = np.where(early, 0.0, weights)
    rows = None
    if frame.unit is not None:
        layout = np.full((n, len(times)), -1, dtype=np.intp)
        layout[codes[seen], panel.periods.codes[seen]] = np.flatnonzero(seen)
        gaps = (layout < 0).any(axis=1) & (weights > 0)
        if gaps.any() and options.allow_unbalanced_panel:
            notes.append(
                f"{counted(int(gaps.sum()), 'unit')} of {int((weights > 0).sum())} not observed in all periods: each "
                "period counts as a sample of its own, and standard errors are on units"
            )
        else:
            rows = layout
            notes += _told_of_gaps(gaps, weights)
            weights = np.where(gaps, 0.0, weights)
    if not (weights > 0).any():
        raise DataError(
            "no unit is left: all are treated from the first period on, or not observed in all periods. For the latter "
            "see allow_unbalanced_panel=True"
        )
    start = np.where(late, NEVER, np.where(weights > 0, start, np.nan))
    return Units(frame, adoption, n, codes, rows, start, weights, tuple(notes))


def numbered(frame: ModelFrame) -> tuple[Codes, int]:
    """The unit of each row, numbered without gaps, as some rows of a frame need not have all units."""
    if frame.unit is None:
        return np.arange(frame.n), frame.n
    codes, n = frame.unit.codes, len(frame.unit.levels)
    if np.bincount(codes, minlength=n).all():
        return codes, n
    there, codes = np.unique(codes, return_inverse=True)
    return codes.astype(np.intp), len(there)


def lasting_columns(frame: ModelFrame, X: Array) -> Bools:
    """Which columns (p,) are the same in all rows of a unit."""
    codes, _ = numbered(frame)
    first = np.unique(codes, return_index=True)[1]
    return np.asarray((X[first[codes]] == X).all(axis=0))


def spread(design: DesignMatrix) -> Array:
    """The columns of covariates, products of some far from zero made of these less their means: the span is the same.

    As they were given, products would be lost to a tolerance.
    """
    skip = int(design.intercept)
    X = centred_beside(design.X[:, skip:], None, design.names[skip:]).X
    return np.hstack([design.X[:, :skip], X]) if skip else X


def telling(X: Array, names: Sequence[str], used: Bools, which: str = "adjustment") -> tuple[Codes, tuple[str, ...]]:
    """Covariates that say something beside an intercept and those before, and the note that names the others."""
    shifted = X[used] - X[used][:1]  # a column that is the same in all rows is zero then, and not nearly so
    centred = shifted - shifted.mean(axis=0)
    kept, _ = independent_columns(triangular_factor(centred, centred[:, :0], None), TOL)
    return kept, told_left_out(*left_out(names, kept, np.linalg.norm(centred, axis=0)), which)


def told_of_covariates(units: Units) -> list[str]:
    """What is said of covariates that say nothing beside the others, and of those that change within units."""
    outcome, treatment = units.frame.design(COVARIATES), units.frame.design(PROPENSITY)
    designs = {"adjustment": outcome}
    if treatment.X is not outcome.X:
        designs = {"outcome model": outcome, "treatment model": treatment}
    notes: list[str] = []
    changing: dict[str, None] = {}
    for which, design in designs.items():
        names, X = design.names[int(design.intercept) :], spread(design)[:, int(design.intercept) :]
        if not names:
            continue
        kept, told = telling(X, names, units.used, which)
        notes += told
        if units.rows is not None and not units.lasting:
            changing |= dict.fromkeys(np.array(names)[kept][~lasting_columns(units.frame, X[:, kept])])
    if changing:
        them, one = some(changing), len(changing) == 1
        notes.append(
            f"{them} {'changes' if one else 'change'} within units: each change of the outcome is adjusted for "
            f"{'its value' if one else 'their values'} in its base period"
        )
    return notes


def told_of_small(members: Mapping[str, int], few: int, name: str) -> list[str]:
    """What is said of groups too small for a standard error."""
    single = [group for group, count in members.items() if count == 1]
    small = [f"{group} ({count})" for group, count in members.items() if 1 < count < few]
    notes = []
    if single:
        notes.append(
            f"{name} = {some(single)}: a single unit, whose own error no influence shows, so that standard errors of "
            "its effects are too small"
        )
    if small:
        notes.append(f"few treated units in {name} = {some(small)}: standard errors and normal limits are rough")
    return notes


def told_of_few(counts: Mapping[str, int], few: int, name: str, seen: bool = True) -> list[str]:
    """What is said of periods, by ``name``, in which there are so few units to compare with.

    Parameters
    ----------
    seen : bool
        Whether influences are all that standard errors are made of, which do not show the error of a single unit.
    """
    single = [period for period, count in counts.items() if count == 1 and seen]
    small = {period: count for period, count in counts.items() if single.count(period) < count < few}
    notes = []
    if single:
        everywhere = "" if len(single) == len(counts) else f" in {name} = {some(single)}"
        notes.append(
            f"a single unit to compare with{everywhere}, whose own error no influence shows, so that standard errors "
            "are too small"
        )
    if small:
        listed = some(f"{period} ({count})" for period, count in small.items())
        same = len(small) == len(counts) and len(set(small.values())) == 1
        which = f": {next(iter(small.values()))}" if same else f" in {name} = {listed}"
        notes.append(f"few units to compare with{which}; standard errors and normal limits are rough")
    return notes


def told_of_timing(late: Bools, early: Bools, what: str, name: str) -> list[str]:
    """What is said of units that are treated after the last period, and from the first period on."""
    notes = []
    if early.any():
        k = int(early.sum())
        notes.append(
            f"{counted(k, what)} treated from the first period on {'has' if k == 1 else 'have'} no period before the "
            f"treatment, and {'takes' if k == 1 else 'take'} no part"
        )
    if late.any():
        k = int(late.sum())
        notes.append(
            f"{counted(k, what)} with {name} after the last period {'counts' if k == 1 else 'count'} as never treated"
        )
    return notes


def _told_of_weights(frame: ModelFrame, codes: Codes, weights: Array) -> list[str]:
    """Weights that change within units."""
    if frame.weights is None or frame.unit is None:
        return []
    seen = frame.weights > 0
    if np.allclose(frame.weights[seen], weights[codes][seen], rtol=1e-9, atol=0.0):
        return []
    return [
        "the weights change within units: each change has the weight of its base period, and the groups' "
        "shares are of the units' mean weights"
    ]


def _told_of_gaps(gaps: Bools, weights: Array) -> list[str]:
    k = int(gaps.sum())
    if not k:
        return []
    return [
        f"{counted(k, 'unit')} of {int((weights > 0).sum())} not observed in all periods: no part is taken by "
        f"{'it' if k == 1 else 'them'} without allow_unbalanced_panel=True"
    ]
