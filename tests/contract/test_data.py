"""The same question to the same data in every dress: frames, dtypes, labels, missing values, subsets, names."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings

import causalformula as cf
from tests.laws.strategies import seeds, simulate

F = "y ~ treat(a) + adjust(x + z) + weights(w) + cluster(g)"


@pytest.fixture(scope="module")
def data():
    return simulate(42)


@pytest.fixture(scope="module")
def plain(data):
    return cf.fit(F, data)


def equal(a, b, rtol=1e-10):
    """The same numbers; labels may differ (`TRUE - FALSE` for `1 - 0`)."""
    numbers = ["estimate", "std.error", "statistic", "df", "p.value", "conf.low", "conf.high"]
    np.testing.assert_allclose(a.tidy()[numbers], b.tidy()[numbers], rtol=rtol)


# -- frames --------------------------------------------------------------------------------------------------------

FRAMES = {
    "pandas": lambda d: d,
    "polars": pl.from_pandas,
    "pyarrow": pa.Table.from_pandas,
    "mapping": lambda d: {name: d[name].to_numpy() for name in d},
    "pandas on arrow": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "pandas nullable": lambda d: d.convert_dtypes(),
    "object strings": lambda d: d.astype({"z": object, "m": object, "s": object}),
    "categorical": lambda d: d.astype({"z": "category", "s": "category", "g": "category"}),
    "small numbers": lambda d: d.astype({"a": "uint8", "g": "int16", "f": "Int32"}),
    "object numbers": lambda d: d.astype({"x": object, "a": object}),
    "text labels": lambda d: d.set_axis([f"r{i}" for i in range(len(d))]),
    "repeated labels": lambda d: d.set_axis([0] * len(d)),
    "several label columns": lambda d: d.set_index(["s", "g"], drop=False),
    "polars categories": lambda d: pl.from_pandas(d).with_columns(pl.col("z").cast(pl.Categorical)),
    "polars enum": lambda d: pl.from_pandas(d).with_columns(pl.col("z").cast(pl.Enum(["u", "v", "w"]))),
    "arrow dictionary": lambda d: pa.Table.from_pandas(d.astype({"z": "category"})),
    "arrow in chunks": lambda d: pa.concat_tables(
        [pa.Table.from_pandas(d.iloc[:30]), pa.Table.from_pandas(d.iloc[30:])]
    ),
    "a column of dates beside": lambda d: d.assign(when=pd.Timestamp("2020-01-01")),
    "unused names of any kind": lambda d: d.rename(columns={"q": 7, "k": ("a", "b"), "id": None}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_give_the_same_numbers(data, plain, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = cf.fit(F, FRAMES[name](data.copy()))
        equal(fit, plain)
        assert list(fit.params.index) == ["a 1 - 0"]
        assert fit.fit.models["outcome"].model.names == plain.fit.models["outcome"].model.names
        assert len(fit.augment()) == len(data)


@settings(max_examples=15)
@given(seed=seeds)
def test_frames_agree_on_any_data(seed):
    data = simulate(seed)
    hole = np.random.default_rng(seed).integers(0, 60, 6)
    data.loc[hole[:2], "x"] = np.nan
    data.loc[hole[2:4], "z"] = None
    data["a"] = data["a"].astype("Int64")
    data.loc[hole[4:], "a"] = pd.NA
    fits = [cf.fit(F, frame) for frame in (data, pl.from_pandas(data), pa.Table.from_pandas(data))]
    for fit in fits[1:]:
        pd.testing.assert_frame_equal(fit.tidy(), fits[0].tidy(), check_exact=True)
        assert fit.call.frame.missing_by == fits[0].call.frame.missing_by
        assert list(fit.call.frame.rows) == list(fits[0].call.frame.rows)


def test_results_carry_the_rows_labels(data):
    labelled = data.set_axis([f"p{i}" for i in range(len(data))]).assign(x=data["x"].where(data["id"] != 7).to_numpy())
    fit = cf.fit(F, labelled, subset="f > 1")
    expected = labelled.index[(labelled["f"] > 1) & labelled["x"].notna()]
    assert list(fit.augment().index) == list(expected)
    assert list(cf.fit(F, pl.from_pandas(data), subset="f > 1").augment().index) == list(np.flatnonzero(data["f"] > 1))


def test_factor_levels_keep_their_order_and_unused_ones_are_dropped(data, plain):
    ordered = data.assign(z=pd.Categorical(data["z"], ["w", "never", "v", "u"]))
    fit = cf.fit(F, ordered)
    equal(fit, plain)
    assert fit.fit.models["outcome"].model.names == ("(Intercept)", "a", "x", "zv", "zu")
    only = cf.fit(F, ordered, subset="z != 'w'")
    assert only.fit.models["outcome"].model.names == ("(Intercept)", "a", "x", "zu")
    arrow = cf.fit(F, pa.Table.from_pandas(ordered))
    assert arrow.fit.models["outcome"].model.names == fit.fit.models["outcome"].model.names


def test_ordered_factors_have_polynomial_contrasts(data, plain):
    ordered = data.assign(z=pd.Categorical(data["z"], ["u", "v", "w"], ordered=True))
    fit = cf.fit(F, ordered)
    equal(fit, plain)
    assert fit.fit.models["outcome"].model.names[-2:] == ("z.L", "z.Q")


# -- treatments ----------------------------------------------------------------------------------------------------

TREATMENTS = {
    "logical": (lambda a: a == 1, "TRUE - FALSE"),
    "nullable logical": (lambda a: (a == 1).astype("boolean"), "TRUE - FALSE"),
    "text": (lambda a: np.where(a == 1, "yes", "no"), "yes - no"),
    "category": (lambda a: pd.Categorical(np.where(a == 1, "drug", "placebo"), ["placebo", "drug"]), "drug - placebo"),
    "category of numbers": (lambda a: pd.Categorical(10 * a), "10 - 0"),
    "category with an unused level": (lambda a: pd.Categorical(a, [-1, 0, 1]), "1 - 0"),
    "one and two": (lambda a: a + 1, "2 - 1"),
    "floats": (lambda a: a.astype(float), "1 - 0"),
    "minus and plus one": (lambda a: 2 * a - 1, "1 - -1"),
}


@pytest.mark.parametrize("name", TREATMENTS)
def test_spellings_of_a_binary_treatment(data, plain, name):
    spell, label = TREATMENTS[name]
    fit = cf.fit(F, data.assign(a=spell(data["a"])))
    equal(fit, plain, 1e-9)
    assert fit.tidy()["contrast"][0] == label


@pytest.mark.parametrize(
    ("formula", "sign", "label"),
    [
        ("treat(a, ref = 1)", -1, "0 - 1"),
        ("treat(a, ref = 0)", 1, "1 - 0"),
        ("treat(factor(a))", 1, "1 - 0"),
        ("treat(a == 1)", 1, "TRUE - FALSE"),
        ("treat(a > 0, ref = TRUE)", -1, "FALSE - TRUE"),
        ('treat(ifelse(a == 1, "t", "c"))', 1, "t - c"),
        ('treat(relevel(factor(a), "1"))', -1, "0 - 1"),
    ],
)
def test_treatments_that_are_expressions(data, plain, formula, sign, label):
    row = cf.fit(F.replace("treat(a)", formula), data).tidy().iloc[0]
    assert row["contrast"] == label
    assert row["estimate"] == pytest.approx(sign * plain.estimate, rel=1e-9)
    assert row["std.error"] == pytest.approx(plain.std_error, rel=1e-8)


def test_several_levels(data):
    formula = "y ~ treat(m) + adjust(x)"
    fit = cf.fit(formula, data)
    assert list(fit.tidy()["contrast"]) == ["low - high", "none - high"]
    effect = dict(zip(fit.tidy()["contrast"], fit.tidy()["estimate"], strict=True))
    by_ref = cf.fit('y ~ treat(m, ref = "none") + adjust(x)', data)
    assert list(by_ref.tidy()["contrast"]) == ["high - none", "low - none"]
    assert by_ref.tidy()["estimate"][0] == pytest.approx(-effect["none - high"], rel=1e-9)
    pairs = cf.fit(formula, data, contrast="pairwise").tidy()
    assert list(pairs["contrast"]) == ["low - high", "none - high", "none - low"]
    steps = cf.fit(formula, data, contrast="sequential").tidy()
    assert list(steps["contrast"]) == ["low - high", "none - low"]
    one = cf.fit(formula, data, contrast=("low", "none")).tidy()
    assert list(one["contrast"]) == ["none - low"]
    for table in (pairs, steps, one):
        assert table["estimate"].iloc[-1] == pytest.approx(effect["none - high"] - effect["low - high"], rel=1e-9)
    # contrasts of the treatment's own columns change nothing
    summed = cf.fit(formula, data, contrasts={"m": "contr.sum"}).tidy()
    np.testing.assert_allclose(summed["estimate"], fit.tidy()["estimate"], rtol=1e-9)


def test_doses(data):
    formula = "y ~ treat(q) + adjust(x)"
    slope = cf.fit(formula, data, contrast="slope").estimate
    q = data["q"]
    sizes = {
        1: 1, -2: -2, 0.5: 0.5, (1, 4): 3, "sd": q.std(), "minmax": q.max() - q.min(),
        "iqr": q.quantile(0.75) - q.quantile(0.25),
    }  # fmt: skip
    labels = {1: "+1", -2: "-2", 0.5: "+0.5", "iqr": "Q3 - Q1", "minmax": "Max - Min", (1, 4): "4 - 1"}
    for contrast, size in sizes.items():
        fit = cf.fit(formula, data, contrast=contrast)
        assert fit.estimate == pytest.approx(size * slope, rel=1e-9)
        assert fit.tidy()["contrast"][0] == labels.get(contrast, "(x + sd/2) - (x - sd/2)")


def test_a_dose_in_a_nonlinear_term(data):
    """The treatment is rebuilt wherever it stands, next to transformed modifiers too."""
    fit = cf.fit("y ~ treat(q) + modify(poly(x, 2))", data, contrast=(1, 2))
    by_hand = cf.fit("y ~ treat(q) + modify(x + I(x^2))", data, contrast=(1, 2))
    equal(fit, by_hand, 1e-8)


# -- outcomes ------------------------------------------------------------------------------------------------------


def test_outcome_apart(data, plain):
    equal(cf.fit(F.partition(" ~ ")[2], data, outcome="y"), plain)
    logged = cf.fit("treat(a) + x", data, outcome="log(k + 1)")
    assert logged.estimate == cf.fit("log(k + 1) ~ treat(a) + x", data).estimate


@pytest.mark.parametrize(
    "spell",
    [
        lambda d: d == 1,
        lambda d: np.where(d == 1, "yes", "no"),
        lambda d: pd.Categorical(np.where(d == 1, "hit", "miss"), ["miss", "hit"]),
        lambda d: d.astype("Int64"),
    ],
)
def test_spellings_of_a_binary_outcome(data, spell):
    expected = cf.fit("d ~ treat(a) + x", data, family="binomial", measure="ratio")
    equal(cf.fit("d ~ treat(a) + x", data.assign(d=spell(data["d"])), family="binomial", measure="ratio"), expected)


# -- missing values and subsets ------------------------------------------------------------------------------------


def test_missing_values_are_dropped_and_reported_by_variable(data):
    gaps = data.assign(
        x=data["x"].where(data["id"] > 2), w=data["w"].where(data["id"] != 10), g=data["g"].where(data["id"] > 1)
    )
    gaps["z"] = gaps["z"].where(gaps["id"] != 11, None)
    fit = cf.fit(F, gaps)
    assert fit.nobs == 55
    assert dict(fit.call.frame.missing_by) == {"x": 3, "w": 1, "z": 1, "g": 2}
    assert "(5 observations deleted due to missingness: x: 3, z: 1, w: 1, g: 2)" in str(fit)
    equal(fit, cf.fit(F, gaps.dropna(subset=["x", "z", "w", "g"])))
    # a gap in a column that takes no part costs nothing
    assert cf.fit("y ~ treat(a) + z", gaps.assign(x=np.nan)).nobs == 59


def test_missing_of_every_kind(data):
    for missing in (None, np.nan, pd.NA, pd.NaT):
        gaps = data.astype({"z": object})
        gaps.loc[3, "z"] = missing
        assert cf.fit("y ~ treat(a) + z", gaps).nobs == 59
    for dtype in ("boolean", "Int64", "Float64", "string", "category"):
        gaps = data.assign(b=(data["x"] > 0).astype(int).astype("Int64").astype(dtype if dtype != "string" else str))
        gaps["b"] = gaps["b"].astype(dtype).mask(gaps["id"] == 3)
        assert cf.fit("y ~ treat(a) + b", gaps).nobs == 59, dtype


def test_na_fail(data):
    assert cf.fit(F, data, na_action="fail").nobs == 60
    with pytest.raises(cf.DataError, match=r"missing values in x \(1\); rows 3"):
        cf.fit(F, data.assign(x=data["x"].where(data["id"] != 3)), na_action="fail")


@pytest.mark.parametrize(
    "choose",
    [
        lambda d: "z != 'u' & x > -1",
        lambda d: (d["z"] != "u") & (d["x"] > -1),
        lambda d: ((d["z"] != "u") & (d["x"] > -1)).to_numpy(),
        lambda d: list((d["z"] != "u") & (d["x"] > -1)),
        lambda d: ((d["z"] != "u") & (d["x"] > -1)).astype("boolean"),
        lambda d: ((d["z"] != "u") & (d["x"] > -1)).sample(frac=1, random_state=1),
        lambda d: pl.Series(((d["z"] != "u") & (d["x"] > -1)).to_list()),
    ],
    ids=["text", "series", "array", "list", "nullable", "shuffled series", "polars"],
)
def test_subsets(data, choose):
    expected = cf.fit(F, data[(data["z"] != "u") & (data["x"] > -1)])
    equal(cf.fit(F, data, subset=choose(data)), expected)


def test_a_subset_leaves_out_where_it_is_missing(data):
    gaps = data.assign(q=data["q"].where(data["id"] > 9))
    fit = cf.fit(F, gaps, subset="q > 0")
    equal(fit, cf.fit(F, gaps[gaps["q"] > 0]))
    assert fit.call.frame.dropped == 0


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "formula"),
    [
        ({"x": "I.H", "y": "the outcome", "a": "my drug"}, "`the outcome` ~ treat(`my drug`) + adjust(I.H + z)"),
        ({"x": "log", "y": "exp", "a": "poly"}, "exp ~ treat(poly) + adjust(log + z)"),
        ({"x": "adjust", "y": "cluster", "a": "treat"}, "cluster ~ treat(treat) + adjust(adjust + z)"),
        ({"x": "größe", "y": "résultat", "a": "治療"}, "résultat ~ treat(治療) + adjust(größe + z)"),
        ({"x": "a-b", "y": "y ~ x", "a": "1"}, "`y ~ x` ~ treat(`1`) + adjust(`a-b` + z)"),
        ({"x": "import os", "y": "TRUE", "a": "if"}, "`TRUE` ~ treat(`if`) + adjust(`import os` + z)"),
        ({"x": 0, "y": 2.5, "a": ("p", "q")}, "`2.5` ~ treat(`('p', 'q')`) + adjust(`0` + z)"),
    ],
)
def test_names_of_every_kind(data, names, formula):
    expected = cf.fit("y ~ treat(a) + adjust(x + z)", data)
    fit = cf.fit(formula, data.rename(columns=names))
    equal(fit, expected)
    assert str(fit) and fit.summary() and len(fit.augment()) == 60
    assert len(fit.by("z").tidy()) == 3


def test_a_function_and_a_column_of_one_name(data):
    both = data.rename(columns={"x": "exp"})
    equal(cf.fit("y ~ treat(a) + exp(exp)", both), cf.fit("y ~ treat(a) + exp(x)", data))


def test_the_dot(data):
    few = data[["y", "a", "x", "z", "w"]]
    equal(cf.fit("y ~ treat(a) + .", few), cf.fit("y ~ treat(a) + x + z + w", few))
    equal(cf.fit("y ~ treat(a) + weights(w) + .", few), cf.fit("y ~ treat(a) + weights(w) + x + z", few))


def test_functions_of_the_callers(data):
    equal(cf.fit("y ~ treat(a) + sq(x)", data, env={"sq": lambda v: v**2}), cf.fit("y ~ treat(a) + I(x^2)", data))


# -- roles ---------------------------------------------------------------------------------------------------------


def test_outcome_terms_are_adjusted_for_in_the_outcome_model(data):
    equal(cf.fit("y ~ treat(a) + adjust(x) + outcome(z)", data), cf.fit("y ~ treat(a) + x + z", data))


def test_an_offset_is_taken_from_the_outcome(data):
    fit = cf.fit("y ~ treat(a) + x + offset(q)", data)
    equal(fit, cf.fit("I(y - q) ~ treat(a) + x", data))
    poisson = cf.fit("k ~ treat(a) + x + offset(log(w))", data, family="poisson", measure="log_ratio")
    assert poisson.estimate == pytest.approx(poisson.fit.models["outcome"].model.coef[1], rel=1e-9)


def test_measures_agree_with_the_means(data):
    means = cf.fit("d ~ treat(a) + x", data, family="binomial").means().tidy()["estimate"].to_numpy()
    p0, p1 = means
    expected = {
        "difference": p1 - p0, "ratio": p1 / p0, "log_ratio": np.log(p1 / p0), "nnt": 1 / (p1 - p0),
        "odds_ratio": p1 / (1 - p1) / (p0 / (1 - p0)), "log_odds_ratio": np.log(p1 / (1 - p1) / (p0 / (1 - p0))),
    }  # fmt: skip
    for measure, value in expected.items():
        fit = cf.fit("d ~ treat(a) + x", data, family="binomial", measure=measure)
        assert fit.estimate == pytest.approx(value, rel=1e-10), measure


def test_number_needed_to_treat(data):
    data = data.assign(d=data["id"] % 3 == 0)
    small = cf.fit("d ~ treat(a) + x", data, family="binomial", measure="nnt")
    difference = cf.fit("d ~ treat(a) + x", data, family="binomial").tidy().iloc[0]
    row = small.tidy().iloc[0]
    assert row["p.value"] == pytest.approx(difference["p.value"], rel=1e-10)
    assert difference["conf.low"] < 0 < difference["conf.high"]
    assert np.isnan(row["conf.low"])
    assert np.isnan(row["conf.high"])
    assert "may be zero" in str(small)
    data = data.assign(hit=np.where(data["id"] % 7 == 0, 1 - data["a"], data["a"]))
    clear = cf.fit("hit ~ treat(a) + x", data, measure="nnt").tidy().iloc[0]
    plain = cf.fit("hit ~ treat(a) + x", data).tidy().iloc[0]
    assert clear["conf.low"] == pytest.approx(1 / plain["conf.high"])
    assert clear["conf.high"] == pytest.approx(1 / plain["conf.low"])
