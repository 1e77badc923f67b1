"""Double machine learning: scores solved by hand on given folds, bounds, projections, folds, and what is refused."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import causalformula as cf
from causalformula.backends.doubly_robust.dml import MODELS
from causalformula.backends.doubly_robust.dml_models import _linear_score
from causalformula.backends.doubly_robust.dml_options import MODEL_NAMES
from causalformula.backends.learning.folds import GivenFolds, make_folds
from causalformula.backends.orthogonal.scores import Score, root
from causalformula.numerics.omitted import equal_shares, robustness, strength

N = 120


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N, 2))
    z = rng.integers(0, 2, N)
    d = (rng.random(N) < 1 / (1 + np.exp(-(x[:, 0] + 2 * z - 1)))).astype(int)
    q = x[:, 0] + z + rng.normal(size=N)
    return pd.DataFrame(
        {
            "y": d + x[:, 0] + rng.normal(size=N), "d": d, "q": q, "z": z, "x1": x[:, 0], "x2": x[:, 1],
            "lev": np.array(["a", "b", "c"])[np.arange(N) % 3], "fold": np.arange(N) % 3, "other": np.arange(N) // 40,
            "g": np.arange(N) % 12, "h": np.arange(N) // 12, "w": rng.integers(1, 4, N),
        }
    )  # fmt: skip


PLR = "y ~ treat(q) + adjust(x1 + x2)"


def residuals(data, name, fold):
    """Out-of-fold residuals of least squares, by numpy."""
    X, y = np.column_stack([np.ones(len(data)), data[["x1", "x2"]]]), data[name].to_numpy(dtype=float)
    out = np.empty(len(data))
    for k in np.unique(fold):
        train = fold != k
        out[~train] = y[~train] - X[~train] @ np.linalg.lstsq(X[train], y[train], rcond=None)[0]
    return out


# ---- estimates and folds ---------------------------------------------------------------------------------------------


def test_partially_linear_regression_by_hand(data):
    fit = cf.fit(PLR, data, "dml", folds="fold")
    u, v = (residuals(data, name, data["fold"].to_numpy()) for name in ("y", "q"))
    theta = (v @ u) / (v @ v)
    error = np.sqrt(((v * (u - theta * v)) ** 2).sum()) / (v @ v)
    np.testing.assert_allclose([fit.estimate, fit.std_error], [theta, error], rtol=1e-10)
    assert "Variance-weighted partial effect of q on y" in str(fit) and "3 folds, as given" in str(fit)


def test_repetitions_by_hand(data):
    fit = cf.fit(PLR, data, "dml", folds=["fold", "other"])
    each = [cf.fit(PLR, data, "dml", folds=name) for name in ("fold", "other")]
    theta = np.array([one.estimate for one in each])
    spread = np.array([one.std_error for one in each]) ** 2 + (theta - theta.mean()) ** 2
    np.testing.assert_allclose([fit.estimate, fit.std_error**2], [theta.mean(), spread.mean()], rtol=1e-12)


def test_folds_as_an_array_are_those_of_the_columns(data):
    array = data[["fold", "other"]].to_numpy()
    one, other = (cf.fit(PLR, data, "dml", folds=folds, subset="x1 > -1") for folds in (array, ["fold", "other"]))
    pd.testing.assert_frame_equal(one.tidy(), other.tidy())
    assert one.folds.shape == (one.nobs, 2)


@pytest.mark.parametrize("formula", [PLR, "y ~ treat(d) + adjust(x1 + x2)", "y ~ treat(d) + adjust(x1) + iv(z)"])
def test_whole_weights_are_repeated_rows_in_their_folds(data, formula):
    rows = np.repeat(np.arange(N), data["w"])
    one = cf.fit(f"{formula} + weights(w)", data, "dml", folds="fold")
    repeated = data.iloc[rows].reset_index(drop=True).assign(row=rows)
    many = cf.fit(formula, repeated, "dml", folds="fold", vcov="CR0 ~ row")
    np.testing.assert_allclose([one.estimate, one.std_error], [many.estimate, many.std_error], rtol=1e-7)


def test_rows_of_crossed_clusters_are_never_learned_from(data):
    frame = cf.fit(f"{PLR} + cluster(g + h)", data, "dml", folds=3).call.frame
    folds = make_folds(frame, 3, 2, 0)
    assert folds.size == 9 and folds.repeats == 2
    g, h = data["g"].to_numpy(), data["h"].to_numpy()
    for r in range(2):
        for k in range(9):
            inside, outside = folds.inside(r, k), folds.outside(r, k)
            assert inside.any() and outside.any()
            assert not set(g[inside]) & set(g[outside]) and not set(h[inside]) & set(h[outside])


def test_a_treatment_with_levels_has_bands(data):
    fit = cf.fit("y ~ treat(lev) + adjust(x1)", data, "dml")
    assert fit.fit.method.startswith("double machine learning, interactive regression")
    assert len(fit.simultaneous(seed=1, reps=200).table) == 2


def test_the_default_model_is_that_of_the_roles(data):
    words = {
        "treat(q)": "partially linear regression", "treat(d)": "interactive regression",
        "treat(d) + iv(z)": "interactive IV", "treat(q) + iv(z)": "partially linear IV",
        "treat(d) + iv(x2)": "partially linear IV",
    }  # fmt: skip
    for roles, word in words.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert word in cf.fit(f"y ~ {roles} + adjust(x1)", data, "dml").fit.method


def test_an_estimand_is_the_one_that_was_asked_for_or_the_models_own(data):
    own = {
        ("treat(q)", None): "Variance-weighted partial effect", ("treat(d)", "plr"): "Variance-weighted partial effect",
        ("treat(d)", None): "ATE", ("treat(d)", "selected_irm"): "ATE", ("treat(d) + iv(z)", None): "LATE",
        ("treat(lev)", None): "ATE",
    }  # fmt: skip
    for (roles, model), estimand in own.items():
        fit = cf.fit(f"y ~ {roles} + adjust(x1)", data, "dml", model=model)
        assert fit.fit.estimand == estimand and f"Estimand: {estimand}" in str(fit)
        asked = None if "partial" in estimand else estimand
        assert fit.call.options.estimand == asked and ("None" in str(fit.design)) is False
        again = cf.fit(f"y ~ {roles} + adjust(x1)", data, "dml", model=model, estimand=asked)
        pd.testing.assert_frame_equal(again.tidy(), fit.tidy())
    same = cf.fit("y ~ treat(q) + adjust(x1)", data, cf.fit("y ~ treat(q) + adjust(x1)", data, "dml").call.options)
    assert same.fit.estimand == "Variance-weighted partial effect"


def test_a_contrast_of_a_dose_is_a_multiple(data):
    plain = cf.fit(PLR, data, "dml")
    for contrast, size in (((1, 3), 2.0), (-0.5, -0.5), ("slope", 1.0), ("sd", float(data["q"].std()))):
        for score in ("partialling_out", "iv_type"):
            base = cf.fit(PLR, data, "dml", score=score)
            fit = cf.fit(PLR, data, "dml", contrast=contrast, score=score)
            np.testing.assert_allclose(fit.estimate, size * base.estimate)
            np.testing.assert_allclose(fit.std_error, abs(size) * base.std_error)
    assert plain.tidy()["contrast"].item() == "+1"


def test_a_one_sided_instrument(data):
    """Nobody takes the treatment without the offer: there is nothing to learn of them."""
    data = data.assign(d=data["d"] * data["z"])
    fit = cf.fit("y ~ treat(d) + adjust(x1) + iv(z)", data, "dml")
    assert fit.fit.estimand == "LATE" and "treatment at z = 0" not in fit.predictions()
    assert np.isfinite(fit.std_error)


def test_a_weak_instrument_is_told(data):
    noise = np.random.default_rng(5).integers(0, 2, N)
    for treatment in ("d", "q"):
        with pytest.warns(cf.CausalFormulaWarning, match=r"weak instrument.* F"):
            cf.fit(f"y ~ treat({treatment}) + adjust(x1) + iv(n)", data.assign(n=noise), "dml")


# ---- effects that vary -----------------------------------------------------------------------------------------------


def test_groups_are_those_of_by(data):
    for formula, options in ((PLR, {"score": "iv_type"}), (PLR, {}), ("y ~ treat(d) + adjust(x1)", {})):
        fit = cf.fit(f"{formula} + modify(lev)", data, "dml", **options)
        pd.testing.assert_frame_equal(fit.gate().tidy(), fit.by("lev").tidy())
        # a saturated projection is the groups' effects, and its test is that of their equality
        cate = fit.cate("lev")
        rows = pd.DataFrame({"lev": ["a", "b", "c"]})
        np.testing.assert_allclose(fit.cate("lev", at=rows).tidy()["std.error"], fit.gate().tidy()["std.error"])
        assert cate.test.p_value == pytest.approx(fit.gate().test.p_value)
        assert cate.with_vcov("HC0").test.p_value == pytest.approx(cate.test.p_value)
        assert "Best linear predictor of the effect by lev" in str(cate)


def test_groups_under_repetitions_carry_their_own_residuals(data):
    """Scores have each row's own outcome: nothing is said of columns that are no modifiers, however often one fits."""
    fit = cf.fit("y ~ treat(d) + adjust(x1)", data, "dml", repeats=3)
    assert "is not in modify" not in str(fit.by("lev"))


