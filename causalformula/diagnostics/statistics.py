"""Balance statistics of the columns of a matrix: cobalt's ``col_w_*`` and what balance tables share with them.

The variance of a 0/1 column is ``p (1 - p)``, that of another column the weighted one without bias for weights that
are no counts, ``sum w / ((sum w)^2 - sum w^2) * sum w (x - m)^2``. Reference: cobalt 4.5.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from causalformula.diagnostics.moments import Moments, moments
from causalformula.errors import DataError, OptionError, choose
from causalformula.numerics.arrays import Array, Bools

DENOMINATORS = ("treated", "control", "pooled", "all", "weighted", "hedges")
# Intervals of the midpoint sum for the overlap, and how far beyond the data it reaches, in bandwidths.
STEPS, REACH = 1000, 4.0
GRID = 512
NEGLIGIBLE = float(np.sqrt(np.finfo(float).eps))


# ---- distributions ---------------------------------------------------------------------------------------------------


def ks(x: Array, treated: Bools, weights: Sequence[Array]) -> Array:
    """Largest distance between the arms' weighted distribution functions, for each set of weights."""
    return np.array([gap.max() if len(gap) else np.nan for gap in ecdf_gaps(x, treated, weights)])


def ecdf_gaps(x: Array, treated: Bools, weights: Sequence[Array]) -> list[Array]:
    """Distances between the arms' weighted distribution functions at each value, for each set of weights.

    Without any where an arm has no weight.
    """
    order = np.argsort(x)
    last = np.append(np.diff(x[order]) > 0, True)
    out = []
    for w in weights:
        signed = np.where(treated, w, 0.0)
        one, both = signed.sum(), w.sum()
        if not one or one == both:
            out.append(np.empty(0))
            continue
        step = np.where(treated, w / one, -w / (both - one))
        out.append(np.abs(np.cumsum(step[order])[last]))
    return out


def overlap(x: Array, treated: Bools, weights: Sequence[Array]) -> Array:
    """One minus the area under both arms' weighted kernel densities, for each set of weights.

    Gaussian kernels with the bandwidth (``bw.nrd``) of the smaller arm; a midpoint sum over 1000 intervals.
    """
    arms = (treated, ~treated)
    parts = [x[arm] for arm in arms]
    width = bandwidth(parts[int(len(parts[1]) <= len(parts[0]))])
    if not width > 0:
        return np.full(len(weights), np.nan)
    low, high = x.min() - REACH * width, x.max() + REACH * width
    step = (high - low) / STEPS
    at = low + step * (np.arange(STEPS) + 0.5)
    one, zero = (densities(part, [w[arm] for w in weights], width, at) for part, arm in zip(parts, arms, strict=True))
    # a density on a grid holds a little more than one
    return np.asarray(np.maximum(1 - np.minimum(one, zero).sum(axis=1) * step, 0.0))


def bandwidth(x: Array) -> float:
    """Scott's rule, ``1.06 min(sd, IQR / 1.34) n^(-1/5)`` (R's ``bw.nrd``); by the sd alone where the IQR is 0."""
    if len(x) < 2:
        return np.nan
    low, high = np.quantile(x, [0.25, 0.75])
    sd = float(x.std(ddof=1))
    spread = min(sd, (high - low) / 1.34) or sd
    return float(1.06 * spread * len(x) ** -0.2)


def weighted_quantiles(x: Array, w: Array, probs: ArrayLike) -> Array:
    """The least values at or below which lie these shares of the weight."""
    order = np.argsort(x, kind="stable")
    order = order[w[order] > 0]
    share = np.cumsum(w[order]) / w[order].sum()
    # a share that is reached but for the rounding of a sum is reached
    return np.asarray(x[order][np.minimum(np.searchsorted(share, np.asarray(probs) - 1e-12), len(order) - 1)])


def weighted_bandwidth(x: Array, w: Array) -> float:
    """Scott's rule for a weighted sample, ``1.06 min(sd, IQR / 1.34) ESS^(-1/5)``; by the sd where the IQR is 0."""
    low, high = weighted_quantiles(x, w, (0.25, 0.75))
    sd = float(np.sqrt(w @ (x - w @ x / w.sum()) ** 2 / w.sum()))
    size = w.sum() ** 2 / (w @ w)
    return float(1.06 * (min(sd, (high - low) / 1.34) or sd) * size**-0.2)


