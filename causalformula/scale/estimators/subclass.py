"""Subclassification on the propensity score by passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.distance import LINEAR, lacking_arm, refuse_constant, score_words, within_support
from causalformula.backends.fit import DesignWeights, Fit, Query
from causalformula.backends.fit import Fitted as Behind
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.subclass import (
    STRATIFIED_WORDS,
    Subclass,
    Subclassified,
    left_out_words,
    refuse_few,
    refuse_modelled,
    strata_notes,
    strata_words,
)
from causalformula.backends.target import target_weights
from causalformula.backends.weighting.weights import Weighting
from causalformula.errors import CapabilityError, some
from causalformula.inference.away import away
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.strata import (
    Strata,
    between,
    cell_totals,
    cell_weights,
    complete,
    on_rows,
    quantile_places,
)
from causalformula.numerics.ties import ROUNDING
from causalformula.scale.estimators.strata import WholeStratified, stratified
from causalformula.scale.order import Counts, weighted_statistics
from causalformula.scale.propensity import BinaryScores, binary_scores
from causalformula.scale.sums import Sums
from causalformula.scale.weighting import WholeWeighting, carried, weighted_fit
from causalformula.scale.whole import WholeFrame


@dataclass(frozen=True, eq=False)
class Distance:
    """The score of a chunk's rows: a propensity model's, or a column."""

    scores: BinaryScores | None
    options: Subclass

    def __call__(self, frame: Any) -> Array:
        """Of a chunk."""
        if self.scores is None:
            return np.asarray(frame.numbers(self.options.distance))
        model = self.scores.fitted.at(self.scores.read(frame))
        return model.eta if self.options.link.startswith(LINEAR) else model.mu


@dataclass(frozen=True, eq=False)
class Support:
    """Which rows of a chunk lie within the common support; ``ranges`` (2, 2) are of each arm."""

    distance: Distance
    ranges: Array

    @property
    def slack(self) -> float:
        """What rounding may part of scores that are one."""
        return float(ROUNDING * np.abs(self.ranges).max())

    def __call__(self, frame: Any) -> tuple[Array, Bools]:
        """The score, and the rows."""
        x, discard = self.distance(frame), self.distance.options.discard
        if discard is None:
            return x, np.ones(frame.n, dtype=bool)
        control, treated = ((low - self.slack, high + self.slack) for low, high in self.ranges)
        return x, within_support(x, frame.the_treatment.codes == 1, treated, control, discard)


@dataclass(frozen=True, eq=False)
class Stratified:
    """The weighting of a chunk by its strata.

    Parameters
    ----------
    support : Support
    cuts : ndarray
    number : ndarray of int
        The stratum of each interval between the cuts; -1 for none.
    weights : ndarray (2, strata), optional
    """

    support: Support
    cuts: Array
    number: Codes
    weights: Array | None = None

    def codes(self, frame: Any) -> Codes:
        """Strata (n,) of a chunk's rows, -1 for rows in none."""
        x, kept = self.support(frame)
        # scores that differ by rounding are one: none is left below a cut that stands on it
        place = np.searchsorted(self.cuts - self.support.slack, x, side="right") - 1
        return np.where(kept, self.number[np.clip(place, 0, len(self.cuts) - 2)], -1)

    def numbers(self, frame: Any) -> Any:
        """Strata (n,) from 1, missing for rows in none, as a pandas array."""
        import pandas as pd

        codes = self.codes(frame)
        return pd.arrays.IntegerArray(codes + 1, codes < 0)

    def __call__(self, frame: Any) -> Weighting:
        """Of a chunk."""
        codes = self.codes(frame)
        assert self.weights is not None
        w = on_rows(self.weights, codes, frame.the_treatment.codes)
        return Weighting(w, self.support.distance(frame), kept=codes >= 0)


# -- what all rows say -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Ranges:
    distance: Distance

    def __call__(self, frame: Any) -> Sums:
        x, used = self.distance(frame), frame.unit_weights > 0
        arms = [x[used & (frame.the_treatment.codes == k)] for k in (0, 1)]
        return Sums({}, {"ends": np.array([[(-a).max(initial=-np.inf), a.max(initial=-np.inf)] for a in arms])})


