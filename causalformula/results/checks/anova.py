"""Analysis of variance and of deviance: sequential tables, comparisons of nested models, and single-term deletions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalformula.backends.options import shown
from causalformula.errors import OptionError, asks, warn
from causalformula.formula.matrix.terms import Terms
from causalformula.inference.regression import FittedRegression
from causalformula.inference.request_text import describe
from causalformula.inference.requests import Classical
from causalformula.numerics.arrays import Array, Bools
from causalformula.results.models import statistics as fit_statistics
from causalformula.results.models.core import ModelCore
from causalformula.results.models.effects import refuse_instrumented
from causalformula.results.models.formula import (
    formula_lines,
    formula_text,
    model_terms,
    refitted,
    response_text,
)
from causalformula.results.reading.test import Test
from causalformula.results.text.console import anova_text
from causalformula.results.text.notebook import Shown
from causalformula.words import TermTest

if TYPE_CHECKING:
    import pandas as pd


NAN = float("nan")
# A change of the deviance below this share of it is rounding.
ROUNDING = 1e-13
# What compares models with instruments.
WALD = 'Wald tests are, by model.hypothesis("x = 0") or cf.waldtest(model, "x")'
# R's rule: below this share of the fitted values' squares there is no residual variance to test against.
PERFECT = 1e-10
# Columns of statistics and their p-values.
# Tests of nested models.
NESTED = ("F", "Chisq")
TESTS = ("F value", "F", "Chisq", "Pr(>F)", "Pr(>Chi)", "Pr(>Chisq)", "Pr(wild)", "LRT", "scaled dev.")


@dataclass(frozen=True, eq=False, repr=False)
class Anova(Shown):
    """An analysis of variance or deviance, printed as R prints it.

    Attributes
    ----------
    table : DataFrame
        R's columns.
    heading : str
        The lines above the table.
    """

    table: pd.DataFrame
    heading: str

    def __str__(self) -> str:
        return table_text(self.table, self.heading)

    __repr__ = __str__


def table_text(table: pd.DataFrame, heading: str) -> str:
    """R's print of an ``anova`` table, without the last line break."""
    rows, values = [str(name) for name in table.index], table.to_numpy(dtype=float)
    blank = np.column_stack([_blank(table, str(name)) for name in table])
    text = anova_text(values, rows, list(table.columns), heading=heading, missing=blank)
    return text.removesuffix("\n")


def _blank(table: pd.DataFrame, column: str) -> Bools:
    """Rows without a change have none of its numbers, and those without degrees of freedom no test (R's NA).

    What is tested and gives no number is NaN.
    """
    df = table["Df"].to_numpy(dtype=float)
    if column not in TESTS:
        return np.isnan(df)
    residuals = np.array([name == "Residuals" for name in table.index])
    return np.asarray(np.isnan(df) | (df == 0) | residuals)


# -- tests ------------------------------------------------------------------------------------------------------------


def _upper(test: str, value: Array, df: Array, denominator: float) -> Array:
    """P-values of F or chi-squared statistics; NaN where nothing is tested."""
    from scipy.special import chdtrc, fdtrc

    with np.errstate(invalid="ignore"):
        good = (df > 0) & np.isfinite(value)
    freedom = np.where(good, df, 1.0)
    # a statistic below zero (models that are not nested) is exceeded by all values
    value = np.maximum(value, 0.0)
    p = fdtrc(freedom, denominator, value) if test == "F" and np.isfinite(denominator) else None
    if p is None:
        p = chdtrc(freedom, value * (freedom if test == "F" else 1.0))
    return np.asarray(np.where(good, p, NAN))


