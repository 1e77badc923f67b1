"""``TrendSensitivity``: intervals for an effect under trends that are not parallel, and where they reach no effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.options import is_number
from causalformula.errors import CapabilityError, OptionError
from causalformula.inference.checks import shown
from causalformula.inference.honest.intervals import honest_limits, magnitude_bounds
from causalformula.inference.honest.restrictions import Restriction
from causalformula.inference.honest.study import EventStudy
from causalformula.numerics.arrays import Array
from causalformula.plots.intervals_by import intervals_by
from causalformula.results.honest.page import page
from causalformula.results.text.summary import Summary, Written

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Beyond the largest M that was asked for, it is doubled so often in search of a breakdown.
DOUBLINGS = 12
# A breakdown is found to this share of itself.
EXACT = 1e-4


@dataclass(frozen=True, eq=False, repr=False)
class TrendSensitivity(Written):
    """Intervals for an effect under violations of parallel trends; made by ``cf.honest()``.

    Attributes
    ----------
    study : EventStudy
        Coefficients, their covariance, and how many are of periods before and after treatment.
    target : ndarray (num_post,)
        Weights of the periods after treatment that make the effect.
    restriction : Restriction
        The kind, bound and direction that were asked for.
    method : str
        ``"FLCI"``, ``"C-LF"`` or ``"conditional"``.
    alpha : float
    seed : int
        Of the least favourable critical values.
    M : ndarray (m,)
        In increasing order.
    lower, upper : ndarray (m,)
        The limits: NaN where no value of the effect agrees with restriction and coefficients, infinite where no end was
        found.
    notes : tuple of str
        What is to be known of the coefficients, the notes of their fit among it.
    """

    study: EventStudy
    target: Array
    restriction: Restriction
    method: str
    alpha: float
    seed: int
    M: Array
    lower: Array
    upper: Array
    notes: tuple[str, ...] = ()

    @property
    def original(self) -> tuple[float, float]:
        """The usual interval, which takes trends for parallel."""
        from scipy.special import ndtri

        weights = self.study.whole(self.target)
        estimate, se = float(weights @ self.study.betas), self.study.std_error(weights)
        half = -float(ndtri(self.alpha / 2)) * se
        return estimate - half, estimate + half

    def to_frame(self) -> pd.DataFrame:
        """One row a value of M.

        Returns
        -------
        DataFrame
            ``M, lower, upper, method``.
        """
        import pandas as pd

        return pd.DataFrame({"M": self.M, "lower": self.lower, "upper": self.upper, "method": self.method})

    def breakdown(self, null: float = 0.0) -> float:
        """The smallest M whose interval contains a value.

        Parameters
        ----------
        null : float

        Returns
        -------
        float
            0 where the interval contains it without any violation; infinite where none was found, up to 4096 times the
            largest M. Values of M between those of ``to_frame()`` are searched by halving.

        Raises
        ------
        OptionError
            Where ``null`` is no number.
        """
        if not is_number(null):
            raise OptionError(f"null must be a number, not {shown(null)}")
        return self._at_zero if null == 0 else _breakdown(self, float(null))

    @cached_property
    def _at_zero(self) -> float:
        return _breakdown(self, 0.0)

    def bounds(self) -> tuple[float, float]:
        """What the periods before treatment say of M under smoothness: a lower and an upper confidence bound.

        Each is one-sided, of level ``1 - alpha``, for the largest second difference before treatment. Nothing in the
        data bounds that after it.

        Returns
        -------
        tuple of float

        Raises
        ------
        CapabilityError
            For relative magnitudes, whose M has no units, and with one coefficient before treatment.
        """
        if self.restriction.kind != "smoothness":
            raise CapabilityError(
                "bounds() are of the M of kind='smoothness'; that of relative magnitudes is relative to what happened "
                "before treatment, so M = 1 is what the data show"
            )
        if self.study.num_pre < 2:
            raise CapabilityError("bounds() take second differences before treatment: two coefficients or more")
        return magnitude_bounds(self.study, self.alpha)

    def summary(self) -> Summary:
        """The intervals, what they allow for, the breakdown value, and notes."""
        bounds = self.bounds() if self.restriction.kind == "smoothness" and self.study.num_pre > 1 else None
        return page(self, self.original, self.breakdown(), bounds)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the intervals over M, the usual one at the left, with a line at no effect.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.

        Returns
        -------
        Axes
        """
        ax = intervals_by(ax, self.M, self.lower, self.upper, self.original, 0.0, ("Parallel trends", self.method))
        ax.set_xlabel("M" if self.restriction.kind == "smoothness" else "M, relative to the largest violation before")
        ax.set_ylabel(f"{100 * (1 - self.alpha):g}% interval of the effect")
        return ax


def _breakdown(made: TrendSensitivity, null: float) -> float:
    """The smallest M whose interval contains the value; see ``TrendSensitivity.breakdown``."""
    known = {float(M): (low, high) for M, low, high in zip(made.M, made.lower, made.upper, strict=True)}

    def contains(M: float) -> bool:
        low, high = known[M] if M in known else limits(made, M)
        return bool(low <= null <= high)

    below = 0.0
    for M in _tried(made):
        if contains(M):
            return M if M == 0 else _halved(contains, below, M)
        below = M
    return np.inf


def limits(made: TrendSensitivity, M: float) -> tuple[float, float]:
    """The interval for another M."""
    return honest_limits(made.study, made.target, made.restriction, M, made.alpha, made.method, made.seed)


def _tried(made: TrendSensitivity) -> list[float]:
    """No violation, the values that were asked for, and larger ones."""
    asked = [float(M) for M in made.M if M > 0]
    unit = 1.0 if made.restriction.kind != "smoothness" else made.study.std_error(made.study.whole(made.target))
    last = asked[-1] if asked else unit
    return [0.0, *(asked or [unit]), *(last * 2.0**k for k in range(1, DOUBLINGS + 1))]


def _halved(contains: Callable[[float], bool], below: float, above: float) -> float:
    while above - below > EXACT * above:
        middle = (below + above) / 2
        below, above = (below, middle) if contains(middle) else (middle, above)
    return above
