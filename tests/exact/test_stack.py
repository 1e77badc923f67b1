"""Stacks, differences and multiples of fits: their joint covariance from first principles."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.laws.strategies import simulate

PLAIN, ADJUSTED = "y ~ treat(a)", "y ~ treat(a) + adjust(x + z)"
SANDWICHES = ["HC0", "HC1", "HC2", "HC3", "HC4", "asympt", "~g", "CR0 ~ g", "CR1 ~ g", "CR2 ~ g", "CR3 ~ g"]


@pytest.fixture(scope="module")
def data():
    return simulate(11, n=200)


def regression(formula, data, vcov="HC0", **options):
    return cf.fit(formula, data, "regression", vcov=vcov, **options)


def sums(fit, rows):
    """Influences over the fit's own number of rows, placed on all rows."""
    psi = fit.influence()
    out = np.zeros((len(rows), psi.shape[1]))
    out[rows.get_indexer(fit.call.frame.index)] = psi / len(psi)
    return out


@pytest.mark.parametrize("vcov", SANDWICHES)
def test_each_fit_keeps_its_own_errors_and_tests(data, vcov):
    fits = [regression(f, data, vcov) for f in (PLAIN, ADJUSTED)]
    both = cf.stack(fits).tidy()
    alone = pd.concat([fit.tidy() for fit in fits], ignore_index=True)
    for column in ("estimate", "std.error", "df", "p.value", "conf.low"):
        np.testing.assert_allclose(both[column], alone[column], rtol=1e-9, err_msg=column)
    assert list(both.columns) == ["fit", *alone.columns]
    assert both["fit"].tolist() == ["fit1", "fit2"]


def test_the_joint_covariance_is_that_of_the_stacked_rows(data):
    """HC0 and CR0 by hand; overlapping and disjoint rows."""
    upper, lower, part = data.iloc[:150], data.iloc[100:], data.iloc[150:]
    for frames in ((data, data), (upper, lower), (data, part)):
        fits = [regression(f, frame) for f, frame in zip((PLAIN, ADJUSTED), frames, strict=True)]
        s = np.hstack([sums(fit, data.index) for fit in fits])
        np.testing.assert_allclose(cf.stack(fits).cov_params(), s.T @ s, rtol=1e-10)
        grouped = pd.DataFrame(s).groupby(data["g"].to_numpy()).sum().to_numpy()
        clustered = cf.stack([fit.with_vcov("CR0 ~ g") for fit in fits])
        np.testing.assert_allclose(clustered.cov_params(), grouped.T @ grouped, rtol=1e-10)
    apart = cf.stack([regression(PLAIN, data.iloc[:100]), regression(PLAIN, data.iloc[100:])])
    assert apart.cov_params().iloc[0, 1] == 0


def test_a_difference_of_coefficients_is_seemingly_unrelated_estimation(data):
    """Two nested linear models as one system of estimating equations, solved and sandwiched by hand."""
    models = [cf.lm(f, data) for f in ("y ~ a", "y ~ a + x + z")]
    stacked = cf.stack({"short": models[0], "long": models[1]}, vcov="HC0")
    X = [m.regression.X for m in models]
    bread = [np.linalg.inv(x.T @ x) for x in X]
    rows = np.hstack([x * m.regression.hat.e[:, None] @ b for x, m, b in zip(X, models, bread, strict=True)])
    np.testing.assert_allclose(stacked.cov_params(), rows.T @ rows, rtol=1e-9, atol=1e-14)
    names = [f"fit={k} {n}" for k, m in zip(("short", "long"), models, strict=True) for n in m.names]
    assert list(stacked.params.index) == names
    found = stacked.hypothesis("fit=short a = fit=long a")
    d = rows[:, names.index("fit=short a")] - rows[:, names.index("fit=long a")]
    assert found.std_error == pytest.approx(np.sqrt(d @ d), rel=1e-10)
    assert found.estimate == pytest.approx(models[0].coef["a"] - models[1].coef["a"], rel=1e-12)


