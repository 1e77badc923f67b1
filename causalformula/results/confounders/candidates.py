"""The terms of a formula that may be chosen, with their columns, and what belongs together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.doubly_robust.dml_models import received
from causalformula.backends.options import shown
from causalformula.errors import DataError, FormulaError, IdentificationError, OptionError, choose, counted
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.matrix.terms import Terms, terms
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.families import Family
from causalformula.numerics.least_squares import least_squares

# Models of the outcome and of the treatment: adjust(...) has what is chosen, the other roles what stays.
COVARIATES, PROPENSITY = Part("covariates"), Part("propensity")
# What is left of a column beside others is rounding below this share of it.
IMPLIED = 1e-9


@dataclass(frozen=True, kw_only=True)
class How:
    """What a way of choosing is told; each reads what its record names.

    Parameters
    ----------
    family : Family
    change, c_linear, c_quadratic : float
    folds, seed : int
    """

    family: Family
    change: float
    c_linear: float
    c_quadratic: float
    folds: int
    seed: int


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen, and why.

    Parameters
    ----------
    kept : tuple of str
        Terms, those that others need among them.
    why : mapping of str to str
        By term.
    statistic : mapping of str to float
    steps : tuple of mapping
        The way there, a row each.
    made : tuple of str
        Terms that are not in the formula.
    told : tuple of str
        Facts for the print.
    notes : tuple of str
        What a reader should know before the result is used.
    """

    kept: tuple[str, ...]
    why: Mapping[str, str]
    statistic: Mapping[str, float]
    steps: tuple[Mapping[str, Any], ...]
    made: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of a model, without the intercept, and the term of each.

    Parameters
    ----------
    X : ndarray (n, p)
    names, owners : tuple of str
    """

    X: Array
    names: tuple[str, ...]
    owners: tuple[str, ...]

    def of(self, labels: Collection[str]) -> Bools:
        """Which of them are of some terms (p,)."""
        chosen = set(labels)
        return np.array([owner in chosen for owner in self.owners], dtype=bool)


@dataclass(frozen=True, eq=False)
class Candidates:
    """A bound question, and the terms of ``adjust(...)`` that may leave.

    Parameters
    ----------
    frame : ModelFrame
    labels : tuple of str
        Terms that may leave, in the formula's order.
    forced : tuple of str
        Terms of ``adjust(...)`` that stay.
    inside : mapping of str to frozenset of str
        The lower terms of each: those of some of its variables.
    """

    frame: ModelFrame
    labels: tuple[str, ...]
    forced: tuple[str, ...]
    inside: Mapping[str, frozenset[str]]

    def columns(self, part: Part) -> Columns:
        """The columns of a model with all terms."""
        design = self.frame.design(part)
        places, labels = design.recipe.assign, design.recipe.terms.term_labels
        own = np.flatnonzero(places > 0)
        return Columns(
            np.asarray(design.X[:, own], dtype=float),
            tuple(design.names[j] for j in own),
            tuple(labels[places[j] - 1] for j in own),
        )

    def closed(self, chosen: Collection[str]) -> tuple[str, ...]:
        """Terms with the lower ones that they stand on, in the formula's order."""
        needed = {lower for label in chosen for lower in self.inside[label]}
        return tuple(label for label in self.labels if label in chosen or label in needed)

    def removable(self, remaining: Collection[str]) -> list[str]:
        """Terms that no other one of these, and none that stays, stands on."""
        bases = {lower for label in (*remaining, *self.forced) for lower in self.inside[label]}
        return [label for label in self.labels if label in remaining and label not in bases]


def read_candidates(frame: ModelFrame, keep: Any) -> Candidates:
    """The terms of ``adjust(...)``, less those that stay: ``keep``, with what these stand on, and ``modify(...)``.

    Raises
    ------
    FormulaError
        Where there is nothing to choose from.
    OptionError
        For terms to keep that the formula does not have.
    """
    source = frame.spec.source
    if "adjust" not in frame.bodies:
        raise FormulaError("nothing to choose from: the candidates are the terms of adjust(...), or bare terms", source)
    found = terms(frame.bodies["adjust"], source=source)
    parts = variables_of(found)
    inside = {
        label: frozenset(other for other, lower in parts.items() if lower < part) if len(part) > 1 else frozenset()
        for label, part in parts.items()
    }
    stay = set(_kept(keep, parts))
    if "modify" in frame.bodies:
        stay |= variables_of(terms(frame.bodies["modify"], source=source)).keys() & parts.keys()
    stay |= {lower for label in stay for lower in inside[label]}
    free = tuple(label for label in found.term_labels if label not in stay)
    if not free:
        raise OptionError(f"nothing is left to choose from: all terms stay ({', '.join(found.term_labels)})")
    return Candidates(frame, free, tuple(label for label in found.term_labels if label in stay), inside)


