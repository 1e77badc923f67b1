"""Columns far from zero: no effect depends on where they are counted from, and what is left out is named."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.numerics.centring import centred
from causalformula.numerics.least_squares import least_squares

SHIFTS = [1e5, 1e7, 1e8, 1e9]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 200
    # numbers that a shift of 1e9 leaves exact, so that only the arithmetic can differ
    d = pd.DataFrame({"x": np.round(rng.normal(size=n) * 2**16) / 2**16, "z": rng.normal(size=n)})
    d["dose"] = np.round((d["x"] + rng.normal(size=n)) * 2**16) / 2**16
    d["g"] = rng.integers(0, 10, n)
    d["a"] = rng.binomial(1, 1 / (1 + np.exp(-d["x"])))
    d["m"] = np.where(rng.random(n) < 0.3, "c", np.where(d["a"] == 1, "b", "a"))
    d["half"] = np.where(d["z"] > 0, "u", "v")
    d["y"] = 1 + d["x"] + 2 * d["a"] + d["z"] + rng.normal(size=n)
    d["b"] = (d["y"] > 2).astype(int)
    return d


def table(formula: str, frame: pd.DataFrame, **options: object) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cf.fit(formula, frame, **options).tidy()[["estimate", "std.error"]].to_numpy()


BINARY = "y ~ treat(a) + adjust(x + z)"
CASES = {
    "regression": (BINARY, {}),
    "HC3": (BINARY, {"vcov": "HC3"}),
    "CR2": (BINARY, {"vcov": "CR2 ~ g"}),
    "wild": (BINARY, {"vcov": "wild(199, seed = 1) ~ g"}),
    "NeweyWest": (BINARY, {"vcov": "NeweyWest(3)"}),
    "jackknife": (BINARY, {"vcov": "jackknife"}),
    "bootstrap": (BINARY, {"vcov": "bootstrap(49, seed = 1)"}),
    "studentized": (BINARY, {"vcov": "bootstrap(49, seed = 1, kind = 'studentized')"}),
    "unconditional": (BINARY, {"vcov": cf.HC("HC0", unconditional=True)}),
    "binomial": ("b ~ treat(a) + adjust(x + z)", {"family": "binomial"}),
    "interact": (BINARY, {"interact": True, "vcov": "HC3"}),
    "interact, bootstrap": (BINARY, {"interact": True, "vcov": "bootstrap(49, seed = 1)"}),
    "modify": ("y ~ treat(a) + modify(x)", {"vcov": "CR2 ~ g"}),
    "modify, binomial": ("b ~ treat(a) + modify(x)", {"family": "binomial"}),
    "modify, dose": ("y ~ treat(dose) + modify(x)", {}),
    "three factors": ("y ~ treat(a) + modify(x * half)", {}),
    "dose": ("y ~ treat(dose) + adjust(x + z)", {}),
    "ipw": (BINARY, {"method": "ipw"}),
    "ipw, bootstrap": (BINARY, {"method": "ipw", "vcov": "bootstrap(49, seed = 1)"}),
    "ipw, by": (BINARY, {"method": "ipw", "by": "half"}),
    "ipw, probit": (BINARY, {"method": "ipw", "link": "probit"}),
    "ipw, levels": ("y ~ treat(m) + adjust(x + z)", {"method": "ipw"}),
    "ipw, dose": ("y ~ treat(dose) + adjust(x + z)", {"method": "ipw"}),
    "outcome": (BINARY + " + outcome(x)", {"method": "ipw"}),
    "ebal": (BINARY, {"method": "ebal"}),
    "ebal, moments": (BINARY, {"method": "ebal", "moments": 2, "int": True}),
    "ebal, tols": (BINARY, {"method": "ebal", "tols": 0.05}),
    "cbps": (BINARY, {"method": "cbps"}),
    "cbps, over": (BINARY, {"method": "cbps", "over": True}),
    "ipt": (BINARY, {"method": "ipt"}),
    "subclass": (BINARY, {"method": "subclass"}),
}


@pytest.mark.parametrize("name", CASES)
def test_an_effect_does_not_depend_on_the_origin(data, name):
    formula, options = CASES[name]
    right = table(formula, data, **options)
    for shift in (1e5, 1e9):
        found = table(formula, data.assign(x=data["x"] + shift, dose=data["dose"] + shift), **options)
        np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shift", SHIFTS)
def test_coefficients_of_the_model_are_those_of_the_columns_as_given(data, shift):
    far = cf.fit(BINARY, data.assign(x=data["x"] + shift), vcov="HC3").outcome
    near = cf.fit(BINARY, data, vcov="HC3").outcome
    slope = near.coef["x"]
    assert far.coef["(Intercept)"] == pytest.approx(near.coef["(Intercept)"] - shift * slope, rel=1e-9)
    assert far.coef["x"] == pytest.approx(slope, rel=1e-9)
    assert far.bse["x"] == pytest.approx(near.bse["x"], rel=1e-7)
    assert far.bse["(Intercept)"] == pytest.approx(shift * near.bse["x"], rel=1e-3)
    np.testing.assert_allclose(far.predict(), near.predict(), rtol=1e-6, atol=1e-6)


def test_profile_limits_are_those_of_the_columns_as_given(data):
    far = cf.fit(BINARY, data.assign(x=data["x"] + 1e8), "ipw").propensity.confint(method="profile")
    near = cf.fit(BINARY, data, "ipw").propensity.confint(method="profile")
    np.testing.assert_allclose(far.loc[["x", "z"]], near.loc[["x", "z"]], rtol=1e-6)
    np.testing.assert_allclose(far.loc["(Intercept)"], -1e8 * near.loc["x"].to_numpy()[::-1], rtol=1e-3)


def test_balance_does_not_depend_on_the_origin(data):
    for treatment, method in (("a", "ipw"), ("a", "ebal"), ("a", "subclass"), ("dose", "ipw"), ("dose", "ebal")):
        near, far = (
            cf.design(
                f"~ treat({treatment}) + adjust(x + z)",
                data.assign(x=data["x"] + shift, dose=data["dose"] + shift),
                method,
            )
            .balance()
            .to_frame()
            for shift in (0.0, 1e8)
        )
        assert list(near.columns) == list(far.columns)
        numbers = near.select_dtypes("number").columns
        np.testing.assert_allclose(far[numbers], near[numbers], rtol=1e-5, atol=1e-6)


def test_a_matrix_is_that_of_the_coefficients_as_given(data):
    far = data.assign(x=data["x"] + 1e4)
    matrix = cf.lm("y ~ a + x + z", far, vcov="HC1").cov_params()
    fit = cf.fit(BINARY, far, vcov=matrix.to_numpy())
    assert fit.std_error == pytest.approx(cf.fit(BINARY, far, vcov="HC1").std_error, rel=1e-6)


def test_automatic_bandwidths_are_chosen_by_the_columns_as_given(data):
    """R chooses by the scores of the columns as they are: its bandwidth, unlike the effect, moves with the origin."""
    far = data.assign(x=data["x"] + 1e4)
    for vcov in ("NeweyWest", "Andrews"):
        assert cf.fit(BINARY, far, vcov=vcov).std_error == pytest.approx(
            cf.lm("y ~ a + x + z", far, vcov=vcov).bse["a"], rel=1e-6
        )


def test_lm_keeps_the_rule_of_r_and_names_what_it_leaves_out(data):
    far = data.assign(x=data["x"] + 1e8)
    with pytest.warns(cf.CausalFormulaWarning, match=r"x left out as R's lm does.* scale\(x, scale = FALSE\)"):
        model = cf.lm("y ~ a + x", far)
    assert np.isnan(model.coef["x"])
    for text in (str(model), str(model.summary()), str(model.with_vcov("HC3").summary())):
        assert "Note: x left out as R's lm does" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cf.lm("y ~ a + x + twice", data.assign(twice=2 * data["x"]))  # a combination, wherever it is counted from


def test_what_an_effect_leaves_out_is_named(data):
    twice = data.assign(twice=2 * data["x"], still=3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit("y ~ treat(a) + adjust(x + twice)", twice)
        weighted = cf.fit("y ~ treat(a) + adjust(x + twice)", twice, "ipw")
        levels = cf.fit("y ~ treat(m) + adjust(x + twice)", twice, "ipw")
        strata = cf.fit("y ~ treat(a) + adjust(x + twice)", twice, "subclass")
    assert "Note: the outcome model leaves out twice" in str(fit)
    assert "Note: the propensity model leaves out twice" in str(weighted)
    assert "Note: the propensity model leaves out twice" in str(levels)
    assert "Note: the propensity model leaves out twice" in str(strata)
    assert fit.estimate == pytest.approx(cf.fit("y ~ treat(a) + adjust(x)", data).estimate, rel=1e-12)


def test_a_dose_that_is_a_constant_is_no_treatment(data):
    with pytest.raises(cf.CausalFormulaError):
        cf.fit("y ~ treat(dose)", data.assign(dose=1e8 + data["dose"] * 1e-9))


def test_a_product_without_its_factors_stays_as_it_is(data):
    """Nothing can be taken from ``x:z`` where the design has no z of its own."""
    far = data.assign(x=data["x"] + 1e8)
    fit = cf.fit("y ~ treat(a) + adjust(x:z)", far)
    assert fit.estimate == pytest.approx(cf.lm("y ~ a + x:z", far).coef["a"], rel=1e-9)


def test_powers_far_from_zero_raise_no_error_of_numpy(data):
    for shift in SHIFTS:
        far = data.assign(x=data["x"] + shift)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = cf.fit("y ~ treat(a) + adjust(x + I(x^2) + I(x^3))", far)
        assert fit.std_error > 0


def test_columns_near_zero_stay_where_they_are(data):
    X = np.column_stack([np.ones(len(data)), data[["x", "z", "a"]]])
    assert centred(X).X is X
    assert centred(X).moved is None


def test_a_constant_that_was_computed_is_a_constant():
    x = np.full(50, 0.1) * np.arange(1, 51) / np.arange(1, 51)
    moved = centred(np.column_stack([np.ones(50), x + np.spacing(0.1) * (np.arange(50) % 2)]))
    assert not moved.X[:, 1].any()


def test_columns_that_differ_by_rounding_are_one():
    rng = np.random.default_rng(1)
    x = rng.normal(size=80) + 1e9
    X = np.column_stack([np.ones(80), x, (x - 5e8) + 5e8 + 1.0, 0.3 * x])
    design = centred(X)
    fit = least_squares(design.X, rng.normal(size=80), tol=design.tol)
    assert list(fit.kept) == [0, 1]


def test_a_constant_beside_other_terms_leaves_the_effect_alone():
    """It is left out by name, and nothing that it is called to the effect for is lost by rounding."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"a": rng.integers(0, 2, 50), "x": rng.normal(size=50), "k": 3.0})
    data["y"] = data["a"] + data["x"] + rng.normal(size=50)
    with pytest.warns(cf.CausalFormulaWarning, match="leaves out k, which is the same in every row"):
        found = cf.fit("y ~ treat(a) + x + k", data)
    assert found.estimate == pytest.approx(cf.fit("y ~ treat(a) + x", data).estimate, rel=1e-12)


