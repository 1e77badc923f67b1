"""The print of a screen: the smallest p-values, how many questions failed, and what there is to say of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalformula.diagnostics.balance_plan import THRESHOLD
from causalformula.errors import counted, some
from causalformula.inference.calibration import EmpiricalNull
from causalformula.numerics.arrays import Codes
from causalformula.results.effects.summary import MEASURES
from causalformula.results.screening.core import ScreenCore
from causalformula.results.screening.questions import OUTCOMES, PAIRS, TREATMENTS
from causalformula.results.text.coefmat import Cells, limit_names
from causalformula.results.text.numbers import format_each
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS, MOST_ERRORS, NAMED, PAGE = 15, 5, 5, 160
ADJUSTED = {
    "holm": "Holm", "bonferroni": "Bonferroni", "hochberg": "Hochberg", "bh": "Benjamini-Hochberg",
    "by": "Benjamini-Yekutieli", "romano_wolf": "Romano-Wolf",
}  # fmt: skip
# The share of false findings, or the chance of any.
ALPHA = 0.05


def screen_summary(found: ScreenCore) -> Summary:
    """The summary of a screen."""
    tidy, order = found.tidy(), sorted_by_p(found)
    parts: list[str | Cells] = [_header(found, tidy), ""]
    if len(order):
        parts += [_cells(found, tidy, order[:MOST_ROWS])]
    if len(order) > MOST_ROWS:
        parts.append(f"The {MOST_ROWS} smallest {p_words(found)}s of {len(order)}; to_frame() has all")
    parts += ["", *_below(tidy, found)]
    parts += [_null(name, null, len(found.nulls)) for name, null in list(found.nulls.items())[:NAMED]]
    parts += _failures(found)
    parts += [f"Note: {note}" for note in notes(found)]
    return Summary(tuple(parts))


def sorted_by_p(found: ScreenCore, controls: bool = False) -> Codes:
    """Rows with an estimate, those of the smallest p-values first; negative controls among them or not."""
    p = found._read_p()
    there = (found.answers["error"] == "").to_numpy()
    there = np.flatnonzero(there if controls else there & ~found.answers["control"].to_numpy(dtype=bool))
    return np.asarray(there[np.argsort(np.where(np.isnan(p[there]), np.inf, p[there]), kind="stable")])


def p_words(found: ScreenCore) -> str:
    """What rows are sorted by."""
    return "calibrated p-value" if found.nulls else "p-value"


def _each(found: ScreenCore, name: str) -> list[str]:
    """The values that a column has, each once."""
    return [value for value in dict.fromkeys(found.answers[name]) if value]


def _header(found: ScreenCore, tidy: pd.DataFrame) -> str:
    treatments, outcomes = (list(dict.fromkeys(tidy[name])) for name in ("treatment", "outcome"))
    asked = len(dict.fromkeys(zip(tidy["treatment"], tidy["outcome"], strict=True)))
    what = {
        TREATMENTS: f"{counted(len(treatments), 'treatment')} on {outcomes[0]}",
        OUTCOMES: f"{treatments[0]} on {counted(len(outcomes), 'outcome')}",
        PAIRS: f"{counted(len(treatments), 'treatment')} on {counted(len(outcomes), 'outcome')}",
    }[found.kind]
    controls = len(found.answers[found.answers["control"]].drop_duplicates(["treatment", "outcome"]))
    among = f", {controls} of them on negative controls" if controls else ""
    lines = [f"Screen of {what}: {counted(asked, 'question')}{among}"]
    facts = [f"Method: {', '.join(_each(found, 'method'))}", f"Estimand: {', '.join(_each(found, 'estimand'))}"]
    contrasts = _each(found, "contrast")
    if len(contrasts) == 1:
        facts.insert(0, f"Effect: {contrasts[0]}")
    measures = [name for name in _each(found, "measure") if name != "difference"]
    facts += [f"Measure: {MEASURES.get(name, name.replace('_', ' '))}" for name in measures]
    lines.append("      ".join(facts))
    rows = tidy["rows"].dropna()
    if len(rows):
        least, most = int(rows.min()), int(rows.max())
        text = f"Rows: {least}" if least == most else f"Rows: {least} to {most} by question"
        dropped = int(found.answers["dropped"].max())
        lines.append(text + f", without up to {dropped} where values are missing" * (dropped > 0))
    return "\n".join(lines)


def _cells(found: ScreenCore, tidy: pd.DataFrame, order: Codes) -> Cells:
    """The rows with the smallest p-values."""
    shown, labels = tidy.iloc[order], found._labels()
    names = {"estimate": "Estimate", **dict(zip(("conf.low", "conf.high"), limit_names(found.level), strict=True))}
    columns = {title: format_each(shown[name].to_numpy(dtype=float), 4) for name, title in names.items()}
    for name in ("p.value", "p.adjusted", "p.calibrated"):
        if name in shown:
            columns[name] = [_p(value) for value in shown[name]]
    if shown["events"].notna().any():
        columns["Events"] = ["" if np.isnan(value) else f"{value:.0f}" for value in shown["events"]]
    columns["ESS"] = [f"{value:.0f}" for value in shown["ess"]]
    columns["Balance"] = ["" if np.isnan(value) else f"{value:.3f}" for value in shown["balance"]]
    if (shown["overlap"] != "").any():
        columns["Overlap"] = list(shown["overlap"])
    rows = tuple(labels[k] for k in order)
    return Cells(rows, tuple(columns), tuple(zip(*columns.values(), strict=True)), legend=False, width=PAGE)


def _p(value: float) -> str:
    return "" if np.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def _below(tidy: pd.DataFrame, found: ScreenCore) -> list[str]:
    """How many questions have a small adjusted p-value."""
    lines = []
    family = int(tidy["p.adjusted"].notna().sum())
    for name, words in (("p.adjusted", "p-values"), ("p.calibrated.adjusted", "calibrated p-values")):
        if name in tidy and (known := int(tidy[name].notna().sum())):
            count = int((tidy[name] < ALPHA).sum())
            way = f"{ADJUSTED[found.adjust]}, over {counted(known, 'effect')}"
            lines.append(f"Adjusted {words} below {ALPHA:g}: {count} ({way})")
    if found.adjust == "romano_wolf" and family:
        lines[0] += f"; seed {found.seed}"
    kinds = _each(found, "vcov")
    return [*lines, f"Standard errors: {', '.join(kinds)}"] if kinds else lines


def _null(name: str, null: EmpiricalNull, count: int) -> str:
    of = "" if count == 1 else f" for {name}"
    mean, sd = format_each([null.mean, null.sd], 3)
    return f"Systematic error{of}, by {counted(null.n, 'negative control')}: mean {mean}, sd {sd}"


def _failures(found: ScreenCore) -> list[str]:
    """Which questions have no estimate, and why."""
    errors = list(found.errors.items())
    if not errors:
        return []
    place = {TREATMENTS: 0, OUTCOMES: 1}.get(found.kind)
    lines = [f"{counted(len(errors), 'question')} without an estimate (see error):"]
    for names, text in errors[:MOST_ERRORS]:
        name = " on ".join(names) if place is None else names[place]
        lines.append(f"  {name}: {text.splitlines()[0]}")
    lines += [f"  and {len(errors) - MOST_ERRORS} more"] * (len(errors) > MOST_ERRORS)
    return ["\n".join(lines)]


def notes(found: ScreenCore) -> list[str]:
    """What must be known of all questions; what a question's own fit has to say stands in its row."""
    there = (found.answers["error"] == "").to_numpy()
    rows, names, told = found.answers[there], np.array(found._labels(), dtype=object)[there], list(found.told)
    weak = names[(rows["overlap"] == "weak").to_numpy()]
    if len(weak):
        told.append(f"weak overlap in {counted(len(weak), 'row')}: {some(weak, NAMED)}")
    out, weighted = names[(rows["balance"] > THRESHOLD).to_numpy()], bool(rows["weighted"].any())
    if len(rows) and not weighted and rows["balance"].notna().any():
        told.append(
            f"Balance is that of the data, which method {', '.join(_each(found, 'method'))} does not weight: its "
            "models adjust, if they are right"
        )
    elif len(out):
        told.append(f"not balanced (beyond {THRESHOLD:g}) in {counted(len(out), 'row')}: {some(out, NAMED)}")
    noted = int((rows["notes"].map(len) > 0).sum())
    if noted:
        have = "has" if noted == 1 else "have"
        told.append(f"{counted(noted, 'row')} of the table {have} notes, in its column notes")
    if found.nulls and found.adjust == "romano_wolf":
        told.append(
            "calibrated p-values are not adjusted: the joint resampling knows of no systematic error; adjust='bh' or "
            "'holm' adjusts them too"
        )
    return [*told, *(found._calibration.notes if found._calibration is not None else ())]
