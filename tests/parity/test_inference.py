"""Covariances of fitted arrays against sandwich, clubSandwich and estimatr: matrices and degrees of freedom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causalformula.inference.covariance import Covariance, covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear
from causalformula.inference.regression import FittedRegression
from causalformula.inference.requests import HAC, HAC_KERNELS, HC, Classical, Cluster, DriscollKraay, Request
from causalformula.inference.sandwich.hac import andrews, newey_west, prewhitened
from causalformula.numerics.families import family
from causalformula.results.reading.reading import two_sided
from tests.parity import reference

CR = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")


def codes(*columns: Any) -> np.ndarray:
    return pd.factorize(pd.MultiIndex.from_arrays(columns), sort=True)[0].astype(np.intp)


def columns(frame: pd.DataFrame, names: str) -> np.ndarray:
    """A column of ones and numeric columns; ``race`` stands for its two dummies, ``a:b`` for a product."""
    out = [np.ones(len(frame))]
    for name in names.split():
        if name == "race":
            out += [(frame["race"] == level).to_numpy(dtype=float) for level in ("hispan", "white")]
        else:
            out.append(np.prod([frame[part].to_numpy(dtype=float) for part in name.split(":")], axis=0))
    return np.column_stack(out)


def linear(frame: pd.DataFrame, y: str, names: str, weights: np.ndarray | None = None) -> FittedRegression:
    X = columns(frame, names)
    labels = ("(Intercept)", *(f"x{k}" for k in range(1, X.shape[1])))
    return fit_linear(X, frame[y].to_numpy(dtype=float), labels, weights=weights)


def cov(fitted: FittedRegression, request: Request, **groups: np.ndarray) -> Covariance:
    evidence = Influence((fitted.stage(),), np.eye(fitted.rank), len(fitted.y), rooted=True)
    return covariance(Estimate(fitted.kept_names, fitted.theta, evidence), request, groups=groups)


def same_matrix(found: Covariance, stored: dict, rtol: float = 1e-8) -> None:
    reference.close(found.matrix, stored, rtol, scale=reference.covariance_scale(stored), what=found.label)


def lalonde() -> pd.DataFrame:
    d = reference.data("lalonde.csv")
    d["cl"] = codes(d["race"].astype(str), d["educ"])
    return d


# -- sandwich ----------------------------------------------------------------------------------------------------------

LINEAR = {
    "lm_heart_unadjusted": ("heart.csv", "Severity", "Drug", None),
    "lm_heart_adjusted": ("heart.csv", "Severity", "Drug I.H", None),
    "lm_heart_interaction": ("heart.csv", "Severity", "Drug I.H Drug:I.H", None),
    "lm_lalonde_full": ("lalonde.csv", "re78", "treat age educ race married nodegree re74 re75", None),
    "lm_lalonde_weighted": (
        "lalonde.csv",
        "re78",
        "treat age race",
        lambda d: np.where(d["treat"] == 1, 1, 0.25 + d["age"] / 50),
    ),
}


@pytest.mark.parametrize("kind", ["HC", "HC0", "HC1", "HC2", "HC3", "HC4", "HC4m", "HC5"])
@pytest.mark.parametrize("name", LINEAR)
def test_heteroscedasticity_consistent(name: str, kind: str) -> None:
    """R: vcovHC(f, type = kind)."""
    stored = reference.values(name)
    file, y, names, weights = LINEAR[name]
    d = reference.data(file)
    fitted = linear(d, y, names, None if weights is None else np.asarray(weights(d), dtype=float))
    found = cov(fitted, HC("HC0" if kind == "HC" else kind))
    same_matrix(found, stored["hc"][kind])
    assert (found.df == stored["df_residual"]).all()


@pytest.mark.parametrize("by", ["firm", "year"])
def test_one_way_clusters(by: str) -> None:
    """R: vcovCL(f, cluster = ~by, type = c("HC0", "HC1", "HC2", "HC3")), with and without cadjust."""
    d = reference.data("Grunfeld.csv")
    fitted = linear(d, "inv", "value capital")
    stored = reference.values("lm_cluster_grunfeld")[f"vcovCL_{by}"]
    g = codes(d[by])
    same_matrix(cov(fitted, Cluster(by), **{by: g}), stored["HC1"])
    same_matrix(cov(fitted, Cluster(by, type="CR1"), **{by: g}), stored["HC0"])
    same_matrix(cov(fitted, Cluster(by, type="CR0"), **{by: g}), stored["HC0_noadj"])
    # vcovCL's HC2 and HC3 are the adjustments by whole clusters, CR2 and CR3
    same_matrix(cov(fitted, Cluster(by, type="CR2"), **{by: g}), stored["HC2"])
    same_matrix(cov(fitted, Cluster(by, type="CR3"), **{by: g}), stored["HC3"])


def test_two_way_clusters() -> None:
    """R: vcovCL(f, cluster = ~ firm + year), and with type = "HC0", cadjust = FALSE."""
    d = reference.data("Grunfeld.csv")
    fitted = linear(d, "inv", "value capital")
    r = reference.values("lm_cluster_grunfeld")
    groups = {"firm": codes(d["firm"]), "year": codes(d["year"])}
    same_matrix(cov(fitted, Cluster(("firm", "year")), **groups), r["vcovCL_twoway"])
    same_matrix(cov(fitted, Cluster(("firm", "year"), type="CR0"), **groups), r["vcovCL_twoway_HC0_noadj"])


def test_clusters_of_a_panel() -> None:
    """R: vcovCL(lm(Severity ~ Drug * Post + Quality_of_Care), cluster = ~id)."""
    d = reference.data("did_panel.csv")
    fitted = linear(d, "Severity", "Drug Post Quality_of_Care Drug:Post")
    r = reference.values("lm_cluster_panel")["vcovCL_id"]
    for kind, request in (("HC0", "CR1"), ("HC1", None), ("HC0_noadj", "CR0")):
        same_matrix(cov(fitted, Cluster("id", type=request), id=codes(d["id"])), r[kind])


HACS = {
    "NeweyWest": HAC(),
    "NeweyWest_lag3_noprewhite": HAC(lag=3, prewhite=False),
    "NeweyWest_lag3_adjust": HAC(lag=3, prewhite=False, adjust=True),
    "NeweyWest_lag2_prewhite": HAC(lag=2),
    "vcovHAC": HAC("Andrews", prewhite=False),
    "kernHAC": HAC("Andrews"),
}


@pytest.mark.parametrize("name", HACS)
@pytest.mark.parametrize("shuffled", [False, True])
def test_serial_correlation(name: str, shuffled: bool) -> None:
    """R: NeweyWest(f, ...), vcovHAC(f), kernHAC(f), on firm 1; in any row order with order_by=."""
    d = reference.data("Grunfeld.csv").query("firm == 1")
    request = HACS[name]
    if shuffled:
        d = d.sample(frac=1, random_state=3)
        request = HAC(**{**{k: getattr(request, k) for k in ("type", "lag", "prewhite", "adjust")}, "order_by": "year"})
    found = cov(linear(d, "inv", "value capital"), request, year=codes(d["year"]))
    same_matrix(found, reference.values("lm_hac")[name])
    assert (found.df == 17).all()


def test_automatic_bandwidths() -> None:
    """R: bwNeweyWest(f), bwAndrews(f)."""
    d = reference.data("Grunfeld.csv").query("firm == 1")
    r = reference.values("lm_hac")
    stage = linear(d, "inv", "value capital").stage()
    U, _ = prewhitened(stage.project(np.eye(3)), True)
    counted = np.array([0.0, 1.0, 1.0])
    reference.close(newey_west(U, counted, len(d), True), r["bwNeweyWest"])
    reference.close(andrews(U, counted, "QuadraticSpectral"), r["bwAndrews"])


def test_driscoll_kraay() -> None:
    """R: vcovPL(f, cluster = ~ firm, order.by = ~year)."""
    d = reference.data("Grunfeld.csv")
    found = cov(linear(d, "inv", "value capital"), DriscollKraay("year"), year=codes(d["year"]))
    same_matrix(found, reference.values("lm_cluster_grunfeld")["vcovPL"])
    assert found.label == "Driscoll-Kraay (20 periods of year, lag 2)"


# -- clubSandwich ------------------------------------------------------------------------------------------------------


def compare_club(fitted: FittedRegression, g: np.ndarray, stored: dict, type_: str) -> None:
    found = cov(fitted, Cluster("cl", type=type_), cl=g)
    same_matrix(found, stored["vcov"])
    table = stored["coef_test"]["columns"]
    reference.close(fitted.theta, table["beta"], scale=found.std_error)
    reference.close(found.std_error, table["SE"])
    count = int(g.max()) + 1
    naive = cov(fitted, Cluster("cl", type=type_, df=count - 1), cl=g)
    assert (naive.df == table["df_t"][0]).all()
    t = fitted.theta / naive.std_error
    reference.close(t, table["tstat"], scale=1)
    p, size = np.log(table["p_t"]), 1 + t**2
    assert (np.abs(np.log(two_sided(t, naive.df)) - p) <= 1e-8 * size).all()
    if type_ in ("CR2", "CR3"):
        reference.close(found.df, table["df_Satt"], what=f"Satterthwaite df of {type_}")
        assert (np.abs(np.log(two_sided(t, found.df)) - np.log(table["p_Satt"])) <= 1e-8 * size).all()
    else:
        # clubSandwich has Satterthwaite's for these too; coeftest, which is followed here, has the residual ones
        assert (found.df == fitted.hat.df_residual).all()


@pytest.mark.parametrize("type_", CR)
@pytest.mark.parametrize("weighted", [False, True], ids=["ols", "wls"])
def test_club_sandwich_on_lalonde(weighted: bool, type_: str) -> None:
    """R: vcovCR(f, cluster = paste(race, educ), type = type_); coef_test(test = c("Satterthwaite", "naive-t"))."""
    d = lalonde()
    weights = 1 + d["educ"].to_numpy(dtype=float) if weighted else None
    fitted = linear(d, "re78", "treat age married", weights)
    stored = reference.values("lm_clubsandwich_lalonde")["wls" if weighted else "ols"][type_]
    compare_club(fitted, d["cl"].to_numpy(), stored, type_)


@pytest.mark.parametrize("type_", CR)
def test_club_sandwich_on_grunfeld(type_: str) -> None:
    """R: vcovCR(lm(inv ~ value + capital), cluster = firm, type = type_)."""
    d = reference.data("Grunfeld.csv")
    stored = reference.values("lm_cluster_grunfeld")["clubSandwich"][type_]
    compare_club(linear(d, "inv", "value capital"), codes(d["firm"]), stored, type_)


def glm(name: str) -> tuple[FittedRegression, np.ndarray, dict]:
    """R's IRLS fits, whose last iteration's weights R's covariances use."""
    d = lalonde()
    if name == "glm_logit_outcome":
        y, X = (d["re78"] > 0).to_numpy(dtype=float), columns(d, "treat age race re74 treat:age")
        fam, r = family("binomial"), reference.values(name)
    else:
        y, X = np.round(d["re78"].to_numpy() / 2000), columns(d, "treat age educ race")
        fam, r = family("poisson"), reference.values(name)["poisson"]
    labels = ("(Intercept)", *(f"x{k}" for k in range(1, X.shape[1])))
    return fit_glm(X, y, labels, fam), d["cl"].to_numpy(), r


