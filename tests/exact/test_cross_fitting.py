"""Folds, learners, cross-fitting and the median rule against hand-solved cases and plain loops."""

from __future__ import annotations

import pickle
import warnings
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_info, threadpool_limits

import causalformula as cf
from causalformula.backends.learning import crossfit
from causalformula.backends.learning.crossfit import Learned, Task
from causalformula.backends.learning.folds import make_folds
from causalformula.backends.learning.losses import loss
from causalformula.backends.learning.table import LEARNERS, Features, features, read_learner
from causalformula.backends.sample_weights import fit_weighted
from causalformula.frame.bind import bind
from causalformula.frame.parts import PROPENSITY
from causalformula.inference.covariance import covariance
from causalformula.inference.estimate import Estimate, median_of
from causalformula.inference.evidence import Influence, Repeated
from causalformula.inference.requests import Asympt

F = "y ~ treat(a) + adjust(x + z)"


def simulate(n: int = 90, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    z = rng.choice(["u", "v", "w"], n)
    a = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x))).astype(int)
    y = a + x + (z == "v") + rng.normal(size=n)
    return pd.DataFrame(
        {"x": x, "z": z, "a": a, "y": y, "d": (y > 0).astype(int), "g": np.arange(n) % 15, "w": rng.uniform(0.5, 2, n)}
    )


