"""Tests for serial correlation of a linear model's errors, as R's ``lmtest`` has and prints them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from causalformula.backends.options import flag, one_of, whole
from causalformula.errors import asks
from causalformula.numerics.arrays import Array
from causalformula.numerics.least_squares import least_squares
from causalformula.results.checks.anova import NESTED
from causalformula.results.checks.htest import Named, check_plain, chi_squared_test, f_test, htest_text, ordered_rows
from causalformula.results.models.core import ModelCore
from causalformula.results.models.formula import formula_text
from causalformula.results.reading.test import Test
from causalformula.words import NestedTest, SerialAlternative

# Above this, R takes the normal approximation to the Durbin-Watson statistic.
EXACT_ROWS = 100
ALTERNATIVES = {"greater": "greater than", "less": "less than", "two.sided": "not"}


@asks
def dwtest(
    model: ModelCore,
    alternative: SerialAlternative = "greater",
    *,
    exact: bool | None = None,
    order_by: str | None = None,
) -> Test:
    """Durbin-Watson test for serial correlation of first order.

    ``DW = sum_t (e_t - e_{t-1})^2 / sum_t e_t^2``; its distribution under independent normal errors depends on the
    design only.

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

    Raises
    ------
    OptionError
        For a value that an argument does not take, or what is no model.
    CapabilityError
        For a weighted or a generalised linear model.

    Notes
    -----
    R: ``lmtest::dwtest`` 0.9-40.

    References
    ----------
    Durbin and Watson (1950, 1951); Imhof (1961) for the exact distribution.
    """
    check_plain(model, "dwtest")
    spelled = alternative.replace("-", ".") if isinstance(alternative, str) else alternative
    side = one_of("alternative", spelled, ALTERNATIVES)
    rows = ordered_rows(model, order_by)
    e, X = model.regression.hat.e[rows], model.regression.hat.X[rows]
    value = float(np.sum(np.diff(e) ** 2) / np.dot(e, e))
    exact = len(e) < EXACT_ROWS if exact is None else flag("exact", exact)
    below = _dw_exact(value, X) if exact else _dw_normal(value, X)
    # positive autocorrelation makes the statistic small
    p = {"greater": below, "less": 1 - below, "two.sided": 2 * min(below, 1 - below)}[side]
    named = Named("Durbin-Watson test", "DW", (), f"true autocorrelation is {ALTERNATIVES[side]} 0")
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
    """P(DW < value), that of ``sum_i (lambda_i - value) z_i^2 < 0`` with lambda from MAM, by Imhof's integral."""
    from scipy.integrate import quad

    basis = np.linalg.qr(X, mode="complete")[0][:, X.shape[1] :]
    weights = np.linalg.eigvalsh(basis.T @ _second_differences(basis)) - value
    if (weights >= 0).all() or (weights <= 0).all():
        return float((weights <= 0).all())
    weights = weights / np.abs(weights).max()

    def integrand(u: float) -> float:
        angle = 0.5 * np.arctan(weights * u).sum()
        size = np.exp(0.25 * np.log1p((weights * u) ** 2).sum())
        return float(np.sin(angle) / (u * size))

    # the integrand falls like u^(-1 - (n - k) / 2), and is bounded at zero
    pieces = pairwise([0.0, 1.0, 10.0, 100.0, np.inf])
    area = sum(quad(integrand, a, b, epsabs=1e-14, epsrel=1e-12, limit=500)[0] for a, b in pieces)
    return float(np.clip(0.5 - area / np.pi, 0, 1))


@asks
def bgtest(model: ModelCore, order: int = 1, type: NestedTest = "Chisq", *, order_by: str | None = None) -> Test:
    """Breusch-Godfrey test for serial correlation up to an order.

    Residuals are regressed on the model's regressors and on their own lags (zero before the first row).

    Parameters
    ----------
    model : Model
        Of ``cf.lm``.
    order : int
        All lags up to this one.
    type : {"Chisq", "F"}
    order_by : str, optional
        Column that orders the rows; their own order where not given.

    Returns
    -------
    Test

    Raises
    ------
    OptionError
        For a value that an argument does not take, or what is no model.
    CapabilityError
        For a weighted or a generalised linear model.

    Notes
    -----
    R: ``lmtest::bgtest`` 0.9-40.

    References
    ----------
    Breusch (1978); Godfrey (1978).
    """
    check_plain(model, "bgtest")
    one_of("type", type, NESTED[::-1])
    rows = ordered_rows(model, order_by)
    e, X = model.regression.hat.e[rows], model.regression.hat.X[rows]
    lags = range(1, whole("order", order, "the longest lag, less than the number of rows", len(e) - 1) + 1)
    lagged = np.column_stack([np.concatenate([np.zeros(lag), e[:-lag]]) for lag in lags])
    fit = least_squares(np.hstack([X, lagged]), e)
    q, rss, total = len(lags), float(fit.residuals @ fit.residuals), float(e @ e)
    method = f"Breusch-Godfrey test for serial correlation of order up to {q}"
    if type == "F":
        left = len(e) - X.shape[1] - q
        value = (total - rss) / q / (rss / left) if left > 0 and rss > 0 else float("nan")
        return f_test(model, Named(method, "LM test", ("df1", "df2")), value, (q, left))
    return chi_squared_test(model, Named(method, "LM test", ("df",)), len(e) * (total - rss) / total, q)
