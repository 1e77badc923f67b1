"""Long formulas, odd names and open intervals as R prints them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.formula.language.wrap import wrapped

STORED: dict[str, Any] = json.loads((Path(__file__).parent / "values/r_prints.json").read_text("utf-8"))
LONG = "x + long_variable_name_one + long_variable_name_two + I(long_variable_name_two^2)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return pd.DataFrame(STORED["data"]).apply(pd.to_numeric)


@pytest.mark.parametrize("case", STORED["deparsed"], ids=lambda c: c["text"][:40])
def test_line_breaks(case):
    """R: deparse(formula)."""
    assert wrapped(case["text"]).split("\n") == case["lines"]


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").split("\n")]


@pytest.mark.parametrize("what", STORED["prints"])
def test_printed(what, data):
    """R: print(anova(...)), print(drop1(...)), print(waldtest(...)), print(linearHypothesis(...))."""
    m = cf.lm("`y y` ~ x + `a b`", data)
    m1, m2 = cf.lm("`y y` ~ x + long_variable_name_one", data), cf.lm(f"`y y` ~ {LONG}", data)
    g = cf.glm("k ~ x + `a b`", data, family="quasipoisson")
    g1, g2 = cf.glm("k ~ x", data, family="poisson"), cf.glm(f"k ~ {LONG}", data, family="poisson")
    ours = {
        "anova(m)": lambda: cf.anova(m),
        "drop1(m, F)": lambda: m.drop1("F"),
        "anova(m1, m2)": lambda: cf.anova(m1, m2),
        "drop1(m2, F)": lambda: m2.drop1("F"),
        "waldtest(m1, m2)": lambda: cf.waldtest(m1, m2),
        "drop1(g)": lambda: g.drop1(),
        "drop1(g, F)": lambda: g.drop1("F"),
        "drop1(g, Chisq)": lambda: g.drop1("Chisq"),
        "drop1(g2)": lambda: g2.drop1(),
        "anova(g1, g2)": lambda: cf.anova(g1, g2, test="Chisq"),
        "waldtest(g1, g2)": lambda: cf.waldtest(g1, g2, test="F"),
        "anova(log)": lambda: cf.anova(cf.lm("log(`y y`) ~ x", data)),
        "hypothesis(m2)": lambda: m2.hypothesis("x = 0").test,
    }
    assert lines(str(ours[what]())) == lines(STORED["prints"][what])


@pytest.mark.parametrize("case", STORED["cuts"], ids=lambda c: ", ".join(c["breaks"]))
def test_intervals_without_end(case, data):
    """R: levels(cut(x, breaks))."""
    right, lowest = ("TRUE" if case[k] else "FALSE" for k in ("right", "lowest"))
    breaks = ", ".join(case["breaks"])
    text = f"cut(x, c({breaks}), right = {right}, include.lowest = {lowest})"
    X = cf.model_matrix(f"~ 0 + {text}", data)
    assert [name[len(X.columns[0]) - len(case["levels"][0]) :] for name in X.columns] == case["levels"]


@pytest.mark.parametrize("label", STORED["names"])
def test_names(label, data):
    """R: colnames(model.matrix(formula))."""
    assert list(cf.model_matrix(f"~ {label}", data).columns) == STORED["names"][label]


def test_raw_polynomials_of_missing_values(data):
    """R: lm(x ~ poly(n, 2, raw = TRUE))."""
    model = cf.lm("x ~ poly(n, 2, raw = TRUE)", data)
    assert model.nobs == 9
    np.testing.assert_allclose(model.coef, STORED["raw"], rtol=1e-8)
    with pytest.raises(cf.DataError, match="does not take missing values"):
        cf.lm("x ~ poly(n, 2)", data)
