"""``family=`` where learners predict the outcome: values are checked as a GLM's are, and what goes unused is told."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import causalformula as cf

F = "{} ~ treat(a) + adjust(x)"
LEARNED = {"outcome_model": LinearRegression(), "treatment_model": LogisticRegression()}
# Methods that cross-fit the outcome, with glms where these need folds too.
ASKED = {
    "aipw": ("aipw", LEARNED),
    "tmle": ("tmle", LEARNED),
    "plr": ("dml", {}),
    "irm": ("dml", {"model": "irm"}),
    **{name: (name, {}) for name in ("s_learner", "t_learner", "x_learner", "r_learner", "dr_learner")},
}
GLM = "the cross-fitted glm is least squares"
OTHERS = "learners predict the mean by squared error"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    n = 120
    x = rng.normal(size=n)
    a = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    y = x + a + rng.normal(size=n)
    b = (y > 0).astype(int)
    share = 1 / (1 + np.exp(-y))
    return pd.DataFrame({"x": x, "a": a, "y": y, "b": b, "two": b + 1, "share": share, "count": rng.poisson(1, n)})


def asked(data, method, outcome, family, formula=F):
    name, options = ASKED[method]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cf.fit(formula.format(outcome), data, name, family=family, **options)


@pytest.mark.parametrize("method", ASKED)
@pytest.mark.parametrize(
    ("outcome", "family"), [("y", "binomial"), ("two", "quasibinomial"), ("y", "poisson"), ("y", "Gamma")]
)
def test_an_outcome_that_the_family_does_not_have(data, method, outcome, family):
    with pytest.raises(cf.DataError) as by_glm:
        cf.fit(F.format(outcome), data, "regression", family=family)
    with pytest.raises(cf.DataError) as learned:
        asked(data, method, outcome, family)
    assert str(learned.value) == str(by_glm.value)


@pytest.mark.parametrize("method", ASKED)
@pytest.mark.parametrize(("outcome", "family"), [("count", "poisson"), ("share", "binomial"), ("share", "Gamma")])
def test_a_family_that_learners_do_without(data, method, outcome, family):
    fit = asked(data, method, outcome, family)
    assert fit.estimate == asked(data, method, outcome, None).estimate or method == "tmle"
    note = f"Note: family='{family}' is of GLMs: {OTHERS if ASKED[method][1] is LEARNED else GLM}"
    assert str(fit).splitlines().count(note) == 1


def test_a_family_of_a_dose(data):
    fit = asked(data, "r_learner", "count", "poisson", "{} ~ treat(y) + adjust(x)")
    assert f"Note: family='poisson' is of GLMs: {GLM}" in str(fit)
    with pytest.raises(cf.DataError, match="negative values are not allowed for the Poisson family"):
        asked(data, "r_learner", "x", "poisson", "{} ~ treat(y) + adjust(count)")


def test_nothing_is_told_where_nothing_goes_unused(data):
    for outcome, family in (("b", "binomial"), ("b", "quasibinomial"), ("y", "gaussian"), ("y", "quasi"), ("y", None)):
        assert "of GLMs" not in str(asked(data, "t_learner", outcome, family))
    stacked = cf.fit(F.format("count"), data, "aipw", family="poisson")
    assert "of GLMs" not in str(stacked)


def test_a_link_that_learners_do_without(data):
    text = str(asked(data, "t_learner", "b", "binomial(link=probit)"))
    assert "the link of family='binomial(link = \"probit\")' is of GLMs: learners predict probabilities" in text
    assert (
        asked(data, "t_learner", "b", "binomial").estimate
        == asked(data, "t_learner", "b", "binomial(link=probit)").estimate
    )
