"""Arms that the covariates tell apart: an error where they do so completely, a note where they do so somewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from causalformula.errors import IdentificationError, counted, some
from causalformula.formula.expressions.values import Matrix, Value, as_factor, number_label
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import OfOverlap
from causalformula.frame.parts import PROPENSITY
from causalformula.numerics.arrays import Array, Bools

# A fitted propensity this near to 0 or 1 is one of them, numerically; of a model on its way to infinite coefficients,
# wherever its iterations stopped, one that is not so near yet.
EXTREME = 1e-8
ON_ITS_WAY = 1e-4
# A number with no more values than this is read as levels.
FEW_VALUES = 10
MOST_CAUSES = 4
# Propensities this near to 0, or to where a bound holds them, are told where many rows have them.
NEAR = 0.02
MANY = 0.05


def separated(score: Array, arm: Bools, used: Bools) -> bool:
    """Whether a threshold of a linear score has the arm above and the other rows below: no finite maximum exists.

    Nor does one where either side has no row, as in a resample of a small arm.
    """
    above, below = score[arm & used], score[~arm & used]
    return not above.size or not below.size or bool(above.min() > below.max())


def overlap_notes(frame: ModelFrame, P: Array, eta: Array | None, converged: bool) -> tuple[str, ...]:
    """Warnings about propensities of 0 or 1 in the columns of ``P`` (n, K).

    Parameters
    ----------
    eta : ndarray (n,), optional
        Linear predictor of two arms.

    Raises
    ------
    IdentificationError
        If the covariates tell an arm from the others completely.
    """
    used = frame.unit_weights > 0
    codes = frame.the_treatment.codes
    for arm in range(P.shape[1]):
        inside = codes == arm
        if eta is not None:
            apart = arm == 1 and separated(eta, inside, used)
        else:
            apart = separated(P[:, arm], inside, used) and P[inside & used, arm].min() > 1 - EXTREME
        if apart:
            raise IdentificationError(_perfect(frame, arm, used))
    near = EXTREME if converged else ON_ITS_WAY
    extreme = (np.minimum(P, 1 - P) < near).any(axis=1) & used
    if not extreme.any():
        return () if converged else ("the propensity model did not converge",)
    causes = list(_one_sided(frame, extreme, used))
    why = "; ".join(causes[:MOST_CAUSES]) if causes else "some combinations of the covariates occur in one arm only"
    more = f" and {len(causes) - MOST_CAUSES} more" if len(causes) > MOST_CAUSES else ""
    count = int(extreme.sum())
    many = f"{count} fitted propensity scores are" if count > 1 else "one fitted propensity score is"
    return (
        OfOverlap(
            f"{many} numerically 0 or 1: {why}{more}. Such rows have no counterparts in some arm: merge levels, leave "
            "these rows out (subset=), or choose a target population where the arms overlap"
        ),
    )


def weak_overlap(
    frame: ModelFrame, P: Array, arm: int | None, floors: Array | float = 0.0, kept: Bools | None = None
) -> tuple[str, ...]:
    """A note where many rows have a small propensity (n, K) among those that the weights of an estimand divide by.

    Parameters
    ----------
    arm : int, optional
        The target's arm, by whose propensity nothing is divided.
    floors : ndarray (K,) or float
        Below which bounds let no propensity be.
    kept : ndarray (n,) of bool, optional
        Rows that the design has not left out.
    """
    used = frame.unit_weights > 0 if kept is None else (frame.unit_weights > 0) & kept
    divided = np.arange(P.shape[1]) != arm
    low = np.broadcast_to(np.asarray(floors, dtype=float), P.shape[1:]) + NEAR
    near = int(((low > P) & divided)[used].any(axis=1).sum())
    if near <= MANY * used.sum():
        return ()
    if len(low) == 2:  # said of the second arm's
        sides = [f"below {low[1]:.3g}"] * bool(divided[1]) + [f"above {1 - low[0]:.3g}"] * bool(divided[0])
        where = " or ".join(sides)
    else:
        where = f"below {low.max():.3g}"
    return (
        OfOverlap(
            f"weak overlap: {counted(near, 'row')} with a propensity {where}. estimand='ATO' of method='ipw' is for "
            "where the arms overlap; subset= restricts the sample to it"
        ),
    )


def apart_on(frame: ModelFrame, score: Array) -> tuple[str, ...]:
    """A note where a score of two arms has no value, nor range of values, in common between them."""
    used, treated = frame.unit_weights > 0, frame.the_treatment.codes == 1
    a, b = score[~treated & used], score[treated & used]
    if max(a.min(), b.min()) <= min(a.max(), b.max()):
        return ()
    ends = (a.max(), "up to", b.min(), "from") if a.max() < b.min() else (a.min(), "from", b.max(), "up to")
    low, high = (number_label(float(f"{end:.4g}")) for end in (ends[0], ends[2]))
    return (
        OfOverlap(
            f"the arms' propensity scores do not overlap (controls {ends[1]} {low}, treated {ends[3]} {high}): no row "
            "has a counterpart in the other arm, and what is compared is no like with like. Restrict the sample to "
            "where both arms occur, or leave out of the scores what determines the treatment"
        ),
    )


def apart_alone(frame: ModelFrame) -> tuple[str, ...]:
    """A note that names variables which tell an arm from the others by themselves."""
    treatment, used = frame.the_treatment, frame.unit_weights > 0
    notes = []
    for arm in range(1 if len(treatment.levels) == 2 else 0, len(treatment.levels)):
        names = _alone(frame, treatment.codes == arm, used)
        if names:
            verb = "predicts" if len(names) == 1 else "each predict"
            notes.append(
                OfOverlap(
                    f"{some(map(repr, names))} {verb} {_whom(frame, arm)} perfectly, so the arms do not overlap there, "
                    "and no weights make them alike. Drop what determines the treatment from the formula, or restrict "
                    "the sample to where both arms occur"
                )
            )
    return tuple(notes)


def _alone(frame: ModelFrame, inside: Bools, used: Bools) -> list[str]:
    return [name for name, value in _variables(frame) if _tells_apart(value, inside, used)]


def _whom(frame: ModelFrame, arm: int) -> str:
    treatment = frame.the_treatment
    return repr(treatment.name) if len(treatment.levels) == 2 else f"{treatment.name} = {treatment.levels[arm]}"


def _perfect(frame: ModelFrame, arm: int, used: Bools) -> str:
    """The message about an arm that the covariates predict: which of them do so alone, or all together."""
    treatment = frame.the_treatment
    inside = treatment.codes == arm
    alone = _alone(frame, inside, used)
    names = alone or [name for name, _ in _variables(frame)]
    verb = "predicts" if len(names) == 1 else "together predict" if not alone else "each predict"
    return (
        f"{some(map(repr, names))} {verb} {_whom(frame, arm)} perfectly (complete separation), so the arms do not "
        "overlap and cannot be compared. Drop what determines the treatment from the formula, or restrict the sample "
        "to where both arms occur"
    )


def _variables(frame: ModelFrame) -> list[tuple[str, Value]]:
    """Variables of the propensity model, by label."""
    design = frame.design(PROPENSITY)
    return [(label, design.values[place]) for place, label in enumerate(design.recipe.terms.labels)]


def _tells_apart(value: Value, inside: Bools, used: Bools) -> bool:
    """Whether a variable has no value, or no range of values, in common between an arm and the rest."""
    if isinstance(value, Matrix):
        return False
    if isinstance(value, np.ndarray):
        a, b = value[inside & used], value[~inside & used]
        return not a.size or not b.size or bool(a.min() > b.max() or a.max() < b.min())
    codes = as_factor(value).codes
    return not np.intersect1d(codes[inside & used], codes[~inside & used]).size


def _one_sided(frame: ModelFrame, extreme: Bools, used: Bools) -> Iterator[str]:
    """Where scores are extreme: levels of a variable that some arm lacks, ends of a number's range beyond an arm's."""
    treatment = frame.the_treatment
    arms = [(level, (treatment.codes == k) & used) for k, level in enumerate(treatment.levels)]
    for name, value in _variables(frame):
        if isinstance(value, Matrix):
            continue
        if isinstance(value, np.ndarray) and len(np.unique(value[used])) > FEW_VALUES:
            yield from _ends(name, value, arms, extreme, treatment.name)
            continue
        factor = as_factor(value)
        for level in np.unique(factor.codes[extreme]):
            rows = factor.codes == level
            without = [label for label, inside in arms if not (rows & inside).any()]
            if without:
                yield f"no row with {treatment.name} = {some(without)} has {name} = {factor.levels[level]}"


def _ends(name: str, x: Array, arms: list[tuple[str, Bools]], extreme: Bools, treatment: str) -> Iterator[str]:
    """Where all extreme rows of the other arms lie beyond one arm's range of a number."""
    for level, inside in arms:
        others = x[extreme & ~inside]
        if not len(others):
            continue
        low, high = x[inside].min(), x[inside].max()
        if others.min() > high:
            yield f"no row with {treatment} = {level} has {name} above {number_label(float(f'{high:.6g}'))}"
        elif others.max() < low:
            yield f"no row with {treatment} = {level} has {name} below {number_label(float(f'{low:.6g}'))}"
