"""Clusters that dominate, clusters on which an estimate rests alone, and few clusters."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.exact.many_digits import clustered


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"g": np.repeat(np.arange(25), 4), "x": rng.normal(size=100), "y": rng.normal(size=100)})
    d["one"] = (d["g"] == 2).astype(int)
    d["part"] = ((d["g"] == 2) & (np.arange(100) % 2 == 0)).astype(int)
    d["three"] = np.where(d["g"] == 2, "c", np.where(d["g"] % 2 == 0, "p", "q"))
    d["a"], d["b"] = rng.integers(0, 2, 100), (d["y"] > 0).astype(int)
    return d


# -- dominating clusters ---------------------------------------------------------------------------------------------

X = np.array([0.13, -0.13, 0.64, 0.1, -0.54, 0.36, 1.3, 0.95, -0.7, -1.27, -0.62, 0.04, -2.33, -0.22, -1.25, -0.73])
Y = np.array([-0.54, -0.32, 0.41, 1.04, -0.13, 1.37, -0.67, 0.35, 0.9, 0.09, -0.74, -0.92, -0.46, 0.22, -1.01, -0.21])
G = np.repeat(range(4), 4)
USUAL = np.array([1, 2, 3, 1] + [2, 3, 1] * 4)


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
@pytest.mark.parametrize("ratio", [1e5, 1e8, 1e10, 1e11, 1e12, 1e14])
@pytest.mark.parametrize("weights", [USUAL, np.ones(16)], ids=["unlike", "alike"])
def test_a_cluster_that_dominates_the_weights(weights, ratio, kind):
    """Against decimal arithmetic of 150 digits."""
    w = weights * np.where(G == 0, ratio, 1.0)
    d = pd.DataFrame({"x": X, "y": Y, "g": G, "w": w})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = cf.lm("y ~ x", d, weights="w", vcov=f"{kind} ~ g").tidy()
    se, df = clustered(np.column_stack([np.ones(16), X]), Y, w, G, kind)
    np.testing.assert_allclose(table["std.error"], se, rtol=1e-11)
    if kind != "CR0":
        np.testing.assert_allclose(table["df"], df, rtol=1e-12)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize("ratio", [1e8, 1e10, 1e12, 1e14])
def test_a_cluster_that_dominates_some_of_the_coefficients(ratio, rows, kind):
    """A cluster of fewer rows than coefficients leaves the rest of them to the others."""
    g = np.where(np.arange(16) < rows, 9, G)
    z = np.sin(np.arange(16.0))
    w = USUAL * np.where(g == 9, ratio, 1.0)
    d = pd.DataFrame({"x": X, "z": z, "y": Y, "g": g, "w": w})
    table = cf.lm("y ~ x + z", d, weights="w", vcov=f"{kind} ~ g").tidy()
    se, df = clustered(np.column_stack([np.ones(16), X, z]), Y, w, g, kind)
    np.testing.assert_allclose(table["std.error"], se, rtol=1e-9 if ratio < 1e13 else 1e-7)
    np.testing.assert_allclose(table["df"], df, rtol=1e-9 if ratio < 1e13 else 1e-7)


def test_sampling_weights_of_an_effect(data):
    w = np.where(data["g"] == 0, 1e12, 1.0) * (1 + data["x"].abs())
    fit = cf.fit("y ~ treat(a) + weights(w)", data.assign(w=w), vcov="CR2 ~ g", method="regression")
    design = np.column_stack([np.ones(100), data["a"]])
    se, df = clustered(design, data["y"], w, data["g"], "CR2")
    np.testing.assert_allclose(fit.std_error, se[1], rtol=1e-9)
    np.testing.assert_allclose(fit.tidy()["df"], df[1], rtol=1e-9)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("ratio", [1e5, 1e8, 1e11, 1e14])
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_a_generalised_linear_model_of_dominating_weights(family, ratio, kind):
    """On the scale of the response, where the working model is the family's variance of it."""
    w = USUAL * np.where(G == 0, ratio, 1.0)
    y = Y if family == "gaussian" else np.round(np.exp(Y + 1))
    d = pd.DataFrame({"x": X, "y": y, "g": G, "w": w})
    model = cf.glm("y ~ x", d, family=family, weights="w", vcov=f"{kind} ~ g", epsilon=1e-15)
    mu = np.asarray(model.fittedvalues)
    slope = np.ones(16) if family == "gaussian" else mu
    design = np.column_stack([np.ones(16), X]) * slope[:, None]
    response = design @ np.asarray(model.params) + y - mu
    se, df = clustered(design, response, w / slope, G, kind, slope / w)
    np.testing.assert_allclose(model.bse, se, rtol=1e-8)
    np.testing.assert_allclose(model.tidy().get("df", df), df, rtol=1e-8)


