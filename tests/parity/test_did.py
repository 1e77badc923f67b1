"""R: ``lm(Severity ~ Drug * Post + ...)`` with sandwich, lmtest and clubSandwich, through ``cf.fit`` and ``did(...)``.

The stored cases are over did_panel; weights, missed periods, text and factors were recorded by ``r/did.R``.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from tests.parity.reference import close, covariance_scale, data, matrix, table, values, vector

STORED = values("did_2x2_lm")
CASES = {"plain": "", "with_quality": " + Quality_of_Care", "with_both": " + Quality_of_Care + I.H"}
COVARIANCES = {"vcov": "classical", "HC1": "HC1", "CL_id_HC1": "~id"}
TERM = "Drug:Post"


@pytest.fixture(scope="module")
def panel():
    return data("did_panel.csv")


@pytest.fixture(params=CASES)
def pair(request, panel):
    """The fit with units, and R's regression."""
    return cf.fit(f"Severity ~ did(Drug, Post, unit = id){CASES[request.param]}", panel), STORED[request.param]


def test_the_effect_is_the_interaction(pair):
    fit, r = pair
    error = np.sqrt(matrix(r["CL_id_HC1"]).loc[TERM, TERM])
    close(fit.estimate, r["coef"][TERM], scale=error)
    close(fit.std_error, error)
    row = matrix(r["coeftest_cluster"]).loc[TERM]
    close(fit.tidy()["statistic"], [row["t value"]])
    assert fit.covariance.df.tolist() == [r["df_residual"]]


@pytest.mark.parametrize("name", COVARIANCES)
def test_covariances_of_the_effect_and_of_the_regression(pair, name):
    fit, r = pair
    asked = COVARIANCES[name]
    close(fit.with_vcov(asked).std_error, np.sqrt(matrix(r[name]).loc[TERM, TERM]), what=name)
    close(fit.outcome.with_vcov(asked).vcov(), matrix(r[name]), scale=covariance_scale(matrix(r[name])), what=name)


def test_clusters_without_a_factor_for_small_samples(pair):
    """``vcovCL(type = "HC0")`` keeps G / (G - 1), which is CR1."""
    fit, r = pair
    close(fit.with_vcov("CR1 ~ id").std_error, np.sqrt(matrix(r["CL_id_HC0"]).loc[TERM, TERM]))


def test_cr2_and_its_degrees_of_freedom(pair):
    fit, r = pair
    row = table(r["CR2"]).set_index("Coef").loc[TERM]
    fit = fit.with_vcov("CR2 ~ id")
    close(fit.std_error, row["SE"])
    close(fit.tidy()["statistic"], [row["tstat"]])
    close(fit.covariance.df, [row["df_Satt"]])


def test_the_regression_behind_it(pair):
    fit, r = pair
    model = fit.outcome.with_vcov("classical")
    close(model.params, vector(r["coef"]), scale=vector(matrix(r["coef_table"])["Std. Error"].tolist()))
    close(model.bse, matrix(r["coef_table"])["Std. Error"])
    glance = fit.glance().iloc[0]
    numbers = glance[["sigma", "r.squared", "adj.r.squared", "statistic"]].astype(float)
    close(numbers, [r["sigma"], r["r_squared"], r["adj_r_squared"], r["fstatistic"]["value"]])
    close(glance[["logLik", "AIC", "BIC"]].astype(float), [r["logLik"], r["AIC"], r["BIC"]])
    assert (model.df_residual, fit.nobs) == (r["df_residual"], r["nobs"])
    close(model.confint(), matrix(r["confint"]), scale=1e-6)


def test_cell_means(panel):
    fit = cf.fit("did(Drug, Post)", panel, outcome="Severity")
    close(fit.cells()["mean"], matrix(STORED["cell_means"]).to_numpy().ravel())
    close(fit.estimate, STORED["four_means"], scale=fit.std_error)


def test_without_units_the_variance_is_classical(panel):
    fit = cf.fit("did(Drug, Post) + Quality_of_Care", panel, outcome="Severity")
    r = STORED["with_quality"]
    close(fit.std_error, np.sqrt(matrix(r["vcov"]).loc[TERM, TERM]))
    limits = matrix(r["confint"]).loc[TERM]
    close(fit.tidy()[["conf.low", "conf.high"]].iloc[0].astype(float), limits)


def test_unit_effects_are_the_same_without_a_control(panel):
    """``feols(Severity ~ Drug:Post | id + Post)`` in a balanced panel: the same coefficient if nothing else is in it.

    With a control that varies in time it is another estimator: the control is then compared within units.
    """
    fixest = values("did_2x2_fixest")
    fit = cf.fit("Severity ~ did(Drug, Post, unit = id)", panel)
    close(fit.estimate, fixest["twfe_cluster"]["coef"][TERM], scale=fit.std_error)
    adjusted = cf.fit("Severity ~ did(Drug, Post, unit = id) + Quality_of_Care", panel)
    assert abs(adjusted.estimate - fixest["twfe_cov_cluster"]["coef"][TERM]) > 0.01


# -- weights, missed periods, text --------------------------------------------------------------------------------

MORE = values("r_did")
FORMULAS = {
    "weighted": "Severity ~ did(Drug, Post, unit = id) + Quality_of_Care + weights(w)",
    "unbalanced": "Severity ~ did(group, year, unit = id) + Quality_of_Care + ward",
    "crossed": "Severity ~ did(Drug, Post, unit = id) + I.H * Post",
}


@pytest.fixture(scope="module", params=FORMULAS)
def more(request, panel):
    d = panel.assign(
        w=0.5 + panel["id"] % 7 / 4,
        g=panel["id"] % 40,
        ward=np.array(["north", "south", "west"])[(panel["id"] + panel["Post"]) % 3],
        group=np.where(panel["Drug"] == 1, "treated", "control"),
        year=np.where(panel["Post"] == 1, 2014, 2010),
    )
    if request.param != "weighted":
        d = d[~((d["id"] % 11 == 0) & (d["Post"] == 1)) & (d["id"] <= 300)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)  # of units in one period only
        return cf.fit(FORMULAS[request.param], d), MORE[request.param]


def test_more_estimates(more):
    fit, r = more
    close(fit.estimate, r["estimate"], scale=r["se"]["~id"])
    close(fit.tidy()["statistic"], [r["t"]])
    assert fit.covariance.df.tolist() == [r["df"]]


def test_more_covariances(more):
    fit, r = more
    close([fit.with_vcov(name).std_error for name in r["se"]], list(r["se"].values()))
    if r["cr2_df"] is not None:
        close(fit.with_vcov("CR2 ~ id").covariance.df, [r["cr2_df"]])


def test_the_anova_table_is_of_the_regression(panel):
    fit = cf.fit("Severity ~ did(Drug, Post, unit = id) + Quality_of_Care", panel)
    plain = cf.lm("Severity ~ Drug * Post + Quality_of_Care", panel)
    pd.testing.assert_frame_equal(cf.anova(fit.outcome).table, cf.anova(plain).table)
    pd.testing.assert_frame_equal(fit.outcome.drop1().table, plain.drop1().table)
    pd.testing.assert_series_equal(fit.outcome.predict(panel.head()), plain.predict(panel.head()))
