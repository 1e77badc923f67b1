"""What every method's options share: the question's estimand, contrast, measure and family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.errors import OptionError, choose
from causalformula.inference.scales import Measure, read_measure
from causalformula.numerics.families import Family

ESTIMANDS = ("ATE", "ATT", "ATC", "ATO", "ATM", "ATOS", "LATE")
CONTRASTS = ("reference", "pairwise", "sequential", "sd", "iqr", "minmax", "slope")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Fields that every method takes.

    Parameters
    ----------
    estimand : str, optional
        Target population; the method's default where not given.
    contrast : str, number or pair
        ``"reference"``, ``"pairwise"``, ``"sequential"`` or ``(a, b)`` for levels; for a dose a number (the increment),
        ``"sd"``, ``"iqr"``, ``"minmax"``, ``(a, b)`` or ``"slope"``.
    measure : str
        How the two average potential outcomes are compared: ``difference``, ``ratio``, ``odds_ratio``, ``log_ratio``,
        ``log_odds_ratio`` or ``nnt``.
    family : str
        Family of the outcome model, with its link: ``"binomial"``, ``"binomial(link = 'probit')"``, ``"poisson"``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    estimand: str | None = None
    contrast: Any = "reference"
    measure: str = "difference"
    family: str = "gaussian"
    focal: Any = None

    def __post_init__(self) -> None:
        if self.estimand is not None and self.estimand not in ESTIMANDS:
            raise OptionError(f"unknown estimand {self.estimand!r}{choose(self.estimand, ESTIMANDS)}")
        if isinstance(self.contrast, str) and self.contrast not in CONTRASTS:
            raise OptionError(
                f"unknown contrast {self.contrast!r}{choose(self.contrast, CONTRASTS)}, a number, or a pair (low, high)"
            )
        if isinstance(self.contrast, list):
            object.__setattr__(self, "contrast", tuple(self.contrast))
        if not isinstance(self.contrast, (str, tuple, int, float, np.number)) or isinstance(self.contrast, bool):
            allowed = f"{', '.join(CONTRASTS)}, a number, or a pair (low, high)"
            raise OptionError(f"contrast must be one of {allowed}, not {self.contrast!r}")
        if not isinstance(self.family, (str, Family)):
            raise OptionError(f"family is named by text, such as 'binomial', not {self.family!r}")
        read_measure(self.measure)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the options name; a row without a value in one of them is dropped."""
        return ()

    @property
    def own_vcov(self) -> str | None:
        """The default covariance where these options have another one than their method."""
        return None

    @property
    def scale(self) -> Measure:
        """The measure's record."""
        return read_measure(self.measure)