def test_weights_that_leave_few_digits_say_so():
    """Several clusters of very different weights: fewer digits are certain, and in the end none."""
    z = np.sin(np.arange(16.0))
    g = np.where(np.arange(16) < 1, 9, np.where(np.arange(16) < 3, 8, G))
    d = pd.DataFrame({"x": X, "z": z, "y": Y, "g": g})
    w = USUAL * np.where(g >= 8, 1e9, 1.0)
    model = cf.lm("y ~ x + z", d.assign(w=w), weights="w", vcov="CR2 ~ g")
    digits = int(re.search(r"only (\d) digits of these standard errors are certain", str(model.summary()))[1])
    se, _ = clustered(np.column_stack([np.ones(16), X, z]), Y, w, g, "CR2")
    np.testing.assert_allclose(model.bse, se, rtol=10.0**-digits)
    with pytest.warns(cf.CausalFormulaWarning, match="no digit of theirs is left"):
        lost = cf.lm("y ~ x + z", d.assign(w=USUAL * np.where(g >= 8, 1e15, 1.0)), weights="w", vcov="CR2 ~ g")
    assert lost.bse.isna().all()


def test_what_the_others_know_may_be_less_than_rounding():
    w = USUAL * np.where(G == 0, 1e18, 1.0)
    d = pd.DataFrame({"x": X, "y": Y, "g": G, "w": w})
    with pytest.warns(cf.CausalFormulaWarning, match="so little weight that double precision keeps no digit"):
        model = cf.lm("y ~ x", d, weights="w", vcov="CR2 ~ g")
    assert model.bse.isna().all()


@pytest.mark.parametrize("vcov", ["CR0 ~ g", "~ g"])
def test_a_cluster_that_knows_nearly_all_is_noted_where_the_variance_does_not_know_it(vcov):
    d = pd.DataFrame({"x": X * np.where(G == 0, 1e5, 1.0), "y": Y, "g": G, "w": np.where(G == 0, 1e10, 1.0)})
    text = "one cluster of g holds nearly all that is known of"
    assert f"{text} (Intercept), x" in str(cf.lm("y ~ x", d.assign(x=X), weights="w", vcov=vcov).summary())
    assert f"{text} x" in str(cf.lm("y ~ x", d, vcov=vcov).summary())
    assert text not in str(cf.lm("y ~ x", d.assign(x=X), vcov=vcov).summary())
    assert text not in str(cf.lm("y ~ x", d, vcov="CR2 ~ g").summary())


def test_adjustments_agree_on_both_sides_of_the_threshold(monkeypatch):
    """The same numbers whether a cluster is adjusted with the others or by itself, where both ways are exact."""
    from causalformula.inference.sandwich import dominant

    rng = np.random.default_rng(5)
    n = 60
    d = pd.DataFrame({"g": np.repeat(range(10), 6), "x": rng.normal(size=n), "z": rng.normal(size=n)})
    d["x"] += np.where(d["g"] == 0, 12.0, 0.0)
    d["y"], d["w"] = d["x"] + rng.normal(size=n), rng.random(n) + 0.2
    d["b"] = (rng.random(n) < 0.5).astype(int)
    models = [
        lambda v: cf.lm("y ~ x + z", d, vcov=v),
        lambda v: cf.lm("y ~ x + z", d, weights="w", vcov=v),
        lambda v: cf.glm("b ~ x + z", d, family="binomial", vcov=v),
        lambda v: cf.glm("y ~ x + z", d, weights="w", vcov=v),
    ]
    for kind in ("CR2 ~ g", "CR3 ~ g"):
        for make in models:
            usual = make(kind)
            joint = usual.hypothesis(["x = 0", "z = 0"]).test
            with monkeypatch.context() as patch:
                patch.setattr(dominant, "DOMINANT", 0.9)
                alone = make(kind)
                np.testing.assert_allclose(alone.bse, usual.bse, rtol=1e-9)
                np.testing.assert_allclose(alone.tidy()["df"], usual.tidy()["df"], rtol=1e-9)
                again = alone.hypothesis(["x = 0", "z = 0"]).test
            assert again.df[1] == pytest.approx(joint.df[1], rel=1e-8)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("ratio", [1e-8, 1e5, 1e8, 1e14])
