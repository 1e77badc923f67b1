"""What a meta-learner learns from: the covariates of each of its models, of the data or of new rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.learning.table import Features, features, features_of
from causalformula.backends.orthogonal.nuisances import COVARIATES
from causalformula.frame.columns import Table
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY, Part
from causalformula.frame.rows import as_numbers
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.centring import centred

MODIFY = Part("modify")


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Covariates by what they are for.

    Parameters
    ----------
    outcome, treatment, effect : Features
        Effects are learned from ``modify(...)`` where the formula has it, otherwise from the outcome's covariates.
    modify : Features
        What an S-learner crosses the treatment with; no columns without ``modify(...)``.
    index : Index, optional
        Row labels, of new rows.
    dose : ndarray (n,), optional
        Of each row, where the treatment is one.
    origin : ndarray, optional
        What modifiers far from zero are counted from where they are crossed, 0 for others.
    start : ndarray (1,), optional
        The same of a dose.
    """

    outcome: Features
    treatment: Features
    effect: Features
    modify: Features
    index: Any = None
    dose: Array | None = None
    origin: Array | float = 0.0
    start: Array | float = 0.0

    @classmethod
    def of(cls, frame: ModelFrame) -> Surfaces:
        """Those of a frame's rows."""
        outcome, modify = features(frame, COVARIATES), features(frame, MODIFY)
        effect = modify if frame.has("modify") else outcome
        dose = frame.the_treatment.values if frame.the_treatment.kind is Kind.CONTINUOUS else None
        origin, start = _origins(frame)
        return cls(outcome, features(frame, PROPENSITY), effect, modify, dose=dose, origin=origin, start=start)

    @classmethod
    def of_new(cls, frame: ModelFrame, data: Any) -> Surfaces:
        """Those of other data.

        Raises
        ------
        FormulaError
            If a column is not there.
        DataError
            For a level that was not there at the fit, or a column of another kind.
        """
        outcome, index = features_of(frame, COVARIATES, data)
        modify, _ = features_of(frame, MODIFY, data)
        treatment, _ = features_of(frame, PROPENSITY, data)
        dose = _dose_of(frame, data)
        effect = modify if frame.has("modify") else outcome
        return cls(outcome, treatment, effect, modify, index, dose, *_origins(frame))

    @property
    def complete(self) -> Bools:
        """Rows without a missing value."""
        parts = (self.outcome, self.treatment, self.effect)
        return np.asarray(np.all([np.isfinite(part.design).all(axis=1) for part in parts], axis=0))

    def take(self, rows: Bools | Codes) -> Surfaces:
        """Those of some rows."""
        found = {name: _taken(getattr(self, name), rows) for name in ("outcome", "treatment", "effect", "modify")}
        return replace(self, **found, dose=None if self.dose is None else self.dose[rows])

    def under(self, codes: Codes, arms: int) -> Features:
        """The outcome's covariates beside the arm that each row is put into."""
        dummies = (codes[:, None] == np.arange(1, arms)).astype(float)
        return self.beside(dummies, codes.astype(float), arms > 2)

    def each_arm(self, arms: int) -> tuple[Features, ...]:
        """The same with all rows in each arm in turn."""
        n = len(self.outcome.design)
        return tuple(self.under(np.full(n, a), arms) for a in range(arms))

    def beside(self, columns: Array, codes: Array, category: bool) -> Features:
        """The outcome's covariates beside the treatment, which is crossed with the modifiers.

        Parameters
        ----------
        columns : ndarray (n, c)
            The treatment as a design has it: a column for each level but the first, or the dose.
        codes : ndarray (n,)
            The treatment in one column.
        category : bool
            Whether that is of levels.
        """
        columns = columns - self.start
        base, crossed = self.outcome, [columns * each[:, None] for each in (self.modify.design - self.origin).T]
        names = tuple(f"treatment {k}" for k in range(columns.shape[1] * (1 + len(crossed))))
        return Features(
            np.hstack([columns, base.design, *crossed]),
            (*names[: columns.shape[1]], *base.names, *names[columns.shape[1] :]),
            np.column_stack([codes, base.coded]),
            np.concatenate([[category], base.categories]),
        )


def _origins(frame: ModelFrame) -> tuple[Array, Array | float]:
    """Of modifiers, and of a dose: the same for all weights, as learners of resamples predict rows of the fit's."""
    treatment = frame.the_treatment
    start = _origin(treatment.values[:, None]) if treatment.kind is Kind.CONTINUOUS else 0.0
    return _origin(features(frame, MODIFY).design), start


def _origin(X: Array) -> Array:
    """The means of columns far from zero, 0 for others."""
    plan, found = centred(np.column_stack([np.ones(len(X)), X])).plan, [0.0] * X.shape[1]
    for j, _, centre in () if plan is None else plan.shifts:
        found[j - 1] = centre
    return np.array(found)


def _dose_of(frame: ModelFrame, data: Any) -> Array | None:
    """The dose of new rows, where they have one; only increments start from it."""
    table, treatment = Table(data), frame.the_treatment
    if treatment.kind is not Kind.CONTINUOUS or treatment.name not in table:
        return None
    return as_numbers(table.named(treatment.name), treatment.name, "the treatment")


def _taken(found: Features, rows: Bools | Codes) -> Features:
    return Features(found.design[rows], found.names, found.coded[rows], found.categories)
