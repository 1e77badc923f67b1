"""Specification tests and Wald tests of nested models, as R's ``lmtest`` has and prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import CapabilityError, OptionError, choose
from causalformula.frame.regression_frame import bind_regression
from causalformula.inference.requests import Classical
from causalformula.numerics.least_squares import least_squares
from causalformula.results.anova import check_comparable, comparison_table, formula_text, table_text
from causalformula.results.htest import Named, check_plain, chi_squared_test, f_test
from causalformula.results.hypothesis import joint_test
from causalformula.results.reading import Test

if TYPE_CHECKING:
    from causalformula.results.model import Model

Array = NDArray[np.float64]


# -- heteroscedasticity -----------------------------------------------------------------------------------------------


def bptest(model: Model, varformula: str | None = None, studentize: bool = True) -> Test:
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

    Notes
    -----
    R: ``lmtest::bptest`` 0.9-40.

    References
    ----------
    Breusch and Pagan (1979); Koenker (1981).
    """
    check_plain(model, "bptest")
    e = model.regression.hat.e
    Z = model.regression.hat.X if varformula is None else _design(model, varformula)
    variance = float(np.mean(e**2))
    target = e**2 - variance if studentize else e**2 / variance - 1
    fit = least_squares(Z, target)
    fitted = target - fit.residuals
    value = len(e) * float(fitted @ fitted / (target @ target)) if studentize else 0.5 * float(fitted @ fitted)
    named = Named(f"{'studentized ' if studentize else ''}Breusch-Pagan test", "BP", ("df",))
    return chi_squared_test(model, named, value, fit.rank - 1)


def _design(model: Model, formula: str) -> Array:
    """The design of another formula on the model's rows."""
    return bind_regression(formula, model.frame.data_used(), na_action="fail").X


# -- functional form --------------------------------------------------------------------------------------------------

KINDS = ("fitted", "regressor", "princomp")


def resettest(model: Model, power: int | Sequence[int] = (2, 3), type: str = "fitted") -> Test:
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

    Notes
    -----
    R: ``lmtest::resettest`` 0.9-40.

    References
    ----------
    Ramsey (1969).
    """
    check_plain(model, "resettest")
    fit = model.regression
    powers = np.atleast_1d(np.asarray(power, dtype=int))
    if not len(powers) or (powers < 2).any():
        raise OptionError(f"power must be whole numbers of at least 2, not {power!r}")
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


def _powered(model: Model, type: str) -> Array:
    """What is raised to powers (n, q)."""
    fit = model.regression
    if type == "fitted":
        return fit.mu[:, None]
    if type == "regressor":
        return _numeric_columns(model)
    if type != "princomp":
        raise OptionError(f"unknown type {type!r}{choose(type, KINDS)}")
    X = _numeric_columns(model)
    centred = X - X.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    # as in lmtest, the component is of the variables as they are
    return np.asarray(X @ vectors[:, [-1]])


def _numeric_columns(model: Model) -> Array:
    """Columns of the numeric variables by themselves."""
    if model.replay is None:
        raise CapabilityError("this model belongs to no formula; use type='fitted'")
    recipe = model.replay.recipe
    single = {k + 1: term[0][0] for k, term in enumerate(recipe.coding) if len(term) == 1}
    wanted = [j for j, k in enumerate(recipe.assign) if k in single and recipe.blocks[single[k]].levels is None]
    if not wanted:
        raise OptionError("the model has no numeric variables; use type='fitted'")
    return np.asarray(model.regression.X[:, wanted])


# -- nested models ----------------------------------------------------------------------------------------------------


def waldtest(model: Model, other: Model | None = None, vcov: Any = None, test: str = "F") -> Test:
    """Wald test of a model against a nested one, which needs only the larger model's covariance.

    Parameters
    ----------
    model, other : Model
        In either order; one must have all columns of the other. Without ``other``, the model against its intercept.
    vcov : str, request or matrix, optional
        Of the larger model; its own covariance where not given.
    test : {"F", "Chisq"}
        F has the residual degrees of freedom of the larger model (for CR2 and CR3 the test is Hotelling's).

    Returns
    -------
    Test
        With R's table.

    Notes
    -----
    R: ``lmtest::waldtest`` 0.9-40.
    """
    from causalformula.results.model import Model

    models = [model] if other is None else [model, other]
    if not all(isinstance(m, Model) for m in models):
        raise OptionError("waldtest takes models of cf.lm and cf.glm; of a causal fit, its .outcome")
    if test not in ("F", "Chisq"):
        raise OptionError(f"test must be 'F' or 'Chisq', not {test!r}")
    check_comparable(models)
    full = max(models, key=lambda m: m.rank)
    full = full if vcov is None else full.with_vcov(vcov)
    left = {"(Intercept)"} if other is None else set(min(models, key=lambda m: m.rank).regression.kept_names)
    found = _wald(full, left, test)
    if other is None:
        smaller = (f"{model.outcome_name} ~ 1", model.df_residual + int(found[1]))
        pairs = [(formula_text(model), model.df_residual), smaller]
    else:
        pairs = [(formula_text(m), m.df_residual) for m in models]
    table = comparison_table((pairs[0][1], pairs[1][1]), found[0])
    lines = [f"Model {k}: {text}" for k, (text, _) in enumerate(pairs, 1)]
    return replace(found[0], table=table, text=table_text(table, "\n".join(["Wald test", "", *lines])))


def _wald(full: Model, left: set[str], test: str) -> tuple[Test, int]:
    """The test that the larger model's other coefficients are zero, and their number."""
    names = full.regression.kept_names
    if not left <= set(names) | {"(Intercept)"}:
        extra = ", ".join(sorted(left - set(names)))
        raise OptionError(f"the models are not nested: only the smaller one has {extra}")
    tested = [k for k, name in enumerate(names) if name not in left]
    if not tested:
        raise OptionError("the models have the same coefficients, so there is nothing to test")

    def groups(columns: Any) -> dict[str, NDArray[np.intp]]:
        return {name: full.frame.groups(name).codes for name in columns}

    covariance = full.covariance
    part = full.regression.estimate().select(tested)
    df = float(covariance.df.min())
    df = float(full.df_residual) if np.isinf(df) else df
    picked = np.ix_(tested, tested)
    freedom = np.full(len(tested), np.inf if test == "Chisq" else df)
    own = replace(covariance, matrix=covariance.matrix[picked], df=freedom, draws=None, reference=None)
    if test == "Chisq" and not isinstance(own.request, Classical):
        own = replace(own, request=replace(own.request, df=np.inf))
    return joint_test(part, own, groups, "Wald test"), len(tested)
