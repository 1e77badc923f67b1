"""What clustered standard errors cannot tell: estimates that one cluster leads, lost digits, indefinite matrices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import CapabilityError, some, warn
from causalformula.inference.evidence import Influence
from causalformula.inference.request_text import describe
from causalformula.inference.requests import Cluster, Request
from causalformula.inference.sandwich.apart import apart
from causalformula.inference.sandwich.definite import nearest_psd
from causalformula.inference.sandwich.dominant import ROUNDING, Led, led, lost_digits
from causalformula.inference.sandwich.expanded import expanded
from causalformula.inference.sandwich.groupings import AT_ONCE, cluster_sums, intersect, rows_used
from causalformula.inference.sandwich.single import LITTLE, NOTHING, Single, vanished
from causalformula.inference.sandwich.variances import VARIANCES
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.linalg import group_sums

# Adjustments that know what a cluster leads.
ADJUSTED = ("CR2", "CR3")
# Relative errors from which a note says how many digits there are, and above which there are none.
FEWER_DIGITS, NO_DIGITS = 1e-6, 1e-2
# Weights are looked at where the largest is this many times the smallest.
WIDE = 1e6
# Beside absorbed effects a cluster is looked at closely from this sum of its leverages on: alone in them it has half.
MUCH = 0.3
# ... where the columns of the effects take at most so many multiplications: more would take longer than all the rest.
WORK = 1e8
# Without a regression an estimate rests on a cluster whose influences sum to zero from this share of its variance on.
QUARTER = 0.25


@dataclass(frozen=True, eq=False)
class Leadership:
    """Estimates (q,) that depend on one cluster, by what it means for their standard errors.

    Parameters
    ----------
    lost : ndarray of bool
        They rest on it, and have none.
    kept : ndarray of bool
        They rest on it, and have what the others leave in them, as R gives it.
    untold : ndarray of bool
        What other clusters know is rounding: they have none.
    mostly : ndarray of bool
        It knows nearly all of them, and the variance takes no account of it.
    error : float
        Relative, of all standard errors, by weights that differ too much for doubles.
    """

    lost: Bools
    kept: Bools
    untold: Bools
    mostly: Bools
    error: float = 0.0

    @property
    def undefined(self) -> Bools:
        """Estimates without a standard error."""
        return self.lost | self.untold if self.error < NO_DIGITS else np.ones(len(self.lost), dtype=bool)

    def mixed(self, others: Sequence[Leadership], mix: Array) -> Leadership:
        """Of combinations ``mix`` (q, Q) of the estimates of this and other fits."""
        every = (self, *others)

        def any_of(marked: Sequence[Bools]) -> Bools:
            return np.asarray(((mix != 0) & np.concatenate(marked)).any(axis=1))

        return Leadership(
            any_of([each.lost for each in every]),
            any_of([each.kept for each in every]),
            any_of([each.untold for each in every]),
            any_of([each.mostly for each in every]),
            max(each.error for each in every),
        )


def leadership(
    evidence: Influence, codes: Iterable[Codes], matrix: Array, request: Cluster, rests: float
) -> Leadership:
    """Estimates (q,) that depend on one of the clusters of a grouping.

    R gives a coefficient that rests on one what variance the others leave in it, as a dummy variable's beside
    covariates. It is kept unless nothing is left (a variance that is zero but for rounding), or unless the cluster's
    share of it is ``rests``: an effect is the contrast of arms, and of an arm in one cluster nothing is known.
    """
    root, found, error = evidence.root, Led.none(evidence.size), 0.0
    if root is None:
        return _of_sums(evidence, codes, matrix, rests)
    used, jac = rows_used(evidence), evidence.jac[:, -evidence.stages[-1].size :]
    for each in codes:
        inside, count = intersect([each], used)
        hat, own = _beside_effects(root, jac, inside, count)
        found |= led(hat, inside, count, own)
        error = max(error, _error(evidence, root, inside, count, request))
    gone = vanished(evidence, root, matrix)
    # an adjusted variance is zero for nothing else, even where rounding hides that the others know nothing
    lost = found.alone & ((found.share >= rests) | gone) | (gone & (request.type in ADJUSTED))
    found = replace(found, alone=found.alone | lost, untold=found.untold & ~lost)
    mostly = found.mostly & ~found.alone & ~found.untold
    return Leadership(lost, found.alone & ~lost, found.untold, mostly & (request.type not in ADJUSTED), error)


def _of_sums(evidence: Influence, codes: Iterable[Codes], matrix: Array, rests: float) -> Leadership:
    """The same where no regression tells which cluster leads: of sums of influences that are zero, whatever the error.

    So are those of an arm that is one cluster. In small clusters sums may be zero by chance.
    """
    no, usual = np.zeros(evidence.size, dtype=bool), np.zeros(evidence.size)
    share, used = np.zeros(evidence.size), rows_used(evidence)
    for each in codes:
        sums, sizes, squares = _moments(evidence, *intersect([each], used))
        usual = squares.sum(axis=0)
        zero = np.where((sizes > 0) & (np.abs(sums) <= ROUNDING * sizes), squares, 0.0)
        share = np.maximum(share, zero.max(axis=0, initial=0.0) / np.where(usual > 0, usual, 1.0))
    gone = (usual > 0) & (np.abs(np.diag(matrix)) <= NOTHING * usual / evidence.n**2)
    alone = share >= (QUARTER if rests else LITTLE)
    lost = (alone & (share >= rests)) | gone
    return Leadership(lost, alone & ~lost, no, no)


def _moments(evidence: Influence, codes: Codes, count: int) -> tuple[Array, Array, Array]:
    """Influences, their sizes and their squares summed by cluster (G, q)."""
    found = [np.zeros((count, evidence.size)) for _ in range(3)]
    parts = evidence.psi_parts(max(AT_ONCE, count), expected=False, fixed=False, unconditional=True)
    for rows, psi in parts:
        for total, values in zip(found, (psi, np.abs(psi), psi**2), strict=True):
            total += group_sums(values, codes[rows], count)
    return found[0], found[1], found[2]


def _beside_effects(root: Hat, jac: Array, codes: Codes, count: int) -> tuple[Hat, Array]:
    """The regression with columns for absorbed effects, which other clusters have to know too.

    It is as it is where no cluster has much of the coefficients, or these columns would be too many.
    """
    if root.absorbed is None:
        return root, jac
    if len(root.w) * root.absorbed.size_beside([codes]) ** 2 > WORK:
        return root, jac
    share = group_sums(np.where(root.w > 0, root.own_leverage(), 0.0), codes, count)
    if share.max(initial=0.0) < MUCH:
        return root, jac
    try:
        return expanded(root, jac, [codes])
    except CapabilityError:
        return root, jac


def _error(evidence: Influence, root: Hat, codes: Codes, count: int, request: Cluster) -> float:
    """Relative error of the clusters' sums: how far they are from the zero that they add up to."""
    if not _wide(root):
        return 0.0
    if request.type in ADJUSTED:
        rest, columns = apart(root, codes, count)
        if columns is not None:
            return lost_digits(rest, codes, count) if _wide(rest) else 0.0
    sums, _ = cluster_sums(evidence, VARIANCES["CR0"], codes, count, True, False)
    largest = np.abs(sums).max(axis=0)
    off = float((np.abs(sums.sum(axis=0))[largest > 0] / largest[largest > 0]).max(initial=0.0))
    return max(off, lost_digits(root, codes, count)) if request.type in ADJUSTED else off


