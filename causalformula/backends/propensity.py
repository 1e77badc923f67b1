"""Propensity models as stages, and the weights that each estimand makes of a propensity score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.estimands import ATO
from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.separation import overlap_notes, separated
from causalformula.errors import some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.inference.generalised import fit_glm
from causalformula.inference.refit import attempt
from causalformula.inference.regression import FittedRegression
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.centring import centred, first_column
from causalformula.numerics.families import family as read_family
from causalformula.numerics.irls import newton
from causalformula.numerics.linalg import refuse_extreme_columns
from causalformula.numerics.logit import warm_logits
from causalformula.numerics.multinomial import Multinomial, multinomial


class Regressors(NamedTuple):
    """Columns of a treatment model, their names, and the intercept of each."""

    X: Array
    names: tuple[str, ...]
    anchors: Codes | None


@dataclass(frozen=True, eq=False)
class Propensity:
    """Fitted probabilities of every level, and how weights follow from their model.

    Parameters
    ----------
    P : ndarray (n, K)
    stage : Stage or None
        None where the probabilities are given.
    X : ndarray (n, p)
        Regressors of the stage.
    slope : ndarray (n,) or None
        ``d logit P_1 / d eta`` for a binary treatment; None (one) for the logit and multinomial models.
    model : FittedRegression or None
    notes, caveats : tuple of str
        As in ``Weighting``.
    learned : Learned, optional
    folds : Folds, optional
        What a learner's probabilities come from.
    """

    P: Array
    stage: Stage | None
    X: Array
    slope: Array | None = None
    model: FittedRegression | None = None
    notes: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    learned: Any = None
    folds: Any = None


def fit_propensity(frame: ModelFrame, link: str = "logit", design: Regressors | None = None) -> FittedRegression:
    """The binomial model of a treatment with two arms, polished until the score vanishes.

    Parameters
    ----------
    link : str
    design : Regressors, optional
        The frame's own design of the treatment model where not given.
    """
    own = frame.design(PROPENSITY)
    used = design or Regressors(own.X, own.names, first_column(own.X, own.intercept))
    make = partial(_fitted_propensity, frame, link, used)
    if used.X is not own.X:
        return make()
    # methods that are compared share the fit; reweighted copies of a frame, which share its memory, do not
    weights, model = frame.remembered(("propensity", link), lambda: (frame.weights, make()))
    found: FittedRegression = model if weights is frame.weights else make()
    return found


def _fitted_propensity(frame: ModelFrame, link: str, design: Regressors) -> FittedRegression:
    treated = (frame.the_treatment.codes == 1).astype(float)
    return fit_glm(
        design.X, treated, design.names, read_family("binomial", link), weights=frame.weights, to_zero=True,
        anchors=design.anchors,
    )  # fmt: skip


def propensity_notes(frame: ModelFrame, model: FittedRegression) -> tuple[str, ...]:
    """What must be said of a fitted treatment model: no overlap in places, terms that it leaves out."""
    P = np.column_stack([1 - model.mu, model.mu])
    return (*overlap_notes(frame, P, model.eta, model.converged), *dropped_terms(model, "propensity model"))


def binary_propensity(frame: ModelFrame, link: str, design: Regressors) -> Propensity:
    """Maximum likelihood for two arms, polished until the score vanishes."""
    model = fit_propensity(frame, link, design)
    return model_propensity(model, link, propensity_notes(frame, model))


def model_propensity(model: FittedRegression, link: str, notes: tuple[str, ...] = ()) -> Propensity:
    """The probabilities of two arms by their fitted model, and its equations."""
    p = model.mu
    P = np.column_stack([1 - p, p])
    stage = model.stage("propensity")
    slope = None
    if link != "logit":
        slope = model.family.mu_eta(model.eta) / (p * (1 - p))
        # Its expected information is not its derivative: the chained stage has the observed one only.
        scores = model.hat.X * model.hat.multipliers()[:, None]
        stage = Stage("propensity", stage.names, stage.theta, stage.hessian, scores)
    return Propensity(P, stage, model.hat.X, slope, model, notes)


def dropped_columns(names: tuple[str, ...], kept: Codes) -> tuple[str, ...]:
    """A note that names the columns that a treatment model of several arms leaves out."""
    lost = [name for j, name in enumerate(names) if j not in kept]
    return (f"the propensity model leaves out {some(lost)}, which other terms imply",) if lost else ()


def warm_scores(frame: ModelFrame, link: str, X: Array, start: Array, W: Array) -> Array:
    """Refitted propensity scores of two arms (R, n) under frequencies ``W``, by Newton steps from a solution nearby.

    As in the fit of the sample, scores may go to 0 or 1 somewhere; replicates whose arms are told apart completely
    are rows of NaN.
    """
    treated = (frame.the_treatment.codes == 1).astype(float)
    S = frame.unit_weights * W
    kept = np.flatnonzero(~np.isnan(start))
    columns = X if len(kept) == X.shape[1] else X[:, kept]
    out = warm_logits(columns, treated, S, start[kept]) if link == "logit" else np.full(S.shape, np.nan)
    for r in np.flatnonzero(np.isnan(out[:, 0])):
        out[r] = _refit(X, treated, link, S[r], start)
    return out


def _refit(X: Array, treated: Array, link: str, s: Array, start: Array) -> Array | float:
    """Scores of one replicate by the general solvers; NaN where there are none.

    What the warm start does not bring to a maximum is fitted as the sample was. The cauchit likelihood has several
    maxima, and a start nearby may climb another one.
    """
    family = read_family("binomial", link)
    if link != "cauchit":
        fit = attempt(lambda begin: newton(X, treated, family, s, None, begin), start)
        if not isinstance(fit, str) and fit.converged and not fit.separated:
            return np.nan if separated(fit.eta, treated == 1, s > 0) else fit.mu
    names = tuple(map(str, range(X.shape[1])))
    cold = attempt(lambda weights: fit_glm(X, treated, names, family, weights=weights, to_zero=True), s)
    return np.nan if isinstance(cold, str) or separated(cold.eta, treated == 1, s > 0) else cold.mu


def binary_weights(p: Array, treated: Array, estimand: str, arm: int | None) -> Array:
    """The weights of ``estimand_weights`` for many sets of scores (R, n) of two arms; NaN scores give NaN."""
    own = np.where(treated, p, 1 - p)
    with np.errstate(divide="ignore", invalid="ignore"):
        if estimand == "ATE":
            return np.asarray(1 / own)
        if arm is not None:
            return np.asarray(np.where(treated == (arm == 1), np.where(np.isnan(own), own, 1.0), (1 - own) / own))
        if estimand == ATO:
            return np.asarray(1 - own)
        return np.asarray(np.where(own > 0, np.minimum(own, 1 - own) / own, np.where(np.isnan(own), own, 1.0)))


def multinomial_propensity(frame: ModelFrame, design: Regressors) -> Propensity:
    """Multinomial logit for several arms."""
    refuse_extreme_columns(design.X, design.names)
    X, names = centred(design.X, frame.weights, anchors=design.anchors).X, design.names
    treatment = frame.the_treatment
    fit = multinomial(X, treatment.codes, len(treatment.levels), frame.unit_weights)
    notes = (*overlap_notes(frame, fit.P, None, fit.converged), *dropped_columns(names, fit.kept))
    return levels_propensity(fit, X, names, treatment.levels, notes)


def levels_propensity(
    fit: Multinomial, X: Array, names: tuple[str, ...], levels: Sequence[str], notes: tuple[str, ...] = ()
) -> Propensity:
    """The probabilities of several arms by their fitted model, and its equations."""
    Z = X if len(fit.kept) == X.shape[1] else X[:, fit.kept]
    labels = tuple(f"{level}: {names[j]}" for level in levels[1:] for j in fit.kept)
    scores = np.hstack([Z * r[:, None] for r in fit.residuals.T])
    stage = Stage("propensity", labels, fit.coef.ravel(), fit.information, scores)
    return Propensity(fit.P, stage, Z, None, None, notes)


def estimand_weights(
    P: Array, codes: Codes, estimand: str, arm: int | None, s: Array, most: float | None = None
) -> tuple[Array, Array]:
    """Weights ``h(P) / P_own`` and their derivatives ``d log w / d eta_k`` in the log odds against level 0, (n, K - 1).

    The tilting function h is 1 (ATE), the target arm's probability (ATT, ATC), ``1 / sum_k 1 / P_k`` (ATO), the least
    probability (ATM), or the indicator of the optimal subset (ATOS; Crump et al. 2009). In every case
    ``d log w / d eta_k = c_k - 1[own = k]``. ``most`` is the largest cost in the optimal subset, where these rows are
    not all.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return _tilted(P, codes, estimand, arm, s, most)


