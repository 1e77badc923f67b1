"""Covariances by resampling: bootstrap, wild bootstrap and jackknife, each with the distribution of its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence, influence_error
from causalformula.inference.resampling.intervals import BCa, Studentized, acceleration
from causalformula.inference.resampling.jackknife import jackknife
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.resampling.resample import bootstrap
from causalformula.inference.resampling.wild import wild_bootstrap
from causalformula.inference.safer import safer
from causalformula.inference.sandwich.few import told_of_few_draws, told_of_fewest
from causalformula.inference.sandwich.rows import Reference
from causalformula.numerics.arrays import Array, Codes

Refit = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Resampled:
    """What a resampling gives a ``Covariance``.

    Parameters
    ----------
    matrix : ndarray (q, q)
    df : float
    label : str
    draws : ndarray (R, q), optional
    notes : tuple of str
    reference : Reference, optional
    seed : int, optional
        Of the draws, whether given or drawn.
    """

    matrix: Array
    df: float
    label: str
    draws: Array | None = None
    notes: tuple[str, ...] = ()
    reference: Reference | None = None
    seed: int | None = None


def resampled(
    estimate: Estimate,
    request: Bootstrap | Wild | Jackknife,
    groups: Mapping[str, Codes],
    refit: Refit | None,
    n: int | None,
) -> Resampled:
    """Resample as the request says.

    Parameters
    ----------
    groups : mapping
        Codes of the columns that the request names.
    refit : callable, optional
        Weights (R, n) to estimates (R, q); for ``kind="studentized"`` their standard errors follow, (R, 2q).
    n : int, optional
        Rows, for an estimate whose evidence does not tell.
    """
    if isinstance(estimate.evidence, Influence):
        n = estimate.evidence.rows
    clusters = groups[request.cluster] if request.cluster else None
    if isinstance(request, Bootstrap):
        return _bootstrap(estimate, request, groups, refit, n)
    if isinstance(request, Wild):
        return _wild(estimate, request, clusters)
    n = n if clusters is None else len(clusters)
    if n is None:
        raise CapabilityError("the number of rows to leave out is not known for this estimator; name a cluster column")
    matrix, count = jackknife(estimate.theta, estimate.evidence, request, clusters, n, refit)
    unit = f"clusters of {request.cluster}: {count}" if request.cluster else f"rows: {count}"
    notes = told_of_fewest(_counted(request, groups))
    return Resampled(matrix, count - 1.0, f"jackknife ({unit}, about the {request.centre})", notes=notes)


def spread(draws: Array) -> Array:
    """Covariance (q, q) of draws (R, q)."""
    centred = draws - draws.mean(axis=0)
    return np.asarray(centred.T @ centred) / (len(draws) - 1)


def _bootstrap(
    estimate: Estimate, request: Bootstrap, groups: Mapping[str, Codes], refit: Refit | None, n: int | None
) -> Resampled:
    if refit is None:
        raise CapabilityError("the bootstrap refits the estimator, and this result cannot be refitted")
    if request.kind in ("bca", "studentized") and not isinstance(estimate.evidence, Influence):
        raise CapabilityError(
            f"kind={request.kind!r} needs an influence function, which this estimator lacks; use 'percentile'"
        )
    outcome = bootstrap(refit, request, groups, n)
    draws = outcome.draws[:, : len(estimate)]
    label = f"bootstrap ({outcome.scheme}, {len(draws)} replicates, seed {outcome.seed})"
    reference = _reference(estimate, request, groups, outcome.draws)
    counts = _counted(request, groups)
    notes = (*outcome.notes, *told_of_few_draws(counts, safer(counts, estimate) if counts else ""))
    return Resampled(spread(draws), np.inf, label, draws, notes, reference, outcome.seed)


def _counted(request: Bootstrap | Jackknife, groups: Mapping[str, Codes]) -> dict[str, int]:
    """The clusters of a resampling; none where it draws rows."""
    return {request.cluster: len(np.unique(groups[request.cluster]))} if request.cluster else {}


def _reference(estimate: Estimate, request: Bootstrap, groups: Mapping[str, Codes], draws: Array) -> Reference | None:
    clusters = groups[request.cluster] if request.cluster else None
    q, theta, evidence = len(estimate), estimate.theta, estimate.evidence
    if request.kind == "bca":
        assert isinstance(evidence, Influence)
        return BCa(draws, theta, acceleration(evidence, clusters))
    if request.kind != "studentized":
        return None
    if draws.shape[1] != 2 * q:
        raise CapabilityError("this result's replicates have no standard errors; use kind='bca' or 'percentile'")
    return Studentized(draws[:, :q], draws[:, q:], theta, influence_error(evidence, clusters=clusters))


def _wild(estimate: Estimate, request: Wild, clusters: Codes | None) -> Resampled:
    if not isinstance(estimate.evidence, Influence):
        raise CapabilityError("the wild bootstrap is for least-squares regressions; use vcov='bootstrap'")
    found = wild_bootstrap(estimate.evidence, estimate.theta, request, clusters)
    df = found.clusters - 1.0
    return Resampled(found.matrix, df, found.label, None, found.notes, found.reference, found.seed)
