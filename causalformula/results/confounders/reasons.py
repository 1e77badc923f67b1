"""Why a term was kept or left out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One term.

    Parameters
    ----------
    term : str
    kept : bool
    why : str
    statistic : float
        NaN for a term that stays whatever the data say.
    """

    term: str
    kept: bool
    why: str
    statistic: float
