"""Specification tests, as R's ``lmtest`` has and prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from causalformula.backends.options import flag, one_of, whole
from causalformula.errors import CapabilityError, OptionError, asks
from causalformula.frame.regression_frame import bind_regression
from causalformula.numerics.arrays import Array
from causalformula.numerics.least_squares import least_squares
from causalformula.results.checks.htest import Named, check_plain, chi_squared_test, f_test
from causalformula.results.models.core import ModelCore
from causalformula.results.reading.test import Test
from causalformula.words import Powers

# -- heteroscedasticity -----------------------------------------------------------------------------------------------


@asks
def bptest(model: ModelCore, varformula: str | None = None, studentize: bool = True) -> Test:
    """Breusch-Pagan test that the error variance does not depend on regressors.

    Squared residuals are regressed on the variables of the variance.

    Parameters
    ----------
    model : Model
        Of ``cf.lm``.
    varformula : str, optional
        ``"~ x"``: what the variance may depend on; the model's own regressors where not given.
    studentize : bool
        Koenker's version, which does not need normal errors.

    Returns
    -------
    Test
        Chi-squared.

    Raises
    ------
    OptionError
        For a model without a regressor beside the constant, or what is no model.
    CapabilityError
        For a weighted or a generalised linear model.

    Notes
    -----
    R: ``lmtest::bptest`` 0.9-40.

    References
    ----------
    Breusch and Pagan (1979); Koenker (1981).
    """
    check_plain(model, "bptest")
    flag("studentize", studentize)
    e = model.regression.hat.e
    Z = model.regression.hat.X if varformula is None else _design(model, varformula)
    variance = float(np.mean(e**2))
    target = e**2 - variance if studentize else e**2 / variance - 1
    fit = least_squares(Z, target)
    if fit.rank < 2:
        raise OptionError(
            "bptest asks whether the error variance depends on regressors, and there is none beside the constant; "
            'name some: varformula="~ x"'
        )
    fitted = target - fit.residuals
    value = len(e) * float(fitted @ fitted / (target @ target)) if studentize else 0.5 * float(fitted @ fitted)
    named = Named(f"{'studentized ' if studentize else ''}Breusch-Pagan test", "BP", ("df",))
    return chi_squared_test(model, named, value, fit.rank - 1)


def _design(model: ModelCore, formula: str) -> Array:
    """The design of another formula on the model's rows."""
    return bind_regression(formula, model.frame.data_used(), na_action="fail").X


# -- functional form --------------------------------------------------------------------------------------------------

MOST_POWER = 100
KINDS = ("fitted", "regressor", "princomp")


@asks
def resettest(model: ModelCore, power: int | Sequence[int] = (2, 3), type: Powers = "fitted") -> Test:
    """Ramsey's RESET test of the functional form: whether powers add anything to the model.

    Parameters
    ----------
    model : Model
        Of ``cf.lm``.
    power : int or sequence of int
    type : {"fitted", "regressor", "princomp"}
        Powers of the fitted values, of the numeric variables, or of the numeric variables' first principal component.

    Returns
    -------
    Test
        F. Powers that the model already holds (the square of a 0/1 variable) are no restrictions and are not counted,
        which ``lmtest`` does.

    Raises
    ------
    OptionError
        For a power below 2, or powers that are all in the model already.
    CapabilityError
        For a weighted or a generalised linear model.

    Notes
    -----
    R: ``lmtest::resettest`` 0.9-40.

    References
    ----------
    Ramsey (1969).
    """
    check_plain(model, "resettest")
    fit = model.regression
    one_of("type", type, KINDS)
    powers = _powers(power)
    base = _powered(model, type)
    # powers of large numbers would swamp the design; their scale does not matter to the test
    base = base / np.where(np.abs(base).max(axis=0) > 0, np.abs(base).max(axis=0), 1.0)
    y = fit.y if fit.offset is None else fit.y - fit.offset
    larger = least_squares(np.hstack([fit.hat.X, *(base**p for p in powers)]), y)
    rss = float(larger.residuals @ larger.residuals)
    added, left = larger.rank - fit.rank, len(y) - larger.rank
    if added == 0:
        raise OptionError("the powers are already in the model, so there is nothing to test")
    value = (fit.deviance - rss) / added / (rss / left)
    return f_test(model, Named("RESET test", "RESET", ("df1", "df2")), value, (added, left))


def _powers(power: Any) -> list[int]:
    """Whole numbers of at least two."""
    several = list(power) if isinstance(power, (list, tuple, range, np.ndarray)) else [power]
    if not several:
        raise OptionError("power= needs a whole number of at least 2")
    return [whole("power", p, "what is raised to is", MOST_POWER, 2) for p in several]


def _powered(model: ModelCore, type: str) -> Array:
    """What is raised to powers (n, q)."""
    fit = model.regression
    if type == "fitted":
        return fit.mu[:, None]
    if type == "regressor":
        return _numeric_columns(model)
    X = _numeric_columns(model)
    centred = X - X.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    # as in lmtest, the component is of the variables as they are
    return np.asarray(X @ vectors[:, [-1]])


def _numeric_columns(model: ModelCore) -> Array:
    """Columns of the numeric variables by themselves."""
    if model.replay is None:
        raise CapabilityError("this model belongs to no formula; use type='fitted'")
    recipe = model.replay.recipe
    single = {k + 1: term[0][0] for k, term in enumerate(recipe.coding) if len(term) == 1}
    wanted = [j for j, k in enumerate(recipe.assign) if k in single and recipe.blocks[single[k]].levels is None]
    if not wanted:
        raise OptionError("the model has no numeric variables; use type='fitted'")
    return np.asarray(model.regression.X[:, wanted])