# -- outcomes far from zero ------------------------------------------------------------------------------------------

OUTCOMES = ["regression", "HC3", "CR2", "wild", "jackknife", "bootstrap", "interact", "modify", "dose", "ipw"]


@pytest.mark.parametrize("case", OUTCOMES)
def test_nor_on_where_the_outcome_is_counted_from(data, case):
    """A shift that leaves the outcomes exact leaves the effects too, to the last digits."""
    formula, options = CASES[case]
    near = data.assign(y=np.round(data["y"] * 2**10) / 2**10)
    far = near.assign(y=near["y"] + 2.0**40)
    np.testing.assert_allclose(table(formula, far, **options), table(formula, near, **options), rtol=1e-9)


@pytest.mark.parametrize("method", ["difference_in_means", "regression", "subclass", "ebal"])
def test_means_keep_the_shift(data, method):
    formula = "y ~ treat(a)" if method == "difference_in_means" else BINARY
    near = data.assign(y=np.round(data["y"] * 2**10) / 2**10)
    far = near.assign(y=near["y"] + 2.0**40)
    one, other = cf.fit(formula, near, method), cf.fit(formula, far, method)
    assert other.estimate == pytest.approx(one.estimate, rel=1e-10)
    np.testing.assert_allclose(other.means().tidy()["estimate"] - 2.0**40, one.means().tidy()["estimate"], atol=1e-3)
    np.testing.assert_allclose(other.means().tidy()["std.error"], one.means().tidy()["std.error"], rtol=1e-9)
    ratio = cf.fit(formula, far, method, measure="ratio")
    assert ratio.estimate == pytest.approx(1 + one.estimate / 2.0**40, abs=1e-15)


