"""Exact and coarsened exact matching: strata of rows that are alike."""

from __future__ import annotations

import numpy as np

from causalformula.backends.distance import both_arms
from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.fit import DesignWeights
from causalformula.backends.held import HeldDesign, held_fit
from causalformula.backends.matching.coarsened import coarsened_strata
from causalformula.backends.matching.conditions import columns_of, covariate_values, idle_columns, metric_coordinates
from causalformula.backends.matching.nearest import DESIGN_FACE, FACE, PAIRED, REDRAWN_PAIRS, set_numbers
from causalformula.backends.matching.options import CEM, Exact
from causalformula.backends.matching.words import cem_rebalance, left_out_notes
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.target import target_arm
from causalformula.errors import DataError, counted
from causalformula.frame.grouping import grouping
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Bools, Codes
from causalformula.numerics.matching.sets import set_codes, set_weights, shared_codes
from causalformula.numerics.matching.space import match_in_space
from causalformula.numerics.matching.task import Task

# There is no propensity model.
UNSCORED = tuple(role for role in MODELLED if role != "propensity")
STRATIFIED = "strata are no pairs: rows within them are independent"


def target_rows(frame: ModelFrame, options: Exact) -> Bools:
    """Rows of the population that the estimand averages over."""
    arm, used = target_arm(frame, options), frame.unit_weights > 0
    return used if arm is None else used & (frame.the_treatment.codes == arm)


def exact_design(frame: ModelFrame, options: Exact) -> HeldDesign:
    """Strata of rows with the same values of all covariates."""
    named = [pair for label, value in covariate_values(frame) for pair in columns_of(label, value)]
    if not named:
        raise DataError("exact matching needs covariates to be the same in; add adjust(...)")
    codes = [grouping(name, value, frame.index).codes for name, value in named]
    return stratified_design(frame, options, codes, "Exact matching", "exact matching")


def stratified_design(frame: ModelFrame, options: Exact, codes: list[Codes], line: str, words: str) -> HeldDesign:
    """Strata that hold both arms, weighted to the target's shares of them."""
    used, treated = frame.unit_weights > 0, frame.the_treatment.codes == 1
    both_arms(frame, used, "")
    joint = np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].reshape(-1)
    strata = shared_codes(np.where(used, joint, -1), treated)
    _refuse_empty(strata, options)
    return held_strata(frame, options, strata, line, words)


def held_strata(frame: ModelFrame, options: Exact, strata: Codes, line: str, words: str) -> HeldDesign:
    """The design of strata."""
    target, arm = target_rows(frame, options), frame.the_treatment.codes
    weights = set_weights(strata, arm, target, frame.unit_weights)
    number = int(strata.max()) + 1
    design = DesignWeights(weights, subclass=set_numbers(strata), vcov="HC3", because=STRATIFIED)
    why, advice = "no unit of the other arm is like them", _fewer_strata(options)
    notes = left_out_notes(frame, str(options.estimand), target, weights > 0, why, advice)
    return HeldDesign(
        design,
        target,
        f"{words} ({number} strat{'um' if number == 1 else 'a'})",
        (f" - method: {line}\n",),
        {},
        tuple(notes),
    )


def _fewer_strata(options: Exact) -> str:
    """What leaves fewer strata without an arm."""
    coarser = "coarser bins (cutpoints=, grouping=)" if isinstance(options, CEM) else "method='cem' (bins of numbers)"
    return f"fewer covariates or {coarser}"


def _refuse_empty(strata: Codes, options: Exact) -> None:
    if (strata >= 0).any():
        return
    advice = "coarsen more (fewer cutpoints=, grouping=), or match on fewer covariates"
    if not isinstance(options, CEM):
        advice = "method='cem' coarsens numbers into bins; or match on fewer covariates"
    raise DataError(f"nobody can be matched: no stratum has units of both arms; {advice}")


def cem_design(frame: ModelFrame, options: CEM) -> HeldDesign:
    """Strata of rows whose covariates fall into the same bins; pairs within them where ``k2k`` asks for them."""
    found = stratified_design(
        frame, options, coarsened_strata(frame, options), "Coarsened exact matching", "coarsened exact matching"
    )
    return _pairs_within(frame, options, found) if options.k2k else found


