"""Roles that neither the method nor the covariance reads are refused, or the print says that they have no part."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning

METHODS = ("regression", "ipw", "ebal", "cbps", "ipt", "energy", "subclass")
FORMULA = "y ~ treat(a) + adjust(x)"


@pytest.fixture(scope="module")
def d():
    rng = np.random.default_rng(1)
    n = 120
    x = rng.normal(size=n)
    a = rng.binomial(1, 1 / (1 + np.exp(-x / 2)))
    blocks = {"b": np.repeat(np.arange(12), 10), "g": np.repeat(np.arange(40), 3), "pair": np.repeat(np.arange(60), 2)}
    return pd.DataFrame({"x": x, "a": a, "y": x + a + rng.normal(size=n), "w": rng.uniform(1, 3, n), **blocks})


def quiet(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        return cf.fit(*args, **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("vcov", [None, "HC0", "~g", "jackknife"])
def test_strata_that_nothing_reads_are_refused(d, method, vcov):
    with pytest.raises(cf.CapabilityError, match=r"does not use strata\(b\)") as refused:
        cf.fit(f"{FORMULA} + strata(b)", d, method, vcov=vcov)
    for way in ("difference_in_means", "vcov='bootstrap'", "permutation_test(strata='b')", "adjust(factor(b))"):
        assert way in str(refused.value)


def test_what_reads_strata_is_what_this_formula_and_method_can_have(d):
    d["odd name"] = d["b"]
    d["dose"] = d["x"] + d["g"]
    refused = {}
    for formula, method in [("a) + x", "nearest"), ("a) + x", None), ("dose) + x", None)]:
        with pytest.raises(cf.CapabilityError) as caught:
            cf.fit(f"y ~ treat({formula} + strata(`odd name`)", d, method)
        refused[formula, method] = str(caught.value)
    first, second, third = refused.values()
    assert "in place of strata(`odd name`), exact='`odd name`' matches within them" in first
    assert "bootstrap" not in first
    assert quiet("y ~ treat(a) + x", d, "nearest", exact="`odd name`").nobs > 0
    assert "without adjust(...) method='difference_in_means' takes them" in second
    assert quiet("y ~ treat(a) + strata(`odd name`)", d, "difference_in_means").nobs > 0
    assert "difference_in_means" not in third
    for text in refused.values():
        assert "adjust(factor(`odd name`)) adjusts" in text
        assert "permutation_test(strata='odd name')" in text
    assert quiet("y ~ treat(a) + x", d, "nearest").permutation_test(19, strata="odd name").table.shape[0] == 1


def test_matched_sets_are_resampled_without_strata(d):
    with pytest.raises(cf.CapabilityError, match=r"bootstrap ~ subclass.*in both cases without strata\(b\)"):
        quiet("y ~ treat(a) + x + strata(b)", d, "nearest", vcov="bootstrap")
    with pytest.raises(cf.CapabilityError, match=r"does not use strata\(b\), and the bootstrap has other units"):
        quiet("y ~ treat(a) + x + strata(b)", d, "nearest", vcov="bootstrap ~ subclass")
    assert quiet("y ~ treat(a) + x", d, "nearest", vcov="bootstrap(30, seed = 1) ~ subclass").std_error > 0
    with pytest.raises(cf.CapabilityError, match="For matches within strata see exact="):
        cf.design("~ treat(a) + x + strata(b)", d, "nearest")


@pytest.mark.parametrize("method", ["regression", "ebal", "subclass"])
def test_a_bootstrap_reads_them_and_later_standard_errors_say_that_they_do_not(d, method):
    fit = quiet(f"{FORMULA} + strata(b)", d, method, vcov=cf.Bootstrap(20, seed=1))
    assert "within strata of b" in fit.covariance.label
    with pytest.warns(CausalFormulaWarning, match="no part"):
        other = fit.with_vcov("HC0")
    assert "Note: strata(b) has no part in these standard errors (HC0) nor in the estimate" in str(other)
    assert "no part" not in str(fit)


def test_what_else_reads_strata(d):
    with warnings.catch_warnings():
        warnings.simplefilter("error", CausalFormulaWarning)
        pairs = cf.fit(f"{FORMULA} + strata(pair)", d, vcov="jackknife")  # matched pairs are the units
        assert pairs.covariance.request.cluster == "pair"
        assert "no part" not in str(cf.fit("y ~ treat(a) + strata(b)", d, vcov="HC1"))
    given = quiet(f"{FORMULA} + strata(b)", d, vcov=np.eye(1))
    assert given.std_error == 1
    with pytest.raises(cf.CapabilityError, match="other units or strata"):
        cf.fit(f"{FORMULA} + strata(b)", d, vcov=cf.Bootstrap(20, strata="g", seed=1))


@pytest.mark.parametrize("method", ["regression", "ipw"])
def test_one_pair_among_larger_strata_is_a_stratum_to_draw_from(d, method):
    few = d.assign(s=np.where(d.index < 2, "one", np.where(d.index % 2, "odd", "even")), y=d.y + 5 * (d.index % 2))
    drawn = quiet(f"{FORMULA} + strata(s)", few, method, vcov=cf.Bootstrap(50, seed=1))
    asked = quiet(FORMULA, few, method, vcov=cf.Bootstrap(50, seed=1, strata="s"))
    assert drawn.std_error == asked.std_error
    assert "within strata of s" in drawn.covariance.label
    assert "1 stratum of s has two rows, and draws within it show half the variance" in str(drawn)
    assert "half the variance" not in str(quiet(f"{FORMULA} + strata(b)", d, method, vcov=cf.Bootstrap(50, seed=1)))
    with pytest.raises(cf.CapabilityError, match="strata only where all are of two units"):
        cf.fit(f"{FORMULA} + strata(s)", few, method, vcov="jackknife")


def test_two_treated_rows_as_a_stratum(d):
    few = d.assign(a=(d.index % 60 == 0).astype(int), s=d.index % 60 == 0)
    fit = quiet("y ~ treat(a) + x + strata(s)", few, vcov=cf.Bootstrap(60, seed=1))
    assert len(fit.covariance.draws) == 60


def test_blocks_of_which_some_are_pairs(d):
    few = d.assign(a=d.index % 2, s=np.where(d.index < 4, d.index // 2, 2 + d.index % 4 // 2))
    fit = quiet("y ~ treat(a) + strata(s)", few)
    text = str(fit)
    assert "difference in means, 4 blocks" in text and "HC2 (between blocks)" in text
    assert "Note: some blocks have two units and others more" in text


def test_strata_of_a_design(d):
    with pytest.raises(cf.CapabilityError, match=r"a design by method 'ipw' does not use strata\(b\)"):
        cf.design("~ treat(a) + adjust(x) + strata(b)", d, "ipw")
    design = cf.design("~ treat(a) + adjust(x)", d, "ebal")
    with pytest.raises(cf.CapabilityError, match=r"strata\(b\)"):
        design.fit("y ~ treat(a) + strata(b)")
    fit = design.fit("y ~ treat(a) + strata(b)", vcov=cf.Bootstrap(20, seed=1))
    assert "within strata of b" in fit.covariance.label


@pytest.mark.parametrize("method", ["regression", "difference_in_means", "ipw", "subclass"])
def test_clusters_beside_a_covariance_without_them(d, method):
    formula = "y ~ treat(a) + cluster(g)" + ("" if method == "difference_in_means" else " + adjust(x)")
    with pytest.warns(CausalFormulaWarning, match=r"cluster\(g\) has no part"):
        fit = cf.fit(formula, d, method, vcov="HC0")
    assert "Note: cluster(g) has no part in these standard errors (HC0); without vcov= they are" in str(fit)
    assert "no part" in str(fit.means())
    assert "no part" in str(fit.hypothesis("b1 = 0"))
    for vcov in ("~g", "CR2 ~ g" if method == "regression" else "CR1 ~ g", cf.Bootstrap(20, seed=1)):
        assert "no part" not in str(fit.with_vcov(vcov))
    several = quiet(formula.replace("(g)", "(g + b)"), d, "regression", vcov=cf.Bootstrap(20, seed=1))
    assert "cluster(b) has no part" in str(several)


@pytest.mark.parametrize("method", ["regression", "difference_in_means", "subclass"])
def test_classical_with_sampling_weights(d, method):
    formula = "y ~ treat(a) + weights(w)" + ("" if method == "difference_in_means" else " + adjust(x)")
    assert "precisions" not in str(cf.fit(formula, d, method))
    with pytest.warns(CausalFormulaWarning, match="precisions"):
        fit = cf.fit(formula, d, method, vcov="classical")
    assert "are wrong for sampling weights" in str(fit)


def test_a_treatment_model_that_is_not_fitted(d):
    scored = d.assign(p=0.4 + 0.1 * (d["x"] > 0))
    with pytest.raises(cf.OptionError, match="ps= gives the propensity scores"):
        cf.fit(f"{FORMULA} + propensity(w)", scored, "ipw", ps="p")
    with pytest.raises(cf.OptionError, match="distance='x' gives the scores"):
        cf.fit(f"{FORMULA} + propensity(w)", d, "subclass", distance="x", subclass=2)


def test_an_outcome_model_that_stays_behind(d):
    design = cf.design("~ treat(a) + adjust(x) + outcome(w)", d, "ebal")
    with pytest.warns(CausalFormulaWarning, match=r"outcome\(w\) stands in the design's formula"):
        design.fit("y ~ treat(a)")
