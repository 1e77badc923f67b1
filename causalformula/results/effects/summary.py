"""Printed summaries: the effect table first, then the models behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from causalformula.backends.estimands import ATE, title_of
from causalformula.formula.language.deparse import symbol
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.evidence import Accumulated, Influence, Repeated
from causalformula.inference.request_text import read_request
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.results.effects.core import ResultCore
from causalformula.results.models.core import ModelCore
from causalformula.results.models.summary import (
    effect_lines,
    left_out_lines,
    model_summary,
    plain_summary,
    weightless_line,
)
from causalformula.results.reading.inequalities import two_sided
from causalformula.results.reading.reading import Reading, limits
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_each
from causalformula.results.text.summary import Summary
from causalformula.results.wording import dose_notes, estimand_text, missing_line, named_target, plain, sampling_weights

WIDTH = 100
# Measures whose names are no words.
MEASURES = {"nnt": "number needed to treat"}
POTENTIAL = {"mean": "Mean potential outcomes", "quantile": "Quantiles of potential outcomes"}


def result_summary(result: ResultCore, level: float, models: Mapping[str, ModelCore]) -> Summary:
    """The summary of a causal fit.

    Parameters
    ----------
    models : mapping of str to ModelCore
        Those behind the effect whose own summaries follow.
    """
    reading = result.read(level)
    parts: list[str | Cells] = [_header(result), "", *result._effects(reading, level)]
    parts += [line for line in _footer(result, reading, level) if line]
    parts += result._tables()
    if result.test is not None:
        parts += ["", str(result.test)]
    for name, model in models.items():
        parts += ["", f"{name.replace('_', '-').capitalize()} model:", *_behind(result, model)]
    return Summary(tuple(parts))


def _behind(result: ResultCore, model: ModelCore) -> list[str | Cells]:
    """A model's own summary, with its covariance where that is not the effects' and R's text does not say it."""
    own = model.covariance
    said = result.covariance.notes  # above, of the effects
    parts = [part for part in _stripped(model_summary(model).parts) if part not in said]
    if own.label != result.covariance.label and plain_summary(model):
        parts.append(f"Standard errors: {own.label}")
    return parts


def _stripped(parts: Sequence[str | Cells]) -> list[str | Cells]:
    """Parts without blank lines before the first and after the last."""
    out = list(parts)
    if isinstance(out[0], str):
        out[0] = out[0].lstrip("\n")
    if isinstance(out[-1], str):
        out[-1] = out[-1].rstrip("\n")
    return out


def _header(result: ResultCore) -> str:
    frame = result.call.frame
    outcome = "the outcome" if frame.outcome is None else plain(frame.outcome.name)
    name = _treatment(frame)
    if result.query is not None and result.query.kind == "means":
        title = f"{POTENTIAL[result._compared]} of {outcome} by {name}"
    elif result.query is None:
        title = f"Derived from: {title_of(result.fit.estimand).lower()} of {name} on {outcome}"
    else:
        title = question(result)
    estimand = estimand_text(result.call, result.fit.estimand)
    facts = [f"Method: {result._method()}", f"Estimand: {estimand}", f"Observations: {result.nobs}"]
    if sampling_weights(frame):
        facts.append(f"Sampling weights: {sampling_weights(frame)}")
    joined = "      ".join(facts)
    lines = [title, joined] if len(joined) <= WIDTH else [title, facts[0], "      ".join(facts[1:])]
    measure = result.answer.measure.name
    if measure != "difference":
        lines.append(f"Measure: {MEASURES.get(measure, measure.replace('_', ' '))}" + _null(result))
    return "\n".join([*lines, *effect_lines(frame, "Fixed effects"), *_variation(frame), *row_lines(frame)])


def _variation(frame: ModelFrame) -> list[str]:
    """Within how many levels of absorbed effects the treatment varies, where not in all: the others compare nothing."""
    treatment = frame.treatment
    if treatment is None or not frame.effects:
        return []
    used = frame.unit_weights > 0
    values = np.unique(np.asarray(treatment.codes if treatment.levels else treatment.values), return_inverse=True)[1]
    lines = []
    for name, codes in {one.name: one.grouping.codes for one in frame.effects}.items():
        levels, place = np.unique(codes[used], return_inverse=True)
        low, high = np.full(len(levels), values.max()), np.zeros(len(levels), dtype=np.intp)
        np.minimum.at(low, place, values[used])
        np.maximum.at(high, place, values[used])
        if (count := int((low < high).sum())) < len(levels):
            lines.append(f"  ({treatment.name} varies within {count:,} of {len(levels):,} levels of {name})")
    return lines


