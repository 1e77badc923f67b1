"""E-values: how strong a confounder must be, in risk ratios, to explain an association (VanderWeele and Ding 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

# The logarithm of the risk ratio that goes with a difference of one standard deviation (VanderWeele 2017), and that
# times the normal quantile of 95% limits, rounded as in his paper.
PER_SD, LIMIT = 0.91, 1.78
# EValue's steps in the bias factor at the limit of a risk difference.
STEP = 1e-4
MEASURES = ("RR", "OR", "HR", "MD", "OLS", "RD")
DIFFERENCES = ("MD", "OLS", "RD")


@dataclass(frozen=True)
class Ratio:
    """An association as a risk ratio, with its limits, and the true one that it is compared with.

    Parameters
    ----------
    point, low, high : float
        NaN for a limit that there is none of.
    true : float
    """

    point: float
    low: float = float("nan")
    high: float = float("nan")
    true: float = 1.0

    @property
    def evalue(self) -> float:
        """Of the point estimate."""
        return evalue_of(self.point / self.true)

    @property
    def limit_evalue(self) -> float:
        """Of the limit that is nearer to the true value: 1 where that lies in the interval, NaN without a limit."""
        limit = self.limit
        if np.isnan(limit):
            return float("nan")
        beyond = limit < self.true if self.point < self.true else limit > self.true
        return evalue_of(limit / self.true) if beyond else 1.0

    @property
    def limit(self) -> float:
        """The limit that is nearer to the true value."""
        return self.high if self.point < self.true else self.low


def evalue_of(ratio: float) -> float:
    """``r + sqrt(r (r - 1))`` of a risk ratio above one, of its inverse below.

    The least risk ratio that a confounder must have both with the exposure and with the outcome, beside the measured
    covariates, to make the whole of it.
    """
    if ratio < 1:
        ratio = 1 / ratio if ratio > 0 else np.inf
    return float(ratio + np.sqrt(ratio * (ratio - 1)))


def odds_as_risk(odds: float, rare: bool) -> float:
    """An odds ratio as a risk ratio: itself for a rare outcome, otherwise its square root."""
    return odds if rare else float(np.sqrt(odds))


def hazards_as_risk(hazards: float, rare: bool) -> float:
    """A hazard ratio as a risk ratio: itself for a rare outcome, else ``(1 - 2^-sqrt(h)) / (1 - 2^-sqrt(1/h))``."""
    if rare or np.isnan(hazards):
        return hazards
    root = float(np.sqrt(hazards))
    return float((1 - 0.5**root) / (1 - 0.5 ** (1 / root))) if root > 0 else 0.0


def difference_as_risk(d: float, se: float, true: float, level: float = 0.95) -> Ratio:
    """A standardised difference as a risk ratio ``exp(0.91 d)``, with 95% limits ``exp(0.91 d -+ 1.78 se)``.

    Parameters
    ----------
    d, se : float
        ``se`` NaN where there is none.
    true : float
        Another difference.
    level : float
        Of the limits.
    """
    with np.errstate(over="ignore"):
        centre, half = PER_SD * d, (LIMIT if level == 0.95 else PER_SD * float(ndtri(0.5 + level / 2))) * se
        low, high = (float(np.exp(centre + sign * half)) for sign in (-1, 1))
        return Ratio(float(np.exp(centre)), low, high, float(np.exp(PER_SD * true)))


def up_to_step(factor: float) -> float:
    """The first of EValue's steps from 1 that is no smaller."""
    return round(1 + STEP * float(np.ceil((factor - 1) / STEP - 1e-9)), 10)


@dataclass(frozen=True)
class Counts:
    """Cases and others among the exposed, then among those who are not: a risk difference.

    Parameters
    ----------
    exposed, exposed_others, unexposed, unexposed_others : float
    """

    exposed: float
    exposed_others: float
    unexposed: float
    unexposed_others: float

    @property
    def risk_ratio(self) -> float:
        """Of the exposed."""
        risks = [a / (a + b) for a, b in ((self.exposed, self.exposed_others), (self.unexposed, self.unexposed_others))]
        return risks[0] / risks[1]

    def least(self, factor: float, z: float) -> float:
        """The smallest true difference beside confounders of a bias factor, less ``z`` of its standard errors.

        ``(p1 - B p0) (f + (1 - f) / B)`` with ``f`` the share of the exposed (Ding and VanderWeele 2016), and its
        variance by the delta method.
        """
        n1, n0 = self.exposed + self.exposed_others, self.unexposed + self.unexposed_others
        p1, p0, f = self.exposed / n1, self.unexposed / n0, n1 / (n1 + n0)
        weight, gap = f + (1 - f) / factor, p1 - factor * p0
        by_risk = weight**2 * (p1 * (1 - p1) / n1 + factor**2 * p0 * (1 - p0) / n0)
        by_share = gap**2 * (1 - 1 / factor) ** 2 * f * (1 - f) / (n1 + n0)
        return float(gap * weight - z * np.sqrt(by_risk + by_share))

    def factor(self, true: float, z: float) -> float:
        """The bias factor at which that is a true difference: 1 where it is there without confounders."""
        if self.least(1.0, z) <= true:
            return 1.0
        high = 2.0
        while self.least(high, z) > true:
            high *= 2
        return float(brentq(lambda factor: self.least(factor, z) - true, 1.0, high, xtol=1e-14, rtol=1e-15))

    def evalues(self, true: float, level: float) -> tuple[float, float]:
        """Of the difference, and of its lower limit."""
        z = float(ndtri(0.5 + level / 2))
        return evalue_of(self.factor(true, 0.0)), evalue_of(up_to_step(self.factor(true, z)))