def test_a_difference_is_the_stacks_contrast(data):
    for vcov in SANDWICHES:
        a, b = (regression(f, data, vcov) for f in (PLAIN, ADJUSTED))
        difference, tested = a - b, cf.stack({"a": a, "b": b}).hypothesis("a = b")
        assert difference.estimate == pytest.approx(a.estimate - b.estimate, rel=1e-12)
        assert difference.std_error == pytest.approx(tested.std_error, rel=1e-10)
        assert "joint over 2 fits" in difference.covariance.label
        statistic = (difference.estimate / difference.std_error) ** 2
        assert tested.test.statistic == pytest.approx(statistic, rel=1e-9)


@pytest.mark.parametrize("vcov", ["classical", *SANDWICHES])
def test_a_fit_minus_itself_is_nothing(data, vcov):
    fit = regression(ADJUSTED, data, vcov)
    nothing = fit - fit
    assert nothing.estimate == 0
    assert nothing.std_error == 0
    twin = fit - regression(ADJUSTED, data.copy(), vcov)
    assert twin.std_error == 0


@pytest.mark.parametrize(
    "vcov", ["classical", "HC3", "CR2 ~ g", cf.Bootstrap(99, seed=1), cf.Wild(99, cluster="g", seed=1)], ids=str
)
def test_multiples_keep_the_covariance(data, vcov):
    fit = regression(ADJUSTED, data, vcov)
    minus, twice = -1 * fit, fit * 2
    assert minus.std_error == fit.std_error
    assert minus.covariance.label == twice.covariance.label == fit.covariance.label
    assert (minus.estimate, twice.estimate) == (-fit.estimate, 2 * fit.estimate)
    own, negative = fit.tidy().iloc[0], minus.tidy().iloc[0]
    assert negative["p.value"] == own["p.value"]
    assert negative["df"] == own["df"]
    # order statistics are interpolated from the one side or the other
    turned = (-own["conf.high"], -own["conf.low"])
    assert (negative["conf.low"], negative["conf.high"]) == pytest.approx(turned, rel=1e-6)
    assert (fit / 4).std_error == fit.std_error / 4
    assert (-fit).tidy().equals(minus.tidy())
    np.testing.assert_allclose(minus.influence(), -fit.influence())


def test_a_fit_plus_zero_is_itself(data):
    fit = regression(ADJUSTED, data, "HC3")
    assert fit + 0 is fit
    assert 0 + fit is fit
    assert fit - 0 is fit
    assert fit * 1 is fit
    total = sum([fit, regression(PLAIN, data, "HC3")])
    assert total.estimate == pytest.approx(fit.estimate + regression(PLAIN, data).estimate)
    assert (0 - fit).estimate == -fit.estimate


@pytest.mark.parametrize("kind", ["fit", "model"])
def test_what_is_no_fit_is_refused_with_what_to_write(data, kind):
    fit = regression(ADJUSTED, data) if kind == "fit" else cf.lm("y ~ a + x", data)
    wrongs = [
        (lambda: fit + 3, r"hypothesis\('b1 = -3'\)"),
        (lambda: fit - 3, r"hypothesis\('b1 = 3'\)"),
        (lambda: 3 - fit, r"hypothesis\('b1 = 3'\)"),
        (lambda: fit / 0, "cannot be divided by 0"),
        (lambda: fit * fit, r"product of two fits is no fit; .*hypothesis\('a \* b = 1'\)"),
        (lambda: fit / fit, r"hypothesis\('a / b = 1'\)"),
        (lambda: 1 / fit, r"hypothesis\('1 / b1 = 1'\)"),
        (lambda: fit * np.inf, "cannot be multiplied by inf"),
    ]
    for wrong, match in wrongs:
        with pytest.raises(cf.OptionError, match=match):
            wrong()
    for wrong in (lambda: fit * "2", lambda: fit + None, lambda: "a" - fit, lambda: fit + True):
        with pytest.raises(TypeError):
            wrong()