@pytest.mark.parametrize("name", ["glm_logit_outcome", "glm_poisson"])
@pytest.mark.parametrize(
    ("key", "request_"),
    [
        ("HC0", HC("HC0")),
        ("HC1", HC("HC1")),
        ("HC2", HC("HC2")),
        ("HC3", HC("HC3")),
        ("HC4", HC("HC4")),
        ("sandwich", HC("HC0")),
        ("CL_HC0", Cluster("cl")),
        ("CL_HC1", Cluster("cl", type="CR1S")),
    ],
)
def test_generalised_linear_models(name: str, key: str, request_: Request) -> None:
    """R: vcovHC, sandwich and vcovCL of a glm; z statistics."""
    fitted, g, r = glm(name)
    found = cov(fitted, request_, cl=g)
    same_matrix(found, r["robust"][key])
    assert np.isinf(found.df).all()


@pytest.mark.parametrize("name", ["glm_logit_outcome", "glm_poisson"])
@pytest.mark.parametrize("key", ["CR0", "CR1S", "CR2"])
def test_club_sandwich_of_generalised_linear_models(name: str, key: str) -> None:
    """R: vcovCR(f, cluster = paste(race, educ), type = key) of a glm.

    R's fit stops before its solution, and clubSandwich then pairs the solution's scores with the last iteration's bread
    where sandwich takes both from the last iteration; so it is paired here. CR2 differs still, by what the bread is not
    the inverse of the solution's information: its exact comparison is ``test_adjusted_clusters``, on converged fits.
    """
    fitted, g, r = glm(name)
    slope = fitted.family.mu_eta(fitted.eta)
    solution = replace(fitted.hat, w=slope**2 / fitted.family.variance(fitted.mu))
    found = cov(replace(fitted, hat=solution), Cluster("cl", type=key), cl=g)
    same_matrix(found, r["robust"][key], 1e-8 if key != "CR2" else 3e-5)
    if key == "CR2":
        assert ((found.df > 1) & (found.df < g.max() + 1)).all()
    else:
        assert np.isinf(found.df).all()


