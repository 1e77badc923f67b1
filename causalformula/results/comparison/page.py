"""The print of a comparison: one table, what was left out, and the notes of the fits, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.target import target_arm
from causalformula.errors import counted
from causalformula.numerics.arrays import Array
from causalformula.results.comparison.asked import UNADJUSTED
from causalformula.results.comparison.core import ComparisonCore
from causalformula.results.effects.summary import MEASURES, question, row_lines
from causalformula.results.families.units import UnitResult
from causalformula.results.text.coefmat import EFFECT_WIDTH, Cells, coefmat_cells, limit_names
from causalformula.results.text.numbers import format_each
from causalformula.results.text.summary import Summary
from causalformula.results.wording import estimand_text, plain, sampling_weights

if TYPE_CHECKING:
    import pandas as pd

Body = Sequence[tuple[str, ...]]


def comparison_summary(found: ComparisonCore, level: float) -> Summary:
    """The summary of a comparison."""
    parts: list[str | Cells] = [_header(found), "", _cells(found, level)]
    parts += [*_standard_errors(found), *_unit_errors(found), *_agreement(found)]
    parts += [f"Note: {note}" for note in notes_below(found)]
    return Summary(tuple(parts))


def _header(found: ComparisonCore) -> str:
    first, frame = found.first, found.frame
    count = len(found.compared)
    lines = [f"{question(first)} by {count} method{'s' * (count != 1)}"]
    facts = [f"Estimand: {estimand_text(first.call, found.estimand)}", f"Observations: {frame.nobs}"]
    labels = first.answer.labels
    if len(labels) == 1:
        facts.insert(0, f"Effect: {labels[0]}")
    if sampling_weights(frame):
        facts.append(f"Sampling weights: {sampling_weights(frame)}")
    if found.truth is not None:
        mean = f" (mean of the units{_of_target(found)})" if found.unit_truth is not None else ""
        facts.append(f"Truth: {', '.join(format_each(found.truth, 7))}{mean}")
    measure = first.answer.measure.name
    if measure != "difference":
        facts.append(f"Measure: {MEASURES.get(measure, measure.replace('_', ' '))}")
    return "\n".join([*lines, "      ".join(facts), *row_lines(frame)])


def _of_target(found: ComparisonCore) -> str:
    """Whose units the average is of, where these are not all."""
    frame, arm = found.frame, target_arm(found.frame, found.first.call.options)
    return "" if arm is None else f" with {plain(frame.the_treatment.name)} = {frame.the_treatment.levels[arm]}"


def _cells(found: ComparisonCore, level: float) -> Cells:
    """Estimates with their limits, the errors where the truth is known, and what each method left out."""
    tidy = found.tidy(level)
    names, columns = ["Estimate", "Std. Error", *limit_names(level)], ["estimate", "std.error", "conf.low", "conf.high"]
    if found.truth is not None:
        names, columns = [*names, "Error", "Error / SE"], [*columns, "error", "error.over.se"]
    table: Array = tidy[columns].to_numpy(dtype=float)
    cells = coefmat_cells(
        table,
        row_labels(found),
        names,
        signif_stars=False,
        cs_ind=range(4),
        tst_ind=range(5, len(columns)),
        has_Pvalue=False,
    )
    if found.truth is not None:
        cells = _error_as_estimate(cells, table[:, 4])
    endless = np.isinf(table)
    body = [
        tuple(("Inf" if x > 0 else "-Inf") if out else text for text, x, out in zip(*line, strict=True))
        for line in zip(cells.body, table, endless, strict=True)
    ]
    if found.unit_truth is not None:
        body, names = _with_unit_errors(body, tidy), [*names, "PEHE", "MAE", "Correlation"]
    left = tidy["left.out"].tolist()
    if any(left):
        body, names = [(*line, text) for line, text in zip(body, left, strict=True)], [*names, "Left out"]
    return replace(cells, cols=tuple(names), body=tuple(body), width=EFFECT_WIDTH)


def _error_as_estimate(cells: Cells, error: Array) -> Cells:
    """Errors with the decimals of the estimates: those of a small one would say more than is known."""
    texts = _fixed(error, _decimals(cells.body))
    body = tuple((*line[:4], text, *line[5:]) for line, text in zip(cells.body, texts, strict=True))
    return replace(cells, body=body)


def _decimals(body: Body) -> int:
    """Those of the estimates."""
    return max((len(line[0].partition(".")[2]) for line in body if "e" not in line[0]), default=4)


def _fixed(values: Array, decimals: int) -> list[str]:
    return ["NA" if np.isnan(x) else f"{x:.{decimals}f}" for x in values]


def _with_unit_errors(body: Body, tidy: pd.DataFrame) -> list[tuple[str, ...]]:
    """Errors of unit effects, with the decimals of the estimates too."""
    decimals = _decimals(body)
    pehe, mae = (_fixed(tidy[name].to_numpy(dtype=float), decimals) for name in ("PEHE", "MAE"))
    related = _fixed(tidy["correlation"].to_numpy(dtype=float), 3)
    return [(*line, *more) for line, *more in zip(body, pehe, mae, related, strict=True)]


def row_labels(found: ComparisonCore, marked: bool = False) -> list[str]:
    """One a row: the method in words, after the effect where there are several.

    Parameters
    ----------
    marked : bool
        Whether a method that adjusts for nothing is marked, where no column says so.
    """
    labels = found.first.answer.labels
    words = [one.asked.label + f" ({UNADJUSTED})" * (marked and found._unadjusted(one)) for one in found.compared]
    return [word if len(labels) == 1 else f"{label}: {word}" for label in labels for word in words]


def _standard_errors(found: ComparisonCore) -> list[str]:
    """Kinds of standard errors, each with the methods that have it."""
    kinds: dict[str, list[str]] = {}
    for one in found.compared:
        if one.fit is not None:
            kinds.setdefault(one.fit.covariance.label, []).append(one.asked.name)
    if len(kinds) == 1:
        return [f"Standard errors: {next(iter(kinds))}"]
    return ["\n".join(["Standard errors:", *(f"  {kind}: {', '.join(names)}" for kind, names in kinds.items())])]


def _unit_errors(found: ComparisonCore) -> list[str]:
    """What the errors of unit effects are of, and why some have no correlation."""
    truth = found.unit_truth
    if truth is None:
        return []
    share = found.frame.unit_weights / found.frame.unit_weights.sum()
    spread = format_each([np.sqrt(share @ (truth - share @ truth) ** 2)], 4)[0]
    count = counted(len(truth), "row")
    lines = [f"PEHE, MAE, Correlation: unit effects of all {count} against true ones, whose s.d. is {spread}"]
    if _of_target(found):
        lines.append(f"  of everyone, not only the units{_of_target(found)}")
    single = [name for name, fit in found.fits.items() if not isinstance(fit, UnitResult)]
    if single:
        lines.append(f"  one number for all units, which has no correlation: {', '.join(single)}")
    same = {name: [each.undefined] for name, each in found._accuracy.items() if each.undefined and name not in single}
    return ["\n".join([*lines, *(f"  {text}" for text in _grouped(same))])]


def _agreement(found: ComparisonCore) -> list[str]:
    """The joint test, and who takes no part in it."""
    if sum(one.fit is not None for one in found.compared) < 2:
        return []
    made = found._agreement
    apart = _grouped({name: [reason] for name, reason in made.apart.items()})
    without = [f"  without {text}" for text in apart]
    if made.test is None:
        return ["", "\n".join(["No joint test that the methods agree: fewer than two can be tested", *without])]
    return ["", "\n".join([str(made.test), *without])]


def notes_below(found: ComparisonCore) -> list[str]:
    """Notes of the data, then of the fits, each once with the methods that it is of."""
    data = list(found.frame.notes)
    own = {one.asked.name: [note for note in one.notes() if note not in data] for one in found.compared}
    return [*data, *_grouped(own)]


def _grouped(told: Mapping[str, Sequence[str]]) -> list[str]:
    """``names: note``, each note once."""
    out: dict[str, list[str]] = {}
    for name, notes in told.items():
        for note in notes:
            out.setdefault(note, []).append(name)
    return [f"{', '.join(names)}: {note}" for note, names in out.items()]
