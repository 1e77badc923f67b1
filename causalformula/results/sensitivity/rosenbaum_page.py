"""``RosenbaumBounds``: the page of what hidden bias does to matched pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.options import one_of
from causalformula.errors import CapabilityError, counted
from causalformula.inference.sensitivity.rosenbaum import Discordant, SignedRank, amplified, lost
from causalformula.plots.bounds_over import Band, bounds_over, curve_over
from causalformula.results.sensitivity.page import SensitivityPage
from causalformula.results.text.coefmat import Cells, limit_names
from causalformula.results.text.numbers import format_num
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from causalformula.numerics.arrays import Array

# Smaller p-values are printed as such.
LEAST = 1e-4
DIGITS, SMOOTH = 4, 60
SIDES = {"greater": "above 0", "less": "below 0", "two-sided": "other than 0"}
PICTURES = ("p_value", "estimate")


@dataclass(frozen=True, eq=False, repr=False)
class RosenbaumBounds(SensitivityPage):
    """Bounds of a test of matched pairs over the hidden bias in them; made by ``cf.rosenbaum()``.

    Attributes
    ----------
    title : str
    statistic : SignedRank or Discordant
    pairs : int
    gamma : ndarray (g,)
        Factors on the odds, within a pair, that one unit rather than the other is the treated.
    alpha : float
    alternative : str
    seen : bool
        Whether the side is that of the estimate, and was not chosen.
    notes : tuple of str
    """

    title: str
    statistic: SignedRank | Discordant
    pairs: int
    gamma: Array
    alpha: float
    alternative: str
    seen: bool
    notes: tuple[str, ...] = ()

    def _p_value(self, gamma: float, up: bool = True) -> float:
        """The largest or least p-value under a bias."""
        if self.alternative != "two-sided":
            return self.statistic.p_value(gamma, up, self.alternative == "greater")
        return min(1.0, 2 * min(self.statistic.p_value(gamma, up, greater) for greater in (True, False)))

    @cached_property
    def breakdown(self) -> float:
        """The factor at which the largest p-value reaches ``alpha``: 1 where it is there without bias."""
        return lost(self._p_value, self.alpha)

    def tidy(self) -> pd.DataFrame:
        """One row a factor.

        Returns
        -------
        DataFrame
            ``gamma, p.value.low, p.value.high``; of outcomes that are numbers also ``estimate.low, estimate.high``,
            Hodges and Lehmann's, and ``conf.low, conf.high``, of intervals that cover under any such bias.
        """
        import pandas as pd

        columns = {"gamma": self.gamma, "p.value.low": self._p(self.gamma, False), "p.value.high": self._p(self.gamma)}
        if isinstance(self.statistic, SignedRank):
            columns |= dict(zip(ESTIMATES, self._estimates(self.statistic, self.gamma), strict=True))
        return pd.DataFrame(columns)

    def _p(self, gammas: Array, up: bool = True) -> Array:
        return np.array([self._p_value(g, up) for g in gammas])

    def _estimates(self, statistic: SignedRank, gammas: Array) -> list[Array]:
        """Estimates below and above, and limits."""
        level = 1 - self.alpha
        made = [
            (statistic.estimate(g, False), statistic.estimate(g, True), statistic.limit(g, False, level),
             statistic.limit(g, True, level))
            for g in gammas
        ]  # fmt: skip
        return list(np.array(made).T)

    @property
    def sentence(self) -> str:
        """What would have to be true to explain the effect away."""
        return " ".join(self._said())

    def _said(self) -> list[str]:
        level, side, g = f"{100 * self.alpha:g}%", SIDES[self.alternative], self.breakdown
        if g == 1:
            p = self._p_value(1.0)
            return [f"Already without hidden bias there is no evidence of an effect {side} at {level} (p = {p:.3g})."]
        if np.isinf(g):
            return [f"No hidden bias that was tried takes the evidence of an effect {side} away at {level}."]
        odds = 2 * g
        return [
            f"To take the evidence of an effect {side} away at {level}, hidden bias would have to change the odds of "
            f"treatment within pairs by a factor of {g:.4g} or more.",
            f"So does a confounder that multiplies the odds of treatment by {odds:.3g} and those of the larger outcome "
            f"by {amplified(g, odds):.3g}.",
        ]

    def summary(self) -> Summary:
        """The bounds, the bias at which evidence is lost, and notes."""
        ranks = isinstance(self.statistic, SignedRank)
        test = "Wilcoxon's signed rank" if ranks else "McNemar's, exact"
        none = self.pairs - self.statistic.used
        sides = "two-sided" if self.alternative == "two-sided" else f"one-sided ({self.alternative})"
        seen = ", the side of the estimate" if self.seen else ""
        equal = f" ({counted(none, 'pair')} without a difference)" if none else ""
        kept = self.statistic.treated if isinstance(self.statistic, Discordant) else 0
        split = "" if ranks else f"; of {self.statistic.used} pairs that differ, in {kept} the treated has the outcome"
        return Summary((
            f"Rosenbaum bounds of hidden bias in matched pairs{self.title}",
            f"Pairs: {self.pairs}{equal}{split}",
            f"Test: {test}, {sides}{seen}",
            "Gamma: how much the odds of treatment of two paired units may differ",
            "",
            self._table(),
            "",
            *self._sentences(),
            *(f"Note: {note}" for note in self.notes),
        ))  # fmt: skip

    def _table(self) -> Cells:
        heads = ["p lower", "p upper"]
        columns = [[f"{p:.4f}" if p >= LEAST else "<0.0001" for p in self._p(self.gamma, up)] for up in (False, True)]
        if isinstance(self.statistic, SignedRank):
            heads += ["HL lower", "HL upper", *limit_names(1 - self.alpha)]
            values = np.array(self._estimates(self.statistic, self.gamma))
            texts = np.array(format_num(values.ravel(), DIGITS)).reshape(values.shape)
            columns += texts.tolist()
        rows = tuple(f"Gamma = {g:.4g}" for g in self.gamma)
        return Cells(rows, tuple(heads), tuple(zip(*columns, strict=True)), legend=False)

    def plot(self, kind: str = "p_value", *, ax: Axes | None = None) -> Axes:
        """Draw the largest p-value over the bias, or the estimates that it allows.

        Parameters
        ----------
        kind : {"p_value", "estimate"}
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.

        Returns
        -------
        Axes

        Raises
        ------
        CapabilityError
            For estimates of an outcome that is 0 and 1.
        """
        one_of("kind", kind, PICTURES)
        finite = np.isfinite(self.breakdown)
        x = np.linspace(1.0, max(float(self.gamma[-1]), 1.1 * self.breakdown if finite else 1.0, 1.5), SMOOTH)
        if kind == "p_value":
            marks = (
                {f"evidence lost at {self.breakdown:.3g}": (self.breakdown, self.alpha)} if self.breakdown > 1 else {}
            )
            lines = {"largest p-value": self._p(x), "least p-value": self._p(x, False)}
            ax = curve_over(ax, x, lines, self.alpha, marks)
            ax.set_ylabel(f"p-value (line at {self.alpha:g})")
        elif isinstance(self.statistic, SignedRank):
            low, high, below, above = self._estimates(self.statistic, x)
            bands = (Band(low, high, "Hodges-Lehmann"), Band(below, above, f"{100 * (1 - self.alpha):g}% interval"))
            ax = bounds_over(ax, x, bands, 0.0, {f"estimate: {low[0]:.3g}": (1.0, float(low[0]))})
            ax.set_ylabel("Effect, the same for all pairs")
        else:
            raise CapabilityError("an outcome that is 0 and 1 has no Hodges-Lehmann estimate; draw kind='p_value'")
        ax.set_xlabel("Gamma: factor on the odds of treatment within a pair")
        return ax


ESTIMATES = ("estimate.low", "estimate.high", "conf.low", "conf.high")