def test_differences_in_differences_and_models_too(data):
    near = data.assign(y=np.round(data["y"] * 2**10) / 2**10, t=np.arange(200) % 2)
    far = near.assign(y=near["y"] + 2.0**40)
    one, other = (cf.fit("y ~ did(a, t)", d) for d in (near, far))
    assert other.estimate == pytest.approx(one.estimate, rel=1e-10)
    assert other.std_error == pytest.approx(one.std_error, rel=1e-10)
    near_model, far_model = (cf.lm("y ~ x + a", d) for d in (near, far))
    np.testing.assert_allclose(far_model.params.iloc[1:], near_model.params.iloc[1:], rtol=1e-12)
    assert far_model.params.iloc[0] == pytest.approx(near_model.params.iloc[0] + 2.0**40, rel=1e-15)
    np.testing.assert_allclose(far_model.bse, near_model.bse, rtol=1e-12)


@pytest.mark.parametrize("method", ["regression", "ipw", "subclass", "ebal", "cbps", "ipt", "energy"])
def test_a_regressor_out_of_range_is_named(data, method):
    huge = data.assign(far=data["x"] * 1e200)
    with pytest.raises(cf.DataError, match=r"^far has values of up to"):
        cf.fit("y ~ treat(a) + adjust(z + far)", huge, method)
    with pytest.raises(cf.DataError, match=r"^I\(far \* 2\) has values of up to"):
        cf.lm("y ~ z + I(far * 2)", huge)
    with pytest.raises(cf.DataError, match=r"^far has values of up to"):
        cf.glm("b ~ far", huge, family="binomial")


@pytest.mark.parametrize("method", ["regression", "ipw", "ebal", "cbps", "energy"])
def test_and_a_dose(data, method):
    with pytest.raises(cf.DataError, match="the treatment 'far' has values of up to"):
        cf.fit("y ~ treat(far) + adjust(z)", data.assign(far=data["x"] * 1e200), method)
