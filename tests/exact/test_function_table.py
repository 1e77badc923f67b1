"""The functions of the formula language: one table, remembered summaries, row-order functions, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.formula.expressions.functions import STATELESS
from causalformula.formula.expressions.stateful import STATEFUL
from causalformula.formula.language.grammar import FUNCTIONS, REFUSED


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    d = pd.DataFrame({"x": rng.normal(10, 2, 40), "a": np.arange(40) % 2, "f": np.tile(list("uvw "), 10)})
    return d.assign(y=d["x"] + d["a"] + rng.normal(size=40))


def test_the_parser_and_the_evaluator_know_the_same_functions():
    assert (STATELESS.keys() | STATEFUL.keys()) - {"offset"} == FUNCTIONS
    assert not STATELESS.keys() & STATEFUL.keys()
    assert not FUNCTIONS & REFUSED.keys()


@pytest.mark.parametrize(
    "text",
    [
        "I(x / max(x))", "I(x - min(x))", "I(x / sd(x))", "I(x / var(x))", "I(x > median(x))", "I(x / sum(x))",
        "I(x > quantile(x, 0.75))", "ns(x, knots = quantile(x, c(0.3, 0.7)))", "I(x / IQR(x))", "I(x / mad(x))",
        "I((x - min(x)) / (max(x) - min(x)))", "I(x - max(x, 12))", "I(x / length(x))", "scale(x)",
        "unclass(factor(f))",
        "I(x > quantile(x, 0.5, type = 1))", "factor(toupper(trimws(f)))", "I(x - mean(range(x)))",
    ],
)  # fmt: skip
def test_summaries_are_remembered(text, data):
    model = cf.lm(f"y ~ {text}", data)
    alone = [float(model.predict(data.iloc[[k]]).iloc[0]) for k in (3, 17)]
    np.testing.assert_allclose(alone, model.fitted.iloc[[3, 17]], rtol=1e-12)


@pytest.mark.parametrize("text", ["rank(x)", "rev(x)", "cumsum(x)", "cumprod(x / 10)", "cummax(x)", "seq_along(x)"])
def test_what_depends_on_the_other_rows_has_no_value_for_new_ones(text, data):
    model = cf.lm(f"y ~ {text}", data)
    assert np.isfinite(model.coef).all()
    assert np.isfinite(cf.fit(f"y ~ treat(a) + adjust({text})", data).estimate)
    with pytest.raises(cf.DataError, match="depends on all rows of the fit and their order"):
        model.predict(data.head())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("diff(x)", "changes the number or the meaning of the rows"),
        ("lag(x)", "shifts nothing"),
        ("rnorm(x)", "other numbers each time"),
        ("grepl('u', f)", "fixed = TRUE"),
        ("paste(f, collapse = '')", "one string of all rows"),
        ("max()", "at least one argument"),
        ("sd(f)", r"sd\(\) needs a number"),
        ("I(x - quantile(x))", "40 and 5 values"),
        ("quantile(x, 2)", "between 0 and 1"),
        ("nlevels(x)", "of a factor"),
        ("rank(x, ties.method = 'random')", "ties.method must be one of"),
        ("max(f)", "needs a number"),
        ("sin(f)", "needs a number"),
        ("sin(x, 2)", "takes at most 1 argument"),
        ("mean(x)", "gives 1 value for 40 rows"),
    ],
)
def test_refusals(text, says, data):
    with pytest.raises(cf.CausalFormulaError, match=says):
        cf.lm(f"y ~ {text}", data)


def test_the_callers_own_function_comes_first(data):
    model = cf.lm("y ~ sd(x)", data, env={"sd": lambda x: x * 2})
    assert model.coef.iloc[1] == pytest.approx(cf.lm("y ~ x", data).coef["x"] / 2)


def test_missing_text_stays_missing(data):
    gone = data.assign(f=data["f"].where(data.index > 3))
    for text in ("paste(f, a)", "toupper(f)", "nchar(f)", "substr(f, 1, 1)", "startsWith(f, 'u')"):
        assert cf.lm(f"y ~ {text} + x", gone).nobs == 36


ROLES = [
    "adjust({})",
    "modify({})",
    "outcome({})",
    "propensity({})",
    "adjust(x) + weights({})",
    "adjust(x) + offset({})",
]


@pytest.mark.parametrize("role", ROLES)
def test_a_matrix_of_one_column_is_a_column(role, data):
    """R: model.response and model.matrix drop the dimension; so does every role."""
    method = "ipw" if "propensity" in role else None
    plain = cf.fit("y ~ treat(a) + " + role.format("x"), data, method)
    for text in ("cbind(x)", "scale(x, FALSE, FALSE)"):
        boxed = cf.fit("y ~ treat(a) + " + role.format(text), data, method)
        assert (boxed.estimate, boxed.std_error) == pytest.approx((plain.estimate, plain.std_error))


@pytest.mark.parametrize("box", ["cbind({})", "scale({}, FALSE, FALSE)"])
def test_a_matrix_of_one_column_in_other_places(box, data):
    data = data.assign(g=np.arange(40) // 4)
    plain = cf.fit("y ~ treat(x) + adjust(a) + cluster(g)", data)
    boxed = cf.fit(f"{box.format('y')} ~ treat({box.format('x')}) + adjust(a) + cluster({box.format('g')})", data)
    assert (boxed.estimate, boxed.std_error) == pytest.approx((plain.estimate, plain.std_error))
    strata = cf.fit(f"y ~ treat(a) + strata({box.format('g')})", data)
    assert strata.std_error == pytest.approx(cf.fit("y ~ treat(a) + strata(g)", data).std_error)
    model = cf.lm(f"{box.format('y')} ~ {box.format('x')}", data, weights=box.format("g + 1"), offset=box.format("x"))
    right = cf.lm("y ~ x", data, weights="g + 1", offset="x")
    np.testing.assert_allclose(model.coef, right.coef)
    np.testing.assert_allclose(model.predict(data.head()), right.predict(data.head()))
    assert list(model.coef.index) == ["(Intercept)", box.format("x").replace(",", ",")]
