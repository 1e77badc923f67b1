"""Pictures of a design hold what it says: positions, densities, areas, labels."""

from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid

import causalformula as cf
from causalformula.plots import calibration, love
from causalformula.plots.calibration import area, equalised, roc_curve, shares
from causalformula.plots.distributions import distribution
from causalformula.plots.overlap import score_densities, support

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
KINDS = ("love", "overlap", "weights", "calibration", "roc", "jitter", "hist", "ecdf", "density", "qq")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(5)
    n = 3000
    x, z = rng.normal(size=(2, n))
    a = (rng.random(n) < 1 / (1 + np.exp(-x - 0.5 * z))).astype(int)
    return pd.DataFrame({"a": a, "x": x, "z": z, "g": rng.choice(["u", "v"], n), "arm": rng.choice(list("pqr"), n)})


@pytest.fixture(scope="module")
def design(study):
    return cf.design("~ treat(a) + adjust(x + z + g)", study, "ipw")


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("kind", KINDS)
def test_axes_given_are_used_and_returned(design, kind):
    _, ax = plt.subplots()
    assert design.plot(kind, ax=ax) is ax
    assert ax.get_xlabel() and ax.get_legend() is not None
    assert len(plt.get_fignums()) == 1
    assert design.plot(kind) is not ax


def test_love_plots_are_the_balance_table(design):
    ax = design.plot("love")
    frame = design.balance("smd", "std", threshold=None).to_frame()
    assert rows(ax) == ["prop.score", "x", "z", "g_v"]
    points = {line.get_label(): line for line in ax.lines if line.get_marker() == "o"}
    for label, column in (("Before", "Diff.Un"), ("After", "Diff.Adj")):
        np.testing.assert_allclose(points[label].get_xdata(), frame.loc[rows(ax), column].abs())
    dashed = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed == [0.1]
    assert labels(ax) == ["Before", "After", "Threshold 0.1"]
    assert ax.yaxis_inverted()


def test_signed_love_plots_have_a_threshold_on_both_sides(design):
    ax = design.plot("love", abs=False, order="formula")
    assert rows(ax) == ["prop.score", "x", "z", "g_v"]
    dashed = sorted(line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--")
    signed = any(line.get_xdata().min() < 0 for line in ax.lines if line.get_marker() == "o")
    assert dashed == ([-0.1, 0.1] if signed else [0.1])


def test_variance_ratios_stand_about_one(design):
    ax = design.plot("love", stat="variance_ratio", threshold=2)
    assert rows(ax) == ["prop.score", "x", "z"] or set(rows(ax)) == {"prop.score", "x", "z"}
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] == [2]
    assert all((line.get_xdata() >= 1).all() for line in ax.lines if line.get_marker() == "o")


