"""``Balance``: a balance table as a data frame and as cobalt prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.options import shown
from causalformula.diagnostics.balance import MARKS, BalanceTable, exceeds
from causalformula.errors import OptionError
from causalformula.results.designs.weights import sizes_text
from causalformula.results.text.cobalt import aligned, bare_text, table_text
from causalformula.results.text.notebook import Shown

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 4
NOUNS = {
    "Diff": ("mean differences", "mean difference"),
    "V.Ratio": ("variance ratios", "variance ratio"),
    "KS": ("KS statistics", "KS statistic"),
    "OVL": ("overlapping coefficients", "overlapping coefficient"),
    "Corr": ("treatment correlations", "treatment correlation"),
    "KS.Target": ("target KS statistics", "target KS statistic"),
}
RULE = " - - - - - - - - - - - - - - "


@dataclass(frozen=True, eq=False, repr=False)
class Balance(Shown):
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
    designs : mapping of str to Balance
        Several designs of the same rows, which stand side by side in the print, ``to_frame`` and ``tally``; empty for
        one. ``table`` and ``sizes`` are those of the design that was asked.

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
    designs: Mapping[str, Balance] = field(default_factory=dict)

    @property
    def stacked(self) -> Mapping[str, Balance]:
        """The tables that stand one below the other: of the groups, or of the pairs asked for; empty for one table."""
        return self.parts if self.by else {name: self.parts[name] for name in self.shown}

    def to_frame(self) -> pd.DataFrame:
        """One row a covariate, with cobalt's column names: ``Type, Diff.Un, V.Ratio.Un, ..., Diff.Adj, M.Threshold``.

        Where the groups of a variable or pairs of arms separate the tables, they stand one below the other and are
        the index's first level, named by the variable or ``pair``. Several designs have their names in the place of
        ``Adj``: ``Diff.nearest, M.Threshold.nearest, Diff.cem, M.Threshold.cem``.
        """
        import pandas as pd

        if self.stacked:
            return pd.concat({name: part.to_frame() for name, part in self.stacked.items()}, names=[self.by or "pair"])
        if self.designs:
            return self._side_by_side()
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

    def _side_by_side(self) -> pd.DataFrame:
        """The sample before once, then the columns of every design under its name."""
        import pandas as pd

        frames = {name: part.to_frame() for name, part in self.designs.items()}
        first = next(iter(frames.values()))
        parts = [first[[c for c in first.columns if c == "Type" or c.endswith(".Un")]]]
        for name, frame in frames.items():
            own = {c: f"{c.removesuffix('.Adj')}.{name}" for c in frame.columns if c.endswith((".Adj", ".Threshold"))}
            parts.append(frame[list(own)].rename(columns=own))
        return pd.concat(parts, axis=1)

    def _mark(self, statistic: str) -> str:
        return f"{MARKS[statistic]}.Threshold" + ("" if self.table.adjusted else ".Un")

    def _verdicts(self, statistic: str, values: np.ndarray) -> list[str]:
        limit = self.thresholds[statistic]
        beyond = exceeds(statistic, values, limit)
        texts = np.where(beyond, f"Not Balanced, >{limit:g}", f"Balanced, <{limit:g}")
        return [str(t) for t in np.where(np.isnan(values), "", texts)]

    def judged(self, statistic: str) -> np.ndarray:
        """Values of a statistic that thresholds are held against: the adjusted, where there are any.

        Parameters
        ----------
        statistic : str
            A column without its sample, as ``Diff``, ``V.Ratio`` or ``KS``.

        Returns
        -------
        ndarray
            One value a row of the table.

        Raises
        ------
        OptionError
            For a statistic that the table does not have.
        """
        if not isinstance(statistic, str) or f"{self.table.prefix}{statistic}.Un" not in self.table.columns:
            names = [name.removesuffix(".Un").removeprefix(self.table.prefix) for name in self.table.columns]
            known = [name for name in names if f"{self.table.prefix}{name}.Un" in self.table.columns]
            raise OptionError(f"the table has no statistic {shown(statistic)}; it has {', '.join(known)}")
        sample = "Adj" if self.table.adjusted else "Un"
        return self.table.columns[f"{self.table.prefix}{statistic}.{sample}"]

    def tally(self) -> pd.DataFrame:
        """How many covariates are balanced, and the worst: one row a threshold, ``balanced, not.balanced, worst``.

        Stacked as ``to_frame`` is; several designs stand one below the other too.
        """
        import pandas as pd

        if self.stacked:
            return pd.concat({name: part.tally() for name, part in self.stacked.items()}, names=[self.by or "pair"])
        if self.designs:
            return pd.concat({name: part.tally() for name, part in self.designs.items()}, names=["design"])
        rows = {}
        for statistic, limit in self.thresholds.items():
            values = self.judged(statistic)
            known, beyond = ~np.isnan(values), exceeds(statistic, values, limit)
            worst = self.worst(statistic)
            rows[statistic] = [int((known & ~beyond).sum()), int((known & beyond).sum()), worst]
        return pd.DataFrame.from_dict(rows, orient="index", columns=["balanced", "not.balanced", "worst"])

    def worst(self, statistic: str) -> str | None:
        """The covariate with the greatest imbalance; the propensity score is none.

        Parameters
        ----------
        statistic : str
            As in ``judged``.

        Returns
        -------
        str or None
            None where no covariate has a value.
        """
        values = self.judged(statistic)
        with np.errstate(divide="ignore"):
            size = np.maximum(values, 1 / values) if statistic == "V.Ratio" else np.abs(values)
        size = np.where(np.isnan(size) | (np.array(self.table.types) == "Distance"), -1.0, size)
        return self.table.rows[int(size.argmax())] if len(size) and size.max() >= 0 else None

    def __repr__(self) -> str:
        return balance_text(self)

    __str__ = __repr__


# -- in print ------------------------------------------------------------------------------------------------------


def balance_text(balance: Balance) -> str:
    """The printed table and its notes, without a newline at the end."""
    return "\n".join([_tables(balance), *(f"Note: {note}" for note in balance.notes)])


def _tables(balance: Balance) -> str:
    if balance.by:
        parts = [f" - - - {balance.by}: {name} - - - \n{balance_text(part)}\n" for name, part in balance.parts.items()]
        return f"Balance by {balance.by}\n\n" + "\n".join(parts) + RULE
    if balance.shown:
        return _pairs(balance)
    head = "Balance summary across all treatment pairs" if balance.table.prefix else "Balance Measures"
    parts = [f"{head}\n{_measures(balance)}"]
    for statistic in balance.thresholds:
        parts += _judgements(balance, statistic) if balance.designs else _judgement(balance, statistic)
    parts.append(_sizes(balance))
    return "\n".join(parts).rstrip("\n")


def _pairs(balance: Balance) -> str:
    """The tables of pairs of arms one below the other; a rule as long as the longest heading ends them."""
    headings, tables = [], []
    for name in balance.shown:
        part = balance.parts[name]
        low, high = part.sizes.columns
        headings.append(f" - - - {low} (0) vs. {high} (1) - - - ")
        tables.append(f"{headings[-1]}\n{balance_text(part)}\n")
    # a line break before and after the heading counts
    rule = " -" * round((max(map(len, headings)) + 2) / 2)
    return "Balance by treatment pair\n\n" + "\n".join(tables) + f"{rule} "


def _measures(balance: Balance) -> str:
    frame = balance.to_frame()
    shown = [name for name in frame.columns if not (name.endswith(".Adj") and not balance.table.adjusted)]
    columns = [(name, _cells(frame[name].tolist())) for name in shown]
    return table_text(list(balance.table.rows), [c for c in columns if set(c[1]) != {"."}])


def _cells(values: Sequence[str | float]) -> list[str]:
    numbers = [x for x in values if not isinstance(x, str)]
    return aligned(numbers, DIGITS) if numbers else [str(x) for x in values]


def _judgement(balance: Balance, statistic: str) -> list[str]:
    """How many covariates are balanced, and the worst of them."""
    plural, singular = NOUNS[statistic]
    limit = balance.thresholds[statistic]
    row = balance.tally().loc[statistic]
    verdicts = [f"Balanced, <{limit:g}", f"Not Balanced, >{limit:g}"]
    counts = [str(row["balanced"]), str(row["not.balanced"])]
    out = [f"Balance tally for {plural}\n{table_text(verdicts, [('count', counts)])}"]
    worst = balance.worst(statistic)
    if worst is None:
        return out
    value = balance.judged(statistic)[balance.table.rows.index(worst)]
    sample = "Adj" if balance.table.adjusted else "Un"
    mark = f"{MARKS[statistic]}.Threshold" + ("" if balance.table.adjusted else ".Un")
    beyond = balance.to_frame().loc[worst, mark]
    columns = [
        ("Variable", [worst]),
        (f"{balance.table.prefix}{statistic}.{sample}", aligned([float(value)], DIGITS)),
        (mark, [str(beyond)]),
    ]
    return [*out, f"Variable with the greatest {singular}\n{bare_text(columns)}"]


def _judgements(balance: Balance, statistic: str) -> list[str]:
    """The same of several designs: a column each of the tally, and a row each of the worst."""
    plural, singular = NOUNS[statistic]
    limit = balance.thresholds[statistic]
    tally = balance.tally().xs(statistic, level=1)
    verdicts = [f"Balanced, <{limit:g}", f"Not Balanced, >{limit:g}"]
    counts = [(str(name), [str(n) for n in row]) for name, *row in tally[["balanced", "not.balanced"]].itertuples()]
    out = [f"Balance tally for {plural}\n{table_text(verdicts, counts)}"]
    known = {name: worst for name, worst in tally["worst"].items() if worst is not None}
    if not known:
        return out
    parts = [balance.designs[str(name)] for name in known]
    values = [float(p.judged(statistic)[p.table.rows.index(w)]) for p, w in zip(parts, known.values(), strict=True)]
    mark = f"{MARKS[statistic]}.Threshold"
    beyond = [str(part.to_frame().loc[worst, mark]) for part, worst in zip(parts, known.values(), strict=True)]
    columns = [
        ("Variable", list(known.values())),
        (f"{balance.table.prefix}{statistic}", aligned(values, DIGITS)),
        (mark, beyond),
    ]
    return [*out, f"Variable with the greatest {singular}\n{table_text([str(name) for name in known], columns)}"]


def _sizes(balance: Balance) -> str:
    if balance.designs:
        import pandas as pd

        rows = pd.concat([balance.sizes.iloc[:1], *(part.sizes.iloc[1:] for part in balance.designs.values())])
        return f"Effective sample sizes\n{sizes_text(rows, 2, ('Unadjusted', *balance.designs))}"
    if balance.table.adjusted:
        return f"Effective sample sizes\n{sizes_text(balance.sizes, 2, ('Unadjusted', 'Adjusted'))}"
    return f"Sample sizes\n{sizes_text(balance.sizes.iloc[:1], 2, ('All',))}"
