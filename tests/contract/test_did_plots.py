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


# -- groups that are treated at different times ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def staggered():
    rng = np.random.default_rng(4)
    start = np.array([0, 3, 4])[np.arange(90) % 3]
    data = pd.DataFrame(
        {"id": np.repeat(np.arange(90), 5), "g": np.repeat(start, 5), "t": np.tile(np.arange(1, 6), 90)}
    )
    return data.assign(y=rng.normal(size=450) + 2.0 * ((data["g"] > 0) & (data["t"] >= data["g"])))


G = "y ~ did(g, t, unit = id)"


def test_the_grid_of_groups_and_periods(staggered):
    fit = cf.fit(G, staggered)
    ax = fit.plot()
    table = fit.tidy().set_index(["group", "time"])["estimate"]
    (image,) = ax.images
    shown = image.get_array()
    assert shown.shape == (2, 5) and shown.mask[:, 0].all()
    for row, group in enumerate((3, 4)):
        np.testing.assert_allclose(shown[row, 1:], table[group], rtol=1e-12)
    band = fit.simultaneous(seed=1).table
    starred = [text.get_text() for text in ax.texts if text.get_text().endswith("*")]
    assert len(starred) == ((band["conf.low"] > 0) | (band["conf.high"] < 0)).sum() == 5
    assert (ax.get_ylabel(), ax.get_xlabel()[:3]) == ("g", "t  ")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["3", "4"]
    # where the treatment begins
    bars = [line.get_segments()[0] for line in ax.collections]
    assert [bar[0][0] for bar in bars] == [1.5, 2.5]


@pytest.mark.parametrize("base", ["varying", "universal"])
def test_an_event_study(staggered, base):
    fit = cf.fit(G, staggered, base_period=base).aggregate("dynamic")
    ax = fit.plot(level=0.9)
    table, band = fit.tidy(level=0.9), fit.simultaneous(0.9, seed=1).table
    wide, narrow = (np.array([s[:, 1] for s in lines.get_segments()]) for lines in ax.collections)
    np.testing.assert_allclose(wide, band[["conf.low", "conf.high"]])
    np.testing.assert_allclose(narrow, table[["conf.low", "conf.high"]])
    assert (wide[:, 1] > narrow[:, 1]).all()
    said = ["before treatment", *(["reference"] if base == "universal" else [])]
    assert texts(ax) == [*said, "90% interval of each", "90% band for all at once"]
    hollow, solid = (line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata()) > 0)
    assert hollow.get_xdata().tolist() == table["event"][table["event"] < 0].tolist()
    assert solid.get_xdata().tolist() == [0, 1, 2]
    marked = [line for line in ax.lines if line.get_marker() == "D" and len(line.get_xdata())]
    assert [line.get_xdata()[0] for line in marked] == ([-1] if base == "universal" else [])
    assert ax.get_xlabel() == "Time since treatment"


def test_summaries_by_group_and_period(staggered):
    fit = cf.fit(G, staggered)
    for kind, label, ticks in (("group", "First treated period", ["3", "4"]), ("calendar", "Period", ["3", "4", "5"])):
        ax = fit.aggregate(kind).plot()
        assert ax.get_xlabel() == label
        assert [t.get_text() for t in ax.get_xticklabels()] == ticks
    assert fit.aggregate("group").overall.plot().get_xlabel().startswith("Effect on y")
    with pytest.raises(cf.OptionError, match="choose from event_study, effects"):
        fit.aggregate("group").plot("grid")


def test_paths_of_the_groups(staggered):
    fit = cf.fit(G, staggered)
    ax = fit.plot("trends")
    drawn = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert list(drawn) == ["g = 3", "g = 4", "g = never", "without treatment, if trends are parallel"]
    cells = fit.cells().set_index(["g", "t"])["mean"]
    np.testing.assert_allclose(drawn["g = 3"].get_ydata(), cells["3"])
    without = next(line for line in ax.lines if line.get_linestyle() == "--").get_ydata()
    effects = fit.tidy().query("group == 3 and time >= 3")["estimate"]
    np.testing.assert_allclose(without[2:], cells["3"].to_numpy()[2:] - effects.to_numpy())
    assert without[1] == pytest.approx(cells["3"].iloc[1])


def test_event_studies_of_several_estimators(staggered):
    f = "y ~ did(g, t, unit = id)"
    sunab = cf.fit(f, staggered, "sunab")
    imputed = cf.fit(f, staggered, "imputation", pretrends=True).aggregate("dynamic")
    ax = sunab.plot(beside={"imputation": imputed, "two-way": cf.fit(f, staggered, event_study=True)})
    labels = texts(ax)
    assert labels[:3] == ["Sun-Abraham event study", "imputation", "two-way"] and "reference" in labels
    table = sunab.tidy()
    points = [line for line in ax.lines if len(line.get_ydata()) == (table["event"] >= 0).sum()]
    np.testing.assert_allclose(points[0].get_ydata(), table["estimate"][table["event"] >= 0], rtol=1e-12)
    np.testing.assert_allclose(points[0].get_xdata(), points[1].get_xdata() - 0.16)
    diamonds = [line for line in ax.lines if line.get_marker() == "D" and len(line.get_xdata())]
    assert len(diamonds) == 2 and all(line.get_ydata()[0] == 0 for line in diamonds)  # an imputation has none
    assert ax.get_xlabel() == "Time since treatment"
    one = sunab.plot()
    assert len([line for line in one.lines if line.get_marker() == "D" and len(line.get_xdata())]) == 1
    assert cf.fit(f, staggered, "imputation").plot().get_xlabel().startswith("Effect on y")
    assert cf.fit(f, staggered, "etwfe").aggregate("group").plot().get_xlabel() == "First treated period"


def test_the_decomposition_has_a_point_for_each_comparison(staggered):
    found = cf.fit("y ~ did(g, t, unit = id)", staggered, "imputation").decompose()
    ax = found.plot()
    table = found.to_frame()
    x, y = (np.concatenate(values) for values in zip(*(line.get_data() for line in ax.lines[2:]), strict=True))
    np.testing.assert_allclose(np.sort(x), np.sort(table["weight"]))
    np.testing.assert_allclose(np.sort(y), np.sort(table["estimate"]))
    assert ax.lines[1].get_ydata()[0] == found.coefficient
    assert any(text.startswith("Treated vs Untreated (weight 0.") for text in texts(ax))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Weight", "Difference in differences of y")