def test_conditional_effects_are_named_by_what_varies(data):
    fit = cf.fit("y ~ treat(d) + adjust(x1 + x2)", data, "dml")
    slopes = fit.cate("x1")
    assert slopes.tidy()[["term", "contrast"]].to_numpy().tolist() == [["(Intercept)", ""], ["x1", ""]]
    assert "Estimand: Conditional effect" in str(slopes) and "ATE" not in str(slopes)
    at = pd.DataFrame({"x1": [1.0, -0.5, 0.25], "x2": 0.0})
    points = fit.cate("x1 + x2", at=at)
    assert points.tidy()["term"].tolist() == ["x1 = 1", "x1 = -0.5", "x1 = 0.25"]
    np.testing.assert_allclose(
        points.tidy()["estimate"], np.column_stack([np.ones(3), at]) @ fit.cate("x1 + x2").tidy()["estimate"]
    )
    levels = fit.cate("lev", at=pd.DataFrame({"lev": ["a", "c"]})).tidy()["term"].tolist()
    both = fit.cate("x1 + x2", at=at.assign(x2=[1, 2, 3])).tidy()["term"].tolist()
    named = fit.cate("x1", at=at.set_axis(["low", "mid", "high"])).tidy()["term"].tolist()
    assert levels == ["lev = a", "lev = c"] and both == ["row 0", "row 1", "row 2"] and named[0] == "row low"
    three = cf.fit("y ~ treat(lev) + adjust(x1)", data, "dml").cate("x1").tidy()
    assert three["contrast"].tolist() == ["b - a", "b - a", "c - a", "c - a"]


