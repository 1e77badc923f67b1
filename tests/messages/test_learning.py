"""What cannot be learned says so: which learner, of what, in which fold, and what to do instead."""

from __future__ import annotations

import re
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import causalformula as cf
from causalformula.backends.sample_weights import CLASSIFIERS, REGRESSORS

F = "y ~ treat(a) + adjust(x + z)"
OUTCOME = {"outcome_model": LinearRegression(), "treatment_model": LogisticRegression()}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = 80
    x = rng.normal(size=n)
    a = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    y = a + x + rng.normal(size=n)
    frame = pd.DataFrame({"x": x, "z": rng.choice(["u", "v"], n), "a": a, "y": y, "q": x + rng.normal(size=n)})
    return frame.assign(d=(y > 0).astype(int), g=np.arange(n) % 4, w=1.0, m=np.array(["p", "q", "r"])[np.arange(n) % 3])


def message(data, formula=F, method="aipw", kind=cf.CausalFormulaError, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(kind) as caught:
            cf.fit(formula, data, method, **options)
    return str(caught.value)


def notes(data, formula=F, method="aipw", **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = cf.fit(formula, data, method, **options)
    return fit, [str(each.message) for each in caught if issubclass(each.category, cf.CausalFormulaWarning)]


# -- folds ---------------------------------------------------------------------------------------------------------


def test_a_column_that_is_no_column_of_folds(data):
    text = message(data, kind=cf.DataError, method="dml", folds="x")
    assert text == "folds='x' is a column of fractions; give one of whole numbers, or labels, of folds"
    each = data.assign(fold=np.where(np.arange(80) < 10, np.arange(80), 10 + np.arange(80) % 3))
    _, told = notes(each, method="dml", folds="fold")
    assert "10 of 13 given folds have a single row; folds= takes a column that says which fold" in told
    assert not [
        note for note in notes(each.assign(fold=np.arange(80) % 4), method="dml", folds="fold")[1] if "row" in note
    ]


@pytest.mark.parametrize("model", ["forest", LinearRegression()])
def test_a_learner_as_the_model_of_dml(data, model):
    text = message(data, kind=cf.OptionError, method="dml", model=model)
    assert text.endswith("give learners as outcome_model= and treatment_model=")


def test_fewer_clusters_than_folds(data):
    text = message(data, F + " + cluster(g)", kind=cf.DataError, **OUTCOME)
    assert text == "4 clusters of g cannot be dealt out to 5 folds, which never split one; use folds=4 or less"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(cf.fit(F + " + cluster(g)", data, "aipw", folds=4, **OUTCOME).estimate)


def test_fewer_rows_of_an_arm_than_folds(data):
    few = data.assign(a=(np.arange(80) < 3).astype(int))
    for method, options in (("aipw", OUTCOME), ("ipw", {"model": LogisticRegression()})):
        text = message(few, method=method, kind=cf.DataError, **options)
        assert text.startswith("the smallest arm, a = 1, has 3 rows, fewer than the 5 folds; use folds=3 or less")


def test_an_arm_in_one_cluster(data):
    lone = data.assign(a=(data["g"] == 2).astype(int))
    text = message(lone, F + " + cluster(g)", kind=cf.DataError, folds=2, **OUTCOME)
    assert re.match(r"fold \d of 2 has all rows of a = 1, so that outside it nothing is left to learn that arm", text)
    assert "cluster of g" in text and "two glms" in text


def test_two_ways_of_clusters(data):
    """Rows are learned from that share a cluster of neither kind, so that there must be some, of every arm."""
    formula = F + " + cluster(g + h)"
    crossed = data.assign(h=np.arange(80) // 8)
    fit, _ = notes(crossed, formula, folds=2, **OUTCOME)
    assert "cross-fitted in 2 x 2 folds of the 2 kinds of clusters, seed 0" in str(fit)
    text = message(crossed.assign(h=crossed["g"]), formula, kind=cf.DataError, folds=5, **OUTCOME)
    assert text == "4 clusters of g cannot be dealt out to 5 folds, which never split one; use folds=4 or less"
    lone = crossed.assign(a=(crossed["g"] == 2).astype(int))
    text = message(lone, formula, kind=cf.DataError, folds=2, **OUTCOME)
    assert re.match(r"fold \d of 4 shares clusters with all rows of a = 1, so that outside it nothing is left", text)
    assert "cluster of g or h" in text


# -- learners of the wrong kind --------------------------------------------------------------------------------------


def test_a_classifier_where_a_regressor_is_needed(data):
    text = message(data, kind=cf.OptionError, outcome_model=LogisticRegression())
    assert text == (
        "outcome_model=LogisticRegression is a classifier, and its target is a number; give a regressor, or "
        "family='binomial' for an outcome of 0 and 1"
    )
    binary, _ = notes(data, "d ~ treat(a) + adjust(x)", outcome_model=LogisticRegression(), family="binomial")
    assert np.isfinite(binary.estimate)


@pytest.mark.parametrize(
    ("method", "option"), [("aipw", "treatment_model"), ("ipw", "treatment_model"), ("ipw", "model")]
)
def test_a_regressor_where_a_classifier_is_needed(data, method, option):
    text = message(data, method=method, kind=cf.OptionError, **{option: LinearRegression()})
    assert text.startswith(f"{option}=LinearRegression() gives no probabilities: its target has classes")
    assert "RandomForestClassifier()" in text


def test_a_regressor_of_an_outcome_of_two_values(data):
    text = message(data, "d ~ treat(a) + adjust(x)", outcome_model=LinearRegression(), family="binomial")
    assert text.startswith("outcome_model=LinearRegression() gives no probabilities")


def test_model_of_both(data):
    text = message(data, kind=cf.OptionError, model="forest", outcome_model="lasso")
    assert text == "model= sets both learners, and outcome_model= is given too; use one of the two"
    text = message(data, method="ipw", kind=cf.OptionError, model="forest", treatment_model="lasso")
    assert text == "model= is short for treatment_model=, and both are given; use one of the two"


@pytest.mark.parametrize("method", ["aipw", "ipw"])
def test_names_and_classes(data, method):
    assert "unknown model 'forrest'; did you mean 'forest'" in message(data, method=method, model="forrest")
    text = message(data, method=method, model=LogisticRegression)
    assert text == "model=LogisticRegression is a class; give an object of it, model=LogisticRegression()"
    text = message(data, method=method, model=3)
    assert text.startswith("model=3 is no learner: choose from glm, lasso, ridge")


def test_idle_options(data):
    for name, value in (("folds", 3), ("repeats", 2), ("seed", 4)):
        assert message(data, **{name: value}).startswith(f"{name}= is of the cross-fitting of learners")
    for name, value in (("link", "probit"), ("interact", False)):
        assert message(data, outcome_model="ridge", **{name: value}).startswith(f"{name}= is of two GLMs")
    assert message(data, bounds=(0.9, 0.1)).startswith("bounds=(0.9, 0.1): give a pair (low, high) within 0 and 1")


# -- learners that fail --------------------------------------------------------------------------------------------


class Fails(RegressorMixin, BaseEstimator):
    """It fits the first folds only."""

    def fit(self, X, y):
        if abs(np.sum(X[:, 0])) >= 0:
            raise RuntimeError("out of luck")
        return self

    def predict(self, X):
        return np.zeros(len(X))


class Blank(RegressorMixin, BaseEstimator):
    """What it predicts is missing."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.full(len(X), np.nan)


class Wild(ClassifierMixin, BaseEstimator):
    """What it predicts is no probability."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X):
        return np.tile([-0.5, 1.5], (len(X), 1))


def test_a_failure_names_the_fold_and_the_learner(data):
    text = message(data, kind=cf.DataError, outcome_model=Fails(), folds=3, repeats=2)
    assert text == (
        "Fails for the outcome at a = 0, fold 1 of 3, repetition 1 failed: RuntimeError: out of luck (it is given an "
        "array of numbers, the 2 columns x, zv of the formula)"
    )


def test_predictions_that_are_missing(data):
    text = message(data, kind=cf.DataError, outcome_model=Blank())
    assert text == "Blank for the outcome at a = 0, fold 1 of 5 predicts values that are missing or infinite"


@pytest.mark.parametrize("method", ["aipw", "ipw"])
def test_predictions_that_are_no_probabilities(data, method):
    text = message(data, method=method, kind=cf.DataError, treatment_model=Wild())
    assert text == "Wild for the treatment, fold 1 of 5 predicts what are no probabilities"


def test_text_columns_that_an_object_asks_for(data):
    """The formula's factors come as columns of numbers, so an encoder of text by name finds none of that name."""
    piped = make_pipeline(ColumnTransformer([("z", OneHotEncoder(), ["z"])]), LinearRegression())
    text = message(data, kind=cf.DataError, outcome_model=piped)
    assert text.startswith(
        "Pipeline ending in LinearRegression for the outcome at a = 0, fold 1 of 5 failed: ValueError"
    )
    assert text.endswith("(it is given an array of numbers, the 2 columns x, zv of the formula)")


def test_weights_that_a_learner_ignores(data):
    text = message(data, F + " + weights(w)", kind=cf.OptionError, outcome_model=KNeighborsRegressor())
    why = "takes no sample weights, and the formula or the bootstrap has some; "
    such = "use one whose fit takes sample_weight, such as "
    assert text == f"KNeighborsRegressor {why}{such}{REGRESSORS}"
    text = message(data, F + " + weights(w)", treatment_model=KNeighborsClassifier())
    assert text == f"KNeighborsClassifier {why}{such}{CLASSIFIERS}"
    able = "these take them: 'glm', 'lasso', 'ridge', 'elastic_net', 'spline', 'forest', 'boosting', 'stack'"
    for name in ("knn", "rlasso"):
        assert message(data, F + " + weights(w)", model=name) == f"{name!r} {why}{able}"
    for method in ("aipw", "tmle", "dml", "ipw"):
        for vcov in ("bootstrap(10, seed = 1)", "jackknife"):
            text = message(data, method=method, kind=cf.OptionError, treatment_model="knn", vcov=vcov)
            assert text == f"'knn' {why}{able}"


@pytest.mark.parametrize("name", ["lasso", "ridge"])
def test_those_that_are_named_take_them(data, name):
    fit, _ = notes(data, F + " + weights(w)", treatment_model=name, folds=2)
    assert np.isfinite(fit.estimate)


# -- what libraries warn of ----------------------------------------------------------------------------------------


class Warns(LinearRegression):
    """A regressor that warns in every fit in which the first row is learned from, with a number of its own."""

    def fit(self, X, y):
        if X[:, 0].max() > 2:
            warnings.warn(f"gap of {np.sum(y):.3f}. Try more.", ConvergenceWarning, stacklevel=1)
        warnings.warn("it will be gone", FutureWarning, stacklevel=1)
        return super().fit(X, y)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_warnings_of_libraries_are_told_once(data, jobs):
    """Each kind, by whom, of what and in how many folds; those on releases go where they went."""
    far = data.assign(x=np.where(np.arange(80) == np.flatnonzero(data["a"] == 1)[0], 9.0, data["x"].clip(-1, 1)))
    with warnings.catch_warnings(record=True) as caught, joblib.parallel_config(n_jobs=jobs):
        warnings.simplefilter("always")
        fit = cf.fit(F, far, "aipw", outcome_model=Warns(), folds=4)
    kinds = [each.category for each in caught]
    assert ConvergenceWarning not in kinds and (FutureWarning in kinds) == (jobs == 1)
    told = [str(each.message) for each in caught if "warned" in str(each.message)]
    assert len(told) == 1 and f"Note: {told[0]}" in str(fit)
    assert re.fullmatch(
        r"Warns for the outcome at a = 1 \(in 3 of 4 folds\) warned: ConvergenceWarning, gap of [-\d.]+", told[0]
    )


def test_rows_too_few_for_the_folds_of_a_learner(data):
    few = data.drop(data.index[data["a"] == 1][4:])
    text = message(few, kind=cf.DataError, model="lasso", folds=2)
    assert text.startswith("lasso for the outcome at a = 1, fold 1 of 2 failed: ValueError: ")
    assert ". There are 2 rows to learn from, too few for the folds that it makes of them; more folds= leave" in text
    _, told = notes(few, model="ridge", folds=2)
    assert [note for note in told if note.startswith("ridge for the treatment warned: UserWarning, The least popul")]


def test_a_class_that_is_missing_outside_a_fold(data):
    one = data.assign(d=(np.arange(80) == 7).astype(int))
    _, told = notes(one, "d ~ treat(a) + adjust(x)", family="binomial", outcome_model="glm", treatment_model="ridge")
    assert [note for note in told if note.startswith("glm learned nothing of the outcome at a = ")]


def test_a_stack_that_gives_no_probabilities(data):
    stack = StackingClassifier([("a", LogisticRegression())], final_estimator=Decides())
    text = message(data, kind=cf.OptionError, treatment_model=stack)
    assert text.startswith(
        "StackingClassifier for the treatment, fold 1 of 5: treatment_model=a StackingClassifier gives"
    )


class Decides(ClassifierMixin, BaseEstimator):
    """A classifier without probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


# -- what is told --------------------------------------------------------------------------------------------------


def test_nothing_learned(data):
    fit, told = notes(data, outcome_model=DummyRegressor(), treatment_model=LogisticRegression())
    note = (
        "DummyRegressor learned nothing of the outcome at a = 0, outcome at a = 1: it predicts the same for every row"
    )
    assert note in told and f"Note: {note}" in str(fit)
    assert not [note for note in notes(data, **OUTCOME)[1] if "learned nothing" in note]


def test_weak_overlap_and_bounds(data):
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    a = (rng.random(400) < 1 / (1 + np.exp(-2.5 * x))).astype(int)
    weak = pd.DataFrame({"x": x, "a": a, "y": a + x + rng.normal(size=400)})
    # moving propensities to a bound hides nothing of how weak the overlap is
    for options in ({}, OUTCOME, {"method": "tmle"}, {"method": "dml"}):
        fit, told = notes(weak, "y ~ treat(a) + adjust(x)", **options)
        found = [note for note in told if "weak overlap" in note]
        assert len(found) == 1 and f"Note: {found[0]}" in str(fit)
    fit, told = notes(weak, "y ~ treat(a) + adjust(x)", bounds=(0.1, 0.9))
    p = fit.propensity.fittedvalues
    below, above = int((p < 0.1).sum()), int((p > 0.9).sum())
    moved = f"{below} propensities below 0.1 and {above} above 0.9 were set to these (bounds=); "
    assert any(note.startswith(moved + "the outcome means are corrected there by less") for note in told)
    near = int(((p < 0.12) | (p > 0.88)).sum())
    assert any(
        note.startswith(f"weak overlap: {near} rows with a propensity below 0.12 or above 0.88. ") for note in told
    )
    _, told = notes(weak, "y ~ treat(a) + adjust(x)", bounds=(p[np.argsort(p)[1]], 1))
    assert f"1 propensity below {np.sort(p)[1]:.3g} was set to it (bounds=)" in told
    assert not [note for note in notes(data)[1] if "overlap" in note]


@pytest.mark.parametrize("method", ["ipw", "aipw"])
def test_weak_overlap_is_of_what_an_estimand_divides_by(method):
    """The ATT divides by the controls' propensities alone, the ATO by none."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    a = (rng.random(400) < 1 / (1 + np.exp(-2.5 * x))).astype(int)
    weak = pd.DataFrame({"x": x, "a": a, "y": a + x + rng.normal(size=400)})
    p = cf.glm("a ~ x", weak, family="binomial").fittedvalues
    sides = {
        "ATE": ("below 0.02 or above 0.98", (p < 0.02) | (p > 0.98)),
        "ATT": ("above 0.98", p > 0.98),
        "ATC": ("below 0.02", p < 0.02),
    }
    for estimand, (where, rows) in sides.items():
        _, told = notes(weak, "y ~ treat(a) + adjust(x)", method, estimand=estimand)
        start = f"weak overlap: {int(rows.sum())} rows with a propensity {where}. "
        assert any(note.startswith(start) for note in told) == (rows.sum() > 20), estimand
    if method == "ipw":
        for options in ({"estimand": "ATO"}, {"discard": (0.05, 0.95)}):
            assert not [n for n in notes(weak, "y ~ treat(a) + adjust(x)", "ipw", **options)[1] if "weak ov" in n]


@pytest.mark.parametrize("method", ["aipw", "tmle", "dml"])
def test_overlap_report_has_the_weights_of_residuals(method):
    """The report's sizes are those of its note, and of weighting by the same scores."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=2000)
    a = (rng.random(2000) < 1 / (1 + np.exp(4 - 2.5 * x))).astype(int)
    rare = pd.DataFrame({"x": x, "a": a, "y": a + x + rng.normal(size=2000)})
    fit, told = notes(rare, "y ~ treat(a) + adjust(x)", method, estimand="ATT", bounds=(1e-9, 1))
    p = fit.design.distance.to_numpy()[a == 0]
    ess = (p / (1 - p)).sum() ** 2 / ((p / (1 - p)) ** 2).sum()
    report = fit.design.overlap()
    assert report.to_frame()["ess.weighted"].tolist() == pytest.approx([ess, a.sum()])
    assert "Weights: those of the residuals" in str(report) and f"effective sample size {ess:.1f}" in " ".join(told)


def test_effects_that_aipw_has_not(data):
    text = message(data, "y ~ treat(q) + adjust(x)", estimand="ATT")
    assert "'aipw'" in text and "regression" in text and "dose" in text
    assert message(data, estimand="ATO") == "method 'aipw' does not estimate the ATO; it offers ATE, ATT, ATC"


def test_apart_completely(data):
    sure = data.assign(x=data["a"] + 0.1 * data["x"].clip(-2, 2))
    assert "perfectly" in message(sure, kind=cf.IdentificationError)


def test_verbs_of_what_was_learned(data):
    fit, _ = notes(data)
    for verb in (fit.predictions, fit.learners):
        with pytest.raises(cf.CapabilityError, match="is of cross-fitted learners, and nothing is learned here"):
            verb()
    learned, _ = notes(data, **OUTCOME)
    for read in (learned.predictions, learned.outcome.predictions, lambda r: learned.outcome.calibration(5, r)):
        with pytest.raises(cf.OptionError, match="repeat=2: which repetition of the cross-fitting, a whole number"):
            read(2)
    assert not {"predictions", "learners", "folds"} & set(dir(fit)) and "predictions" in dir(learned)


@pytest.mark.parametrize(("method", "spared"), [("aipw", True), ("tmle", True), ("dml", False), ("t_learner", False)])
def test_two_glms_are_the_remedy_where_they_need_no_folds(data, method, spared):
    learned = OUTCOME if spared else {}
    for treated, own in ((3, "; use folds=3 or less"), (2, "; use folds=2"), (1, "; cross-fitting needs two or more")):
        few = data.assign(a=(np.arange(80) < treated).astype(int))
        text = message(few, method=method, kind=cf.DataError, **learned)
        other = "; use two glms, which need no folds" if treated == 1 else f"{own}, or two glms, which need no folds"
        assert text.endswith(f"fewer than the 5 folds{other if spared else own}")
    lone = data.assign(a=(data["g"] == 2).astype(int))
    text = message(lone, F + " + cluster(g)", method=method, kind=cf.DataError, folds=2, **learned)
    assert text.endswith("fewer folds, or two glms, which need no folds" if spared else "another seed=, or fewer folds")
