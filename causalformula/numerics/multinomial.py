"""Multinomial logistic regression by Newton's method, to a zero score."""

from __future__ import annotations

from collections.abc import Callable
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
    scaled = Z / scale
    coef, converged = climb(
        lambda at: Likelihood.of(scaled, at, codes, s), np.zeros((levels - 1, Z.shape[1])), float(s.sum()), maxit
    )
    return fitted_at(Z, coef / scale, kept, codes, s, converged)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The likelihood of some rows at a point; of more rows by ``+``.

    Attributes
    ----------
    loss : float
        Minus its logarithm.
    score : ndarray, shape ((K - 1) r,)
    information : ndarray, shape ((K - 1) r, (K - 1) r)
    """

    loss: float
    score: Array
    information: Array

    @classmethod
    def of(cls, Z: Array, coef: Array, codes: Codes, s: Array) -> Likelihood:
        """Of rows with regressors Z, in the levels ``codes``, with weights s."""
        loss, P = _loss(Z, coef, codes, s)
        residuals = _residuals(P, codes, s)
        return cls(loss, (residuals.T @ Z).ravel(), _information(Z, P, s))

    def __add__(self, other: Likelihood) -> Likelihood:
        return Likelihood(self.loss + other.loss, self.score + other.score, self.information + other.information)


def climb(at: Callable[[Array], Likelihood], coef: Array, total: float, maxit: int = 100) -> tuple[Array, bool]:
    """Newton's steps to a zero score of rows of so much weight: the point, and whether they got there."""
    point = at(coef)
    for _ in range(maxit):
        if np.abs(point.score).max() <= TOLERANCE * total:
            return coef, True
        step = np.asarray(np.linalg.lstsq(point.information, point.score, rcond=1e-14)[0], dtype=np.float64)
        step = step.reshape(coef.shape)
        moved = _downhill(at, coef, step, point.loss)
        if moved is None:
            return coef, bool(np.abs(point.score).max() <= 1e-8 * total)
        coef, point = moved
    return coef, False


def fitted_at(
    Z: Array, coef: Array, kept: Codes, codes: Codes, s: Array, converged: bool, information: Array | None = None
) -> Multinomial:
    """The model with these coefficients on rows with the kept columns Z; ``information`` where that is of more rows."""
    P = _loss(Z, coef, codes, s)[1]
    known = _information(Z, P, s) if information is None else information
    return Multinomial(coef, kept, P, _residuals(P, codes, s), known, converged)


def _residuals(P: Array, codes: Codes, s: Array) -> Array:
    hot = (codes[:, None] == np.arange(1, P.shape[1])).astype(float)
    return np.asarray(s[:, None] * (hot - P[:, 1:]))


def _loss(Z: Array, coef: Array, codes: Codes, s: Array) -> tuple[float, Array]:
    """Minus the log-likelihood, and the probabilities."""
    eta = np.column_stack([np.zeros(len(Z)), Z @ coef.T])
    eta -= eta.max(axis=1, keepdims=True)
    P = np.exp(eta)
    total = P.sum(axis=1)
    own = eta[np.arange(len(Z)), codes]
    return float(s @ (np.log(total) - own)), P / total[:, None]


def _downhill(
    at: Callable[[Array], Likelihood], coef: Array, step: Array, loss: float
) -> tuple[Array, Likelihood] | None:
    """The point after a step, halved until the loss does not rise."""
    for halvings in range(30):
        moved = coef + step / 2**halvings
        reached = at(moved)
        if reached.loss <= loss + 1e-13 * (abs(loss) + 1):
            return moved, reached
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
