"""Nearest neighbour matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from causalformula.backends.distance import Distance, both_arms, distance_lines, kept_by_support, support_line
from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.fit import DesignWeights, Fitted
from causalformula.backends.held import HeldDesign, held_fit
from causalformula.backends.matching.abadie_imbens import Tied, matches_of, rectangle, tied_matches, tied_weights
from causalformula.backends.matching.calipers import DISTANCE
from causalformula.backends.matching.conditions import (
    Conditions,
    covariate_values,
    idle_columns,
    metric_coordinates,
    read_conditions,
    refuse_treatment,
)
from causalformula.backends.matching.options import METRIC_WORDS, Nearest
from causalformula.backends.matching.words import (
    caliper_line,
    discard_note,
    fewer_note,
    left_out_notes,
    nearest_rebalance,
    nearest_words,
    one_armed_note,
    reused_note,
    tie_note,
    unmatched_advice,
    unmatched_reason,
)
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.target import target_arm
from causalformula.errors import DataError, OptionError, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.frame.side import side_values
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.matching.line import match_on_line
from causalformula.numerics.matching.sets import reused_weights, set_codes, set_weights
from causalformula.numerics.matching.space import match_in_space
from causalformula.numerics.matching.task import UNLIMITED, Task, extremal_ratio, focal_order

# Who chooses first by the target's arm: whoever has the fewest of the other arm at hand.
FIRST = {1: "largest", 0: "smallest"}
# The classes of matched designs and of their results.
DESIGN_FACE = "causalformula.results.families.matching:MatchedDesign"
FACE = "causalformula.results.families.matching:MatchedResult"
PAIRED = "matched sets are the clusters, as their units are alike (Abadie and Spiess 2022)"
REUSED = "matched sets overlap, so they are no clusters; '~subclass + unit' is the two-way form on pairs"
REDRAWN_PAIRS = (
    "matching every resample anew has no proof, and its repeated rows change the pairs. Resample the matched sets, as "
    "vcov='bootstrap ~ subclass', or use the default, clusters by subclass"
)
NOT_REDRAWN = "resampling is not valid for nearest neighbours with replacement (Abadie and Imbens 2008). Use "
REDRAWN_REUSED = NOT_REDRAWN + "'HC3', or 'AI', the variance of Abadie and Imbens"
REDRAWN_CORRECTED = NOT_REDRAWN + "'AI', the variance of Abadie and Imbens"
# The covariance of a weighted regression whose estimate the variance of Abadie and Imbens is not of.
WITHOUT_OWN = ("HC3", "the variance of Abadie and Imbens is of a plain difference in means, with no outcome model")


@dataclass(frozen=True, eq=False)
class Matches:
    """Who is whose match: rows of the target (m,), of their matches (m, k), and how far apart they are."""

    focal: Codes
    found: Codes
    gaps: Array
    wanted: Codes
    points: Array
    notes: tuple[str, ...] = ()


def nearest_design(frame: ModelFrame, options: Nearest) -> HeldDesign:
    """Match, and weigh the matched sample to the units of the target.

    Raises
    ------
    DataError
        If nobody can be matched.
    """
    refuse_treatment(frame, options)
    if options.ties:
        return _tied_design(frame, options)
    arm = target_arm(frame, options)
    assert arm is not None  # the ATE is of ties alone
    distance, kept = (None, np.ones(frame.n, dtype=bool)) if options.metric else kept_by_support(frame, options)
    used, codes = frame.unit_weights > 0, frame.the_treatment.codes
    both_arms(frame, used, "")
    conditions = read_conditions(frame, options, None if distance is None else distance.values, kept & used)
    matches = _matched(frame, options, arm, distance, used & kept, conditions)
    focal = used & (codes == arm)
    _refuse_none(options, arm, matches, conditions)
    design = _design(frame, options, matches, focal, distance, None if kept.all() else ~kept)
    notes = [*([] if distance is None else distance.notes), *matches.notes]
    if options.discard is not None and distance is not None:
        notes += discard_note(int((used & ~kept).sum()), distance.words)
    pool = np.flatnonzero(used & kept & (codes != arm))
    notes += one_armed_note(frame, conditions, matches.focal, pool)
    notes += fewer_note(frame, options, (matches.found >= 0).sum(axis=1), matches.wanted)
    why, advice = unmatched_reason(options, arm), unmatched_advice(options)
    notes += left_out_notes(frame, str(options.estimand), focal, design.weights > 0, why, advice)
    if options.replaced:
        notes += reused_note(frame, matches.found[matches.found >= 0], used)
    words = nearest_words(options)
    return HeldDesign(
        design,
        focal,
        f"{words.replace('neighbor', 'neighbour')} ({_on(options, distance)})",
        (f" - method: {words}\n", *_lines(frame, options, distance, conditions)),
        _models(distance),
        tuple(notes),
        _own_variance(frame, options, arm, design, matches, distance),
    )


def _models(distance: Distance | None) -> dict[str, Fitted]:
    return {} if distance is None or distance.model is None else {"propensity": Fitted(distance.model, PROPENSITY)}


def _own_variance(
    frame: ModelFrame, options: Nearest, arm: int, design: DesignWeights, matches: Matches, distance: Distance | None
) -> Callable[[PotentialMeans], PotentialMeans] | None:
    """Abadie and Imbens' variance for matches with replacement, whose sampling weights would be the focal units'."""
    if not options.replaced or frame.weights is not None:
        return None
    found = matches_of(design, frame, matches.points, arm, int(options.ratio))
    return Tied(found, False, distance is not None and distance.estimated).outcomes


def _tied_design(frame: ModelFrame, options: Nearest) -> HeldDesign:
    """The estimator of Abadie and Imbens: all ties are matches, and share their weight."""
    arm = target_arm(frame, options)
    distance, kept = (None, np.ones(frame.n, dtype=bool)) if options.metric else kept_by_support(frame, options)
    used, codes = frame.unit_weights > 0, frame.the_treatment.codes
    both_arms(frame, used, "")
    found = tied_matches(frame, options, arm, distance, used & kept)
    target = used if arm is None else used & (codes == arm)
    weights = tied_weights(frame, options, found, arm)
    pairs, gaps = rectangle(found, np.flatnonzero(target))
    design = DesignWeights(
        weights,
        None if distance is None else distance.values,
        None,
        pairs,
        vcov="AI",
        because="the variance of this estimator (Abadie and Imbens 2006)",
        redrawn=REDRAWN_CORRECTED if options.bias_adjust else REDRAWN_REUSED,
        discarded=None if kept.all() else ~kept,
        gaps=gaps,
    )
    focal = np.zeros(frame.n, dtype=bool)
    focal[found.focal] = True
    words = f"{int(options.ratio)}:1 nearest neighbour matching with replacement, ties included"
    notes = [] if distance is None else list(distance.notes)
    if options.discard is not None and distance is not None:
        notes += discard_note(int((used & ~kept).sum()), distance.words)
    why, advice = "too few matches within the limits", unmatched_advice(options)
    notes += left_out_notes(frame, str(options.estimand), target, focal, why, advice)
    notes += reused_note(frame, found.match, used)
    corrected = ", bias corrected" if options.bias_adjust else ""
    return HeldDesign(
        design,
        target & focal,
        f"{words} ({_on(options, distance)}){corrected}",
        (f" - method: {words.replace('neighbour', 'neighbor')}\n", *_lines(frame, options, distance, None)),
        _models(distance),
        tuple(notes),
        Tied(found, options.bias_adjust, distance is not None and distance.estimated).outcomes,
        not options.bias_adjust,
        WITHOUT_OWN,
    )


def _matched(
    frame: ModelFrame, options: Nearest, arm: int, distance: Distance | None, able: Bools, conditions: Conditions
) -> Matches:
    codes = frame.the_treatment.codes
    focal, pool = np.flatnonzero(able & (codes == arm)), np.flatnonzero(able & (codes != arm))
    score = None if distance is None else distance.values[focal]
    usual = "data" if score is None else FIRST[arm]
    task = Task(
        focal=focal,
        pool=pool,
        wanted=_wanted(frame, options, arm, distance, focal),
        order=focal_order(options.m_order or usual, score, len(focal), options.seed),
        reuse=UNLIMITED if options.replaced and options.reuse_max is None else options.reuse_max or 1,
        strata=conditions.codes,
        caliper=conditions.caliper,
        beyond=conditions.beyond,
        conditions=conditions.others,
        units=conditions.units,
    )
    if options.on_score:
        assert distance is not None
        found, Z, notes = match_on_line(distance.values, task), distance.values[:, None], ()
    else:
        Z, notes = _coordinates(frame, options, able)
        found = match_in_space(Z, task)
    apart = np.sqrt(((Z[focal][:, None] - Z[found]) ** 2).sum(axis=2))
    notes = (*notes, *tie_note(task, Z, found, by_score=(options.m_order or usual) in ("largest", "smallest")))
    return Matches(focal, found, np.where(found >= 0, apart, np.nan), task.wanted, Z, notes)


def _wanted(frame: ModelFrame, options: Nearest, arm: int, distance: Distance | None, focal: Codes) -> Codes:
    """How many matches each unit of the target should have; discarded units count in the shares of a variable ratio."""
    if not options.varies:
        return np.full(len(focal), int(options.ratio), dtype=np.intp)
    assert distance is not None and options.max_controls is not None
    used, codes = frame.unit_weights > 0, frame.the_treatment.codes
    everyone = np.flatnonzero(used & (codes == arm))
    others = int((used & (codes != arm)).sum())
    most = others / len(everyone)
    if options.ratio > most and not options.replaced:
        smaller = (
            f"at most ratio={most:.3g}, or"
            if most > options.least
            else "match without min_controls=, max_controls=, or"
        )
        raise OptionError(
            f"ratio={options.ratio:g} asks for {options.ratio * len(everyone):g} matches in all, of {others} "
            f"units; {smaller} with replace=True"
        )
    order = focal_order(FIRST[arm], distance.values[everyone], len(everyone), 0)
    assert not isinstance(order, str)
    wanted = np.zeros(frame.n, dtype=np.intp)
    wanted[everyone] = extremal_ratio(order, float(options.ratio), options.least, options.max_controls)
    return wanted[focal]


def _coordinates(frame: ModelFrame, options: Nearest, able: Bools) -> tuple[Array, tuple[str, ...]]:
    """Coordinates of the covariates that units are matched on, and notes on those that have no part in them."""
    named = side_values(frame, options.mahvars) if options.mahvars is not None else covariate_values(frame)
    if not named:
        raise DataError(f"distance={options.distance!r} is between covariates, and there are none; add adjust(...)")
    metric = options.metric or "mahalanobis"
    return metric_coordinates(frame, named, metric, able), tuple(idle_columns(frame, named, metric, able))


def _design(
    frame: ModelFrame,
    options: Nearest,
    matches: Matches,
    focal: Bools,
    distance: Distance | None,
    discarded: Bools | None,
) -> DesignWeights:
    n, arm = frame.n, frame.the_treatment.codes
    once = not options.replaced
    sets = set_codes(n, matches.focal, matches.found) if once else None
    weights = reused_weights(n, matches.focal, matches.found) if sets is None else set_weights(sets, arm, focal)
    rows = np.flatnonzero(focal)
    pairs = np.full((len(rows), 1 + matches.found.shape[1]), -1, dtype=np.intp)
    gaps = np.full((len(rows), matches.found.shape[1]), np.nan)
    pairs[:, 0] = rows
    place = np.searchsorted(rows, matches.focal)
    pairs[place, 1:], gaps[place] = matches.found, matches.gaps
    return DesignWeights(
        weights,
        None if distance is None else distance.values,
        None if sets is None else set_numbers(sets),
        pairs,
        vcov="~subclass" if once else "HC3",
        because=PAIRED if once else REUSED,
        redrawn=REDRAWN_PAIRS if once else REDRAWN_REUSED,
        discarded=discarded,
        gaps=gaps,
    )


def set_numbers(codes: Codes) -> np.ndarray:
    """Matched sets from 1, None for rows in none."""
    numbers = codes + 1
    if (codes >= 0).all():
        return numbers
    numbers = numbers.astype(object)
    numbers[codes < 0] = None
    return numbers


def _refuse_none(options: Nearest, arm: int, matches: Matches, conditions: Conditions) -> None:
    """A ``DataError`` where nobody has a match."""
    if (matches.found >= 0).any():
        return
    ways = ["leave out discard="] if options.discard is not None else []
    ways += [
        f"{'widen' if width > 0 else 'bring nearer to zero'} the caliper of {name.strip('<>')} (here {width:.3g})"
        for name, width in conditions.widths
    ]
    ways += ["fewer variables in exact="] if options.exact is not None else []
    ways += ["other variables in antiexact="] if options.antiexact is not None else []
    raise DataError(f"nobody can be matched: {unmatched_reason(options, arm)}. {_sentence(some(ways))}")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _on(options: Nearest, distance: Distance | None) -> str:
    """What units are matched on, in words."""
    if options.on_score:
        assert distance is not None
        return distance.words
    words = f"{METRIC_WORDS[options.metric or 'mahalanobis']} distance"
    within = any(each.name == DISTANCE for each in options.calipers)
    return f"{words} within a caliper on the {distance.words}" if distance is not None and within else words


def _lines(frame: ModelFrame, options: Nearest, distance: Distance | None, conditions: Conditions) -> tuple[str, ...]:
    """How the design was made, in MatchIt's words."""
    uses = ["caliper"] if any(each.name == DISTANCE for each in options.calipers) else []
    uses += ["common support"] if options.discard is not None else []
    metric = METRIC_WORDS[options.metric or "mahalanobis"] if not options.on_score else ""
    return (
        *distance_lines(frame, distance, tuple(uses), metric),
        *support_line(options.discard),
        *([] if conditions is None else caliper_line(conditions)),
    )


