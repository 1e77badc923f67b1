"""Subclassification by hand: strata, weights, the stratified estimator and its variance, and what it refuses."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalformula as cf
from causalformula.backends import registry
from causalformula.errors import CausalFormulaWarning
from causalformula.numerics.strata import filled, quantiles, stratify, stratum_weights
from causalformula.numerics.ties import tied

FORMULA = "y ~ treat(a) + adjust(x + z)"


def draw(n=300, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    a = (rng.random(n) < 1 / (1 + np.exp(-0.8 * x))).astype(int)
    return pd.DataFrame(
        {
            "y": 1 + x + (1 + x) * a + rng.normal(size=n),
            "a": a,
            "x": x,
            "z": z,
            "w": rng.uniform(0.5, 2, n),
            "f": rng.integers(1, 4, n),
            "g": np.arange(n) % 30,
            "d": (rng.random(n) < 1 / (1 + np.exp(-x - a))).astype(int),
        }
    )


@pytest.fixture
def sample():
    return draw()


# -- strata --------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=40), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_quantiles_are_type_7(values, probs):
    x = np.array(values, dtype=float)
    np.testing.assert_allclose(quantiles(x, np.ones(len(x)), np.array(probs)), np.quantile(x, probs), atol=1e-12)


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 4)), min_size=2, max_size=30))
def test_whole_weights_are_repeated_rows(pairs):
    x, s = np.array(pairs, dtype=float).T
    if s.sum() < 2 or (s > 0).sum() < 2 or np.ptp(s[s > 0]) == 0:
        return
    probs = np.linspace(0, 1, 7)
    np.testing.assert_allclose(quantiles(x, s, probs), np.quantile(np.repeat(x, s.astype(int)), probs), atol=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 0.5, 2, 1e6])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("estimand", ["ATT", "ATE", "ATC"])
def test_the_unit_of_weights_does_not_matter(sample, scale, whole, estimand):
    rng = np.random.default_rng(3)
    w = rng.integers(1, 4, len(sample)) if whole else rng.uniform(0.1, 3, len(sample))
    formula = FORMULA + " + weights(w)"
    one, other = (cf.fit(formula, sample.assign(w=w * c), "subclass", estimand=estimand) for c in (1, scale))
    assert (one.design.subclass == other.design.subclass).all()
    assert other.estimate == pytest.approx(one.estimate, rel=1e-8)
    assert other.std_error == pytest.approx(one.std_error, rel=1e-8)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=8), st.integers(1, 4))
def test_filling_keeps_every_row_and_fills_every_stratum(counts, least):
    size = len(counts)
    codes = np.repeat(np.arange(size), counts)
    if len(codes) < least * size:
        return
    x = np.arange(len(codes), dtype=float)
    found = filled(x, codes, size, least)
    assert (np.bincount(found, minlength=size) >= least).all()
    if min(counts) >= least:
        assert (found == codes).all()


@pytest.mark.parametrize(
    "counts, least, expected",
    [
        ([3, 0, 2], 1, [2, 1, 2]),
        ([2, 0, 3], 1, [2, 1, 2]),
        ([3, 0, 3], 1, [2, 1, 3]),  # on a tie, from below
        ([2, 0, 1, 9], 1, [2, 1, 1, 8]),  # eight to spare at two steps outweigh one at one
        ([2, 0, 1, 3], 1, [1, 1, 1, 3]),
        ([4, 0, 3, 0, 4], 1, [3, 1, 3, 1, 3]),
        ([5, 0, 0], 1, [3, 1, 1]),
        ([9, 1, 1, 1, 9], 2, [8, 2, 2, 2, 7]),
    ],
)
def test_where_rows_come_from(counts, least, expected):
    codes = np.repeat(np.arange(len(counts)), counts)
    found = filled(np.arange(len(codes), dtype=float), codes, len(counts), least)
    assert np.bincount(found).tolist() == expected


def test_filling_shifts_neighbours():
    """The nearest rows move one stratum each, so that the order of strata is that of the score."""
    codes = np.array([0] * 6)
    assert filled(np.arange(6.0), codes, 4, 1).tolist() == [0, 0, 0, 1, 2, 3]


def test_rows_of_weight_zero_count_for_nothing():
    x = np.arange(8.0)
    arm = np.array([0, 1] * 4)
    s = np.array([1, 1, 1, 1, 1, 1, 0, 0.0])
    with_zero = stratify(x, arm, s, s > 0, np.array([0, 0.5, 1]), 1)
    without = stratify(x[:6], arm[:6], s[:6], s[:6] > 0, np.array([0, 0.5, 1]), 1)
    np.testing.assert_array_equal(with_zero.counts, without.counts)
    np.testing.assert_array_equal(with_zero.codes[:6], without.codes)


@pytest.mark.parametrize("estimand", ["ATT", "ATE", "ATC"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_weighted_arms_have_the_targets_strata(sample, estimand, weights):
    formula = FORMULA + ("" if weights is None else f" + weights({weights})")
    fit = cf.fit(formula, sample, "subclass", estimand=estimand, subclass=5)
    s = pd.Series(1.0, sample.index) if weights is None else sample[weights]
    total = fit.design.weights * s
    k = fit.design.subclass
    target = s * {"ATT": sample["a"] == 1, "ATC": sample["a"] == 0, "ATE": 1}[estimand]
    wanted = target.groupby(k).sum() / target.sum()
    for a in (0, 1):
        inside = sample["a"] == a
        arm = total[inside].groupby(k[inside]).sum()
        np.testing.assert_allclose(arm / arm.sum(), wanted, rtol=1e-12)
        np.testing.assert_allclose(arm.sum(), s[inside].sum(), rtol=1e-12)


def test_stratum_weights_by_hand():
    codes, arm = np.array([0, 0, 0, 1, 1, -1]), np.array([0, 0, 1, 0, 1, 1])
    w = stratum_weights(codes, arm, np.ones(6), (arm == 1).astype(float))
    np.testing.assert_allclose(w, [0.75, 0.75, 1, 1.5, 1, 0])


# -- the stratified estimator --------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimand", ["ATT", "ATE", "ATC"])
def test_stratified_estimate_and_neyman_variance(sample, estimand):
    fit = cf.fit(FORMULA, sample, "subclass", estimand=estimand, estimator="stratified")
    k = fit.design.subclass
    target = {"ATT": sample["a"] == 1, "ATC": sample["a"] == 0, "ATE": sample["a"] >= 0}[estimand]
    estimate = variance = 0.0
    for stratum, rows in sample.groupby(k):
        share = target[k == stratum].sum() / target.sum()
        y1, y0 = rows.loc[rows["a"] == 1, "y"], rows.loc[rows["a"] == 0, "y"]
        estimate += share * (y1.mean() - y0.mean())
        variance += share**2 * (y1.var() / len(y1) + y0.var() / len(y0))
    assert fit.covariance.label == "HC2"
    np.testing.assert_allclose(fit.estimate, estimate, rtol=1e-11)
    np.testing.assert_allclose(fit.std_error, np.sqrt(variance), rtol=1e-11)
    weighted = cf.fit(FORMULA, sample, "subclass", estimand=estimand)
    np.testing.assert_allclose(weighted.estimate, estimate, rtol=1e-11)
    np.testing.assert_allclose(weighted.means().params, fit.means().params, rtol=1e-11)


def test_stratified_influence_given_the_strata(sample):
    """``psi_i = n d theta / d w_i`` with the strata held: the shares move with the weights too."""
    fit = cf.fit(FORMULA, sample, "subclass", estimand="ATE", estimator="stratified")
    k, a, y = fit.design.subclass.to_numpy(), sample["a"].to_numpy(), sample["y"].to_numpy()
    n = len(y)

    def theta(w):
        parts = []
        for stratum in np.unique(k):
            inside = k == stratum
            one, zero = inside & (a == 1), inside & (a == 0)
            difference = np.average(y[one], weights=w[one]) - np.average(y[zero], weights=w[zero])
            parts.append(w[inside].sum() / w.sum() * difference)
        return sum(parts)

    psi = fit.influence()[:, 0]
    for row in (0, 17, 250):
        h = np.zeros(n)
        h[row] = 1e-5
        derivative = n * (theta(1 + h) - theta(1 - h)) / 2e-5
        np.testing.assert_allclose(psi[row], derivative, rtol=1e-6, atol=1e-6)


def test_measures_by_stratum(sample):
    fit = cf.fit("d ~ treat(a) + adjust(x)", sample, "subclass", subclass=3, family="binomial", measure="ratio")
    k = fit.design.subclass
    means = sample.groupby([k, "a"])["d"].mean().unstack()
    np.testing.assert_allclose(fit.strata().params, means[1] / means[0], rtol=1e-10)
    assert fit.strata().test is not None


def test_bootstrap_cuts_strata_anew(sample):
    fit = cf.fit(FORMULA, sample, "subclass", subclass=4, vcov=cf.Bootstrap(reps=30, seed=1))
    w = np.random.default_rng(5).multinomial(300, np.ones(300) / 300).astype(float)
    again = registry.run(fit.call.frame.reweight(w), fit.call.options).estimate.theta[0]
    copies = sample.loc[sample.index.repeat(w.astype(int))].reset_index(drop=True)
    repeated = cf.fit(FORMULA, copies, "subclass", subclass=4)
    np.testing.assert_allclose(again, repeated.estimate, rtol=1e-8)
    assert len(fit.covariance.draws) == 30
    assert np.ptp(fit.covariance.draws) > 0


def test_no_confounder_in_the_outcome_model(sample):
    fit = cf.fit(FORMULA + " + outcome(z)", sample, "subclass")
    assert list(fit.outcome.params.index) == ["(Intercept)", "a", "z"]
    assert list(fit.propensity.params.index) == ["(Intercept)", "x", "z"]


def test_distance_and_link(sample):
    logit = cf.fit(FORMULA, sample, "subclass")
    p = logit.design.distance
    given_ = cf.fit("y ~ treat(a)", sample.assign(p=p), "subclass", distance="p")
    assert (given_.design.subclass == logit.design.subclass).all()
    assert given_.propensity is None
    probit = cf.fit(FORMULA, sample, "stratification", link="probit")
    model = cf.glm("a ~ x + z", sample, family="binomial(link = 'probit')")
    np.testing.assert_allclose(probit.design.distance, model.fitted, rtol=1e-4)


# -- what is said --------------------------------------------------------------------------------------------------


def test_discarded_rows(sample):
    with pytest.warns(CausalFormulaWarning, match="rows discarded: propensity score outside the common supp") as told:
        fit = cf.fit(FORMULA, sample, "subclass", discard="both", estimand="ATE", subclass=4)
    kept = int((fit.design.weights > 0).sum())
    said = f"{len(sample) - kept} rows discarded: propensity score outside the common support. The ATE is that of "
    assert any(str(w.message) == f"{said}the other {kept}" for w in told)
    p, a = fit.design.distance, sample["a"]
    low, high = max(p[a == 0].min(), p[a == 1].min()), min(p[a == 0].max(), p[a == 1].max())
    inside = (p >= low) & (p <= high)
    assert (fit.design.subclass.notna() == inside).all()
    assert ((fit.design.weights > 0) == inside).all()
    assert fit.outcome.nobs == inside.sum() < len(sample)


def test_sample_sizes_by_stratum(sample):
    """As MatchIt's summary has them, in the print of the design's summary and of the effects by stratum."""
    fit = cf.fit(FORMULA, sample, "subclass", subclass=3)
    table = pd.crosstab(sample["a"], fit.design.subclass, margins=True)
    lines = {name: table.loc[k].tolist() for name, k in (("Control", 0), ("Treated", 1), ("Total", "All"))}
    design = cf.design(FORMULA, sample, "subclass", subclass=3)
    for text in (str(fit.strata()), *(str(d.summary(subclass=True)) for d in (fit.design, design))):
        shown = re.split("\nSample sizes by subclass:?\n", text, flags=re.I)[1].splitlines()
        assert shown[0].split() == ["1", "2", "3", "All"]
        assert {name: list(map(int, cells)) for name, *cells in map(str.split, shown[1:4])} == lines
    assert "Sample sizes by subclass" not in str(fit) and "Sample sizes by subclass" in fit.strata()._repr_html_()
    assert list(fit.strata().tidy().columns[:5]) == ["subclass", "term", "contrast", "estimate", "std.error"]


def test_rows_in_no_stratum_are_counted(sample):
    with pytest.warns(CausalFormulaWarning, match="discarded"):
        design = cf.design(FORMULA, sample, "subclass", discard="both", subclass=3)
    out = pd.crosstab(design.subclass.isna(), sample["a"]).loc[True].tolist()
    shown = str(design.summary(subclass=True)).partition("\nSample Sizes by Subclass:\n")[2].splitlines()
    assert shown[0].split()[-2:] == ["Discarded", "All"]
    assert design.nn.loc["Discarded"].tolist() == out and not design.nn.loc["Unmatched"].any()
    assert [int(line.split()[-2]) for line in shown[1:4]] == [*out, sum(out)]
    assert int(shown[3].split()[-1]) == len(sample)


def test_moved_and_dropped_rows_are_told():
    p = [0.1, 0.11, 0.12, 0.13, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    thin = pd.DataFrame({"a": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1], "p": p})
    thin["y"] = np.arange(10.0) ** 2
    with pytest.warns(CausalFormulaWarning, match="2 rows moved to another stratum, so that each has at least 1 of"):
        moved = cf.fit("y ~ treat(a)", thin, "subclass", distance="p", subclass=3)
    assert moved.design.subclass.tolist() == [1, 1, 2, 3, 1, 1, 2, 2, 3, 3]
    with pytest.warns(CausalFormulaWarning, match="4 rows are in no .* 0. The ATT is that of the other 6$") as told:
        dropped = cf.fit("y ~ treat(a)", thin, "subclass", distance="p", subclass=3, min_n=0)
    assert any("1 stratum instead of 3: some lack an arm" in str(w.message) for w in told)
    assert dropped.design.subclass.notna().sum() == 6
    with pytest.warns(CausalFormulaWarning, match=r"leverage one.*Strata 2, 3 have a single unit of an arm.*min_n=2"):
        cf.fit("y ~ treat(a)", thin, "subclass", distance="p", subclass=3, estimator="stratified")


@pytest.mark.parametrize(("vcov", "notes"), [("HC2", 1), ("HC1", 1), ("classical", 0), ("bootstrap(20, seed = 1)", 0)])
def test_a_single_unit_of_an_arm_is_told_once(vcov, notes):
    """By its leverage where standard errors adjust for that, else where they take its variance for zero."""
    p = [0.1, 0.11, 0.12, 0.13, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    thin = pd.DataFrame({"a": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1], "p": p, "y": np.arange(10.0) ** 2})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit = cf.fit("y ~ treat(a)", thin, "subclass", distance="p", subclass=3, estimator="stratified", vcov=vcov)
        except cf.ConvergenceError:
            return  # too few rows to resample
    assert sum("single unit" in str(w.message) for w in caught) == notes
    assert str(fit).count("single unit") == notes


def test_few_values_of_the_distance():
    rng = np.random.default_rng(1)
    coarse = pd.DataFrame({"a": rng.integers(0, 2, 90), "p": rng.integers(1, 4, 90) / 4, "y": rng.normal(size=90)})
    with pytest.warns(CausalFormulaWarning, match="3 strata instead of 6: some hold no unit"):
        fit = cf.fit("y ~ treat(a)", coarse, "subclass", distance="p")
    assert fit.design.subclass.nunique() == 3
    assert (fit.design.subclass.groupby(coarse["p"]).nunique() == 1).all()


@pytest.mark.parametrize(
    "options, kind, message",
    [
        ({"subclass": 1}, cf.OptionError, "subclass=1: at least 2 strata are needed"),
        ({"subclass": 2.5}, cf.OptionError, "subclass=2.5: give a number of strata, or quantiles"),
        ({"subclass": [0.2, 1.5]}, cf.OptionError, "give a number of strata, or quantiles between 0 and 1"),
        ({"subclass": [0, 1]}, cf.OptionError, "give a number of strata, or quantiles"),
        (
            {"min_n": -1},
            cf.OptionError,
            "min_n=-1: the least number of units of each arm in a stratum, a whole number from 0",
        ),
        ({"link": "logti"}, cf.OptionError, "unknown link 'logti'; did you mean 'logit'"),
        ({"discard": "treat"}, cf.OptionError, "unknown discard 'treat'; did you mean 'treated'"),
        ({"estimator": "mmws"}, cf.OptionError, "unknown estimator 'mmws'.*weighted, stratified"),
        ({"estimator": "stratified", "interact": True}, cf.OptionError, "no outcome model"),
        ({"estimand": "ATO"}, cf.OptionError, "does not estimate the ATO; it offers ATT, ATE, ATC"),
        ({"distance": "nothere"}, cf.CausalFormulaError, "nothere"),
        (
            {"min_n": 70},
            cf.DataError,
            r"143 rows with a = 1 are too few for 6 strata with min_n=70; use at most 2 strata",
        ),
    ],
)
def test_refusals(sample, options, kind, message):
    with pytest.raises(kind, match=message):
        cf.fit(FORMULA, sample, "subclass", **options)


def test_refusals_of_data(sample):
    with pytest.raises(cf.DataError, match=r"propensity score is the same for all rows.*add adjust"):
        cf.fit("y ~ treat(a)", sample, "subclass")
    with pytest.raises(cf.OptionError, match=r"no outcome model; the formula has outcome\(...\)"):
        cf.fit(FORMULA + " + outcome(z)", sample, "subclass", estimator="stratified")
    apart = sample.assign(a=(sample["x"] > 0).astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(cf.IdentificationError, match="predicts 'a' perfectly"):
            cf.fit(FORMULA, apart, "subclass")
    with pytest.raises(cf.CapabilityError, match="does not take a treatment that is a dose"):
        cf.fit("y ~ treat(z) + adjust(x)", sample, "subclass")
    with pytest.raises(AttributeError, match=r"method 'regression' has no strata\(\); method='subclass' has"):
        cf.fit(FORMULA, sample).strata()
    fit = cf.fit(FORMULA, sample, "subclass", estimator="stratified")
    with pytest.raises(cf.CapabilityError, match=r"strata\(\) has them"):
        fit.by("g")


def test_the_design_alone(sample):
    """Strata without an outcome in sight, then the same effect."""
    design = cf.design("~ treat(a) + adjust(x + z)", sample, "subclass", estimand="ATE", subclass=4)
    fit = cf.fit(FORMULA, sample, "subclass", estimand="ATE", subclass=4)
    again = design.fit("y ~ treat(a)")
    np.testing.assert_array_equal(design.subclass, fit.design.subclass)
    assert (again.estimate, again.std_error) == (fit.estimate, fit.std_error)
    pd.testing.assert_frame_equal(again.strata().tidy(), fit.strata().tidy())


def test_a_thin_arm_is_told(sample):
    rare = sample.assign(p=np.where(sample["a"] == 1, 0.9, 0.1 + sample["x"] / 100))
    rare.loc[rare["a"].idxmax(), "p"] = 0.05
    with pytest.warns(CausalFormulaWarning, match="few rows carry the weight of a = 0"):
        cf.fit("y ~ treat(a)", rare, "subclass", distance="p", subclass=2)


def test_the_stratified_estimator_stands_beside_the_weighted_one(sample):
    """From the same strata, without a second propensity model; printed in a line, and as a result of its own."""
    fit = cf.fit(FORMULA, sample, "subclass", subclass=4)
    beside = fit.stratified()
    apart = cf.fit(FORMULA, sample, "subclass", subclass=4, estimator="stratified")
    assert beside.tidy().equals(apart.tidy())
    assert beside.covariance.label == "HC2"
    assert f"Stratified estimator: {beside.estimate:.4g}"[:28] in str(fit)
    assert "Stratified estimator" not in str(apart)
    assert "difference in means within each" in str(fit.strata())
    clustered = fit.stratified(vcov="HC0")
    assert clustered.estimate == beside.estimate and clustered.std_error != beside.std_error
    with pytest.raises(cf.CapabilityError, match="ask the fit"):
        fit.strata().stratified()
    with pytest.raises(AttributeError, match=r"method 'ipw' has no stratified\(\); method='subclass' has"):
        cf.fit(FORMULA, sample, "ipw").stratified()
    assert "strata" in dir(fit) and "strata" not in dir(cf.fit(FORMULA, sample))
    modelled = cf.fit(FORMULA + " + outcome(x)", sample, "subclass", subclass=4)
    assert "Stratified estimator" not in str(modelled)
    with pytest.raises(cf.OptionError, match="no outcome model"):
        modelled.stratified()


def test_a_single_unit_leaves_the_other_strata_their_standard_errors():
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    a = (rng.random(120) < 1 / (1 + np.exp(-1.6 * x - 0.6))).astype(int)
    data = pd.DataFrame({"x": x, "a": a, "y": a + x + rng.normal(size=120)})
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, "subclass")
    with pytest.warns(CausalFormulaWarning, match="some HC2 standard errors are not defined"):
        strata = fit.with_vcov("HC2").strata()
    table, number = strata.tidy(), fit.design.subclass.to_numpy()
    for k, error in enumerate(table["std.error"], 1):
        y1, y0 = (data.loc[(number == k) & (a == arm), "y"] for arm in (1, 0))
        if min(len(y1), len(y0)) == 1:
            assert np.isnan(error)
        else:
            assert error == pytest.approx(np.sqrt(y1.var() / len(y1) + y0.var() / len(y0)), rel=1e-9)
    assert table["std.error"].isna().sum() == 2


def test_a_link_is_of_the_propensity_model(sample):
    with pytest.raises(cf.OptionError, match="link='probit' is for distance='glm'; distance='x' is a column"):
        cf.fit(FORMULA, sample, "subclass", distance="x", link="probit")


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_the_remedies_for_too_many_strata_work(sample, estimand):
    def asked(data, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return cf.fit(FORMULA, data, "subclass", estimand=estimand, **options)

    fewest = int(sample["a"].value_counts().min())
    most = fewest // 40
    with pytest.raises(cf.DataError, match=f"20 strata with min_n=40; use at most {most} strata"):
        asked(sample, subclass=20, min_n=40)
    assert np.isfinite(asked(sample, subclass=most, min_n=40).estimate)
    with pytest.raises(cf.DataError, match=f"not enough for 2 strata; use min_n={fewest // 2} or less with subclass=2"):
        asked(sample, min_n=fewest - 1)
    assert np.isfinite(asked(sample, subclass=2, min_n=fewest // 2).estimate)


def test_a_single_unit_has_no_strata(sample):
    single = sample[(sample["a"] == 0) | (sample.index == sample.index[sample["a"] == 1][0])]
    with pytest.raises(cf.DataError, match=r"1 row with a = 1 is too few for 6 strata.*even 2 strata.*another method"):
        cf.fit("y ~ treat(a)", single, "subclass", distance="x")


# -- ties ----------------------------------------------------------------------------------------------------------


def test_units_of_one_score_stay_together():
    """Twelve controls at 2 and none at 3: none of them is moved, and the upper stratum joins the one below."""
    x = np.repeat([0.0, 1.0, 2.0, 3.0], 8)
    arm = np.tile([0, 1], 16)
    arm[24:] = 1
    found = stratify(x, arm, np.ones(32), np.ones(32, dtype=bool), np.linspace(0, 1, 5), 1)
    assert (found.size, found.joined, found.moved) == (3, 1, (0, 0))
    assert found.codes.tolist() == [0] * 8 + [1] * 8 + [2] * 16


def test_joined_strata_are_said():
    d = pd.DataFrame({"x": np.repeat([0.0, 1.0, 2.0, 3.0], 8), "a": np.tile([0, 1], 16), "y": np.arange(32.0) ** 0.5})
    d.loc[24:, "a"] = 1
    with pytest.warns(CausalFormulaWarning, match="1 stratum was joined with a neighbour, as units of one score stay"):
        fit = cf.fit("y ~ treat(a) + adjust(x)", d, "subclass", subclass=4, distance="x", estimand="ATE")
    assert "3 strata instead of 4" in str(fit)


@given(st.integers(0, 10**6))
def test_strata_do_not_depend_on_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 40))
    x, arm, s = rng.integers(0, 6, n).astype(float), rng.integers(0, 2, n), rng.integers(0, 3, n).astype(float)
    if not (s > 0).any():
        return
    probs, least = np.linspace(0, 1, int(rng.integers(2, 7)) + 1), int(rng.integers(0, 4))
    found = stratify(x, arm, s, s > 0, probs, least)
    order = rng.permutation(n)
    other = stratify(x[order], arm[order], s[order], s[order] > 0, probs, least)
    np.testing.assert_array_equal(found.codes[order], other.codes)
    together = pd.DataFrame({"x": x, "a": arm, "k": found.codes})[s > 0].groupby(["x", "a"])["k"].nunique()
    assert (together == 1).all()
    if all((arm[s > 0] == a).sum() >= max(least, 1) * (len(probs) - 1) for a in (0, 1)):
        assert (found.counts >= least).all()


def test_scores_that_differ_by_rounding_are_ties():
    x = np.array([0.3, 0.1 + 0.2, 0.3, 0.7, 0.30001, 0.1 * 3])
    assert len(np.unique(x)) == 4
    np.testing.assert_array_equal(tied(x)[[1, 2, 5]], np.full(3, tied(x)[0]))
    assert len(np.unique(tied(x))) == 3
    assert tied(x[[0, 3, 4]]) is not None and (tied(x[[0, 3, 4]]) == x[[0, 3, 4]]).all()
