"""``Tipping``: the page of the confounder that would tip an effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import Label
from causalformula.inference.sensitivity.tipping import Imbalance, adjusted, tipping_outcome, tipping_treated
from causalformula.plots.tipping import tipping_lines
from causalformula.results.sensitivity.page import SensitivityPage
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_each
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from causalformula.numerics.arrays import Array

DIGITS, SMOOTH = 4, 200
# The picture's range of imbalances, in standard deviations and in shares.
WIDEST = 1.5


@dataclass(frozen=True)
class Observed:
    """An effect, and the limit of its interval that is nearer to no effect.

    Parameters
    ----------
    label : Label
    estimate, limit : float
        The limit is NaN where the interval holds no effect.
    null : float
    """

    label: Label
    estimate: float
    limit: float
    null: float

    @property
    def each(self) -> dict[str, float]:
        """What there is to tip."""
        return {"estimate": self.estimate} | ({} if np.isnan(self.limit) else {"limit": self.limit})


@dataclass(frozen=True, eq=False, repr=False)
class Tipping(SensitivityPage):
    """Confounders that would take an effect, or the limit of its interval, to no effect.

    Attributes
    ----------
    observed : tuple of Observed
    ratio : bool
        Whether effects are ratios.
    confounders : tuple of Imbalance
        Those that are asked about; empty where their imbalance is sought.
    control : float
        Their mean, or prevalence, among the controls.
    outcome : float or None
        Their effect on the outcome; None where that is sought.
    binary : bool
    level : float
    outcome_name : str
    dose : bool
        Whether doses are compared, rather than arms.
    notes : tuple of str
    """

    observed: tuple[Observed, ...]
    ratio: bool
    confounders: tuple[Imbalance, ...]
    control: float
    outcome: float | None
    binary: bool
    level: float
    outcome_name: str
    dose: bool = False
    notes: tuple[str, ...] = ()

    def tidy(self) -> pd.DataFrame:
        """One row an effect, or limit, and confounder, with tipr's names.

        Returns
        -------
        DataFrame
            ``term, contrast, tipped`` (``"estimate"`` or ``"limit"``), ``effect_observed``,
            ``exposure_confounder_effect`` (of a binary confounder ``exposed_confounder_prev`` and
            ``unexposed_confounder_prev``), ``confounder_outcome_effect``, ``effect_adjusted`` and
            ``n_unmeasured_confounders``, how many such confounders, independent of each other, tip it. NaN where no
            confounder of this kind tips it.
        """
        import pandas as pd

        return pd.DataFrame([row for one in self.observed for row in self._rows(one)])

    def _rows(self, one: Observed) -> list[dict[str, Any]]:
        rows = []
        for tipped, effect in one.each.items():
            for at, slope in self._pairs(effect, one.null):
                after = adjusted(effect, at, slope, self.ratio)
                spread = (
                    {"exposed_confounder_prev": at.treated, "unexposed_confounder_prev": at.control}
                    if self.binary
                    else {"exposure_confounder_effect": at.difference}
                )
                head = {"term": one.label.term, "contrast": one.label.contrast, "tipped": tipped}
                rows.append(
                    head | {"effect_observed": effect} | spread
                    | {"confounder_outcome_effect": slope, "effect_adjusted": after,
                       "n_unmeasured_confounders": self._count(effect, after, one.null)}
                )  # fmt: skip
        return rows

    def _pairs(self, effect: float, null: float) -> list[tuple[Imbalance, float]]:
        """Confounders with their effect on the outcome."""
        if self.outcome is None:
            return [(at, tipping_outcome(effect, at, null, self.ratio)) for at in self.confounders]
        if self.confounders:
            return [(at, self.outcome) for at in self.confounders]
        treated = tipping_treated(effect, self.control, self.binary, self.outcome, null, self.ratio)
        return [(Imbalance(treated, self.control, self.binary), self.outcome)]

    def _count(self, effect: float, after: float, null: float) -> float:
        scale = np.log if self.ratio else float
        whole, each = scale(effect) - scale(null), scale(effect) - scale(after)
        return float(whole / each) if each != 0 else np.inf

    @property
    def sentence(self) -> str:
        """What would have to be true to explain the effect away."""
        return " ".join(self._told())

    def _told(self) -> list[str]:
        return [text for one in self.observed for text in self._said(one)]

    def _said(self, one: Observed) -> list[str]:
        head = f"{one.label}: " if len(self.observed) > 1 else ""
        share = f"{100 * self.level:g}% interval"
        pairs = {what: self._middle(effect, one.null) for what, effect in one.each.items()}
        at, slope = pairs["estimate"]
        if self.outcome is not None and self.confounders:
            after = [
                f"the {what} would be {adjusted(one.each[what], *pair, self.ratio):.4g}" for what, pair in pairs.items()
            ]
            return [f"{head}If {self._like(at, slope)}, {' and '.join(after)}."]
        said = f"{head}A confounder explains the estimate of {one.estimate:.4g} away if {self._like(at, slope)}."
        if np.isnan([at.treated, slope]).any():
            said = f"{head}No such confounder explains the estimate of {one.estimate:.4g} away."
        if "limit" not in pairs:
            return [said, f"{head}The {share} holds {one.null:g} without any."]
        at, slope = pairs["limit"]
        known = not np.isnan([at.treated, slope]).any()
        what = "One" if said.endswith(" away.") else "It"
        return [
            said,
            *([f"{head}{what} takes the {share} to {one.null:g} if {self._like(at, slope)}."] if known else []),
        ]

    @property
    def _compared(self) -> str:
        return "the doses that are compared" if self.dose else "the arms"

    def _middle(self, effect: float, null: float) -> tuple[Imbalance, float]:
        pairs = self._pairs(effect, null)
        return pairs[len(pairs) // 2]

    def _like(self, at: Imbalance, slope: float) -> str:
        """A confounder in words."""
        spread = (
            f"{100 * at.treated:.3g}% of the treated and {100 * at.control:.3g}% of the controls have it"
            if self.binary
            else f"its mean differs by {at.difference:.3g} sd between {self._compared}"
        )
        each = "" if self.binary else " per sd"
        if self.ratio:
            return f"{spread} and it multiplies the mean of {self.outcome_name} by {slope:.4g}{each}"
        return f"{spread} and it changes {self.outcome_name} by {slope:.4g}{each}"

    def summary(self) -> Summary:
        """The table, what it says, and notes."""
        kind = "binary" if self.binary else "continuous, of standard deviation 1"
        sought = "effect on the outcome" if self.outcome is None else "imbalance" if not self.confounders else ""
        scale = "ratio of means" if self.ratio else "difference of means"
        return Summary((
            f"Tipping point: one unmeasured confounder ({kind})",
            f"Effect on {self.outcome_name}: a {scale}{sought and f'      Sought: its {sought}'}",
            "",
            self._table(),
            "",
            *self._sentences(),
            *(f"Note: {note}" for note in self.notes),
        ))  # fmt: skip

    def _table(self) -> Cells:
        table = self.tidy()
        spread = ["Treated", "Control"] if self.binary else ["Imbalance"]
        known = self.outcome is not None and bool(self.confounders)
        # where it is sought, what is left is no effect, by one confounder
        heads = ["Observed", *spread, "Outcome effect", *(["Adjusted", "How many tip it"] if known else [])]
        numbers = table.iloc[:, 3 : 3 + len(heads)].to_numpy(dtype=float)
        body = np.column_stack([format_each(column, DIGITS) for column in numbers.T])
        several = len(self.observed) > 1
        rows = [
            f"{f'{label} ' if several else ''}{tipped}"
            for label, tipped in zip(table["term"] + " " + table["contrast"], table["tipped"], strict=True)
        ]
        return Cells(tuple(rows), tuple(heads), tuple(map(tuple, body.tolist())), legend=False)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the confounders that tip the first effect, and the limit of its interval: imbalance against outcome.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.

        Returns
        -------
        Axes
        """
        one = self.observed[0]
        x = self._grid()
        lines = {
            f"takes the {what} of {effect:.3g} to {one.null:g}": self._line(effect, one.null, x)
            for what, effect in one.each.items()
        }
        marks = [(at.difference, slope) for at, slope in self._pairs(one.estimate, one.null)]
        if self.outcome is not None and self.confounders:
            marks = [(at.difference, self.outcome) for at in self.confounders]
        ax = tipping_lines(ax, x, lines, marks, self.ratio)
        arms = (
            f"share beyond the controls' {100 * self.control:.3g}%" if self.binary else f"sd between {self._compared}"
        )
        ax.set_xlabel(f"Imbalance of the confounder ({arms})")
        scale = "ratio" if self.ratio else "difference"
        ax.set_ylabel(f"Its effect on {self.outcome_name} ({scale})")
        return ax

    def _grid(self) -> Array:
        wide = 1 - self.control if self.binary else WIDEST
        asked = [abs(at.difference) for one in self.observed for at, _ in self._pairs(one.estimate, one.null)]
        finite = [d for d in asked if np.isfinite(d)]
        most = wide if self.binary else max([wide, *(1.2 * d for d in finite)])
        backward = bool(finite) and all(
            at.difference < 0 for one in self.observed for at, _ in self._pairs(one.estimate, one.null)
        )
        most = self.control if self.binary and backward else most
        x = np.linspace(most / SMOOTH, most, SMOOTH)
        return -x[::-1] if backward else x

    def _line(self, effect: float, null: float, x: Array) -> Array:
        shift = [Imbalance(self.control + d, self.control, self.binary) for d in x]
        return np.array([tipping_outcome(effect, at, null, self.ratio) for at in shift])