def test_differences_of_models_are_of_the_coefficients_that_both_have(data):
    """Row by row the contrast of the stacked coefficients, whatever their places in the two models."""
    short, long = cf.lm("y ~ x + a", data, vcov="HC0"), cf.lm("y ~ a + z + x", data, vcov="HC0")
    difference = short - long
    assert difference.tidy()["term"].tolist() == ["(Intercept)", "x", "a"]
    both = cf.stack({"s": short, "l": long})
    for k, name in enumerate(difference.tidy()["term"]):
        tested = both.hypothesis(f"fit=s {name} = fit=l {name}")
        assert difference.tidy()["estimate"][k] == pytest.approx(short.coef[name] - long.coef[name], rel=1e-12)
        assert difference.tidy()["std.error"][k] == pytest.approx(tested.std_error, rel=1e-10)
    assert "coefficients that only one of the fits has are left out: z" in str(difference)
    assert difference.hypothesis("a = 0").test.p_value == pytest.approx(difference.tidy()["p.value"][2])
    total, names = sum([short, long]), ["(Intercept)", "x", "a"]
    np.testing.assert_allclose(total.tidy()["estimate"], short.coef[names] + long.coef[names])
    back = difference - (short - long)
    np.testing.assert_allclose(back.bse, 0, atol=1e-12)
    with pytest.raises(cf.OptionError, match="no coefficient in common; they have a and x"):
        cf.lm("y ~ a - 1", data) - cf.lm("y ~ x - 1", data)
    with pytest.raises(cf.OptionError, match=r"not matched; .*cf.stack"):
        short - regression(PLAIN, data)


@pytest.mark.parametrize("vcov", ["classical", "HC3", "~g", cf.Bootstrap(99, seed=1)], ids=str)
def test_multiples_of_models_keep_their_covariance(data, vcov):
    model = cf.lm("y ~ a + x", data, vcov=vcov)
    assert model + 0 is model
    assert 0 + model is model
    assert model * 1 is model
    minus = -model
    assert minus.tidy()["term"].tolist() == list(model.names)
    assert minus.covariance.label == model.covariance.label
    for ours, theirs, sign in (("estimate", "estimate", -1), ("std.error", "std.error", 1), ("p.value", "p.value", 1)):
        np.testing.assert_allclose(minus.tidy()[ours], sign * model.tidy()[theirs])
    np.testing.assert_allclose(minus.tidy()["conf.low"], -model.tidy()["conf.high"], rtol=1e-6)
    np.testing.assert_allclose((model / 2).with_vcov("HC2").bse, model.with_vcov("HC2").bse / 2)
    assert str(minus).startswith("Coefficients of y ~ a + x\n")
    gamma = cf.glm("I(y^2) ~ a", data, family="quasipoisson")
    np.testing.assert_allclose((2 * gamma).pvalues, gamma.pvalues)


def test_a_difference_says_of_what(data):
    a, b = regression(PLAIN, data), regression(ADJUSTED, data)
    assert (a - b).answer.labels[0].contrast == "1 - 0 (difference)"
    assert (a - 2 * b).answer.labels[0].contrast == "1 - 0 (difference from 1 - 0 (times 2))"
    assert (a + 2 * b).answer.labels[0].contrast == "1 - 0 (sum with 1 - 0 (times 2))"
    m, n = cf.lm("y ~ a", data), cf.lm("y ~ a + x", data)
    assert str((m - 2 * n).answer.labels[1]) == "a (difference from times 2)"
    other = cf.fit("y ~ treat(w)", data.assign(w=data["a"].to_numpy()[::-1]), vcov="HC0")
    assert str((a - other).answer.labels[0]) == "a 1 - 0 (difference from w 1 - 0)"