def test_a_curve_of_effects_has_the_band_of_all_its_points(data):

    at = pd.DataFrame({"x1": [1.0, -0.5, 0.25]})
    found = cf.fit("y ~ treat(d) + adjust(x1 + x2)", data, "dml").cate("x1", at=at)
    ax = found.plot()
    (line,) = [line for line in ax.lines if line.get_label() == "_effect"]
    np.testing.assert_allclose(line.get_xdata(), [-0.5, 0.25, 1.0])
    np.testing.assert_allclose(line.get_ydata(), found.tidy()["estimate"].iloc[[1, 2, 0]])
    band, interval = (part.get_paths()[0].vertices[:, 1] for part in ax.collections)
    table = found.simultaneous(seed=0).table
    assert (band.min(), band.max()) == pytest.approx((table["conf.low"].min(), table["conf.high"].max()))
    tidy = found.tidy()
    assert (interval.min(), interval.max()) == pytest.approx((tidy["conf.low"].min(), tidy["conf.high"].max()))
    assert ax.get_xlabel() == "x1" and ax.get_ylabel() == "Effect on y"
    plt.close(ax.figure)
    several = cf.fit("y ~ treat(lev) + adjust(x1)", data, "dml").cate("x1", at=at).plot(level=0.9)
    assert [line.get_label() for line in several.lines[1:]] == ["b - a", "c - a"]
    plt.close(several.figure)


