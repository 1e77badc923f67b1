"""What a difference in differences does with its columns and units is in the print: who leaves, and what counts how."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

G = "y ~ did(g, t, unit = id)"
METHODS = {
    "did": {},
    "event study": {"method": "did", "event_study": True},
    "sunab": {},
    "imputation": {},
    "etwfe": {},
    "etwfe, units": {"method": "etwfe", "unit_effects": "unit"},
}
STUDIES = [name for name in METHODS if name not in ("did", "etwfe", "etwfe, units")]


def fitted(formula: str, data: pd.DataFrame, name: str) -> cf.Result:
    return cf.fit(formula, data, **{"method": name, **METHODS[name]})


def numbers(fit: cf.Result) -> np.ndarray:
    return fit.tidy()[["estimate", "std.error", "df"]].to_numpy()


@pytest.fixture(scope="module")
def staggered() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    v = np.round(rng.normal(size=60) * 2**16) / 2**16  # exact beside 1e9
    units = pd.DataFrame({"id": np.arange(60), "g": np.array([0, 3, 4])[np.arange(60) % 3], "v": v})
    data = units.loc[np.repeat(units.index, 4)].reset_index(drop=True)
    data["t"] = np.tile([1, 2, 3, 4], 60)
    data["x"] = np.round(rng.normal(size=240) * 2**16) / 2**16
    return data.assign(y=rng.normal(size=240) + data["t"] + data["v"] * data["t"], one=3.7)


@pytest.fixture(scope="module")
def two() -> pd.DataFrame:
    return cf.datasets.load("did_panel").iloc[:200]


# -- columns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("more", "less", "said"),
    [
        ("v + I(2 * v)", "v", "the adjustment leaves out I(2 * v), a combination of terms before it"),
        ("v + one", "v", "the adjustment leaves out one, which is the same in every row"),
        ("x + I(2 * x)", "x", "I(2 * x)"),
    ],
)
def test_a_column_that_says_nothing_is_named_and_left_out(staggered, name, more, less, said):
    found, plain = (fitted(f"{G} + adjust({terms})", staggered, name) for terms in (more, less))
    np.testing.assert_allclose(numbers(found), numbers(plain), rtol=1e-9, atol=1e-12)
    told = [note for note in found.fit.notes if said in note]
    assert len(told) == 1 and not any(said in note for note in plain.fit.notes)
    if name in STUDIES and less == "x":
        assert told == ["I(2 * x) was removed because of collinearity with the fixed effects or other terms"]
    assert told[0] in " ".join(str(found).split())


@pytest.mark.parametrize("name", METHODS)
def test_a_constant_alone_is_no_adjustment(staggered, name):
    found, plain = (fitted(formula, staggered, name) for formula in (f"{G} + one", G))
    np.testing.assert_allclose(numbers(found), numbers(plain), rtol=1e-9, atol=1e-12)
    assert "leaves out one, which is the same in every row" in str(found)
    assert "a slope in each period" not in str(found)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("column", ["v", "x"])
def test_effects_do_not_depend_on_where_a_covariate_is_counted_from(staggered, name, column):
    far = staggered.assign(**{column: staggered[column] + 1e9})
    found, plain = (fitted(f"{G} + adjust({column})", data, name) for data in (far, staggered))
    np.testing.assert_allclose(numbers(found), numbers(plain), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", METHODS)
def test_nor_on_where_the_outcome_is(staggered, name):
    near = staggered.assign(y=np.round(staggered["y"] * 2**16) / 2**16)
    found, plain = (fitted(f"{G} + adjust(x)", data, name) for data in (near.assign(y=near["y"] + 1e9), near))
    np.testing.assert_allclose(numbers(found), numbers(plain), rtol=1e-9, atol=1e-10)


def test_values_of_the_base_period_are_those_that_adjust(staggered):
    """Of a covariate that changes, the one in the base period: the first two periods have that of the first."""
    found = cf.fit(f"{G} + adjust(x)", staggered)
    assert "x changes within units: each change of the outcome is adjusted for its value in its base period" in str(
        found
    )
    first = staggered.assign(x=staggered["x"].where(staggered["t"] == 1).groupby(staggered["id"]).transform("first"))
    plain = cf.fit(f"{G} + adjust(x)", first)
    assert "changes within units" not in str(plain)
    early = [fit.tidy().set_index(["group", "time"]).loc[(3, 2), "estimate"] for fit in (found, plain)]
    assert early[0] == pytest.approx(early[1], rel=1e-10)
    several = cf.fit(f"{G} + adjust(v) + outcome(x)", staggered)
    assert "x changes within units" in str(several)


def test_both_models_name_their_columns(staggered):
    text = str(cf.fit(f"{G} + adjust(v) + outcome(one) + propensity(I(2 * v))", staggered))
    assert "the outcome model leaves out one, which is the same in every row" in text
    assert "the treatment model leaves out I(2 * v), a combination of terms before it" in text


def test_a_control_that_lasts_adjusts_no_trend_in_the_regression_of_two_periods(two):
    data = two.assign(sex=two["id"] % 2)
    said = "sex is the same in both periods of a unit, so that trends are not adjusted for it here; est_method='dr'"
    found, plain = (cf.fit(f"Severity ~ did(Drug, Post, unit = id){more}", data) for more in (" + sex", ""))
    assert said in str(found)
    assert found.estimate == pytest.approx(plain.estimate, rel=1e-9)
    crossed = cf.fit("Severity ~ did(Drug, Post, unit = id) + sex * Post", data)
    assert "trends are not adjusted" not in str(crossed)
    assert abs(crossed.estimate - plain.estimate) > 1e-4
    weighted = cf.fit("Severity ~ did(Drug, Post, unit = id) + sex", data, est_method="reg")
    assert "trends are not adjusted" not in str(weighted)
    assert weighted.estimate == pytest.approx(crossed.estimate, abs=0.2)


# -- units -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_a_missing_start_beside_another_word_for_never(staggered, name):
    """R's packages take a missing start for never treated, which may not be what was meant where 0 says so already."""
    lost = staggered.assign(g=staggered["g"].where(~staggered["id"].isin([0, 1])))
    said = "2 units without a value of g count as never treated, as g = 0 does; where it is not known, leave them out"
    found, plain = (fitted(G, data, name) for data in (lost, lost.fillna({"g": 0})))
    np.testing.assert_array_equal(numbers(found), numbers(plain))
    assert said in str(found) and "without a value of g" not in str(plain)
    every = staggered.assign(g=staggered["g"].where(staggered["g"] > 0))
    assert "without a value" not in str(fitted(G, every, name))
    one = cf.fit("y ~ did(g, t)", lost[lost["id"] != 0].query("id != 1 or t == 1"), method="did")
    assert "1 row without a value of g counts as never treated, as g = 0 does" in str(one)


