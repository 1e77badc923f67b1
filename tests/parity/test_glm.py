"""``cf.glm`` against R 4.2.2's ``glm``, ``sandwich`` and ``lmtest``: the numbers of the ``glm_*`` cases.

The tolerance is that of closed forms throughout: the iterations are R's, step for step.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from causalformula.results.model import Model
from tests.parity import reference
from tests.parity.test_lm import same_covariance, same_p_values, tables

RTOL = 1e-8
PS = "treat ~ age + educ + race + married + nodegree + re74 + re75"
SHORT = "treat ~ age + educ + married + re74"
# case, the key inside it, formula, arguments
CASES: dict[str, tuple[str, str | None, str, dict[str, Any]]] = {
    "ps": ("glm_logit_lalonde_ps", None, PS, {"family": "binomial"}),
    "outcome": (
        "glm_logit_outcome", None, "re78 > 0 ~ treat * age + race + re74", {"family": "binomial(link = 'logit')"},
    ),
    "probit": ("glm_probit_cloglog", "probit", SHORT, {"family": "binomial('probit')"}),
    "cloglog": ("glm_probit_cloglog", "cloglog", SHORT, {"family": "binomial('cloglog')"}),
    "cauchit": ("glm_probit_cloglog", "cauchit", SHORT, {"family": "binomial('cauchit')"}),
    "poisson": ("glm_poisson", "poisson", "round(re78 / 2000) ~ treat + age + educ + race", {"family": "poisson"}),
    "offset": (
        "glm_poisson", "offset", "round(re78 / 2000) ~ treat + age + offset(log(educ + 1))", {"family": "poisson"},
    ),
    "offset argument": (
        "glm_poisson", "offset", "round(re78 / 2000) ~ treat + age", {"family": "poisson", "offset": "log(educ + 1)"},
    ),
    "quasipoisson": (
        "glm_poisson", "quasipoisson", "round(re78 / 2000) ~ treat + age + educ + race", {"family": "quasipoisson"},
    ),
    "gaussian": ("glm_gamma_gaussian_quasibinomial", "gaussian", "re78 ~ treat + age", {}),
    "Gamma": (
        "glm_gamma_gaussian_quasibinomial", "Gamma_log", "re78 + 100 ~ treat + age + educ", {"family": "Gamma('log')"},
    ),
    "weighted": (
        "glm_gamma_gaussian_quasibinomial",
        "binomial_weighted",
        "I(re78 > 0) ~ treat + age + race",
        {"family": "binomial", "weights": "educ + 1"},
    ),
    "quasibinomial": (
        "glm_gamma_gaussian_quasibinomial",
        "quasibinomial_weighted",
        "I(re78 > 0) ~ treat + age + race",
        {"family": "quasibinomial", "weights": "0.5 + educ / 10"},
    ),
}  # fmt: skip


@cache
def fitted(name: str) -> Model:
    case, _, formula, given = CASES[name]
    frame = reference.data(reference.case(case)["data"])
    frame["cl"] = frame["race"].astype(str) + " " + frame["educ"].astype(str)
    return cf.glm(formula, frame, **given)


def stored(name: str) -> dict[str, Any]:
    case, key, _, _ = CASES[name]
    values = reference.values(case)
    return values if key is None else values[key]


@pytest.mark.parametrize("name", CASES)
def test_coefficients(name: str) -> None:
    """R: coef, summary(f)$coefficients, vcov, confint.default."""
    model, r = fitted(name), stored(name)
    table = reference.matrix(r["coef_table"])
    assert list(model.coef.index) == reference.names(r["coef"])
    reference.close(model.coef, r["coef"], RTOL, table.iloc[:, 1], "coef")
    reference.close(model.bse, table.iloc[:, 1], RTOL, what="std.error")
    reference.close(model.tvalues, table.iloc[:, 2], RTOL, 1, "statistic")
    same_p_values(model.pvalues, table.iloc[:, 3], table.iloc[:, 2])
    same_covariance(model, r["vcov"], "vcov")
    reference.close(model.confint(), r["confint_wald"], RTOL, table.iloc[:, [1]], "confint.default")
    assert np.isinf(model.tidy()["df"]).all() == model.regression.family.dispersion_known


@pytest.mark.parametrize("name", CASES)
def test_fit(name: str) -> None:
    """R: deviance, null.deviance, aic, BIC, logLik, iter, dispersion, nobs, df."""
    model, r = fitted(name), stored(name)
    for ours, key in (
        (model.deviance, "deviance"),
        (model.null_deviance, "null_deviance"),
        (model.aic, "AIC"),
        (model.bic, "BIC"),
        (model.loglik, "logLik"),
        (model.dispersion, "dispersion"),
    ):
        reference.close(ours, r[key], RTOL, what=key)
    assert model.iterations == r["iter"]
    assert (model.df_residual, model.df_null, model.nobs) == (r["df_residual"], r["df_null"], r["nobs"])


@pytest.mark.parametrize("name", CASES)
def test_rows(name: str) -> None:
    """R: fitted, residuals(type = "deviance"), residuals(type = "pearson")."""
    model, r = fitted(name), stored(name)
    reference.close(model.fitted[:10], r["fitted_head"], RTOL, what="fitted")
    reference.close(model.residuals("deviance")[:10], r["deviance_resid_head"], RTOL, 1, "deviance residuals")
    reference.close(model.residuals("pearson")[:10], r["pearson_resid_head"], RTOL, 1, "pearson residuals")


ROBUST = {
    "HC0": "HC0", "HC1": "HC1", "HC2": "HC2", "HC3": "HC3", "HC4": "HC4", "sandwich": "HC0",
    "CL_HC0": "CR1 ~ cl", "CL_HC1": "CR1S ~ cl", "CR0": "CR0 ~ cl", "CR1S": "CR1S ~ cl",
}  # fmt: skip
NOT_HERE = {
    "CR2": "compared with the other numbers of clubSandwich",
    "const": "vcovHC's const leaves the family's variance out: it is not vcov(f)",
}
COVARIANCES = [(name, key) for name in CASES for key in stored(name).get("robust", stored(name)) if key in ROBUST]


@pytest.mark.parametrize(("name", "key"), COVARIANCES)
def test_sandwich(name: str, key: str) -> None:
    """R: vcovHC, sandwich, vcovCL; clubSandwich::vcovCR.

    clubSandwich mixes the weights of the last iteration with derivatives at the solution, which differ by some 1e-4 of
    a variance at R's epsilon; with epsilon = 1e-15 it equals vcovCL.
    """
    r = stored(name)
    rtol = 1e-3 if key.startswith("CR") else RTOL
    same_covariance(fitted(name).with_vcov(ROBUST[key]), r.get("robust", r)[key], key, rtol)


def test_propensity_score() -> None:
    """R: fitted(f), all rows."""
    reference.close(fitted("ps").fitted, stored("ps")["ps"], RTOL)


def test_profile_limits() -> None:
    """R: confint(f), from the profile likelihood.

    R interpolates by a spline between points of the profile, with an error near 1e-4 standard errors; here the
    equation is solved.
    """
    model, r = fitted("ps"), stored("ps")
    limits = model.confint(method="profile")
    reference.close(limits, r["confint_profile"], 2e-4, model.bse.to_numpy()[:, None], "profile")


def test_coeftest() -> None:
    """R: coeftest(f, vcov. = vcovHC(f, type = "HC1")): z."""
    model, theirs = fitted("outcome").with_vcov("HC1"), reference.matrix(stored("outcome")["coeftest_HC1"])
    reference.close(model.tidy()[["estimate", "std.error", "statistic"]], theirs.iloc[:, :3], RTOL, 1e-3)
    same_p_values(model.pvalues, theirs.iloc[:, 3], theirs.iloc[:, 2])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ps", "printed"),
        ("ps", "printed_summary"),
        ("outcome", "printed_summary"),
        ("outcome", "printed_coeftest_HC1"),
        ("probit", "printed_probit"),
        ("poisson", "printed_summary"),
        ("quasipoisson", "printed_summary"),
    ],
)
def test_printed(name: str, key: str) -> None:
    """R's console, from the first table on."""
    model = fitted(name)
    theirs = stored(name).get(key) or reference.values(CASES[name][0])[key]
    if key == "printed_coeftest_HC1":
        ours = str(model.with_vcov("HC1").coeftest())
    else:
        ours = str(model) if key == "printed" else str(model.summary())
    assert tables(ours) == tables(theirs)


