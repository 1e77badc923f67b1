"""Pictures hold what the result says: positions, lines, labels, scales."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from statsmodels.nonparametric.smoothers_lowess import lowess

import causalformula as cf
from causalformula.plots import draw

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def heart():
    heart = cf.datasets.load("heart")
    rng = np.random.default_rng(3)
    return heart.assign(
        arm=rng.choice(["a", "b", "c"], len(heart)),
        sex=rng.choice(["F", "M"], len(heart)),
        severe=(heart["Severity"] > 52).astype(int),
    )


@pytest.fixture(scope="module")
def fit(heart):
    return cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart)


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def segments(ax):
    """Limits of the intervals drawn, (rows, 2)."""
    (collection,) = ax.collections
    return np.array([path[:, 0] for path in collection.get_segments()])


def vertical(ax):
    """Where dashed vertical lines stand."""
    return [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]


def test_axes_given_are_used_and_returned(fit):
    _, ax = plt.subplots()
    assert fit.plot("effects", ax=ax) is ax
    _, ax = plt.subplots()
    assert fit.plot("outcome", ax=ax) is ax
    before = len(plt.get_fignums())
    fit.plot(ax=ax)
    assert len(plt.get_fignums()) == before


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_effects_are_points_with_their_intervals(heart, level):
    result = cf.fit("Severity ~ treat(arm) + adjust(I.H)", heart, contrast="pairwise")
    ax = result.plot("effects", level=level)
    tidy = result.tidy(level=level)
    assert rows(ax) == [f"arm {contrast}" for contrast in tidy["contrast"]]
    np.testing.assert_array_equal(segments(ax), tidy[["conf.low", "conf.high"]])
    points = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xdata(), tidy["estimate"])
    assert vertical(ax) == [0.0]
    assert ax.yaxis_inverted()
    assert f"{100 * level:g}% interval" in ax.get_xlabel()


def test_groups_are_rows(heart):
    by = cf.fit("Severity ~ treat(Drug) + modify(sex) + I.H", heart).by("sex")
    assert rows(by.plot()) == ["sex=F Drug 1 - 0", "sex=M Drug 1 - 0"]


@pytest.mark.parametrize("measure", ["ratio", "odds_ratio"])
def test_ratios_stand_on_a_logarithmic_axis_about_one(heart, measure):
    result = cf.fit("severe ~ treat(arm) + I.H", heart, family="binomial", measure=measure)
    ax = result.plot()
    assert ax.get_xscale() == "log"
    assert vertical(ax) == [1.0]
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert len(ticks) >= 3
    assert not any("$" in ax.xaxis.get_major_formatter()(tick) for tick in ticks)


def test_differences_stand_on_a_linear_axis(fit):
    assert fit.plot().get_xscale() == "linear"


def test_means_have_no_line_of_no_effect(fit):
    ax = fit.means().plot()
    assert rows(ax) == ["Drug 0", "Drug 1"]
    assert vertical(ax) == []


def test_an_interval_through_infinity_is_two_half_lines(heart):
    result = cf.fit("severe ~ treat(arm) + I.H", heart, family="binomial", measure="nnt")
    ax = result.plot(level=0.9)
    assert result.tidy()["conf.low"].isna().all()
    points = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xdata(), result.tidy()["estimate"])
    assert vertical(ax) == []
    differences = cf.fit("severe ~ treat(arm) + I.H", heart, family="binomial").tidy(level=0.9)
    whole, left, right = ax.collections
    assert not any(len(path) for path in whole.get_segments())
    starts, ends = (np.array([path[:, 0] for path in side.get_segments()]) for side in (left, right))
    np.testing.assert_allclose(starts[:, 1], 1 / differences["conf.low"])
    np.testing.assert_allclose(ends[:, 0], 1 / differences["conf.high"])
    arrows = {line.get_marker(): line.get_xdata() for line in ax.lines if line.get_marker() in "<>"}
    np.testing.assert_array_equal(arrows["<"], starts[:, 0])
    np.testing.assert_array_equal(arrows[">"], ends[:, 1])
    low, high = ax.get_xlim()
    assert low <= starts.min() and ends.max() <= high
    assert "the difference may be zero" in ax.get_xlabel()


def test_a_number_needed_to_treat_with_limits_has_its_interval(heart):
    result = cf.fit("severe ~ treat(Drug) + I.H", heart, family="binomial", measure="nnt")
    ax = result.plot()
    np.testing.assert_array_equal(segments(ax), result.tidy()[["conf.low", "conf.high"]])
    assert "zero" not in ax.get_xlabel()


@pytest.mark.parametrize(
    ("formula", "given", "label"),
    [
        ("Severity ~ treat(I.H) + Drug", {}, "Effect on Severity, ATE, 95% interval"),
        ("Severity ~ treat(Drug) + I.H", {}, "Effect on Severity (difference of means), ATE, 95% interval"),
        ("severe ~ treat(I.H)", {"family": "binomial", "measure": "ratio"}, "Effect on severe (ratio of means), ATE"),
    ],
)
def test_the_axis_says_what_the_numbers_are(heart, formula, given, label):
    assert cf.fit(formula, heart, method="regression", **given).plot().get_xlabel().startswith(label)


def test_what_was_derived_is_no_effect_on_the_outcome(fit, heart):
    assert fit.hypothesis("b1 = -10").plot().get_xlabel() == "Estimate, 95% interval"
    assert (fit - cf.fit("Severity ~ treat(Drug)", heart)).plot().get_xlabel() == "Estimate, 95% interval"


def test_long_names_leave_room_for_the_picture(heart):
    long = heart.assign(arm="a very long name of a level of the treatment, namely the one called " + heart["arm"])
    result = cf.fit("Severity ~ treat(arm)", long)
    for kind, texts in (("effects", None), ("outcome", "legend")):
        ax = result.plot(kind)
        ax.figure.canvas.draw()
        labels = ax.get_yticklabels() if texts is None else ax.get_legend().get_texts()
        shown = [label.get_text() for label in labels]
        assert max(len(line) for text in shown for line in text.splitlines()) <= draw.LABEL_WIDTH + len(": mean 12.34")
        assert max(text.count("\n") for text in shown) < draw.LABEL_LINES
        page, boxes = ax.figure.bbox, [label.get_window_extent() for label in labels]
        assert ax.get_window_extent().width > 0.4 * page.width
        assert all(page.x0 <= box.x0 and box.x1 <= page.x1 for box in boxes)


def test_the_legend_hides_no_bar(heart):
    for formula in ("Severity ~ treat(arm)", "severe ~ treat(Drug)"):
        ax = cf.fit(formula, heart).plot("outcome")
        ax.figure.canvas.draw()
        bars = [patch for patch in ax.patches if patch.get_window_extent().height > 0]
        assert not any(ax.get_legend().get_window_extent().overlaps(patch.get_window_extent()) for patch in bars)


def test_outcome_against_the_confounder_with_the_models_lines(fit, heart):
    ax = fit.plot("outcome")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("I.H", "Severity")
    lines = {line.get_label(): line for line in ax.lines if line.get_label().startswith("Drug")}
    assert list(lines) == ["Drug = 0", "Drug = 1"]
    b = fit.outcome.params
    for level, line in enumerate(lines.values()):
        x = line.get_xdata()
        assert (x[0], x[-1]) == (heart["I.H"][heart["Drug"] == level].min(), heart["I.H"][heart["Drug"] == level].max())
        np.testing.assert_allclose(line.get_ydata(), b["(Intercept)"] + b["Drug"] * level + b["I.H"] * x, rtol=1e-12)
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in points) == len(heart)


def test_with_more_covariates_each_arm_has_its_own_smooth(heart):
    ax = cf.fit("Severity ~ treat(Drug) + sex + I.H", heart).plot("outcome")
    assert ax.get_xlabel() == "I.H"
    line = next(line for line in ax.lines if line.get_label() == "Drug = 1")
    arm = heart[heart["Drug"] == 1]
    width = 0.01 * np.ptp(arm["I.H"])
    np.testing.assert_allclose(line.get_xydata(), lowess(arm["Severity"], arm["I.H"], frac=2 / 3, delta=width))
    # few values have no smooth: a straight line
    coarse = heart.assign(x=heart["I.H"].round(-1) // 20)
    ax = cf.fit("Severity ~ treat(Drug) + sex + x", coarse).plot("outcome")
    line = next(line for line in ax.lines if line.get_label() == "Drug = 1")
    slope, intercept = np.polyfit(coarse["x"][coarse["Drug"] == 1], arm["Severity"], 1)
    np.testing.assert_allclose(line.get_ydata(), intercept + slope * line.get_xdata(), rtol=1e-8)


def test_without_a_confounder_the_distributions_are_drawn(heart):
    ax = cf.fit("Severity ~ treat(Drug)", heart).plot("outcome")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Severity", "Density")
    np.testing.assert_allclose(vertical(ax), heart.groupby("Drug")["Severity"].mean())
    assert len(ax.get_legend().get_texts()) == 2


def test_a_binary_outcome_is_drawn_as_shares(heart):
    ax = cf.fit("severe ~ treat(Drug)", heart).plot("outcome")
    heights = sorted(patch.get_height() for patch in ax.patches)
    risk = heart.groupby("Drug")["severe"].mean()
    np.testing.assert_allclose(heights, sorted([*risk, *(1 - risk)]))


def test_a_dose_takes_the_confounders_place(heart):
    ax = cf.fit("Severity ~ treat(I.H)", heart, method="regression").plot("outcome")
    assert ax.get_xlabel() == "I.H"
    assert ax.get_legend() is None


def test_many_rows_are_drawn_in_part(heart):
    many = pd.concat([heart] * 12, ignore_index=True)
    ax = cf.fit("Severity ~ treat(Drug) + I.H", many).plot("outcome")
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in points) == draw.MOST_POINTS


def test_a_picture_changes_nothing(fit):
    before = fit.call.frame.y.copy()
    fit.plot("outcome"), fit.plot("effects")
    np.testing.assert_array_equal(fit.call.frame.y, before)


def test_an_unknown_picture_is_an_option_error(fit):
    with pytest.raises(cf.OptionError, match=r"choose from effects, outcome; .*fit\.design\.plot\('love'\)$"):
        fit.plot("love")
    with pytest.raises(cf.OptionError, match=r"'nothing'; choose from effects, outcome$"):
        fit.plot("nothing")


def test_coefficients_of_a_model(heart):
    model = cf.lm("Severity ~ Drug + I.H + sex", heart)
    ax = cf.plots.coefficients(model, level=0.9)
    assert rows(ax) == ["Drug", "I.H", "sexM"]
    tidy = model.tidy(level=0.9)
    np.testing.assert_array_equal(segments(ax), tidy[["conf.low", "conf.high"]][1:])
    assert rows(cf.plots.coefficients(model, intercept=True))[0] == "(Intercept)"
    assert rows(model.plot(level=0.9)) == rows(ax)
    assert rows(model.plot(intercept=True))[0] == "(Intercept)"
    assert model.plot(ax=ax) is ax
    with pytest.raises(cf.DataError, match="no coefficient but its intercept"):
        cf.plots.coefficients(cf.lm("Severity ~ 1", heart))


@pytest.mark.parametrize("ax", [3, "here", [1, 2]])
def test_what_is_no_axes_is_refused(ax):
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", cf.datasets.load("heart"))
    with pytest.raises(cf.OptionError, match="ax must be a matplotlib Axes"):
        fit.plot(ax=ax)
    with pytest.raises(cf.OptionError, match="ax must be a matplotlib Axes"):
        cf.plots.coefficients(fit.outcome, ax=ax)
