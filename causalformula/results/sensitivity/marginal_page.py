"""``MarginalBounds``: the page of the marginal sensitivity model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.estimands import title_of
from causalformula.backends.fit import Label
from causalformula.numerics.arrays import Array
from causalformula.plots.bounds_over import Band, bounds_over
from causalformula.results.sensitivity.page import SensitivityPage
from causalformula.results.text.coefmat import Cells, limit_names
from causalformula.results.text.numbers import format_num
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DIGITS, SMOOTH = 4, 30


@dataclass(frozen=True, eq=False, repr=False)
class MarginalBounds(SensitivityPage):
    """Bounds of an effect over the factor by which unmeasured confounders may change the odds of treatment.

    Attributes
    ----------
    label : Label
        Of the effect.
    estimand, outcome : str
    estimate : float
    null : float
    gamma : ndarray (g,)
    bounds : ndarray (g, 2)
    limits : ndarray (g, 2) or None
        Of intervals that cover the whole range between the bounds; None without a bootstrap.
    level : float
        Of these.
    breakdown : float
        The factor at which the bounds reach the null; infinite where none does.
    breakdown_limit : float
        That at which the interval does; NaN without one.
    sharp : bool
        Whether the bounds are Dorn and Guo's, or Zhao, Small and Bhattacharya's.
    notes : tuple of str
    curve : callable
        Bounds at other factors.
    """

    label: Label
    estimand: str
    outcome: str
    estimate: float
    null: float
    gamma: Array
    bounds: Array
    limits: Array | None
    level: float
    breakdown: float
    breakdown_limit: float
    sharp: bool
    notes: tuple[str, ...]
    curve: Callable[[Array], Array]

    def tidy(self) -> pd.DataFrame:
        """One row a factor.

        Returns
        -------
        DataFrame
            ``term, contrast, gamma, estimate.low, estimate.high``, and with a bootstrap ``conf.low, conf.high``.
        """
        import pandas as pd

        found = pd.DataFrame({
            "term": self.label.term, "contrast": self.label.contrast, "gamma": self.gamma,
            "estimate.low": self.bounds[:, 0], "estimate.high": self.bounds[:, 1],
        })  # fmt: skip
        return found if self.limits is None else found.assign(**dict(zip(LIMITS, self.limits.T, strict=True)))

    @property
    def sentence(self) -> str:
        """What would have to be true to explain the effect away."""
        return " ".join(self._said())

    def _said(self) -> list[str]:
        share, tips = f"{100 * self.level:g}% interval", self.breakdown_limit
        if np.isinf(self.breakdown):
            said = [f"No factor on the odds of treatment takes the bounds of {self.estimate:.4g} to {self.null:g}."]
        else:
            said = [
                f"To explain the estimate of {self.estimate:.4g} away, unmeasured confounders would have to change the "
                f"odds of treatment by a factor of {self.breakdown:.4g} or more."
            ]
        if np.isnan(tips) or np.isinf(tips):
            return said
        if tips <= 1:
            return [*said, f"The {share} holds {self.null:g} without any."]
        return [*said, f"To take the {share} to {self.null:g}, they would have to by a factor of {tips:.4g}."]

    def summary(self) -> Summary:
        """The bounds, what explains them away, and notes."""
        how = "sharp (quantiles of the outcome balanced)" if self.sharp else "over all weights"
        return Summary((
            f"Sensitivity to unmeasured confounding: {title_of(self.estimand)} of {self.label.term} on {self.outcome}",
            "Marginal sensitivity model: the odds of treatment given all confounders differ by at most Gamma",
            f"from those given the observed ones      Bounds: {how}",
            "",
            self._table(),
            "",
            *self._sentences(),
            *(note if note.startswith("Intervals:") else f"Note: {note.removeprefix('Note: ')}" for note in self.notes),
        ))  # fmt: skip

    def _table(self) -> Cells:
        columns = [self.bounds] if self.limits is None else [self.bounds, self.limits]
        heads = ("Lower", "Upper", *(() if self.limits is None else limit_names(self.level)))
        values = np.column_stack(columns)
        texts = np.array(format_num(values.ravel(), DIGITS)).reshape(values.shape)
        rows = tuple(f"Gamma = {g:.4g}" for g in self.gamma)
        return Cells(rows, heads, tuple(map(tuple, texts.tolist())), legend=False)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the bounds over the factor, with their intervals where there are any, and where they reach the null.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.

        Returns
        -------
        Axes
        """
        most = max(float(self.gamma[-1]), 1.05 * self.breakdown if np.isfinite(self.breakdown) else 1.0, 1.1)
        x = np.linspace(1.0, most, SMOOTH)
        bands = [Band(*self.curve(x).T, "bounds of the estimate")]
        if self.limits is not None and len(self.gamma) > 1:
            low, high = (np.interp(x, self.gamma, side, np.nan, np.nan) for side in self.limits.T)
            bands.append(Band(low, high, f"{100 * self.level:g}% interval"))
        marks = {
            f"estimate: {self.estimate:.3g}": (1.0, self.estimate),
            f"estimate explained away at {self.breakdown:.3g}": (self.breakdown, self.null),
        }
        if self.breakdown_limit > 1:
            marks[f"interval at {self.breakdown_limit:.3g}"] = (self.breakdown_limit, self.null)
        ax = bounds_over(ax, x, tuple(bands), self.null, marks)
        ax.set_xlabel("Gamma: factor on the odds of treatment")
        ax.set_ylabel(f"Effect on {self.outcome}")
        return ax


LIMITS = ("conf.low", "conf.high")
