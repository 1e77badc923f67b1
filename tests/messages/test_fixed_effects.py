"""What is said of absorbed fixed effects: in formulas, of what they hold, at predictions, of what there is not."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.formula.matrix import recipe

RNG = np.random.default_rng(4)
DATA = pd.DataFrame({"unit": np.repeat(np.arange(12), 5), "year": np.tile(np.arange(2001, 2006), 12)})
DATA["x"], DATA["y"] = RNG.normal(size=60), RNG.normal(size=60)
DATA["region"] = np.array(list("abc"))[DATA["unit"] % 3]
DATA["north"], DATA["late"] = (DATA["unit"] < 4).astype(int), (DATA["year"] > 2003).astype(int)
DATA["d"] = DATA["late"] * DATA["north"]


@pytest.mark.parametrize("ask", [cf.lm, lambda text, data: cf.fit(f"{text.replace('~ x', '~ treat(x)')}", data)])
@pytest.mark.parametrize(
    ("behind", "says"),
    [
        ("unit * year", "fixed effects of two factors are unit + year, of their combinations unit^year"),
        ("unit - year", "a fixed effect cannot be taken away; leave it out"),
        ("unit[x]^year", "slopes are of the whole combination and stand at its end: a^b[x]"),
        ('unit["x"]', "a fixed effect names a column, without quotation marks"),
        ("unit[x", "this `[` is never closed"),
        ("unit[x]]", "unexpected ]; formulas have no indexing but fixest's slopes, fe(a[x])"),
        ("unit | year", "a second `|`; fixed effects go behind one `|`, instruments in iv(...)"),
        ("units", "unknown column 'units'; did you mean 'unit'?"),
    ],
)
def test_what_is_no_fixed_effect(ask, behind, says):
    with pytest.raises(cf.FormulaError, match=re.escape(says)) as error:
        ask(f"y ~ x | {behind}", DATA)
    assert "^" in str(error.value)


@pytest.mark.parametrize("text", ["y ~ x[1]", "y ~ I(x[1])", "y[1] ~ x", "y ~ x[[region]] | unit", "y ~ log(x[unit])"])
def test_no_other_indexing(text):
    with pytest.raises(cf.FormulaError, match="formulas have no indexing but fixest's slopes"):
        cf.lm(text, DATA)
    with pytest.raises((cf.FormulaError, cf.OptionError), match="formulas have no indexing"):
        cf.lm("y ~ x", DATA, subset="x[1] > 0")


def test_a_role_inside_a_term():
    with pytest.raises(cf.FormulaError, match=r"fe\(\.\.\.\) is a role and can only be joined by `\+`"):
        cf.lm("y ~ x * fe(unit)", DATA)
    with pytest.raises(cf.FormulaError, match="here write factor"):
        cf.glm("y ~ x + fe(unit)", DATA)
    with pytest.raises(cf.FormulaError, match=r"absorbed by cf\.lm and cf\.fit only"):
        cf.glm("y ~ x | unit", DATA)


def test_slopes_are_of_numbers():
    with pytest.raises(cf.DataError, match=r"fe\(region\) must be numbers"):
        cf.lm("y ~ x | unit[region]", DATA)


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("y ~ treat(north) + x | unit", "as in each level of unit it is the same in all rows"),
        ("y ~ treat(late) + x | unit + year", "as it is a sum of effects of unit and year"),
        ("y ~ treat(north) + modify(x) | unit", "north cannot be told apart from the fixed effects"),
        ("y ~ treat(region) + x | unit", "regionb, regionc cannot be told apart from the fixed effects"),
    ],
)
def test_a_treatment_that_the_effects_hold(formula, says):
    with pytest.raises(cf.IdentificationError, match=says) as error:
        cf.fit(formula, DATA)
    assert "Leave out of the fixed effects what" in str(error.value)


def test_terms_that_the_effects_hold_are_named():
    model = cf.lm("y ~ x + north + region | unit", DATA)
    assert "... 3 variables were removed because of collinearity (north, regionb, regionc)" in str(model)
    assert model.params.isna().tolist() == [False, True, True, True]
    assert "(no coefficient is estimated)" in str(cf.lm("y ~ north | unit", DATA))
    fit = cf.fit("y ~ treat(d) + region + x | unit + year", DATA)
    said = "regionb, regionc were removed because of collinearity with the fixed effects or other terms"
    assert f"Note: {said}" in str(fit)
    both = cf.lm("y ~ x + z | unit", DATA.assign(z=2 * DATA["x"] + DATA["unit"]))
    assert "... 1 variable was removed because of collinearity (z)" in str(both)


def test_every_row_alone():
    with pytest.raises(cf.DataError, match=r"every row is alone in a level of a fixed effect \(unit\^year: 60 levels"):
        cf.lm("y ~ x | unit^year", DATA)
    with pytest.raises(cf.DataError, match="every row is alone"):
        cf.fit("y ~ treat(d) | unit^year", DATA)


def test_levels_that_the_fit_does_not_know():
    model = cf.lm("y ~ x | unit + year", DATA)
    with pytest.raises(cf.DataError, match="the fixed effect year has 1 level that the fit has no value for: 2030"):
        model.predict(DATA.head(3).assign(year=2030))
    assert model.predict(DATA.head(3).assign(year=2030), fixed_effects=False).notna().all()
    combined = cf.lm("y ~ x | region^year", DATA)
    with pytest.raises(cf.DataError, match="region\\^year has 1 level that the fit has no value for: a:2030"):
        combined.predict(DATA.head(1).assign(year=2030))


def test_what_there_is_not_beside_absorbed_effects():
    model = cf.lm("y ~ x | unit", DATA)
    for verb in (cf.bptest, cf.resettest, cf.dwtest, cf.bgtest, cf.Model.to_statsmodels, cf.Model.to_marginaleffects):
        with pytest.raises(
            cf.CapabilityError, match=r"no place for absorbed fixed effects; for few groups write factor"
        ):
            verb(model)
    with pytest.raises(cf.CapabilityError, match="the terms alone have one: fixed_effects=False"):
        model.predict(se_fit=True)
    fit = cf.fit("y ~ treat(d) + x | unit + year", DATA)
    with pytest.raises(cf.CapabilityError, match="a mean outcome holds the absorbed fixed effects"):
        fit.means()
    positive = DATA.assign(y=np.exp(DATA["y"]))
    with pytest.raises(cf.CapabilityError, match="measure='ratio': a mean outcome holds"):
        cf.fit("y ~ treat(d) + x | unit + year", positive, measure="ratio")
    with pytest.raises(cf.CapabilityError, match="family='poisson' has no absorbed fixed effects yet"):
        cf.fit("y ~ treat(d) + x | unit + year", positive, family="poisson")


def test_fixed_effects_that_are_not_there():
    with pytest.raises(cf.CapabilityError, match="no fixed effects are absorbed here: write them behind a bar"):
        cf.lm("y ~ x", DATA).fixed_effects()
    with pytest.raises(cf.CapabilityError, match="no fixed effects are absorbed here: write them behind a bar"):
        cf.fit("y ~ treat(d) + x", DATA).fixed_effects()
    with pytest.raises(cf.OptionError, match=r"no fixed effect 'unite'; did you mean"):
        cf.lm("y ~ x | unit", DATA).fixed_effects("unite")


def test_small_sample_rules_need_a_regression():
    with pytest.raises(cf.CapabilityError, match="ssc= counts the coefficients of a regression"):
        cf.fit("y ~ treat(d) + x", DATA, "aipw", vcov="~unit", ssc=cf.ssc())
    with pytest.raises(cf.OptionError, match="t_df"):
        cf.ssc(t_df="smallest")


def test_leverages_that_would_take_too_many_columns():
    n = 24_000
    rng = np.random.default_rng(1)
    many = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n)})
    many["a"], many["b"] = rng.integers(0, 1001, n), rng.integers(0, 1000, n)
    model = cf.lm("y ~ x | a + b", many, vcov="~a")
    assert model.bse["x"] > 0
    for vcov in ("HC3", "CR2 ~ a"):
        with pytest.raises(cf.CapabilityError, match="would take a column for each level of b, which are too many"):
            model.with_vcov(vcov)
    assert not {".hat", ".cooksd"} & set(model.augment().columns) and ".resid" in model.augment()


def test_a_design_that_memory_has_no_room_for(monkeypatch):
    n = 3000
    rng = np.random.default_rng(1)
    wide = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": np.arange(n) // 2})
    monkeypatch.setattr(recipe, "MOST_BYTES", 2**24)
    monkeypatch.setattr(recipe, "memory_of_machine", lambda: 2**25)
    said = r"1,501 columns of 3,000 rows, 0 GiB, more than the memory.*factor\(g\) alone has 1,500.*fe\(factor\(g\)\)"
    with pytest.raises(cf.DataError, match=said):
        cf.lm("y ~ x + factor(g)", wide)
    assert np.isfinite(cf.lm("y ~ x + fe(factor(g))", wide).bse["x"])
