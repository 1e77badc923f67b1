"""Tests of a regression with instruments: how strong these are, whether they are needed, whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.inference.covariance import Covariance
from causalformula.inference.regression import FittedRegression
from causalformula.inference.request_text import describe
from causalformula.inference.requests import HC, Asympt, Classical, Cluster, DriscollKraay, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.structural import Equations, Instrumented
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.least_squares import group_sums, least_squares
from causalformula.numerics.weak_instruments import Reduced, effective_critical, effective_f, upper_f
from causalformula.results.models.core import ModelCore, model_covariance

# Shares of the bias of least squares that critical values of the effective F are tabled for.
BIASES = (0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Row:
    """One test: an F where ``df2`` is a number, else chi-squared."""

    name: str
    df1: int
    df2: float
    statistic: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Strength:
    """How much the instruments move one endogenous column.

    Parameters
    ----------
    F, df1, df2 : float
        Of the excluded instruments in the first stage, under the covariance asked for.
    effective : float
        Montiel Olea and Pflueger's F.
    critical : dict of float to float
        What it must exceed so that the worst bias is below a share of that of least squares.
    """

    F: float
    df1: int
    df2: float
    effective: float
    critical: dict[float, float]


def instrumented(model: ModelCore) -> Instrumented:
    """The instruments of a model that has some."""
    used = model.regression.instrumented
    if not isinstance(used, Instrumented):
        raise CapabilityError("this model has no instruments")
    return used


def request_of(asked: Request) -> Request:
    """The covariance of auxiliary regressions: that of the fit, or the nearest where replicates have no such thing."""
    if isinstance(asked, (Classical, HC, Cluster, DriscollKraay)):
        return replace(asked, unconditional=False)
    if isinstance(asked, Asympt):
        return HC("HC0")
    if isinstance(asked, (Bootstrap, Jackknife, Wild)) and asked.cluster:
        return Cluster((asked.cluster,))
    return HC("HC1")


def request_words(asked: Request) -> str:
    """How tables name it."""
    return describe(request_of(asked))


def _covariance(model: ModelCore, fitted: FittedRegression) -> Covariance:
    return model_covariance(fitted, model.frame, request_of(model.covariance.request))


def _excluded(eq: Equations, fitted: FittedRegression) -> Codes:
    """Positions of the excluded instruments among the estimable coefficients of a regression on all instruments."""
    return np.flatnonzero(fitted.kept >= len(eq.exogenous)).astype(np.intp)


def _wald(model: ModelCore, name: str, fitted: FittedRegression, at: Codes, *, exact: bool = False) -> Row:
    cov = _covariance(model, fitted)
    if exact:  # errors are rounding
        return Row(name, len(at), float(cov.df[at].min()), float("inf"), 0.0)
    theta = fitted.theta[at]
    statistic = float(theta @ np.linalg.solve(cov.matrix[np.ix_(at, at)], theta)) / len(at)
    df2 = float(cov.df[at].min())
    return Row(name, len(at), df2, statistic, upper_f(statistic, len(at), df2))


def diagnostics(model: ModelCore) -> list[Row]:
    """Diagnostic tests, those of ivreg, under the covariance of the model.

    Weak instruments: the excluded instruments in each first stage. Wu-Hausman: residuals of the first stages in the
    outcome's regression. Sargan: residuals on all instruments; under robust covariances Wooldridge's score test, and of
    weighted moments Hansen's J, whose covariance is that of the weight matrix.
    """
    used = instrumented(model)
    eq = used.equations
    rows = []
    for j, column in enumerate(eq.endogenous):
        first = eq.first_stage(j)
        name = "Weak instruments" if len(eq.endogenous) == 1 else f"Weak instruments ({eq.names[column]})"
        rows.append(_wald(model, name, first, _excluded(eq, first), exact=bool(used.exact[j])))
    rows.append(_wu_hausman(model, used))
    rows.append(overidentified(model, used))
    return rows


def _wu_hausman(model: ModelCore, used: Instrumented) -> Row:
    eq, left = used.equations, used.left[:, ~used.exact]
    names = (*eq.names, *(f"residuals {k}" for k in range(left.shape[1])))
    fitted = eq.regress(np.column_stack([eq.X, left]), eq.y, names, eq.offset)
    at = np.flatnonzero(fitted.kept >= len(eq.names)).astype(np.intp)
    if not len(at):  # instruments explain the treatment without rest
        return Row("Wu-Hausman", 0, float("nan"), float("nan"), float("nan"))
    return _wald(model, "Wu-Hausman", fitted, at)


def overidentified(model: ModelCore, used: Instrumented) -> Row:
    """The test that surplus instruments agree; without numbers where there are none."""
    from scipy.special import chdtrc

    if used.criterion is not None:
        return Row("Hansen's J", used.excess, float("nan"), used.criterion, float(chdtrc(used.excess, used.criterion)))
    if used.excess == 0:
        return Row("Sargan", 0, float("nan"), float("nan"), float("nan"))
    asked = request_of(model.covariance.request)
    if isinstance(asked, Classical):
        fit = used.equations.on_instruments(model.regression.hat.e)
        value = model.nobs * (1 - fit.deviance / model.regression.deviance)
    else:
        value = _score_test(model, used, asked)
    return Row("Sargan", used.excess, float("nan"), value, float(chdtrc(used.excess, value)))


def _score_test(model: ModelCore, used: Instrumented, asked: Request) -> float:
    """Wooldridge's (1995): what projected regressors leave of the surplus instruments, times the residuals."""
    regression, eq = model.regression, used.equations
    Z = eq.all_instruments
    projected = np.array(eq.X if regression.absorbed is None else regression.absorbed.X)
    if regression.absorbed is not None:
        Z = regression.absorbed.absorber.demean(Z).values
    projected[:, eq.endogenous] -= used.left
    whole = least_squares(np.column_stack([projected, Z[:, len(eq.exogenous) + used.kept]]), regression.y, eq.weights)
    surplus = used.kept[[j - projected.shape[1] for j in whole.kept if j >= projected.shape[1]]]
    left = least_squares(projected, Z[:, len(eq.exogenous) + surplus], eq.weights).residuals
    u = left * regression.hat.multipliers()[:, None]
    if isinstance(asked, Cluster) and len(asked.by) == 1:
        codes = model.frame.codes(asked.by)[asked.by[0]]
        u = group_sums(u, codes, int(codes.max()) + 1)
    total = u.sum(axis=0)
    return float(total @ np.linalg.solve(u.T @ u, total))


