"""Numbers at the ends of their range, models without columns or degrees of freedom, resamples that lose an arm."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 40
    d = pd.DataFrame({"x": rng.normal(size=n), "g": np.repeat(range(8), 5), "one": 1.0, "a": rng.integers(0, 2, n)})
    d["y"], d["k"] = d["x"] + rng.normal(size=n) + 1, rng.poisson(2, n)
    d["b"], d["t"] = rng.integers(0, 2, n), np.arange(n)
    return d


# -- the range of numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e200, 1e160, 1e-160, 1e-200])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("regression", {}),
        ("ipw", {}),
        ("ebal", {}),
        ("cbps", {}),
        ("ipt", {}),
        ("energy", {}),
        ("subclass", {"subclass": 2}),
        ("subclass", {"subclass": 2, "estimator": "stratified"}),
    ],
)
def test_an_outcome_or_covariate_whose_squares_leave_it_is_refused(data, method, options, scale):
    odd = data.assign(far=data["y"] * scale, w=data["x"] * scale)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        with pytest.raises(cf.DataError, match=r"the outcome has values of .* express it in another unit"):
            cf.fit("far ~ treat(a) + adjust(x)", odd, method, **options)
        with pytest.raises(cf.DataError, match="values"):
            cf.fit("y ~ treat(a) + adjust(w)", odd, method, **options)


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_models_and_differences_in_means_too(data, scale):
    odd = data.assign(far=data["y"] * scale, w=data["x"] * scale)
    for run in (lambda: cf.lm("far ~ x", odd), lambda: cf.glm("far ~ x", odd), lambda: cf.fit("far ~ treat(a)", odd)):
        with pytest.raises(cf.DataError, match="the outcome has values of"):
            run()
    for run in (lambda: cf.lm("y ~ w", odd), lambda: cf.fit("y ~ treat(w)", odd)):
        with pytest.raises(cf.DataError, match="values"):
            run()


@pytest.mark.parametrize("scale", [1e100, 1e-100])
def test_what_can_be_computed_is(data, scale):
    right = cf.fit("y ~ treat(a) + adjust(x)", data, vcov="HC3")
    found = cf.fit("far ~ treat(a) + adjust(x)", data.assign(far=data["y"] * scale), vcov="HC3")
    assert found.estimate == pytest.approx(right.estimate * scale, rel=1e-9)
    assert found.std_error == pytest.approx(right.std_error * scale, rel=1e-9)


@pytest.mark.parametrize("unit", [1e200, 1e-200])
def test_the_unit_of_weights_does_not_matter(data, unit):
    counts = 1.0 + np.arange(len(data)) % 3
    small, large = data.assign(w=counts), data.assign(w=counts * unit)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for vcov in ("classical", "HC0", "HC3", "CR2 ~ g", "~ g"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", cf.CausalFormulaWarning)
                right, found = (cf.lm("y ~ x", d, weights="w", vcov=vcov).bse for d in (small, large))
            np.testing.assert_allclose(found, right, rtol=1e-9)
        for method in ("regression", "ipw", "ebal"):
            right, found = (
                cf.fit("y ~ treat(a) + adjust(x) + weights(w)", d, method, vcov="HC0").std_error for d in (small, large)
            )
            assert found == pytest.approx(right, rel=1e-9)


def test_a_small_epsilon_does_not_keep_a_constant_twice(data):
    fit = cf.glm("k ~ one + x", data, family="poisson", epsilon=1e-14)
    assert np.isnan(fit.coef["one"])
    right = cf.glm("k ~ x", data, family="poisson", epsilon=1e-14)
    np.testing.assert_allclose(fit.coef[["(Intercept)", "x"]], right.coef, rtol=1e-10)


# -- models without columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vcov",
    [
        *("classical", "HC3", "~ g", "CR2 ~ g", "NeweyWest", "Andrews", "DriscollKraay ~ t"),
        *("bootstrap(19, seed = 1)", "jackknife", "jackknife ~ g"),
    ],
)
@pytest.mark.parametrize("family", [None, "gaussian", "poisson", "binomial"])
def test_a_model_of_nothing_has_a_table_of_nothing(data, family, vcov):
    outcome = {"poisson": "k", "binomial": "b"}.get(str(family), "y")
    formula = f"{outcome} ~ 0"
    model = cf.lm(formula, data, vcov=vcov) if family is None else cf.glm(formula, data, family=family, vcov=vcov)
    assert len(model.tidy()) == 0
    assert model.cov_params().shape == (0, 0)
    assert str(model.summary())


def test_profile_limits_without_other_coefficients(data):
    assert cf.glm("k ~ 0", data, family="poisson").confint(method="profile").shape == (0, 2)
    limits = cf.glm("k ~ 1", data, family="poisson").confint(method="profile").to_numpy()[0]
    # the deviance of a Poisson mean has a closed form: 2 n (mean log(mean / m) - mean + m) = z^2
    mean, n = data["k"].mean(), len(data)
    for limit in np.exp(limits):
        assert 2 * n * (mean * np.log(mean / limit) - mean + limit) == pytest.approx(1.959963984540054**2, rel=1e-9)


def test_no_degrees_of_freedom_left_for_bgtest(data):
    """R: lmtest::bgtest(lm(y ~ x, d[1:4, ]), order = 2, type = 'F'): LM test = NaN, df1 = 2, df2 = 0."""
    test = cf.bgtest(cf.lm("y ~ x", data.iloc[:4]), order=2, type="F")
    assert np.isnan(test.statistic) and np.isnan(test.p_value)


def test_anova_warns_of_a_perfect_fit(data):
    """R: anova(lm): "ANOVA F-tests on an essentially perfect fit are unreliable"."""
    exact = data.assign(y=3 + 2 * data["x"] + 1e-7 * data["y"])
    with pytest.warns(cf.CausalFormulaWarning, match="ANOVA F-tests on an essentially perfect fit are unreliable"):
        cf.anova(cf.lm("y ~ x", exact))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cf.anova(cf.lm("y ~ x", data))


@pytest.mark.parametrize("method", ["regression", "ipw", "ebal", "subclass", "difference_in_means", "did"])
def test_an_effect_says_so_too(method):
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"x": rng.normal(size=200), "t": np.arange(200) % 2, "e": rng.normal(size=200)})
    d["a"] = (d["x"] + rng.normal(size=200) > 0).astype(int)
    d["y"] = 2 + 3 * d["a"] + (d["x"] if method != "difference_in_means" else 0)
    formula = {
        "regression": "y ~ treat(a) + x",
        "difference_in_means": "y ~ treat(a)",
        "did": "y ~ did(a, t) + x",
    }.get(method, "y ~ treat(a) + x + outcome(x)")
    with pytest.warns(cf.CausalFormulaWarning, match="essentially perfect fit"):
        fit = cf.fit(formula, d, method)
    assert "Note: essentially perfect fit: what is left of the outcome is rounding" in str(fit)
    for scale in (1e-9, 1e9):
        near = d.assign(y=scale * (d["y"] + 1e-9 * d["e"]))
        assert "perfect" not in str(cf.fit(formula, near, method))


def test_the_print_of_a_model_says_so(data):
    exact = data.assign(y=3 + 2 * data["x"])
    for vcov in (None, "HC1"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = str(cf.lm("y ~ x", exact, vcov=vcov).summary())
        assert "Note: essentially perfect fit: summary may be unreliable" in text


# -- resamples that lose an arm --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rare() -> pd.DataFrame:
    rng = np.random.default_rng(16)
    n = 60
    d = pd.DataFrame(
        {"x": rng.normal(size=n), "g": np.repeat(range(12), 5), "few": (np.arange(n) % 20 == 0).astype(int)}
    )
    d["m"] = np.where(d["few"] == 1, "c", np.where(rng.random(n) < 0.5, "b", "a"))
    d["y"] = d["x"] + rng.normal(size=n)
    d["b"] = (d["y"] > 0).astype(int)
    return d


METHODS = [
    ("regression", {}),
    ("regression", {"interact": True}),
    ("regression", {"family": "binomial"}),
    ("ipw", {}),
    ("ipw", {"link": "probit"}),
    ("ipw", {"estimand": "ATOS"}),
    ("ipw", {"stabilize": True}),
    ("ebal", {}),
    ("cbps", {}),
    ("ipt", {}),
    ("subclass", {"subclass": 2}),
    ("difference_in_means", {}),
]
RESAMPLING = ["bootstrap(29, seed = 1)", "bootstrap(29, seed = 1, cluster = 'g')", "jackknife", "jackknife ~ g"]


@pytest.mark.parametrize("treatment", ["few", "m"])
@pytest.mark.parametrize("vcov", RESAMPLING)
@pytest.mark.parametrize(("method", "options"), METHODS)
def test_replicates_without_an_arm_fail_and_are_counted(rare, method, options, vcov, treatment):
    outcome = "b" if options.get("family") == "binomial" else "y"
    adjusted = "" if method == "difference_in_means" else " + adjust(x)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = cf.fit(f"{outcome} ~ treat({treatment}){adjusted}", rare, method, vcov=vcov, **options)
    except cf.CausalFormulaError as refused:
        assert str(refused)  # in words of ours, not an error of numpy's
        return
    assert np.isfinite(fit.tidy()["std.error"]).all()


def test_how_many_failed_is_said(rare):
    some = rare.assign(few=(np.arange(60) % 15 == 0).astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit("y ~ treat(few) + adjust(x)", some, "ipw", vcov="bootstrap(199, seed = 1)")
    assert "of 199 bootstrap replicates failed and were left out" in str(fit)
