"""Multinomial logistic regression by Newton's method, to a zero score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.linalg import gram

# The score is zero when it is this small beside its own scale.
TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Multinomial:
    """Fitted probabilities ``P_ik = exp(x_i'b_k) / sum_l exp(x_i'b_l)`` with ``b_0 = 0``.

    Attributes
    ----------
    coef : ndarray, shape (K - 1, r)
        Coefficients of the kept columns, a row a level but the first.
    kept : ndarray of int, shape (r,)
    P : ndarray, shape (n, K)
    residuals : ndarray, shape (n, K - 1)
        ``s_i (1[a_i = k] - P_ik)``: a row's score is this times its regressors, level by level.
    information : ndarray, shape ((K - 1) r, (K - 1) r)
        Minus the derivative of the scores' sum.
    converged : bool
    """

    coef: Array
    kept: Codes
    P: Array
    residuals: Array
    information: Array
    converged: bool


def multinomial(X: Array, codes: Codes, levels: int, s: Array, *, maxit: int = 100) -> Multinomial:
    """Maximum likelihood.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    codes : ndarray of int, shape (n,)
        Level of each row, 0 the reference.
    levels : int
        K.
    s : ndarray, shape (n,)
        Weights.
    """
    kept = least_squares(X, np.zeros(len(X)), s).kept
    Z = X if len(kept) == X.shape[1] else X[:, kept]
    scale = np.sqrt(s @ Z**2 / s.sum())
    Z = Z / scale
    hot = (codes[:, None] == np.arange(1, levels)).astype(float)
    coef = np.zeros((levels - 1, Z.shape[1]))
    loss, P = _loss(Z, coef, codes, s)
    converged = False
    for _ in range(maxit):
        residuals = s[:, None] * (hot - P[:, 1:])
        score = (residuals.T @ Z).ravel()
        if np.abs(score).max() <= TOLERANCE * s.sum():
            converged = True
            break
        step = np.linalg.lstsq(_information(Z, P, s), score, rcond=1e-14)[0].reshape(coef.shape)
        moved = _downhill(Z, coef, step, codes, s, loss)
        if moved is None:
            converged = bool(np.abs(score).max() <= 1e-8 * s.sum())
            break
        coef, loss, P = moved
    information = _information(X if len(kept) == X.shape[1] else X[:, kept], P, s)
    return Multinomial(coef / scale, kept, P, s[:, None] * (hot - P[:, 1:]), information, converged)


def _loss(Z: Array, coef: Array, codes: Codes, s: Array) -> tuple[float, Array]:
    """Minus the log-likelihood, and the probabilities."""
    eta = np.column_stack([np.zeros(len(Z)), Z @ coef.T])
    eta -= eta.max(axis=1, keepdims=True)
    P = np.exp(eta)
    total = P.sum(axis=1)
    own = eta[np.arange(len(Z)), codes]
    return float(s @ (np.log(total) - own)), P / total[:, None]


def _downhill(
    Z: Array, coef: Array, step: Array, codes: Codes, s: Array, loss: float
) -> tuple[Array, float, Array] | None:
    """The point after a step, halved until the loss does not rise."""
    for halvings in range(30):
        at = coef + step / 2**halvings
        reached, P = _loss(Z, at, codes, s)
        if reached <= loss + 1e-13 * (abs(loss) + 1):
            return at, reached, P
    return None


def _information(Z: Array, P: Array, s: Array) -> Array:
    blocks = P.shape[1] - 1
    p = Z.shape[1]
    out = np.empty((blocks * p, blocks * p))
    for k in range(blocks):
        for j in range(k + 1):
            weight = s * P[:, k + 1] * ((k == j) - P[:, j + 1])
            block = gram(Z, weight)
            out[k * p : (k + 1) * p, j * p : (j + 1) * p] = block
            out[j * p : (j + 1) * p, k * p : (k + 1) * p] = block
    return out