@pytest.fixture(autouse=True)
def quiet():
    """Small samples may be out of balance; numbers are what is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return simulate()


def folds_of(data, size=5, repeats=1, seed=0, formula=F):
    return make_folds(bind(cf.parse(formula), data), size, repeats, seed)


# -- folds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3, 7])
def test_arms_are_dealt_out_evenly(data, size):
    found = folds_of(data, size, repeats=3)
    for codes in found.codes.T:
        assert set(codes) == set(range(size))
        assert np.ptp(np.bincount(codes)) <= 1
        for arm in (0, 1):
            assert np.ptp(np.bincount(codes[data["a"] == arm], minlength=size)) <= 1


def test_rows_of_no_weight_do_not_unbalance_the_others(data):
    used = np.arange(len(data)) % 3 > 0
    found = folds_of(data.assign(w=used.astype(float)), 4, formula=F + " + weights(w)")
    for arm in (0, 1):
        assert np.ptp(np.bincount(found.codes[used & (data["a"] == arm), 0], minlength=4)) <= 1


def test_clusters_stay_whole(data):
    found = folds_of(data, 5, repeats=2, formula=F + " + cluster(g)")
    for codes in found.codes.T:
        assert (pd.Series(codes).groupby(data["g"]).nunique() == 1).all()
        assert set(codes) == set(range(5))


def test_clusters_are_shared_out_by_hand():
    """Clusters of 4, 3, 2 and 1 treated and as many controls: the only even halves are 4 + 1 and 3 + 2."""
    sizes = [4, 3, 2, 1]
    g = np.repeat(np.arange(4), 2 * np.array(sizes))
    a = np.concatenate([[1] * k + [0] * k for k in sizes])
    frame = pd.DataFrame({"g": g, "a": a, "y": 0.5 * a + g, "x": np.arange(20.0)})
    for seed in range(5):
        codes = folds_of(frame, 2, seed=seed, formula="y ~ treat(a) + adjust(x) + cluster(g)").codes[:, 0]
        of_cluster = [codes[g == k][0] for k in range(4)]
        assert of_cluster[0] == of_cluster[3] != of_cluster[1] == of_cluster[2]


def test_the_seed_is_all_that_draws(data):
    one, again, other = folds_of(data, seed=3, repeats=2), folds_of(data, seed=3, repeats=2), folds_of(data, seed=4)
    np.testing.assert_array_equal(one.codes, again.codes)
    assert (one.codes[:, 0] != one.codes[:, 1]).any() and (one.codes[:, 0] != other.codes[:, 0]).any()
    # more repetitions leave the first as they are
    np.testing.assert_array_equal(folds_of(data, seed=3, repeats=5).codes[:, :2], one.codes)


def test_folds_can_be_read_off_the_fit(data):
    fit = cf.fit(F + " + cluster(g)", data, "aipw", treatment_model=LogisticRegression(), folds=3, repeats=2, seed=5)
    expected = folds_of(data, 3, 2, 5, F + " + cluster(g)").codes + 1
    np.testing.assert_array_equal(fit.folds, expected)
    assert list(fit.folds.index) == list(data.index)
    assert cf.fit(F, data, "aipw").folds is None


# -- cross-fitting -------------------------------------------------------------------------------------------------


def design(data):
    return np.column_stack([data["x"], data["z"] == "v", data["z"] == "w"]).astype(float)


@pytest.mark.parametrize("weights", [False, True])
def test_predictions_are_those_of_a_plain_loop(data, weights):
    w = np.where(np.arange(90) % 9 == 0, 0.0, data["w"])
    frame = data.assign(w=w)
    formula = F + (" + weights(w)" if weights else "")
    options = {"outcome_model": LinearRegression(), "treatment_model": LogisticRegression(), "folds": 4, "seed": 2}
    fit = cf.fit(formula, frame, "aipw", **options)
    X, a, y = design(data), data["a"].to_numpy(), data["y"].to_numpy()
    s = w if weights else np.ones(90)
    m, p = np.zeros((90, 2)), np.zeros(90)
    fold = fit.folds.iloc[:, 0].to_numpy()
    for k in range(1, 5):
        train, test = (fold != k) & (s > 0), fold == k
        for arm in (0, 1):
            rows = train & (a == arm)
            m[test, arm] = LinearRegression().fit(X[rows], y[rows], sample_weight=s[rows]).predict(X[test])
        one = s[train] / s[train].mean()  # penalties are of weights with mean one
        p[test] = LogisticRegression().fit(X[train], a[train], sample_weight=one).predict_proba(X[test])[:, 1]
    found = fit.predictions()
    assert list(found) == ["outcome at a = 0", "outcome at a = 1", "a = 0", "a = 1"]
    np.testing.assert_allclose(found, np.column_stack([m, 1 - p, p]), rtol=1e-9)
    score = m[:, 1] - m[:, 0] + a * (y - m[:, 1]) / p - (1 - a) * (y - m[:, 0]) / (1 - p)
    effect = np.average(score, weights=s)
    assert fit.estimate == pytest.approx(effect, rel=1e-9)
    n = len(y)
    psi = n * s * (score - effect) / s.sum()
    assert fit.with_vcov("asympt").std_error == pytest.approx(np.sqrt((psi**2).sum()) / n, rel=1e-9)
    np.testing.assert_allclose(fit.influence()[:, 0], psi, atol=1e-9)


def test_att_by_a_plain_loop(data):
    fit = cf.fit(F, data, "aipw", estimand="ATT", outcome_model="ridge", folds=3)
    m0, p = fit.predictions()["outcome at a = 0"].to_numpy(), fit.predictions()["a = 1"].to_numpy()
    a, y = data["a"].to_numpy(), data["y"].to_numpy()
    score = a * (y - m0) - (1 - a) * p / (1 - p) * (y - m0)
    assert fit.estimate == pytest.approx(score.sum() / a.sum(), rel=1e-9)


def test_the_seed_of_each_fit_by_hand(data):
    """A learner that draws is seeded by its place: the seed, the task, the repetition, the fold."""
    tree = DecisionTreeRegressor(splitter="random", max_depth=3)
    fit = cf.fit(F, data, "aipw", outcome_model=tree, folds=2, repeats=2, seed=7)
    X, a, y = design(data), data["a"].to_numpy(), data["y"].to_numpy()
    for task, repeat, fold in np.ndindex(2, 2, 2):
        seed = int(np.random.SeedSequence([7, task, repeat, fold]).generate_state(1)[0])
        inside = fit.folds.iloc[:, repeat].to_numpy() == fold + 1
        train = ~inside & (a == task)
        expected = clone(tree).set_params(random_state=seed).fit(X[train], y[train]).predict(X[inside])
        np.testing.assert_array_equal(fit.predictions(repeat + 1)[f"outcome at a = {task}"][inside], expected)


class Elsewhere:
    """Work as processes have it: copies of what they are sent, in another order."""

    def __init__(self, n_jobs=None):
        assert joblib.effective_n_jobs(n_jobs) == 2

    def __call__(self, calls):
        sent = [pickle.dumps(call) for call in calls]
        with joblib.parallel_config(n_jobs=1):  # a forest in a process has no more of them
            found = [function(*args, **given) for function, args, given in map(pickle.loads, reversed(sent))]
        return found[::-1]


DRAWING = [
    {"outcome_model": RandomForestRegressor(3), "treatment_model": RandomForestClassifier(3, min_samples_leaf=5)},
    {"outcome_model": DecisionTreeRegressor(max_features=1)},
]


@pytest.mark.parametrize("processes", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", DRAWING)
def test_the_same_bytes_at_any_number_of_processes(data, options, processes, monkeypatch):
    found = []
    for jobs in (1, 2):
        if jobs == 2 and not processes:  # which take seconds to start
            monkeypatch.setattr(joblib, "Parallel", Elsewhere)
        with joblib.parallel_config(n_jobs=jobs):
            fit = cf.fit(F, data, "aipw", folds=2, repeats=2, seed=7, **options)
        found.append((fit.predictions(1).to_numpy().tobytes(), fit.predictions(2).to_numpy().tobytes(), fit.estimate))
    assert found[0] == found[1]


class Threads(LinearRegression):
    """Notes how many threads a learner may have."""

    seen: ClassVar[list[int]] = []

    def fit(self, X, y):
        self.seen.append(max(each["num_threads"] for each in threadpool_info() if each["user_api"] == "openmp"))
        return super().fit(X, y)


def test_few_rows_are_learned_from_on_one_thread(data, monkeypatch):
    Threads.seen.clear()
    with threadpool_limits(2, "openmp"):
        for few in (1000, 50):
            monkeypatch.setattr(crossfit, "FEW", few)
            cf.fit(F, data, "aipw", outcome_model=Threads(), folds=2)
    assert Threads.seen == [1] * 4 + [2] * 4


def test_a_search_tunes_inside_each_fold(data):
    search = GridSearchCV(LogisticRegression(), {"C": [0.01, 1.0]}, scoring="neg_log_loss", cv=3)
    fit = cf.fit(F, data, "ipw", model=search, folds=2, seed=1)
    fold, X, a = fit.folds.iloc[:, 0].to_numpy(), design(data), data["a"].to_numpy()
    expected = np.zeros(90)
    for k in (1, 2):
        expected[fold == k] = search.fit(X[fold != k], a[fold != k]).predict_proba(X[fold == k])[:, 1]
    np.testing.assert_allclose(fit.predictions()["a = 1"], expected, rtol=1e-9)


def test_model_is_short_for_treatment_model(data):
    short, long = (cf.fit(F, data, "ipw", folds=2, **{name: "knn"}) for name in ("model", "treatment_model"))
    assert short.estimate == long.estimate != cf.fit(F, data, "ipw").estimate
    assert cf.fit(F, data, "ipw", treatment_model="glm").estimate == cf.fit(F, data, "ipw").estimate


def test_ipw_is_weighted_by_the_cross_fitted_scores(data):
    fit = cf.fit(F, data, "ipw", model=LogisticRegression(), folds=3)
    a, p = data["a"].to_numpy(), fit.predictions()["a = 1"].to_numpy()
    w = np.where(a == 1, 1 / p, 1 / (1 - p))
    y = data["y"].to_numpy()
    expected = np.average(y[a == 1], weights=w[a == 1]) - np.average(y[a == 0], weights=w[a == 0])
    assert fit.estimate == pytest.approx(expected, rel=1e-9)


def test_distances_are_of_the_rows_that_they_were_fitted_to(data):
    forest = RandomForestClassifier(20, min_samples_leaf=5, random_state=1)
    found = cf.design(F, data, "nearest", distance=forest).distance
    expected = forest.fit(design(data), data["a"]).predict_proba(design(data))[:, 1]
    np.testing.assert_allclose(found, expected)


# -- learners ------------------------------------------------------------------------------------------------------


def covariates(data) -> Features:
    return features(bind(cf.parse(F), data), PROPENSITY)


def test_covariates_in_two_forms(data):
    found = covariates(data)
    np.testing.assert_array_equal(found.design, design(data))
    assert found.names == ("x", "zv", "zw")
    np.testing.assert_array_equal(found.coded, np.column_stack([data["x"], pd.Categorical(data["z"]).codes]))
    assert found.categories.tolist() == [False, True]


@pytest.mark.parametrize("name", [name for name in LEARNERS if name != "stack"])
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_learners_learn(name, kind):
    """What explains most of the outcome is found by every learner, out of a sample with numbers and levels."""
    train, test = simulate(400, 1), simulate(400, 2)
    learner = LEARNERS[name]
    target = "y" if kind == "regression" else "d"
    if name in ("forest",):
        learner = read_learner(LEARNERS[name].make(kind, covariates(train), 0).set_params(n_estimators=30), "model")
    model = learner.make(kind, covariates(train), 0).fit(learner.matrix(covariates(train)), train[target].to_numpy())
    X = learner.matrix(covariates(test))
    predicted = model.predict(X) if kind == "regression" else model.predict_proba(X)[:, 1]
    gap = ((predicted - test[target]) ** 2).mean() / test[target].var()
    assert gap < 0.85


def test_boosting_takes_levels_as_they_are(data):
    found = covariates(data)
    model = LEARNERS["boosting"].make("regression", found, 0)
    assert isinstance(model, HistGradientBoostingRegressor)
    assert np.asarray(model.categorical_features).tolist() == [False, True]


@pytest.mark.parametrize("name", ["lasso", "elastic_net", "ridge"])
def test_penalties_are_what_they_are_called(name):
    """Of thirty columns of noise a lasso leaves out most, a ridge none."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 30))
    y = (X[:, 0] + rng.normal(size=150) > 0).astype(int)
    found = Features(X, tuple(map(str, range(30))), X, np.zeros(30, dtype=bool))
    for kind, target in (("classification", y), ("regression", X[:, 0] + rng.normal(size=150))):
        last = LEARNERS[name].make(kind, found, 0).fit(X, target)[-1]
        zeros = int((np.abs(np.ravel(last.coef_)) < 1e-10).sum())
        assert zeros == 0 if name == "ridge" else zeros >= 5, (kind, zeros)