def test_bands_are_drawn(data):

    bands = cf.fit("y ~ treat(lev) + adjust(x1)", data, "dml").simultaneous(seed=1, reps=200)
    ax = bands.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["lev b - a", "lev c - a"]
    ends = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(ends, bands.table[["conf.low", "conf.high"]])
    assert "95% simultaneous bands" in ax.get_xlabel()
    plt.close(ax.figure)
    ratios = cf.fit("exp(y) ~ treat(lev) + adjust(x1)", data, "aipw", measure="ratio").simultaneous(seed=1, reps=200)
    ax = ratios.plot()
    assert ax.get_xscale() == "log" and ax.lines[0].get_xdata()[0] == 1
    plt.close(ax.figure)


# ---- omitted confounders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("g", [False, True])
def test_errors_of_bounds_by_reweighting(g):
    """The influences of theta, of its largest bias and so of both bounds are their derivatives in the weights."""
    rng = np.random.default_rng(1)
    y, d, mean, v = rng.normal(size=(4, 60))
    w, structure = np.ones(60), mean if g else None

    def values(w):
        score = _linear_score(y, d, mean, v, structure, w)
        return score, root(score, w)[0], score.moments.bias[0]

    score, theta, _ = values(w)
    psi = -60 * (score.a * theta + score.b)[:, 0] / score.a.sum()
    for row in (0, 9, 30):
        step = np.zeros(60)
        step[row] = 1e-5
        (_, up, high), (_, down, low) = values(w + step), values(w - step)
        assert psi[row] == pytest.approx(60 * (up - down) / 2e-5, rel=1e-6)
        if not g:  # with g the residual's mean square moves with theta too, by what has mean zero
            assert score.moments.psi_bias[row, 0] == pytest.approx(60 * (high - low) / 2e-5, rel=1e-6)


def test_robustness_values_take_the_bound_and_its_limit_to_the_null(data):
    fit = cf.fit("y ~ treat(d) + adjust(x1 + x2)", data, "dml", repeats=3)
    for null in (0.0, 2.0):
        found = fit.sensitivity(null=null)
        row = found.to_frame().iloc[0]
        side = "lower" if null == 0 else "upper"
        for value, share in (("theta", row["rv"]), ("ci", row["rva"])):
            assert 0 < share < 1
            at = fit.sensitivity(cf_y=share, cf_d=share).to_frame().iloc[0]
            assert at[f"{value}.{side}"] == pytest.approx(null, abs=1e-9)
    assert fit.sensitivity(null=fit.estimate).to_frame()["rv"].item() == 0


def test_shares_and_strengths():
    assert equal_shares(strength(0.3, 0.3, 0.7), 0.7) == pytest.approx(0.3, rel=1e-14)
    assert equal_shares(strength(1e-9, 1e-9, 1.0), 1.0) == pytest.approx(1e-9, rel=1e-12)
    assert robustness(lambda size: -1.0, 1.0) == 0 and robustness(lambda size: 1.0, 1.0) == 1
    assert equal_shares(0.5, 0.0) == 1
    assert strength(0.1, 1.0, 0.5) == np.inf and strength(0.0, 1.0, 1.0) == strength(0.1, 1.0, 0.0) == 0


@pytest.mark.parametrize(
    ("rho", "said"),
    [
        (1.0, ["RV: confounders with cf_y = cf_d = RV", "weaker ones cannot, whatever else they are like"]),
        (-0.3, ["confounders of correlation 0.3 with cf_y", "weaker ones cannot, nor those of a smaller correlation"]),
        (0.0, ["with rho = 0 confounders bias nothing; none takes the estimate to 0"]),
    ],
)
def test_robustness_values_say_of_which_confounders_they_are(data, rho, said):
    fit = cf.fit("y ~ treat(d) + adjust(x1 + x2)", data, "dml")
    found = fit.sensitivity(rho=rho)
    assert all(text in str(found) for text in said)
    assert ("whatever else" in str(found)) == (rho == 1) and ("none" in str(found).split()) == (rho == 0)
    rv, rva = found.to_frame()[["rv", "rva"]].iloc[0]
    told = (
        f"{100 * rv:.4g}% of what is left of the outcome" if rho else "No confounders of correlation 0 explain it away."
    )
    assert told in found.sentence and " ".join(found.sentence.split()) in " ".join(str(found).split())
    assert (f"With {100 * rva:.4g}% its one-sided 95% limit is there." in found.sentence) == (rho != 0)
    if rho:
        # those of that correlation and strength do; of the worst correlation weaker ones do
        assert fit.sensitivity(cf_y=rv, cf_d=rv, rho=rho).to_frame()["theta.lower"].item() == pytest.approx(0, abs=1e-9)
        assert (fit.sensitivity(cf_y=rv, cf_d=rv).to_frame()["theta.lower"].item() < -1e-3) == (rho != 1)
    else:
        assert rv == 1
        assert fit.sensitivity(cf_y=0.99, cf_d=0.99, rho=0).to_frame()["theta.lower"].item() == pytest.approx(
            fit.estimate
        )


