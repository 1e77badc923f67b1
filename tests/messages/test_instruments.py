"""What is said where instruments cannot answer, or answer weakly."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from tests.exact.test_instruments import DATA, OVER

GROUPED = DATA.assign(within=(DATA["g"] > 4).astype(int), same=3.0, twice=2 * DATA["z"])
# an instrument that is orthogonal to the treatment in the data
_Q = np.column_stack([np.ones(len(DATA)), DATA["x"], DATA["q"]])
UNMOVED = DATA.assign(u=DATA["noise"] - _Q @ np.linalg.lstsq(_Q, DATA["noise"], rcond=None)[0])


@pytest.mark.parametrize(
    ("formula", "data", "words"),
    [
        ("y ~ treat(q) + iv(same) + adjust(x)", GROUPED, "q needs an instrument, .* same is constant or a combination"),
        ("y ~ treat(q) + iv(within) + adjust(x) + fe(g)", GROUPED, "within varies only with the fixed effects"),
        ("y ~ treat(q) + iv(z) + modify(x)", DATA, r"2 terms .*\(q, q:x\) need as many .* as in iv\(z \+ z:w\)"),
        ("y ~ treat(q) + iv(z + x) + adjust(x)", DATA, r"x in iv\(...\) is adjusted for as well"),
        ("y ~ treat(q) + iv(u) + adjust(x)", UNMOVED, r"u in iv\(...\) does not move q beside the terms adjusted for"),
    ],
)
def test_not_identified(formula, data, words):
    with pytest.raises(cf.IdentificationError, match=words):
        cf.fit(formula, data)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: cf.fit("y ~ treat(q)", DATA, "iv"), cf.OptionError, r"needs an instrument: iv\(z\)"),
        (lambda: cf.fit(OVER, DATA, family="poisson"), cf.OptionError, "linear equations; leave family= out"),
        (lambda: cf.fit(OVER, DATA, measure="ratio"), cf.OptionError, "identify their difference only"),
        (lambda: cf.fit(OVER, DATA, "liml", fuller=-1), cf.OptionError, "fuller=-1: a number from 0"),
        (lambda: cf.fit(OVER, DATA, "liml", fuller=1, k=1), cf.OptionError, "give it or k=, not both"),
        (lambda: cf.fit(OVER, DATA, "gmm", steps=0), cf.OptionError, "steps=0: a number of steps, 'iterated' or 'cue'"),
        (lambda: cf.fit(OVER, DATA, "gmm", wmatrix="g"), cf.OptionError, "'unadjusted', or one grouping, as in '~g'"),
        (lambda: cf.fit(OVER, DATA, "gmm", wmatrix="~g + f"), cf.OptionError, "or one grouping, as in '~g'"),
        (lambda: cf.fit(OVER, DATA, "gmm", family="poisson"), cf.OptionError, "linear equations; leave family= out"),
        (lambda: cf.fit(OVER, DATA, "gmm", vcov="HC3"), cf.CapabilityError, "GMM, .* have not: use 'HC0' or 'HC1'"),
        (lambda: cf.fit(OVER, DATA, "gmm", vcov="CR2 ~ g"), cf.CapabilityError, "have not: use 'CR1'"),
        (
            lambda: cf.fit(OVER, DATA, "gmm", vcov="wild"),
            cf.CapabilityError,
            "first stage's errors must move with them",
        ),
        (
            lambda: cf.fit(OVER + " + cluster(g + f)", DATA, "gmm"),
            cf.OptionError,
            "names g, f, and the weight matrix of moments has one grouping: say which, as in wmatrix='~g'",
        ),
        (
            lambda: cf.fit(OVER, DATA, "gmm", wmatrix="~f"),
            cf.DataError,
            "weight matrix of 4 moments is singular: 3 clusters do not tell .* or wmatrix='robust'",
        ),
        (lambda: cf.fit(OVER, DATA, vcov="wild"), cf.CapabilityError, "first stage's errors must move with them"),
        (lambda: cf.fit(OVER, DATA, "liml", vcov="HC3"), cf.CapabilityError, "LIML .* have not: use 'HC0' or 'HC1'"),
        (lambda: cf.fit(OVER, DATA).tf(), cf.CapabilityError, r"one instrument; with several use anderson_rubin\(\)"),
        (lambda: cf.fit(OVER, DATA).compliers(), cf.CapabilityError, "a binary treatment and one binary instrument"),
        (lambda: cf.anova(cf.fit(OVER, DATA).outcome), cf.CapabilityError, "regressors are instrumented; Wald tests"),
        (lambda: cf.fit(OVER, DATA).outcome.drop1(), cf.CapabilityError, "regressors are instrumented"),
        (lambda: cf.resettest(cf.fit(OVER, DATA).outcome), cf.CapabilityError, "regressors are instrumented"),
        (lambda: cf.fit(OVER, DATA).outcome.rstudent(), cf.CapabilityError, "leaving a row out moves the first stage"),
        (lambda: cf.fit(OVER, DATA).by("g").anderson_rubin(), cf.CapabilityError, "the one effect of a fit"),
    ],
)
def test_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_instruments_left_out_are_said():
    with pytest.warns(cf.CausalFormulaWarning, match="twice is constant or a combination"):
        fit = cf.fit("y ~ treat(q) + iv(z + twice) + adjust(x)", GROUPED)
    assert "Note: the first stage leaves out instruments: twice" in str(fit)


def test_weak_instruments_are_said():
    text = str(cf.fit("y ~ treat(q) + iv(noise) + adjust(x)", DATA))
    assert "Note: weak instruments: the effective F is below 23.11" in text
    assert "weak instruments" not in str(cf.fit(OVER, DATA))
    two = str(cf.fit("y ~ treat(q) + iv(z + noise) + modify(x)", DATA))
    assert "Cragg-Donald's F is below 10" in two


def test_means_say_what_they_rest_on():
    assert "Note: means are by the structural equation" in str(cf.fit("v ~ treat(a) + iv(b)", DATA).means())


def test_hansens_j_is_said_with_what_it_is_of():
    text = str(cf.fit(OVER, DATA, "gmm"))
    assert "Method: two-step GMM" in text
    assert "Hansen's J = " in text
    assert "(moments of unequal variance)" in text
    assert "Note: standard errors have clusters" not in text
    clustered = str(cf.fit(OVER, DATA, "gmm", vcov="~g"))
    assert "clusters of g, and the weight matrix has not: the p-value of J does not hold, and wmatrix='~g'" in clustered
    other = str(cf.fit(OVER, DATA, "gmm", wmatrix="~g", vcov="HC0"))
    assert "Note: the weight matrix has clusters of g, and the standard errors have none" in other
    both = str(cf.fit(OVER, DATA, "gmm", wmatrix="~g"))
    assert "(moments clustered by g)" in both
    assert "weight matrix has" not in both
    assert "(moments of unequal variance; converged in 4 steps)" in str(cf.fit(OVER, DATA, "gmm", steps="cue"))
    assert "Hansen's J" not in str(cf.fit("y ~ treat(q) + iv(z) + adjust(x)", DATA, "gmm"))


def test_gmm_that_is_another_estimator_says_so():
    single = "y ~ treat(q) + iv(z) + adjust(x)"
    said = "of as many instruments as terms, which is two-stage least squares"
    assert f"Method: two-step GMM {said}" in str(cf.fit(single, DATA, "gmm"))
    assert said not in str(cf.fit(single, DATA, "gmm", steps=1))
    assert said not in str(cf.fit(OVER, DATA, "gmm"))
    for steps, other in ((2, "two-step GMM of equal variances, which is two-stage least squares"), ("cue", "is LIML")):
        assert other in str(cf.fit(OVER, DATA, "gmm", steps=steps, wmatrix="unadjusted"))


def test_models_of_gmm_are_called_so():
    fit = cf.fit(OVER, DATA, "gmm", steps="cue", wmatrix="~g")
    assert 'gmm4(y ~ q + x, ~z + z2 + x, type = "cue", vcov = "CL"' in " ".join(str(fit.outcome.summary()).split())
    page = str(cf.fit(OVER + " + fe(f)", DATA, "gmm").outcome.summary())
    assert page.startswith("GMM estimation: Second stage")
    assert "Hansen's J: stat" in page
    assert str(cf.fit(OVER + " + fe(f)", DATA, "liml").outcome.summary()).startswith("LIML estimation")


def test_continuous_updating_without_a_minimum_is_said():
    """Instruments that say nothing: the criterion falls on and on."""
    from causalformula.errors import ConvergenceError
    from causalformula.numerics import linear_gmm

    steps = linear_gmm.STEPS
    linear_gmm.STEPS = 1
    try:
        for way, words in (("cue", "no minimum of the continuously updated criterion"), ("iterated", "still moves")):
            with pytest.raises(ConvergenceError, match=words):
                cf.fit(OVER, DATA, "gmm", steps=way)
    finally:
        linear_gmm.STEPS = steps


FEW = DATA.head(12).assign(row=range(12))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: cf.fit(OVER, DATA, "liml", k=5), cf.OptionError, "k=5 is too large for these data"),
        (lambda: cf.fit(OVER, DATA, "fuller"), cf.OptionError, "method='liml' with fuller=1"),
        (lambda: cf.fit(OVER, DATA, "k_class"), cf.OptionError, "method='liml' with k="),
        (lambda: cf.fit(OVER, DATA, "liml").outcome.hatvalues(), cf.CapabilityError, "leverages are of least squares"),
        (lambda: cf.fit("factor(b) ~ treat(q) + iv(z)", DATA), cf.OptionError, "recode it as numbers, 0 and 1"),
        (lambda: cf.compare(OVER, DATA, methods=["iv", "liml"]), cf.OptionError, "can answer with estimand='LATE'"),
        (
            lambda: cf.fit("y ~ treat(q) + iv(factor(row))", FEW),
            cf.IdentificationError,
            "12 instruments and terms adjusted for explain everything in 12 rows",
        ),
        (
            lambda: cf.fit("y ~ treat(q) + iv(z + z2) + adjust(x)", FEW.head(4), "liml"),
            cf.IdentificationError,
            "4 instruments and terms adjusted for explain everything in 4 rows",
        ),
        (
            lambda: cf.fit("y ~ treat(q) + iv(factor(g)) + fe(g)", DATA),
            cf.IdentificationError,
            "factor.g.2.* vary only with the fixed effects",
        ),
    ],
)
def test_more_that_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_leverages_that_are_not_there_are_left_out():
    assert ".hat" in cf.fit(OVER, DATA).augment()
    fit = cf.fit(OVER, DATA, "liml")
    assert ".hat" not in fit.augment()
    assert ".hat" not in fit.outcome.augment()


def test_critical_values_are_of_two_stage_least_squares():
    weak = "y ~ treat(q) + iv(noise) + adjust(x)"
    assert "a bias of two-stage least squares of a tenth" in str(cf.fit(weak, DATA, "liml", fuller=1))
    assert "a bias of a tenth" in str(cf.fit(weak, DATA))


def test_a_weight_matrix_of_few_rows_or_clusters_is_said():
    """At five clusters a moment intervals of GMM hold three to four points less than those of ``iv``."""
    few = cf.fit(OVER + " + cluster(g)", DATA, "gmm")
    said = (
        "Note: 10 clusters of g are few for the weight matrix of 4 moments, which these standard errors take for known"
    )
    assert said in str(few)
    assert said not in str(few.with_vcov("jackknife"))
    assert "31 rows are few for the weight matrix of 4 moments" in str(cf.fit(OVER, DATA.head(31), "gmm"))
    for other in (cf.fit(OVER, DATA.head(32), "gmm"), cf.fit(OVER + " + cluster(g)", DATA, "gmm", steps=1)):
        assert "weight matrix of" not in str(other)


@pytest.mark.parametrize("method", ["liml", "gmm"])
def test_what_is_called_safer_is_there(method):
    fit = cf.fit(OVER + " + cluster(g)", DATA, method)
    assert "Safer: cf.Jackknife(cluster='g')" in str(fit)
    assert np.isfinite(fit.with_vcov(cf.Jackknife(cluster="g")).std_error)
    assert "CR2" not in str(fit)


EXACT = DATA.assign(t=2 * DATA["q"] + 3, far=DATA["q"] + 1e8, t2=2 * DATA["q"] + 7)


@pytest.mark.parametrize(("method", "vcov"), [("iv", "classical"), ("liml", "HC1"), ("gmm", "~g")])
def test_instruments_that_are_the_treatment_are_said(method, vcov):
    fit = cf.fit("y ~ treat(q) + iv(t) + adjust(x)", EXACT, method, vcov=vcov)
    text = str(fit)
    assert "First stage: F = inf on 1 and 297 DF" in text
    assert "effective F inf" in text
    assert "Note: the instruments fit q exactly, as the treatment itself would" in text
    plain = cf.lm("y ~ q + x", EXACT, vcov=vcov)
    assert fit.estimate == pytest.approx(plain.params["q"], rel=1e-10)
    rows = fit.diagnostics()
    assert list(rows.loc["Weak instruments", ["statistic", "p.value"]]) == [np.inf, 0]
    assert np.isnan(rows.loc["Wu-Hausman", "statistic"])  # no residual to test
    ((low, high),) = fit.anderson_rubin().intervals
    if vcov == "classical":
        assert (low, high) == pytest.approx(tuple(plain.conf_int().loc["q"]), rel=1e-9)
    assert low < fit.estimate < high
    assert fit.tf()["critical.value"][0] == pytest.approx(1.959964, rel=1e-6)


def test_some_of_several_treatment_terms_that_are_their_instruments():
    data = EXACT.assign(qx=EXACT["q"] * EXACT["x"])
    fit = cf.fit("y ~ treat(q) + iv(t + z:x) + modify(x)", data)
    assert "the instruments fit q exactly" in str(fit)
    assert fit.diagnostics().loc["Wu-Hausman", "df1"] == 1
    assert "Cragg-Donald) inf" in str(cf.fit("y ~ treat(q) + iv(t + t:x) + modify(x)", data))
    assert "exactly" not in str(cf.fit("y ~ treat(q) + iv(z + z:x) + modify(x)", data))
    assert "the instruments fit far exactly" in str(cf.fit("y ~ treat(far) + iv(t) + adjust(x)", data))
