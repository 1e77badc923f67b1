"""Oster's bias of a coefficient: unobserved confounders in proportion to the observed ones.

``Y = beta X + W1 + W2 + e``: ``W1`` the index of the observed controls, ``W2`` that of the unobserved, orthogonal to
it, and ``delta = (cov(W2, X) / var(W2)) / (cov(W1, X) / var(W1))``. With ``beta0, R0`` of the regression on ``X``
alone, ``beta1, R1`` of that with the controls, ``sy, sx`` the variances of ``Y`` and ``X``, ``tau`` that of ``X`` given
the controls, ``D = beta0 - beta1``, ``A = (R1 - R0) sy``, ``B = (rmax - R1) sy`` and the bias ``v = beta1 - beta``,

``delta (sx (D + v) - tau v) (B + tau v^2) = tau v (A + sx (D + v)^2 - tau v^2)``,

a cubic in ``v``, quadratic for ``delta = 1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array

# Roots are real whose imaginary part is below this share of them.
REAL = 1e-7
# A variance below this share of the outcome's is none.
NONE = 1e-9


@dataclass(frozen=True)
class Movement:
    """How a coefficient and R-squared move when the controls enter.

    Parameters
    ----------
    beta0, beta1 : float
        Without and with the controls.
    r0, r1 : float
        R-squared of both.
    sy, sx, tau : float
        Variances of the outcome, of the treatment, and of what the controls leave of it.
    """

    beta0: float
    beta1: float
    r0: float
    r1: float
    sy: float
    sx: float
    tau: float

    def _parts(self, rmax: float) -> tuple[float, float, float]:
        """``D``, ``A`` and ``B``."""
        return self.beta0 - self.beta1, (self.r1 - self.r0) * self.sy, (rmax - self.r1) * self.sy

    def delta(self, beta: float, rmax: float) -> float:
        """How strong selection on unobserved confounders would have to be for the effect to be ``beta``."""
        D, A, B = self._parts(rmax)
        v, sx, tau = self.beta1 - beta, self.sx, self.tau
        above = tau * v * (A + sx * (D + v) ** 2 - tau * v**2)
        below = (sx * (D + v) - tau * v) * (B + tau * v**2)
        return above / below if below != 0 else (0.0 if above == 0 else np.inf)

    def betas(self, delta: float, rmax: float) -> Array:
        """The effects at ``delta``, the one to report first.

        That is the nearest to the estimate among those in which the observed controls bias in the direction in which
        they are seen to (Oster's assumption 3); where there is none, the nearest of all.
        """
        D, A, B = self._parts(rmax)
        sx, tau = self.sx, self.tau
        spread = tau * (sx - tau)
        cubic = [(delta - 1) * spread, (delta - 2) * tau * D * sx, delta * B * (sx - tau) - tau * (A + sx * D**2)]
        cubic.append(delta * B * sx * D)
        found = _real_roots(np.array(cubic), self.scale)
        # where the observed index would have no variance, both sides are zero, and the root says nothing
        found = found[A + sx * (D + found) ** 2 - tau * found**2 > NONE * self.sy]
        if not len(found):
            return np.array([np.nan])
        seen = (sx * (D + found) - tau * found) * D >= 0
        return np.asarray(self.beta1 - found[np.lexsort((np.abs(found), ~seen))])

    @property
    def scale(self) -> float:
        """The size of a bias that these variances make sense of."""
        return float(np.sqrt(self.sy / self.tau))


def _real_roots(cubic: Array, scale: float) -> Array:
    """Real roots of a polynomial, whose variable is of a size; none where it is zero."""
    scaled = cubic * scale ** np.arange(len(cubic) - 1, -1, -1)
    largest = np.abs(scaled).max()
    if not largest > 0:
        return np.array([0.0])
    scaled = np.where(np.abs(scaled) > 1e-14 * largest, scaled, 0.0)
    roots = np.roots(scaled)
    real = roots[np.abs(roots.imag) <= REAL * np.maximum(np.abs(roots), 1e-300)].real
    return np.asarray(real * scale)
