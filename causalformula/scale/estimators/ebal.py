"""Entropy balancing and inverse probability tilting by passes: one arm after another is balanced to the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.fit import DesignWeights, Fit
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.arms import arm_pieces, rises, tilted_arms
from causalformula.backends.weighting.ebal import Ebal, balancing_words, base_weights
from causalformula.backends.weighting.ipt import IPT, floor, scored
from causalformula.backends.weighting.moments import BalancingOptions
from causalformula.backends.weighting.weights import Weighting, indicators_of, refuse_empty_arm, shared
from causalformula.errors import CapabilityError
from causalformula.frame.treatment import Kind
from causalformula.inference.away import away
from causalformula.numerics.approximate import Bounded
from causalformula.numerics.arrays import Array
from causalformula.numerics.balancing import Tilt
from causalformula.numerics.linalg import gram
from causalformula.scale.balancing import Balancing, Pieces, Problem, balance, balancing_columns, kept_columns
from causalformula.scale.sums import Sums
from causalformula.scale.weighting import WholeWeighting, weighted_fit
from causalformula.scale.whole import WholeFrame


@dataclass(frozen=True)
class ArmPieces:
    """What a row has in the conditions of one arm.

    Parameters
    ----------
    arm : int or None
        The target's.
    k : int
        The arm that is balanced.
    plus : float
    base : str, optional
        A column of base weights.
    """

    arm: int | None
    k: int
    plus: float
    base: str | None = None

    def __call__(self, frame: Any) -> Pieces:
        """Of a chunk."""
        hot = indicators_of(frame)
        up, constant = arm_pieces(hot, self.arm, self.k, self.plus, base_of(frame, self.base))
        target = np.ones(frame.n) if self.arm is None else hot[:, self.arm]
        return Pieces(up, np.zeros(frame.n), constant, target)


def base_of(frame: Any, name: str | None) -> Array | None:
    """Base weights of a chunk's rows."""
    return None if name is None else base_weights(frame, name)


@dataclass(frozen=True, eq=False)
class Tilted:
    """The weighting of a chunk, by the solution of each arm.

    Parameters
    ----------
    balancing : Balancing
    arm : int or None
    plus : float
    solved : mapping of int to Tilt
    information : mapping of int to ndarray
        Of all rows.
    base : str, optional
    shares : tuple, optional
        The arms' sizes beside the target's, and that; where weights sum to them.
    scored : bool
        Whether weights are those of probabilities.
    words : str
    """

    balancing: Balancing
    arm: int | None
    plus: float
    solved: dict[int, Tilt | Bounded]
    information: dict[int, Array]
    base: str | None = None
    shares: tuple[Array, float] | None = None
    scored: bool = False
    words: str = ""

    def __call__(self, frame: Any) -> Weighting:
        """Of a chunk."""
        Z, names = self.balancing.of(frame)
        hot, s, treatment = indicators_of(frame), frame.unit_weights, frame.the_treatment
        own = {k: on_rows(tilt, Z) for k, tilt in self.solved.items()}
        base = base_of(frame, self.base)
        made = tilted_arms(Z, names, s, hot, self.arm, treatment, self.plus, own, base, information=self.information)
        if self.shares is not None:
            target = np.ones(frame.n) if self.arm is None else hot[:, self.arm]
            made = shared(made, hot, target, s, *self.shares)
        return scored(made, treatment, self.arm) if self.scored else made


def on_rows(tilt: Any, Z: Array) -> Any:
    """A solution with the linear predictor of some rows."""
    return Tilt(tilt.coef, tilt.kept, Z[:, tilt.kept] @ tilt.coef, tilt.imbalance, tilt.steps)


@dataclass(frozen=True, eq=False)
class _Information:
    """The equations' information at the solution."""

    problem: Problem
    tilt: Tilt

    def __call__(self, frame: Any) -> Sums:
        Z, _ = self.problem.balancing.of(frame)
        tilt = on_rows(self.tilt, Z)
        rise = rises(self.problem.pieces(frame).up, tilt)
        return Sums({"information": gram(Z[:, tilt.kept], frame.unit_weights * rise)})


@dataclass(frozen=True)
class Sizes:
    """Weight of each arm, and of the target."""

    arm: int | None

    def __call__(self, frame: Any) -> Sums:
        """Of a chunk."""
        hot, s = indicators_of(frame), frame.unit_weights
        return Sums({"arms": s @ hot, "target": float(s.sum() if self.arm is None else s @ hot[:, self.arm])})


def tilted(
    frame: WholeFrame,
    options: BalancingOptions,
    plus: float,
    *,
    base: str | None = None,
    remedy: str = "",
    shares: bool = False,
    scores: bool = False,
    words: str = "",
) -> WholeWeighting:
    """The design stage: each arm balanced to the target."""
    passes, arm, treatment = frame.passes, target_arm(frame, options), frame.the_treatment
    sizes: Sums = passes.total(Sizes(arm))
    refuse_empty_arm(frame, sizes["arms"])
    balancing = balancing_columns(frame, options.moments, options.int)
    kept = kept_columns(passes, balancing)
    solved: dict[int, Tilt | Bounded] = {}
    information: dict[int, Array] = {}
    for k, level in enumerate(treatment.levels):
        if k == arm:
            continue
        where = f" where {treatment.name} = {level}"
        problem = Problem(balancing, ArmPieces(arm, k, plus, base), where, remedy)
        tilt = balance(passes, problem, kept)
        solved[k] = tilt
        information[k] = passes.total(_Information(problem, tilt))["information"]
    target = sizes["target"]
    given = (sizes["arms"] / target, target) if shares else None
    weigh = Tilted(balancing, arm, plus, solved, information, base, given, scores, words)
    rows = away(passes.words)
    distance = rows if scores and treatment.kind is Kind.BINARY else None
    return WholeWeighting(weigh, DesignWeights(rows, distance), words)


def refuse_dose(frame: WholeFrame) -> None:
    """A ``CapabilityError`` for a dose."""
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        raise CapabilityError("weights for a dose need all rows in memory; fit to a sample of a million rows")


def ebal(frame: WholeFrame, options: Ebal) -> Fit:
    """Average effect by entropy balancing; see ``backends.weighting.ebal``.

    Parameters
    ----------
    frame : WholeFrame
    options : Ebal

    Returns
    -------
    Fit

    Raises
    ------
    CapabilityError
        For doses, and for balance within bounds.
    """
    refuse_dose(frame)
    if options.tols:
        raise CapabilityError(
            "approximate balance (tols=) needs all rows in memory; balance exactly with tols=0, or fit to a sample "
            "of a million rows"
        )
    made = tilted(
        frame,
        options,
        0.0,
        base=options.base_weights,
        shares=True,
        words=balancing_words(options.tols, ""),
    )
    return weighted_fit(frame, made, options)


def ipt(frame: WholeFrame, options: IPT) -> Fit:
    """Average effect by inverse probability tilting; see ``backends.weighting.ipt``.

    Parameters
    ----------
    frame : WholeFrame
    options : IPT

    Returns
    -------
    Fit
    """
    plus = floor(target_arm(frame, options))
    made = tilted(frame, options, plus, scores=True, words="inverse probability tilting")
    return weighted_fit(frame, made, options)