def question(result: ResultCore) -> str:
    """What is asked, as a title: whose effect, of what, on what."""
    frame = result.call.frame
    outcome = "the outcome" if frame.outcome is None else plain(frame.outcome.name)
    name = _treatment(frame)
    return f"{_title(result)} of {name} on {outcome}{_among(result)}"


def _treatment(frame: ModelFrame) -> str:
    """Its name; of groups that are treated at different times the variable that says when."""
    if frame.treatment is None:
        return "" if frame.panel is None else plain(frame.panel.treated)
    return plain(frame.treatment.name)


def row_lines(frame: ModelFrame) -> list[str]:
    """Rows that take no part: with missing values, or of weight zero."""
    lines = [missing_line(frame)] if frame.dropped else []
    lines += left_out_lines(frame)
    # of sampling weight zero; rows that the design left out are counted in its notes
    return lines + weightless_line(frame.size + frame.left_out.idle - frame.nobs)


def _title(result: ResultCore) -> str:
    treatment = result.call.frame.treatment
    title = title_of(result.fit.estimand)
    if named_target(result.call) is not None:
        return title_of(ATE)
    if treatment is not None and treatment.kind is Kind.CONTINUOUS and result.fit.estimand == ATE:
        return "Average effect"
    return title


def _among(result: ResultCore) -> str:
    target = named_target(result.call)
    return "" if target is None else f" among units with {target}"


def _null(result: ResultCore) -> str:
    return " (tested against 1 on the log scale)" if result.answer.measure.reading == "exp" else ""


def _footer(result: ResultCore, reading: Reading, level: float) -> list[str]:
    lines = [] if result.source is None else [two_sided(result.source[1])]
    lines.append(f"Standard errors: {result.covariance.label}")
    request, made = result.covariance.request, result.fit.design
    if made.because and request == read_request(made.vcov):
        lines.append(f"Default for this design: {made.because}")
    if isinstance(request, Bootstrap):
        lines.append(f"Intervals: {request.kind}")
    if request.unconditional:
        lines.append("Unconditional: the covariates' own sampling is included")
    lines += result.covariance.notes
    lines += result._lines(level)
    lines += [
        f"Note: {note}" for note in (*result.fit.notes_under(result.covariance.request), *result.design.imbalance)
    ]
    if result.answer.measure.reading == "inverse":
        lines += [*_half_lines(result, reading, level), *_harm(result, reading)]
    return (
        lines
        + scale_note(result)
        + _group_note(result)
        + [f"Note: {note}" for note in (*result.call.frame.notes, *dose_notes(result.call.frame.treatment))]
    )


def _harm(result: ResultCore, reading: Reading) -> list[str]:
    """Negative numbers needed to treat, as what they are."""
    sizes = [(label, -x) for label, x in zip(result.answer.labels, reading.estimate, strict=True) if x < 0]
    texts = format_each([size for _, size in sizes], 4)
    named = ", ".join(f"{text} for {label}" for (label, _), text in zip(sizes, texts, strict=True))
    return [f"Note: below zero it is a number needed to harm: {named}"] if sizes else []


def scale_note(result: ResultCore) -> list[str]:
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


def _group_note(result: ResultCore) -> list[str]:
    """What groups of a column that is no modifier can differ by."""
    query, behind = result.query, result.fit.models.get("outcome")
    if query is None or query.by is None or len(query.by.levels) == 1:
        return []
    name, part = query.by.name, None if behind is None else behind.part
    evidence = result.answer.estimate.evidence
    evidence = evidence.shape if isinstance(evidence, Accumulated) else evidence
    # each row's own residual is in its score
    scored = isinstance(evidence, Repeated) or (isinstance(evidence, Influence) and evidence.root is None)
    if scored or result.call.frame.is_modifier(name, part):
        return []
    why = "groups differ only by their covariates under this model"
    if result.test is None:
        what = "effect" if query.kind == "effects" else "means"
        write = f"write modify({symbol(name)})"
        why = f"this model holds the {what} equal in all groups, so there is nothing to test; {write}"
    return [f"Note: {name} is not in modify(...): {why}"]


def _half_lines(result: ResultCore, reading: Reading, level: float) -> list[str]:
    """The limits of a number needed to treat whose difference may be zero: two half-lines through infinity."""
    low, high = limits(result.answer.estimate.theta, result.covariance, level)
    lines = []
    for label, a, b, gone in zip(result.answer.labels, low, high, np.isnan(reading.low), strict=True):
        if gone and a < 0 < b:
            left, right = format_each([1 / a, 1 / b], 4)
            where = f"below {left} or above {right} (the difference may be zero)"
            lines.append(f"{100 * level:g}% limits of {label}: {where}")
    return lines
