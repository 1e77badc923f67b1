"""Sets of trends: how far the difference in trends of treated and comparison units may depart from zero.

``delta`` is that difference at every period, zero at the reference. Each set is a union of polyhedra
``{delta: A delta <= d}`` (Rambachan and Roth 2023, section 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.errors import OptionError
from causalformula.numerics.arrays import Array

PARALLEL, LINEAR = "deviation from parallel trends", "deviation from linear trend"
BOUNDS = (PARALLEL, LINEAR)
KINDS = ("relative_magnitude", "smoothness")
DIRECTIONS = ("positive", "negative", "increasing", "decreasing")


@dataclass(frozen=True)
class Restriction:
    """Which trends are allowed, but for how large ``M`` is.

    Parameters
    ----------
    kind : {"relative_magnitude", "smoothness"}
    bound : str
        Of relative magnitudes: of what, first differences or second ones.
    direction : str or None
        The sign of the bias after treatment, or the direction of the trend.
    """

    kind: str
    bound: str
    direction: str | None

    def polyhedra(self, M: float, num_pre: int, num_post: int) -> list[tuple[Array, Array]]:
        """The polyhedra whose union is the set, each ``(A, d)``.

        Parameters
        ----------
        M : float
        num_pre, num_post : int

        Returns
        -------
        list of tuple of ndarray
            ``A`` (m, num_pre + num_post) and ``d`` (m,).
        """
        if self.kind == "smoothness":
            curve = second_differences(num_pre, num_post)
            found = [(np.vstack([curve, -curve]), np.full(2 * len(curve), float(M)))]
        else:
            found = self._relative(M, num_pre, num_post)
        more = self._directed(num_pre, num_post)
        return [(np.vstack([A, more]), np.append(d, np.zeros(len(more)))) for A, d in found]

    def _relative(self, M: float, num_pre: int, num_post: int) -> list[tuple[Array, Array]]:
        """One polyhedron a change before treatment and its sign: that is the largest, and bounds those after."""
        changes = (first_differences if self.bound == PARALLEL else second_differences)(num_pre, num_post)
        before = len(changes) - num_post
        if before < 1:
            raise OptionError(
                f"bound={LINEAR!r} compares with second differences before treatment, and num_pre={num_pre} has none: "
                f"two coefficients before treatment have one; or bound={PARALLEL!r}"
            )
        times = np.append(np.ones(before), np.full(num_post, float(M)))[:, None]
        found = []
        for largest in np.vstack([changes[:before], -changes[:before]]):
            A = np.vstack([changes - times * largest, -changes - times * largest])
            A = A[np.abs(A).any(axis=1)]
            found.append((A, np.zeros(len(A))))
        return found

    def _directed(self, num_pre: int, num_post: int) -> Array:
        """Rows of ``A delta <= 0`` that the direction adds."""
        if self.direction is None:
            return np.zeros((0, num_pre + num_post))
        if self.direction in ("positive", "negative"):
            rows = np.eye(num_pre + num_post)[num_pre:]
        else:
            rows = first_differences(num_pre, num_post)
        return -rows if self.direction in ("positive", "increasing") else rows


def first_differences(num_pre: int, num_post: int) -> Array:
    """``delta_{t+1} - delta_t`` in the order of time, as rows over the periods without the reference."""
    return _differences(num_pre, num_post, (-1.0, 1.0))


def second_differences(num_pre: int, num_post: int) -> Array:
    """``delta_{t+1} - 2 delta_t + delta_{t-1}`` in the order of time; the last ``num_post`` reach past treatment."""
    return _differences(num_pre, num_post, (1.0, -2.0, 1.0))


def _differences(num_pre: int, num_post: int, weights: tuple[float, ...]) -> Array:
    periods = num_pre + num_post + 1
    rows = np.array([np.pad(weights, (k, periods - len(weights) - k)) for k in range(periods - len(weights) + 1)])
    return np.delete(rows, num_pre, axis=1)
