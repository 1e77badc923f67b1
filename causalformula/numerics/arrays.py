"""Names for the kinds of array that the package passes about."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Whole numbers that index: row positions, codes of levels and groups.
Codes = NDArray[np.intp]
# Codes of any width, as factors hold them.
Integers = NDArray[np.signedinteger[Any]]


class HasArray(Protocol):
    """What numpy reads as an array, as a DataFrame is."""

    def __array__(self) -> NDArray[Any]:
        """The numbers."""
        ...
