"""Imbens and Rubin's steps to a propensity score: linear terms by likelihood ratios, then squares and products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from causalformula.backends.separation import separated
from causalformula.errors import IdentificationError, counted, some
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import family as read_family
from causalformula.numerics.irls import GLMFit, irls
from causalformula.results.confounders.candidates import PROPENSITY, Candidates, Choice, How, variables_of

# Steps go to a maximum that is exact: a ratio is a difference of two deviances.
EPSILON, MAXIT = 1e-12, 50


@dataclass(frozen=True, eq=False)
class Ratio:
    """A likelihood ratio of one more term.

    Parameters
    ----------
    statistic : float
        Twice the difference in log-likelihoods.
    df : int
        Columns that the term adds.
    apart : bool
        Whether the arms are told apart completely with it.
    """

    statistic: float
    df: int
    apart: bool = False

    @property
    def log_p(self) -> float:
        """The logarithm of its chi-squared tail."""
        from scipy.stats import chi2

        return float(chi2.logsf(self.statistic, self.df)) if self.df else 0.0

    def limit(self, one: float) -> float:
        """The value with the tail that ``one`` has with one degree of freedom."""
        from scipy.stats import chi2

        return float(chi2.isf(chi2.sf(one, 1), self.df)) if self.df > 1 else one


class Steps:
    """Forward steps in a logistic regression of the treatment.

    Parameters
    ----------
    treated : ndarray (n,)
        0 or 1.
    base : ndarray (n, k)
        Columns that stay, the intercept first.
    """

    def __init__(self, treated: Array, base: Array):
        self.treated, self.X, self.record = treated, base, list[dict[str, Any]]()
        self.fit = self._fitted(base)

    def _fitted(self, X: Array, start: Array | None = None) -> GLMFit:
        return irls(X, self.treated, read_family("binomial"), start=start, epsilon=EPSILON, maxit=MAXIT)

    def ratio(self, columns: Array) -> Ratio:
        """Of some columns more."""
        start = np.append(np.nan_to_num(self.fit.coef), np.zeros(columns.shape[1]))
        fit = self._fitted(np.column_stack([self.X, columns]), start)
        apart = separated(fit.eta, self.treated == 1, np.ones(len(self.treated), dtype=bool))
        return Ratio(max(self.fit.deviance - fit.deviance, 0.0), len(fit.kept) - len(self.fit.kept), apart)

    def climb(self, candidates: Mapping[str, Array], one: float, stage: str) -> tuple[list[str], dict[str, Ratio]]:
        """The term of the largest ratio joins, as long as that is above the limit.

        Returns
        -------
        tuple
            The terms that joined, in this order, and the last ratio of each.
        """
        joined, last = list[str](), dict[str, Ratio]()
        while True:
            left = [label for label in candidates if label not in joined]
            tried = {label: self.ratio(candidates[label]) for label in left}
            last |= tried
            fit = {k: r for k, r in tried.items() if r.df and not r.apart and r.statistic > r.limit(one)}
            if not fit:
                return joined, last
            best = min(fit, key=lambda label: (fit[label].log_p, -fit[label].statistic))
            joined.append(best)
            self.X = np.column_stack([self.X, candidates[best]])
            self.fit = self._fitted(self.X)
            self.record.append({"stage": stage, "term": best, "ratio": fit[best].statistic, "df": fit[best].df})


def stepwise(found: Candidates, how: How) -> Choice:
    """Linear terms by ratios above one limit, then squares and products of what is kept by ratios above another."""
    columns = _columns(found)
    treated = found.frame.the_treatment.codes.astype(float)
    linear = [label for label in found.labels if not found.inside[label]]
    stays = [columns[label] for label in columns if label not in found.labels]
    steps = Steps(treated, np.column_stack([np.ones(len(treated)), *stays]))
    first, ratios = steps.climb({label: columns[label] for label in linear}, how.c_linear, "linear")
    _refuse_apart(found, ratios)
    second = _second(found, columns, first)
    joined, more = steps.climb(second, how.c_quadratic, "second order")
    ratios |= more
    made = tuple(label for label in joined if label not in found.labels)
    kept = tuple(label for label in found.labels if label in first or label in joined)
    listed = (*found.labels, *made)
    return Choice(
        kept=kept,
        why={label: _why(label, ratios, how.c_linear if label in linear else how.c_quadratic) for label in listed},
        statistic={label: ratios[label].statistic if label in ratios else np.nan for label in listed},
        steps=tuple(steps.record),
        made=made,
        told=(
            f"Kept: {len(first)} of {counted(len(linear), 'linear term')} by ratios above {how.c_linear:g}, "
            f"{len(joined)} of {len(second)} squares and products by ratios above {how.c_quadratic:g}",
        ),
        notes=_notes(ratios),
    )


def _columns(found: Candidates) -> dict[str, Array]:
    """The columns of each term of the treatment model, from their means and in units of their spread."""
    columns = found.columns(PROPENSITY)
    spread = columns.X.std(axis=0)
    X = (columns.X - columns.X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return {label: X[:, columns.of([label])] for label in dict.fromkeys(columns.owners)}


def _second(found: Candidates, columns: Mapping[str, Array], first: Sequence[str]) -> dict[str, Array]:
    """Squares and products of linear terms that are in, and the formula's own terms of these."""
    inside = {label for label in columns if label in first or label not in found.labels}
    variables = variables_of(found.frame.design(PROPENSITY).recipe.terms)
    mains = [label for label in columns if label in inside and len(variables[label]) == 1]
    known = {part: label for label, part in variables.items()}
    out = {label: columns[label] for label in found.labels if found.inside[label] and found.inside[label] <= inside}
    for label in mains:
        Z = columns[label]
        if Z.shape[1] == 1 and len(np.unique(Z[:, 0])) > 2:
            out[f"I({label}^2)"] = Z**2
    for one, other in combinations(mains, 2):
        if variables[one] | variables[other] not in known:
            product = columns[one][:, :, None] * columns[other][:, None, :]
            out[f"{one}:{other}"] = product.reshape(len(product), -1)
    return out


def _why(label: str, ratios: Mapping[str, Ratio], one: float) -> str:
    """The ratio beside its limit."""
    found = ratios.get(label)
    if found is None:
        return "a term that it stands on is left out"
    if not found.df:
        return "other terms imply it"
    if found.apart:
        return "it tells the arms apart completely"
    return f"likelihood ratio {found.statistic:.3g}, limit {found.limit(one):.3g}"


def _refuse_apart(found: Candidates, ratios: Mapping[str, Ratio]) -> None:
    """An ``IdentificationError`` where a linear term, beside those that are in, tells the arms apart."""
    apart = [label for label, ratio in ratios.items() if ratio.apart]
    if apart:
        name = found.frame.the_treatment.name
        raise IdentificationError(
            f"with {some(apart)} the terms tell the arms of {name} apart completely: no propensity score compares "
            "them. "
            "Leave out what decides the treatment, or rows without counterparts (subset=)"
        )


def _notes(ratios: Mapping[str, Ratio]) -> tuple[str, ...]:
    apart = [label for label, ratio in ratios.items() if ratio.apart]
    if not apart:
        return ()
    return (f"left out, though the likelihood would have them, as they tell the arms apart completely: {some(apart)}",)
