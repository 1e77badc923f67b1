"""The picture of quantile effects: against their quantile, with pointwise intervals and the band of them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.doubly_robust.quantiles import QUANTILE
from causalformula.plots.quantiles import Curve, curves
from causalformula.results.effects.core import ResultCore
from causalformula.results.effects.pictures import KINDS, axis_label
from causalformula.results.joint.bands import simultaneous

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPS = 9999


def against_quantiles(result: ResultCore, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Effects, or quantiles by arm, with their intervals, and the band that holds for all that is drawn."""
    reading, labels = result.read(level), result.answer.labels
    band = simultaneous(result, level, REPS, result.call.options.seed, "normal").table
    low, high = band["conf.low"].to_numpy(), band["conf.high"].to_numpy()
    at = np.array([float(dict(label.groups)[QUANTILE]) for label in labels])
    drawn = {}
    for name in dict.fromkeys(label.contrast for label in labels):
        rows = np.flatnonzero([label.contrast == name for label in labels])
        rows = rows[np.argsort(at[rows])]
        arrays = (at, reading.estimate, reading.low, reading.high, low, high)
        drawn[f"{labels[0].term} {name}"] = Curve(*(values[rows] for values in arrays))
    means = result.query is not None and result.query.kind == "means"
    ax = curves(drawn, ax, null=None if means else 0.0, level=level)
    ax.set_ylabel(axis_label(result, means))
    return ax


PICTURES: Mapping[str, Callable[[Any, Any, float], Any]] = {**KINDS, "quantiles": against_quantiles}
