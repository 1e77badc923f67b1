"""Balance tables as cobalt's ``bal.tab`` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from causalformula.diagnostics.balance import MARKS
from causalformula.results.designs.weights import sizes_text
from causalformula.results.text.cobalt import aligned, bare_text, table_text

if TYPE_CHECKING:
    from causalformula.results.designs.balance import Balance

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
        parts += _judgement(balance, statistic)
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


def _sizes(balance: Balance) -> str:
    if balance.table.adjusted:
        return f"Effective sample sizes\n{sizes_text(balance.sizes, 2, ('Unadjusted', 'Adjusted'))}"
    return f"Sample sizes\n{sizes_text(balance.sizes.iloc[:1], 2, ('All',))}"


__all__ = ["balance_text"]
