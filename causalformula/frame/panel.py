"""``Panel``: the two variables of ``did(A, time, unit = id)``, as the formula has them and as groups and periods."""

from __future__ import annotations

from dataclasses import dataclass, replace

from causalformula.formula.expressions.values import Value, take
from causalformula.frame.adoption import Adoption
from causalformula.frame.grouping import Grouping
from causalformula.frame.treatment import Treatment
from causalformula.numerics.arrays import Codes


@dataclass(frozen=True, eq=False)
class Panel:
    """What a difference in differences is made of, on the rows kept.

    Parameters
    ----------
    treated, time : str
        The labels of the two variables.
    first, second : Value
        Their values: who is treated (or when first), and the period; as the regression of two periods has them where
        there are two.
    periods : Grouping
        The periods, in order.
    unit : Grouping or None
        The units that are observed in several periods; None for repeated cross-sections.
    groups : Treatment or None
        The untreated and the treated group, where there are two groups and two periods.
    adoption : Adoption or None
        Where there are not: the groups by their first treated periods.
    other : str
        Where there is neither: what the formula asks for instead, as a sentence.
    """

    treated: str
    time: str
    first: Value
    second: Value
    periods: Grouping
    unit: Grouping | None = None
    groups: Treatment | None = None
    adoption: Adoption | None = None
    other: str = ""

    @property
    def cells(self) -> Codes:
        """Group and period of each row (n,): untreated before, untreated after, treated before, treated after."""
        assert self.groups is not None
        return 2 * self.groups.codes + self.periods.codes

    def exchanged(self, rows: Codes) -> Panel:
        """The same with row i in the group that row ``rows[i]`` had, and in its own period."""
        groups = None if self.groups is None else self.groups.take(rows)
        return replace(self, groups=groups, first=take(self.first, rows))

    def take(self, rows: Codes) -> Panel:
        """The same on some rows."""
        return replace(
            self,
            first=take(self.first, rows),
            second=take(self.second, rows),
            periods=self.periods.take(rows),
            unit=None if self.unit is None else self.unit.take(rows),
            groups=None if self.groups is None else self.groups.take(rows),
            adoption=None if self.adoption is None else self.adoption.take(rows),
        )
