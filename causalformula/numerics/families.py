"""Exponential families and their links, with R's clipping, starting values and AIC.

A family is plain data that pickles: a name, a link and the name of its variance function; the functions are looked up
in the tables of this module. R 4.2.2: ``stats::family``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.errors import DataError, OptionError, choose
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.links import EPS, LINKS, Link

Elementwise = Callable[[Array], Array]


def _ones(mu: Array) -> Array:
    return np.ones_like(mu)


def _any(mu: Array) -> bool:
    return True


def _positive(mu: Array) -> bool:
    return bool(np.isfinite(mu).all() and (mu > 0).all())


def _positive_or_infinite(mu: Array) -> bool:
    return bool((mu > 0).all())


def _inside(mu: Array) -> bool:
    return bool(((mu > 0) & (mu < 1)).all())


def _xlogy(x: Array, y: Array) -> Array:
    """``x log(y)``, zero where x is."""
    from scipy.special import xlogy

    return np.asarray(xlogy(x, y))


def _ratio(y: Array, mu: Array) -> Array:
    """``y / mu``, and one where ``y`` is zero: its logarithm counts for nothing there, even where the mean is zero."""
    return np.asarray(np.divide(y, mu, out=np.ones_like(mu), where=y != 0))


def _deviance_constant(y: Array, mu: Array, w: Array) -> Array:
    return np.asarray(w * (y - mu) ** 2)


def _deviance_binomial(y: Array, mu: Array, w: Array) -> Array:
    if ((y == 0) | (y == 1)).all():  # one logarithm a row is enough
        return np.asarray(-2 * w * np.log(np.where(y == 1, mu, 1 - mu)))
    return np.asarray(2 * w * (_xlogy(y, _ratio(y, mu)) + _xlogy(1 - y, _ratio(1 - y, 1 - mu))))


def _deviance_poisson(y: Array, mu: Array, w: Array) -> Array:
    return np.asarray(2 * w * (_xlogy(y, _ratio(y, mu)) - (y - mu)))


def _deviance_gamma(y: Array, mu: Array, w: Array) -> Array:
    return np.asarray(-2 * w * (np.log(np.where(y == 0, 1.0, y / mu)) - (y - mu) / mu))


def _deviance_quasi_square(y: Array, mu: Array, w: Array) -> Array:
    # not the Gamma deviance where y is zero: that is how R has it
    return np.maximum(-2 * w * (np.log(np.where(y == 0, 1.0, y) / mu) - (y - mu) / mu), 0.0)


def _deviance_cube(y: Array, mu: Array, w: Array) -> Array:
    return np.asarray(w * (y - mu) ** 2 / (y * mu**2))


@dataclass(frozen=True)
class Variance:
    """Variance function of the mean, its derivative, the unit deviance it implies, and the means it allows."""

    function: Elementwise
    derivative: Elementwise
    deviance: Callable[[Array, Array, Array], Array]
    valid: Callable[[Array], bool]


VARIANCES = {
    "constant": Variance(_ones, np.zeros_like, _deviance_constant, _any),
    "mu(1-mu)": Variance(lambda mu: mu * (1 - mu), lambda mu: 1 - 2 * mu, _deviance_binomial, _inside),
    "mu": Variance(lambda mu: mu, _ones, _deviance_poisson, _positive),
    "mu^2": Variance(lambda mu: mu**2, lambda mu: 2 * mu, _deviance_gamma, _positive),
    "mu^3": Variance(lambda mu: mu**3, lambda mu: 3 * mu**2, _deviance_cube, _any),
}


def _aic_gaussian(y: Array, mu: Array, w: Array, deviance: float) -> float:
    with np.errstate(divide="ignore"):
        return float(len(y) * (np.log(2 * np.pi * deviance / len(y)) + 1) + 2 - np.log(w).sum())


def _aic_binomial(y: Array, mu: Array, w: Array, deviance: float) -> float:
    from scipy.special import gammaln, xlog1py

    if (w == 1).all() and ((y == 0) | (y == 1)).all():
        return float(-2 * np.log(np.where(y == 1, mu, 1 - mu)).sum())
    used = w > 0
    y, mu, w = y[used], mu[used], w[used]
    trials, successes = np.round(w), np.round(w * y)
    log_choose = gammaln(trials + 1) - gammaln(successes + 1) - gammaln(trials - successes + 1)
    return float(-2 * (log_choose + _xlogy(successes, mu) + xlog1py(trials - successes, -mu)).sum())


def _aic_poisson(y: Array, mu: Array, w: Array, deviance: float) -> float:
    from scipy.special import gammaln

    density = _xlogy(y, mu) - mu - gammaln(y + 1)
    # as R: a count that is not whole has probability zero
    density = np.where(np.abs(y - np.round(y)) > 1e-7 * np.maximum(1, np.abs(y)), -np.inf, density)
    return float(-2 * (density[w > 0] * w[w > 0]).sum())


def _aic_gamma(y: Array, mu: Array, w: Array, deviance: float) -> float:
    from scipy.special import gammaln

    shape = w.sum() / deviance
    rate = shape / mu
    density = shape * np.log(rate) + (shape - 1) * np.log(y) - rate * y - gammaln(shape)
    return float(-2 * (density * w).sum() + 2)


def _aic_inverse_gaussian(y: Array, mu: Array, w: Array, deviance: float) -> float:
    return float(w.sum() * (np.log(2 * np.pi * deviance / w.sum()) + 1) + 3 * (np.log(y) * w).sum() + 2)


def _aic_none(y: Array, mu: Array, w: Array, deviance: float) -> float:
    return float("nan")


def _start_binomial(y: Array, w: Array) -> Array:
    if (y < 0).any() or (y > 1).any():
        raise DataError("a binomial outcome must lie between 0 and 1 (y values must be 0 <= y <= 1)")
    return np.asarray((w * y + 0.5) / (w + 1))


def _start_poisson(y: Array, w: Array) -> Array:
    if (y < 0).any():
        raise DataError("negative values are not allowed for the Poisson family")
    return y + 0.1


def _start_positive(y: Array, w: Array) -> Array:
    if (y <= 0).any():
        raise DataError("only positive values are allowed for the Gamma and inverse Gaussian families")
    return y


def _start_itself(y: Array, w: Array) -> Array:
    return y


def _start_away_from_zero(y: Array, w: Array) -> Array:
    return np.asarray(y + 0.1 * (y == 0))


def _start_inside(y: Array, w: Array) -> Array:
    return np.clip(y, 0.001, 0.999)


@dataclass(frozen=True)
class _Kind:
    """What the name of a family fixes; ``variance`` and ``start`` of ``quasi`` depend on its variance function."""

    link: str
    variance: str
    aic: Callable[[Array, Array, Array, float], float]
    start: Callable[[Array, Array], Array]
    dispersion_known: bool = False


KINDS = {
    "gaussian": _Kind("identity", "constant", _aic_gaussian, _start_itself),
    "binomial": _Kind("logit", "mu(1-mu)", _aic_binomial, _start_binomial, True),
    "poisson": _Kind("log", "mu", _aic_poisson, _start_poisson, True),
    "Gamma": _Kind("inverse", "mu^2", _aic_gamma, _start_positive),
    "inverse.gaussian": _Kind("1/mu^2", "mu^3", _aic_inverse_gaussian, _start_positive),
    "quasi": _Kind("identity", "constant", _aic_none, _start_itself),
    "quasibinomial": _Kind("logit", "mu(1-mu)", _aic_none, _start_binomial),
    "quasipoisson": _Kind("log", "mu", _aic_none, _start_poisson),
}
QUASI_STARTS = {
    "constant": _start_itself,
    "mu(1-mu)": _start_inside,
    "mu": _start_away_from_zero,
    "mu^2": _start_away_from_zero,
    "mu^3": _start_away_from_zero,
}
# Ends of the range of an outcome that it can have, by variance function; and a linear predictor that is no number.
ENDS = {"mu(1-mu)": (0.0, 1.0), "mu": (0.0,)}
INFINITE = 1e15
CANONICAL = {"constant": "identity", "mu(1-mu)": "logit", "mu": "log", "mu^2": "inverse", "mu^3": "1/mu^2"}


@dataclass(frozen=True)
class Family:
    """A family of distributions (or only a mean-variance relation), and a link.

    Attributes
    ----------
    name : str
        R's name.
    link_name : str
        R's name of the link.
    variance_name : str
        Key of the variance function: a function of the mean ``mu``.
    """

    name: str
    link_name: str
    variance_name: str

    def __str__(self) -> str:
        variance = f', variance = "{self.variance_name}"' if self.name == "quasi" else ""
        return f'{self.name}(link = "{self.link_name}"{variance})'

    @property
    def link(self) -> Link:
        """The link and its derivatives."""
        return LINKS[self.link_name]

    @property
    def canonical(self) -> bool:
        """Whether the link is canonical: expected and observed information are then the same."""
        return CANONICAL[self.variance_name] == self.link_name

    @property
    def dispersion_known(self) -> bool:
        """Whether the dispersion is one by definition."""
        return KINDS[self.name].dispersion_known

    def linkfun(self, mu: Array) -> Array:
        """Linear predictor of a mean."""
        return self.link.function(mu)

    def linkinv(self, eta: Array) -> Array:
        """Mean of a linear predictor, kept away from the bounds as R does."""
        return self.link.inverse(eta)

    def mu_eta(self, eta: Array) -> Array:
        """``d mu / d eta``."""
        return self.link.derivative(eta)

    def mu_eta2(self, eta: Array) -> Array:
        """``d^2 mu / d eta^2``."""
        return self.link.second(eta)

    def variance(self, mu: Array) -> Array:
        """Variance at a mean, up to the dispersion."""
        return VARIANCES[self.variance_name].function(mu)

    def variance_prime(self, mu: Array) -> Array:
        """``d V / d mu``."""
        return VARIANCES[self.variance_name].derivative(mu)

    def dev_resids(self, y: Array, mu: Array, weights: Array) -> Array:
        """Each row's share of the deviance (the square of its deviance residual)."""
        if self.name == "quasi" and self.variance_name == "mu^2":
            return _deviance_quasi_square(y, mu, weights)
        return VARIANCES[self.variance_name].deviance(y, mu, weights)

    def aic(self, y: Array, mu: Array, weights: Array, deviance: float) -> float:
        """Minus twice the log-likelihood, plus 2 where R counts the dispersion as a parameter; NaN for quasi."""
        return KINDS[self.name].aic(y, mu, weights, deviance)

    @property
    def limits(self) -> tuple[float, ...]:
        """The outcomes that a group may have throughout whose predictor is then infinite: a poisson's 0."""
        ends = np.array(ENDS.get(self.variance_name, ()))
        with np.errstate(divide="ignore"):
            return tuple(ends[np.abs(self.linkfun(ends)) > INFINITE].tolist())

    def at_limits(self, y: Array) -> Codes:
        """Which of the limits each outcome is at (n,), from 1; 0 where it is inside."""
        codes = np.zeros(len(y), dtype=np.intp)
        for k, limit in enumerate(self.limits):
            codes[y == limit] = k + 1
        return codes

    def valideta(self, eta: Array) -> bool:
        """Whether every linear predictor is one that the link can invert."""
        return self.link.valid(eta)

    def validmu(self, mu: Array) -> bool:
        """Whether every mean is possible."""
        if self.name == "quasi" and self.variance_name in ("mu^2", "mu^3"):
            return _positive_or_infinite(mu)
        return VARIANCES[self.variance_name].valid(mu)

    def initialize(self, y: Array, weights: Array) -> tuple[Array, Array, tuple[str, ...]]:
        """The response as R uses it, the means to start from, and R's warnings.

        Raises
        ------
        DataError
            When the response is outside the range of the family.
        """
        if self.name in ("binomial", "quasibinomial"):
            y = np.where(weights == 0, 0.0, y)
        start = QUASI_STARTS[self.variance_name] if self.name == "quasi" else KINDS[self.name].start
        mu = start(y, weights)
        if self.name == "gaussian" and (
            (self.link_name == "inverse" and (y == 0).any()) or (self.link_name == "log" and (y <= 0).any())
        ):
            raise DataError(f"no starting values: the {self.link_name} link needs another outcome; pass start=")
        return y, mu, self._start_warnings(y, weights)

    def _start_warnings(self, y: Array, weights: Array) -> tuple[str, ...]:
        successes = weights * y
        if self.name == "binomial" and (np.abs(successes - np.round(successes)) > 1e-3).any():
            return ("non-integer #successes in a binomial glm!",)
        return ()

    def end_warnings(self, mu: Array) -> tuple[str, ...]:
        """R's warnings about fitted values at the edge of the parameter space."""
        edge = 10 * EPS
        if self.name == "binomial" and ((mu > 1 - edge) | (mu < edge)).any():
            return ("glm.fit: fitted probabilities numerically 0 or 1 occurred",)
        if self.name == "poisson" and (mu < edge).any():
            return ("glm.fit: fitted rates numerically 0 occurred",)
        return ()


