"""Whether predicted effects are those that are then estimated: groups of like prediction, and grf's regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from causalformula.diagnostics.rankings import Ranking, running
from causalformula.diagnostics.regressed import Measured, numbers, regressed, sample_weights
from causalformula.errors import DataError, OptionError
from causalformula.numerics.arrays import Array, Codes

TERMS = ("mean.forest.prediction", "differential.forest.prediction")
# Predictions that differ by less than this share of the largest are one number.
CONSTANT = 1e-12


@dataclass(frozen=True, eq=False)
class EffectGroups:
    """Groups of rows of like predicted effect, the least first.

    Parameters
    ----------
    group : ndarray (n,) of int
        Of each row; -1 for a row without sampling weight.
    rows : ndarray (G,) of int
    predicted : ndarray (G,)
        Weighted mean of the predictions.
    estimated : Measured
        Weighted means of the doubly robust scores (G,).
    spread : Measured
        The estimate of the last group less that of the first.
    share : ndarray (G,)
        Of the weight.
    """

    group: Codes
    rows: Codes
    predicted: Array
    estimated: Measured
    spread: Measured
    share: Array

    @property
    def error(self) -> float:
        """Mean squared calibration error: of predicted against estimated, less what the estimates' own errors add.

        Unbiased, and so below 0 by chance where predictions are calibrated; NaN where a group is a single row.

        References
        ----------
        Xu, Y. and Yadlowsky, S. (2022), Calibration error for heterogeneous treatment effects, AISTATS 25, 9280-9303.
        """
        off = (self.predicted - self.estimated.estimate) ** 2 - np.diag(self.estimated.matrix)
        return float(self.share @ off)


def effect_groups(
    effect: Array,
    scores: Array,
    groups: int = 5,
    *,
    order: Array | None = None,
    weights: Array | None = None,
    clusters: Codes | None = None,
) -> EffectGroups:
    """Sorted group average effects: mean prediction and mean doubly robust score of groups of like predicted effect.

    Parameters
    ----------
    effect : ndarray (n,)
        Predicted effects, from a model that was not learned on these rows.
    scores : ndarray (n,)
        Doubly robust scores, whose weighted mean in any group is its average effect.
    groups : int
        Of like weight; rows of equal prediction stay together, so that there may be fewer.
    order : ndarray (n,), optional
        What groups are made of in the place of the predictions, as their ranks within folds.
    weights : ndarray (n,), optional
        Sampling weights.
    clusters : ndarray (n,) of int, optional

    Returns
    -------
    EffectGroups

    Raises
    ------
    OptionError
        For less than one group.
    DataError
        For missing or infinite numbers, or those of another length.

    Notes
    -----
    R: ``lm(scores ~ 0 + factor(group))`` with HC2, a group's own ``sd / sqrt(n)``, or CR2 with clusters.

    References
    ----------
    Chernozhukov, V., Demirer, M., Duflo, E. and Fernandez-Val, I. (2018), Generic machine learning inference on
    heterogeneous treatment effects in randomized experiments, NBER working paper 24678.
    """
    if groups < 1:
        raise OptionError(f"groups must be 1 or more, not {groups}")
    numbers("the predicted effects", effect)
    ranking = Ranking.of(-numbers("the order of the groups", effect if order is None else order), weights, clusters)
    scores = numbers("the scores", scores, ranking.rows)
    w = sample_weights(weights, ranking.rows)
    group = _grouped(ranking, groups)
    used = group >= 0
    count = int(group.max()) + 1
    sizes = np.bincount(group[used], w[used], count)
    predicted = np.bincount(group[used], w[used] * np.asarray(effect)[used], count) / sizes
    members = (group[used, None] == np.arange(count)).astype(np.float64)
    codes = None if clusters is None else clusters[used]
    names = [f"group {k + 1}" for k in range(count)]
    estimated = regressed(members, scores[used], names, w[used], codes)
    contrast = np.zeros((1, count))
    contrast[0, -1] += 1
    contrast[0, 0] -= 1
    rows = np.bincount(group[used], minlength=count)
    return EffectGroups(group, rows, predicted, estimated, estimated.map(contrast), sizes / sizes.sum())


def _grouped(ranking: Ranking, groups: int) -> Codes:
    """The group of each row by the middle of its share of the weight, counted without gaps; -1 without weight."""
    sums = running(ranking.weights)
    ends = np.arange(len(ranking.order)) if ranking.ends is None else ranking.ends
    until = sums[ends + 1] / sums[-1]
    middle = (until + np.concatenate([[0.0], until[:-1]])) / 2
    place = np.minimum((middle * groups).astype(np.intp), groups - 1)
    out = np.full(ranking.rows, -1, dtype=np.intp)
    out[ranking.order] = np.repeat(np.unique(place, return_inverse=True)[1], np.diff(ends, prepend=-1))
    return out


@dataclass(frozen=True, eq=False)
class CalibrationTest:
    """Coefficients of grf's regression: 1 and 1 where predictions are calibrated, the second 0 where they say nothing.

    Parameters
    ----------
    terms : tuple of str
        ``mean.forest.prediction``, ``differential.forest.prediction``.
    found : Measured
        Both coefficients; the second is NaN where the predictions are constant.
    """

    terms: tuple[str, str]
    found: Measured

    @property
    def statistic(self) -> Array:
        """Statistics (2,) of the t tests of no effect."""
        return self.found.estimate / self.found.std_error

    @property
    def p_value(self) -> Array:
        """One-sided p-values (2,): small where the coefficient is above 0."""
        return np.asarray(stats.t.sf(self.statistic, self.found.df))


def calibration_test(
    y: Array,
    a: Array,
    m: Array,
    e: Array,
    effect: Array,
    *,
    weights: Array | None = None,
    clusters: Codes | None = None,
) -> CalibrationTest:
    r"""Best linear fit of the effect by its predictions: their mean, and their differences from it.

    .. math:: Y - \hat m = \beta_1 \bar\tau (A - \hat e) + \beta_2 (\hat\tau - \bar\tau)(A - \hat e) + \mathrm{error}

    Parameters
    ----------
    y, a : ndarray (n,)
        Outcome, and treatment of 0 and 1 or a dose.
    m, e : ndarray (n,)
        Their predictions from the covariates alone, from other rows.
    effect : ndarray (n,)
        Predicted effects, from other rows.
    weights : ndarray (n,), optional
        Sampling weights.
    clusters : ndarray (n,) of int, optional

    Returns
    -------
    CalibrationTest

    Raises
    ------
    DataError
        For missing or infinite numbers, or those of another length.

    Notes
    -----
    R: ``grf::test_calibration``, grf 2.3.2: HC3, or with clusters CR3 as ``sandwich::vcovCL(type = "HC3")``, and the t
    distribution with n - 2 degrees of freedom, one-sided.

    References
    ----------
    Chernozhukov, V., Demirer, M., Duflo, E. and Fernandez-Val, I. (2018), Generic machine learning inference on
    heterogeneous treatment effects in randomized experiments, NBER working paper 24678.
    """
    tau = numbers("the predicted effects", effect)
    n = len(tau)
    given = {"the outcome": y, "the treatment": a, "the predicted outcome": m, "the propensity": e}
    y, a, m, e = (numbers(what, values, n) for what, values in given.items())
    w = sample_weights(weights, n)
    used = w > 0
    if used.sum() < 3:
        raise DataError("the calibration test needs three rows or more")
    mean = float(w @ tau / w.sum())
    off = tau - mean
    if np.ptp(tau[used]) <= CONSTANT * np.abs(tau[used]).max():
        off = np.zeros(n)
    X = np.column_stack([mean * (a - e), off * (a - e)])[used]
    codes = None if clusters is None else clusters[used]
    df = float(used.sum() - np.linalg.matrix_rank(X))
    return CalibrationTest(TERMS, regressed(X, (y - m)[used], TERMS, w[used], codes, "HC3", "CR3", df))