def _pairs_within(frame: ModelFrame, options: CEM, found: HeldDesign) -> HeldDesign:
    """As many of either arm in every stratum: the nearest pairs, the others left out."""
    numbers, codes = found.design.subclass, frame.the_treatment.codes
    assert numbers is not None
    strata = np.array([-1 if k is None else k - 1 for k in numbers.tolist()], dtype=np.intp)
    inside = strata >= 0
    arm = target_arm(frame, options)
    focal = np.flatnonzero(inside & (codes == arm))
    pool = np.flatnonzero(inside & (codes != arm))
    Z = metric_coordinates(frame, covariate_values(frame), options.k2k_method, frame.unit_weights > 0)
    task = Task(focal, pool, np.ones(len(focal), dtype=np.intp), np.arange(len(focal)), strata=np.maximum(strata, 0))
    matches = match_in_space(Z, task)
    sets = set_codes(frame.n, focal, matches)
    target = target_rows(frame, options)
    weights = set_weights(sets, codes, target)
    everyone = np.flatnonzero(target)
    pairs = np.full((len(everyone), 2), -1, dtype=np.intp)
    pairs[:, 0] = everyone
    pairs[np.searchsorted(everyone, focal), 1] = matches[:, 0]
    apart = np.where(pairs[:, 1] >= 0, np.sqrt(((Z[pairs[:, 0]] - Z[pairs[:, 1]]) ** 2).sum(axis=1)), np.nan)
    design = DesignWeights(
        weights,
        subclass=set_numbers(sets),
        pairs=pairs,
        vcov="~subclass",
        because=PAIRED,
        redrawn=REDRAWN_PAIRS,
        gaps=apart[:, None],
    )
    why = "no unit of the other arm is in their stratum, or none is left there"
    notes = idle_columns(frame, covariate_values(frame), options.k2k_method, frame.unit_weights > 0)
    notes += left_out_notes(frame, str(options.estimand), target, weights > 0, why, _fewer_strata(options))
    words = f"coarsened exact matching, then 1:1 pairs within strata ({counted(int(sets.max()) + 1, 'pair')})"
    return HeldDesign(design, target, words, found.lines, {}, tuple(notes))


FIXED = "strata are a fixed design: the covariates that they are made of count as given"


@Record(
    name="exact",
    options=Exact,
    treatments={Kind.BINARY},
    estimands=(ATT, ATC, ATE),
    default_vcov="HC3",
    roles=UNSCORED,
    face=FACE,
    design_face=DESIGN_FACE,
    unread={"propensity": "exact matching has no propensity model; write its terms in adjust(...)"},
    r="MatchIt::matchit(method = 'exact') |> lm(weights = weights) |> marginaleffects::avg_comparisons()",
    summary="exact matching on all covariates",
    title="Exact matching",
    estimate=held_fit,
    rebalance="outcome({x}) adjusts for what is left",
    exempt={"influence": FIXED, "stacking": FIXED},
)
def exact(frame: ModelFrame, options: Exact) -> HeldDesign:
    """Average effect by exact matching: rows with the same values of all covariates are a stratum.

    Strata that lack an arm are left out. Each arm is weighted to the target's shares of the strata,
    ``w_i = (T_k / S_ak) (S_a / T)`` with ``T_k`` the target's and ``S_ak`` the arm's total of sampling weights in the
    stratum, and a weighted outcome regression compares the arms. Strata count as given.

    Parameters
    ----------
    frame : ModelFrame
    options : Exact

    Returns
    -------
    HeldDesign

    Raises
    ------
    DataError
        If no stratum has both arms, or there are no covariates.

    References
    ----------
    Ho, Imai, King and Stuart (2007). R: ``MatchIt::matchit(method = "exact")`` 4.7.
    """
    return exact_design(frame, options)


@Record(
    name="cem",
    options=CEM,
    treatments={Kind.BINARY},
    estimands=(ATT, ATC, ATE),
    estimand_words="the ATE without k2k=True",
    default_vcov="HC3",
    vcov_words="HC3; clustered by pairs with k2k=True",
    roles=UNSCORED,
    face=FACE,
    design_face=DESIGN_FACE,
    unread={"propensity": "coarsened exact matching has no propensity model; write its terms in adjust(...)"},
    r="MatchIt::matchit(method = 'cem') |> lm(weights = weights) |> marginaleffects::avg_comparisons()",
    summary="coarsened exact matching",
    title="Coarsened exact matching",
    estimate=held_fit,
    rebalance=cem_rebalance,
    exempt={
        "influence": FIXED,
        "stacking": FIXED,
        "integer_weights": "bins depend on the number of rows, and quantiles interpolate between them",
    },
)
def cem(frame: ModelFrame, options: CEM) -> HeldDesign:
    """Average effect by coarsened exact matching: rows whose covariates fall into the same bins are a stratum.

    As exact matching, after numbers are cut into bins and levels are grouped.

    Parameters
    ----------
    frame : ModelFrame
    options : CEM

    Returns
    -------
    HeldDesign

    Raises
    ------
    DataError
        If no stratum has both arms, or there are no covariates.

    References
    ----------
    Iacus, King and Porro (2012), "Causal inference without balance checking", Political Analysis 20, 1-24. R:
    ``MatchIt::matchit(method = "cem")`` 4.7.
    """
    return cem_design(frame, options)
