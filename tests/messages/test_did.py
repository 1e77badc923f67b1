"""What a difference in differences cannot be made of: which units, which cell, which control, and what to do."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

F = "Severity ~ did(Drug, Post, unit = id)"
ROWS = "Severity ~ did(Drug, Post)"


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return cf.datasets.load("did_panel").iloc[:200]


def message(formula, data, kind=cf.DataError, **options) -> str:
    with warnings.catch_warnings(), pytest.raises(cf.CausalFormulaError) as caught:
        warnings.simplefilter("ignore")
        cf.fit(formula, data, **options)
    assert type(caught.value) is kind
    assert len(str(caught.value)) < 900
    return str(caught.value)


def on(panel: pd.DataFrame) -> pd.DataFrame:
    """The treatment as it switches on."""
    return panel.assign(Drug=panel["Drug"] * panel["Post"])


# -- groups, periods, units ----------------------------------------------------------------------------------------


def test_a_treatment_that_switches_off(panel):
    off = panel.assign(Drug=np.where(panel["id"].isin([3, 9]), 1 - panel["Post"], panel["Drug"]))
    text = message(F, off)
    assert text.startswith("id 3, 9 have been treated and then untreated (Drug goes from 1 to 0)")
    assert "subset=" in text
    three = panel.assign(Post=panel["id"] % 2 + panel["Post"], Drug=off["Drug"])
    assert "id 3, 9 have been treated and then untreated" in message(F, three)


def test_units_that_are_there_twice(panel):
    text = message(F, pd.concat([panel, panel.iloc[[0, 5]]], ignore_index=True))
    assert "id 1, 3 have more than one row in a period of Post (1 at 0, 3 at 1)" in text
    assert "cluster(id)" in text


@pytest.mark.parametrize("formula", [F, ROWS])
def test_an_empty_cell(panel, formula):
    text = message(formula, panel[(panel["Drug"] == 0) | (panel["Post"] == 0)])
    assert text.startswith("no row has Drug = 1 and Post = 1; both groups must be observed in both periods")
    weighted = message(formula + " + weights(w)", panel.assign(w=1.0 - panel["Drug"] * panel["Post"]))
    assert "no row of positive weight has Drug = 1 and Post = 1" in weighted


def test_a_treatment_that_switches_on_without_units(panel):
    text = message(ROWS, on(panel))
    assert "no row has Drug = 1 and Post = 0" in text
    assert "name the units, unit = id" in text


def test_one_period_and_one_group(panel):
    assert "Post is 0 in all rows used; a difference in differences needs a period before" in message(
        F, panel[panel["Post"] == 0]
    )
    assert "'Drug' has only '1'" in message(F, panel[panel["Drug"] == 1])


def test_text_that_changes_within_units(panel):
    text = message(F, on(panel).assign(Drug=np.where(on(panel)["Drug"] == 1, "yes", "no")))
    assert "have more than one value of Drug" in text
    assert "in which group a unit is" in text


def test_units_of_unknown_group(panel):
    data = on(panel)
    text = message(F, data[~((data["id"] <= 3) & (data["Post"] == 1))])
    assert "Drug switches on within id, and id 1, 2, 3 have no row in the later period" in text


def test_words_that_the_alphabet_puts_backwards(panel):
    text = message(F, panel.assign(Post=np.where(panel["Post"] == 1, "after", "before")))
    assert "Post has the periods 'after' and 'before', in this order" in text
    assert 'did(..., Post == "after")' in text


def test_more_than_two_groups(panel):
    text = message(F, panel.assign(Drug=np.array(["a", "b", "c"])[panel["id"] % 3]))
    assert "Drug has 3 levels (a, b, c); a difference in differences compares two groups" in text


# -- the staggered form --------------------------------------------------------------------------------------------


def test_more_than_two_periods(panel):
    text = message(F, panel.assign(Post=panel["Post"] * (1 + panel["id"] % 2)), cf.CapabilityError)
    assert "Post has 3 periods (0, 1, 2), and Drug does not say in which of them the treatment began" in text
    assert "Write did(first_treated, Post)" in text
    assert "did(Drug, Post > ...) + cluster(id), without unit=" in text


def test_first_treated_periods(panel):
    years = panel.assign(Post=2010 + 4 * panel["Post"], Drug=2014 * panel["Drug"])
    # of two groups and two periods written so there is one group-time effect, the same without covariates
    assert cf.fit(F, years).estimate == pytest.approx(cf.fit(F, panel).estimate, rel=1e-12)
    text = message(F, years.assign(Post=panel["Post"]), cf.CapabilityError)
    assert "did(Drug, Post) has the values 0, 2014 in Drug, which are no periods of Post (0, 1)" in text
    # both ways out that the message names are ways out
    for formula in ("Severity ~ did(Drug == 2014, Post, unit = id)", "Severity ~ did(factor(Drug), Post, unit = id)"):
        assert cf.fit(formula, years).estimate == pytest.approx(cf.fit(F, panel).estimate, rel=1e-12)


@pytest.mark.parametrize("kind", ["date", "time", "text"])
def test_group_and_period_in_each_others_place(panel, kind):
    when = pd.to_datetime(np.where(panel["Post"] == 1, "2020-02-01", "2020-01-01"))
    dates = {"date": when, "time": when + pd.Timedelta("5h"), "text": when.strftime("%Y-%m-%d")}[kind]
    data = panel.assign(when=dates)
    for formula in ("Severity ~ did(when, Drug, unit = id)", "Severity ~ did(when, Drug)"):
        text = message(formula, data)
        assert text.startswith("when holds dates, and the first variable of did(...) says who is in the treated group")
        assert "did(Drug, when)" in text
    assert cf.fit("Severity ~ did(Drug, when, unit = id)", data).estimate == pytest.approx(cf.fit(F, panel).estimate)
    if kind != "text":
        first = message("Severity ~ did(first, when, unit = id)", data.assign(first=data["when"]))
        assert "have more than one value of first" in first


def test_years_in_the_place_of_the_group(panel):
    text = message("Severity ~ did(Post, Drug)", panel.assign(Post=2010 + 4 * panel["Post"]), cf.CapabilityError)
    assert "If Drug is the group and Post the period, write did(Drug, Post)" in text


def test_units_treated_from_the_first_period_on(panel):
    data = on(panel)
    early = data.assign(Drug=np.where(data["id"] == 1, 1, data["Drug"]))
    with pytest.warns(cf.CausalFormulaWarning, match="1 unit treated from the first period on has no period before"):
        fit = cf.fit(F, early)
    assert fit.estimate == pytest.approx(cf.fit(F, panel[panel["id"] != 1]).estimate, rel=1e-12)
    assert fit.nobs == len(panel) - 2


# -- controls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, 1e6])
def test_a_control_that_moves_with_the_treatment(panel, shift):
    care = panel["Post"] * (5 + 3 * panel["Drug"]) + shift
    text = message(F + " + I.H + care", panel.assign(care=care), cf.IdentificationError)
    assert text.startswith("the effect of Drug is not identified: care cannot be told apart from Drug:Post")
    assert "Leave care out" in text
    assert "I.H" not in text


def test_a_factor_that_moves_with_the_treatment(panel):
    ward = np.array(["old", "new", "best"])[panel["Post"] * (1 + panel["Drug"])]
    text = message(F + " + ward", panel.assign(ward=ward), cf.IdentificationError)
    assert "not identified: ward cannot be told apart from Drug:Post" in text


@pytest.mark.parametrize(
    ("controls", "blamed", "out"),
    [
        ("Q + x", "Q, x", "Q or x"),
        ("Q + x + u + w", "Q", "Q"),  # w = x + u, so that leaving x out leaves Q as it is
        ("Q0 + x + Q", "Q0, x, Q", "Q0 and x, or Q0 and Q"),
        ("Q0 + twin", "Q0, twin", "Q0 and twin"),
        ("Q0 + I.H", "Q0", "Q0"),
    ],
)
def test_the_fewest_controls_are_blamed(panel, controls, blamed, out):
    rng = np.random.default_rng(4)
    data = panel.assign(x=rng.normal(size=200), u=rng.normal(size=200))
    data["w"] = data["x"] + data["u"]
    data["Q0"] = 5 * data["Post"] + 3 * data["Post"] * data["Drug"]
    data["Q"], data["twin"] = data["Q0"] + data["x"], data["Post"] * data["Drug"] + 2
    text = message(f"{F} + {controls}", data, cf.IdentificationError)
    assert f"not identified: {blamed} cannot be told apart from Drug:Post" in text
    assert f"Leave {out} out" in text
    with warnings.catch_warnings():  # which is then true
        warnings.simplefilter("ignore")
        for alone in re.split(",? or ", out):
            left = [name for name in controls.split(" + ") if name not in alone.split(" and ")]
            assert np.isfinite(cf.fit(" + ".join([F, *left]), data).estimate)


@pytest.mark.parametrize(("share", "said"), [(1e-6, True), (0.05, True), (10.0, False)])
def test_a_control_that_all_but_is_the_treatment(panel, share, said):
    data = panel.assign(x=np.random.default_rng(4).normal(size=200))
    data["Q"] = 5 * data["Post"] + 3 * data["Post"] * data["Drug"] + share * data["x"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [cf.fit(f"{F} + I.H{more}", data, vcov="classical") for more in (" + Q", "")]
    found = re.search(r"given the other terms Q all but determines Drug:Post: .*inflation ([^)]+)\)", str(fits[0]))
    assert (found is not None) == said
    if found is not None:
        one, two = (fit.std_error / fit.outcome.sigma for fit in fits)
        assert float(found[1]) == pytest.approx((one / two) ** 2, rel=0.05)
    assert "all but" not in str(fits[1])


def test_a_control_that_is_the_group_does_no_harm(panel):
    with pytest.warns(cf.CausalFormulaWarning, match="the regression leaves out twin, a combination of terms"):
        fit = cf.fit(F + " + twin", panel.assign(twin=2 * panel["Drug"] + 1))
    assert fit.estimate == pytest.approx(cf.fit(F, panel).estimate, rel=1e-10)


# -- roles and options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (" + modify(I.H)", "method 'did' does not use modify(...): effects that differ"),
        (" + fe(id)", "method 'did' does not use fe(...): with two groups and two periods"),
        (" + propensity(I.H)", "method 'did' does not use propensity(...)"),
    ],
)
def test_roles_that_it_does_not_use(panel, more, why):
    assert why in message(F + more, panel, cf.CapabilityError)


def test_the_method_without_its_role_and_the_role_without_its_method(panel):
    text = message("Severity ~ treat(Drug)", panel, cf.CapabilityError, method="did")
    assert "write did(A, time) in place of treat(A)" in text
    text = message(F, panel, cf.CapabilityError, method="regression")
    assert text.splitlines()[0] == "method 'regression' does not use did(...); these do: did, sunab, imputation, etwfe"
    assert text.splitlines()[1].strip() == F and text.endswith("^")
    assert "holds the treatment already" in message(F + " + treat(Drug)", panel, cf.FormulaError)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"family": "binomial"}, "trends to be parallel on the scale of the outcome"),
        ({"focal": 1}, "a difference in differences is for the treated group"),
        ({"estimand": "ATE"}, "does not estimate the ATE; it offers ATT"),
        ({"contrast": "sd"}, "'Drug' has the levels 0, 1"),
        ({"unit": "id"}, "no option 'unit'"),
        ({"measure": "nnt"}, "needs an outcome of 0 and 1"),
    ],
)
def test_options(panel, options, why):
    assert why in message(F, panel, cf.OptionError, **options)


def test_what_the_result_does_not_have(panel):
    fit = cf.fit(F, panel)
    for ask, why in [
        (lambda: fit.by("Post"), "one effect for all the treated"),
        (fit.permutation_test, "for groups that were not drawn by lot"),
        (fit.effects, "no effects of units"),
        (lambda: cf.design(F, panel, "did"), "no design stage"),
    ]:
        with pytest.raises(cf.CapabilityError, match=why):
            ask()
    with pytest.raises(cf.OptionError, match="unknown plot 'outcome'; choose from effects, trends"):
        fit.plot("outcome")
    with pytest.raises(AttributeError, match=r"method='did', .* and method='etwfe' have"):
        cf.fit("Severity ~ treat(Drug)", panel).cells()


@pytest.mark.parametrize(("before", "after"), [("9", "10"), ("week 9", "week 10"), ("t9", "t10")])
def test_text_that_counts_backwards(panel, before, after):
    data = panel.assign(P=np.where(panel["Post"] == 1, after, before))
    with pytest.raises(cf.DataError, match="the first must be the earlier one"):
        cf.fit("Severity ~ did(Drug, P)", data)


def test_the_order_of_text_is_told(panel):
    data = panel.assign(
        P=np.where(panel["Post"] == 1, "1/4/2021", "1/5/2020"), D=np.where(panel["Drug"] == 1, "active", "placebo")
    )
    text = str(cf.fit("Severity ~ did(D, P)", data))
    assert 'the other way round is did(..., P == "1/4/2021")' in text
    assert 'the other way round is did(D == "active", ...)' in text
    right = cf.fit("Severity ~ did(Drug, Post)", panel).estimate
    turned = cf.fit('Severity ~ did(D == "active", P == "1/4/2021")', data)
    assert turned.estimate == pytest.approx(right)


def test_replicates_without_a_cell(panel):
    data = panel.assign(rare=(panel["id"] <= 2).astype(int))
    fit = cf.fit("Severity ~ did(rare, Post)", data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        try:
            text = str(fit.with_vcov(cf.Bootstrap(reps=60, seed=1)))
        except cf.ConvergenceError as error:
            text = str(error)
    assert "  cannot be told apart" not in text
    assert "failed" in text


def test_a_name_in_backquotes_is_suggested_in_them():
    d = pd.DataFrame({"y": [1.0, 2, 3, 5], "z 1": [1.0, 2, 2, 4], "z": [0.0, 1, 0, 1]})
    for name in ("z_1", "z1"):
        with pytest.raises(cf.FormulaError, match="did you mean '`z 1`'"):
            cf.lm(f"y ~ {name}", d)


# -- groups that are treated at different times ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def staggered() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    units = pd.DataFrame({"id": np.arange(60), "g": np.array([0, 3, 4])[np.arange(60) % 3], "x": rng.normal(size=60)})
    data = units.loc[np.repeat(units.index, 4)].reset_index(drop=True)
    data["t"] = np.tile([1, 2, 3, 4], 60)
    return data.assign(y=rng.normal(size=240) + data["t"])


G = "y ~ did(g, t, unit = id)"


def test_first_treated_periods_that_are_none(staggered):
    text = message(G, staggered.assign(g=np.where(staggered["g"] > 0, 9, 0)))
    assert "no first treated period in g lies among the periods after the first one, 1 to 4 (it has 9)" in text
    changes = staggered.assign(g=np.where((staggered["id"] == 1) & (staggered["t"] == 4), 4, staggered["g"]))
    text = message(G, changes)
    assert "id 1 has more than one value of g: it says in which period a unit is first treated" in text
    assert "a missing value counts" not in text
    gap = staggered.assign(g=staggered["g"].where((staggered["id"] != 1) | (staggered["t"] != 2)))
    assert message(G, gap).endswith("in all its rows; a missing value counts as never treated")


def test_zero_as_a_period_and_as_never(staggered):
    data = staggered.assign(t=staggered["t"] - 1, g=(staggered["g"] - 1).clip(lower=0))
    assert "0 is a period, and among the first treated periods it may also mean never treated" in message(G, data)
    # with a mark of never of its own it is a period
    with pytest.warns(cf.CausalFormulaWarning, match="20 units treated from the first period on"):
        cf.fit(G, data.assign(g=np.where(data["id"] % 3 == 1, np.inf, data["g"])))


def test_nobody_to_compare_with(staggered):
    treated = staggered[staggered["g"] > 0]
    text = message(G, treated)
    assert "no unit is never treated" in text and "control_group='notyettreated'" in text
    # which is a way out, and says whom it leaves
    with pytest.warns(cf.CausalFormulaWarning, match="g = 4: no period before treatment, or nobody treated later"):
        assert len(cf.fit(G, treated, control_group="notyettreated").tidy()) == 2
    one = staggered[staggered["g"] == 3]
    assert "nothing can be compared" in message(G, one, control_group="notyettreated")
    text = message(G, staggered[(staggered["id"] + staggered["t"]) % 3 > 0])
    assert "not observed in all periods. For the latter see allow_unbalanced_panel=True" in text


def test_a_covariate_that_tells_the_groups_apart(staggered):
    apart = staggered.assign(z=(staggered["g"] == 3) * 10 + staggered["x"])
    text = message(G + " + z", apart, cf.ConvergenceError)
    assert "the effect on the group g = 3 in t = 2, 3, 4 cannot be estimated: the treatment model has no finite" in text
    assert "est_method='reg'" in text
    text = message(G + " + x", staggered, cf.IdentificationError, trim_level=0.01)
    assert "the probability of treatment of every control is trim_level or more" in text
    only = staggered.assign(z=np.where(staggered["g"] > 0, staggered["x"], 1.0))
    text = message(G + " + z", only, cf.IdentificationError, est_method="reg")
    assert "the comparison group does not determine the outcome model" in text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(cf.fit(G + " + z", apart, est_method="reg").bse).all()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"est_method": "aipw"}, "unknown est_method 'aipw'"),
        ({"control_group": "never"}, "unknown control_group 'never'; choose from nevertreated, notyettreated"),
        ({"base_period": "first"}, "unknown base_period 'first'"),
        ({"anticipation": -1}, "anticipation=-1: a time before treatment, from 0"),
        ({"trim_level": 0}, "trim_level=0: a probability above 0"),
        ({"normalized": False}, "normalized=False is about weights: it needs est_method='ipw'"),
        ({"locally_efficient": False, "est_method": "reg"}, "locally_efficient=False is about est_method='dr'"),
        ({"allow_unbalanced_panel": 1}, "allow_unbalanced_panel must be True or False"),
        ({"measure": "ratio"}, "compare changes: measure='difference'"),
    ],
)
def test_options_of_group_time_effects(staggered, options, why):
    assert why in message(G, staggered, cf.OptionError, **options)


@pytest.mark.parametrize(
    "options", [{"control_group": "notyettreated"}, {"anticipation": 1}, {"allow_unbalanced_panel": True}]
)
def test_options_that_two_periods_do_not_read(panel, options):
    assert "reads no such option" in message(F, panel, cf.OptionError, **options)
    if "allow_unbalanced_panel" not in options:
        assert "there is one comparison" in message(F, panel, cf.OptionError, est_method="dr", **options)


@pytest.mark.parametrize(
    ("more", "method", "why"),
    [
        (" + propensity(x)", "reg", "does not use propensity(...) with est_method='reg'"),
        (" + outcome(x)", "ipw", "does not use outcome(...) with est_method='ipw'"),
        (" + offset(x)", "dr", "does not use offset(...) with est_method='dr'"),
    ],
)
def test_roles_that_an_estimator_does_not_use(staggered, more, method, why):
    assert why in message(G + more, staggered, cf.CapabilityError, est_method=method)


def test_what_group_time_effects_do_not_have(staggered):
    fit = cf.fit(G, staggered)
    for ask, kind, why in [
        (fit.means, cf.CapabilityError, "no mean potential outcomes of their own"),
        (lambda: fit.by("x"), cf.CapabilityError, "effects by group are aggregate"),
        (lambda: fit.aggregate("event"), cf.OptionError, "choose from simple, group, dynamic, calendar"),
        (lambda: fit.aggregate("dynamic", balance_e=9), cf.OptionError, "no group-time effect is left"),
        (lambda: fit.aggregate("dynamic", min_e="a"), cf.OptionError, "min_e='a' is no event time"),
        (lambda: fit.aggregate().aggregate(), cf.CapabilityError, "this is a summary already"),
        (fit.aggregate("group").pretrends, cf.CapabilityError, "has no effects before treatment"),
        (lambda: fit.refute(["placebo"], reps=2), cf.CapabilityError, "here groups are treated at different times"),
        (lambda: fit.refute(["placebo_in_time"], reps=2), cf.CapabilityError, "and here each group has its own"),
        (lambda: fit.with_vcov(cf.Asympt(weights="fixed")), cf.OptionError, "nothing holds it apart"),
        (lambda: fit.plot("event_study"), cf.OptionError, "choose from grid, trends, effects"),
        (
            cf.fit(F, cf.datasets.load("did_panel")).pretrends,
            cf.CapabilityError,
            "of groups treated at different times",
        ),
    ]:
        with pytest.raises(kind, match=re.escape(why)):
            ask()


# -- event studies, imputation and decompositions -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"event_study": True, "est_method": "dr"}, "est_method='dr': an event study by two-way fixed effects"),
        ({"event_study": True, "control_group": "notyettreated"}, "reads no such option; leave it out"),
        ({"event_study": True, "reference": "-1"}, "reference='-1': an event time, or several"),
        ({"event_study": True, "reference": -9}, "no row is of the event time -9; there are"),
        ({"event_study": True, "bins": (1, 3)}, "bins=(1, 3): the first and the last event time"),
        ({"event_study": True, "measure": "ratio"}, "an event study compares changes: measure='difference'"),
        ({"reference": -1}, "reference= and bins= are of event_study=True"),
        ({"method": "imputation", "pretrends": [1]}, "pretrends=[1]: times before treatment"),
        ({"method": "imputation", "pretrends": "all"}, "pretrends='all': True, times before treatment"),
        ({"method": "imputation", "pretrends": [-9]}, "no untreated row is at the event time -9"),
        ({"method": "etwfe", "unit_effects": "id"}, "choose from group, unit"),
        ({"method": "sunab", "anticipation": -1}, "anticipation=-1: a time before treatment"),
        ({"method": "sunab", "family": "poisson"}, "in method='etwfe', with family='poisson' or 'binomial'"),
        ({"method": "etwfe", "family": "Gamma"}, "its model is linear"),
        ({"method": "etwfe", "family": "poisson", "unit_effects": "unit"}, "effects of groups do (Wooldridge 2023)"),
        ({"method": "etwfe", "family": "poisson", "measure": "ratio"}, "measure='difference'"),
    ],
)
def test_options_of_event_studies(staggered, options, why):
    assert why in message(G, staggered, cf.OptionError, **options)


@pytest.mark.parametrize("method", ["sunab", "imputation", "etwfe"])
def test_formulas_that_event_studies_do_not_take(staggered, method):
    why = message("y ~ treat(x > 0) + adjust(g)", staggered, cf.CapabilityError, method=method)
    assert "write did(first_treated, time, unit = id) in place of treat(A)" in why
    why = message(f"{G} + fe(id)", staggered, cf.CapabilityError, method=method)
    assert "periods are absorbed already; leave fe(...) out" in why
    assert "does not use propensity(...)" in message(
        f"{G} + propensity(x)", staggered, cf.CapabilityError, method=method
    )


def test_designs_that_have_no_comparison(staggered):
    alike = staggered.assign(g=3)
    for method in ("sunab", "etwfe"):
        assert "nobody is treated before the last group, g = 3" in message(G, alike, cf.DataError, method=method)
    ever = staggered[staggered["g"] > 0]
    why = message(G, ever, cf.IdentificationError, event_study=True)
    assert "nobody is never treated, so that trends in event times are trends in periods" in why
    assert "as references, before treatment" in why
    cf.fit(G, ever, event_study=True, reference=(-1, -2))
    always = staggered[(staggered["g"] != 4) | (staggered["t"] == 2)]
    always = always[(always["g"] != 3) | (always["t"] > 2)]
    for method in ("sunab", "etwfe", "imputation"):
        assert "there is no effect to estimate" in message(G, always, cf.DataError, method=method)
    seen_late = staggered[(staggered["g"] != 3) | (staggered["t"] > 2)]
    for method in ("sunab", "etwfe", "imputation"):
        fit, without = (cf.fit(G, data, method) for data in (seen_late, staggered[staggered["g"] != 3]))
        assert "g = 3: no period before the treatment and its anticipation, so no effects" in str(fit)
        assert fit.overall.estimate == pytest.approx(without.overall.estimate)


def test_what_event_studies_do_not_have(staggered):
    study, imputed = cf.fit(G, staggered, event_study=True), cf.fit(G, staggered, "imputation")
    for ask, kind, why in [
        (lambda: study.aggregate("group"), cf.CapabilityError, "one effect for each time since treatment"),
        (lambda: study.aggregate("dynamic").aggregate(), cf.CapabilityError, "this is a summary already"),
        (study.means, cf.CapabilityError, "no mean potential outcomes"),
        (lambda: imputed.by("x"), cf.CapabilityError, "effects by group are aggregate"),
        (imputed.pretrends, cf.CapabilityError, "so there are no trends to test"),
        (lambda: imputed.with_vcov("HC3"), cf.CapabilityError, "needs a regression"),
        (lambda: imputed.plot(beside={"a": study}), cf.OptionError, "is not by time since treatment"),
        (lambda: study.plot("effects", beside={"a": study}), cf.OptionError, "beside= is of plot('event_study')"),
        (lambda: study.plot(beside=[study]), cf.OptionError, "beside= takes results by name"),
        (cf.fit(G + " + offset(x)", staggered, "sunab").decompose, cf.CapabilityError, "decompose() has no offset"),
        (cf.fit(G, staggered.iloc[1:], "sunab").decompose, cf.CapabilityError, "1 unit of"),
        (cf.fit("y ~ did(g, t)", staggered.iloc[1:], "sunab").decompose, cf.CapabilityError, "equally large"),
    ]:
        with pytest.raises(kind, match=re.escape(why)):
            ask()


def test_notes_of_event_studies(staggered):
    both = cf.fit(G, staggered, event_study=True)
    assert "one effect for each time since treatment" in str(both) and "Sun and Abraham 2021" in str(both)
    one = cf.fit(G, staggered[staggered["g"] != 4], event_study=True)
    assert "Sun and Abraham 2021" not in str(one)
    early = staggered.assign(g=staggered["g"].replace(4, 1))
    for method in ("sunab", "imputation", "etwfe"):
        assert "treated from the first period on have no period before the treatment" in str(cf.fit(G, early, method))
    gaps = staggered[(staggered["id"] != 3) | (staggered["t"] == 2)]
    assert "1 row alone in a unit or a period: it says nothing" in str(cf.fit(G, gaps, "sunab"))
    lone = staggered[(staggered["g"] != 4) | (staggered["id"] == 2)]
    for method in ("sunab", "imputation", "etwfe"):
        text = str(cf.fit(G, lone, method))
        assert "g = 4: a single unit, whose own error no influence shows" in text
        assert "few treated units in g = 4 (3)" in str(
            cf.fit(G, staggered[(staggered["g"] != 4) | (staggered["id"] < 9)], method)
        )


def test_outcomes_that_put_effects_of_a_poisson_regression_at_infinity(staggered):
    """What is all zero takes no part; zero before treatment is the mean without it."""
    d = staggered.assign(y=np.floor(np.exp(staggered["y"] / 4)) + 1)
    first = d["g"][d["g"] > 0].min()
    poisson = {"method": "etwfe", "family": "poisson"}
    lost = cf.fit(G, d.assign(y=d["y"] * (d["g"] != first)), **poisson)
    without = cf.fit(G, d[d["g"] != first], **poisson)
    assert f"g = {first:g}: only 0 as outcomes, whose own effect is infinite" in str(lost)
    assert "Trends are parallel on the scale of the link (log); effects are differences of means" in str(lost)
    assert "the scale of the link" not in str(cf.fit(G, d, "etwfe"))
    assert lost.estimate == pytest.approx(without.estimate, rel=1e-9) and lost.nobs == without.nobs
    zero = d.assign(y=d["y"] * ((d["g"] != first) | (d["t"] >= first)))
    with pytest.warns(cf.CausalFormulaWarning, match="separation"):
        found = cf.fit(G, zero, **poisson)
    assert f"g = {first:g}: only 0 as outcomes before treatment, which stands for the mean" in str(found)
    mean = zero["y"][(zero["g"] == first) & (zero["t"] >= first)].mean()
    assert found.aggregate("group").tidy()["estimate"][0] == pytest.approx(mean, rel=1e-6)
    with pytest.raises(cf.DataError, match="negative values"):
        cf.fit(G, d.assign(y=d["y"] - 10), **poisson)
    assert "family='poisson' has no part in this" in str(cf.fit(G, d, **poisson).decompose())


def test_first_treated_periods_as_text_levels_or_words(staggered):
    """What the message says to write is the fit of the numbers."""
    expected = cf.fit(G, staggered, "sunab").overall.estimate
    on = np.where((staggered["g"] > 0) & (staggered["t"] >= staggered["g"]), "yes", "no")
    for data, start, written in (
        (staggered.assign(g=staggered["g"].astype(str), t=staggered["t"].astype(str)), G,
         "did(as.numeric(g), as.numeric(t), ...)"),
        (staggered.assign(t=staggered["t"].astype("category")), G, "did(g, as.numeric(as.character(t)), ...)"),
        (staggered.assign(on=on), G.replace("g,", "on,"), 'did(on == "...", t, ...)'),
    ):  # fmt: skip
        assert written in message(start, data, cf.CapabilityError)
        inside = written.replace('"..."', '"yes"').replace("...", "unit = id")
        assert cf.fit(f"y ~ {inside}", data, "sunab").overall.estimate == pytest.approx(expected, rel=1e-9)
    assert "g is 0 in all rows used: there is nobody with" in message(G, staggered.assign(g=0))
