"""Absorbed effects of a fitted model: their values, and what they add to predictions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.errors import CapabilityError, OptionError, choose
from causalformula.frame.absorbed import FixedEffect
from causalformula.numerics.arrays import Array
from causalformula.results.models.core import ModelCore
from causalformula.results.models.effect_spread import centred_effects
from causalformula.results.models.effect_table import FixedEffects

if TYPE_CHECKING:
    import pandas as pd


def refuse_absorbed(model: ModelCore, what: str, instead: str = "") -> None:
    """A ``CapabilityError`` for what there is not beside absorbed effects."""
    if model.regression.absorbed is not None:
        remedy = instead or "for few groups write factor(g) among the terms instead"
        raise CapabilityError(f"{what} has no place for absorbed fixed effects; {remedy}")


def refuse_instrumented(model: ModelCore, what: str, instead: str = "") -> None:
    """A ``CapabilityError`` for what is of least squares, whose residuals are orthogonal to the regressors."""
    if model.regression.instrumented is not None:
        remedy = instead or "its own tests are fit.diagnostics()"
        raise CapabilityError(f"{what} is of least squares, and this model's regressors are instrumented; {remedy}")


def fixed_effects(model: ModelCore, factor: str | None) -> pd.DataFrame:
    """See ``Model.fixed_effects``."""
    import pandas as pd

    effects = model.frame.effects
    if model.regression.absorbed is None or not effects:
        raise CapabilityError(
            "no fixed effects are absorbed here: write them behind a bar, as in 'y ~ x | unit + year', or in fe(unit)"
        )
    names = [one.name for one in effects]
    if factor is not None and (not isinstance(factor, str) or factor not in names):
        raise OptionError(f"no fixed effect {factor!r}{choose(str(factor), names, 'there are')}")
    blocks = []
    for effect, values in zip(effects, _values(model), strict=True):
        counts = np.bincount(effect.grouping.codes[_used(model)], minlength=len(effect.grouping.levels))
        for name, column in zip(effect.columns, values.T, strict=True):
            block = {"factor": name, "level": effect.grouping.levels, "value": column, "count": counts}
            if factor in (None, effect.name):
                blocks.append(pd.DataFrame(block)[counts > 0])
    return FixedEffects.of(pd.concat(blocks, ignore_index=True), partial(_spread, model))


def _spread(model: ModelCore, name: str) -> tuple[Array, Array, float]:
    """Values of a factor's levels, those with rows, less their mean; standard errors; degrees of freedom."""
    for j, (effect, values) in enumerate(zip(model.frame.effects, _values(model), strict=True)):
        if name in effect.columns:
            column = values[:, effect.columns.index(name)]
            centred, error = centred_effects(model.regression, j, column)
            there = ~np.isnan(column)
            df = model.regression.hat.df_residual if model.regression.linear else np.inf
            return centred[there], error[there], float(df)
    raise AssertionError(name)


def _used(model: ModelCore) -> Array:
    return np.asarray(model.regression.weights > 0)


def _values(model: ModelCore) -> list[Array]:
    """A table (levels, coefficients) for each factor."""
    fit = model.regression
    assert fit.absorbed is not None
    found = fit.absorbed.absorber.coefficients(fit.effects_part)
    return [values[:, None] if values.ndim == 1 else values for values in found]


def effects_of(model: ModelCore, newdata: Any) -> Array:
    """What the effects add to the predictions of other data (m,); NaN where a factor is missing.

    Raises
    ------
    DataError
        For a level that was not there at the fit.
    """
    assert model.replay is not None
    parts = []
    for effect, values in zip(model.frame.effects, _values(model), strict=True):
        codes, slopes = model.replay.absorbed(newdata, effect)
        parts.append(_added(effect, values, codes, slopes))
    return np.asarray(np.sum(parts, axis=0))


def _added(effect: FixedEffect, values: Array, codes: Array, slopes: Array) -> Array:
    """Coefficients of each row's level times its variables."""
    own = np.where((codes >= 0)[:, None], values[codes], np.nan)
    ones = np.ones((len(codes), int(effect.term.intercept)))
    return np.asarray((own * np.hstack([ones, slopes])).sum(axis=1))
