"""What treating by priority gains: TOC, RATE, uplift, cumulative gain and Qini curves of doubly robust scores."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
from scipy import stats

from causalformula.diagnostics.rankings import REPS, Ranking, running, within_groups
from causalformula.diagnostics.regressed import numbers
from causalformula.errors import OptionError
from causalformula.numerics.arrays import Array, Codes

# Shares treated at which a curve is read: grf's grid, and one for a picture.
TENTHS = np.arange(1, 11) / 10
SHARES = np.arange(1, 101) / 100
TARGETS = ("AUTOC", "QINI")

Curve = TypeVar("Curve", bound="TargetingCurve")


@dataclass(frozen=True, eq=False)
class TargetingCurve:
    """A curve over the share of the population that is treated, those of the highest priority first, and its area.

    Parameters
    ----------
    kind : str
        ``"toc"``, ``"uplift"``, ``"gain"`` or ``"qini"``.
    share : ndarray (k,)
        Shares treated.
    value : ndarray (k,)
    random : ndarray (k,)
        The same where as many are treated at random.
    area : float
        Between the curve and that of treating at random; ``area_name`` says how it is weighted.
    area_name : str
        ``"AUTOC"`` or ``"QINI"``.
    draws : ndarray (R, k + 1)
        Values and area in random half-samples; without rows where none were asked for.
    seed : int
        Of the half-samples.
    size : tuple of int
        Rows, and rows or clusters that half-samples draw.
    """

    kind: str
    share: Array
    value: Array
    random: Array
    area: float
    area_name: str
    draws: Array
    seed: int
    size: tuple[int, int]

    @property
    def area_words(self) -> str:
        """The area by name: AUTOC and QINI are of the curves of these names, whose areas others have above chance."""
        own = self.kind in ("gain", "uplift") and self.area_name == KINDS[self.kind][2]
        return "area above random" if own else self.area_name

    @property
    def std_error(self) -> Array:
        """Standard errors of ``value`` (k,); NaN without half-samples."""
        return half_sample_se(self.draws)[: len(self.share)]

    @property
    def area_se(self) -> float:
        """Standard error of ``area``; NaN without half-samples."""
        return float(half_sample_se(self.draws)[len(self.share)])

    def limits(self, level: float = 0.95) -> tuple[Array, Array]:
        """Pointwise confidence limits of the curve, (k,) each, by the normal distribution as in grf."""
        half = stats.norm.ppf((1 + level) / 2) * self.std_error
        return self.value - half, self.value + half

    def beyond(self, other: Self) -> Self:
        """The curve less another of the same half-samples: see ``difference``."""
        return replace(
            self,
            value=self.value - other.value,
            random=np.zeros(len(self.share)),
            area=self.area - other.area,
            draws=self.draws - other.draws,
        )


def half_sample_se(draws: Array) -> Array:
    """Standard deviations over half-samples (R, q): those of an estimate from all rows, to first order."""
    return draws.std(axis=0, ddof=1) if len(draws) > 1 else np.full(draws.shape[1], np.nan)


@dataclass(frozen=True, eq=False)
class _Top:
    """Of one sample: the mean score, what the top shares gain per head, and the mean of the top."""

    share: Array
    mean: float
    gain: Array
    top: Array


def _above(top: _Top) -> Array:
    return top.top - top.mean


def _uplift(top: _Top) -> Array:
    return top.top


def _gain(top: _Top) -> Array:
    return top.gain


def _qini(top: _Top) -> Array:
    return top.gain - top.share * top.mean


# By kind of curve: its value, that of treating at random, and the weighting of its area.
KINDS: dict[str, tuple[Callable[[_Top], Array], Callable[[_Top], Array], str]] = {
    "toc": (_above, lambda top: np.zeros(len(top.share)), "AUTOC"),
    "uplift": (_uplift, lambda top: np.full(len(top.share), top.mean), "AUTOC"),
    "gain": (_gain, lambda top: top.share * top.mean, "QINI"),
    "qini": (_qini, lambda top: np.zeros(len(top.share)), "QINI"),
}


def score_curve(
    scores: Array,
    priority: Array,
    kind: str = "toc",
    *,
    target: str | None = None,
    share: Array | None = None,
    weights: Array | None = None,
    clusters: Codes | None = None,
    reps: int = REPS,
    seed: int = 0,
) -> TargetingCurve:
    r"""What treating the top share q by priority does, of doubly robust scores, over q, with its area.

    With ``G(q)`` the weighted sum of the scores of the top share over the sum of all weights, and the mean ``G(1)``:

    - ``"toc"``: ``TOC(q) = G(q) / q - G(1)``, the mean effect of those treated above that of all;
    - ``"uplift"``: ``G(q) / q``, the mean effect of those treated;
    - ``"gain"``: ``G(q)``, what treating them gains for each head of the population;
    - ``"qini"``: ``G(q) - q G(1) = q TOC(q)``, that beyond what treating as many at random gains.

    The area is a rank-weighted average treatment effect (RATE),

    .. math:: \mathrm{AUTOC} = \int_0^1 \mathrm{TOC}(q) dq, \qquad \mathrm{QINI} = \int_0^1 q \mathrm{TOC}(q) dq,

    as sums over the rows: ``sum_i w_i TOC(q_i) / sum_i w_i`` with ``q_i`` the weighted share of the rows down to i.

    Parameters
    ----------
    scores : ndarray (n,)
        Doubly robust scores of one contrast, whose weighted mean is the average effect.
    priority : ndarray (n,)
        The higher, the sooner treated; from a model that was not learned on these rows.
    kind : str
        Of the four above.
    target : {"AUTOC", "QINI"}, optional
        The weighting of the area: by default AUTOC of toc and uplift, QINI of gain and qini.
    share : ndarray (k,), optional
        Shares in (0, 1] at which the curve is read; the hundredths by default, and grf's tenths are ``TENTHS``.
    weights : ndarray (n,), optional
        Sampling weights.
    clusters : ndarray (n,) of int, optional
        Drawn whole.
    reps : int
        Half-samples; 0 for none, and no standard errors.
    seed : int

    Returns
    -------
    TargetingCurve

    Raises
    ------
    OptionError
        For another kind, target or share.
    DataError
        For missing or infinite numbers, or those of another length.

    Notes
    -----
    R: ``grf::rank_average_treatment_effect.fit(scores, priority, target, q, R, sample.weights, clusters)``, grf 2.3.2.
    As there, rows of equal priority have the mean of their scores, between rows the sums are linear in the share, and
    the standard errors, of curve and area alike, are standard deviations over random halves of the rows (or clusters).
    Of rows of equal priority and different weights the mean weight is taken too, so that their order does not matter.

    References
    ----------
    Yadlowsky, S., Fleming, S., Shah, N., Brunskill, E. and Wager, S. (2021), Evaluating treatment prioritization rules
    via rank-weighted average treatment effects, arXiv:2111.07966.
    """
    given: dict[str, Any] = {"share": share, "weights": weights, "clusters": clusters, "reps": reps, "seed": seed}
    return score_curves(scores, priority, (kind,), target=target, **given)[kind]


def score_curves(
    scores: Array,
    priority: Array,
    kinds: Sequence[str] = tuple(KINDS),
    *,
    target: str | None = None,
    share: Array | None = None,
    weights: Array | None = None,
    clusters: Codes | None = None,
    reps: int = REPS,
    seed: int = 0,
) -> dict[str, TargetingCurve]:
    """Several kinds of curve by one sort, and on the same half-samples: each as of ``score_curve``.

    Parameters
    ----------
    scores, priority, target, share, weights, clusters, reps, seed
        As in ``score_curve``.
    kinds : sequence of str
        All by default.

    Returns
    -------
    dict of str to TargetingCurve

    Raises
    ------
    OptionError, DataError
        As ``score_curve``.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise OptionError(f"kind must be one of {', '.join(map(repr, KINDS))}, not {kind!r}")
    if target is not None and target not in TARGETS:
        raise OptionError(f"target must be 'AUTOC' or 'QINI', not {target!r}")
    targets = {kind: KINDS[kind][2] if target is None else target for kind in kinds}
    share = checked_shares(share)
    ranking = Ranking.of(priority, weights, clusters)
    columns = ranking.columns(numbers("the scores", scores, ranking.rows))
    top, areas = _read(columns, ranking.ends, share, set(targets.values()))
    draws = ranking.halves(columns, partial(_numbers, targets, share), reps, seed)
    draws = draws.reshape(reps, len(kinds), len(share) + 1)
    size = (len(ranking.order), ranking.units[1])
    curves = {}
    for k, (kind, area) in enumerate(targets.items()):
        value, random, _ = KINDS[kind]
        curves[kind] = TargetingCurve(kind, share, value(top), random(top), areas[area], area, draws[:, k], seed, size)
    return curves


