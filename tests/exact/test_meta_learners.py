"""Meta-learners by plain loops over scikit-learn: effects of units, of rows held out, and their average."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeRegressor

import causalformula as cf
from causalformula.backends.meta.fitting import sequential_predictions
from causalformula.diagnostics.targeting import score_curve

METHODS = ("s_learner", "t_learner", "x_learner", "r_learner", "dr_learner")
LAST = ("x_learner", "r_learner", "dr_learner")
F = "y ~ treat(a) + adjust(x + z)"
LEARNERS = {"model": LinearRegression(), "treatment_model": LogisticRegression()}
BY_FOLD = {**LEARNERS, "folds": "f"}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 150
    x, z = rng.normal(size=(2, n))
    a = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    y = x + z + a * (1 + x) + rng.normal(size=n)
    m = np.array(["p", "q", "r"])[(np.arange(n) + (rng.random(n) < 0.3)) % 3]
    f, g = rng.permutation(n) % 3, rng.permutation(n) % 3
    frame = pd.DataFrame({"y": y, "a": a, "x": x, "z": z, "m": m, "f": f, "g": g, "k": rng.integers(1, 4, n)})
    return frame.assign(d=(y > 1).astype(int), c=np.arange(n) // 5, s=np.where(z > 0, "u", "v"))


def covariates(data):
    return data[["x", "z"]].to_numpy()


def linear(X, y, at, weights=None):
    return LinearRegression().fit(X, y, sample_weight=weights).predict(at)


def propensities(data, rows, at, treatment="a"):
    fitted = LogisticRegression().fit(covariates(data)[rows], data[treatment][rows])
    return np.clip(fitted.predict_proba(at), 0.01, 0.99)


def out_of_fold(data, predict, rows=None, folds="f"):
    """``predict(train, X of the fold)`` for every row, from other folds (of ``rows``)."""
    f, X = data[folds].to_numpy(), covariates(data)
    rows = np.ones(len(f), dtype=bool) if rows is None else rows
    found = None
    for k in np.unique(f[rows]):
        part = predict(rows & (f != k), X[f == k])
        found = np.full((len(f), *part.shape[1:]), np.nan) if found is None else found
        found[f == k] = part
    return found


def first_of_arms(data, rows=None, treatment="a", folds="f"):
    """Outcome means by arm and propensities of other folds (n, K)."""
    X, y, t = covariates(data), data["y"].to_numpy(), data[treatment].to_numpy()
    means = [
        out_of_fold(data, lambda train, at, own=t == level: linear(X[train & own], y[train & own], at), rows, folds)
        for level in np.unique(t)
    ]
    P = out_of_fold(data, lambda train, at: propensities(data, train, at, treatment), rows, folds)
    return np.column_stack(means), P


def robust(data, m, P, treatment="a"):
    t = data[treatment].to_numpy()
    inside = t[:, None] == np.unique(t)
    return m + inside * (data["y"].to_numpy()[:, None] - m) / P


def residuals(data, rows=None):
    """Targets and weights of the R-learner."""
    X, y = covariates(data), data["y"].to_numpy()
    centre = out_of_fold(data, lambda train, at: linear(X[train], y[train], at), rows)
    v = data["a"].to_numpy() - out_of_fold(data, lambda train, at: propensities(data, train, at), rows)[:, 1]
    return (y - centre) / v, v**2


# -- effects of units ----------------------------------------------------------------------------------------------


def test_a_t_learner_is_two_regressions(data):
    X, y, a = covariates(data), data["y"].to_numpy(), data["a"].to_numpy()
    means = [linear(X[a == arm], y[a == arm], X) for arm in (0, 1)]
    for options in ({}, LEARNERS):
        found = cf.fit(F, data, "t_learner", **options).effects().to_frame()
        assert_allclose(found[["a = 0", "a = 1"]], np.column_stack(means), rtol=1e-9)
        assert_allclose(found["effect"], means[1] - means[0], rtol=1e-8, atol=1e-10)


def test_an_s_learner_is_one_regression_crossed_with_the_modifiers(data):
    x, z, a = (data[name].to_numpy(dtype=float) for name in ("x", "z", "a"))
    one = np.ones(len(x))
    coef = np.linalg.lstsq(np.column_stack([one, a, x, z, a * x]), data["y"], rcond=None)[0]
    formula = "y ~ treat(a) + modify(x) + adjust(z)"
    found = cf.fit(formula, data, "s_learner").effects().effect
    assert_allclose(found, coef[1] + coef[4] * x, rtol=1e-8)
    standard = cf.fit(formula, data, "regression").estimate
    assert_allclose(found.mean(), standard, rtol=1e-8)


def test_an_x_learner_imputes_what_the_other_arm_says(data):
    X, y, a = covariates(data), data["y"].to_numpy(), data["a"].to_numpy()
    m0, m1 = (linear(X[a == arm], y[a == arm], X) for arm in (0, 1))
    treated, controls = linear(X[a == 1], (y - m0)[a == 1], X), linear(X[a == 0], (m1 - y)[a == 0], X)
    e = propensities(data, np.ones(len(a), dtype=bool), X)[:, 1]
    found = cf.fit(F, data, "x_learner", **LEARNERS).effects().effect
    assert_allclose(found, e * controls + (1 - e) * treated, rtol=1e-8)


def test_an_r_learner_is_least_squares_of_residuals(data):
    X = covariates(data)
    target, weights = residuals(data)
    Z = np.column_stack([np.ones(len(X)), X])
    coef = np.linalg.solve(Z.T @ (weights[:, None] * Z), Z.T @ (weights * target))
    fit = cf.fit(F, data, "r_learner", **BY_FOLD)
    assert_allclose(fit.effects().effect, Z @ coef, rtol=1e-8)
    modified = cf.fit("y ~ treat(a) + modify(x) + adjust(z)", data, "r_learner", **BY_FOLD).effects().effect
    assert_allclose(modified, linear(X[:, :1], target, X[:, :1], weights), rtol=1e-8)


def test_a_dr_learner_is_least_squares_of_the_scores(data):
    X = covariates(data)
    scores = robust(data, *first_of_arms(data))
    fit = cf.fit(F, data, "dr_learner", **BY_FOLD)
    assert_allclose(fit.effects().effect, linear(X, scores[:, 1] - scores[:, 0], X), rtol=1e-8)


def test_several_levels_are_each_set_against_the_first(data):
    X, y, m = covariates(data), data["y"].to_numpy(), data["m"].to_numpy()
    formula, every = "y ~ treat(m) + adjust(x + z)", np.ones(len(data), dtype=bool)
    means = np.column_stack([linear(X[m == level], y[m == level], X) for level in "pqr"])
    found = cf.fit(formula, data, "t_learner", **LEARNERS).effects()
    assert found.contrasts == ("q - p", "r - p")
    assert_allclose(found.effect, means[:, 1:] - means[:, :1], rtol=1e-8, atol=1e-10)
    pairs = cf.fit(formula, data, "t_learner", contrast="pairwise", **LEARNERS).effects()
    assert_allclose(pairs.effect[:, -1], means[:, 2] - means[:, 1], rtol=1e-8, atol=1e-10)

    P, share = propensities(data, every, X, "m"), {}
    for a, level in enumerate("qr", 1):
        e = P[:, a] / (P[:, a] + P[:, 0])
        treated = linear(X[m == level], (y - means[:, 0])[m == level], X)
        controls = linear(X[m == "p"], (means[:, a] - y)[m == "p"], X)
        share[level] = e * controls + (1 - e) * treated
    x = cf.fit(formula, data, "x_learner", **LEARNERS).effects().effect
    assert_allclose(x, np.column_stack(list(share.values())), rtol=1e-8)

    P = out_of_fold(data, lambda train, at: propensities(data, train, at, "m"))
    both, e = np.isin(m, ["p", "r"]), P[:, 2] / (P[:, 2] + P[:, 0])
    own = out_of_fold(data, lambda train, at: linear(X[train & both], y[train & both], at))
    v = (m == "r") - e
    r = cf.fit(formula, data, "r_learner", **BY_FOLD).effects().effect[:, 1]
    assert_allclose(r, linear(X[both], ((y - own) / v)[both], X, (v**2)[both]), rtol=1e-8)

    scores = robust(data, *first_of_arms(data, treatment="m"), "m")
    dr = cf.fit(formula, data, "dr_learner", **BY_FOLD).effects().effect
    assert_allclose(dr[:, 1], linear(X, scores[:, 2] - scores[:, 0], X), rtol=1e-8)


def test_binary_outcomes_are_learned_as_probabilities(data):
    X, a, d = covariates(data), data["a"].to_numpy(), data["d"].to_numpy()
    p = [LogisticRegression().fit(X[a == arm], d[a == arm]).predict_proba(X)[:, 1] for arm in (0, 1)]
    formula = F.replace("y", "d", 1)
    found = cf.fit(formula, data, "t_learner", model=LogisticRegression(), family="binomial").effects()
    assert_allclose(found.effect, p[1] - p[0], rtol=1e-8)
    for method in METHODS:
        options = {"effect_model": LinearRegression()} if method in LAST else {}
        fit = cf.fit(formula, data, method, model=LogisticRegression(), family="binomial", **options)
        assert np.isfinite(fit.effects().effect).all() and np.isfinite(fit.estimate)


def test_new_units_are_predicted_as_the_old_ones(data):
    for method in METHODS:
        fit = cf.fit("y ~ treat(a) + adjust(x + s)", data, method, **LEARNERS)
        old, new = fit.effects(), fit.effects(data[["x", "s"]])
        pd.testing.assert_frame_equal(old.to_frame(), new.to_frame())
        part = data[["s", "x"]].iloc[[7, 3]].assign(x=[np.nan, data["x"][3]])
        found = fit.effects(part).to_frame()
        assert found.index.tolist() == [7, 3] and found.iloc[0].isna().all()
        assert_allclose(found["effect"].iloc[1], old.effect[3], rtol=1e-12)


# -- rows that were held out ---------------------------------------------------------------------------------------


def test_held_out_effects_of_a_t_learner(data):
    m, _ = first_of_arms(data)
    fit = cf.fit(F, data, "t_learner", **BY_FOLD)
    assert_allclose(fit.effects(held_out=True).effect, m[:, 1] - m[:, 0], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", ["r_learner", "dr_learner"])
def test_held_out_effects_of_a_second_step_are_of_folds_within_folds(data, method):
    X, f = covariates(data), data["f"].to_numpy()
    expected = np.empty(len(f))
    for k in range(3):
        others = f != k
        target, weights = residuals(data, others)
        if method == "dr_learner":
            target, weights = np.diff(robust(data, *first_of_arms(data, others)))[:, 0], np.ones(len(f))
        expected[f == k] = linear(X[others], target[others], X[f == k], weights[others])
    fit = cf.fit(F, data, method, **BY_FOLD)
    assert_allclose(fit.effects(held_out=True).effect, expected, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["glm", DecisionTreeRegressor(max_depth=3)], ids=["glm", "tree"])
def test_a_held_out_effect_knows_nothing_of_its_fold(data, method, model):
    """Outcomes and treatments of a fold, drawn anew, change no effect that is predicted for it."""
    rng, own = np.random.default_rng(0), data["f"].to_numpy() == 1
    other = data.assign(y=np.where(own, rng.normal(5, 9, len(data)), data["y"]))
    other["a"] = np.where(own, rng.permutation(data["a"]), data["a"])
    formula = "y ~ treat(a) + modify(x) + adjust(z)"
    before, after = (
        cf.fit(formula, table, method, model=model, treatment_model="glm", folds="f").effects(held_out=True).effect
        for table in (data, other)
    )
    assert_allclose(before[own], after[own], rtol=1e-12)
    assert (np.abs(before[~own] - after[~own]) > 1e-6).any()


def ahead(fit):
    """Effects of each fold by learners of those before it."""
    found, _ = sequential_predictions(fit.call.frame, fit.call.options, fit.fit.units)
    return found.effects[:, 0]


@pytest.mark.parametrize("model", ["glm", DecisionTreeRegressor(max_depth=3)], ids=["glm", "tree"])
@pytest.mark.parametrize("method", METHODS)
def test_effects_in_order_know_nothing_of_their_fold_and_those_after_it(data, method, model):
    """So that what is judged of a fold is independent of what its learners saw, given the folds before."""
    rng, later = np.random.default_rng(0), data["f"].to_numpy() >= 1
    other = data.assign(y=np.where(later, rng.normal(5, 9, len(data)), data["y"]))
    formula = "y ~ treat(a) + modify(x) + adjust(z)"
    before, after = (
        ahead(cf.fit(formula, table, method, model=model, treatment_model="glm", folds="f")) for table in (data, other)
    )
    own = data["f"].to_numpy() == 1
    assert np.isnan(before[~later]).all() and np.isfinite(before[later]).all()
    assert_allclose(before[own], after[own], rtol=1e-12)
    assert (np.abs(before[data["f"] == 2] - after[data["f"] == 2]) > 1e-6).any()


def test_effects_in_order_and_their_area_by_hand(data):
    fit, f = cf.fit(F, data, "t_learner", **BY_FOLD), data["f"].to_numpy()
    expected, ranks = np.full(len(data), np.nan), np.zeros(len(data))
    for k in (1, 2):
        own, X = f == k, covariates(data)
        m = [LinearRegression().fit(X[(f < k) & (data["a"] == arm)], data["y"][(f < k) & (data["a"] == arm)]).predict(X)
             for arm in (0, 1)]  # fmt: skip
        expected[own] = (m[1] - m[0])[own]
        ranks[own] = (expected[own].argsort().argsort() + 0.5) / own.sum()
    assert_allclose(ahead(fit), expected, rtol=1e-8)
    judged, scores = f > 0, fit.scores()["1 - 0"].to_numpy()
    area = score_curve(scores[judged], ranks[judged], "toc", reps=0).area
    assert_allclose(fit.rate(reps=0).estimate, area, rtol=1e-10)
    tau = expected[judged]
    assert_allclose(fit.losses().tidy()["estimate"][2], np.mean((scores[judged] - tau) ** 2), rtol=1e-8)


def test_what_is_given_is_judged_without_a_further_fit(data, monkeypatch):
    fit = cf.fit(F, data, "r_learner", model="glm", folds="f")
    monkeypatch.setattr("causalformula.results.families.unit_core.sequential_predictions", None)
    monkeypatch.setattr("causalformula.results.families.unit_core.held_predictions", None)
    for judged in (fit.rate(priority="x", reps=0), fit.value(0.5, priority="x"), fit.losses("x"),
                   fit.calibration(2, effects="x")):  # fmt: skip
        assert np.isfinite(judged.tidy()["estimate"]).all()


def test_repetitions_are_averaged_for_units_and_the_median_for_their_mean(data):
    fits = [cf.fit(F, data, "dr_learner", **{**LEARNERS, "folds": folds}) for folds in ("f", "g", ["f", "g"])]
    one, two, both = (fit.effects(held_out=True).effect for fit in fits)
    assert_allclose(both, (one + two) / 2, rtol=1e-9)
    assert_allclose(fits[2].scores(), (fits[0].scores() + fits[1].scores()) / 2, rtol=1e-9)
    assert_allclose(fits[2].estimate, (fits[0].estimate + fits[1].estimate) / 2, rtol=1e-9)
    X, means = covariates(data), [first_of_arms(data, folds=folds) for folds in ("f", "g")]
    score = np.diff(robust(data, *(np.mean(each, axis=0) for each in zip(*means, strict=True))))[:, 0]
    assert_allclose(fits[2].effects().effect, linear(X, score, X), rtol=1e-8)  # of the mean nuisances


@pytest.mark.parametrize("method", ["t_learner", "dr_learner"])
def test_clusters_are_held_out_whole(data, method):
    fit = cf.fit(F + " + cluster(c)", data, method, **LEARNERS)
    assert fit.folds.groupby(data["c"].to_numpy()).nunique().to_numpy().max() == 1
    sums = (fit.scores() - fit.scores().mean()).groupby(data["c"].to_numpy()).sum().to_numpy()[:, 0]
    assert_allclose(fit.with_vcov("CR0 ~ c").std_error, np.sqrt((sums**2).sum()) / len(data), rtol=1e-8)


# -- their average -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_average_is_the_mean_of_the_scores(data, method):
    fit = cf.fit(F, data, method, **BY_FOLD)
    scores = fit.scores()["1 - 0"]
    assert_allclose(fit.estimate, scores.mean(), rtol=1e-10)
    assert_allclose(fit.std_error, scores.std(ddof=0) / np.sqrt(len(data)), rtol=1e-8)
    if method in ("t_learner", "dr_learner"):
        assert_allclose(scores, np.diff(robust(data, *first_of_arms(data)))[:, 0], rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_weights_count_rows(data, method):
    formula = "y ~ treat(a) + modify(x) + adjust(z) + weights(k)"
    fit = cf.fit(formula, data, method, folds="f")
    scaled = cf.fit(formula, data.assign(k=10 * data["k"]), method, folds="f")
    assert_allclose(fit.effects().effect, scaled.effects().effect, rtol=1e-8)
    assert_allclose(fit.std_error, scaled.std_error, rtol=1e-8)
    many = data.loc[data.index.repeat(data["k"])]
    plain = cf.fit("y ~ treat(a) + modify(x) + adjust(z)", many, method, folds="f")
    first = ~many.index.duplicated()
    for held_out in (False, True):
        expected = plain.effects(held_out=held_out).effect[first]
        assert_allclose(fit.effects(held_out=held_out).effect, expected, rtol=1e-6)
    assert_allclose(fit.estimate, plain.estimate, rtol=1e-7)


def test_a_shift_of_the_outcome_changes_nothing_where_propensities_are_bounded(data):
    formula = "y ~ treat(m) + adjust(x + z)"
    fits = [
        cf.fit(formula, table, "x_learner", bounds=(0.3, 0.8), folds="f")
        for table in (data, data.assign(y=data["y"] + 100))
    ]
    assert_allclose(fits[0].params, fits[1].params, rtol=1e-8)
    assert_allclose(fits[0].effects().predicted.means + 100, fits[1].effects().predicted.means, rtol=1e-10)


# -- what a fit is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_same_bytes_at_any_number_of_processes_and_from_a_pickle(data, method):
    options = {"effect_model": "ridge"} if method in LAST else {}
    fit = cf.fit(F, data, method, outcome_model="ridge", **options)
    with parallel_config(n_jobs=2):
        other = cf.fit(F, data, method, outcome_model="ridge", **options)
        held = other.effects(held_out=True).effect
    again = pickle.loads(pickle.dumps(fit))
    for found in (other, again):
        assert_array_equal(found.effects().effect, fit.effects().effect)
    assert_array_equal(held, fit.effects(held_out=True).effect)
    assert_array_equal(again.effects(held_out=True).effect, held)
    assert str(again) == str(fit)


def test_effects_of_rows_with_something_missing(data):
    holes = data.assign(x=data["x"].where(data.index != 4))
    fit = cf.fit(F, holes, "t_learner")
    found = fit.effects()
    assert len(found) == len(data) - 1 and 4 not in found.to_frame().index
    truth = pd.Series(np.arange(len(data), dtype=float), index=data.index)
    expected = found.score(truth.drop(4).to_numpy())
    for given in (truth, truth.to_numpy()):
        assert found.score(given) == expected
