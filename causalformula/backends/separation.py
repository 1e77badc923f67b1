"""Arms that the covariates tell apart: an error where they do so completely, a note where they do so somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
    return overlap_words(frame, *scores_seen(frame, P, eta, converged), converged, lambda: seen(frame, P, converged))


def scores_seen(frame: ModelFrame, P: Array, eta: Array | None, converged: bool) -> tuple[Array, int]:
    """What ``overlap_words`` reads of the scores of some rows: ends (3, K), whose least value counts, and a number.

    The ends are each arm's least score, minus the largest of the other rows, and the arm's least propensity.
    """
    used, codes = frame.unit_weights > 0, frame.the_treatment.codes
    ends = np.full((3, P.shape[1]), np.inf)
    for arm in range(P.shape[1]):
        inside, outside = (codes == arm) & used, (codes != arm) & used
        score = P[:, arm] if eta is None else eta if arm == 1 else -eta
        ends[0, arm] = score[inside].min(initial=np.inf)
        ends[1, arm] = (-score[outside]).min(initial=np.inf)
        ends[2, arm] = P[inside, arm].min(initial=np.inf)
    return ends, int(extreme_rows(frame, P, converged).sum())


def extreme_rows(frame: ModelFrame, P: Array, converged: bool) -> Bools:
    """Rows (n,) with a propensity that is numerically 0 or 1."""
    near = EXTREME if converged else ON_ITS_WAY
    return np.asarray((np.minimum(P, 1 - P) < near).any(axis=1) & (frame.unit_weights > 0))


def overlap_words(
    frame: ModelFrame, ends: Array, count: int, converged: bool, look: Callable[[], Mapping[str, Variable]]
) -> tuple[str, ...]:
    """The warnings, from what rows say.

    Parameters
    ----------
    ends, count
        As ``scores_seen`` gives them, of all rows.
    look : callable
        What ``seen`` gives of all rows, which is asked for where there is something to say.

    Raises
    ------
    IdentificationError
        If the covariates tell an arm from the others completely.
    """
    two = ends.shape[1] == 2
    for arm in range(ends.shape[1]):
        apart = ends[0, arm] > -ends[1, arm]
        if apart and (arm == 1 if two else ends[2, arm] > 1 - EXTREME):
            raise IdentificationError(_perfect(frame, arm, look()))
    if not count:
        return () if converged else ("the propensity model did not converge",)
    causes = list(_one_sided(frame, look()))
    why = "; ".join(causes[:MOST_CAUSES]) if causes else "some combinations of the covariates occur in one arm only"
    more = f" and {len(causes) - MOST_CAUSES} more" if len(causes) > MOST_CAUSES else ""
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
    return weak_words(P.shape[1], arm, floors, *small_scores(P, arm, floors, used))


def small_scores(P: Array, arm: int | None, floors: Array | float, used: Bools) -> tuple[int, int]:
    """How many of the rows used have a small propensity that weights divide by, and of how many."""
    divided = np.arange(P.shape[1]) != arm
    low = np.broadcast_to(np.asarray(floors, dtype=float), P.shape[1:]) + NEAR
    return int(((low > P) & divided)[used].any(axis=1).sum()), int(used.sum())


def weak_words(levels: int, arm: int | None, floors: Array | float, near: int, rows: int) -> tuple[str, ...]:
    """The note, where so many of the rows have a small propensity."""
    if near <= MANY * rows:
        return ()
    divided = np.arange(levels) != arm
    low = np.broadcast_to(np.asarray(floors, dtype=float), (levels,)) + NEAR
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
    return apart_words((a.min(), a.max()), (b.min(), b.max()))


def apart_words(a: tuple[float, float], b: tuple[float, float]) -> tuple[str, ...]:
    """The note, for the ranges of the controls' scores and of the treated's."""
    if max(a[0], b[0]) <= min(a[1], b[1]):
        return ()
    ends = (a[1], "up to", b[0], "from") if a[1] < b[0] else (a[0], "from", b[1], "up to")
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
    treatment = frame.the_treatment
    variables = seen(frame)
    notes = []
    for arm in range(1 if len(treatment.levels) == 2 else 0, len(treatment.levels)):
        names = _alone(variables, arm)
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


def _alone(variables: Mapping[str, Variable], arm: int) -> list[str]:
    return [name for name, variable in variables.items() if variable.tells_apart(arm)]


def _whom(frame: ModelFrame, arm: int) -> str:
    treatment = frame.the_treatment
    return repr(treatment.name) if len(treatment.levels) == 2 else f"{treatment.name} = {treatment.levels[arm]}"


def _perfect(frame: ModelFrame, arm: int, variables: Mapping[str, Variable]) -> str:
    """The message about an arm that the covariates predict: which of them do so alone, or all together."""
    alone = _alone(variables, arm)
    names = alone or list(variables)
    verb = "predicts" if len(names) == 1 else "together predict" if not alone else "each predict"
    return (
        f"{some(map(repr, names))} {verb} {_whom(frame, arm)} perfectly (complete separation), so the arms do not "
        "overlap and cannot be compared. Drop what determines the treatment from the formula, or restrict the sample "
        "to where both arms occur"
    )


@dataclass(frozen=True, eq=False)
class Variable:
    """Where the arms have values of a variable, and where rows with extreme scores do; of more rows by ``+``.

    Parameters
    ----------
    levels : mapping
        By level, or value of a number that has few: rows of each arm, and rows with extreme scores (K + 1,).
    ends : ndarray (4, K)
        Of a number, least value and minus the largest of each arm, then of extreme rows of the other arms.
    many : bool
        Whether a number has more than a few values, which are then not listed.
    number : bool
    matrix : bool
        Whether it is a matrix, of which nothing is told.
    """

    levels: Mapping[Any, Array]
    ends: Array
    many: bool = False
    number: bool = False
    matrix: bool = False

    @classmethod
    def of(cls, value: Value, arms: Bools, extreme: Bools) -> Variable:
        """Of rows that are in these arms (n, K)."""
        none = np.full((4, arms.shape[1]), np.inf)
        if isinstance(value, Matrix):
            return cls({}, none, matrix=True)
        counted_rows = np.column_stack([arms, extreme]).astype(float)
        if not isinstance(value, np.ndarray):
            factor = as_factor(value)
            held = np.array([np.bincount(factor.codes, rows, len(factor.levels)) for rows in counted_rows.T]).T
            return cls({level: held[k] for k, level in enumerate(factor.levels) if held[k].any()}, none)
        x, used = value.astype(float), arms.any(axis=1)
        for k, inside in enumerate(arms.T):
            for at, rows in ((0, inside), (2, extreme & ~inside)):
                none[at, k] = x[rows].min(initial=np.inf)
                none[at + 1, k] = (-x[rows]).min(initial=np.inf)
        distinct, codes = np.unique(x[used], return_inverse=True)
        if len(distinct) > FEW_VALUES:
            return cls({}, none, many=True, number=True)
        held = np.array([np.bincount(codes, rows[used], len(distinct)) for rows in counted_rows.T]).T
        return cls(dict(zip(distinct.tolist(), held, strict=True)), none, number=True)

    def __add__(self, other: Variable) -> Variable:
        levels = dict(self.levels)
        for level, rows in other.levels.items():
            levels[level] = levels[level] + rows if level in levels else rows
        many = self.many or other.many or (self.number and len(levels) > FEW_VALUES)
        return replace(self, levels={} if many else levels, ends=np.minimum(self.ends, other.ends), many=many)

    def tells_apart(self, arm: int) -> bool:
        """Whether it has no value, or no range of values, in common between an arm and the rest."""
        if self.matrix:
            return False
        if self.number:
            low, high = self.ends[0], -self.ends[1]
            rest = np.arange(len(low)) != arm
            return bool(low[arm] > high[rest].max() or high[arm] < low[rest].min())
        return not any(rows[arm] and rows[:-1].sum() > rows[arm] for rows in self.levels.values())


def seen(frame: ModelFrame, P: Array | None = None, converged: bool = True) -> dict[str, Variable]:
    """The variables of the propensity model, by label, and where they are extreme."""
    codes, design = frame.the_treatment.codes, frame.design(PROPENSITY)
    arms = codes[:, None] == np.arange(len(frame.the_treatment.levels))
    arms &= (frame.unit_weights > 0)[:, None]
    extreme = np.zeros(len(codes), dtype=bool) if P is None else extreme_rows(frame, P, converged)
    labels = enumerate(design.recipe.terms.labels)
    return {label: Variable.of(design.values[place], arms, extreme) for place, label in labels}


def _one_sided(frame: ModelFrame, variables: Mapping[str, Variable]) -> Iterator[str]:
    """Where scores are extreme: levels of a variable that some arm lacks, ends of a number's range beyond an arm's."""
    treatment, design = frame.the_treatment, frame.design(PROPENSITY)
    for place, (name, variable) in enumerate(variables.items()):
        if variable.matrix:
            continue
        if variable.many:
            yield from _ends(name, variable.ends, treatment.levels, treatment.name)
            continue
        levels = _in_order(variable, design.values[place])
        for label, key in levels:
            *arms, extreme = variable.levels[key]
            without = [level for level, rows in zip(treatment.levels, arms, strict=True) if not rows]
            if extreme and without:
                yield f"no row with {treatment.name} = {some(without)} has {name} = {label}"


def _in_order(variable: Variable, value: Value) -> list[tuple[str, Any]]:
    """Labels and keys of a variable's levels, in the order of the factor that they are of."""
    if not variable.number:
        return [(level, level) for level in as_factor(value).levels if level in variable.levels]  # type: ignore[arg-type]
    keys = sorted(variable.levels)
    return list(zip(as_factor(np.array(keys)).levels, keys, strict=True))


def _ends(name: str, ends: Array, levels: Sequence[str], treatment: str) -> Iterator[str]:
    """Where all extreme rows of the other arms lie beyond one arm's range of a number."""
    for k, level in enumerate(levels):
        low, high, least, most = ends[0, k], -ends[1, k], ends[2, k], -ends[3, k]
        if np.isinf(least):
            continue
        if least > high:
            yield f"no row with {treatment} = {level} has {name} above {number_label(float(f'{high:.6g}'))}"
        elif most < low:
            yield f"no row with {treatment} = {level} has {name} below {number_label(float(f'{low:.6g}'))}"
