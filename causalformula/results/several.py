"""``Fits``: what a formula gives that stands for several, as fixest writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from causalformula.errors import asks
from causalformula.formula.language.stepwise import several
from causalformula.frame.rows import check_env
from causalformula.inference.request_text import spoken
from causalformula.inference.requests import Vcov
from causalformula.inference.small_sample import SmallSample
from causalformula.plots import forest
from causalformula.results.several_core import FitsCore
from causalformula.results.table import Table, table
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

T = TypeVar("T")
# What the print has of each fit below its estimates.
SHOWN = ("nobs", "r.squared", "within.r.squared", "pseudo.r.squared")


@dataclass(frozen=True, eq=False, repr=False)
class Fits(FitsCore[T]):
    """Several fits of one call, for ``c(y1, y2) ~ ...`` and ``sw() csw() sw0() csw0()``: a sequence of them.

    ``fits[0]`` is the first and ``fits["y ~ x"]`` that of a formula; ``cf.table(fits)`` sets them side by side, as they
    print.

    Attributes
    ----------
    formulas : tuple of str
        One a fit: those with the same fixed effects stand together, among them those of one outcome.
    fits : tuple of Model or Result
    """

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """The estimates of all fits, one below the other, with the column ``formula`` first.

        Parameters
        ----------
        level : float
            Of the limits.

        Returns
        -------
        DataFrame
        """
        return self._stacked([fit.tidy(level=level) for fit in self.fits])  # type: ignore[attr-defined]

    def glance(self) -> pd.DataFrame:
        """One row a fit, with the column ``formula`` first."""
        return self._stacked([fit.glance() for fit in self.fits])  # type: ignore[attr-defined]

    def _stacked(self, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
        import pandas as pd

        for frame, formula in zip(frames, self.formulas, strict=True):
            frame.insert(0, "formula", formula)
        return pd.concat(frames, ignore_index=True)

    @asks
    def with_vcov(self, vcov: Vcov | None, ssc: SmallSample | None = None) -> Fits[T]:
        """The same fits with another covariance.

        Parameters
        ----------
        vcov, ssc
            As of a fit.

        Returns
        -------
        Fits
        """
        return self._each(lambda fit: fit.with_vcov(vcov, ssc))

    def plot(self, ax: Axes | None = None, level: float = 0.95, intercept: bool = False) -> Axes:
        """Draw the estimates of all fits side by side, with their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        level : float
            Of the intervals.
        intercept : bool
            Whether intercepts are drawn.

        Returns
        -------
        Axes
        """
        return forest.coefficients(dict(zip(self.names, self.fits, strict=True)), ax, level, intercept)

    def summary(self, level: float | None = None) -> Summary:
        """The summary of each fit below its formula.

        Parameters
        ----------
        level : float, optional
            Of limits that are appended, as of a fit.

        Returns
        -------
        Summary
        """
        parts: list[Any] = []
        for name, formula, fit in zip(self.names, self.formulas, self.fits, strict=True):
            own = fit.summary(level=level) if level is not None else fit.summary()  # type: ignore[attr-defined]
            parts += [f"{name}: {formula}", *own.parts]
        return Summary(tuple(parts))

    def _table(self) -> tuple[Table, list[str]]:
        """Estimates, counts and shares of variance; and the covariance, where all have the same."""
        facts = self.glance()
        kinds = facts["vcov"].unique()
        shown = [name for name in SHOWN if name in facts and facts[name].notna().any()]
        if len(kinds) > 1:
            return table(cast(Sequence[T], self), glance=[*shown, "vcov"]), []
        return table(cast(Sequence[T], self), glance=shown), [f"Standard errors: {spoken(kinds[0])}"]

    def __repr__(self) -> str:
        found, said = self._table()
        lines = [f"{name}: {formula}" for name, formula in zip(self.names, self.formulas, strict=True)]
        return "\n".join([f"{len(self)} fits", *lines, *said, str(found)])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return self._table()[0].as_html()


def listed(formula: Any, env: Any) -> tuple[str, ...] | None:
    """The formulas that a text stands for; None for one formula, or what is no text."""
    check_env(env)
    return several(formula, tuple(env or ())) if isinstance(formula, str) else None


def each(formulas: Sequence[str], fit: Callable[[str], T]) -> Fits[T]:
    """A fit of each formula."""
    return Fits(tuple(formulas), tuple(fit(formula) for formula in formulas))
