"""Clusters that carry nearly all that is known of some coefficient: their adjustments without cancellation.

Where a cluster dominates, ``I - H_gg`` is tiny beside ``H_gg``, and its difference from the identity has no digits
left. The other clusters know it: with ``Z`` orthonormal, ``I - Z_g'Z_g`` is the sum of their ``Z_h'Z_h``, whose
triangular factor F gives its square root. With ``F = P diag(f) V'`` and, where the weights are no inverse variances,
``C'C`` the others' ``L'X'W^2X L``, everything that CR2 and CR3 need is a product of these. There are few such clusters:
their shares of the coefficients sum to the number of coefficients.

A cluster that alone knows some combination of the coefficients (``f = 0``: its own dummy variable) has leverage one
there. Its residuals sum to zero in that direction, and no variance made of them says anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.linalg import group_sums, triangular_factor

# A cluster dominates where the others hold less than this share of what is known in some direction ...
DOMINANT = 1e-2
# ... and is alone there below this, which is rounding.
ALONE = 1e-12
# A share this near to one is one, and an estimate with more than this of it rests on the cluster.
FULL = 1e-10
PART = 1e-8


@dataclass(frozen=True, eq=False)
class Dominant:
    """One dominating cluster on whitened columns, in the notation of ``clusters.Batch``.

    Parameters
    ----------
    id : int
    scores : ndarray (p,)
        ``E'e``.
    whole : ndarray (p, p)
        ``T_gg``: the variance of its part under the working model.
    a : ndarray (p, p)
        ``Z'E``.
    left : ndarray (P, p)
        ``T_gh = left' F_h`` for a cluster that does not dominate.
    rest : ndarray (p, p), optional
        ``d = Z'W (I - H)_gg' E``; None where the weights are inverse variances.
    """

    id: int
    scores: Array
    whole: Array
    a: Array
    left: Array
    rest: Array | None = None

    def product(self, other: Dominant, between: Array | None) -> Array:
        """``T_gh`` (p, p) with another such cluster; ``between`` is ``L'X'W^2X L`` of all clusters but the two."""
        if self.rest is None or other.rest is None or between is None:
            return -self.a.T @ other.a
        return -self.rest.T @ other.a - self.a.T @ other.rest + self.a.T @ between @ other.a


def shares(hat: Hat, codes: Codes, count: int, least: float) -> Iterator[tuple[int, Codes, Array, Array]]:
    """Clusters with a share of at least ``least``: number, rows, singular values and right vectors of ``Z_g``.

    The sum of a cluster's leverages bounds its largest share, so that few are looked at.
    """
    total = group_sums(np.where(hat.w > 0, hat.leverage(), 0.0), codes, count)
    for g in np.flatnonzero(total >= least):
        rows = np.flatnonzero((codes == g) & (hat.w > 0))
        z = np.sqrt(hat.w[rows])[:, None] * (hat.X[rows] @ hat.whitening)
        _, values, turned = np.linalg.svd(z, full_matrices=False)
        if len(values) and values[0] ** 2 >= least:
            yield int(g), rows, values**2, turned.T


def resting(hat: Hat, codes: Codes, count: int, jac: Array) -> tuple[Bools, Codes]:
    """Which estimates ``jac`` (q, p) rest on one cluster, and the clusters on which some do.

    An estimate that does not exist without a cluster is a function of that cluster's own coefficients, to which its
    residuals are orthogonal.
    """
    lost = np.zeros(len(jac), dtype=bool)
    found: list[int] = []
    if hat.X.shape[1] != len(hat.bread) or not len(hat.bread):
        return lost, np.empty(0, dtype=np.intp)
    contrasts = hat.whitening.T @ jac.T
    size = np.sqrt((contrasts**2).sum(axis=0))
    for g, _, share, V in shares(hat, codes, count, 1 - FULL):
        along = np.sqrt(((V[:, share >= 1 - FULL].T @ contrasts) ** 2).sum(axis=0))
        mine = along > PART * size
        if mine.any():
            lost |= mine
            found.append(g)
    return lost, np.asarray(found, dtype=np.intp)


def dominating(hat: Hat, codes: Codes, count: int) -> list[tuple[int, Codes]]:
    """Clusters that nearly, but not wholly, determine some combination of the coefficients; with their rows."""
    if hat.X.shape[1] != len(hat.bread):
        return []
    return [
        (g, rows)
        for g, rows, share, _ in shares(hat, codes, count, 1 - DOMINANT)
        if ((1 - share < DOMINANT) & (1 - share > ALONE)).any()
    ]


def dominant(hat: Hat, rows: Codes, g: int, power: float, consistent: bool) -> Dominant:
    """The adjustment of one dominating cluster, CR2 (power -1/2) or CR3 (power -1)."""
    outside = hat.w > 0
    outside[rows] = False
    _, f, V = np.linalg.svd(_factor(hat, outside, hat.w))
    V = V.T
    f = np.where(f**2 > ALONE, f, 0.0)
    C = None if consistent else _factor(hat, outside, hat.w**2)
    x = hat.X[rows] @ hat.whitening
    if power == -0.5 and hat.target is not None:
        return _modelled(hat, rows, g, x, f, V)
    if power == -0.5 and C is not None:
        return _identity(hat, rows, g, x, f, V, C)
    return _common(hat, rows, g, x, f, V, C, power)


def _factor(hat: Hat, outside: Bools, weights: Array) -> Array:
    """Triangular factor (p, p) of the other clusters' rows of ``weights^{1/2} X L``."""
    columns = hat.X[outside] @ hat.whitening
    R = triangular_factor(columns, np.empty((len(columns), 0)), weights[outside])
    return R if len(R) == R.shape[1] else np.vstack([R, np.zeros((R.shape[1] - len(R), R.shape[1]))])


