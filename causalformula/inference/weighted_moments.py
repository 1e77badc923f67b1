"""Linear GMM with instruments, as one root: two-stage least squares, moved by moments weighted by their covariance.

The root's columns are ``Q S^{-1} G``: combinations of the instruments, the exogenous columns among them, orthonormal
for the computation. Its sandwich is that of efficient GMM with the weight matrix held fixed; what the weight matrix of
earlier residuals, or of the estimate's own, adds to the exact influence is ``Beyond``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from causalformula.inference.absorbed import Absorbed
from causalformula.inference.instrumented import fit_instrumented
from causalformula.inference.regression import FittedRegression
from causalformula.inference.stage import Term
from causalformula.inference.structural import Equations, Instrumented, KClass, Weighting
from causalformula.numerics.arrays import Array
from causalformula.numerics.centring import given_coefficients
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.linalg import gram, inverse_of
from causalformula.numerics.linear_gmm import Conditions, Moved, Step, continuous, iterated, stepped


def fit_weighted(eq: Equations, rule: Weighting) -> FittedRegression:
    """The efficient GMM estimator of a structural equation.

    Where there are as many instruments as endogenous columns no weight matters, and one step has none: two-stage least
    squares.
    """
    start = fit_instrumented(eq)
    used = start.instrumented
    assert isinstance(used, Instrumented)
    if used.excess <= 0 or rule.steps == 1 or not used.moves:  # what cannot be is refused by who asked
        return start
    of, steps = _conditions(start, used, rule), rule.steps
    if steps is None:
        last, count = iterated(of, start.hat.e)
        return _record(start, rule, Iterated(start, of, (last,)), count)
    if isinstance(steps, int):
        return _record(start, rule, Stepped(start, of, tuple(stepped(of, start.hat.e, steps - 1))), steps)
    last, count = continuous(of, stepped(of, start.hat.e, 1)[0])
    return _record(start, rule, Continuous(start, of, (last,)), count)


def _conditions(start: FittedRegression, used: Instrumented, rule: Weighting) -> Conditions:
    """The moments, by instruments that are orthonormal over the rows."""
    eq, X, w = used.equations, start.hat.regressors, start.hat.w
    assert X is not None
    own = X[:, np.isin(start.kept, eq.exogenous)]
    Z = eq.Z[:, used.kept]
    if start.absorbed is not None:
        Z = start.absorbed.absorber.demean(Z).values
    beside = least_squares(own, Z, eq.weights).residuals if own.shape[1] else Z
    Q = np.column_stack([_orthonormal(own, w), _orthonormal(beside, w)])
    v = w if eq.counts is None else np.divide(w, np.sqrt(eq.counts), out=np.zeros(len(w)), where=eq.counts > 0)
    return Conditions(X, Q, w, v, rule.codes)


def _orthonormal(X: Array, w: Array) -> Array:
    """Columns with the same span, orthonormal in the inner product of the weights."""
    for _ in range(2):  # the second time mends what was nearly collinear
        G = gram(X, w)
        size = np.sqrt(np.diag(G))
        X = X @ np.linalg.inv(np.linalg.cholesky(G / np.outer(size, size)) * size[:, None]).T
    return X


def _record(start: FittedRegression, rule: Weighting, found: Solved, iterations: int) -> FittedRegression:
    """The record of two-stage least squares with other estimates."""
    of, last, e = found.of, found.last, found.last.e
    rss, df = float(np.dot(of.w * e, e)), start.hat.df_residual
    hat = replace(
        start.hat,
        X=np.asfortranarray(of.Q @ (found.A * found.unit)),
        e=e,
        bread=inverse_of(of.slope.T @ found.A) / found.unit,
        dispersion=rss / df if df > 0 else np.nan,
        instrumented="moments",
    )
    coef = np.full(len(start.names), np.nan)
    coef[start.kept] = start.inner + last.shift
    solved = None if start.solved is None else replace(start.solved, coef=coef)
    return replace(
        start,
        coef=given_coefficients(coef, None if solved is None else solved.moved),
        solved=solved,
        hat=hat,
        mu=start.y - e,
        eta=start.y - e,
        deviance=rss,
        instrumented=replace(start.instrumented, rule=rule, k=np.nan, criterion=last.criterion),
        beyond=found,
        iterations=iterations,
    )


# -- what exact influences have beside the scores, in the unit of ``G' S^{-1} g`` -------------------------------------


@dataclass(frozen=True, eq=False)
class _Rows:
    """How rows move equations through a weight matrix at residuals ``e``, with multipliers lambda.

    A row that counts more moves G and g, its cluster's sums, whose squares the weight matrix is made of, and absorbed
    effects: less these, columns of the other rows change, of which the weight matrix is not free.
    """

    of: Conditions
    e: Array
    moved: Moved
    absorbed: Absorbed | None
    made: _Made | None = None

    def of_step(self, step: Step, H: Array, *, minimum: bool = False) -> list[Term]:
        """All of these, of which those of a minimum are of the derivative too; but for the scores themselves."""
        terms = [self.of_slope(), *self.of_weight(H), *self.of_means(step, H, minimum=minimum)]
        return [*terms, *self.of_minimum()] if minimum else terms

    def of_slope(self) -> Term:
        """Through G."""
        return Term(self.of.X, self.of.w * self.moved.m, np.eye(self.of.X.shape[1]))

    def of_weight(self, H: Array) -> list[Term]:
        """``-H' dS lambda`` for H (l, p)."""
        of, e, m, total = self.of, self.e, self.moved.m, self.moved.total
        ve = of.v * e
        own = self._sums(of.Q, ve)
        terms = [Term(of.Q, -ve * total / 2, H), Term(own, -ve * m / 2, H)]
        if self.absorbed is None:
            return terms
        inside, sums = of.Q @ H, own @ H
        terms.append(self._effects(of.v[:, None] * (total[:, None] * inside + sums * m[:, None]), e))
        terms.append(self._effects(ve[:, None] * sums, m))
        return [*terms, Term(of.Q, of.w * self._part((ve * total)[:, None])[:, 0], H)]

    def of_minimum(self) -> list[Term]:
        """The derivative of ``-lambda' S lambda / 2`` in the coefficients, multipliers held."""
        of, e, m, total = self.of, self.e, self.moved.m, self.moved.total
        vm, one = of.v * m, np.eye(self.of.X.shape[1])
        r = self._sums(of.X, vm)
        terms = [Term(of.X, -vm * total / 2, one), Term(r, -vm * e / 2, one)]
        if self.absorbed is None:
            return terms
        terms.append(self._effects(vm[:, None] * r, e))
        terms.append(self._effects(of.v[:, None] * (e[:, None] * r + total[:, None] * of.X), m))
        return [*terms, Term(of.X, of.w * self._part((vm * total)[:, None])[:, 0], one)]

    def of_means(self, step: Step, H: Array, *, minimum: bool = False) -> list[Term]:
        """Through instruments that are made of the rows, in G, g, and ``-H' dS lambda``; and in the derivative."""
        if self.made is None:
            return []
        of, total, ve = self.of, self.moved.total, self.of.v * self.e
        c = of.w[:, None] * of.X - ve[:, None] * (self._sums(of.Q, ve) @ H)
        d = (of.w * step.e - ve * total)[:, None]
        if minimum:
            c -= (of.v * total)[:, None] * of.X + ve[:, None] * self._sums(of.X, of.v * self.moved.m)
        if self.absorbed is not None:
            c, d = (each - of.w[:, None] * self._part(each) for each in (c, d))
        rows = self.made.moved(step.multipliers(of), c, H, d[:, 0])
        return [Term(rows, np.ones(len(ve)), np.eye(c.shape[1]))]

    def _sums(self, columns: Array, u: Array) -> Array:
        """Sums over each row's cluster, by row."""
        of = self.of
        return columns * u[:, None] if of.codes is None else of.sums(columns, u)[of.codes]

    def _effects(self, columns: Array, u: Array) -> Term:
        return Term(self._part(columns), self.of.w * u, np.eye(columns.shape[1]))

    def _part(self, columns: Array) -> Array:
        """What the absorbed effects make up of columns that are sums over rows already."""
        assert self.absorbed is not None
        w = self.of.w[:, None]
        each = np.divide(columns, w, out=np.zeros_like(columns), where=w > 0)
        return np.asarray(each - self.absorbed.absorber.demean(each).values)


