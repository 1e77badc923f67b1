"""``OsterBias``: the page of selection on unobserved confounders in proportion to that on observed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.inference.sensitivity.oster import Movement
from causalformula.plots.bounds_over import solved_over
from causalformula.results.sensitivity.page import SensitivityPage
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_each
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DIGITS, SMOOTH = 4, 801
MUST = "selection on unobserved confounders must be"
# The picture marks no delta beyond this.
FURTHEST = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class OsterBias(SensitivityPage):
    """Oster's bias-adjusted coefficient, and how strong selection would have to be for another effect.

    Attributes
    ----------
    term, outcome : str
    moved : Movement
        The coefficient and R-squared without and with the controls.
    rmax, delta, beta : float
        What was asked for.
    notes : tuple of str
    """

    term: str
    outcome: str
    moved: Movement
    rmax: float
    delta: float
    beta: float
    notes: tuple[str, ...] = ()

    @property
    def adjusted(self) -> float:
        """The coefficient at ``delta``."""
        return float(self.moved.betas(self.delta, self.rmax)[0])

    @property
    def solutions(self) -> tuple[float, ...]:
        """All coefficients at ``delta``: the equation is a cubic, for ``delta = 1`` a quadratic."""
        return tuple(self.moved.betas(self.delta, self.rmax).tolist())

    @property
    def breakdown(self) -> float:
        """The ``delta`` at which the effect is ``beta``."""
        return self.moved.delta(self.beta, self.rmax)

    def tidy(self) -> pd.DataFrame:
        """One row.

        Returns
        -------
        DataFrame
            ``term``; ``estimate.uncontrolled, r.squared.uncontrolled, estimate, r.squared``; ``rmax, delta`` and the
            coefficient that they give, ``estimate.adjusted``; ``beta``, and the ``delta.beta`` that gives it.
        """
        import pandas as pd

        row = {
            "term": self.term, "estimate.uncontrolled": self.moved.beta0, "r.squared.uncontrolled": self.moved.r0,
            "estimate": self.moved.beta1, "r.squared": self.moved.r1, "rmax": self.rmax, "delta": self.delta,
            "estimate.adjusted": self.adjusted, "beta": self.beta, "delta.beta": self.breakdown,
        }  # fmt: skip
        return pd.DataFrame([row])

    @property
    def sentence(self) -> str:
        """What would have to be true to explain the effect away."""
        found = self.breakdown
        whole = (
            f"For the effect of {self.term} on {self.outcome} to be {self.beta:.4g} rather than {self.moved.beta1:.4g}"
        )
        if not np.isfinite(found):
            return f"{whole}, no selection on unobserved confounders is enough at rmax = {self.rmax:.4g}."
        if found < 0:
            return f"{whole}, {MUST} {abs(found):.4g} times that on observed ones and the other way (delta < 0)."
        return f"{whole}, {MUST} {found:.4g} times that on observed ones (delta)."

    def summary(self) -> Summary:
        """How the coefficient moves, what it would be, and what would explain it away."""
        numbers = [
            (self.moved.beta0, self.moved.r0), (self.moved.beta1, self.moved.r1), (self.adjusted, self.rmax)
        ]  # fmt: skip
        texts = [format_each([row[k] for row in numbers], DIGITS) for k in (0, 1)]
        rows = ("Without controls", "With controls", f"Adjusted, delta = {self.delta:.4g}")
        others = [f"{value:.4g}" for value in self.solutions[1:]]
        more = [f"Note: the equation has other solutions: {', '.join(others)}"] if others else []
        return Summary((
            f"Selection on unobserved confounders like that on observed ones (Oster): {self.term} on {self.outcome}",
            f"rmax = {self.rmax:.4g}, the R-squared with all confounders",
            "",
            Cells(rows, ("Estimate", "R-squared"), tuple(zip(*texts, strict=True)), legend=False),
            "",
            *self._sentences(),
            *more,
            *(f"Note: {note}" for note in self.notes),
        ))  # fmt: skip

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the coefficient over ``delta``, at ``rmax`` and at 1, and where it is ``beta``.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.

        Returns
        -------
        Axes
        """
        found = self.breakdown
        shown = [value for value in (self.delta, found) if np.isfinite(value) and abs(value) <= FURTHEST]
        ends = [0.0, *(1.2 * value for value in shown)]
        values = [self.moved.beta1, *([self.beta] if found in shown else []), *([self.adjusted] if shown else [])]
        reach = max(np.ptp(values), abs(self.moved.beta0 - self.moved.beta1))
        beta = np.linspace(min(values) - reach, max(values) + reach, SMOOTH)
        lines = {
            f"rmax = {rmax:.3g}": np.array([self.moved.delta(value, rmax) for value in beta])
            for rmax in dict.fromkeys((self.rmax, 1.0))
        }
        marks = {
            f"with controls: {self.moved.beta1:.3g}": (0.0, self.moved.beta1),
            f"delta = {self.delta:.3g}: {self.adjusted:.3g}": (self.delta, self.adjusted),
        }
        if found in shown:
            marks[f"{self.beta:.3g} at delta = {found:.3g}"] = (found, self.beta)
        ax = solved_over(ax, beta, lines, (min(ends), max(ends)), self.beta, marks)
        ax.set_xlabel("delta: selection on unobserved beside that on observed confounders")
        ax.set_ylabel(f"Effect of {self.term} on {self.outcome}")
        return ax
