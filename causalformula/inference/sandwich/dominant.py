"""Clusters that carry nearly all that is known of some coefficient: their adjustments without cancellation.

Where a cluster dominates, ``I - H_gg`` is tiny beside ``H_gg``, and its difference from the identity has no digits
left. The other clusters know it: with ``Z`` orthonormal, ``I - Z_g'Z_g`` is the sum of their ``Z_h'Z_h``, whose
triangular factor F gives its square root. With ``F = P diag(f) V'`` and, where the weights are no inverse variances,
``C'C`` the others' ``L'X'W^2X L``, everything that CR2 and CR3 need is a product of these. There are few such clusters:
their shares of the coefficients sum to the number of coefficients.

So do its scores: those of all clusters sum to zero. Where its rows of ``I - H`` are as small as what the others know,
their singular vectors come from rotations that keep small numbers (``roots.graded``). With the columns turned to the
cluster's own basis nothing depends on how much it dominates; of several such clusters ``lost_digits`` says how much.

A cluster that alone knows some combination of the coefficients (``f = 0``: its own dummy variable) has leverage one
there. Its residuals sum to zero in that direction, and no variance made of them says anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from causalformula.inference.sandwich.roots import graded
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.linalg import group_sums, triangular_factor

# A cluster dominates where the others hold less than this share of what is known in some direction.
DOMINANT = 1e-2
# What the others know is the square of ``f``, which has an absolute error of some roundings. Below the first of these
# it is none, and the cluster is alone; below the second so much of it is rounding that no variance can be made of it.
ALONE = 1e-11
UNTOLD = 1e-8
# A sum below this share of its terms' sizes is rounding.
CANCELLED = 1e-14
# Scores that sum to a share of their sizes below this sum to zero.
ROUNDING = 1e-12
# Some roundings.
SOME = 1e-14
# And what these come to where weights are of several sizes.
SEVERAL = 2e-3
# Weights that differ by less than this are of one size.
SPREAD = 1e4
# Leading clusters whose directions are multiplied by the design at once.
LEADS_AT_ONCE = 32
# An estimate with more than this of a direction depends on it.
PART = 1e-8
# Of an estimate whose variance lies in what one cluster knows to more than this, other clusters know next to nothing.
MOST = 0.9


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

    def turned(self, V: Array) -> Dominant:
        """From the columns ``X L V`` to the columns ``X L``."""
        p = len(V)
        left = np.vstack([V @ self.left[k : k + p] @ V.T for k in range(0, len(self.left), p)])
        rest = None if self.rest is None else V @ self.rest @ V.T
        return Dominant(self.id, V @ self.scores, V @ self.whole @ V.T, V @ self.a @ V.T, left, rest)


def shares(hat: Hat, codes: Codes, count: int, least: float) -> Iterator[tuple[int, Codes, Array, Array]]:
    """Clusters with a share of at least ``least``: number, rows, singular values and right vectors of ``Z_g``.

    The sum of a cluster's leverages bounds its largest share, so that few are looked at.
    """
    own = replace(hat, regressors=None).own_leverage()  # of X, as the shares are, also where it is a projection
    total = group_sums(np.where(hat.w > 0, own, 0.0), codes, count)
    for g in np.flatnonzero(total >= least):
        rows = np.flatnonzero((codes == g) & (hat.w > 0))
        z = np.sqrt(hat.w[rows])[:, None] * (hat.X[rows] @ hat.whitening)
        _, values, turned = np.linalg.svd(z, full_matrices=False)
        if len(values) and values[0] ** 2 >= least:
            yield int(g), rows, values**2, turned.T


@dataclass(frozen=True, eq=False)
class Lead:
    """A cluster that leads in some directions of the whitened columns, and what the others know there.

    Parameters
    ----------
    id : int
    rows : ndarray of int
    directions : ndarray (p, m)
        Orthonormal.
    f : ndarray (m,)
        The others' singular values there, ascending.
    """

    id: int
    rows: Codes
    directions: Array
    f: Array


def leads(hat: Hat, codes: Codes, count: int) -> list[Lead]:
    """Clusters that lead, with what the others know summed from the others' rows."""
    if hat.X.shape[1] != len(hat.bread) or not len(hat.bread):
        return []
    found = [(g, rows, V[:, share >= 1 - DOMINANT]) for g, rows, share, V in shares(hat, codes, count, 1 - DOMINANT)]
    out = []
    for first in range(0, len(found), LEADS_AT_ONCE):
        some = found[first : first + LEADS_AT_ONCE]
        z = np.sqrt(hat.w)[:, None] * (hat.X @ (hat.whitening @ np.hstack([V for _, _, V in some])))
        places = np.cumsum([0] + [V.shape[1] for _, _, V in some])
        for k, (g, rows, V) in enumerate(some):
            own = z[:, places[k] : places[k + 1]].copy()
            own[rows] = 0.0
            _, f, turned = np.linalg.svd(np.linalg.qr(own, mode="r"))
            out.append(Lead(g, rows, V @ turned[::-1].T, _padded(f, V.shape[1])[::-1]))
    return out