def test_a_ridge_of_the_log_odds_solves_its_equations(data):
    found, a = covariates(data), data["a"].to_numpy()
    scale, last = (model := LEARNERS["ridge"].make("classification", found, 0).fit(found.design, a))
    X, p = scale.transform(found.design), model.predict_proba(found.design)[:, 1]
    np.testing.assert_allclose(X.T @ (a - p), np.ravel(last.coef_) / np.ravel(last.C_)[0], rtol=3e-3)


def test_a_learned_glm_is_the_regression(data):
    found = covariates(data)
    regression = LEARNERS["glm"].make("regression", found, 0).fit(found.design, data["y"])
    np.testing.assert_allclose(
        regression.predict(found.design), LinearRegression().fit(found.design, data["y"]).predict(found.design)
    )
    logistic = LEARNERS["glm"].make("classification", found, 0).fit(found.design, data["a"])
    by_ours = cf.glm("a ~ x + z", data, family="binomial").fittedvalues
    np.testing.assert_allclose(logistic.predict_proba(found.design)[:, 1], by_ours, rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_weights_of_a_stack_are_those_of_nnls(data, weighted):
    found, y, w = covariates(data), data["y"].to_numpy(), data["w"].to_numpy()
    stack = LEARNERS["stack"].make("regression", found, 3)
    stack.set_params(members=tuple(LEARNERS[name] for name in ("glm", "ridge", "spline", "knn")), folds=3)
    given = {"sample_weight": w} if weighted else {}
    stack.fit(found.design, y, **given)
    used = ["glm", "ridge", "spline", *([] if weighted else ["knn"])]
    held = np.zeros((len(y), len(used)))
    for train, test in KFold(3, shuffle=True, random_state=3).split(found.design):
        for j, name in enumerate(used):
            model = LEARNERS[name].make("regression", found, 3)
            if weighted:
                argument = "sample_weight" if name == "glm" else f"{model.steps[-1][0]}__sample_weight"
                model.fit(found.design[train], y[train], **{argument: w[train] / w[train].mean()})
            else:
                model.fit(found.design[train], y[train])
            held[test, j] = model.predict(found.design[test])
    root = np.sqrt(w) if weighted else np.ones(len(y))
    expected, _ = nnls(held * root[:, None], y * root)
    shares = np.array(list(stack.weights_.values()))
    assert list(stack.weights_) == used and (shares >= 0).all() and shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=1e-8)
    mixed = sum(share * stack.models_[name].predict(found.design) for name, share in stack.weights_.items() if share)
    np.testing.assert_allclose(stack.predict(found.design), mixed)


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("name", [name for name in LEARNERS if name not in ("knn", "rlasso")])
def test_a_common_factor_in_the_weights_changes_nothing(data, name, kind, monkeypatch):
    """To the last bit where the factor is a power of two, and no division rounds anew."""
    from causalformula.backends.learning import table

    monkeypatch.setattr(table, "STACKED", ("glm", "ridge"))
    found, w = covariates(data), data["w"].to_numpy()
    y = data["y" if kind == "regression" else "a"].to_numpy()
    predicted = []
    few = {"forest": {"n_estimators": 10}, "boosting": {"max_iter": 10}}
    for factor in (1.0, 2.0**13, 1e4):
        model, X = LEARNERS[name].make(kind, found, 1), LEARNERS[name].matrix(found)
        with threadpool_limits(1):
            fitted = fit_weighted(model.set_params(**few.get(name, {})), X, y, w * factor)
        predicted.append(fitted.predict(X) if kind == "regression" else fitted.predict_proba(X))
    assert np.array_equal(predicted[0], predicted[1])
    np.testing.assert_allclose(predicted[2], predicted[0], rtol=1e-6)