def _power(f: Array, exponent: float) -> Array:
    """``f ** exponent``, zero where f is."""
    return np.asarray(np.where(f > 0, np.where(f > 0, f, 1.0) ** exponent, 0.0))


def _common(hat: Hat, rows: Codes, g: int, x: Array, f: Array, V: Array, C: Array | None, power: float) -> Dominant:
    """``A`` is a power of ``I - zz'``."""
    w, e = hat.w[rows], hat.e[rows]
    inner = (V * _power(f, 2 * power)) @ V.T
    a = (V * ((1 - f**2) * _power(f, 2 * power))) @ V.T
    scores = inner @ (x.T @ (w * e))
    if C is None:
        whole = (V * ((1 - f**2) * _power(f, 2 + 4 * power))) @ V.T
        return Dominant(g, scores, whole, a, -a)
    free = (V * (f > 0)) @ V.T
    rest = x.T @ (w[:, None] ** 2 * x) @ free
    reached = C @ a
    return Dominant(g, scores, free @ rest + reached.T @ reached, a, np.vstack([C.T @ reached - rest, -a]), rest)


def _identity(hat: Hat, rows: Codes, g: int, x: Array, f: Array, V: Array, C: Array) -> Dominant:
    """CR2 under equal variances: from the singular values of the cluster's rows of ``I - H``, in a basis of 2p."""
    w, e = hat.w[rows], hat.e[rows]
    q1, s, turned = np.linalg.svd(x, full_matrices=False)
    weighted = w[:, None] * x
    w1 = q1.T @ weighted
    q2, w2 = np.linalg.qr(weighted - q1 @ w1)
    reach = s[:, None] * turned
    own = np.eye(len(s)) - s[:, None] ** 2 * (q1.T @ (w[:, None] * q1))
    # what the others leave of the identity, turned to this basis: exact where the line above has cancelled
    known = s > PART * s[0]
    left = reach @ (V * f**2) @ (V.T @ turned.T)
    own[:, known] = left[:, known] / s[known]
    top = np.hstack([own, -reach @ w2.T, reach @ C.T])
    bottom = np.hstack([np.zeros((len(w2), len(s))), np.eye(len(w2)), np.zeros((len(w2), len(C)))])
    P, values, R = np.linalg.svd(np.vstack([top, bottom]), full_matrices=False)
    free = values > np.sqrt(ALONE) * 1e-3 * values[0]
    both = np.vstack([w1, w2])
    seen = P[:, free].T @ both
    E = (P[:, free] / values[free]) @ seen
    across = R[free].T @ seen
    inside, beyond = across[: len(both)], across[len(both) :]
    rest = both.T @ inside
    a = reach.T @ E[: len(s)]
    scores = E.T @ np.concatenate([q1.T @ e, q2.T @ e])
    return Dominant(g, scores, seen.T @ seen, a, np.vstack([C.T @ beyond - rest, -a]), rest)


def _modelled(hat: Hat, rows: Codes, g: int, x: Array, f: Array, V: Array) -> Dominant:
    """CR2 of a GLM: from the singular values of ``F (I - zz')^{1/2}``."""
    assert hat.target is not None
    phi, root = hat.target[rows] / hat.target[rows].max(), np.sqrt(hat.w[rows])
    z = root[:, None] * x
    q, r = np.linalg.qr(z @ V[:, np.argsort(f, kind="stable")], mode="complete")
    q[:, : len(f)] *= np.where(np.diagonal(r) < 0, -1.0, 1.0)[: q.shape[1]]
    halves = np.ones(q.shape[1])
    size = min(len(f), q.shape[1])
    halves[:size] = np.sort(f)[:size]
    P, values, _ = np.linalg.svd(phi[:, None] * (q * halves))
    free = values > np.sqrt(ALONE) * 1e-3 * values[0]
    E = phi[:, None] * ((P[:, free] / values[free]) @ (P[:, free].T @ z))
    # the rows' own part of I - H, through its root
    half = halves[:, None] * (q.T @ E)
    a = z.T @ E
    return Dominant(g, E.T @ (root * hat.e[rows]), half.T @ half, a, -a)
