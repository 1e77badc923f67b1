"""Pictures of a fit with instruments, from its own equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.plots import instruments as draw
from causalformula.results.effects.pictures import effects
from causalformula.results.models.core import model_covariance
from causalformula.results.models.instruments import request_of
from causalformula.results.reading.reading import quantile

# The least squares beside an estimate by instruments.
PLAIN = "least squares"


def _binned(result: Any, ax: Any, response: Array, up: str) -> Any:
    """A response on the index of the instruments, both less what the other columns make of them.

    One instrument is drawn as it is; of several the first stage's fit.
    """
    result._refuse_several("this picture")
    eq, kept = result._equations, result._used.kept
    first = eq.first_stage(0)
    at = first.kept >= len(eq.exogenous)
    index = eq.Z[:, kept] @ first.theta[at] if len(kept) > 1 else eq.Z[:, kept[0]]
    names = tuple(eq.names[j] for j in eq.exogenous)
    W = eq.X[:, eq.exogenous]
    x, y = (eq.regress(W, each, names) for each in (index, response))
    w = result.call.frame.unit_weights
    slope = float((w * x.hat.e) @ y.hat.e / ((w * x.hat.e) @ x.hat.e))
    left = [float(np.average(each, weights=w)) for each in (index, response)]
    given = " less the other terms" if len(names) > 1 or eq.effects else ""
    across = eq.instruments[kept[0]] if len(kept) == 1 else "first stage's fit by the instruments"
    return draw.binned(ax, x.hat.e + left[0], y.hat.e + left[1], w, slope, across=across + given, up=up + given)


def _first_stage(result: Any, ax: Any, level: float) -> Any:
    eq = result._equations
    return _binned(result, ax, eq.X[:, eq.endogenous[0]], eq.names[eq.endogenous[0]])


def _reduced_form(result: Any, ax: Any, level: float) -> Any:
    eq = result._equations
    return _binned(result, ax, eq.y if eq.offset is None else eq.y - eq.offset, result.endog_names)


def _curve(result: Any, ax: Any, level: float) -> Any:
    found = result.anderson_rubin(level)
    ends = [end for piece in found.intervals for end in piece]
    low, high = (ends[0], ends[-1]) if ends else (np.nan, np.nan)
    values = draw.span(low, high, result.estimate, result.std_error)
    p = np.array([found.p_value(value) for value in values])
    label = f"Effect of {found.label} on {result.endog_names}"
    return draw.p_value_curve(ax, values, p, level, found.intervals, result.estimate, label=label)


def _compare(result: Any, ax: Any, level: float) -> Any:
    """Least squares by the same equation, the estimate by instruments, and the Anderson-Rubin set."""
    eq, slope = result._equations, result._slope()
    fitted = eq.regress(eq.X, eq.y, eq.names, eq.offset)
    own = model_covariance(fitted, result.call.frame, request_of(result.covariance.request), result.call.codes)
    place = int(np.flatnonzero(fitted.kept == eq.endogenous[0])[0])
    at = float(slope * fitted.theta[place])
    half = float(quantile(level, own.df[place : place + 1])[0] * abs(slope) * own.std_error[place])
    reading = result.read(level)
    estimate = float(reading.estimate[0])
    rows = [
        (PLAIN, at, [(at - half, at + half)]),
        (result.fit.method, estimate, [(float(reading.low[0]), float(reading.high[0]))]),
        ("Anderson-Rubin set", estimate, result.anderson_rubin(level).intervals),
    ]
    label = f"Effect of {result.answer.labels[0]} on {result.endog_names}, {100 * level:g}% limits"
    return draw.rows_of_intervals(ax, rows, label=label)


def _compliers(result: Any, ax: Any, level: float) -> Any:
    table = result.compliers().dropna()
    spread = (table["compliers"] - table["everyone"]) / table["difference"]
    return draw.differences(
        ax, list(table.index), table["difference"].to_numpy(), (table["std.error"] / spread).to_numpy()
    )


PICTURES: Mapping[str, Callable[[Any, Any, float], Any]] = {
    "effects": effects,
    "first_stage": _first_stage,
    "reduced_form": _reduced_form,
    "anderson_rubin": _curve,
    "compare": _compare,
    "compliers": _compliers,
}
