"""Double selection: what a lasso takes for the outcome, and what it takes for the treatment."""

from __future__ import annotations

import numpy as np

from causalformula.backends.doubly_robust.dml_models import received
from causalformula.backends.doubly_robust.selection import post_lasso
from causalformula.backends.learning.table import Features
from causalformula.frame.parts import Part
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.rlasso import RLasso
from causalformula.results.confounders.candidates import COVARIATES, PROPENSITY, Candidates, Choice, How, residual

WHY = {
    (True, True): "predicts the outcome and the treatment",
    (True, False): "predicts the outcome",
    (False, True): "predicts the treatment",
    (False, False): "predicts neither",
}


def double_lasso(found: Candidates, how: How) -> Choice:
    """Terms of which the rigorous lasso of the outcome, or that of the treatment, takes a column.

    Terms that stay are partialled out, so that they bear no penalty.
    """
    frame, sizes, steps, notes = found.frame, [], [], []
    for target, part, v in (("outcome", COVARIATES, frame.y), ("treatment", PROPENSITY, received(frame))):
        features, owners, left = _free(found, part, v)
        chosen = post_lasso(target, features, left)
        size = np.abs(chosen.fit.coef) * features.design.std(axis=0) / (left.std() or 1.0)
        sizes.append({label: float(size[owners == label].max(initial=0.0)) for label in found.labels})
        steps += _steps(target, chosen.fit, features.names)
        notes.append(chosen.words.replace(" control", " column"))
    taken = [{label for label, size in each.items() if size > 0} for each in sizes]
    return Choice(
        kept=tuple(label for label in found.labels if label in taken[0] | taken[1]),
        why={label: WHY[label in taken[0], label in taken[1]] for label in found.labels},
        statistic={label: max(size[label] for size in sizes) for label in found.labels},
        steps=tuple(steps),
        told=tuple(notes),
    )


def _free(found: Candidates, part: Part, v: Array) -> tuple[Features, Array, Array]:
    """Columns that bear a penalty, the term of each, and the response; both less what stays in the model."""
    columns = found.columns(part)
    free: Bools = columns.of(found.labels)
    fixed = columns.X[:, ~free]
    X = residual(columns.X[:, free], fixed)
    names = tuple(name for name, inside in zip(columns.names, free, strict=True) if inside)
    owners = np.array(columns.owners, dtype=object)[free]
    nothing = np.empty(0, dtype=bool)
    return Features(X, names, np.empty((len(X), 0)), nothing), owners, residual(v[:, None], fixed)[:, 0]


def _steps(target: str, fit: RLasso, names: tuple[str, ...]) -> list[dict[str, object]]:
    """The columns that are taken, with their coefficients after the lasso."""
    return [
        {"equation": target, "column": name, "coefficient": float(b), "penalty": float(fit.lambda0 * loading)}
        for name, b, loading in zip(names, fit.coef, fit.loadings, strict=True)
        if b
    ]