# -- values of our own from R ------------------------------------------------------------------------------------------


def panel() -> pd.DataFrame:
    """As in r/covariances.R."""
    d = reference.data("did_panel.csv").iloc[:300].copy()
    i = np.arange(300)
    d["g"] = (i + 5 * (i % 4 == 0)) // 17
    d["three"], d["w"], d["t"] = i % 3, 1 + (i % 5) / 4, i % 25
    d["second"], d["third"] = d["three"] == 1, d["three"] == 2
    d["y"], d["k"] = ((i * 37) % 11 + 2 * d["Drug"] > 6) * 1, np.round(d["Severity"] / 10)
    return d


FULL = "Drug Post I.H Drug:Post"
FITS: dict[str, tuple[str, str, str | None, bool]] = {
    "lm": ("Severity", FULL, None, False),
    "lm_weighted": ("Severity", FULL, None, True),
    "logit": ("y", FULL, "binomial", False),
    "probit": ("y", FULL, "binomial(link = 'probit')", False),
    "cloglog": ("y", "Drug Post", "binomial(link = 'cloglog')", False),
    "poisson_weighted": ("k", FULL, "poisson", True),
    "gamma_log": ("Severity", "Drug Post I.H", "Gamma(link = 'log')", False),
    "gaussian_weighted": ("Severity", "Drug Post I.H", "gaussian", True),
}


