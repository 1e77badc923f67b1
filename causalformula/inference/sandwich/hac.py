"""Covariances for rows in time order: Newey-West, Andrews' kernels, Driscoll-Kraay.

The middle of the sandwich is the long-run covariance ``sum_l k(l) (Gamma_l + Gamma_l')`` of the scores, with
``Gamma_l`` their cross-products at lag l and k a kernel. Defaults, automatic bandwidths and prewhitening are those of
R's sandwich.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import DataError, OptionError, warn
from causalformula.errors import counted as counted_rows
from causalformula.inference.evidence import Influence
from causalformula.inference.requests import HAC, DriscollKraay
from causalformula.inference.sandwich.rules import Rules, rules_of
from causalformula.inference.small_sample import SmallSample
from causalformula.inference.stage import Stage, influence_weights
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.least_squares import group_sums

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
    """

    function: Callable[[Array], Array]
    constant: float
    order: int


KERNELS: dict[str, Kernel] = {
    "Bartlett": Kernel(_bartlett, 1.1447, 1),
    "Parzen": Kernel(_parzen, 2.6614, 2),
    "QuadraticSpectral": Kernel(_quadratic_spectral, 1.3221, 2),
    "TukeyHanning": Kernel(_tukey_hanning, 1.7462, 2),
    "Truncated": Kernel(_truncated, 0.6611, 2),
}


