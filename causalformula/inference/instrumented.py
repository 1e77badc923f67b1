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
from causalformula.inference.stage import Beyond, Hat
from causalformula.inference.structural import TWO_STAGES, Equations, Instrumented, KClass
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import Centred, first_column
from causalformula.numerics.least_squares import LeastSquares, least_squares
from causalformula.numerics.linalg import refuse_extreme


@dataclass(frozen=True, eq=False)
class _Within:
    """The columns as they are solved: less the absorbed effects, where there are some."""

    X: Array
    Z: Array
    y: Array
    absorbed: Absorbed | None
    converged: bool


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
    refuse_overflowing(eq.X, eq.names)
    refuse_overflowing(eq.Z, eq.instruments)
    w = np.ones(len(eq.y)) if eq.weights is None else eq.weights
    within = _within(eq, w)
    anchors = None if eq.effects else first_column(eq.X, eq.intercept)
    S = solved_columns(within.X, eq.weights, anchors, eq.names)
    found = _fitted(eq, rule, w, within, S)
    if readable(S, found.kept):
        return found
    return _fitted(eq, rule, w, within, solved_columns(within.X, eq.weights, anchors))


def _fitted(eq: Equations, rule: KClass, w: Array, within: _Within, S: Centred) -> FittedRegression:
    """The fit on columns that were moved from the given ones.

    Of a product with a column far from zero, what instruments leave would otherwise have no digits of its own.
    """
    W = within.X[:, eq.exogenous]
    both = np.column_stack([W, within.Z])
    outcomes = np.column_stack([within.y, S.X[:, eq.endogenous]])
    centred = eq.intercept and not eq.effects
    first = _regressed(both, outcomes, eq.weights, centred, eq.all_names)
    inside = _regressed(W, outcomes, eq.weights, centred, eq.all_names[: W.shape[1]])
    used = _used(eq, rule, w, first, inside.residuals, within, S)
    return _solved(eq, used, w, within, first, inside.residuals, S)


def _within(eq: Equations, w: Array) -> _Within:
    if not eq.effects:
        return _Within(eq.X, eq.Z, eq.y if eq.offset is None else eq.y - eq.offset, None, True)
    takes, p = absorber(eq.effects, w), eq.X.shape[1]
    columns, left, converged = within_effects(takes, np.column_stack([eq.X, eq.Z]), eq.y, w, eq.offset)
    X, counted = columns[:, :p], tuple(map(int, takes.counted))
    absorbed = Absorbed(eq.factors, eq.effects, w, X, float(w @ left**2), counted)
    return _Within(X, columns[:, p:], left, absorbed, converged)


def _regressed(X: Array, Y: Array, weights: Array | None, centred: bool, names: Sequence[str]) -> LeastSquares:
    """Several responses at once, on columns counted from their means."""
    Z = solved_columns(X, weights, first_column(X, centred), names)
    fit = least_squares(Z.X, Y, weights, tol=Z.tol)
    return replace(fit, coef=Z.read(fit.coef.T).T)


def _used(
    eq: Equations, rule: KClass, w: Array, first: LeastSquares, alone: Array, within: _Within, S: Centred
) -> Instrumented:
    """k, the instruments that count, and how strong they are."""
    outside, left = len(eq.exogenous), first.residuals
    absorbed = 0 if within.absorbed is None else within.absorbed.coefficients()
    if int((w > 0).sum()) <= first.rank + absorbed:
        raise IdentificationError(
            f"{counted(first.rank + absorbed, 'instrument')} and terms adjusted for explain everything in "
            f"{counted(int((w > 0).sum()), 'row')}: the first stage fits the treatment without rest, and two-stage "
            "least squares would be least squares. Use fewer of them"
        )
    kept = np.array([j - outside for j in first.kept if j >= outside], dtype=np.intp)
    empty = np.flatnonzero(~within.Z.any(axis=0)).astype(np.intp)
    A, B = _squares(alone, w), _squares(left, w)
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
    eq: Equations, used: Instrumented, w: Array, within: _Within, first: LeastSquares, alone: Array, given: Centred
) -> FittedRegression:
    """The estimates from projected columns, and the record of the regression."""
    projected = np.array(given.X, order="F")
    projected[:, eq.endogenous] -= first.residuals[:, 1:]
    S = replace(given, X=projected)
    fit = least_squares(S.X, within.y, eq.weights, tol=S.tol)
    kept = fit.kept
    own, columns = _some(given.X, kept), _some(S.X, kept)
    turn = np.eye(eq.X.shape[1])[np.ix_(eq.endogenous, kept)]
    at = np.flatnonzero(turn.any(axis=0)).astype(np.intp)
    turn = turn[:, at]
    V = first.residuals[:, 1:] @ turn
    coef: Array = fit.coef
    bread: Array = fit.bread
    e: Array = np.asarray(within.y - own @ coef[kept])
    if used.k != 1:
        columns = np.array(own, order="F")
        columns[:, at] -= used.k * V
        bread = np.asarray(np.linalg.inv(_symmetric((columns * w[:, None]).T @ own)))
        coef = coef.copy()
        coef[kept] += bread @ (columns.T @ (w * e))
        e = np.asarray(within.y - own @ coef[kept])
    moved = _Moved(w, V, coef[kept][at], first, alone)
    beyond = _beyond(used, moved, at, w * e, turn)
    return _record(eq, used, w, within, S, replace(fit, coef=coef, bread=bread, residuals=e), own, columns, beyond)


