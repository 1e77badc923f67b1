"""Least squares and logistic regression with a penalty on absolute values, one penalty a column, solved exactly."""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array, Codes

# A coordinate that moves the fit by less than this share of the response's length is settled.
SETTLED = 1e-13
SWEEPS = 20_000
# Every so many sweeps the equations of the coefficients that are not zero are solved at once.
SOLVED = 20
NEWTON = 200
# Working weights of fitted probabilities near 0 or 1 stay above this.
LEAST = 1e-10
# A coefficient counts as free of the penalty's bound only beyond this share of it.
ROUNDING = 1e-9


def lasso(X: Array, y: Array, penalty: Array, start: Array | None = None) -> Array:
    """``argmin_b |y - X b|^2 / 2 + sum_j penalty_j |b_j|`` by coordinate descent over the columns that may enter.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Columns of zeros keep a coefficient of zero.
    y : ndarray, shape (n,)
    penalty : ndarray, shape (p,)
        Not negative.
    start : ndarray, shape (p,), optional
        Coefficients to start from.

    Returns
    -------
    ndarray, shape (p,)
    """
    b = np.zeros(X.shape[1]) if start is None else start.astype(float)
    squares, length = np.einsum("ij,ij->j", X, X), float(np.sqrt(y @ y))
    free = squares > 0
    residual = y - X @ b
    active = np.flatnonzero(b)
    for _ in range(X.shape[1] + 1):
        residual = _settled(X, b, residual, penalty, squares, active, SETTLED * length)
        over = np.abs(X.T @ residual) - penalty
        entering = free & (b == 0) & (over > ROUNDING * (penalty + np.sqrt(squares) * length * SETTLED))
        if not np.setdiff1d(np.flatnonzero(entering), active).size:
            break
        active = np.flatnonzero(entering | (b != 0))
    return b


def _settled(
    X: Array, b: Array, residual: Array, penalty: Array, squares: Array, active: Codes, enough: float
) -> Array:
    """Sweeps over some columns until none moves; ``b`` is changed in place, and the residual comes back."""
    if not len(active):
        return residual
    Z = np.asfortranarray(X[:, active])
    products, gradient, roots = Z.T @ Z, Z.T @ residual, np.sqrt(squares[active])
    own, bound, beta = squares[active], penalty[active], b[active]
    first, total = beta.copy(), gradient + products @ beta
    for sweep in range(1, SWEEPS + 1):
        furthest = 0.0
        for j in range(len(active)):
            at = gradient[j] + own[j] * beta[j]
            new = np.sign(at) * max(abs(at) - bound[j], 0.0) / own[j]
            if new != beta[j]:
                moved = new - beta[j]
                gradient -= products[:, j] * moved
                beta[j] = new
                furthest = max(furthest, abs(moved) * roots[j])
        if furthest <= enough:
            break
        if sweep % SOLVED == 0 and (exact := _exact(products, total, bound, beta)) is not None:
            beta = exact
            break
    b[active] = beta
    return np.asarray(residual - Z @ (beta - first))


def _exact(products: Array, total: Array, bound: Array, beta: Array) -> Array | None:
    """The minimum, where the coefficients that are not zero have their signs by now; None where they have not."""
    inside = beta != 0
    signs, out = np.sign(beta[inside]), np.zeros(len(beta))
    try:
        out[inside] = np.linalg.solve(products[np.ix_(inside, inside)], total[inside] - bound[inside] * signs)
    except np.linalg.LinAlgError:
        return None
    gradient = total - products @ out
    kept = np.array_equal(np.sign(out[inside]), signs)
    close = np.abs(gradient[inside] - bound[inside] * signs) <= ROUNDING * np.abs(total[inside])
    return out if kept and close.all() and (np.abs(gradient) <= bound + ROUNDING * np.abs(total)).all() else None


def logistic_lasso(X: Array, a: Array, penalty: Array) -> tuple[float, Array]:
    """``argmin sum_i [log(1 + exp(eta_i)) - a_i eta_i] + sum_j penalty_j |b_j|``, ``eta = intercept + X b``.

    Newton steps on the likelihood, each a lasso of its own, halved until the objective falls.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    a : ndarray, shape (n,)
        0 or 1, or shares.
    penalty : ndarray, shape (p,)

    Returns
    -------
    intercept : float
    b : ndarray, shape (p,)
    """
    from scipy.special import expit

    mean = float(a.mean())
    intercept, b = (
        float(np.log(mean) - np.log1p(-mean)) if 0 < mean < 1 else np.inf * (mean - 0.5),
        np.zeros(X.shape[1]),
    )
    if not np.isfinite(intercept):
        return intercept, b
    value = _objective(X, a, penalty, intercept, b)
    for _ in range(NEWTON):
        eta = intercept + X @ b
        p = expit(eta)
        w = np.maximum(p * (1 - p), LEAST)
        z = eta + (a - p) / w
        centre, root = w @ X / w.sum(), np.sqrt(w)
        target = lasso((X - centre) * root[:, None], (z - w @ z / w.sum()) * root, penalty, b)
        step, shift = target - b, float(w @ z / w.sum() - centre @ target) - intercept
        share, before = 1.0, value
        while True:
            value = _objective(X, a, penalty, intercept + share * shift, b + share * step)
            if value <= before or share < SETTLED:
                break
            share /= 2
        intercept, b = intercept + share * shift, b + share * step if share < 1 else target
        if np.abs(share * (shift + X @ step)).max() <= 1e-11:
            break
    return intercept, b


def _objective(X: Array, a: Array, penalty: Array, intercept: float, b: Array) -> float:
    eta = intercept + X @ b
    return float(np.logaddexp(0.0, eta).sum() - a @ eta + penalty @ np.abs(b))
