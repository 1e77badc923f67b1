"""What is said of requests, options and data that cannot be used: never a raw traceback."""

from __future__ import annotations

import os
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import causalformula as cf

SSC = cf.ssc()
F = "y ~ treat(a) + x"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    n = 90
    d = pd.DataFrame({"x": rng.normal(size=n), "a": np.arange(n) % 2})
    d["m"] = np.array(["low", "mid", "high"])[np.arange(n) % 3]
    d["y"] = d["x"] + d["a"] + rng.normal(size=n)
    return d.assign(
        q=np.array([0, 1, 9])[np.arange(n) % 3], g=np.arange(n) // 9, flag=d["x"] > 0, hit=(d["y"] > 0.5).astype(int)
    )


# -- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cf.Bootstrap(reps="a"), "reps must be at least 2, a whole number, not 'a'"),
        (lambda: cf.Bootstrap(reps=10.5), "a whole number, not 10.5"),
        (lambda: cf.Wild(reps=None), "a whole number, not None"),
        (lambda: cf.Bootstrap(seed=-1), "seed must be a whole number from 0"),
        (lambda: cf.Bootstrap(seed=1.5), "not 1.5"),
        (lambda: cf.Wild(seed=np.random.default_rng(1)), "not Generator(PCG64)"),
        (lambda: cf.Bootstrap(cluster=["g", "m"]), "cluster is the name of one column, not ['g', 'm']"),
        (lambda: cf.Bootstrap(strata=("g",)), "strata is the name of one column"),
        (lambda: cf.Jackknife(cluster=3), "cluster is the name of one column, not 3"),
    ],
)
def test_requests(make, message):
    with pytest.raises(cf.OptionError, match=re.escape(message)):
        make()


def test_seeds_of_other_resampling(data):
    fit = cf.fit(F, data)
    with pytest.raises(cf.OptionError, match="seed must be a whole number from 0"):
        fit.permutation_test(reps=9, seed=-1)
    with pytest.raises(cf.OptionError, match="seed must be a whole number from 0"):
        fit.simultaneous(seed="x")
    assert cf.Bootstrap(reps=np.int64(9), seed=np.int32(3)).seed == 3


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[-1.0]], "no negative variance; here number 1 is"),
        (np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), "positive semidefinite"),
        (np.diag([1e-8, 1e-8, -1e-20]), "no negative variance; here number 3 is"),
        ([[np.nan]], "must be finite"),
    ],
)
def test_a_matrix_that_is_no_covariance(data, matrix, message):
    with pytest.raises(cf.OptionError, match=re.escape(message)):
        cf.fit(F, data, vcov=np.array(matrix))


def test_a_singular_covariance_is_one(data):
    columns = np.random.default_rng(1).normal(size=(3, 2)) * [1e-6, 1e3]
    assert cf.fit(F, data, vcov=columns @ columns.T).std_error > 0
    assert cf.fit(F, data, vcov=np.zeros((1, 1))).std_error == 0


# -- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "message", "formula", "options"),
    [
        (cf.OptionError, "measure='nnt' needs an outcome of 0 and 1", F, {"measure": "nnt"}),
        (cf.OptionError, "unknown family 'logit'; did you mean 'binomial'?", "hit ~ treat(a) + x", {"family": "logit"}),
        (cf.OptionError, "did you mean 'binomial'?", "hit ~ treat(a) + x", {"family": "Logistic"}),
        (cf.OptionError, "did you mean \"binomial(link = 'probit')\"?", "hit ~ treat(a) + x", {"family": "probit"}),
        (cf.OptionError, "'m' has no level 'hih'; did you mean 'high'? Its levels are high, low, mid",
         "y ~ treat(m) + x", {"contrast": ("hih", "low")}),
        (cf.OptionError, "'m' has no level '7'; its levels are", "y ~ treat(m) + x", {"contrast": (7, "low")}),
        (cf.OptionError, "is not a level of 'm'; did you mean 'mid'? Its levels", 'y ~ treat(m, ref = "mi") + x', {}),
        (cf.OptionError, "the data have no column 'foo'; the data have x, a, m, y", F, {"vcov": "~foo"}),
        (cf.OptionError, "and 'DK ~ time'; HC3 has", F, {"vcov": "HC3", "ssc": SSC}),
        (cf.OptionError, "and 'DK ~ time'; Bootstrap has", F, {"vcov": "bootstrap", "ssc": SSC}),
        (cf.OptionError, "ssc takes small-sample rules, as in ssc=cf.ssc(K_fixef='full')", F, {"ssc": "full"}),
        (cf.FormulaError, "for a curve write treat(cut(q, 3)) or treat(factor(q))", "y ~ treat(q) + I(q^2)", {}),
        (cf.FormulaError, "or use cf.lm with poly(x, 2)", "y ~ treat(x) + modify(x)", {}),
    ],
)  # fmt: skip
def test_options(data, kind, message, formula, options):
    with pytest.raises(kind, match=re.escape(message)):
        cf.fit(formula, data, **options)


def test_what_the_messages_advise_works(data):
    assert len(cf.fit("y ~ treat(cut(q, 3)) + x", data).tidy()) >= 1
    assert len(cf.fit("y ~ treat(factor(q)) + x", data).tidy()) == 2
    assert cf.fit("hit ~ treat(a) + x", data, measure="nnt").estimate != 0


def test_a_class_of_options_is_its_defaults(data):
    assert cf.fit(F, data, method=cf.Regression).estimate == cf.fit(F, data, method="regression").estimate
    lin = cf.fit(F, data, method=cf.Regression, interact=True)
    assert lin.estimate == cf.fit(F, data, method=cf.Regression(interact=True)).estimate


