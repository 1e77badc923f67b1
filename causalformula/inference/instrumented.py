"""Linear models whose regressors are instrumented: two-stage least squares and the k-class, as one root.

With ``V = M_Z X`` what the instruments leave of the regressors, the k-class solves ``(X - k V)' W (y - X b) = 0``: k is
0 for least squares, 1 for two-stage least squares, and for LIML the smallest root of ``|Y' M_W Y - k Y' M_Z Y| = 0``,
``Y`` the outcome beside the endogenous columns. The root's columns are ``X - k V`` and its residuals structural.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import IdentificationError, counted
from causalformula.inference.absorbed import Absorbed, absorber
from causalformula.inference.absorbing import UNCONVERGED, within_effects
from causalformula.inference.columns import readable, refuse_overflowing, solved_columns
from causalformula.inference.linear import null_fit, of_least_squares
from causalformula.inference.regression import FittedRegression, moves
from causalformula.inference.stage import Beyond, Hat, Term
from causalformula.inference.structural import TWO_STAGES, Equations, Instrumented, KClass
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import Centred, first_column, given_coefficients, origin_of
from causalformula.numerics.least_squares import LeastSquares, least_squares
from causalformula.numerics.linalg import refuse_extreme
from causalformula.numerics.two_stages import by_products


@dataclass(frozen=True, eq=False)
class _Within:
    """The columns as they are solved: less the absorbed effects, where there are some."""

    X: Array
    Z: Array
    y: Array
    absorbed: Absorbed | None
    converged: bool


@dataclass(frozen=True, eq=False)
class _Projected:
    """The first stage's own sampling, by which a row's weight moves the projection, and that of an estimated k."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, eq=False)
class _First:
    """The outcome and the endogenous columns on all instruments, of which ``moved`` was taken as they were solved."""

    fit: LeastSquares
    moved: Array | None = None

    def of_instruments(self, eq: Equations) -> Array:
        """Coefficients (m, 1 + q) of the excluded instruments as given; zero where aliased."""
        return np.nan_to_num(given_coefficients(self.fit.coef.T, self.moved).T)[len(eq.exogenous) :]


def fit_instrumented(eq: Equations, rule: KClass = TWO_STAGES) -> FittedRegression:
    """The k-class estimator of a structural equation; two-stage least squares by default.

    Parameters
    ----------
    eq : Equations
    rule : KClass

    Returns
    -------
    FittedRegression
        Its root has projected regressors and structural residuals.
    """
    refuse_extreme(eq.y, "the outcome")
    w = np.ones(len(eq.y)) if eq.weights is None else eq.weights
    within = _within(eq, w)
    if (quick := _by_products(eq, within)) is not None:
        return _solved(eq, rule, w, within, Centred(within.X, None, 0.0), _First(quick[0]), quick[1])
    refuse_overflowing(eq.X, eq.names)
    refuse_overflowing(eq.Z, eq.instruments)
    anchors = first_column(eq.X, _centred(eq))
    S = solved_columns(within.X, eq.weights, anchors, eq.names)
    found = _fitted(eq, rule, w, within, S)
    if readable(S, found.kept):
        return found
    return _fitted(eq, rule, w, within, solved_columns(within.X, eq.weights, anchors))


def _by_products(eq: Equations, within: _Within) -> tuple[LeastSquares, LeastSquares] | None:
    """Both stages where no column must be counted from its mean, nor the outcome; else None."""
    if origin_of(within.y):
        return None
    return by_products(within.X, within.y, within.Z, eq.endogenous, eq.weights, _centred(eq))


def _fitted(eq: Equations, rule: KClass, w: Array, within: _Within, S: Centred) -> FittedRegression:
    """The fit on columns that were moved from the given ones.

    Of a product with a column far from zero, what instruments leave would otherwise have no digits of its own.
    """
    first = _regressed(eq, _instruments(eq, within), _outcomes(eq, within, S.X), eq.all_names)
    return _solved(eq, rule, w, within, S, first)


def _centred(eq: Equations) -> bool:
    """Whether columns may be counted from their means, as the first is one."""
    return eq.intercept and not eq.effects


def _outcomes(eq: Equations, within: _Within, X: Array) -> Array:
    """The outcome and the endogenous columns."""
    return np.column_stack([within.y, X[:, eq.endogenous]])


def _instruments(eq: Equations, within: _Within) -> Array:
    """The exogenous columns, then the excluded instruments, copied once."""
    own = eq.exogenous
    out = np.empty((len(within.y), len(own) + within.Z.shape[1]), order="F")
    for k, j in enumerate(own):
        out[:, k] = within.X[:, j]
    out[:, len(own) :] = within.Z
    return out


def _within(eq: Equations, w: Array) -> _Within:
    if not eq.effects:
        return _Within(eq.X, eq.Z, eq.y if eq.offset is None else eq.y - eq.offset, None, True)
    takes, p = absorber(eq.effects, w), eq.X.shape[1]
    columns, left, converged = within_effects(takes, np.column_stack([eq.X, eq.Z]), eq.y, w, eq.offset)
    X, counted = columns[:, :p], tuple(map(int, takes.counted))
    absorbed = Absorbed(eq.factors, eq.effects, w, X, float(w @ left**2), counted)
    return _Within(X, columns[:, p:], left, absorbed, converged)