def hac(
    scores: Array, counted: Array, request: HAC, parameters: int, given: Callable[[Array], Array] = lambda rows: rows
) -> tuple[Array, float]:
    """Long-run covariance of scores in time order (p, p), as a sum over rows, and the bandwidth used.

    Parameters
    ----------
    scores : ndarray (n, p)
    counted : ndarray (p,)
        Weight of each column in the choice of the bandwidth: zero for the intercept, otherwise one.
    parameters : int
        Of the regression, for the small-sample factor ``n / (n - parameters)``.
    given : callable
        From rows over the columns to rows over those as the caller gave them, which choose the bandwidth.
    """
    n = len(scores)
    U, filtered = prewhitened(scores, request.whitens)
    if request.type == "NeweyWest":
        width = request.lag if request.lag is not None else np.floor(newey_west(given(U), counted, n, request.whitens))
        weights = _bartlett(np.arange(int(width) + 1) / (int(width) + 1.0))
    else:
        width = request.bandwidth if request.bandwidth is not None else andrews(given(U), counted, request.kernel)
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
    """Residuals e of the autoregression ``u_t = A u_{t-1} + e_t``, fitted without intercept, and its matrix A."""
    if not wanted:
        return scores, None
    if len(scores) <= scores.shape[1] + 1:
        raise DataError(f"prewhitening {scores.shape[1]} scores needs more than {len(scores)} rows; use prewhite=False")
    scale = np.sqrt((scores**2).mean(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    Z = scores / scale
    A = np.linalg.lstsq(Z[:-1], Z[1:], rcond=None)[0].T
    return (Z[1:] - Z[:-1] @ A.T) * scale, A * scale[:, None] / scale


def newey_west(U: Array, counted: Array, n: int, prewhite: bool) -> float:
    """Newey and West's (1994) automatic bandwidth for the Bartlett kernel, ``sandwich::bwNeweyWest``.

    Their curvature is estimated from the first ``4 (n / 100)^(2/9)`` autocovariances of the scores' sum; 3 stands in
    place of 4 after prewhitening.
    """
    most = int(np.floor((3 if prewhite else 4) * (n / 100) ** (2 / 9)))
    h = U @ counted
    sigma = np.array([np.dot(h[: len(h) - lag], h[lag:]) for lag in range(min(most, len(h) - 1) + 1)]) / n
    lags = np.arange(1, len(sigma))
    level = sigma[0] + 2 * sigma[1:].sum()
    slope = 2 * (lags * sigma[1:]).sum()
    return float(KERNELS["Bartlett"].constant * ((slope / level) ** 2) ** (1 / 3) * n ** (1 / 3))


def andrews(U: Array, counted: Array, kernel: str) -> float:
    """Andrews' (1991) automatic bandwidth from a first-order autoregression of each column, ``sandwich::bwAndrews``."""
    chosen = KERNELS[kernel]
    rho, variance = _autoregressions(U)
    base = counted * variance**2 / (1 - rho) ** 4
    if chosen.order == 1:
        bent = counted * 4 * rho**2 * variance**2 / ((1 - rho) ** 6 * (1 + rho) ** 2)
    else:
        bent = counted * 4 * rho**2 * variance**2 / (1 - rho) ** 8
    if not base.sum() > 0:
        return 0.0
    alpha = bent.sum() / base.sum()
    return float(chosen.constant * (len(U) * alpha) ** (1 / (2 * chosen.order + 1)))


def _autoregressions(U: Array) -> tuple[Array, Array]:
    """Coefficient and innovation variance of each column's autoregression with a mean; zeros of one that is constant.

    The scores of a factor's level with one row are zero: the row is fitted exactly.
    """
    centred = U - U.mean(axis=0)
    before, after = centred[:-1], centred[1:]
    x, y = before - before.mean(axis=0), after - after.mean(axis=0)
    size = (x**2).sum(axis=0)
    rho = np.divide((x * y).sum(axis=0), size, out=np.zeros_like(size), where=size > 0)
    return rho, np.asarray(((y - rho * x) ** 2).sum(axis=0) / len(x))


def _lags(request: HAC | DriscollKraay, periods: int) -> tuple[int, Array]:
    """The number of lags in a panel, and the weights of each."""
    lag = int(np.floor(periods**0.25)) if request.lag is None else int(request.lag)
    _check_reach(lag, periods, "periods")
    return lag, _bartlett(np.arange(lag + 1) / (lag + 1.0))


def within_units(U: Array, unit: Codes, period: Codes, weights: Array) -> Array:
    """``sum_l w_l (Gamma_l + Gamma_l')`` of scores (n, p) that are l periods apart in one unit."""
    key = unit * (int(period.max()) + 1) + period
    order = np.argsort(key)
    U, key, period = U[order], key[order], period[order]
    matrix = weights[0] * (U.T @ U)
    for lag in range(1, len(weights)):
        before = np.searchsorted(key, key - lag)
        pairs = (key[before] == key - lag) & (period >= lag)
        cross = U[before[pairs]].T @ U[pairs]
        matrix += weights[lag] * (cross + cross.T)
    return np.asarray(matrix)


def _check_reach(lag: float, length: int, unit: str) -> None:
    """Warn of lags that no two rows (or periods) are apart."""
    if lag >= length:
        warn(
            f"lag {lag:g} reaches beyond the data's {length} {unit}, which are at most {length - 1} apart: there is "
            "little to estimate such a correlation from; choose fewer lags, or none for the automatic number"
        )


def _in_order(codes: Codes, name: str) -> Codes:
    """Rows in the order of a column that says what the order is."""
    values, counts = np.unique(codes, return_counts=True)
    if len(values) < len(codes):
        raise OptionError(
            f"order_by={name!r} does not say the order of the rows: {int((counts > 1).sum())} of its values have "
            f"several rows. For a panel use 'NW ~ unit + {name}' or cf.DriscollKraay({name!r}); to keep the order "
            "in which tied rows stand, sort the data and leave order_by out"
        )
    return np.argsort(codes, kind="stable")


def serial(
    evidence: Influence, request: HAC | DriscollKraay, groups: Mapping[str, Codes], rules: Rules | None = None
) -> tuple[Array, str, int]:
    """Covariance of the estimates (q, q) under serial dependence, its label, and the number of periods (or rows).

    ``rules`` are small-sample rules in place of sandwich's factor.
    """
    scores, weights, counted, given = _sequence(evidence, request.unconditional)
    used = _used(evidence)
    k = evidence.root.rank if evidence.root is not None else evidence.size
    n = int(used.sum())
    time = _time(request)
    if time is not None:
        codes, periods = _periods(groups[time][used])
        if periods < 2:
            raise DataError(f"{time!r} has {periods} period; {_NAMES[type(request)]} needs several")
        lag, each = _lags(request, periods)
        if isinstance(request, DriscollKraay):
            matrix = long_run(group_sums(scores[used], codes, periods), each)
        else:
            assert request.unit is not None
            units = groups[request.unit][used]
            _refuse_repeated(units, codes, request)
            matrix = within_units(scores[used], units, codes, each)
        label = _panel_label(request, periods, lag)
        usual = n / (n - k) if isinstance(request, DriscollKraay) else 1.0
    else:
        assert isinstance(request, HAC)
        periods, usual = n, 1.0
        order = _in_order(groups[request.order_by][used], request.order_by) if request.order_by else slice(None)
        _check_reach(request.lag or 0, periods, "rows")
        plain = request if rules is None else replace(request, adjust=False)
        matrix, width = hac(scores[used][order], counted, plain, k, given)
        label = _label(request, width)
    if request.adjust is not False:
        matrix = matrix * (usual if rules is None else rules.factor(periods))
    label += "" if rules is None else rules.words
    return np.asarray(weights.T @ matrix @ weights), label, periods


_NAMES: dict[type, str] = {DriscollKraay: "Driscoll-Kraay", HAC: "Newey-West"}


def _time(request: HAC | DriscollKraay) -> str | None:
    """The column of the periods, where units share these."""
    if isinstance(request, DriscollKraay):
        return request.time
    return request.order_by if request.unit is not None else None


def _periods(codes: Codes) -> tuple[Codes, int]:
    """Periods from 0, and how many there are."""
    found = np.unique(codes, return_inverse=True)[1]
    return found, int(found.max(initial=-1)) + 1


def serial_rules(evidence: Influence, request: HAC | DriscollKraay, groups: Mapping[str, Codes]) -> Rules | None:
    """The small-sample rules of a covariance in time: those asked for, fixest's in its panels; else None."""
    time = _time(request)
    if time is None and request.ssc is None:
        return None
    counts = None if time is None else {time: _periods(groups[time][_used(evidence)])[1]}
    if isinstance(request, HAC) and request.unit is not None and evidence.root is not None:
        request = request if request.ssc is not None else replace(request, ssc=SmallSample())
    return rules_of(request, evidence, groups, counts)


def _refuse_repeated(units: Codes, periods: Codes, request: HAC) -> None:
    pairs = units * (int(periods.max()) + 1) + periods
    twice = len(pairs) - len(np.unique(pairs))
    if twice:
        raise DataError(
            f"{counted_rows(twice, 'row')} repeat a {request.order_by} of their {request.unit}, so that their lags are "
            f"not known; name columns that tell the rows apart, or take cf.DriscollKraay({request.order_by!r})"
        )


def _panel_label(request: HAC | DriscollKraay, periods: int, lag: int) -> str:
    within = f" within {request.unit}" if isinstance(request, HAC) else ""
    return f"{_NAMES[type(request)]} ({periods} periods of {_time(request)}{within}, lag {lag})"


def _sequence(evidence: Influence, unconditional: bool) -> tuple[Array, Array, Array, Callable[[Array], Array]]:
    """Scores (n, p), what maps them to the estimates (p, q), the columns (p,) that choose a bandwidth, as they do.

    R chooses the bandwidth from the coefficients' scores, so that any function of the coefficients shares it. With
    several stages, or with averages of their own, the estimates' influences take the scores' place.
    """
    direct = evidence.direct is not None and (unconditional or evidence.always)
    if len(evidence.stages) != 1 or direct:
        psi = evidence.psi(expected=True, unconditional=unconditional) / evidence.n
        return psi, np.eye(evidence.size), np.ones(evidence.size), lambda rows: rows
    stage = evidence.stages[0]
    (weights,) = influence_weights(evidence.stages, evidence.jac, expected=True, fixed=False)
    if stage.hat is None or not stage.hat.ill_conditioned:
        given = (lambda rows: rows) if stage.hat is None else stage.hat.given
        return stage.project(np.eye(stage.size)), weights, _counted(stage), given
    # scores of an orthonormal basis, whose long-run covariance keeps its digits
    hat, L = stage.hat, stage.hat.whitening
    back = np.linalg.inv(L)
    return stage.project(L), L.T @ evidence.jac.T, _counted(stage), lambda rows: hat.given(rows @ back)


def _counted(stage: Stage) -> Array:
    """One for the columns that choose a bandwidth, zero for the constant: by its name, or else for being one."""
    constant = np.array([name == "(Intercept)" for name in stage.names])
    if not constant.any() and stage.hat is not None and stage.hat.X.shape[1] == stage.size:
        constant = (stage.hat.X[stage.hat.w > 0] == 1).all(axis=0)
    return np.ones(stage.size) if constant.all() else np.where(constant, 0.0, 1.0)


def _used(evidence: Influence) -> Bools:
    if evidence.root is None or len(evidence.stages) > 1:
        return np.ones(evidence.n, dtype=bool)
    return np.asarray(evidence.root.w > 0)


def _label(request: HAC, width: float) -> str:
    how = "" if request.lag is not None or request.bandwidth is not None else ", automatic"
    text = f"lag {width:.0f}" if request.type == "NeweyWest" else f"{request.kernel}, bandwidth {width:.4g}"
    name = "Newey-West" if request.type == "NeweyWest" else "Andrews HAC"
    order = "" if request.order_by is None else f", ordered by {request.order_by}"
    return f"{name} ({text}{how}{', prewhitened' if request.whitens else ''}{order})"