def _some(X: Array, kept: Codes) -> Array:
    return X if len(kept) == X.shape[1] else X[:, kept]


def _symmetric(A: Array) -> Array:
    return np.asarray((A + A.T) / 2)


@dataclass(frozen=True, eq=False)
class _Moved:
    """What moves with the rows' weights beside the scores.

    Parameters
    ----------
    w : ndarray (n,)
    V : ndarray (n, q)
        What all instruments leave of the endogenous columns as they were solved.
    theta : ndarray (q,)
        Their coefficients.
    first : LeastSquares
        The outcome and the endogenous columns, as they were moved, on all instruments.
    alone : ndarray (n, 1 + p)
        What the exogenous columns leave of these.
    """

    w: Array
    V: Array
    theta: Array
    first: LeastSquares
    alone: Array

    @property
    def outside(self) -> Array:
        """What all instruments leave of the outcome less the endogenous part."""
        return np.asarray(self.first.residuals[:, 0] - self.V @ self.theta)


def _beyond(used: Instrumented, moved: _Moved, at: Codes, scores: Array, turn: Array) -> Beyond:
    """What the exact influence has beside the scores ``w e``: the first stage's own sampling, and that of LIML's k.

    A row's weight moves the projection by ``v_i z_i' (Z'WZ)^{-1} Z'We``, and by the envelope theorem k by
    ``w_i (a_i^2 - k b_i^2) / sum w b^2``, with a and b what exogenous columns, and all instruments, leave of the
    combination that has it.
    """
    w, V, left, slope, root = moved.w, moved.V, moved.first.residuals, None, None
    if used.rule.k is None:
        root = k, c = _smallest_root(_squares(moved.alone, w), _squares(left, w))
        a, b = moved.alone @ c, left @ c
        slope = -w * (a**2 - k * b**2) / float(w @ b**2)
    beyond = Beyond(V, at, used.k * (scores - w * moved.outside), V.T @ scores, slope)
    return _with_means(beyond, used, moved, turn, root) if used.equations.means else beyond


def _with_means(
    beyond: Beyond, used: Instrumented, moved: _Moved, turn: Array, root: tuple[float, Array] | None
) -> Beyond:
    """The same with how the equations, and LIML's k, move with each row's weight through leave-one-out means.

    A change dZ of the instruments moves the projection, and so the equations by ``k (V'W dZ a + P' dZ'W f)``: P are
    the instruments' coefficients in the first stages, a those of the residual, and f what they leave of it. It moves k
    by ``2 k b'W dZ g / b'Wb``, with g their coefficients for the combination of columns that has it.
    """
    eq, w = used.equations, moved.w
    coef = np.nan_to_num(moved.first.coef)[len(eq.exogenous) :]
    P = coef[:, 1:] @ turn
    a, f, b = coef[:, 0] - P @ moved.theta, moved.outside, np.zeros(len(w))
    g, scale = np.zeros(len(coef)), 0.0
    if root is not None:
        b, g = moved.first.residuals @ root[1], coef @ root[1]
        scale = 2 * root[0] / float(w @ b**2)
    total = np.zeros((len(w), P.shape[1] + 1))
    for one in eq.means:
        h = np.empty_like(total)
        for q in range(P.shape[1]):
            h[:, q] = used.k * w * (moved.V[:, q] * (one.factors @ a[one.at]) + f * (one.factors @ P[one.at, q]))
        h[:, -1] = scale * w * b * (one.factors @ g[one.at])
        r = eq.averaged(one)
        u, beside = one.each(h, one.mean(r, w), w)
        if not one.raw and eq.held:
            u = np.column_stack([eq.left_by_exogenous(column) for column in u.T])
        total += w[:, None] * (r[:, None] * u + beside)
    return replace(beyond, more=total[:, :-1], slope=None if beyond.slope is None else beyond.slope - total[:, -1])


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
        instrumented=used.k,
        regressors=own,
    )
    whole = eq.intercept or bool(eq.effects)
    centre = null_fit(eq.y, w, eq.offset, whole)
    model = of_least_squares(
        eq.names, S.read(fit.coef), kept, fit.alias, eq.X, eq.y, eq.weights, eq.offset, hat, centre, intercept=whole,
        converged=within.converged, lost=() if within.converged else (UNCONVERGED,), solved=moves(S, fit.coef, w),
    )  # fmt: skip
    return replace(model, absorbed=within.absorbed, instrumented=used, beyond=beyond)


def refitted(model: FittedRegression, weights: Array) -> FittedRegression:
    """The same equation under other weights."""
    used = model.instrumented
    assert isinstance(used, Instrumented)
    rows = used.rule.rows if used.rule.rows is not None else model.hat.nobs
    return fit_instrumented(used.equations.reweighted(weights), replace(used.rule, rows=rows))
