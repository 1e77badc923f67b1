"""``cf.lm`` against R 4.2.2's ``lm``, ``sandwich`` and ``lmtest``: every number of the ``lm_*`` cases."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from causalformula.results.model import Model
from tests.parity import reference

RTOL = 1e-8


def unchanged(d: pd.DataFrame) -> pd.DataFrame:
    return d


@dataclass(frozen=True)
class Case:
    """An R call: the formula, what R did to the data first, and the other arguments."""

    formula: str
    prepare: Callable[[pd.DataFrame], pd.DataFrame] = unchanged
    given: dict[str, Any] = field(default_factory=dict)


CASES = {
    "lm_heart_unadjusted": Case("Severity ~ Drug"),
    "lm_heart_adjusted": Case("Severity ~ Drug + I.H"),
    "lm_heart_interaction": Case("Severity ~ Drug * I.H"),
    "lm_lalonde_full": Case("re78 ~ treat + age + educ + race + married + nodegree + re74 + re75"),
    "lm_lalonde_weighted": Case(
        "re78 ~ treat + age + race", given={"weights": "ifelse(treat == 1, 1, 0.25 + age / 50)"}
    ),
    "lm_lalonde_weights_zero": Case("re78 ~ treat + age + educ", given={"weights": "ifelse(age > 40, 0, educ)"}),
    "lm_lalonde_collinear": Case("re78 ~ treat + age + age2 + educ", lambda d: d.assign(age2=2 * d["age"] + 1)),
    "lm_lung_missing": Case("time ~ age + factor(sex) + ph.ecog + wt.loss"),
    "lm_cluster_panel": Case("Severity ~ Drug * Post + Quality_of_Care"),
    "lm_cluster_grunfeld": Case("inv ~ value + capital"),
    "lm_hac": Case("inv ~ value + capital", given={"subset": "firm == 1"}),
}
BUNDLE = {
    "coef", "coef_table", "sigma", "r_squared", "adj_r_squared", "fstatistic", "df", "df_residual", "nobs", "confint",
    "vcov", "logLik", "AIC", "BIC", "na_action_rows", "aliased",
}  # fmt: skip
TESTED = {
    "hc", "HC0", "HC1", "HC3", "coeftest_HC3", "coefci_HC3", "coeftest_cluster", "hat_head", "cooks_head",
    "rstudent_head", "printed_lm", "printed_summary", "printed_coeftest", "printed_coeftest_HC1",
    "printed_coeftest_HC3", "printed_coeftest_cluster", "vcovCL_id", "vcovCL_firm", "vcovCL_year", "vcovCL_race",
    "vcovCL_twoway", "vcovCL_twoway_HC0_noadj", "clubSandwich", "subset", "note", "weights_formula",
}  # fmt: skip
ELSEWHERE = {
    "printed_anova": "the text of an anova table is compared in test_printed",
    **dict.fromkeys(("anova1", "drop1", "waldtest"), "comparisons of models are not a property of one model"),
    **dict.fromkeys(("bptest", "resettest", "dwtest", "bgtest1"), "tests of the residuals are functions of their own"),
    **dict.fromkeys(("vcovCL_twoway_multi0", "vcovPL", "vcovPC"), "covariances for panels are compared apart"),
    **dict.fromkeys(
        (
            "NeweyWest", "NeweyWest_lag3_noprewhite", "NeweyWest_lag3_adjust", "NeweyWest_lag2_prewhite",
            "bwNeweyWest", "bwAndrews", "vcovHAC", "kernHAC", "weave",
        ),
        "covariances for autocorrelated errors are compared apart",
    ),
}  # fmt: skip


@cache
def fitted(name: str) -> Model:
    case = CASES[name]
    frame = reference.data(reference.case(name)["data"])
    return cf.lm(case.formula, case.prepare(frame), **case.given)


def stored(name: str) -> dict[str, Any]:
    return reference.values(name)


def se(values: dict[str, Any]) -> np.ndarray:
    return np.sqrt(np.diag(reference.matrix(values["vcov"])))


def same_covariance(model: Model, theirs: Any, what: str, rtol: float = RTOL) -> None:
    """R's covariance may or may not have rows for aliased coefficients."""
    ours = model.cov_params()
    theirs = reference.matrix(theirs)
    if len(theirs) < len(ours):
        ours = ours.dropna(how="all").dropna(how="all", axis=1)
    reference.close(ours, theirs, rtol, reference.covariance_scale(theirs), what)


def same_p_values(ours: Any, theirs: Any, statistic: Any) -> None:
    """Compared as logarithms, at a tolerance that grows with the square of the statistic; zero is zero in both."""
    a, b, z = (np.asarray(x, dtype=float) for x in (ours, theirs, statistic))
    assert ((a == 0) == (b == 0)).all()
    gap = np.log(a[b > 0]) - np.log(b[b > 0])
    assert (np.abs(gap) <= RTOL * (1 + z[b > 0] ** 2)).all()


