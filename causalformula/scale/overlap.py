"""Weights and scores of a design by arm, by passes: ranges, histograms, the largest weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.weighting.weights import Weighting
from causalformula.diagnostics.overlap import ArmOverlap, Limits
from causalformula.diagnostics.weights_summary import NEGLIGIBLE, ArmWeights
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.ties import ROUNDING
from causalformula.scale.averages import Weigh, weighting_of
from causalformula.scale.sums import Sums
from causalformula.scale.whole import WholeFrame


@dataclass(frozen=True)
class Unweighted:
    """The weighting of a method that weights no row."""

    def __call__(self, frame: Any) -> Weighting:
        """Of a chunk."""
        return Weighting(np.ones(frame.n))


def arms_of(frame: Any) -> Array:
    """Rows of each arm (K, n); of a dose there is one."""
    levels = frame.the_treatment.levels
    if not levels:
        return np.ones((1, frame.n), dtype=bool)
    return np.asarray(frame.the_treatment.codes == np.arange(len(levels))[:, None])


def scores_of(weigh: Weigh, frame: Any) -> Array:
    """Scores (n, m): one of two arms, one a level of several, or none."""
    made = weighting_of(weigh, frame)
    if made.probabilities is not None:
        return made.probabilities
    return np.empty((frame.n, 0)) if made.distance is None else made.distance[:, None]


@dataclass(frozen=True, eq=False)
class _Ranges:
    weigh: Weigh

    def __call__(self, frame: Any) -> Sums:
        p, used = scores_of(self.weigh, frame), frame.unit_weights > 0
        each = [p[arm & used] for arm in arms_of(frame)]
        ends = np.array([[(-x).max(axis=0, initial=-np.inf), x.max(axis=0, initial=-np.inf)] for x in each])
        return Sums({}, {"ends": ends})


def ranges(frame: WholeFrame, weigh: Weigh) -> Array:
    """Least and largest of each score in each arm (arms, 2, m)."""
    ends: Array = frame.passes.total(_Ranges(weigh))["ends"]
    return np.asarray(ends * np.array([-1.0, 1.0])[:, None])


@dataclass(frozen=True, eq=False)
class _Bars:
    weigh: Weigh
    edges: Array

    def __call__(self, frame: Any) -> Sums:
        p, s = scores_of(self.weigh, frame)[:, 0], frame.unit_weights
        w = s * weighting_of(self.weigh, frame).weights
        both = [[np.histogram(p[arm], self.edges, weights=v[arm])[0] for arm in arms_of(frame)] for v in (s, w)]
        return Sums({"bars": np.array(both)})


def histograms(frame: WholeFrame, weigh: Weigh, bins: int) -> tuple[Array, Array, Limits]:
    """Ends of the bars, weight in each before and after (2, arms, bins), and the common support of the score."""
    ends = ranges(frame, weigh)[:, :, 0]
    edges = np.histogram_bin_edges(np.array([ends[:, 0].min(), ends[:, 1].max()]), bins)
    bars: Array = frame.passes.total(_Bars(weigh, edges))["bars"]
    return edges, bars, (float(ends[:, 0].max()), float(ends[:, 1].min()))


@dataclass(frozen=True, eq=False)
class Largest:
    """The largest weights of an arm and numbers of their rows."""

    weights: Array
    rows: Codes
    most: int

    def __add__(self, other: Largest) -> Largest:
        w, rows = np.concatenate([self.weights, other.weights]), np.concatenate([self.rows, other.rows])
        # the first row of equal ones counts as the largest
        order = np.lexsort((rows, -w))[: self.most]
        return Largest(w[order], rows[order], self.most)


@dataclass(frozen=True, eq=False)
class _Weights:
    """What a summary of weights sums, by arm."""

    weigh: Weigh
    top: int

    def __call__(self, frame: Any) -> Sums:
        total = frame.unit_weights * weighting_of(self.weigh, frame).weights
        index = np.asarray(frame.index)
        sums, largest, ends = [], [], []
        for arm in arms_of(frame):
            w, rows = total[arm], index[arm]
            positive = w[w > 0]
            logs = float(positive @ np.log(positive))
            small = int((w < NEGLIGIBLE).sum())
            sums.append([len(w), w.sum(), w @ w, len(positive), positive.sum(), logs, small])
            largest.append(Largest(w, rows, self.top) + Largest(w[:0], rows[:0], self.top))
            ends.append([(-positive).max(initial=-np.inf), positive.max(initial=-np.inf)])
        added = {"sums": np.array(sums, dtype=float), **{f"top {k}": each for k, each in enumerate(largest)}}
        return Sums(added, {"ends": np.array(ends)})


@dataclass(frozen=True, eq=False)
class _Deviations:
    weigh: Weigh
    mean: Array

    def __call__(self, frame: Any) -> Sums:
        total = frame.unit_weights * weighting_of(self.weigh, frame).weights
        each = [np.abs(total[arm] / m - 1).sum() for arm, m in zip(arms_of(frame), self.mean, strict=True)]
        return Sums({"off": np.array(each)})


def weight_summaries(frame: WholeFrame, weigh: Weigh, top: int) -> list[ArmWeights]:
    """Weights of each arm in numbers; see ``diagnostics.weights_summary.arm_weights``."""
    found: Sums = frame.passes.total(_Weights(weigh, top), ids=True)
    count, total, square, some, positive, logs, small = found["sums"].T
    mean = total / count
    off = frame.passes.total(_Deviations(weigh, mean))["off"] / count
    variance = (square - count * mean**2) / np.where(count > 1, count - 1, 1.0)
    unit = positive / some
    entropy = (logs / unit - some * np.log(unit)) / some
    out = []
    for k, (low, high) in enumerate(found["ends"]):
        largest: Largest = found[f"top {k}"]
        pairs = tuple((int(row), float(w)) for row, w in zip(largest.rows[::-1], largest.weights[::-1], strict=True))
        variation = float(np.sqrt(max(variance[k], 0.0)) / mean[k])
        out.append(
            ArmWeights(float(-low), float(high), pairs, variation, float(off[k]), float(entropy[k]), int(small[k]))
        )
    return out


@dataclass(frozen=True, eq=False)
class _Overlaps:
    """Rows of each arm beyond a range of each score (m, 2), and who carries the weight."""

    weigh: Weigh
    support: Array

    def __call__(self, frame: Any) -> Sums:
        p, s = scores_of(self.weigh, frame), frame.unit_weights
        w = s * weighting_of(self.weigh, frame).weights
        slack = ROUNDING * np.abs(self.support).max(initial=0.0)
        beyond = ((p < self.support[:, 0] - slack) | (p > self.support[:, 1] + slack)).any(axis=1)
        sums, most, added = [], [], {}
        for k, arm in enumerate(arms_of(frame)):
            inside = arm & (s > 0)
            own = w[inside]
            dropped = int((w[inside & beyond] == 0).sum())
            sums.append([inside.sum(), dropped, s[inside].sum(), s[inside] @ s[inside], own.sum(), own @ own])
            most.append(own.max(initial=0.0))
            added[f"outside {k}"] = _Rows(np.asarray(frame.index)[inside & beyond])
        return Sums({"sums": np.array(sums, dtype=float), **added}, {"largest": np.array(most)})


@dataclass(frozen=True, eq=False)
class _Rows:
    numbers: Codes

    def __add__(self, other: _Rows) -> _Rows:
        return _Rows(np.sort(np.concatenate([self.numbers, other.numbers])))


def overlaps(frame: WholeFrame, weigh: Weigh, names: tuple[str, ...]) -> tuple[list[ArmOverlap], dict[str, Limits]]:
    """The overlap of each arm, and the common support of each score by its name."""
    ends = ranges(frame, weigh)
    support = np.column_stack([ends[:, 0].max(axis=0), ends[:, 1].min(axis=0)])
    found: Sums = frame.passes.total(_Overlaps(weigh, support), ids=True)
    out = []
    for k, (rows, dropped, s, s2, w, w2) in enumerate(found["sums"]):
        largest = float(found["largest"][k])
        out.append(
            ArmOverlap(
                rows=int(rows),
                ranges={name: (float(ends[k, 0, j]), float(ends[k, 1, j])) for j, name in enumerate(names)},
                outside=found[f"outside {k}"].numbers,
                dropped=int(dropped),
                largest=largest,
                share=largest / w if w else np.nan,
                before=s**2 / s2 if s2 else 0.0,
                after=w**2 / w2 if w2 else 0.0,
            )
        )
    return out, {name: (float(support[j, 0]), float(support[j, 1])) for j, name in enumerate(names)}
