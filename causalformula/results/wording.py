"""What the prints of a fit and of its design say alike: rows left out, the treatment, and whose effect it is."""

from __future__ import annotations

import numpy as np

from causalformula.backends.estimands import ESTIMANDS
from causalformula.errors import some
from causalformula.formula.expressions.values import number_label
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Name
from causalformula.frame.bound import BoundRows
from causalformula.frame.treatment import Kind, Treatment
from causalformula.results.call import Call
from causalformula.results.text.console import omitted_line

# A numeric treatment with no more values may have been meant as levels.
FEW_VALUES = 5
# Levels that say themselves which of them is the treated one.
PLAIN = (("0", "1"), ("FALSE", "TRUE"))


def plain(name: str) -> str:
    """A name as R's headings have it: backquotes only inside expressions."""
    node = parse_expression(name) if name else None
    return node.id if isinstance(node, Name) else name


def missing_line(frame: BoundRows) -> str:
    """How many rows were dropped for missing values of what, as R words and indents it; empty where none was."""
    if not frame.dropped:
        return ""
    by = ", ".join(f"{name}: {count}" for name, count in frame.missing_by.items())
    return omitted_line(frame.dropped).rstrip().removesuffix(")") + f": {by})"


def missing_notes(frame: BoundRows) -> tuple[str, ...]:
    """The same as a note: none where no row was dropped."""
    line = missing_line(frame).strip()
    return (line[1:-1],) if line else ()


def named_target(call: Call) -> str | None:
    """The level whose units are the target, where ``focal`` names it: ``f = lo``."""
    treatment, focal = call.frame.treatment, call.options.focal
    if treatment is None or focal is None:
        return None
    return f"{plain(treatment.name)} = {treatment.levels[treatment.index(focal)]}"


def estimand_text(call: Call, estimand: str, *, always: bool = False) -> str:
    """The estimand and, for an ATT or ATC, the level whose units are its target: ``ATT (f = lo)``.

    Levels 0 and 1 tell by themselves who is treated, so theirs is left out unless ``always`` asks for it.
    """
    target, treatment = named_target(call), call.frame.treatment
    said = treatment is None or not treatment.levels or (treatment.levels in PLAIN and not always)
    arm = ESTIMANDS[estimand].arm if estimand in ESTIMANDS else None
    if target is None and treatment is not None and not said and arm is not None:
        target = f"{plain(treatment.name)} = {treatment.levels[arm]}"
    return estimand if target is None else f"{estimand} ({target})"


def sampling_weights(frame: BoundRows) -> str | None:
    """What stands in ``weights(...)``; None without it."""
    found = frame.spec.rhs("weights")
    return None if found is None else deparse(found)


def treatment_text(treatment: Treatment) -> str:
    """The treatment and how it was read: its levels, the reference first, or the range of a dose."""
    if treatment.kind is Kind.CONTINUOUS:
        low, high = (number_label(float(f"{x:.4g}")) for x in (treatment.values.min(), treatment.values.max()))
        return f"{plain(treatment.name)}, a dose from {low} to {high}"
    count = "two" if len(treatment.levels) == 2 else str(len(treatment.levels))
    reference, *others = treatment.levels
    return f"{plain(treatment.name)}, {count} levels: {some([f'{reference} (reference)', *others])}"


def dose_notes(treatment: Treatment | None) -> tuple[str, ...]:
    """A numeric treatment of a few whole values may have been meant as levels."""
    if treatment is None or treatment.kind is not Kind.CONTINUOUS:
        return ()
    values = np.unique(treatment.values)
    if len(values) > FEW_VALUES or (values != np.round(values)).any():
        return ()
    listed = ", ".join(number_label(value) for value in values)
    name = treatment.name
    return (f"{name} is treated as a dose, with values {listed}; write treat(factor({name})) for levels",)
