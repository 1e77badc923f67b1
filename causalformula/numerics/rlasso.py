"""The lasso with a penalty that theory gives: Belloni, Chen, Chernozhukov and Hansen (2012), hdm's ``rlasso``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.families import family
from causalformula.numerics.irls import irls
from causalformula.numerics.lasso import lasso, logistic_lasso

# hdm's constants: of the penalty after which the selected columns are fitted anew, and of one that is not followed up.
POST, PLAIN = 1.1, 0.5
ITERATIONS, TOLERANCE = 15, 1e-5
# Columns that the first residuals are made with.
FIRST = 5
# Residuals of this share of the response's length are rounding.
NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class RLasso:
    """A lasso with its penalty.

    Parameters
    ----------
    coef : ndarray (p,)
        Zero for columns that are not selected.
    intercept : float
    selected : ndarray (p,) of bool
    lambda0 : float
    loadings : ndarray (p,)
        The penalty of column j is ``lambda0 * loadings[j]``.
    residuals : ndarray (n,)
        Of the response; for a logistic regression of the probabilities.
    sigma : float
        Their standard deviation.
    """

    coef: Array
    intercept: float
    selected: Bools
    lambda0: float
    loadings: Array
    residuals: Array
    sigma: float

    def predictor(self, X: Array) -> Array:
        """``intercept + X coef``: fitted values, or log odds (n,)."""
        return np.asarray(self.intercept + X @ self.coef)


def penalty_level(n: int, p: int, c: float = POST, gamma: float | None = None) -> float:
    """``2 c sqrt(n) Phi^-1(1 - gamma / (2 p))``, with ``gamma = 0.1 / log(n)`` where not given."""
    from scipy.special import ndtri

    gamma = 0.1 / np.log(n) if gamma is None else gamma
    return float(-2 * c * np.sqrt(n) * ndtri(min(gamma / (2 * max(p, 1)), 0.5)))


def first_residuals(X: Array, y: Array, *, centred: bool = True) -> Array:
    """What the first loadings are made of: ``y`` less its regression on the columns most correlated with it.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    y : ndarray, shape (n,)
    centred : bool
        Whether the intercept is taken from the response too, so that the residuals have mean zero.

    Returns
    -------
    ndarray, shape (n,)
    """
    Z, v = X - X.mean(axis=0), y - y.mean()
    near = np.abs(Z.T @ v) / _lengths(Z)
    chosen = np.argsort(-near, kind="stable")[: min(FIRST, max(len(y) // 2 - 1, 0))]
    b = _solved(Z[:, chosen], v)
    return np.asarray(v - Z[:, chosen] @ b if centred else y - X[:, chosen] @ b)


def rlasso(
    X: Array,
    y: Array,
    *,
    post: bool = True,
    c: float | None = None,
    gamma: float | None = None,
    start: Array | None = None,
) -> RLasso:
    """Lasso with penalties ``lambda0 * sqrt(mean(x_j^2 e^2))``, whose residuals e are found by iteration.

    ``argmin_b |y - X b|^2 + lambda0 sum_j loadings_j |b_j|``, with columns and response centred: the intercept bears no
    penalty. Sets of columns that reproduce themselves need not be unique; ``start`` may then decide between them.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Without an intercept; p may exceed n.
    y : ndarray, shape (n,)
    post : bool
        Fit the selected columns anew by least squares, which the loadings follow too.
    c, gamma : float, optional
        Of ``penalty_level``; c is 1.1, and 0.5 without ``post``.
    start : ndarray (n,), optional
        Residuals of the first loadings; ``first_residuals`` where not given.

    Returns
    -------
    RLasso

    References
    ----------
    Belloni, Chen, Chernozhukov and Hansen (2012), algorithm A.1; Belloni, Chernozhukov and Hansen (2014). R:
    ``hdm::rlasso``, which stops like this where standard deviations of successive residuals agree, though in the unit
    of the response.
    """
    n, p = X.shape
    means, mean = X.mean(axis=0), float(y.mean())
    Z, v = X - means, y - mean
    lambda0 = penalty_level(n, p, (POST if post else PLAIN) if c is None else c, gamma)
    scale, nothing = _sd(v), NOTHING * float(np.abs(v).max(initial=0.0))
    e = first_residuals(X, y) if start is None else start
    if np.abs(e).max(initial=0.0) <= nothing:
        e = v  # five columns give it exactly, which would leave no penalty
    before, loadings, b = _sd(e), np.zeros(p), np.zeros(p)
    for _ in range(ITERATIONS):
        loadings = np.sqrt(np.maximum((Z**2 * e[:, None] ** 2).mean(axis=0), 0.0))
        b = lasso(Z, v, lambda0 * loadings / 2)
        if post:
            b = _refitted(Z, v, b != 0)
        e = v - Z @ b
        after = _sd(e)
        if abs(before - after) <= TOLERANCE * scale or np.abs(e).max(initial=0.0) <= nothing:
            break
        before = after
    return RLasso(b, mean - float(means @ b), b != 0, lambda0, loadings, e, _sd(e))


def rlasso_logit(
    X: Array, a: Array, *, post: bool = True, c: float | None = None, gamma: float | None = None
) -> RLasso:
    """Logistic lasso with penalties ``c / 2 sqrt(n) Phi^-1(1 - gamma / (2 p)) sd(x_j)``, the bound on its scores.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Without an intercept.
    a : ndarray, shape (n,)
        0 or 1.
    post : bool
        Fit the selected columns anew by logistic regression.
    c, gamma : float, optional
        As in ``rlasso``.

    Returns
    -------
    RLasso

    References
    ----------
    Belloni, Chernozhukov and Wei (2016). R: ``hdm::rlassologit``, whose penalty ``glmnet`` is given.
    """
    from scipy.special import expit

    n, p = X.shape
    lambda0 = penalty_level(n, p, (POST if post else PLAIN) if c is None else c, gamma) / 4
    loadings = X.std(axis=0)
    Z = X - X.mean(axis=0)
    intercept, b = logistic_lasso(Z, a, lambda0 * loadings)
    selected = b != 0
    intercept -= float(X.mean(axis=0) @ b)
    if post and np.isfinite(intercept):
        design = np.column_stack([np.ones(n), X[:, selected]])
        coef = np.nan_to_num(irls(design, a, family("binomial"), epsilon=1e-12, maxit=50).coef)
        intercept, b = float(coef[0]), np.zeros(p)
        b[selected] = coef[1:]
    e = a - expit(intercept + X @ b)
    return RLasso(b, intercept, selected, lambda0, loadings, e, _sd(e))


def _refitted(Z: Array, v: Array, selected: Bools) -> Array:
    """Least squares on the selected columns, zero elsewhere."""
    b = np.zeros(len(selected))
    if selected.any():
        b[selected] = _solved(Z[:, selected], v)
    return b


def _solved(Z: Array, v: Array) -> Array:
    """Least squares, whatever the columns' units; the shortest solution where they imply each other."""
    size = _lengths(Z)
    return np.asarray(np.linalg.lstsq(Z / size, v, rcond=None)[0] / size)


def _lengths(Z: Array) -> Array:
    """Norms of columns, one for those of zeros."""
    size = np.sqrt(np.einsum("ij,ij->j", Z, Z))
    return np.where(size > 0, size, 1.0)


def _sd(e: Array) -> float:
    return float(e.std(ddof=1)) if len(e) > 1 else 0.0