def test_a_focal_level_is_in_the_title(data):
    text = str(cf.fit("y ~ treat(m) + x", data, estimand="ATT", focal="low"))
    assert text.startswith("Average treatment effect of m on y among units with m = low\n")
    assert "Estimand: ATT (m = low)" in text
    assert "on the treated of a on y" in str(cf.fit(F, data, estimand="ATT"))


def test_a_dose_of_a_few_whole_values_is_noted(data):
    note = "Note: q is treated as a dose, with values 0, 1, 9; write treat(factor(q)) for levels"
    assert note in str(cf.fit("y ~ treat(q) + x", data))
    assert "Note" not in str(cf.fit("y ~ treat(factor(q)) + x", data))
    assert "Note" not in str(cf.fit("y ~ treat(x) + a", data))
    assert "Note" not in str(cf.fit("y ~ treat(I(q / 2)) + x", data))


def test_numbers_for_a_logical(data):
    model = cf.lm("y ~ flag", data)
    expected = model.predict(pd.DataFrame({"flag": [False, True]})).to_numpy()
    np.testing.assert_array_equal(model.predict(pd.DataFrame({"flag": [0, 1]})), expected)
    assert np.isnan(model.predict(pd.DataFrame({"flag": [np.nan, 1.0]})).iloc[0])
    with pytest.raises(cf.DataError, match="flag was a factor when this was fitted, and here it is a number"):
        model.predict(pd.DataFrame({"flag": [0, 2]}))


def test_tables_and_pictures_of_something_else(data):
    with pytest.raises(cf.OptionError, match=r"table\(\) lays out fits .* not int"):
        cf.table([1])
    with pytest.raises(cf.OptionError, match=r"plots.coefficients draws a fit, as of cf.fit\(...\), not int"):
        cf.plots.coefficients([cf.lm("y ~ x", data), 1])


# -- data ----------------------------------------------------------------------------------------------------------


def _shorter(data):
    data.drop(data.index[50:], inplace=True)


def _reordered(data):
    data.sort_values("x", inplace=True)


def _poorer(data):
    del data["g"]


@pytest.mark.parametrize("change", [_shorter, _reordered, _poorer])
def test_data_that_change_after_the_fit(data, change):
    own = data.copy()
    causal, model = cf.fit(F, own), cf.lm("y ~ a + x", own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas on inplace=
        change(own)
    for again in (lambda: causal.with_vcov("~g"), lambda: causal.by("g"), lambda: model.with_vcov("~g")):
        with pytest.raises(cf.DataError, match="the data have changed since the fit"):
            again()
    assert causal.with_vcov("HC3").std_error > 0


def test_data_of_other_units_are_not_subtracted(data):
    fit = cf.fit(F, data)
    later = data.iloc[30:80].reset_index(drop=True)
    with pytest.raises(cf.DataError, match=r"of 50, 90 rows, whose labels are their positions.*set_index.*subset="):
        fit - cf.fit(F, later)
    with pytest.raises(cf.DataError, match="do not say which rows are the same unit"):
        cf.stack([fit, cf.fit(F, pl.from_pandas(later))])
    # labels that are kept, and the first rows of the same data, do say so
    for part in (data.iloc[30:80], data.iloc[:50], data[data["x"] > 0]):
        assert (fit - cf.fit(F, part)).tidy()["std.error"].iloc[0] > 0
    assert (fit - cf.fit(F, data, subset="x > 0")).tidy()["std.error"].iloc[0] > 0


# -- warnings ------------------------------------------------------------------------------------------------------


def _caught(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return caught


def test_warnings_point_at_the_caller(data):
    separated = data.assign(u=(data["x"] > 0).astype(int))
    calls = (
        lambda: cf.fit("u ~ treat(a) + x", separated, family="binomial"),
        lambda: cf.glm("u ~ x", separated, family="binomial"),
        lambda: cf.lm("y ~ a + y", data),
        lambda: cf.lm("y ~ x", data.assign(y=data["x"])).summary(),
        lambda: cf.lm("y ~ x + alone", data.assign(alone=data.index == 3), vcov="HC3"),
        lambda: cf.lm("y ~ as.numeric(m)", data.assign(m=["1", "b"] + ["2"] * 88)),
    )
    for call in calls:
        caught = _caught(call)
        assert caught
        assert {os.path.basename(w.filename) for w in caught} == {"test_requests.py"}, [str(w) for w in caught]
        assert {w.category for w in caught} == {cf.CausalFormulaWarning}


def test_replicates_do_not_warn(data):
    rare = data.assign(r=(data.index < 4).astype(int), u=((data["x"] > 0.4) | (data.index < 3)).astype(int))
    plain = _caught(lambda: cf.fit("u ~ treat(a) + r", rare, family="binomial"))
    many = _caught(lambda: cf.fit("u ~ treat(a) + r", rare, family="binomial", vcov=cf.Bootstrap(reps=40, seed=1)))
    assert [str(w.message) for w in many] == [str(w.message) for w in plain]


def test_infinite_values_are_told_once(data):
    def call():
        with pytest.raises(cf.DataError, match="is infinite in 90 rows"):
            cf.fit("y ~ treat(a) + I(x * 1e400)", data)

    assert not _caught(call)


def test_a_lazy_frame_is_not_queried(data):
    def call():
        with pytest.raises(cf.DataError, match=r"call \.collect\(\) first"):
            cf.model_matrix("~ x", pl.from_pandas(data).lazy())

    assert not _caught(call)
