"""A ``Design`` in print: how it was made, for whom and from what, then its sample sizes and its notes."""

from __future__ import annotations

import numpy as np

from causalformula.errors import some
from causalformula.frame.parts import PROPENSITY
from causalformula.results.designs.core import DesignCore
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_num
from causalformula.results.wording import (
    dose_notes,
    estimand_text,
    missing_line,
    sampling_weights,
    treatment_text,
)


def design_text(design: DesignCore) -> str:
    """The printed design, without a newline at the end."""
    parts = [_head(design), "", "Effective sample sizes", _sizes(design)]
    return "\n".join([*parts, *(f"Note: {note}" for note in design_notes(design))])


def design_notes(design: DesignCore) -> tuple[str, ...]:
    """What the print must say of a design, of its balance and of the data."""
    frame = design.call.frame
    return (*design.notes, *design.imbalance, *frame.notes, *dose_notes(frame.treatment))


def _head(design: DesignCore) -> str:
    """The method in words, and what went into it."""
    call, frame = design.call, design.call.frame
    kept = design.carrying()
    lines = [f"Design: {_method(design)}"]
    lines.append(f" - number of obs.: {kept if kept == frame.size else f'{kept} of {frame.size}'}")
    if frame.dropped:
        lines.append(missing_line(frame))
    lines.append(f" - sampling weights: {sampling_weights(frame) or 'none'}")
    if frame.treatment is not None:
        lines.append(f" - treatment: {treatment_text(frame.treatment)}")
    if call.options.estimand is not None:  # none of an effect that is no average over a population
        lines.append(f" - estimand: {estimand_text(call, call.options.estimand, always=True)}")
    lines.append(f" - covariates: {some(frame.design(PROPENSITY).recipe.terms.term_labels) or 'none'}")
    return "\n".join(lines)


def _method(design: DesignCore) -> str:
    if design.designed is not None:
        return design.designed.words
    return f"method {design.call.record.name!r}{', which weights no row' * design.weightless()}"


def _sizes(design: DesignCore) -> str:
    sizes = design.ess()
    texts = np.array(format_num(sizes.to_numpy().ravel(), 5), dtype=object).reshape(sizes.shape)
    return Cells(tuple(sizes.index), tuple(sizes.columns), tuple(map(tuple, texts)), False).text().rstrip("\n")