@dataclass(frozen=True, eq=False)
class _Target:
    """Rows and weight of the target population, and the ends of its weights."""

    options: Subclass

    def __call__(self, frame: Any) -> Sums:
        s, among = frame.unit_weights, target_weights(frame, self.options) > 0
        inside = s[among]
        ends = np.array([(-inside).max(initial=-np.inf), inside.max(initial=-np.inf)])
        return Sums({"rows": float(frame.frequencies[among].sum()), "weight": float(inside.sum())}, {"ends": ends})


@dataclass(frozen=True, eq=False)
class _Among:
    """Scores of the target population by size, each of which counts as so many rows."""

    distance: Distance
    unit: float
    counts: Counts

    def __call__(self, frame: Any) -> Any:
        among = target_weights(frame, self.distance.options) > 0
        return self.counts(self.distance(frame)[among], frame.unit_weights[among] * self.unit)


@dataclass(frozen=True, eq=False)
class _Counts:
    """Rows of each arm in each stratum, and rows that are left out."""

    made: Stratified

    def __call__(self, frame: Any) -> Sums:
        codes, used = self.made.codes(frame), frame.unit_weights > 0
        _, kept = self.made.support(frame)
        arm, size = frame.the_treatment.codes, int(self.made.number.max(initial=-1)) + 1
        counts = [np.bincount(codes[used & (codes >= 0) & (arm == a)], minlength=size) for a in (0, 1)]
        left = int((used & kept & (codes < 0)).sum())
        return Sums({"counts": np.array(counts), "discarded": int((used & ~kept).sum()), "left": left})


@dataclass(frozen=True, eq=False)
class _Totals:
    """Weight of the target, and of each arm, in each stratum."""

    made: Stratified

    def __call__(self, frame: Any) -> Sums:
        codes = self.made.codes(frame)
        among = (target_weights(frame, self.made.support.distance.options) > 0) & (codes >= 0)
        size = int(self.made.number.max()) + 1
        wanted, totals = cell_totals(codes, frame.the_treatment.codes, frame.unit_weights, among.astype(float), size)
        return Sums({"wanted": wanted, "totals": totals})


def cut_at_quantiles(frame: WholeFrame, distance: Distance) -> Array:
    """The quantiles of the score in the target population at which it is cut."""
    options, passes = distance.options, frame.passes
    sums: Sums = passes.total(_Target(options))
    total, unit = sums["rows"], sums["rows"] / sums["weight"]
    place, slack = quantile_places(total, options.probs, bool(sums["ends"][1] > -sums["ends"][0]))
    low = np.floor(place)
    wanted = [*(low - slack), *np.minimum(low + 1 - slack, total - slack)]
    found = weighted_statistics(lambda counts: passes.total(_Among(distance, unit, counts)), wanted)
    at, above = found[: len(low)], found[len(low) :]
    return between(place, at, above)


# -- the method --------------------------------------------------------------------------------------------------------


def subclass(frame: WholeFrame, options: Subclass) -> Fit:
    """Average effect by subclassification on the propensity score; see ``backends.subclass``.

    Parameters
    ----------
    frame : WholeFrame
    options : Subclass

    Returns
    -------
    Fit

    Raises
    ------
    CapabilityError
        For scores that are learned or fitted again, and where rows would have to be moved between strata.
    """
    return subclassified(frame, stratification(frame, options), options)


def subclassified(frame: WholeFrame, made: WholeWeighting, options: Subclass) -> Fit:
    """The effect by strata, see ``backends.subclass.subclassified_fit``."""
    assert isinstance(made.weigh, Stratified)
    within = stratified(frame, options, made.weigh.codes, made.design.strata)
    if options.estimator == "weighted":
        found = weighted_fit(frame, made, options)  # type: ignore[arg-type]
        assert isinstance(found.outcomes, PotentialMeans)
        return replace(found, outcomes=Subclassified(found.outcomes, within))
    refuse_modelled(frame)
    rows, thin = carried(frame, made.weigh, held=True)
    outcomes = Subclassified(within.potential(), within)
    return Fit(
        answer=outcomes.answer(Query()),
        estimand=str(options.estimand),
        design=made.design,
        method=f"{made.words}; {STRATIFIED_WORDS}",
        outcomes=outcomes,
        models=made.models,
        notes=(*made.notes, *thin, *single_words(frame, within)),
        designed=replace(made, rows=rows),
    )


