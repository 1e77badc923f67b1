"""Answers of repeated sample splits as their median."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from causalformula.backends.fit import Answer, Outcomes, Query
from causalformula.inference.estimate import median_of


@dataclass(frozen=True, eq=False)
class RepeatedOutcomes:
    """Outcomes of each repetition, whose answers are summarised by their median.

    Parameters
    ----------
    each : tuple of Outcomes
    """

    each: tuple[Outcomes, ...]

    @classmethod
    def of(cls, each: Sequence[Outcomes]) -> RepeatedOutcomes:
        """Of the repetitions in turn."""
        return cls(tuple(each))

    @property
    def no_groups(self) -> str:
        """Why there are no effects by group; empty where there are."""
        return self.each[0].no_groups

    def answer(self, query: Query) -> Answer:
        """Effects or means for a query."""
        found = [outcomes.answer(query) for outcomes in self.each]
        return replace(found[0], estimate=median_of([one.estimate for one in found]))