@pytest.mark.parametrize("method", ["ipw", "aipw", "tmle", "dml"])
def test_nor_does_it_change_an_effect(data, method):
    options = {"treatment_model": "spline", "folds": 3, **({} if method == "ipw" else {"outcome_model": "ridge"})}
    first, second = (
        cf.fit(F + " + weights(w)", data.assign(w=data["w"] * factor), method, **options) for factor in (1.0, 1e4)
    )
    assert second.estimate == pytest.approx(first.estimate, rel=1e-7)
    assert second.std_error == pytest.approx(first.std_error, rel=1e-7)


# -- the formula's own regressions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("treatment", ["a", "z"])
def test_a_covariate_far_from_zero_is_used(data, treatment):
    """A time in seconds since 1970 says what the same time from any other origin says."""
    d = data.assign(s=1.7e9 + 100 * data["x"], k=np.arange(90) % 7)
    near, far = (cf.fit(f"y ~ treat({treatment}) + {x} + k", d, "dml", folds=3) for x in ("x", "s"))
    np.testing.assert_allclose(far.tidy()["estimate"], near.tidy()["estimate"], rtol=1e-6)
    np.testing.assert_allclose(far.tidy()["std.error"], near.tidy()["std.error"], rtol=1e-6)
    unused = cf.fit(f"y ~ treat({treatment}) + k", d, "dml", folds=3)
    assert abs(unused.tidy()["estimate"] - near.tidy()["estimate"]).max() > 1e-2


