"""``Decomposition``: which comparisons, and which effects, the coefficient of a two-way regression is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.did.decomposition import Decomposed
from causalformula.errors import counted, some
from causalformula.frame.panel import Panel
from causalformula.plots.decomposition import comparisons
from causalformula.results.text.cobalt import table_text
from causalformula.results.text.notebook import Shown
from causalformula.results.text.numbers import format_num

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DIGITS = 4


@dataclass(frozen=True, eq=False, repr=False)
class Decomposition(Shown):
    """The coefficient of a treatment beside effects of units and periods, as weighted means.

    Attributes
    ----------
    parts : Decomposed
    panel : Panel
    outcome : str
    """

    parts: Decomposed
    panel: Panel
    outcome: str

    @property
    def coefficient(self) -> float:
        """That of ``y ~ treatment | unit + period``."""
        return self.parts.coefficient

    def to_frame(self) -> pd.DataFrame:
        """The comparisons, by their weights.

        Returns
        -------
        DataFrame
            ``treated, control`` (first treated periods, infinite for never), ``type``, ``estimate`` and ``weight``. The
            weights sum to one, and the estimates so weighted to the coefficient.
        """
        import pandas as pd

        rows = [
            {"treated": c.treated, "control": c.control, "type": c.kind, "estimate": c.estimate, "weight": c.weight}
            for c in self.parts.comparisons
        ]
        return pd.DataFrame(rows).sort_values("weight", ascending=False, ignore_index=True, kind="stable")

    @property
    def within(self) -> tuple[float, float]:
        """With covariates, weight and estimate of what these make differ between the units of one group.

        The coefficient is ``w e + (1 - w) m``, where m is the weighted mean of the comparisons. Without covariates the
        weight is zero.
        """
        return self.parts.within

    def by_type(self) -> pd.DataFrame:
        """Comparisons of a kind taken together.

        Returns
        -------
        DataFrame
            A row a ``type``: the sum of the weights, and the weighted mean of the estimates.
        """
        import pandas as pd

        rows = []
        for kind, part in self.to_frame().groupby("type"):
            total = float(part["weight"].sum())
            estimate = float((part["weight"] * part["estimate"]).sum() / total) if total > 0 else np.nan
            rows.append({"type": kind, "weight": total, "estimate": estimate})
        return pd.DataFrame(rows).sort_values("weight", ascending=False, ignore_index=True, kind="stable")

    def weights(self) -> pd.DataFrame:
        """Weights of the effects of groups in periods: the coefficient is a mean of these if trends are parallel.

        Returns
        -------
        DataFrame
            A row a group and period under treatment: ``group, time, weight, negative``. The weights sum to one; with
            negative ones the coefficient may be below zero though all effects are above it.
        """
        import pandas as pd

        parts = self.parts
        times = [self.panel.periods.levels[k] for k in parts.periods]
        return pd.DataFrame(
            {"group": parts.groups, "time": times, "weight": parts.weights, "negative": parts.weights < 0}
        )

    def __str__(self) -> str:
        table, weights = self.by_type(), self.parts.weights
        columns = [(name.capitalize(), format_num(table[name].to_numpy(), DIGITS)) for name in ("weight", "estimate")]
        coefficient = format_num(np.array([self.coefficient]), DIGITS)[0].strip()
        negative = weights < 0
        share = f"{abs(weights[negative].sum()):.3g}" if negative.any() else ""
        return "\n".join(
            [
                f"Two-way coefficient of {self.panel.treated} on {self.outcome}{self._given()}: {coefficient}",
                "",
                f"{counted(len(self.parts.comparisons), 'comparison')} of two groups (Goodman-Bacon)",
                table_text(table["type"].tolist(), columns),
                *self._of_covariates(),
                f"Of {counted(len(weights), 'effect')} of a group in a period, {int(negative.sum())} "
                + (
                    f"{'has' if negative.sum() == 1 else 'have'} a negative weight (together -{share})"
                    if negative.any()
                    else "have a negative weight"
                ),
                *self._told(table),
                *(f"Note: {note}" for note in self.parts.notes),
            ]
        )

    def _given(self) -> str:
        """The covariates beside the treatment."""
        return f", given {some(self.parts.given)}" if self.parts.given else ""

    def _of_covariates(self) -> list[str]:
        """What covariates make differ within groups."""
        weight, estimate = self.within
        if not weight:
            return []
        number = format_num(np.array([estimate]), DIGITS)[0].strip()
        return [
            f"These have {100 * (1 - weight):.4g}% of the weight; the others are of differences within groups by the",
            f"covariates, with the estimate {number}",
        ]

    def _told(self, table: pd.DataFrame) -> list[str]:
        """What comparisons with those treated already mean."""
        later = table["type"].str.startswith("Later") | (table["type"] == "Both Treated")
        share = float(table["weight"][later].sum())
        if share <= 0:
            return []
        if (table["type"] == "Both Treated").any():
            return [f"{100 * share:.3g}% of the weight is of comparisons of two groups that both come to be treated"]
        return [
            f"{100 * share:.3g}% of the weight is of comparisons with groups that are under treatment already: they",
            "are differences of effects where effects change over time",
        ]

    def __repr__(self) -> str:
        return str(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the comparisons' estimates by their weights, and a line at the coefficient.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.

        Returns
        -------
        Axes
        """
        table = self.to_frame()
        kinds = {
            str(kind): (part["weight"].to_numpy(), part["estimate"].to_numpy())
            for kind, part in table.groupby("type", sort=False)
        }
        return comparisons(ax, kinds, self.coefficient, self.outcome)
