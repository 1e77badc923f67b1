"""``Away``: what stands where an array of rows would, when the rows are not in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn, cast

from causalformula.errors import CapabilityError
from causalformula.numerics.arrays import Array


@dataclass(frozen=True)
class Away:
    """Rows that are elsewhere. Whatever asks for them learns where they are and what to do.

    Parameters
    ----------
    words : str
        Where they are: ``3 Parquet files (claims/*.parquet)``.
    """

    words: str

    def refuse(self, instead: str = "") -> NoReturn:
        """Say that rows are not in memory, and what there is instead.

        Raises
        ------
        CapabilityError
            Always.
        """
        raise CapabilityError(
            f"this needs every row in memory, and the rows are in {self.words}: fit to a sample of them (a million "
            "rows say nearly all that there is), or to cf.scan(data, limit=...) with a limit above the number of rows"
            + instead
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        self.refuse()

    def __len__(self) -> int:
        self.refuse()

    def __getitem__(self, key: Any) -> Any:
        self.refuse()

    def __iter__(self) -> Any:
        self.refuse()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks for these when it copies and pickles
            raise AttributeError(name)
        self.refuse()

    def _operate(self, other: Any) -> Any:
        self.refuse()

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _operate
    __matmul__ = __rmatmul__ = __pow__ = __gt__ = __ge__ = __lt__ = __le__ = _operate


def away(words: str) -> Array:
    """``Away``, as the array that it stands for."""
    return cast(Array, Away(words))