def strength(model: ModelCore, j: int = 0) -> Strength:
    """Of the instruments in one first stage."""
    used = instrumented(model)
    eq, exact = used.equations, bool(used.exact[j])
    first = eq.first_stage(j)
    at = _excluded(eq, first)
    bread = _given_bread(first)[np.ix_(at, at)]
    V = bread if exact else _covariance(model, first).matrix[np.ix_(at, at)]
    test, A = _wald(model, "", first, at, exact=exact), np.linalg.inv(bread)
    effective = float("inf") if exact else effective_f(first.theta[at], V, A)
    return Strength(test.statistic, test.df1, test.df2, effective, {b: effective_critical(V, A, b) for b in BIASES})


def _given_bread(fitted: FittedRegression) -> Array:
    """The inverse cross-product of the columns as they were given."""
    if fitted.hat.moved is None:
        return fitted.hat.bread
    back = np.eye(len(fitted.hat.bread)) - fitted.hat.moved
    return np.asarray(back @ fitted.hat.bread @ back.T)


def cragg_donald(model: ModelCore) -> float:
    """The smallest F of any combination of the endogenous columns (Cragg and Donald 1993)."""
    used = instrumented(model)
    share, first = used.strength, used.equations.first_stage(0)
    if share >= 1 or used.exact.all():
        return float("inf")
    return float(share / (1 - share) * first.hat.df_residual / len(used.kept))


def reduced(model: ModelCore) -> Reduced:
    """Reduced form and first stage of one endogenous column with their joint covariance, for Anderson-Rubin tests.

    The covariance of regressions of ``y - b x`` on the same columns is a quadratic in b, whatever sandwich it is: three
    of them say all.
    """
    used = instrumented(model)
    eq = used.equations
    if len(eq.endogenous) != 1:
        names = ", ".join(eq.names[j] for j in eq.endogenous)
        raise CapabilityError(
            f"an Anderson-Rubin set is of one coefficient, and {len(eq.endogenous)} are instrumented ({names}): "
            "together they have a region, of which no coefficient's own set follows"
        )
    y = eq.y if eq.offset is None else eq.y - eq.offset
    x = eq.X[:, eq.endogenous[0]]
    form, first = eq.on_instruments(y), eq.on_instruments(x)
    at = _excluded(eq, form)
    if used.exact[0]:  # whose errors are rounding
        cov = _covariance(model, form)
        a, none = cov.matrix[np.ix_(at, at)], np.zeros((len(at), len(at)))
        return Reduced(form.theta[at], first.theta[at], a, none, none, float(cov.df[at].min()))
    unit = float(np.sqrt(form.hat.dispersion / first.hat.dispersion)) if first.hat.dispersion > 0 else 1.0
    mixed = eq.on_instruments(y - unit * x)
    covs = [_covariance(model, each) for each in (form, first, mixed)]
    a, p, c = (cov.matrix[np.ix_(at, at)] for cov in covs)
    return Reduced(form.theta[at], first.theta[at], a, (a + unit**2 * p - c) / unit, p, float(covs[0].df[at].min()))


def table(rows: Sequence[Row]) -> Array:
    """Rows as an array: ``df1, df2, statistic, p.value``."""
    return np.array([[row.df1, row.df2, row.statistic, row.p_value] for row in rows], dtype=float)
