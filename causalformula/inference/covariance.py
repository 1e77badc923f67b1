"""``covariance(estimate, request)``: the only place where a standard error is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from causalformula.errors import CapabilityError, DataError, OptionError, some, warn
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Draws, Fixed, Influence
from causalformula.inference.request_text import describe
from causalformula.inference.requests import (
    HAC,
    HC,
    Asympt,
    Bootstrap,
    Classical,
    Cluster,
    DriscollKraay,
    Given,
    Jackknife,
    Later,
    Request,
    Wild,
)
from causalformula.inference.resampling.intervals import Reference
from causalformula.inference.resampling.resampled import resampled, spread
from causalformula.inference.sandwich.definite import nearest_psd, summed, transformed
from causalformula.inference.sandwich.hac import serial
from causalformula.inference.sandwich.variances import VARIANCES, Variance, full_leverage
from causalformula.inference.stage import influence_weights
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.least_squares import group_sums, meat

Refit = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Covariance:
    """A covariance matrix that knows where it came from.

    Parameters
    ----------
    request : Request
    matrix : ndarray (q, q)
    df : ndarray (q,)
        Degrees of freedom of the t distribution; ``inf`` for the normal.
    label : str
        How the print names the standard errors.
    draws : ndarray (R, q), optional
        Bootstrap replicates.
    notes : tuple of str
        What a reader should know (failed replicates, the seed).
    reference : Reference, optional
        Where limits and p-values come from when they do not come from the t distribution with ``df`` or from ``draws``.
    seed : int, optional
        Of the resampling, whether it was given or drawn.
    full_leverage : ndarray of int
        Rows of leverage one, under a variance that adjusts by leverage: it is then not defined, and the matrix is NaN.
    """

    request: Request
    matrix: Array
    df: Array
    label: str
    draws: Array | None = None
    notes: tuple[str, ...] = field(default=())
    reference: Reference | None = None
    seed: int | None = None
    full_leverage: Codes = field(default_factory=lambda: np.empty(0, dtype=np.intp))

    @property
    def std_error(self) -> Array:
        """Square roots of the diagonal (q,); NaN where a variance is negative, as several groupings may make it."""
        variance = np.diag(self.matrix)
        return np.sqrt(np.where(variance < 0, np.nan, variance))


def covariance(
    estimate: Estimate,
    request: Request,
    *,
    groups: Mapping[str, Codes] | None = None,
    refit: Refit | None = None,
    n: int | None = None,
) -> Covariance:
    """Covariance of an estimate under a request.

    Parameters
    ----------
    groups : mapping of str to ndarray (n,) of int
        Cluster and strata codes 0..G-1 of the columns that the request names.
    refit : callable
        Frequency weights (R, n) to replicates (R, q), NaN rows where a replicate failed; for the bootstrap and the
        jackknife. For ``kind="studentized"`` the replicates' standard errors follow, (R, 2q).
    n : int, optional
        Rows that the bootstrap resamples, for an estimate whose evidence does not tell.

    Raises
    ------
    CapabilityError
        If the estimator's evidence cannot answer the request.
    """
    groups = groups or {}
    match request:
        case Later(text=text):
            raise CapabilityError(f"vcov={text!r} is part of the grammar but not available yet")
        case Given(matrix=matrix):
            return _given(estimate, request, matrix)
        case Bootstrap() | Jackknife() | Wild():
            found = resampled(estimate, request, groups, refit, n)
            df = np.full(len(estimate), found.df if request.df is None else request.df)
            told = (found.label, found.draws, found.notes, found.reference, found.seed)
            return Covariance(request, found.matrix, df, *told)
    evidence = estimate.evidence
    if evidence is None:
        raise CapabilityError("this estimator offers no interval without refitting; use vcov='bootstrap'")
    if isinstance(evidence, Draws):
        return Covariance(request, spread(evidence.values), degrees_of_freedom(request, estimate), "draws")
    if isinstance(evidence, Fixed):
        return _fixed(estimate, request, evidence)
    if evidence.joined:
        from causalformula.inference.sandwich.joint import joint_covariance

        return joint_covariance(estimate, request, groups)
    return _from_influence(estimate, request, evidence, groups)


def _fixed(estimate: Estimate, request: Request, evidence: Fixed) -> Covariance:
    if not isinstance(request, (Classical, Asympt)) and describe(request) != evidence.label:
        raise CapabilityError(
            f"this design has its own variance ({evidence.label}); vcov={describe(request)!r} does not apply to it. "
            "Use vcov='bootstrap', or a method with an influence function"
        )
    df = np.full(len(estimate), evidence.df if request.df is None else request.df)
    return Covariance(request, evidence.matrix, df, evidence.label)


def _given(estimate: Estimate, request: Request, matrix: Array) -> Covariance:
    q = len(estimate)
    if matrix.shape == (q, q):
        return Covariance(request, matrix, degrees_of_freedom(request, estimate), "given matrix")
    evidence = estimate.evidence
    if isinstance(evidence, Influence) and evidence.stages and matrix.shape[0] == evidence.stages[-1].size:
        jac = evidence.jac[:, -evidence.stages[-1].size :]
        return Covariance(request, transformed(matrix, jac), degrees_of_freedom(request, estimate), "given matrix")
    raise OptionError(
        f"the covariance matrix has shape {matrix.shape}; there are {q} effects"
        + (f" and {evidence.stages[-1].size} model coefficients" if isinstance(evidence, Influence) else "")
    )


def degrees_of_freedom(request: Request, estimate: Estimate, own: Array | None = None) -> Array:
    """Degrees of freedom: the first of these that there is.

    The request's; the design's; ``own``, which an adjustment brings (Satterthwaite's); the residual ones of a
    least-squares root; the normal's.
    """
    if request.df is not None:
        return np.full(len(estimate), float(request.df))
    evidence = estimate.evidence
    t_based = isinstance(request, (Classical, HC, Cluster, HAC, DriscollKraay, Given))
    if isinstance(evidence, Influence) and t_based:
        special = evidence.df_special.get(describe(request))
        if special is not None:
            return special
        if own is not None:
            return own
        if evidence.root is not None and evidence.root.least_squares and not evidence.estimated_first_stage:
            return np.full(len(estimate), float(evidence.root.df_residual))
    return np.full(len(estimate), np.inf)


def _from_influence(
    estimate: Estimate, request: Request, evidence: Influence, groups: Mapping[str, Codes]
) -> Covariance:
    if isinstance(request, Classical):
        matrix = _classical(evidence, request.unconditional)
        return Covariance(request, matrix, degrees_of_freedom(request, estimate), "classical")
    if isinstance(request, (HAC, DriscollKraay)):
        matrix, label = serial(evidence, request, groups)
        return Covariance(request, matrix, degrees_of_freedom(request, estimate), label)
    row, fixed = variance_row(request, evidence)
    own_df = None
    notes: tuple[str, ...] = ()
    if isinstance(request, Cluster):
        matrix, label, own_df = _clustered(evidence, row, request, groups, fixed)
        notes = told_of_indefinite(matrix, estimate.names, request)
    else:
        matrix = small_sample_factor(row, evidence, evidence.n) * _rows(evidence, row, fixed, request.unconditional)
        label = row.name
    if fixed and evidence.estimated_first_stage:
        label += " (estimated weights treated as given)"
    df = degrees_of_freedom(request, estimate, own_df)
    return Covariance(request, matrix, df, label, notes=notes, full_leverage=_full_leverage(matrix, row, evidence))


def _full_leverage(matrix: Array, row: Variance, evidence: Influence) -> Codes:
    """Rows whose leverage of one made the matrix NaN."""
    if row.adjust is None or evidence.root is None or not np.isnan(matrix).any():
        return np.empty(0, dtype=np.intp)
    return full_leverage(evidence.root)


def _classical(evidence: Influence, unconditional: bool) -> Array:
    if evidence.root is None or evidence.estimated_first_stage or len(evidence.stages) != 1 or evidence.always:
        raise CapabilityError(
            "the classical variance exists only for one regression; use vcov='asympt' (every stage estimated), "
            "'HC0', a cluster formula or 'bootstrap'"
        )
    matrix = evidence.jac @ evidence.root.classical() @ evidence.jac.T
    if unconditional and evidence.direct is not None:
        # The model's errors are uncorrelated with the covariates, so the two parts add.
        matrix = matrix + evidence.direct.T @ evidence.direct / evidence.n**2
    return matrix


def variance_row(request: Request, evidence: Influence) -> tuple[Variance, bool]:
    """The table's row for a request, and whether first stages are held fixed."""
    if isinstance(request, Asympt):
        return VARIANCES["asympt"], request.weights == "fixed"
    if isinstance(request, Cluster):
        stata = evidence.root is not None and evidence.root.least_squares and not evidence.estimated_first_stage
        row = VARIANCES[request.type or ("CR1S" if stata else "CR1")]
        if row.by_cluster is not None:
            _leverage_allowed(row, evidence, request.weights == "fixed")
        return row, request.weights == "fixed"
    assert isinstance(request, HC)
    row = VARIANCES[request.type]
    weights = request.weights
    if evidence.estimated_first_stage and weights is None and row.adjust is None:
        weights = "fixed"
    fixed = weights == "fixed"
    if row.adjust is not None:
        _leverage_allowed(row, evidence, fixed)
    return row, fixed


def _leverage_allowed(row: Variance, evidence: Influence, fixed: bool) -> None:
    """Leverage exists for one regression, or for one whose estimated weights are treated as given."""
    if evidence.root is None:
        other = "'CR1'" if row.clustered else "'HC0' or 'asympt'"
        raise CapabilityError(f"{row.name} needs a regression; this estimator has none: use {other}")
    if evidence.estimated_first_stage and not fixed:
        call, other = (f"Cluster(..., type={row.name!r}", "'~g'") if row.clustered else (f"HC({row.name!r}", "'asympt'")
        raise CapabilityError(
            f"{row.name} adjusts residuals by leverage, which is not defined after estimated weights; use "
            f"vcov={other}, or {call}, weights='fixed') to treat the weights as given"
        )


def small_sample_factor(row: Variance, evidence: Influence, g: int) -> float:
    """The row's factor for an estimate over ``g`` groups."""
    root = evidence.root
    n = evidence.n if root is None else root.nobs
    k = root.rank if root is not None else evidence.stages[-1].size if evidence.stages else evidence.size
    return row.factor(n, k, g)


def _rows(evidence: Influence, row: Variance, fixed: bool, unconditional: bool) -> Array:
    """``sum_i psi_i psi_i' / n^2``, the root's residuals adjusted.

    A row of leverage one has no adjusted residual: estimates that it moves are NaN, and those in which it has no part
    (the difference in another stratum) are not.
    """
    adjust = None if row.adjust is None or evidence.root is None else row.adjust(evidence.root)
    matrix = _summed(evidence, row, adjust, fixed, unconditional)
    if adjust is None or evidence.root is None or not np.isnan(matrix).any():
        return matrix
    weights = influence_weights(evidence.stages, evidence.jac, expected=row.expected, fixed=fixed)[-1]
    moved = (evidence.root.X[np.isnan(adjust)] @ weights != 0).any(axis=0)
    if moved.all():
        return matrix
    matrix = _summed(evidence, row, np.nan_to_num(adjust), fixed, unconditional)
    matrix[moved], matrix[:, moved] = np.nan, np.nan
    return matrix


def _summed(evidence: Influence, row: Variance, adjust: Array | None, fixed: bool, unconditional: bool) -> Array:
    """See ``_rows``; through the root's meat when that is the shorter way."""
    direct = evidence.direct is not None and (unconditional or evidence.always)
    short = len(evidence.stages) == 1 and evidence.stages[0].scores is None and not direct
    if short and evidence.root is not None and 2 * evidence.size > evidence.jac.shape[1]:
        (weights,) = influence_weights(evidence.stages, evidence.jac, expected=row.expected, fixed=fixed)
        u = evidence.root.multipliers()
        if adjust is not None:
            u *= adjust
        return np.asarray(weights.T @ meat(evidence.root.X, u) @ weights)
    psi = evidence.psi(adjust=adjust, expected=row.expected, fixed=fixed, unconditional=unconditional)
    return np.asarray(psi.T @ psi) / evidence.n**2


def _clustered(
    evidence: Influence, row: Variance, request: Cluster, groups: Mapping[str, Codes], fixed: bool
) -> tuple[Array, str, Array | None]:
    """Inclusion-exclusion over the groupings, each term with its own number of groups (Cameron, Gelbach, Miller 2011).

    Returns the matrix, its label, and degrees of freedom where the adjustment has its own.
    """
    if row.by_cluster is not None and len(request.by) > 1:
        raise CapabilityError(
            f"{row.name} is defined for one grouping, and this names {len(request.by)}; "
            f"use vcov='~{' + '.join(request.by)}'"
        )
    repaired = request.fix and len(request.by) > 1
    evidence, carry = _repairable(evidence, request.unconditional) if repaired else (evidence, None)
    used = rows_used(evidence)
    terms = []
    counts = []
    df = None
    for size in range(1, len(request.by) + 1):
        for names in combinations(request.by, size):
            codes, count = intersect([groups[name] for name in names], used)
            if count < 2:
                raise DataError(f"clustering by {' and '.join(names)} leaves {count} cluster; at least two are needed")
            sums, df = cluster_sums(evidence, row, codes, count, fixed, request.unconditional)
            factor = (-1) ** (size + 1) * small_sample_factor(row, evidence, count)
            terms.append(factor * (sums.T @ sums) / evidence.n**2)
            if size == 1:
                counts.append(f"{names[0]}: {count}")
    label = f"clustered by {' and '.join(request.by)} ({row.name}; clusters {some(counts)})"
    total = summed(terms)
    if repaired:
        total, changed = nearest_psd(total)
        label += "; negative eigenvalues set to zero" if changed else ""
    return total if carry is None else transformed(total, carry), label, df


def _repairable(evidence: Influence, unconditional: bool) -> tuple[Influence, Array | None]:
    """What a repair works on, and the map from it to the estimates.

    The coefficients of the one regression behind them, so that every function of the coefficients has the variance that
    the repaired matrix gives it (R repairs no other); the estimates themselves where there is none.
    """
    alone = len(evidence.stages) == 1 and not (evidence.direct is not None and (unconditional or evidence.always))
    if not alone:
        return evidence, None
    return replace(evidence, jac=np.eye(evidence.jac.shape[1]), direct=None, df_special={}), evidence.jac


def told_of_indefinite(matrix: Array, names: Sequence[str], request: Cluster) -> tuple[str, ...]:
    """A note, and a warning where standard errors do not exist, for a matrix that is not positive semidefinite."""
    if len(request.by) < 2 or request.fix or not nearest_psd(matrix)[1]:
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


def rows_used(evidence: Influence) -> Bools | None:
    """Rows that take part, whose clusters are counted: of positive weight when one regression is all there is."""
    root = evidence.root
    if root is None or len(evidence.stages) > 1 or root.nobs == evidence.n:
        return None
    return np.asarray(root.w > 0)


def cluster_sums(
    evidence: Influence, row: Variance, codes: Codes, count: int, fixed: bool, unconditional: bool
) -> tuple[Array, Array | None]:
    """Influences summed by cluster (G, q), the root's adjusted where the row says so, with its degrees of freedom."""
    if row.by_cluster is None or evidence.root is None:
        psi = evidence.psi(expected=row.expected, fixed=fixed, unconditional=unconditional)
        return group_sums(psi, codes, count), None
    adjusted = row.by_cluster(evidence.root, codes, count, evidence.jac[:, -evidence.stages[-1].size :])
    rest = evidence.psi(adjust=np.zeros(evidence.n), expected=row.expected, fixed=fixed, unconditional=unconditional)
    return evidence.n * adjusted.sums + group_sums(rest, codes, count), adjusted.df


def intersect(codes: list[Codes], used: Bools | None = None) -> tuple[Codes, int]:
    """Codes 0..G-1 of the intersection of several groupings, and G: groups without a row that is used do not count.

    Rows that are not used get a code too; nothing of theirs is summed.
    """
    joint = codes[0]
    for other in codes[1:]:
        joint = np.unique(joint.astype(np.int64) * (int(other.max()) + 1) + other, return_inverse=True)[1]
    present = np.bincount(joint if used is None else joint[used], minlength=int(joint.max()) + 1) > 0
    if present.all():
        return joint, len(present)
    return np.maximum(np.cumsum(present) - 1, 0)[joint], int(present.sum())
