"""Measures: how two average potential outcomes are compared, and on which scale limits and tests are built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from causalformula.errors import OptionError, choose
from causalformula.numerics.arrays import Array


@dataclass(frozen=True)
class Measure:
    """A comparison of two means on its working scale, and the way back to the scale that is read.

    Parameters
    ----------
    name : str
    function : callable
        ``(high, low) -> value`` on the working scale.
    gradient : callable
        ``(high, low) -> (d/d high, d/d low)``.
    reading : {"identity", "exp", "inverse"}
        The reported estimate is the working value, its exponential, or its inverse.
    label : str
        Template of the contrast's label; ``{a}`` the high and ``{b}`` the low level.
    domain : {"real", "positive", "unit"}
        Where the means must lie.
    """

    name: str
    function: Callable[[Array, Array], Array]
    gradient: Callable[[Array, Array], tuple[Array, Array]]
    reading: str
    label: str
    domain: str

    def check(self, means: Array, binomial: bool) -> None:
        """Refuse means outside the measure's domain."""
        if self.domain == "positive" and not np.all(means > 0):
            raise OptionError(f"measure={self.name!r} needs positive means; these are {_show(means)}")
        if self.domain == "unit" and not np.all((means > 0) & (means < 1)):
            advice = "" if binomial else " (a binary outcome with family='binomial' keeps them there)"
            raise OptionError(
                f"measure={self.name!r} needs means strictly between 0 and 1; these are {_show(means)}{advice}"
            )

    def read(self, working: Array) -> Array:
        """From the working to the reported scale."""
        if self.reading == "exp":
            return np.exp(working)
        if self.reading == "inverse":
            with np.errstate(divide="ignore"):
                return 1 / working
        return working

    def slope(self, working: Array) -> Array:
        """Derivative of ``read``, for standard errors on the reported scale."""
        if self.reading == "exp":
            return np.exp(working)
        if self.reading == "inverse":
            with np.errstate(divide="ignore"):
                return -1 / working**2
        return np.ones_like(working)

    @property
    def null(self) -> float:
        """Value under no effect on the reported scale."""
        return {"identity": 0.0, "exp": 1.0, "inverse": float("inf")}[self.reading]


def _show(means: Array) -> str:
    return ", ".join(f"{m:.4g}" for m in means[:10])


def _log_odds(p: Array) -> Array:
    return np.asarray(np.log(p / (1 - p)))


def _difference(a: Array, b: Array) -> Array:
    return a - b


def _log_ratio(a: Array, b: Array) -> Array:
    return np.asarray(np.log(a / b))


def _log_odds_ratio(a: Array, b: Array) -> Array:
    return _log_odds(a) - _log_odds(b)


def _d_difference(a: Array, b: Array) -> tuple[Array, Array]:
    return np.ones_like(a), -np.ones_like(b)


def _d_log_ratio(a: Array, b: Array) -> tuple[Array, Array]:
    return 1 / a, -1 / b


def _d_log_odds_ratio(a: Array, b: Array) -> tuple[Array, Array]:
    return 1 / (a * (1 - a)), -1 / (b * (1 - b))


MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure("difference", _difference, _d_difference, "identity", "{a} - {b}", "real"),
        Measure("ratio", _log_ratio, _d_log_ratio, "exp", "mean({a}) / mean({b})", "positive"),
        Measure("log_ratio", _log_ratio, _d_log_ratio, "identity", "ln(mean({a}) / mean({b}))", "positive"),
        Measure("odds_ratio", _log_odds_ratio, _d_log_odds_ratio, "exp", "odds({a}) / odds({b})", "unit"),
        Measure("log_odds_ratio", _log_odds_ratio, _d_log_odds_ratio, "identity", "ln(odds({a}) / odds({b}))", "unit"),
        Measure("nnt", _difference, _d_difference, "inverse", "1 / ({a} - {b})", "real"),
    )
}


# What the measures are called elsewhere.
OTHER_WORDS = {
    **dict.fromkeys(["riskratio", "rr", "relativerisk", "rateratio", "irr", "prevalenceratio", "meanratio"], "ratio"),
    **dict.fromkeys(["riskdifference", "rd", "meandifference", "md", "diff", "ate", "additive"], "difference"),
    **dict.fromkeys(["or", "odds", "oddsratios"], "odds_ratio"),
    **dict.fromkeys(["logrr", "lnrr", "logriskratio", "lnratioavg"], "log_ratio"),
    **dict.fromkeys(["logor", "lnor"], "log_odds_ratio"),
    **dict.fromkeys(["numberneededtotreat", "nntb"], "nnt"),
}


def read_measure(name: str) -> Measure:
    """The record of a measure; an unknown name is an ``OptionError`` that lists them."""
    if not isinstance(name, str):
        raise OptionError(f"measure is a word, not a {type(name).__name__}{choose('', MEASURES)}")
    if name not in MEASURES:
        raise OptionError(f"unknown measure {name!r}{choose(name, MEASURES, meant=OTHER_WORDS)}")
    return MEASURES[name]