def _padded(f: Array, size: int) -> Array:
    return np.concatenate([f, np.zeros(size - len(f))])


@dataclass(frozen=True, eq=False)
class Led:
    """How estimates (q,) depend on the clusters that lead.

    Parameters
    ----------
    alone : ndarray of bool
        Does not exist without one cluster: it is a function of that cluster's own coefficients, to which its residuals
        are orthogonal.
    untold : ndarray of bool
        What the other clusters know of it is rounding in doubles.
    mostly : ndarray of bool
        The others know next to nothing of most of it.
    share : ndarray of float
        Of its variance under equal errors, what comes from clusters' own coefficients.
    """

    alone: Bools
    untold: Bools
    mostly: Bools
    share: Array

    def __or__(self, other: Led) -> Led:
        share = np.maximum(self.share, other.share)
        return Led(self.alone | other.alone, self.untold | other.untold, self.mostly | other.mostly, share)

    @classmethod
    def none(cls, q: int) -> Led:
        """No estimate depends on one."""
        no = np.zeros(q, dtype=bool)
        return cls(no, no, no, np.zeros(q))


def led(hat: Hat, codes: Codes, count: int, jac: Array) -> Led:
    """How estimates ``jac`` (q, p) of the coefficients depend on one cluster."""
    whitening = hat.whitening if len(hat.bread) else np.empty((0, 0))
    return dependence(leads(hat, codes, count), whitening, jac, _alone(hat))


def dependence(found_leads: Iterable[Lead], whitening: Array, jac: Array, none: float) -> Led:
    """How estimates ``jac`` (q, p) depend on the clusters that lead; below ``none`` the others know nothing."""
    found = Led.none(len(jac))
    contrasts = whitening.T @ jac.T if len(whitening) else np.empty((0, len(jac)))
    size = np.sqrt((contrasts**2).sum(axis=0))
    for one in found_leads:
        along = np.abs(one.directions.T @ contrasts)
        some, lone = along > PART * size, one.f < none
        alone = some[lone].any(axis=0)
        untold = some[~lone & (one.f < UNTOLD)].any(axis=0) & ~alone
        own = (along[lone] ** 2).sum(axis=0) / np.where(size > 0, size, 1.0) ** 2
        found |= Led(alone, untold, (along**2).sum(axis=0) > MOST * size**2, found.share + own)
    return found


def lost_digits(hat: Hat, codes: Codes, count: int) -> float:
    """Relative error of CR2 and CR3 by rows of very different weights.

    What of a row cancels in a whitened column is rounding of the size of its terms. On one leader's own basis it is
    known to be zero; where there are more, or the others differ much among themselves, it enters squared, as does what
    is known beside them, and products of both (random designs against many digits stay below ``SEVERAL``).
    """
    found = leads(hat, codes, count)
    terms = (np.sqrt(hat.w)[:, None] * (np.abs(hat.X) @ np.abs(hat.whitening))).max(axis=1)
    if not found:
        return SOME * float(terms.max()) ** 2
    others = hat.w[_outside(hat, found[0].rows)]
    if len(found) == 1 and others.max() < SPREAD * others.min():
        return SOME * float(terms.max())
    known = min([float(f) for one in found for f in one.f if f >= UNTOLD], default=1.0)
    return max(SEVERAL, SOME * max(float(terms.max()), 1 / known) ** 2)


