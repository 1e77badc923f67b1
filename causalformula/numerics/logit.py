"""Many refits of a logistic regression under other weights: Newton steps from a solution nearby, all refits at once."""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.numerics.linalg import row_blocks, triangular_factor

# Once a step moves linear predictors by no more than this, the information need not be computed anew: with the one
# at hand each step leaves an error of its length times this ...
NEAR = 1e-3
# ... and refits end when that is below this.
SETTLED = 1e-13
# A refit whose linear predictors end this far from where they started does not start from a nearby solution.
FAR = 8.0


def warm_logits(X: Array, a: Array, S: Array, start: Array, *, maxit: int = 12) -> Array:
    """Fitted probabilities under many weightings, (R, n); NaN rows where steps do not settle at once.

    With ``Q`` an orthonormal basis of the columns, all the scores ``Q'(s_r (a - p_r))`` are one matrix product, and
    all the informations ``Q' diag(s_r p_r (1 - p_r)) Q`` another one, with the products of pairs of columns.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Without aliased columns.
    a : ndarray, shape (n,)
        Response, 0 or 1.
    S : ndarray, shape (R, n)
        Weights.
    start : ndarray, shape (p,)
        Coefficients to start from.
    """
    n, r = X.shape
    R = triangular_factor(X, np.empty((n, 0)), None) / np.sqrt(n)
    Q = np.ascontiguousarray(np.linalg.solve(R.T, X.T))
    reach = np.abs(Q).max(axis=1)
    first = start @ X.T
    deltas, good = np.zeros((len(S), r)), np.ones(len(S), dtype=bool)
    P: Array = np.empty(S.shape)
    inverse = np.empty((len(S), r, r))
    before = np.inf
    for _ in range(maxit):
        whole = before > NEAR
        score, information, furthest = _sums(Q, a, S, first, deltas, P, whole)
        good &= furthest < FAR
        if whole:
            inverse = _inverses(information)
        with np.errstate(invalid="ignore", over="ignore"):
            step = np.einsum("rjk,rk->rj", inverse, score)
            good &= np.isfinite(step).all(axis=1)
        step[~good] = 0.0
        deltas += step
        deltas[~good] = 0.0
        length = float((np.abs(step) @ reach).max(initial=0.0))
        if not whole and length * before <= SETTLED:
            break
        before = length if whole else before
    else:
        good[np.abs(step) @ reach * NEAR > SETTLED] = False
    _move(P, Q, step)
    P[~good] = np.nan
    return P


def _blocks(Q: Array, refits: int) -> list[slice]:
    return list(row_blocks(Q.shape[1], max(1, 2 * refits)))


def _sums(
    Q: Array, a: Array, S: Array, first: Array, deltas: Array, P: Array, whole: bool
) -> tuple[Array, Array, Array]:
    """Scores, informations (if asked for) and the furthest moves of linear predictors; the probabilities go to P."""
    r = len(Q)
    i, j = np.triu_indices(r)
    score, packed, furthest = np.zeros((len(S), r)), np.zeros((len(S), len(i))), np.zeros(len(S))
    for rows in _blocks(Q, len(S)):
        q, s, p = Q[:, rows], S[:, rows], P[:, rows]
        moved = deltas @ q
        np.maximum(furthest, np.maximum(moved.max(axis=1), -moved.min(axis=1)), out=furthest)
        moved += first[rows]
        _expit(moved, p)
        np.subtract(a[rows], p, out=moved)
        moved *= s
        score += moved @ q.T
        if whole:
            np.subtract(1.0, p, out=moved)
            moved *= p
            moved *= s
            packed += moved @ (q[i] * q[j]).T
    information = np.empty((len(S), r, r))
    information[:, i, j] = information[:, j, i] = packed
    return score, information, furthest


def _expit(eta: Array, out: Array) -> None:
    """``1 / (1 + e^-eta)`` without overflow warnings; eta is used up."""
    np.negative(eta, out=eta)
    np.clip(eta, -700.0, 700.0, out=eta)
    np.exp(eta, out=eta)
    eta += 1.0
    np.divide(1.0, eta, out=out)


def _inverses(information: Array) -> Array:
    """Inverses of all matrices; infinite where one is singular."""
    try:
        return np.asarray(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        values = np.linalg.eigvalsh(information)
        out = np.full(information.shape, np.inf)
        regular = values[:, 0] > 1e-14 * values[:, -1]
        out[regular] = np.linalg.inv(information[regular])
        return out


def _move(P: Array, Q: Array, step: Array) -> None:
    """The probabilities after a step so short that its square is rounding."""
    for rows in _blocks(Q, len(P)):
        p = P[:, rows]
        change = step @ Q[:, rows]
        change *= p
        change *= 1.0 - p
        p += change
