"""Least squares and generalised linear models on hand-built matrices, against R's ``lm`` and ``glm``."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from causalformula.errors import CausalFormulaError
from causalformula.numerics.families import family
from causalformula.numerics.irls import irls, polish
from causalformula.numerics.least_squares import group_sums, least_squares, leverage, meat
from tests.parity import reference as ref


def design(*columns, intercept=True):
    parts = [np.ones(len(columns[0]))] * intercept + [np.asarray(c, dtype=float) for c in columns]
    return np.column_stack(parts)


def dummies(column):
    return list(pd.get_dummies(column, drop_first=True).to_numpy(dtype=float).T)


def check_lm(X, y, expected, weights=None):
    fit = least_squares(X, y, weights)
    coef = ref.vector(expected["coef"])
    table = ref.matrix(expected["coef_table"]).to_numpy()
    w = np.ones(len(y)) if weights is None else weights
    rss = np.dot(w, fit.residuals**2)
    df = (w > 0).sum() - fit.rank
    assert df == expected["df_residual"]
    ref.close(np.sqrt(rss / df), expected["sigma"], what="sigma")
    se = np.sqrt(np.diag(fit.bread) * rss / df)
    ref.close(se, table[:, 1], what="standard error")
    ref.close(fit.coef[fit.kept], coef[~np.isnan(coef)], scale=se, what="coefficient")
    np.testing.assert_array_equal(np.isnan(fit.coef), np.isnan(coef))
    return fit


def lalonde(*names):
    d = ref.data("lalonde.csv")
    columns = []
    for name in names:
        columns += dummies(d[name]) if name == "race" else [d[name]]
    return d, design(*columns)


def test_lm_heart():
    """R: lm(Severity ~ Drug), lm(Severity ~ Drug + I.H), lm(Severity ~ Drug * I.H)."""
    d = ref.data("heart.csv")
    y = d["Severity"].to_numpy()
    check_lm(design(d["Drug"]), y, ref.values("lm_heart_unadjusted"))
    check_lm(design(d["Drug"], d["I.H"]), y, ref.values("lm_heart_adjusted"))
    check_lm(design(d["Drug"], d["I.H"], d["Drug"] * d["I.H"]), y, ref.values("lm_heart_interaction"))


@pytest.mark.parametrize("order", ["C", "F"])
def test_hc_heart(order):
    """R: vcovHC(lm(Severity ~ Drug + I.H), type = ...), hatvalues()."""
    d = ref.data("heart.csv")
    expected = ref.values("lm_heart_adjusted")
    X = np.asarray(design(d["Drug"], d["I.H"]), order=order)
    fit = least_squares(X, d["Severity"])
    h = leverage(X, fit.bread)
    ref.close(h[:10], expected["hat_head"], what="leverage")
    for name, power in {"HC0": 0, "HC2": 0.5, "HC3": 1}.items():
        V = fit.bread @ meat(X, fit.residuals / (1 - h) ** power) @ fit.bread
        ref.close(V, expected["hc"][name], scale=ref.covariance_scale(expected["hc"][name]), what=name)


def test_lm_cluster_panel():
    """R: vcovCL(lm(Severity ~ Drug * Post + Quality_of_Care), cluster = id, type = "HC0", cadjust = FALSE)."""
    d = ref.data("did_panel.csv")
    expected = ref.values("lm_cluster_panel")
    X = design(d["Drug"], d["Post"], d["Quality_of_Care"], d["Drug"] * d["Post"])
    fit = check_lm(X, d["Severity"].to_numpy(), expected)
    codes, ids = pd.factorize(d["id"])
    S = group_sums(X * fit.residuals[:, None], codes, len(ids))
    V = fit.bread @ S.T @ S @ fit.bread
    theirs = expected["vcovCL_id"]["HC0_noadj"]
    ref.close(V, theirs, scale=ref.covariance_scale(theirs), what="CR0")


def test_lm_lalonde_full():
    """R: lm(re78 ~ treat + age + educ + race + married + nodegree + re74 + re75)."""
    d, X = lalonde("treat", "age", "educ", "race", "married", "nodegree", "re74", "re75")
    check_lm(X, d["re78"].to_numpy(), ref.values("lm_lalonde_full"))


def test_lm_lalonde_weighted():
    """R: lm(re78 ~ treat + age + race, weights = ifelse(treat == 1, 1, 0.25 + age / 50)), its HC3."""
    d, X = lalonde("treat", "age", "race")
    expected = ref.values("lm_lalonde_weighted")
    w = np.where(d["treat"] == 1, 1, 0.25 + d["age"] / 50)
    fit = check_lm(X, d["re78"].to_numpy(), expected, w)
    u = w * fit.residuals / (1 - leverage(X, fit.bread, w))
    theirs = expected["hc"]["HC3"]
    ref.close(fit.bread @ meat(X, u) @ fit.bread, theirs, scale=ref.covariance_scale(theirs), what="HC3")


def test_lm_lalonde_weights_zero():
    """R: lm(re78 ~ treat + age + educ, weights = ifelse(age > 40, 0, educ))."""
    d, X = lalonde("treat", "age", "educ")
    w = np.where(d["age"] > 40, 0, d["educ"]).astype(float)
    check_lm(X, d["re78"].to_numpy(), ref.values("lm_lalonde_weights_zero"), w)


def test_lm_lalonde_collinear():
    """R: lm(re78 ~ treat + age + age2 + educ) with age2 = 2 age + 1: NA for age2."""
    d = ref.data("lalonde.csv")
    X = design(d["treat"], d["age"], 2 * d["age"] + 1, d["educ"])
    fit = check_lm(X, d["re78"].to_numpy(), ref.values("lm_lalonde_collinear"))
    np.testing.assert_allclose(fit.alias[:, 0], [1, 0, 2, 0], atol=1e-10)


def test_lm_lung():
    """R: lm(time ~ age + factor(sex) + ph.ecog + wt.loss), rows with missing values dropped."""
    d = ref.data("lung.csv")[["time", "age", "sex", "ph.ecog", "wt.loss"]].dropna()
    X = design(d["age"], d["sex"] == 2, d["ph.ecog"], d["wt.loss"])
    check_lm(X, d["time"].to_numpy(dtype=float), ref.values("lm_lung_missing"))


def test_lm_grunfeld():
    """R: lm(inv ~ value + capital)."""
    d = ref.data("Grunfeld.csv")
    check_lm(design(d["value"], d["capital"]), d["inv"].to_numpy(), ref.values("lm_cluster_grunfeld"))


def check_glm(fit, expected):
    coef = ref.vector(expected["coef"])
    table = ref.matrix(expected["coef_table"]).to_numpy()
    se = np.sqrt(np.diag(fit.bread) * fit.dispersion)
    assert fit.iterations == expected["iter"]
    assert (fit.df_residual, fit.df_null) == (expected["df_residual"], expected["df_null"])
    ref.close(fit.dispersion, expected["dispersion"], what="dispersion")
    ref.close(se, table[:, 1], what="standard error")
    ref.close(fit.coef, coef, scale=se, what="coefficient")
    ref.close(fit.deviance, expected["deviance"], what="deviance")
    ref.close(fit.null_deviance, expected["null_deviance"], what="null deviance")
    ref.close(fit.aic, expected["AIC"], what="AIC")
    ref.close(fit.mu[:10], expected["fitted_head"], what="fitted values")


def test_glm_logit():
    """R: glm(treat ~ age + educ + race + married + nodegree + re74 + re75, binomial)."""
    d, X = lalonde("age", "educ", "race", "married", "nodegree", "re74", "re75")
    check_glm(irls(X, d["treat"], family("binomial")), ref.values("glm_logit_lalonde_ps"))


def test_glm_other_links():
    """R: glm(treat ~ age + educ + married + re74, binomial("probit")), "cloglog", "cauchit"."""
    d, X = lalonde("age", "educ", "married", "re74")
    for link in ("probit", "cloglog", "cauchit"):
        check_glm(irls(X, d["treat"], family("binomial", link)), ref.values("glm_probit_cloglog")[link])


def test_glm_poisson():
    """R: glm(round(re78 / 2000) ~ treat + age + educ + race, poisson); quasipoisson; offset(log(educ + 1))."""
    d, X = lalonde("treat", "age", "educ", "race")
    expected = ref.values("glm_poisson")
    k = np.round(d["re78"] / 2000)
    check_glm(irls(X, k, family("poisson")), expected["poisson"])
    check_glm(irls(X, k, family("quasipoisson")), expected["quasipoisson"])
    offset = np.log(d["educ"] + 1)
    check_glm(irls(X[:, :3], k, family("poisson"), offset=offset), expected["offset"])


def test_glm_gamma_gaussian_weighted():
    """R: glm(re78 + 100 ~ ., Gamma("log")); gaussian; quasibinomial and binomial with prior weights."""
    d, X = lalonde("treat", "age", "educ")
    expected = ref.values("glm_gamma_gaussian_quasibinomial")
    check_glm(irls(X, d["re78"] + 100, family('Gamma("log")')), expected["Gamma_log"])
    check_glm(irls(X[:, :3], d["re78"], family("gaussian")), expected["gaussian"])
    X = lalonde("treat", "age", "race")[1]
    y = d["re78"] > 0
    check_glm(irls(X, y, family("quasibinomial"), 0.5 + d["educ"] / 10), expected["quasibinomial_weighted"])
    check_glm(irls(X, y, family("binomial"), d["educ"] + 1.0), expected["binomial_weighted"])


def test_polish_agrees_with_r_to_r_s_accuracy():
    """R: glm(...) at epsilon = 1e-8, so 1e-6 of a coefficient for a canonical link."""
    d, X = lalonde("age", "educ", "race", "married", "nodegree", "re74", "re75")
    expected = ref.values("glm_logit_lalonde_ps")
    fit = irls(X, d["treat"], family("binomial"))
    fit = polish(X, d["treat"], family("binomial"), coef=fit)
    ref.close(fit.coef, expected["coef"], rtol=1e-6, what="coefficient")
    assert fit.converged
    assert np.abs(X.T @ (d["treat"] - fit.mu)).max() < 1e-12 * np.abs(X).sum(axis=0).max()


def heart_columns():
    d = ref.data("heart.csv").iloc[:200]
    x, severity = ((d["I.H"] - 50) / 10).to_numpy(), d["Severity"].to_numpy()
    pos, row = severity - severity.min() + 1, np.arange(1, 201)
    count = np.round(pos / 10)
    return {
        "x": x,
        "I(x^2)": x**2,
        "I(2 * x + 1)": 2 * x + 1,
        "Drug": d["Drug"].to_numpy(dtype=float),
        "fifth": x / 5,
        "never": np.where(count > 3, 0.0, -40.0),
        "small": (count > 3).astype(float),
        "Severity": severity,
        "pos": pos,
        "count": count,
        "I(count * small)": count * (count > 3),
        "high": (severity > 50).astype(float),
        "share": np.round(np.clip(pos / 80, 0, 1) * 8) / 8,
        "far": (x > 0.3).astype(float),
        "w": np.where(row % 7 == 0, 0, 0.5 + (row % 5) / 4),
        "trials": np.full(200, 8.0),
    }


def replay(call):
    """Arguments of `irls` for one of R's calls: matrix, response, family and options."""
    columns = heart_columns()
    formula = re.match(r"glm\((?:formula = )?(.*?) ~ (.*?)(, |\)$)", call)
    terms = formula[2].replace(" - 1", " + 0").split(" + ") if "I(" not in formula[2] else _terms(formula[2])
    intercept = "0" not in terms
    chosen = [columns[t] for t in terms if t != "0"]
    X = design(*chosen, intercept=intercept) if chosen else np.empty((200, 0))
    named = {key: found[1] for key, pattern in PATTERNS.items() if (found := re.search(pattern, call))}
    options = {"intercept": intercept, "family": family(named.get("family", "gaussian"))}
    if "weights" in named:
        options["weights"] = columns[named["weights"]]
    if "offset" in named:
        options["offset"] = columns[named["offset"]]
    if "start" in named:
        options["start"] = [float(v) for v in named["start"].split(",")]
    if "maxit" in named:
        options["maxit"] = int(named["maxit"])
    return X, columns[formula[1]], options


