"""One-sided tests and equivalence of estimates, and names in hypotheses as they are printed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalformula as cf


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    d = pd.DataFrame({"x": rng.normal(size=80), "z 1": rng.normal(size=80), "f-2": rng.choice(["u", "v"], 80)})
    d = d.assign(a=np.arange(80) % 2, g=np.arange(80) // 8)
    return d.assign(y=d["x"] + d["z 1"] + 0.2 * d["a"] + rng.normal(size=80))


@pytest.mark.parametrize("vcov", ["classical", "HC3", "CR2 ~ g"])
def test_one_side(vcov, data):
    """R: t.test(alternative = ) and pt() of a coefficient's t."""
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, vcov=vcov)
    row = fit.tidy().iloc[0]
    for bound in (0, 0.3):
        t = (row["estimate"] - bound) / row["std.error"]
        for text, p in ((f"a <= {bound}", stats.t.sf(t, row["df"])), (f"a > {bound}", stats.t.cdf(t, row["df"]))):
            found = fit.hypothesis(text)
            assert found.p_value == pytest.approx(p, rel=1e-10)
            assert found.tidy()["statistic"].iloc[0] == pytest.approx(t, rel=1e-10)
            assert found.tidy()["null"].tolist() == [text]


def test_students_test(data):
    test = stats.ttest_ind(data["y"][data["a"] == 1], data["y"][data["a"] == 0], alternative="greater")
    model = cf.lm("y ~ a", data)
    assert model.hypothesis("a <= 0").p_value == pytest.approx(test.pvalue, rel=1e-10)
    assert model.hypothesis("0 >= a").p_value == pytest.approx(test.pvalue, rel=1e-10)
    assert model.hypothesis("a >= 0").p_value == pytest.approx(1 - test.pvalue, rel=1e-10)


@pytest.mark.parametrize("text", ["abs(a) < 0.5", "0.5 > abs( a )"])
def test_the_size_of_an_estimate(text, data):
    """The equivalence of bounds of one size."""
    for fit, name in ((cf.lm("y ~ a + x", data), "a"), (cf.fit("y ~ treat(a) + x", data), "b1")):
        asked = text.replace("a)", f"{name})").replace("( a", f"( {name}").replace(" a )", f" {name} )")
        found, right = fit.hypothesis(asked), fit.hypothesis(f"-0.5 < {name} < 0.5")
        assert found.p_value == right.p_value
        assert f"{name} outside (-0.5, 0.5)" in str(found) and found.tidy()["term"].tolist() == [asked]


def test_equations_say_what_they_are_tested_against(data):
    fit, model = cf.fit("y ~ treat(a) + x", data), cf.lm("y ~ a + x", data)
    for found in (fit.hypothesis("a = 1"), model.hypothesis("a = 1"), model.hypothesis("a == 1")):
        assert "; alternative: a != 1" in str(found)
    assert "Null hypothesis: a = 0; alternative: a != 0" in str(model.hypothesis("a"))
    assert "Null hypothesis of each row: the equation holds" in str(model.hypothesis(["a = 0", "x = 0"]))
    assert "Null hypothesis" not in str(fit)


@pytest.mark.parametrize("text", ["-0.5 < a < 0.8", "0.8 >= a >= -0.5", "-1 / 2 <= a <= 4 / 5"])
def test_equivalence(text, data):
    """R: marginaleffects' equivalence = c(-0.5, 0.8), p.value.equiv: the larger of two one-sided p-values."""
    model = cf.lm("y ~ a + x", data)
    b, se = model.coef["a"], model.bse["a"]
    p = max(stats.t.sf((b + 0.5) / se, 77), stats.t.cdf((b - 0.8) / se, 77))
    found = model.hypothesis(text)
    assert found.p_value == pytest.approx(p, rel=1e-10)
    assert found.tidy()["null"].iloc[0] == "a outside (-0.5, 0.8)"
    # rejected at 5% exactly where the 90% interval lies within the bounds
    low, high = model.confint(0.9).loc["a"]
    assert (p < 0.05) == (low > -0.5 and high < 0.8)


