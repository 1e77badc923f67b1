"""R: ``AER::ivreg`` 1.2-10, ``estimatr::iv_robust`` 1.0.0 and ``fixest::feols`` 0.14.2 with instruments."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.parity.reference import close, covariance_scale, data, matrix, number, values, vector

COLLEGE, CIGARETTES = values("ivreg_college"), values("ivreg_cigarettes")
ESTIMATR, FIXEST = values("iv_robust_estimatr"), values("iv_fixest")
JUST = "wage ~ treat(education) + iv(distance) + adjust(gender + ethnicity + urban + unemp)"
OVER = "log(wage) ~ treat(education) + iv(distance + tuition) + adjust(gender + unemp)"
FORMULAS = {
    "just": JUST,
    "over": "log(wage) ~ treat(education) + iv(distance + tuition) + adjust(gender + ethnicity + unemp)",
    "one_iv": "log(packs) ~ treat(log(rprice)) + iv(tdiff)",
    "one_iv_cov": "log(packs) ~ treat(log(rprice)) + iv(tdiff) + adjust(log(rincome))",
    "two_iv": "log(packs) ~ treat(log(rprice)) + iv(tdiff + rtax) + adjust(log(rincome))",
}


@cache
def college() -> pd.DataFrame:
    found = data("CollegeDistance.csv")
    return found.assign(cl=found["unemp"].astype(str) + "." + found["region"].astype(str))


@cache
def cigarettes() -> pd.DataFrame:
    d = data("CigarettesSW.csv")
    d = d.assign(
        rprice=d["price"] / d["cpi"],
        rincome=d["income"] / d["population"] / d["cpi"],
        tdiff=(d["taxs"] - d["tax"]) / d["cpi"],
        rtax=d["tax"] / d["cpi"],
    )
    return d[d["year"].astype(str) == "1995"]


def ivreg(name: str) -> tuple[cf.IVResult, dict]:
    stored, frame = (COLLEGE, college()) if name in COLLEGE else (CIGARETTES, cigarettes())
    return cf.fit(FORMULAS[name], frame), stored[name]


def agree(found: pd.DataFrame, r: dict, rtol: float = 1e-8) -> None:
    table = matrix(r)
    assert list(found.index) == list(table.index)
    close(found[["df1", "df2"]], table[["df1", "df2"]])
    close(found["statistic"], table["statistic"], rtol)
    z2 = np.nan_to_num(table["statistic"].to_numpy() * table["df1"].to_numpy())
    close(np.log(found["p.value"]), np.log(table["p-value"]), scale=1 + z2, rtol=rtol)


@pytest.mark.parametrize("name", FORMULAS)
def test_ivreg(name):
    fit, r = ivreg(name)
    model, coefficients = fit.outcome, matrix(r["coef_table"])
    order = list(matrix(r["vcov"]).index)
    # R's order of terms is the formula's; ours has the treatment first
    close(model.params[order], coefficients["Estimate"], scale=coefficients["Std. Error"])
    close(model.bse[order], coefficients["Std. Error"])
    for request in ("classical", "HC0", "HC1", "HC2", "HC3"):
        stored = matrix(r["vcov" if request == "classical" else request])
        ours = model.with_vcov(request).cov_params().loc[order, order]
        close(ours, stored, scale=covariance_scale(stored), what=request)
    close([model.sigma, model.r_squared, model.adj_r_squared], [r["sigma"], r["r_squared"], r["adj_r_squared"]])
    f, df1, df2 = model.fstatistic
    close([f, df1, df2], [r["waldtest"][0], *r["waldtest"][2:]])
    close(model.resid.iloc[:6], r["resid_head"], scale=r["sigma"])
    agree(fit.diagnostics(), r["diagnostics"])
    assert fit.tidy()["df"].tolist() == [model.df_residual]


@pytest.mark.parametrize("name", FORMULAS)
def test_printed(name):
    """From the residuals on: the call line is ours."""
    fit, r = ivreg(name)
    stored, printed = r["printed_summary"], str(fit.outcome.summary())
    assert printed[printed.index("Residuals:") :].rstrip() == stored[stored.index("Residuals:") :].rstrip()


def test_two_way_clusters():
    """``vcovCL(f, cluster = ~ region + gender, multi0 = FALSE)``."""
    stored = matrix(COLLEGE["cluster_region_gender"])
    model = cf.fit(JUST, college()).outcome.with_vcov("~region + gender")
    size = np.sqrt(np.abs(np.diag(stored)))  # of few clusters a variance is below zero
    close(model.cov_params(), stored, scale=np.outer(size, size))


def test_weighted():
    """Prior weights of ``ivreg``; ours count as sampling weights, so the classical covariance is asked for."""
    r = CIGARETTES["weighted"]
    fit = cf.fit(FORMULAS["two_iv"] + " + weights(population)", cigarettes(), vcov="classical")
    close(fit.outcome.params, vector(r["coef"]), scale=fit.outcome.bse)
    for request, key in (("classical", "vcov"), ("HC1", "HC1")):
        stored = matrix(r[key])
        close(fit.outcome.with_vcov(request).cov_params(), stored, scale=covariance_scale(stored))
    agree(fit.diagnostics(), r["diagnostics"])


# of the fit with two instruments, by AER 1.2-10
WEAK_AND_WU_HAUSMAN = [209.676269396584, 3.504844914902]


def test_diagnostics_under_a_robust_covariance():
    """``summary(f, vcov. = function(m) vcovHC(m, type = "HC1"), diagnostics = TRUE)``, but for its Sargan test.

    Given a matrix for a function, as in the stored ``diagnostics_HC1``, AER has the classical tests.
    """
    fit = cf.fit(FORMULAS["two_iv"], cigarettes(), vcov="HC1")
    found, classical = fit.diagnostics(), CIGARETTES["two_iv"]["diagnostics"]
    close(found["statistic"].iloc[:2], WEAK_AND_WU_HAUSMAN)
    close(found[["df1", "df2"]], matrix(classical)[["df1", "df2"]])
    assert CIGARETTES["two_iv"]["diagnostics_HC1"] == classical


def test_first_stage():
    r, fit = CIGARETTES["first_stage"], cf.fit(FORMULAS["two_iv"], cigarettes())
    table = matrix(r["coef_table"])
    close(fit.first_stage.params, table["Estimate"], scale=table["Std. Error"])
    close(fit.first_stage.bse, table["Std. Error"])
    assert fit.first_stage.df_residual == r["df_residual"]


@pytest.mark.parametrize("request_", ["classical", "HC0", "HC1", "over_HC2", "over_classical"])
def test_iv_robust(request_):
    """Tests under robust covariances; HC2 of the two-instrument fit has Wooldridge's score test."""
    r, vcov = ESTIMATR[request_], request_.removeprefix("over_")
    fit = cf.fit(OVER if request_.startswith("over") else JUST, college(), vcov=vcov)
    model, names, se = fit.outcome, list(r["std_error"]), vector(r["std_error"])
    close(model.params[names], vector(r["coef"]), scale=se)
    assert model.tidy()["df"].tolist() == vector(r["df"]).tolist()
    if vcov != "HC2":  # estimatr's leverages are the projected regressors', AER's the response's own
        close(model.bse[names], se)
    found = fit.diagnostics()
    stored = [r["diag_first"], r["diag_endog"], r["diag_overid"]]
    close(found["statistic"], [number(each["value"]) for each in stored])
    close(found["df1"], [number(each.get("nomdf", each.get("numdf", each.get("df")))) for each in stored])
    close(found["df2"].iloc[:2], [each["dendf"] for each in stored[:2]])


