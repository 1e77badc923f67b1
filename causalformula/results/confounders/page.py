"""The print of a choice of confounders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.errors import counted
from causalformula.formula.language.spec import Spec
from causalformula.frame.model_frame import ModelFrame
from causalformula.results.confounders.caution import ALWAYS, PROTECTED, caution
from causalformula.results.confounders.reasons import Reason
from causalformula.results.confounders.ways import WAYS
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.page import pad_right
from causalformula.results.text.summary import Summary
from causalformula.results.wording import missing_notes, plain, treatment_text

MOST_ROWS, PAGE = 30, 160
# The axis of the picture, in words.
AXES = {
    "double_lasso": "Largest standardised coefficient after the lasso",
    "outcome_adaptive_lasso": "Largest standardised coefficient in the treatment model",
    "change_in_estimate": "Change of the effect without the term, as a share",
    "recursive_elimination": "Rank: terms left when it went",
    "stepwise": "Likelihood ratio",
}


def confounders_summary(
    spec: Spec, method: str, listed: Sequence[Reason], frame: ModelFrame, told: Sequence[str], notes: Sequence[str]
) -> Summary:
    """The summary of a choice."""
    way = WAYS[method]
    kept, candidates = sum(each.kept for each in listed), len(listed)
    outcome = "" if frame.outcome is None else f"Outcome: {plain(frame.outcome.name)}      "
    shown = sorted(listed, key=lambda each: not each.kept)[:MOST_ROWS]
    parts: list[str | Cells] = [
        f"Choice of confounders: {kept} of {counted(candidates, 'term')} kept",
        f"Method: {way.title}      {outcome}Observations: {frame.nobs}",
        f"Treatment: {treatment_text(frame.the_treatment)}",
        "",
        _cells(shown, way.statistic),
    ]
    if len(shown) < candidates:
        parts.append(f"{len(shown)} of {candidates} terms are shown; reasons has all")
    parts += ["", f"Formula: {spec}", *told]
    parts += [PROTECTED if way.protects else f"Warning: {caution(way)}", ALWAYS]
    known = (*missing_notes(frame), *frame.notes, *notes)
    return Summary((*parts, *(f"Note: {note}" for note in known)))


def _cells(shown: Sequence[Reason], statistic: str) -> Cells:
    """Kept terms first."""
    head, *why = pad_right(["Why", *(each.why for each in shown)])
    numbers = ["" if np.isnan(each.statistic) else f"{each.statistic:.4g}" for each in shown]
    body = tuple(
        ("yes" if each.kept else "no", number, text) for each, number, text in zip(shown, numbers, why, strict=True)
    )
    return Cells(tuple(each.term for each in shown), ("Kept", statistic, head), body, legend=False, width=PAGE)
