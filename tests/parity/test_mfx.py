"""marginaleffects 0.25.1: ``avg_comparisons`` and ``avg_predictions`` through ``cf.fit``.

R's standard errors come from numerical derivatives there, so they agree to 1e-4; estimates to 1e-6 after a GLM (R's
IRLS stops early) and to 1e-8 after least squares. marginaleffects uses z throughout, hence ``df=inf``.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from tests.parity.reference import close, data, table, values

Z = cf.Classical(df=np.inf)
HC3 = cf.HC("HC3", df=np.inf)
NUMERICAL = 1e-4


@pytest.fixture(scope="module")
def heart():
    return data("heart.csv")


@pytest.fixture(scope="module")
def lalonde():
    d = data("lalonde.csv")
    d["y"] = (d["re78"] > 0).astype(int)
    d["k"] = (d["re78"] / 2000).round()
    return d


def agrees(fit, stored, estimate_rtol, *, contrast=True):
    """Estimate, standard error, statistic, log p and limits of a stored marginaleffects table."""
    ours, theirs = fit.tidy(), table(stored)
    se = theirs["std.error"].to_numpy()
    close(ours["estimate"], theirs["estimate"], estimate_rtol, se, "estimate")
    close(ours["std.error"], se, NUMERICAL, what="std.error")
    close(ours["statistic"], theirs["statistic"], NUMERICAL, 1, "statistic")
    close(ours["conf.low"], theirs["conf.low"], NUMERICAL, se, "conf.low")
    close(ours["conf.high"], theirs["conf.high"], NUMERICAL, se, "conf.high")
    z = theirs["statistic"].to_numpy()
    mine, r = ours["p.value"].to_numpy(), theirs["p.value"].to_numpy()
    positive = r > 1e-300
    gap = np.abs(np.log(mine[positive]) - np.log(r[positive]))
    assert (gap <= NUMERICAL * (1 + z[positive] ** 2)).all()
    assert np.isinf(ours["df"]).all()
    if contrast:
        assert list(ours["contrast"]) == list(theirs["contrast"])
        assert list(ours["term"]) == list(theirs["term"])


# -- a linear model with an interaction ---------------------------------------------------------------------------

HEART = "Severity ~ treat(Drug) + adjust(I.H)"


@pytest.mark.parametrize(
    ("key", "estimand", "vcov"),
    [("ate", "ATE", Z), ("ate_HC3", "ATE", HC3), ("att", "ATT", Z), ("atu_HC3", "ATC", HC3)],
)
def test_linear_effects(heart, key, estimand, vcov):
    """R: avg_comparisons(lm(Severity ~ Drug * I.H), variables = "Drug", newdata = ..., vcov = ...)."""
    fit = cf.fit(HEART, heart, interact=True, estimand=estimand, vcov=vcov)
    agrees(fit, values("mfx_lm_heart")[key], 1e-8)


def test_linear_effects_by_modifier_spelling(heart):
    """`modify(I.H)` is the same model as `interact=True` with the one covariate."""
    fit = cf.fit("Severity ~ treat(Drug) + modify(I.H)", heart, vcov=Z)
    agrees(fit, values("mfx_lm_heart")["ate"], 1e-8)


def test_linear_means(heart):
    """R: avg_predictions(f, variables = "Drug")."""
    fit = cf.fit(HEART, heart, interact=True, vcov=Z).means()
    agrees(fit, values("mfx_lm_heart")["pred_do"], 1e-8, contrast=False)
    assert list(fit.tidy()["contrast"]) == ["0", "1"]


def test_linear_slope(heart):
    """R: avg_slopes(f), the row of I.H (a dose here, with Drug its modifier)."""
    stored = table(values("mfx_lm_heart")["slopes"]).iloc[1]
    fit = cf.fit("Severity ~ treat(I.H) + modify(Drug)", heart, contrast="slope", vcov=Z)
    row = fit.tidy().iloc[0]
    # R's derivative is a numerical one: its estimate carries its error too.
    close(row["estimate"], stored["estimate"], 1e-6, stored["std.error"], "estimate")
    close(row["std.error"], stored["std.error"], NUMERICAL, what="std.error")
    assert (row["term"], row["contrast"]) == ("I.H", "dY/dX")


# -- a logit with interactions -------------------------------------------------------------------------------------

LOGIT = "y ~ treat(treat) + adjust(age + educ + race + re74)"


def logit(lalonde, formula=LOGIT, **options):
    """The model is quasi-separated (treat:racehispan near 20): we warn, R does not."""
    options = {"interact": formula == LOGIT, "vcov": Z, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        return cf.fit(formula, lalonde, "regression", family="binomial", **options)


# ours -> R's comparison
MEASURES = {"difference": "difference", "log_ratio": "lnratioavg", "log_odds_ratio": "lnoravg"}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("vcov", [Z, HC3], ids=["classical", "HC3"])
@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_logit_measures(lalonde, measure, vcov, estimand):
    """R: avg_comparisons(f, variables = "treat", comparison = ..., vcov = ..., newdata = ...)."""
    key = f"{estimand.lower()}_{'HC3_' if vcov is HC3 else ''}{MEASURES[measure]}"
    fit = logit(lalonde, measure=measure, vcov=vcov, estimand=estimand)
    agrees(fit, values("mfx_logit_lalonde")[key], 1e-6)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize("vcov", [Z, HC3], ids=["classical", "HC3"])
def test_logit_ratio(lalonde, vcov, estimand):
    """R: comparison = "ratioavg" for estimate and standard error; it tests against 0, we against 1 on the log scale."""
    stored = values("mfx_logit_lalonde")
    hc3 = "HC3_" if vcov is HC3 else ""
    ratio = table(stored[f"{estimand.lower()}_{hc3}ratioavg"]).iloc[0]
    log = table(stored[f"{estimand.lower()}_{hc3}lnratioavg"]).iloc[0]
    row = logit(lalonde, measure="ratio", vcov=vcov, estimand=estimand).tidy().iloc[0]
    close(row["estimate"], ratio["estimate"], 1e-6, ratio["std.error"], "estimate")
    close(row["std.error"], ratio["std.error"], NUMERICAL, what="std.error")
    close(row["std.error"], row["estimate"] * log["std.error"], NUMERICAL, what="std.error by the log")
    close(row["statistic"], log["statistic"], NUMERICAL, 1, "statistic")
    close(np.log(row["conf.low"]), log["conf.low"], NUMERICAL, log["std.error"], "conf.low")
    close(np.log(row["conf.high"]), log["conf.high"], NUMERICAL, log["std.error"], "conf.high")
    assert row["contrast"] == ratio["contrast"]


@pytest.mark.parametrize(("measure", "key"), [("ratio", "ate_exp_lnratioavg"), ("odds_ratio", "ate_exp_lnoravg")])
def test_logit_exponentiated(lalonde, measure, key):
    """R: transform = exp: the test and the limits of the logarithm, exponentiated."""
    theirs = table(values("mfx_logit_lalonde")[key]).iloc[0]
    row = logit(lalonde, measure=measure).tidy().iloc[0]
    for name, ours in (("estimate", "estimate"), ("conf.low", "conf.low"), ("conf.high", "conf.high")):
        close(row[ours], theirs[name], NUMERICAL, what=name)
    close(row["estimate"], theirs["estimate"], 1e-6, what="estimate")
    close(np.log(row["p.value"]), np.log(theirs["p.value"]), NUMERICAL, 1 + row["statistic"] ** 2, "log p")


@pytest.mark.parametrize(("name", "key"), [("race", "by_race"), ("treat", "by_treat")])
def test_logit_by_group(lalonde, name, key):
    """R: avg_comparisons(f, variables = "treat", by = ...)."""
    stored = table(values("mfx_logit_lalonde")[key])
    ours = logit(lalonde).by(name).tidy()
    # R lists the groups in order of appearance or of levels; the labels say which is which.
    stored = stored.assign(group=[_text(v) for v in stored[name]]).set_index("group").loc[list(ours[name])]
    se = stored["std.error"].to_numpy()
    close(ours["estimate"], stored["estimate"], 1e-6, se, "estimate")
    close(ours["std.error"], se, NUMERICAL, what="std.error")
    assert len(ours) == len(stored)


def test_logit_by_group_log_odds_ratio(lalonde):
    """R: by = "race", comparison = "lnoravg". The hispanic treated all have y = 1: their odds ratio is infinite."""
    stored = table(values("mfx_logit_lalonde")["by_race_lnor"]).set_index("race")
    ours = logit(lalonde, measure="log_odds_ratio").by("race").tidy().set_index("race")
    for race in ("black", "white"):
        close(ours.loc[race, "estimate"], stored.loc[race, "estimate"], 1e-6, stored.loc[race, "std.error"], race)
        close(ours.loc[race, "std.error"], stored.loc[race, "std.error"], NUMERICAL, what=race)


def _text(value):
    return value if isinstance(value, str) else f"{value:g}"


def test_logit_clustered(lalonde):
    """R: vcov = ~educ."""
    agrees(logit(lalonde, vcov="~educ"), values("mfx_logit_lalonde")["cluster_race"], 1e-6)


def test_logit_means(lalonde):
    """R: avg_predictions(f, variables = "treat")."""
    agrees(logit(lalonde).means(), values("mfx_logit_lalonde")["pred_do"], 1e-6, contrast=False)


AGE = "y ~ treat(age) + modify(treat) + adjust(treat * (educ + race + re74))"


@pytest.mark.parametrize(
    ("contrast", "key"),
    [(None, "continuous_age"), (1, "continuous_age"), (10, "age_10"), ("iqr", "age_iqr"), ("sd", "age_sd")],
)
def test_logit_dose(lalonde, contrast, key):
    """R: avg_comparisons(f, variables = list(age = ...)): +1, +10, "iqr", and "sd" (centred at the mean)."""
    agrees(logit(lalonde, AGE, contrast=contrast), values("mfx_logit_lalonde")[key], 1e-6)


def test_logit_slopes(lalonde):
    """R: avg_slopes(f), the row of age, and by race; its derivative is numerical, so good to 1e-4 s.e. only."""
    fit = logit(lalonde, AGE, contrast="slope")
    stored = values("mfx_logit_lalonde")
    one = table(stored["slopes"]).iloc[0]
    close(fit.estimate, one["estimate"], NUMERICAL, one["std.error"], "estimate")
    close(fit.std_error, one["std.error"], NUMERICAL, what="std.error")
    by = table(stored["slopes_age"]).set_index("race")
    ours = fit.by("race").tidy().set_index("race").loc[by.index]
    close(ours["estimate"], by["estimate"], NUMERICAL, by["std.error"], "estimate")
    close(ours["std.error"], by["std.error"], NUMERICAL, what="std.error")


RACE = "y ~ treat(race) + modify(treat) + adjust(treat * (age + educ + re74))"


@pytest.mark.parametrize(("contrast", "key"), [("reference", "race_factor"), ("pairwise", "race_pairwise")])
def test_logit_several_levels(lalonde, contrast, key):
    """R: avg_comparisons(f, variables = "race") and list(race = "pairwise")."""
    agrees(logit(lalonde, RACE, contrast=contrast), values("mfx_logit_lalonde")[key], 1e-6)


# -- Poisson and probit --------------------------------------------------------------------------------------------

POISSON = ("k ~ treat(treat) + modify(age) + adjust(race)", "poisson", 1e-6)
# A non-canonical link: R's early stop leaves its estimate 1e-3 of a standard error away at most (DESIGN, section 5).
PROBIT = ("y ~ treat(treat) + adjust(age + race)", "binomial(link = 'probit')", 1e-3)


@pytest.mark.parametrize("vcov", [Z, HC3], ids=["classical", "HC3"])
@pytest.mark.parametrize(("measure", "r"), [("difference", "difference"), ("log_ratio", "lnratioavg")])
@pytest.mark.parametrize(("model", "name"), [(POISSON, "poisson"), (PROBIT, "probit")], ids=["poisson", "probit"])
def test_poisson_and_probit(lalonde, model, name, measure, r, vcov):
    """R: avg_comparisons(glm(...), variables = "treat", comparison = ..., vcov = ...)."""
    formula, family, rtol = model
    fit = cf.fit(formula, lalonde, family=family, measure=measure, vcov=vcov)
    stored = values("mfx_poisson_probit")[f"{name}_{r}_{'HC3' if vcov is HC3 else 'classical'}"]
    agrees(fit, stored, rtol)


@pytest.mark.parametrize("vcov", [Z, HC3], ids=["classical", "HC3"])
@pytest.mark.parametrize(("model", "name"), [(POISSON, "poisson"), (PROBIT, "probit")], ids=["poisson", "probit"])
def test_poisson_and_probit_ratio(lalonde, model, name, vcov):
    """R: comparison = "ratioavg": estimate and standard error (the test is ours)."""
    formula, family, rtol = model
    row = cf.fit(formula, lalonde, family=family, measure="ratio", vcov=vcov).tidy().iloc[0]
    theirs = table(values("mfx_poisson_probit")[f"{name}_ratioavg_{'HC3' if vcov is HC3 else 'classical'}"]).iloc[0]
    close(row["estimate"], theirs["estimate"], rtol, theirs["std.error"], "estimate")
    close(row["std.error"], theirs["std.error"], NUMERICAL, what="std.error")


def test_hypothesis_between_groups(lalonde):
    """R: avg_comparisons(f, variables = "treat", by = "race", hypothesis = "b1 = b3")."""
    by = cf.fit(POISSON[0], lalonde, family="poisson", vcov=Z).by("race")
    ours = by.hypothesis("b1 = b3")
    theirs = table(values("mfx_poisson_probit")["contrast_test"]).iloc[0]
    close(ours.estimate, theirs["estimate"], 1e-6, theirs["std.error"], "estimate")
    close(ours.std_error, theirs["std.error"], NUMERICAL, what="std.error")
    close(ours.test.statistic, theirs["statistic"] ** 2, 2 * NUMERICAL, 1, "Wald statistic is z squared")
    close(ours.test.p_value, theirs["p.value"], 1e-3, what="p.value")
    assert ours.test.df == 1


def test_a_pair_of_doses(lalonde):
    """R: avg_predictions(f, variables = list(age = c(20, 30, 40))): its differences are contrasts of doses."""
    stored = table(values("mfx_poisson_probit")["dose"]).set_index("age")["estimate"]
    for low, high in ((20, 30), (20, 40)):
        fit = cf.fit("k ~ treat(age) + modify(treat) + adjust(race)", lalonde, family="poisson", contrast=(low, high))
        close(fit.estimate, stored[high] - stored[low], 1e-6, fit.std_error, f"{high} - {low}")
        assert fit.tidy()["contrast"][0] == f"{high} - {low}"


def test_tables_can_tell_a_wrong_number(heart):
    """`agrees` itself refuses a standard error that is off by a thousandth."""
    stored = values("mfx_lm_heart")["ate"]
    stored["columns"]["std.error"] = [stored["columns"]["std.error"][0] * 1.001]
    with pytest.raises(AssertionError, match=r"std\.error"):
        agrees(cf.fit(HEART, heart, interact=True, vcov=Z), stored, 1e-8)
    assert isinstance(table(stored), pd.DataFrame)