def converged(d: pd.DataFrame, y: str, names: str, fam: str | None, weighted: bool) -> FittedRegression:
    weights = d["w"].to_numpy(dtype=float) if weighted else None
    if fam is None:
        return linear(d, y, names, weights)
    X = columns(d, names)
    labels = ("(Intercept)", *(f"x{k}" for k in range(1, X.shape[1])))
    return fit_glm(X, d[y].to_numpy(dtype=float), labels, family(fam), weights=weights, to_zero=True)


def compare_adjusted(fitted: FittedRegression, g: np.ndarray, stored: dict, type_: str, rtol: float) -> None:
    found = cov(fitted, Cluster("g", type=type_), g=g)
    V = np.array(stored["vcov"])
    reference.close(found.matrix, V, rtol, scale=reference.covariance_scale(V))
    if type_ in ("CR2", "CR3"):
        reference.close(found.df, stored["df"], rtol)


@pytest.mark.parametrize("type_", ["CR0", "CR1S", "CR2", "CR3"])
@pytest.mark.parametrize("name", FITS)
def test_adjusted_clusters(name: str, type_: str) -> None:
    """R: vcovCR(f, cluster = g, type = type_); coef_test(f, v)$df."""
    d = panel()
    # with a link that is not canonical Fisher scoring ends some digits short of machine precision, at any epsilon
    rtol = 1e-6 if name in ("probit", "cloglog", "gamma_log") else 1e-8
    stored = reference.values("r_covariances")["clusters"][name][type_]
    compare_adjusted(converged(d, *FITS[name]), codes(d["g"]), stored, type_, rtol)


@pytest.mark.parametrize("name", ["lm", "lm_weighted", "logit"])
def test_clusters_with_dummies_of_their_own(name: str) -> None:
    """R: vcovCR(f, cluster = three, type = "CR2"), where factor(three) is in the model."""
    d = panel()
    y, _, fam, weighted = FITS[name]
    stored = reference.values("r_covariances")["absorbed"][name]["CR2"]
    compare_adjusted(converged(d, y, "second third Drug Post", fam, weighted), codes(d["three"]), stored, "CR2", 1e-8)


def serial_requests() -> dict[str, HAC]:
    found = {"NeweyWest": HAC(), "NeweyWest_plain": HAC(prewhite=False), "NeweyWest_5": HAC(lag=5)}
    for kernel in HAC_KERNELS:
        found[f"{kernel}_white"] = HAC("Andrews", kernel=kernel)
        found[f"{kernel}_plain"] = HAC("Andrews", kernel=kernel, prewhite=False)
        found[f"{kernel}_fixed"] = HAC("Andrews", kernel=kernel, prewhite=False, bandwidth=3.7, adjust=False)
    return found


@pytest.mark.parametrize("name", serial_requests())
def test_every_kernel(name: str) -> None:
    """R: NeweyWest(f, ...), kernHAC(f, kernel = , prewhite = , bw = , adjust = )."""
    h = reference.data("heart.csv").iloc[:83]
    found = cov(linear(h, "Severity", "Drug I.H"), serial_requests()[name])
    V = np.array(reference.values("r_covariances")["serial"][name])
    reference.close(found.matrix, V, scale=reference.covariance_scale(V))


