"""Quantiles of potential outcomes: solved by plain loops, what monotone functions leave, notes, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import StratifiedKFold, train_test_split

import causalformula as cf
from causalformula.backends.doubly_robust.quantiles import _density, _root
from causalformula.backends.learning.folds import make_folds
from causalformula.backends.learning.halves import make_halves
from causalformula.frame.bind import bind

N, F, SEED = 240, "y ~ treat(d) + adjust(x)", 7
SHARES = {"outcome_model": DummyClassifier(strategy="prior"), "treatment_model": DummyClassifier(strategy="prior")}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    x = rng.normal(size=N)
    d = (rng.random(N) < 1 / (1 + np.exp(-x))).astype(int)
    return pd.DataFrame(
        {
            "y": d * (1 + 0.5 * rng.normal(size=N)) + x + rng.normal(size=N), "d": d, "x": x, "dose": x + d,
            "lev": np.array(["a", "b", "c"])[np.arange(N) // 2 % 3], "fold": np.arange(N) % 3,
            "g": np.arange(N) // 4, "h": np.arange(N) % 60, "z": rng.integers(0, 2, N), "w": rng.integers(0, 3, N),
        }
    )  # fmt: skip


def fit(data, quantiles=0.5, formula=F, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        return cf.fit(formula, data, "dml", quantiles=quantiles, **{"folds": "fold", "seed": SEED} | options)


def by_loops(data, q, a):
    """The quantile of one arm with constant learners: shares of the rows that each step may see."""
    y, d, fold = (data[name].to_numpy() for name in ("y", "d", "fold"))
    mine, n = d == a, len(y)
    m, g = np.empty(n), np.empty(n)
    for k in range(3):
        train = np.flatnonzero(fold != k)
        first, second = train_test_split(train, test_size=0.5, random_state=SEED, stratify=d[train])
        share = np.empty(len(first))
        for learn, test in StratifiedKFold(3).split(first, d[first]):
            share[test] = mine[first][learn].mean()
        v = mine[first] / share
        gaps = [abs(v @ (y[first] <= t) / v.sum() - q) for t in y]
        near = min(y[first][mine[first]], key=lambda t: gaps[int(np.flatnonzero(y == t)[0])])
        g[fold == k] = (y[second][mine[second]] <= near).mean()
        m[fold == k] = mine[train].mean()
    v = mine / m / (mine / m).mean()

    def score(t, strictly=False):
        return v * ((y < t if strictly else y <= t) - g) + g - q

    theta = min(t for t in y[mine] if score(t).mean() >= 0)
    psi = min(score(theta), score(theta, True), key=lambda s: abs(s.mean()))
    u = y - theta
    width = 0.9 * min(u.std(ddof=1), np.subtract(*np.percentile(u, [75, 25])) / 1.349) * n**-0.2
    return theta, psi / ((v * norm.pdf(u / width)).mean() / width)


def test_quantiles_by_plain_loops(data):
    asked = (0.3, 0.8)
    found = fit(data, asked, **SHARES)
    hand = [[by_loops(data, q, a) for a in (0, 1)] for q in asked]
    means = found.means()
    np.testing.assert_allclose(means.tidy()["estimate"], [each[0] for row in hand for each in row], rtol=1e-12)
    for k, ((low, psi0), (high, psi1)) in enumerate(hand):
        row = found.tidy().iloc[k]
        assert row["estimate"] == pytest.approx(high - low, rel=1e-12)
        assert row["std.error"] == pytest.approx(np.sqrt(((psi1 - psi0) ** 2).sum()) / N, rel=1e-10)
    np.testing.assert_allclose(found.influence()[:, 1], -(hand[1][1][1] - hand[1][0][1]), rtol=1e-9, atol=1e-9)


def test_rows_are_named_by_quantile(data):
    found = fit(data, [0.25, 0.5], "y ~ treat(lev) + adjust(x)", contrast="pairwise")
    assert list(found.params.index[:3]) == [f"quantile=0.25 lev {pair}" for pair in ("b - a", "c - a", "c - b")]
    assert found.tidy()["quantile"].tolist() == ["0.25"] * 3 + ["0.5"] * 3
    text = str(found)
    assert text.startswith(
        "Quantile treatment effect of lev on y\nMethod: double machine learning, quantiles of potential"
    )
    assert str(found.means()).startswith("Quantiles of potential outcomes of y by lev\n")
    assert fit(data).estimate == fit(data, [0.5]).estimate
    # the differences are those of the quantiles
    b, c = found.means().params["quantile=0.5 lev b"], found.means().params["quantile=0.5 lev c"]
    assert found.params["quantile=0.5 lev c - b"] == pytest.approx(c - b, rel=1e-12)


def test_quantiles_follow_a_monotone_function(data):
    """The order of outcomes is all that their nuisances, and roots, are made of."""
    found, other = (fit(each, [0.3, 0.6]).means().params for each in (data, data.assign(y=np.exp(data["y"]))))
    np.testing.assert_allclose(np.log(other), found, rtol=1e-12)
    far = fit(data.assign(y=data["y"] + 1e9), [0.3, 0.6]).tidy()
    near = fit(data, [0.3, 0.6]).tidy()
    np.testing.assert_allclose(far[["estimate", "std.error"]], near[["estimate", "std.error"]], atol=1e-6)


def test_rows_without_weight_take_no_part(data):
    """Whole weights in the learners, the sums and the density; a weight of zero is no row."""
    found = fit(data, [0.4], F + " + weights(w)")
    kept = fit(data[data["w"] > 0].reset_index(drop=True), [0.4], F + " + weights(w)")
    columns = ["estimate", "std.error"]
    np.testing.assert_allclose(found.tidy()[columns], kept.tidy()[columns], rtol=1e-10)
    assert found.estimate != fit(data, [0.4]).estimate


def test_repetitions_have_the_median(data):
    folds = np.column_stack([data["fold"], data["fold"].sample(frac=1, random_state=1)])
    both = fit(data, [0.3, 0.6], folds=folds)
    each = [fit(data, [0.3, 0.6], folds=folds[:, r]).tidy() for r in (0, 1)]
    theta = np.array([one["estimate"] for one in each])
    spread = np.array([one["std.error"] ** 2 for one in each]) + (theta - np.median(theta, axis=0)) ** 2
    np.testing.assert_allclose(both.tidy()["estimate"], np.median(theta, axis=0), rtol=1e-12)
    np.testing.assert_allclose(both.tidy()["std.error"] ** 2, np.median(spread, axis=0), rtol=1e-12)
    assert both.predictions(2).shape == (N, 6) and len(both.outcome.calibration(repeat=2)["function"].unique()) == 4


def test_losses_are_of_each_rows_own_target(data):
    """What is learned in a fold is below the quantile of its own training rows."""
    found = fit(data, **SHARES)
    name = "outcome at d = 1 below quantile 0.5"
    task = found.fit.learned[name].task
    p, seen, mine = found.predictions()[name], task.y[:, 0], (data["d"] == 1).to_numpy()
    loss = -np.log(np.where(seen == 1, p, 1 - p))[mine].mean()
    assert found.learners().loc[name, "loss"] == pytest.approx(loss, rel=1e-12)
    for k in range(3):
        inside = data["fold"] == k
        assert data["y"][inside & (seen == 1)].max() < data["y"][inside & (seen == 0)].min()


@pytest.mark.parametrize("formula", [F, F + " + cluster(g)"])
def test_halves_share_no_row_and_no_cluster(data, formula):
    frame = bind(cf.parse(formula), data)
    folds = make_folds(frame, 3, 2, SEED)
    halves = make_halves(frame, folds)
    for r in range(2):
        for k in range(3):
            inner, second = halves.first.codes[:, r * 3 + k], halves.second[:, r, k]
            parts = [folds.inside(r, k), second, *(inner == j for j in range(3))]
            assert (np.sum(parts, axis=0) == 1).all()
            assert 0.4 < second.sum() / (second.sum() + (inner >= 0).sum()) < 0.6
            for part in parts if frame.clusters else ():
                assert not set(data["g"][part]) & set(data["g"][~part])
            assert (halves.first.outside(r * 3 + k, 0) == ((inner == 1) | (inner == 2))).all()


def test_clusters_sum_their_influence(data):
    found = fit(data, 0.5, F + " + cluster(g)", folds=3, vcov="CR0 ~ g")
    sums = pd.Series(found.influence()[:, 0] / N).groupby(data["g"]).sum()
    assert found.std_error == pytest.approx(np.sqrt((sums**2).sum()), rel=1e-10)


def test_bands_hold_for_all_quantiles(data):
    found = fit(data, [0.25, 0.5, 0.75])
    bands = found.simultaneous(seed=1)
    assert 1.96 < bands.critical_value < 2.4  # correlated: below Bonferroni's
    assert found.hypothesis(["b1 = b2", "b2 = b3"]).test.df == 2


def test_the_root_is_on_the_nearer_side():
    y, share = np.array([1.0, 2.0, 3.0, 4.0]), np.full(4, 0.25)
    one, nothing = np.ones(4), np.zeros(4)
    for q, theta, below in ((0.45, 2.0, 2), (0.3, 2.0, 1), (0.25, 1.0, 1), (0.9, 4.0, 4)):
        root, psi = _root(y, one, nothing, q, share, "d = 1")
        assert root == theta and psi.sum() == pytest.approx(below - 4 * q)
    with pytest.raises(cf.DataError, match=r"quantile 0.2 at d = 1 .*Ask for quantiles nearer to the middle"):
        _root(y, np.array([2.0, 2.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.9, 0.9]), 0.2, share, "d = 1")


def test_a_density_of_mostly_equal_outcomes_has_a_width():
    u = np.r_[np.zeros(9), 1.0]
    width = 0.9 * u.std(ddof=1) * 10**-0.2
    value = (0.9 * norm.pdf(0) + 0.1 * norm.pdf(1 / width)) / width
    assert _density(u, np.ones(10), np.ones(10, bool)) == pytest.approx(value)


# ---- what is told, and what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "changed", "quantiles"),
    [
        ("few rows of the arm are beyond the quantile 0.97 of d = 0", {}, 0.97),
        ("rows with the very value of the quantile 0.5 of d = 0", {"y": lambda f: f["y"].round()}, 0.5),
        ("above 0.7 were set to these (bounds=)", {}, 0.5),
    ],
)  # fmt: skip
def test_notes(data, message, changed, quantiles):
    assert not [note for note in fit(data, [0.4, 0.5]).fit.notes if "quantile" in note]
    changed = data.assign(**changed)
    bounds = {"bounds": 0.3} if message.startswith("above") else {}
    assert any(message in note for note in fit(changed, quantiles, **bounds).fit.notes)


def test_quantiles_that_cross_are_told(data):
    """With few rows, and near to each other, whatever order they are asked in."""
    some = data.iloc[:90].reset_index(drop=True)
    asked = np.arange(0.3, 0.7, 0.03)
    found = fit(some, asked[::-1])
    values = found.means().tidy()["estimate"].to_numpy().reshape(len(asked), 2)[::-1]
    crossed = (np.diff(values, axis=0) < 0).any(axis=0)
    assert crossed.any()
    for level, crosses in enumerate(crossed):
        assert crosses == any(f"the quantiles of d = {level} cross" in note for note in found.fit.notes)


@pytest.mark.parametrize(
    ("kind", "message", "formula", "options"),
    [
        (cf.OptionError, "quantiles=0: a number between 0 and 1", "treat(d)", {"quantiles": 0}),
        (cf.OptionError, "quantiles=[0.5, 1.0]: a number", "treat(d)", {"quantiles": [0.5, 1.0]}),
        (cf.OptionError, "quantiles=[]: a number", "treat(d)", {"quantiles": []}),
        (cf.OptionError, "quantiles='median': a number", "treat(d)", {"quantiles": "median"}),
        (cf.OptionError, "has one twice", "treat(d)", {"quantiles": [0.5, 0.5]}),
        (cf.CapabilityError, "none for the ATT. Leave out estimand=", "treat(d)", {"estimand": "ATT"}),
        (cf.CapabilityError, "'dose' is a dose; write treat(cut(dose, 3))", "treat(dose)", {}),
        (cf.CapabilityError, "DoubleML's LPQ), are not available", "treat(d) + iv(z)", {}),
        (cf.CapabilityError, "LPQ", "treat(d)", {"model": "iivm"}),
        (cf.CapabilityError, "not of model='plr'", "treat(d)", {"model": "plr"}),
        (cf.CapabilityError, "clusters that cross have no halves", "treat(d) + cluster(g + h)", {"folds": 2}),
        (cf.OptionError, "an outcome log(...) has log ratios", "treat(d)", {"measure": "ratio"}),
        (cf.OptionError, "leave out family=", "treat(d)", {"family": "poisson"}),
        (cf.OptionError, "score= has no part", "treat(d)", {"score": "iv_type"}),
        (cf.DataError, "118 rows of d = 0: quantile effects deal out half of them to 60", "treat(d)", {"folds": 60}),
        (
            cf.DataError, "too few clusters of z5 have rows of zd = 1",
            "treat(zd) + cluster(z5)", {"folds": 3},
        ),
        (cf.OptionError, "LinearRegression", "treat(d)", {"outcome_model": LinearRegression()}),
    ],
)  # fmt: skip
def test_what_is_refused(data, kind, message, formula, options):
    z5 = np.arange(N) // 10
    changed = data.assign(z5=z5, zd=(z5 < 4).astype(int))
    with pytest.raises(kind) as caught:
        fit(changed, **{"quantiles": 0.5, "formula": f"y ~ {formula} + adjust(x)"} | options)
    assert message in str(caught.value)


def test_an_outcome_of_two_values_has_no_quantiles(data):
    with pytest.raises(cf.DataError, match="the outcome has 2 values, so no quantile"):
        fit(data.assign(y=(data["y"] > 0).astype(int)))


def test_verbs_of_averages(data):
    found = fit(data)
    assert "means" in dir(found) and not {"by", "gate", "cate", "sensitivity"} & set(dir(found))
    for call in (lambda: found.by("lev"), lambda: found.gate("lev")):
        with pytest.raises(cf.CapabilityError, match="subset="):
            call()
    for call in (lambda: found.cate("x"), found.sensitivity):
        with pytest.raises(cf.CapabilityError, match="is of averages, and these are quantiles"):
            call()


def test_a_failure_names_the_inner_fold(data):
    class Failing(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            raise ValueError("no")

    with pytest.raises(cf.DataError, match="fold 1 of 3 in half of the rows outside fold 1 failed"):
        fit(data, treatment_model=Failing())


# ---- the picture -----------------------------------------------------------------------------------------------------


def test_the_picture_has_intervals_and_the_band(data):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = fit(data, [0.6, 0.3, 0.45])
    ax = found.plot("quantiles", level=0.9)
    band = found.simultaneous(0.9, seed=SEED).table.sort_values("quantile")
    line = next(each for each in ax.lines if len(each.get_xdata()) == 3)
    np.testing.assert_allclose(line.get_xdata(), [0.3, 0.45, 0.6])
    np.testing.assert_array_equal(line.get_ydata(), found.tidy().sort_values("quantile")["estimate"])
    edges = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert {*band["conf.low"], *band["conf.high"]} <= {*edges}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "90% interval of each",
        "90% band for all at once",
    ]
    assert ax.get_ylabel() == "Effect on y (difference of quantiles)\nQuantile treatment effect"
    means = found.means().plot("quantiles")
    assert means.get_ylabel() == "Quantile of y" and "d 1" in {t.get_text() for t in means.get_legend().get_texts()}
    fit(data).plot("quantiles")
    assert "difference of quantiles" in found.plot().get_xlabel()
    with pytest.raises(cf.OptionError, match="unknown plot 'quantiles'"):
        cf.fit(F, data, "dml").plot("quantiles")
    plt.close("all")