def _alone(hat: Hat) -> float:
    """Below which ``f`` is nothing: columns that are nearly dependent make more of rounding."""
    return UNTOLD if hat.ill_conditioned else ALONE


def dominating(hat: Hat, codes: Codes, count: int) -> list[tuple[int, Codes]]:
    """Clusters that nearly, but not wholly, determine some combination of the coefficients; with their rows.

    The one of which the others know least comes first.
    """
    found = [(one.f[one.f >= _alone(hat)], one) for one in leads(hat, codes, count)]
    some = [(float(f[0]), one.id, one.rows) for f, one in found if len(f)]
    return [(g, rows) for _, g, rows in sorted(some, key=lambda each: each[:2])]


def basis_of(hat: Hat, rows: Codes, L: Array) -> Array:
    """Whitened columns ``L V`` (p, p) on which a cluster and the others are both orthogonal.

    Those that the others know least come first.
    """
    return np.asarray(L @ np.linalg.svd(_factor(hat, _outside(hat, rows), L, hat.w))[2][::-1].T)


def of_rows(hat: Hat, rows: Codes, L: Array) -> Array:
    """``X L`` of some rows, with zeros for what is left where numbers cancel but for rounding."""
    x, size = hat.X[rows] @ L, np.abs(hat.X[rows]) @ np.abs(L)
    return np.where(np.abs(x) > CANCELLED * size, x, 0.0)


def _score(hat: Hat, rows: Codes, outside: Bools, turn: Array, x: Array) -> Array:
    """``E'We`` of a cluster, from the others': these have its digits where it is small beside its terms.

    All sum to zero, but for a model whose steps ended before that: there what is more than rounding stays.
    """
    u = hat.multipliers()
    own, others = x.T @ u[rows], turn.T @ (hat.X[outside].T @ u[outside])
    zero = np.abs(own + others) <= ROUNDING * (np.abs(x).T @ np.abs(u[rows]))
    return np.asarray(np.where(zero | hat.least_squares, -others, own))


def _outside(hat: Hat, rows: Codes) -> Bools:
    outside = hat.w > 0
    outside[rows] = False
    return np.asarray(outside)


def dominant(hat: Hat, rows: Codes, g: int, power: float, consistent: bool, L: Array, own: bool = False) -> Dominant:
    """The adjustment of one dominating cluster, CR2 (power -1/2) or CR3 (power -1), on the whitened columns ``X L``.

    On ``basis_of`` the cluster, which L already is where it is the cluster's ``own``.
    """
    outside = _outside(hat, rows)
    turn = L if own else basis_of(hat, rows, L)
    # on rotated columns again: these are as small as what is known, and keep their digits
    f = np.sqrt((_factor(hat, outside, turn, hat.w) ** 2).sum(axis=0))
    f = np.where(f >= _alone(hat), np.minimum(f, 1.0), 0.0)
    C = None if consistent else _factor(hat, outside, turn, hat.w**2)
    x = of_rows(hat, rows, turn)
    score = _score(hat, rows, outside, turn, x)
    if power == -0.5 and hat.target is not None:
        made = _modelled(hat, rows, g, x, f, score)
    elif power == -0.5 and C is not None:
        made = _identity(hat, rows, g, x, f, C, score)
    else:
        made = _common(hat, rows, g, x, f, C, power, score)
    return made if own else made.turned(np.asarray(np.linalg.solve(L, turn), dtype=np.float64))


def _factor(hat: Hat, outside: Bools, turn: Array, weights: Array) -> Array:
    """Triangular factor (p, p) of the other clusters' rows of ``weights^{1/2} X turn``."""
    columns = hat.X[outside] @ turn
    R = triangular_factor(columns, np.empty((len(columns), 0)), weights[outside])
    return R if len(R) == R.shape[1] else np.vstack([R, np.zeros((R.shape[1] - len(R), R.shape[1]))])