@pytest.mark.parametrize("treatment", ["a", "z"])
def test_columns_left_out_are_named_once(data, treatment):
    d = data.assign(k=np.arange(90) % 7, two=3.0)
    d["both"] = d["x"] + d["k"]
    with pytest.warns(cf.CausalFormulaWarning, match="glm for the") as caught:
        fit = cf.fit(f"y ~ treat({treatment}) + x + k + both + two", d, "dml", folds=3)
    said = [str(each.message) for each in caught if "leaves out" in str(each.message)]
    assert len(said) == 1 and said[0] in str(fit)
    assert said[0].endswith(
        ", treatment leaves out both, a combination of terms before it; and two, which is the same in every row"
    )
    plain = cf.fit(f"y ~ treat({treatment}) + x + k", d, "dml", folds=3)
    np.testing.assert_allclose(fit.tidy()["estimate"], plain.tidy()["estimate"], rtol=1e-9)


def test_a_column_left_out_in_some_folds(data):
    """A level that only a fold has: its column is zero where that fold is not learned from."""
    fold = np.arange(90) % 3
    d = data.assign(z=np.where((fold == 0) & (np.arange(90) < 9), "rare", "usual"), fold=fold)
    with pytest.warns(cf.CausalFormulaWarning, match="leaves out zusual") as caught:
        cf.fit(F, d, "dml", folds="fold")
    assert any("treatment (in 1 of 3 folds) leaves out" in str(each.message) for each in caught)


# -- what is told of learners --------------------------------------------------------------------------------------


