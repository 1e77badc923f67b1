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


@pytest.fixture(scope="module")
def one(data) -> pd.DataFrame:
    return data.assign(a=data["only"].astype(int))


ROW = "standard errors are not defined: row r7 has leverage one"


@pytest.mark.parametrize("vcov", [*ADJUSTING, "HC0", "HC1", "asympt", "linearised", "NeweyWest(2)"])
@pytest.mark.parametrize("adjusting", ["", " + x", " + x + weights(v)"])
def test_an_arm_of_one_row_has_none(one, vcov, adjusting):
    with pytest.warns(cf.CausalFormulaWarning, match=ROW):
        fit = cf.fit(f"y ~ treat(a){adjusting}", one.assign(v=1 + one["x"] ** 2), "regression", vcov=vcov)
    assert np.isfinite(fit.estimate)
    assert np.isnan(fit.std_error)
    assert fit.tidy()[["std.error", "statistic", "p.value", "conf.low", "conf.high"]].isna().all(axis=None)
    assert ROW in str(fit)
    assert "Use 'classical', which takes all errors for equally large, or drop it" in str(fit)
    assert fit.with_vcov("classical").std_error > 0


def test_nor_under_the_default_of_sampling_weights(one):
    with pytest.warns(cf.CausalFormulaWarning, match=f"linearised {ROW}"):
        fit = cf.fit("y ~ treat(a) + x + weights(v)", one.assign(v=1 + one["x"] ** 2))
    assert np.isnan(fit.std_error)


def test_nor_by_a_wild_bootstrap_and_exponential_weights_say_so(one):
    with pytest.warns(cf.CausalFormulaWarning, match=ROW):
        wild = cf.fit("y ~ treat(a) + x", one, vcov=cf.Wild(reps=99, seed=1))
    assert np.isnan(wild.std_error)
    with pytest.warns(cf.CausalFormulaWarning, match="a single row has a = 1: resampling rows cannot tell"):
        drawn = cf.fit("y ~ treat(a) + x", one, vcov=cf.Bootstrap(30, weights="exponential", seed=1))
    assert "these standard errors are too small" in str(drawn)


def test_contrasts_of_the_other_arms_keep_theirs(data):
    three = data.assign(t=np.where(data["only"] == 1, "c", np.where(data["a"] == 1, "p", "q")))
    for vcov in ("HC1", "HC3"):
        with pytest.warns(cf.CausalFormulaWarning, match=f"some {vcov} {ROW}"):
            table = cf.fit("y ~ treat(t) + x", three, vcov=vcov, contrast="pairwise").tidy().set_index("contrast")
        assert list(table.index[table["std.error"].isna()]) == ["p - c", "q - c"]
        kept = cf.fit("y ~ treat(t) + x", three.drop("r7"), vcov=vcov)
        factor = 1 if vcov == "HC3" else np.sqrt(40 / 39)  # n / (n - k) with one row and one coefficient more
        assert table["std.error"]["q - p"] == pytest.approx(kept.std_error * factor, rel=1e-12)


@pytest.mark.parametrize("vcov", ["HC1", "HC3", "CR0 ~ id"])
def test_a_cell_of_one_row_and_a_group_with_an_arm_of_one_row(data, vcov):
    d = data.assign(
        id=range(40), g=np.arange(40) // 2 % 2, t=np.arange(40) % 2, f=np.where(np.arange(40) < 8, "u", "v")
    )
    d.loc[(d["g"] == 1) & (d["t"] == 1) & (d["id"] > 4), "t"] = 0
    d.loc[d["f"] == "u", "a"] = d["only"].astype(int)
    with pytest.warns(cf.CausalFormulaWarning, match="not defined"):
        assert np.isnan(cf.fit("y ~ did(g, t) + x", d, vcov=vcov).std_error)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        groups = cf.fit("y ~ treat(a) + modify(f)", d, vcov=vcov).by("f").tidy()["std.error"]
    assert list(groups.isna()) == [True, False]


@pytest.mark.parametrize("vcov", ["HC2", "HC3"])
@pytest.mark.parametrize("seed", range(6))
def test_an_estimate_in_which_the_row_has_no_part_is_that_of_the_others(seed, vcov):
    """Whatever rounding leaves of the row's part."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"x": rng.normal(size=60) + 10.0**seed, "y": rng.normal(size=60), "a": rng.integers(0, 2, 60)})
    d["f"], d["g"] = np.where(np.arange(60) % 3, "b", "c"), rng.integers(0, 2, 60)
    d.loc[0, "f"] = "odd"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for formula in ("y ~ treat(a) + adjust(x + f)", "y ~ did(g, a) + x + f"):
            whole, kept = cf.fit(formula, d, vcov=vcov), cf.fit(formula, d[1:], vcov=vcov)
            assert whole.std_error == pytest.approx(kept.std_error, rel=1e-8)
            both = cf.stack([whole, kept], vcov=vcov).covariance.std_error
            np.testing.assert_allclose(both, kept.std_error, rtol=1e-8)
    if seed == 0 and vcov == "HC3":
        first = cf.fit("y ~ treat(a) + adjust(x + f)", d, vcov=vcov)
        assert first.std_error == pytest.approx(0.28506, abs=5e-6)  # estimatr::lm_robust(se_type = "HC3")


@pytest.mark.parametrize("vcov", ADJUSTING)
def test_models_too(data, vcov):
    with pytest.warns(cf.CausalFormulaWarning, match=f"some {vcov} {ROW}"):
        model = cf.lm("y ~ a + x + only", data, vcov=vcov)
    assert list(model.bse.index[model.bse.isna()]) == ["only"]
    assert "row r7 has leverage one" in str(model.summary())
    # HC4 to HC5 compare leverages with their mean, in which the row counts
    if vcov in ("HC2", "HC3"):
        kept = cf.lm("y ~ a + x", data.drop("r7"), vcov=vcov)
        np.testing.assert_allclose(model.bse.drop("only"), kept.bse, rtol=1e-12)


def test_a_coefficient_keeps_the_variance_that_r_gives_it(data):
    """sandwich::vcovHC(type = "HC1") counts the row's error as zero, and the print says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = cf.lm("y ~ x + only", data, vcov="HC1")
    assert model.bse["only"] > 0
    assert "Note: only rests on one row, whose own error these data cannot tell" in str(model.summary())
    with pytest.warns(cf.CausalFormulaWarning, match=ROW):
        assert cf.lm("y ~ 0 + only", data, vcov="HC1").bse.isna().all()


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
    one = data.assign(b=data["only"].astype(int))
    plain, full = cf.fit("y ~ treat(a) + x", data), cf.fit("y ~ treat(b) + x", one)
    for vcov in ("HC1", "HC3"):
        with pytest.warns(cf.CausalFormulaWarning, match="row r7 has leverage one"):
            both = cf.stack([plain, full], vcov=vcov)
        assert list(np.isnan(both.covariance.std_error)) == [False, True]
        with pytest.warns(cf.CausalFormulaWarning):
            test = full.with_vcov(vcov).hypothesis("b1 = 0").test
        assert np.isnan(test.p_value)


