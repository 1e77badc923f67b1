"""Averages over the treated's rows as they are printed: by time since treatment, group or period, and over all."""

from __future__ import annotations

from causalformula.backends.did.averages import Averages
from causalformula.backends.did.rows import Rows
from causalformula.inference.requests import HC, Asympt, Cluster
from causalformula.results.effects.core import ResultCore
from causalformula.results.families.groups_over_time import cluster_lines, members_line
from causalformula.results.reading.reading import Reading
from causalformula.results.text.coefmat import Cells

TITLES = {
    "event": "By time since the first treated period:",
    "group": "By first treated period:",
    "time": "By period:",
}


def averaged_tables(
    result: ResultCore, averages: Averages, reading: Reading, level: float, overall: ResultCore | None
) -> list[str | Cells]:
    """The effects, their mean over all treated rows, and whom they are of."""
    groups = [label.groups for label in result.answer.labels]
    assert result.query is not None
    ahead = (f"Anticipation: groups may react {averages.ahead:g} before their treatment",) * bool(averages.ahead)
    lines = [f"{line}." for line in (*averages.words, *ahead, *_of_errors(result, averages))]
    lines += averages.told(result.query)
    if not groups[0]:
        return [
            reading.cells([str(label) for label in result.answer.labels], level),
            *lines,
            *_members(result, averages.rows),
        ]
    (name, _), *_ = groups[0]
    table: list[str | Cells] = [TITLES[name], reading.cells([dict(group)[name] for group in groups], level)]
    if overall is not None:
        whose = (
            "the rows under treatment that take part"
            if averages.restricted(result.query)
            else "all rows under treatment"
        )
        table += ["", f"Mean over {whose}:", overall.read(level).cells(["ATT"], level)]
    return [*table, "", *lines, *_members(result, averages.rows)]


def _of_errors(result: ResultCore, averages: Averages) -> tuple[str, ...]:
    """How a sandwich counts errors, where the method has two ways; resampling has its own."""
    request = result.covariance.request
    if averages.errors is None or not isinstance(request, (Asympt, HC, Cluster)):
        return ()
    return (averages.errors[int(request.unconditional)],)


def _members(result: ResultCore, rows: Rows) -> list[str]:
    """How many units, or rows, each group has, and how many clusters."""
    return [members_line(result, rows.members), *cluster_lines(result, rows.by_group)]
