"""WeightIt 1.4.0: ``weightit()``, then ``lm_weightit()`` or ``glm_weightit()``, through ``cf.fit``.

R's glm stops early, so weights and estimates agree to its own precision (1e-6 for canonical links, 1e-3 of a standard
error otherwise) and standard errors to 1e-4; the multinomial logit that WeightIt calls stops earlier still.
WeightIt always uses z.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import causalformula as cf
from causalformula.backends.weighting.effect import weighted_fit
from causalformula.backends.weighting.energy import distance_columns
from causalformula.backends.weighting.weights import Weighting
from causalformula.errors import CausalFormulaWarning
from causalformula.frame.parts import PROPENSITY
from causalformula.inference.covariance import covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.request_text import read_request
from causalformula.numerics.energy import scaled_distances
from causalformula.numerics.moments import Moments, minimize_moments
from tests.parity.reference import close, covariance_scale, data, matrix, table, values, vector

FULL = "re78 ~ treat(treat) + adjust(age + educ + race + married + nodegree + re74 + re75)"
RACE = "re78 ~ treat(race) + adjust(age + educ + married + re74)"
DOSE = "re78 ~ treat(re75) + adjust(age + educ + race + married + re74)"
# Relative tolerance of weights and estimates (in standard errors), and of standard errors.
LOGIT, SE = 1e-6, 1e-4


@pytest.fixture(scope="module")
def lalonde():
    d = data("lalonde.csv")
    d["y"] = (d["re78"] > 0).astype(int)
    d["id"] = range(len(d))
    return d


@pytest.fixture(autouse=True)
def quiet():
    """Trimmed and discarded rows are warned of; numbers are what is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        yield


def coefficients(fit, vcov=None):
    """The weighted outcome model's coefficients with their covariance, as ``lm_weightit`` reports them."""
    stages = fit.answer.estimate.evidence.stages
    size, total = stages[-1].size, sum(s.size for s in stages)
    jac = np.hstack([np.zeros((size, total - size)), np.eye(size)])
    estimate = Estimate(stages[-1].names, stages[-1].theta, Influence(stages, jac, fit.call.frame.n, rooted=True))
    request = fit.covariance.request if vcov is None else read_request(vcov)
    names = getattr(request, "by", ())
    return estimate, covariance(estimate, request, groups={g: fit.call.frame.groups(g).codes for g in names})


def agrees(fit, stored, rtol, vcov=None, se_rtol=SE):
    """All coefficients and their covariance, in R's order, against a stored ``lw()`` bundle."""
    estimate, found = coefficients(fit, vcov)
    theirs = dict(stored["coef"])
    order = [list(estimate.names).index(spelled(name, estimate.names)) for name in theirs]
    v = np.array(stored["vcov"]["values"], dtype=float)
    close(estimate.theta[order], vector(stored["coef"]), rtol, np.sqrt(np.diag(v)), "coefficients")
    close(found.matrix[np.ix_(order, order)], v, 2 * se_rtol, covariance_scale(v), "covariance")
    assert np.isinf(found.df).all()


def spelled(name, names):
    """R's interaction in whichever order this formula gives."""
    return name if name in names else ":".join(reversed(name.split(":")))


def same_weights(fit, stored, rtol):
    close(fit.design.weights.to_numpy(), vector(stored["weights"]), rtol, 1, "weights")
    if stored.get("ps") is not None:
        close(fit.design.distance.to_numpy(), vector(stored["ps"]), rtol, what="propensity scores")


# -- propensity weights of a binary treatment ----------------------------------------------------------------------

ESTIMANDS = ["ATE", "ATT", "ATC", "ATO", "ATM", "ATOS"]


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_glm_weights_and_effect(lalonde, estimand):
    """R: weightit(method = "glm", estimand = ...), lm_weightit(re78 ~ treat), vcov "asympt" and "HC0"."""
    stored = values(f"weightit_glm_{estimand}")
    fit = cf.fit(FULL, lalonde, "ipw", estimand=estimand)
    same_weights(fit, stored, LOGIT)
    agrees(fit, stored["effects"]["asympt"], LOGIT)
    agrees(fit, stored["effects"]["HC0"], LOGIT, "HC0")
    close(fit.estimate, stored["effects"]["asympt"]["coef"]["treat"], LOGIT, fit.std_error, "effect")