# -- summaries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["simple", "group", "calendar"])
@pytest.mark.parametrize("name", ["did", "imputation"])
def test_event_times_that_a_summary_does_not_read(staggered, name, kind):
    fit = fitted(G, staggered, name)
    for given in ({"min_e": 0}, {"balance_e": 1}):
        (word,) = given
        with pytest.raises(cf.OptionError, match=rf"aggregate\('{kind}'\) makes no use of {word}"):
            fit.aggregate(kind, **given)
    assert fit.aggregate(kind, max_e=0).overall.nobs == fit.nobs


@pytest.mark.parametrize("name", METHODS)
def test_groups_and_event_times_that_a_summary_is_not_of(staggered, name):
    """Group 3 is seen at the event times 0 and 1, group 4 at 0 alone."""
    fit = fitted(G, staggered, name)
    whole, window = fit.aggregate("dynamic"), fit.aggregate("dynamic", max_e=0)
    said = "Event times of fewer than the 2 groups:  1 (1); balance_e= takes those that are in all"
    assert said in str(whole) and "take part:" not in str(whole)
    text = str(window)
    first = {"imputation": 0, "etwfe": 0, "etwfe, units": 0}.get(name, -2 if name == "did" else -3)
    shown = "0" if first == 0 else f"{first} to 0"
    assert f"Event times that take part:  {shown}\n" in text and "fewer" not in text
    assert "all rows under treatment" not in text
    assert "take part:" in str(window.overall)
    if name == "event study":
        with pytest.raises(
            cf.OptionError, match=r"balance_e= is a choice of groups, and the effects at event times .* one"
        ):
            fit.aggregate("dynamic", balance_e=1)
        return
    balanced = fit.aggregate("dynamic", balance_e=1)
    assert "Groups that take no part:  4\n" in str(balanced) and "fewer" not in str(balanced)
    if name in ("did", "sunab"):  # whose comparison is those never treated
        alone = fitted(G, staggered[staggered["g"] != 4], name).aggregate("dynamic").tidy()
        np.testing.assert_allclose(balanced.tidy()["estimate"].iloc[-2:], alone["estimate"].iloc[-2:])


def test_times_before_treatment_that_are_of_all_groups_cannot_be_chosen_from(staggered):
    fit = cf.fit(G, staggered, "imputation", pretrends=True)
    with pytest.raises(cf.OptionError, match=r"event times -3, -2 are one for all groups; min_e=0 leaves them out"):
        fit.aggregate("dynamic", balance_e=1)
    later = fit.aggregate("dynamic", balance_e=1, min_e=0)
    plain = cf.fit(G, staggered, "imputation").aggregate("dynamic", balance_e=1)
    np.testing.assert_allclose(numbers(later), numbers(plain), rtol=1e-9)


