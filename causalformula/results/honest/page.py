"""The print of intervals under trends that are not parallel: what is allowed, the table, and where it breaks down."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from causalformula.errors import some
from causalformula.inference.honest.moments import DRAWS, FEWER_DRAWS, FURTHEST
from causalformula.inference.honest.restrictions import PARALLEL, Restriction
from causalformula.inference.honest.study import EventStudy
from causalformula.numerics.arrays import Array
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_num
from causalformula.results.text.summary import Summary

DIGITS = 4
METHODS = {
    "FLCI": "FLCI (the shortest interval of fixed length around a linear estimator)",
    "C-LF": "C-LF (conditional test, with a least favourable first stage)",
    "conditional": "conditional test",
}
DIRECTIONS = {
    "positive": "the violation is not negative after treatment",
    "negative": "the violation is not positive after treatment",
    "increasing": "the violation does not decrease",
    "decreasing": "the violation does not increase",
}


class Found(Protocol):
    """What is printed."""

    study: EventStudy
    target: Array
    restriction: Restriction
    method: str
    alpha: float
    seed: int
    M: Array
    lower: Array
    upper: Array
    notes: tuple[str, ...]


def page(found: Found, original: tuple[float, float], breakdown: float, bounds: tuple[float, float] | None) -> Summary:
    """The summary of the intervals."""
    share = f"{100 * (1 - found.alpha):g}%"
    parts: list[str | Cells] = [
        f"Sensitivity to violations of parallel trends ({found.restriction.kind.replace('_', ' ')})",
        f"Effect: {_target(found.target)}; coefficients: {found.study.num_pre} before treatment, "
        f"{found.study.num_post} after",
        *_allowed(found.restriction),
        f"Method: {METHODS[found.method]}      Level: {share}",
        "",
        _table(found, original),
        "",
        _broken(found, breakdown),
        *([] if bounds is None else [_bounded(bounds, share)]),
        *_notes(found),
    ]
    return Summary(tuple(parts))


def _target(weights: Array) -> str:
    used = np.flatnonzero(weights)
    if len(used) == 1 and weights[used[0]] == 1:
        return f"that in period {used[0] + 1} after treatment"
    if np.allclose(weights, 1 / len(weights), rtol=1e-12):
        return f"the mean of the {len(weights)} periods after treatment"
    return f"the periods after treatment weighted {', '.join(f'{weight:.3g}' for weight in weights)}"


def _allowed(restriction: Restriction) -> list[str]:
    """What the trends may do, in words."""
    if restriction.kind == "smoothness":
        lines = ["Allowed: the slope of the violation changes by at most M from one period to the next"]
    elif restriction.bound == PARALLEL:
        lines = [
            "Allowed: from one period to the next the violation changes by at most M times its largest change before"
        ]
    else:
        lines = [
            "Allowed: the violation's slope changes by at most M times its largest change of slope before treatment"
        ]
    return lines + ([f"         {DIRECTIONS[restriction.direction]}"] if restriction.direction else [])


def _table(found: Found, original: tuple[float, float]) -> Cells:
    numbers = np.array([*original, *np.column_stack([found.lower, found.upper]).ravel()])
    texts = np.array(format_num(numbers, DIGITS)).reshape(-1, 2)
    rows = ("Parallel trends", *(f"M = {M:.4g}" for M in found.M))
    return Cells(rows, ("Lower", "Upper"), tuple(map(tuple, texts.tolist())), legend=False)


def _broken(found: Found, breakdown: float) -> str:
    if breakdown == 0:
        return "Breakdown value: 0 (the interval contains 0 at M = 0 already)"
    if np.isinf(breakdown):
        return "Breakdown value: none found (no interval that was tried contains 0)"
    return f"Breakdown value: {breakdown:.4g} (the smallest M whose interval contains 0)"


def _bounded(bounds: tuple[float, float], share: str) -> str:
    low, high = bounds
    return (
        f"The largest change of slope before treatment is at least {low:.4g}, and at most {high:.4g} (each one-sided, "
        f"{share}); nothing bounds M after it"
    )


def _notes(found: Found) -> list[str]:
    """What the reader might not think of."""
    lines = [f"Note: {note}" for note in found.notes]
    if found.method == "C-LF":
        lines.append(
            f"Note: least favourable critical values are simulated: {DRAWS} draws ({FEWER_DRAWS} where each is a "
            f"linear programme), seed {found.seed}"
        )
    if found.method == "FLCI" and len(found.M) > 1:
        lines.append("Note: each M has an estimator of its own; an interval need not contain those of smaller M")
    if len(empty := found.M[np.isnan(found.lower)]):
        lines.append(
            f"Note: at M = {some(f'{M:.4g}' for M in empty)} no value of the effect agrees with restriction and "
            "coefficients: it is rejected, and no interval follows"
        )
    if np.isinf(found.lower).any() or np.isinf(found.upper).any():
        lines.append(f"Note: an infinite limit was not found up to a violation of {FURTHEST:g} standard errors")
    return lines