@pytest.mark.parametrize("name", ["NeweyWest", "Andrews"])
def test_serial_correlation_of_a_logit(name: str) -> None:
    """R: NeweyWest(g), kernHAC(g)."""
    h = reference.data("heart.csv").iloc[:83].copy()
    h["y"], h["w"] = (h["Severity"] > 50) * 1, 1.0
    found = cov(converged(h, "y", "Drug", "binomial", False), HAC(name))
    V = np.array(reference.values("r_covariances")["serial"][f"{name}_logit"])
    reference.close(found.matrix, V, scale=reference.covariance_scale(V))


@pytest.mark.parametrize("name", [k for k in serial_requests() if not k.endswith(("fixed", "5"))])
def test_every_bandwidth(name: str) -> None:
    """R: bwNeweyWest(f, prewhite = ), bwAndrews(f, kernel = , prewhite = )."""
    h = reference.data("heart.csv").iloc[:83]
    request, counted = serial_requests()[name], np.array([0.0, 1.0, 1.0])
    U, _ = prewhitened(linear(h, "Severity", "Drug I.H").stage().project(np.eye(3)), request.whitens)
    if request.type == "NeweyWest":
        found = newey_west(U, counted, 83, request.whitens)
    else:
        found = andrews(U, counted, request.kernel)
    reference.close(found, reference.values("r_covariances")["bandwidths"][name])


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("default", DriscollKraay("t")),
        ("lag4", DriscollKraay("t", 4)),
        ("unadjusted", DriscollKraay("t", 4, adjust=False)),
    ],
)
def test_panels(name: str, request_: DriscollKraay) -> None:
    """R: vcovPL(m, cluster = id, order.by = t, lag = , adjust = )."""
    d = panel()
    found = cov(linear(d, "Severity", "Drug Post Drug:Post"), request_, t=codes(d["t"]))
    V = np.array(reference.values("r_covariances")["panel"][name])
    reference.close(found.matrix, V, scale=reference.covariance_scale(V))


# -- estimatr ----------------------------------------------------------------------------------------------------------

ROBUST: dict[str, tuple[str, Request, bool]] = {
    "classical": ("treat age educ married", Classical(), False),
    "HC0": ("treat age educ married", HC("HC0"), False),
    "HC1": ("treat age educ married", HC("HC1"), False),
    "HC2": ("treat age educ married", HC("HC2"), False),
    "HC3": ("treat age educ married", HC("HC3"), False),
    "stata": ("treat age educ married", HC("HC1"), False),
    "cluster_CR0": ("treat age educ married", Cluster("cl", type="CR0", df=47), False),
    "cluster_CR2": ("treat age educ married", Cluster("cl", type="CR2"), False),
    "cluster_stata": ("treat age educ married", Cluster("cl", type="CR1S", df=47), False),
    "weighted_HC2": ("treat age educ married", HC("HC2"), True),
    "weighted_CR2": ("treat age educ married", Cluster("cl", type="CR2"), True),
    "fixed_effects_HC1": ("treat age race", HC("HC1"), False),
    "fixed_effects_HC2": ("treat age race", HC("HC2"), False),
    "fixed_effects_CR2": ("treat age race", Cluster("cl", type="CR2"), False),
}


@pytest.mark.parametrize("name", ROBUST)
def test_estimatr_lm_robust(name: str) -> None:
    """R: lm_robust(re78 ~ ..., se_type = , clusters = , weights = , fixed_effects = )."""
    names, request, weighted = ROBUST[name]
    d = lalonde()
    r = reference.values("estimatr_lm_robust")[name]
    fitted = linear(d, "re78", names, 1 + d["educ"].to_numpy(dtype=float) if weighted else None)
    if request.df is not None:
        assert request.df == reference.vector(r["df"])[0]
    found = cov(fitted, request, cl=d["cl"].to_numpy())
    kept = slice(1, 3) if name.startswith("fixed") else slice(None)
    reference.close(fitted.theta[kept], r["coef"], scale=found.std_error[kept])
    reference.close(found.std_error[kept], r["std_error"])
    reference.close(found.df[kept], r["df"], what="df")
    p = two_sided(fitted.theta / found.std_error, found.df)[kept]
    assert (np.abs(np.log(p) - np.log(reference.vector(r["p_value"]))) <= 1e-7).all()
