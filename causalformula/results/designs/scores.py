"""What pictures take from a design: its score or distance, its arms, its weights before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.errors import OptionError
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.legends import cut
from causalformula.results.designs.core import DesignCore


@dataclass(frozen=True, eq=False)
class Score:
    """The probability of one level of the treatment, or another distance.

    Parameters
    ----------
    p : ndarray (n,)
    inside : ndarray (n,) of bool
        Rows at the level.
    words, who, others : str
        What the score is, and what to call the rows at the level and the rest, in labels.
    """

    p: Array
    inside: Bools
    words: str
    who: str
    others: str


def score_of(design: DesignCore, level: Any) -> Score:
    """The propensity score of a level: by default of the treated, the focal level, or the last of several.

    Two arms may have another distance, which is that of both.
    """
    treatment = design.call.frame.the_treatment
    if treatment.kind is Kind.BINARY:
        k = 1 if level is None else treatment.index(level)
        p = np.asarray(design.design_weights.distance)
        arms = ("treated", "controls")
        if not _probabilities(p):
            if level is not None:
                raise OptionError(
                    f"level={level!r} chooses a score, and the distance of this design is none; leave it out"
                )
            return Score(p, treatment.codes == 1, "distance", *arms)
        words = "propensity score" + (cut(f" of {treatment.name} = {treatment.levels[0]}") if k == 0 else "")
        return Score(p if k else 1 - p, treatment.codes == k, words, arms[1 - k], arms[k])
    chosen = design.call.options.focal if level is None else level
    k = len(treatment.levels) - 1 if chosen is None else treatment.index(chosen)
    p, name = (
        np.asarray(design.design_weights.probabilities)[:, k],
        cut(f"{treatment.name} = {treatment.levels[k]}", 24),
    )
    return Score(p, treatment.codes == k, f"propensity score of {name}", name, "the others")


# Why a method has no score for several levels, or at all.
SCORELESS = {
    "ebal": "finds weights that balance the covariates without a propensity score",
    "energy": "finds weights that balance the covariates without a propensity score",
    "ipt": "fits a model of its own for each arm, so there is no one propensity score",
    "nearest": "matches on a distance of covariates here, without a propensity score",
    "cbps": "fits a model of its own for each arm but the focal one, so there is no one propensity score",
}


# What has one, where it is not another method.
SCORED = {"nearest": "distance='glm', or mahvars= beside it, has a score"}


def abilities(design: DesignCore) -> set[str]:
    """What a design has that pictures need: ``arms``, ``two`` of them, a ``distance``, a ``score`` in 0-1."""
    treatment, made = design.call.frame.the_treatment, design.design_weights
    if treatment.kind is Kind.CONTINUOUS:
        return set()
    binary = treatment.kind is Kind.BINARY
    p = made.distance if binary else made.probabilities
    found = {"arms", "two"} if binary else {"arms"}
    if p is not None:
        found |= {"distance", "score"} if _probabilities(p) else {"distance"}
    return found


def _probabilities(p: Array) -> bool:
    return bool(((p >= 0) & (p <= 1)).all())


def lacking(design: DesignCore, need: str) -> str:
    """Why a design lacks what a picture needs."""
    treatment, made, method = design.call.frame.the_treatment, design.design_weights, design.call.record.name
    if treatment.kind is Kind.CONTINUOUS:
        score = need in ("distance", "score")
        return f"the treatment {treatment.name!r} is a dose, so " + (
            "no arm has a propensity score" if score else "there are no arms to compare"
        )
    if need == "two":
        return f"it sets two arms against each other, and {treatment.name!r} has {len(treatment.levels)}"
    if need == "score" and made.distance is not None:
        return "the distance of this design is no propensity score between 0 and 1"
    return f"method {method!r} {SCORELESS.get(method, 'makes no use of a propensity score')}"


def after(design: DesignCore) -> Array | None:
    """Total weights after adjustment; None where the design has none."""
    w = design.design_weights.weights
    return None if (w == 1).all() else np.asarray(w * design.call.frame.unit_weights)


def equal_arms(design: DesignCore) -> Array | None:
    """Total weights after adjustment, of equal sum in every arm."""
    w = after(design)
    if w is None:
        return None
    codes = design.call.frame.the_treatment.codes
    return np.asarray(w / np.bincount(codes, w)[codes])


def named(design: DesignCore) -> dict[str, Bools]:
    """Arms by the treatment's own levels."""
    treatment = design.call.frame.the_treatment
    if treatment.kind is Kind.CONTINUOUS:
        return dict(design.arms())
    return {f"{treatment.name} = {level}": treatment.codes == k for k, level in enumerate(treatment.levels)}
