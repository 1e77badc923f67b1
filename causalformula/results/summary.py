"""Printed summaries: the effect table first, then the models behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.frame.treatment import Kind
from causalformula.inference.requests import Bootstrap
from causalformula.results.coefmat import Cells, effect_cells
from causalformula.results.reading import Reading
from causalformula.results.rformat import format_each

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


# Effect tables carry limits and stars beside the coefficients' columns, so they get a wider page than R's 80 columns.
EFFECT_WIDTH = 120


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
        return "\n".join(part if isinstance(part, str) else part.text(EFFECT_WIDTH).rstrip("\n") for part in self.parts)

    def __repr__(self) -> str:
        return str(self)

    def as_text(self) -> str:
        """Plain text, as printed."""
        return str(self)

    def as_html(self) -> str:
        """HTML, with tables as tables."""
        return "\n".join(_html(part) for part in self.parts)

    def as_latex(self) -> str:
        """LaTeX, with tables as ``tabular``."""
        return "\n".join(_latex(part) for part in self.parts)

    def _repr_html_(self) -> str:
        return self.as_html()


_RULED = ' style="border-top: 1px solid"'


def _html(part: str | Cells) -> str:
    from html import escape

    if isinstance(part, str):
        return f"<pre>{escape(part)}</pre>" if part.strip() else ""
    head = "".join(f"<th>{escape(c.strip())}</th>" for c in ("", *part.cols))
    body = "".join(
        f"<tr{_RULED if k in part.rules else ''}><th>{escape(row)}</th>"
        f"{''.join(f'<td>{escape(cell.strip())}</td>' for cell in cells)}</tr>"
        for k, (row, cells) in enumerate(zip(part.rows, part.body, strict=True))
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


LATEX = str.maketrans(
    {c: "\\" + c for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "<": "$<$", ">": "$>$", "~": r"\textasciitilde{}", "^": r"\^{}"}
)


def _latex(part: str | Cells) -> str:
    if isinstance(part, str):
        lines = [line.translate(LATEX) for line in part.split("\n") if line.strip()]
        return " \\\\\n".join(lines)
    head = " & ".join(c.strip().translate(LATEX) for c in ("", *part.cols))
    rows = [
        # the header and the end of the table have their lines already
        "\\hline\n" * (k in part.rules and k > 0)
        + " & ".join([row.translate(LATEX), *(cell.strip().translate(LATEX) for cell in cells)])
        + r" \\"
        for k, (row, cells) in enumerate(zip(part.rows, part.body, strict=True))
    ]
    body = "\n".join(rows)
    return f"\\begin{{tabular}}{{l{'r' * len(part.cols)}}}\n\\hline\n{head} \\\\\n\\hline\n{body}\n\\hline\n\\end{{tabular}}"


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
    parts: list[str | Cells] = [_header(result), "", effect_part([str(label) for label in result.answer.labels], reading, level)]
    parts += [line for line in _footer(result, reading) if line]
    if result.test is not None:
        parts += ["", str(result.test)]
    if models:
        for name in ("outcome", "propensity", "first_stage"):
            model = getattr(result, name)
            if model is not None:
                parts += ["", f"{name.replace('_', '-').capitalize()} model:", str(model.summary()).strip("\n")]
    return Summary(tuple(parts))


def _header(result: Result) -> str:
    frame = result.call.frame
    outcome = "the outcome" if frame.outcome is None else frame.outcome.name
    name = frame.treatment.name if frame.treatment is not None else ""
    if result.query is not None and result.query.kind == "means":
        title = f"Mean potential outcomes of {outcome} by {name}"
    elif result.query is None:
        title = f"Derived from: {TITLES.get(result.fit.estimand, result.fit.estimand).lower()} of {name} on {outcome}"
    else:
        title = f"{_title(result)} of {name} on {outcome}"
    facts = [f"Method: {result.fit.method}", f"Estimand: {result.fit.estimand}", f"Observations: {result.nobs}"]
    joined = "      ".join(facts)
    lines = [title, joined] if len(joined) <= WIDTH else [title, facts[0], "      ".join(facts[1:])]
    measure = result.answer.measure.name
    if measure != "difference":
        lines.append(f"Measure: {measure.replace('_', ' ')}" + _null(result))
    if frame.dropped:
        by = ", ".join(f"{k}: {v}" for k, v in frame.missing_by.items())
        lines.append(f"  ({frame.dropped} observations deleted due to missingness: {by})")
    return "\n".join(lines)


def _title(result: Result) -> str:
    treatment = result.call.frame.treatment
    title = TITLES.get(result.fit.estimand, result.fit.estimand)
    if treatment is not None and treatment.kind is Kind.CONTINUOUS and result.fit.estimand == "ATE":
        return "Average effect"
    return title


def _null(result: Result) -> str:
    return " (tested against 1 on the log scale)" if result.answer.measure.reading == "exp" else ""


def _footer(result: Result, reading: Reading) -> list[str]:
    lines = [f"Standard errors: {result.covariance.label}"]
    request = result.covariance.request
    if isinstance(request, Bootstrap):
        lines.append(f"Intervals: {request.kind}")
    if request.unconditional:
        lines.append("Unconditional: the covariates' own sampling is included")
    lines += result.covariance.notes
    lines += [f"Note: {note}" for note in result.fit.notes]
    if result.answer.measure.reading == "inverse":
        lines += _half_lines(result, reading)
    if result.query is not None and result.query.by is not None and not result.call.frame.is_modifier(result.query.by.name):
        lines.append(
            f"Note: {result.query.by.name} is not in modify(...): groups differ only by their covariates under this model"
        )
    return lines


def _half_lines(result: Result, reading: Reading) -> list[str]:
    """The limits of a number needed to treat whose difference may be zero: two half-lines through infinity."""
    from causalformula.results.reading import limits

    low, high = limits(result.answer.estimate.theta, result.covariance, 0.95)
    lines = []
    for label, a, b, gone in zip(result.answer.labels, low, high, np.isnan(reading.low), strict=True):
        if gone and a < 0 < b:
            left, right = format_each([1 / a, 1 / b], 4)
            lines.append(f"95% limits of {label}: below {left} or above {right} (the difference may be zero)")
    return lines
