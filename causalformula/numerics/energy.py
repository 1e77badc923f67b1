"""Energy balancing: a quadratic programme over pairwise distances."""

from __future__ import annotations

import numpy as np

from causalformula.errors import CapabilityError, ConvergenceError
from causalformula.numerics.arrays import Array
from causalformula.numerics.linalg import refuse_extreme

ACCURACY = 1e-9


def quadratic_programme(P: Array, q: Array, A: Array, b: Array, floor: float) -> Array:
    """Minimise ``w'Pw / 2 + q'w`` subject to ``A w = b`` and ``w >= floor``.

    Parameters
    ----------
    P : ndarray, shape (m, m)
        Symmetric, positive semidefinite on the constraint's null space.
    q : ndarray, shape (m,)
    A : ndarray, shape (k, m)
    b : ndarray, shape (k,)
    floor : float

    Raises
    ------
    CapabilityError
        If the solver (OSQP) is not installed.
    ConvergenceError
        If it does not reach its accuracy.
    """
    try:
        import osqp  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError as error:
        raise CapabilityError("energy balancing needs the solver OSQP: pip install 'causalformula[energy]'") from error
    from scipy import sparse

    m = len(q)
    rows = sparse.vstack([sparse.csc_matrix(A), sparse.identity(m)], format="csc")
    low, high = np.concatenate([b, np.full(m, floor)]), np.concatenate([b, np.full(m, np.inf)])
    solver = osqp.OSQP()
    solver.setup(
        sparse.triu(sparse.csc_matrix(P), format="csc"), q, rows, low, high,
        verbose=False, eps_abs=ACCURACY, eps_rel=ACCURACY, max_iter=100_000, polishing=True,
    )  # fmt: skip
    found = solver.solve(raise_error=False)
    if not str(found.info.status).startswith("solved"):
        raise ConvergenceError(f"the quadratic programme of energy balancing was not solved ({found.info.status})")
    return np.maximum(np.asarray(found.x, dtype=np.float64), floor)


def scaled_distances(X: Array, s: Array) -> Array:
    """Euclidean distances between rows, columns divided by their standard deviations, (n, n)."""
    from scipy.spatial.distance import cdist

    for j, column in enumerate(X.T):
        refuse_extreme(column, f"covariate {j + 1}")
    mean = s @ X / s.sum()
    spread = np.sqrt(s @ (X - mean) ** 2 / (s.sum() - 1))
    Z = X[:, spread > 0] / spread[spread > 0]
    return np.asarray(cdist(Z, Z))
