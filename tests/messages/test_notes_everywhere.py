"""What must be said of standard errors stands in every print that shows them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

FEW = "clusters of h are few"


@pytest.fixture(scope="module")
def d():
    rng = np.random.default_rng(5)
    n = 120
    x = rng.normal(size=n)
    a = rng.binomial(1, 1 / (1 + np.exp(-x / 2)))
    d = pd.DataFrame({"x": x, "a": a, "h": np.arange(n) % 6, "s": np.repeat(["u", "v"], n // 2), "p": np.exp(x)})
    d.loc[:2, "p"] = -1.0
    return d.assign(y=x + a + rng.normal(size=n))


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def prints(fit):
    """Everything that a fit prints standard errors in."""
    yield str(fit)
    yield str(fit.summary())
    yield str(fit.means())
    yield str(fit.hypothesis("b1 = 0"))
    yield str(fit.hypothesis("b1 <= 0"))
    yield str(fit.simultaneous(seed=1, reps=99))
    yield str(2 * fit)


@pytest.mark.parametrize(
    "method, formula",
    [
        ("difference_in_means", "y ~ treat(a)"),
        ("difference_in_means", "y ~ treat(a) + strata(s)"),
        ("regression", "y ~ treat(a) + adjust(x) + modify(s)"),
        ("ipw", "y ~ treat(a) + adjust(x) + modify(s)"),
        ("ebal", "y ~ treat(a) + adjust(x)"),
        ("energy", "y ~ treat(a) + adjust(x)"),
        ("subclass", "y ~ treat(a) + adjust(x)"),
    ],
)
def test_few_clusters(d, method, formula):
    fit = cf.fit(formula, d, method, vcov="~h")
    for text in prints(fit):
        assert text.count(FEW) == 1, text
    if "modify" in formula:
        assert FEW in str(fit.by("s"))
        assert FEW in str(fit.by("s").hypothesis("b1 = b2"))
    if method == "subclass":
        assert FEW in str(fit.strata())
        assert FEW in str(fit.stratified("~h"))
    both = cf.stack({"one": fit, "two": cf.fit("y ~ treat(a) + p", d, "regression", vcov="~h")})
    for text in (
        str(both),
        str(both.hypothesis("b1 = b2")),
        str(both.simultaneous(seed=1, reps=99)),
        str(fit - both.fits[1]),
    ):
        assert FEW in text, text
    assert FEW in " ".join(str(cf.table([fit])).split())


def test_models(d):
    model = cf.lm("y ~ a + x", d, vcov="~h")
    texts = [str(model.summary()), str(model.hypothesis("a = 0")), str(model.simultaneous(seed=1, reps=99))]
    texts += [str(model - cf.lm("y ~ a", d, vcov="~h")), str(cf.stack([model]))]
    for text in texts:
        assert FEW in text, text
    text = cf.table({"m": model, "plain": cf.lm("y ~ a", d)}).as_markdown()
    assert FEW in text and "\n\nm: " in text
    assert "plain: " not in text


def test_cr2_in_a_stack_is_offered_and_has_no_note(d):
    fits = {
        k: cf.fit(f"y ~ treat(a) + {t}", d, "regression", vcov="~h") for k, t in {"one": "x", "two": "x + s"}.items()
    }
    both = cf.stack(fits)
    assert "Safer: with_vcov('CR2 ~ h')" in str(both)
    assert FEW not in str(both.with_vcov("CR2 ~ h"))


def test_a_stack_says_what_its_fits_say_once(d):
    one = cf.fit("y ~ treat(a) + adjust(log(p))", d)
    two = cf.fit("y ~ treat(a) + adjust(log(p) + x)", d)
    three = cf.fit("y ~ treat(a) + adjust(x)", d, vcov="HC3")
    text = str(cf.stack({"one": one, "two": two, "three": three}))
    assert text.count("log(p) has no value in 3 rows") == 1
    assert "Note: one, two: log(p) has no value in 3 rows" in text
    assert "Note: one, two: 3 observations deleted due to missingness" in text
    assert str(one - two).count("log(p) has no value in 3 rows") == 1
    assert "log(p) has no value" in str(cf.stack({"both": one - two, "three": three}))
    assert "log(p) has no value" in str(2 * cf.lm("y ~ a + log(p)", d))
    assert "second fit: log(p) has no value" in str(cf.lm("y ~ a", d) - cf.lm("y ~ a + log(p)", d))


def test_what_a_design_left_out_of_balance_stands_in_stacks():
    heart = cf.datasets.load("heart")
    formula = "Severity ~ treat(Drug) + adjust(I.H)"
    both = cf.stack({"ipw": cf.fit(formula, heart, "ipw"), "ebal": cf.fit(formula, heart, "ebal")})
    assert "Note: ipw: not balanced (beyond 0.1): I.H" in str(both)


@pytest.mark.parametrize("method", ["regression", "ipw", "subclass", "ebal"])
def test_sampling_weights_are_no_numbers_of_trials(d, method):
    """R's svyglm users write quasibinomial to be rid of this warning; in glm the weights are numbers of trials."""
    data = d.assign(b=(d["y"] > 0).astype(int), w=d["p"].abs() + 0.3)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*non-integer")
        fit = cf.fit("b ~ treat(a) + x + weights(w)", data, method, family="binomial")
        assert "non-integer" not in str(fit) + str(fit.outcome.summary())
    with pytest.warns(cf.CausalFormulaWarning, match="non-integer #successes"):
        cf.glm("b ~ a + x", data, family="binomial", weights="w")