def test_prediction() -> None:
    """R: predict(f, newdata, se.fit = TRUE), type "link" and "response"."""
    r = reference.values("glm_predict")
    model = cf.glm("treat ~ age + race", reference.data("lalonde.csv"), family="binomial")
    for kind in ("link", "response"):
        found = model.predict(reference.table(r["newdata"]), type=kind, se_fit=True)
        reference.close(found["fit"], r[kind], RTOL, r[f"{kind}_se"], kind)
        reference.close(found["se.fit"], r[f"{kind}_se"], RTOL, what=f"{kind} se")


def test_warnings_are_those_of_r() -> None:
    """What R warned of while it computed a case is what ours warns of."""
    for name, (case, _, formula, given) in CASES.items():
        theirs = reference.case(case)["warnings"]
        assert set(fitted(name).notes) <= set(theirs), (name, formula, given)


def test_every_stored_number_is_compared() -> None:
    """Should a case gain a key, it must be added above or given a reason."""
    used = {
        "coef", "coef_table", "deviance", "null_deviance", "df_residual", "df_null", "AIC", "BIC", "logLik", "iter",
        "dispersion", "nobs", "vcov", "confint_wald", "fitted_head", "deviance_resid_head", "pearson_resid_head",
        "robust", "HC0", "HC3", "ps", "confint_profile", "printed", "printed_summary", "printed_coeftest_HC1",
        "coeftest_HC1", "outcome",
    }  # fmt: skip
    elsewhere = {"anova_chisq": "comparisons of models are not a property of one model"}
    keys = {key for name in CASES for key in stored(name)}
    assert keys - used == set(elsewhere)
    assert {k for name in CASES for k in stored(name).get("robust", {})} == {*ROBUST, *NOT_HERE}
    with pytest.warns(CausalFormulaWarning, match="numerically 0 or 1"):
        cf.glm("y ~ x", {"y": [0, 0, 0, 1, 1, 1], "x": [1, 2, 3, 4, 5, 6.0]}, family="binomial")
