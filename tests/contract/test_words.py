"""What prints say in words: the covariance of every table, methods and standard errors, long calls, notes of tables."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

F = "y ~ treat(a) + adjust(x)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 240
    d = pd.DataFrame({"a": rng.integers(0, 2, n), "x": rng.normal(size=n), "s": rng.choice(list("uvw"), n)})
    d["y"] = d["a"] + d["x"] + rng.normal(size=n)
    d["ill"], d["well"] = (d["y"] > 0).astype(int), (d["y"] <= 0).astype(int)
    d["g"], d["my a"], d["my y"] = np.arange(n) % 12, d["a"], d["y"]
    return d


# -- the models behind an effect --------------------------------------------------------------------------------------


@pytest.mark.parametrize("vcov", ["HC0", "HC3", "~g", "CR2 ~ g", "NeweyWest(2)", "asympt"])
@pytest.mark.parametrize("method", ["regression", "ipw"])
def test_the_outcome_model_has_the_covariance_of_the_effect(data, method, vcov):
    if method == "ipw" and vcov in ("HC3", "CR2 ~ g", "NeweyWest(2)"):
        pytest.skip("not after estimated weights")
    fit = cf.fit(F, data, method, vcov=vcov)
    np.testing.assert_allclose(fit.outcome.bse["a"], fit.std_error, rtol=1e-10)
    assert fit.outcome.covariance.label == fit.covariance.label
    assert str(fit.summary()).count(f"Standard errors: {fit.covariance.label}") == 2


def test_groupings_that_the_design_made(data):
    """The data have no such column."""
    fit = cf.fit(F, data, "subclass", vcov="~subclass")
    np.testing.assert_allclose(fit.outcome.bse["a"], fit.std_error, rtol=1e-10)


def test_a_note_of_the_covariance_is_printed_once(data):
    assert str(cf.fit(F, data, vcov="~g").summary()).count("12 clusters of g are few") == 1


def test_refits_of_a_weighted_model_are_refused(data):
    """Its weights would not be made anew."""
    with pytest.raises(cf.CapabilityError, match="resample the fit"):
        cf.fit(F, data, "ipw").outcome.with_vcov("jackknife")


def test_a_classical_summary_is_rs(data):
    fit = cf.fit(F, data)
    assert str(fit.outcome.summary()).strip() in str(fit.summary())
    assert str(fit.summary()).count("Standard errors:") == 1


@pytest.mark.parametrize("vcov", ["bootstrap(50, seed = 1)", "wild(99, seed = 1) ~ g", "jackknife", np.eye(1)])
def test_other_tables_name_their_covariance(data, vcov):
    """Replicates and matrices of effects say nothing of coefficients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = str(cf.fit(F, data, vcov=vcov).summary())
    assert text.endswith("\nStandard errors: classical")


def test_the_propensity_model_is_classical_and_says_so(data):
    text = str(cf.fit(F, data, "ipw").summary())
    assert text.index("Propensity model") < text.index("Standard errors: classical")


# -- groups ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "options", "by", "says"),
    [
        ("y ~ treat(a) + adjust(x + s)", {}, "s", "holds the effect equal in all groups"),
        ("y ~ treat(a) + adjust(x + s)", {"interact": True}, "s", ""),
        ("y ~ treat(a) + adjust(x)", {"interact": True}, "s", "differ only by their covariates"),
        ("y ~ treat(a) + adjust(x) + modify(s)", {}, "s", ""),
        ("y ~ treat(a) + adjust(s) + modify(x)", {}, "s", "differ only by their covariates"),
        ("ill ~ treat(a) + adjust(s)", {"family": "binomial"}, "s", "differ only by their covariates"),
    ],
)
def test_what_groups_can_differ_by(data, formula, options, by, says):
    found = cf.fit(formula, data, **options).by(by)
    assert (says in str(found)) if says else ("modify(" not in str(found))
    assert (found.test is None) == ("holds" in says)


def test_means_that_a_model_holds_equal(data):
    found = cf.fit("y ~ treat(a) + adjust(x + s)", data, "ipw").means().by("s")
    assert "holds the means equal in all groups" in str(found)


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "label"),
    [
        ("regression", "asympt (M-estimation)"),
        ("ipw", "asympt (M-estimation, propensity score estimated)"),
        ("cbps", "asympt (M-estimation, propensity score estimated)"),
        ("ebal", "asympt (M-estimation, weights estimated)"),
        ("ipt", "asympt (M-estimation, weights estimated)"),
    ],
)
def test_asympt_says_what_was_estimated(data, method, label):
    assert f"Standard errors: {label}\n" in f"{cf.fit(F, data, method, vcov='asympt')}\n"


def test_backquotes_stand_in_expressions_only(data):
    text = str(cf.fit("`my y` ~ treat(`my a`) + adjust(x)", data).summary())
    assert text.startswith("Average treatment effect of my a on my y\n")
    assert "lm(`my y` ~ `my a` + x)" in text