PATTERNS = {
    "family": r"family = ([\w.]+(?:\(.*?\"\))?)",
    "weights": r"weights = (\w+)",
    "offset": r"offset = (\w+)",
    "start": r"start = c\((.*?)\)",
    "maxit": r"maxit = (\d+)",
}


def _terms(text):
    return re.findall(r"I\([^)]*\)|\w+", text)


@pytest.mark.parametrize("name", list(ref.values("r_glm_families")))
def test_glm_families(name):
    """R: the call stored with each case (tests/parity/r/glm_families.R)."""
    expected = ref.values("r_glm_families")[name]
    X, y, options = replay(expected["r_call"])
    if expected.get("error"):
        with pytest.raises(CausalFormulaError):
            irls(X, y, **options)
        return
    fit = irls(X, y, **options)
    assert fit.iterations == expected["iter"]
    assert (fit.converged, fit.boundary) == (expected["converged"], expected["boundary"])
    assert (fit.df_residual, fit.df_null) == (expected["df_residual"], expected["df_null"])
    assert list(fit.warnings) == ref_list(expected["warnings"])
    se = np.sqrt(np.diag(fit.bread) * fit.dispersion)
    ref.close(fit.dispersion, expected["dispersion"], what="dispersion")
    ref.close(se, expected["se"], what="standard error")
    ref.close(fit.coef[fit.kept], [c for c in as_list(expected["coef"]) if c is not None], scale=se, what="coefficient")
    assert [c is None for c in as_list(expected["coef"])] == list(np.isnan(fit.coef))
    # a deviance near zero is a difference of numbers of size one
    ref.close(fit.deviance, expected["deviance"], scale=1e-5, what="deviance")
    ref.close(fit.null_deviance, expected["null_deviance"], what="null deviance")
    ref.close(fit.aic, expected["aic"], what="AIC")
    ref.close(fit.mu[:20], expected["mu"], what="fitted values")
    ref.close(fit.working_weights[:20], expected["weights"], what="working weights")
    ref.close(fit.working_residuals[:20], expected["residuals"], scale=1e-3, what="working residuals")


def as_list(value):
    return value if isinstance(value, list) else [] if value == {} else [value]


def ref_list(value):
    return [value] if isinstance(value, str) else list(value)
