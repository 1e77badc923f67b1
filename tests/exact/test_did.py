"""A difference in differences by its definition: cells, means, how groups and periods may be written, resampling."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

F = "Severity ~ did(Drug, Post, unit = id)"
RTOL = 1e-10


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return cf.datasets.load("did_panel").iloc[:400]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


def close(a, b, rtol=RTOL):
    np.testing.assert_allclose(np.asarray(a, dtype=float), np.asarray(b, dtype=float), rtol=rtol)


def four(data, w=None):
    """Means of group x period, weighted."""
    w = np.ones(len(data)) if w is None else w
    g = [data["Drug"], data["Post"]]
    return ((data["Severity"] * w).groupby(g).sum() / pd.Series(w, data.index).groupby(g).sum()).unstack()


@pytest.mark.parametrize("weights", [None, "w"])
def test_without_controls_it_is_four_means(panel, weights):
    data = panel.assign(w=1 + panel["id"] % 4)
    fit = cf.fit(F + (" + weights(w)" if weights else ""), data)
    means = four(data, None if weights is None else data["w"])
    close(fit.estimate, means.loc[1, 1] - means.loc[1, 0] - means.loc[0, 1] + means.loc[0, 0])
    close(fit.cells()["mean"], means.to_numpy().ravel())
    close(fit.means().tidy()["estimate"], [means.loc[1, 1] - fit.estimate, means.loc[1, 1]])
    assert fit.cells()[["rows", "units"]].to_numpy().tolist() == [[n, n] for n in fit.cells()["rows"]]


def test_with_controls_the_counterfactual_is_the_regressions(panel):
    fit = cf.fit(F + " + Quality_of_Care * Post + offset(I.H)", panel)
    model = fit.outcome
    after = panel[(panel["Drug"] == 1) & (panel["Post"] == 1)]
    predict = lambda **cell: model.predict(after.assign(**cell)).mean()  # noqa: E731
    without = predict(Post=0) + predict(Drug=0) - predict(Drug=0, Post=0)
    close(fit.means().tidy()["estimate"], [without, after["Severity"].mean()])
    close(fit.estimate, after["Severity"].mean() - without)
    close(fit.estimate, model.params["Drug:Post"])


WRITTEN = {
    "logical": lambda d: {"Drug": d["Drug"] == 1, "Post": d["Post"] == 1},
    "text": lambda d: {"Drug": np.where(d["Drug"] == 1, "yes", "no"), "Post": np.where(d["Post"] == 1, "t2", "t1")},
    "categories": lambda d: {
        "Drug": pd.Categorical(np.where(d["Drug"] == 1, "a", "b"), ["b", "a"]),
        "Post": pd.Categorical(np.where(d["Post"] == 1, "after", "before"), ["unused", "before", "after"]),
    },
    "years": lambda d: {"Post": np.where(d["Post"] == 1, 2014, 2010)},
    "large numbers": lambda d: {"Post": d["Post"] + 1e9},
    "dates": lambda d: {"Post": pd.to_datetime(np.where(d["Post"] == 1, "2021-03-01", "2020-01-01"))},
    "switched on": lambda d: {"Drug": d["Drug"] * d["Post"]},
    "switched on, logical": lambda d: {"Drug": (d["Drug"] * d["Post"]) == 1},
}


@pytest.mark.parametrize("written", WRITTEN)
def test_however_groups_and_periods_are_written(panel, written):
    formula = F + " + Quality_of_Care"
    plain, fit = cf.fit(formula, panel), cf.fit(formula, panel.assign(**WRITTEN[written](panel)))
    close(fit.estimate, plain.estimate)
    close(fit.std_error, plain.std_error)
    close(fit.means().tidy()[["estimate", "std.error"]], plain.means().tidy()[["estimate", "std.error"]])
    close(fit.cells()["mean"], plain.cells()["mean"])
    # the interaction in the regression is the effect, also where the period is a year or a date
    close(fit.outcome.params.iloc[-1], plain.estimate)


@pytest.mark.parametrize("written", ["years", "dates", "text", "categories"])
def test_predictions_for_new_data(panel, written):
    data = panel.assign(**WRITTEN[written](panel))
    fit = cf.fit(F + " + Quality_of_Care", data)
    close(fit.outcome.predict(data.iloc[5:15]), fit.outcome.predict().iloc[5:15])


def test_a_treatment_that_switches_on_is_said_to_be_a_group(panel):
    fit = cf.fit(F, panel.assign(Drug=panel["Drug"] * panel["Post"]))
    treated = panel.loc[panel["Drug"] == 1, "id"].nunique()
    note = "Drug switches on within id: it was taken for the group that is treated at Post = 1, in both periods"
    assert f"{note} ({treated} units)" in str(fit)


def test_a_missing_group_is_a_dropped_row_and_a_lone_unit_is_counted(panel):
    fit = cf.fit(F, panel.assign(Drug=panel["Drug"].where(panel.index > 2)))
    assert "(3 observations deleted due to missingness: Drug: 3)" in str(fit)
    assert "1 unit of id is observed in one period only, and takes part in the means of that period" in str(fit)
    close(fit.estimate, cf.fit(F, panel.iloc[3:]).estimate)


# -- covariances ---------------------------------------------------------------------------------------------------


def test_default_covariances(panel):
    data = panel.assign(g=panel["id"] % 20, w=1.0 + panel["id"] % 3)
    defaults = {
        "did(Drug, Post)": "classical",
        "did(Drug, Post, unit = id)": "~id",
        "did(Drug, Post, unit = id) + cluster(g)": "~g",
        "did(Drug, Post) + weights(w)": "linearised",
        "did(Drug, Post, unit = id) + weights(w)": "~id",
    }
    for right, vcov in defaults.items():
        fit = cf.fit("Severity ~ " + right, data)
        assert fit.glance()["vcov"].iloc[0] == vcov, right
        assert fit.std_error == fit.with_vcov(vcov).std_error
    assert cf.fit(F, data, vcov="HC2").covariance.label == "HC2"


@pytest.mark.parametrize("vcov", [cf.Bootstrap(reps=99, seed=1), "jackknife", cf.Wild(reps=199, seed=1)])
def test_units_are_resampled_whole(panel, vcov):
    fit = cf.fit(F + " + Quality_of_Care", panel, vcov=vcov)
    assert "clusters of id" in fit.covariance.label
    assert fit.std_error == pytest.approx(cf.fit(F + " + Quality_of_Care", panel).std_error, rel=0.25)


def test_fits_are_compared_over_the_units(panel):
    plain, adjusted = cf.fit(F, panel), cf.fit(F + " + Quality_of_Care", panel)
    difference = adjusted - plain
    psi = (adjusted.influence() - plain.influence())[:, 0]
    close(difference.estimate, adjusted.estimate - plain.estimate)
    sums = pd.Series(psi).groupby(panel["id"].to_numpy()).sum()
    n, size = len(psi), len(sums)
    assert difference.std_error == pytest.approx(np.sqrt((sums**2).sum() * size / (size - 1)) / n, rel=2e-2)
    table = cf.table([plain, adjusted])
    assert "Clustered by id" in str(table)


def test_measures_other_than_the_difference(panel):
    low, high = cf.fit(F, panel).means().tidy()["estimate"]
    close(cf.fit(F, panel, measure="ratio").estimate, high / low)
    close(cf.fit(F, panel, contrast=(1, 0)).estimate, low - high)


# -- print and keeping ---------------------------------------------------------------------------------------------


def test_the_print(panel):
    fit = cf.fit(F + " + Quality_of_Care", panel)
    text = str(fit)
    assert text.startswith("Average treatment effect on the treated of Drug on Severity\nMethod: difference in diff")
    assert "Mean of Severity\n         Post = 0 Post = 1 Change\n" in text
    assert "The estimate is adjusted for Quality_of_Care\n" in text
    assert "Rows, and units of id\n         Post = 0 Post = 1 Units\n" in text
    assert "lm(Severity ~ Drug + Post + Quality_of_Care + Drug:Post)" in str(fit.summary())
    means = "Of the rows with Drug = 1 at Post = 1: Drug = 0, without treatment, is by parallel trends"
    assert means in str(fit.means())
    assert "Mean of" not in str(fit.means()) + str(fit.hypothesis("b1 = 0"))
    assert "<table" in fit._repr_html_()
    assert "Difference in differences" in fit.summary().as_latex()


def test_it_pickles(panel):
    back = pickle.loads(pickle.dumps(cf.fit(F, panel)))
    assert str(back) == str(cf.fit(F, panel))
    pd.testing.assert_frame_equal(back.cells(), cf.fit(F, panel).cells())
