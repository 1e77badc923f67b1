"""Link functions with their first two derivatives, clipped where R clips them.

R 4.2.2: ``stats::make.link``. Fitted values never reach the bounds of the mean, and ``d mu / d eta`` never reaches
zero, so that a nearly separated fit goes on as it does in R.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array

EPS = float(np.finfo(np.float64).eps)
# beyond this the logit's mean is within machine precision of its bound
LOGIT_LIMIT = 30.0
PROBIT_LIMIT = 8.12589066470190  # the normal quantile of 1 - EPS
CAUCHIT_LIMIT = 1.0 / np.tan(np.pi * EPS)


@dataclass(frozen=True)
class Link:
    """A link: ``eta = function(mu)``, its inverse, and the inverse's first and second derivative."""

    name: str
    function: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    second: Callable[[Array], Array]
    valid: Callable[[Array], bool]


def _always(eta: Array) -> bool:
    return True


def _nonzero(eta: Array) -> bool:
    return bool(np.isfinite(eta).all() and (eta != 0).all())


def _positive(eta: Array) -> bool:
    return bool(np.isfinite(eta).all() and (eta > 0).all())


def _itself(x: Array) -> Array:
    return x


def _logit(mu: Array) -> Array:
    return np.asarray(np.log(mu / (1 - mu)))


def _logistic(eta: Array) -> Array:
    from scipy.special import expit

    mu = np.asarray(expit(eta))
    if len(eta) and np.abs(eta).max() > LOGIT_LIMIT:
        mu = np.where(eta > LOGIT_LIMIT, 1 / (1 + EPS), np.where(eta < -LOGIT_LIMIT, EPS / (1 + EPS), mu))
    return mu


def _logistic_derivative(eta: Array) -> Array:
    distance = np.abs(eta)
    e = np.exp(-distance)
    out = e / (1 + e) ** 2
    return np.asarray(np.where(distance > LOGIT_LIMIT, EPS, out))


def _logistic_second(eta: Array) -> Array:
    return np.asarray(-np.tanh(eta / 2) * _logistic_derivative(eta))


def _probit(mu: Array) -> Array:
    from scipy.special import ndtri

    return np.asarray(ndtri(mu))


def _normal_cdf(eta: Array) -> Array:
    from scipy.special import ndtr

    return np.asarray(ndtr(np.clip(eta, -PROBIT_LIMIT, PROBIT_LIMIT)))


def _normal_density(eta: Array) -> Array:
    return np.asarray(np.maximum(np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi), EPS))


def _normal_second(eta: Array) -> Array:
    return np.asarray(-eta * _normal_density(eta))


def _cauchit(mu: Array) -> Array:
    # the tangent of the smaller tail keeps its digits
    return np.asarray(np.where(mu < 0.5, -1.0, 1.0) / np.tan(np.pi * np.minimum(mu, 1 - mu)))


def _cauchy_cdf(eta: Array) -> Array:
    eta = np.clip(eta, -CAUCHIT_LIMIT, CAUCHIT_LIMIT)
    return np.asarray(np.where(eta < 0, np.arctan2(1, -eta), np.pi - np.arctan2(1, eta)) / np.pi)


def _cauchy_density(eta: Array) -> Array:
    return np.maximum(1 / (np.pi * (1 + eta**2)), EPS)


def _cauchy_second(eta: Array) -> Array:
    return np.asarray(-2 * eta / (np.pi * (1 + eta**2) ** 2))


def _cloglog(mu: Array) -> Array:
    return np.asarray(np.log(-np.log1p(-mu)))


def _gompertz_cdf(eta: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(-np.expm1(-np.exp(eta)), EPS, 1 - EPS))


def _gompertz_density(eta: Array) -> Array:
    eta = np.minimum(eta, 700)
    return np.asarray(np.maximum(np.exp(eta) * np.exp(-np.exp(eta)), EPS))


def _gompertz_second(eta: Array) -> Array:
    return np.asarray(_gompertz_density(eta) * (1 - np.exp(np.minimum(eta, 700))))


def _exponential(eta: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.maximum(np.exp(eta), EPS)


def _reciprocal(x: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(1 / x)


def _reciprocal_derivative(eta: Array) -> Array:
    return np.asarray(-1 / eta**2)


def _reciprocal_second(eta: Array) -> Array:
    return np.asarray(2 / eta**3)


def _square(eta: Array) -> Array:
    return np.asarray(eta**2)


def _double(eta: Array) -> Array:
    return np.asarray(2 * eta)


def _two(eta: Array) -> Array:
    return np.full_like(eta, 2.0)


def _inverse_square(mu: Array) -> Array:
    return np.asarray(1 / mu**2)


def _inverse_root(eta: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 / np.sqrt(eta))


def _inverse_root_derivative(eta: Array) -> Array:
    return np.asarray(-0.5 * eta**-1.5)


def _inverse_root_second(eta: Array) -> Array:
    return np.asarray(0.75 * eta**-2.5)


LINKS = {
    link.name: link
    for link in (
        Link("logit", _logit, _logistic, _logistic_derivative, _logistic_second, _always),
        Link("probit", _probit, _normal_cdf, _normal_density, _normal_second, _always),
        Link("cloglog", _cloglog, _gompertz_cdf, _gompertz_density, _gompertz_second, _always),
        Link("cauchit", _cauchit, _cauchy_cdf, _cauchy_density, _cauchy_second, _always),
        Link("identity", _itself, _itself, np.ones_like, np.zeros_like, _always),
        Link("log", np.log, _exponential, _exponential, _exponential, _always),
        Link("sqrt", np.sqrt, _square, _double, _two, _positive),
        Link("inverse", _reciprocal, _reciprocal, _reciprocal_derivative, _reciprocal_second, _nonzero),
        Link("1/mu^2", _inverse_square, _inverse_root, _inverse_root_derivative, _inverse_root_second, _positive),
    )
}
