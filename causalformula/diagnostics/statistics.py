"""Balance statistics of one covariate or of the columns of a matrix: cobalt's ``col_w_*``.

The functions named ``col_w_*`` take a matrix and give one number a column, with cobalt's arguments and conventions:
the variance of a 0/1 column is ``p (1 - p)``, that of another column the weighted one without bias for weights that are
no counts, ``sum w / ((sum w)^2 - sum w^2) * sum w (x - m)^2``. Reference: cobalt 4.5.5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causalformula.errors import DataError, OptionError, choose

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

DENOMINATORS = ("treated", "control", "pooled", "all", "weighted", "hedges")
# Partitions of the midpoint sum for the overlap, and how far beyond the data it reaches, in bandwidths.
STEPS, REACH = 1000, 4.0
GRID = 512
NEGLIGIBLE = float(np.sqrt(np.finfo(float).eps))


# ---- one column ------------------------------------------------------------------------------------------------------


def mean(x: Array, w: Array) -> float:
    """Weighted mean; NaN where nothing has weight."""
    total = w.sum()
    return float(w @ x / total) if total else np.nan


def variance(x: Array, w: Array, binary: bool) -> float:
    """Weighted variance, ``p (1 - p)`` of a 0/1 variable."""
    m = mean(x, w)
    if binary:
        return m * (1 - m)
    total = w.sum()
    # scaled, so that neither a sum of squares nor the difference overflows or cancels
    share = w / total if total else w
    freedom = 1 - share @ share
    return float(share @ (x - m) ** 2 / freedom) if freedom > 0 else np.nan


def ks(x: Array, treated: Bools, weights: Sequence[Array], binary: bool) -> Array:
    """Largest distance between the arms' weighted distribution functions, for each set of weights."""
    if binary:
        return np.array([abs(mean(x[treated], w[treated]) - mean(x[~treated], w[~treated])) for w in weights])
    order = np.argsort(x, kind="stable")
    last = np.append(np.diff(x[order]) > 0, True)
    sign = np.where(treated, 1.0, -1.0)
    out = []
    for w in weights:
        one, zero = w[treated].sum(), w[~treated].sum()
        if not one or not zero:
            out.append(np.nan)
            continue
        gap = np.cumsum((sign * w / np.where(treated, one, zero))[order])
        out.append(float(np.abs(gap[last]).max()))
    return np.array(out)


def overlap(x: Array, treated: Bools, weights: Sequence[Array], binary: bool) -> Array:
    """One minus the area under both arms' weighted kernel densities, for each set of weights.

    Gaussian kernels with the bandwidth (``bw.nrd``) of the smaller arm; a midpoint sum over 1000 intervals.
    """
    if binary:
        return ks(x, treated, weights, True)
    small = x[treated] if treated.sum() < (~treated).sum() else x[~treated]
    width = bandwidth(small)
    if not width > 0:
        return np.full(len(weights), np.nan)
    low, high = x.min() - REACH * width, x.max() + REACH * width
    step = (high - low) / STEPS
    at = low + step * (np.arange(STEPS) + 0.5)
    out = []
    for w in weights:
        both = [density(x[arm], w[arm], width, at) for arm in (treated, ~treated)]
        out.append(1 - float(np.minimum(*both).sum() * step))
    return np.array(out)


def bandwidth(x: Array) -> float:
    """Scott's rule, ``1.06 min(sd, IQR / 1.34) n^(-1/5)`` (R's ``bw.nrd``); by the sd alone where the IQR is 0."""
    if len(x) < 2:
        return np.nan
    low, high = np.quantile(x, [0.25, 0.75])
    sd = float(x.std(ddof=1))
    spread = min(sd, (high - low) / 1.34) or sd
    return float(1.06 * spread * len(x) ** -0.2)


def density(x: Array, w: Array, width: float, at: Array) -> Array:
    """Weighted Gaussian kernel density at some points, through a grid of 512 (as R's ``density`` computes it).

    The weights are shared between the two grid points beside each value, convolved with the kernel by a Fourier
    transform, and the density is read off the grid by linear interpolation, on 512 points from three bandwidths below
    the data to three above, and from there at ``at``; it is zero outside.
    """
    total = w.sum()
    if not total:
        return np.full(len(at), np.nan)
    low, high = x.min() - 7 * width, x.max() + 7 * width
    step = (high - low) / (GRID - 1)
    place = (x - low) / step
    cell = np.floor(place).astype(np.intp)
    part = place - cell
    share = w / total
    mass = np.bincount(cell, share * (1 - part), 2 * GRID) + np.bincount(cell + 1, share * part, 2 * GRID)
    # distances on a circle twice as long as the data, so that the ends do not meet
    distance = np.minimum(np.arange(2 * GRID), 2 * GRID - np.arange(2 * GRID)) * (2 * (high - low) / (2 * GRID - 1))
    kernel = np.exp(-0.5 * (distance / width) ** 2) / (width * np.sqrt(2 * np.pi))
    smooth = np.fft.irfft(np.fft.rfft(mass) * np.fft.rfft(kernel), 2 * GRID)[:GRID]
    grid = np.linspace(low, high, GRID)
    shown = np.linspace(x.min() - 3 * width, x.max() + 3 * width, GRID)
    return np.interp(at, shown, np.interp(shown, grid, np.maximum(smooth, 0)), left=0.0, right=0.0)


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


def is_binary(x: Array) -> bool:
    """Whether a column holds zeros and ones only."""
    return bool(((x == 0) | (x == 1)).all())