@dataclass(frozen=True, eq=False)
class _Made:
    """Excluded instruments that are made of the rows: as given, and how they make up the orthonormal ones (m, l)."""

    eq: Equations
    turn: Array

    @classmethod
    def of(cls, used: Instrumented, of: Conditions) -> _Made | None:
        """None where there are none."""
        eq, kept, turn = used.equations, used.kept, np.zeros((used.equations.Z.shape[1], of.Q.shape[1]))
        if not eq.means:
            return None
        own = of.Q[:, -len(kept) :]
        turn[kept, -len(kept) :] = np.linalg.inv(own.T @ (of.w[:, None] * eq.Z[:, kept]))
        return cls(eq, turn)

    def moved(self, multipliers: Array, c: Array, H: Array, d: Array) -> Array:
        """How ``sum_i c_i q_i'lambda + d_i H'q_i`` moves with each row's weight (n, p)."""
        return self.eq.through_means(self.turn @ multipliers, c, self.turn @ H, d)


@dataclass(frozen=True, eq=False)
class Solved(ABC):
    """A solution, and what its exact influence has.

    Parameters
    ----------
    start : FittedRegression
        Two-stage least squares.
    of : Conditions
    steps : tuple of Step
        The last is the solution.
    """

    start: FittedRegression
    of: Conditions
    steps: tuple[Step, ...]

    @property
    def last(self) -> Step:
        """The solution."""
        return self.steps[-1]

    @cached_property
    def A(self) -> Array:
        """``S^{-1} G``: scores are ``w e q' A``."""
        return np.asarray(self.last.weight @ self.of.slope)

    @cached_property
    def unit(self) -> float:
        """The residuals' variance, by which scores are in the unit of two-stage least squares'."""
        return float(self.of.w * self.last.e @ self.last.e) / self.start.hat.nobs

    def rows(self, step: Step) -> _Rows:
        """How rows move the equations of a step."""
        moved = Moved.at(self.of, step.before, step.multipliers(self.of))
        return _Rows(self.of, step.before, moved, self.start.absorbed, self._made)

    @cached_property
    def _made(self) -> _Made | None:
        assert isinstance(self.start.instrumented, Instrumented)
        return _Made.of(self.start.instrumented, self.of)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms."""
        return tuple(one.turned(np.eye(self.A.shape[1]) * self.unit) for one in self._terms())

    @abstractmethod
    def _terms(self) -> list[Term]:
        """In the unit of ``G' S^{-1} g``."""

    def _instead(self, terms: list[Term], information: Array) -> list[Term]:
        """Equations whose information is not that of the scores, and take these' place."""
        turn: Array = np.asarray(np.linalg.solve(information.T, self.of.slope.T @ self.A), dtype=np.float64)
        return [Term(self.of.Q, -self.of.w * self.last.e, self.A), *(one.turned(turn) for one in terms)]


