"""A design under a counterfactual: only the columns that change are kept, so that n = 1e6 stays cheap."""

from __future__ import annotations

from dataclasses import dataclass

from causalformula.numerics.arrays import Array, Codes


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The columns of a design that differ when a variable is set to something else.

    Parameters
    ----------
    columns : ndarray (c,) of int
        Which columns of the design involve the variable.
    values : ndarray (n, c)
        Their values under the setting.
    """

    columns: Codes
    values: Array

    def apply(self, X: Array) -> Array:
        """The whole design under the setting."""
        out = X.copy(order="F")
        out[:, self.columns] = self.values
        return out
