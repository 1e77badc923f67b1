"""The trends of a difference in differences: four means, and where the treated would be without treatment."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

import causalformula as cf

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

F = "Severity ~ did(Drug, Post, unit = id)"


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def panel():
    return cf.datasets.load("did_panel").iloc[:400]


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("more", ["", " + Quality_of_Care"])
def test_trends_are_the_means_and_the_counterfactual(panel, more):
    fit = cf.fit(F + more, panel)
    ax = fit.plot("trends")
    means = fit.cells()["mean"].to_numpy().reshape(2, 2)
    others, treated, without, _ = ax.lines
    np.testing.assert_array_equal(others.get_ydata(), means[0])
    np.testing.assert_array_equal(treated.get_ydata(), means[1])
    np.testing.assert_allclose(without.get_ydata(), [means[1, 0], fit.means().tidy()["estimate"][0]], rtol=1e-12)
    assert without.get_linestyle() == "--"
    if not more:  # parallel to the others
        assert np.diff(without.get_ydata())[0] == pytest.approx(np.diff(means[0])[0])
    assert texts(ax)[:2] == ["Drug = 0", "Drug = 1"]
    assert texts(ax)[2].replace("\n", " ") == "Drug = 1 without treatment, if trends are parallel" + (
        ", given Quality_of_Care" if more else ""
    )
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Post", "Mean of Severity")
    assert f"effect\n{fit.estimate:.4g}" in [t.get_text() for t in ax.texts]


def test_periods_are_named_as_the_data_have_them(panel):
    dates = pd.to_datetime(np.where(panel["Post"] == 1, "2021-03-01", "2020-01-01"))
    ax = cf.fit(F, panel.assign(Post=dates)).plot("trends")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2020-01-01", "2021-03-01"]


def test_axes_given_and_effects(panel):
    fit = cf.fit(F, panel)
    _, ax = plt.subplots()
    assert fit.plot("trends", ax=ax) is ax
    assert fit.plot().get_xlabel() == "Effect on Severity (difference of means), ATT, 95% interval"
    assert fit.means().plot("trends").get_ylabel() == "Mean of Severity"
    with pytest.raises(cf.OptionError, match="ax must be a matplotlib Axes"):
        fit.plot("trends", ax=3)
