"""Standard errors of unit effects: by theory for linear S- and T-learners, otherwise from refits on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends.learning.table import GLM, is_glm
from causalformula.backends.meta.dose import DoseUnits, dose_settings, with_dose
from causalformula.backends.meta.fitting import refitted
from causalformula.backends.meta.kinds import S_LEARNER, T_LEARNER
from causalformula.backends.meta.options import MetaOptions
from causalformula.backends.meta.surfaces import Surfaces
from causalformula.backends.meta.units import Units
from causalformula.errors import CapabilityError, counted, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear
from causalformula.inference.refit import refit_each
from causalformula.inference.regression import FittedRegression
from causalformula.inference.request_text import describe, read_request
from causalformula.inference.requests import HC, Given, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife
from causalformula.inference.resampling.resample import bootstrap, interval
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.families import family
from causalformula.results.call import Call
from causalformula.results.models.core import model_covariance
from causalformula.results.named import grouping_names

Pair = tuple[int, int]
CHUNK = 20_000


@dataclass(frozen=True, eq=False)
class UnitErrors:
    """How sure the effect of each unit is.

    Parameters
    ----------
    std_error : ndarray (m, q)
    df : float
    label : str
        Of what kind, for the print.
    draws : ndarray (R, m, q), optional
        Effects from refits.
    notes : tuple of str
    kind : str
        Of the limits from draws.
    """

    std_error: Array
    df: float
    label: str
    draws: Array | None = None
    notes: tuple[str, ...] = ()
    kind: str = ""

    def limits(self, effect: Array, level: float) -> tuple[Array, Array]:
        """Limits of each effect."""
        from scipy.stats import t

        if self.draws is not None:
            found = interval(self.draws.reshape(len(self.draws), -1), effect.ravel(), level, self.kind)
            return found[:, 0].reshape(effect.shape), found[:, 1].reshape(effect.shape)
        half = t.ppf((1 + level) / 2, self.df) * self.std_error
        return effect - half, effect + half


def unit_errors(
    call: Call, units: Units | DoseUnits, surfaces: Surfaces, pairs: Sequence[Pair], vcov: object
) -> UnitErrors | None:
    """Standard errors of the effects of rows with these covariates; None where theory has none and none was asked.

    Raises
    ------
    CapabilityError
        Where theory has none of the kind that was asked for.
    """
    options = call.options
    assert isinstance(options, MetaOptions)
    linear = units.kind in (S_LEARNER, T_LEARNER) and is_glm(options.outcome_model)
    if vcov is None and not linear:
        return None
    request = _default(call) if vcov is None else call.resolved(read_request(vcov))
    if isinstance(request, Bootstrap):
        return _resampled(call, units, surfaces, pairs, request)
    if linear and isinstance(request, (Given, Jackknife)):
        raise CapabilityError(
            f"vcov={describe(request)!r} is not offered for effects of units; use 'bootstrap', or HC, clusters and "
            "'classical', whose theory these glms have"
        )
    if not linear:
        raise CapabilityError(
            f"vcov={describe(request)!r}: theory has no standard errors for effects of units by the {units.kind.name} "
            f"of {options.outcome_learner.name}, only by an S- or T-learner of two glms; vcov='bootstrap' refits "
            "it on resamples"
        )
    return _linear(call, units, surfaces, pairs, request)


def _default(call: Call) -> Request:
    """Without clusters HC3, each arm's residuals having a variance of their own; with them the formula's."""
    own = call.default_vcov()
    return own if grouping_names(own) else HC("HC3")


# ---- linear learners -------------------------------------------------------------------------------------------------


def _linear(
    call: Call, units: Units | DoseUnits, surfaces: Surfaces, pairs: Sequence[Pair], request: Request
) -> UnitErrors:
    """The delta method through the coefficients of all arms, which are one regression."""
    frame = call.frame
    own = Surfaces.of(frame)
    own, surfaces = _moved(own, own, frame), _moved(surfaces, own, frame)
    found = _regression(call, units, own)
    V = model_covariance(found, frame, request, call.codes)
    kept = found.kept
    coef = np.nan_to_num(found.coef)
    errors = np.empty((len(surfaces.outcome.design), max(len(pairs), 1)))
    for start in range(0, len(errors), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(errors)))
        part = surfaces.take(rows)
        for j, (Z_high, Z_low) in enumerate(_designs(units, part, pairs)):
            J = (_gradient(found, Z_high, coef) - _gradient(found, Z_low, coef))[:, kept]
            errors[rows, j] = np.sqrt(np.einsum("ij,ij->i", J @ V.matrix, J))
    lost = [name for name, there in zip(found.names, np.isin(np.arange(len(coef)), kept), strict=True) if not there]
    notes = (f"left out, as others of the same arm imply them: {some(lost)}",) if lost else ()
    df = float(found.hat.df_residual) if found.linear else np.inf
    return UnitErrors(errors, df, V.label, notes=notes)


def _moved(surfaces: Surfaces, own: Surfaces, frame: ModelFrame) -> Surfaces:
    """Covariates counted from their means at the fit, so that none far from zero is taken for the constant.

    A shift of columns beside an intercept changes neither effects nor their standard errors.
    """
    centre = np.average(own.outcome.design, axis=0, weights=frame.unit_weights)
    return replace(surfaces, outcome=replace(surfaces.outcome, design=surfaces.outcome.design - centre))


def _gradient(found: FittedRegression, Z: Array, coef: Array) -> Array:
    return Z if found.linear else found.family.mu_eta(Z @ coef)[:, None] * Z


def _designs(units: Units | DoseUnits, surfaces: Surfaces, pairs: Sequence[Pair]) -> Iterator[tuple[Array, Array]]:
    """The designs of the two settings that each effect compares."""
    if isinstance(units, DoseUnits):
        ones = np.ones(len(surfaces.outcome.design))
        high, low = (np.column_stack([ones, each.design]) for each in dose_settings(surfaces, units.contrast))
        yield high, low
        return
    for one, other in pairs:
        yield _at(units, surfaces, one), _at(units, surfaces, other)


def _at(units: Units, surfaces: Surfaces, arm: int) -> Array:
    """The design of rows put into an arm."""
    n = len(surfaces.outcome.design)
    if units.kind is S_LEARNER:
        return np.column_stack([np.ones(n), surfaces.under(np.full(n, arm), units.arms).design])
    return _blocks(surfaces.outcome.design, np.full(n, arm), units.arms)


def _blocks(X: Array, codes: Codes, arms: int) -> Array:
    """Columns of every arm beside each other, an intercept in front: a regression of each arm, as one."""
    Z = np.column_stack([np.ones(len(X)), X])
    return np.asfortranarray(np.hstack([Z * (codes == a)[:, None] for a in range(arms)]))


def _regression(call: Call, units: Units | DoseUnits, surfaces: Surfaces) -> FittedRegression:
    """The learner's regressions as one."""
    treatment = call.frame.the_treatment
    task, _ = next(iter(units.models.values()))
    if units.kind is S_LEARNER:
        found = (
            with_dose(surfaces, treatment.values)
            if isinstance(units, DoseUnits)
            else surfaces.under(treatment.codes, units.arms)
        )
        Z, names = np.column_stack([np.ones(len(found.design)), found.design]), ("(Intercept)", *found.names)
    else:
        assert isinstance(units, Units)
        Z = _blocks(surfaces.outcome.design, treatment.codes, units.arms)
        own = ("(Intercept)", *surfaces.outcome.names)
        names = tuple(f"{name} at {treatment.name} = {level}" for level in treatment.levels for name in own)
    y, w = task.target(0), call.frame.weights
    if task.kind == "regression":
        return fit_linear(Z, y, names, weights=w, intercept=units.kind is S_LEARNER)
    binomial = family("binomial")
    return fit_glm(Z, y.astype(float), names, binomial, weights=w, to_zero=True, intercept=units.kind is S_LEARNER)


