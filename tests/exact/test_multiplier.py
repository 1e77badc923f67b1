"""Multiplier bootstrap, simultaneous bands and adjusted p-values against their definitions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

import causalformula as cf
from causalformula.inference.multiplicity import METHODS, adjust
from causalformula.inference.resampling.multiplier import (
    critical_value,
    gaussian_statistics,
    multiplier_statistics,
    single_step,
    step_down,
    with_df,
)
from causalformula.inference.resampling.wild import multipliers
from tests.laws.strategies import simulate


@pytest.fixture(scope="module")
def trial():
    rng = np.random.default_rng(5)
    n = 400
    arm = np.array(["a", "b", "c", "d"])[rng.integers(0, 4, n)]
    x, g = rng.normal(size=n), rng.integers(0, 25, n)
    y = 0.3 * (arm == "c") + x + 0.4 * rng.normal(size=25)[g] + rng.normal(size=n)
    z = 0.6 * y + rng.normal(size=n)
    return pd.DataFrame({"y": y, "z": z, "arm": arm, "x": x, "g": g}, index=[f"r{i}" for i in range(n)])


# -- arrays --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rademacher", "webb", "mammen", "normal"])
def test_statistics_are_weighted_sums(kind):
    sums = np.random.default_rng(1).normal(size=(30, 3))
    found = multiplier_statistics(sums, 20, np.random.default_rng(2), kind)
    xi = multipliers(np.random.default_rng(2), (20, 30), kind)
    for r in range(20):
        for j in range(3):
            expected = sum(xi[r, g] * sums[g, j] for g in range(30)) / np.sqrt(sum(s**2 for s in sums[:, j]))
            assert found[r, j] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("q", [1, 2, 5])
def test_critical_value_of_independent_normals(q):
    """P(max |Z_j| <= c) = (2 Phi(c) - 1)^q."""
    draws = gaussian_statistics(np.eye(q) * 7.0, 200_000, np.random.default_rng(1))
    exact = stats.norm.ppf((0.95 ** (1 / q) + 1) / 2)
    assert critical_value(draws, 0.95) == pytest.approx(exact, rel=0.01)


def test_critical_value_of_one_t():
    rng = np.random.default_rng(3)
    draws = with_df(gaussian_statistics(np.eye(1), 200_000, rng), 5.0, rng)
    assert critical_value(draws, 0.95) == pytest.approx(stats.t.ppf(0.975, 5), rel=0.02)


def test_critical_value_and_single_step_agree():
    """The p-value of exactly the critical value is one minus the level."""
    draws = np.random.default_rng(1).normal(size=(999, 4))
    critical = critical_value(draws, 0.95)
    assert single_step(np.array([critical]), draws)[0] == pytest.approx(0.05 + 1 / 1000)
    assert single_step(np.array([critical * (1 + 1e-9)]), draws)[0] == pytest.approx(0.05)


def test_perfectly_dependent_estimates_need_no_adjustment():
    one = np.random.default_rng(1).normal(size=(80, 1))
    both = multiplier_statistics(np.hstack([one, 3 * one, -one]), 999, np.random.default_rng(2))
    alone = multiplier_statistics(one, 999, np.random.default_rng(2))
    assert critical_value(both, 0.95) == pytest.approx(critical_value(alone, 0.95), rel=1e-12)


@given(st.integers(1, 6), st.integers(0, 10**6))
def test_step_down_by_its_definition(q, seed):
    rng = np.random.default_rng(seed)
    t, draws = rng.normal(size=q) * 2, rng.normal(size=(50, q))
    found = step_down(t, draws)
    order = sorted(range(q), key=lambda j: -abs(t[j]))
    floor = 0.0
    for k, j in enumerate(order):
        left = order[k:]
        reached = sum(max(abs(row[i]) for i in left) >= abs(t[j]) for row in draws)
        floor = max(floor, (reached + 1) / 51)
        assert found[j] == pytest.approx(floor, abs=1e-15)
    assert (found <= single_step(t, draws) + 1e-15).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from(METHODS))
def test_adjustments_are_those_of_statsmodels(p, method):
    names = {"bonferroni": "bonferroni", "holm": "holm", "hochberg": "simes-hochberg", "bh": "fdr_bh", "by": "fdr_by"}
    expected = multipletests(p, method=names[method])[1]
    np.testing.assert_allclose(adjust(np.array(p), method), expected, rtol=1e-12, atol=1e-15)


def test_missing_p_values_do_not_count():
    """R: p.adjust(c(.01, NA, .04), "holm") is 0.02 NA 0.04."""
    np.testing.assert_allclose(adjust(np.array([0.01, np.nan, 0.04]), "holm"), [0.02, np.nan, 0.04])


# -- bands ---------------------------------------------------------------------------------------------------------


def test_bands_widen_the_limits_by_one_factor(trial):
    fit = cf.fit("y ~ treat(arm) + adjust(x)", trial, contrast="pairwise", vcov="HC3")
    bands = fit.simultaneous(seed=1)
    table, tidy = bands.table, fit.tidy()
    half = bands.critical_value * tidy["std.error"]
    np.testing.assert_allclose(table["conf.high"] - table["estimate"], half, rtol=1e-12)
    np.testing.assert_allclose(table["estimate"] - table["conf.low"], half, rtol=1e-12)
    assert (table["conf.low"] < tidy["conf.low"]).all()
    assert (table["p.value"] >= tidy["p.value"]).all()
    # six differences of four means: Tukey's studentized range is the balanced, normal version of the same question
    tukey = stats.studentized_range.ppf(0.95, 4, 395) / np.sqrt(2)
    assert bands.critical_value == pytest.approx(tukey, rel=0.03)


def test_bands_at_another_level(trial):
    fit = cf.fit("y ~ treat(arm) + adjust(x)", trial)
    assert fit.simultaneous(0.8, seed=1).critical_value < fit.simultaneous(0.95, seed=1).critical_value
    with pytest.raises(cf.OptionError, match="level"):
        fit.simultaneous(95)


def test_bands_multiply_whole_clusters(trial):
    fit = cf.fit("y ~ treat(arm) + adjust(x)", trial, vcov="~g")
    bands = fit.simultaneous(seed=1, reps=500, weights="webb")
    assert "25 clusters" in bands.source
    psi = fit.answer.estimate.evidence.psi(unconditional=False)
    sums = np.array([psi[trial.g == g].sum(axis=0) for g in range(25)])
    rng = np.random.default_rng(1)
    T = multiplier_statistics(sums, 500, rng, "webb")
    df = 24.0  # with 25 clusters, whatever the residual degrees of freedom
    assert bands.critical_value == pytest.approx(critical_value(with_df(T, df, rng), 0.95), rel=1e-9)


def test_bands_from_what_the_covariance_has(trial):
    fit = cf.fit("y ~ treat(arm) + adjust(x)", trial, contrast="pairwise")
    by_influence = fit.simultaneous(seed=1).critical_value
    boot = fit.with_vcov(cf.Bootstrap(reps=999, seed=1)).simultaneous()
    given_matrix = fit.with_vcov(fit.cov_params().to_numpy()).simultaneous(seed=1)
    assert boot.source.startswith("Bootstrap") and boot.reps == 999
    assert given_matrix.source.startswith("Normal")
    assert boot.critical_value == pytest.approx(by_influence, rel=0.06)
    assert given_matrix.critical_value == pytest.approx(by_influence, rel=0.03)


def test_bands_of_ratios_are_built_on_the_log_scale(trial):
    fit = cf.fit("I(y > 0) ~ treat(arm) + adjust(x)", trial, family="binomial", measure="ratio")
    bands = fit.simultaneous(seed=2)
    table = bands.table
    np.testing.assert_allclose(table["conf.low"] * table["conf.high"], table["estimate"] ** 2, rtol=1e-9)
    assert "critical value" in str(bands)


def test_bands_over_stacked_fits(trial):
    fits = family(trial, "~g")
    both = cf.stack(fits)
    bands = both.simultaneous(seed=1, reps=999)
    assert "25 clusters" in bands.source and len(bands.table) == 6
    np.testing.assert_allclose(bands.table["estimate"], np.concatenate([f.params for f in fits]), rtol=1e-12)
    # more effects, wider bands
    assert bands.critical_value > fits[0].simultaneous(seed=1, reps=999).critical_value


def test_same_seed_same_bands(trial):
    fit = cf.fit("y ~ treat(arm) + adjust(x)", trial)
    assert fit.simultaneous(seed=3).table.equals(fit.simultaneous(seed=3).table)
    with pytest.raises(cf.OptionError, match="weights"):
        fit.simultaneous(weights="signs")


def test_bands_cover_jointly():
    rng = np.random.default_rng(9)
    runs, hit = 300, np.zeros(2)
    for _ in range(runs):
        frame = pd.DataFrame({"y": rng.normal(size=150), "arm": np.array(list("abcde"))[rng.integers(0, 5, 150)]})
        fit = cf.fit("y ~ treat(arm)", frame, method="regression")
        for k, table in enumerate((fit.simultaneous(seed=1, reps=499).table, fit.tidy())):
            hit[k] += ((table["conf.low"] < 0) & (table["conf.high"] > 0)).all()
    joint, pointwise = hit / runs
    assert abs(joint - 0.95) < 4 * np.sqrt(0.95 * 0.05 / runs)
    assert pointwise < 0.9


def test_bands_with_few_clusters_are_of_t(trial):
    few = trial.assign(q=trial.g % 5)
    fit = cf.fit("y ~ treat(arm) + adjust(x)", few, contrast=("a", "b"), vcov="~q")
    bands = fit.simultaneous(seed=1)
    assert bands.critical_value == pytest.approx(stats.t.ppf(0.975, 4), rel=0.06)
    assert bands.table["p.value"].iloc[0] >= fit.pvalues.iloc[0]
    with pytest.raises(cf.OptionError, match="at least 20 units, and there are 5"):
        fit.simultaneous(weights="rademacher")


@pytest.mark.parametrize(
    "vcov", ["CR2 ~ q", "~q + g", "jackknife ~ q", "wild ~ g", "bootstrap(99, seed = 1) ~ q", "NeweyWest"]
)
def test_bands_hold_the_intervals(trial, vcov):
    few = trial.assign(q=trial.g % 6)
    fit = cf.fit("y ~ treat(arm) + adjust(x)", few, vcov=vcov)
    table, tidy = fit.simultaneous(seed=1, reps=499).table, fit.tidy()
    assert (table["conf.low"] <= tidy["conf.low"]).all() and (table["conf.high"] >= tidy["conf.high"]).all()
    assert (table["p.value"] >= tidy["p.value"]).all()
    adjusted = cf.adjust_pvalues([fit], "romano_wolf", seed=1, reps=499) if vcov != "~q + g" else None
    assert adjusted is None or (adjusted["p.adjusted"] >= adjusted["p.value"]).all()


def test_family_wise_error_with_six_clusters():
    """Three outcomes without effects, six clusters: multipliers of few values rejected in 30% of the samples."""
    rng = np.random.default_rng(4)
    runs, wrong = 100, np.zeros(2)
    g = np.repeat(np.arange(6), 20)
    for _ in range(runs):
        y = rng.normal(size=(6, 3))[g] + rng.normal(size=(120, 3))
        frame = pd.DataFrame({"u": y[:, 0], "v": y[:, 1], "w": y[:, 2], "a": rng.integers(0, 2, 120), "g": g})
        fits = [cf.fit(f"{name} ~ treat(a)", frame, method="regression", vcov="~g") for name in "uvw"]
        wrong[0] += (cf.adjust_pvalues(fits, "romano_wolf", reps=399, seed=1)["p.adjusted"] < 0.05).any()
        wrong[1] += (cf.stack(fits).simultaneous(reps=399, seed=1).table["p.value"] < 0.05).any()
    assert (wrong / runs < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)).all()


def test_bands_of_a_model(trial):
    model = cf.lm("y ~ arm + x + I(2 * x)", trial, vcov="~g")
    bands = model.simultaneous(seed=1)
    table, tidy = bands.table, model.tidy()
    assert list(table["term"]) == list(tidy["term"])
    known = tidy["estimate"].notna()
    assert not known.all() and table.loc[~known, "conf.low"].isna().all()
    half = bands.critical_value * tidy["std.error"]
    np.testing.assert_allclose(table["conf.high"] - table["estimate"], half, rtol=1e-12)
    effects = cf.fit("y ~ treat(arm) + adjust(x)", trial, vcov="~g")
    assert bands.critical_value > effects.simultaneous(seed=1).critical_value
    adjusted = cf.adjust_pvalues([model], "romano_wolf", seed=1)["p.adjusted"]
    assert adjusted.notna().tolist() == known.tolist()


# -- families of fits ----------------------------------------------------------------------------------------------


def family(trial, vcov="HC0"):
    return [
        cf.fit("y ~ treat(arm) + adjust(x)", trial, vcov=vcov),
        cf.fit("z ~ treat(arm) + adjust(x)", trial.iloc[:300], vcov=vcov),
    ]


def test_holm_over_a_family(trial):
    fits = family(trial)
    found = cf.adjust_pvalues(fits)
    p = np.concatenate([f.pvalues for f in fits])
    np.testing.assert_allclose(found["p.value"], p)
    np.testing.assert_allclose(found["p.adjusted"], multipletests(p, method="holm")[1], rtol=1e-12)
    assert list(found["fit"]) == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("words", ["BH", "Romano-Wolf", "romano wolf"])
def test_other_spellings_of_an_adjustment(trial, words):
    plain = "bh" if words == "BH" else "romano_wolf"
    fits = family(trial, "HC0")
    found, own = (cf.adjust_pvalues(fits, each, seed=1, reps=99) for each in (words, plain))
    assert found["p.adjusted"].tolist() == own["p.adjusted"].tolist() and found.attrs["method"] == plain


@pytest.mark.parametrize("vcov", ["HC0", "~g"])
def test_romano_wolf_aligns_rows_and_clusters(trial, vcov):
    fits = family(trial, vcov)
    found = cf.adjust_pvalues(fits, "romano_wolf", seed=6, reps=999)
    second = np.zeros((400, 3))
    second[:300] = fits[1].influence() / 300
    psi = np.hstack([fits[0].influence() / 400, second])
    if vcov == "~g":
        order = sorted(range(25), key=str)  # labels are compared as text
        psi = np.array([psi[trial.g == g].sum(axis=0) for g in order])
    rng = np.random.default_rng(6)
    draws = multiplier_statistics(psi, 999, rng)
    draws = with_df(draws, 24.0 if vcov == "~g" else float(fits[1].covariance.df[0]), rng)
    t = np.concatenate([f.tvalues for f in fits])
    own = np.concatenate([f.pvalues for f in fits])
    np.testing.assert_allclose(found["p.adjusted"], np.maximum(step_down(t, draws), own), atol=1e-12)
    assert found.attrs["seed"] == 6


def test_romano_wolf_does_not_pay_for_repeats(trial):
    fit = cf.fit("y ~ treat(arm) + adjust(x)", trial, contrast=("a", "b"), vcov="HC0")
    repeated = cf.adjust_pvalues([fit] * 10, "romano_wolf", seed=1)["p.adjusted"]
    alone = cf.adjust_pvalues([fit], "romano_wolf", seed=1)["p.adjusted"].iloc[0]
    np.testing.assert_allclose(repeated, alone, atol=1e-12)
    holm = cf.adjust_pvalues([fit] * 10)["p.adjusted"]
    assert (holm > alone).all()


def test_models_are_families_too(trial):
    effects = cf.fit("y ~ treat(arm) + adjust(x)", trial, vcov="HC0")
    model = cf.lm("y ~ arm + x", trial).with_vcov("HC0")
    one = cf.adjust_pvalues([effects], "romano_wolf", seed=1)
    two = cf.adjust_pvalues([effects, model], "romano_wolf", seed=1)
    assert len(two) == 3 + 5
    # the coefficients of the arms are the effects: the same influences, the same adjusted p-values
    np.testing.assert_allclose(two["p.adjusted"][:3], two["p.adjusted"][4:7], rtol=1e-12)
    assert (two["p.adjusted"][:3] >= one["p.adjusted"] - 1e-12).all()


def test_family_refusals(trial):
    fits = family(trial)
    with pytest.raises(cf.OptionError, match="did you mean 'holm'"):
        cf.adjust_pvalues(fits, "hollm")
    with pytest.raises(cf.OptionError, match="at least one"):
        cf.adjust_pvalues([])
    both = [fits[0].with_vcov("~g"), fits[1].with_vcov("~x")]
    with pytest.raises(cf.CapabilityError, match="same column"):
        cf.adjust_pvalues(both, "romano_wolf")
    doubled = trial.set_index(np.zeros(400, dtype=int))
    with pytest.raises(cf.CapabilityError, match="labels repeat"):
        cf.adjust_pvalues([cf.fit("y ~ treat(arm)", doubled)], "romano_wolf")


def test_a_family_may_be_named_or_be_one_fit():
    data = simulate(3, n=120)
    fits = {"short": cf.fit("y ~ treat(a)", data, vcov="HC2"), "long": cf.fit("y ~ treat(a) + x", data, vcov="HC2")}
    named, numbered = cf.adjust_pvalues(fits), cf.adjust_pvalues(list(fits.values()))
    assert named["fit"].tolist() == ["short", "long"]
    assert named["p.adjusted"].tolist() == numbered["p.adjusted"].tolist()
    model = cf.lm("y ~ a + x", data)
    alone = cf.adjust_pvalues(model, "bonferroni")
    np.testing.assert_allclose(alone["p.adjusted"], np.minimum(1, 3 * model.pvalues))
    stacked = cf.stack(fits)
    assert cf.adjust_pvalues(stacked)["fit"].tolist() == ["short", "long"]
    assert cf.adjust_pvalues([fits["short"], stacked])["fit"].tolist() == [1, "2 short", "2 long"]
    for wrong, match in [("a", "not a str"), (3, "not a int"), ([1], "this is a int"), (data, "this is a str")]:
        with pytest.raises(cf.OptionError, match=match):
            cf.adjust_pvalues(wrong)