def test_what_is_derived_is_tested_anew_under_another_covariance(data):
    a, b = regression(PLAIN, data), regression(ADJUSTED, data)
    both = cf.stack({"a": a, "b": b})
    for asked, equations in ((b, "b1 = 1"), (both, ["a = 0", "b = 0"]), (a - b, "b1 = 0"), (2 * b, "b1 = 1")):
        derived = asked.hypothesis(equations)
        for vcov in ("HC3", "~g", "CR2 ~ g"):
            again, direct = derived.with_vcov(vcov), asked.with_vcov(vcov).hypothesis(equations)
            assert again.test.statistic == pytest.approx(direct.test.statistic, rel=1e-12)
            assert str(again) == str(direct)
            assert again.test.statistic != derived.test.statistic
    refitted = b.hypothesis("b1 = 1").with_vcov(cf.Bootstrap(99, seed=1))
    assert refitted.std_error == pytest.approx(b.with_vcov(cf.Bootstrap(99, seed=1)).std_error)
    twice = b.hypothesis("b1 = 1").hypothesis("b1 = 1")
    assert twice.with_vcov("HC3").std_error == pytest.approx(b.with_vcov("HC3").std_error)
    assert (2 * b.hypothesis("b1 = 1")).with_vcov("HC3").std_error == pytest.approx(2 * b.with_vcov("HC3").std_error)
    strata = cf.fit(ADJUSTED, data, "subclass", subclass=3).strata()
    assert strata.with_vcov("HC2").test.df == strata.test.df


def test_differences_of_differences(data):
    a, b = (regression(f, data, "HC3") for f in (PLAIN, ADJUSTED))
    again = (a - b) - (a - b)
    assert again.std_error == pytest.approx(0, abs=1e-14)
    back = (a - b) + b
    assert back.estimate == pytest.approx(a.estimate)
    assert back.std_error == pytest.approx(a.std_error, rel=1e-9)


def test_another_covariance_of_a_stack(data):
    fits = [regression(f, data) for f in (PLAIN, ADJUSTED)]
    for vcov in ("HC3", "~g", "CR2 ~ g"):
        again = cf.stack(fits).with_vcov(vcov)
        np.testing.assert_allclose(again.bse, [fit.with_vcov(vcov).std_error for fit in fits], rtol=1e-10)
        assert cf.stack(fits, vcov=vcov).cov_params().equals(again.cov_params())
        difference = (fits[0] - fits[1]).with_vcov(vcov)
        assert difference.std_error == pytest.approx(again.hypothesis("fit1 = fit2").std_error, rel=1e-10)
    for other in ("classical", cf.Bootstrap(50)):
        with pytest.raises(cf.CapabilityError):
            cf.stack(fits).with_vcov(other)


def test_clusters_are_those_of_any_fit(data):
    plain, clustered = regression(PLAIN, data, "classical"), regression(ADJUSTED, data, "~g")
    assert "clustered by g" in (plain - clustered).covariance.label
    other = regression(ADJUSTED, data.assign(h=np.arange(len(data)) % 9), "~h")
    with pytest.raises(cf.OptionError, match="clustered by g and by h"):
        other - clustered
    assert "exact influences" in (plain - regression(ADJUSTED, data, "HC3")).covariance.label
    with pytest.raises(cf.CapabilityError, match="sandwich first"):
        plain - regression(ADJUSTED, data, np.array([[1.0]]))