@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize("key", ["effects_adjusted", "effects_gcomp_fit"])
def test_glm_outcome_models(lalonde, estimand, key):
    """R: lm_weightit(re78 ~ treat + age + educ + race) and lm_weightit(re78 ~ treat * (age + educ))."""
    interact = key == "effects_gcomp_fit"
    formula = FULL + (" + outcome(age + educ)" if interact else " + outcome(age + educ + race)")
    fit = cf.fit(formula, lalonde, "ipw", estimand=estimand, interact=interact)
    agrees(fit, values(f"weightit_glm_{estimand}")[key], LOGIT)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_weights_from_given_scores(lalonde, estimand):
    """R: get_w_from_ps(W$ps, treat, estimand), which are W$weights."""
    stored = values(f"weightit_glm_{estimand}")
    scored = lalonde.assign(score=vector(stored["ps"]))
    found = cf.design("~ treat(treat)", scored, "ipw", ps="score", estimand=estimand)
    close(found.weights, vector(stored["weights"]), 1e-8, what=estimand)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_survey_standard_errors(lalonde, estimand):
    """R: svyglm(re78 ~ treat, svydesign(weights = W)): HC0 times n / (n - 1); vcovHC(lm) on the given weights."""
    stored = values(f"weightit_glm_{estimand}")["effects"]
    fit = cf.fit(FULL, lalonde, "ipw", estimand=estimand)
    n = 614
    _, hc0 = coefficients(fit, "HC0")
    v = np.array(stored["svyglm"]["vcov"]["values"], dtype=float)
    close(hc0.matrix * n / (n - 1), v, 1e-6, covariance_scale(v), "svyglm")
    for kind in ("HC1", "HC3"):
        _, found = coefficients(fit, cf.HC(kind, weights="fixed"))
        v = np.array(stored["lm_HC"][kind]["values"], dtype=float)
        close(found.matrix, v, 2 * SE, covariance_scale(v), kind)


@pytest.mark.parametrize("link", ["probit", "cloglog", "cauchit"])
def test_glm_links(lalonde, link):
    """R: weightit(method = "glm", link = ..., estimand = "ATT"). R's IRLS stops early on these links."""
    stored = values("weightit_glm_links")[link]
    fit = cf.fit("re78 ~ treat(treat) + adjust(age + educ + race + married)", lalonde, "ipw", estimand="ATT", link=link)
    same_weights(fit, stored, 1e-3)
    agrees(fit, stored["effects"]["asympt"], 1e-3)
    agrees(fit, stored["effects"]["HC0"], 1e-3, "HC0")


def test_sampling_weights(lalonde):
    """R: weightit(s.weights = "educ")."""
    stored = values("weightit_glm_links")["s_weights"]
    fit = cf.fit("re78 ~ treat(treat) + adjust(age + educ + race + married) + weights(educ)", lalonde, "ipw")
    same_weights(fit, stored, LOGIT)
    agrees(fit, stored["effects"], LOGIT)


def test_by(lalonde):
    """R: weightit(by = ~ married). R's two logits stop 5e-6 early."""
    stored = values("weightit_glm_links")["by"]
    fit = cf.fit("re78 ~ treat(treat) + adjust(age + educ + race + married)", lalonde, "ipw", by="married")
    same_weights(fit, stored, 1e-5)


def test_stabilized(lalonde):
    """R: weightit(stabilize = TRUE)."""
    stored = values("weightit_glm_stabilize_trim")["stabilized"]
    fit = cf.fit(FULL, lalonde, "ipw", stabilize=True)
    same_weights(fit, stored, LOGIT)
    agrees(fit, stored["effects"]["asympt"], LOGIT)


TRIMMED = {
    "trim99": {"trim": 0.99},
    "trim95_lower": {"trim": 0.95, "trim_lower": True},
    "trim_att_99": {"trim": 0.99, "estimand": "ATT"},
    "trim_att_5": {"trim": 5, "estimand": "ATT"},
}


@pytest.mark.parametrize("key", TRIMMED)
def test_trimmed_weights(lalonde, key):
    """R: trim(W, at = .99), at = .95 with lower = TRUE, at = 5."""
    same_weights(cf.fit(FULL, lalonde, "ipw", **TRIMMED[key]), values("weightit_glm_stabilize_trim")[key], LOGIT)


