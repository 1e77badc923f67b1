"""Group-time effects and their summaries as R's ``did`` prints them, their means, and the test of trends before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from causalformula.backends.did.aggregate import Aggregated
from causalformula.backends.did.averages import Averages
from causalformula.backends.did.options import estimator_of
from causalformula.backends.did.outcomes import GroupTime
from causalformula.errors import CapabilityError
from causalformula.numerics.arrays import Array, Bools
from causalformula.results.effects.core import ResultCore
from causalformula.results.families.groups_over_time import cluster_lines, members_line
from causalformula.results.reading.reading import Reading
from causalformula.results.reading.test import Test, wald
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_num, r_round

DIGITS, P_DIGITS = 4, 5
LEGEND = "---\nSignif. codes: `*' confidence band does not cover 0"
ESTIMATION = {
    "dr": "Doubly Robust",
    "dr_improved": "Improved Doubly Robust",
    "ipw": "Inverse Probability Weighting",
    "reg": "Outcome Regression",
}
CONTROL = {"nevertreated": "Never Treated", "notyettreated": "Not Yet Treated"}
# What R calls the summaries, their rows, and the column of these.
SUMMARIES = {
    "simple": ("", "", ""),
    "group": ("group/cohort", "Group Effects:", "Group"),
    "dynamic": ("event-study/dynamic", "Dynamic Effects:", "Event time"),
    "calendar": ("calendar time", "Time Effects:", "Time"),
}


def group_time_of(result: ResultCore) -> GroupTime | None:
    """The group-time effects behind a result; None where it is of two groups over two periods, or derived."""
    found = result.fit.outcomes
    return found if isinstance(found, GroupTime) and result.query is not None else None


def the_group_time(result: ResultCore, verb: str) -> GroupTime:
    """The same, or a ``CapabilityError``."""
    found = group_time_of(result)
    if found is None:
        raise CapabilityError(
            f"{verb}() is of groups treated at different times, or of several periods: did(first_treated, time)"
        )
    return found


def averages_of(result: ResultCore) -> Averages | None:
    """The averages of effects over the treated's rows behind a result; None where there are none, or it is derived."""
    found = result.fit.outcomes
    return found if isinstance(found, Averages) and result.query is not None else None


def refuse_one_effect(result: ResultCore, verb: str) -> None:
    """A ``CapabilityError`` where a result has no effects over time."""
    if averages_of(result) is None:
        the_group_time(result, verb)


def of_groups(result: ResultCore) -> bool:
    """Whether a result has the effects of each group in each period."""
    return result.query is not None and not isinstance(result.query, Aggregated)


def values_of(result: ResultCore, name: str) -> list[str]:
    """What the rows are of: a column of their labels."""
    return [dict(label.groups)[name] for label in result.answer.labels]


def before_treatment(result: ResultCore) -> Bools | None:
    """Rows of the time before treatment and its anticipation (q,); None for a summary that has none."""
    averages = averages_of(result)
    if averages is not None:
        assert result.query is not None
        return averages.before(result.query)
    found = the_group_time(result, "pretrends")
    ahead = float(result.call.options.anticipation)  # type: ignore[attr-defined]
    if of_groups(result):
        return np.asarray(found.cells.event < -ahead)
    if isinstance(result.query, Aggregated) and result.query.how == "dynamic" and not result.query.overall:
        return np.array([float(value) < -ahead for value in values_of(result, "event")])
    return None


def pretest(result: ResultCore) -> Test | None:
    """Wald test that all effects before treatment are zero; None where there are none."""
    before = before_treatment(result)
    if before is None:
        raise CapabilityError("this summary has no effects before treatment; ask the fit, or aggregate('dynamic')")
    if not before.any():
        return None
    theta, matrix = result.answer.estimate.theta[before], result.covariance.matrix[np.ix_(before, before)]
    df = float(result.covariance.df[before].min())
    return wald(theta, matrix, df, "Wald test that the effects before treatment are zero", reduce=True)


# -- the print ------------------------------------------------------------------------------------------------------


def tables(result: ResultCore, reading: Reading, level: float, overall: ResultCore | None) -> list[str | Cells]:
    """The effects as R's ``summary`` of ``att_gt`` and ``aggte`` prints them."""
    options: Any = result.call.options
    own = _members(result)
    last = [
        f"Control Group:  {CONTROL[options.control_group]},  Anticipation Periods:  {options.anticipation:g}",
        f"Estimation Method:  {ESTIMATION[estimator_of(options).name]}",
        *own,
    ]
    if of_groups(result):
        heads = {"Group": values_of(result, "group"), "Time": values_of(result, "time")}
        table = _frame({**heads, "ATT(g,t)": None}, reading, level)
        test = pretest(result)
        p = [] if test is None else [f"P-value for pre-test of parallel trends assumption:  {_rounded(test.p_value)}"]
        return ["Group-Time Average Treatment Effects:", table, LEGEND, "", *p, *last]
    assert isinstance(result.query, Aggregated)
    last += the_group_time(result, "print").told(result.query)
    based, title, head = SUMMARIES[result.query.how]
    what = f"Overall summary of ATT's based on {based} aggregation:  " if based else ""
    if overall is None:
        return [*([what] if what else []), _overall(reading, level), LEGEND, "", *last]
    first: list[str | Cells] = [what, _overall(overall.read(level), level), "", "", title]
    names = values_of(result, result.answer.labels[0].groups[0][0])
    return [*first, _frame({head: names, "Estimate": None}, reading, level), LEGEND, "", *last]


def _members(result: ResultCore) -> list[str]:
    """How many units, or rows, each group has, and how many clusters."""
    units = the_group_time(result, "print").units
    names = {**dict(zip(units.adoption.names, units.adoption.starts, strict=True)), "never": np.inf}
    there = {name: units.start == start for name, start in names.items()}
    counts = {name: int((inside & (units.weights > 0)).sum()) for name, inside in there.items()}
    line = members_line(result, {name: count for name, count in counts.items() if count or name == "never"})
    return [line, *cluster_lines(result, {name: units.used & inside[units.of_row] for name, inside in there.items()})]


def _rounded(p: float) -> str:
    return f"{float(r_round([p], P_DIGITS)[0]):.7g}"


def _frame(heads: dict[str, list[str] | None], reading: Reading, level: float) -> Cells:
    limits = (f"[{100 * level:g}% Pointwise ", "Conf. Band]")
    columns = [
        _numbers(reading.estimate) if values is None else values for values in heads.values()
    ]  # fmt: skip
    return _cells((*heads, "Std. Error", *limits, ""), columns, reading)


def _overall(reading: Reading, level: float) -> Cells:
    names = ("ATT", "   Std. Error", f"    [ {100 * level:g}% ", "Conf. Int.]", "")
    return _cells(names, [_numbers(reading.estimate)], reading)


def _cells(names: Sequence[str], columns: list[list[str]], reading: Reading) -> Cells:
    low, high = reading.low, reading.high
    star = ["*" if (a > 0) | (b < 0) else " " for a, b in zip(low, high, strict=True)]
    body = zip(*columns, _numbers(reading.std_error), _numbers(low), _numbers(high), star, strict=True)
    return Cells(("",) * len(star), tuple(names), tuple(body), False)


def _numbers(values: Array) -> list[str]:
    return [text.strip() for text in format_num(r_round(values, DIGITS), 7)]