def _power(f: Array, exponent: float) -> Array:
    """``f ** exponent``, zero where f is."""
    return np.asarray(np.where(f > 0, np.where(f > 0, f, 1.0) ** exponent, 0.0))


def _common(hat: Hat, rows: Codes, g: int, x: Array, f: Array, C: Array | None, power: float, score: Array) -> Dominant:
    """``A`` is a power of ``I - zz'``."""
    w = hat.w[rows]
    inner = _power(f, 2 * power)
    a = np.diag((1 - f**2) * inner)
    if C is None:
        return Dominant(g, inner * score, np.diag((1 - f**2) * _power(f, 2 + 4 * power)), a, -a)
    free = np.diag(1.0 * (f > 0))
    rest = x.T @ (w[:, None] ** 2 * x) @ free
    reached = C @ a
    return Dominant(g, inner * score, free @ rest + reached.T @ reached, a, np.vstack([C.T @ reached - rest, -a]), rest)


def _identity(hat: Hat, rows: Codes, g: int, x: Array, f: Array, C: Array, score: Array) -> Dominant:
    """CR2 under equal variances: from the left singular vectors of the cluster's rows of ``I - H``, in a basis of 2p.

    Along ``W x`` in the directions that it leads, these rows are what the others know.
    """
    p, d, lone = len(f), int((f**2 < 0.5).sum()), int((f == 0).sum())
    w, e = hat.w[rows], hat.e[rows]
    N, R = np.linalg.qr(np.hstack([w[:, None] * x, x]))
    both, plain = R[:, :p], R[:, p:]
    back = np.linalg.inv(both[:d, :d]).T
    top = np.hstack(
        [(back * f[:d] ** 2) @ both[:d, :d].T, np.zeros((d, len(R) - d)), (back * (1 - f[:d] ** 2)) @ C[:, :d].T]
    )
    below = np.hstack([np.eye(len(R))[d:] - plain[d:] @ both.T, plain[d:] @ C.T])
    P, values, across = graded(top[lone:], below)
    seen = P.T @ both[lone:]
    E = np.vstack([np.zeros((lone, p)), (P / values) @ seen])
    reached = across.T @ seen
    rest = both.T @ reached[: len(R)]
    a = plain.T @ E
    residuals = np.concatenate([back @ score[:d], N[:, d:].T @ e])
    return Dominant(g, E.T @ residuals, seen.T @ seen, a, np.vstack([C.T @ reached[len(R) :] - rest, -a]), rest)


def _modelled(hat: Hat, rows: Codes, g: int, x: Array, f: Array, score: Array) -> Dominant:
    """CR2 of a GLM: from the left singular vectors of ``F (I - zz')^{1/2}``."""
    assert hat.target is not None
    d, lone = int((f**2 < 0.5).sum()), int((f == 0).sum())
    phi, root = hat.target[rows] / hat.target[rows].max(), np.sqrt(hat.w[rows])
    z = root[:, None] * x
    q, _ = np.linalg.qr(z, mode="complete")
    halves = np.ones(len(q))
    halves[: len(f)] = f[: len(q)]
    N, R = np.linalg.qr(z[:, :d] / phi[:, None], mode="complete")
    back = np.linalg.inv(R[:d]).T
    seen = q.T @ z
    top = (back * f[:d]) @ seen[:, :d].T
    below = (N[:, d:].T * phi) @ (q * halves)
    P, values, across = graded(top[lone:], below)
    basis = (N.T @ z)[lone:]
    inner = np.vstack([np.zeros((lone, len(f))), (P / values) @ (P.T @ basis)])
    E = phi[:, None] * (N @ inner)
    # E'(root e): along the directions that the cluster leads by the scores of the others
    residuals = np.concatenate([back @ score[:d], N[:, d:].T @ (phi * root * hat.e[rows])])
    half = across.T @ (P.T @ basis)
    a = z.T @ E
    return Dominant(g, inner.T @ residuals, half.T @ half, a, -a)