def test_trimmed_effect(lalonde):
    """R: lm_weightit(trim(W, at = .99)).

    A departure: R differentiates the weights as if they had not been trimmed; here a capped weight moves with the row
    whose weight is the limit, which is the derivative of what was computed. With R's derivatives the result is R's.
    """
    stored = values("weightit_glm_stabilize_trim")["trim99_effects"]
    fit = cf.fit(FULL, lalonde, "ipw", trim=0.99)
    agrees(fit, stored["HC0"], LOGIT, "HC0")
    made = fit.design.designed
    whole = cf.fit(FULL, lalonde, "ipw").design.designed
    held = Weighting(made.weights, stages=whole.stages, dw=whole.dw)
    theirs = weighted_fit(fit.call.frame, held, fit.call.options).estimate
    r = np.sqrt(stored["asympt"]["vcov"]["values"][1][1])
    close(covariance(theirs, cf.Asympt()).std_error[0], r, LOGIT, what="with R's derivatives")
    assert 1e-4 < abs(fit.std_error / r - 1) < 2e-3


# -- balancing weights ---------------------------------------------------------------------------------------------

BALANCING = [(m, e) for m in ("ebal", "ipt", "cbps") for e in ("ATE", "ATT", "ATC")] + [("cbps", "ATO")]


@pytest.mark.parametrize(("method", "estimand"), BALANCING)
def test_balancing_weights(lalonde, method, estimand):
    """R: weightit(method = "ebal" / "ipt" / "cbps"), lm_weightit(re78 ~ treat)."""
    stored = values(f"weightit_{method}")[estimand]
    fit = cf.fit(FULL, lalonde, method, estimand=estimand)
    same_weights(fit, stored, 1e-4)
    agrees(fit, stored["effects"]["HC0"], 1e-4, "HC0")
    if method != "ebal":
        agrees(fit, stored["effects"]["asympt"], 1e-4)


@pytest.mark.parametrize("estimand", ["ATT", "ATC"])
def test_ebal_standard_error_includes_the_target(lalonde, estimand):
    """A departure: WeightIt 1.4.0 holds the target's means fixed (780.88 for the ATT); we do not, as its ipt."""
    ours = cf.fit(FULL, lalonde, "ebal", estimand=estimand).std_error
    for method in ("cbps", "ipt"):
        stored = values(f"weightit_{method}")[estimand]["effects"]["asympt"]["vcov"]["values"]
        close(ours, np.sqrt(stored[1][1]), 1e-5, what=method)
    if estimand == "ATT":
        close(ours, 789.7448001274344, 1e-6, what="the reference's README, item 22")


def test_ebal_moments(lalonde):
    """R: weightit(method = "ebal", moments = 2), and with int = TRUE."""
    stored = values("weightit_ebal")
    fit = cf.fit("re78 ~ treat(treat) + adjust(age + educ + re74)", lalonde, "ebal", estimand="ATT", moments=2)
    same_weights(fit, stored["ATT_moments2"], 1e-4)
    agrees(fit, stored["ATT_moments2"]["effects"]["HC0"], 1e-4, "HC0")
    fit = cf.fit("re78 ~ treat(treat) + adjust(age + educ)", lalonde, cf.Ebal(estimand="ATT", moments=2, int=True))
    same_weights(fit, stored["ATT_moments2_int_age_educ"], 1e-4)


def test_cbps_over_identified(lalonde):
    """R: weightit(method = "cbps", over = TRUE), ATE."""
    same_weights(cf.fit(FULL, lalonde, "cbps", over=True), values("weightit_cbps")["ATE_over"], 1e-4)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_cbps_package(lalonde, estimand):
    """R: CBPS 0.23, CBPS(method = "exact", ATT = 0, 1), at the reference's 1e-2 (its optimiser stops early).

    Its ATC did not converge (convergence code 1), with differences of up to 0.02 standard deviations left: below.
    """
    stored = values("CBPS_package")[f"{estimand}_exact"]
    assert stored["converged"] == 0
    fit = cf.fit(FULL, lalonde, "cbps", estimand=estimand)
    (stage,) = fit.design.designed.stages
    theirs = vector(stored["coef"])
    close(stage.theta, theirs, 1e-2, np.abs(theirs), "coefficients")
    close(fit.design.distance[:10], vector(stored["fitted_head"]), 1e-2, what="propensity scores")
    w, treated = fit.design.weights.to_numpy(), lalonde["treat"].to_numpy()
    shares = w / np.where(treated == 1, w[treated == 1].sum(), w[treated == 0].sum())
    close(shares[:10], vector(stored["weights_head"]), 1e-2, what="weights")


