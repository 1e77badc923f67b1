"""MatchIt: ``matchit(method = "subclass")``, then ``lm(weights = weights)``, through ``cf.fit``.

The stored cases are MatchIt 4.7.2's on lalonde; how units are moved between strata was recorded on simulated distances
(``tests/parity/r/subclass.R``). R's glm stops early, so cuts agree to its precision (1e-6); strata are identical.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from tests.parity.reference import available, close, covariance_scale, data, table, values, vector

FULL = "re78 ~ treat(treat) + adjust(age + educ + race + married + nodegree + re74 + re75)"
CASES = {
    **{f"{estimand}_{k}": {"estimand": estimand, "subclass": k} for estimand in ("ATT", "ATE", "ATC") for k in (5, 6)},
    "ATT_default": {},
    "quantiles": {"subclass": [0.2, 0.5, 0.8]},
    "min_n_0": {"subclass": 8, "min_n": 0},
}
STORED = values("matchit_subclass")
PS = 1e-6


@pytest.fixture(scope="module")
def lalonde():
    return data("lalonde.csv")


@pytest.fixture(params=CASES)
def pair(request, lalonde):
    """A fit beside what MatchIt stored of it."""
    return cf.fit(FULL, lalonde, "subclass", **CASES[request.param]), STORED[request.param]


def test_strata(pair):
    """R: m$subclass (identical), m$distance, m$q.cut, summary(m, subclass = TRUE)$qn."""
    fit, stored = pair
    assert fit.design.subclass.astype(str).tolist() == stored["subclass"]
    close(fit.design.distance, stored["distance"], PS, what="distance")
    close(fit.design.designed.strata.cuts, vector(stored["q_cut"]), PS, what="q_cut")
    counts = np.array(stored["qn"]["values"])[:2, :-1]
    np.testing.assert_array_equal(fit.design.designed.strata.counts, counts)
    assert fit.call.options.estimand == stored["estimand"]


def test_weights(pair):
    """R: m$weights and the effective sample sizes of summary(m)."""
    fit, stored = pair
    close(fit.design.weights, stored["weights"], 1e-10, what="weights")
    sizes = {row: cells for row, cells in zip(stored["nn"]["rows"], stored["nn"]["values"], strict=True)}
    close(fit.design.ess().loc["Weighted"], sizes["Matched (ESS)"], 1e-10, what="ESS")
    assert len(fit.design.matched_data()) == stored["nrow_match_data"]


def test_weighted_effect(pair):
    """R: lm(re78 ~ treat, data = match.data(m), weights = weights) with vcovHC of types HC3 and HC1."""
    fit, stored = pair
    lm = stored["att_lm"]
    for vcov in ("HC3", "HC1"):
        v = np.array(lm[vcov]["values"], dtype=float)
        again = fit.with_vcov(vcov)
        close(again.estimate, lm["coef"]["treat"], 1e-8, np.sqrt(v[1, 1]), "effect")
        close(again.std_error**2, v[1, 1], 1e-8, what=vcov)
        close(again.means().cov_params().to_numpy()[0, 0], v[0, 0], 1e-8, what=f"{vcov} of the control mean")
    assert fit.covariance.label == "HC3"
    assert fit.covariance.df == 612


def test_clustered_by_stratum(lalonde):
    """R: coeftest(f, vcov. = vcovCL, cluster = ~subclass) on match.data(m)."""
    fit = cf.fit(FULL, lalonde, "subclass")
    model = cf.lm("re78 ~ treat", fit.design.matched_data(), weights="weights", vcov="~subclass")
    lm = STORED["ATT_6"]["att_lm"]
    v = np.array(lm["CL_subclass_HC1"]["values"], dtype=float)
    close(model.cov_params().to_numpy(), v, 1e-8, covariance_scale(v), "CL")
    theirs = np.array(lm["coeftest_cl"]["values"], dtype=float)
    close(model.tvalues, theirs[:, 2], 1e-8, what="t")
    close(model.pvalues, theirs[:, 3], 1e-7, what="p")


def test_g_computation(lalonde):
    """R: avg_comparisons(lm(re78 ~ treat * (age + educ), weights = weights), vcov = "HC3", newdata = treated).

    marginaleffects takes numerical derivatives (1e-4 of the standard error) and z.
    """
    stored = table(STORED["g_comp_HC3"]).iloc[0]
    fit = cf.fit(FULL + " + outcome(age + educ)", lalonde, "subclass", interact=True, vcov=cf.HC("HC3", df=np.inf))
    row = fit.tidy().iloc[0]
    close(row["estimate"], stored["estimate"], 1e-6, stored["std.error"], "estimate")
    for name in ("std.error", "statistic", "p.value", "conf.low", "conf.high"):
        close(row[name], stored[name], 1e-4, stored["std.error"] if name.startswith("conf") else 0, name)


def test_effects_by_stratum(lalonde):
    """R: lm(re78 ~ subclass + treat:subclass - 1)."""
    fit = cf.fit(FULL, lalonde, "subclass")
    found = fit.strata().tidy()
    assert found["subclass"].tolist() == ["1", "2", "3", "4", "5", "6"]
    stored = STORED["by_subclass_coef"]
    close(found["estimate"], [stored[f"subclass{k}:treat"] for k in range(1, 7)], 1e-8, what="differences")
    cells = fit.fit.outcomes.within._cells[1]
    close(cells[:, 0], [stored[f"subclass{k}"] for k in range(1, 7)], 1e-8, what="control means")


@pytest.mark.parametrize("vcov", ["HC0", "HC1", "HC2", "HC3", "classical"])
def test_strata_have_the_variances_of_the_saturated_regression(lalonde, vcov):
    """The same sandwich through ``cf.lm`` of the saturated regression, whose parity is tested elsewhere."""
    fit = cf.fit(FULL, lalonde, "subclass", vcov=vcov)
    kept = fit.design.matched_data().assign(stratum=lambda d: "s" + d["subclass"].astype(str))
    model = cf.lm("re78 ~ stratum + treat:stratum - 1", kept, vcov=vcov)
    se = model.bse[[f"stratums{k}:treat" for k in range(1, 7)]]
    close(fit.strata().bse, se, 1e-8, what=vcov)


def test_marginal_mean_weighting(lalonde):
    """R: avg_comparisons(lm(re78 ~ treat * subclass), newdata = treated), classical standard errors and z."""
    stored = table(STORED["mmws"]).iloc[0]
    fit = cf.fit(FULL, lalonde, "subclass", estimator="stratified", vcov=cf.Classical(df=np.inf))
    close(fit.estimate, stored["estimate"], 1e-8, stored["std.error"], "estimate")
    close(fit.std_error, stored["std.error"], 1e-6, what="std.error")
    close(fit.estimate, cf.fit(FULL, lalonde, "subclass").estimate, 1e-10, what="the weighted estimator")


# -- how units are moved -------------------------------------------------------------------------------------------

MOVES = values("r_subclass")["cases"]


def ties_apart(frame):
    """Whether units of one arm and one score are in different strata."""
    return bool((frame.groupby(["a", "ps"])["k"].nunique(dropna=False) > 1).any())


def test_most_cases_of_matchit_have_no_ties_apart():
    apart = [ties_apart(pd.DataFrame({"a": c["a"], "ps": c["ps"], "k": c["strata"]})) for c in MOVES if c["strata"]]
    assert sum(apart) <= 0.15 * len(MOVES)


@pytest.mark.parametrize("number", range(len(MOVES)))
def test_units_are_moved_as_by_matchit(number):
    """R: matchit(a ~ ps, method = "subclass", distance = ps, ...): subclass and weights, or an error."""
    case = MOVES[number]
    frame = pd.DataFrame({"a": case["a"], "ps": case["ps"], "y": np.arange(len(case["a"]), dtype=float)})
    options = {"subclass": case["subclass"], "min_n": case["min_n"], "estimand": case["estimand"], "distance": "ps"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        if case["strata"] is None:
            with pytest.raises(cf.DataError, match="too few"):
                cf.fit("y ~ treat(a)", frame, "subclass", **options)
            return
        fit = cf.fit("y ~ treat(a)", frame, "subclass", **options)
    ours = [None if pd.isna(k) else int(k) for k in fit.design.subclass]
    if ties_apart(frame.assign(k=case["strata"])):
        # MatchIt chose among units of one score by the order of rows; here they stay together
        assert not ties_apart(frame.assign(k=ours))
        return
    assert ours == case["strata"]
    close(fit.design.weights, case["weights"], 1e-10, what="weights")


# -- the IHDP benchmark --------------------------------------------------------------------------------------------

TRUE_ATE = 4.016


@pytest.mark.parametrize("method", ["ipw", "subclass"])
def test_ihdp(method):
    """Hill's simulated trial, in which the average effect is known: within two standard errors of it."""
    if not available("ihdp_npci_1.csv"):
        pytest.skip("ihdp_npci_1.csv is not shipped with the package (licence) and ../shared/reference is absent")
    ihdp = data("ihdp_npci_1.csv")
    confounders = " + ".join(f"x{k}" for k in range(1, 26))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        fit = cf.fit(f"y_factual ~ treat(treatment) + adjust({confounders})", ihdp, method, estimand="ATE")
    truth = (ihdp["mu1"] - ihdp["mu0"]).mean()
    close(truth, TRUE_ATE, 1e-3, what="the truth")
    print(f"{method}: {fit.estimate:.3f} (s.e. {fit.std_error:.3f}); the truth is {truth:.3f}")
    assert abs(fit.estimate - truth) < 2 * fit.std_error
    assert abs(fit.estimate - truth) < 0.3