def single_words(frame: WholeFrame, within: WholeStratified) -> tuple[str, ...]:
    """A note on strata in which an arm is a single row."""
    assert within.part is not None
    alone = [divmod(int(k), 2) for k in np.flatnonzero(within.part.rows == 1)]
    if not alone:
        return ()
    levels, name = frame.the_treatment.levels, frame.the_treatment.name
    listed = some(f"stratum {k + 1} has a single row with {name} = {levels[a]}" for k, a in alone)
    return (
        f"{listed}, whose residual is zero, whatever the error: standard errors but 'classical' know nothing of "
        "it. Use fewer strata, or min_n=2",
    )


def stratification(frame: WholeFrame, options: Subclass) -> WholeWeighting:
    """The design stage."""
    passes = frame.passes
    distance, words, models, notes = _distance(frame, options)
    ends: Array = passes.total(_Ranges(distance))["ends"]
    ranges = ends * np.array([-1.0, 1.0])
    for level, (low, high) in zip(frame.the_treatment.levels, ranges, strict=True):
        if low > high:
            raise lacking_arm(frame.the_treatment.name, level, "")
    refuse_constant(words, distance.scores is not None, ranges[:, 0].min(), ranges[:, 1].max())
    cuts = cut_at_quantiles(frame, distance)
    made = Stratified(Support(distance, ranges), cuts, np.arange(len(cuts) - 1))
    made, strata, sums = _filled(frame, made, options)
    totals: Sums = passes.total(_Totals(made))
    made = replace(made, weights=cell_weights(totals["wanted"], totals["totals"]))
    told = left_out_words(frame, options, words, sums["discarded"], sums["left"]) + strata_notes(strata, options)
    rows = away(passes.words)
    design = DesignWeights(rows, rows, rows, strata=strata.size)
    return WholeWeighting(made, design, strata_words(words, strata.size), (*notes, *told), models=models, held=True)


def _distance(frame: WholeFrame, options: Subclass) -> tuple[Distance, str, dict[str, Behind], tuple[str, ...]]:
    if options.learned or options.reestimate:
        what = "a score that is learned" if options.learned else "a score that is fitted again (reestimate=True)"
        raise CapabilityError(
            f"{what} needs all rows in memory; use distance='glm', or fit to a sample of a million rows"
        )
    if not options.modelled:
        given = f"distance={options.distance!r} gives the scores, so propensity(...) models nothing"
        frame.refuse_roles(("propensity",), given)
        return Distance(None, options), f"distance {options.distance}", {}, ()
    scores, models, notes = binary_scores(frame, options.link.removeprefix(LINEAR))
    return Distance(scores, options), score_words(options.link), models, notes


def _filled(frame: WholeFrame, made: Stratified, options: Subclass) -> tuple[Stratified, Strata, Sums]:
    """The strata that hold rows of both arms, as many as ``min_n``."""
    first: Sums = frame.passes.total(_Counts(made))
    present = first["counts"].sum(axis=0) > 0
    # rows that count for nothing get the nearest stratum below that holds one that does
    number = np.maximum(np.cumsum(present) - 1, 0)
    counts = first["counts"][:, present]
    least, size = int(options.min_n), counts.shape[1]
    if least == 0:
        of = complete(counts)
        number, counts = of[number], counts[:, of >= 0]
    elif (counts < least).any() and (counts.sum(axis=1) >= least * size).all():
        raise CapabilityError(
            f"some of the {size} strata have fewer than {least} rows of an arm (min_n), and which rows are moved there "
            "depends on the order of all of them: use fewer strata, min_n=0, or fit to a sample of a million rows"
        )
    strata = Strata(np.empty(0, dtype=np.intp), made.cuts, counts, (0, 0))
    refuse_few(frame, strata, options)
    made = replace(made, number=number)
    return made, strata, frame.passes.total(_Counts(made))
