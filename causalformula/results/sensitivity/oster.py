"""Oster's bias of a coefficient of least squares, of a fit and of a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalformula.backends.options import is_number
from causalformula.errors import OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.checks import shown
from causalformula.inference.regression import FittedRegression
from causalformula.inference.sensitivity.oster import Movement
from causalformula.numerics.arrays import Array
from causalformula.results.effects.core import ResultCore
from causalformula.results.models.core import ModelCore
from causalformula.results.sensitivity.asked import not_the_effect, number
from causalformula.results.sensitivity.oster_page import OsterBias

# By how much Oster (2019) lets all confounders explain more of the outcome than those observed.
MORE = 1.3
ERRORS = "the adjusted coefficient has no standard error here"
# A coefficient is the effect where they agree to this share.
SAME = 1e-8
LINEAR = "it is of one coefficient of least squares with controls: method='regression', gaussian, without modify(...)"


def of_model(
    model: ModelCore, term: str, *, rmax: float | None = None, delta: float = 1.0, beta: float = 0.0
) -> OsterBias:
    """What selection on unobserved confounders, in proportion to that on observed ones, makes of a coefficient.

    Parameters
    ----------
    model : Model
    term : str
        The treatment's coefficient; all others but the intercept are of the controls.
    rmax : float, optional
        The R-squared of a regression with the unobserved confounders too; 1.3 times the model's own where not given,
        and not above 1.
    delta : float
        How strong selection on unobserved confounders is beside that on observed ones, for the adjusted coefficient.
    beta : float
        The effect for which the page says how strong it would have to be.

    Returns
    -------
    OsterBias

    Raises
    ------
    OptionError
        For an ``rmax`` below the model's R-squared, or above 1.

    References
    ----------
    Oster, E. (2019). Unobservable selection and coefficient stability. *Journal of Business & Economic Statistics* 37,
    187-204. R: ``robomit``; Stata: ``psacalc``.
    """
    return _page(_movement(model.regression, model.names.index(term)), term, model.outcome_name, rmax, delta, beta)


def of_fit(result: ResultCore, *, rmax: float | None = None, delta: float = 1.0, beta: float = 0.0) -> OsterBias:
    """The same of the treatment's coefficient of a linear fit.

    Parameters
    ----------
    result : Result
    rmax, delta, beta : optional
        As of a model.

    Returns
    -------
    OsterBias
    """
    model, j = _regression(result), _column(result)
    label = result.answer.labels[0]
    return _page(_movement(model, j), f"{label}", result.endog_names, rmax, delta, beta)


def _page(moved: Movement, term: str, outcome: str, rmax: Any, delta: Any, beta: Any) -> OsterBias:
    number("delta", delta, "how strong selection on unobserved confounders is beside that on observed ones")
    number("beta", beta, "an effect")
    most = min(MORE * moved.r1, 1.0) if rmax is None else rmax
    if not is_number(most) or not moved.r1 <= most <= 1:
        raise OptionError(
            f"rmax={shown(rmax)}: the R-squared with all confounders, from that of the model, {moved.r1:.4g}, to 1"
        )
    return OsterBias(term, outcome, moved, float(most), float(delta), float(beta), (ERRORS,))


def _movement(model: FittedRegression, j: int) -> Movement:
    """The coefficient and R-squared without and with the controls."""
    w = model.weights / model.weights.sum()
    y = model.y if model.offset is None else model.y - model.offset
    x, rest = model.X[:, j], model.X[:, _controls(model, j)]

    def centred(values: Array) -> Array:
        return np.asarray(values - w @ values)

    y, x, rest = centred(y), centred(x), centred(rest)
    sy, sx, short = float(w @ y**2), float(w @ x**2), float(w @ (x * y))
    left = _residual(x, rest, w)
    tau = float(w @ left**2)
    long = float(w @ (left * y)) / tau
    unexplained = _residual(y, np.column_stack([rest, x]), w)
    return Movement(short / sx, long, short**2 / (sx * sy), 1 - float(w @ unexplained**2) / sy, sy, sx, tau)


def _residual(y: Array, X: Array, w: Array) -> Array:
    """What least squares leave of ``y``, all centred."""
    scale = np.sqrt(np.maximum(w @ X**2, np.finfo(float).tiny))
    root = np.sqrt(w)[:, None]
    beta = np.linalg.lstsq(X / scale * root, y * root[:, 0], rcond=None)[0]
    return np.asarray(y - X / scale @ beta)


def _regression(result: ResultCore) -> FittedRegression:
    return result.fit.models["outcome"].model


def _column(result: ResultCore) -> int:
    """The one column of the outcome model's design whose coefficient is the effect; -1 where there is none."""
    fitted, frame = result.fit.models["outcome"], result.call.frame
    if fitted.part is None or not isinstance(frame, ModelFrame) or frame.treatment is None:
        return -1
    treatment = frame.the_treatment
    columns = frame.design(fitted.part).at(treatment.name, treatment.column).columns
    if len(columns) != 1:
        return -1
    coef, theta = fitted.model.coef[columns[0]], result.answer.estimate.theta[0]
    return int(columns[0]) if abs(coef - theta) <= SAME * abs(coef) else -1


def lacks_of_fit(result: ResultCore) -> str:
    """Why a fit has no such bias; empty where it has."""
    if reason := not_the_effect(result):
        return reason
    if result.call.record.name != "regression" or "outcome" not in result.fit.models or len(result.answer.labels) != 1:
        return LINEAR
    if not isinstance(result.call.frame, ModelFrame) or result.answer.measure.name != "difference":
        return LINEAR
    j = _column(result)
    return LINEAR if j < 0 else _lacks(_regression(result), j)


def lacks_of_model(model: ModelCore, term: str) -> str:
    """Why a coefficient has no such bias; empty where it has."""
    return _lacks(model.regression, model.names.index(term))


def _lacks(model: FittedRegression, j: int) -> str:
    if not model.linear or model.instrumented is not None:
        return "it is of least squares: cf.lm, or method='regression' of a gaussian family"
    if model.absorbed is not None:
        return "it is of models without absorbed effects: write them as factors"
    if not model.intercept:
        return "it compares R-squared about the mean, and this model has no intercept"
    if j == 0:
        return "it is of a treatment's coefficient, and this is the intercept"
    if not _controls(model, j):
        return "it compares coefficients without and with controls, and this model has none"
    return ""


def _controls(model: FittedRegression, j: int) -> list[int]:
    """The columns of the controls: all that are estimated but the treatment's and the intercept, which is the first."""
    return [int(k) for k in model.kept if k not in (0, j)]
