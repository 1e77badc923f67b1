"""Instruments that are made of the treatment: its mean among the other rows of a group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.linalg import group_sums


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """One such instrument, and the columns that hold it.

    Parameters
    ----------
    label : str
        As it is written.
    codes : ndarray (n,) of int
        Groups of the rows.
    D : ndarray (n,)
        The column of the treatment.
    at : ndarray (c,) of int
        Which excluded instruments these are.
    factors : ndarray (n, c)
        What each multiplies the mean by; ones where it stands alone.
    raw : bool
        Whether the treatment is averaged as it is, and not its residual on the exogenous columns and absorbed effects.
    """

    label: str
    codes: Codes
    D: Array
    at: Codes
    factors: Array
    raw: bool

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.codes.max()) + 1

    def of_others(self, x: Array) -> Array:
        """Sums of rows (n, q) or (n,) over the other rows of the group."""
        return np.asarray(group_sums(x, self.codes, self.groups)[self.codes] - x)

    def alone(self, w: Array) -> Bools:
        """Rows without another row of positive weight in their group."""
        return self.of_others((w > 0).astype(float)) < 0.5

    def mean(self, r: Array, w: Array) -> Array:
        """The mean of ``r`` (n,) among the other rows, which there must be for rows of positive weight."""
        return np.asarray(self.of_others(w * r) / self._others(w))

    def _others(self, w: Array) -> Array:
        total = self.of_others(w)
        return np.where(total > 0, total, np.inf)

    def each(self, h: Array, mean: Array, w: Array) -> tuple[Array, Array]:
        """How ``sum_i h_i mean_i`` moves with each row's treatment, over its weight, and with its weight beside that.

        With ``mean_i = sum_k w_k r_k / S_i`` over the others of i and S their weight, these are
        ``u_k = sum_i h_i / S_i`` and ``- sum_i h_i mean_i / S_i`` over the others of k: (n, q) both.
        """
        a = h / self._others(w)[:, None]
        return self.of_others(a), -self.of_others(a * mean[:, None])