def _regressed(eq: Equations, X: Array, Y: Array, names: Sequence[str]) -> _First:
    """Several responses at once, on columns counted from their means."""
    Z = solved_columns(X, eq.weights, first_column(X, _centred(eq)), names)
    return _First(least_squares(Z.X, Y, eq.weights, tol=Z.tol), Z.moved)


def _used(eq: Equations, rule: KClass, w: Array, first: LeastSquares, within: _Within, S: Centred) -> Instrumented:
    """k, the instruments that count, and how strong they are.

    By cross-products of what exogenous columns leave of the outcome and the endogenous columns, A, and of what all
    instruments leave of them, B: A is B beside what the excluded instruments add.
    """
    outside = len(eq.exogenous)
    absorbed = 0 if within.absorbed is None else within.absorbed.coefficients()
    if int((w > 0).sum()) <= first.rank + absorbed:
        raise IdentificationError(
            f"{counted(first.rank + absorbed, 'instrument')} and terms adjusted for explain everything in "
            f"{counted(int((w > 0).sum()), 'row')}: the first stage fits the treatment without rest, and two-stage "
            "least squares would be least squares. Use fewer of them"
        )
    kept = np.array([j - outside for j in first.kept if j >= outside], dtype=np.intp)
    empty = np.flatnonzero(~within.Z.any(axis=0)).astype(np.intp)
    left, added = first.residuals, first.kept >= outside
    B = _squares(left, w)
    gained = first.coef[first.kept[added]]
    A = B + gained.T @ np.linalg.solve(first.bread[np.ix_(added, added)], gained)
    k = rule.k
    if k is None:
        rows = int((w > 0).sum()) if rule.rows is None else rule.rows
        k = _smallest_root(A, B)[0] - rule.fuller / (rows - first.rank - absorbed)
    strength = 1 - _largest_root(B[1:, 1:], A[1:, 1:])
    given = left[:, 1:]
    if S.moved is not None:
        given = given @ np.linalg.inv((np.eye(len(S.moved)) - S.moved)[np.ix_(eq.endogenous, eq.endogenous)])
    return Instrumented(eq, rule, float(k), given, kept, empty, strength)


def _squares(E: Array, w: Array) -> Array:
    return np.asarray(E.T @ (E * w[:, None]))


def _scaled(A: Array, B: Array) -> tuple[Array, Array, Array]:
    size = np.sqrt(np.maximum(np.diag(A), np.diag(B)))
    size = np.where(size > 0, size, 1.0)
    return A / np.outer(size, size), B / np.outer(size, size), size


def _smallest_root(A: Array, B: Array) -> tuple[float, Array]:
    """The smallest k with ``|A - k B| = 0``, and the combination of columns that has it."""
    A, B, size = _scaled(A, B)
    values, vectors = np.linalg.eig(np.linalg.solve(A, B))  # B may be singular, where instruments explain all
    at = int(np.argmax(values.real))
    largest = float(values.real[at])
    return (1 / largest if largest > 0 else np.inf), np.asarray(vectors[:, at].real) / size


def _largest_root(A: Array, B: Array) -> float:
    """The largest r with ``|A - r B| = 0``; one where ``B`` is singular, and nothing is left to explain."""
    A, B, _ = _scaled(A, B)
    if not len(B) or np.linalg.cond(B) > 1e14:
        return 1.0
    return float(np.linalg.eigvals(np.linalg.solve(B, A)).real.max())


def _solved(
    eq: Equations, rule: KClass, w: Array, within: _Within, given: Centred, first: _First,
    quick: LeastSquares | None = None,
) -> FittedRegression:  # fmt: skip
    """The estimates from projected columns, and the record of the regression."""
    used, left = _used(eq, rule, w, first.fit, within, given), first.fit.residuals
    projected = np.array(given.X, order="F")
    projected[:, eq.endogenous] -= left[:, 1:]
    S = replace(given, X=projected)
    fit = quick if quick is not None else least_squares(S.X, within.y, eq.weights, tol=S.tol)
    kept = fit.kept
    own, columns = _some(given.X, kept), _some(S.X, kept)
    turn = np.eye(eq.X.shape[1])[np.ix_(eq.endogenous, kept)]
    at = np.flatnonzero(turn.any(axis=0)).astype(np.intp)
    V = left[:, 1:] @ turn[:, at]
    coef: Array = fit.coef
    bread: Array = fit.bread
    e: Array = quick.residuals if quick is not None else np.asarray(within.y - own @ coef[kept])
    if used.k != 1:
        columns = np.array(own, order="F")
        columns[:, at] -= used.k * V
        bread = np.asarray(np.linalg.inv(_symmetric((columns * w[:, None]).T @ own)))
        coef = coef.copy()
        coef[kept] += bread @ (columns.T @ (w * e))
        e = np.asarray(within.y - own @ coef[kept])
    moving = _Moving(eq, w, used.k, V, coef[kept][at], first, turn[:, at])
    root = _root(eq, w, within, given, left) if rule.k is None else None
    found = replace(fit, coef=coef, bread=bread, residuals=e)
    beyond = _Projected(tuple(moving.terms(w * e, np.eye(len(kept))[at], root)))
    return _record(eq, used, w, within, S, found, own, columns, beyond)


