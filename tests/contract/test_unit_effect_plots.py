"""Pictures of unit effects and of what targeting gains: the numbers that are drawn, and legends beside the data."""

from __future__ import annotations

import matplotlib
import matplotlib.dates
import numpy as np
import pytest
from statsmodels.nonparametric.smoothers_lowess import lowess

from causalformula.diagnostics.effect_calibration import effect_groups
from causalformula.diagnostics.targeting import TENTHS, difference, score_curve
from causalformula.diagnostics.uplift import outcome_curve
from causalformula.errors import OptionError
from causalformula.plots import targeting, unit_effects

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    t = rng.integers(0, 2, 400).astype(float)
    y = (rng.random(400) < 0.3 + 0.2 * t * (x > 0)).astype(float)
    return x, t, y, 0.2 * (x > 0) + rng.normal(size=400)


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line(ax, label):
    """Points (2, k) of the line with this label."""
    (found,) = [drawn for drawn in ax.lines if str(drawn.get_label()).startswith(label)]
    return np.array(found.get_data())


def above(ax, top):
    """Whether the legend stands above this height of the data."""
    ax.figure.canvas.draw()
    bottom = ax.get_legend().get_window_extent().y0
    return bottom >= ax.transData.transform((0, top))[1]


def band(ax, which=0):
    """Corners of a band."""
    return ax.collections[which].get_paths()[0].vertices


# ---- curves ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "height"), targeting.HEIGHTS.items())
def test_a_curve_with_its_band_and_chance(study, kind, height):
    x, *_, scores = study
    curve = score_curve(scores, x, kind, share=TENTHS, reps=30)
    _, ax = plt.subplots()
    assert targeting.curves({"t_learner": curve}, ax, unit="visits", level=0.8) is ax
    starts = int(kind in ("gain", "qini"))
    at, value = line(ax, "t_learner")
    np.testing.assert_array_equal(value[starts:], curve.value)
    np.testing.assert_array_equal(line(ax, "at random")[1][starts:], curve.random)
    assert (at[0], at[-1]) == ((0.0 if starts else 0.1), 1.0)
    low, high = curve.limits(0.8)
    heights = band(ax)[:, 1]
    for limit in (*low, *high):
        assert np.isclose(heights, limit).any()
    assert ax.get_xlabel() == "Share treated, the highest priority first"
    assert ax.get_ylabel() == f"{height} (visits)"
    name = {"toc": "AUTOC", "qini": "QINI"}.get(kind, "area above random")
    assert labels(ax) == [f"t_learner: {name} {curve.area:.3g} (s.e. {curve.area_se:.2g})", "at random"]
    assert above(ax, high.max())


def test_bands_of_the_fewest_are_cut_off(study):
    x, *_, scores = study
    curve = score_curve(scores, x, reps=50)
    ax = targeting.curves({"a": curve})
    _, high = curve.limits()
    most = max(high[curve.share >= targeting.FEW].max(), curve.value.max())
    assert high.max() > most
    assert band(ax)[:, 1].max() == pytest.approx(most)
    assert above(ax, most)


def test_a_curve_without_half_samples_has_no_band(study):
    x, *_, scores = study
    curve = score_curve(scores, x, reps=0)
    ax = targeting.curves({"a": curve})
    assert not ax.collections
    assert labels(ax) == [f"a: AUTOC {curve.area:.3g}", "at random"]


def test_chance_is_drawn_once_where_the_curves_agree_on_it(study):
    x, *_, scores = study
    shared = {name: score_curve(scores, p, "gain", reps=0) for name, p in {"a": x, "b": -x}.items()}
    assert [drawn.get_linestyle() for drawn in targeting.curves(shared).lines] == ["-", "-", "--"]
    apart = shared | {"c": score_curve(scores + 1, x, "gain", reps=0)}
    assert [drawn.get_linestyle() for drawn in targeting.curves(apart).lines].count("--") == 3
    both = difference(*(score_curve(scores, p, reps=10) for p in (x, -x)))
    np.testing.assert_array_equal(line(targeting.curves({"x beyond -x": both}), "x beyond")[1], both.value)


@pytest.mark.parametrize("kind", ["qini", "uplift"])
def test_curves_of_outcomes_start_at_nothing(study, kind):
    x, t, y, _ = study
    curve = outcome_curve(y, t, x, kind, reps=10)
    ax = targeting.curves({"a": curve}, perfect=True)
    np.testing.assert_array_equal(line(ax, "a:")[:, 0], [0, 0])
    np.testing.assert_array_equal(line(ax, "perfect order"), curve.perfect)
    assert above(ax, curve.perfect[1].max())
    assert "perfect order" not in labels(targeting.curves({"a": curve}))
    assert "perfect order" not in labels(targeting.curves({"a": outcome_curve(2 * y, t, x, reps=0)}, perfect=True))


# ---- unit effects ----------------------------------------------------------------------------------------------------


def test_the_histogram_holds_the_average_and_its_interval(study):
    x, *_ = study
    ax = unit_effects.histogram(x, 0.1, (-0.2, 0.4), label="Effect on y", level=0.9)
    bars = np.array([bar.get_height() for bar in ax.patches])
    assert bars.sum() == pytest.approx(1)
    assert labels(ax) == ["units", "average 0.1", "its 90% interval"]
    assert set(band(ax, 1)[:, 0]) == {-0.2, 0.4}
    assert above(ax, bars.max())
    weights = (x > 0).astype(float)
    weighted = unit_effects.histogram(x, 0.1, (np.nan, np.nan), weights=weights)
    assert labels(weighted) == ["units", "average 0.1"]
    right = [bar.get_height() for bar in weighted.patches if bar.get_x() + bar.get_width() > 0]
    assert sum(right) == pytest.approx(1)


