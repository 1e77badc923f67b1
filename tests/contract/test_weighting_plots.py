"""Pictures of a design hold what it says: positions, densities, areas, labels."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.plots.calibration import area, roc_curve, shares
from causalformula.plots.overlap import score_densities
from causalformula.plots.weights import distribution

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
KINDS = ("love", "overlap", "weights", "calibration", "roc", "ecdf")


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


def test_without_weights_there_is_one_sample(study):
    fit = cf.fit("x ~ treat(a) + adjust(z + g)", study)
    ax = fit.design.plot("love")
    assert len([line for line in ax.lines if line.get_marker() == "o"]) == 1
    assert ax.get_legend() is None
    assert labels(fit.design.plot("ecdf")) == ["a = 0", "a = 1"]


def test_densities_are_mirrored_and_hold_one(design):
    ax = design.plot("overlap")
    lines = {line.get_label(): line.get_ydata() for line in ax.lines if line.get_label().startswith("a =")}
    assert list(lines) == ["a = 0, after", "a = 1, after"]
    assert (lines["a = 0, after"] <= 0).all() and (lines["a = 1, after"] >= 0).all()
    at = np.linspace(0, 1, 401)
    for y in lines.values():
        assert np.trapezoid(np.abs(y), at) == pytest.approx(1, abs=0.01)
    dotted = sorted(line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":")
    assert tuple(dotted) == design.overlap().support
    # weighted to the same population, the arms have the same distribution of scores
    gap = np.abs(lines["a = 0, after"] + lines["a = 1, after"])[20:-20]
    assert gap.max() < 0.35


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


def test_after_weighting_the_score_tells_the_arms_no_more_apart(design, study):
    from sklearn.metrics import roc_auc_score

    p, treated = design.distance.to_numpy(), study["a"].to_numpy() == 1
    before, after = np.ones(len(p)), design.weights.to_numpy()
    for w in (before, after):
        assert area(*roc_curve(p, treated, w)) == pytest.approx(roc_auc_score(treated, p, sample_weight=w), abs=1e-10)
    assert area(*roc_curve(p, treated, before)) > 0.7
    assert area(*roc_curve(p, treated, after)) == pytest.approx(0.5, abs=0.02)
    assert labels(design.plot("roc"))[0] == "Arms alike: area 0.5"


def test_distribution_functions(design, study):
    ax = design.plot("ecdf", covariate="z")
    assert labels(ax) == ["a = 0, before", "a = 0, after", "a = 1, before", "a = 1, after"]
    assert ax.get_xlabel() == "z"
    at, height = distribution(np.array([2.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 1.0, 4.0]))
    assert (at.tolist(), height.tolist()) == ([1, 1, 2, 3], [0, 0.25, 0.5, 1])
    with pytest.raises(cf.OptionError, match="unknown covariate 'q'"):
        design.plot("ecdf", covariate="q")


def test_several_levels_and_a_dose(study):
    levels = cf.design("~ treat(arm) + adjust(x + z)", study, "ebal")
    assert "largest over pairs" in levels.plot("love").get_xlabel()
    assert len(labels(levels.plot("weights"))) == 3
    assert len(labels(levels.plot("ecdf"))) == 6
    dose = cf.design("~ treat(z) + adjust(x + g)", study, "ipw")
    assert "correlation" in dose.plot("love").get_xlabel()
    assert len(labels(dose.plot("weights"))) == 1
    for made, kind in ((levels, "roc"), (dose, "overlap"), (dose, "ecdf")):
        with pytest.raises(cf.CapabilityError):
            made.plot(kind)


def test_an_unknown_picture_is_an_option_error(design):
    with pytest.raises(cf.OptionError, match="unknown plot 'lov'; did you mean 'love'"):
        design.plot("lov")
    with pytest.raises(cf.OptionError, match="plot 'roc' has no option 'covariate'; ecdf has"):
        design.plot("roc", covariate="x")


def test_a_picture_changes_nothing(design):
    before = design.weights.copy()
    for kind in KINDS:
        design.plot(kind)
    pd.testing.assert_series_equal(design.weights, before)
