"""Wild bootstrap of the Wald statistic of several restrictions on least-squares coefficients.

With restrictions ``R beta = r``, ``b = B R'`` and ``delta = (R B R')^{-1} (R beta - r)``, the restricted fit is
``beta_0 = beta - b delta`` and its residuals are ``u = e + X b delta``. A replicate multiplies them by ``v_g``:

    R beta* - r = sum_g v_g b'z_g,        b_j'X_g'u*_g = v_g b_j'z_g - P_gj' B sum_h v_h z_h,

with ``z_g = X_g'u_g`` and ``P_gj = X_g'X_g b_j``: as for one restriction, arrays of a row a cluster are enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.inference.evidence import Influence
from causalformula.inference.resampling.requests import Wild
from causalformula.inference.resampling.wild import (
    BLOCK_CELLS,
    TIED,
    Patterns,
    cr1s_factor,
    described,
    linear_root,
    present_clusters,
)
from causalformula.inference.sandwich.expanded import expanded
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.least_squares import group_scores

# A direction in which a replicate's variance is below this share of its trace has none.
NO_VARIANCE = 1e-12


@dataclass(frozen=True, eq=False)
class WildWald:
    """A Wald statistic (chi-squared form), its replicates, the p-value, and how they were made, in words."""

    statistic: float
    draws: Array
    p_value: float
    how: str


def wild_wald(evidence: Influence, theta: Array, request: Wild, codes: Codes | None) -> WildWald:
    """Wild (cluster) bootstrap of the joint test that ``theta = R beta - r`` is zero.

    Parameters
    ----------
    evidence : Influence
        One least-squares stage; ``evidence.jac`` is R.
    theta : ndarray (q,)
    request : Wild
        ``tails`` does not matter.
    codes : ndarray (n,) of int, optional

    References
    ----------
    Roodman, Nielsen, MacKinnon and Webb (2019), section 4. Stata: ``boottest`` of several restrictions.
    """
    hat = linear_root(evidence)
    found_in = codes is not None
    codes, count = present_clusters(hat, codes)
    factor = cr1s_factor(evidence, request, codes, count)
    hat, jac = expanded(hat, evidence.jac, [codes] if found_in else [])
    X, bread, jac = hat.orthonormal(jac)
    b = bread @ jac.T
    z = group_scores(X, hat.multipliers(), codes, count)
    P = np.array([group_scores(X, hat.w * (X @ column), codes, count) for column in b.T])
    own = z @ b
    statistic = float(_quadratic(theta[None, :], factor * (own.T @ own)[None, :, :])[0])
    if request.null:
        z = z + np.einsum("j,jgp->gp", np.linalg.solve(jac @ b, theta), P)
    patterns = Patterns(count, request)
    size = max(1, BLOCK_CELLS // (count * len(theta)))
    draws = np.concatenate(
        [
            _block(V[start : start + size], z @ b, z @ bread, P, factor)
            for V in patterns
            for start in range(0, len(V), size)
        ]
    )
    extreme = int((draws >= statistic * (1 - TIED)).sum())
    extra = 0 if patterns.holds_sample else 1
    return WildWald(statistic, draws, (extreme + extra) / (len(draws) + extra), described(request, patterns, count))


def _block(V: Array, own: Array, moves: Array, P: Array, factor: float) -> Array:
    """Wald statistics (r,) of the replicates whose multipliers are the rows of ``V`` (r, G)."""
    moved = V @ moves
    scores = np.stack([V * own[:, j] - moved @ P[j].T for j in range(len(P))], axis=2)
    return _quadratic(V @ own, factor * np.swapaxes(scores, 1, 2) @ scores)


def _quadratic(value: Array, matrix: Array) -> Array:
    """``v' M^{-1} v`` (r,) for each; infinite in a direction without variance, unless nothing moved in it."""
    values, vectors = np.linalg.eigh(matrix)
    along = np.einsum("rq,rqk->rk", value, vectors) ** 2
    total = np.maximum(values.sum(axis=1, keepdims=True), 0.0)
    still = along <= NO_VARIANCE * total
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = along / np.where(values > NO_VARIANCE * total, values, 0.0)
    return np.asarray(np.where(still & ~(values > NO_VARIANCE * total), 0.0, parts).sum(axis=1))
