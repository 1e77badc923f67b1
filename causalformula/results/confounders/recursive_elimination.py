"""Recursive elimination: the weakest term leaves, again and again; cross-validation says how many stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.doubly_robust.dml_models import received
from causalformula.backends.learning.folds import make_folds
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.families import family as read_family
from causalformula.numerics.irls import irls
from causalformula.results.confounders.candidates import (
    COVARIATES,
    PROPENSITY,
    Candidates,
    Choice,
    Columns,
    How,
    refuse_wide,
)

# Probabilities in a log-loss stay this far from 0 and 1.
LEAST = float(np.finfo(float).eps)
MODELS = ("outcome", "treatment")
# What is left, with the held-out loss.
Path = list[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, eq=False)
class Equation:
    """A regression whose terms are eliminated.

    Parameters
    ----------
    target : str
    found : Candidates
    columns : Columns
        Standardised.
    always : ndarray (n, k)
        The intercept, and the treatment in the outcome's.
    v : ndarray (n,)
    binary : bool
        Logistic, judged by the log-loss; otherwise linear, by the mean squared error.
    """

    target: str
    found: Candidates
    columns: Columns
    always: Array
    v: Array
    binary: bool

    def design(self, labels: Sequence[str]) -> tuple[Array, Bools]:
        """The columns of some terms beside those that stay, and which of all columns these are."""
        inside = self.columns.of(labels) | ~self.columns.of(self.found.labels)
        return np.column_stack([self.always, self.columns.X[:, inside]]), inside

    def path(self, rows: Bools, held: Bools) -> Path:
        """What is left after each elimination among some rows, all terms first, and the loss in the rows held out.

        The weakest term is the one whose part of the predictor varies least, over all rows: of a single standardised
        column the square of its coefficient.
        """
        labels, out = self.found.labels, []
        while True:
            X, inside = self.design(labels)
            coef = self.fitted(X[rows], self.v[rows])
            out.append((labels, self.loss(X[held] @ coef, self.v[held])))
            if not labels:
                return out
            own = np.zeros(len(inside))
            own[inside] = coef[self.always.shape[1] :]
            parts = {
                label: float((self.columns.X[:, mine] @ own[mine]).var())
                for label in self.found.removable(labels)
                for mine in [self.columns.of([label])]
            }
            weakest = min(parts, key=lambda label: parts[label])
            labels = tuple(label for label in labels if label != weakest)

    def fitted(self, X: Array, v: Array) -> Array:
        """Coefficients, zero for what other columns imply."""
        if not self.binary:
            return np.asarray(np.linalg.lstsq(X, v, rcond=None)[0])
        return np.nan_to_num(irls(X, v, read_family("binomial")).coef)

    def loss(self, eta: Array, v: Array) -> float:
        """Mean loss; NaN without rows."""
        from scipy.special import expit

        if not len(v):
            return np.nan
        if not self.binary:
            return float(((v - eta) ** 2).mean())
        p = np.clip(expit(eta), LEAST, 1 - LEAST)
        return float(-(v * np.log(p) + (1 - v) * np.log1p(-p)).mean())


def recursive_elimination(found: Candidates, how: How) -> Choice:
    """Terms that stay in the outcome's regression, or in the treatment's, at the size of the least held-out loss."""
    folds = make_folds(found.frame, how.folds, 1, how.seed)
    everyone, nobody = np.ones(found.frame.n, dtype=bool), np.zeros(found.frame.n, dtype=bool)
    kept, ranks, steps = list[tuple[str, ...]](), list[dict[str, int]](), list[dict[str, Any]]()
    for each in equations(found, how):
        least = min(int(folds.outside(0, fold).sum()) for fold in range(folds.size))
        refuse_wide(least, each.always.shape[1] + len(each.columns.names), f"the {each.target} model")
        paths = [each.path(folds.outside(0, fold), folds.inside(0, fold)) for fold in range(folds.size)]
        losses = np.mean([[loss for _, loss in path] for path in paths], axis=0)
        left = [labels for labels, _ in each.path(everyone, nobody)]
        kept.append(left[len(losses) - 1 - int(np.argmin(losses[::-1]))])  # of sizes with one loss the smallest
        ranks.append({label: min(len(labels) for labels in left if label in labels) for label in found.labels})
        steps += [
            {"model": each.target, "terms": len(labels), "loss": float(loss)}
            for labels, loss in zip(left, losses, strict=True)
        ]
    return _chosen(found, kept, ranks, steps, folds.words)


def _chosen(
    found: Candidates,
    kept: Sequence[tuple[str, ...]],
    ranks: Sequence[Mapping[str, int]],
    steps: Sequence[Mapping[str, Any]],
    words: str,
) -> Choice:
    both = list(zip(MODELS, kept, strict=True))
    why = {}
    for label in found.labels:
        names = [f"the {model} model" for model, mine in both if label in mine]
        why[label] = f"kept in {' and '.join(names)}" if names else "kept in neither model"
    counts = tuple(f"Kept in the {model} model: {len(mine)} of {len(found.labels)}" for model, mine in both)
    return Choice(
        kept=tuple(label for label in found.labels if any(label in mine for mine in kept)),
        why=why,
        statistic={label: float(min(rank[label] for rank in ranks)) for label in found.labels},
        steps=tuple(steps),
        told=(*counts, f"Sizes by cross-validation: {words}"),
    )


def equations(found: Candidates, how: How) -> list[Equation]:
    """The outcome's regression, with the treatment, and the treatment's."""
    frame = found.frame
    d, one = received(frame), np.ones(frame.n)
    outcome, treatment = (_standardised(found.columns(part)) for part in (COVARIATES, PROPENSITY))
    logistic = how.family.name == "binomial"
    y = frame.outcome_for(how.family)
    return [
        Equation("outcome", found, outcome, np.column_stack([one, d]), y, logistic),
        Equation("treatment", found, treatment, one[:, None], d, frame.the_treatment.kind is Kind.BINARY),
    ]


def _standardised(columns: Columns) -> Columns:
    spread = columns.X.std(axis=0)
    X = (columns.X - columns.X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return Columns(X, columns.names, columns.owners)
