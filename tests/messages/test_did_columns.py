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
