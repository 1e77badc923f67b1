"""Printed summaries: the effect table first, then the models behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.errors import counted
from causalformula.frame.treatment import Kind
from causalformula.inference.requests import Bootstrap
from causalformula.results.families.subclass import strata_parts, stratified_line
from causalformula.results.reading.reading import Reading
from causalformula.results.text.coefmat import Cells, effect_cells
from causalformula.results.text.markup import html, latex
from causalformula.results.text.numbers import format_each
from causalformula.results.wording import dose_notes, estimand_text, missing_line, named_target, sampling_weights

if TYPE_CHECKING:
    from causalformula.results.result import Result

TITLES = {
    "ATE": "Average treatment effect",
    "ATT": "Average treatment effect on the treated",
    "ATC": "Average treatment effect on the controls",
    "ATO": "Average treatment effect in the overlap population",
    "ATM": "Average treatment effect in the matched population",
    "ATOS": "Average treatment effect in the optimal subset",
    "LATE": "Local average treatment effect",
}


WIDTH = 100


@dataclass(frozen=True)
class Summary:
    """A printed summary: ``str`` for the console, and HTML and LaTeX of the same parts.

    Attributes
    ----------
    parts : tuple
        Text, and tables with their row and column names, in order.
    """

    parts: tuple[str | Cells, ...]

    def __str__(self) -> str:
        return "\n".join(part if isinstance(part, str) else part.text().rstrip("\n") for part in self.parts)

    def __repr__(self) -> str:
        return str(self)

    def as_text(self) -> str:
        """Plain text, as printed."""
        return str(self)

    def as_html(self) -> str:
        """HTML, with tables as tables."""
        return "\n".join(html(part) for part in self.parts)

    def as_latex(self) -> str:
        """LaTeX, with tables as ``tabular``."""
        return "\n\n".join(text for text in map(latex, self.parts) if text)

    def _repr_html_(self) -> str:
        return self.as_html()


def effect_part(labels: Sequence[str], reading: Reading, level: float) -> Cells:
    """The effect table of the design: estimates, tests, limits, stars last."""
    table = np.column_stack(
        [reading.estimate, reading.std_error, reading.statistic, reading.p_value, reading.low, reading.high]
    )
    return effect_cells(table, labels, statistic="z" if reading.normal else "t", level=level)


def result_summary(result: Result, level: float, *, models: bool) -> Summary:
    """The summary of a causal fit.

    Parameters
    ----------
    models : bool
        Whether the models behind the effect follow.
    """
    reading = result.read(level)
    effects = effect_part([str(label) for label in result.answer.labels], reading, level)
    parts: list[str | Cells] = [_header(result), "", effects]
    parts += [line for line in _footer(result, reading, level) if line]
    if result.query is not None and result.query.kind == "strata":
        parts += strata_parts(result.design)
    if result.test is not None:
        parts += ["", str(result.test)]
    if models:
        for name in ("outcome", "propensity", "first_stage"):
            model = getattr(result, name)
            if model is not None:
                parts += ["", f"{name.replace('_', '-').capitalize()} model:", *_stripped(model.summary().parts)]
    return Summary(tuple(parts))


def _stripped(parts: Sequence[str | Cells]) -> list[str | Cells]:
    """Parts without blank lines before the first and after the last."""
    out = list(parts)
    if isinstance(out[0], str):
        out[0] = out[0].lstrip("\n")
    if isinstance(out[-1], str):
        out[-1] = out[-1].rstrip("\n")
    return out


def _header(result: Result) -> str:
    frame = result.call.frame
    outcome = "the outcome" if frame.outcome is None else frame.outcome.name
    name = frame.treatment.name if frame.treatment is not None else ""
    if result.query is not None and result.query.kind == "means":
        title = f"Mean potential outcomes of {outcome} by {name}"
    elif result.query is None:
        title = f"Derived from: {TITLES.get(result.fit.estimand, result.fit.estimand).lower()} of {name} on {outcome}"
    else:
        title = f"{_title(result)} of {name} on {outcome}{_among(result)}"
    estimand = estimand_text(result.call, result.fit.estimand)
    facts = [f"Method: {_method(result)}", f"Estimand: {estimand}", f"Observations: {result.nobs}"]
    if sampling_weights(frame):
        facts.append(f"Sampling weights: {sampling_weights(frame)}")
    joined = "      ".join(facts)
    lines = [title, joined] if len(joined) <= WIDTH else [title, facts[0], "      ".join(facts[1:])]
    measure = result.answer.measure.name
    if measure != "difference":
        lines.append(f"Measure: {measure.replace('_', ' ')}" + _null(result))
    if frame.dropped:
        lines.append(missing_line(frame))
    if frame.n > frame.nobs:
        # of sampling weight zero; rows that the design left out are counted in its notes
        zero = frame.n - frame.nobs
        lines.append(f"  ({counted(zero, 'row')} of weight zero {'takes' if zero == 1 else 'take'} no part)")
    return "\n".join(lines)


def _method(result: Result) -> str:
    if result.query is not None and result.query.kind == "strata":
        return f"{result.fit.method.split('; ')[0]}; difference in means within each"
    return result.fit.method


def _title(result: Result) -> str:
    treatment = result.call.frame.treatment
    title = TITLES.get(result.fit.estimand, result.fit.estimand)
    if named_target(result.call) is not None:
        return TITLES["ATE"]
    if treatment is not None and treatment.kind is Kind.CONTINUOUS and result.fit.estimand == "ATE":
        return "Average effect"
    return title


def _among(result: Result) -> str:
    target = named_target(result.call)
    return "" if target is None else f" among units with {target}"


def _null(result: Result) -> str:
    return " (tested against 1 on the log scale)" if result.answer.measure.reading == "exp" else ""


def _footer(result: Result, reading: Reading, level: float) -> list[str]:
    lines = [f"Standard errors: {result.covariance.label}"]
    request = result.covariance.request
    if isinstance(request, Bootstrap):
        lines.append(f"Intervals: {request.kind}")
    if request.unconditional:
        lines.append("Unconditional: the covariates' own sampling is included")
    lines += result.covariance.notes
    lines += stratified_line(result, level)
    lines += [f"Note: {note}" for note in result.fit.notes_under(result.covariance.request)]
    if result.answer.measure.reading == "inverse":
        lines += _half_lines(result, reading, level)
    return (
        lines
        + scale_note(result)
        + _group_note(result)
        + [f"Note: {note}" for note in (*result.call.frame.notes, *dose_notes(result.call.frame.treatment))]
    )


def scale_note(result: Result) -> list[str]:
    """On which scale equations among ratios are tested: a ratio's own null is on the other one."""
    if result.source is None:
        return []
    measure = result.source[0].answer.measure
    what = measure.name.replace("_", " ")
    if measure.reading == "exp":
        return [f"Note: delta method on the {what}'s own scale; the {what} itself is tested on the log scale"]
    if measure.reading == "inverse":
        return [
            "Note: delta method on the scale of the number needed to treat; the difference itself is tested on its own"
        ]
    return []


def _group_note(result: Result) -> list[str]:
    """What groups of a column that is no modifier can differ by."""
    if result.query is None or result.query.by is None or result.call.frame.is_modifier(result.query.by.name):
        return []
    name = result.query.by.name
    if result.test is None and result.query.kind == "effects":
        why = f"this model holds the effect equal in all groups, so there is nothing to test; write modify({name})"
    else:
        why = "groups differ only by their covariates under this model"
    return [f"Note: {name} is not in modify(...): {why}"]


def _half_lines(result: Result, reading: Reading, level: float) -> list[str]:
    """The limits of a number needed to treat whose difference may be zero: two half-lines through infinity."""
    from causalformula.results.reading.reading import limits

    low, high = limits(result.answer.estimate.theta, result.covariance, level)
    lines = []
    for label, a, b, gone in zip(result.answer.labels, low, high, np.isnan(reading.low), strict=True):
        if gone and a < 0 < b:
            left, right = format_each([1 / a, 1 / b], 4)
            where = f"below {left} or above {right} (the difference may be zero)"
            lines.append(f"{100 * level:g}% limits of {label}: {where}")
    return lines