def test_losses_by_hand():
    y = np.array([1.0, 2.0, 4.0, 9.0])
    weights = np.array([1.0, 1.0, 2.0, 5.0])
    empty = Features(np.empty((4, 0)), (), np.empty((4, 0)), np.empty(0, dtype=bool))
    rows = np.array([True, True, True, False])
    task = Task("outcome", LEARNERS["glm"], "regression", empty, y, rows)
    predictions = np.array([[1.0, 0.0], [1.0, 2.0], [5.0, 4.0], [0.0, 0.0]])
    # (0 + 1 + 2 * 1) / 4 and (1 + 0 + 0) / 4, and about the mean (1 + 2 + 8) / 4
    mean = 11 / 4
    trivial = ((1 - mean) ** 2 + (2 - mean) ** 2 + 2 * (4 - mean) ** 2) / 4
    assert loss(Learned(task, predictions), weights) == pytest.approx(((3 / 4 + 1 / 4) / 2, trivial))
    task = Task("treatment", LEARNERS["glm"], "classification", empty, np.array([0.0, 1.0, 1.0, 0.0]))
    P = np.array([0.2, 0.5, 0.8, 0.5])
    own = -(np.log(0.8) + np.log(0.5) + 2 * np.log(0.8) + 5 * np.log(0.5)) / 9
    share = -(6 * np.log(6 / 9) + 3 * np.log(3 / 9)) / 9
    found = loss(Learned(task, np.stack([1 - P, P], axis=1)[:, None, :]), weights)
    assert found == pytest.approx((own, share))


def test_what_was_learned_stands_where_a_model_would(data):
    fit = cf.fit(F, data, "aipw", outcome_model="ridge", treatment_model="knn", folds=3)
    assert isinstance(fit.outcome, cf.LearnedModel) and isinstance(fit.propensity, cf.LearnedModel)
    table = fit.learners()
    assert list(table["learner"]) == ["ridge", "ridge", "knn"]
    pd.testing.assert_frame_equal(pd.concat([fit.outcome.table, fit.propensity.table]), table)
    y, a = data["y"], data["a"]
    gap = (y - fit.predictions()["outcome at a = 1"])[a == 1]
    assert table["loss"].iloc[1] == pytest.approx((gap**2).mean())
    assert table["trivial"].iloc[1] == pytest.approx(y[a == 1].var(ddof=0))
    assert table["gain"].iloc[1] == pytest.approx(1 - (gap**2).mean() / y[a == 1].var(ddof=0))
    groups = fit.propensity.calibration(3)
    assert groups["weight"].sum() == 90
    assert np.average(groups["observed"], weights=groups["weight"]) == pytest.approx(a.mean())
    p = fit.predictions()["a = 1"]
    assert np.average(groups["predicted"], weights=groups["weight"]) == pytest.approx(p.mean())
    first = p <= np.quantile(p, 1 / 3)
    assert groups["observed"].iloc[0] == pytest.approx(a[first].mean())
    text = str(fit.summary())
    assert "ridge for the outcome, cross-fitted" in text and "knn for the treatment, cross-fitted" in text
    axes = fit.outcome.plot(groups=4)
    assert [line.get_label() for line in axes.lines] == ["outcome at a = 0", "outcome at a = 1", "if calibrated"]
    glms = cf.fit(F, data, "aipw")
    assert isinstance(glms.outcome, cf.Model) and isinstance(glms.propensity, cf.Model)


def test_the_weights_of_a_stack_are_printed(data, monkeypatch):
    from causalformula.backends.learning import table

    monkeypatch.setattr(table, "STACKED", ("glm", "ridge"))
    fit = cf.fit(F, data, "aipw", outcome_model="stack", folds=2)
    chosen = fit.outcome.chosen
    assert list(chosen.columns) == ["glm", "ridge"] and list(chosen.index.names) == ["function", "fold"]
    assert chosen.index.tolist() == [(f"outcome at a = {a}", f"fold {k}") for a in (0, 1) for k in (1, 2)]
    np.testing.assert_allclose(chosen.astype(float).sum(axis=1), 1, atol=0.011)
    lines = str(fit.summary()).splitlines()
    head = lines.index("Weights in each fold") + 1
    assert lines[head].split() == ["glm", "ridge"]
    for line, ((name, fold), weights) in zip(lines[head + 1 :], chosen.iterrows(), strict=False):
        assert line.startswith(f"{name}, {fold} ") and line.split()[-2:] == weights.tolist()
    kept = {name: share for name, share in chosen.iloc[0].items() if float(share) > 0}
    told = fit.outcome.table["told"].iloc[0]
    assert told.startswith(f"fold 1: {', '.join(f'{name} {share}' for name, share in kept.items())}; fold 2: ")
    again = cf.fit(F, data, "aipw", outcome_model="stack", folds=2, repeats=2).outcome.chosen
    assert again.index.tolist()[0] == ("outcome at a = 0", "repetition 1, fold 1") and len(again) == 8


