"""Specification tests of regressions, as R's ``lmtest`` has and prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import CapabilityError, OptionError, choose
from causalformula.frame.regression_frame import bind_regression
from causalformula.inference.requests import Classical
from causalformula.numerics.least_squares import least_squares
from causalformula.results.anova import check_comparable, comparison_table, formula_text, table_text
from causalformula.results.hypothesis import joint_test
from causalformula.results.reading import Test
from causalformula.results.rformat import format_num, format_pval

if TYPE_CHECKING:
    from causalformula.results.model import Model

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Named:
    """The names that R prints: of the test, of its statistic and of its degrees of freedom."""

    method: str
    statistic: str
    df: tuple[str, ...] = ()
    alternative: str = ""


def htest_text(data: str, named: Named, statistic: float, df: Sequence[float], p_value: float) -> str:
    """What R prints of an ``htest``."""
    p = format_pval([p_value], 4)[0]
    pairs = [f"{named.statistic} = {format_num([statistic], 5)[0]}"]
    pairs += [f"{name} = {text.strip()}" for name, text in zip(named.df, format_num(list(df), 5), strict=True)] if df else []
    pairs.append(f"p-value {p}" if p.startswith("<") else f"p-value = {p}")
    # R writes "p-value < 2.2e-16", with a blank
    line = ", ".join(pairs).replace("p-value <", "p-value < ")
    ending = f"alternative hypothesis: {named.alternative}\n" if named.alternative else ""
    return f"\n\t{named.method}\n\ndata:  {data}\n{line}\n{ending}"


def _chi_squared(model: Model, named: Named, value: float, df: int) -> Test:
    from scipy.special import chdtrc

    p = float(chdtrc(df, value))
    return Test(value, float(df), p, named.method, None, htest_text(formula_text(model), named, value, (df,), p))


def _f(model: Model, named: Named, value: float, df: tuple[int, int]) -> Test:
    from scipy.special import fdtrc

    p = float(fdtrc(*df, value))
    freedom = (float(df[0]), float(df[1]))
    return Test(value, freedom, p, named.method, None, htest_text(formula_text(model), named, value, df, p))


def _plain(model: Model, name: str) -> None:
    """These tests are about unweighted least squares."""
    from causalformula.results.model import Model

    if not isinstance(model, Model):
        raise OptionError(f"{name} takes a model of cf.lm; of a causal fit, its .outcome")
    if not model.regression.linear:
        raise CapabilityError(f"{name} is a test of linear models (cf.lm), not of a generalised one")
    if model.regression.weighted:
        raise CapabilityError(f"{name} is not defined for a weighted regression")


def _ordered(model: Model, order_by: str | None) -> NDArray[np.intp]:
    """Rows in the order of a column; as they are where none is named."""
    if order_by is None:
        return np.arange(len(model.regression.y))
    data = model.frame.data_used()
    if order_by not in data:
        raise OptionError(f"the data have no column {order_by!r}{choose(order_by, list(data))}")
    return np.asarray(np.argsort(data[order_by].to_numpy(), kind="stable"), dtype=np.intp)


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
    _plain(model, "bptest")
    e = model.regression.hat.e
    Z = model.regression.hat.X if varformula is None else _design(model, varformula)
    variance = float(np.mean(e**2))
    target = e**2 - variance if studentize else e**2 / variance - 1
    fit = least_squares(Z, target)
    fitted = target - fit.residuals
    value = len(e) * float(fitted @ fitted / (target @ target)) if studentize else 0.5 * float(fitted @ fitted)
    named = Named(f"{'studentized ' if studentize else ''}Breusch-Pagan test", "BP", ("df",))
    return _chi_squared(model, named, value, fit.rank - 1)


def _design(model: Model, formula: str) -> Array:
    """The design of another formula on the model's rows."""
    return bind_regression(formula, model.frame.data_used(), na_action="fail").X


# -- functional form --------------------------------------------------------------------------------------------------

KINDS = ("fitted", "regressor", "princomp")


def resettest(model: Model, power: int | Sequence[int] = (2, 3), type: str = "fitted") -> Test:
    """Ramsey's RESET test of the functional form: do powers add anything to the model?

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
    _plain(model, "resettest")
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
    return _f(model, Named("RESET test", "RESET", ("df1", "df2")), value, (added, left))


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


# -- serial correlation -----------------------------------------------------------------------------------------------

# Above this, R takes the normal approximation to the Durbin-Watson statistic.
EXACT_ROWS = 100
ALTERNATIVES = {"greater": "greater than", "less": "less than", "two.sided": "not"}


def dwtest(model: Model, alternative: str = "greater", *, exact: bool | None = None, order_by: str | None = None) -> Test:
    """Durbin-Watson test for serial correlation of first order.

    ``DW = sum_t (e_t - e_{t-1})^2 / sum_t e_t^2``; its distribution under independent normal errors depends on the design
    only.

    Parameters
    ----------
    model : Model
        Of ``cf.lm``.
    alternative : {"greater", "less", "two.sided"}
        That the true autocorrelation is greater than 0, less, or not 0.
    exact : bool, optional
        The exact distribution (below 100 rows where not given), or the normal one with the exact mean and variance.
    order_by : str, optional
        Column that orders the rows; their own order where not given.

    Returns
    -------
    Test
        Without degrees of freedom (NaN).

    Notes
    -----
    R: ``lmtest::dwtest`` 0.9-40.

    References
    ----------
    Durbin and Watson (1950, 1951); Imhof (1961) for the exact distribution.
    """
    _plain(model, "dwtest")
    alternative = alternative.replace("-", ".")
    if alternative not in ALTERNATIVES:
        raise OptionError(f"unknown alternative {alternative!r}{choose(alternative, ALTERNATIVES)}")
    rows = _ordered(model, order_by)
    e, X = model.regression.hat.e[rows], model.regression.hat.X[rows]
    value = float(np.sum(np.diff(e) ** 2) / np.dot(e, e))
    exact = len(e) < EXACT_ROWS if exact is None else exact
    below = _dw_exact(value, X) if exact else _dw_normal(value, X)
    # positive autocorrelation makes the statistic small
    p = {"greater": below, "less": 1 - below, "two.sided": 2 * min(below, 1 - below)}[alternative]
    named = Named("Durbin-Watson test", "DW", (), f"true autocorrelation is {ALTERNATIVES[alternative]} 0")
    return Test(value, float("nan"), p, named.method, None, htest_text(formula_text(model), named, value, (), p))


def _second_differences(X: Array) -> Array:
    """``A X``, with ``e'Ae`` the sum of squared first differences."""
    d = np.diff(X, axis=0)
    edge = np.zeros((1, X.shape[1]))
    return np.vstack([edge, d]) - np.vstack([d, edge])


