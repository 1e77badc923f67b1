"""Equations among estimates: where they are defined, what their errors show, and on which scale they are tested."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from tests.laws.strategies import simulate


@pytest.fixture(scope="module")
def data():
    return simulate(11, n=200).assign(f=np.resize(["a", "b", "c"], 200))


@pytest.fixture(scope="module")
def model(data):
    """The coefficients of a and x are positive, that of `down` is negative."""
    model = cf.lm("y ~ a + x + down + f", data.assign(down=np.cos(np.arange(200.0)) - data["y"]))
    assert model.coef["down"] < 0
    return model


@pytest.mark.parametrize(
    "equation",
    ["log(down) = 1", "sqrt(down) = 1", "down^.5 = 1", "sqrt(down)^2 = 1", "exp(log(down))", "x / 0 = 1", "1 / 0 = 1"],
)
@pytest.mark.parametrize("kind", ["model", "fit"])
def test_equations_that_are_not_defined_at_the_estimates(data, model, kind, equation):
    fit = model
    if kind == "fit":
        fit = cf.fit("y ~ treat(down)", data.assign(down=(data["y"] < data["y"].median()).astype(int)))
        equation = equation.replace("x", "down") if "exp" not in equation else equation
        assert fit.estimate < 0
    with pytest.raises(cf.OptionError, match="not defined at the estimates"):
        fit.hypothesis(equation)


def test_powers_and_roots_of_what_allows_them(model):
    b = model.coef
    for equation, value, slope in [
        ("down^2 = 1", b["down"] ** 2 - 1, 2 * b["down"]),
        ("down^3", b["down"] ** 3, 3 * b["down"] ** 2),
        ("down^-1", 1 / b["down"], -1 / b["down"] ** 2),
        ("sqrt(-down)", np.sqrt(-b["down"]), -0.5 / np.sqrt(-b["down"])),
        ("log(-down) = 1", np.log(-b["down"]) - 1, 1 / b["down"]),
        ("2^down", 2 ** b["down"], np.log(2) * 2 ** b["down"]),
    ]:
        row = model.hypothesis(equation).tidy().iloc[0]
        assert row["estimate"] == pytest.approx(value, rel=1e-12)
        assert row["std.error"] == pytest.approx(abs(slope) * model.bse["down"], rel=1e-12)


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("x=", "an equation has two sides, and nothing stands after this `=`\n  x=\n   ^"),
        ("=0", "an equation has two sides, and nothing stands before this `=`\n  =0\n  ^"),
        ("x = a = 1", "an equation has one `=`; give several equations as a list\n  x = a = 1\n        ^"),
        ("__class__=0", "a name cannot start with an underscore; put it in backquotes\n  __class__=0\n  ^^^^^^^^^"),
        ("x = (a", None),
        ("(Intercept) = 2 * zz", "unknown estimate 'zz'"),
        ("x = sin((Intercept))", "a hypothesis is arithmetic of estimates (+ - * / ^ log exp sqrt), not sin"),
    ],
)
def test_errors_show_the_equation_as_it_was_written(model, equation, message):
    with pytest.raises(cf.FormulaError) as error:
        model.hypothesis(equation)
    text = str(error.value)
    assert text.splitlines()[-2] == f"  {equation}"
    assert message is None or text.startswith(message)
    carets = text.splitlines()[-1]
    if "zz" in equation:
        assert carets.index("^") == 2 + equation.index("zz")
        assert carets.count("^") == 2
    if "sin" in equation:
        assert carets.index("^") == 2 + equation.index("sin")
        assert carets.count("^") == len("sin((Intercept))")


def test_a_ratios_equations_say_their_scale(data):
    d = data.assign(hit=(data["y"] > data["y"].median()).astype(int))
    ratio = cf.fit("hit ~ treat(a) + x", d, family="binomial", measure="ratio")
    note = "Note: delta method on the ratio's own scale; the ratio itself is tested on the log scale"
    asked = ratio.hypothesis("b1 = 1")
    assert note in str(asked).splitlines()
    assert note in str(asked.with_vcov("HC0")).splitlines()
    assert note in str(cf.stack([ratio, ratio], names=["p", "q"]).hypothesis("p = 1")).splitlines()
    assert note not in str(ratio)
    assert note not in str(cf.fit("hit ~ treat(a) + x", d, measure="difference").hypothesis("b1 = 1"))