def test_what_a_search_object_chose_is_printed(data):
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # a penalty beyond all reason beside none to speak of: the data choose
    search = GridSearchCV(Ridge(), {"alpha": [1e-6, 1e12]}, cv=2)
    inside = make_pipeline(StandardScaler(), GridSearchCV(LogisticRegression(), {"C": [0.5]}, cv=2))
    clear = data.assign(y=data["y"] + 9 * data["x"])
    fit = cf.fit(F, clear, "aipw", outcome_model=search, treatment_model=inside, folds=2)
    names = ["GridSearchCV of Ridge"] * 2 + ["Pipeline ending in GridSearchCV of LogisticRegression"]
    assert fit.learners()["learner"].tolist() == names
    assert set(fit.outcome.chosen["alpha"]) == {"1e-06"} and len(fit.outcome.chosen) == 4
    assert fit.learners()["told"].iloc[0] == "fold 1: alpha = 1e-06; fold 2: alpha = 1e-06"
    assert fit.propensity.chosen["C"].tolist() == ["0.5", "0.5"]
    text = str(fit.summary())
    assert "GridSearchCV of Ridge for the outcome, cross-fitted" in text
    assert text.count("Parameters chosen in each fold") == 2
    assert ["outcome at a = 1, fold 2", "1e-06"] in [line.rsplit(maxsplit=1) for line in text.splitlines() if line]
    assert not len(cf.fit(F, data, "aipw", model="ridge", folds=2).outcome.chosen)


# -- median rule ---------------------------------------------------------------------------------------------------


def test_the_median_of_three_repetitions_by_hand():
    """theta 1, 2, 6: median 2; variances 1, 4, 1, and with the squares of 1, 0 and 4 added 2, 4, 17: median 4."""

    def part(theta, variance):
        psi = np.sqrt(variance * 4) * np.array([[1.0], [-1.0], [1.0], [-1.0]])  # sum of squares / 16 is the variance
        return Estimate(("e",), np.array([theta]), Influence((), np.zeros((1, 0)), 4, psi, always=True, held=True))

    joined = median_of([part(1.0, 1.0), part(2.0, 4.0), part(6.0, 1.0)])
    assert isinstance(joined.evidence, Repeated)
    assert joined.theta.tolist() == [2.0]
    assert covariance(joined, Asympt()).matrix == pytest.approx(np.array([[4.0]]))
    two = median_of([part(1.0, 1.0), part(3.0, 2.0)])
    # theta 2, and the mean of the two middle values of 1 + 1 and 2 + 1
    assert two.theta.tolist() == [2.0] and covariance(two, Asympt()).matrix == pytest.approx(np.array([[2.5]]))
    one = part(1.0, 1.0)
    assert median_of([one]) is one


def test_repetitions_are_fits_with_the_folds_of_each(data):
    fit = cf.fit(F, data, "aipw", outcome_model="ridge", folds=3, repeats=3)
    a, y = data["a"].to_numpy(), data["y"].to_numpy()
    values, variances = [], []
    for r in (1, 2, 3):
        m0, m1, _, p = fit.predictions(r).to_numpy().T
        score = m1 - m0 + a * (y - m1) / p - (1 - a) * (y - m0) / (1 - p)
        values.append(score.mean())
        variances.append(score.var() / len(y))
    middle = np.median(values)
    assert fit.estimate == pytest.approx(middle)
    expected = np.median(np.array(variances) + (np.array(values) - middle) ** 2)
    assert fit.with_vcov("asympt").std_error == pytest.approx(np.sqrt(expected))
    assert "median of 3 repetitions" in str(fit)
