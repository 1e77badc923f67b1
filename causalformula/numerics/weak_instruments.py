"""Inference where instruments may be weak: Anderson-Rubin sets in closed form, the effective F, the tF adjustment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.special import fdtrc, fdtri, ndtr, ndtri

from causalformula.numerics.arrays import Array

# A root whose imaginary part is below this share of it is real.
REAL = 1e-7
# Points of the tF critical values, and rounds of their fixed point.
GRID, ROUNDS = 1000, 50


@dataclass(frozen=True, eq=False)
class Reduced:
    """Coefficients of the excluded instruments in the reduced form and in the first stage of one endogenous column.

    Under ``H0: b`` the coefficients ``gamma - b pi`` are zero; their covariance is a quadratic in b.

    Parameters
    ----------
    gamma, pi : ndarray (m,)
        Of the outcome and of the endogenous column.
    of_gamma, both, of_pi : ndarray (m, m)
        ``V(b) = of_gamma - b both + b^2 of_pi``.
    df : float
        Denominator degrees of freedom of the test; ``inf`` for chi-squared.
    """

    gamma: Array
    pi: Array
    of_gamma: Array
    both: Array
    of_pi: Array
    df: float

    def covariance(self, b: float) -> Array:
        """Of ``gamma - b pi`` (m, m)."""
        return self.of_gamma - b * self.both + b**2 * self.of_pi

    def statistic(self, b: float) -> float:
        """The Anderson-Rubin statistic, an F with m degrees of freedom in the numerator."""
        g = self.gamma - b * self.pi
        return float(g @ np.linalg.solve(self.covariance(b), g)) / len(g)

    def p_value(self, b: float) -> float:
        """Of the test that the coefficient is b."""
        return upper_f(self.statistic(b), len(self.gamma), self.df)

    def confidence_set(self, level: float) -> tuple[tuple[float, float], ...]:
        """All b that the test does not reject: intervals in order, perhaps unbounded, perhaps none.

        Their ends are roots of ``|m c V(b) - g(b) g(b)'|``, a polynomial in b with matrices for coefficients: the
        eigenvalues of its companion.
        """
        m, scale = len(self.gamma), self._scale()
        c = m * critical_f(level, m, self.df)
        g, p = self.gamma, self.pi * scale
        Q = [
            c * self.of_gamma - np.outer(g, g),
            -c * self.both * scale + np.outer(g, p) + np.outer(p, g),
            c * self.of_pi * scale**2 - np.outer(p, p),
        ]
        ends = [scale * root for root in _real_roots(Q, self.of_gamma + scale**2 * self.of_pi)]
        return _joined([b for b in ends if np.isfinite(b)], lambda b: m * self.statistic(b) <= c)

    def _scale(self) -> float:
        """A coefficient of which one unit is neither large nor small."""
        known = np.trace(self.of_pi) > 0  # else the first stage leaves nothing
        size = float(np.sqrt(np.trace(self.of_gamma) / (np.trace(self.of_pi) if known else self.pi @ self.pi)))
        return size if np.isfinite(size) and size > 0 else 1.0


def _real_roots(Q: list[Array], unit: Array) -> list[float]:
    """The real t at which ``|Q0 + Q1 t + Q2 t^2|`` is zero."""
    from scipy.linalg import eig

    L = np.linalg.inv(np.linalg.cholesky(unit))
    Q0, Q1, Q2 = (L @ each @ L.T for each in Q)
    m = len(unit)
    zero, one = np.zeros((m, m)), np.eye(m)
    top = eig(np.block([[zero, one], [-Q0, -Q1]]), np.block([[one, zero], [zero, Q2]]), right=False)
    roots = top[np.isfinite(top)]
    real = roots[np.abs(roots.imag) <= REAL * np.maximum(np.abs(roots), 1e-12)].real
    return sorted(float(t) for t in real)


def _joined(ends: list[float], inside: Callable[[float], bool]) -> tuple[tuple[float, float], ...]:
    """Intervals between the ends in which a test holds, neighbours as one."""
    bounds = [-np.inf, *ends, np.inf]
    found: list[tuple[float, float]] = []
    for low, high in pairwise(bounds):
        if low == high or not inside(_between(low, high)):
            continue
        if found and found[-1][1] == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple(found)


def _between(low: float, high: float) -> float:
    if np.isinf(low) and np.isinf(high):
        return 0.0
    if np.isinf(low):
        return high - max(1.0, abs(high))
    if np.isinf(high):
        return low + max(1.0, abs(low))
    return (low + high) / 2


def upper_f(value: float, df1: float, df2: float) -> float:
    """``P(F > value)``; chi-squared over its degrees of freedom where the denominator has infinitely many."""
    from scipy.special import chdtrc

    if np.isnan(value) or df1 <= 0:
        return float("nan")
    return float(chdtrc(df1, df1 * value) if np.isinf(df2) else fdtrc(df1, df2, value))


def critical_f(level: float, df1: float, df2: float) -> float:
    """The value that an F is above with probability ``1 - level``."""
    from scipy.special import chdtri

    return float(chdtri(df1, 1 - level) / df1 if np.isinf(df2) else fdtri(df1, df2, level))


def effective_f(pi: Array, V: Array, information: Array) -> float:
    """Montiel Olea and Pflueger's effective F, ``pi' A pi / tr(V A)``.

    Parameters
    ----------
    pi : ndarray (m,)
        First-stage coefficients of the excluded instruments.
    V : ndarray (m, m)
        Their covariance, under any errors.
    information : ndarray (m, m)
        A: cross-products of the instruments, less what exogenous columns make of them.
    """
    return float(pi @ information @ pi / np.trace(V @ information))


def effective_critical(V: Array, information: Array, bias: float, level: float = 0.95) -> float:
    """The value that the effective F must exceed so that the worst bias is below a share of that of least squares.

    Their simplified, conservative one (Patnaik's approximation, the worst case bounded by one).

    Parameters
    ----------
    bias : float
        The share: 0.1 for a tenth.
    """
    from scipy.special import chndtrix

    values = np.linalg.eigvals(V @ information).real
    x = 1 / bias
    total, squares, largest = float(values.sum()), float((values**2).sum()), float(values.max())
    k = total**2 * (1 + 2 * x) / (squares + 2 * x * total * largest)
    return float(chndtrix(level, k, x * k) / k)


@lru_cache(maxsize=8)
def _tf_table(level: float) -> tuple[Array, Array]:
    """Square roots of F and the critical values of t there.

    With errors of both equations perfectly correlated, ``|t| = |f (f - f0)| / |f0|`` for ``f ~ N(f0, 1)``: the worst
    case. Critical values are such that it rejects with probability one minus the level whatever f0 is.
    """
    two, one = float(ndtri(0.5 + level / 2)), float(ndtri(level))
    last = one * two / (two - one)  # from there on the usual one holds
    f0 = np.concatenate([np.geomspace(1e-4, 0.2, GRID // 8)[:-1], np.linspace(0.2, last - one, GRID)])
    f = f0 + one
    for _ in range(ROUNDS):
        r = f * (f - f0) / f0
        low, high = np.full(len(f0), two), np.full(len(f0), 60.0)
        for _ in range(ROUNDS):
            middle = (low + high) / 2
            # their inverses are the smoother, as the values rise without bound
            inverse = np.where(middle < f[0], 0.0, np.interp(middle, f, 1 / r, right=1 / two))
            above = middle * (f0 + middle) / f0 * inverse > 1
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        f = f0 - ndtri(1 - level - ndtr(-high - f0))
    return f, f * (f - f0) / f0


def tf_critical(F: float, level: float = 0.95) -> float:
    """The critical value of t of one instrument, given the first stage's F (Lee, McCrary, Moreira and Porter 2022).

    Infinite where the F is below the square of the usual one.
    """
    f, r = _tf_table(level)
    root, usual = float(np.sqrt(F)), float(ndtri(0.5 + level / 2))
    if root <= f[0]:
        return float("inf")
    return max(float(1 / np.interp(root, f, 1 / r, right=1 / usual)), usual)
