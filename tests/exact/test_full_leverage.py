"""Rows of leverage one: a variance that divides by one minus the leverage does not exist, and says so."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

ADJUSTING = ["HC2", "HC3", "HC4", "HC4m", "HC5"]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"x": rng.normal(size=40), "a": np.arange(40) % 2}, index=[f"r{k}" for k in range(40)])
    return d.assign(y=d["x"] + d["a"] + rng.normal(size=40), only=(np.arange(40) == 7).astype(float), w=1.0)


@pytest.mark.parametrize("vcov", ADJUSTING)
def test_standard_errors_are_nan_and_the_rows_are_named(data, vcov):
    said = f"{vcov} standard errors are not defined: row r7 has leverage one"
    with pytest.warns(cf.CausalFormulaWarning, match=said):
        fit = cf.fit("y ~ treat(a) + x + only", data, vcov=vcov)
    assert np.isfinite(fit.estimate)
    assert np.isnan(fit.std_error)
    assert fit.tidy()[["std.error", "statistic", "p.value", "conf.low", "conf.high"]].isna().all(axis=None)
    assert "row r7 has leverage one" in str(fit)
    assert "Use 'HC1' or 'classical', or drop it" in str(fit)


@pytest.mark.parametrize("vcov", ADJUSTING)
def test_models_too(data, vcov):
    with pytest.warns(cf.CausalFormulaWarning, match="row r7 has leverage one"):
        model = cf.lm("y ~ a + x + only", data, vcov=vcov)
    assert model.bse.isna().all()
    assert "row r7 has leverage one" in str(model.summary())


@pytest.mark.parametrize("vcov", ["classical", "HC0", "HC1"])
def test_others_are_as_they_were(data, vcov):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = cf.fit("y ~ treat(a) + x + only", data, vcov=vcov)
    assert fit.std_error > 0


@pytest.mark.parametrize("vcov", ADJUSTING)
def test_without_the_row_all_is_well(data, vcov):
    kept = data.drop("r7")
    whole = cf.fit("y ~ treat(a) + x + only + weights(w)", data.assign(w=data["only"] == 0), vcov=vcov)
    assert whole.std_error == pytest.approx(cf.fit("y ~ treat(a) + x", kept, vcov=vcov).std_error, rel=1e-9)


def test_at_most_ten_rows_are_named(data):
    many = data.assign(f=[f"f{k:02d}" if k < 14 else "rest" for k in range(40)])
    with pytest.warns(cf.CausalFormulaWarning, match=r"rows r0, r1, .*, r9 and 4 more have leverage one"):
        cf.lm("y ~ f", many, vcov="HC3")


def test_a_joint_covariance_and_a_hypothesis_say_so_too(data):
    plain, full = cf.fit("y ~ treat(a) + x", data), cf.fit("y ~ treat(a) + x + only", data)
    with pytest.warns(cf.CausalFormulaWarning, match="row r7 has leverage one"):
        both = cf.stack([plain, full], vcov="HC3")
    assert np.isnan(both.cov_params()).any(axis=None)
    with pytest.warns(cf.CausalFormulaWarning):
        test = full.with_vcov("HC3").hypothesis("b1 = 0").test
    assert np.isnan(test.p_value)