def tables(text: str) -> str:
    """A printed text from its first table on: the call is ours."""
    for start in ("Weighted Residuals:", "Deviance Residuals:", "Residuals:", "Coefficients:", "t test", "z test"):
        if start in text:
            return text[text.index(start) :]
    raise AssertionError(text)


@pytest.mark.parametrize("name", CASES)
def test_coefficients(name: str) -> None:
    """R: coef, summary(f)$coefficients, vcov, confint."""
    model, r = fitted(name), stored(name)
    assert list(model.coef.index) == reference.names(r["coef"])
    reference.close(model.coef, r["coef"], RTOL, se(r), "coef")
    table = reference.matrix(r["coef_table"])
    ours = model.tidy().set_index("term").loc[table.index, ["estimate", "std.error", "statistic", "p.value"]]
    reference.close(ours["estimate"], table.iloc[:, 0], RTOL, table.iloc[:, 1], "estimate")
    reference.close(ours["std.error"], table.iloc[:, 1], RTOL, 0, "std.error")
    reference.close(ours["statistic"], table.iloc[:, 2], RTOL, 1, "statistic")
    same_p_values(ours["p.value"], table.iloc[:, 3], table.iloc[:, 2])
    same_covariance(model, r["vcov"], "vcov")
    limits = reference.matrix(r["confint"])
    assert list(model.confint().columns) == list(limits.columns)
    reference.close(model.confint(), limits, RTOL, se(r)[:, None], "confint")
    aliased = [k for k, v in model.coef.items() if np.isnan(v)]
    assert aliased == ([r["aliased"]] if isinstance(r["aliased"], str) else list(r["aliased"]))


@pytest.mark.parametrize("name", CASES)
def test_fit(name: str) -> None:
    """R: summary(f), logLik, AIC, BIC, nobs, f$na.action."""
    model, r = fitted(name), stored(name)
    for ours, theirs in (
        (model.sigma, "sigma"),
        (model.r_squared, "r_squared"),
        (model.adj_r_squared, "adj_r_squared"),
        (model.loglik, "logLik"),
        (model.aic, "AIC"),
        (model.bic, "BIC"),
    ):
        reference.close(ours, r[theirs], RTOL, what=theirs)
    reference.close(model.fstatistic, r["fstatistic"], RTOL, what="fstatistic")
    assert (model.rank, model.df_residual, len(model.coef)) == tuple(r["df"])
    assert (model.df_residual, model.nobs) == (r["df_residual"], r["nobs"])
    gone = r["na_action_rows"] if isinstance(r["na_action_rows"], list) else [r["na_action_rows"]]
    assert model.dropped == len(gone)
    assert not set(model.frame.index) & {row - 1 for row in gone}


KINDS = ("const", "HC", "HC0", "HC1", "HC2", "HC3", "HC4", "HC4m", "HC5")
HC = [(n, k) for n in CASES for k in KINDS if k in reference.values(n).get("hc", reference.values(n))]
# vcovHC's "const" of a weighted fit leaves the weights out of the variance: it is not vcov(f).
HC.remove(("lm_lalonde_weighted", "const"))


@pytest.mark.parametrize(("name", "kind"), HC)
def test_heteroscedasticity_consistent(name: str, kind: str) -> None:
    """R: vcovHC(f, type = ...)."""
    theirs = stored(name).get("hc", stored(name))[kind]
    request = {"const": "classical", "HC": "HC0"}.get(kind, kind)
    same_covariance(fitted(name).with_vcov(request), theirs, kind)


@pytest.mark.parametrize(
    ("name", "key", "by"),
    [
        ("lm_cluster_panel", "vcovCL_id", "id"),
        ("lm_cluster_grunfeld", "vcovCL_firm", "firm"),
        ("lm_cluster_grunfeld", "vcovCL_year", "year"),
        ("lm_lalonde_weighted", "vcovCL_race", "race"),
    ],
)
@pytest.mark.parametrize(("kind", "request_"), [("HC0", "CR1 ~ "), ("HC1", "~"), ("HC0_noadj", "CR0 ~ ")])
def test_clustered(name: str, key: str, by: str, kind: str, request_: str) -> None:
    """R: vcovCL(f, cluster = ~by, type = ...); the default for lm is HC1 with the factor for clusters."""
    same_covariance(fitted(name).with_vcov(request_ + by), stored(name)[key][kind], f"{key} {kind}")