def _wide(root: Hat) -> bool:
    """Whether the weights of least squares differ so much that digits are lost."""
    w = root.w[root.w > 0]
    return bool(len(w) and len(root.bread) and root.least_squares and w.max() >= WIDE * w.min())


def undefined(matrix: Array, lost: Bools) -> Array:
    """The matrix without what cannot be told."""
    if not lost.any():
        return matrix
    matrix = matrix.copy()
    matrix[lost], matrix[:, lost] = np.nan, np.nan
    return matrix


def told_of_leadership(found: Leadership, names: Sequence[str], request: Cluster, advice: str) -> tuple[str, ...]:
    """Notes on estimates that depend on one cluster, and warnings where these have no standard errors."""
    by = " or ".join(request.by)
    notes, gone = [], _the(found.lost, names)
    if gone:
        notes.append(
            f"{gone} not defined: without one cluster of {by} {'it does' if found.lost.sum() == 1 else 'each does'} "
            "not exist, and the residuals there sum to zero, whatever the error. If the clusters may be ignored, 'HC1' "
            "has one ('classical', where that cluster is a single row); otherwise take clusters that several share"
        )
    if found.error >= NO_DIGITS:
        notes.append(
            f"the standard errors are not defined: weights within and between clusters of {by} differ so much that in "
            "double precision no digit of theirs is left"
        )
    elif gone := _the(found.untold, names):
        notes.append(
            f"{gone} not defined: beside one cluster of {by} the others have so little weight that double precision "
            "keeps no digit of what they tell"
        )
    for note in notes:
        warn(note)
    return tuple(f"Note: {note}" for note in [*notes, *_said(found, names, by, advice)])