def densities(x: Array, weights: Sequence[Array], width: float, at: Array) -> Array:
    """Weighted Gaussian kernel densities at some points, a row a set of weights (as R's ``density`` computes them).

    The weights are shared between the two points of a grid of 512 beside each value and convolved with the kernel by a
    Fourier transform; the density is read off by linear interpolation, on 512 points from three bandwidths below the
    data to three above, and from there at ``at``. It is zero outside.
    """
    low, high = x.min() - 7 * width, x.max() + 7 * width
    place = (x - low) / ((high - low) / (GRID - 1))
    cell = place.astype(np.intp)
    part = place - cell
    # distances on a circle twice as long as the data, so that the ends do not meet
    points = np.arange(2 * GRID)
    distance = np.minimum(points, 2 * GRID - points) * (2 * (high - low) / (2 * GRID - 1))
    kernel = np.fft.rfft(np.exp(-0.5 * (distance / width) ** 2) / (width * np.sqrt(2 * np.pi)))
    grid, shown = np.linspace(low, high, GRID), np.linspace(x.min() - 3 * width, x.max() + 3 * width, GRID)
    out = []
    for w in weights:
        right = w * part
        mass = np.bincount(cell, w - right, 2 * GRID)
        mass[1:] += np.bincount(cell, right, 2 * GRID)[:-1]
        with np.errstate(invalid="ignore"):
            smooth = np.fft.irfft(np.fft.rfft(mass / w.sum()) * kernel, 2 * GRID)[:GRID]
        out.append(np.interp(at, shown, np.interp(shown, grid, np.maximum(smooth, 0)), left=0.0, right=0.0))
    return np.array(out)


# ---- differences -----------------------------------------------------------------------------------------------------


def spreads(base: Moments, sizes: Array, binary: Bools, denominator: str, adjusted: Moments | None = None) -> Array:
    """The standard deviations that mean differences are divided by, one a column.

    Parameters
    ----------
    base : Moments
        Of the arms before adjustment, control and treated first; ``pooled`` averages over all arms.
    sizes : ndarray (arms,)
        Rows of each arm.
    binary : ndarray (p,) of bool
    denominator : str
        One of ``DENOMINATORS``, or the position of an arm as text.
    adjusted : Moments, optional
        After adjustment, for ``"weighted"``.
    """
    if denominator in ("all", "weighted"):
        whole = base if adjusted is None or denominator == "all" else adjusted
        return np.asarray(np.sqrt(whole.merged().variance(binary)[:, 0]))
    variances = base.variance(binary)
    if denominator == "pooled":
        return np.asarray(np.sqrt(variances.mean(axis=1)))
    if denominator == "hedges":
        free = sizes.sum() - len(sizes)
        # the small-sample factor belongs to the difference, so its inverse to the divisor
        return np.asarray(np.sqrt(variances @ (sizes - 1) / free) / (1 - 3 / (4 * free - 1)))
    place = {"control": 0, "treated": 1}.get(denominator)
    return np.asarray(np.sqrt(variances[:, int(denominator) if place is None else place]))


def check_denominator(name: str) -> None:
    """Refuse an unknown ``s_d_denom``."""
    if name not in DENOMINATORS:
        raise OptionError(f"unknown s_d_denom {name!r}{choose(name, DENOMINATORS)}")


def divided(difference: ArrayLike, divisor: ArrayLike) -> Array:
    """Differences over their standard deviations; one that is as good as none is left as it is, as in cobalt."""
    up, down = np.asarray(difference, dtype=float), np.asarray(divisor, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(up) < NEGLIGIBLE, up, up / down)


# ---- the columns of a matrix -----------------------------------------------------------------------------------------


def _matrix(mat: ArrayLike) -> Array:
    X = np.asarray(mat, dtype=float)
    return X[:, None] if X.ndim == 1 else X


def _weights(n: int, *parts: ArrayLike | None) -> Array:
    w = np.ones(n)
    for part in parts:
        if part is not None:
            w = w * np.asarray(part, dtype=float)
    return w


def _binary(X: Array, bin_vars: ArrayLike | None) -> Bools:
    if bin_vars is None:
        return np.asarray(((X == 0) | (X == 1)).all(axis=0))
    return np.asarray(bin_vars, dtype=bool)


def _treated(treat: ArrayLike, n: int) -> Bools:
    values = np.asarray(treat)
    levels = np.unique(values)
    if len(levels) != 2 or len(values) != n:
        raise DataError(f"treat must hold two values, one a row of mat; it has {len(levels)} in {len(values)} rows")
    return np.asarray(values == levels[1])


def _arms(X: Array, treated: Bools, w: Array) -> Moments:
    return moments(list(X.T), np.column_stack([np.where(treated, 0, w), np.where(treated, w, 0)]))


