"""Several designs of the same rows, to be set side by side in one balance table or one love plot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from causalformula.backends.estimands import ATE
from causalformula.backends.options import shown
from causalformula.errors import OptionError, some
from causalformula.results.designs.core import DesignCore

# Columns that a balance table has already.
TAKEN = ("Un", "Adj", "Type", "Threshold")


def compared(design: DesignCore, others: Any, cluster: Any = None, which_treat: Any = None) -> dict[str, DesignCore]:
    """Designs by name, this one first under its method's name, or where and as ``others`` have it.

    Raises
    ------
    OptionError
        If ``others`` is no mapping of names to designs, a name is taken, or a design has another treatment, other rows
        or other sampling weights; or together with what makes several tables.
    """
    if not isinstance(others, Mapping) or not others:
        raise OptionError(f"compare is a mapping of names to designs, as {{'cem': other}}, not {shown(others)}")
    for name, value in (("cluster", cluster), ("which_treat", which_treat)):
        if value is not None:
            raise OptionError(
                f"compare= sets designs side by side in one table, and {name}= makes several; ask for one of them"
            )
    for name, other in others.items():
        _check(design, name, other)
    if any(other is design for other in others.values()):
        return dict(others)
    own = design.call.record.name
    if own in others:
        raise OptionError(
            f"compare has a design named {own!r}, as this one is by its method; choose another name, or name this "
            "one too: {'first': this, 'second': other}"
        )
    return {own: design, **others}


def _check(design: DesignCore, name: Any, other: Any) -> None:
    if not isinstance(name, str) or not name or name in TAKEN:
        raise OptionError(f"compare: {shown(name)} cannot name a design; choose a word, as 'cem'")
    if not isinstance(other, DesignCore):
        what = "a fit; write fit.design" if isinstance(getattr(other, "design", None), DesignCore) else shown(other)
        raise OptionError(f"compare: {name!r} is no design but {what}")
    reason = _difference(design, other)
    if reason:
        raise OptionError(f"compare: {name!r} {reason}; designs are compared on the same rows and treatment")


def _difference(design: DesignCore, other: DesignCore) -> str:
    """In what another design differs; empty where both are of the same rows and treatment."""
    ours, theirs = design.call.frame, other.call.frame
    mine, yours = ours.the_treatment, theirs.treatment
    if yours is None:
        return "has no treat(...)"
    if mine.name != yours.name or mine.levels != yours.levels:
        of = f" with levels {some(yours.levels)}" if mine.name == yours.name else ""
        return f"is of the treatment {yours.name}{of}, this design of {mine.name}{of and f' with {some(mine.levels)}'}"
    if len(ours.index) != len(theirs.index):
        return f"has {theirs.n} rows, this design {ours.n}"
    apart = np.flatnonzero(np.asarray(ours.index != theirs.index))
    if len(apart):
        k = apart[0]
        return f"has other rows, or another order: row {k + 1} is {theirs.index[k]!r}, of this design {ours.index[k]!r}"
    if not (np.array_equal(mine.codes, yours.codes) and np.array_equal(mine.values, yours.values)):
        return f"has other values of the treatment {mine.name}"
    if not np.array_equal(ours.unit_weights, theirs.unit_weights):
        return "has other sampling weights"
    return ""


def comparison_notes(
    design: DesignCore, designs: Mapping[str, DesignCore], done: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """What was done in each design; and that one scale serves all where the estimands differ."""
    said: dict[str, list[str]] = {}
    for name, notes in done.items():
        for note in notes:
            said.setdefault(note, []).append(name)
    out = [note if len(names) == len(designs) else f"{', '.join(names)}: {note}" for note, names in said.items()]
    estimands = {name: _whose(other) for name, other in designs.items()}
    if len(set(estimands.values())) > 1:
        each = ", ".join(f"{name} {estimand}" for name, estimand in estimands.items())
        own = _whose(design)
        out.append(f"the estimands differ ({each}); differences are over the standard deviations of the {own} in all")
    return tuple(out)


def _whose(design: DesignCore) -> str:
    """The estimand, whose standard deviations are those of the ATE where an effect is none."""
    return design.call.options.estimand or ATE
