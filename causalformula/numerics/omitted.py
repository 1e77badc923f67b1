"""Omitted confounders: how strong they are, and how strong they would have to be (Chernozhukov et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Strengths beyond that of confounders which explain this share of both are not looked for.
MOST = 1 - 1e-9


def strength(cf_y: float, cf_d: float, rho: float) -> float:
    """``|rho| sqrt(cf_y cf_d / (1 - cf_d))``: the share of the largest bias that confounders reach.

    Infinite at ``cf_d = 1``, but for confounders that do nothing to the outcome.
    """
    if rho == 0 or cf_y == 0:
        return 0.0
    return float(abs(rho) * np.sqrt(cf_y * cf_d / (1 - cf_d))) if cf_d < 1 else np.inf


def equal_shares(size: float, rho: float) -> float:
    """The ``cf`` with ``strength(cf, cf, rho) = size``: the positive root of ``cf^2 = (size / rho)^2 (1 - cf)``."""
    if size == 0:
        return 0.0
    with np.errstate(divide="ignore", over="ignore"):
        t = float(np.divide(size, abs(rho)) ** 2)
    return 2 / (1 + float(np.sqrt(1 + 4 / t))) if np.isfinite(t) else 1.0


def robustness(distance: Callable[[float], float], rho: float) -> float:
    """The ``cf`` of both shares at which a bound reaches its null hypothesis.

    Parameters
    ----------
    distance : callable
        How far the bound lies from it, by the strength; it falls from a positive value.

    Returns
    -------
    float
        0 where the bound is there without confounders, 1 where none takes it there.
    """
    from scipy.optimize import brentq

    if distance(0.0) <= 0:
        return 0.0
    most = strength(MOST, MOST, 1.0)
    if distance(most) > 0:
        return 1.0
    high = 1.0
    while distance(high) > 0:
        high = min(2 * high, most)
    return equal_shares(float(brentq(distance, 0.0, high, xtol=1e-15, rtol=4 * np.finfo(float).eps)), rho)
