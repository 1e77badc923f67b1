"""Bands that hold for all effects at once, and p-values adjusted for looking at all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import CapabilityError, OptionError
from causalformula.inference.covariance import Covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.multiplier import (
    MULTIPLIERS,
    critical_value,
    gaussian_statistics,
    multiplier_statistics,
    single_step,
    with_df,
)
from causalformula.inference.requests import Asympt, Bootstrap, Cluster, Given
from causalformula.inference.resample import fresh_seed
from causalformula.numerics.least_squares import group_sums
from causalformula.results.reading import check_level

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.results.result import Result

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bands:
    """Simultaneous confidence bands (sup-t).

    Attributes
    ----------
    table : DataFrame
        As ``tidy()``, with ``conf.low`` and ``conf.high`` that hold for all rows at once, and p-values adjusted for
        all rows (single step).
    critical_value : float
        What the standard errors are multiplied by.
    level : float
    reps : int
    seed : int
    source : str
        Where the joint distribution comes from.
    """

    table: pd.DataFrame
    critical_value: float
    level: float
    reps: int
    seed: int
    source: str

    def __str__(self) -> str:
        head = (
            f"Simultaneous {self.level:.4g} bands for {len(self.table)} effects: "
            f"critical value {self.critical_value:.4f}\n{self.source}, {self.reps} replicates, seed {self.seed}"
        )
        return f"{head}\n\n{self.table.to_string(index=False)}"

    __repr__ = __str__


def simultaneous(result: Result, level: float, reps: int, seed: int | None, weights: str) -> Bands:
    """Sup-t bands; see ``Result.simultaneous``."""
    check_level(level)
    if weights not in MULTIPLIERS:
        raise OptionError(f"weights must be one of {', '.join(MULTIPLIERS)}, not {weights!r}")
    if int(reps) < 2:
        raise OptionError(f"reps must be at least 2, not {reps!r}")
    measure = result.answer.measure
    if measure.reading == "inverse":
        raise CapabilityError("numbers needed to treat have no bands; use measure='difference'")
    seed = fresh_seed(seed)
    covariance, theta = result.covariance, result.answer.estimate.theta
    statistics, source = _statistics(result, reps, np.random.default_rng(seed), weights)
    critical = critical_value(statistics, level)
    half = critical * covariance.std_error
    low, high = theta - half, theta + half
    if measure.reading == "exp":
        low, high = np.exp(low), np.exp(high)
    table = result.tidy(level)
    table["p.value"] = single_step(theta / covariance.std_error, statistics)
    table["conf.low"], table["conf.high"] = low, high
    return Bands(table, critical, level, len(statistics), seed, source)


def _statistics(result: Result, reps: int, rng: np.random.Generator, weights: str) -> tuple[Array, str]:
    """Replicated t statistics, from the best that the result has: its own draws, its influences, its covariance."""
    covariance, estimate = result.covariance, result.answer.estimate
    if covariance.draws is not None:
        draws = covariance.draws
        return (draws - draws.mean(axis=0)) / covariance.std_error, "Bootstrap replicates"
    df = float(covariance.df.min())
    sums = _sums(result, estimate, covariance)
    if sums is None:
        statistics = gaussian_statistics(covariance.matrix, reps, rng)
        return with_df(statistics, df, rng), "Normal with the estimates' covariance"
    unit = "rows" if len(sums) == result.call.frame.n else "clusters"
    statistics = with_df(multiplier_statistics(sums, reps, rng, weights), df, rng)
    return statistics, f"Multiplier bootstrap over {len(sums)} {unit} ({weights})"


def _sums(result: Result, estimate: Estimate, covariance: Covariance) -> Array | None:
    """Influences summed over the covariance's units; None where it has no single kind of unit, or there are none."""
    request = covariance.request
    if not isinstance(estimate.evidence, Influence) or isinstance(request, (Given, Bootstrap)):
        return None
    fixed = isinstance(request, (Asympt, Cluster)) and request.weights == "fixed"
    psi = estimate.evidence.psi(fixed=fixed, unconditional=request.unconditional)
    names = _units(result)
    if len(names) > 1:
        return None
    if not names:
        return psi
    codes = result.call.codes(names)[names[0]]
    return np.asarray(group_sums(psi, codes, int(codes.max()) + 1))


def _units(result: Result) -> tuple[str, ...]:
    from causalformula.results.call import grouping_names

    return grouping_names(result.covariance.request)
