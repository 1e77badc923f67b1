"""R: ``fixest::feols`` 0.14.2 with absorbed effects, its small-sample rules, ``fixef`` and its print."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from tests.parity.reference import close, covariance_scale, data, matrix, values, vector

STORED = values("fixest_feols_grunfeld")
DID = values("did_2x2_fixest")
EVENTS = values("did_fixest_eventstudy")
MODELS = {
    "ols": ("inv ~ value + capital", None),
    "one": ("inv ~ value + capital | firm", None),
    "two": ("inv ~ value + capital + fe(firm + year)", None),
    "weighted": ("inv ~ value + capital | firm", "value"),
}
REQUESTS = {
    "iid": "classical",
    "hetero": "hetero",
    "HC2": "HC2",
    "HC3": "HC3",
    "cluster_firm": "~firm",
    "cluster_year": "~year",
    "twoway": "~firm + year",
    "NW": "NW(2) ~ firm + year",
    "DK": "DK(2) ~ year",
}


@cache
def model(name: str) -> cf.Model:
    formula, weights = MODELS[name]
    return cf.lm(formula, data("Grunfeld.csv"), weights=weights)


def agrees(found: cf.Model | cf.Result, r: dict) -> None:
    """Estimates, errors, covariance and degrees of freedom."""
    table, covariance = matrix(r["coeftable"]), matrix(r["vcov"])
    tidy = found.tidy()
    kept = tidy["estimate"].notna().to_numpy()
    close(tidy["estimate"][kept], table["Estimate"], scale=table["Std. Error"])
    close(tidy["std.error"][kept], table["Std. Error"])
    close(tidy["statistic"][kept], table["t value"], scale=1.0)
    close(found.cov_params().to_numpy()[np.ix_(kept, kept)], covariance, scale=covariance_scale(covariance))
    assert tidy["df"][kept].tolist() == [r["df_t"]] * int(kept.sum())
    limits = r["confint"]["columns"]
    close(tidy["conf.low"][kept], limits["2.5 %"], scale=table["Std. Error"])
    close(tidy["conf.high"][kept], limits["97.5 %"], scale=table["Std. Error"])


# fixest sets the negative eigenvalue of this matrix to 1e-8; here it stays, and is said.
MENDED = ("weighted", "twoway")


@pytest.mark.parametrize(("name", "asked"), [(m, v) for m in MODELS for v in REQUESTS if (m, v) != MENDED])
def test_covariances(name, asked):
    rules = cf.ssc() if name == "ols" and ("cluster" in asked or asked == "twoway") else None
    agrees(model(name).with_vcov(REQUESTS[asked], ssc=rules), STORED[name][asked])


def test_serial_covariances_by_their_other_names():
    for name, lag in (("one", 2), ("two", None)):
        panel = cf.HAC("NeweyWest", lag, order_by="year", unit="firm")
        # 20 periods: floor(20^(1/4)) lags
        close(model(name).with_vcov(panel).vcov(), matrix(STORED[name]["NW"]["vcov"]), scale=1e-3)
        shared = cf.DriscollKraay("year", lag)
        close(model(name).with_vcov(shared).vcov(), matrix(STORED[name]["DK"]["vcov"]), scale=1e-3)
    assert "Newey-West (20 periods of year within firm, lag 2)" in str(model("one").with_vcov("NW(2) ~ firm + year"))


def test_a_negative_variance_is_said_and_not_mended():
    with pytest.warns(CausalFormulaWarning, match="not positive semidefinite"):
        found = model("weighted").with_vcov("~firm + year")
    assert np.isnan(found.bse["capital"])
    mended = model("weighted").with_vcov(cf.Cluster(["firm", "year"], fix=True))
    # eigenvalues of zero instead of 1e-8
    close(mended.bse["value"], matrix(STORED["weighted"]["twoway"]["coeftable"]).loc["value", "Std. Error"], rtol=1e-6)


@pytest.mark.parametrize("name", ["one", "two"])
def test_statistics_of_the_fit(name):
    r, found = STORED[name], model(name)
    close(
        [found.r_squared, found.adj_r_squared, found.within_r_squared, found.loglik, found.aic, found.bic],
        [r["r2"]["r2"], r["r2"]["ar2"], r["r2"]["wr2"], r["loglik"], r["AIC"], r["BIC"]],
    )
    assert len(found.frame.effects) == len(r["iid"]["fixef_sizes"])
    assert found.nobs - found.df_residual == r["iid"]["n_params"]


@pytest.mark.parametrize("clusters", [True, False])
@pytest.mark.parametrize("coefficients", [True, False])
@pytest.mark.parametrize("effects", ["none", "full", "nonnested"])
def test_small_sample_rules(effects, coefficients, clusters):
    rules = cf.ssc(K_adj=coefficients, K_fixef=effects, G_adj=clusters)
    r = STORED[f"ssc_{effects}_{coefficients}_{clusters}".replace("True", "TRUE").replace("False", "FALSE")]
    close(model("one").with_vcov(cf.Cluster("firm", ssc=rules)).bse, vector(r))


@pytest.mark.parametrize("groups", ["min", "conventional"])
def test_clusters_that_count(groups):
    close(model("two").with_vcov("~firm + year", ssc=cf.ssc(G_df=groups)).bse, vector(STORED[f"twoway_Gdf_{groups}"]))


def test_fixed_effects():
    for factor in ("firm", "year"):
        found = model("two").fixed_effects(factor).set_index("level")["value"]
        r = pd.Series(STORED["fixef"][factor])
        close(found[r.index], r, scale=1.0)


def test_varying_slopes():
    agrees(cf.lm("inv ~ value | firm[capital]", data("Grunfeld.csv")), STORED["varying_slopes"])


def test_several_fits():
    found = cf.lm("c(inv, value) ~ sw(capital, I(capital^2)) | firm", data("Grunfeld.csv"))
    for fit, r in zip(found, STORED["multi"], strict=True):
        close(fit.params, vector(r))


def curly(text: str) -> str:
    """What R writes where the locale has quotation marks."""
    head, _, rest = text.partition("codes:")
    codes, _, end = rest.partition("\n")
    for mark in ("***", "**", "*", ".", " "):
        codes = codes.replace(f"'{mark}'", f"\u2018{mark}\u2019")
    return f"{head}codes:{codes}\n{end}"


def test_the_print():
    found = str(model("one").with_vcov("~firm"))
    assert found.split("\nNote: ")[0] == curly(STORED["printed_one"])


def test_the_print_of_the_did_panel():
    found = cf.lm("Severity ~ tr + Quality_of_Care | id + Post", panel(), vcov="~id")
    assert str(found) == curly(DID["printed"])


def panel() -> pd.DataFrame:
    frame = data("did_panel.csv")
    return frame.assign(tr=frame["Drug"] * frame["Post"])


TWFE = {
    "twfe_cluster": ("Drug:Post", "~id"),
    "twfe_iid": ("Drug:Post", None),
    "twfe_hetero": ("Drug:Post", "hetero"),
    "tr": ("tr + Quality_of_Care", "~id"),
    "twfe_cov_cluster": ("Quality_of_Care + Drug:Post", "~id"),
}


@pytest.mark.parametrize("name", TWFE)
def test_two_way_fixed_effects(name):
    terms, vcov = TWFE[name]
    agrees(cf.lm(f"Severity ~ {terms} | id + Post", panel(), vcov=vcov), DID[name])


def test_two_way_fixed_effects_of_a_treatment():
    fit = cf.fit("Severity ~ treat(tr) + Quality_of_Care | id + Post", panel(), vcov="~id")
    r = matrix(DID["tr"]["coeftable"]).loc["tr"]
    close(fit.estimate, r["Estimate"], scale=r["Std. Error"])
    close(fit.std_error, r["Std. Error"])
    assert fit.covariance.df.tolist() == [DID["tr"]["df_t"]]
    close(fit.outcome.within_r_squared, DID["within_r2"])
    close(fit.outcome.r_squared, DID["r2"])


@pytest.mark.parametrize("name", ["twfe", "twfe_cov"])
def test_staggered_two_way_fixed_effects(name):
    frame = data("mpdta.csv")
    first = frame["first.treat"]
    frame["tr"] = ((first > 0) & (frame["year"] >= first)).astype(int)
    terms = "tr" if name == "twfe" else "tr + lpop:factor(year)"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cf.lm(f"lemp ~ {terms} | countyreal + year", frame, vcov="~countyreal")
    agrees(found, EVENTS[name])
    if name == "twfe_cov":
        assert "1 variable was removed because of collinearity (lpop:factor(year)2007)" in str(found)
