"""What clustered standard errors cannot tell: estimates that rest on one cluster, few clusters, indefinite matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from causalformula.errors import some, warn
from causalformula.inference.evidence import Influence
from causalformula.inference.requests import Cluster
from causalformula.inference.sandwich.definite import nearest_psd
from causalformula.inference.sandwich.dominant import resting
from causalformula.inference.sandwich.groupings import intersect, rows_used
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Bools, Codes

# Below this many clusters tests that count on many reject too often (Cameron and Miller 2015: 20 to 50 are few).
FEW = 20
# A variance below this share of the classical one is rounding.
NOTHING = 1e-16
# Adjustments whose degrees of freedom know how many clusters there are.
SMALL_SAMPLE = ("CR2", "CR3")


def resting_on_one(evidence: Influence, codes: Iterable[Codes], matrix: Array, strict: bool) -> Bools:
    """Estimates (q,) that do not exist without one of the clusters of a grouping: their variance cannot be told.

    R gives such a coefficient what variance the others leave in it, as a dummy variable's beside covariates. It is kept
    unless nothing is left (a variance that is zero but for rounding), or unless ``strict``: an effect is the contrast
    of arms, and of an arm in one cluster nothing is known.
    """
    lost = np.zeros(evidence.size, dtype=bool)
    root = evidence.root
    if root is None or not (strict or _vanished(evidence, root, matrix).any()):
        return lost
    used = rows_used(evidence)
    for each in codes:
        inside, count = intersect([each], used)
        lost |= resting(root, inside, count, evidence.jac[:, -evidence.stages[-1].size :])[0]
    return lost if strict else lost & _vanished(evidence, root, matrix)


def _vanished(evidence: Influence, root: Hat, matrix: Array) -> Bools:
    """Variances that are zero, but for rounding, beside those under independent errors."""
    jac = evidence.jac[:, -evidence.stages[-1].size :]
    if jac.shape[1] != len(root.bread) or not root.dispersion > 0:
        return np.zeros(evidence.size, dtype=bool)
    usual = root.dispersion * np.einsum("qi,ij,qj->q", jac, root.bread, jac)
    return np.asarray((usual > 0) & (np.abs(np.diag(matrix)) <= NOTHING * usual))


def undefined(matrix: Array, lost: Bools) -> Array:
    """The matrix without what cannot be told."""
    if not lost.any():
        return matrix
    matrix = matrix.copy()
    matrix[lost], matrix[:, lost] = np.nan, np.nan
    return matrix


def told_of_resting(lost: Bools, names: Sequence[str], request: Cluster) -> tuple[str, ...]:
    """A note, and a warning, where standard errors do not exist because an estimate rests on one cluster."""
    if not lost.any():
        return ()
    gone = [name for name, out in zip(names, lost, strict=True) if out]
    which = f"the standard error of {gone[0]} is" if len(gone) == 1 else f"standard errors of {some(gone)} are"
    note = (
        f"Note: {which} not defined: without one cluster of {' or '.join(request.by)} "
        f"{'it does' if len(gone) == 1 else 'each does'} not exist, and the residuals there sum to zero, whatever the "
        "error. 'HC1' has one, if the clusters may be ignored; otherwise take clusters that several share"
    )
    warn(note.removeprefix("Note: "))
    return (note,)


def told_of_few(counts: Mapping[str, int], request: Cluster, advice: str) -> tuple[str, ...]:
    """A note where there are so few clusters that a variance made for many is too small."""
    few = {name: count for name, count in counts.items() if count < FEW}
    if not few or request.type in SMALL_SAMPLE:
        return ()
    clusters = " and ".join(f"{count} clusters of {name}" for name, count in few.items())
    return (
        f"Note: {clusters} are few, and these standard errors count on many: they tend to be too small. "
        f"Safer: {advice}",
    )


def safer(request: Cluster, evidence: Influence) -> str:
    """What is there for this estimate instead."""
    name = request.by[0]
    if len(request.by) > 1 or evidence.root is None or len(evidence.stages) > 1:
        return f"cf.Jackknife(cluster={name!r})"
    wild = f", or 'wild ~ {quoted(name)}'" if evidence.root.least_squares else ""
    return f"vcov='CR2 ~ {quoted(name)}'{wild}"


def quoted(name: str) -> str:
    """A column's name as a request in text has it."""
    return name if name.isidentifier() else f"`{name}`"


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
