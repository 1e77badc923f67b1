"""Covariances for rows in time order: Newey-West, Andrews' kernels, Driscoll-Kraay.

The middle of the sandwich is the long-run covariance ``sum_l k(l) (Gamma_l + Gamma_l')`` of the scores, with ``Gamma_l`` their
cross-products at lag l and k a kernel. Defaults, automatic bandwidths and prewhitening are those of R's sandwich.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import DataError
from causalformula.inference.requests import HAC

Array = NDArray[np.float64]

# Kernel weights below this are zero.
NEGLIGIBLE = 1e-7


def _truncated(x: Array) -> Array:
    return np.where(x > 1, 0.0, 1.0)


def _bartlett(x: Array) -> Array:
    return np.maximum(1 - x, 0.0)


def _parzen(x: Array) -> Array:
    inner = 1 - 6 * x**2 + 6 * x**3
    return np.where(x > 1, 0.0, np.where(x < 0.5, inner, 2 * np.maximum(1 - x, 0.0) ** 3))


def _tukey_hanning(x: Array) -> Array:
    return np.where(x > 1, 0.0, (1 + np.cos(np.pi * x)) / 2)


def _quadratic_spectral(x: Array) -> Array:
    # the series at zero: 1 - z^2 / 10
    z = np.where(x < 1e-3, 1.0, 6 * np.pi * x / 5)
    value = 3 / z**2 * (np.sin(z) / z - np.cos(z))
    return np.where(x < 1e-3, 1 - (6 * np.pi * x / 5) ** 2 / 10, value)


@dataclass(frozen=True)
class Kernel:
    """A lag window with the constants of its optimal bandwidth (Andrews 1991).

    ``bandwidth = constant (n alpha)^(1 / (2 order + 1))``, with alpha the normalised curvature of the given order.
    ``growth`` is the exponent of the lags from which Newey and West (1994) estimate that curvature (None: not defined).
    """

    function: Callable[[Array], Array]
    constant: float
    order: int
    growth: float | None


KERNELS: dict[str, Kernel] = {
    "Bartlett": Kernel(_bartlett, 1.1447, 1, 2 / 9),
    "Parzen": Kernel(_parzen, 2.6614, 2, 4 / 25),
    "QuadraticSpectral": Kernel(_quadratic_spectral, 1.3221, 2, 2 / 25),
    "TukeyHanning": Kernel(_tukey_hanning, 1.7462, 2, None),
    "Truncated": Kernel(_truncated, 0.6611, 2, None),
}


def hac(scores: Array, counted: Array, request: HAC, parameters: int) -> tuple[Array, float]:
    """Long-run covariance of scores in time order (p, p), as a sum over rows, and the bandwidth used.

    Parameters
    ----------
    scores : ndarray (n, p)
    counted : ndarray (p,)
        Weight of each column in the choice of the bandwidth: zero for the intercept, otherwise one.
    parameters : int
        Of the regression, for the small-sample factor ``n / (n - parameters)``.
    """
    n = len(scores)
    U, filtered = prewhitened(scores, request.prewhitens)
    if request.type == "NeweyWest":
        width = request.lag if request.lag is not None else np.floor(newey_west(U, counted, n, filtered))
        weights = _bartlett(np.arange(int(width) + 1) / (int(width) + 1.0))
    else:
        width = request.bandwidth if request.bandwidth is not None else andrews(U, counted, request.kernel)
        weights = kernel_weights(request.kernel, float(width), len(U))
    matrix = long_run(U, weights)
    if request.adjusts:
        matrix = matrix * (n / (n - parameters))
    if filtered is not None:
        recolour = np.linalg.inv(np.eye(len(filtered)) - filtered)
        matrix = recolour @ matrix @ recolour.T
    return np.asarray(matrix), float(width)


def long_run(U: Array, weights: Array) -> Array:
    """``sum_l w_l (Gamma_l + Gamma_l')``, with ``w_0`` counted once."""
    matrix = weights[0] * (U.T @ U)
    for lag in range(1, min(len(weights), len(U))):
        cross = U[:-lag].T @ U[lag:]
        matrix += weights[lag] * (cross + cross.T)
    return np.asarray(matrix)


def kernel_weights(kernel: str, width: float, n: int) -> Array:
    """Weights of the lags 0, 1, ... up to the last that is not negligible."""
    if width <= 0:
        return np.ones(1)
    weights = KERNELS[kernel].function(np.arange(n) / width)
    return np.asarray(weights[: np.flatnonzero(np.abs(weights) > NEGLIGIBLE).max(initial=0) + 1])


def prewhitened(scores: Array, wanted: bool) -> tuple[Array, Array | None]:
    """Residuals of a first-order vector autoregression without intercept, and its matrix A in ``u_t = A u_{t-1} + e_t``."""
    if not wanted:
        return scores, None
    if len(scores) <= scores.shape[1] + 1:
        raise DataError(f"prewhitening {scores.shape[1]} scores needs more than {len(scores)} rows; use prewhite=False")
    scale = np.sqrt((scores**2).mean(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    Z = scores / scale
    A = np.linalg.lstsq(Z[:-1], Z[1:], rcond=None)[0].T
    return (Z[1:] - Z[:-1] @ A.T) * scale, A * scale[:, None] / scale


def newey_west(U: Array, counted: Array, n: int, filtered: Array | None) -> float:
    """Newey and West's (1994) automatic bandwidth for the Bartlett kernel, ``sandwich::bwNeweyWest``."""
    kernel = KERNELS["Bartlett"]
    assert kernel.growth is not None
    most = int(np.floor((4 if filtered is None else 3) * (n / 100) ** kernel.growth))
    h = U @ counted
    sigma = np.array([np.dot(h[: len(h) - lag], h[lag:]) for lag in range(min(most, len(h) - 1) + 1)]) / n
    lags = np.arange(1, len(sigma))
    level = sigma[0] + 2 * sigma[1:].sum()
    slope = 2 * (lags * sigma[1:]).sum()
    return float(kernel.constant * ((slope / level) ** 2) ** (1 / 3) * n ** (1 / 3)) + (filtered is not None)


def andrews(U: Array, counted: Array, kernel: str) -> float:
    """Andrews' (1991) automatic bandwidth from a first-order autoregression of each column, ``sandwich::bwAndrews``."""
    chosen = KERNELS[kernel]
    rho, variance = _autoregressions(U)
    base = counted * variance**2 / (1 - rho) ** 4
    if chosen.order == 1:
        bent = counted * 4 * rho**2 * variance**2 / ((1 - rho) ** 6 * (1 + rho) ** 2)
    else:
        bent = counted * 4 * rho**2 * variance**2 / (1 - rho) ** 8
    alpha = bent.sum() / base.sum()
    return float(chosen.constant * (len(U) * alpha) ** (1 / (2 * chosen.order + 1)))


def _autoregressions(U: Array) -> tuple[Array, Array]:
    """Coefficient and innovation variance of each column's autoregression with a mean."""
    centred = U - U.mean(axis=0)
    before, after = centred[:-1], centred[1:]
    x, y = before - before.mean(axis=0), after - after.mean(axis=0)
    rho = (x * y).sum(axis=0) / (x**2).sum(axis=0)
    return rho, np.asarray(((y - rho * x) ** 2).sum(axis=0) / len(x))


def driscoll_kraay_weights(periods: int, lag: int | None) -> Array:
    """Bartlett weights; the default number of lags is ``floor(T^(1/4))`` (Newey and West 1987)."""
    lag = int(np.floor(periods**0.25)) if lag is None else lag
    return _bartlett(np.arange(lag + 1) / (lag + 1.0))
