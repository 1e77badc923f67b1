"""``AndersonRubin``: the effects that an Anderson-Rubin test does not reject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.numerics.weak_instruments import Reduced
from causalformula.results.text.numbers import format_each


@dataclass(frozen=True, eq=False, repr=False)
class AndersonRubin:
    """A confidence set that holds however weak the instruments are.

    Attributes
    ----------
    level : float
    intervals : tuple of (float, float)
        In order; ends may be infinite. None where every effect is rejected.
    label : str
        The effect.
    estimate : float
        The fit's, which lies in the set unless instruments disagree.
    vcov : str
        The covariance of the test.
    """

    level: float
    intervals: tuple[tuple[float, float], ...]
    form: Reduced
    slope: float
    label: str
    estimate: float
    vcov: str

    @property
    def kind(self) -> str:
        """``interval``, ``unbounded`` (one or two half-lines), ``everything`` or ``empty``."""
        if not self.intervals:
            return "empty"
        if self.intervals == ((-np.inf, np.inf),):
            return "everything"
        return "interval" if np.isfinite(self.intervals).all() else "unbounded"

    @property
    def df1(self) -> int:
        """Excluded instruments."""
        return len(self.form.gamma)

    @property
    def df2(self) -> float:
        """Denominator degrees of freedom; infinite for chi-squared."""
        return self.form.df

    def statistic(self, effect: float) -> float:
        """The F statistic of the test that the effect is ``effect``."""
        return self.form.statistic(effect / self.slope)

    def p_value(self, effect: float = 0.0) -> float:
        """Of the test that the effect is ``effect``."""
        return self.form.p_value(effect / self.slope)

    def __contains__(self, effect: float) -> bool:
        return any(low <= effect <= high for low, high in self.intervals)

    def __str__(self) -> str:
        percent = f"{100 * self.level:g}%"
        head = f"Anderson-Rubin {percent} confidence set of {self.label} ({self.vcov})"
        test = f"No effect: F = {self.statistic(0.0):.4g} on {self.df1} and {self.df2:g} DF, p = {self.p_value():.4g}"
        return "\n".join([head, "", self._said(), test])

    def _said(self) -> str:
        if self.kind == "empty":
            return "Empty: every effect is rejected, so the instruments contradict each other or the equation"
        if self.kind == "everything":
            return "Everything: no effect is rejected, so the instruments say nothing of it"
        pieces = " and ".join(_interval(low, high) for low, high in self.intervals)
        return pieces + ("" if self.kind == "interval" else "\nUnbounded: the instruments are weak")

    __repr__ = __str__


def _interval(low: float, high: float) -> str:
    left, right = (format_each([end], 5)[0].strip() if np.isfinite(end) else f"{end:+}" for end in (low, high))
    return f"[{left}, {right}]".replace("[-inf", "(-Inf").replace("+inf]", "Inf)")