@pytest.mark.parametrize(
    ("key", "request_"), [("vcovCL_twoway", "~firm + year"), ("vcovCL_twoway_HC0_noadj", "CR0 ~ firm + year")]
)
def test_clustered_two_ways(key: str, request_: str) -> None:
    """R: vcovCL(f, cluster = ~firm + year)."""
    same_covariance(fitted("lm_cluster_grunfeld").with_vcov(request_), stored("lm_cluster_grunfeld")[key], key)


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR1p", "CR1S"])
@pytest.mark.parametrize("which", ["grunfeld", "ols", "wls"])
def test_club_sandwich(kind: str, which: str) -> None:
    """R: clubSandwich::vcovCR(f, cluster, type = ...)."""
    if which == "grunfeld":
        model, theirs, by = fitted("lm_cluster_grunfeld"), stored("lm_cluster_grunfeld")["clubSandwich"], "firm"
    else:
        frame = reference.data("lalonde.csv")
        frame["cl"] = frame["race"].astype(str) + " " + frame["educ"].astype(str)
        weights = "1 + educ" if which == "wls" else None
        model, by = cf.lm("re78 ~ treat + age + married", frame, weights=weights), "cl"
        theirs = stored("lm_clubsandwich_lalonde")[which]
    same_covariance(model.with_vcov(f"{kind} ~ {by}"), theirs[kind]["vcov"], kind)


@pytest.mark.parametrize(
    ("name", "key", "request_"),
    [("lm_heart_adjusted", "coeftest_HC3", "HC3"), ("lm_cluster_panel", "coeftest_cluster", "~id")],
)
def test_coeftest(name: str, key: str, request_: str) -> None:
    """R: coeftest(f, vcov. = ...): t with the residual degrees of freedom."""
    model, theirs = fitted(name).with_vcov(request_), reference.matrix(stored(name)[key])
    reference.close(model.tidy()[["estimate", "std.error", "statistic"]], theirs.iloc[:, :3], RTOL, 1e-3)
    same_p_values(model.pvalues, theirs.iloc[:, 3], theirs.iloc[:, 2])
    assert (model.tidy()["df"] == model.df_residual).all()


def test_coefci() -> None:
    """R: coefci(f, vcov. = vcovHC, type = "HC3")."""
    r = stored("lm_heart_adjusted")
    reference.close(fitted("lm_heart_adjusted").with_vcov("HC3").confint(), r["coefci_HC3"], RTOL, se(r)[:, None])


def test_rows() -> None:
    """R: hatvalues, cooks.distance, rstudent."""
    model, r = fitted("lm_heart_adjusted"), stored("lm_heart_adjusted")
    reference.close(model.hatvalues()[:10], r["hat_head"], RTOL, what="hat")
    reference.close(model.cooks_distance()[:10], r["cooks_head"], RTOL, what="cooks")
    reference.close(model.rstudent()[:10], r["rstudent_head"], RTOL, what="rstudent")


PRINTED = [(name, key) for name in CASES for key in reference.values(name) if key.startswith("printed")]


@pytest.mark.parametrize(("name", "key"), [(n, k) for n, k in PRINTED if k not in ELSEWHERE])
def test_printed(name: str, key: str) -> None:
    """R's console, from the first table on."""
    model, theirs = fitted(name), stored(name)[key]
    kind = key.removeprefix("printed_coeftest").lstrip("_")
    if key == "printed_lm":
        ours = str(model)
    elif key == "printed_summary":
        ours = str(model.summary())
    else:
        ours = str(model.with_vcov({"": "classical", "cluster": "~id"}.get(kind, kind)).coeftest())
    assert tables(ours) == tables(theirs)


@pytest.mark.parametrize("formula", reference.values("formula_safe_prediction")["models"])
def test_prediction(formula: str) -> None:
    """R: predict(f, newdata, se.fit = TRUE, interval = ...), with what poly, ns, bs, scale and cut remember."""
    values = stored("formula_safe_prediction")
    r, new = values["models"][formula], reference.table(values["newdata"])
    model = cf.lm(formula, reference.data("lalonde.csv"))
    beyond = "bs" in formula and pytest.warns(CausalFormulaWarning, match="beyond the boundary")
    scale = reference.vector(r["se_fit"])
    reference.close(model.sigma, r["residual_scale"], RTOL)
    with beyond or nullcontext():
        found = model.predict(new, se_fit=True, interval="confidence")
        wide = model.predict(new, interval="prediction")
    reference.close(found[["fit", "lwr", "upr"]], r["fit"], RTOL, scale[:, None], "confidence")
    reference.close(found["se.fit"], scale, RTOL, what="se.fit")
    reference.close(wide, r["pred_interval"], RTOL, scale[:, None], "prediction")


def test_every_stored_number_is_compared() -> None:
    """Should a case gain a key, it must be added above or given a reason."""
    keys = {key for name in CASES for key in reference.values(name)}
    assert keys - BUNDLE - TESTED == set(ELSEWHERE)
