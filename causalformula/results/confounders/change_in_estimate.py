"""Change in estimate: terms leave, the one that moves the effect the least first, until each that is left moves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from causalformula.backends import registry
from causalformula.backends.fit import Fit
from causalformula.backends.options import Options
from causalformula.errors import DataError
from causalformula.frame.leave_out import with_adjusted
from causalformula.inference.covariance import covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.requests import HC
from causalformula.numerics.arrays import Array
from causalformula.results.confounders.candidates import Candidates, Choice, How


def change_in_estimate(found: Candidates, how: How) -> Choice:
    """Terms without which the effect, by outcome regression, is another one by a share of that with all terms.

    Changes are from the effect with all terms, so that small steps do not add up.
    """
    _, options = registry.read_options("regression", {"family": how.family})
    fit = _fit(found, found.labels, options)
    full = fit.answer.estimate
    remaining, statistic, why = list(found.labels), dict[str, float](), dict[str, str]()
    steps: list[dict[str, Any]] = [{"left.out": "", "estimate": _first(full.theta), "change": 0.0}]
    while remaining:
        moved = {
            label: _fit(found, _without(remaining, label), options).answer.estimate.theta
            for label in found.removable(remaining)
        }
        changes = {label: _change(theta, full.theta) for label, theta in moved.items()}
        least = min(changes, key=lambda label: changes[label])
        statistic |= changes
        if changes[least] >= how.change:
            break
        remaining.remove(least)
        why[least] = f"without it the effect changes by {_percent(changes[least])}"
        steps.append({"left.out": least, "estimate": _first(moved[least]), "change": changes[least]})
    for label in remaining:
        alone = f"without it the effect changes by {_percent(statistic[label])}" if label in statistic else ""
        why[label] = alone if label in found.removable(remaining) else "a kept interaction has it"
    return Choice(
        kept=tuple(remaining),
        why=why,
        statistic={label: statistic.get(label, np.nan) for label in found.labels},
        steps=tuple(steps),
        told=(f"Effect with all terms, by outcome regression: {_first(full.theta):.4g}; a change is a share of it",),
        notes=(*(f"the effect with all terms: {note}" for note in fit.notes), *_notes(full)),
    )  # fmt: skip


def _without(labels: Sequence[str], label: str) -> list[str]:
    return [each for each in labels if each != label]


def _fit(found: Candidates, labels: Sequence[str], options: Options) -> Fit:
    """The effect with some of the terms."""
    return registry.run(with_adjusted(found.frame, [*found.forced, *labels]), options)


def _change(theta: Array, full: Array) -> float:
    """How far the effects moved, as a share of those with all terms; the furthest of several."""
    if not (full != 0).all():
        raise DataError("the effect with all terms is zero, of which no change is a share")
    return float(np.abs((theta - full) / full).max())


def _first(theta: Array) -> float:
    """The effect, or the first of several."""
    return float(theta[0])


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _notes(full: Estimate) -> tuple[str, ...]:
    """What a share says little of."""
    error = covariance(full, HC("HC1")).std_error
    if (np.abs(full.theta) >= error).all():
        return ()
    return (
        "the effect with all terms is smaller than its standard error: a small change is a large share of it, and what "
        "is kept here is kept by chance as much as by confounding",
    )