def test_z_where_the_tests_are_z(data):
    model = cf.glm("a ~ x", data, family="binomial")
    t = (model.coef["x"] + 1) / model.bse["x"]
    assert model.hypothesis("x < -1").p_value == pytest.approx(stats.norm.sf(t), rel=1e-10)


def test_several_and_their_print(data):
    found = cf.lm("y ~ a + x", data).hypothesis(["a <= 0", "a < x", "0 < x < 3"])
    assert len(found.tidy()) == 3
    text = str(found)
    assert "each row is a null hypothesis" in text and "x outside (0, 3)" in text and "one-sided Pr" in text
    assert "Null hypothesis: a <= 0; alternative: a > 0\n" in text
    assert "Null hypothesis: x outside (0, 3); alternative: 0 < x < 3 (equivalence" in text
    assert found.tidy()["term"].tolist() == ["a <= 0", "a < x", "0 < x < 3"]
    assert found.tidy()["alternative"].tolist() == ["a > 0", "a >= x", "0 < x < 3"]
    with pytest.raises(ValueError, match="3 inequalities"):
        _ = found.p_value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (["a = 0", "a > 0"], "equations and inequalities|ask for them apart"),
        ("a >", "something on both sides"),
        ("1 < a < 0", "no number lies between 1 and 0"),
        ("0 < a > 1", "between two bounds"),
        ("x < a < 1", "the bounds of an equivalence are numbers"),
        ("0 < a < 1 < 2", "between two bounds"),
        ("q < 0", "unknown estimate 'q'"),
        ("a != 0", "a != 0 is an alternative and no null hypothesis; its two-sided test is that of 'a = 0'"),
        ("abs(a) > 1", "by rejecting a <= 1 or a >= -1"),
        ("abs(a) < x", "the bounds of an equivalence are numbers"),
    ],
)
def test_what_is_no_inequality(text, says, data):
    with pytest.raises(cf.CausalFormulaError, match=says):
        cf.lm("y ~ a + x", data).hypothesis(text)


def test_the_wild_bootstrap_has_two_sides(data):
    with pytest.raises(cf.CapabilityError, match="two-sided"):
        cf.lm("y ~ a + x", data, vcov="wild(99, seed = 1) ~ g").hypothesis("a < 0")


@pytest.mark.parametrize("vcov", ["classical", "bootstrap(39, seed = 1)"])
def test_quoted_names(vcov, data):
    model = cf.lm("y ~ x * `z 1` + `f-2` + I(x^2)", data, vcov=vcov)
    for name in model.coef.index:
        for way in {name, "`" + name.replace("`", "") + "`"} - {"(Intercept)"}:
            assert model.hypothesis(f"{way} = 0").estimate[0] == pytest.approx(model.coef[name]), way
    both = model.hypothesis("x:`z 1` = 2 * `z 1` - `f-2`v").estimate[0]
    assert both == pytest.approx(model.coef["x:`z 1`"] - 2 * model.coef["`z 1`"] + model.coef["`f-2`v"])
    assert model.hypothesis("`z 1` <= 0").read().estimate[0] == pytest.approx(model.coef["`z 1`"])
    with pytest.raises(cf.FormulaError, match="did you mean '`z 1`'"):
        model.hypothesis("`z 2` = 0")


def test_an_aliased_name_with_backquotes(data):
    model = cf.lm("y ~ `z 1` + `z 2`", data.assign(**{"z 2": 2 * data["z 1"]}))
    with pytest.raises(cf.OptionError, match="is aliased"):
        model.hypothesis("`z 2` = 0")


def test_an_unknown_column_is_named_as_it_is_written(data):
    with pytest.raises(cf.FormulaError, match="unknown column 'z 2'; did you mean '`z 1`'"):
        cf.lm("y ~ `z 2`", data)