_CALL = re.compile(r"\s*(?:stats::)?([A-Za-z.]+)\s*(?:\((.*)\))?\s*")
_ARGUMENT = re.compile(r"\s*(?:(link|variance)\s*=\s*)?(?:'([^']*)'|\"([^\"]*)\"|([A-Za-z0-9./^]+))\s*")


# What families are called elsewhere, by the links that they are used with.
_SYNONYMS = {
    **dict.fromkeys(("logit", "logistic", "bernoulli"), "'binomial'"),
    "probit": "\"binomial(link = 'probit')\"",
    "cloglog": "\"binomial(link = 'cloglog')\"",
    **dict.fromkeys(("normal", "linear", "ols", "identity"), "'gaussian'"),
    **dict.fromkeys(("count", "loglinear"), "'poisson'"),
}


def _family_hint(name: str) -> str:
    """What an unknown family may have meant, and those that exist."""
    meant = _SYNONYMS.get(name.casefold())
    if meant is None:
        return choose(name, KINDS, "families:")
    return f"; did you mean {meant}? Families: {', '.join(KINDS)}"


def family(name: str | Family, link: str | None = None, *, variance: str | None = None) -> Family:
    """A family by its R name or R call.

    Parameters
    ----------
    name : str or Family
        ``"binomial"``, ``"binomial(link = 'probit')"``, ``"binomial('probit')"``, ``"quasi(variance = 'mu')"``, ...
    link : str, optional
        Name of the link; R's default for the family when omitted.
    variance : str, optional
        For ``quasi`` only: one of ``constant, mu(1-mu), mu, mu^2, mu^3``.

    Returns
    -------
    Family
        A small, frozen, picklable record.

    Raises
    ------
    OptionError
        For an unknown family, link or variance, with those that exist.
    """
    if isinstance(name, Family):
        return name if link is None else family(name.name, link, variance=name.variance_name)
    found = _CALL.fullmatch(name)
    called, arguments = (found[1], _arguments(found[2], name)) if found else (name, {})
    if called not in KINDS:
        raise OptionError(f"unknown family {called!r}{_family_hint(called)}")
    kind = KINDS[called]
    link = link or arguments.get("link") or kind.link
    if link not in LINKS:
        raise OptionError(f"unknown link {link!r}{choose(link, LINKS, 'links:')}")
    variance = variance or arguments.get("variance") or kind.variance
    if variance not in VARIANCES or (called != "quasi" and variance != kind.variance):
        raise OptionError(
            f"variance {variance!r} does not go with {called}; only quasi takes one of {', '.join(VARIANCES)}"
        )
    return Family(called, link, variance)


def _arguments(text: str | None, call: str) -> dict[str, Any]:
    """The arguments of an R call: names ``link`` and ``variance``, in that order when not named."""
    out: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        found = _ARGUMENT.fullmatch(part)
        key = (found[1] or "link") if found else ""
        if found is None or key in out:
            raise OptionError(f"cannot read the family {call!r}; write it as in binomial(link = 'probit')")
        out[key] = found[2] or found[3] or found[4]
    return out