def _tilted(
    P: Array, codes: Codes, estimand: str, arm: int | None, s: Array, most: float | None
) -> tuple[Array, Array]:
    """See ``estimand_weights``; a probability of 0 gives the limit of the weight, infinite where there is none."""
    own = P[np.arange(len(P)), codes]
    hot = codes[:, None] == np.arange(P.shape[1])
    if estimand == "ATE":
        w, c = 1 / own, P
    elif arm is not None:
        w = np.where(codes == arm, 1.0, P[:, arm] / own)
        c = np.broadcast_to(np.arange(P.shape[1]) == arm, P.shape)
    elif estimand == ATO:
        h = 1 / (1 / P).sum(axis=1)
        w, c = np.where(own > 0, h / own, 1.0), h[:, None] / P
    elif estimand == "ATM":
        least = P.argmin(axis=1)
        w, c = np.where(own > 0, P.min(axis=1) / own, 1.0), least[:, None] == np.arange(P.shape[1])
    else:
        inside = optimal_subset(P[:, 1], s) if most is None else subset_cost(P[:, 1]) <= most
        w, c = np.where(inside, 1 / own, 0.0), P
    return np.asarray(w), np.asarray(c, dtype=float)[:, 1:] - hot[:, 1:]


def optimal_subset(p: Array, s: Array) -> Bools:
    """Rows whose effect is estimated with least variance: ``1 / (p (1 - p))`` below twice its own mean below it.

    Reference: Crump, Hotz, Imbens and Mitnik (2009).
    """
    cost = subset_cost(p)
    order = np.argsort(cost, kind="stable")
    order = order[(s[order] > 0) & np.isfinite(cost[order])]
    mean = np.cumsum((s * cost)[order]) / np.cumsum(s[order])
    good = np.flatnonzero(cost[order] <= 2 * mean)
    return np.asarray(cost <= cost[order[good[-1]]])


def subset_cost(p: Array) -> Array:
    """What a row with this score adds to the variance of an effect."""
    return np.asarray(1 / (p * (1 - p)))


def propensity_sensitivity(found: Propensity, w: Array, dlog: Array) -> Sensitivity:
    """Derivatives of the weights in the propensity model's coefficients."""
    U = w[:, None] * dlog
    return Sensitivity(found.X, U if found.slope is None else U * found.slope[:, None])
