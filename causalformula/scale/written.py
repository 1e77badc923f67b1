"""Rows written back where they are, with what a fit says of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.inference.evidence import Accumulated
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array
from causalformula.scale.averages import Coefficients, Weigh, weighting_of
from causalformula.scale.passes import Passes
from causalformula.scale.plan import Plan
from causalformula.scale.sources.source import Chunk


@dataclass(frozen=True)
class DesignColumn:
    """Weights or scores of a chunk's rows, by the name that ``Weighting`` has for them."""

    weigh: Weigh
    name: str

    def __call__(self, frame: Any) -> Array:
        """Of a chunk (n,)."""
        return np.asarray(getattr(weighting_of(self.weigh, frame), self.name))


# Columns of the design by name, each of a chunk's frame.
DesignColumns = Mapping[str, Callable[[Any], Any]]


@dataclass(frozen=True, eq=False)
class Augmented:
    """The rows of a chunk that are kept, with fitted values, residuals and leverages, and columns of the design."""

    plan: Plan
    outcome: Coefficients | None
    design: DesignColumns

    def __call__(self, chunk: Chunk) -> Any:
        """Of a chunk, as a pandas frame."""
        frame = self.plan.frame(chunk)
        data = chunk.to_pandas().iloc[[] if frame is None else frame.rows].reset_index(drop=True)
        none = np.empty(0)
        if self.outcome is not None:
            model = None if frame is None else self.outcome.fitted.at(self.outcome.read(frame))
            data[".fitted"] = none if model is None else model.mu
            data[".resid"] = none if model is None else model.y - model.mu
            data[".hat"] = none if model is None else model.hat.leverage()
        for name, column in self.design.items():
            data[name] = none if frame is None else column(frame)
        return data


def augmented(passes: Passes, model: FittedRegression | None, path: str, design: DesignColumns | None = None) -> None:
    """Write the rows used, with what a model and a design say of each, to a Parquet file."""
    outcome = None
    if model is not None:
        evidence = model.estimate().evidence
        assert isinstance(evidence, Accumulated) and isinstance(evidence.part, Coefficients)
        outcome = evidence.part
    names = passes.source.names
    passes.source.write(Augmented(passes.plan.with_columns(names), outcome, design or {}), names, path)
