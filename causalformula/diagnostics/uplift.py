"""Uplift and Qini curves of the outcomes that an experiment shows: no scores, no models, two arms and a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from causalformula.diagnostics.rankings import REPS, Ranking, running
from causalformula.diagnostics.regressed import Measured, numbers, regressed, sample_weights
from causalformula.diagnostics.targeting import TargetingCurve, checked_shares, half_sample_se
from causalformula.errors import DataError, OptionError
from causalformula.numerics.arrays import Array, Codes

OUTCOME_KINDS = ("uplift", "qini")


@dataclass(frozen=True, eq=False)
class OutcomeCurve(TargetingCurve):
    """A curve of observed outcomes, per head of the population, with its area also as a share of the largest one.

    Parameters
    ----------
    kind, share, value, random, area, area_name, draws, seed, size
        As of ``TargetingCurve``; ``draws`` are (R, k + 2), the coefficient last.
    coefficient : float
        The area over that of the perfect order, scikit-uplift's ``uplift_auc_score`` and ``qini_auc_score``; NaN unless
        outcomes are 0 and 1.
    perfect : ndarray (2, p), optional
        Shares and values of the perfect order's curve; None where there is no coefficient.
    """

    coefficient: float = np.nan
    perfect: Array | None = None

    @property
    def coefficient_se(self) -> float:
        """Standard error of ``coefficient``; NaN without half-samples."""
        return float(half_sample_se(self.draws)[-1])

    def beyond(self, other: Self) -> Self:
        """The curve less another of the same half-samples: see ``difference``."""
        return replace(super().beyond(other), coefficient=self.coefficient - other.coefficient, perfect=None)


def outcome_curve(
    y: Array,
    treated: Array,
    priority: Array,
    kind: str = "qini",
    *,
    share: Array | None = None,
    weights: Array | None = None,
    clusters: Codes | None = None,
    reps: int = REPS,
    seed: int = 0,
) -> OutcomeCurve:
    r"""Uplift or Qini curve of an experiment: what treating the top share q gained, from the outcomes of both arms.

    Of the rows down to a priority, with ``N_1, N_0`` their weights by arm, ``Y_1, Y_0`` the weighted sums of their
    outcomes, and all rows' weight ``W``,

    .. math:: \mathrm{uplift} = \left(\frac{Y_1}{N_1} - \frac{Y_0}{N_0}\right) \frac{N_1 + N_0}{W}, \qquad
              \mathrm{qini} = \frac{1}{W} \left(Y_1 - Y_0 \frac{N_1}{N_0}\right),

    straight between priorities, and from (0, 0). The area is that between the curve and the straight line to its end,
    by trapezoids.

    Parameters
    ----------
    y : ndarray (n,)
        Outcomes of a randomised experiment.
    treated : ndarray (n,)
        0 and 1.
    priority : ndarray (n,)
        The higher, the sooner treated; from a model that was not learned on these rows.
    kind : {"qini", "uplift"}
    share : ndarray (k,), optional
        Shares in (0, 1] at which the curve is read; the hundredths by default.
    weights : ndarray (n,), optional
        Sampling weights.
    clusters : ndarray (n,) of int, optional
        Drawn whole.
    reps : int
        Half-samples; 0 for none, and no standard errors.
    seed : int

    Returns
    -------
    OutcomeCurve

    Raises
    ------
    OptionError
        For another kind or share.
    DataError
        For a treatment that is not 0 and 1, a missing arm, missing or infinite numbers, or those of another length.

    Notes
    -----
    Where they differ from each other, and from these curves:

    - scikit-uplift 0.5 (``uplift_curve, qini_curve, uplift_auc_score, qini_auc_score``) counts heads where this has
      shares: its abscissa and its curve are n times, its area n squared times ours; the normalised scores are equal.
      Rows of equal priority are one step there as here, and the mean of an arm without rows so far counts as 0.
    - causalml 0.18 (``get_cumgain, get_qini, auuc_score, qini_score``) has the same values in heads at each row, but
      rows of equal priority in the order of the data, a straight line up to the first row at which both arms are there,
      a mean over n + 1 points for an area (without ``normalize``, ``qini_score = n^2 / (n + 1)`` times the area here,
      if both arms are there from the start), and ``normalize`` by the end of the curve, not by the perfect order.

    The standard errors are standard deviations over random halves of the rows, or of the clusters, as for the curves of
    doubly robust scores: they need no density at a threshold, hold for curve, area and coefficient alike, and compare
    two priorities on the same halves. The perfect order of a half is its own. They are NaN where a half lacks an arm.

    References
    ----------
    Radcliffe, N. J. (2007), Using control groups to target on predicted lift, Direct Marketing Analytics Journal 3,
    14-21. Devriendt, F., Guns, T. and Verbeke, W. (2020), Learning to rank for uplift modeling, arXiv:2002.05897.
    """
    given: dict[str, Any] = {"share": share, "weights": weights, "clusters": clusters, "reps": reps, "seed": seed}
    return outcome_curves(y, treated, priority, (kind,), **given)[kind]


def outcome_curves(
    y: Array,
    treated: Array,
    priority: Array,
    kinds: Sequence[str] = OUTCOME_KINDS,
    *,
    share: Array | None = None,
    weights: Array | None = None,
    clusters: Codes | None = None,
    reps: int = REPS,
    seed: int = 0,
) -> dict[str, OutcomeCurve]:
    """Both kinds of curve by one sort, and on the same half-samples: each as of ``outcome_curve``.

    Parameters
    ----------
    y, treated, priority, share, weights, clusters, reps, seed
        As in ``outcome_curve``.
    kinds : sequence of str

    Returns
    -------
    dict of str to OutcomeCurve

    Raises
    ------
    OptionError, DataError
        As ``outcome_curve``.
    """
    for kind in kinds:
        if kind not in OUTCOME_KINDS:
            raise OptionError(f"kind must be 'uplift' or 'qini', not {kind!r}")
    share = checked_shares(share)
    ranking = Ranking.of(priority, weights, clusters)
    y, t = numbers("the outcome", y, ranking.rows), two_arms(treated, ranking.rows)
    columns = ranking.columns(t, 1 - t, t * y, (1 - t) * y)[1:]
    if not columns[0].any() or not columns[1].any():
        raise DataError("an uplift curve compares two arms, and one of them has no rows")
    binary = bool(np.isin(y[ranking.order], (0.0, 1.0)).all())
    found = partial(_numbers, kinds, share, binary)
    shape = (len(kinds), len(share) + 3)
    whole = found(columns, ranking.ends).reshape(shape)
    draws = ranking.halves(columns, found, reps, seed).reshape(reps, *shape)
    size, cells = (len(ranking.order), ranking.units[1]), columns.sum(axis=1).tolist()
    curves = {}
    for k, kind in enumerate(kinds):
        *_, area, coefficient, end = whole[k].tolist()
        perfect = perfect_curve(kind, *cells) if binary else None
        value, drawn = whole[k, : len(share)], draws[:, k, :-1]
        curves[kind] = OutcomeCurve(
            kind, share, value, share * end, area, "area", drawn, seed, size, coefficient, perfect
        )
    return curves


def two_arms(treated: Array, n: int) -> Array:
    """A treatment of 0 and 1 (n,)."""
    t = numbers("the treatment", treated, n)
    if not np.isin(t, (0.0, 1.0)).all():
        raise DataError(
            f"an uplift curve needs a treatment of 0 and 1, and this one has {len(np.unique(t))} values; for a dose or "
            "several levels use doubly robust scores of one contrast"
        )
    return t


def _numbers(kinds: Sequence[str], share: Array, binary: bool, columns: Array, ends: Codes | None) -> Array:
    """Of one sample in order and each kind, values at the shares, area, coefficient, and the curve's end."""
    sums = [running(column) for column in columns]
    if not sums[0][-1] or not sums[1][-1]:  # a half without an arm shows no effect: no standard error
        return np.full(len(kinds) * (len(share) + 3), np.nan)
    if ends is not None:
        steps = np.append(0, ends + 1)
        sums = [column[steps] for column in sums]
    found: list[Array] = []
    for kind in kinds:
        at, value = _values(kind, *sums)
        area = _beyond_random(at, value)
        largest = _beyond_random(*perfect_curve(kind, *(float(column[-1]) for column in sums))) if binary else np.nan
        coefficient = area / largest if largest != 0 else np.nan
        found += [np.interp(share, at, value), np.array([area, coefficient, value[-1]])]
    return np.concatenate(found)