def _binary(X: Array, bin_vars: ArrayLike | None) -> Bools:
    if bin_vars is None:
        return np.array([is_binary(x) for x in X.T])
    return np.asarray(bin_vars, dtype=bool)


def _treated(treat: ArrayLike, n: int) -> Bools:
    values = np.asarray(treat)
    levels = np.unique(values)
    if len(levels) != 2 or len(values) != n:
        raise DataError(f"treat must hold two values, one a row of mat; it has {len(levels)} in {len(values)} rows")
    return np.asarray(values == levels[1])


def spread(
    x: Array, groups: Sequence[Bools], s: Array, binary: bool, denominator: str, w: Array | None = None
) -> float:
    """The standard deviation that a mean difference is divided by, in the sample before adjustment.

    Parameters
    ----------
    x : ndarray (n,)
    groups : sequence of ndarray (n,) of bool
        Control and treated; with more arms, all of them (``pooled`` averages their variances).
    s : ndarray (n,)
        Sampling weights.
    denominator : str
        One of ``DENOMINATORS``, or the position of a group in text.
    w : ndarray (n,), optional
        Weights of the adjusted sample, for ``"weighted"``.
    """
    if denominator == "all":
        return float(np.sqrt(variance(x, s, binary)))
    if denominator == "weighted":
        return float(np.sqrt(variance(x, s if w is None else s * w, binary)))
    variances = [variance(x[g], s[g], binary) for g in groups]
    if denominator == "pooled":
        return float(np.sqrt(np.mean(variances)))
    if denominator == "hedges":
        sizes = np.array([g.sum() for g in groups])
        free = sizes.sum() - len(groups)
        # the small-sample factor belongs to the difference, so its inverse to the divisor
        return float(np.sqrt((sizes - 1) @ variances / free) / (1 - 3 / (4 * free - 1)))
    place = {"control": 0, "treated": 1}.get(denominator)
    return float(np.sqrt(variances[int(denominator) if place is None else place]))


def check_denominator(name: str) -> None:
    """Refuse an unknown ``s_d_denom``."""
    if name not in DENOMINATORS:
        raise OptionError(f"unknown s_d_denom {name!r}{choose(name, DENOMINATORS)}")


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
    s, w = _weights(len(X), s_weights), _weights(len(X), weights)
    total = s * w
    out = np.array([mean(x[treated], total[treated]) - mean(x[~treated], total[~treated]) for x in X.T])
    if std:
        arms = (~treated, treated)
        out = divided(out, [spread(x, arms, s, b, s_d_denom, w) for x, b in zip(X.T, binary, strict=True)])
    return np.abs(out) if abs else out


def divided(difference: ArrayLike, divisor: ArrayLike) -> Array:
    """Differences over their standard deviations; one that is as good as none is left as it is, as in cobalt."""
    up, down = np.asarray(difference, dtype=float), np.asarray(divisor, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(up) < NEGLIGIBLE, up, up / down)


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
    treated, binary = _treated(treat, len(X)), _binary(X, bin_vars)
    w = _weights(len(X), weights, s_weights)
    pairs = zip(X.T, binary, strict=True)
    out = np.array([variance(x[treated], w[treated], b) / variance(x[~treated], w[~treated], b) for x, b in pairs])
    return np.maximum(out, 1 / out) if abs else out


def col_w_ks(
    mat: ArrayLike,
    treat: ArrayLike,
    weights: ArrayLike | None = None,
    s_weights: ArrayLike | None = None,
    bin_vars: ArrayLike | None = None,
) -> Array:
    """Weighted Kolmogorov-Smirnov statistics between two arms, one a column. R: ``cobalt::col_w_ks`` 4.5."""
    X = _matrix(mat)
    treated, w = _treated(treat, len(X)), _weights(len(X), weights, s_weights)
    return np.array([ks(x, treated, [w], bool(b))[0] for x, b in zip(X.T, _binary(X, bin_vars), strict=True)])


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
    return np.array([overlap(x, treated, [w], bool(b))[0] for x, b in zip(X.T, _binary(X, bin_vars), strict=True)])


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

    R: ``cobalt::col_w_corr`` 4.5. They may lie beyond 1, since the divisor is not that of the weighted sample.
    """
    X, a = _matrix(mat), np.asarray(treat, dtype=float)
    if s_d_denom not in ("all", "weighted"):
        raise OptionError(f"for a dose s_d_denom is 'all' or 'weighted', not {s_d_denom!r}")
    s, w = _weights(len(X), s_weights), _weights(len(X), weights)
    binary = _binary(X, bin_vars)
    base = s * w if s_d_denom == "weighted" else s
    out = np.array([correlation(x, a, s * w, base, bool(b)) for x, b in zip(X.T, binary, strict=True)])
    return np.abs(out) if abs else out


def correlation(x: Array, a: Array, w: Array, base: Array, binary: bool) -> float:
    """Weighted covariance of a covariate and a dose over their standard deviations under the weights ``base``."""
    share = w / w.sum()
    freedom = 1 - share @ share
    centred = (x - share @ x) * (a - share @ a)
    covariance = float(share @ centred) / freedom
    scale = np.sqrt(variance(x, base, binary) * variance(a, base, False))
    return float(divided(covariance, scale))


def target_ks(x: Array, s: Array, w: Array) -> float:
    """Distance between the weighted and the unweighted sample's distribution functions."""
    both = np.concatenate([x, x])
    treated = np.arange(len(both)) < len(x)
    return float(ks(both, treated, [np.concatenate([s * w, s])], False)[0])