def _dw_normal(value: float, X: Array) -> float:
    """P(DW < value) by the normal distribution with the statistic's mean and variance."""
    from scipy.special import ndtr

    n, k = X.shape
    q, _ = np.linalg.qr(X)
    Aq = _second_differences(q)
    inner = q.T @ Aq
    P = 2 * (n - 1) - np.trace(inner)
    # of (MA)^2, M the residual maker: tr A^2 - 2 tr Q'A^2Q + tr (Q'AQ)^2
    Q = 2 * (3 * n - 4) - 2 * float(np.sum(Aq**2)) + float(np.sum(inner**2))
    mean = P / (n - k)
    variance = 2 / ((n - k) * (n - k + 2)) * (Q - P * mean)
    return float(ndtr((value - mean) / np.sqrt(variance)))


def _dw_exact(value: float, X: Array) -> float:
    """P(DW < value): that of ``sum_i (lambda_i - value) z_i^2 < 0``, with lambda the eigenvalues of MAM, by Imhof's integral."""
    from scipy.integrate import quad

    n, k = X.shape
    basis = np.linalg.qr(X, mode="complete")[0][:, k:]
    weights = np.linalg.eigvalsh(basis.T @ _second_differences(basis)) - value
    if (weights >= 0).all() or (weights <= 0).all():
        return float((weights <= 0).all())
    weights = weights / np.abs(weights).max()

    def integrand(u: float) -> float:
        angle = 0.5 * np.arctan(weights * u).sum()
        size = np.exp(0.25 * np.log1p((weights * u) ** 2).sum())
        return float(np.sin(angle) / (u * size))

    # the integrand falls like u^(-1 - (n - k) / 2), and is bounded at zero
    ends = [0.0, 1.0, 10.0, 100.0]
    area = sum(quad(integrand, a, b, epsabs=1e-14, epsrel=1e-12, limit=500)[0] for a, b in zip(ends, ends[1:], strict=False))
    area += quad(integrand, ends[-1], np.inf, epsabs=1e-14, epsrel=1e-12, limit=500)[0]
    return float(np.clip(0.5 - area / np.pi, 0, 1))


def bgtest(model: Model, order: int | Sequence[int] = 1, type: str = "Chisq", *, order_by: str | None = None) -> Test:
    """Breusch-Godfrey test for serial correlation up to an order.

    Residuals are regressed on the model's regressors and on their own lags (zero before the first row).

    Parameters
    ----------
    model : Model
        Of ``cf.lm``.
    order : int or sequence of int
        All lags up to this one, or these lags.
    type : {"Chisq", "F"}
    order_by : str, optional
        Column that orders the rows; their own order where not given.

    Returns
    -------
    Test

    Notes
    -----
    R: ``lmtest::bgtest`` 0.9-40.

    References
    ----------
    Breusch (1978); Godfrey (1978).
    """
    _plain(model, "bgtest")
    if type not in ("Chisq", "F"):
        raise OptionError(f"type must be 'Chisq' or 'F', not {type!r}")
    lags = np.arange(1, order + 1) if isinstance(order, (int, np.integer)) else np.asarray(order, dtype=int)
    rows = _ordered(model, order_by)
    e, X = model.regression.hat.e[rows], model.regression.hat.X[rows]
    if not len(lags) or lags.min() < 1 or lags.max() >= len(e):
        raise OptionError(f"order must lie between 1 and the number of rows, not {order!r}")
    lagged = np.column_stack([np.concatenate([np.zeros(lag), e[:-lag]]) for lag in lags])
    fit = least_squares(np.hstack([X, lagged]), e)
    q, rss, total = len(lags), float(fit.residuals @ fit.residuals), float(e @ e)
    method = f"Breusch-Godfrey test for serial correlation of order up to {lags.max()}"
    if type == "F":
        left = len(e) - X.shape[1] - q
        return _f(model, Named(method, "LM test", ("df1", "df2")), (total - rss) / q / (rss / left), (q, left))
    return _chi_squared(model, Named(method, "LM test", ("df",)), len(e) * (total - rss) / total, q)