@Record(
    name="nearest",
    options=Nearest,
    aliases=("matching",),
    treatments={Kind.BINARY},
    estimands=(ATT, ATC, ATE),
    forms={ATE: {"replace": True, "ties": True}},
    estimand_words="the ATE with replace=True, ties=True",
    default_vcov="HC3",
    vcov_words="clustered by pairs; HC3 with replace=True",
    roles=MODELLED,
    face=FACE,
    design_face=DESIGN_FACE,
    r="MatchIt::matchit(method = 'nearest') |> lm(weights = weights) |> marginaleffects::avg_comparisons()",
    summary="nearest neighbour matching",
    title="Nearest neighbour matching",
    estimate=held_fit,
    rebalance=nearest_rebalance,
    exempt={
        "influence": "the matches are a fixed design: neither they nor the score are re-estimated",
        "stacking": "the matches are a fixed design: neither they nor the score are re-estimated",
        "integer_weights": "a row is matched once, whatever its weight",
        "row_order": "ties between matches are broken by the order of rows, as MatchIt breaks them",
        "label_swap": "who chooses first, and which of two matches at one distance is taken, depend on the side",
        "bootstrap": "matching anew in every resample has no proof; matched sets are resampled",
    },
)
def nearest(frame: ModelFrame, options: Nearest) -> HeldDesign:
    """Average effect on the matched treated (ATT) or controls (ATC) by greedy nearest neighbour matching.

    Each unit of the target takes, one after the other, the nearest unit of the other arm that is left. The matched
    sample is weighted to the target's, ``w = (n_target in the set / n_other in the set)``, scaled to the number of
    matched units, and a weighted outcome regression, averaged over the matched units of the target, compares the arms.
    Matches and weights count as given.

    Parameters
    ----------
    frame : ModelFrame
    options : Nearest

    Returns
    -------
    HeldDesign

    Raises
    ------
    DataError
        If nobody can be matched, or a score is constant or missing.
    IdentificationError
        If the covariates predict the treatment perfectly.

    References
    ----------
    Stuart (2010); Abadie and Spiess (2022). R: ``MatchIt::matchit(method = "nearest")`` 4.7.
    """
    return nearest_design(frame, options)