def test_a_dominating_cluster_with_an_intercept_and_a_slope_of_its_own(ratio, kind):
    """The others are a regression by themselves, of which no digit is lost to its weights."""
    w = USUAL * np.where(G == 0, ratio, 1.0)
    d = pd.DataFrame({"x": X, "y": Y, "g": G, "w": w, "z": G == 0}).astype({"z": float})
    table = cf.lm("y ~ x * z", d, weights="w", vcov=f"{kind} ~ g").tidy()
    design = np.column_stack([np.ones(16), X, d["z"], d["z"] * X])
    se, df = clustered(design, Y, w, G, kind, alone=(0, [2, 3]))
    np.testing.assert_allclose(table["std.error"], se, rtol=1e-11)
    np.testing.assert_allclose(table["df"], df, rtol=1e-11)
    assert "digits" not in str(cf.lm("y ~ x * z", d, weights="w", vcov=f"{kind} ~ g").summary())


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("ratio", [1e5, 1e8])
def test_a_dominating_cluster_with_an_intercept_of_its_own(ratio, kind):
    w = USUAL * np.where(G == 0, ratio, 1.0)
    d = pd.DataFrame({"x": X, "y": Y, "g": G, "w": w, "z": G == 0}).astype({"z": float})
    table = cf.lm("y ~ x + z", d, weights="w", vcov=f"{kind} ~ g").tidy()
    se, df = clustered(np.column_stack([np.ones(16), X, d["z"]]), Y, w, G, kind, alone=(0, [2]))
    np.testing.assert_allclose(table["std.error"], se, rtol=1e-8)
    np.testing.assert_allclose(table["df"], df, rtol=1e-8)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_own_coefficients_in_a_generalised_linear_model_and_in_joint_tests(kind):
    d = pd.DataFrame(
        {"x": X, "y": np.round(np.exp(Y + 1)), "g": G, "w": USUAL * np.where(G == 0, 1e8, 1.0), "z": G == 0}
    )
    options = {"weights": "w", "vcov": f"{kind} ~ g", "epsilon": 1e-14}
    for family in ("poisson", "gaussian"):
        whole = cf.glm("y ~ x * z", d, family=family, **options)
        rest = cf.glm("y ~ x", d[G > 0], family=family, **options)
        np.testing.assert_allclose(whole.bse[:2], rest.bse, rtol=1e-5)  # where scoring stops
    whole = cf.lm("y ~ x * z", d, weights="w", vcov=f"{kind} ~ g").hypothesis(["`(Intercept)` = 0", "x = 0"]).test
    rest = cf.lm("y ~ x", d[G > 0], weights="w", vcov=f"{kind} ~ g").hypothesis(["`(Intercept)` = 0", "x = 0"]).test
    np.testing.assert_allclose(whole.df, rest.df, rtol=1e-9)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("far", [1e4, 1e5, 1e6])
@pytest.mark.parametrize("seed", [29, 3])
def test_own_coefficients_of_a_column_far_from_zero(seed, far, kind):
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"x": far + rng.normal(size=60), "y": rng.normal(size=60), "g": np.repeat(np.arange(10), 6)})
    d["o"] = (d["g"] == 0).astype(int)
    with pytest.warns(cf.CausalFormulaWarning, match="without one cluster of g each does not exist"):
        table = cf.lm("y ~ 0 + factor(o) + x:factor(o)", d, vcov=f"{kind} ~ g").tidy()
    rest = cf.lm("y ~ x", d[d["o"] == 0], vcov=f"{kind} ~ g").tidy()
    assert table[["std.error", "df", "p.value"]].iloc[[1, 3]].isna().all(axis=None)
    np.testing.assert_allclose(table["std.error"].iloc[[0, 2]], rest["std.error"], rtol=1e-7)
    np.testing.assert_allclose(table["df"].iloc[[0, 2]], rest["df"], rtol=1e-7)


# -- estimates that rest on one cluster ------------------------------------------------------------------------------

KINDS = ["CR0 ~ g", "~ g", "CR1S ~ g", "CR1 ~ g"]