def test_the_picture_of_bounds_without_end(data):
    """A benchmark that explains as much of the treatment as there is has no bound, and no number in the picture."""

    explained = data.assign(q=data["x1"] + 0.1 * data["q"], y=data["y"] + data["x1"] ** 2)
    fit = cf.fit("y ~ treat(q) + adjust(x1 + I(x1^2) + x2)", explained, "dml")
    found = fit.sensitivity(benchmark=["x1", "x2"])
    assert found.benchmarks["cf_d"].tolist()[0] == 1
    ax = found.plot()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "without x1 (unbounded)" in labels and len(labels) == 5
    rv, x2 = found.to_frame()["rv"].item(), found.benchmarks.iloc[1]
    share = strength(x2["cf_y"], x2["cf_d"], 1.0)
    assert f"without x2 ({found.bounds[0].theta(-1, share):.3g})" in labels and 0 < rv < 1
    drawn = {line.get_label(): line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1}
    assert drawn["without x1 (unbounded)"] == 1 and ax.get_xlim()[1] > 1
    # contours come as near as they can, and no name of a point covers another
    assert found.contour().columns[-1] == 0.99
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.get_legend().get_texts()]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    page = ax.figure.bbox
    assert all(
        page.contains(*corner) for text in ax.texts for corner in text.get_window_extent().corners() if text.get_text()
    )
    plt.close(ax.figure)


def test_bounds_are_the_scenario_of_the_contours(data):

    found = cf.fit(PLR, data, "dml").sensitivity(cf_y=0.1, cf_d=0.1, benchmark=["x1"])
    grid = found.contour(size=2, most=0.1)
    assert grid.iloc[1, 1] == pytest.approx(found.to_frame()["theta.lower"].item())
    assert grid.iloc[0, 0] == pytest.approx(found.to_frame()["theta"].item())
    ax = found.plot()
    assert ax.get_xlabel().startswith("cf_d")
    plt.close(ax.figure)
    assert "RV (%)" in str(found) and "without them" not in str(found) and "x1" in str(found)


def test_a_benchmark_leaves_out_every_term_of_a_variable(data):
    fit = cf.fit("y ~ treat(d) + poly(x1, 2) + x1:x2 + x2 + outcome(I(x1^3))", data, "dml")
    short = cf.fit("y ~ treat(d) + x2", data, "dml")
    found = fit.sensitivity(benchmark="x1").benchmarks.iloc[0]
    assert found["delta_theta"] == pytest.approx(short.estimate - fit.estimate, rel=1e-9)