def imbalance(frame, coef):
    """Largest difference of the weighted arms' sums for the ATC, in standard deviations over the sample's size."""
    Z, codes = frame.design(PROPENSITY).X, frame.the_treatment.codes
    p = 1 / (1 + np.exp(-Z @ coef))
    signed = np.where(codes == 1, (1 - p) / p, -1.0)
    return np.abs(signed @ Z / len(Z) / np.append(1, Z[:, 1:].std(axis=0))).max()


def test_cbps_package_atc_is_not_balanced(lalonde):
    """R: CBPS::CBPS(method = "exact", ATT = 2), which models the controls, says that it did not converge."""
    stored = values("CBPS_package")["ATC_exact"]
    fit = cf.fit(FULL, lalonde, "cbps", estimand="ATC")
    (stage,) = fit.design.designed.stages
    assert stored["converged"] == 1
    assert imbalance(fit.call.frame, -vector(stored["coef"])) > 0.01
    assert imbalance(fit.call.frame, stage.theta) < 1e-8


def test_cbps_package_over(lalonde):
    """R: CBPS::CBPS(method = "over", ATT = 0): two steps, the first being the likelihood's solution, shrunk.

    CBPS takes the moments' variance at the multiple (0.8 to 1.1) of the logit's coefficients with the least criterion;
    WeightIt, and ``cf.CBPS(over=True)``, at the exactly balancing ones. The criterion's minimiser is the same code.
    For the ATT and ATC it weighs the moments otherwise, so these have no counterpart.
    """
    stored = values("CBPS_package")["ATE_over"]
    logit = cf.fit(FULL, lalonde, "ipw")
    frame = logit.call.frame
    Z, a = frame.design(PROPENSITY).X, frame.the_treatment.codes.astype(float)
    spread = np.sqrt((Z**2).mean(axis=0))
    problem = Moments(Z / spread, a, np.ones(frame.n), None)

    def criterion(b):
        return problem.mean(b) @ problem.weight(b) @ problem.mean(b)

    multiples = np.linspace(0.8, 1.1, 301)[:, None] * logit.fit.models["propensity"].model.coef * spread
    found = minimize_moments(problem, min(multiples, key=criterion))
    theirs = vector(stored["coef"])
    close(found.coef / spread, theirs, 1e-2, np.abs(theirs), "coefficients")


# -- survey --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def surveyed(lalonde):
    return lalonde.assign(w=0.5 + lalonde["educ"] / 10)


def stratified(psi, strata):
    """Variance of the mean of influences in a stratified design: ``sum_h n_h / (n_h - 1) sum (psi - mean_h)^2 / n^2``.

    No request has this variance (an estimator that is not stratified has no strata in its answer); the influences do.
    """
    out = np.zeros((psi.shape[1], psi.shape[1]))
    for level in np.unique(strata):
        part = psi[strata == level]
        out += len(part) * np.cov(part.T, bias=False).reshape(out.shape)
    return out / len(psi) ** 2


def same_vcov(v, stored, rtol):
    v, r = np.asarray(v), np.array(stored["values"], dtype=float)
    close(v, r, rtol, covariance_scale(r), "covariance")


def test_survey_regression(surveyed):
    """R: svyglm(re78 ~ treat + age, svydesign(strata = ~ married, weights = ~ w))."""
    stored = values("survey_svyglm")["strat"]
    fit = cf.lm("re78 ~ treat + age", surveyed, weights="w")
    close(fit.params, vector(stored["coef"]), 1e-8, what="coefficients")
    same_vcov(stratified(fit.influence(), surveyed["married"].to_numpy()), stored["vcov"], 1e-8)


