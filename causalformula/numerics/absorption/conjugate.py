"""Conjugate gradients for several right-hand sides at once, until the columns that they demean are exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalformula.numerics.arrays import Array

# Error of a demeaned column, as a share of its length, at which steps end,
TOLERANCE = 1e-11
# or as a share of the length that it had, of which rounding is left.
ROUNDING = 1e-13
# Residuals below this share are rounding.
NOISE = 1e-14
# Steps over which the decrease to come is summed up.
LOOK_AHEAD = 5
MOST_STEPS = 10_000

# Takes (m, k) to as much.
Product = Callable[[Array], Array]


def conjugate_gradients(
    times: Product, precondition: Product, b: Array, square: Array, whole: Array, most: int = MOST_STEPS
) -> tuple[Array, int, bool]:
    """Solve ``S x = b`` for a consistent system.

    A step lowers the squared length of a demeaned column by ``alpha r'z``, and its squared error is the sum of the
    decreases to come, of which the last few are an estimate (Strakos and Tichy, 2002): no bound on the spectrum of
    ``S`` is needed.

    Parameters
    ----------
    times : callable
        The product of ``S`` with (m, k).
    precondition : callable
        The product of about the inverse of ``S``.
    b : ndarray, shape (m, k)
    square : ndarray, shape (k,)
        Squared lengths of the columns at ``x = 0``.
    whole : ndarray, shape (k,)
        Squared lengths of the columns as they were given, by whose share rounding is judged.
    most : int
        Steps that are taken at most.

    Returns
    -------
    x : ndarray, shape (m, k)
    iterations : int
    converged : bool
        Of every column.
    """
    x, r = np.zeros_like(b), b.copy()
    z = precondition(r)
    p, rz = z.copy(), _dots(r, z)
    floor, noise = ROUNDING**2 * whole, NOISE**2 * whole
    recent: list[Array] = []
    for step in range(1, most + 1):
        q = times(p)
        # what is left of a residual in the end is rounding, which where S is singular gives steps longer than any
        alpha = _ratio(rz, _dots(p, q))
        alpha[(rz <= noise) | (alpha * rz > whole)] = 0.0
        x += alpha * p
        r -= alpha * q
        recent = [*recent[1 - LOOK_AHEAD :], alpha * rz]
        square = square - recent[-1]
        if len(recent) == LOOK_AHEAD and (sum(recent) <= np.maximum(TOLERANCE**2 * square, floor)).all():
            return x, step, True
        z = precondition(r)
        new = _dots(r, z)
        p = z + _ratio(new, rz) * p
        rz = np.where(alpha > 0, new, 0.0)
    return x, most, False


def _dots(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->j", a, b))


def _ratio(above: Array, below: Array) -> Array:
    """Quotients; 0 where there is nothing below."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)
