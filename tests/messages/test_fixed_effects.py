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
        cf.model_matrix("y ~ x + fe(unit)", DATA)
    with pytest.raises(cf.FormulaError, match=r"absorbed by cf\.lm, cf\.glm and cf\.fit only"):
        cf.model_matrix("y ~ x | unit", DATA)


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
    said = r"at least 1,500 columns of 3,000 rows, 0 GiB, more than.*factor\(g\) alone has 1,500.*fe\(factor\(g\)\)"
    with pytest.raises(cf.DataError, match=said):
        cf.lm("y ~ x + factor(g)", wide)
    assert np.isfinite(cf.lm("y ~ x + fe(factor(g))", wide).bse["x"])


def test_contrasts_that_memory_has_no_room_for():
    """They are a square of the levels, and are not made before the design is refused."""
    wide = pd.DataFrame({"y": np.zeros(400_000), "g": np.arange(400_000) // 2})
    with pytest.raises(cf.DataError, match=r"200,000 levels: absorb its effects, fe\(factor\(g\)\)"):
        cf.lm("y ~ factor(g)", wide)


COUNTS = DATA.assign(k=np.random.default_rng(8).poisson(np.exp(0.2 * DATA["x"] + 0.5)))
COUNTS["hit"] = (COUNTS["k"] > 1).astype(int)


def test_units_without_events():
    none = COUNTS.assign(k=0)
    with pytest.raises(cf.DataError, match="no level of unit has outcomes that differ: they are only 0 in each"):
        cf.glm("k ~ x | unit", none, family="poisson")
    with pytest.raises(cf.DataError, match="no level of unit has outcomes that differ: they are only 0 or only 1"):
        cf.glm("north ~ x | unit", COUNTS, family="binomial")
    quiet = COUNTS.assign(k=COUNTS["k"].where(COUNTS["unit"] > 0, 0))
    assert "(5 rows of 1 level of unit with only 0 outcomes were removed)" in str(
        cf.glm("k ~ x | unit", quiet, family="poisson")
    )
    idle = quiet.assign(w=1.0)
    idle.loc[[0, 1, 10], "w"] = 0.0  # two of the level that leaves, and one that stays
    text = str(cf.glm("k ~ x | unit", idle, family="poisson", weights="w"))
    assert "(3 rows of 1 level of unit with only 0 outcomes were removed)" in text
    assert "(3 rows of weight zero take no part)" in text and "Observations: 54\n" in text


def test_weights_are_read_before_a_row_leaves():
    """One below zero would count as none, and its row as one that takes no part."""
    more = pd.concat([COUNTS, COUNTS.head(1).assign(unit=98, k=0)], ignore_index=True).assign(w=1.0)
    more.loc[60, "w"] = -1.0
    for ask in (
        lambda: cf.lm("y ~ x | unit", more, weights="w"),
        lambda: cf.glm("k ~ x | unit", more, family="poisson", weights="w"),
        lambda: cf.fit("y ~ treat(d) + weights(w) | unit", more),
    ):
        with pytest.raises(cf.DataError, match=r"weights\(w\) has values below zero, in rows 60"):
            ask()


def test_a_regressor_that_separates():
    apart = COUNTS.assign(z=((COUNTS["k"] == 0) & (COUNTS["x"] > 0)).astype(int))
    with pytest.warns(cf.CausalFormulaWarning, match="separation: z, whose coefficient runs to infinity") as told:
        model = cf.glm("k ~ x + z | unit", apart, family="poisson")
    assert not model.converged and str(told[0].message) in str(model)
    np.testing.assert_allclose(
        model.params["x"], cf.glm("k ~ x | unit", apart[apart["z"] == 0], family="poisson").params["x"], rtol=1e-5
    )


def test_few_rows_a_level_bias_a_logit():
    said = r"few rows a level of unit \(5.0\).*biased away from zero \(incidental parameters\)"
    with pytest.warns(cf.CausalFormulaWarning, match=said):
        cf.fit("hit ~ treat(d) + x | unit", COUNTS, family="binomial")
    with pytest.warns(cf.CausalFormulaWarning, match=said):
        model = cf.glm("hit ~ d + x | unit", COUNTS, family="binomial")
    assert "incidental parameters" in str(model)


def test_what_generalised_models_have_not_beside_absorbed_effects():
    with pytest.raises(cf.OptionError, match="start= is not of models with absorbed effects"):
        cf.glm("k ~ x | unit", COUNTS, family="poisson", start=[0.1])
    with pytest.raises(cf.CapabilityError, match=r"profile.*no place for absorbed fixed effects"):
        cf.glm("k ~ x | unit", COUNTS, family="poisson").confint(method="profile")
    with pytest.warns(cf.CausalFormulaWarning, match="did not settle in 1 steps; allow more with maxit="):
        cf.glm("k ~ x | unit", COUNTS, family="poisson", maxit=1)


def test_a_factor_of_many_levels(monkeypatch):
    n = 3000
    rng = np.random.default_rng(1)
    wide = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": np.arange(n) // 50})
    monkeypatch.setattr(recipe, "MANY_LEVELS", 50)
    monkeypatch.setattr(recipe, "MANY_CELLS", 10**5)
    said = (
        r"factor\(g\) has 60 levels, each a column of its own, which takes long.*fe\(factor\(g\)\) in cf.lm, cf.glm or"
    )
    with pytest.warns(cf.CausalFormulaWarning, match=said):
        cf.lm("y ~ x + factor(g)", wide)


@pytest.mark.parametrize(
    ("vcov", "says"),
    [
        ("DK(2) ~ unit + year", "DK takes the column of the time alone, as in 'DK ~ year'"),
        ("Andrews ~ unit + year", "Andrews takes the column of the time alone"),
        ("NW(year)", "must hold a number of lags"),
        ("nw", "did you mean 'NW ~ unit + time'"),
    ],
)
def test_covariances_in_time_that_are_not(vcov, says):
    with pytest.raises(cf.OptionError, match=re.escape(says)):
        cf.lm("y ~ x | unit", DATA, vcov=vcov)


def test_units_of_a_panel_that_do_not_tell_rows_apart():
    with pytest.raises(cf.DataError, match="45 rows repeat a year of their region, so that their lags are not known"):
        cf.lm("y ~ x | unit", DATA, vcov="NW(1) ~ region + year")
    with pytest.raises(cf.OptionError, match="a panel needs the column of the time too, as in 'NW"):
        cf.HAC("NeweyWest", 2, unit="unit")
    with pytest.raises(cf.OptionError, match="without prewhitening"):
        cf.HAC("NeweyWest", 2, unit="unit", order_by="year", prewhite=True)
    with pytest.raises(cf.OptionError, match="For a panel use 'NW ~ unit \\+ year'"):
        cf.lm("y ~ x | unit", DATA, vcov="NW(1) ~ year")


def test_lags_of_periods_and_not_of_rows():
    # without the middle year no two rows of a unit are one period apart
    gaps = DATA[DATA["year"].isin([2001, 2003, 2005]) | (DATA["unit"] == 0)]
    rules = cf.ssc(K_adj=False, G_adj=False)
    one = cf.lm("y ~ x", gaps, vcov=cf.HAC("NeweyWest", 1, unit="unit", order_by="year", ssc=rules))
    X, e = np.column_stack([np.ones(len(gaps)), gaps["x"]]), one.residuals().to_numpy()
    S, at = X * e[:, None], (gaps["unit"] == 0).to_numpy()
    cross = S[at][:-1].T @ S[at][1:]
    bread = np.linalg.inv(X.T @ X)
    np.testing.assert_allclose(one.vcov(), bread @ (S.T @ S + (cross + cross.T) / 2) @ bread, rtol=1e-9)


def test_levels_within_which_the_treatment_varies_are_counted():
    few = DATA.assign(w=np.where(DATA["unit"] < 2, DATA["year"] % 2, 0))
    fit, alone = (cf.fit("y ~ treat(w) + x | unit", data) for data in (few, few[few["unit"] < 2]))
    assert "Fixed effects: unit: 12\n  (w varies within 2 of 12 levels of unit)\n" in str(fit)
    assert cf.fit("y ~ treat(w) | unit", few).estimate == pytest.approx(
        cf.fit("y ~ treat(w) | unit", few[few["unit"] < 2]).estimate, rel=1e-10
    )
    assert "varies within" not in str(alone)
    both = str(cf.fit("y ~ treat(d) | unit + year", DATA))
    assert "(d varies within 4 of 12 levels of unit)" in both and "(d varies within 2 of 5 levels of year)" in both
    idle = few.assign(v=np.where(few["unit"] == 0, 0.0, 1.0))
    assert "(w varies within 1 of 11 levels of unit)" in str(cf.fit("y ~ treat(w) + weights(v) | unit", idle))
    assert "varies within" not in str(cf.fit("y ~ treat(x) | unit", DATA))


@pytest.mark.parametrize("value", [0.0, 1.0, 1e9])
def test_an_outcome_that_is_the_same_everywhere(value):
    model = cf.lm("same ~ x | unit", DATA.assign(same=value))
    assert model.params["x"] == 0 and np.isnan(model.r_squared) and "Observations: 60" in str(model)
    assert np.isnan(model.glance()["statistic"].item()) and "Num.Obs." in str(cf.table([model]))
    with pytest.raises(cf.DataError, match="'same' is constant in the rows used"):
        cf.fit("same ~ treat(d) | unit", DATA.assign(same=value))