def test_survey_means(surveyed):
    """R: svymean(~ re78 + age), svyby(~ re78, ~ treat, svymean), svyttest(re78 ~ treat) in the stratified design."""
    stored = values("survey_svyglm")
    strata = surveyed["married"].to_numpy()
    for k, name in enumerate(("re78", "age")):
        fit = cf.lm(f"{name} ~ 1", surveyed, weights="w")
        close(fit.params.iloc[0], stored["mean"]["est"][name], 1e-10, what=name)
        close(np.sqrt(stratified(fit.influence(), strata)[0, 0]), stored["mean"]["se"][k], 1e-8, what=f"{name} s.e.")
    causal = cf.fit("re78 ~ treat(treat) + weights(w)", surveyed, "ipw")
    by = table(stored["by"])
    close(causal.means().tidy()["estimate"], by["re78"], 1e-8, what="means by arm")
    close(np.sqrt(np.diag(stratified(causal.means().influence(), strata))), by["se"], 1e-8, what="s.e. by arm")
    t = causal.estimate / np.sqrt(stratified(causal.influence(), strata)[0, 0])
    close(t, stored["ttest"][0]["t"], 1e-8, what="t")


def test_survey_clusters(surveyed):
    """R: svyglm(I(re78 > 0) ~ treat + age, svydesign(ids = ~ educ, weights = ~ w), quasibinomial): CR1.

    R's glm stops early: standard errors to 1e-5 of themselves.
    """
    stored = values("survey_svyglm")["cluster"]
    fit = cf.glm("y ~ treat + age", surveyed, family="quasibinomial", weights="w")
    se = np.sqrt(np.diag(np.array(stored["vcov"]["values"])))
    close(fit.params, vector(stored["coef"]), LOGIT, se, "coefficients")
    found = fit.with_vcov(cf.Cluster("educ", type="CR1"))
    same_vcov(found.cov_params(), stored["vcov"], 2e-5)
    close(found.bse, np.array(stored["table"]["values"], dtype=float)[:, 1], 1e-5, what="standard errors")


@pytest.mark.parametrize(("key", "vcov", "factor"), [("svyglm", "HC0", 614 / 613), ("svyglm_cluster_educ", None, 1)])
def test_survey_after_weighting(lalonde, key, vcov, factor):
    """R: svyglm(y ~ treat, svydesign(ids = ~ 1 or ~ educ, weights = W), quasibinomial): weights as given."""
    stored = values("glm_weightit_binary")[key]
    fit = cf.fit(BINARY, lalonde, "ipw", family="quasibinomial")
    request = cf.Cluster("educ", type="CR1", weights="fixed") if vcov is None else vcov
    estimate, found = coefficients(fit, request)
    r = np.array(stored["vcov"]["values"], dtype=float)
    close(estimate.theta, vector(stored["coef"]), LOGIT, np.sqrt(np.diag(r)), "coefficients")
    close(found.matrix * factor, r, 2 * SE, covariance_scale(r), "covariance")


# -- several levels, and doses -------------------------------------------------------------------------------------

# nnet-like optimisers stop early: weights to 3e-6 of themselves.
MULTI = 1e-5


@pytest.mark.parametrize("estimand", ["ATE", "ATO", "ATM"])
def test_several_levels(lalonde, estimand):
    """R: weightit(race ~ ..., method = "glm"), lm_weightit(re78 ~ race)."""
    stored = values("weightit_multi")[estimand]
    fit = cf.fit(RACE, lalonde, "ipw", estimand=estimand)
    same_weights(fit, stored, MULTI)
    agrees(fit, stored["effects"], MULTI)
    agrees(fit, stored["effects_HC0"], MULTI, "HC0")


def test_several_levels_focal(lalonde):
    """R: estimand = "ATT", focal = "black", by glm and by ebal; ebal for the ATE."""
    stored = values("weightit_multi")
    fit = cf.fit(RACE, lalonde, "ipw", estimand="ATT", focal="black")
    same_weights(fit, stored["ATT_black"], MULTI)
    agrees(fit, stored["ATT_black"]["effects"], MULTI)
    same_weights(cf.fit(RACE, lalonde, "ebal", estimand="ATT", focal="black"), stored["ebal_ATT_black"], 1e-4)
    same_weights(cf.fit(RACE, lalonde, "ebal"), stored["ebal_ATE"], 1e-4)