def _some(X: Array, kept: Codes) -> Array:
    return X if len(kept) == X.shape[1] else X[:, kept]


def _symmetric(A: Array) -> Array:
    return np.asarray((A + A.T) / 2)


@dataclass(frozen=True, eq=False)
class _Root:
    """LIML's k, the combination c of the outcome and endogenous columns that has it, and what is left of this.

    By the exogenous columns a (n,), and by all instruments b (n,).
    """

    k: float
    c: Array
    a: Array
    b: Array


def _root(eq: Equations, w: Array, within: _Within, given: Centred, left: Array) -> _Root:
    names = [eq.names[j] for j in eq.exogenous]
    alone = _regressed(eq, within.X[:, eq.exogenous], _outcomes(eq, within, given.X), names).fit.residuals
    k, c = _smallest_root(_squares(alone, w), _squares(left, w))
    return _Root(k, c, alone @ c, left @ c)


@dataclass(frozen=True, eq=False)
class _Moving:
    """What moves with the rows' weights beside the scores.

    Parameters
    ----------
    eq : Equations
    w : ndarray (n,)
    k : float
    V : ndarray (n, q)
        What all instruments leave of the endogenous columns as they were solved.
    theta : ndarray (q,)
        Their coefficients.
    first : _First
    turn : ndarray (q, q)
        Which of its responses they are.
    """

    eq: Equations
    w: Array
    k: float
    V: Array
    theta: Array
    first: _First
    turn: Array

    def terms(self, scores: Array, place: Array, root: _Root | None) -> list[Term]:
        """The terms, from scores ``w e`` (n,) and the place (q, p) of V among the columns.

        A row's weight moves the projection by ``v_i z_i' (Z'WZ)^{-1} Z'We``; and a change dZ of instruments that are
        made of the rows by ``V'W dZ a + P' dZ'W f``: P are the instruments' coefficients in the first stages, a those
        of the residual, and f what they leave of it.
        """
        eq, w, one = self.eq, self.w, np.ones(len(self.w))
        f = self.first.fit.residuals[:, 0] - self.V @ self.theta
        terms = [Term(self.V, self.k * (scores - w * f), place)]
        if eq.means:
            coef = self.first.of_instruments(eq)
            P = coef[:, 1:] @ self.turn
            a, kw = coef[:, 0] - P @ self.theta, self.k * w
            terms.append(Term(eq.through_means(a, kw[:, None] * self.V, P, kw * f), one, place))
        if root is not None:
            terms.append(Term(self._of_k(root), one, (self.V.T @ scores)[None] @ place))
        return terms

    def _of_k(self, root: _Root) -> Array:
        """How each row moves LIML's k (n, 1), negative: ``w_i (a_i^2 - k b_i^2) / w'b^2``, by the envelope theorem.

        Through instruments by ``2 k b'W dZ g / w'b^2``, with g their coefficients for the combination.
        """
        w, a, b = self.w, root.a, root.b
        size = float(w @ b**2)
        slope = np.asarray(-w * (a**2 - root.k * b**2) / size)[:, None]
        if not self.eq.means:
            return slope
        g, none = self.first.of_instruments(self.eq) @ root.c, np.zeros((self.eq.Z.shape[1], 1))
        by_row = (2 * root.k / size * w * b)[:, None]
        return np.asarray(slope - self.eq.through_means(g, by_row, none, np.zeros(len(w))))


def _record(
    eq: Equations,
    used: Instrumented,
    w: Array,
    within: _Within,
    S: Centred,
    fit: LeastSquares,
    own: Array,
    columns: Array,
    beyond: Beyond,
) -> FittedRegression:
    kept, e, nobs = fit.kept, fit.residuals, int((w > 0).sum())
    rank = fit.rank + (0 if within.absorbed is None else within.absorbed.coefficients())
    rss, df = float(np.dot(w * e, e)), nobs - rank
    moved = None if S.moved is None else S.moved[np.ix_(kept, kept)]
    hat = Hat(
        np.asfortranarray(columns),
        w,
        e,
        fit.bread,
        rss / df if df > 0 else np.nan,
        float(df),
        True,
        nobs,
        k=None if within.absorbed is None else rank,
        moved=moved,
        absorbed=within.absorbed,
        instrumented="projection" if used.k == 1 else "k-class",
        regressors=own,
    )
    whole = eq.intercept or bool(eq.effects)
    centre = null_fit(eq.y, w, eq.offset, whole)
    model = of_least_squares(
        eq.names, S.read(fit.coef), kept, fit.alias, eq.X, eq.y, eq.weights, eq.offset, hat, centre, intercept=whole,
        converged=within.converged, lost=() if within.converged else (UNCONVERGED,), solved=moves(S, fit.coef, w),
    )  # fmt: skip
    return replace(model, absorbed=within.absorbed, instrumented=used, beyond=beyond)
