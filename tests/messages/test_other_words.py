"""What things are called elsewhere: the suggestion asks the same question, and works when followed."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import causalformula as cf
from causalformula.backends import registry

F = "y ~ treat(a) + adjust(x)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    d = pd.DataFrame({"x": rng.normal(size=90), "g": np.arange(90) % 15})
    d["a"] = (rng.random(90) < 1 / (1 + np.exp(-d["x"]))).astype(int)
    return d.assign(y=5 + d["a"] + d["x"] + rng.normal(size=90), k=(d["x"] + rng.normal(size=90) > 0).astype(int))


def message(data, method=None, formula=F, **options) -> str:
    with pytest.raises(cf.CausalFormulaError) as caught:
        cf.fit(formula, data, method, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("risk_ratio", "ratio"), ("RR", "ratio"), ("relative risk", "ratio"), ("rate_ratio", "ratio"),
        ("OR", "odds_ratio"),
        ("risk_difference", "difference"), ("RD", "difference"), ("Ratio", "ratio"), ("NNT", "nnt"),
        ("log_or", "log_odds_ratio"),
        ("hazard", None), ("log", None),
    ],
)  # fmt: skip
def test_measures(word, meant, data):
    said = message(data, formula="k ~ treat(a) + x", family="binomial", measure=word)
    suggested = re.search(r"did you mean '(\w+)'", said)
    assert (suggested[1] if suggested else None) == meant
    if meant is not None:
        assert np.isfinite(cf.fit("k ~ treat(a) + x", data, family="binomial", measure=meant).estimate)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ATU", "ATC"),
        ("atc", "ATC"),
        ("TOT", "ATT"),
        ("treated", "ATT"),
        ("overlap", "ATO"),
        ("ATEC", None),
        ("AT", None),
    ],
)
def test_estimands(word, meant, data):
    said = message(data, "ipw", estimand=word)
    suggested = re.search(r"did you mean '(\w+)'", said)
    assert (suggested[1] if suggested else None) == meant
    assert "offers ATE, ATT, ATC, ATO, ATM, ATOS" in said
    if meant is not None:
        assert cf.fit(F, data, "ipw", estimand=meant).fit.estimand == meant


@pytest.mark.parametrize(
    ("word", "works"),
    [
        ("stata", "HC1"), ("robust", "HC3"), ("white", "HC1"), ("hc1", "HC1"), ("cluster", "~g"), ("clustered", "~g"),
        ({"CRV1": "g"}, "~g"), ({"CRV3": "g"}, "CR3 ~ g"), ("HC1 ~ g", "~g"), ("nonrobust", "classical"),
        ("boot", "bootstrap"),
        ("newey west", "NeweyWest"),
    ],
)  # fmt: skip
def test_covariances(word, works, data):
    assert f"'{works}'" in message(data, vcov=word)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cf.fit(F, data, vcov=works).std_error > 0


@pytest.mark.parametrize("word", ["HC9", "CR9 ~ g", "asymptotic"])
def test_covariances_that_are_none(word, data):
    said = message(data, vcov=word)
    assert "did you mean" not in said and ("HC3" in said or "CR2" in said)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("ols", "did you mean 'regression'"), ("IPTW", "did you mean 'ipw'"), ("entropy", "did you mean 'ebal'"),
        ("dr", "did you mean 'aipw'"), ("AIPTW", "did you mean 'aipw'"), ("CV-TMLE", "did you mean 'tmle'"),
        ("t-test", "did you mean 'difference_in_means'"),
    ],
)  # fmt: skip
def test_methods(word, says, data):
    assert says in message(data, word)


@pytest.mark.parametrize("word", ["match", "PSM", "nn", "MatchIt", "propensity score matching", "matching"])
@pytest.mark.filterwarnings("ignore::causalformula.errors.CausalFormulaWarning")
def test_matching_by_any_name(word, data):
    assert cf.fit(F, data, word).call.record.name == "nearest"


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("level", 0.9, "fit.tidy(level=0.9)"), ("alpha", 0.1, "fit.tidy(level=0.9)"), ("cluster", "g", "vcov='~g'"),
        ("robust", True, "vcov='HC3'"), ("bootstrap", 99, "vcov='bootstrap(999, seed = 1)'"),
        ("link", "probit", "family="),
        ("treatment", "a", "treat(A)"), ("covariates", ["x"], "adjust(x + z)"), ("offset", "x", "offset(x)"),
    ],
)  # fmt: skip
def test_options(option, value, says, data):
    assert says in message(data, **{option: value})


def test_what_the_options_say_works(data):
    fit = cf.fit(F, data)
    assert fit.tidy(level=0.9)["conf.low"].iloc[0] > fit.tidy()["conf.low"].iloc[0]
    assert cf.fit(F + " + cluster(g)", data).std_error == cf.fit(F, data, vcov="~g").std_error


@pytest.mark.parametrize("verb", [cf.fit, cf.design, cf.lm, cf.glm, cf.model_matrix])
def test_the_data_first(verb, data):
    more = ("ipw",) if verb is cf.design else ()
    with pytest.raises(cf.CausalFormulaError, match="the formula comes first, then the data"):
        verb(data, F, *more)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: make_pipeline(StandardScaler(), m)], ids=["alone", "pipeline"])
def test_a_stacking_classifier(wrap, data):
    """Only when it is fitted does it show that it gives probabilities."""
    parts = [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=2, random_state=0))]
    for model in (StackingClassifier(parts), StackingClassifier(parts, final_estimator=LogisticRegression())):
        assert np.isfinite(cf.fit(F, data, "ipw", model=wrap(model)).estimate)


def test_a_classifier_without_probabilities(data):
    parts = [("a", LogisticRegression())]
    assert "gives no probabilities" in message(data, "ipw", model=VotingClassifier(parts))


@pytest.mark.parametrize("method", ["lasso", "rdd", "ebl", "synth", "weights"])
def test_a_method_that_is_none_of_ours_is_not_taken_for_another(data, method):
    with pytest.raises(cf.OptionError, match=f"unknown method '{method}'; choose from difference_in_means, "):
        cf.fit(F, data, method)


@pytest.mark.parametrize(
    ("method", "meant"), [("regresion", "regression"), ("subclas", "subclass"), ("iwp", "ipw"), ("e-bal", "ebal")]
)
def test_a_slip_in_a_method_is_named(data, method, meant):
    with pytest.raises(cf.OptionError, match=f"did you mean '{meant}'"):
        cf.fit(F, data, method)


@pytest.mark.parametrize("method", ["2sls", "tsls"])
def test_two_stage_least_squares_by_its_other_names(method):
    assert registry.find(method).name == "iv"


@pytest.mark.parametrize(
    "function",
    ["cospi", "sprintf", "weighted.mean", "strtoi", "as.logical", "is.numeric", "lchoose", "trigamma", "exp2", "pbeta"],
)
def test_another_function_of_r_is_not_taken_for_one_of_ours(data, function):
    with pytest.raises(cf.FormulaError, match="pass functions of your own in env=") as caught:
        cf.fit(f"y ~ treat(a) + {function}(x)", data)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "meant"),
    [("as.double", "as.numeric"), ("facter", "factor"), ("Log", "log"), ("np.log", "log"), ("sqr", "sqrt"),
     ("adjst", "adjust"), ("ln", "log")],
)  # fmt: skip
def test_a_slip_in_a_function_is_named(data, function, meant):
    with pytest.raises(cf.FormulaError, match=f"did you mean '{meant}'"):
        cf.fit(f"y ~ treat(a) + {function}(x)", data)


@pytest.mark.parametrize(
    ("vcov", "written"),
    [("~my g", "~`my g`"), ("CR2 ~ my g", "~`my g`"), ("bootstrap ~ my g", "bootstrap ~ `my g`"),
     ("jackknife ~ my g", "jackknife ~ `my g`"), ("wild(99) ~ my g", "wild(99) ~ `my g`"),
     ({"CRV1": "my g"}, "~`my g`"), ({"CRV3": "my g"}, "CR3 ~ `my g`")],
)  # fmt: skip
def test_clusters_with_a_space_are_written_as_the_message_says(data, vcov, written):
    d = data.assign(**{"my g": np.arange(len(data)) // 4})
    with pytest.raises(cf.OptionError, match=re.escape(f"'{written}'")):
        cf.fit(F, d, vcov=vcov)
    assert np.isfinite(cf.fit(F, d, vcov=written).std_error)