def test_thresholds_of_ratios_are_inverse(design):
    ax = design.plot("love", stat="variance_ratio", threshold=2, abs=False)
    dashed = sorted(line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--")
    signed = any(line.get_xdata().min() < 1 for line in ax.lines if line.get_marker() == "o")
    assert signed and dashed == [0.5, 2]
    assert "Thresholds 0.5 and 2" in labels(ax)
    # the usual threshold of differences says nothing of ratios
    assert labels(design.plot("love", stat="variance_ratio")) == ["Before", "After"]


def test_many_covariates_and_long_names_fit_the_axes():
    names = [f"covariate with a name that goes on and on until {k}" for k in range(60)]
    _, axs = plt.subplots(2, 3, figsize=(15, 9))
    ax = love(names, {"Before": np.ones(60), "After": np.zeros(60)}, axs[0, 1])
    written = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert len(set(rows(ax))) == 60 and max(map(len, rows(ax))) <= 36
    assert all(above.y0 >= below.y1 for above, below in pairwise(written))


def test_without_weights_there_is_one_sample(study):
    fit = cf.fit("x ~ treat(a) + adjust(z + g)", study)
    ax = fit.design.plot("love")
    assert len([line for line in ax.lines if line.get_marker() == "o"]) == 1
    assert labels(ax) == ["Unweighted", "Threshold 0.1"]
    assert labels(fit.design.plot("ecdf")) == ["a = 0", "a = 1"]
    augmented = cf.fit("x ~ treat(a) + adjust(z + g)", study, "aipw")
    assert labels(augmented.design.plot("overlap")) == ["a = 0", "a = 1", "Common support"]


def test_densities_are_mirrored_and_hold_one(design):
    ax = design.plot("overlap")
    lines = {line.get_label(): line.get_ydata() for line in ax.lines if line.get_label().startswith("a =")}
    assert list(lines) == ["a = 0, after", "a = 1, after"]
    assert (lines["a = 0, after"] <= 0).all() and (lines["a = 1, after"] >= 0).all()
    at = np.linspace(0, 1, 401)
    for y in lines.values():
        assert trapezoid(np.abs(y), at) == pytest.approx(1, abs=0.01)
    dotted = sorted(line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":")
    assert tuple(dotted) == design.overlap().support
    # weighted to the same population, the arms have the same distribution of scores
    gap = np.abs(lines["a = 0, after"] + lines["a = 1, after"])[20:-20]
    assert gap.max() < 0.35


def test_what_is_cut_off_is_said():
    rng = np.random.default_rng(2)
    p = np.concatenate([rng.beta(0.05, 20, 4000), rng.beta(2, 2, 300)])
    arms = {"out": np.arange(4300) < 4000, "in": np.arange(4300) >= 4000}
    ones = np.ones(4300)
    ax = support(p, arms, ones, np.where(arms["in"], 1, p / (1 - p) + 1e-9))
    low, _ = ax.get_ylim()
    peak = score_densities(p[:4000], [ones[:4000]], np.linspace(0, 1, 401)).max()
    assert peak > -low
    assert labels(ax) == [f"out, before (peak {peak:.3g} cut off)", "out, after", "in, before", "in, after"]


def test_nothing_is_cut_off_where_it_fits(design):
    ax = design.plot("overlap")
    assert not any("cut off" in label for label in labels(ax))
    low, high = ax.get_ylim()
    for collection in ax.collections:
        heights = collection.get_paths()[0].vertices[:, 1]
        assert low <= heights.min() and heights.max() <= high


def test_arms_without_common_support_are_said_so():
    p = np.r_[np.linspace(0.1, 0.3, 50), np.linspace(0.6, 0.8, 50)]
    arms = {"out": p < 0.5, "in": p > 0.5}
    ax = support(p, arms, np.ones(100), limits=(0.6, 0.3))
    assert "No common support of the arms" in labels(ax)
    assert not [line for line in ax.lines if line.get_linestyle() == ":"]


def test_densities_do_not_leak_out_of_the_ends():
    p = np.linspace(0.001, 0.999, 2000)
    density = score_densities(p, [np.ones(2000)], np.linspace(0, 1, 11))[0]
    np.testing.assert_allclose(density, 1, atol=0.02)


def test_weights_are_counted(design, study):
    ax = design.plot("weights", bins=25)
    sizes = design.ess().loc["Weighted"]
    assert labels(ax) == [
        f"a = 0: effective size {sizes['Control']:.1f} of {(study['a'] == 0).sum()}",
        f"a = 1: effective size {sizes['Treated']:.1f} of {(study['a'] == 1).sum()}",
    ]
    assert sum(patch.get_height() for patch in ax.patches[:25]) == (study["a"] == 0).sum()


def test_constant_weights_can_be_drawn(study):
    ax = cf.fit("x ~ treat(a) + adjust(z)", study).design.plot("weights")
    assert ax.get_xscale() == "linear"


def test_a_true_propensity_is_calibrated(design, study):
    p, treated = design.distance.to_numpy(), study["a"].to_numpy() == 1
    score, share, low, high = shares(p, treated, np.ones(len(p)), 10)
    assert len(score) == 10 and ((low < score) & (score < high)).sum() >= 8
    assert ((low <= share) & (share <= high)).all()
    counts = pd.Series(treated).groupby(pd.qcut(p, 10, labels=False)).mean()
    np.testing.assert_allclose(share, counts, atol=0.01)


def test_after_weighting_the_share_of_treated_is_level(study):
    """Of the ATE, the ATT and the overlap estimand alike: the level is one half, whatever the weights add up to."""
    for estimand in ("ATE", "ATT", "ATO"):
        made = cf.design("~ treat(a) + adjust(x + z + g)", study, "ipw", estimand=estimand)
        p, treated, w = made.distance.to_numpy(), study["a"].to_numpy() == 1, made.weights.to_numpy()
        before = shares(p, treated, np.ones(len(p)), 10)[1]
        _, share, low, high = shares(p, treated, equalised(w, treated), 10)
        assert np.ptp(before) > 0.5
        assert ((low <= 0.5) & (high >= 0.5)).sum() >= 8 and np.abs(share - 0.5).max() < 0.2
        lines = {line.get_label(): line for line in made.plot("calibration").lines}
        np.testing.assert_allclose(lines["After"].get_ydata(), share)
        np.testing.assert_allclose(lines["Before"].get_ydata(), before)
        assert list(lines["if alike"].get_ydata()) == [0.5, 0.5]
        assert lines["if calibrated"].get_xydata().tolist() == [[0, 0], [1, 1]]
        assert lines["After"].get_color() != lines["Before"].get_color()


def test_weights_wrong_for_the_score_are_not_level(study):
    design = cf.design("~ treat(a) + adjust(x + z + g)", study, "ipw")
    p, treated = design.distance.to_numpy(), study["a"].to_numpy() == 1
    _, _, low, high = shares(p, treated, equalised(np.ones(len(p)), treated), 10)
    assert ((low > 0.5) | (high < 0.5)).sum() >= 6


def test_intervals_of_shares():
    p, treated = np.full(100, 0.3), np.arange(100) < 30
    _, share, low, high = shares(p, treated, np.ones(100), 10)
    # Wilson's interval of 30 in 100
    assert (share[0], low[0], high[0]) == pytest.approx((0.3, 0.2189489, 0.3958485), abs=1e-6)
    # the same arms weighted to equal totals: the odds are multiplied, and the interval with them
    _, share, weighted_low, weighted_high = shares(p, treated, equalised(np.ones(100), treated), 10)
    odds = [limit / (1 - limit) * 70 / 30 for limit in (low[0], high[0])]
    assert share[0] == pytest.approx(0.5)
    assert [weighted_low[0], weighted_high[0]] == pytest.approx([o / (1 + o) for o in odds])
    # one treated unit of all the weight of its arm is one unit: not half of a hundred
    one = np.arange(100) < 1
    _, share, low, high = shares(p, one, equalised(np.ones(100), one), 10)
    assert share[0] == pytest.approx(0.5) and high[0] - low[0] > 0.6


@pytest.mark.filterwarnings("ignore::causalformula.errors.CausalFormulaWarning")
def test_rows_without_weight_are_no_part_of_the_groups(study):
    for options in ({"discard": "both"}, {"estimand": "ATOS"}):
        made = cf.design("~ treat(a) + adjust(x + z + g)", study, "ipw", **options)
        w, p = made.weights.to_numpy(), made.distance.to_numpy()
        assert (w == 0).any()
        lines = {line.get_label(): line for line in made.plot("calibration").lines}
        score = lines["After"].get_xdata()
        assert len(score) == 10
        assert p[w > 0].min() <= score.min() and score.max() <= p[w > 0].max()
        assert len(lines["Before"].get_xdata()) == 10
        zeros = sum((w[inside] == 0).sum() for inside in made.arms().values())
        said = " ".join(labels(made.plot("weights")))
        assert sum(int(n) for n in pd.Series([said]).str.findall(r", (\d+) zeros")[0]) == zeros


def test_a_group_without_an_arm_has_no_interval_after_weighting():
    p = np.linspace(0.01, 0.99, 500)
    treated = (p > 0.31) & (np.random.default_rng(6).random(500) < p)
    ax = calibration(p, treated, np.ones(500), np.where(treated, 1 / p, 1 / (1 - p)))
    lines = {line.get_label(): line for line in ax.lines}
    hollow, after = lines["an arm missing"], lines["After"]
    assert hollow.get_markerfacecolor() == "white"
    assert (hollow.get_xdata() < 0.31).sum() == 3 and set(hollow.get_ydata()) <= {0.0, 1.0}
    assert set(after.get_ydata()).isdisjoint({0.0, 1.0})
    bars = [len(collection.get_segments()) for collection in ax.collections]
    assert bars == [10, len(after.get_xdata())] and bars[1] + len(hollow.get_xdata()) == 10


def test_after_weighting_the_score_tells_the_arms_no_more_apart(design, study):
    from sklearn.metrics import roc_auc_score

    p, treated = design.distance.to_numpy(), study["a"].to_numpy() == 1
    before, after = np.ones(len(p)), design.weights.to_numpy()
    for w in (before, after):
        assert area(*roc_curve(p, treated, w)) == pytest.approx(roc_auc_score(treated, p, sample_weight=w), abs=1e-10)
    assert area(*roc_curve(p, treated, before)) > 0.7
    assert area(*roc_curve(p, treated, after)) == pytest.approx(0.5, abs=0.02)
    assert labels(design.plot("roc"))[2] == "Arms alike: area 0.5"


def test_distribution_functions(design, study):
    ax = design.plot("ecdf", covariate="z")
    assert labels(ax) == ["a = 0", "a = 1", "Before", "After"]
    drawn = {line.get_label(): line for line in ax.lines}
    assert drawn["a = 0, before"].get_linestyle() == "--" and drawn["a = 0, after"].get_linestyle() == "-"
    assert drawn["a = 1, before"].get_color() == drawn["a = 1, after"].get_color() != drawn["a = 0, after"].get_color()
    assert ax.get_xlabel() == "z"
    at, height = distribution(np.array([2.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 1.0, 4.0]))
    assert (at.tolist(), height.tolist()) == ([1, 1, 2, 3], [0, 0.25, 0.5, 1])
    with pytest.raises(cf.OptionError, match="unknown covariate 'q'"):
        design.plot("ecdf", covariate="q")


def test_several_levels_and_a_dose(study):
    levels = cf.design("~ treat(arm) + adjust(x + z)", study, "ebal")
    assert "largest over pairs" in levels.plot("love").get_xlabel()
    assert len(labels(levels.plot("weights"))) == 3
    assert labels(levels.plot("ecdf")) == ["arm = p", "arm = q", "arm = r", "Before", "After", ""]
    dose = cf.design("~ treat(z) + adjust(x + g)", study, "ipw")
    assert "correlation" in dose.plot("love").get_xlabel()
    assert len(labels(dose.plot("weights"))) == 1
    for made, kind, reason in (
        (levels, "overlap", "'overlap' here: method 'ebal' finds weights that balance .* 'love', 'weights', 'ecdf'"),
        (levels, "roc", "without a propensity score"),
        (dose, "overlap", "the treatment 'z' is a dose, so no arm has a propensity score.* 'love', 'weights'$"),
        (dose, "ecdf", "'z' is a dose, so there are no arms to compare. .* 'love', 'weights'$"),
    ):
        with pytest.raises(cf.CapabilityError, match=reason):
            made.plot(kind)
    tilted = cf.design("~ treat(arm) + adjust(x + z)", study, "ipt")
    with pytest.raises(cf.CapabilityError, match="'ipt' fits a model of its own for each arm"):
        tilted.plot("calibration")


@pytest.fixture(scope="module")
def levels(study):
    rng = np.random.default_rng(8)
    utility = np.column_stack([np.zeros(len(study)), study["x"], 0.8 * study["z"] - 0.5]) + rng.gumbel(
        size=(len(study), 3)
    )
    return study.assign(arm=np.array(list("pqr"))[utility.argmax(axis=1)])


def halves(ax):
    """Curves of each arm: after weighting upwards, before it downwards."""
    curves = [line for line in ax.lines if len(line.get_xdata()) > 2]
    up = {line.get_color(): line for line in curves if line.get_ydata().max() > 0}
    down = {line.get_color(): line for line in curves if line.get_ydata().min() < 0}
    assert up.keys() == down.keys()
    return [(up[colour], down[colour]) for colour in up]


def test_the_score_of_a_level_in_every_arm(levels):
    made = cf.design("~ treat(arm) + adjust(x + z)", levels, "ipw")
    P = made.design_weights.probabilities
    for level, k in ((None, 2), ("q", 1)):
        ax = made.plot("overlap", level=level)
        assert ax.get_xlabel() == f"Propensity score of arm = {'pqr'[k]}"
        assert labels(ax)[:3] == ["arm = p", "arm = q", "arm = r"]
        pairs = halves(ax)
        assert len(pairs) == 3
        for up, down in pairs:
            for line in (up, down):
                assert trapezoid(np.abs(line.get_ydata()), line.get_xdata()) == pytest.approx(1, abs=0.03)
        before = [down.get_ydata() for _, down in pairs]
        after = [up.get_ydata() for up, _ in pairs]
        np.testing.assert_allclose(
            -before[0],
            score_densities(
                P[levels["arm"] == "p", k], [np.ones((levels["arm"] == "p").sum())], pairs[0][0].get_xdata()
            )[0],
        )
        # weighted to one population, the arms have the same distribution of the score
        assert np.ptp(after, axis=0).max() < 0.4 * np.ptp(before, axis=0).max()


def test_the_focal_level_is_drawn_by_default(levels):
    made = cf.design("~ treat(arm) + adjust(x + z)", levels, "ipw", estimand="ATT", focal="q")
    assert made.plot("overlap").get_xlabel() == "Propensity score of arm = q"
    assert made.plot("roc").get_ylabel() == "Share of arm = q above the score"
    assert made.plot("overlap", level="p").get_xlabel() == "Propensity score of arm = p"


def test_calibration_and_roc_of_a_level(levels):
    made = cf.design("~ treat(arm) + adjust(x + z)", levels, "ipw")
    lines = {line.get_label(): line for line in made.plot("calibration", level="q").lines}
    np.testing.assert_allclose(lines["if alike"].get_ydata(), 1 / 3)
    assert np.abs(lines["After"].get_ydata() - 1 / 3).max() < 0.1
    assert np.abs(lines["Before"].get_ydata() - lines["Before"].get_xdata()).max() < 0.08
    areas = [float(label.split("area ")[1]) for label in labels(made.plot("roc", level="q"))]
    assert areas[0] > 0.65 and areas[1] == pytest.approx(0.5, abs=0.03)


def test_the_score_of_the_control_arm_mirrors_that_of_the_treated(design):
    ax, mirrored = design.plot("overlap"), design.plot("overlap", level=0)
    assert ax.get_xlabel() == "Propensity score"
    assert mirrored.get_xlabel() == "Propensity score of a = 0"
    for line, other in zip(ax.lines[:2], mirrored.lines[:2], strict=True):
        np.testing.assert_allclose(line.get_ydata(), other.get_ydata()[::-1], atol=0.02)
    assert labels(design.plot("roc", level="0"))[:2] == labels(design.plot("roc"))[:2]


# ---- room -----------------------------------------------------------------------------------------------------------


def grid(layout):
    figure, axs = plt.subplots(2, 5, figsize=(25, 9), layout=layout)
    return figure, axs


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_legends_in_a_grid_stay_in_their_axes_and_cover_nothing(design, layout):
    figure, axs = grid(layout)
    for kind, ax in zip(KINDS, axs.flat, strict=True):
        design.plot(kind, ax=ax)
    figure.canvas.draw()
    for ax in axs.flat:
        box, frame = ax.get_legend().get_window_extent(), ax.get_window_extent()
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        # the axis ends below the legend, and all that is drawn lies within it
        ends = ax.spines["left"].get_bounds()
        top = max(ax.transData.transform([(0, end) for end in ends])[:, 1])
        assert top <= box.y0 + 1
        for line in ax.lines:
            if line.get_transform() == ax.transData:
                heights = ax.transData.transform(line.get_xydata())[:, 1]
                assert heights[np.isfinite(heights)].max() <= box.y0 + 1


@pytest.mark.filterwarnings("ignore::causalformula.errors.CausalFormulaWarning")
def test_ticks_of_weights_with_long_tails_do_not_touch():
    rng = np.random.default_rng(4)
    n = 2000
    frame = pd.DataFrame({"x": rng.normal(size=n)}).assign(dose=lambda d: 3 * d["x"] + rng.normal(size=n))
    made = cf.design("~ treat(dose) + adjust(x)", frame, "ipw")
    for width in (4, 6.4, 15):
        figure, ax = plt.subplots(figsize=(width, 4))
        made.plot("weights", ax=ax)
        figure.canvas.draw()
        assert ax.get_xscale() == "log"
        low, high = ax.get_xlim()
        ticks = [tick for tick in ax.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        boxes = sorted((tick.label1.get_window_extent() for tick in ticks), key=lambda box: box.x0)
        assert len(boxes) >= 2
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_many_arms_have_colours_and_names_of_their_own(study):
    names = [f"a long name of which number {k} is the one that differs from the others" for k in range(9)]
    frame = study.assign(arm=np.random.default_rng(1).choice(names, len(study)))
    made = cf.design("~ treat(arm) + adjust(x)", frame, "ipw")
    ax = made.plot("overlap")
    assert len({label for label in labels(ax) if label.startswith("arm")}) == 9
    assert len({line.get_color() for line in ax.lines if line.get_label().startswith("arm")}) == 9
    assert ax.get_legend().get_window_extent().height < 0.65 * ax.get_window_extent().height


# ---- options --------------------------------------------------------------------------------------------------------


def test_axes_that_are_none(design):
    _, axs = plt.subplots(2, 3)
    with pytest.raises(cf.OptionError, match=r"ax must be a matplotlib Axes, .* not int"):
        design.plot("overlap", ax=3)
    with pytest.raises(cf.OptionError, match=r"not ndarray; choose one of them, as ax=axs\[0, 1\]"):
        design.plot("love", ax=axs)


@pytest.mark.parametrize(
    ("kind", "option", "value", "message"),
    [
        ("weights", "bins", 0, "bins is a whole number from 1 to 1000"),
        ("calibration", "bins", 2.5, "bins is a whole number"),
        ("weights", "bins", "many", "bins is a whole number"),
        ("weights", "bins", True, "bins is a whole number"),
        ("weights", "bins", 10**9, "bins is a whole number"),
        ("love", "threshold", -0.1, "threshold is a number of at least 0, or None"),
        ("love", "threshold", "0.1", "threshold is a number"),
        ("love", "threshold", float("nan"), "threshold is a number"),
        ("love", "abs", "no", "abs is True or False"),
        ("love", "order", "size", "unknown order 'size'"),
        ("love", "order", 3, "order is one of unadjusted"),
        ("love", "stat", ["smd"], "stat is a name"),
        ("love", "stat", "smdd", "unknown balance statistic 'smdd'"),
        ("love", "binary", "x", "'raw' gives differences in proportions"),
        ("ecdf", "covariate", 3, "covariate is the name of a covariate, a list of such names, or 'all'"),
        ("qq", "covariate", [], "covariate is the name of a covariate, a list"),
        ("density", "covariate", ["x", 3], "covariate is the name of a covariate, a list"),
        ("density", "covariate", ["x", "zz"], "unknown covariate 'zz'; did you mean 'z'"),
        ("qq", "covariate", "gv", "unknown covariate 'gv'; did you mean 'g_v'"),
        ("hist", "bins", 0, "bins is a whole number from 1 to 1000"),
        ("jitter", "level", "q", "'a' has no level 'q'"),
        ("love", "compare", 3, "compare is a mapping of names to designs"),
        ("overlap", "level", "q", "'a' has no level 'q'; its levels are 0, 1"),
        ("overlap", "level", [1], "level is a level of the treatment"),
        ("roc", "bins", 5, "plot 'roc' has no option 'bins'; weights, calibration, hist have"),
        ("weights", "level", "1", "plot 'weights' has no option 'level'; overlap, calibration, roc, jitter, hist have"),
    ],
)
def test_values_that_options_cannot_have(design, kind, option, value, message):
    with pytest.raises(cf.OptionError, match=message):
        design.plot(kind, **{option: value})


def test_a_threshold_of_ratios_is_at_least_one(design):
    with pytest.raises(cf.OptionError, match="variance ratios are larger over smaller"):
        design.plot("love", stat="variance_ratio", threshold=0.5)


def test_an_unknown_picture_is_an_option_error(design):
    with pytest.raises(cf.OptionError, match="unknown plot 'lov'; did you mean 'love'"):
        design.plot("lov")
    with pytest.raises(cf.OptionError, match="plot 'roc' has no option 'covariate'; ecdf, density, qq have"):
        design.plot("roc", covariate="x")


def test_a_picture_changes_nothing(design):
    before = design.weights.copy()
    for kind in KINDS:
        design.plot(kind)
    pd.testing.assert_series_equal(design.weights, before)


def test_where_nothing_is_weighted_there_is_no_before(study):
    design = cf.fit("z ~ treat(a) + x", study, "aipw").design
    assert labels(design.plot("overlap"))[:2] == ["a = 0", "a = 1"]
    assert labels(design.plot("calibration"))[0] == "Unweighted"
    assert labels(design.plot("roc"))[0].startswith("Unweighted: area")


def test_scores_that_are_much_alike_have_densities_of_their_own():
    """Within a thousandth: neither a kernel wider than the data nor a grid coarser than they are."""
    from causalformula.plots.overlap import support_of_levels

    rng = np.random.default_rng(2)
    p = 0.31 + 0.001 * rng.random(900)
    arm = np.arange(900) % 3
    p[arm == 2] += 0.001
    ax = support_of_levels(p, {name: arm == k for k, name in enumerate("uvw")}, np.ones(900))
    assert ax.get_xlim()[0] > 0.305 and ax.get_xlim()[1] < 0.316
    u, v, w = [line for line in ax.lines if line.get_label() in "uvw"]
    x, dx = u.get_xdata(), np.diff(u.get_xdata())[0]
    for line, middle in ((u, 0.3105), (w, 0.3115)):
        assert line.get_ydata().sum() * dx == pytest.approx(1, abs=0.02)
        assert x @ line.get_ydata() / line.get_ydata().sum() == pytest.approx(middle, abs=5e-5)
    # curves that lie on each other show through the gaps of those above
    assert u.get_linestyle() == "-" and {v.get_linestyle(), w.get_linestyle()} == {"--"}