def _said(found: Leadership, names: Sequence[str], by: str, advice: str) -> list[str]:
    """What is said beside standard errors that stand."""
    notes = _resting(found.kept, names, f"cluster of {by}")
    if led_by := _which(found.mostly, names):
        notes.append(
            f"one cluster of {by} holds nearly all that is known of {led_by}; its residuals there are fitted away, and "
            f"standard errors made of them are far too small. Safer: {advice}"
        )
    if FEWER_DIGITS <= found.error < NO_DIGITS:
        digits = int(-np.log10(found.error))
        notes.append(f"weights differ so much that only {digits} digits of these standard errors are certain")
    return notes


def _resting(kept: Bools, names: Sequence[str], what: str) -> list[str]:
    """Said of standard errors that stand though one cluster, or row, has no part in them."""
    rest = _which(kept, names)
    if not rest:
        return []
    verb, errors = ("rests", "error leaves") if kept.sum() == 1 else ("each rest", "errors leave")
    return [
        f"{rest} {verb} on one {what}, whose own error these data cannot tell: the standard {errors} it out, as R's"
    ]


def without_single_rows(
    evidence: Influence, names: Sequence[str], matrix: Array, rests: float, single: Single | None = None
) -> tuple[Array, Codes, tuple[str, ...]]:
    """A matrix that takes no account of leverage, without what rows of leverage one leave undefined.

    Returns it, the rows behind that, and notes on what is kept.
    """
    single = single or Single.of(evidence)
    lost = single.lost(evidence, matrix, rests)
    return undefined(matrix, lost), single.behind(lost), told_of_resting(single.resting & ~lost, names, "row")


def full_leverage_words(request: Request, errors: Array, rows: str, remedy: str = "") -> str:
    """That standard errors do not exist where rows, in words, have leverage one."""
    one = rows.startswith(("row ", "1 "))
    return (
        f"{'' if np.isnan(errors).all() else 'some '}{describe(request)} standard errors are not defined: {rows} "
        f"{'has' if one else 'have'} leverage one ({'it' if one else 'each'} is fitted exactly, whatever its outcome). "
        + (remedy or f"Use 'classical', which takes all errors for equally large, or drop {'it' if one else 'them'}")
    )


def fewer_terms(count: int) -> str:
    """What to do about rows that the outcome model behind averaged scores fits exactly."""
    return f"Give the outcome model fewer terms, or drop {'it' if count == 1 else 'them'}"


def told_of_resting(kept: Bools, names: Sequence[str], what: str) -> tuple[str, ...]:
    """``_resting``, as a note."""
    return tuple(f"Note: {note}" for note in _resting(kept, names, what))


def _which(marked: Bools, names: Sequence[str]) -> str:
    return some([name for name, out in zip(names, marked, strict=True) if out]) if marked.any() else ""


def _the(marked: Bools, names: Sequence[str]) -> str:
    """The subject of a sentence on standard errors, with its verb."""
    which = _which(marked, names)
    return which and (f"the standard error of {which} is" if marked.sum() == 1 else f"standard errors of {which} are")


def told_of_indefinite(matrix: Array, names: Sequence[str], request: Cluster) -> tuple[str, ...]:
    """A note, and a warning where standard errors do not exist, for a matrix that is not positive semidefinite."""
    if len(request.by) < 2 or request.fix or np.isnan(matrix).any() or not nearest_psd(matrix)[1]:
        return ()
    gone = [name for name, variance in zip(names, np.diag(matrix), strict=True) if variance < 0]
    none = f"the variance of {some(gone)} is negative, so has no standard error"
    note = (
        f"Note: the covariance by {' and '.join(request.by)} is not positive semidefinite (as R's vcovCL, fix = FALSE)"
        f": {none if gone else 'joint tests may not exist'}; "
        f"cf.Cluster({list(request.by)}, fix=True) sets negative eigenvalues to zero"
    )
    if gone:
        warn(note.removeprefix("Note: "))
    return (note,)
