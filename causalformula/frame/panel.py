"""``Panel``: the two variables of ``did(A, time, unit = id)``, as the formula has them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from causalformula.formula.expressions.values import Value, take
from causalformula.frame.grouping import Grouping
from causalformula.numerics.arrays import Codes


@dataclass(frozen=True, eq=False)
class Panel:
    """What a difference in differences is made of, on the rows kept.

    Parameters
    ----------
    treated, time : str
        The labels of the two variables.
    first, second : Value
        Their values: who is treated (or when first), and the period.
    unit : Grouping or None
        The units that are observed in several periods; None for repeated cross-sections.
    """

    treated: str
    time: str
    first: Value
    second: Value
    unit: Grouping | None = None

    def take(self, rows: Codes) -> Panel:
        """The same on some rows."""
        unit = None if self.unit is None else self.unit.take(rows)
        return replace(self, first=take(self.first, rows), second=take(self.second, rows), unit=unit)