def test_dose(lalonde):
    """R: weightit(re75 ~ ..., method = "glm"), lm_weightit(re78 ~ re75); density = "dt_4"; method = "ebal"."""
    stored = values("weightit_continuous")
    fit = cf.fit(DOSE, lalonde, "ipw")
    same_weights(fit, {**stored["glm_normal"], "ps": None}, 1e-8)
    agrees(fit, stored["glm_normal"]["effects"], 1e-8)
    agrees(fit, stored["glm_normal"]["effects_HC0"], 1e-8, "HC0")
    same_weights(cf.fit(DOSE, lalonde, "ipw", density="dt_4"), {**stored["glm_t4"], "ps": None}, 1e-8)
    same_weights(cf.fit(DOSE, lalonde, "ebal"), stored["ebal"], 1e-4)


def test_dose_by_kernel(lalonde):
    """R: density = "kernel". R reads its density off another grid: weights to 1e-3 of the largest."""
    stored = vector(values("weightit_continuous")["glm_kernel"]["weights"])
    fit = cf.fit(DOSE, lalonde, "ipw", density="kernel")
    close(fit.design.weights.to_numpy(), stored, 1e-3, stored.max(), "weights")
    assert "given" in str(fit)


# -- generalised linear outcome models ------------------------------------------------------------------------------

BINARY = "y ~ treat(treat) + adjust(age + educ + race + married + re74)"
FAMILIES = {"logit": "binomial", "probit": "binomial(link = 'probit')", "poisson": "poisson"}


@pytest.mark.parametrize(
    ("key", "family", "vcov"),
    [
        ("logit_asympt", "logit", None),
        ("logit_HC0", "logit", "HC0"),
        ("probit_asympt", "probit", None),
        ("probit_HC0", "probit", "HC0"),
        ("poisson", "poisson", None),
        ("cluster", "logit", "~educ"),
    ],
)
def test_glm_weightit(lalonde, key, family, vcov):
    """R: glm_weightit(y ~ treat, family = ..., vcov = ..., cluster = ~ educ)."""
    fit = cf.fit(BINARY, lalonde, "ipw", family=FAMILIES[family])
    agrees(fit, values("glm_weightit_binary")[key], LOGIT, vcov)


@pytest.mark.parametrize("family", ["logit", "probit"])
def test_glm_weightit_adjusted(lalonde, family):
    """R: glm_weightit(y ~ treat * age + educ).

    A departure for the probit: R's bread is the expected information, ours the derivative itself. A sandwich clustered
    by row without a factor (CR0) has R's.
    """
    formula = "y ~ treat(treat) + modify(age) + adjust(educ + race + married + re74) + outcome(educ)"
    # canonical for the logit; the probit is as near as R's early stop
    fit = cf.fit(formula, lalonde, "ipw", family=FAMILIES[family])
    stored = values("glm_weightit_binary")[f"{family}_adj_asympt"]
    if family == "logit":
        agrees(fit, stored, LOGIT)
    else:
        agrees(fit, stored, 1e-3, cf.Cluster("id", type="CR0"))


def test_quasipoisson_after_ebal(lalonde):
    """R: glm_weightit(y ~ treat, ebal ATT, family = quasipoisson): coefficients (the s.e. is ebal's departure)."""
    fit = cf.fit(BINARY, lalonde, "ebal", estimand="ATT", family="quasipoisson")
    stored = values("glm_weightit_binary")["quasipoisson_att_ebal"]
    estimate, found = coefficients(fit)
    se = np.sqrt(np.diag(np.array(stored["vcov"]["values"])))
    close(estimate.theta, vector(stored["coef"]), 1e-4, se, "coefficients")
    close(found.std_error, se, 0.03, what="standard errors, target included")


MFX = "re78 ~ treat(treat) + adjust(age + educ + race + re74) + outcome(age + educ)"


def tabulated(fit, stored):
    """Estimates and standard errors of a marginaleffects table (numerical derivatives: 1e-4)."""
    ours, theirs = fit.tidy(), table(stored)
    close(ours["estimate"], theirs["estimate"], LOGIT, theirs["std.error"], "estimate")
    close(ours["std.error"], theirs["std.error"], SE, what="std.error")
    close(ours["conf.high"], theirs["conf.high"], SE, theirs["std.error"], "conf.high")
    assert list(ours["contrast"]) == list(theirs.get("contrast", ours["contrast"]))