def test_a_summary_of_all_says_nothing_more(staggered):
    for name in ("did", "imputation"):
        fit = fitted(G, staggered, name)
        for kind in ("simple", "group", "calendar"):
            assert "Event times" not in str(fit.aggregate(kind)) and "no part" not in str(fit.aggregate(kind))
            assert "Event times that take part:  0\n" in str(fit.aggregate(kind, max_e=0))
    assert "Mean over all rows under treatment:" in str(fit.aggregate("group"))


# -- whom effects rest on --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clustered(staggered) -> pd.DataFrame:
    """Group 3 is one state, group 4 two; those never treated are in seven."""
    state = np.where(
        staggered["g"] == 3, 0, np.where(staggered["g"] == 4, 1 + staggered["id"] % 2, 3 + staggered["id"] % 7)
    )
    return staggered.assign(s=state)


@pytest.mark.parametrize("name", METHODS)
def test_clusters_are_counted_by_group(clustered, name):
    text = str(fitted(f"{G} + cluster(s)", clustered, name))
    assert "Units of id by group:  3: 20, 4: 20, never: 20\nClusters of s by group:  3: 1, 4: 2, never: 7" in text
    one = "3: one cluster of s, whose own error these data cannot tell; standard errors leave it out"
    assert (one in text) == (name in ("did", "imputation"))  # of regressions it is known which estimates rest on it
    assert "Clusters of" not in str(fitted(G, clustered, name))


def test_errors_that_one_cluster_has_are_not_zero(clustered):
    """The influences of a group that is one cluster sum to zero there, whatever its error, as in the regression."""
    fit = cf.fit(f"{G} + cluster(s)", clustered)
    table = fit.tidy().set_index("group")
    assert table.loc[3, "std.error"].isna().all() and (table.loc[4, "std.error"] > 0).all()
    assert "of group=3 time=2 ATT, group=3 time=3 ATT, group=3 time=4 ATT are not defined: without one cluster" in str(
        fit
    )
    by_hand = clustered[clustered["g"] != 3]
    alone = cf.fit(f"{G} + cluster(s)", by_hand).tidy()  # CR1 counts 9 clusters here, and 10 there
    np.testing.assert_allclose(
        table.loc[4, "std.error"] ** 2 * 9 / 10, alone["std.error"].to_numpy() ** 2 * 8 / 9, rtol=1e-9
    )
    every = cf.fit(f"{G} + cluster(g)", clustered)
    assert every.tidy()["std.error"].isna().all() and every.aggregate().tidy()["std.error"].isna().all()
    rows = cf.fit(G, clustered, vcov="asympt")
    assert (rows.tidy()["std.error"] > 0).all()


def test_two_groups_of_which_one_is_a_cluster(two):
    data = two.assign(s=np.where(two["Drug"] == 1, 0, 1 + two["id"] % 7), pair=two["id"] % 9 + 10 * two["Drug"])
    for options in ({}, {"est_method": "dr"}, {"est_method": "reg"}):
        fit = cf.fit("Severity ~ did(Drug, Post, unit = id) + cluster(s)", data, **options)
        assert np.isnan(fit.std_error)
        assert ("Clusters of s by group:  Drug = 0: 7, Drug = 1: 1" in str(fit)) == bool(options)
        assert "is not defined: without one cluster of s it does not exist" in str(fit)
        both = cf.fit("Severity ~ did(Drug, Post, unit = id) + cluster(pair)", data, **options)
        assert both.std_error > 0
        assert ("Clusters of pair by group:  Drug = 0: 9, Drug = 1: 9" in str(both)) == bool(options)


SINGLE = "whose own error no influence shows, so that standard errors are too small"
FEW = "standard errors and normal limits are rough"


@pytest.mark.parametrize(
    ("name", "options", "one", "three"),
    [
        ("did", {}, f"a single unit to compare with, {SINGLE}", f"few units to compare with: 3; {FEW}"),
        (
            "did",
            {"control_group": "notyettreated"},
            f"a single unit to compare with in t = 3, 4, {SINGLE}",
            f"few units to compare with in t = 3 (3), 4 (3); {FEW}",
        ),
        (
            "event study",
            {},
            f"few units to compare with in t = 4 (1); {FEW}",
            f"few units to compare with in t = 4 (3); {FEW}",
        ),
        ("sunab", {}, f"few units to compare with: 1; {FEW}", f"few units to compare with: 3; {FEW}"),
        (
            "imputation",
            {},
            f"a single unit to compare with in t = 4, {SINGLE}",
            f"few units to compare with in t = 4 (3); {FEW}",
        ),
        (
            "etwfe",
            {},
            f"few units to compare with in t = 4 (1); {FEW}",
            f"few units to compare with in t = 4 (3); {FEW}",
        ),
        (
            "etwfe",
            {"control_group": "nevertreated"},
            f"few units to compare with: 1; {FEW}",
            f"few units to compare with: 3; {FEW}",
        ),
    ],
)
def test_few_units_to_compare_with(staggered, name, options, one, three):
    for number, said in ((1, one), (3, three), (5, "")):
        data = staggered[(staggered["g"] > 0) | (staggered["id"] < 3 * number)]
        notes = cf.fit(G, data, **{"method": name, **METHODS[name], **options}).fit.notes
        told = [note for note in notes if "to compare with" in note]
        assert told == [said] * bool(said)


