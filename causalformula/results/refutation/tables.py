"""Refuters that are tables: each covariate left out in turn, and a confounder of any strength made and adjusted for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends.options import is_number
from causalformula.backends.registry import run
from causalformula.errors import CapabilityError, OptionError
from causalformula.frame.leave_out import covariate_names, without
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.frame.treatment import Kind
from causalformula.inference.refit import attempt, spread
from causalformula.numerics.absorption.absorber import Absorber
from causalformula.numerics.arrays import Array
from causalformula.numerics.least_squares import least_squares
from causalformula.results.effects.core import ResultCore
from causalformula.results.refutation.refits import Again, jumps
from causalformula.results.refutation.refuted import Refuted, no_answer, rounding, standard_errors

STRENGTHS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
MADE_ANEW = (
    "matches, strata or learners are made anew in each cell, and differ: read the grid as a whole, and not its small "
    "steps"
)


def leave_one_out(result: ResultCore, n_jobs: int | None) -> Refuted:
    """The effect without each covariate in turn."""
    import pandas as pd

    names = covariate_names(result.call.frame)
    if not names:
        raise CapabilityError("leave_one_out leaves out covariates, and the formula has none: write adjust(...)")
    found = spread(partial(attempt, partial(_left, Again.of(result))), names, n_jobs, "leave_one_out")
    theta, measure, size = result.answer.estimate.theta, result.answer.measure, len(result.answer.labels)
    each = np.array([np.full(size, np.nan) if isinstance(one, str) else one for one in found])
    failed = [f"without {name}: {one}" for name, one in zip(names, found, strict=True) if isinstance(one, str)]
    if np.isnan(each).all():
        return no_answer(result, "leave_one_out", "; ".join(failed))
    far = np.nanargmax(np.abs(each - theta), axis=0)
    moved = standard_errors(result, each - theta, rounding(result, each))
    read = measure.read(each)
    table = pd.DataFrame(
        {
            "left.out": np.repeat(names, size),
            "term": [label.term for label in result.answer.labels] * len(names),
            "contrast": [label.contrast for label in result.answer.labels] * len(names),
            "estimate": np.tile(measure.read(theta), len(names)),
            "refuted": read.ravel(),
            "moved.se": moved.ravel(),
        }
    )
    verdicts = tuple(_hangs_on(names[k], moved[k, j]) for j, k in enumerate(far))
    most, none = np.array([read[k, j] for j, k in enumerate(far)]), np.full(size, np.nan)
    return Refuted(
        "leave_one_out", result.answer.labels, measure.read(theta), most, none, verdicts, table=table,
        notes=tuple(failed),
    )  # fmt: skip


def _hangs_on(name: str, moved: float) -> str:
    """The verdict on the covariate whose leaving out moves the effect the most, by standard errors of it."""
    if moved == 0:
        return "stays the same without any of them"
    by = f" by {abs(moved):.2g} standard errors" if np.isfinite(moved) else ""
    return f"moves the most without {name}{by}"


def _left(again: Again, name: str) -> Array:
    return run(without(again.frame, [name]), again.options).ask(again.query).estimate.theta


# ---- a confounder of known strength ---------------------------------------------------------------------------------


def unobserved_confounder(
    result: ResultCore, strengths: Any, seed: np.random.SeedSequence, n_jobs: int | None
) -> Refuted:
    """The effect with a made confounder adjusted for, over a grid of its partial R2 with treatment and outcome.

    The confounder has exactly these partial correlations with the treatment, given the covariates, and with the
    outcome, given the treatment too, by linear regression; its signs make the adjusted effect nearer to none. For the
    linear regression this is the formula of Cinelli and Hazlett (2020).
    """
    import pandas as pd

    frame = result.call.frame
    if len(result.answer.labels) != 1:
        raise CapabilityError(
            "unobserved_confounder is of one effect; choose one with contrast=, or two arms with subset="
        )
    grid = read_strengths(strengths)
    theta, measure = result.answer.estimate.theta, result.answer.measure
    parts = _made_of(frame, result, np.random.default_rng(seed), 1.0 if theta[0] >= 0 else -1.0)
    name = "unobserved_confounder"
    while name in frame.values or name in frame.table:
        name += "_"
    again, cells = Again.of(result), [(a, y) for y in grid for a in grid]
    one = partial(attempt, partial(_confounded, again, parts, name))
    found = spread(one, cells, n_jobs, name)
    values = np.array([np.nan if isinstance(each, str) else each[0] for each in found])
    if np.isnan(values).all():
        return no_answer(result, "unobserved_confounder", next(each for each in found if isinstance(each, str)))
    read = measure.read(values).reshape(len(grid), len(grid))
    table = pd.DataFrame(read, pd.Index(grid, name="outcome"), pd.Index(grid, name="treatment"))
    lost = [why for why in found if isinstance(why, str)]
    notes = (f"no effect in {len(lost)} of {len(cells)} cells, the first because: {lost[0]}",) if lost else ()
    if jumps(result):
        notes = (*notes, MADE_ANEW)
    last = np.flatnonzero(np.isfinite(values))[-1:]  # the strongest confounder with an answer
    before, after, none = measure.read(theta), measure.read(values[last]), np.array([np.nan])
    words = (_strongest(cells, values, theta[0], cells[last[0]]),)
    return Refuted("unobserved_confounder", result.answer.labels, before, after, none, words, table=table, notes=notes)


def read_strengths(strengths: Any) -> tuple[float, ...]:
    """Partial R2 in a list, from 0 to below 1, in order."""
    if strengths is None:
        return STRENGTHS
    listed = list(strengths) if isinstance(strengths, (list, tuple, np.ndarray)) else []
    if not listed or not all(is_number(each) and 0 <= each < 1 for each in listed):
        raise OptionError(
            "strengths= lists shares of variance that the confounder explains (partial R2), from 0 to below 1, as in "
            f"strengths=[0, 0.1, 0.2], not {strengths!r}"
        )
    return tuple(sorted({float(each) for each in listed}))


def _strongest(
    cells: Sequence[tuple[float, float]], values: Array, theta: float, strongest: tuple[float, float]
) -> str:
    """The weakest confounder of the grid that takes the effect away, or the strongest, where none does."""
    gone = [cell for cell, value in zip(cells, values, strict=True) if value * (1 if theta >= 0 else -1) <= 0]
    if gone and theta:
        a, y = min(gone, key=lambda cell: (max(cell), sum(cell)))
        return f"gone with partial R2 of {a:g} (treatment) and {y:g} (outcome)"
    a, y = strongest
    return f"not gone with partial R2 of {a:g} (treatment) and {y:g} (outcome)"


def _made_of(
    frame: ModelFrame, result: ResultCore, rng: np.random.Generator, sign: float
) -> tuple[Array, Array, Array]:
    """Unit vectors, apart from the covariates and from each other: of the treatment, the outcome, and noise."""
    w = None if frame.weights is None else frame.weights
    a, X = _treatment(frame)
    y = frame.outcome_for(result.call.options.outcome_family)
    if frame.offset is not None:
        # on the scale of the link: what it makes of the outcome by another one is a regression's to say
        linear = result.call.options.outcome_family.link_name == "identity"
        y, X = (y - frame.offset, X) if linear else (y, np.column_stack([X, frame.offset]))
    noise = rng.standard_normal(frame.n)
    if frame.effects:  # absorbed effects are covariates too
        absorber = Absorber([one.effect() for one in frame.effects], w)
        columns = absorber.demean(np.column_stack([a, y, noise, X])).values
        (a, y, noise), X = columns[:, :3].T, columns[:, 3:]
    a = _rest(X, a, w)
    X = np.column_stack([X, a])
    e = _rest(X, y, w)
    noise = _rest(np.column_stack([X, e]), noise, w)
    return _unit(a, w), sign * _unit(e, w), _unit(noise, w)


def _treatment(frame: ModelFrame) -> tuple[Array, Array]:
    """The treatment as one column (n,), and the columns of all else that the outcome is regressed on."""
    ones = np.ones(frame.n)
    if frame.panel is not None:
        panel = frame.the_panel
        groups, late = panel.cells >= 2, panel.cells % 2
        X = np.column_stack([ones, groups, late, frame.design(Part("covariates")).X])
        return (panel.cells == 3).astype(float), X
    treatment = frame.the_treatment
    if treatment.kind is Kind.MULTI:
        raise CapabilityError(
            "unobserved_confounder has one strength with the treatment, and this one has several levels; choose two "
            "arms with subset="
        )
    values = treatment.values if treatment.kind is Kind.CONTINUOUS else treatment.codes
    return values.astype(float), np.column_stack([ones, frame.design(Part("covariates")).X])


def _rest(X: Array, v: Array, w: Array | None) -> Array:
    return least_squares(X, v, weights=w).residuals


def _unit(v: Array, w: Array | None) -> Array:
    size = float(np.sqrt(np.average(v**2, weights=w)))
    return v / size if size > 0 else v


def confounder(parts: tuple[Array, Array, Array], with_treatment: float, with_outcome: float) -> Array:
    """The confounder (n,) of partial R2 ``with_treatment``, and ``with_outcome`` given the treatment."""
    a, e, noise = parts
    inner = np.sqrt(with_outcome) * e + np.sqrt(1 - with_outcome) * noise
    return np.asarray(np.sqrt(with_treatment) * a + np.sqrt(1 - with_treatment) * inner)


def _confounded(again: Again, parts: tuple[Array, Array, Array], name: str, cell: tuple[float, float]) -> Array:
    frame = again.frame.with_column(name, confounder(parts, *cell), "adjust")
    return run(frame, again.options).ask(again.query).estimate.theta
