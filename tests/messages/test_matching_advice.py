"""Advice in the prints and refusals of matching works when it is followed."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

TIED = {"replace": True, "ties": True}
METRICS = ("mahalanobis", "robust_mahalanobis", "scaled_euclidean", "euclidean")


@pytest.fixture(scope="module", autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """Treated units have larger x, and other levels of g and h, than most controls."""
    rng = np.random.default_rng(8)
    a = np.arange(90) < 40
    d = pd.DataFrame({"a": a.astype(int), "x": rng.normal(5, 1, 90) + 1.5 * a, "v": rng.normal(size=90)})
    d["g"] = np.where(rng.uniform(size=90) < 0.2 + 0.7 * a, "u", "w")
    d["h"] = rng.uniform(size=90) < 0.1 + 0.7 * a
    return d.assign(y=d["x"] + a + rng.normal(size=90))


def unbalanced(formula, data, method="nearest", **options) -> str:
    """The note on what is out of balance."""
    told = re.search(r"not balanced .*", str(cf.design(formula, data, method, **options)))
    assert told
    return told[0]


def refused(ask) -> str:
    with pytest.raises(cf.CausalFormulaError) as caught:
        ask()
    return str(caught.value)


# -- what may help where a covariate is out of balance -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "advice", "followed"),
    [
        ("x", "A caliper= (a narrower one, or one on x too) may help, or outcome(x)", {"caliper": {"x": 0.1}}),
        ("I(x^2)", "one on x too) may help, or outcome(I(x^2))", {"caliper": {"x": 0.1}}),
        ("g", "A caliper= (a narrower one), or exact='~ g', may help, or outcome(g)", {"exact": "~ g"}),
        ("h", "A caliper= (a narrower one), or exact='~ h', may help", {"exact": "~ h"}),
        ("factor(g)", "or exact='~ g', may help, or outcome(factor(g))", {"exact": "~ g"}),
    ],
)
def test_calipers_are_on_numbers_and_levels_are_matched_exactly(data, term, advice, followed):
    formula = f"~ treat(a) + adjust({term})"
    assert advice in unbalanced(formula, data)
    assert "not balanced" not in str(cf.design(formula, data, "nearest", **followed))


@pytest.mark.parametrize("metric", METRICS)
def test_a_distance_of_covariates_has_calipers_by_name(data, metric):
    told = unbalanced("~ treat(a) + adjust(x)", data, distance=metric)
    assert "A caliper on x (a narrower one), as caliper={'x': 0.2}, may help" in told
    cf.design("~ treat(a) + adjust(x)", data, "nearest", distance=metric, caliper={"x": 0.2})
    told = unbalanced("~ treat(a) + adjust(g + v)", data.assign(v=100 * data["v"]), distance="euclidean")
    assert ". exact='~ g' may help" in told


def test_more_variables_to_match_exactly_join_those_that_are(data):
    told = unbalanced("~ treat(a) + adjust(g + h)", data, exact="~ g")
    assert "exact='~ g + h'" in told
    assert "not balanced" not in str(cf.design("~ treat(a) + adjust(g + h)", data, "nearest", exact="~ g + h"))


def test_levels_that_were_put_together(data):
    told = unbalanced("~ treat(a) + adjust(g)", data, "cem", grouping={"g": [["u", "w"]]})
    assert "Smaller groups (grouping=) may help, or outcome(g)" in told


@pytest.mark.parametrize("distance", ["glm", "mahalanobis", "scaled_euclidean", "mahalanobis_all"])
def test_ties_have_a_caliper_on_what_is_matched_on(data, distance):
    formula = "~ treat(a) + adjust(x)"
    told = unbalanced(formula, data, distance=distance, ratio=20, **TIED)
    assert "A caliper= (a narrower one) may help, or outcome(x)" in told
    cf.design(formula, data, "nearest", distance=distance, ratio=20, caliper=2, **TIED)


def test_a_bias_correction_adjusts_already(data):
    told = unbalanced("~ treat(a) + adjust(x + v)", data, bias_adjust=True, ratio=20, **TIED)
    assert "outcome(" not in told
    assert "bias_adjust=True adjusts for what is left, if its regression is right" in told


# -- covariances ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tied(data):
    return cf.design("~ treat(a) + adjust(x + v)", data, "nearest", **TIED)


@pytest.mark.parametrize(
    ("formula", "options"),
    [("y ~ treat(a) + outcome(x)", {}), ("y ~ treat(a) + modify(v)", {}), ("y ~ treat(a)", {"measure": "ratio"})],
    ids=str,
)
def test_without_a_plain_difference_the_default_is_hc3(tied, formula, options):
    fit = tied.fit(formula, **options)
    assert fit.covariance.label == "HC3"
    assert fit.std_error == tied.fit(formula, vcov="HC3", **options).std_error
    assert "Default for this design: the variance of Abadie and Imbens is of a plain difference in means" in str(fit)
    assert tied.fit("y ~ treat(a)").covariance.label == "Abadie-Imbens"


def test_means_and_groups_name_the_covariance_that_they_have(tied):
    fit = tied.fit("y ~ treat(a)")
    for ask in (fit.means, lambda: fit.by("g")):
        assert "fit.with_vcov('HC3') before means(), by(...)" in refused(ask)
    assert len(fit.with_vcov("HC3").means().tidy()) == len(fit.with_vcov("HC3").by("g").tidy()) == 2


@pytest.mark.parametrize(
    "vcov", ["HC3", "bootstrap", "bootstrap ~ subclass", "jackknife", "asympt", "~subclass", "~subclass + unit", "~g"]
)
def test_a_corrected_estimate_has_one_variance(data, vcov):
    fit = cf.fit("y ~ treat(a) + adjust(x + v)", data, "nearest", bias_adjust=True, **TIED)
    told = refused(lambda: fit.with_vcov(vcov))
    assert "'AI'" in told
    assert "'HC3'" not in told.replace(f"'{vcov}'", "")
    assert fit.with_vcov("AI").std_error == fit.std_error


def test_groups_of_a_corrected_estimate_are_matched_by_themselves(data):
    formula = "y ~ treat(a) + adjust(x + v)"
    fit = cf.fit(formula, data, "nearest", bias_adjust=True, **TIED)
    assert refused(lambda: fit.by("g")).endswith("match each group by itself, with subset= in cf.fit or cf.design")
    cf.fit(formula, data, "nearest", bias_adjust=True, subset="g == 'u'", **TIED)


# -- groupings, and what is resampled ----------------------------------------------------------------------------------


def test_units_are_of_pairs_and_overlapping_sets_are_no_clusters(data, tied):
    strata = cf.fit("y ~ treat(a) + adjust(x)", data, "cem")
    told = refused(lambda: strata.with_vcov("~subclass + unit"))
    assert told.startswith("'unit' is of matches one by one")
    assert told.endswith("this design has strata or sets of rows, which are 'subclass'")
    assert "subclass" in strata.with_vcov("~subclass").covariance.label
    told = refused(lambda: tied.fit("y ~ treat(a)", vcov="wild ~ subclass"))
    assert "units are in several matched sets, so these overlap" in told


@pytest.mark.parametrize("method", ["cem", "subclass"])
def test_rows_that_are_resampled_are_not_called_pairs(data, method):
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, method, vcov=cf.Bootstrap(reps=20, seed=1), subset="x > 4")
    assert fit.covariance.label == "bootstrap (rows, 20 replicates, seed 1)"
    weighted = cf.fit("y ~ treat(a) + adjust(x)", data, "ipw", vcov=cf.Bootstrap(reps=20, seed=1))
    assert weighted.covariance.label == "bootstrap (pairs, 20 replicates, seed 1)"


def test_a_randomisation_test_says_that_sets_are_no_blocks(data):
    for method, sets in (("nearest", "matched sets"), ("subclass", "strata")):
        test = cf.fit("y ~ treat(a) + adjust(x)", data, method).permutation_test(reps=5, seed=1)
        assert f"Note: {sets} are made anew under each assignment" in str(test)
    assert "made anew" not in str(cf.fit("y ~ treat(a) + x", data).permutation_test(reps=5, seed=1))


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jitter", "hist", "overlap"])
def test_pictures_of_a_score_say_what_has_one(data, kind):
    design = cf.design("~ treat(a) + adjust(x)", data, "nearest", distance="mahalanobis")
    told = refused(lambda: design.plot(kind))
    assert "matches on a distance of covariates here, without a propensity score" in told
    assert told.endswith("; distance='glm', or mahvars= beside it, has a score")
    scored = cf.design("~ treat(a) + adjust(x)", data, "nearest", mahvars="~ x")
    assert scored.design_weights.distance is not None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"distance": "mahalanobis", "link": "probit"}, "'mahalanobis' is between covariates, and has no model"),
        ({"distance": "x", "link": "probit"}, "distance='x' is a column"),
        ({"distance": "mahalanobs"}, "unknown distance 'mahalanobs'; did you mean 'mahalanobis'? Choose from glm, "),
        ({"estimand": "att"}, "'ATT'? Method 'nearest' offers ATT, ATC, ATE (the ATE with replace=True, ties=True)"),
        ({"exact": "~ g + a"}, "exact= names 'a', the treatment, and partners are of different arms; leave it out"),
        ({"antiexact": "~ a"}, "antiexact= names 'a', the treatment"),
        ({"mahvars": "~ a + x"}, "mahvars= names 'a', the treatment"),
        ({"caliper": {"a": 1}}, "caliper= names 'a', the treatment"),
        ({"distance": "a"}, "distance= names 'a', the treatment"),
        ({"exact": "~ a", **TIED}, "exact= names 'a', the treatment"),
    ],
    ids=str,
)
def test_options_that_cannot_be_say_why(data, options, text):
    for ask in (cf.design, cf.fit):
        told = refused(lambda ask=ask: ask("y ~ treat(a) + adjust(x + v)", data, method="nearest", **options))
        assert text in told


def test_other_methods_of_a_distance_know_their_words_alone(data):
    told = refused(lambda: cf.design("~ treat(a) + adjust(x)", data, "subclass", distance="mahalanobis"))
    assert told == "unknown distance 'mahalanobis'; choose from glm, or the name of a column"


def test_levels_in_one_list_are_no_groups(data):
    formula = "~ treat(a) + adjust(g + x)"
    told = refused(lambda: cf.design(formula, data, "cem", grouping={"g": ["u", "w"]}))
    assert told.endswith("each a list of the levels that count as one: {'g': [['u', 'w']]}")
    grouped = cf.design(formula, data, "cem", grouping={"g": [["u", "w"]]})
    np.testing.assert_allclose(grouped.weights, cf.design("~ treat(a) + adjust(x)", data, "cem").weights)


@pytest.mark.parametrize(
    ("method", "options", "advice"),
    [
        ("nearest", {"caliper": 0.01}, "A wider caliper= or replace=True may match more"),
        ("nearest", {"caliper": 0.01, "replace": True}, "A wider caliper= may match more"),
        ("nearest", {"caliper": {"x": -2.5}, "reuse_max": 1}, "A caliper= nearer to zero may match more"),
        ("nearest", {"exact": "~ g"}, "Fewer variables in exact= or replace=True may match more"),
        ("nearest", {"caliper": 0.01, **TIED}, "A wider caliper= may match more"),
        ("cem", {"cutpoints": 30}, "Fewer covariates or coarser bins (cutpoints=, grouping=) may match more"),
        ("cem", {"k2k": True}, "Fewer covariates or coarser bins (cutpoints=, grouping=) may match more"),
        ("exact", {}, "Fewer covariates or method='cem' (bins of numbers) may match more"),
    ],
    ids=str,
)
def test_who_is_not_matched_may_be(data, method, options, advice):
    whole = data.assign(x=data["x"].round(1)) if method == "exact" else data
    told = str(cf.design("~ treat(a) + adjust(x)", whole, method, **options))
    assert re.search(rf"not matched \(.*\); the ATT is that of the \d+ that are\. {re.escape(advice)}", told)


def test_rows_of_no_sampling_weight_are_counted(data):
    design = cf.design("~ treat(a) + adjust(x) + weights(s)", data.assign(s=1.0 * (data.index > 2)), "nearest")
    assert "87 (original)" in str(design)
    assert "Note: 3 rows of sampling weight zero take no part, and are not counted" in str(design)


def test_a_picture_of_a_factor_is_one_of_its_levels(data):
    """Where the picture has no bars of levels: a panel for each, before and after."""
    three = data.assign(k=np.resize(["p", "q", "r"], 90))
    design = cf.design("~ treat(a) + adjust(x + k)", three, "nearest")
    axes = design.plot("qq", covariate="k")
    names = design.plot("qq", covariate=["k_p", "k_q", "k_r"])
    assert [ax.get_title() for ax in np.ravel(axes)] == [ax.get_title() for ax in np.ravel(names)]
    assert len(np.ravel(axes)) == 6
    assert "k_p" in refused(lambda: design.plot("qq", covariate="nope"))