def checked_shares(share: Array | None) -> Array:
    """Shares treated, in (0, 1] and ascending."""
    found = SHARES if share is None else np.atleast_1d(np.asarray(share, dtype=np.float64))
    if not len(found) or not (found > 0).all() or (found > 1).any() or (np.diff(found) <= 0).any():
        raise OptionError("shares treated must ascend, above 0 and at most 1")
    return found


def _numbers(targets: Mapping[str, str], share: Array, columns: Array, ends: Codes | None) -> Array:
    """Values and area of each kind, one after the other."""
    top, areas = _read(columns, ends, share, set(targets.values()))
    return np.concatenate([np.append(KINDS[kind][0](top), areas[area]) for kind, area in targets.items()])


def _read(columns: Array, ends: Codes | None, share: Array, targets: Collection[str]) -> tuple[_Top, dict[str, float]]:
    """The sums at the shares, and the areas, of one sample in order."""
    w, s = columns if ends is None else (within_groups(column, ends) for column in columns)
    weight, score = running(w), running(s)
    total = float(weight[-1])
    mean = float(score[-1]) / total
    if ends is not None and len(ends) == 1:  # nothing is ranked: 0, and no rounding about it
        return _Top(share, mean, share * mean, np.full(len(share), mean)), dict.fromkeys(targets, 0.0)
    gain = np.interp(share * total, weight, score) / total
    areas = {}
    if "AUTOC" in targets:
        areas["AUTOC"] = float(w @ (score[1:] / weight[1:])) / total - mean
    if "QINI" in targets:
        areas["QINI"] = (float(w @ score[1:]) - mean * float(w @ weight[1:])) / total**2
    return _Top(share, mean, gain, gain / share), areas


def difference(first: Curve, second: Curve) -> Curve:
    """How much more the first priority gains than the second: curve and area, with paired standard errors.

    The half-samples of both are the same rows, so that what both share cancels.

    Raises
    ------
    OptionError
        For curves of different kinds, shares, rows or half-samples.
    """
    for what in ("kind", "area_name", "seed", "size"):
        a, b = getattr(first, what), getattr(second, what)
        if a != b:
            raise OptionError(f"the two curves differ in their {what.replace('_', ' ')}: {a} and {b}")
    if not np.array_equal(first.share, second.share) or len(first.draws) != len(second.draws):
        raise OptionError("the two curves differ in their shares treated or in the number of half-samples")
    return first.beyond(second)
