"""The effect in one cell, a group in a period: weighted sums, their nuisance models, and the exact influence.

Every estimator here is ``theta = sum_j c_j sum_i a_ij m_ij / N_j``. A weight ``a`` may be multiplied by the odds of the
treatment, a value ``m`` is the outcome with lines of regressions added or taken away, and ``N_j`` is the sum of the
weights or a product of other sums. The influence of a row is the derivative of theta in its weight: its own terms and
those through the odds (``exp(X g)``) and the regressions, which are chained backwards. Several outcomes of the same
rows are solved at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from causalformula.errors import ConvergenceError, IdentificationError
from causalformula.numerics.arrays import Array
from causalformula.numerics.linalg import gram

# Directions of the columns that are shorter than this share of the longest are not there, as squares of norms.
ALIASED = 1e-10
STEPS = 50
# A score this small beside its terms is solved.
SOLVED = 1e-12
# Linear predictors beyond this are those of a likelihood without a maximum.
FURTHEST = 35.0
# A learned probability above this is one, and has no odds.
FULL = 1 - 1e-12


class Line(NamedTuple):
    """A regression: the weights of its rows, and whether they are multiplied by the odds."""

    weights: Array
    tilted: bool = False


@dataclass(frozen=True, eq=False)
class Term:
    """One weighted mean ``sum a m / N``.

    Parameters
    ----------
    sign : float
    weights : ndarray (n,)
        Before the odds.
    tilted : bool
        Whether they are multiplied by the odds.
    outcome : bool
        Whether the value holds the outcome.
    lines : mapping of str to float
        What of each regression's prediction is added to the value.
    over : tuple of (ndarray (n,), int)
        Weights whose sums, to these powers, make up ``N``; the term's own weights where there are none.
    """

    sign: float
    weights: Array
    tilted: bool = False
    outcome: bool = True
    lines: Mapping[str, float] = field(default_factory=dict)
    over: tuple[tuple[Array, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Sums:
    """An estimator: its terms and the regressions that they need."""

    terms: tuple[Term, ...]
    lines: Mapping[str, Line] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Odds:
    """A model of the treatment.

    Parameters
    ----------
    X : ndarray (n, p)
    odds : ndarray (n,)
        Zero for a control whose probability of treatment is too large to be compared.
    residual : ndarray (n,)
        A row's score is this times its regressors.
    bread : ndarray (p, p)
        Inverse of the information.
    trimmed : int
        Controls without odds.
    """

    X: Array
    odds: Array
    residual: Array
    bread: Array
    trimmed: int


@dataclass(frozen=True, eq=False)
class Solved:
    """Effects (T,) of the outcomes of a cell, and ``d theta / d log w_i`` (n, T)."""

    theta: Array
    influence: Array


def fit_odds(X: Array, treated: Array, w: Array, trim: float, *, balancing: bool = False) -> Odds:
    """Odds of treatment: by logistic regression, or such that the controls' weighted means are those of the treated.

    Parameters
    ----------
    trim : float
        Controls whose probability of treatment is at least this have no weight.
    balancing : bool
        Solve ``sum w {D - (1 - D) exp(X g)} X = 0`` (Graham, Pinto and Egel 2012) in place of the likelihood's score.

    Raises
    ------
    ConvergenceError
        Where there is no finite solution.
    """
    coef, eta = np.zeros(X.shape[1]), np.zeros(len(X))
    if balancing:
        coef[0] = np.log(w @ treated / (w @ (1 - treated)))
        eta = X @ coef
    value = _objective(eta, treated, w, balancing)
    for _ in range(STEPS):
        residual, second = _scores(eta, treated, w, balancing)
        bread, _null = inverse(gram(X, second))
        score = X.T @ residual
        step = bread @ score
        settled = float(score @ step) <= SOLVED**2 * float(w.sum())
        move = X @ step
        size = 1.0
        while not settled:
            moved = eta + size * move
            reached = _objective(moved, treated, w, balancing)
            if reached >= value - 1e-10 * abs(value) or size < 1e-4:
                break
            size /= 2
        coef, eta = coef + size * step, eta + size * move
        value = _objective(eta, treated, w, balancing)
        if settled:
            break
    else:
        raise ConvergenceError("the treatment model has no finite solution")
    if np.abs(eta[w > 0]).max(initial=0.0) > FURTHEST:
        raise ConvergenceError("the treatment model has no finite solution")
    residual, second = _scores(eta, treated, w, balancing)
    bread, _null = inverse(gram(X, second))
    odds = np.exp(eta)
    cut = (treated == 0) & (odds >= trim / (1 - trim)) if trim < 1 else np.zeros(len(X), dtype=bool)
    return Odds(X, np.where(cut, 0.0, odds), residual, bread, int((cut & (w > 0)).sum()))


def known_odds(p: Array, treated: Array, w: Array, trim: float) -> Odds:
    """Odds of probabilities that count as known, those of other folds."""
    cut = (treated == 0) & (p >= min(trim, FULL))
    kept = np.minimum(p, FULL)
    odds = np.where(cut, 0.0, kept / (1 - kept))
    nothing = np.zeros((len(p), 0))
    return Odds(nothing, odds, np.zeros(len(p)), np.zeros((0, 0)), int((cut & (w > 0)).sum()))


def _scores(eta: Array, treated: Array, w: Array, balancing: bool) -> tuple[Array, Array]:
    """Residuals of the score, and weights of the information."""
    with np.errstate(over="ignore"):
        odds = np.exp(eta)
    if balancing:
        tilted = w * (1 - treated) * odds
        return w * treated - tilted, tilted
    p = odds / (1 + odds)
    return w * (treated - p), w * p * (1 - p)


def _objective(eta: Array, treated: Array, w: Array, balancing: bool) -> float:
    """What is maximised."""
    with np.errstate(over="ignore"):
        if balancing:
            return float(w @ (treated * eta - (1 - treated) * np.exp(eta)))
        return float(w @ (treated * eta - np.logaddexp(0.0, eta)))


def inverse(G: Array) -> tuple[Array, Array]:
    """Generalised inverse of a cross-product, made on a unit diagonal, and its null space (p, k)."""
    scale = np.sqrt(np.diagonal(G))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(G / np.outer(scale, scale))
    good = values > ALIASED * values[-1]
    part = vectors[:, good] / scale[:, None]
    return (part / values[good]) @ part.T, vectors[:, ~good] * scale[:, None]


def solve(sums: Sums, X: Array, Y: Array, odds: Odds | None) -> Solved:
    """The effects of outcomes (n, T) and their influence.

    Parameters
    ----------
    X : ndarray (n, p)
        Of the regressions.
    odds : Odds or None
        Where a weight of the estimator has odds in it.

    Raises
    ------
    IdentificationError
        If a regression does not determine what is predicted from it.
    """
    terms = tuple(_weighed(term, odds) for term in sums.terms)
    fitted = {name: _Regression.of(line, X, Y, odds) for name, line in sums.lines.items()}
    theta, phi = np.zeros(Y.shape[1]), np.zeros(Y.shape)
    wanted = {name: np.zeros(X.shape[1]) for name in fitted}
    by_odds = np.zeros((0 if odds is None else odds.X.shape[1], Y.shape[1]))
    for term in terms:
        over = term.over or ((term.weights, 1),)
        if term.tilted and not term.weights.any():
            raise IdentificationError("the probability of treatment of every control is trim_level or more")
        size = float(np.prod([w.sum() ** power for w, power in over]))
        value = _value(term, Y, fitted)
        amount = term.weights[:, None] * value
        mean = amount.sum(axis=0) / size
        theta += term.sign * mean
        relative = np.sum([power * w / w.sum() for w, power in over], axis=0)
        own = amount / size - relative[:, None] * mean
        phi += term.sign * own
        for name, share in term.lines.items():
            wanted[name] += term.sign * share * (term.weights @ X) / size
        if term.tilted and odds is not None:
            by_odds += term.sign * (odds.X.T @ (amount / size if term.over else own))
    for name, direction in wanted.items():
        through = fitted[name].influence(direction, X)
        phi += through
        if odds is not None and sums.lines[name].tilted:
            by_odds += odds.X.T @ through
    if odds is not None:
        phi += odds.residual[:, None] * (odds.X @ (odds.bread @ by_odds))
    return Solved(theta, phi)


def _weighed(term: Term, odds: Odds | None) -> Term:
    return term if odds is None or not term.tilted else replace(term, weights=term.weights * odds.odds)


def _value(term: Term, Y: Array, fitted: Mapping[str, _Regression]) -> Array:
    value = Y if term.outcome else np.zeros(Y.shape)
    for name, share in term.lines.items():
        value = value + share * fitted[name].predicted
    return value


@dataclass(frozen=True, eq=False)
class _Regression:
    """Least squares of several outcomes on some rows, predicted for all."""

    predicted: Array
    scores: Array
    bread: Array
    null: Array

    @classmethod
    def of(cls, line: Line, X: Array, Y: Array, odds: Odds | None) -> _Regression:
        w = line.weights * odds.odds if line.tilted and odds is not None else line.weights
        bread, null = inverse(gram(X, w))
        coef = bread @ (X.T @ (w[:, None] * Y))
        predicted = X @ coef
        return cls(predicted, w[:, None] * (Y - predicted), bread, null)

    def influence(self, direction: Array, X: Array) -> Array:
        """Of ``direction' coef``."""
        size = float(np.abs(direction).max(initial=0.0))
        if self.null.shape[1] and np.abs(direction @ self.null).max() > 1e-6 * max(size, 1e-300):
            raise IdentificationError("the comparison group does not determine the outcome model")
        return self.scores * (X @ (self.bread @ direction))[:, None]
