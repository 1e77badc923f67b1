"""Inverse probability weighting by passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.distance import left_over, within_support
from causalformula.backends.fit import DesignWeights, Fit
from causalformula.backends.propensity import subset_cost
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.separation import apart_words, small_scores, weak_words
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.ipw import DIVIDING, by_scores, refuse_subset, subset_words
from causalformula.backends.weighting.options import IPW
from causalformula.backends.weighting.scores import model_words
from causalformula.backends.weighting.weights import (
    Weighting,
    at_limit,
    beyond_limit,
    discard_words,
    indicators_of,
    limit_place,
    refuse_empty,
    shared,
    standing,
    trim_side,
    trimmable,
    trimmed_text,
    without,
)
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.treatment import Kind
from causalformula.inference.away import away
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.ties import ROUNDING
from causalformula.scale.averages import weighting_of
from causalformula.scale.order import Counts, weighted_statistics
from causalformula.scale.propensity import GivenScores, Scores, binary_scores, level_scores
from causalformula.scale.sums import Sums
from causalformula.scale.weighting import WholeWeighting, weighted_fit
from causalformula.scale.whole import WholeFrame


@dataclass(frozen=True, eq=False)
class Limit:
    """Where weights are capped: the limit, the side, and how the weight of the row at the limit moves."""

    at: float
    upper: bool
    moves: Mapping[str, tuple[Array, Array]]

    def beyond(self, w: Array) -> Bools:
        """Weights that are capped."""
        return beyond_limit(w, self.at, self.upper)


@dataclass(frozen=True, eq=False)
class Weighed:
    """The weighting of a chunk: by its scores, with the limits, ranges and shares of all rows.

    Parameters
    ----------
    scores : Scores
    options : IPW
    words : str
    most : float, optional
        Largest cost in the optimal subset.
    shares : tuple, optional
        The arms' shares, and the weight of all rows.
    ranges : ndarray (2, 2), optional
        Least and largest score of each arm, where rows outside the common support are dropped.
    limits : tuple of Limit
    """

    scores: Scores
    options: IPW
    words: str
    most: float | None = None
    shares: tuple[Array, float] | None = None
    ranges: Array | None = None
    limits: tuple[Limit, ...] = ()

    def __call__(self, frame: Any) -> Weighting:
        """Of a chunk."""
        made = by_scores(frame, self.scores(frame), self.options, self.words, self.most)
        if self.shares is not None:
            made = shared(made, indicators_of(frame), np.ones(frame.n), frame.unit_weights, *self.shares)
        if self.options.discard is not None:
            made = without(made, self._supported(made, frame))
        return self._capped(made, frame) if self.limits else made

    def _supported(self, made: Weighting, frame: Any) -> Bools:
        assert made.distance is not None
        p, discard = made.distance, self.options.discard
        if not isinstance(discard, str):
            low, high = discard  # type: ignore[misc]
            return np.asarray((p >= low) & (p <= high))
        assert self.ranges is not None
        slack = ROUNDING * np.abs(self.ranges).max()
        control, treated = ((low - slack, high + slack) for low, high in self.ranges)
        return within_support(p, frame.the_treatment.codes == 1, treated, control, discard)

    def _capped(self, made: Weighting, frame: Any) -> Weighting:
        eligible = trimmable(made, frame, target_arm(frame, self.options))
        w, moves = made.weights.copy(), {name: (value.X.copy(), value.U.copy()) for name, value in made.dw.items()}
        for limit in self.limits:
            rows = eligible & limit.beyond(made.weights)
            w[rows] = limit.at
            for name, (X, U) in moves.items():
                X[rows], U[rows] = limit.moves[name]
        return replace(made, weights=w, dw={name: Sensitivity(X, U) for name, (X, U) in moves.items()})


# -- what all rows say -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Ranges:
    """Least and largest score of each arm."""

    scores: Scores

    def __call__(self, frame: Any) -> Sums:
        p, used = self.scores(frame).P[:, 1], frame.unit_weights > 0
        arms = [p[used & (frame.the_treatment.codes == k)] for k in (0, 1)]
        return Sums({}, {"ends": np.array([[(-a).max(initial=-np.inf), a.max(initial=-np.inf)] for a in arms])})


def score_ranges(frame: WholeFrame, scores: Scores) -> Array:
    """Least and largest score of each arm (2, 2)."""
    ends: Array = frame.passes.total(_Ranges(scores))["ends"]
    return np.asarray(ends * np.array([-1.0, 1.0]))


@dataclass(frozen=True, eq=False)
class _Costs:
    """Weight, weighted cost and number of rows of cost up to a limit, and the largest cost."""

    scores: Scores
    most: float

    def __call__(self, frame: Any) -> Sums:
        with np.errstate(divide="ignore"):
            cost = subset_cost(self.scores(frame).P[:, 1])
        s = frame.unit_weights
        rows = (s > 0) & np.isfinite(cost) & (cost <= self.most)
        added = {"weight": float(s[rows].sum()), "cost": float(s[rows] @ cost[rows]), "rows": int(rows.sum())}
        return Sums(added, {"most": cost[rows].max(initial=-np.inf)})


def largest_cost(frame: WholeFrame, scores: Scores) -> float:
    """The largest cost that is at most twice the mean of the costs up to it.

    Twice the mean of what is left is a bound that no such cost exceeds: costs beyond are left out until none is.
    """
    most, rows = np.inf, -1
    while True:
        sums: Sums = frame.passes.total(_Costs(scores, most))
        if sums["rows"] == rows or sums["most"] <= 2 * sums["cost"] / sums["weight"]:
            return float(sums["most"])
        most, rows = 2 * sums["cost"] / sums["weight"], sums["rows"]


@dataclass(frozen=True)
class _Arms:
    """Weight of each arm."""

    def __call__(self, frame: Any) -> Sums:
        return Sums({"arms": frame.unit_weights @ indicators_of(frame)})


@dataclass(frozen=True, eq=False)
class _Counts:
    """Rows that the optimal subset or the common support leave out, and small propensities of the others."""

    weigh: Weighed
    arm: int | None

    def __call__(self, frame: Any) -> Sums:
        found = weighting_of(self.weigh, frame)
        s = frame.unit_weights
        kept = np.ones(frame.n, dtype=bool) if found.kept is None else found.kept
        near, rows = small_scores(self.weigh.scores(frame).P, self.arm, 0.0, (s > 0) & (found.weights > 0))
        out = by_scores(frame, self.weigh.scores(frame), self.weigh.options, "", self.weigh.most).weights == 0
        return Sums(
            {
                "outside": int((out & (s > 0)).sum()),
                "dropped": int((~kept & (s > 0)).sum()),
                "left": (s * kept) @ indicators_of(frame),
                "near": near,
                "rows": rows,
            }
        )


# -- trimming ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Sizes:
    """Weights that may be capped by size, or how many there are."""

    weigh: Weighed
    arm: int | None
    counts: Counts | None = None

    def __call__(self, frame: Any) -> Any:
        made = weighting_of(self.weigh, frame)
        rows = trimmable(made, frame, self.arm)
        each = frame.frequencies[rows]
        return float(each.sum()) if self.counts is None else self.counts(made.weights[rows], each)


@dataclass(frozen=True, eq=False)
class _At:
    """How the weight at a limit moves, by the first of its rows."""

    place: tuple[float, ...]
    moves: Mapping[str, tuple[Array, Array]]

    def __add__(self, other: _At) -> _At:
        return self if self.place <= other.place else other


@dataclass(frozen=True, eq=False)
class _AtLimit:
    weigh: Weighed
    arm: int | None
    at: float

    def __call__(self, frame: Any) -> _At | None:
        made = weighting_of(self.weigh, frame)
        rows = np.flatnonzero(trimmable(made, frame, self.arm) & at_limit(made.weights, self.at))
        if not len(rows):
            return None
        row, place = standing(made, rows)
        return _At(place, {name: (value.X[row], value.U[row]) for name, value in made.dw.items()})


@dataclass(frozen=True, eq=False)
class _Beyond:
    weigh: Weighed
    arm: int | None
    limits: tuple[Limit, ...]

    def __call__(self, frame: Any) -> Sums:
        made = weighting_of(self.weigh, frame)
        rows = trimmable(made, frame, self.arm)
        return Sums({"beyond": np.array([(rows & limit.beyond(made.weights)).sum() for limit in self.limits])})


def trimmed(frame: WholeFrame, weigh: Weighed) -> tuple[Weighed, tuple[str, ...]]:
    """The weighting with its limits, and a note on how many weights they cap."""
    options, passes = weigh.options, frame.passes
    if options.trim is None:
        return weigh, ()
    trim, arm = options.trim, target_arm(frame, options)
    sides = (True, False) if options.trim_lower else (True,)
    total: float = passes.total(_Sizes(weigh, arm))
    found = weighted_statistics(
        lambda counts: passes.total(_Sizes(weigh, arm, counts)),
        # half a row of slack for the rounding of sums
        [limit_place(total, trim, upper) - 0.5 for upper in sides],
    )
    there: list[_At] = [passes.total(_AtLimit(weigh, arm, at)) for at in found]  # type: ignore[misc]
    limits = tuple(Limit(float(at), upper, row.moves) for at, upper, row in zip(found, sides, there, strict=True))
    counts = passes.total(_Beyond(weigh, arm, limits))["beyond"]
    moved = [(int(count), trim_side(limit.at, limit.upper)) for count, limit in zip(counts, limits, strict=True)]
    return replace(weigh, limits=limits), (trimmed_text(moved),)


# -- the method --------------------------------------------------------------------------------------------------------


def ipw(frame: WholeFrame, options: IPW) -> Fit:
    """Average effect by inverse probability weighting; see ``backends.weighting.ipw``.

    Parameters
    ----------
    frame : WholeFrame
    options : IPW

    Returns
    -------
    Fit

    Raises
    ------
    CapabilityError
        For doses, and for scores that are learned.
    """
    return weighted_fit(frame, weighting(frame, options), options)


def weighting(frame: WholeFrame, options: IPW) -> WholeWeighting:
    """The design stage."""
    treatment = frame.the_treatment
    if treatment.kind is Kind.CONTINUOUS:
        raise CapabilityError("weights for a dose need all rows in memory; fit to a sample of a million rows")
    if options.learner is not None:
        raise CapabilityError(
            "scores that are learned need all rows in memory; use the formula's own regression "
            "(treatment_model='glm'), or fit to a sample of a million rows"
        )
    if options.density != IPW.density:
        raise OptionError(f"density={options.density!r} is for a dose; {treatment.name!r} has arms")
    refuse_subset(frame, options)
    scores, models, notes, words = _scores(frame, options)
    weigh, told = _weighed(frame, Weighed(scores, options, words))
    caveats = weighting_of(weigh, frame.passes.plan.prototype)
    rows = away(frame.passes.words)
    design = DesignWeights(
        rows,
        rows if treatment.kind is Kind.BINARY else None,
        probabilities=None if treatment.kind is Kind.BINARY else rows,
    )
    return WholeWeighting(weigh, design, words, (*notes, *told), caveats.caveats, caveats.given, models)


def _scores(frame: WholeFrame, options: IPW) -> tuple[Scores, Any, tuple[str, ...], str]:
    if options.ps is not None:
        given = (
            "ps= gives the propensity scores, so propensity(...) models nothing; adjust(...) names what balance() shows"
        )
        frame.refuse_roles(("propensity",), given)
        if frame.the_treatment.kind is not Kind.BINARY:
            raise OptionError("ps= is for a binary treatment")
        scores = GivenScores(options.ps)
        control, treated = score_ranges(frame, scores)
        words = f"inverse probability weighting (propensity scores in {options.ps!r})"
        return scores, {}, apart_words(tuple(control), tuple(treated)), words
    by = None if options.by is None else frame.levels_of(options.by)
    words = model_words(frame, options)
    if frame.the_treatment.kind is Kind.BINARY:
        return (*binary_scores(frame, options.link, by), words)
    return (*level_scores(frame, by), words)


def _weighed(frame: WholeFrame, weigh: Weighed) -> tuple[Weighed, tuple[str, ...]]:
    """The weighting with what all rows say, and notes on what was done."""
    options, passes, notes = weigh.options, frame.passes, []
    arm = target_arm(frame, options)
    if options.estimand == "ATOS":
        weigh = replace(weigh, most=largest_cost(frame, weigh.scores))
    if options.stabilize:
        arms = passes.total(_Arms())["arms"]
        weigh = replace(weigh, shares=(arms / arms.sum(), float(arms.sum())))
    if options.discard is not None:
        if frame.the_treatment.kind is not Kind.BINARY:
            raise OptionError("discard= needs the propensity score of a binary treatment")
        weigh = replace(weigh, ranges=score_ranges(frame, weigh.scores))
    sums: Sums = passes.total(_Counts(weigh, arm))
    if options.estimand == "ATOS":
        notes.append(subset_words(sums["outside"]))
    if options.discard is not None:
        refuse_empty(frame, options.discard, sums["left"])
        dropped = sums["dropped"]
        notes.append(discard_words(options.discard, dropped) + left_over(frame, str(options.estimand), dropped))
    if options.estimand in DIVIDING:
        notes += weak_words(len(frame.the_treatment.levels), arm, 0.0, sums["near"], sums["rows"])
    weigh, told = trimmed(frame, weigh)
    return weigh, (*notes, *told)
