"""``BoundRows``: what every bound formula has, the rows of the caller's data that are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causalformula.errors import DataError
from causalformula.formula.expressions.values import take
from causalformula.frame.absorbed import FixedEffect, LeftOut
from causalformula.frame.columns import Table
from causalformula.frame.grouping import Grouping, grouping
from causalformula.numerics.arrays import Array, Codes


@dataclass(frozen=True, eq=False, kw_only=True)
class BoundRows:
    """The rows of a table that a formula keeps, and their groups.

    Parameters
    ----------
    table : Table
        The caller's data, never changed.
    rows : ndarray (n,) of int
        Positions of the rows kept.
    index : pandas Index (n,)
        Their labels.
    total : int
        Rows after ``subset``, before missing values were dropped.
    missing_by : mapping of str to int
        Rows in which each variable is missing.
    notes : tuple of str
        What a reader should know of how the data were read.
    groupings : mapping of str to tuple of Grouping
        By role: ``cluster``, ``strata``, ``unit``, ``period``, ``fe``, ``loo``.
    effects : tuple of FixedEffect
        Factors that are absorbed.
    left_out : LeftOut
        Rows that such factors fit exactly, or that have no instrument.
    """

    table: Table
    rows: Codes
    index: Any
    total: int
    missing_by: Mapping[str, int]
    notes: tuple[str, ...] = ()
    groupings: Mapping[str, tuple[Grouping, ...]] = field(default_factory=dict)
    effects: tuple[FixedEffect, ...] = ()
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def n(self) -> int:
        """Rows kept."""
        return len(self.rows)

    def refuse_away(self) -> None:
        """A ``CapabilityError`` where the rows kept are not in memory."""

    @property
    def size(self) -> int:
        """Rows kept, wherever they are."""
        return self.n

    @property
    def dropped(self) -> int:
        """Rows dropped for missing values."""
        return self.total - self.size - self.left_out.rows

    def taken(self, rows: Codes) -> dict[str, Any]:
        """Its rows and groups at some places (repeats allowed), by field."""
        return {
            "rows": self.rows[rows],
            "index": self.index[rows],
            "groupings": {role: tuple(g.take(rows) for g in found) for role, found in self.groupings.items()},
            "effects": tuple(effect.take(rows) for effect in self.effects),
        }

    def groups(self, name: str) -> Grouping:
        """Groups of the rows kept by a grouping of the formula, or else by a column of the data.

        Raises
        ------
        DataError
            Where the column has a missing value.
        """
        for known in (one for role in self.groupings.values() for one in role):
            if known.name == name:
                return known
        return grouping(name, take(self.table.named(name), self.rows), self.index)

    def codes(self, names: Iterable[str]) -> dict[str, Codes]:
        """Codes 0..G-1 of several groupings, by their names."""
        return {name: self.groups(name).codes for name in names}

    def numbers(self, name: str) -> Array:
        """A numeric column of the data on the rows kept; a missing value is a ``DataError``."""
        value = take(self.table.named(name), self.rows)
        if not isinstance(value, np.ndarray):
            raise DataError(f"{name!r} must be numbers")
        if np.isnan(value.astype(float)).any():
            grouping(name, value, self.index)
        return value.astype(float)

    def data_used(self) -> Any:
        """The rows kept as a pandas frame (a copy)."""
        data = self.table.to_pandas().iloc[self.rows].copy()
        data.index = self.index
        return data