def col_w_smd(
    mat: ArrayLike,
    treat: ArrayLike,
    weights: ArrayLike | None = None,
    std: bool = True,
    s_d_denom: str = "pooled",
    abs: bool = False,
    s_weights: ArrayLike | None = None,
    bin_vars: ArrayLike | None = None,
) -> Array:
    """Weighted (standardised) differences in means between two arms, one a column.

    The divisor is the standard deviation of the sample before weighting (``s_weights`` alone), except for
    ``s_d_denom="weighted"``. R: ``cobalt::col_w_smd`` 4.5.
    """
    X = _matrix(mat)
    check_denominator(s_d_denom)
    treated, binary = _treated(treat, len(X)), _binary(X, bin_vars)
    after = _arms(X, treated, _weights(len(X), s_weights, weights))
    out = after.mean[:, 1] - after.mean[:, 0]
    if std:
        before = _arms(X, treated, _weights(len(X), s_weights))
        sizes = np.array([(~treated).sum(), treated.sum()])
        out = divided(out, spreads(before, sizes, binary, s_d_denom, after))
    return np.abs(out) if abs else out


def col_w_vr(
    mat: ArrayLike,
    treat: ArrayLike,
    weights: ArrayLike | None = None,
    abs: bool = False,
    s_weights: ArrayLike | None = None,
    bin_vars: ArrayLike | None = None,
) -> Array:
    """Weighted variance ratios, treated over control, one a column. R: ``cobalt::col_w_vr`` 4.5."""
    X = _matrix(mat)
    found = _arms(X, _treated(treat, len(X)), _weights(len(X), weights, s_weights)).variance(_binary(X, bin_vars))
    out = found[:, 1] / found[:, 0]
    return np.maximum(out, 1 / out) if abs else np.asarray(out)


def col_w_ks(
    mat: ArrayLike,
    treat: ArrayLike,
    weights: ArrayLike | None = None,
    s_weights: ArrayLike | None = None,
) -> Array:
    """Weighted Kolmogorov-Smirnov statistics between two arms, one a column. R: ``cobalt::col_w_ks`` 4.5."""
    X = _matrix(mat)
    treated, w = _treated(treat, len(X)), _weights(len(X), weights, s_weights)
    return np.array([ks(x, treated, [w])[0] for x in X.T])


def col_w_ovl(
    mat: ArrayLike,
    treat: ArrayLike,
    weights: ArrayLike | None = None,
    s_weights: ArrayLike | None = None,
    bin_vars: ArrayLike | None = None,
) -> Array:
    """Complements of the weighted overlapping coefficient between two arms, one a column: 0 is perfect balance.

    R: ``cobalt::col_w_ovl`` 4.5. Reference: Franklin et al. (2014).
    """
    X = _matrix(mat)
    treated, w = _treated(treat, len(X)), _weights(len(X), weights, s_weights)
    one = [ks if b else overlap for b in _binary(X, bin_vars)]
    return np.array([how(x, treated, [w])[0] for how, x in zip(one, X.T, strict=True)])


def col_w_corr(
    mat: ArrayLike,
    treat: ArrayLike,
    weights: ArrayLike | None = None,
    s_d_denom: str = "all",
    abs: bool = False,
    s_weights: ArrayLike | None = None,
    bin_vars: ArrayLike | None = None,
) -> Array:
    """Weighted correlations between a dose and the columns, over the standard deviations before weighting.

    They may lie beyond 1, since the divisor is not that of the weighted sample. R: ``cobalt::col_w_corr`` 4.5.
    """
    X, a = _matrix(mat), np.asarray(treat, dtype=float)
    if s_d_denom not in ("all", "weighted"):
        raise OptionError(f"for a dose s_d_denom is 'all' or 'weighted', not {s_d_denom!r}")
    s, w = _weights(len(X), s_weights), _weights(len(X), weights, s_weights)
    out = correlations(list(X.T), a, w, w if s_d_denom == "weighted" else s, _binary(X, bin_vars))
    return np.abs(out) if abs else out


def correlations(columns: Sequence[Array], a: Array, w: Array, base: Array, binary: Bools) -> Array:
    """Weighted covariances of columns and a dose over their standard deviations under the weights ``base``."""
    share = w / w.sum()
    against = share * (a - share @ a) / (1 - share @ share)
    # both about their means: sums of products about a distant origin would be rounding
    covariance = np.array([against @ (x - share @ x) for x in columns])
    before = moments([*columns, a], base[:, None]).variance(np.append(binary, False))[:, 0]
    return divided(covariance, np.sqrt(before[:-1] * before[-1]))


def target_ks(x: Array, s: Array, w: Array) -> float:
    """Distance between the weighted and the unweighted sample's distribution functions."""
    both = np.concatenate([x, x])
    treated = np.arange(len(both)) < len(x)
    return float(ks(both, treated, [np.concatenate([s * w, s])])[0])
