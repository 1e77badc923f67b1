"""``Weighting``, what a design stage returns, and the steps that methods share: target arms, shares, trimming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.backends.distance import common_support, left_over
from causalformula.backends.fit import DesignWeights, Fitted
from causalformula.backends.options import Options, flag
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.target import target_arm
from causalformula.errors import DataError, OptionError, counted, some
from causalformula.formula.expressions.values import number_label
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array, Bools, Codes

# What is offered where weights are infinite: a range of scores, and a cap on no more than this share of the weights.
INNER = (0.01, 0.99)
MOST_CAPPED = 0.1
# Weights that differ by no more than this share of them are one where they are capped: those of equal scores differ by
# rounding.
SAME = 1e-9


@dataclass(frozen=True, kw_only=True)
class WeightingOptions(Options):
    """What every weighting method takes.

    Parameters
    ----------
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    """

    interact: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("interact", self.interact)


@dataclass(frozen=True, eq=False)
class Weighting:
    """Weights, and the estimating equations that they come from.

    Parameters
    ----------
    weights : ndarray (n,)
        Without the sampling weights.
    distance : ndarray (n,), optional
        The propensity score.
    stages : tuple of Stage
        Empty where the weights have no equations and count as given.
    dw : mapping of str to Sensitivity
        ``d w_i / d theta`` for each stage.
    models : mapping of str to Fitted
    notes : tuple of str
        What the print must say: trimmed weights, discarded rows, no overlap.
    kept : ndarray (n,) of bool, optional
        Rows not discarded; None where all are kept.
    words : str
        How the weights were made, for the print.
    probabilities : ndarray (n, K), optional
        Propensity scores of several levels.
    caveats : tuple of str
        What must be said of standard errors that count the weights as given; resampling finds the weights anew.
    given : tuple of str
        What must be said of all standard errors: of weights that no resampling finds anew.
    learned, folds
        As in ``Fit``, where the scores are learned.
    """

    weights: Array
    distance: Array | None = None
    stages: tuple[Stage, ...] = ()
    dw: Mapping[str, Sensitivity] = field(default_factory=dict)
    models: Mapping[str, Fitted] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kept: Bools | None = None
    words: str = ""
    probabilities: Array | None = None
    caveats: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    learned: Mapping[str, Any] = field(default_factory=dict)
    folds: Any = None

    @property
    def design(self) -> DesignWeights:
        """The weights and the propensity scores, for diagnostics."""
        return DesignWeights(self.weights, self.distance, probabilities=self.probabilities)


def indicators(frame: ModelFrame) -> Array:
    """Arms as columns of zeros and ones (n, K); an arm without weight is a ``DataError``."""
    hot = indicators_of(frame)
    refuse_empty_arm(frame, frame.unit_weights @ hot)
    return hot


def refuse_empty_arm(frame: ModelFrame, totals: Array) -> None:
    """A ``DataError`` for an arm without weight."""
    for level, total in zip(frame.the_treatment.levels, totals, strict=True):
        if total == 0:
            raise DataError(f"no row with weight has {frame.the_treatment.name} = {level}; every arm needs some")


def indicators_of(frame: ModelFrame) -> Array:
    """The same of rows that may lack an arm."""
    treatment = frame.the_treatment
    return np.asarray(treatment.codes[:, None] == np.arange(len(treatment.levels)), dtype=float)


def with_shares(weighting: Weighting, hot: Array, target: Array, s: Array, name: str = "shares") -> Weighting:
    """Weights times each arm's size relative to the target's, ``sum s 1[a] / sum s target``, a stage of its own.

    Against the whole sample these are the arms' proportions (stabilised weights); against the population that an arm
    was balanced to, they make each arm's weights sum to its own size.
    """
    total = float(s @ target)
    return shared(weighting, hot, target, s, s @ hot / total, total, name)


def shared(
    weighting: Weighting, hot: Array, target: Array, s: Array, share: Array, total: float, name: str = "shares"
) -> Weighting:
    """The same for shares that are known, of a target of this weight."""
    scores = s[:, None] * (hot - target[:, None] * share)
    stage = Stage(name, tuple(f"share {k}" for k in range(len(share))), share, total * np.eye(len(share)), scores)
    factor = hot @ share
    dw = {key: value.scaled(factor) for key, value in weighting.dw.items()}
    dw[name] = Sensitivity(np.ones((len(s), 1)), hot * weighting.weights[:, None])
    return replace(weighting, weights=weighting.weights * factor, stages=(*weighting.stages, stage), dw=dw)


def discard_words(discard: str | tuple[float, float], dropped: int) -> str:
    """How many rows ``discard=`` left out."""
    where = "outside the common support" if isinstance(discard, str) else f"outside [{discard[0]:g}, {discard[1]:g}]"
    return f"{counted(dropped, 'row')} discarded: propensity score {where}"


def without(weighting: Weighting, kept: Bools) -> Weighting:
    """The weighting with weight zero for some rows."""
    inside = kept.astype(float)
    return replace(
        weighting,
        weights=np.where(kept, weighting.weights, 0.0),
        dw={key: value.scaled(inside) for key, value in weighting.dw.items()},
        kept=kept,
    )


def discarded(
    weighting: Weighting, frame: ModelFrame, options: Options, discard: str | tuple[float, float] | None
) -> Weighting:
    """Weight zero for rows whose propensity lies outside a range or outside the arms' common support.

    ``"both"``, ``"treated"`` and ``"control"`` drop rows of these arms outside the other arm's range, as MatchIt does;
    a pair ``(low, high)`` keeps propensities within it.
    """
    if discard is None:
        return weighting
    p = weighting.distance
    if p is None or frame.the_treatment.kind is not Kind.BINARY:
        raise OptionError("discard= needs the propensity score of a binary treatment")
    kept = _supported(p, frame.the_treatment.codes == 1, frame.unit_weights > 0, discard)
    dropped = int((~kept & (frame.unit_weights > 0)).sum())
    refuse_empty(frame, discard, (frame.unit_weights * kept) @ indicators(frame))
    note = discard_words(discard, dropped) + left_over(frame, str(options.estimand), dropped)
    return replace(without(weighting, kept), notes=(*weighting.notes, note))


def refuse_empty(frame: ModelFrame, discard: Any, left: Array) -> None:
    """A ``DataError`` for an arm of which ``discard=`` leaves no weight."""
    for level, total in zip(frame.the_treatment.levels, left, strict=True):
        if total == 0:
            raise DataError(f"discard={discard!r} leaves no row with {frame.the_treatment.name} = {level}")


def _supported(p: Array, treated: Bools, used: Bools, discard: Any) -> Bools:
    if not isinstance(discard, str):
        low, high = discard
        return np.asarray((p >= low) & (p <= high))
    return common_support(p, treated, used, discard)


def trimmable(weighting: Weighting, frame: ModelFrame, arm: int | None) -> Bools:
    """Rows (n,) whose weights may be capped: not those of the target arm, whose weights are one."""
    eligible = (frame.unit_weights > 0) & (weighting.weights > 0)
    return eligible if arm is None else eligible & (frame.the_treatment.codes != arm)


def trimmed(weighting: Weighting, frame: ModelFrame, options: Options, trim: float | None, lower: bool) -> Weighting:
    """Weights beyond a quantile (``trim`` < 1) or the ``trim`` largest (>= 1) set to the value at the limit.

    Rows of the target arm, whose weights are one, take no part. The limit is the weight of some row (R's quantile of
    type 3, of the weights without the sampling weights), so a capped weight moves with that row's (see ``standing``).
    """
    if trim is None:
        return weighting
    arm = target_arm(frame, options)
    eligible = trimmable(weighting, frame, arm)
    rows = np.flatnonzero(eligible)
    order = rows[np.argsort(weighting.weights[rows], kind="stable")]
    source = np.arange(frame.n)
    moved: list[tuple[int, str]] = []
    for upper in (True, False) if lower else (True,):
        at = float(weighting.weights[_limit_row(order, frame.frequencies, trim, upper)])
        beyond = eligible & beyond_limit(weighting.weights, at, upper)
        source[beyond] = standing(weighting, np.flatnonzero(eligible & at_limit(weighting.weights, at)))[0]
        moved.append((int(beyond.sum()), trim_side(at, upper)))
    return replace(
        weighting,
        weights=weighting.weights[source],
        dw={key: value.rows(source) for key, value in weighting.dw.items()},
        notes=(*weighting.notes, trimmed_text(moved)),
    )


def at_limit(w: Array, at: float) -> Bools:
    """Weights that are the limit."""
    return np.isclose(w, at, rtol=SAME, atol=0)


def beyond_limit(w: Array, at: float, upper: bool) -> Bools:
    """Weights that a limit caps."""
    return np.asarray((w > at if upper else w < at) & ~at_limit(w, at))


def standing(weighting: Weighting, rows: Codes) -> tuple[int, tuple[float, ...]]:
    """Of rows of one weight the one with which capped weights move, and its place among others.

    Weights of unlike rows may be tied, and how they move then depends on the row: it must not on the order of rows.
    """
    parts = [part[rows] for value in weighting.dw.values() for part in (value.X, value.U)]
    keys = np.hstack(parts) if parts else np.zeros((len(rows), 1))
    first = int(np.lexsort(keys.T[::-1])[0])
    return int(rows[first]), tuple(keys[first])


def trim_side(at: float, upper: bool) -> str:
    """Which weights a limit caps, in words."""
    return f"{'above' if upper else 'below'} {number_label(float(f'{at:.4g}'))}"


def trimmed_text(moved: list[tuple[int, str]]) -> str:
    """How many weights were set to which limits."""
    counts = [f"{counted(number, 'weight')} {side}" for number, side in moved if number]
    if counts:
        return f"trimmed to the limit: {' and '.join(counts)}"
    return f"nothing trimmed: no weight lies {' or '.join(side for _, side in moved)}"


def finite(weighting: Weighting, frame: ModelFrame) -> Weighting:
    """The weighting, whose weights must be finite.

    Raises
    ------
    DataError
        Where a row's probability of the level that it has is zero, and the estimand divides by it.
    """
    bad = ~np.isfinite(weighting.weights) & (frame.unit_weights > 0)
    if not bad.any():
        return weighting
    count = int(bad.sum())
    raise DataError(
        f"{counted(count, 'row')} {'has' if count == 1 else 'have'} a propensity of 0 for the level of "
        f"{frame.the_treatment.name!r} that {'it has' if count == 1 else 'they have'}, and with it an infinite weight "
        f"(row{'' if count == 1 else 's'} {some(frame.index[bad])}); {_remedies(weighting, frame, bad)}"
    )


def _remedies(weighting: Weighting, frame: ModelFrame, bad: Bools) -> str:
    """What works for so many infinite weights: ranges that leave both arms, caps on few weights."""
    used, codes, p = frame.unit_weights > 0, frame.the_treatment.codes, weighting.distance
    ways = []
    if p is not None:
        inside = used & _supported(p, codes == 1, used, INNER)
        left = [int((inside & (codes == k)).sum()) for k in (0, 1)]
        if min(left) > 1:
            ways.append(f"leave them out with discard={INNER} (which leaves {sum(left)} of {int(used.sum())} rows)")
    if bad.sum() <= MOST_CAPPED * (used & np.isin(codes, codes[bad])).sum():
        ways.append(f"cap the weights with trim={int(bad.sum())} or more")
    if p is None or (p[used & (codes == 1)].min() < 1 and p[used & (codes == 0)].max() > 0):
        ways.append("choose estimand='ATO'")
    last = "calibrate the scores, which are the probabilities of " + (
        "each level" if p is None else f"{frame.the_treatment.name} = {frame.the_treatment.levels[1]}"
    )
    return ", ".join(ways) + (", or " if ways else "") + last


def _limit_row(order: Codes, counts: Array, trim: float, upper: bool) -> int:
    """The row at the limit, among rows in the order of their weights, each of which counts as so many."""
    filled = np.cumsum(counts[order])
    # half a unit of slack: the row at the limit stays it while weights move a little
    return int(order[np.searchsorted(filled, limit_place(float(filled[-1]), trim, upper) - 0.5)])


def limit_place(total: float, trim: float, upper: bool) -> float:
    """Which of so many weights, by size from 1, is the limit."""
    if trim >= 1:
        if trim >= total - 1:
            raise OptionError(f"trim={trim:g} trims all of the {total:g} weights; give fewer")
        place = total - trim if upper else trim + 1
    else:
        wanted = total * (trim if upper else 1 - trim)
        # R's quantile of type 3: the order statistic nearest to n p, an even one on ties
        nearest = np.floor(wanted - 0.5)
        place = nearest + (not (wanted - 0.5 == nearest and nearest % 2 == 0))
    return float(max(place, 1))