def _values(kind: str, n1: Array, n0: Array, y1: Array, y0: Array) -> tuple[Array, Array]:
    """Shares and values at each distinct priority, from (0, 0)."""
    sizes = n1 + n0
    whole = sizes[-1]
    controls = _mean(y0, n0)
    value = (_mean(y1, n1) - controls) * sizes if kind == "uplift" else y1 - controls * n1
    return sizes / whole, value / whole


def _mean(y: Array, n: Array) -> Array:
    return np.divide(y, n, out=np.zeros_like(y), where=n > 0)


def _beyond_random(share: Array, value: Array) -> float:
    """Area between a curve and the straight line from (0, 0) to its end."""
    return float(np.diff(share) @ (value[1:] + value[:-1])) / 2 - float(value[-1]) / 2


def perfect_curve(kind: str, n1: float, n0: float, y1: float, y0: float) -> Array:
    """Shares and values (2, p) of the order that knows each outcome of 0 and 1, from the weights of the four cells.

    For uplift: treated who responded, controls who did not, then of the two other cells the larger one first, as in
    scikit-uplift. For Qini: treated who responded, all who did not, controls who responded.
    """
    treated, controls = (y1, 0.0, y1, 0.0), (0.0, y0, 0.0, y0)
    silent_treated, silent_controls = (n1 - y1, 0.0, 0.0, 0.0), (0.0, n0 - y0, 0.0, 0.0)
    if kind == "qini":
        cells = [treated, (n1 - y1, n0 - y0, 0.0, 0.0), controls]
    else:
        rest = [controls, silent_treated] if y0 > n1 - y1 else [silent_treated, controls]
        cells = [treated, silent_controls, *rest]
    sums = np.vstack([np.zeros(4), np.cumsum([cell for cell in cells if any(cell)], axis=0)])
    return np.array(_values(kind, *sums.T))