class Stepped(Solved):
    """Step by step back to two-stage least squares, whose influence moves the first weight matrix."""

    def _terms(self) -> list[Term]:
        of, start = self.of, self.start
        terms: list[Term] = []
        turn = np.eye(of.X.shape[1])
        for k, step in reversed(list(enumerate(self.steps))):
            A, rows = step.weight @ of.slope, self.rows(step)
            terms += [one.turned(turn) for one in rows.of_step(step, A)]
            if step is not self.last:
                terms.append(Term(of.Q, of.w * step.e, A @ turn))
            before = start.hat.bread if k == 0 else inverse_of(of.slope.T @ self.steps[k - 1].weight @ of.slope)
            turn = before.T @ (A.T @ rows.moved.E).T @ turn
        assert start.beyond is not None
        first = [Term(start.hat.X, start.hat.multipliers(), np.eye(len(turn))), *start.beyond.terms]
        return [*terms, *(one.turned(turn) for one in first)]


class Iterated(Solved):
    """A fixed point, where the residuals of the weight matrix are the solution's own."""

    def _terms(self) -> list[Term]:
        rows = self.rows(self.last)
        terms = [Term(self.of.Q, self.of.w * self.last.e, self.A), *rows.of_step(self.last, self.A)]
        return self._instead(terms, self.of.slope.T @ self.A - self.A.T @ rows.moved.E)


class Continuous(Solved):
    """A minimum: rows move the criterion's derivative, whose own derivative is the information."""

    def _terms(self) -> list[Term]:
        of, rows = self.of, self.rows(self.last)
        D = of.slope - rows.moved.E
        H = self.last.weight @ D
        terms = [Term(of.Q, of.w * self.last.e, H), *rows.of_step(self.last, H, minimum=True)]
        return self._instead(terms, D.T @ H - rows.moved.squares)


# -- either estimator --------------------------------------------------------------------------------------------------


def fit_by(eq: Equations, rule: KClass | Weighting) -> FittedRegression:
    """The structural equation by the estimator that a rule names."""
    return fit_weighted(eq, rule) if isinstance(rule, Weighting) else fit_instrumented(eq, rule)


def refitted(model: FittedRegression, counts: Array) -> FittedRegression:
    """The same equation with rows that are there so many times."""
    used = model.instrumented
    assert isinstance(used, Instrumented)
    eq, rule = used.equations, used.rule
    if isinstance(rule, KClass) and rule.rows is None:
        rule = replace(rule, rows=model.hat.nobs)
    weights = counts if eq.weights is None else counts * eq.weights
    eq = replace(eq, counts=counts if eq.counts is None else counts * eq.counts)
    return fit_by(eq.reweighted(weights), rule)
