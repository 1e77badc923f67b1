"""``DMLResult``: what double machine learning tells beside its effect: how it varies, and how omitted confounders move it."""

from __future__ import annotations

from dataclasses import dataclass

from causalformula.results.families.learned import LearnedResult


@dataclass(frozen=True, eq=False, repr=False)
class DMLResult(LearnedResult):
    """A ``Result`` of double machine learning."""
