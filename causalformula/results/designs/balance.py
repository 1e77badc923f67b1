"""``Balance``: a balance table as a data frame and as cobalt prints it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.options import shown
from causalformula.diagnostics.balance import MARKS, BalanceTable, exceeds
from causalformula.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Balance:
    """How alike the arms are in their covariates, before and after a design.

    Attributes
    ----------
    table : BalanceTable
        Two arms' or a dose's; with several arms the worst over all pairs, with ``by`` the worst over the groups.
    sizes : DataFrame
        Effective sample sizes before and after.
    thresholds : mapping of str to float
        By statistic.
    un : bool
        Whether the sample before adjustment is shown.
    parts : mapping of str to Balance
        Tables of all pairs of arms (``"hispan vs. black"``: the later level minus the earlier), or within the groups
        of a variable.
    by : str
        The variable whose groups ``parts`` are; empty for pairs of arms.
    shown : tuple of str
        Pairs that stand one by one in the print, ``to_frame`` and ``tally``; none for the worst over all.
    notes : tuple of str
        Rows left out for missing values, rows discarded, weights trimmed.

    Notes
    -----
    R: ``cobalt::bal.tab`` 4.5.
    """

    table: BalanceTable
    sizes: pd.DataFrame
    thresholds: Mapping[str, float] = field(default_factory=dict)
    un: bool = True
    parts: Mapping[str, Balance] = field(default_factory=dict)
    by: str = ""
    shown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def stacked(self) -> Mapping[str, Balance]:
        """The tables that stand one below the other: of the groups, or of the pairs asked for; empty for one table."""
        return self.parts if self.by else {name: self.parts[name] for name in self.shown}

    def to_frame(self) -> pd.DataFrame:
        """One row a covariate, with cobalt's column names: ``Type, Diff.Un, V.Ratio.Un, ..., Diff.Adj, M.Threshold``.

        Where the groups of a variable or pairs of arms separate the tables, they stand one below the other and are
        the index's first level, named by the variable or ``pair``.
        """
        import pandas as pd

        if self.stacked:
            return pd.concat({name: part.to_frame() for name, part in self.stacked.items()}, names=[self.by or "pair"])
        columns: dict[str, object] = {"Type": list(self.table.types)}
        for name, values in self.table.columns.items():
            statistic, _, sample = name.removeprefix(self.table.prefix).rpartition(".")
            if sample == "Un" and not self.un and self.table.adjusted:
                continue
            columns[name] = values
            judged = "Adj" if self.table.adjusted else "Un"
            if sample == judged and statistic in self.thresholds:
                columns[self._mark(statistic)] = self._verdicts(statistic, values)
        return pd.DataFrame(columns, index=list(self.table.rows))

    def _mark(self, statistic: str) -> str:
        return f"{MARKS[statistic]}.Threshold" + ("" if self.table.adjusted else ".Un")

    def _verdicts(self, statistic: str, values: np.ndarray) -> list[str]:
        limit = self.thresholds[statistic]
        beyond = exceeds(statistic, values, limit)
        texts = np.where(beyond, f"Not Balanced, >{limit:g}", f"Balanced, <{limit:g}")
        return [str(t) for t in np.where(np.isnan(values), "", texts)]

    def judged(self, statistic: str) -> np.ndarray:
        """Values of a statistic (``"Diff"``) that thresholds are held against: the adjusted, where there are any."""
        if not isinstance(statistic, str) or f"{self.table.prefix}{statistic}.Un" not in self.table.columns:
            names = [name.removesuffix(".Un").removeprefix(self.table.prefix) for name in self.table.columns]
            known = [name for name in names if f"{self.table.prefix}{name}.Un" in self.table.columns]
            raise OptionError(f"the table has no statistic {shown(statistic)}; it has {', '.join(known)}")
        sample = "Adj" if self.table.adjusted else "Un"
        return self.table.columns[f"{self.table.prefix}{statistic}.{sample}"]

    def tally(self) -> pd.DataFrame:
        """How many covariates are balanced, and the worst: one row a threshold, ``balanced, not.balanced, worst``.

        Stacked as ``to_frame`` is.
        """
        import pandas as pd

        if self.stacked:
            return pd.concat({name: part.tally() for name, part in self.stacked.items()}, names=[self.by or "pair"])
        rows = {}
        for statistic, limit in self.thresholds.items():
            values = self.judged(statistic)
            known, beyond = ~np.isnan(values), exceeds(statistic, values, limit)
            worst = self.worst(statistic)
            rows[statistic] = [int((known & ~beyond).sum()), int((known & beyond).sum()), worst]
        return pd.DataFrame.from_dict(rows, orient="index", columns=["balanced", "not.balanced", "worst"])

    def worst(self, statistic: str) -> str | None:
        """The covariate with the greatest imbalance; the propensity score is none."""
        values = self.judged(statistic)
        with np.errstate(divide="ignore"):
            size = np.maximum(values, 1 / values) if statistic == "V.Ratio" else np.abs(values)
        size = np.where(np.isnan(size) | (np.array(self.table.types) == "Distance"), -1.0, size)
        return self.table.rows[int(size.argmax())] if len(size) and size.max() >= 0 else None

    def __repr__(self) -> str:
        from causalformula.results.designs.balance_text import balance_text

        return balance_text(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return str(self.to_frame()._repr_html_())