@pytest.mark.parametrize("vcov", [*KINDS, "CR2 ~ g", "CR3 ~ g"])
def test_a_coefficient_of_one_cluster_has_no_standard_error(data, vcov):
    with pytest.warns(cf.CausalFormulaWarning, match="without one cluster of g each does not exist"):
        model = cf.lm("y ~ 0 + factor(g)", data, vcov=vcov)
    assert model.bse.isna().all()
    assert model.tidy()["p.value"].isna().all()
    assert "standard errors of factor(g)0, factor(g)1" in str(model.summary())


@pytest.mark.parametrize("vcov", [cf.Wild(reps=99, seed=1, cluster="g"), "DriscollKraay ~ g"])
def test_nor_under_other_variances_by_cluster(data, vcov):
    with pytest.warns(cf.CausalFormulaWarning, match="without one cluster of g it does not exist"):
        assert cf.lm("y ~ 0 + one", data, vcov=vcov).bse.isna().all()
    kept = cf.lm("y ~ one + x", data, vcov=vcov)
    assert (kept.bse > 0).all() and "one rests on one cluster of g" in str(kept.summary())


@pytest.mark.parametrize("vcov", KINDS)
@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ treat(one) + adjust(x)", {}),
        ("y ~ treat(one)", {"method": "regression"}),
        ("y ~ treat(one)", {"method": "difference_in_means"}),
        ("y ~ treat(part) + adjust(x)", {"method": "ipw"}),
        ("y ~ treat(part) + adjust(x)", {"method": "subclass", "subclass": 2}),
        ("b ~ treat(part) + adjust(x)", {"family": "binomial"}),
    ],
)
def test_nor_has_an_effect_whose_arm_lies_in_one_cluster(data, formula, options, vcov):
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            fit = cf.fit(formula, data, vcov=vcov, **options)
    except cf.DataError as refused:
        assert "single cluster" in str(refused)
        return
    assert np.isfinite(fit.estimate) and np.isnan(fit.std_error)
    assert any("without one cluster of g it does not exist" in str(warning.message) for warning in said)
    assert "Note: the standard error" in str(fit)


def test_contrasts_of_the_other_arms_keep_theirs(data):
    with pytest.warns(cf.CausalFormulaWarning, match="without one cluster"):
        fit = cf.fit("y ~ treat(three) + adjust(x)", data, vcov="~ g", contrast="pairwise")
    missing = fit.tidy().set_index("contrast")["std.error"].isna()
    assert list(missing[missing].index) == ["p - c", "q - c"]