# ---- when something is wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "message", "formula", "options"),
    [
        (
            cf.OptionError, "model='plr' does not use iv(...); model='pliv' or model='iivm' does",
            "treat(d) + iv(z)", {"model": "plr"},
        ),
        (cf.OptionError, "model='pliv' needs an instrument: iv(z)", "treat(d)", {"model": "pliv"}),
        (cf.DataError, "iv(...) has 120 values; use model='pliv'", "treat(d) + iv(x2)", {"model": "iivm"}),
        (
            cf.CapabilityError, "does not take a treatment of the kind dose; model='plr' or",
            "treat(q)", {"model": "irm"},
        ),
        (
            cf.CapabilityError, "does not take a treatment of the kind several levels; model='irm'",
            "treat(lev)", {"model": "plr"},
        ),
        (cf.OptionError, "estimand='ATT' needs arms; 'q' is a dose", "treat(q)", {"estimand": "ATT"}),
        (
            cf.OptionError, "gives a variance-weighted partial effect, and not the ATT; model='irm'",
            "treat(d)", {"model": "plr", "estimand": "ATT"},
        ),
        (
            cf.OptionError, "gives the ATE, the ATT or the ATC, and not the LATE; model='iivm' does",
            "treat(d)", {"estimand": "LATE"},
        ),
        (
            cf.OptionError, "gives a variance-weighted partial effect, and not the ATE; model='irm' or",
            "treat(d)", {"model": "plr", "estimand": "ATE"},
        ),
        (
            cf.OptionError, "gives the LATE, and not the ATE; model='irm' or model='selected_irm' does, without iv",
            "treat(d) + iv(z)", {"estimand": "ATE"},
        ),
        (
            cf.OptionError, "no model for the ATE of a treatment of the kind dose; these methods do: regression, ipw",
            "treat(q)", {"estimand": "ATE"},
        ),
        (
            cf.OptionError, "and not the ATE; model='irm' or model='selected_irm' does",
            "treat(d)", {"model": "double_selection", "estimand": "ATE"},
        ),
        (cf.OptionError, "LATE of a treatment of the kind dose; these methods do", "treat(q)", {"estimand": "LATE"}),
        (cf.OptionError, "score= has no part in model='irm'", "treat(d)", {"score": "iv_type"}),
        (cf.OptionError, "bounds= has no part in model='plr'", "treat(q)", {"bounds": 0.1}),
        (cf.OptionError, "instrument_model= has no part", "treat(q)", {"instrument_model": "ridge"}),
        (cf.OptionError, "measure='ratio' compares mean potential outcomes", "treat(q)", {"measure": "ratio"}),
        (cf.OptionError, "method='regression' has the others", "treat(q)", {"measure": "odds_ratio"}),
        (cf.OptionError, "model='irm' has the others", "treat(d)", {"measure": "odds_ratio", "model": "plr"}),
        (cf.OptionError, "unknown model 'plm'", "treat(q)", {"model": "plm"}),
        (cf.OptionError, "a number of folds, the name of a column", "treat(q)", {"folds": np.array([0.5])}),
        (cf.DataError, "folds= has 3 rows, and the data have 120", "treat(q)", {"folds": [0, 1, 2]}),
        (cf.DataError, "given folds are at least two", "treat(q)", {"folds": np.zeros(N, int)}),
        (cf.DataError, "the given folds split clusters of g", "treat(q) + cluster(g)", {"folds": np.arange(N) // 40}),
        (cf.OptionError, "repeats=3, and folds= gives 1", "treat(q)", {"folds": "fold", "repeats": 3}),
        (cf.OptionError, "the data have no column 'nosuch'", "treat(q)", {"folds": "nosuch"}),
        (cf.CapabilityError, "does not use offset(...): its learners have no place", "treat(q) + offset(x2)", {}),
        (cf.IdentificationError, "nothing is left of q", "treat(q) + I(2 * q2)", {}),
        (cf.IdentificationError, "nothing is left of x2", "treat(q) + iv(x2) + I(2 * x2)", {}),
        (cf.OptionError, "one instrument, and iv(...) has 2 columns", "treat(q) + iv(z + x2)", {"score": "iv_type"}),
    ],
)  # fmt: skip
def test_what_is_refused(data, kind, message, formula, options):
    with pytest.raises(kind) as caught:
        cf.fit(f"y ~ {formula} + adjust(x1)", data.assign(q2=data["q"]), "dml", **options)
    assert message in str(caught.value)


def test_verbs_that_have_no_answer(data):
    late = cf.fit("y ~ treat(d) + x1 + iv(z)", data, "dml")
    ratio = cf.fit("exp(y) ~ treat(d) + x1", data, "dml", measure="ratio")
    linear, att = cf.fit(PLR, data, "dml"), cf.fit("y ~ treat(d) + x1", data, "dml", estimand="ATT")
    gone = {
        late: {"means", "cate", "sensitivity"}, ratio: {"cate"}, linear: {"means"}, att: {"cate"},
        linear.by("lev"): {"by", "gate"},
    }  # fmt: skip
    for fit, verbs in gone.items():
        assert not verbs & set(dir(fit))
    bounds = [partial(fit.sensitivity, "omitted") for fit in (late, ratio, linear.by("lev"))]
    for call in (late.cate, late.sensitivity, ratio.cate, linear.means, att.cate, *bounds):
        with pytest.raises((cf.CapabilityError, cf.OptionError)):
            call()
    with pytest.raises(cf.OptionError, match=r"cate\('x \+ z'\)"):
        linear.cate()
    with pytest.raises(cf.OptionError, match=r"cf_d=1: a share"):
        linear.sensitivity(cf_d=1)
    with pytest.raises(cf.OptionError, match="no covariate of the formula has 'x3'"):
        linear.sensitivity(benchmark="x3")


def test_folds_are_read_once():
    assert repr(GivenFolds(("f",))) == "['f']"
    options = cf.DML(folds=np.arange(6) % 2)
    assert "<folds of 6 rows>" in repr(options) and isinstance(options.folds, GivenFolds)


def test_a_score_that_stands_still_has_no_root():
    with pytest.raises(cf.IdentificationError):
        root(Score(np.zeros((4, 1)), np.ones((4, 1))), np.ones(4))


def test_one_class_outside_a_fold(data):
    """Within an arm it is what is known, and is told; of the treatment itself it is no treatment."""
    offered = data["z"] == 1
    d = np.where(offered, 1, 0)
    d[np.flatnonzero(offered & (data["fold"] == 0))[:4]] = 0
    fit = cf.fit("y ~ treat(d) + adjust(x1) + iv(z)", data.assign(d=d), "dml", folds="fold")
    assert (fit.predictions()["treatment at z = 1"][data["fold"] == 0] == 1).all()
    assert fit.learners().loc["treatment at z = 1", "told"] == "fold 1: one class only"
    with pytest.raises(cf.DataError, match=r"glm for the treatment, fold 1 of 3: all rows outside .* use fewer folds"):
        cf.fit(
            "y ~ treat(t) + adjust(x1)",
            data.assign(t=(data["fold"] == 0).astype(int)),
            "dml",
            folds="fold",
            model="plr",
        )


def test_a_benchmark_that_leaves_nothing_says_so(data):
    fit = cf.fit(PLR, data, "dml", outcome_model="ridge")
    with pytest.raises(cf.DataError, match=r"benchmark='x1 \+ x2': nothing is left to learn from; leave out fewer"):
        fit.sensitivity(benchmark="x1 + x2")
    assert np.isfinite(fit.sensitivity(benchmark="x1").benchmarks["cf_y"]).all()


def test_glance_and_tables_call_standard_errors_by_their_name(data):
    learned = [
        cf.fit("y ~ treat(d) + adjust(x1)", data, "dml"),
        cf.fit("y ~ treat(d) + adjust(x1)", data, "dml", repeats=2),
        cf.fit("y ~ treat(d) + adjust(x1)", data, "aipw", model="ridge"),
    ]
    assert [fit.glance()["vcov"].item() for fit in learned] == ["influence function"] * 3
    stacked = cf.fit("y ~ treat(d) + adjust(x1)", data, "aipw")
    assert stacked.glance()["vcov"].item() == "asympt"
    assert learned[0].with_vcov("~g").glance()["vcov"].item() == "~g"
    (line,) = [line for line in str(cf.table([learned[0], stacked])).splitlines() if line.startswith("Std.Errors")]
    assert line.split()[1:] == ["Influence", "function", "M-estimation"]


def test_a_learner_needs_covariates(data):
    with pytest.raises(cf.DataError, match=r"ridge for the outcome, .* no covariates to learn from; add adjust"):
        cf.fit("y ~ treat(q)", data, "dml", outcome_model="ridge")
    assert np.isfinite(cf.fit("y ~ treat(q)", data, "dml").std_error)


def test_every_model_has_its_name():
    assert tuple(MODELS) == MODEL_NAMES


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
def test_bounds_need_mean_squares_above_zero():
    """Of weights that are large, twice their mean less their mean square, which estimates that, may be negative."""
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", cf.datasets.load("heart"), "dml")
    assert (fit.fit.outcomes.scores[0].moments.nu2 < 0).all()
    with pytest.raises(cf.CapabilityError, match="is estimated as no more than zero"):
        fit.sensitivity("omitted")
    assert type(fit.sensitivity()).__name__ == "EValues"
