"""Averages of effects over the treated's rows: of cells that a regression or an imputation has an effect for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from causalformula.backends.did.aggregate import Aggregated, in_window, shown_values, told_of_summary
from causalformula.backends.did.rows import Rows
from causalformula.backends.fit import Answer, Label, Query
from causalformula.errors import CapabilityError, IdentificationError, OptionError, some
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.least_squares import group_sums

TERM = "ATT"
NO_MEANS = "this method estimates differences of changes, and has no mean potential outcomes; see aggregate()"


@dataclass(frozen=True, eq=False)
class Members:
    """Cells of rows that have one effect.

    Parameters
    ----------
    of_row : ndarray (n,) of int
        The cell of each row, -1 where it is in none.
    group, period : ndarray (q,) of int
        Group and period of each cell, -1 where it is of several.
    event : ndarray (q,)
        Time since the first treated period; of a bin its inner end.
    """

    of_row: Codes
    group: Codes
    period: Codes
    event: Array

    def __len__(self) -> int:
        return len(self.event)

    def named(self, rows: Rows) -> tuple[str, ...]:
        """Groups in periods, in words."""
        levels, groups = rows.panel.periods.levels, rows.adoption.names
        return tuple(f"{groups[g]} in {levels[p]}" for g, p in zip(self.group, self.period, strict=True))

    def without(self, gone: Bools) -> Members:
        """The cells but for some (q,), whose rows are in none then."""
        place = np.append(np.where(gone, -1, np.cumsum(~gone) - 1), -1)
        return Members(place[self.of_row].astype(np.intp), self.group[~gone], self.period[~gone], self.event[~gone])


def cells_of(rows: Rows, inside: Bools) -> Members:
    """Groups in periods, of the rows (n,) that are ``inside``."""
    size = len(rows.times)
    key = np.where(inside, rows.group * size + rows.periods, -1)
    found = np.unique(key[inside])
    of_row = np.where(inside, np.searchsorted(found, key), -1).astype(np.intp)
    group, period = np.divmod(found, size)
    return Members(of_row, group, period, rows.times[period] - rows.adoption.starts[group])


@dataclass(frozen=True, eq=False)
class Averages:
    """Effects of cells, and the means of them that are asked for, each row with its sampling weight.

    Parameters
    ----------
    rows : Rows
    cells : Members
    estimate : Estimate
        Of the cells (q,). The shares of the cells in a mean are estimated too; their influence is in unconditional
        standard errors.
    usual : str
        The summary that answers where none is asked for.
    refused : mapping of str to str
        Summaries that the method does not have, with the reason.
    reference : float, optional
        The event time that the others are compared with.
    apart : ndarray (n,), optional
        How far the effect of a row is from that of its cell.
    ahead : float
        How long before the treatment it may have effects.
    words : tuple of str
        What the print says of the method's choices.
    errors : tuple of str, optional
        What it says of standard errors that take the shares of cells as given, and of unconditional ones.
    """

    rows: Rows
    cells: Members
    estimate: Estimate
    usual: str
    refused: Mapping[str, str] = field(default_factory=dict)
    reference: float | None = None
    apart: Array | None = None
    ahead: float = 0.0
    words: tuple[str, ...] = ()
    errors: tuple[str, str] | None = None
    no_groups: str = "effects by group are aggregate('group'); for other groups fit each with subset="

    def answer(self, query: Query) -> Answer:
        """A summary; the usual one where none is named."""
        if query.kind == "means":
            raise CapabilityError(NO_MEANS)
        if query.split:
            raise CapabilityError(self.no_groups)
        asked = self.asked(query)
        if asked.how in self.refused:
            raise CapabilityError(self.refused[asked.how])
        by, parts = self._parts(asked)
        values = np.array([value for value, _ in parts])
        texts = shown_values(by, values, self.rows) if by else []
        one = (
            Label(TERM, "")
            if isinstance(query, Aggregated) or not self._two
            else Label(self.rows.panel.treated, "1 - 0")
        )
        labels = tuple(Label(TERM, "", ((by, text),)) for text in texts) or (one,)
        return Answer(self._means([inside for _, inside in parts], labels), labels)

    def asked(self, query: Query) -> Aggregated:
        """The summary that a query asks for."""
        return query if isinstance(query, Aggregated) else Aggregated(how="simple" if self._two else self.usual)

    @property
    def _two(self) -> bool:
        """Whether two groups over two periods have one effect."""
        return self.rows.panel.groups is not None

    def before(self, query: Query) -> Bools | None:
        """Rows of an answer that are of the time before treatment; None for a summary that has none."""
        asked = self.asked(query)
        if asked.how != "dynamic" or asked.overall:
            return None
        return np.array([value < -self.ahead for value, _ in self._parts(asked)[1]])

    def _parts(self, asked: Aggregated) -> tuple[str, list[tuple[float, Bools]]]:
        """What a summary is by, and its values with the cells (q,) of each."""
        cells, event, kept = self.cells, self.cells.event, self._taken(asked)
        by, values = {
            "simple": ("", event),
            "dynamic": ("event", event),
            "group": ("group", self.rows.adoption.starts[cells.group]),
            "calendar": ("time", self.rows.times[cells.period]),
        }[asked.how]
        if asked.overall or not by:
            by, parts = "", [(np.nan, kept & (event >= 0))]
        else:
            parts = [(float(value), kept & (values == value)) for value in np.unique(values[kept])]
        if not parts or not any(inside.any() for _, inside in parts):
            raise OptionError("no effect is left to summarise; widen min_e, max_e and balance_e")
        return by, parts

    def _taken(self, asked: Aggregated) -> Bools:
        """Which cells (q,) a summary is of."""
        event, several, times = self.cells.event, self.cells.group < 0, self.rows.times
        shared = several & (event >= asked.min_e) & (event <= asked.max_e)
        if asked.balance_e is not None and shared.any():
            later = "; min_e=0 leaves them out" if (event[shared] < 0).all() else ""
            raise OptionError(
                "balance_e= is a choice of groups, and the effects at event times "
                f"{some(f'{e:g}' for e in event[shared])} "
                f"are one for all groups{later}"
            )
        starts = np.where(several, np.nan, self.rows.adoption.starts[self.cells.group])
        return in_window(event, starts, (times[0], times[-1]), asked)

    def told(self, query: Query) -> list[str]:
        """What a summary is not of."""
        asked, inside = self.asked(query), (self.cells.of_row >= 0) & (self.rows.group >= 0)
        member = np.zeros((len(self.rows.adoption.starts), len(self.cells)), dtype=bool)
        member[self.rows.group[inside], self.cells.of_row[inside]] = True
        return told_of_summary(asked, self._taken(asked), self.cells.event, member, self.rows.adoption.names)

    def restricted(self, query: Query) -> bool:
        """Whether an overall mean is not of all rows under treatment."""
        after = self.cells.event >= 0
        return not bool(self._taken(self.asked(query))[after].all())

    @cached_property
    def _sizes(self) -> Array:
        """Weight of each cell (q,)."""
        inside = self.cells.of_row >= 0
        return np.bincount(self.cells.of_row[inside], self.rows.weights[inside], len(self.cells))

    def _means(self, parts: list[Bools], labels: tuple[Label, ...]) -> Estimate:
        """Means over the cells of each part, with the influence of their shares."""
        theta = self.estimate.theta
        combined = np.array([np.where(inside, self._sizes, 0.0) for inside in parts])
        totals = combined.sum(axis=1)
        if not (totals > 0).all():
            raise IdentificationError("no row of positive weight is left in one of the means")
        means = combined @ theta / totals
        names = [str(label) for label in labels]
        found = self.estimate.map(lambda _: means, combined / totals[:, None], names)
        assert isinstance(found.evidence, Influence)
        own = self._of_shares(np.array(parts), means, totals, found.evidence)
        direct = own if found.evidence.direct is None else own + found.evidence.direct
        return replace(found, evidence=replace(found.evidence, direct=direct))

    def _of_shares(self, parts: Bools, means: Array, totals: Array, evidence: Influence) -> Array:
        """Influence (n, k) of the rows' weights in the means, on units where the evidence is."""
        place, theta = self.cells.of_row, np.append(self.estimate.theta, 0.0)
        effect = theta[place] if self.apart is None else theta[place] + self.apart
        member = np.vstack([parts.T, np.zeros((1, len(parts)), dtype=bool)])[place]
        own = np.where(member, self.rows.weights[:, None] * (effect[:, None] - means) / totals, 0.0)
        if evidence.units is not None:
            own = group_sums(own, evidence.units, evidence.n)
        return np.asarray(evidence.n * own)