def test_labels_are_the_units(data):
    a = regression(PLAIN, data)
    shuffled = data.sample(frac=1, random_state=0)
    errors = [(a - regression(ADJUSTED, frame)).std_error for frame in (shuffled, data)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-10)
    repeated = data.set_axis(np.arange(len(data)) // 2, axis=0)
    with pytest.raises(cf.DataError, match=r"labels repeat \(0, 1, .*reset_index"):
        regression(PLAIN, repeated) - regression(ADJUSTED, repeated)
    other = data.assign(g=data["g"].to_numpy()[::-1])
    with pytest.raises(cf.DataError, match="differ in g for the same row labels"):
        regression(PLAIN, data, "~g") - regression(PLAIN, other, "~g")


def test_joint_tests_of_several_fits(data):
    """Three outcomes: the joint test is the Wald form of the stacked covariance."""
    d = data.assign(y2=data["y"] ** 2, y3=np.cos(data["y"]))
    fits = {name: regression(f"{name} ~ treat(a) + x", d, "asympt") for name in ("y", "y2", "y3")}
    both = cf.stack(fits)
    test = both.hypothesis(["y = 0", "y2 = 0", "y3 = 0"]).test
    b, V = both.params.to_numpy(), both.cov_params().to_numpy()
    assert test.statistic == pytest.approx(b @ np.linalg.solve(V, b), rel=1e-8)
    assert test.df == 3
    assert both.simultaneous(reps=199, seed=1).critical_value > 1.96


def test_ratios_are_combined_as_logarithms(data):
    d = data.assign(hit=(data["y"] > data["y"].median()).astype(int))
    a, b = (cf.fit(f"hit ~ treat(a) + {x}", d, family="binomial", measure="ratio", vcov="HC0") for x in ("x", "z"))
    difference = a - b
    assert difference.estimate == pytest.approx(np.log(a.estimate / b.estimate))
    assert (-a).estimate == pytest.approx(-np.log(a.estimate))
    with pytest.raises(cf.OptionError, match="measures"):
        cf.stack([a, cf.fit("hit ~ treat(a) + x", d, family="binomial")])
    nnt = cf.fit("hit ~ treat(a) + x", d, measure="nnt")
    with pytest.raises(cf.CapabilityError, match="numbers needed to treat"):
        nnt - nnt


def test_what_a_stack_says(data):
    both = cf.stack([regression(PLAIN, data, "HC3"), regression(ADJUSTED, data, "HC3")], names=["plain", "adjusted"])
    text = str(both)
    assert text.startswith("2 fits with their joint covariance\nFits: 2      Units: 200\n")
    assert "fit=adjusted a 1 - 0" in text
    assert text.endswith("Standard errors: HC3, joint over 2 fits")
    assert both.glance()["nobs"].tolist() == [200]
    again = pickle.loads(pickle.dumps(both))
    assert again.tidy().equals(both.tidy())
    for wrong in (["one"], ["same", "same"]):
        with pytest.raises(cf.OptionError, match="2 different names"):
            cf.stack(list(both.fits), names=wrong)
    with pytest.raises(cf.OptionError, match="nothing to stack"):
        cf.stack([])
    with pytest.raises(cf.OptionError, match="this is a str"):
        cf.stack(["y ~ treat(a)"])
    for ask in (both.means, lambda: both.by("x")):
        with pytest.raises(cf.CapabilityError):
            ask()


def test_the_error_of_a_difference_is_the_bootstraps_across_subsets():
    """Overlapping halves of a clustered sample: the joint sandwich against resampling whole clusters."""
    data = simulate(6, n=400)
    upper, lower = data.index[:260], data.index[140:]
    data["id"] = data.index

    def fit(d):
        return [regression(ADJUSTED, d[d["id"].isin(half)], "CR0 ~ g") for half in (upper, lower)]

    a, b = fit(data)
    difference = a - b
    rng = np.random.default_rng(5)
    members = data.groupby("g").indices
    levels = list(members)
    draws = []
    for _ in range(300):
        rows = np.concatenate([members[levels[k]] for k in rng.integers(0, len(levels), len(levels))])
        sample = data.iloc[rows].reset_index(drop=True)
        c, d = fit(sample)
        draws.append(c.estimate - d.estimate)
    assert difference.std_error == pytest.approx(np.std(draws, ddof=1), rel=0.2)


def test_a_stack_and_a_difference_say_what_their_fits_say():
    """Rows discarded, weights trimmed, weights as given: counted in every print, each with its fit's name."""
    formula, heart = "Severity ~ treat(Drug) + adjust(I.H)", cf.datasets.load("heart")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = cf.fit(formula, heart, "ipw")
        fewer = cf.fit(formula, heart, "ipw", discard="both", trim=0.95)
        stack, difference = cf.stack({"all": whole, "supported": fewer}), fewer - whole
    for text, name in ((str(stack), "supported"), (str(difference), "first fit")):
        assert f"Note: {name}: " in text and "rows discarded" in text and "trimmed to the limit" in text
    with pytest.raises(cf.OptionError, match="takes a list of fits, or a dict"):
        cf.stack(whole)
