"""Subclassification (stratification) on the propensity score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.distance import (
    Distance,
    DistanceOptions,
    distance_lines,
    kept_by_support,
    left_over,
    support_line,
    thin_arms,
)
from causalformula.backends.entangled import strained_notes
from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.fit import Answer, DesignWeights, Fit, Fitted, Query
from causalformula.backends.held import outcome_words, weighted_model
from causalformula.backends.options import flag, is_number, one_of, shown, whole
from causalformula.backends.outcome_model import idle_interact
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.standardize import Surface
from causalformula.backends.stratified import ByStratum, Stratified
from causalformula.backends.target import target_weights
from causalformula.errors import DataError, OptionError, counted
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY, Part
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.families import family as read_family
from causalformula.numerics.strata import Strata, stratify, stratum_weights
from causalformula.words import StrataEstimator

MOST_STRATA = 10_000
STRATIFIED_WORDS = "weighted mean of differences within strata"
ESTIMATORS = ("weighted", "stratified")
MOST_UNITS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Subclass(DistanceOptions):
    """Options of ``method="subclass"``.

    Parameters
    ----------
    subclass : int or sequence of numbers
        Number of strata, or the quantiles of the distance at which they are cut.
    min_n : int
        Least number of units of each arm in each stratum; units are moved from neighbouring strata to get there. Units
        of one arm and one score stay together, and a stratum that they leave short is joined with its neighbour. At 0
        strata that lack an arm are dropped instead.
    distance, link, discard, reestimate
        The distance that is cut, and whom its common support leaves; as in ``DistanceOptions``.
    estimator : str
        ``"weighted"``: an outcome regression weighted by marginal mean weights. ``"stratified"``: the mean of the
        differences within strata, weighted by the target's shares of them (default covariance HC2, Neyman's).
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    subclass: Any = 6
    min_n: int = 1
    estimator: StrataEstimator = "weighted"
    interact: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "subclass", read_subclass(self.subclass))
        whole("min_n", self.min_n, "the least number of units of each arm in a stratum", MOST_UNITS, 0)
        one_of("estimator", self.estimator, ESTIMATORS)
        flag("interact", self.interact)
        if self.interact and self.estimator == "stratified":
            raise OptionError("interact=True is for estimator='weighted'; the stratified one has no outcome model")

    @property
    def own_vcov(self) -> str | None:
        """Neyman's variance for the stratified estimator."""
        return "HC2" if self.estimator == "stratified" else None

    @property
    def probs(self) -> Array:
        """Quantiles at which the distance is cut, from 0 to 1."""
        if isinstance(self.subclass, int):
            return np.linspace(0, 1, self.subclass + 1)
        return np.array(sorted({0.0, *self.subclass, 1.0}))