def test_one_effect_for_all_is_one_bar():
    ax = unit_effects.histogram(np.full(50, 1.27) + 1e-16, 1.3, (1.0, 1.6))
    (bar,) = ax.patches
    assert np.isclose(bar.get_height(), 1) and bar.get_x() < 1.27 < bar.get_x() + bar.get_width()


def test_predicted_against_true_effects(study):
    x, *_ = study
    ax = unit_effects.against_truth(x, 2 * x)
    np.testing.assert_array_equal(line(ax, "units"), [2 * x, x])
    ends = [2 * x.min(), 2 * x.max()]
    np.testing.assert_array_equal(line(ax, "if predicted"), [ends, ends])
    assert labels(ax)[0] == f"units: PEHE {np.sqrt(np.mean(x**2)):.3g}, correlation 1.00"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("True effect", "Predicted effect")
    assert labels(unit_effects.against_truth(np.zeros(400), x))[0].endswith(f"{np.sqrt(np.mean(x**2)):.3g}")
    assert above(ax, ends[1])


def test_a_numeric_modifier_has_a_smooth_and_a_rug(study):
    x, *_, scores = study
    ax = unit_effects.against_modifier(scores, x, name="age")
    found = lowess(scores, x, frac=2 / 3, it=3, delta=0.01 * np.ptp(x))
    np.testing.assert_allclose(line(ax, "lowess"), found.T)
    rug = [drawn for drawn in ax.lines if drawn.get_marker() == "|"]
    np.testing.assert_array_equal(rug[0].get_xdata(), x)
    assert rug[0].get_transform() == ax.get_xaxis_transform()
    assert ax.get_xlabel() == "age"
    assert above(ax, scores.max())
    few = unit_effects.against_modifier(scores, np.arange(400) % 4)
    assert labels(few) == ["units", "least-squares line"]


@pytest.mark.parametrize("levels", [np.array(["b", "a"]), np.array([True, False]), np.array(["b", "a"], dtype=object)])
def test_levels_of_a_modifier_are_boxes(study, levels):
    scores = study[-1]
    ax = unit_effects.against_modifier(scores, levels[np.arange(400) // 100 % 2])
    names = sorted(str(level) for level in levels)
    assert [label.get_text() for label in ax.get_xticklabels()] == [f"{name}\n(200)" for name in names]
    first = levels.astype(str)[np.arange(400) // 100 % 2] == names[0]
    medians = [drawn.get_ydata()[0] for drawn in ax.lines if drawn.get_color() == "#D55E00"]
    np.testing.assert_allclose(medians, [np.median(scores[first]), np.median(scores[~first])])


@pytest.mark.parametrize("n", [20, 400])
def test_effects_in_order_with_their_intervals(study, n):
    x = study[0][:n]
    ax = unit_effects.sorted_effects(x, (x - 1, x + 2), average=0.3, level=0.5)
    at, value = line(ax, "units")
    np.testing.assert_array_equal(value, np.sort(x))
    np.testing.assert_allclose(at, (np.arange(n) + 0.5) / n)
    segments = np.array([path[:, 1] for path in ax.collections[0].get_segments()])
    np.testing.assert_array_equal(segments, np.column_stack([np.sort(x) - 1, np.sort(x) + 2]))
    assert labels(ax) == ["50% intervals of units", "units", "average 0.3"]
    assert above(ax, x.max() + 2)
    assert labels(unit_effects.sorted_effects(x)) == ["units"]


def test_groups_beside_the_diagonal(study):
    x, *_, scores = study
    groups = effect_groups(x, scores, 4)
    ax = unit_effects.calibrated(groups, level=0.9)
    np.testing.assert_array_equal(line(ax, "groups"), [groups.predicted, groups.estimated.estimate])
    segments = np.array([path[:, 1] for path in ax.collections[0].get_segments()])
    np.testing.assert_array_equal(segments, np.column_stack(groups.estimated.limits(0.9)))
    diagonal = line(ax, "if calibrated")
    np.testing.assert_array_equal(diagonal[0], diagonal[1])
    assert above(ax, max(segments.max(), groups.predicted.max()))


def test_errors_of_methods():
    ax = unit_effects.unit_errors(["s_learner", "t_learner"], np.array([1.0, np.nan]), np.array([2.0, np.nan]))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["s_learner", "t_learner"]
    mae, pehe = (drawn.get_xdata() for drawn in ax.lines)
    np.testing.assert_array_equal([mae, pehe], [[1, np.nan], [2, np.nan]])
    assert labels(ax) == ["mean absolute error (MAE)", "root mean squared error (PEHE)"]
    assert ax.get_xlabel() == "Error of effects of units" and ax.get_xlim()[0] == 0


def test_dates_are_points_on_an_axis_of_dates(study):
    *_, scores = study
    days = np.datetime64("2020-01-01") + np.arange(400)
    days[5] = np.datetime64("NaT")
    ax = unit_effects.against_modifier(scores, days, name="day")
    kept = np.arange(400) != 5
    at, shown = line(ax, "units")
    np.testing.assert_allclose(at, matplotlib.dates.date2num(days[kept]))
    np.testing.assert_allclose(shown, scores[kept])
    ax.figure.canvas.draw()
    assert any("2020" in text.get_text() or text.get_text() == "2021" for text in ax.get_xticklabels())


def test_levels_beyond_what_there_is_room_for(study):
    *_, scores = study
    names = np.array([f"l{i % 31}" for i in range(400)])
    with pytest.raises(OptionError, match="'who' has 31 levels, and a picture has room for 30; group them"):
        unit_effects.against_modifier(scores, names, name="who")
    assert not plt.get_fignums()
    names[names == "l30"] = "l0"
    assert len(unit_effects.against_modifier(scores, names).get_xticks()) == 30
