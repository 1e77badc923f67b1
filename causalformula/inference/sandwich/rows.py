"""Covariances made of sums over rows: the record, the variance's row of the table, degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.request_text import describe
from causalformula.inference.requests import (
    HAC,
    HC,
    LINEARISED,
    Asympt,
    Classical,
    Cluster,
    DriscollKraay,
    Given,
    Request,
)
from causalformula.inference.sandwich.rules import Rules
from causalformula.inference.sandwich.single import Single
from causalformula.inference.sandwich.variances import VARIANCES, Variance
from causalformula.inference.stage import influence_weights
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.least_squares import meat


class Reference(Protocol):
    """Where limits and p-values come from when they do not come from the t or normal distribution."""

    def limits(self, level: float) -> tuple[Array, Array]:
        """Confidence limits (q,) and (q,) on the working scale."""
        ...

    def p_values(self) -> Array | None:
        """Two-sided p-values (q,) of no effect; None where those of the standard error stand."""
        ...


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
        Rows of leverage one for which variances are not defined, and NaN.
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
        root = evidence.root
        # svyglm tests by t whatever the family
        t_root = root is not None and (root.least_squares or getattr(request, "type", None) == LINEARISED)
        if root is not None and t_root and not evidence.estimated_first_stage:
            return np.full(len(estimate), float(root.df_residual))
    return np.full(len(estimate), np.inf)


def variance_row(request: Request, evidence: Influence) -> tuple[Variance, bool]:
    """The table's row for a request, and whether first stages are held fixed."""
    if isinstance(request, Asympt):
        return VARIANCES["asympt"], request.weights == "fixed"
    if isinstance(request, Cluster):
        root = evidence.root
        stata = root is not None and root.least_squares and not evidence.estimated_first_stage
        if root is not None and root.instrumented is not None and root.absorbed is None:
            stata = False  # sandwich's default for an ivreg, which is no lm
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
    if evidence.root.instrumented not in (None, "projection"):
        other = "'CR1'" if row.clustered else "'HC0' or 'HC1'"
        raise CapabilityError(
            f"{row.name} adjusts residuals by leverage, which two-stage least squares has by its projection; GMM, LIML "
            f"and other members of the k-class have not: use {other}"
        )
    if evidence.estimated_first_stage and not fixed:
        call, other = (f"Cluster(..., type={row.name!r}", "'~g'") if row.clustered else (f"HC({row.name!r}", "'asympt'")
        raise CapabilityError(
            f"{row.name} adjusts residuals by leverage, which is not defined after estimated weights; use "
            f"vcov={other}, or {call}, weights='fixed') to treat the weights as given"
        )


# Rows of the table whose factor other rules may take the place of.
RULED = ("HC1", "CR1", "CR1S")


def small_sample_factor(row: Variance, evidence: Influence, g: int, rules: Rules | None = None) -> float:
    """The row's factor for an estimate over ``g`` groups, or that of other rules."""
    if rules is not None and row.name in RULED and not rules.typed:
        return rules.factor(g)
    root = evidence.root
    n = evidence.n if evidence.weighed is None or evidence.units is not None else evidence.weighed.nobs
    n = n if evidence.used is None else int(evidence.used.sum())
    k = root.rank if root is not None else evidence.stages[-1].size if evidence.stages else evidence.size
    return row.factor(n, k, g)


def row_sums(evidence: Influence, row: Variance, fixed: bool, unconditional: bool) -> Array:
    """``sum_i psi_i psi_i' / n^2``, the root's residuals adjusted.

    A row of leverage one has no adjusted residual: estimates that it moves are NaN, and those in which it has no part
    (the difference in another stratum) are not.
    """
    adjust = None if row.adjust is None or evidence.root is None else row.adjust(evidence.root)
    matrix = _summed(evidence, row, adjust, fixed, unconditional)
    if adjust is None or evidence.root is None or not np.isnan(matrix).any():
        return matrix
    moved = Single.of(evidence).moved
    if moved.all():
        return matrix
    return without_moved(_summed(evidence, row, np.nan_to_num(adjust), fixed, unconditional), moved)


def without_moved(matrix: Array, moved: Bools) -> Array:
    """The matrix (q, q) without the estimates (q,) that rows without an adjusted residual move."""
    return np.where(moved[:, None] | moved, np.nan, matrix)


def other_sums(evidence: Influence, row: Variance, fixed: bool, unconditional: bool) -> Array:
    """``row_sums`` of the rows that have an adjusted residual."""
    adjust = None if row.adjust is None or evidence.root is None else np.nan_to_num(row.adjust(evidence.root))
    return _summed(evidence, row, adjust, fixed, unconditional)


def _summed(evidence: Influence, row: Variance, adjust: Array | None, fixed: bool, unconditional: bool) -> Array:
    """See ``row_sums``; through the root's meat when that is the shorter way."""
    direct = evidence.direct is not None and (unconditional or evidence.always)
    short = len(evidence.stages) == 1 and evidence.stages[0].scores is None and not direct
    short = short and 2 * evidence.size > evidence.jac.shape[1]
    # the meat of ill-conditioned columns loses twice the digits that the rows' own influences do
    if short and evidence.root is not None and not evidence.root.ill_conditioned:
        (weights,) = influence_weights(evidence.stages, evidence.jac, expected=row.expected, fixed=fixed)
        u = evidence.root.multipliers()
        if adjust is not None:
            u *= adjust
        # the unit of the weights, whose squares may leave the range of numbers, cancels
        size = float(np.nan_to_num(np.abs(u)).max(initial=0.0)) or 1.0
        weights = weights * size
        return np.asarray(weights.T @ meat(evidence.root.X, u / size) @ weights)
    psi = evidence.psi(adjust=adjust, expected=row.expected, fixed=fixed, unconditional=unconditional)
    return np.asarray(psi.T @ psi) / evidence.n**2


def fitted_exactly(matrix: Array, row: Variance, evidence: Influence) -> Codes:
    """Rows whose leverage of one made the matrix NaN."""
    if row.adjust is None or evidence.root is None or not np.isnan(matrix).any():
        return np.empty(0, dtype=np.intp)
    return Single.of(evidence).behind(np.isnan(np.diag(matrix)))