def read_subclass(value: Any) -> int | tuple[float, ...]:
    """A number of strata, or quantiles."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        if value < 2:
            raise OptionError(f"subclass={value!r}: at least 2 strata are needed")
        if value > MOST_STRATA:
            raise OptionError(f"subclass={shown(value)}: at most {MOST_STRATA} strata; a few are what removes bias")
        return int(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        probs = tuple(value)
        if probs and all(is_number(p) and 0 <= p <= 1 for p in probs) and {*probs} - {0, 1}:
            return tuple(float(p) for p in probs)
    raise OptionError(
        f"subclass={shown(value)}: give a number of strata, or quantiles between 0 and 1 as in [0.2, 0.5, 0.8]"
    )


@dataclass(frozen=True, eq=False)
class Stratification:
    """The design: who is in which stratum, and with what weight.

    Parameters
    ----------
    strata : Strata
    weights : ndarray (n,)
        Marginal mean weights, without the sampling weights.
    target : ndarray (n,)
        Weights of the target population, with the sampling weights.
    distance : Distance
    notes : tuple of str
    lines : tuple of str
        How the strata were made, in MatchIt's words.
    discarded : ndarray (n,) of bool, optional
        Rows outside the common support.
    """

    strata: Strata
    weights: Array
    target: Array
    distance: Distance
    notes: tuple[str, ...]
    lines: tuple[str, ...] = ()
    discarded: Bools | None = None

    @property
    def words(self) -> str:
        """How the strata were made, for the print."""
        return strata_words(self.distance.words, self.strata.size)

    @property
    def design(self) -> DesignWeights:
        """The weights, the distance and the strata (from 1; None for rows in none), for diagnostics."""
        numbers: NDArray[Any] = self.strata.codes + 1
        if (self.strata.codes < 0).any():
            numbers = numbers.astype(object)
            numbers[self.strata.codes < 0] = None
        return DesignWeights(
            self.weights, self.distance.values, numbers, strata=self.strata.size, discarded=self.discarded
        )


def strata_words(distance: str, size: int) -> str:
    """How strata of a distance were made, for the print."""
    return f"subclassification ({distance}, {_count(size)})"


def stratification(frame: ModelFrame, options: Subclass) -> Stratification:
    """Cut the distance at quantiles of the target population, and weight each arm to that population's strata.

    Raises
    ------
    DataError
        If an arm has too few units for the strata, or no stratum has both.
    """
    distance, kept = kept_by_support(frame, options)
    s, codes = frame.unit_weights, frame.the_treatment.codes
    among = target_weights(frame, options) > 0
    notes = list(distance.notes)
    # shares of the weighted population, in the number of its rows: quantiles must not depend on the weights' unit
    scaled = s * (frame.frequencies[among].sum() / s[among].sum())
    strata = stratify(distance.values, np.where(kept, codes, -1), scaled, among, options.probs, int(options.min_n))
    refuse_few(frame, strata, options)
    notes += _left_out(frame, options, distance, kept, strata) + strata_notes(strata, options)
    inside = strata.codes >= 0
    target = np.where(inside, target_weights(frame, options), 0.0)
    weights = stratum_weights(strata.codes, codes, s, (among & inside).astype(float))
    discarded = None if options.discard is None else ~kept
    return Stratification(
        strata, weights, target, distance, tuple(notes), _lines(frame, strata, distance, options), discarded
    )


def _lines(frame: ModelFrame, strata: Strata, distance: Distance, options: Subclass) -> tuple[str, ...]:
    """How the strata were made, as MatchIt prints it."""
    return (
        f" - method: Subclassification ({strata.size} subclass{'' if strata.size == 1 else 'es'})\n",
        *distance_lines(frame, distance, () if options.discard is None else ("common support",)),
        *support_line(options.discard),
    )


def refuse_few(frame: ModelFrame, strata: Strata, options: Subclass) -> None:
    """Refuse strata that lack an arm, naming them and what to do."""
    treatment = frame.the_treatment
    if strata.size == 0:
        raise DataError("no stratum has units of both arms; use fewer strata, or min_n=1 to move units between them")
    if (strata.counts >= options.min_n).all():
        return
    rows = strata.counts.sum(axis=1)
    fewest = int(rows.min())
    few = f"{counted(fewest, 'row')} with {treatment.name} = {treatment.levels[int(rows.argmin())]}"
    raise DataError(
        f"{few} {'is' if fewest == 1 else 'are'} too few for {_count(len(options.probs) - 1)} with "
        f"min_n={options.min_n}; {_allowed(fewest, int(options.min_n))}"
    )


def _allowed(fewest: int, least: int) -> str:
    """What the smaller arm, of so many rows, allows instead of strata with ``least`` of them."""
    if fewest // least >= 2:
        return f"use at most {_count(fewest // least)}, or min_n=0 to drop those without both arms"
    if fewest >= 2:
        return f"that is not enough for 2 strata; use min_n={fewest // 2} or less with subclass=2"
    return "even 2 strata, the least there can be, need 2 rows of each arm. Use another method, such as 'regression'"


def _left_out(frame: ModelFrame, options: Subclass, distance: Distance, kept: Bools, strata: Strata) -> list[str]:
    """Rows without a stratum, discarded or in a stratum that lacks an arm, and who is left."""
    used = frame.unit_weights > 0
    discarded = int((used & ~kept).sum())
    left = int((used & kept & (strata.codes < 0)).sum())
    return left_out_words(frame, options, distance.words, discarded, left)


def left_out_words(frame: ModelFrame, options: Subclass, words: str, discarded: int, left: int) -> list[str]:
    """The notes on so many rows discarded, and so many in no stratum."""
    notes = []
    if options.discard is not None:
        notes.append(f"{counted(discarded, 'row')} discarded: {words} outside the common support")
    if left:
        notes.append(f"{counted(left, 'row')} {'is' if left == 1 else 'are'} in no stratum and {_have(left)} weight 0")
    if notes:
        notes[-1] += left_over(frame, str(options.estimand), discarded + left)
    return notes


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def strata_notes(strata: Strata, options: Subclass) -> list[str]:
    """What the print must say of the strata: fewer than asked for, units moved."""
    notes = []
    asked = len(options.probs) - 1
    if strata.size < asked:
        why = "some lack an arm (min_n=0)" if options.min_n == 0 else "some hold no unit: the distance has few values"
        if strata.joined:
            joined = f"{_count(strata.joined)} {'was' if strata.joined == 1 else 'were'} joined with a neighbour"
            apart = f"; {why}" if strata.size + strata.joined < asked else ""
            why = f"{joined}, as units of one score stay together{apart}"
        notes.append(f"{_count(strata.size)} instead of {asked}: {why}")
    if any(strata.moved):
        notes.append(
            f"{counted(sum(strata.moved), 'row')} moved to another stratum, so that each has at least {options.min_n} "
            "of each arm"
        )
    return notes


@dataclass(frozen=True, eq=False)
class Subclassified:
    """Answers by one estimator over the target population, and by stratum."""

    overall: PotentialMeans
    within: Stratified

    @property
    def no_groups(self) -> str:
        """Why the estimator over everyone has no effects by group; empty where it has."""
        return self.overall.no_groups

    def answer(self, query: Query) -> Answer:
        """Effects, means, or effects by stratum."""
        return self.within.by_stratum() if isinstance(query, ByStratum) else self.overall.answer(query)


def refuse_modelled(frame: ModelFrame) -> None:
    """An ``OptionError`` for roles of an outcome model, which the stratified estimator does without."""
    frame.refuse_roles(("outcome", "modify", "offset"), "estimator='stratified' has no outcome model")


def subclassified_fit(frame: ModelFrame, made: Stratification, options: Subclass) -> Fit:
    """The effect by strata: a weighted outcome regression, or the mean of the differences within strata."""
    family = read_family(options.family)
    binomial = family.name in ("binomial", "quasibinomial")
    within = Stratified(frame, options, made.strata.codes, made.target, frame.outcome_for(family), binomial)
    words = made.words
    models = {} if made.distance.model is None else {"propensity": Fitted(made.distance.model, PROPENSITY)}
    overall = within.potential()
    notes = (*made.notes, *thin_arms(frame, made.weights, held=True))
    if options.estimator == "stratified":
        refuse_modelled(frame)
        words += f"; {STRATIFIED_WORDS}"
    else:
        model = weighted_model(frame, options, made.weights)
        part = Part("weighted", options.interact)
        overall = Surface(model, frame, part, options, base=made.target).potential()
        models = {"outcome": Fitted(model, part), **models}
        words += f"; {outcome_words(model)}"
        recipe, name = frame.design(part).recipe, frame.the_treatment.name
        strained = strained_notes(overall.answer(Query()), model, recipe, name)
        notes = (*notes, *model.notes, *dropped_terms(model), *strained, *idle_interact(frame, options.interact))
    outcomes = Subclassified(overall, within)
    return Fit(
        answer=outcomes.answer(Query()),
        estimand=str(options.estimand),
        design=made.design,
        method=words,
        outcomes=outcomes,
        models=models,
        notes=notes,
        designed=made,
    )


@Record(
    name="subclass",
    options=Subclass,
    aliases=("stratification",),
    treatments={Kind.BINARY},
    estimands=(ATT, ATE, ATC),
    default_vcov="HC3",
    face="causalformula.results.families.subclass:SubclassResult",
    design_face="causalformula.results.families.matching:MatchedDesign",
    roles=MODELLED,
    r="MatchIt::matchit(method = 'subclass') |> lm(weights = weights) |> marginaleffects::avg_comparisons()",
    summary="strata of the propensity score",
    title="Subclassification",
    estimate=subclassified_fit,
    rebalance="More strata (subclass=) may help, or a treatment model with more terms, method='ebal', which balances "
    "exactly, or outcome({x}), which adjusts for what is left",
    exempt={
        "influence": "the strata are a fixed design: their edges, and the propensity score, are not re-estimated",
        "stacking": "the strata are a fixed design: their edges, and the propensity score, are not re-estimated",
        "integer_weights": "the edges of the strata are quantiles, which interpolate between rows",
        "label_swap": "strata are closed on the left, so a score turned upside down puts a unit on an edge elsewhere",
    },
)
def subclass(frame: ModelFrame, options: Subclass) -> Stratification:
    """Average effect by subclassification on the propensity score.

    Strata are cut at quantiles of the score in the target population (the treated for the ATT, the controls for the
    ATC, everyone for the ATE). Each arm is weighted to that population's strata, ``w_i = (T_k / S_ak) (S_a / T)``, and
    the weighted outcome regression compares the arms. The strata count as given; some confounding remains in them.

    Parameters
    ----------
    frame : ModelFrame
    options : Subclass

    Returns
    -------
    Stratification

    Raises
    ------
    DataError
        If there are too few units for the strata.
    IdentificationError
        If the covariates predict the treatment perfectly.

    References
    ----------
    Rosenbaum and Rubin (1984); Hong (2010). R: ``MatchIt::matchit(method = "subclass")`` 4.7.
    """
    return stratification(frame, options)


def _count(size: int) -> str:
    return f"{size} strat{'um' if size == 1 else 'a'}"
