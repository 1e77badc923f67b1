"""Jackknife and cluster jackknife: the estimate without each row, or without each cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeGuard

import numpy as np

from causalformula.errors import CapabilityError, DataError, IdentificationError, some
from causalformula.inference.evidence import Influence
from causalformula.inference.refit import in_chunks, spread
from causalformula.inference.resampling.requests import Jackknife
from causalformula.inference.sandwich.variances import FULL_LEVERAGE
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Codes


def jackknife(
    theta: Array,
    evidence: object,
    request: Jackknife,
    codes: Codes | None,
    n: int,
    refit: Callable[[Array], Array] | None,
) -> tuple[Array, int]:
    """Jackknife covariance (q, q) of an estimate, and the number of groups left out in turn.

    Parameters
    ----------
    theta : ndarray (q,)
    evidence : Influence or other
        Fixed combinations of least-squares coefficients have a closed form; anything else is refitted.
    codes : ndarray (n,) of int, optional
        Clusters 0..G-1; rows without them.
    refit : callable, optional
        Weights (R, n) to estimates (R, q).

    Raises
    ------
    IdentificationError
        If the estimate does not exist without one of the groups.

    References
    ----------
    Quenouille (1956); Tukey (1958); MacKinnon, Nielsen and Webb (2023) for clusters. Stata: ``vce(jackknife)``; R:
    ``sandwich::vcovJK`` (of later versions), ``summclust``.
    """
    count = n if codes is None else int(codes.max()) + 1
    if count < 2:
        raise DataError("the jackknife needs at least two clusters")
    if _has_closed_form(evidence, codes):
        without = theta + _closed_form(evidence, codes, count)
    elif refit is not None:
        without = _refitted(refit, codes, count, n, request.n_jobs)
    else:
        raise CapabilityError("the jackknife refits the estimator, and this result cannot be refitted")
    bad = ~np.isfinite(without).all(axis=1)
    if bad.any():
        unit = "rows" if codes is None else f"clusters of {request.cluster}"
        raise IdentificationError(
            f"the estimate does not exist without some {unit} (numbers {some(np.flatnonzero(bad) + 1)}), so it has no "
            "jackknife variance; merge what rests on them, or use 'classical', which takes all errors for equally large"
        )
    spread = without - (without.mean(axis=0) if request.centre == "mean" else theta)
    return (count - 1) / count * (spread.T @ spread), count


def _refitted(refit: Callable[[Array], Array], codes: Codes | None, count: int, n: int, n_jobs: int | None) -> Array:
    return np.vstack(spread(partial(_chunk, refit, codes, n), in_chunks(range(count), n), n_jobs))


def _chunk(refit: Callable[[Array], Array], codes: Codes | None, n: int, left_out: Sequence[int]) -> Array:
    groups = np.asarray(left_out)
    weights = np.ones((len(groups), n))
    if codes is None:
        weights[np.arange(len(groups)), groups] = 0.0
    else:
        weights[codes == groups[:, None]] = 0.0
    return np.atleast_2d(refit(weights))


def _has_closed_form(evidence: object, codes: Codes | None) -> TypeGuard[Influence]:
    """Whether the estimates are fixed combinations of the coefficients of one least-squares regression.

    Effects that are absorbed beside it must be nested in the clusters, or have leverages that can be had.
    """
    if not isinstance(evidence, Influence) or len(evidence.stages) != 1 or evidence.direct is not None:
        return False
    root = evidence.root
    if root is not None and root.instrumented is not None:
        return False
    if root is not None and root.absorbed is not None:
        known = root.absorbed.exact if codes is None else all(root.absorbed.nested([codes]))
        if not known:
            return False
    return root is not None and root.least_squares and root.X.shape[1] == evidence.jac.shape[1]


def _closed_form(evidence: Influence, codes: Codes | None, count: int) -> Array:
    """Changes (G, q) when groups are left out."""
    assert evidence.root is not None
    changes = _rows_out(evidence.root) if codes is None else _clusters_out(evidence.root, codes, count)
    return np.asarray(changes @ evidence.jac.T)


def _rows_out(hat: Hat) -> Array:
    """``-(X'WX)^{-1} x_i w_i e_i / (1 - h_i)`` (n, p)."""
    h = hat.leverage()
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.where(h < FULL_LEVERAGE, hat.multipliers() / (1 - h), np.nan)
    if hat.absorbed is not None:
        # a row that its effects alone fit exactly has no part in the coefficients
        u = np.where((h >= FULL_LEVERAGE) & (hat.own_leverage() < 1 - FULL_LEVERAGE), 0.0, u)
    u = np.where(hat.w > 0, u, 0.0)
    return np.asarray(-(hat.X * u[:, None]) @ hat.bread)


def _clusters_out(hat: Hat, codes: Codes, count: int) -> Array:
    """``-(X'WX - X_g'W_gX_g)^{-1} X_g'W_ge_g`` (G, p), NaN where the rest does not identify the coefficients."""
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(count + 1))
    L = hat.whitening
    size = len(hat.bread)
    out = np.full((count, size), np.nan)
    for g in range(count):
        rows = order[bounds[g] : bounds[g + 1]]
        z = hat.X[rows] @ L
        rest = np.eye(size) - z.T @ (hat.w[rows, None] * z)
        if np.linalg.eigvalsh(rest)[0] > 1e-12:
            out[g] = -L @ np.linalg.solve(rest, z.T @ hat.multipliers()[rows])
    return out