def uplift_at(
    y: Array,
    treated: Array,
    priority: Array,
    share: float,
    *,
    weights: Array | None = None,
    clusters: Codes | None = None,
) -> Measured:
    """Difference in mean outcomes between the arms among the top share by priority, in an experiment.

    Parameters
    ----------
    y, treated, priority, weights, clusters
        As in ``outcome_curve``.
    share : float
        In (0, 1].

    Returns
    -------
    Measured
        One number; its HC2 (with clusters CR2) standard error is that of the effect among those who were chosen.

    Notes
    -----
    scikit-uplift's ``uplift_at_k(strategy="overall")``, where ``k n`` is whole and nobody at the threshold has the
    priority of somebody beyond it; here rows at the threshold count in part.
    """
    (share,) = checked_shares(np.array([share])).tolist()
    ranking = Ranking.of(priority, weights, clusters)
    t, y = two_arms(treated, ranking.rows), numbers("the outcome", y, ranking.rows)
    w = sample_weights(weights, ranking.rows) * ranking.treated(share)
    chosen = w > 0
    if len(np.unique(t[chosen])) < 2:
        raise DataError(f"the top {100 * share:g}% by priority has one arm only")
    X = np.column_stack([np.ones(len(t)), t])
    codes = None if clusters is None else clusters[chosen]
    found = regressed(X[chosen], y[chosen], ("control", "effect"), w[chosen], codes)
    return found.take([1])