@pytest.mark.parametrize(("outcome", "harm"), [("ill", False), ("well", True)])
def test_a_negative_number_needed_to_treat_is_one_to_harm(data, outcome, harm):
    fit = cf.fit(f"{outcome} ~ treat(a) + adjust(x)", data, measure="nnt")
    assert "Measure: number needed to treat" in str(fit)
    assert ("below zero it is a number needed to harm: " in str(fit)) is harm
    assert (fit.estimate < 0) is harm


def test_long_calls_are_broken_as_r_breaks_them(data):
    names = [f"covariate{k}" for k in range(9)]
    wide = data.assign(**{name: np.cos(np.arange(240) * (k + 2)) for k, name in enumerate(names)})
    right = " + ".join(names)
    model = cf.lm(f"y ~ a + {right}", wide, weights="x + 9")
    assert model.call == (
        'cf.lm("y ~ a + covariate0 + covariate1 + covariate2 + covariate3 + covariate4 + "\n'
        '    "covariate5 + covariate6 + covariate7 + covariate8", weights="x + 9")'
    )
    again = eval(model.call.replace("weights=", "data=wide, weights="), {"cf": cf, "wide": wide})
    assert again.params.equals(model.params)
    behind = cf.fit(f"y ~ treat(a) + adjust({right})", wide).outcome
    assert behind.call.startswith("lm(y ~ a + covariate0 + covariate1 + covariate2 + covariate3 + \n    covariate4 + ")


# -- tables ------------------------------------------------------------------------------------------------------------


def test_tables_speak_in_words(data):
    fits = [cf.fit("y ~ treat(a)", data), cf.fit(F, data, vcov="~g"), cf.fit(F, data, "ipw"), cf.lm("y ~ a", data)]
    rows = {row.label: ["".join(cell) for cell in row.cells] for row in cf.table(fits).rows}
    assert rows["Method"] == ["Difference in means", "Outcome regression", "Inverse probability weighting", ""]
    assert rows["Std.Errors"] == ["HC2", "Clustered by g", "M-estimation", "Classical"]


@pytest.mark.parametrize(
    ("vcov", "words"),
    [
        ("CR2 ~ g", "CR2 by g"),
        ("~g + s", "Clustered by g and s"),
        ("NeweyWest(4)", "Newey-West(4)"),
        ("DriscollKraay ~ g", "Driscoll-Kraay over g"),
        ("jackknife", "Jackknife"),
    ],
)
def test_covariances_in_words(data, vcov, words):
    (row,) = cf.table([cf.fit(F, data, vcov=vcov)], glance=["vcov"]).rows[-1:]
    assert row.cells == ((words, ""),)


def test_notes_of_fits_stand_below_once(data):
    few, other = cf.fit(F, data, vcov="~g"), cf.fit(F, data, "energy")
    table = cf.table({"A": few, "B": other, "C": cf.lm("y ~ a", data, vcov="~g"), "D": cf.fit(F, data)})
    assert [note.split(":")[0] for note in table.notes] == ["A, C", "B"]
    assert "12 clusters of g are few" in table.notes[0]
    for text in (str(table), table.as_markdown(), table.as_html(), table.as_latex()):
        assert text.count("12 clusters of g are few") == 1
    assert max(map(len, str(table).splitlines())) <= max(80, len(str(table).splitlines()[0]))
    assert cf.table([few], notes=False).notes == ()
    assert cf.table([cf.stack([few, cf.fit(F, data, vcov="~g")])]).rows


# -- warnings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["percentile", "basic", "bca", "studentized"])
def test_few_replicates_are_told_once(data, kind):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = cf.fit("y ~ treat(a) + modify(s)", data, vcov=cf.Bootstrap(19, kind, seed=1))
        for _ in range(3):
            fit.tidy(), str(fit), fit.confint()
    assert sum("too few for limits" in str(w.message) for w in caught) == 1


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda d: cf.lm("y ~ a", d, cluster="g"), r"no argument 'cluster': clusters are of vcov="),
        (lambda d: cf.lm("y ~ a", d, vcov_type="HC3"), r"no argument 'vcov_type': standard errors are asked for by"),
        (lambda d: cf.glm("a ~ x", d, famly="binomial"), r"no argument 'famly'; did you mean 'family'\? It takes"),
        (lambda d: cf.fit(F, d, vcvo="HC3"), r"no option 'vcvo'; did you mean 'vcov'\? It takes"),
        (lambda d: cf.table([cf.lm("y ~ a", d)], stars="yes"), "stars must be True or False, not 'yes', or marks"),
        (lambda d: cf.bgtest(cf.lm("y ~ a", d), 2.5), "order=2.5: the longest lag"),
        (lambda d: cf.plots.effects(d), r"plots\.effects draws a fit, as of cf\.fit\(\.\.\.\), not DataFrame"),
    ],
)
def test_what_to_write_instead(data, ask, says):
    with pytest.raises(cf.OptionError, match=says):
        ask(data)
