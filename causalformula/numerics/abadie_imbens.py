"""The matching estimator of Abadie and Imbens (2006) with its variance, equal to R's ``Matching::Match``.

Abadie and Imbens (2011) is the correction of the bias, and the variances with ties and the homoscedastic ones are those
of Abadie, Drukker, Herr and Imbens (2004). Sampling weights count rows: a row of weight 2 is a match twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import DataError, OptionError
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.linalg import as_floats
from causalformula.numerics.tied_matches import Matches, Neighbours, neighbours


@dataclass(frozen=True, eq=False)
class MatchedEffect:
    """A matching estimate.

    Attributes
    ----------
    estimate, unadjusted : float
        With and without the correction of the bias (equal without ``Z``).
    means : tuple of float
        Average outcomes without and with treatment in the target, whose difference is the estimate.
    variance : float
        Abadie and Imbens'.
    conditional : ndarray, shape (n,)
        Variance of each row's outcome given its covariates and arm.
    se_standard : float
        Of the matched differences, as if the pairs were independent.
    weight : float
        Sampling weight of the matched focal rows.
    """

    estimate: float
    unadjusted: float
    means: tuple[float, float]
    variance: float
    conditional: Array
    se_standard: float
    weight: float

    @property
    def se(self) -> float:
        """Abadie and Imbens' standard error."""
        return float(np.sqrt(self.variance))


def abadie_imbens(
    y: Array,
    treated: Bools,
    matches: Matches,
    *,
    Z: Array | None = None,
    sample: bool = False,
    var_calc: int = 0,
    as_match: bool = True,
) -> MatchedEffect:
    """Average difference of focal rows and their matches, and its variance.

    Parameters
    ----------
    y : ndarray, shape (n,)
    treated : ndarray of bool, shape (n,)
    matches : Matches
    Z : ndarray, shape (n, k) or (n,), optional
        Covariates of the correction of the bias: outcomes of the matches are moved to the focal row's covariates by
        the slopes of a regression among the matches of that arm.
    sample : bool
        The variance for the effect in the sample, else in the population.
    var_calc : int
        Rows of the same arm that each row's conditional variance is taken from; 0 for one variance of all.
    as_match : bool
        What the variance makes of calipers and exact columns. Match counts dropped rows in the size of the target, with
        an effect of zero, and gives a row without ``var_calc`` neighbours of its arm within the limits no variance:
        its standard error is too small where many rows are dropped. ``False`` gives the variance of the rows kept,
        and looks for neighbours of the same arm without limits.

    Raises
    ------
    DataError
        For an arm with fewer than ``var_calc`` other rows.
    """
    if var_calc < 0:
        raise OptionError(f"variances cannot be taken from {var_calc} units")
    n = len(matches.weights)
    y = as_floats(y, "the outcome", (n,))
    treated = np.asarray(treated, dtype=bool)
    focal, match, shares = matches.focal, matches.match, matches.shares
    sign = np.where(treated[focal], 1.0, -1.0)
    plain = sign * (y[focal] - y[match])
    imputed = y[match] if Z is None else y[match] + _shift(y, treated, matches, Z)
    differences = sign * (y[focal] - imputed)
    total = shares.sum()
    treated_mean = float(shares @ np.where(sign > 0, y[focal], imputed) / total)
    control_mean = float(shares @ np.where(sign > 0, imputed, y[focal]) / total)
    estimate, unadjusted = float(shares @ differences / total), float(shares @ plain / total)
    spread = float(shares @ (differences - estimate) ** 2 / (2 * total))
    conditional = _conditional(y, treated, matches, var_calc, as_match) if var_calc else np.full(n, spread)
    return MatchedEffect(
        estimate,
        unadjusted,
        (control_mean, treated_mean),
        _variance(matches, differences, estimate, conditional, sample, as_match),
        conditional,
        float(np.sqrt(shares @ (plain - unadjusted) ** 2) / total),
        float(total),
    )


def _variance(
    matches: Matches, differences: Array, estimate: float, conditional: Array, sample: bool, as_match: bool
) -> float:
    """Abadie, Drukker, Herr and Imbens (2004), with the pairs' shares for their 1 / #J and K."""
    n, w = len(matches.weights), matches.weights
    kept = np.unique(matches.focal)
    target = np.concatenate([kept, matches.dropped]) if as_match else kept
    own, times = np.zeros(n), np.bincount(matches.match, matches.shares, n)
    own[target] = w[target]
    size = own.sum()
    if sample:
        return float((own + times) ** 2 @ conditional / size**2)
    effects = np.bincount(matches.focal, matches.shares * differences, n) / np.where(w > 0, w, 1.0)
    repeats = np.bincount(matches.match, matches.shares**2 / w[matches.focal], n)
    between = own @ (effects - estimate) ** 2
    # Match counts a row that is focal and a match once in the product of both, whatever its weight is
    within = times**2 + 2 * (own > 0) * times - repeats
    return float((between + within @ conditional) / size**2)


def _shift(y: Array, treated: Bools, matches: Matches, Z: Array) -> Array:
    """What a regression among the matches of an arm adds to each match's outcome, at the focal row's covariates."""
    n = len(y)
    Z = np.asarray(Z, dtype=np.float64).reshape(n, -1)
    design = np.column_stack([np.ones(n), Z])
    times = np.bincount(matches.match, matches.shares, n)
    out = np.empty(len(matches.match))
    for arm in (False, True):
        pairs = treated[matches.match] == arm
        if pairs.any():
            coef = least_squares(design, y, np.where(treated == arm, times, 0.0)).coef[1:]
            out[pairs] = (Z[matches.focal[pairs]] - Z[matches.match[pairs]]) @ np.nan_to_num(coef)
    return out


def _conditional(y: Array, treated: Bools, matches: Matches, wanted: int, limited: bool) -> Array:
    """Weighted variance of each row and the nearest of its own arm, the weights counting rows."""
    limits = matches.search if limited else matches.search.unlimited()
    search = replace(limits, wanted=wanted)
    out = np.zeros(len(y))
    for arm in (False, True):
        rows = np.flatnonzero((treated == arm) & (matches.weights > 0))
        near = neighbours(rows, rows, search)
        if not near.found.all() and not len(search.limits):
            raise DataError(
                f"variances are to come from {wanted} nearest units of the same arm, and an arm has too few; "
                "take a smaller number"
            )
        out[rows] = np.where(near.found, _weighted_variances(y, matches.weights, rows, near), 0.0)
    return out


def _weighted_variances(y: Array, w: Array, rows: Codes, near: Neighbours) -> Array:
    own = np.arange(len(rows))
    group, member = np.concatenate([near.row, own]), np.concatenate([near.match, rows])
    weight = np.bincount(group, w[member])
    mean = np.bincount(group, w[member] * y[member]) / weight
    squares = np.bincount(group, w[member] * (y[member] - mean[group]) ** 2)
    others = np.where(near.found, weight - 1, 1.0)
    return np.asarray(squares / others)
