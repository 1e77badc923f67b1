"""Least squares beside absorbed fixed effects: on columns less their effects (Frisch, Waugh and Lovell)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causalformula.errors import some
from causalformula.inference.absorbed import Absorbed, absorber
from causalformula.inference.columns import readable, refuse_overflowing
from causalformula.inference.linear import null_fit, of_least_squares
from causalformula.inference.regression import FittedRegression, kept_moves, moves
from causalformula.inference.stage import Hat
from causalformula.numerics.absorption.absorber import Absorber, Demeaned
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import TOL, Centred, centred_beside, given_coefficients
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.linalg import refuse_extreme

# A column that keeps less than this share of its spread beside the effects is made up of them, as in R's rule of rank.
ABSORBED = 1e-7
# ... or less than this share of its size, which is rounding.
ROUNDING = 1e-13
UNCONVERGED = "the effects were not taken out of all columns to ten digits: the factors are hardly connected"


def fit_absorbed(
    X: Array,
    y: Array,
    names: Sequence[str],
    effects: Sequence[Effect],
    factors: Sequence[str],
    *,
    weights: Array | None = None,
    offset: Array | None = None,
    in_place: bool = False,
    centre: bool = False,
) -> FittedRegression:
    """Least squares beside the effects of factors, fixest's ``feols``.

    Parameters
    ----------
    X : ndarray (n, p)
        Without an intercept, which the effects hold.
    y : ndarray (n,)
    names : sequence of str
        Of the columns.
    effects : sequence of Effect
    factors : sequence of str
        Their names.
    weights : ndarray (n,), optional
        Prior weights; rows of weight zero take no part.
    offset : ndarray (n,), optional
    in_place : bool
        Whether the columns, in Fortran's order, may be demeaned where they are; the model makes them anew when asked.
    centre : bool
        Whether a product ``a:x`` of columns may be solved with ``x`` counted from its mean, so that none is lost to a
        tolerance; without it rank is decided by fixest's rule.
    """
    refuse_extreme(y, "the outcome")
    refuse_overflowing(X, names)
    w = np.broadcast_to(1.0, len(y)) if weights is None else weights  # ones take no room
    takes = absorber(effects, w)
    apart = centred_beside(X, weights, names, TOL)
    Z = apart if centre else Centred(X, None, TOL)
    columns = _columns_within(takes, Z.X, w, in_place)
    outcome = takes.demean((y - (0.0 if offset is None else offset))[:, None], in_place=True)
    within, left, converged = columns.values, outcome.values[:, 0], columns.converged and outcome.converged
    fit = least_squares(within, left, weights, tol=Z.tol)
    if not readable(Z, fit.kept):
        return fit_absorbed(X, y, names, effects, factors, weights=weights, offset=offset)
    counted = tuple(map(int, takes.counted))
    squares, taken = float(w @ left**2), columns.taken if in_place else None
    del left, outcome
    absorbed = Absorbed(tuple(factors), tuple(effects), w, within, squares, counted, taken)
    nobs = int((w > 0).sum())
    e = fit.residuals
    rss = float(np.dot(w * e, e))
    k = fit.rank + absorbed.coefficients()
    df = nobs - k
    dispersion = rss / df if df > 0 else np.nan
    design = within if fit.rank == X.shape[1] else within[:, fit.kept]
    moved = kept_moves(Z, fit.kept)
    hat = Hat(design, w, e, fit.bread, dispersion, float(df), True, nobs, k=k, moved=moved, absorbed=absorbed)
    lost = () if converged else (UNCONVERGED,)
    if not centre and apart.moved is not None:
        lost = (*lost, *_lost(takes, apart, weights, names, fit.kept))
    model = of_least_squares(
        names, Z.read(fit.coef), fit.kept, fit.alias, None if in_place else X, y, weights, offset, hat,
        null_fit(y, w, offset, True), intercept=True, converged=converged, lost=lost,
        solved=moves(Z, fit.coef, w, within),
    )  # fmt: skip
    return replace(model, absorbed=absorbed)


def _lost(takes: Absorber, apart: Centred, weights: Array | None, names: Sequence[str], kept: Codes) -> tuple[str, ...]:
    """A note that names products which fixest's rule leaves out only because a variable lies far from zero."""
    if len(kept) == len(names):
        return ()
    within = takes.demean(apart.X).values
    found = least_squares(within, np.zeros(len(within)), weights, tol=apart.tol).kept
    lost = [names[int(j)] for j in np.setdiff1d(found, kept)]
    if not lost:
        return ()
    return (
        f"{some(lost)} left out as fixest does, to whose tolerance a product with a variable so far from zero is a "
        "combination of the others; counted from its mean it is not: center that, as in scale(x, scale = FALSE)",
    )


def within_effects(takes: Absorber, X: Array, y: Array, w: Array, offset: Array | None) -> tuple[Array, Array, bool]:
    """Columns less the effects, zero where made up of them; the outcome less them; and whether these are exact."""
    columns = _columns_within(takes, X, w)
    outcome = takes.demean((y - (0.0 if offset is None else offset))[:, None], in_place=True)
    return columns.values, outcome.values[:, 0], columns.converged and outcome.converged


def _columns_within(takes: Absorber, X: Array, w: Array, in_place: bool = False) -> Demeaned:
    """Columns less the effects, zero where made up of them."""
    total = w.sum()
    # a column at a time: beside the design and what is left of it there is no third
    least = [max(ABSORBED * np.sqrt(w @ (x - (w @ x) / total) ** 2), ROUNDING * np.sqrt(w @ x**2)) for x in X.T]
    found = takes.demean(X, in_place=in_place)
    for inside, most in zip(found.values.T, least, strict=True):
        if np.sqrt(w @ inside**2) <= most:
            inside[:] = 0.0
    return found


def refitted_within(model: FittedRegression, w: Array) -> Array | None:
    """Estimable coefficients under other weights; None where they are not all there."""
    assert model.absorbed is not None
    # of columns less the effects there is less the effects under other weights what there is of the columns
    X = model.absorbed.X[:, model.kept]
    within, left, converged = within_effects(absorber(model.absorbed.effects, w), X, model.y, w, model.offset)
    fit = least_squares(within, left, w)
    return given_coefficients(fit.coef, model.hat.moved) if converged and fit.rank == X.shape[1] else None