def variables_of(found: Terms) -> dict[str, frozenset[str]]:
    """The variables of each term, by its label."""
    parts = [frozenset(found.labels[i] for i, _ in term) for term in found.coding]
    return dict(zip(found.term_labels, parts, strict=True))


def _kept(keep: Any, parts: Mapping[str, frozenset[str]]) -> list[str]:
    """Labels of the terms that ``keep`` lists."""
    if keep is None:
        return []
    if not isinstance(keep, str) or not keep.strip().removeprefix("~").strip():
        raise OptionError(f"keep= lists terms that stay, as in keep='age + sex', not {shown(keep)}")
    asked = variables_of(terms(parse_expression(keep.strip().removeprefix("~")), source=keep))
    by_variables = {part: label for label, part in parts.items()}
    for label, part in asked.items():
        if part not in by_variables:
            raise OptionError(f"keep= names {label}, which is no term of adjust(...){choose(label, parts)}")
    return [by_variables[part] for part in asked.values()]


def refuse_implied(found: Candidates, labels: Collection[str]) -> None:
    """An ``IdentificationError`` where some of the terms, beside those that stay, imply the treatment."""
    treatment = found.frame.the_treatment
    if treatment.kind is Kind.MULTI:
        return
    columns = found.columns(PROPENSITY)
    inside = columns.of(labels) | ~columns.of(found.labels)
    if inside.any() and not residual(received(found.frame)[:, None], columns.X[:, inside]).any():
        width = int(inside.sum())
        if width >= found.frame.n - 1:
            raise IdentificationError(
                f"the chosen terms have {counted(width, 'column')} and there are {counted(found.frame.n, 'row')}: "
                "beside them nothing is left to compare. Terms are taken whole, so merge levels of a factor with many"
            )
        raise IdentificationError(
            f"the terms imply the treatment {treatment.name}: beside them there is nothing left to compare. Leave out "
            "what is the treatment in another form"
        )


def without_implied(found: Candidates, labels: Sequence[str]) -> tuple[str, ...]:
    """Terms without those of which the ones before them, and those that stay, imply every column."""
    columns = found.columns(PROPENSITY)
    ordered = [(~columns.of(found.labels)).nonzero()[0], *(columns.of([label]).nonzero()[0] for label in labels)]
    places = np.concatenate(ordered)
    kept = least_squares(beside_intercept(columns.X[:, places]), found.frame.unit_weights).kept
    known = {columns.owners[places[j - 1]] for j in kept if j}
    return tuple(label for label in labels if label in known)


def residual(X: Array, on: Array) -> Array:
    """Columns less their regressions on an intercept and some columns; zeros where these imply them."""
    if not on.shape[1]:
        return X
    left = least_squares(beside_intercept(on), X).residuals
    spread = np.sqrt(((X - X.mean(axis=0)) ** 2).sum(axis=0))
    # what is left of an implied column is rounding, which a lasso would take for a column of another unit
    return np.where(np.sqrt((left**2).sum(axis=0)) > IMPLIED * spread, left, 0.0)


def beside_intercept(X: Array) -> Array:
    """An intercept and columns from their means, so that one far from zero does not pass for the intercept."""
    return np.column_stack([np.ones(len(X)), X - X.mean(axis=0)])


def refuse_wide(rows: int, columns: int, model: str) -> None:
    """A ``DataError`` for a model of all terms with no rows to spare."""
    if rows <= columns:
        raise DataError(
            f"{model} of all terms has {counted(columns, 'coefficient')} and {counted(rows, 'row')}: this way needs "
            "more rows. method='double_lasso' takes any number of terms; or give fewer"
        )


def named(labels: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Values by term."""
    return dict(zip(labels, map(float, values), strict=True))
