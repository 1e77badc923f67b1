"""The print of a refutation: one table, then what each test can show and what none of them can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalformula.results.effects.core import ResultCore
from causalformula.results.effects.summary import question
from causalformula.results.refutation.refuted import LEVEL, Refuted
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_each
from causalformula.results.text.page import pad_right
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

PAGE = 160
CAPTIONS = {
    "leave_one_out": "The effect without each covariate, and how far it has moved, in standard errors:",
    "unobserved_confounder": "The effect beside a confounder, by its partial R2 with the treatment and the outcome:",
}


def refutation_summary(
    result: ResultCore,
    found: Sequence[Refuted],
    reps: int,
    seed: int,
    left_out: Mapping[str, str],
    table: pd.DataFrame,
) -> Summary:
    """The summary of a refutation."""
    made = any(one.test == "unobserved_confounder" for one in found)
    many = any(one.draws is not None for one in found)
    drawn = f"      Refits: {reps} a test, seed {seed}" if many else f"      Seed {seed}" if made else ""
    parts: list[str | Cells] = [
        f"Refutation: {question(result)[:1].lower()}{question(result)[1:]}",
        f"Method: {result._method()}{drawn}",
        "",
        _cells(found, table),
        "",
    ]
    for one in found:
        if one.table is not None:
            parts += [CAPTIONS[one.test], _table(one), ""]
    parts += _meaning(found)
    parts += [f"Note: {one.test}: {note}" for one in found for note in one.notes]
    parts += [f"Note: {test} is left out: {why}" for test, why in left_out.items()]
    return Summary(tuple(parts))


def _cells(found: Sequence[Refuted], table: pd.DataFrame) -> Cells:
    several = "term" in table
    rows = [
        f"{test} ({term} {contrast}".rstrip() + ")" if several else test
        for test, term, contrast in zip(
            table["test"],
            table["term"] if several else table["test"],
            table["contrast"] if several else table["test"],
            strict=True,
        )
    ]
    estimate, refuted = (format_each(table[name].to_numpy(dtype=float), 4) for name in ("estimate", "refuted"))
    p = ["" if np.isnan(each) else "<0.001" if each < 0.001 else f"{each:.3f}" for each in table["p.value"]]
    head, *verdicts = pad_right(["Verdict", *table["verdict"]])
    body = tuple(zip(estimate, refuted, p, verdicts, strict=True))
    return Cells(tuple(rows), ("Estimate", "Refuted", "p.value", head), body, legend=False, width=PAGE)


def _table(one: Refuted) -> Cells:
    """The table of a test that is one."""
    assert one.table is not None
    if one.test == "leave_one_out":
        several = len(one.labels) > 1
        names = [
            f"without {name}" + (f" ({contrast})" if several else "")
            for name, contrast in zip(one.table["left.out"], one.table["contrast"], strict=True)
        ]
        columns = [format_each(one.table[name].to_numpy(dtype=float), 4) for name in ("refuted", "moved.se")]
        body = tuple(zip(*columns, strict=True))
        return Cells(tuple(names), ("Effect", "Moved (SE)"), body, legend=False, width=PAGE)
    rows = [f"outcome {strength:g}" for strength in one.table.index]
    body = tuple(tuple(format_each(line, 4)) for line in one.table.to_numpy(dtype=float))
    names = tuple(f"treatment {strength:g}" for strength in one.table.columns)
    return Cells(tuple(rows), names, body, legend=False, width=PAGE)


def _meaning(found: Sequence[Refuted]) -> list[str]:
    """What was done, what it can show, and what it cannot."""
    lines = ["What each does, and what it can show:"]
    lines += [f"  {one.test}: {one.refuter.done}; shows {one.refuter.shows}" for one in found]
    tested = [one.test for one in found if one.refuter.expects != "table"]
    if tested:
        lines.append(f"A sound analysis has a p-value below {LEVEL:g} in one test of twenty.")
    blind = [one.test for one in found if one.refuter.blind]
    if blind:
        lines.append(
            f"{_listed(blind)} cannot see an omitted confounder: "
            f"{'it says' if len(blind) == 1 else 'they say'} the same with one as without."
        )
    if any(one.refuter.expects == "own" for one in found):
        lines.append(
            "A negative control, or a time before the change, with no effect is no proof: its power is limited."
        )
    return lines


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
