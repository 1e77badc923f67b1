"""One-sided tests and tests of equivalence of estimates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.inference.covariance import Covariance
from causalformula.inference.resampling.requests import Wild
from causalformula.results.reading.estimates import COLUMNS, spelled
from causalformula.results.reading.inequalities import Claim
from causalformula.results.reading.reading import Reading
from causalformula.results.text.notebook import Shown
from causalformula.results.text.summary import Summary
from causalformula.words import Spelling

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Inequalities(Shown):
    """Tests of null hypotheses that are not points: ``b1 <= 0``, or ``b1`` outside ``(-1, 1)``.

    Attributes
    ----------
    claims : tuple of Claim
    covariance : Covariance
    reader : callable
        The reading of the equations at the boundary, by level.

    Notes
    -----
    One inequality is itself the null hypothesis; its p-value is the probability, at the boundary, of an estimate at
    least as far on the other side. ``low < b < high`` asks for equivalence: the null hypothesis is that b lies
    outside, and the p-value the larger of the two one-sided ones (TOST). R: marginaleffects' ``equivalence=``,
    ``p.value.equiv``, and its ``p.value.noninf`` and ``p.value.nonsup``.
    """

    claims: tuple[Claim, ...]
    covariance: Covariance
    reader: Callable[[float], Reading]

    @property
    def p_value(self) -> float:
        """The p-value, where there is one inequality.

        Raises
        ------
        ValueError
            Where there are several.
        """
        if len(self.claims) != 1:
            raise ValueError(f"there are {len(self.claims)} inequalities, so no single p_value; read them in tidy()")
        return float(self.read().p_value[0])

    def read(self, level: float = 0.95) -> Reading:
        """Estimates, errors, statistics and p-values as arrays; of an equivalence the weaker of its two tests.

        Parameters
        ----------
        level : float
            Of the limits.

        Returns
        -------
        Reading
        """
        plain = self.reader(level)
        rows = [_tests(claim, plain, k) for k, claim in enumerate(self.claims)]
        return replace(plain, statistic=np.array([t for t, _ in rows]), p_value=np.array([p for _, p in rows]))

    def tidy(self, level: float = 0.95, names: Spelling = "broom") -> pd.DataFrame:
        """One row an inequality: broom's columns, and what is tested against what.

        ``null`` and ``alternative`` are in words, ``term`` is the inequality as it was written; ``estimate`` is its
        left minus its right side, and of an interval the value between the bounds.

        Parameters
        ----------
        level : float
            Of the confidence limits.
        names : {"broom", "snake"}
            ``std.error`` or ``std_error``.

        Returns
        -------
        DataFrame
        """
        import pandas as pd

        reading = self.read(level)
        numbers = {name: np.asarray(getattr(reading, own)) for name, own in COLUMNS.items()}
        heads = {"term": [claim.text for claim in self.claims], "null": [claim.null for claim in self.claims]}
        heads["alternative"] = [claim.alternative for claim in self.claims]
        return pd.DataFrame({**heads, **spelled(numbers, names)})

    def summary(self, level: float = 0.95) -> Summary:
        """The table, and what is tested.

        Parameters
        ----------
        level : float
            Of the limits.

        Returns
        -------
        Summary
        """
        cells = self.read(level).cells([claim.null for claim in self.claims], level)
        names = tuple("one-sided Pr" if name.startswith("Pr(>|") else name for name in cells.cols)
        lines = ["One-sided tests; each row is a null hypothesis", "", replace(cells, cols=names)]
        for claim in self.claims:
            asked = " (equivalence, two one-sided tests)" if claim.equivalence else ""
            lines.append(f"Null hypothesis: {claim.null}; alternative: {claim.alternative}{asked}")
        return Summary((*lines, f"Standard errors: {self.covariance.label}", *self.covariance.notes))

    def __repr__(self) -> str:
        return str(self.summary())


def _tests(claim: Claim, reading: Reading, k: int) -> tuple[float, float]:
    """Statistic and p-value against the bound, or of two bounds against the one that is further from refuted."""
    value, error, df = reading.estimate[k], reading.std_error[k], reading.df[k]
    outcomes: list[tuple[float, float]] = []
    if claim.equivalence:
        assert claim.low is not None and claim.high is not None
        above, below = (value - claim.low) / error, (value - claim.high) / error
        outcomes = [(above, _upper(above, df)), (below, _upper(-below, df))]
    else:
        t = value / error
        outcomes = [(t, _upper(t, df) if claim.high is not None else _upper(-t, df))]
    return max(outcomes, key=lambda outcome: outcome[1])


def _upper(t: float, df: float) -> float:
    """Probability of a larger value."""
    from scipy.special import ndtr, stdtr

    return float(ndtr(-t) if np.isinf(df) else stdtr(df, -t))


def inequalities(claims: Sequence[Claim], found: Sequence[Any]) -> Inequalities:
    """The tests, from the equations at the boundaries as ``Model.hypothesis`` or ``Result.hypothesis`` reads them."""
    covariance: Covariance = found[0].covariance
    if isinstance(covariance.request, Wild):
        raise CapabilityError(
            "the wild bootstrap's p-values are two-sided; for an inequality use another covariance, such as 'CR2 ~ g'"
        )

    def reader(level: float) -> Reading:
        parts = [one.read(level) for one in found]
        names = [field.name for field in fields(Reading)]
        return Reading(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    return Inequalities(tuple(claims), covariance, reader)