def test_dummies_beside_covariates_keep_the_variance_that_r_gives_them(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = cf.lm("y ~ x + factor(g)", data, vcov="~ g")
    assert (model.bse > 0).all()
    assert "more each rest on one cluster of g, whose own error these data cannot tell" in str(model.summary())
    one = str(cf.lm("y ~ x + one", data, vcov="~ g").summary())
    assert "Note: one rests on one cluster of g" in one and "the standard error leaves it out, as R's" in one
    assert "rests" not in str(cf.lm("y ~ x", data, vcov="~ g").summary())


def test_a_stack_says_so_too(data):
    with pytest.warns(cf.CausalFormulaWarning, match="without one cluster"):
        both = cf.stack({"u": cf.lm("y ~ 0 + factor(g)", data), "v": cf.lm("y ~ x", data)}, vcov="CR0 ~ g")
    assert np.isnan(both.covariance.std_error[:25]).all()
    assert np.isfinite(both.covariance.std_error[25:]).all()


# -- few clusters ----------------------------------------------------------------------------------------------------


def noted(fit: object) -> bool:
    return "are few, and these standard errors count on many" in str(fit)


def test_few_clusters_are_noted(data):
    few = data.assign(h=data["g"] // 13)
    fit = cf.fit("y ~ treat(a) + adjust(x)", few, vcov="~ h")
    assert "Note: 2 clusters of h are few" in str(fit)
    assert "Safer: vcov='CR2 ~ h', though 2 clusters tell little by any method" in str(fit)
    seven = few.assign(h=data["g"] % 7)
    assert "Safer: vcov='CR2 ~ h', or 'wild ~ h'" in str(cf.fit("y ~ treat(a) + adjust(x)", seven, vcov="~ h"))
    five = cf.fit("y ~ treat(a) + adjust(x)", few.assign(h=data["g"] % 5), vcov="~ h")
    assert "or cf.Wild(weights='webb', cluster='h')" in str(five)
    assert noted(cf.lm("y ~ x", few, vcov="CR0 ~ h").summary())
    assert "Safer: vcov='CR2 ~ h'" in str(cf.fit("b ~ treat(a) + adjust(x)", few, family="binomial", vcov="~ h"))
    assert "cf.Jackknife(cluster='h')" in str(cf.fit("y ~ treat(a) + adjust(x)", few, "ipw", vcov="~ h"))


@pytest.mark.parametrize("vcov", ["CR2 ~ h", "CR3 ~ h", "wild(99, seed = 1) ~ h", "jackknife ~ h"])
def test_not_where_the_degrees_of_freedom_know_it(data, vcov):
    assert not noted(cf.fit("y ~ treat(a) + adjust(x)", data.assign(h=data["g"] // 13), vcov=vcov))


def test_nor_where_there_are_enough(data):
    assert not noted(cf.fit("y ~ treat(a) + adjust(x)", data, vcov="~ g"))


@pytest.mark.parametrize("vcov", ["CR2 ~ h", "CR3 ~ h", "wild(99, webb, seed = 1) ~ h", "jackknife ~ h"])
def test_too_few_for_any_standard_error_are_noted(data, vcov):
    """Two clusters are few under any variance, twenty-five under none."""
    text = "are few even for these standard errors"
    two = data.assign(h=data["g"] // 13)
    if vcov.startswith("wild"):
        vcov = cf.Wild(reps=99, weights="webb", seed=1, cluster="h")
    assert f"Note: 2 clusters of h {text}" in str(cf.fit("y ~ treat(a) + adjust(x)", two, vcov=vcov))
    assert text not in str(cf.fit("y ~ treat(a) + adjust(x)", data.assign(h=data["g"]), vcov=vcov))


def test_a_difference_in_means_and_few_periods_are_noted_too(data):
    two = data.assign(h=data["g"] // 13)
    fit = cf.fit("y ~ treat(a) + cluster(h)", two, "difference_in_means")
    assert "CR2" in str(fit) and "2 clusters of h are few even" in str(fit)
    panel = data.assign(t=np.arange(100) % 5)
    assert "Note: 5 periods of t are few" in str(cf.lm("y ~ x", panel, vcov="DriscollKraay ~ t").summary())
    long = data.assign(t=np.arange(100) % 30)
    assert "are few" not in str(cf.lm("y ~ x", long, vcov="DriscollKraay ~ t").summary())


ADVICE = r"vcov=('[^']+')|(?:or )(?:vcov=)?('wild ~ [^']+')|(cf\.\w+\([^()]*\))|with_vcov\(('[^']+')\)"


@pytest.mark.parametrize("groups", [2, 3, 4, 5, 6, 12])
@pytest.mark.parametrize("name", ["h", "h.1", "a cluster"])
def test_all_advice_can_be_followed(data, groups, name):
    """Every request that a note offers gives standard errors when asked for."""
    d = data.assign(**{name: data["g"] % groups, "k": np.arange(100) % 7, "y1": data["y"] + data["a"]})
    one, two = cf.Cluster([name]), cf.Cluster([name, "k"])
    followed = 0
    for formula, method in [
        ("y ~ treat(a) + adjust(x)", "regression"),
        ("y ~ treat(a)", "difference_in_means"),
        ("y ~ treat(a) + adjust(x)", "ipw"),
        ("y ~ treat(a) + adjust(x)", "ebal"),
        ("y ~ treat(a) + adjust(x)", "subclass"),
    ]:
        for asked in (one, two, cf.Bootstrap(reps=30, seed=1, cluster=name)):
            fit = cf.fit(formula, d, method, vcov=asked)
            followed += _follow(fit, [note for note in fit.covariance.notes if "are few" in note])
    ratio = cf.fit("b ~ treat(a) + adjust(x)", d, measure="ratio", family="binomial", vcov=one)
    followed += _follow(ratio, ratio.covariance.notes)
    both = cf.stack([cf.lm("y ~ x", d), cf.lm("y1 ~ x", d)], vcov=one)
    followed += _follow(both, both.covariance.notes)
    assert followed >= 15


def _follow(fit, notes) -> int:
    """Ask for what the notes offer."""
    count = 0
    for note in notes:
        for found in re.finditer(ADVICE, note):
            text = next(part for part in found.groups() if part)
            again = fit.with_vcov(eval(text, {"cf": cf}))
            assert np.isfinite(again.covariance.std_error).all(), (note, text)
            count += 1
    return count