# -- averaged scores ---------------------------------------------------------------------------------------------------

TWO = "standard errors are not defined: rows r7, r9 have leverage one"
FEWER = "Give the outcome model fewer terms, or drop them"


@pytest.fixture(scope="module")
def pair(data) -> pd.DataFrame:
    """An arm of two rows, through which a line goes exactly."""
    return data.assign(a=np.isin(np.arange(40), (7, 9)).astype(int), g=np.arange(40) // 2)


@pytest.mark.parametrize("method", ["aipw", "tmle"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"estimand": "ATT"},
        {"estimand": "ATC"},
        {"vcov": cf.Asympt(weights="fixed")},
        {"vcov": "HC1"},
        {"vcov": "CR1 ~ g"},
        {"measure": "ratio"},
    ],
)
def test_averaged_scores_of_an_arm_that_is_fitted_exactly_have_none(pair, method, options):
    """The arm's residuals are zero whatever its errors; the other arm's mean keeps its standard error."""
    more = {"interact": True} if method == "tmle" else {}
    data = pair.assign(y=pair["y"] + 9) if "measure" in options else pair
    with pytest.warns(cf.CausalFormulaWarning, match=TWO):
        fit = cf.fit("y ~ treat(a) + x", data, method, **more, **options)
    assert np.isfinite(fit.estimate) and np.isnan(fit.std_error)
    assert TWO in str(fit) and FEWER in str(fit)
    with pytest.warns(cf.CausalFormulaWarning, match=f"some .*{TWO}"):
        errors = fit.means().tidy()["std.error"]
    assert list(np.isnan(errors)) == [False, True]


def test_nor_by_group_stacked_or_with_weights(pair):
    d = pair.assign(f=np.where(np.arange(40) < 20, "u", "v"), v=1 + pair["x"] ** 2)
    with pytest.warns(cf.CausalFormulaWarning, match=TWO):
        groups = cf.fit("y ~ treat(a) + x + weights(v)", d, "aipw").by("f").tidy()["std.error"]
    assert groups.isna().all()
    with pytest.warns(cf.CausalFormulaWarning, match=TWO):
        both = cf.stack(
            [cf.fit("y ~ treat(a) + x", d, "aipw"), cf.fit("y ~ treat(t) + x", d.assign(t=d["g"] % 2), "aipw")]
        )
    assert list(np.isnan(both.covariance.std_error)) == [True, False]


@pytest.fixture(scope="module")
def odd(data) -> pd.DataFrame:
    """A level with one row of each arm."""
    return data.assign(f=np.where(np.isin(np.arange(40), (6, 7)), "odd", "rest"))


@pytest.mark.parametrize("method", ["aipw", "tmle"])
def test_rows_that_are_fitted_exactly_beside_others_are_told_where_they_count(odd, method):
    """Twenty rows an arm, one of them exact: the variance of the others stands, and the print says whose it is not."""
    more = {"interact": True} if method == "tmle" else {}
    told = "a 1 - 0 rests on one row, whose own error these data cannot tell"
    fit = cf.fit("y ~ treat(a) + x + f", odd, method, **more)
    assert fit.std_error > 0 and told in str(fit)
    assert "rests on" not in str(cf.fit("y ~ treat(a) + x", odd, method, **more))


@pytest.mark.parametrize(
    ("method", "options"), [("aipw", {}), ("tmle", {"interact": True, "fluctuation": "linear", "bounds": 0.01})]
)
@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_parts_of_rows_are_derivatives_in_their_outcomes(odd, method, options, estimand):
    """Both estimates are linear in the outcome, given the propensities."""
    fit = cf.fit("y ~ treat(a) + x + f", odd, method, estimand=estimand, **options)
    exactly = fit.answer.estimate.evidence.exactly
    assert list(exactly.rows) == [6, 7]
    for row in (3, 6, 7, 20):
        moved = odd.assign(y=odd["y"] + 0.01 * (np.arange(40) == row))
        again = cf.fit("y ~ treat(a) + x + f", moved, method, estimand=estimand, **options)
        assert exactly.response[row, 0] == pytest.approx((again.estimate - fit.estimate) / 0.01, abs=1e-9)