def _ratio(change: Array, df: Array, scale: float) -> Array:
    """Mean squares over the scale; NaN where a term has no degrees of freedom."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(df > 0, change / df / scale, NAN))


def choose_test(model: ModelCore, test: str | bool | None) -> str:
    """``F``, ``Chisq``, or an empty string for none."""
    if test is None:
        known = not model.regression.linear and model.regression.family.dispersion_known
        return "Chisq" if known else "F"
    if test is False or (isinstance(test, str) and test == "none"):
        return ""
    if not isinstance(test, str) or test not in NESTED:
        raise OptionError(f"test must be 'F', 'Chisq' or 'none', not {shown(test)}")
    return str(test)


# -- anova ------------------------------------------------------------------------------------------------------------


@asks
def anova(*models: ModelCore, test: TermTest | Literal[False] | None = None) -> Anova:
    """Analysis of variance (``cf.lm``) or deviance (``cf.glm``).

    One model: its terms added one after the other. Several: each against the one before it, on the residual variance
    of the largest.

    Parameters
    ----------
    *models : Model
        Fitted to the same rows; nested.
    test : {"F", "Chisq", "none"}, optional
        F for linear models and estimated dispersions, chi-squared for known ones (as R does since 4.4; before, the
        table of a ``glm`` had no test unless one was asked for).

    Returns
    -------
    Anova
        ``.table``; prints as R's.

    Raises
    ------
    OptionError
        For models of different rows, outcomes or kinds.

    Notes
    -----
    R 4.2.2: ``anova``. Only the models' classical variances enter; see ``cf.waldtest`` for robust ones.

    Examples
    --------
    >>> import causalformula as cf
    >>> heart = cf.datasets.load("heart")
    >>> cf.anova(cf.lm("Severity ~ Drug", heart)).table["Df"].tolist()
    [1.0, 998.0]
    """
    if not models or not all(isinstance(model, ModelCore) for model in models):
        raise OptionError("anova takes models of cf.lm and cf.glm; of a causal fit, its .outcome")
    for model in models:
        refuse_instrumented(model, "an analysis of variance", WALD)
    if len(models) == 1:
        (model,) = models
        how = choose_test(model, test)
        return _told(_sequential_lm(model, how) if model.regression.linear else _sequential_glm(model, how), models)
    check_comparable(models)
    largest = min(models, key=lambda m: m.df_residual)
    how = choose_test(largest, test)
    return _told(_compare(models, largest, how), models)


def check_comparable(models: Sequence[ModelCore]) -> None:
    """Refuse models of different kinds, outcomes or rows."""
    first = models[0]
    for other in models[1:]:
        a, b = first.regression, other.regression
        if a.linear != b.linear or str(a.family) != str(b.family):
            raise OptionError("models of different kinds or families cannot be compared")
        if len(a.y) != len(b.y) or first.nobs != other.nobs:
            raise OptionError(
                f"the models are fitted to {first.nobs} and {other.nobs} rows; drop rows with missing values from the "
                "data first"
            )
        if not (np.array_equal(a.y, b.y) and np.array_equal(a.weights, b.weights)):
            raise OptionError("the models have different outcomes or weights, so their fits cannot be compared")


def _sequential_lm(model: ModelCore, test: str) -> Anova:
    import pandas as pd

    fit = model.regression
    found, assign = model_terms(model)
    y = fit.y if fit.offset is None else fit.y - fit.offset
    root = np.sqrt(fit.weights)[:, None]
    used = fit.weights > 0
    q, _ = np.linalg.qr((fit.hat.X * root)[used])
    effects = (q.T @ (y * root[:, 0])[used]) ** 2
    owner = assign[fit.kept]
    shown = [k + 1 for k in range(len(found.term_labels)) if (owner == k + 1).any()]
    df = np.array([(owner == k).sum() for k in shown], dtype=float)
    ss = np.array([effects[owner == k].sum() for k in shown])
    rdf, rss = float(model.df_residual), model.deviance
    if test == "F" and rss < PERFECT * float(fit.weights @ fit.mu**2):
        warn("ANOVA F-tests on an essentially perfect fit are unreliable")
    variance = rss / rdf if rdf else NAN
    columns = {"Df": np.append(df, rdf), "Sum Sq": np.append(ss, rss), "Mean Sq": np.append(ss / df, variance)}
    if test == "F":
        f = _ratio(ss, df, variance)
        columns |= {"F value": np.append(f, NAN), "Pr(>F)": np.append(_upper("F", f, df, rdf), NAN)}
    elif test:
        columns |= {"Pr(>Chi)": np.append(_upper("Chisq", ss / variance, df, np.inf), NAN)}
    index = [found.term_labels[k - 1] for k in shown] + ["Residuals"]
    return Anova(pd.DataFrame(columns, index=index), f"Analysis of Variance Table\n\nResponse: {response_text(model)}")


def _sequential_glm(model: ModelCore, test: str) -> Anova:
    import pandas as pd

    fit = model.regression
    found, assign = model_terms(model)
    count = len(found.term_labels)
    steps = [refitted(model, np.flatnonzero(assign <= k), found.intercept) for k in range(1, count)]
    steps += [fit] if count else []
    deviance = np.array([fit.null_deviance, *(step.deviance for step in steps)])
    resid = np.array([fit.df_null, *(step.hat.df_residual for step in steps)])
    df, change = -np.diff(resid, prepend=np.nan), _falls(deviance)
    columns = {"Df": df, "Deviance": change, "Resid. Df": resid, "Resid. Dev": deviance}
    columns |= _deviance_test(test, change, df, fit)
    heading = (
        f"Analysis of Deviance Table\n\nModel: {fit.family.name}, link: {fit.family.link_name}\n\n"
        f"Response: {response_text(model)}\n\nTerms added sequentially (first to last)\n\n"
    )
    return Anova(pd.DataFrame(columns, index=["NULL", *found.term_labels]), heading)


def _falls(deviance: Array) -> Array:
    """Falls of the deviance from each model to the next; below rounding they are zero."""
    change = -np.diff(deviance, prepend=np.nan)
    return np.asarray(np.where(np.abs(change) <= ROUNDING * np.abs(deviance), 0.0, change))


def _deviance_test(test: str, change: Array, df: Array, fit: FittedRegression) -> dict[str, Array]:
    """Columns of the test; falls of the deviance over the dispersion of ``fit``."""
    sign = np.where(df < 0, -1.0, 1.0)
    change, df = change * sign, df * sign
    if test == "F":
        f = _ratio(change, df, fit.hat.dispersion)
        denominator = np.inf if fit.family.dispersion_known and not fit.linear else fit.hat.df_residual
        return {"F": f, "Pr(>F)": _upper("F", f, df, denominator)}
    return {"Pr(>Chi)": _upper("Chisq", change / fit.hat.dispersion, df, np.inf)} if test else {}


def _compare(models: Sequence[ModelCore], largest: ModelCore, test: str) -> Anova:
    import pandas as pd

    resid = np.array([float(m.df_residual) for m in models])
    deviance = np.array([m.deviance for m in models])
    df, change = -np.diff(resid, prepend=np.nan), _falls(deviance)
    linear = largest.regression.linear
    names = ("Res.Df", "RSS", "Df", "Sum of Sq") if linear else ("Resid. Df", "Resid. Dev", "Df", "Deviance")
    columns = dict(zip(names, (resid, deviance, df, change), strict=True))
    columns |= _deviance_test(test, change, df, largest.regression)
    kind = "Variance" if linear else "Deviance"
    # R breaks the formulas of linear models only
    lines = [f"Model {k}: {(formula_lines if linear else formula_text)(m)}" for k, m in enumerate(models, 1)]
    index = [str(k + 1) for k in range(len(models))]
    return Anova(pd.DataFrame(columns, index=index), "\n".join([f"Analysis of {kind} Table", "", *lines]))


def _told(found: Anova, models: Sequence[ModelCore]) -> Anova:
    """With a note for a reader of models with a robust covariance: the table does not use it."""
    own = {describe(m.covariance.request) for m in models if not isinstance(m.covariance.request, Classical)}
    if not own:
        return found
    named = " or ".join(sorted(own))
    note = f"Note: by the classical variances, not by {named}; cf.waldtest uses the models' own"
    return replace(found, heading=f"{found.heading}\n\n{note}\n")


def comparison_table(resid: tuple[int, int], test: Test, squares: tuple[float, float] | None = None) -> pd.DataFrame:
    """Two models' residual degrees of freedom and the test between them, as ``lmtest`` and ``car`` show it.

    Where the denominator of F has other degrees of freedom (of clusters, or a request's own), ``Den.Df`` shows them; a
    p-value of the wild bootstrap's replicates is named as such.
    """
    import pandas as pd

    columns = {"Res.Df": np.array(resid, dtype=float)}
    if squares is not None:
        columns["RSS"] = np.array(squares)
    columns["Df"] = np.array([NAN, resid[0] - resid[1]])
    if squares is not None:
        columns["Sum of Sq"] = np.array([NAN, squares[0] - squares[1]])
    name, p = ("F", "Pr(>F)") if isinstance(test.df, tuple) else ("Chisq", "Pr(>Chisq)")
    if isinstance(test.df, tuple) and test.df[1] != min(resid):
        columns["Den.Df"] = np.array([NAN, test.df[1]])
    if "wild" in test.method:
        p = "Pr(wild)"
    columns |= {name: np.array([NAN, test.statistic]), p: np.array([NAN, test.p_value])}
    return pd.DataFrame(columns, index=["1", "2"])


# -- drop1 ------------------------------------------------------------------------------------------------------------


def drop1(model: ModelCore, test: str | bool | None = "none") -> Anova:
    """See ``Model.drop1``."""
    import pandas as pd

    refuse_instrumented(model, "drop1", WALD)
    how = choose_test(model, test)
    found, assign = model_terms(model)
    fits = [refitted(model, np.flatnonzero(assign != k + 1), found.intercept) for k in _droppable(found)]
    columns = _deletions_lm(model, fits, how) if model.regression.linear else _deletions_glm(model, fits, how)
    index = ["<none>", *(found.term_labels[k] for k in _droppable(found))]
    formula = formula_lines(model) if model.regression.linear else formula_text(model)
    heading = f"Single term deletions\n\nModel:\n{formula}"
    return _told(Anova(pd.DataFrame(columns, index=index), heading), [model])


def _droppable(found: Terms) -> list[int]:
    """Terms that are part of no other."""
    members = [frozenset(i for i, _ in term) for term in found.coding]
    return [k for k, own in enumerate(members) if not any(own < other for other in members)]


def _changes(model: ModelCore, fits: Sequence[FittedRegression]) -> tuple[Array, Array, Array]:
    """Deviances, then lost degrees of freedom and gains of the deviance; the full model first."""
    full = model.regression
    deviance = np.array([full.deviance, *(fit.deviance for fit in fits)])
    df = np.array([NAN, *(float(full.rank - fit.rank) for fit in fits)])
    change = deviance - deviance[0]
    change[np.abs(change) <= ROUNDING * deviance] = 0.0
    change[0] = NAN
    return deviance, df, change


def _deletions_lm(model: ModelCore, fits: Sequence[FittedRegression], test: str) -> dict[str, Array]:
    deviance, df, change = _changes(model, fits)
    ranks = np.array([model.rank, *(fit.rank for fit in fits)])
    n = model.nobs
    with np.errstate(divide="ignore"):
        likelihood = n * np.log(deviance / n)
    columns = {"Df": df, "Sum of Sq": change, "RSS": deviance, "AIC": likelihood + 2 * ranks}
    if test == "F":
        f = _ratio(change, df, model.dispersion)
        return columns | {"F value": f, "Pr(>F)": _upper("F", f, df, model.df_residual)}
    if test:
        columns["Pr(>Chi)"] = _upper("Chisq", likelihood - likelihood[0], df, np.inf)
    return columns


def _deletions_glm(model: ModelCore, fits: Sequence[FittedRegression], test: str) -> dict[str, Array]:
    deviance, df, change = _changes(model, fits)
    full = model.regression
    ranks = np.array([full.rank, *(fit.rank for fit in fits)])
    gaussian = full.family.name == "gaussian"
    # The gaussian likelihood has the dispersion maximised out; others hold it at its estimate.
    likelihood = model.nobs * np.log(deviance / model.nobs) if gaussian else deviance / full.hat.dispersion
    aic = fit_statistics.aic(full) + likelihood - likelihood[0] + 2 * (ranks - ranks[0])
    columns = {"Df": df, "Deviance": deviance, "AIC": aic}
    if np.isnan(aic).all():  # a quasi family has no likelihood
        del columns["AIC"]
    if test == "F":
        f = _ratio(change, df, deviance[0] / full.hat.df_residual)
        return columns | {"F value": f, "Pr(>F)": _upper("F", f, df, full.hat.df_residual)}
    if test:
        value = likelihood - likelihood[0]
        value[0] = NAN
        name = "LRT" if full.family.dispersion_known else "scaled dev."
        columns |= {name: value, "Pr(>Chi)": _upper("Chisq", value, df, np.inf)}
    return columns
