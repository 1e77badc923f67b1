"""``LinearSensitivity``: what omitted confounders could make of effects of a linear model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from causalformula.backends.options import one_of, shown
from causalformula.errors import OptionError, asks
from causalformula.inference.sensitivity.linear import Hypothesis, LinearEffect
from causalformula.numerics.arrays import Array
from causalformula.plots.omitted import extreme, strengths
from causalformula.results.sensitivity.linear_text import page, sensemakr_text, sentence
from causalformula.results.sensitivity.page import SensitivityPage, place_of
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from causalformula.numerics.arrays import HasArray

KINDS = ("contour", "extreme")
VALUES = ("estimate", "t")


@dataclass(frozen=True, eq=False, repr=False)
class LinearSensitivity(SensitivityPage):
    """How strong omitted confounders of a linear model would have to be; made by ``fit.sensitivity("linear")``.

    Attributes
    ----------
    labels : tuple of str
        Of the effects.
    effects : tuple of LinearEffect
        With their classical standard errors.
    asked : Hypothesis
        ``q``, ``alpha`` and ``reduce``.
    bounds : DataFrame
        A row an effect, benchmark and multiple: ``bound_label, r2dz.x, r2yz.dx, treatment, adjusted_estimate,
        adjusted_se, adjusted_t, adjusted_lower_CI, adjusted_upper_CI``. Limits have as many degrees of freedom as the
        regression, as in sensemakr's table; those of ``adjusted()`` one less, as in its ``adjusted_ci``.
    benchmarks : DataFrame
        A row an effect and benchmark: ``benchmark, treatment``, and its own partial R2 with the treatment,
        ``r2dxj.x``, and with the outcome, ``r2yxj.dx``.
    outcome : str
    formula : str
    notes : tuple of str
        What the numbers do not cover.
    """

    labels: tuple[str, ...]
    effects: tuple[LinearEffect, ...]
    asked: Hypothesis
    bounds: pd.DataFrame
    benchmarks: pd.DataFrame
    outcome: str
    formula: str
    notes: tuple[str, ...] = ()

    def tidy(self) -> pd.DataFrame:
        """One row an effect, with sensemakr's names.

        Returns
        -------
        DataFrame
            ``treatment, estimate, se, t_statistic`` (of the null hypothesis that ``q`` makes), ``r2yd.x`` (partial R2
            of the treatment with the outcome), ``rv_q, rv_qa`` (robustness values), ``f2yd.x, dof``.
        """
        import pandas as pd

        rows = [
            {
                "treatment": label, "estimate": one.estimate, "se": one.se,
                "t_statistic": one.t(self.asked.null(one.estimate)), "r2yd.x": one.r2,
                "rv_q": one.robustness(self.asked.q), "rv_qa": one.robustness(self.asked.q, self.asked.alpha),
                "f2yd.x": one.f2, "dof": one.df,
            }
            for label, one in zip(self.labels, self.effects, strict=True)
        ]  # fmt: skip
        return pd.DataFrame(rows)

    @asks
    def adjusted(
        self, r2dz_x: float | Sequence[float] | HasArray, r2yz_dx: float | Sequence[float] | HasArray
    ) -> pd.DataFrame:
        """The effects as they would be beside confounders of given strengths.

        Parameters
        ----------
        r2dz_x : float or sequence of float
            Share of the treatment's residual variance that they explain, below 1.
        r2yz_dx : float or sequence of float
            Share of the outcome's residual variance.

        Returns
        -------
        DataFrame
            A row an effect and strength: ``treatment, r2dz.x, r2yz.dx, bias, adjusted_estimate, adjusted_se,
            adjusted_t, adjusted_lower_CI, adjusted_upper_CI``, and ``critical_t``, the t without confounders that
            would stay significant beside these.

        Raises
        ------
        OptionError
            For what is no share.
        """
        import pandas as pd

        x, y = together(share("r2dz_x", r2dz_x, below=True), share("r2yz_dx", r2yz_dx))
        parts = []
        for label, one in zip(self.labels, self.effects, strict=True):
            found = one.adjusted(x, y, self.asked)
            columns = {
                "treatment": label, "r2dz.x": x, "r2yz.dx": y, "bias": one.bias(x, y),
                "adjusted_estimate": found.estimate, "adjusted_se": found.se, "adjusted_t": found.t,
                "adjusted_lower_CI": found.lower, "adjusted_upper_CI": found.upper,
                "critical_t": one.critical_t(x, y, self.asked.alpha),
            }  # fmt: skip
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    @property
    def sentence(self) -> str:
        """What would have to be true to explain the effects away."""
        several = len(self.labels) > 1
        named = zip(self.labels, self.effects, strict=True)
        return "\n".join(sentence(one, f"{label}: " if several else "", self.asked) for label, one in named)

    def summary(self) -> Summary:
        """What R prints for ``summary(sensemakr(...))``, and below it what the numbers do not cover."""
        texts = [
            sensemakr_text(one, label, self.formula, self.asked, self._of(self.bounds, label))
            for label, one in zip(self.labels, self.effects, strict=True)
        ]
        return Summary(("\n\n".join(texts), *([""] if self.notes else []), *(f"Note: {note}" for note in self.notes)))

    def _of(self, frame: pd.DataFrame, label: str) -> pd.DataFrame:
        return frame[frame["treatment"] == label]

    def plot(
        self,
        kind: Literal["contour", "extreme"] = "contour",
        *,
        of: Literal["estimate", "t"] = "estimate",
        effect: int = 0,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw what confounders of any strength would leave of an effect.

        Parameters
        ----------
        kind : {"contour", "extreme"}
            ``"contour"``: over their partial R2 with treatment and outcome, with the benchmarks as points and, thick,
            the null hypothesis. ``"extreme"``: over that with the treatment, for confounders that explain all, three
            quarters or half of what is left of the outcome.
        of : {"estimate", "t"}
            What is left: of the estimate, or of its t; the thick line of the latter is the critical value.
        effect : int
            Which row of ``tidy()``.
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.

        Returns
        -------
        Axes

        Raises
        ------
        OptionError
            For an unknown kind or effect.
        """
        one_of("kind", kind, KINDS), one_of("of", of, VALUES)
        place_of(effect, self.labels)
        label, one = self.labels[effect], self.effects[effect]
        rows = self._of(self.bounds, label)
        draw = strengths if kind == "contour" else extreme
        points = dict(zip(rows["bound_label"], zip(rows["r2dz.x"], rows["r2yz.dx"], strict=True), strict=True))
        ax = draw(ax, one, self.asked, of, points)
        ax.set_title(f"{label} on {self.outcome}", fontsize="medium")
        return ax

    def _page(self) -> Summary:
        return page(self)


def share(name: str, value: Any, below: bool = False) -> Array:
    """A share, or several.

    Raises
    ------
    OptionError
        For anything else; with ``below``, for a share of one too.
    """
    try:
        values = np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    logical = isinstance(value, (bool, np.bool_, str))
    inside = (values >= 0) & ((values < 1) if below else (values <= 1))
    if logical or values.ndim > 1 or not values.size or not inside.all():
        raise OptionError(f"{name}={shown(value)}: a share of variance from 0 to {'below ' * below}1, or several")
    return values


def together(x: Array, y: Array) -> tuple[Array, Array]:
    """Two vectors as long as each other; one number goes with all of the other.

    Raises
    ------
    OptionError
        Where they do not go together.
    """
    if len(x) != len(y) and 1 not in (len(x), len(y)):
        raise OptionError(f"r2dz_x has {len(x)} shares and r2yz_dx has {len(y)}: give as many, or one")
    most = max(len(x), len(y))
    return np.broadcast_to(x, most).copy(), np.broadcast_to(y, most).copy()
