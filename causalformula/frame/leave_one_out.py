"""Rows that ``loo(g)`` has no value for: those without another row in their group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from causalformula.errors import DataError, some
from causalformula.formula.expressions.values import Value, as_factor
from causalformula.formula.language.absorbed import AbsorbedTerm
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.leave_one_out import LeaveOneOutTerm
from causalformula.frame.absorbed import FixedEffect, LeftOut, Limits, fixed_effects
from causalformula.numerics.absorption.singletons import singletons
from causalformula.numerics.arrays import Array, Codes


def rows_with_others(
    means: Sequence[LeaveOneOutTerm],
    absorbed: Sequence[AbsorbedTerm],
    values: Mapping[str, Value],
    rows: Codes,
    weights: Array | None,
    index: Any,
    limits: Limits | None,
) -> tuple[tuple[FixedEffect, ...], Codes, LeftOut]:
    """The absorbed factors and the rows that stay, as ``fixed_effects`` has them, less those alone in a group.

    A row that leaves for the one may leave another alone for the other, so both are asked in turn.

    Raises
    ------
    DataError
        If no row is left.
    """
    if not means:
        return fixed_effects(absorbed, values, rows, weights, index, limits)
    groups = [as_factor(values[f"loo:{deparse(term.group)}"]).codes for term in means]
    named, at, out = some(term.label for term in means), np.arange(len(rows)), LeftOut()
    while True:
        own = None if weights is None else weights[at]
        stays = singletons([codes[rows[at]] for codes in groups], own)
        gone = ~stays if own is None else ~stays & (own > 0)
        out = out.plus(LeftOut(idle=int((~stays & ~gone).sum()), alone=int(gone.sum()), alone_in=named))
        at = at[stays]
        if not len(at):
            raise DataError(
                f"no row has another row in its group, of which {named} could be the mean; name what several rows share"
            )
        own = None if weights is None else weights[at]
        ends = None if limits is None else replace(limits, codes=limits.codes[at])
        effects, left, more = fixed_effects(absorbed, values, rows[at], own, index, ends)
        out = out.plus(more)
        if len(left) == len(at):
            return effects, left, out
        at = np.searchsorted(rows, left)
