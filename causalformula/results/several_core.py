"""``FitsCore``: several fits with their formulas, a sequence that is also read by formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar, overload

from causalformula.errors import OptionError, choose

T = TypeVar("T")


@dataclass(frozen=True, eq=False, repr=False)
class FitsCore(Generic[T]):
    """Fits of one call.

    Parameters
    ----------
    formulas : tuple of str
        One a fit.
    fits : tuple of Model or Result
    """

    formulas: tuple[str, ...]
    fits: tuple[T, ...]

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[T]:
        return iter(self.fits)

    @overload
    def __getitem__(self, which: int | str) -> T: ...
    @overload
    def __getitem__(self, which: slice) -> Self: ...
    def __getitem__(self, which: int | str | slice) -> T | Self:
        """A fit by its place or its formula; fits by a slice."""
        if isinstance(which, slice):
            return replace(self, formulas=self.formulas[which], fits=self.fits[which])
        if isinstance(which, str):
            if which not in self.formulas:
                raise OptionError(f"no fit {which!r}{choose(which, self.formulas, 'there are')}")
            return self.fits[self.formulas.index(which)]
        return self.fits[which]

    @property
    def names(self) -> tuple[str, ...]:
        """What heads the column of each fit: outcome and number, the outcome left out where it is the same in all."""
        outcomes = [formula.partition("~")[0].strip() for formula in self.formulas]
        same = len(set(outcomes)) == 1
        return tuple(f"({k + 1})" if same else f"{outcome} ({k + 1})" for k, outcome in enumerate(outcomes))

    def _each(self, change: Callable[[Any], Any]) -> Self:
        return replace(self, fits=tuple(change(fit) for fit in self.fits))


Sequence.register(FitsCore)
