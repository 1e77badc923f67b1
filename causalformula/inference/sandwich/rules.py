"""fixest's small-sample rules in use: for one estimate, one covariance and its clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.inference.evidence import Influence
from causalformula.inference.requests import Cluster, Request
from causalformula.inference.small_sample import SmallSample
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Codes


@dataclass(frozen=True)
class Rules:
    """What the rules come to.

    Parameters
    ----------
    ssc : SmallSample
    n, k : int
        Rows that take part, and coefficients that count.
    free : float
        What the regression's dispersion is divided by: its residual degrees of freedom, or n - 1 where it is known.
    least : int or None
        Clusters of the smallest grouping, where rows are clustered.
    typed : bool
        Whether a type was asked for that has a factor of its own.
    """

    ssc: SmallSample
    n: int
    k: int
    free: float
    least: int | None
    typed: bool = False

    @property
    def _coefficients(self) -> float:
        if not self.ssc.K_adj:
            return 1.0
        return (self.n - 1) / (self.n - self.k) if self.n > self.k else np.nan

    def factor(self, groups: float) -> float:
        """Of a sum over so many groups."""
        if self.least is not None and self.ssc.G_df == "min":
            groups = self.least
        return self._coefficients * (groups / (groups - 1) if self.ssc.G_adj else 1.0)

    @property
    def classical(self) -> float:
        """Of the inverse information times the dispersion."""
        return self._coefficients * self.free / (self.n - 1)

    @property
    def words(self) -> str:
        """What is not as it is by default, in brackets."""
        return f" ({self.ssc.words})" if self.ssc.words else ""

    @property
    def df(self) -> float:
        """Degrees of freedom of tests."""
        if self.least is None or self.ssc.t_df == "conventional":
            return float(max(self.n - self.k, 0))
        return float(self.least - 1) if isinstance(self.ssc.t_df, str) else float(self.ssc.t_df)


def rules_of(
    request: Request, evidence: Influence, groups: Mapping[str, Codes], counts: Mapping[str, int] | None = None
) -> Rules | None:
    """The rules that were asked for, or fixest's beside absorbed effects; None where sandwich's stand.

    Parameters
    ----------
    groups : mapping of str to ndarray (n,) of int
        Codes of the columns that the request names.
    counts : mapping of str to int, optional
        How many clusters of each there are.
    """
    root, ssc = evidence.root, getattr(request, "ssc", None)
    if root is None and ssc is not None:
        raise CapabilityError("ssc= counts the coefficients of a regression, and this estimate is not read off one")
    if root is None or (root.absorbed is None and ssc is None):
        return None
    ssc = SmallSample() if ssc is None else ssc
    by = request.by if isinstance(request, Cluster) else ()
    k = _counted(root, ssc, [groups[name] for name in by])
    typed = isinstance(request, Cluster) and request.type not in (None, "CR1S")
    free = root.nobs - 1 if root.dispersion_known else root.df_residual
    return Rules(ssc, root.nobs, k, free, min(counts.values()) if counts else None, typed)


def freedom(rules: Rules | None, evidence: Influence) -> Array | None:
    """Degrees of freedom (q,) of tests by t under the rules; None where there are none."""
    t_based = evidence.root is not None and evidence.root.least_squares
    return np.full(evidence.size, rules.df) if rules is not None and t_based else None


def _counted(root: Hat, ssc: SmallSample, groupings: list[Codes]) -> int:
    """How many coefficients count."""
    if root.absorbed is None:
        return root.rank
    own = len(root.bread) - root.extra
    if ssc.K_fixef == "none":
        return own
    if ssc.K_fixef == "full" or not groupings:
        return own + root.absorbed.coefficients()
    return own + root.absorbed.coefficients([not inside for inside in root.absorbed.nested(groupings)])