def test_marginaleffects_linear(lalonde):
    """R: avg_comparisons(lm_weightit(re78 ~ treat * (age + educ))), avg_predictions, by = "race"."""
    stored = values("mfx_weightit")
    fit = cf.fit(MFX, lalonde, "ipw", interact=True)
    tabulated(fit, stored["lm_ate"])
    tabulated(fit.means(), stored["lm_pred"])
    tabulated(fit.by("race"), stored["by_race"])


MEASURES = [("diff", "difference"), ("lnrr", "log_ratio"), ("lnor", "log_odds_ratio")]


@pytest.mark.parametrize(("key", "measure"), MEASURES)
def test_marginaleffects_logit(lalonde, key, measure):
    """R: avg_comparisons(glm_weightit(y ~ treat * (age + educ), ATT weights), newdata = treated, comparison = ...)."""
    formula = MFX.replace("re78", "y")
    fit = cf.fit(formula, lalonde, "ipw", interact=True, estimand="ATT", family="binomial", measure=measure)
    tabulated(fit, values("mfx_weightit")[f"glm_att_{key}"])


IHDP = f"y_factual ~ treat(treatment) + adjust({' + '.join(f'x{i}' for i in range(1, 26))})"
JOBS = "re78 ~ treat(treat) + adjust(age + educ + race + married + re74 + re75)"


@pytest.mark.parametrize(
    ("file", "formula", "key"), [("lalonde.csv", JOBS, "lalonde"), ("ihdp_npci_1.csv", IHDP, "ihdp")]
)
def test_hajek_by_hand(file, formula, key):
    """R: the normalised inverse probability estimate from fitted(glm(...))."""
    stored = values("aipw_by_hand")[key]
    fit = cf.fit(formula, data(file), "ipw")
    close(fit.estimate, stored["ipw_hajek"], LOGIT, fit.std_error, "estimate")
    if key == "ihdp":
        assert abs(fit.estimate - 4.016) < 2 * fit.std_error  # the simulation's true average effect


# -- energy --------------------------------------------------------------------------------------------------------


def test_energy(lalonde):
    """R: weightit(method = "energy", estimand = "ATT").

    R's solver stops early, at a larger energy distance; its weights are ours to 3e-3 of the largest.
    """
    pytest.importorskip("osqp")
    stored = values("weightit_energy")
    fit = cf.fit(FULL, lalonde, "energy", estimand="ATT")
    frame, theirs = fit.call.frame, vector(stored["weights"])
    close(fit.design.weights.to_numpy(), theirs, 3e-3, theirs.max(), "weights")
    D = scaled_distances(distance_columns(frame), np.ones(frame.n))
    treated = (frame.the_treatment.codes == 1).astype(float)

    def objective(w):
        u, t = w * (1 - treated) / (1 - treated).sum(), treated / treated.sum()
        return 2 * u @ D @ t - u @ D @ u - t @ D @ t + 0.5e-4 * u @ u

    assert 0 < objective(fit.design.weights.to_numpy()) <= objective(theirs)
    # R prints 24 zeros: where it stops, the others of the same 281 rows have weights up to 1e-4
    zeros = fit.design.weights.to_numpy() < 1.1e-8
    assert zeros.sum() == 281
    np.testing.assert_array_equal(zeros, theirs < 1e-4)
    agrees(fit, stored["effects_HC0"], 1e-4)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_the_outcome_model_has_the_stacked_covariance(lalonde, estimand):
    """R: summary(lm_weightit(re78 ~ treat + age + educ + race, weightit = W)): all coefficients under asympt."""
    stored = matrix(values(f"weightit_glm_{estimand}")["effects_adjusted"]["coef_table"])
    adjust = "age + educ + race + married + nodegree + re74 + re75"
    fit = cf.fit(
        f"re78 ~ treat(treat) + adjust({adjust}) + outcome(age + educ + race)", lalonde, "ipw", estimand=estimand
    )
    model = fit.outcome
    se = stored["Std. Error"].to_numpy()
    close(model.params.to_numpy(), stored["Estimate"].to_numpy(), 1e-6, se, "coefficients")
    close(model.bse.to_numpy(), se, 1e-4, what="standard errors")
    assert "z test of coefficients" in str(model.summary())
    with pytest.raises(cf.CapabilityError, match="hold its weights fixed"):
        model.with_vcov("bootstrap")
