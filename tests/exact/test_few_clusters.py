"""Clusters that dominate, clusters on which an estimate rests alone, and few clusters."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf


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

X = [0.13, -0.13, 0.64, 0.1, -0.54, 0.36, 1.3, 0.95, -0.7, -1.27, -0.62, 0.04, -2.33, -0.22, -1.25, -0.73]
Y = [-0.54, -0.32, 0.41, 1.04, -0.13, 1.37, -0.67, 0.35, 0.9, 0.09, -0.74, -0.92, -0.46, 0.22, -1.01, -0.21]
# By 60-digit arithmetic: the first cluster's weights times this; standard errors and Satterthwaite's df of CR2 and CR3.
EXACT = {
    1: {
        "CR2": ([0.09409076077468, 0.4107190062405], [1.00000000177, 1.000000002139]),
        "CR3": ([0.1283600602916, 0.4808149064243], [1.000000040188, 1.000000007939]),
    },
    10: {
        "CR2": ([0.09410729036562, 0.4107717135287], [1.000000000018, 1.000000000021]),
        "CR3": ([0.1284073591449, 0.4809558706899], [1.000000000402, 1.000000000079]),
    },
    1000: {
        "CR2": ([0.09410910758394, 0.4107775082485], [1.0, 1.0]),
        "CR3": ([0.1284125641843, 0.4809713829249], [1.0, 1.0]),
    },
}


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("times", EXACT)
def test_a_cluster_that_dominates_the_weights(times, kind):
    w = np.array([1e5, 2e5, 3e5, 1e5] + [2, 3, 1] * 4)
    d = pd.DataFrame({"x": X, "y": Y, "g": np.repeat(range(4), 4), "w": w * np.where(np.arange(16) < 4, times, 1)})
    table = cf.lm("y ~ x", d, weights="w", vcov=f"{kind} ~ g").tidy()
    se, df = EXACT[times][kind]
    # the first cluster's residuals have lost as many digits as its weights are larger
    np.testing.assert_allclose(table["std.error"], se, rtol=1e-9 * max(times, 3) / 3 * 10)
    np.testing.assert_allclose(table["df"], df, rtol=1e-11)


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


# -- estimates that rest on one cluster ------------------------------------------------------------------------------

KINDS = ["CR0 ~ g", "~ g", "CR1S ~ g", "CR1 ~ g"]


@pytest.mark.parametrize("vcov", [*KINDS, "CR2 ~ g", "CR3 ~ g"])
def test_a_coefficient_of_one_cluster_has_no_standard_error(data, vcov):
    with pytest.warns(cf.CausalFormulaWarning, match="without one cluster of g each does not exist"):
        model = cf.lm("y ~ 0 + factor(g)", data, vcov=vcov)
    assert model.bse.isna().all()
    assert model.tidy()["p.value"].isna().all()
    assert "standard errors of factor(g)0, factor(g)1" in str(model.summary())


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
    assert "Safer: vcov='CR2 ~ h', or 'wild ~ h'" in str(fit)
    assert noted(cf.lm("y ~ x", few, vcov="CR0 ~ h").summary())
    assert "Safer: vcov='CR2 ~ h'" in str(cf.fit("b ~ treat(a) + adjust(x)", few, family="binomial", vcov="~ h"))
    assert "cf.Jackknife(cluster='h')" in str(cf.fit("y ~ treat(a) + adjust(x)", few, "ipw", vcov="~ h"))


@pytest.mark.parametrize("vcov", ["CR2 ~ h", "CR3 ~ h", "wild(99, seed = 1) ~ h", "jackknife ~ h"])
def test_not_where_the_degrees_of_freedom_know_it(data, vcov):
    assert not noted(cf.fit("y ~ treat(a) + adjust(x)", data.assign(h=data["g"] // 13), vcov=vcov))


def test_nor_where_there_are_enough(data):
    assert not noted(cf.fit("y ~ treat(a) + adjust(x)", data, vcov="~ g"))
