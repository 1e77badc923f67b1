"""Refits of a logistic regression: bare Newton steps from a solution nearby."""

from __future__ import annotations

import numpy as np

from causalformula.numerics.linalg import Floats, gram

# A step that moves no linear predictor by this much leaves an error of its square.
SMALL = 1e-8
# One that moves some by this much is not from a nearby solution.
FAR = 8.0


def warm_logit(X: Floats, a: Floats, s: Floats, start: Floats, *, maxit: int = 20) -> Floats | None:
    """Fitted probabilities under weights ``s``; None where the steps do not settle at once (a general solver must try).

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Without aliased columns.
    a : ndarray, shape (n,)
        Response, 0 or 1.
    s : ndarray, shape (n,)
        Weights.
    start : ndarray, shape (p,)
        Coefficients to start from.
    """
    from scipy.special import expit

    eta = X @ start
    for _ in range(maxit):
        p = expit(eta)
        try:
            step = np.linalg.solve(gram(X, s * p * (1 - p)), X.T @ (s * (a - p)))
        except np.linalg.LinAlgError:
            return None
        move = X @ step
        furthest = float(np.abs(move).max())
        if not furthest < FAR:
            return None
        eta = eta + move
        if furthest < SMALL:
            return np.asarray(expit(eta))
    return None
