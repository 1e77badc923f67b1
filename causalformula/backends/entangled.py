"""Controls that stand for the treatment: which to leave out where they leave no effect, or next to none of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from causalformula.backends.fit import Answer
from causalformula.errors import some
from causalformula.formula.matrix.recipe import Recipe
from causalformula.inference.evidence import Influence
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array, Codes

# A column's part in another one counts when it is above rounding, on the scale of the columns.
SHARE = 1e-8
# Two directions are one when their sines differ by less.
SAME = 1e-6
# Sets of so many controls are tried, of so many controls.
MOST_TOGETHER, MOST_TRIED = 3, 20
# A control that makes the variance so many times as large all but determines the treatment: R-squared of 0.99.
STRAINED = 100.0


@dataclass(frozen=True)
class Control:
    """A term that is not the treatment alone: its label, and the columns that go with it (interactions of it too)."""

    label: str
    columns: Codes


def controls(recipe: Recipe, own: Iterable[str]) -> list[Control]:
    """The terms that are not made of the variables ``own`` alone."""
    labels, own = recipe.terms.labels, set(own)
    variables = [{labels[i] for i, _ in term} for term in recipe.coding]
    out = []
    for label, within in zip(recipe.terms.term_labels, variables, strict=True):
        if not within <= own:
            gone = [place for place, others in enumerate(variables, 1) if within <= others]
            out.append(Control(label, np.flatnonzero(np.isin(recipe.assign, gone))))
    return out


def culprits(model: FittedRegression, gradients: Array, found: Sequence[Control]) -> list[tuple[str, ...]]:
    """The smallest sets of controls without which the combinations ``gradients`` (q, p) are identified, if any."""
    lengths = np.where(model.lengths > 0, model.lengths, 1.0)
    null = _null(model, lengths)
    asked = gradients / lengths
    entangled = [c for c in found if (np.abs(null[c.columns]) > 0).any()][:MOST_TRIED]
    for size in range(1, MOST_TOGETHER + 1):
        sets = [
            tuple(c.label for c in chosen)
            for chosen in combinations(entangled, size)
            if _determined(null, asked, np.unique(np.concatenate([c.columns for c in chosen])))
        ]
        if sets:
            return sets
    return []


def either(sets: Sequence[Sequence[str]]) -> str:
    """Sets of controls in words: ``x or z``; ``x and u, or z and u``."""
    joint = " or " if all(len(names) == 1 for names in sets) else ", or "
    return some((joint.join(" and ".join(names) for names in sets[:5]),))


def _null(model: FittedRegression, lengths: Array) -> Array:
    """Combinations of the columns, in units of their lengths, that are zero in every row (p, m)."""
    dropped = np.setdiff1d(np.arange(len(model.names)), model.kept)
    null = np.zeros((len(model.names), len(dropped)))
    null[dropped, np.arange(len(dropped))] = lengths[dropped]
    share = model.alias * lengths[model.kept][:, None]
    null[model.kept] = -np.where(np.abs(share) > SHARE * lengths[dropped], share, 0.0)
    return np.asarray(null / np.linalg.norm(null, axis=0))


def _determined(null: Array, asked: Array, gone: Codes) -> bool:
    """Whether the combinations are identified without some columns: no null vector that lacks these touches them."""
    _, sizes, rows = np.linalg.svd(null[gone], full_matrices=True)
    rank = int((sizes > SAME * max(sizes.max(initial=0.0), 1.0)).sum())
    left = null @ rows[rank:].T
    size = np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(left, axis=0)
    return bool((np.abs(asked @ left) <= SAME * size).all())


def strained_notes(answer: Answer, model: FittedRegression, recipe: Recipe, *own: str) -> tuple[str, ...]:
    """What to say where one control all but determines the treatment, given the others.

    Without the coefficients of the control the variance of an effect ``g'b`` is ``V_gg - V_gS V_SS^{-1} V_Sg``.

    Parameters
    ----------
    answer : Answer
        The effects, whose last stage is the model's.
    own : str
        The variables whose term the effect is of: the treatment, or group and period.
    """
    found = list(_inflation(_asked(answer, model, recipe, set(own)), model, controls(recipe, own)))
    worst = max((value for value, _ in found), default=0.0)
    if worst < STRAINED:
        return ()
    treatment = ":".join(own)
    name = next(label for value, label in reversed(found) if value > worst / 2)
    times = f"{np.sqrt(worst):,.0f}" if worst < 1e12 else f"{np.sqrt(worst):.0e}"
    return (
        f"given the other terms {name} all but determines {treatment}: with it the standard error is {times} times "
        f"that without it (variance inflation {worst:.2g}), and the estimate rests on the share {1 / worst:.2g} "
        f"of {treatment} that {name} leaves. If {name} is moved by the treatment, leave it out",
    )


def _asked(answer: Answer, model: FittedRegression, recipe: Recipe, own: set[str]) -> Array:
    """The effects as combinations (q, r) of the estimable coefficients.

    Where the link is curved, the coefficients of the treatment: a prediction of 0 or 1 hides that nobody knows them.
    """
    evidence = answer.estimate.evidence
    assert isinstance(evidence, Influence)
    variables = [{recipe.terms.labels[i] for i, _ in term} for term in recipe.coding]
    if not model.linear and not any(v & own and not v <= own for v in variables):
        places = [place for place, v in enumerate(variables, 1) if v <= own]
        return np.eye(len(model.kept))[np.isin(recipe.assign[model.kept], places)]
    return evidence.jac[:, -len(model.kept) :]


def _inflation(asked: Array, model: FittedRegression, found: Iterable[Control]) -> Iterator[tuple[float, str]]:
    """How many times the largest variance each control makes of an effect's, beside that without it."""
    V = model.hat.bread
    scale = np.sqrt(np.diag(V))
    R = V / np.outer(scale, scale)
    g = asked * scale
    variance = np.einsum("qi,ij,qj->q", g, R, g)
    for control in found:
        S = np.flatnonzero(np.isin(model.kept, control.columns))
        if len(S) and len(g) and (variance > 0).all():
            b = g @ R[:, S]
            taken = np.einsum("qi,iq->q", b, np.linalg.lstsq(R[np.ix_(S, S)], b.T, rcond=None)[0])
            left = np.maximum(variance - taken, np.finfo(float).eps * variance)
            yield float((variance / left).max()), control.label