def test_a_single_unit_to_compare_with_has_no_error_of_its_own(staggered):
    """The standard error is that of the group's mean change."""
    data = staggered[(staggered["g"] == 3) | (staggered["id"] == 0)]
    fit = cf.fit(G, data)
    change = data.pivot(index="id", columns="t", values="y").loc[1:].eval("`3` - `2`")
    row = fit.tidy().query("time == 3")
    assert row["std.error"].item() == pytest.approx(np.sqrt(((change - change.mean()) ** 2).sum()) / len(change))
    assert SINGLE in str(fit)


def test_periods_without_anybody_to_compare_with(staggered):
    ever = staggered[staggered["g"] > 0]
    fit = cf.fit(G, ever, control_group="notyettreated")
    assert sorted(set(fit.tidy()["time"])) == [2, 3]
    assert "nobody is left to compare some groups with in t = 4, where these have no effects" in str(fit)
    assert "nobody is left" not in str(cf.fit(G, staggered, control_group="notyettreated"))


@pytest.mark.parametrize("name", ["sunab", "etwfe"])
def test_the_group_that_is_treated_last_is_not_called_never_treated(staggered, name):
    ever = staggered[staggered["g"] > 0]
    text = str(cf.fit(G, ever, name))
    assert "Units of id by group:  3: 20, 4 (comparison): 20\n" in text
    if name == "etwfe":
        leads = str(cf.fit(G, ever, name, control_group="nevertreated"))
        assert "Compared with those of g = 4." in leads
        assert "Compared with those never treated." in str(cf.fit(G, staggered, name, control_group="nevertreated"))


@pytest.mark.parametrize("name", ["sunab", "etwfe"])
def test_the_period_that_groups_are_compared_with_is_named(staggered, name):
    options = {"control_group": "nevertreated"} if name == "etwfe" else {}
    later = staggered[(staggered["g"] != 3) | (staggered["t"] != 2)]
    for data, ahead, said in [
        (staggered, 0, "Event times as compared with -1."),
        (staggered, 1, "Event times as compared with -2."),
        (later, 0, "Event times as compared with -2, -1, the last of each group before its treatment."),
    ]:
        assert said in str(cf.fit(G, data, name, anticipation=ahead, **options))


@pytest.mark.parametrize("name", METHODS)
def test_anticipation_is_in_the_print(staggered, name):
    said = (
        "Anticipation Periods:  1\n" if name == "did" else "Anticipation: groups may react 1 before their treatment.\n"
    )
    assert said in str(cf.fit(G, staggered, **{"method": name, **METHODS[name], "anticipation": 1}))
    assert said not in str(fitted(G, staggered, name))


# -- what is made of a fit -------------------------------------------------------------------------------------------


def test_a_decomposition_says_what_it_is_given(staggered):
    plain = str(cf.fit(G, staggered).decompose())
    assert plain.startswith("Two-way coefficient of g on y: ") and "Note" not in plain
    given = cf.fit(f"{G} + adjust(v + I(2 * v))", staggered.assign(g=staggered["g"].replace(4, 5)), anticipation=1)
    text = str(given.decompose())
    assert text.startswith("Two-way coefficient of g on y, given v, I(2 * v): ")
    for note in (
        "the treatment counts from its first period on: anticipation=1 has no part in this",
        "20 units with g after the last period count as never treated",
        "the adjustment leaves out I(2 * v), a combination of terms before it",
        "v is the same in all periods of a unit, and trends may differ by it: a slope in each period",
    ):
        assert f"Note: {note}" in text


def test_honest_intervals_carry_what_is_said_of_their_covariance(staggered):
    states = staggered.assign(s=staggered["id"] // 5)
    fit = cf.fit(f"{G} + cluster(s)", states, "sunab", anticipation=1)
    text = str(fit.honest("relative_magnitude", M=[0.5]))
    assert "Note: period 1 after treatment is the event time -1: with anticipation= the first ones are before" in text
    assert "Note: 12 clusters of s are few, and these standard errors count on many" in text
    plain = str(cf.fit(G, staggered, "sunab").honest("relative_magnitude", M=[0.5]))
    assert "is the event time" not in plain and "clusters" not in plain
