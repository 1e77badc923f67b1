"""Why an effect is not identified: which terms cannot be told apart in the data, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.backends.entangled import SHARE, controls, culprits, either
from causalformula.errors import IdentificationError, some
from causalformula.formula.matrix.recipe import Recipe
from causalformula.frame.design_matrix import DesignMatrix
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import many_levels
from causalformula.frame.treatment import Kind
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array, Codes


def raise_aliased(model: FittedRegression, frame: ModelFrame, design: DesignMatrix, gradients: Array) -> None:
    """An ``IdentificationError`` that names the terms that cannot be told apart, or what absorbed effects hold.

    Parameters
    ----------
    gradients : ndarray (q, p)
        The combinations of coefficients that are asked for; terms that are aliased but do not matter to them are not
        named.
    """
    dropped = np.setdiff1d(np.arange(len(model.names)), model.kept)
    entangled = [int(k) for k in np.flatnonzero(~model.determined(gradients).all(axis=0))]
    if held := [int(dropped[k]) for k in entangled if model.absorbed is not None and model.lengths[dropped[k]] == 0]:
        raise _held_by_effects(model, frame, held)
    told = [_told(model, design.recipe, k, int(dropped[k]), frame) for k in entangled]
    empty = [model.lengths[dropped[k]] == 0 for k in entangled]
    places = [(k, int(dropped[k])) for k in entangled]
    crossed = [
        frame.the_treatment.name in _variables(design.recipe, j) and _within_an_arm(model, design.recipe, k, j)
        for k, j in places
    ]
    sets = culprits(model, gradients, controls(design.recipe, (frame.the_treatment.name,)))
    raise IdentificationError(
        f"the effect of {frame.the_treatment.name} is not identified: these terms cannot be told apart in the data: "
        f"{'; '.join(told[:10])}{f' and {len(told) - 10} more' if len(told) > 10 else ''}. "
        f"{_remedy(frame, all(crossed), all(empty), sets)}{_text_columns(frame)}"
    )


def _held_by_effects(model: FittedRegression, frame: ModelFrame, columns: Sequence[int]) -> IdentificationError:
    """Of a treatment that does not vary beside the absorbed effects."""
    assert model.absorbed is not None
    names, treated = model.absorbed.names, frame.the_treatment.name
    named = some(model.names[j] for j in columns)
    within = f"in each level of {names[0]} it is the same in all rows" if len(names) == 1 else (
        f"it is a sum of effects of {' and '.join(names)}"
    )  # fmt: skip
    return IdentificationError(
        f"the effect of {treated} is not identified: {named} cannot be told apart from the fixed effects, as {within}. "
        f"Leave out of the fixed effects what {treated} does not vary within, or use data in which it changes there"
    )


def dropped_terms(model: FittedRegression, which: str = "outcome model", first: int = 0) -> tuple[str, ...]:
    """A note that names the columns that a model leaves out, so that nothing is dropped in silence.

    Parameters
    ----------
    which : str
        What the model is called.
    first : int
        Of absorbed effects the place of the first column that may be named: those before are spoken of elsewhere.
    """
    if model.absorbed is not None:
        gone = [model.names[j] for j in range(first, len(model.names)) if j not in model.kept]
        were = "was" if len(gone) == 1 else "were"
        return (f"{some(gone)} {were} removed because of collinearity with the fixed effects or other terms",) * bool(
            gone
        )
    return told_left_out(*left_out(model.names, model.kept, model.lengths), which)


def left_out(names: Sequence[str], kept: Codes, lengths: Array) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that a model leaves out: combinations of others, and those that are the same in every row."""
    dropped = np.setdiff1d(np.arange(len(names)), kept)
    return tuple(names[j] for j in dropped if lengths[j] != 0), tuple(names[j] for j in dropped if lengths[j] == 0)


def told_left_out(others: Sequence[str], empty: Sequence[str], which: str) -> tuple[str, ...]:
    """The note that names columns of both kinds; none where there are none."""
    if not others and not empty:
        return ()
    parts = [f"{some(others)}, a combination of terms before {'it' if len(others) == 1 else 'them'}"] if others else []
    parts += [f"{some(empty)}, which {'is' if len(empty) == 1 else 'are'} the same in every row"] if empty else []
    return (f"the {which} leaves out {'; and '.join(parts)}",)


def _told(model: FittedRegression, recipe: Recipe, k: int, j: int, frame: ModelFrame) -> str:
    """One aliased column: of which others it is made, or that no row has it."""
    lengths = model.lengths
    if lengths[j] == 0:
        cells = " and ".join(_cell(part, recipe, frame) for part in model.names[j].split(":"))
        return f"{model.names[j]} is zero in every row (no row of positive weight has {cells})"
    return f"{model.names[j]} = a combination of {some(model.names[i] for i in _made_of(model, k, j))}"


def _made_of(model: FittedRegression, k: int, j: int) -> list[int]:
    """The columns that an aliased one is a combination of."""
    share = np.abs(model.alias[:, k]) * model.lengths[model.kept]
    return [int(model.kept[i]) for i in np.flatnonzero(share > SHARE * model.lengths[j])]


def _within_an_arm(model: FittedRegression, recipe: Recipe, k: int, j: int) -> bool:
    """Whether a product with the treatment is made of its own variables alone, as where an arm lacks some units."""
    if ":" not in model.names[j]:
        return False
    own = set(_variables(recipe, j))
    return model.lengths[j] == 0 or all(own.issuperset(_variables(recipe, i)) for i in _made_of(model, k, j))


def _cell(part: str, recipe: Recipe, frame: ModelFrame) -> str:
    """``f = hi`` for the column ``fhi``, ``p = 1`` for a treatment of 0 and 1."""
    for label, levels in recipe.levels.items():
        for level in levels:
            if part == label + level:
                return f"{label} = {level}"
    treatment = frame.the_treatment
    if part == treatment.name and treatment.kind is Kind.BINARY:
        return f"{part} = {treatment.levels[1]}"
    return f"{part} other than 0"


def _variables(recipe: Recipe, j: int) -> tuple[str, ...]:
    """Labels of the variables behind a column."""
    term = int(recipe.assign[j])
    return () if term == 0 else tuple(recipe.terms.labels[i] for i, _ in recipe.coding[term - 1])


def _remedy(frame: ModelFrame, crossed: bool, empty: bool, sets: Sequence[tuple[str, ...]]) -> str:
    if not crossed:
        which = either(sets) if sets else "the term that stands for the treatment"
        return f"Drop {which}, or use data in which they differ"
    where = "modify(...)" if frame.has("modify") else "the terms that the treatment interacts with"
    advice = f"An arm has no such units, so no effect for them can be had: drop that term from {where}"
    if frame.the_treatment.kind is not Kind.BINARY:
        return f"{advice}, or leave those rows out with subset="
    return f"{advice}, leave those rows out with subset=, or ask for estimand={'ATT' if empty else 'ATC'!r}"


def _text_columns(frame: ModelFrame) -> str:
    """Numbers that were read as text are factors with a level for almost every row."""
    for label, value in frame.values.items():
        if count := many_levels(value):
            return f". {label} is text with {count} distinct values, each a level of its own; convert it to numbers"
    return ""
