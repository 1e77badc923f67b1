"""Predictions of a fitted regression for the rows of the fit or for new data, with errors and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import flag, shown
from causalformula.errors import CapabilityError, OptionError, warn
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array
from causalformula.numerics.least_squares import leverage
from causalformula.results.models.core import ModelCore
from causalformula.results.models.effects import effects_of, refuse_absorbed
from causalformula.results.reading.reading import check_level, quantile

if TYPE_CHECKING:
    import pandas as pd


TYPES = ("link", "response")
INTERVALS = ("confidence", "prediction")


def predict(
    model: ModelCore, newdata: Any, kind: str, se_fit: bool, interval: str | None, level: float, whole: bool
) -> pd.Series[Any] | pd.DataFrame:
    """See ``Model.predict``; ``whole`` is whether absorbed effects are added."""
    import pandas as pd

    _check(model, kind, interval, se_fit)
    check_level(level)
    if flag("fixed_effects", whole) and (se_fit or interval is not None):
        refuse_absorbed(
            model,
            "a standard error of predictions",
            "the terms alone have one: fixed_effects=False. For few groups write factor(g) among the terms",
        )
    X, eta, index = _linear_predictor(model, newdata, whole)
    family = model.regression.family
    response = kind == "response" and not model.regression.linear
    fit = family.linkinv(eta) if response else eta
    if not se_fit and interval is None:
        return pd.Series(fit, index=index, name="fit")
    se = np.sqrt(leverage(X, model.covariance.matrix))
    columns = {"fit": fit}
    if interval is not None:
        half = _width(model, se, interval, level)
        columns["lwr"], columns["upr"] = eta - half, eta + half
        if response:
            low, high = family.linkinv(eta - half), family.linkinv(eta + half)
            columns["lwr"], columns["upr"] = np.minimum(low, high), np.maximum(low, high)
    if se_fit:
        columns["se.fit"] = se * np.abs(family.mu_eta(eta)) if response else se
    return pd.DataFrame(columns, index=index)


def _check(model: ModelCore, kind: str, interval: str | None, se_fit: bool) -> None:
    flag("se_fit", se_fit)
    if not isinstance(kind, str) or kind not in TYPES:
        raise OptionError(f"type must be one of {', '.join(TYPES)}, not {shown(kind)}")
    if interval is not None and (not isinstance(interval, str) or interval not in INTERVALS):
        raise OptionError(f"interval must be None or one of {', '.join(INTERVALS)}, not {shown(interval)}")
    if interval == "prediction" and not model.regression.linear:
        raise CapabilityError("prediction intervals are for linear models; interval='confidence' is for the mean")


def _linear_predictor(model: ModelCore, newdata: Any, whole: bool) -> tuple[Array, Array, Any]:
    """Estimable columns, linear predictor with offset, and row labels."""
    regression = model.regression
    if newdata is None:
        less = 0.0 if whole or regression.absorbed is None else regression.effects_part
        return regression.design, regression.eta - less, model.frame.index
    if model.replay is None:
        raise CapabilityError("this model was not made from a formula, so it cannot predict for new data")
    X, offset, index = model.replay.design(newdata)
    _warn_not_estimable(regression, X)
    X = X if regression.rank == X.shape[1] else X[:, regression.kept]
    eta = X @ regression.theta
    if regression.absorbed is not None and whole:
        eta = eta + effects_of(model, newdata)
    return X, eta if offset is None else eta + offset, index


def _warn_not_estimable(regression: FittedRegression, X: Array) -> None:
    """Rows that the aliased columns of the fit leave undetermined."""
    # what is made up of absorbed effects follows the level, whose value holds it
    if regression.rank == X.shape[1] or regression.absorbed is not None:
        return
    doubtful = int((~regression.estimable(regression.as_solved(np.nan_to_num(X)))).sum())
    if doubtful:
        warn(f"{doubtful} of {len(X)} predictions depend on coefficients that the data of the fit do not determine")


def _width(model: ModelCore, se: Array, interval: str, level: float) -> Array:
    """Half the interval on the scale of the linear predictor."""
    variance = se**2
    if interval == "prediction":
        if model.regression.weighted:
            warn("a weighted fit says nothing of the variance of new rows: they are given weight one")
        variance = variance + model.regression.hat.dispersion
    # Coefficients may have degrees of freedom of their own (Satterthwaite's): the fewest are then on the safe side.
    df = model.covariance.df.min(keepdims=True) if model.regression.rank else np.array([np.inf])
    critical = quantile(level, df)[0]
    return np.asarray(critical * np.sqrt(variance))
