"""Options of double machine learning, and which model they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.learning.table import LEARNERS, Learner, read_learner
from causalformula.backends.options import is_number, one_of, shown
from causalformula.backends.orthogonal.nuisances import GLM, CrossFitOptions
from causalformula.errors import OptionError, some
from causalformula.formula.expressions.values import number_label
from causalformula.formula.language.leave_one_out import leave_one_out_terms
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array

INSTRUMENTS = Part("iv")
MODEL_NAMES = ("plr", "irm", "pliv", "iivm", "double_selection", "partialling_out", "selected_irm")
# What a partially linear model gives where effects differ: an average that weighs by the treatment's residual variance.
PARTIAL = "Variance-weighted partial effect"
WORDS = {"partialling_out": "partialling-out", "iv_type": "IV-type"}


@dataclass(frozen=True, kw_only=True)
class DML(CrossFitOptions):
    """Options of ``method="dml"``: double machine learning. Every learner is cross-fitted, ``"glm"`` too.

    Parameters
    ----------
    model : str, optional
        ``"plr"``, ``Y = theta D + g(X) + e``; ``"irm"``, ``Y = g(D, X) + e``; with ``iv(z)`` ``"pliv"``, the first with
        instruments, and ``"iivm"``, the second with a binary one. By default ``irm`` for a treatment with levels and
        ``plr`` for a dose; with instruments ``iivm`` where both are binary, and ``pliv`` for others. On all rows, with
        controls that ``"rlasso"`` selects: ``"double_selection"`` and ``"partialling_out"`` of the linear model, and
        ``"selected_irm"`` of averages.
    score : str
        Of the linear models: ``"partialling_out"``, residuals on residuals, or ``"iv_type"``, with a model of what the
        treatment leaves of the outcome.
    outcome_model, treatment_model, folds, repeats, seed, bounds
        As in ``CrossFitOptions``.
    instrument_model : str or estimator
        Of the instruments, as ``treatment_model``.
    quantiles : number or sequence of numbers, optional
        Of ``irm``: quantiles of the potential outcomes are compared, 0.5 or [0.25, 0.5, 0.75], instead of their means.
        The outcome model is then of the probability to be below one, a classifier that learns from half of the rows
        outside each fold; the other half gives its threshold.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``. The model's own estimand where not given: the ATE of ``irm``, which has the ATT and ATC too,
        the LATE of ``iivm``, and of the linear models a variance-weighted partial effect, which no ``estimand=`` names.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    model: str | None = None
    score: str = "partialling_out"
    instrument_model: Any = GLM
    quantiles: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model is not None:
            if hasattr(self.model, "fit") or (isinstance(self.model, str) and self.model in LEARNERS):
                raise OptionError(
                    f"model={shown(self.model)} is a learner, and model= one of {', '.join(MODEL_NAMES)}; give "
                    "learners as outcome_model= and treatment_model="
                )
            one_of("model", self.model, MODEL_NAMES)
        one_of("score", self.score, WORDS)
        read_learner(self.instrument_model, "instrument_model")
        object.__setattr__(self, "quantiles", read_quantiles(self.quantiles))

    @property
    def instrument_learner(self) -> Learner:
        """The learner of the instruments."""
        return read_learner(self.instrument_model, "instrument_model")


def read_quantiles(value: Any) -> tuple[float, ...] | None:
    """Numbers between 0 and 1, or one of them; None where means are compared."""
    if value is None:
        return None
    several = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1)
    found = list(value) if several else [value]
    if not found or not all(is_number(q) and 0 < q < 1 for q in found):
        raise OptionError(f"quantiles={shown(value)}: a number between 0 and 1, as 0.5, or several in a list")
    if len(set(map(number_label, map(float, found)))) < len(found):
        raise OptionError(f"quantiles={shown(value)} has one twice")
    return tuple(map(float, found))


def model_of(options: DML, frame: ModelFrame) -> str:
    """The model: the one asked for, or that of the treatment and the instruments."""
    if options.model is not None:
        return options.model
    binary = frame.the_treatment.kind is Kind.BINARY
    if not frame.has("iv"):
        return "plr" if frame.the_treatment.kind is Kind.CONTINUOUS else "irm"
    Z, _ = instruments(frame)
    return "iivm" if binary and Z.shape[1] == 1 and len(np.unique(Z)) == 2 else "pliv"


def instruments(frame: ModelFrame) -> tuple[Array, tuple[str, ...]]:
    """The columns (n, k) of ``iv(...)`` and their names."""
    if means := leave_one_out_terms(frame.spec):
        raise OptionError(
            f"{some(term.label for term in means)} is for the methods iv, liml and gmm; for dml make the column of "
            "leave-one-out means in the data first"
        )
    design = frame.design(INSTRUMENTS)
    first = 1 if design.intercept else 0
    return design.X[:, first:], design.names[first:]
