"""The rows of MatchIt's balance tables: all levels of a factor, squares and products on request."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from causalformula.diagnostics.covariates import POWERS, Covariate
from causalformula.formula.expressions.values import Factor, Logical, Matrix, Strings, Value, as_factor
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.syntax import Name
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.numerics.arrays import Array


def matched_covariates(frame: ModelFrame, *, interactions: bool = False) -> list[Covariate]:
    """Covariates of the treatment model by variable, in the formula's order.

    Parameters
    ----------
    frame : ModelFrame
    interactions : bool
        Squares and products of two variables too.

    Notes
    -----
    As MatchIt: every level of a factor has a row (``raceblack``), a logical the row of its truth (``flagTRUE``), and
    the formula's own interactions none. No squares of 0/1 covariates, and no products that are constant or the first
    of the two.
    """
    design = frame.design(PROPENSITY)
    used = sorted({i for term in design.recipe.terms.coding for i, _ in term})
    labels = design.recipe.terms.labels
    plain = [column for i in used for column in _columns(labels[i], design.values[i])]
    return [*plain, *(_products(plain) if interactions else ())]


def variable_names(frame: ModelFrame) -> list[str]:
    """The variables of the treatment model as MatchIt lists them."""
    terms = frame.design(PROPENSITY).recipe.terms
    return [_bare(terms.labels[i]) for i in sorted({i for term in terms.coding for i, _ in term})]


def _columns(label: str, value: Value) -> list[Covariate]:
    if isinstance(value, Matrix):
        names = value.names or tuple(str(k + 1) for k in range(value.values.shape[1]))
        if len(names) == 1:
            return [_column(_bare(label), value.values[:, 0], label)]
        return [_column(_stem(label) + name, value.values[:, k], label) for k, name in enumerate(names)]
    if isinstance(value, (Factor, Strings)):
        factor = as_factor(value).drop_unused()
        stem = _stem(label)
        return [
            Covariate(stem + level, (factor.codes == k).astype(float), True, label)
            for k, level in enumerate(factor.levels)
        ]
    if isinstance(value, Logical):
        return [Covariate(f"{_stem(label)}TRUE", value.codes.astype(float), True, label)]
    return [_column(_bare(label), np.asarray(value, dtype=float), label)]


def _column(name: str, x: Array, source: str) -> Covariate:
    return Covariate(name, x, bool(((x == 0) | (x == 1)).all()), source)


def _bare(label: str) -> str:
    """A name without the backquotes that R's formula needs."""
    node = parse_expression(label)
    return node.id if isinstance(node, Name) else label


def _stem(label: str) -> str:
    """What levels are appended to: anything but a plain name stands in backquotes."""
    node = parse_expression(label)
    return deparse(node) if isinstance(node, Name) else f"`{label}`"


def _products(plain: list[Covariate]) -> Iterator[Covariate]:
    for k, a in enumerate(plain):
        if not a.binary:
            yield Covariate(a.name + POWERS[2], a.values**2, False, a.source)
        for b in plain[k + 1 :]:
            values = a.values * b.values
            if a.source != b.source and np.ptp(values) > 0 and (values != a.values).any():
                yield Covariate(f"{a.name} * {b.name}", values, a.binary and b.binary, f"{a.source} * {b.source}")
