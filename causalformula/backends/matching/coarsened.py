"""The bins and groups of coarsened exact matching, as options give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from causalformula.backends.matching.conditions import columns_of, covariate_values
from causalformula.backends.matching.options import CEM, Cut
from causalformula.errors import DataError, OptionError, choose
from causalformula.formula.expressions.values import Factor, Logical, Strings, Value, as_factor
from causalformula.frame.grouping import grouping
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import level_label
from causalformula.numerics.arrays import Codes
from causalformula.numerics.matching.coarsen import coarsened


def coarsened_strata(frame: ModelFrame, options: CEM) -> list[Codes]:
    """Codes of the bins of each covariate."""
    named = [pair for label, value in covariate_values(frame) for pair in columns_of(label, value)]
    if not named:
        raise DataError("coarsened exact matching needs covariates to coarsen; add adjust(...)")
    values = dict(named)
    _refuse_unknown("cutpoints", options.cutpoints, {name: v for name, v in named if not _is_levels(v)}, values)
    _refuse_unknown("grouping", options.grouping, {name: v for name, v in named if _is_levels(v)}, values)
    return [_codes(frame, options, name, value) for name, value in named]


def _is_levels(value: Value) -> bool:
    return isinstance(value, (Factor, Strings, Logical))


def _refuse_unknown(option: str, given: Any, able: Mapping[str, Value], values: Mapping[str, Value]) -> None:
    """An ``OptionError`` for a name that is no covariate, or one of the other kind."""
    for name in given if isinstance(given, Mapping) else ():
        if name in able:
            continue
        if name in values:
            other = "its levels are grouped by grouping=" if option == "cutpoints" else "it is cut by cutpoints="
            raise OptionError(
                f"{option}= names {name!r}, which has {'levels' if option == 'cutpoints' else 'numbers'}; {other}"
            )
        raise OptionError(f"{option}= names {name!r}, which is no covariate of the formula{choose(name, able)}")


def _codes(frame: ModelFrame, options: CEM, name: str, value: Value) -> Codes:
    if _is_levels(value):
        wanted = (options.grouping or {}).get(name)
        return grouping(name, value, frame.index).codes if wanted is None else _grouped(name, value, wanted)
    x = np.asarray(value, dtype=float)
    used = frame.frequencies > 0
    found = np.zeros(len(x), dtype=np.intp)
    found[used] = coarsened(x[used], _cut(options, name))
    return found


def _cut(options: CEM, name: str) -> Cut:
    cut = options.cutpoints
    return cut.get(name, CEM.cutpoints) if isinstance(cut, Mapping) else cut


def _grouped(name: str, value: Value, groups: Iterable[Iterable[Any]]) -> Codes:
    """Levels put together; those that no group names stay as they are."""
    factor = as_factor(value)
    place = np.arange(len(factor.levels))
    seen: set[str] = set()
    for group in groups:
        levels = [level_label(level) for level in ([group] if isinstance(group, str) else group)]
        for level in levels:
            if level not in factor.levels:
                raise OptionError(f"grouping= of {name!r} names {level!r}{choose(level, factor.levels)}")
            if level in seen:
                raise OptionError(f"grouping= of {name!r} names the level {level!r} twice")
            seen.add(level)
        members = [factor.levels.index(level) for level in levels]
        place[members] = members[0]
    return place[factor.codes].astype(np.intp)