@pytest.mark.parametrize(("vcov", "key"), [("CR0 ~ cl", "cl_CR0"), ("CR1S ~ cl", "cl_stata"), ("CR2 ~ cl", "cl_CR2")])
def test_iv_robust_clusters(vcov, key):
    r, model = ESTIMATR[key], cf.fit(OVER, college(), vcov=vcov).outcome
    close(model.params, vector(r["coef"]), scale=vector(r["std_error"]))
    close(model.bse, vector(r["std_error"]))
    if key == "cl_CR2":  # of CR0 and CR1S ours are n - k, those of coeftest() with vcovCL(), and estimatr's G - 1
        close(model.tidy()["df"], vector(r["df"]))


def test_iv_robust_weights():
    r = ESTIMATR["weights"]
    model = cf.fit(OVER + " + weights(score)", college(), vcov="HC1").outcome
    close(model.params, vector(r["coef"]), scale=vector(r["std_error"]))
    close(model.bse, vector(r["std_error"]))
    assert model.tidy()["df"].tolist() == vector(r["df"]).tolist()


FEOLS = {
    "just_iid": (JUST, "classical"),
    "just_hetero": (JUST, "HC1"),
    "over_iid": (OVER, "classical"),
    "over_hetero": (OVER, "HC1"),
    "fe_iid": (OVER + " + fe(ethnicity + region)", "classical"),
    "fe_cluster_ethnicity_region": (OVER + " + fe(ethnicity + region)", "~unemp"),
}


@pytest.mark.parametrize("name", FEOLS)
def test_feols(name):
    (formula, vcov), r = FEOLS[name], FIXEST[name]
    model, table, stored = cf.fit(formula, college(), vcov=vcov).outcome, matrix(r["coeftable"]), matrix(r["vcov"])
    close(model.params, table["Estimate"], scale=table["Std. Error"])
    close(model.bse, table["Std. Error"])
    close(model.cov_params(), stored, scale=covariance_scale(stored))
    assert (model.tidy()["df"] == r["df_t"]).all()


def test_feols_page():
    """The title and the tests of fixest's print, of a fit with absorbed effects here."""
    text = str(cf.fit(OVER + " + fe(region)", college()).outcome.summary())
    assert text.startswith(
        "TSLS estimation: Second stage\n|- D.V.   : log(wage)\n|- Endo.  : education\n|- Instr. : distance, tuition\n"
    )
    stored = FIXEST["printed_over"]
    first, *rest = (line.partition(": stat")[0] for line in text[text.index("F-test") :].rstrip().split("\n"))
    assert [first, *rest] == [line.partition(": stat")[0] for line in stored[stored.index("F-test") :].split("\n")]


@pytest.mark.parametrize(("formula", "key"), [(OVER, "fitstats_over"), (JUST, "fitstats_just")])
def test_fitstat(formula, key):
    r, found = FIXEST[key], cf.fit(formula, college()).diagnostics()
    stored = [r["ivf1::education"]["stat"], r["wh"]["stat"], (r["sargan"] or {"stat": None})["stat"]]
    close(found["statistic"], [number(each) for each in stored])
    close(found.iloc[:2][["df1", "df2"]], [[r[key]["df1"], r[key]["df2"]] for key in ("ivf1::education", "wh")])


def test_first_stage_of_feols():
    """``summary(g, stage = 1)``."""
    table, found = matrix(FIXEST["first_stage_over"]), cf.fit(OVER, college(), vcov="classical").first_stage
    close(found.params[table.index], table["Estimate"], scale=table["Std. Error"])
    close(found.bse[table.index], table["Std. Error"])
