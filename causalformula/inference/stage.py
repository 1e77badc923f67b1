"""Fitted estimating equations: the ``Stage``, and the ``Hat`` of a regression, where leverage lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from causalformula.inference.absorbed import Absorbed
from causalformula.numerics.arrays import Array
from causalformula.numerics.linalg import basis_leverage, gram, ill_conditioned, leverage, triangular_factor

# R's share of the mean square of the fitted values below which a residual variance is rounding.
ROUNDING = 1e-30


@dataclass(frozen=True, eq=False)
class Hat:
    """The four arrays of a (weighted, iterated) least-squares fit, over its estimable columns.

    Parameters
    ----------
    X : ndarray (n, p)
        Design.
    w : ndarray (n,)
        Working weights: prior weights for least squares, IRLS weights for a GLM.
    e : ndarray (n,)
        Working residuals, so that the score of row i is ``w_i e_i x_i``.
    bread : ndarray (p, p)
        ``(X'WX)^{-1}``, the inverse expected information without the dispersion.
    dispersion : float
        ``sigma^2``, or the GLM's dispersion.
    df_residual : float
        Rows of positive weight minus rank.
    least_squares : bool
        Whether inference uses the t distribution with ``df_residual``.
    nobs : int
        Rows of positive weight.
    h : ndarray (n,), optional
        Leverages, where they are known without ``X`` (cell means: ``X`` is then empty and the stage has its scores).
    k : int, optional
        Rank, where it is not the size of ``bread``.
    target : ndarray (n,), optional
        Variance of the response under the model, up to a constant: the working model of CR2. Absent for least squares,
        whose working model is equal variances, whatever the weights.
    moved : ndarray (p, p), optional
        What was taken from the columns as the caller gave them: ``X = X_given (I - moved)``.
    absorbed : Absorbed, optional
        Fixed effects that the regression has beside ``X``, whose columns are less these.
    instrumented : {"projection", "k-class", "moments"}, optional
        Of a regression with instruments what ``X`` are: the regressors' projections on them, these in part, or the
        combinations of instruments that a weight matrix of moments makes. ``e`` is not what they leave of the response.
    regressors : ndarray (n, p), optional
        Then the columns before their projection: the leverage of a row is how its response moves its fitted value, as
        in ``AER::hatvalues``.
    extra : int
        How many columns of ``X``, its last, are of these effects nevertheless: orthonormal ones in the inner product
        of the weights, which a functional of the effects needs.
    """

    X: Array
    w: Array
    e: Array
    bread: Array
    dispersion: float
    df_residual: float
    least_squares: bool
    nobs: int
    h: Array | None = None
    k: int | None = None
    target: Array | None = None
    moved: Array | None = None
    absorbed: Absorbed | None = None
    instrumented: Literal["projection", "k-class", "moments"] | None = None
    regressors: Array | None = None
    extra: int = 0

    @property
    def rank(self) -> int:
        """Number of coefficients of the regression."""
        return len(self.bread) if self.k is None else self.k

    def orthonormal(self, jac: Array) -> tuple[Array, Array, Array]:
        """Columns, their bread, Jacobians (q, p) in their coefficients; orthonormal ones where others lose digits.

        The products of clusters' sums with the bread square a condition number that is bad already.
        """
        if not self.ill_conditioned:
            return self.X, self.bread, jac
        return self.X @ self.whitening, np.eye(len(self.bread)), jac @ self.whitening

    def in_unit(self) -> Hat:
        """The same fit with weights of size one, so that their squares stay within the range of numbers.

        The unit is a power of two: nothing is rounded anew.
        """
        unit = 2.0 ** np.floor(np.log2(self.w.max()))
        return self if unit == 1 else replace(self, w=self.w / unit, bread=self.bread * unit)

    def given(self, rows: Array) -> Array:
        """Rows (., p) of sums over the columns ``X`` as sums over the columns as they were given."""
        if self.moved is None:
            return rows
        return np.asarray(np.linalg.solve((np.eye(len(self.moved)) - self.moved).T, rows.T).T, dtype=np.float64)

    def perfect(self, mu: Array, share: float = ROUNDING) -> bool:
        """Whether a linear fit with values ``mu`` leaves a residual variance that is rounding, by R's share."""
        spread = float(np.mean(mu) ** 2 + np.var(mu)) * float(self.w.sum()) / self.nobs  # in the unit of the weights
        return self.df_residual > 0 and self.dispersion < spread * share

    def beside(self, columns: Array) -> Hat:
        """The same fit with columns of its absorbed effects, orthonormal ones, among its own."""
        assert self.absorbed is not None
        p, r = len(self.bread), columns.shape[1]
        bread = np.eye(p + r)
        bread[:p, :p] = self.bread
        wide = replace(self, X=np.hstack([self.X, columns]), bread=bread, extra=r)
        # instruments project these on themselves
        return wide if wide.regressors is None else replace(wide, regressors=np.hstack([wide.regressors, columns]))

    def bare(self) -> Hat:
        """The same fit without these columns."""
        p = len(self.bread) - self.extra
        regressors = None if self.regressors is None else self.regressors[:, :p]
        return replace(self, X=self.X[:, :p], bread=self.bread[:p, :p], extra=0, regressors=regressors)

    @property
    def dispersion_known(self) -> bool:
        """Whether the dispersion is one by the family's definition."""
        return not self.least_squares and self.dispersion == 1

    def classical(self) -> Array:
        """Model-based covariance (p, p)."""
        if self.instrumented == "moments":  # the bread is no inverse of their cross-product
            return np.asarray(self.dispersion * self.bread @ gram(self.X, self.w) @ self.bread)
        return self.dispersion * self.bread

    def multipliers(self, rows: slice = slice(None)) -> Array:
        """``w e`` (n,): a row's score is this times its regressors."""
        return self.w[rows] * self.e[rows]

    def leverage(self) -> Array:
        """Diagonal of the (weighted) hat matrix (n,)."""
        if self.h is not None:
            return self.h
        return self.own_leverage() + (0.0 if self.absorbed is None else self.absorbed.leverage)

    @property
    def has_leverage(self) -> bool:
        """Whether leverages can be had: not beside absorbed effects of very many levels, nor of GMM and LIML."""
        return self.instrumented in (None, "projection") and (self.absorbed is None or self.absorbed.exact)

    def own_leverage(self) -> Array:
        """The part of ``X`` in the leverages (n,): all but that of absorbed effects."""
        if self.extra:
            return self.bare().own_leverage()
        if self.regressors is not None:
            return np.asarray(self.w * np.einsum("ij,ij->i", self.regressors @ self.bread, self.X))
        if self.ill_conditioned:
            return basis_leverage(self.X, self.whitening, self.w)
        return leverage(self.X, self.bread, self.w)

    @cached_property
    def ill_conditioned(self) -> bool:
        """Whether ``bread`` has lost so many digits that leverages must come from an orthonormal basis."""
        return ill_conditioned(self.bread)

    @cached_property
    def whitening(self) -> Array:
        """A matrix L (p, p) with ``L L' = bread``, so that ``W^{1/2} X L`` is an orthonormal basis."""
        if not self.ill_conditioned:
            return np.asarray(np.linalg.cholesky(self.bread), dtype=np.float64)
        upper = triangular_factor(self.X, np.empty((len(self.X), 0)), self.w)
        return np.asarray(np.linalg.solve(upper, np.eye(len(upper))), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Term:
    """One part of ``Beyond``: rows ``rows_i columns_i' turn``.

    Parameters
    ----------
    columns : ndarray (n, m)
    rows : ndarray (n,)
    turn : ndarray (m, p)
    """

    columns: Array
    rows: Array
    turn: Array

    def turned(self, by: Array) -> Term:
        """The same rows times a matrix (p, r)."""
        return replace(self, turn=self.turn @ by)


class Beyond(Protocol):
    """What exact influences of an instrumented regression have beside its scores."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """A sum of terms, each (n, p)."""
        ...


@dataclass(frozen=True, eq=False)
class Stage:
    """One block of fitted estimating equations ``sum_i g_i(theta, earlier thetas) = 0``.

    Parameters
    ----------
    name : str
        How later stages refer to it.
    names : tuple of str
        Parameter names (p).
    theta : ndarray (p,)
        Solution.
    hessian : ndarray (p, p)
        ``-d/dtheta' sum_i g_i``: the observed information, so that influences are exact.
    scores : ndarray (n, p), optional
        Rows ``g_i``; absent where ``hat`` gives them as ``w e x``.
    cross : mapping of str to ndarray (p, p_earlier)
        ``d/dtheta_earlier' sum_i g_i`` for each earlier stage that enters.
    hat : Hat, optional
        For regressions.
    canonical : bool
        Whether ``hat.bread`` is the inverse of ``hessian``: least squares, canonical links.
    beyond : Beyond, optional
        What only exact influences have: sandwiches of instrumented regressions hold the projection fixed.
    """

    name: str
    names: tuple[str, ...]
    theta: Array
    hessian: Array
    scores: Array | None = None
    cross: Mapping[str, Array] = field(default_factory=dict)
    hat: Hat | None = None
    canonical: bool = False
    beyond: Beyond | None = None

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.theta)

    def project(
        self, weights: Array, adjust: Array | None = None, *, exact: bool = False, rows: slice = slice(None)
    ) -> Array:
        """``g_i' weights`` for each of the rows, (n, q), with rows multiplied by ``adjust`` where given.

        A regression never materialises its (n, p) scores: ``w e * (X weights)`` is enough. ``exact`` adds what is
        ``beyond`` them.
        """
        if self.scores is not None:
            out = self.scores[rows] @ weights
        else:
            assert self.hat is not None
            out = self.hat.X[rows] @ weights
            out *= self.hat.multipliers(rows)[:, None]
        if exact and self.beyond is not None:
            for one in self.beyond.terms:
                out += (one.columns[rows] @ (one.turn @ weights)) * one.rows[rows, None]
        if adjust is not None:
            out *= adjust[rows, None]
        return out

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.scores) if self.scores is not None else len(self.hat.w)  # type: ignore[union-attr]


def influence_weights(stages: tuple[Stage, ...], jac: Array, *, expected: bool, fixed: bool) -> list[Array]:
    """Triangular back-substitution: what each stage's scores are multiplied by, one (p_s, q) array a stage.

    With ``A_s`` a stage's information, ``C_{s,r}`` the derivative of its equations in an earlier stage's parameters and
    ``J_s`` the functional's Jacobian, ``L_s' = (J_s + sum_{t>s} L_t' C_{t,s}) A_s^{-1}``: the adjoint form of
    ``psi = sum_s J_s A_s^{-1}(g_s + C_s psi_earlier)``, which costs q solves instead of p.

    Parameters
    ----------
    expected : bool
        Use the expected information of ``Hat`` (sandwich's bread) instead of the observed one.
    fixed : bool
        Treat earlier stages as known: their effect through later stages is left out.
    """
    offsets = np.cumsum([0] + [s.size for s in stages])
    place = {s.name: k for k, s in enumerate(stages)}
    right = [np.array(jac[:, offsets[k] : offsets[k + 1]]) for k in range(len(stages))]
    out: list[Array] = [np.empty(0)] * len(stages)
    for k in range(len(stages) - 1, -1, -1):
        stage = stages[k]
        if stage.hat is not None and (expected or stage.canonical):
            out[k] = stage.hat.bread @ right[k].T
        else:
            out[k] = np.asarray(np.linalg.solve(stage.hessian.T, right[k].T), dtype=np.float64)
        if not fixed:
            for earlier, derivative in stage.cross.items():
                right[place[earlier]] += out[k].T @ derivative
    return out