# ---- refits ----------------------------------------------------------------------------------------------------------


def _resampled(
    call: Call, units: Units | DoseUnits, surfaces: Surfaces, pairs: Sequence[Pair], request: Bootstrap
) -> UnitErrors:
    """Effects by learners fitted to resamples."""
    if request.kind not in ("percentile", "basic", "normal"):
        raise CapabilityError(
            f"kind={request.kind!r} needs an influence, which effects of units have not; use 'percentile', 'basic' or "
            "'normal'"
        )
    groups = call.codes(grouping_names(request))
    m = len(surfaces.outcome.design)
    refit = partial(_refits, call, units, surfaces, tuple(pairs))
    found = bootstrap(refit, request, groups, call.frame.n)
    draws = found.draws.reshape(len(found.draws), m, max(len(pairs), 1))
    made = f"{counted(len(draws), 'replicate')}, {found.scheme}, {request.kind} intervals, seed {found.seed}"
    label = f"bootstrap of the learner, {made}"
    smooth = all(task.learner.name == GLM for task, _ in units.models.values())
    notes = () if smooth else ("resampling a learner that regularises has no theory: its intervals need not cover",)
    return UnitErrors(draws.std(axis=0, ddof=1), np.inf, label, draws, (*found.notes, *notes), request.kind)


def _refits(call: Call, units: Units | DoseUnits, surfaces: Surfaces, pairs: Sequence[Pair], W: Array) -> Array:
    """Effects by learners of each resample, a row each; NaN where they failed."""
    one = partial(_refit, call.frame, call.options, units, surfaces, pairs)
    return refit_each(one, W, size=len(surfaces.outcome.design) * max(len(pairs), 1))


def _refit(
    frame: ModelFrame, options: Any, units: Units | DoseUnits, surfaces: Surfaces, pairs: Sequence[Pair], w: Array
) -> Array:
    found = refitted(frame.reweight(w), options, units).predict(surfaces)
    means = found.means
    if not pairs:
        return found.effects.ravel()
    return np.column_stack([means[:, high] - means[:, low] for high, low in pairs]).ravel()
