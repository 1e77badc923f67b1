"""What R does with a warning or in silence, and is seldom meant: it is said once, and the advice works."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    d = pd.DataFrame({"x": rng.normal(size=60), "a": np.arange(60) % 2, "g": np.arange(60) // 2 % 4})
    d["y"] = d["x"] + d["a"] + rng.normal(size=60)
    d["z"] = d["y"] ** 2
    d["words"] = d["x"].round(2).astype(str)
    d["stray"] = d["words"].where(d.index != 7, "?")
    return d


def said(run: Callable[[], Any]) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run()
    return result, [str(w.message) for w in caught]


BOTH = [
    lambda text, d: cf.lm(f"y ~ a + {text}", d),
    lambda text, d: cf.fit(f"y ~ treat(a) + adjust({text})", d),
]


@pytest.mark.parametrize("run", BOTH, ids=["lm", "fit"])
@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("log(x)", lambda d: d["x"] < 0),
        ("sqrt(x + 1)", lambda d: d["x"] < -1),
        ("I(g / g)", lambda d: d["g"] == 0),
        ("asin(2 * x)", lambda d: d["x"].abs() > 0.5),
        ("cut(x, c(-1, 0, 1))", lambda d: (d["x"] <= -1) | (d["x"] > 1)),
        ("factor(g, levels = 0:2)".replace("0:2", "c(0, 1, 2)"), lambda d: d["g"] == 3),
        ("as.numeric(stray)", lambda d: d["stray"] == "?"),
        ("f(x)", lambda d: d["x"] < 0),
    ],
)
def test_values_that_a_function_made_missing(run, text, lost, data):
    rows = lost(data)
    env = {"f": lambda x: np.where(x < 0, np.nan, x)}
    if text.startswith("f("):
        run = {
            0: lambda t, d: cf.lm(f"y ~ a + {t}", d, env=env),
            1: lambda t, d: cf.fit(f"y ~ treat(a) + {t}", d, env=env),
        }[BOTH.index(run)]
    fit, messages = said(lambda: run(text, data))
    name = {"I(g / g)": "g/g"}.get(text, text)
    told = [m for m in messages if m.startswith(f"{name} has no value in {rows.sum()} row")]
    assert len(told) == 1, messages
    assert f"Note: {told[0]}" in str(fit.summary())
    assert fit.nobs == 60 - rows.sum()


def test_the_outcome_and_the_rows_asked_for(data):
    kept = data["x"] > -1
    _, messages = said(lambda: cf.lm("log(y) ~ x", data, subset="x > -1"))
    assert f"log(y) has no value in {(kept & (data['y'] < 0)).sum()} rows" in messages[0]


def test_what_was_missing_before_or_is_not_used_is_silent(data):
    gone = data.assign(x=data["x"].where(data["x"] > 0))
    assert said(lambda: cf.lm("y ~ log(x)", gone))[1] == []
    assert said(lambda: cf.lm("y ~ ifelse(x > 0, log(x), 0)", data))[1] == []
    assert said(lambda: cf.lm("y ~ ifelse(x > 0, x, NA)", data))[1] == []
    assert said(lambda: cf.lm("y ~ log(x)", data, subset="x > 0"))[1] == []


def test_no_row_left_says_why(data):
    with pytest.raises(cf.DataError, match=r"no row is left .*; log\(x\) has no value in 60 rows"):
        cf.lm("y ~ log(x)", data.assign(x=-1.0))


def test_infinite_values_stay_an_error(data):
    with pytest.raises(cf.DataError, match=r"log\(a\) is infinite in 30 rows"):
        cf.lm("y ~ log(a)", data)


def test_a_summary_of_missing_values(data):
    gone = data.assign(x=data["x"].where(data.index > 2))
    with pytest.raises(cf.DataError, match=r"mean\(x\): 3 values missing.*na.rm = TRUE"):
        cf.lm("y ~ I(x - mean(x))", gone)
    assert cf.lm("y ~ I(x - mean(x, na.rm = TRUE))", gone).nobs == 57


# -- numbers that are text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", BOTH, ids=["lm", "fit"])
def test_text_that_mostly_reads_as_numbers(run, data):
    fit, messages = said(lambda: run("stray", data))
    assert "stray is text that reads as numbers but for '?', taken for a factor of" in messages[0]
    assert 'data["stray"] = pd.to_numeric(data["stray"], errors="coerce")' in messages[0]
    assert f"Note: {messages[0]}" in str(fit.summary())
    data["stray"] = pd.to_numeric(data["stray"], errors="coerce")  # the advice
    fit, messages = said(lambda: run("stray", data))
    assert messages == [] and fit.nobs == 59


def test_the_other_advice(data):
    fit, messages = said(lambda: cf.lm("y ~ as.numeric(words)", data))
    assert messages == [] and len(fit.coef) == 2


def test_levels_that_look_like_numbers_may_be_asked_for(data):
    codes = data.assign(zip=data["g"].map(lambda g: f"0{g}123"), kind=data["g"].map(lambda g: f"{g}00"))
    assert said(lambda: cf.lm("y ~ factor(kind)", codes))[1] == []
    assert said(lambda: cf.lm("y ~ zip", codes))[1] == []
    assert said(lambda: cf.fit("y ~ treat(factor(kind))", codes))[1] == []
    assert (
        said(lambda: cf.fit("y ~ treat(a) + adjust(arm)", codes.assign(arm=(codes["g"] > 1).astype(int).astype(str))))[
            1
        ]
        == []
    )
    assert said(lambda: cf.lm("y ~ grade", codes.assign(grade=codes["g"].map(dict(enumerate("12AB"))))))[1] == []


@pytest.mark.parametrize("column", ["words", "stray"])
def test_an_outcome_of_text(column, data):
    data = data.assign(words=data["y"].round(2).astype(str), stray=data["y"].round(2).astype(str))
    data.loc[7, "stray"] = "?"
    for run in (lambda d: cf.lm(f"{column} ~ x", d), lambda d: cf.fit(f"{column} ~ treat(a) + x", d)):
        with pytest.raises(cf.OptionError, match=r"pd\.to_numeric\(data\[\"") as caught:
            run(data)
        assert "family" not in str(caught.value)
    coerce = {"errors": "coerce"} if column == "stray" else {}
    data[column] = pd.to_numeric(data[column], **coerce)
    assert cf.lm(f"{column} ~ x", data).nobs == 60 - len(coerce)


def test_a_dose_of_text(data):
    text = data.assign(g=data["g"].astype(str))
    with pytest.raises(cf.OptionError, match=r"text that reads as numbers. If it is a dose.*treat\(factor\(g\)\)"):
        cf.fit("y ~ treat(g) + x", text)
    assert len(said(lambda: cf.fit("y ~ treat(factor(g)) + x", text))[0].tidy()) == 3
    dose = cf.fit("y ~ treat(g) + x", data.assign(g=data["g"] * 1.5))
    text = text.assign(g=(data["g"] * 1.5).astype(str))
    assert cf.fit("y ~ treat(as.numeric(g)) + x", text).estimate == pytest.approx(dose.estimate)


DAYS = pd.date_range("2020-01-25", periods=60)
WRITTEN = {
    "numbers with decimal commas": lambda k: f"{k / 8:.3f}".replace(".", ","),
    "numbers with thousands separators": lambda k: f"{k * 1234:,}",
    "numbers with thousands separators and decimal commas": lambda k: f"{k + 1}.{k + 100},5",
    "percentages": lambda k: f"{k / 2} %",
    "dates": lambda k: str(DAYS[k].date()),
    "dates and times": lambda k: f"{DAYS[k].date()} 12:{k:02d}",
}
OTHER_DATES = ("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d")


@pytest.mark.parametrize("stray", [False, True])
@pytest.mark.parametrize(
    ("what", "write"),
    [*WRITTEN.items(), *(("dates", lambda k, form=form: DAYS[k].strftime(form)) for form in OTHER_DATES)],
)
def test_text_in_other_hands(what, write, stray, data):
    """Decimal commas, percentages and dates: the advice is followed, in pandas and in the formula."""
    data["v"] = [write(k) for k in range(60)]
    data.loc[data.index < stray, "v"] = "?"
    but = " but for '?'" if stray else ""
    _, messages = said(lambda: cf.lm("y ~ v", data))
    assert f"v is text that reads as {what}{but}, taken for a factor of 60 levels" in messages[0]
    asked = re.search(r'convert it, (data\["v"\] = .*?\))(?: / 100)?(?:, or write (.*))?; factor', messages[0])
    whole = asked[0].removeprefix("convert it, ").partition(", or write")[0].partition("; factor")[0]
    exec(whole, {"data": (right := data.copy()), "pd": pd})
    found, messages = said(lambda: cf.lm("y ~ v", right))
    assert messages == [] and found.nobs == 60 - stray and len(found.coef) == 2
    k = np.arange(60)[int(stray) :]
    days = (DAYS[k] - DAYS[0]).days.to_numpy()
    meant = {
        "numbers with decimal commas": k / 8, "numbers with thousands separators": k * 1234,
        "numbers with thousands separators and decimal commas": 1001 * k + 1100.5, "percentages": k / 200,
        "dates": days, "dates and times": days + (12 * 60 + k) / 1440,
    }[what]  # fmt: skip
    assert found.coef.iloc[1] == pytest.approx(np.polyfit(meant, data["y"].to_numpy()[k], 1)[0], rel=1e-8)
    if asked[2]:
        assert said(lambda: cf.lm(f"y ~ {asked[2]}", data))[0].coef.iloc[1] == pytest.approx(found.coef.iloc[1])
    for run in (lambda: cf.fit("v ~ treat(a)", data), lambda: cf.fit("y ~ treat(v)", data)):
        with pytest.raises(cf.OptionError, match=re.escape(whole)):
            run()
    for role in ("weights", "offset"):
        with pytest.raises(
            cf.DataError, match=re.escape(f"{role}(v) must be numbers, and this is text") + ".*" + re.escape(whole)
        ):
            cf.fit(f"y ~ treat(a) + {role}(v)", data)


def test_a_function_of_such_text_says_how_to_read_it(data):
    data["v"] = [f"{k},5" for k in range(60)]
    with pytest.raises(cf.FormulaError, match=r'as.numeric\(gsub\(",", "\.", v, fixed = TRUE\)\) turns it into one'):
        cf.lm("y ~ log(v)", data)


def test_a_few_codes_are_levels(data):
    """Codes of a clinic are printed as what they are, and no more; groups may be named as one likes."""
    data["clinic"] = (data.index % 5 + 1).astype(str)
    for run in BOTH:
        fit, messages = said(lambda run=run: run("clinic", data))
        assert messages == []
        assert "Note: clinic is text that reads as numbers, taken for a factor of 5 levels" in str(fit.summary())
    for k in (5, 20):
        data["clinic"] = (data.index % k + 1).astype(str)
        for role, vcov in (("cluster", None), ("strata", cf.Bootstrap(20, seed=1))):
            formula = f"y ~ treat(a) + x + {role}(clinic)"
            fit, messages = said(lambda f=formula, v=vcov: cf.fit(f, data, vcov=v))
            assert not any("reads as" in m for m in (*messages, str(fit.summary())))
    assert "reads as numbers" in said(lambda: cf.lm("y ~ clinic", data))[1][0]
    half = data.assign(v=(data.index % 4 / 2).astype(str))
    assert "reads as numbers" in said(lambda: cf.lm("y ~ v", half))[1][0]


def test_a_column_in_backquotes_is_named_as_pandas_names_it(data):
    data["how much"] = data["y"].round(2).astype(str)
    with pytest.raises(
        cf.OptionError, match=r'data\["how much"\] = pd.to_numeric\(data\["how much"\]\), or .*`how much`'
    ):
        cf.lm("`how much` ~ x", data)


# -- a sum of outcomes ---------------------------------------------------------------------------------------------


def test_a_sum_of_outcomes_is_said(data):
    fit, messages = said(lambda: cf.lm("y + z ~ x", data))
    assert "the outcome is the sum y + z, as in R" in messages[0] and "make 2 fits" in messages[0]
    silent, messages = said(lambda: cf.lm("I(y + z) ~ x", data))
    assert messages == [] and silent.coef.tolist() == fit.coef.tolist()
    assert "sum y + z" in said(lambda: cf.fit("y + z ~ treat(a) + x", data))[1][0]
    assert said(lambda: cf.lm("y - z ~ x", data))[1] == []
    assert said(lambda: cf.lm("y + 1 ~ x", data))[1] == []


# -- what would have no effect, or no sense -------------------------------------------------------------------------


def test_weights_that_nobody_estimated_cannot_be_held_fixed(data):
    for request in (cf.Asympt(weights="fixed"), cf.HC("HC0", weights="fixed"), cf.Cluster("g", weights="fixed")):
        for formula in ("y ~ treat(a) + x", "y ~ treat(a)"):
            with pytest.raises(cf.OptionError, match=r"estimated weights as given, and method .* estimates none"):
                cf.fit(formula, data, vcov=request)
        assert cf.fit("y ~ treat(a) + x", data, "ipw", vcov=request).std_error > 0
    assert cf.fit("y ~ treat(a) + x", data, "energy", vcov=cf.HC("HC0", weights="fixed")).std_error > 0


def test_averaged_scores_with_every_nuisance_held_fixed(data):
    """The textbook standard error: the spread of the efficient influence function over the rows."""
    from tests.laws.own_method import filed

    filed()
    late = data.assign(a=(data["x"] + np.random.default_rng(1).normal(size=60) > 0).astype(int))
    fit = cf.fit("y ~ treat(a) + x", late, "augmented")
    p = cf.glm("a ~ x", late, family="binomial").fitted.to_numpy()
    a, y = late["a"].to_numpy(), late["y"].to_numpy()
    arms = [cf.lm("y ~ x", late[a == k]).predict(late).to_numpy() for k in (0, 1)]
    score = arms[1] - arms[0] + a * (y - arms[1]) / p - (1 - a) * (y - arms[0]) / (1 - p)
    fixed = fit.with_vcov(cf.Asympt(weights="fixed"))
    assert fixed.std_error == pytest.approx(score.std() / np.sqrt(60), rel=1e-6)
    assert fixed.std_error != pytest.approx(fit.std_error, rel=1e-3)


@pytest.mark.parametrize("vcov", [cf.Bootstrap(20, seed=1), "jackknife"])
def test_a_learner_without_weights_is_refused_before_it_is_resampled(vcov, data):
    from sklearn.neighbors import KNeighborsClassifier

    fit = cf.fit("y ~ treat(a) + x", data, "ipw", model=KNeighborsClassifier(20))
    with pytest.raises(cf.OptionError, match=r"KNeighborsClassifier takes no sample weights, .*whose fit takes"):
        fit.with_vcov(vcov)


def test_scores_are_there_where_the_method_has_them(data):
    three = data.assign(f=data["g"].replace({3: 0}).map({0: "u", 1: "v", 2: "w"}))
    for method in ("ipw", "cbps"):
        scores = cf.fit("y ~ treat(f) + x", three, method).propensity
        assert list(scores.columns) == ["u", "v", "w"] and scores.index.equals(three.index)
        np.testing.assert_allclose(scores.sum(axis=1), 1)
        own = scores.to_numpy()[np.arange(60), pd.Categorical(three["f"]).codes]
        np.testing.assert_allclose(1 / own, cf.fit("y ~ treat(f) + x", three, method).design.weights, rtol=1e-6)
    for method in ("cbps", "ipt"):
        fit = cf.fit("y ~ treat(a) + x", data, method)
        pd.testing.assert_series_equal(fit.propensity, fit.design.distance, check_names=False)
        assert "Propensity model" not in str(fit)
    assert isinstance(cf.fit("y ~ treat(a) + x", data, "ipw").propensity, cf.Model)
    assert cf.fit("y ~ treat(a) + x", data, "ebal").propensity is None


def test_words_for_the_treatment_model(data):
    for name in ("propensity", "propensity_score", "pscore"):
        for run in (cf.fit, cf.design):
            with pytest.raises(cf.OptionError, match=r"propensity\(x\); method='ipw' takes scores .* ps='p'") as caught:
                run("y ~ treat(a) + x", data, "ipw", **{name: "x"})
            assert "density'?" not in str(caught.value)


TEXTS = ["2.5", "10.0", "3.5", "11", "7.25", "1"]


def typed() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    text = pd.Series(np.tile(TEXTS, 10))
    return pd.DataFrame({
        "t": text, "f": text.astype("category"), "v": text.astype(float),
        "k": [f"{1000 * float(v):,.0f}" for v in text],
        "u": np.tile(TEXTS[::-1], 10), "a": rng.integers(0, 2, 60), "y": rng.normal(size=60),
    })  # fmt: skip


AS_TEXT = "t is text and compared as text, as in R: '10.0' > 3 is false; write as.numeric(t) > 3"


@pytest.mark.parametrize(
    "run",
    [
        lambda d: cf.fit("y ~ treat(a)", d, subset="t > 3"),
        lambda d: cf.lm("y ~ a", d, subset="t > 3"),
        lambda d: cf.fit("y ~ treat(t > 3)", d),
        lambda d: cf.fit("y ~ treat(a) + adjust(I(t > 3))", d),
        lambda d: cf.fit("y ~ treat(a) + weights(ifelse(t > 3, 1, 2))", d),
        lambda d: cf.fit("y ~ did(a, t > 3)", d),
        lambda d: cf.lm("y ~ I(t > 3)", d),
        lambda d: cf.lm("y ~ ifelse(t > 3, 1, 0)", d),
        lambda d: cf.design("~ treat(t > 3) + adjust(v)", d, method="ipw"),
    ],
)
def test_numbers_that_are_text_are_compared_as_text_and_this_is_said(run):
    assert said(lambda: run(typed()))[1].count(AS_TEXT) == 1


def test_a_comparison_of_text_with_a_number_is_that_of_r():
    d = typed()
    # print(t > 3) of c("2.5", "10.0", "3.5", "11", "7.25", "1") in R 4.2.2: the third and the fifth
    kept = said(lambda: cf.fit("y ~ treat(a)", d, subset="t > 3"))[0]
    assert kept.nobs == 20
    assert AS_TEXT in str(kept)
    meant, notes = said(lambda: cf.fit("y ~ treat(a)", d, subset="as.numeric(t) > 3"))
    assert (meant.nobs, notes) == (40, [])


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("k > 5000", "'10,000' > 5000 is false; write as.numeric(gsub(\",\", \"\", k, fixed = TRUE)) > 5000"),
        ("f == 10", "f is a factor and compared as text, as in R: '10.0' == 10 is false; write "
         "as.numeric(as.character(f)) == 10"),
        ("t %in% c(10, 1)", "'10.0' %in% c(10, 1) is false; write as.numeric(t) %in% c(10, 1)"),
        ("3 < t", "3 < '10.0' is false; write 3 < as.numeric(t)"),
        ("t > v - 1", "'10.0' > v - 1 is false; write as.numeric(t) > v - 1"),
        ("t > u", "t is text and u is text and compared as text"),
    ],
)  # fmt: skip
def test_the_advice_on_text_that_is_compared_with_numbers_works(text, note):
    (told,) = said(lambda: cf.lm(f"y ~ I({text})", typed()))[1]
    assert note in told
    assert said(lambda: cf.lm(f"y ~ I({told.rpartition('write ')[2]})", typed()))[1] == []


@pytest.mark.parametrize("text", ['t > "3"', "t == 1", "v > 3", 't %in% c("10.0", "1")', "t != 3.5"])
def test_comparisons_that_text_answers_alike_are_not_mentioned(text):
    assert said(lambda: cf.lm(f"y ~ I({text})", typed()))[1] == []


@pytest.mark.parametrize(
    ("column", "asked"),
    [("t", "as.numeric(t) > ..."), ("v", "v > ..."), ("w", 'w %in% c("...")'), ("f", 'f %in% c("...")')],
)
def test_did_names_a_condition_that_its_periods_can_have(column, asked):
    d = typed().assign(w=np.tile(list("abcdef"), 10))
    with pytest.raises(cf.CapabilityError, match=re.escape(f"did(a, {asked})")):
        cf.fit(f"y ~ did(a, {column})", d)


def test_text_with_almost_as_many_levels_as_rows_is_named(data):
    data["name"] = [f"n{max(k, 3)}" for k in range(60)]
    data["group"] = [f"n{k % 6}" for k in range(60)]
    data["price"] = [f"${k / 100 + 1:.2f}" for k in range(57)] + ["$1.10"] * 3
    note = "name is text with 57 distinct values in 60 rows, taken for a factor of 57 levels"
    assert said(lambda: cf.lm("y ~ name", data))[1].count(note) == 1
    assert "price is text with 57 distinct values" in " ".join(said(lambda: cf.lm("y ~ price", data))[1])
    assert not any("distinct" in m for m in said(lambda: cf.lm("y ~ a + group", data))[1])
    assert not any("distinct" in m for m in said(lambda: cf.lm("y ~ a + factor(name)", data))[1])
    fit, notes = said(lambda: cf.fit("y ~ treat(a) + adjust(name)", data[::-1].assign(a=[0, 1, 0, 1, 0, 1] * 10)))
    assert any(note in m for m in notes)
    assert note in str(fit)


@pytest.mark.parametrize("request_", [cf.HC, cf.Bootstrap, cf.Jackknife, cf.Wild, cf.HAC, cf.Asympt, cf.Classical])
def test_requests_name_an_argument_that_they_do_not_have(request_):
    with pytest.raises(cf.OptionError, match=rf"{request_.__name__}\(\) has no argument 'nope'; it takes "):
        request_(nope=1)


def test_an_overlap_takes_no_number(data):
    with pytest.raises(cf.OptionError, match=r"overlap\(\): too many positional arguments; it takes none"):
        cf.design("~ treat(a) + x", data, "ipw").overlap(3)
