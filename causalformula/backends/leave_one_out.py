"""The instruments of ``iv(...)`` as columns, leave-one-out means of the treatment among them."""

from __future__ import annotations

import numpy as np

from causalformula.errors import FormulaError, IdentificationError
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.leave_one_out import leave_one_out
from causalformula.formula.language.syntax import Name
from causalformula.frame.design_matrix import DesignMatrix
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.leave_one_out import LeaveOneOut
from causalformula.inference.structural import Equations
from causalformula.numerics.arrays import Array

INTERCEPT = "(Intercept)"
# Groups whose means are smaller than this share of the treatment's spread do not differ.
EQUAL = 1e-9


def instruments_of(
    design: DesignMatrix, excluded: DesignMatrix, frame: ModelFrame
) -> tuple[Array, tuple[str, ...], tuple[LeaveOneOut, ...]]:
    """The excluded instruments (n, m), their names, and which are leave-one-out means.

    Columns of these hold what the means are multiplied by, until they are made (``Equations.reweighted``). Of a
    treatment of several levels each has one for every level but the first, named after it.
    """
    recipe, columns, names, made = excluded.recipe, [], [], dict[tuple[str, str], list[int]]()
    treated = _treatment_columns(design, frame)
    for j, name in enumerate(excluded.names):
        if name == INTERCEPT:
            continue
        variables = [recipe.terms.variables[i] for i, _ in recipe.coding[recipe.assign[j] - 1]]
        held = [term for node in variables if (term := leave_one_out(node)) is not None]
        if len(held) > 1:
            both = " and ".join(term.label for term in held)
            raise FormulaError(f"{name} is a product of leave-one-out means; write {both} side by side, joined by `+`")
        for of in treated if held else ("",):
            if held:
                made.setdefault((held[0].label, of), []).append(len(columns))
            suffix = of[len(frame.the_treatment.name) :] if len(treated) > 1 else ""
            names.append(name.replace(held[0].label, held[0].label + suffix) if held else name)
            columns.append(excluded.X[:, j])
    Z = np.column_stack(columns) if columns else np.empty((frame.n, 0))
    return Z, tuple(names), _means(frame, excluded, made, treated, Z)


def _treatment_columns(design: DesignMatrix, frame: ModelFrame) -> dict[str, Array]:
    """The treatment's own columns, without those of its products, by name."""
    recipe, name = design.recipe, frame.the_treatment.name
    own = [j for j in range(len(design.names)) if (at := recipe.assign[j]) and len(recipe.coding[at - 1]) == 1]
    labels = {j: recipe.terms.labels[recipe.coding[recipe.assign[j] - 1][0][0]] for j in own}
    return {design.names[j]: design.X[:, j] for j in own if labels[j] == name}


def _means(
    frame: ModelFrame,
    excluded: DesignMatrix,
    made: dict[tuple[str, str], list[int]],
    treated: dict[str, Array],
    Z: Array,
) -> tuple[LeaveOneOut, ...]:
    terms = {term.label: term for node in excluded.recipe.terms.variables if (term := leave_one_out(node)) is not None}
    found = []
    for (label, of), places in made.items():
        group = terms[label].group
        name = group.id if isinstance(group, Name) else deparse(group)
        codes = next(one.codes for one in frame.groupings["loo"] if one.name == name)
        at = np.asarray(places, dtype=np.intp)
        found.append(LeaveOneOut(label, codes, treated[of], at, Z[:, at], terms[label].raw))
    return tuple(found)


def refuse_held_fixed(eq: Equations) -> None:
    """An ``IdentificationError`` where the groups of a leave-one-out mean are held fixed themselves.

    Nothing differs between the groups then, and within each the mean of the others is but the row's own treatment with
    its sign turned: an instrument that would be least squares in disguise.
    """
    w = np.ones(len(eq.y)) if eq.weights is None else eq.weights
    for one in eq.means:
        if one.groups == 1:
            raise IdentificationError(f"all rows are of one group of {one.label}, and nothing differs between groups")
        left = eq.left_by_exogenous(one.D)
        sums, sizes = (np.bincount(one.codes, x, one.groups) for x in (w * left, w))
        between = float(np.sum(sums**2 / np.where(sizes > 0, sizes, 1)))
        if between <= EQUAL * float(w @ (one.D - np.average(one.D, weights=w)) ** 2):
            raise IdentificationError(
                f"{one.label} is the treatment's mean in groups that are held fixed: their own effects are absorbed or "
                "adjusted for, which leaves nothing between them, and of the mean the row's own treatment. Hold fixed "
                "what cases are assigned within (court by year), and not who they are assigned to"
            )
