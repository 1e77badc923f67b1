"""Sums, differences and multiples of fits, as operators: what a ``Result`` and a ``Model`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causalformula.results.result import Result


class Arithmetic:
    """``a - b``, ``a + b``, ``2 * a``, ``-a``: through the fits' influences, as ``cf.stack`` joins them.

    Effects are taken row by row, coefficients of models by their names.
    """

    def __sub__(self, other: Any) -> Result:
        """Difference between two fits on overlapping units; a fit minus 0 is itself."""
        from causalformula.results.combined import added

        return added(self, other, -1)

    def __add__(self, other: Any) -> Result:
        """Sum of two fits; a fit plus 0 is itself."""
        from causalformula.results.combined import added

        return added(self, other, 1)

    __radd__ = __add__

    def __rsub__(self, other: Any) -> Result:
        """Zero minus a fit is the fit with its sign changed."""
        from causalformula.results.combined import added

        found = added(self, other, -1)
        return found if found is NotImplemented else -found

    def __mul__(self, factor: Any) -> Result:
        """A multiple of a fit, with the same kind of covariance; ratios are multiplied as logarithms."""
        from causalformula.results.combined import multiplied

        return multiplied(self, factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Result:
        """A fit divided by a number."""
        from causalformula.results.combined import divided

        return divided(self, divisor)

    def __rtruediv__(self, other: Any) -> Result:
        """No fit: refused, with what to write instead."""
        from causalformula.results.combined import divided

        return divided(other, self)

    def __neg__(self) -> Result:
        """The fit with its sign changed."""
        return self * -1
