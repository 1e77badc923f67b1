"""``UnitResult``: effects for every unit, and how well they tell who gains."""

from __future__ import annotations

from dataclasses import dataclass

from causalformula.results.families.learned import LearnedResult


@dataclass(frozen=True, eq=False, repr=False)
class UnitResult(LearnedResult):
    """A ``Result`` of a method that has an effect for every unit."""
