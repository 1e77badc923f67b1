"""Sums, differences and multiples of fits, as operators: what a ``Result`` and a ``Model`` share."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def _combined() -> ModuleType:
    """What the operators do: a difference of models is a ``Result``, and both have these operators."""
    from causalformula.results import combined

    return combined


class Arithmetic:
    """``a - b``, ``a + b``, ``2 * a``, ``-a``: through the fits' influences, as ``cf.stack`` joins them.

    Effects are taken row by row, coefficients of models by their names.
    """

    def __sub__(self, other: Any) -> Any:
        """Difference between two fits on overlapping units; a fit minus 0 is itself."""
        return _combined().added(self, other, -1)

    def __add__(self, other: Any) -> Any:
        """Sum of two fits; a fit plus 0 is itself."""
        return _combined().added(self, other, 1)

    __radd__ = __add__

    def __rsub__(self, other: Any) -> Any:
        """Zero minus a fit is the fit with its sign changed."""
        found = _combined().added(self, other, -1)
        return found if found is NotImplemented else -found

    def __mul__(self, factor: Any) -> Any:
        """A multiple of a fit, with the same kind of covariance; ratios are multiplied as logarithms."""
        return _combined().multiplied(self, factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Any:
        """A fit divided by a number."""
        return _combined().divided(self, divisor)

    def __rtruediv__(self, other: Any) -> Any:
        """No fit: refused, with what to write instead."""
        return _combined().divided(other, self)

    def __neg__(self) -> Any:
        """The fit with its sign changed."""
        return self * -1
