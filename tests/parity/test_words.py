"""Joint tests by groups under CR2 and CR3, and R's prints of numbers that are none."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.parity.reference import values

R = values("r_words")


@pytest.fixture(scope="module")
def heart() -> pd.DataFrame:
    d = cf.datasets.load("heart").head(240).copy()
    i = np.arange(1, 241)
    d["g"], d["s"] = i % 12, np.array(["u", "v", "w"])[(i * 7) % 11 % 3]
    return d


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize(
    ("formula", "by", "name"),
    [
        ("Severity ~ treat(Drug) + modify(s) + adjust(I.H)", "s", "factor"),
        # quartiles of a number: three equations that are one
        ("Severity ~ treat(Drug) + modify(I.H) + adjust(s)", "I.H", "numeric"),
    ],
)
def test_effects_are_equal_by_hotelling(heart, kind, formula, by, name):
    """R: clubSandwich::Wald_test(test = 'HTZ') of the interactions."""
    test = cf.fit(formula, heart, vcov=f"{kind} ~ g").by(by).test
    r = R["by"][kind][name]
    assert test.statistic == pytest.approx(r["F"], rel=1e-8)
    assert test.df == pytest.approx(r["df"], rel=1e-8)
    assert test.p_value == pytest.approx(r["p"], rel=1e-7)
    assert "Hotelling's T-squared (HTZ)" in str(test)


def test_too_few_clusters_for_the_groups(heart):
    """The effects stand; their test says why there is none."""
    few = heart.assign(g=heart["g"] % 3, s=np.array(list("uvwxy"))[(np.arange(240) * 7) % 11 % 5])
    by = cf.fit("Severity ~ treat(Drug) + modify(s) + adjust(I.H)", few, vcov="CR2 ~ g").by("s")
    assert np.isfinite(by.tidy()["std.error"]).all()
    assert np.isnan(by.test.p_value)
    assert "no test: the covariance of the 4 restrictions, which comes from 3 clusters of g, has rank" in str(by.test)


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(1, 7), "y": [1.0, 3, 2, 5, 4, 6]})


def told(run) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(run()).split("\n")


def test_prints_of_what_is_no_number(small):
    """R: anova of a saturated model, NaN where a test divides by zero and blank where there is none."""
    full = cf.lm("y ~ x + I(x^2) + I(x^3) + I(x^4) + I(x^5)", small)
    assert told(lambda: cf.anova(full)) == R["prints"]["anova"]
    pair = told(lambda: cf.anova(cf.lm("y ~ 1", small), cf.lm("y ~ factor(x)", small)))
    assert pair == R["prints"]["pair"]
    bg = told(lambda: cf.bgtest(cf.lm("y ~ x + I(x^2) + I(x^3)", small), 2, "F"))
    assert [line for line in R["prints"]["bgtest"] if "LM test" in line] == [line for line in bg if "LM test" in line]
    gamma = told(lambda: cf.glm("y ~ x - 1", small, family="Gamma"))
    assert [line.rstrip() for line in gamma[4:]] == [line.rstrip() for line in R["prints"]["gamma"][4 : len(gamma)]]


def test_names_of_columns(small):
    """R: model.matrix; a break of Inf has a blank before it, and the mark of an integer is in no name."""
    assert list(cf.model_matrix("~ cut(x, c(-Inf, 3, 5, Inf)) + I(2*x+1L)", small)) == R["names"]


def test_profile_of_an_intercept(small):
    """R: confint(glm(y ~ 1)), which interpolates the profile by a spline."""
    limits = cf.glm("y ~ 1", small, family="poisson").confint(method="profile")
    np.testing.assert_allclose(limits.to_numpy()[0], R["profile"], rtol=1e-3)


def test_a_difference_in_means_that_rests_on_one_cluster_s_weight(heart):
    """R: clubSandwich::coef_test of the weighted regression."""
    weighted = heart.assign(w=np.where(heart["g"] == 0, 1e4, 1.0))
    fit = cf.fit("Severity ~ treat(Drug) + cluster(g) + weights(w)", weighted, "difference_in_means")
    assert fit.std_error == pytest.approx(R["dominated"]["se"], rel=1e-7)
    assert fit.tidy()["df"][0] == pytest.approx(R["dominated"]["df"], rel=1e-6)


@pytest.mark.parametrize("verb", ["lm", "glm"])
@pytest.mark.parametrize(
    "vcov",
    ["HC3", "~g", "CR2 ~ g", "CR3 ~ g", "NeweyWest", "Andrews", "bootstrap(20, seed = 1)", "jackknife", "wild(99) ~ g"],
)
def test_a_model_of_nothing(heart, verb, vcov):
    """No coefficients have no standard errors, whatever they are called; nothing fails."""
    given = {"family": "binomial"} if verb == "glm" else {}
    model = getattr(cf, verb)("Drug ~ 0", heart, **given).with_vcov(vcov)
    assert len(model.tidy()) == len(model.bse) == len(model.confint(method="profile")) == 0
    assert "Standard errors" in str(model.summary())
