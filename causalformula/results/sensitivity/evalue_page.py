"""``EValues``: how strongly a confounder must be related to treatment and outcome to explain effects away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.inference.sensitivity.evalue import Ratio
from causalformula.numerics.arrays import Array
from causalformula.plots.evalues import joint_strengths
from causalformula.results.sensitivity.evalue import as_frame
from causalformula.results.sensitivity.page import SensitivityPage, place_of
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_num
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DIGITS = 4
MEASURES = {
    "difference": "differences", "ratio": "risk ratios", "log_ratio": "logarithms of risk ratios",
    "odds_ratio": "odds ratios", "log_odds_ratio": "logarithms of odds ratios",
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class EValues(SensitivityPage):
    """E-values of effects; made by ``fit.sensitivity("evalue")``.

    Attributes
    ----------
    labels : tuple of str
    ratios : tuple of Ratio
        The effects as risk ratios, with their limits, and what they are compared with.
    estimates : ndarray (q,)
        The effects as the fit has them.
    outcome : str
    measure : str
        Of the fit.
    level : float
        Of the limits.
    notes : tuple of str
        How they were turned into risk ratios.
    """

    labels: tuple[str, ...]
    ratios: tuple[Ratio, ...]
    estimates: Array
    outcome: str
    measure: str
    level: float
    notes: tuple[str, ...] = ()

    def tidy(self) -> pd.DataFrame:
        """Rows ``point`` and ``limit``, below the effect's name where there are several, as of ``cf.evalue``.

        Returns
        -------
        DataFrame
            ``RR``, the effect or its limit as a risk ratio, and ``evalue``: NaN where there is no limit, and 1 where
            the interval contains no effect.
        """
        import pandas as pd

        if len(self.ratios) == 1:
            return as_frame(self.ratios[0])
        return pd.concat({label: as_frame(one) for label, one in zip(self.labels, self.ratios, strict=True)})

    @property
    def sentence(self) -> str:
        """What would have to be true to explain the effects away."""
        several = len(self.labels) > 1
        named = zip(self.labels, self.ratios, strict=True)
        return "\n".join(sentence(one, f"{label}: " if several else "", self.level) for label, one in named)

    def summary(self) -> Summary:
        """The table, what would have to be true, and how effects were turned into risk ratios."""
        title = self.labels[0] if len(self.labels) == 1 else "effects"
        rows = {
            "Estimate": self.estimates, "RR": [one.point for one in self.ratios],
            "RR of limit": [one.limit for one in self.ratios], "E-value": [one.evalue for one in self.ratios],
            "E-value of limit": [one.limit_evalue for one in self.ratios],
        }  # fmt: skip
        columns = {name: format_num(np.asarray(values, dtype=float), DIGITS) for name, values in rows.items()}
        body = tuple(tuple(column[k] for column in columns.values()) for k in range(len(self.labels)))
        parts: list[str | Cells] = [
            f"E-values: {title} on {self.outcome}",
            f"Effects: {MEASURES[self.measure]}      Limits: {100 * self.level:g}%",
            "",
            Cells(self.labels, tuple(columns), body, legend=False),
            "",
            *self._sentences(),
            *(f"Note: {note}" for note in self.notes),
        ]
        return Summary(tuple(parts))

    def plot(self, effect: int = 0, *, ax: Axes | None = None) -> Axes:
        """Draw which pairs of risk ratios of a confounder explain an effect away, and which its limit.

        Parameters
        ----------
        effect : int
            Which of the effects, counted from 0.
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.

        Returns
        -------
        Axes

        Raises
        ------
        OptionError
            For an effect that there is not.
        """
        place_of(effect, self.labels)
        ax = joint_strengths(ax, self.ratios[effect])
        ax.set_title(f"{self.labels[effect]} on {self.outcome}", fontsize="medium")
        return ax


def sentence(one: Ratio, head: str, level: float) -> str:
    """What would have to be true to explain an effect away."""
    to = "explain it away" if one.true == 1 else f"take it to a risk ratio of {one.true:.4g}"
    text = (
        f"{head}To {to}, an unmeasured confounder would have to be related to both the treatment and the outcome by a "
        f"risk ratio of {one.evalue:.3g} each, beside the measured covariates; a weaker one cannot."
    )
    return text + _of_limit(one, level)


def _of_limit(one: Ratio, level: float) -> str:
    if np.isnan(one.limit_evalue):
        return ""
    if one.limit_evalue == 1:
        return f" The {100 * level:g}% interval contains that already."
    return f" For the {100 * level:g}% interval to contain that, {one.limit_evalue:.3g} each is enough."
