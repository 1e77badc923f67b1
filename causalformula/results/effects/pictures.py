"""Pictures of a ``Result``: the effects with their intervals, and the outcome in the groups that are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.options import shown
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.frame.treatment import Kind, Treatment
from causalformula.inference.scales import read_measure
from causalformula.numerics.arrays import Bools
from causalformula.plots.draw import COLOURS, by_arm, distributions, intervals, legend_inside, new_axes, plain, short
from causalformula.results.designs import pictures
from causalformula.results.effects.core import ResultCore
from causalformula.results.reading.reading import Reading, check_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes


AXIS = {
    "difference": "Effect on {y} (difference of {of}s)",
    "dose": "Effect on {y}",
    "ratio": "Effect on {y} (ratio of means)",
    "odds_ratio": "Effect on {y} (odds ratio)",
    "log_ratio": "Effect on {y} (log ratio of means)",
    "log_odds_ratio": "Effect on {y} (log odds ratio)",
    "nnt": "Number needed to treat for {y}",
}


def effects(result: ResultCore, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """Estimates of a ``Result`` with their intervals, one row an effect or group; ratios on a logarithmic axis.

    Where the difference behind a number needed to treat may be zero, its interval is two half-lines through infinity.
    """
    reading, measure = result.read(level), result.answer.measure
    means = result.query is not None and result.query.kind == "means"
    labels = [str(label) for label in result.answer.labels]
    null = None if means else measure.null
    log = measure.reading == "exp"
    ax = intervals(ax, labels, reading.estimate, reading.low, reading.high, null, log)
    note = _half_lines(ax, result, level, reading) if measure.reading == "inverse" else ""
    ax.set_xlabel(f"{axis_label(result, means)}, {100 * level:g}% interval{note}")
    return ax


def axis_label(result: ResultCore, means: bool = False) -> str:
    """What the numbers are, and for whom."""
    frame, name = result.call.frame, result.answer.measure.name
    if result.query is None:
        return "Estimate" if name == "difference" else f"Estimate ({name.replace('_', ' ')})"
    dose = frame.treatment is not None and frame.treatment.kind is Kind.CONTINUOUS
    of = result._compared
    what = f"{of.capitalize()} of {{y}}" if means else AXIS["dose" if dose and name == "difference" else name]
    what = what.format(y=_outcome_name(frame), of=of)
    if result.fit.estimand in ESTIMANDS:
        return f"{what}, {result.fit.estimand}"
    # in words it is of an effect, and has a line of its own, as it would run out of the picture
    return what if means else f"{what}\n{result.fit.estimand}"


def as_difference(result: ResultCore) -> ResultCore:
    """A number needed to treat as the difference that it is the inverse of."""
    return replace(result, answer=replace(result.answer, measure=read_measure("difference")))


def _half_lines(ax: Axes, result: ResultCore, level: float, reading: Reading) -> str:
    """Intervals ``(-inf, 1/low]`` and ``[1/high, inf)`` to the edges of the picture; what to say of them."""
    difference = as_difference(result).read(level)
    open_ = np.isnan(reading.low) & (difference.low < 0) & (difference.high > 0)
    rows = np.flatnonzero(open_)
    if not len(rows):
        return ""
    ends = 1 / np.column_stack([difference.low, difference.high])[rows]
    inside = np.concatenate([ends.ravel(), reading.estimate, reading.low, reading.high])
    low, high = np.nanmin(inside), np.nanmax(inside)
    left, right = low - 0.15 * (high - low), high + 0.15 * (high - low)
    for at, mark, start, stop in ((left, "<", left, ends[:, 0]), (right, ">", ends[:, 1], right)):
        ax.hlines(rows, start, stop, color=COLOURS[0], linewidth=1.6, zorder=2)
        ax.plot(np.full(len(rows), at), rows, mark, color=COLOURS[0], markersize=6, zorder=3)
    return "\n(arrows: through infinity, as the difference may be zero)"


# ---- the groups that are compared -----------------------------------------------------------------------------------


def outcome(result: ResultCore, ax: Axes | None = None, level: float = 0.95) -> Axes:
    """The outcome in the groups that are compared.

    Against the first numeric confounder where there is one (the first with more than two values, if any has): with the
    outcome model's predictions where it has no other covariate, otherwise with a smooth (lowess) of each arm's own
    points. Without a numeric confounder, the distributions of the outcome by arm, with their means. A dose takes the
    confounder's place.

    Parameters
    ----------
    level : float
        Not used; every picture of a result takes it.
    """
    frame: ModelFrame = result.call.frame
    treatment = frame.treatment
    if treatment is None:
        raise CapabilityError("this picture compares groups of treat(...), which the formula does not have")
    behind = result.fit.models.get("outcome")
    fitted = None if behind is None else behind.model
    y = frame.y if fitted is None else fitted.y
    covariates = _covariates(frame)
    if treatment.kind is Kind.CONTINUOUS:
        ax = by_arm(new_axes(ax), [("", np.ones(frame.n, dtype=bool))], treatment.values, y, None)
        ax.set_xlabel(treatment.name)
    else:
        numeric = [c for c in covariates if isinstance(c[1], np.ndarray)]
        x = next((c for c in numeric if len(np.unique(c[1])) > 2), next(iter(numeric), None))
        ax = new_axes(ax)
        if x is None:
            return distributions(ax, _outcome_name(frame), _arms(treatment), y)
        mu = fitted.mu if fitted is not None and len(covariates) == 1 else None
        ax = by_arm(ax, _arms(treatment), np.asarray(x[1], dtype=float), y, mu)
        ax.set_xlabel(x[0])
        legend_inside(ax)
    ax.set_ylabel(_outcome_name(frame))
    return plain(ax)


def _arms(treatment: Treatment) -> list[tuple[str, Bools]]:
    """Label and rows of each arm."""
    return [(short(f"{treatment.name} = {level}"), treatment.codes == k) for k, level in enumerate(treatment.levels)]


def _outcome_name(frame: ModelFrame) -> str:
    return "" if frame.outcome is None else frame.outcome.name


def _covariates(frame: ModelFrame) -> list[tuple[str, Any]]:
    """Variables of the outcome model beside the treatment, in the formula's order."""
    design = frame.design(Part("outcome"))
    labels = design.recipe.terms.labels
    name = frame.the_treatment.name
    return [(label, design.values[k]) for k, label in enumerate(labels) if label != name]


KINDS: dict[str, Callable[[Any, Axes | None, float], Axes]] = {"effects": effects, "outcome": outcome}


def draw(result: ResultCore, kind: str, ax: Axes | None, level: float) -> Axes:
    """See ``Result.plot``."""
    check_level(level)
    kinds = result._pictures() or KINDS
    if not isinstance(kind, str) or kind not in kinds:
        other = isinstance(kind, str) and kind in pictures.KINDS
        hint = f"; {kind!r} is a picture of the design: fit.design.plot({kind!r})" if other else ""
        raise OptionError(f"unknown plot {shown(kind)}; choose from {', '.join(kinds)}{hint}")
    return kinds[kind](result, ax, level)