def test_clusters_that_a_stack_leaves_out(d):
    fits = [cf.fit(f"y ~ treat(a) + {term} + cluster(h)", d, "regression") for term in ("x", "s")]
    assert "no part" not in str(cf.stack(fits))
    left = cf.stack(fits, vcov="HC0")
    assert "fit1, fit2: cluster(h) has no part in these standard errors (HC0)" in str(left)
    assert "no part" in str(cf.stack(fits).with_vcov("HC0"))
    assert "no part" not in str(cf.stack([cf.lm("y ~ a", d)]).with_vcov("HC0"))


def test_treated_in_one_cluster(d):
    """The effect has no standard error, nor has its coefficient in the model behind it; resampling says so."""
    data = d.assign(one=(d["h"] == d["h"].iloc[0]).astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        fit = cf.fit("y ~ treat(one) + x + cluster(h)", data, "regression")
        assert np.isnan(fit.std_error) and np.isnan(fit.outcome.bse["one"])
        assert "Safer" not in str(fit)
        wild = fit.with_vcov(cf.Wild(reps=99, seed=1, cluster="h"))
    assert "resampling clusters cannot tell the error of that arm" in str(wild)


def test_completion_shows_what_works(d):
    fit = cf.fit("y ~ treat(a) + x", d, "subclass")
    assert {"strata", "by", "means"} <= set(dir(fit)) and "effects" not in dir(fit)
    assert not {"strata", "permutation_test"} & set(dir(fit.means()))
    assert "by" not in dir(cf.fit("y ~ treat(a)", d))
    assert not {"by", "means", "design"} & set(dir(cf.stack([fit])))


def test_few_clusters_to_draw_from(d):
    fit = cf.fit("y ~ treat(a) + x + cluster(h)", d, "regression", vcov=cf.Bootstrap(reps=60, seed=1))
    assert "clusters of h are few to draw from" in str(fit)
    many = d.assign(k=np.arange(len(d)) % 40)
    assert "few" not in str(cf.fit("y ~ treat(a) + x + cluster(k)", many, vcov=cf.Bootstrap(reps=60, seed=1)))


def test_what_a_model_leaves_out_and_what_stays_out_of_balance_is_said_wherever_effects_are_printed():
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"x": rng.normal(size=200), "z": rng.normal(size=200)})
    d["x2"], d["a"] = 2 * d["x"] + 1, (d["x"] + rng.normal(size=200) > 0).astype(int)
    d["y"] = d["x"] + rng.normal(size=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for density in ("dnorm", "kernel"):
            dose = cf.fit("y ~ treat(z) + x + x2", d, "ipw", density=density)
            assert "Note: the model of the dose leaves out x2" in str(dose)
        plain = cf.fit("y ~ treat(a) + x + x2", d)
        strata = cf.fit("y ~ treat(a) + x + x2", d, "subclass", subclass=2)
        prints = [str(each) for each in (strata, strata.simultaneous(seed=1), cf.table([strata]))]
        assert "Note: the outcome model leaves out x2" in str(plain.simultaneous(seed=1))
        assert "Note: the outcome model leaves out x2" in str(plain.permutation_test(9, seed=1))
    for text in prints:
        assert "not balanced (beyond 0.1)" in text and "leaves out x2" in text
