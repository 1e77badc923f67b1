"""Classifiers as propensity models: weights reach what is fitted, through pipelines and searches, or are refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import causalformula as cf

FORMULA = "y ~ treat(a) + adjust(x + z)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=240), "z": rng.normal(size=240)})
    data["a"] = (rng.random(240) < 1 / (1 + np.exp(-data["x"]))).astype(int)
    data["y"] = data["x"] + data["a"] + rng.normal(size=240)
    return data.assign(w=rng.integers(0, 4, 240))


def piped(last: Any) -> Any:
    """A pipeline whose first step does not depend on the rows, so that only the weights of the last one count."""
    return make_pipeline(FunctionTransformer(), last)


def threshold(name: str, inside: Any) -> Any:
    from sklearn import model_selection

    if not hasattr(model_selection, name):
        pytest.skip(f"scikit-learn {sklearn.__version__} has no {name}")
    return getattr(model_selection, name)(inside)


# Where the weights of rows and rows so many times over must be the same, by a penalty of 1 / c.
EXACT: dict[str, Callable[[float], Any]] = {
    "alone": lambda c: LogisticRegression(C=c),
    "pipeline": lambda c: piped(LogisticRegression(C=c)),
    "pipeline in a pipeline": lambda c: piped(piped(LogisticRegression(C=c))),
    "search": lambda c: GridSearchCV(LogisticRegression(), {"C": [c]}),
    "search of a pipeline": lambda c: GridSearchCV(piped(LogisticRegression()), {"logisticregression__C": [c]}),
    "search in a pipeline": lambda c: piped(GridSearchCV(LogisticRegression(), {"C": [c]})),
    "vote": lambda c: VotingClassifier(
        [("a", LogisticRegression(C=c)), ("b", LogisticRegression(C=9 * c))], voting="soft"
    ),
    "fixed threshold": lambda c: threshold("FixedThresholdClassifier", LogisticRegression(C=c)),
    "tuned threshold": lambda c: threshold("TunedThresholdClassifierCV", piped(LogisticRegression(C=c))),
    "threshold in a pipeline": lambda c: piped(threshold("FixedThresholdClassifier", LogisticRegression(C=c))),
}


def quiet(*args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        return cf.fit(*args, method="ipw", **options)


@pytest.mark.parametrize("name", EXACT)
def test_weights_are_rows_so_many_times_over(data, name):
    """A penalty is of weights with mean one: as many rows with weights of one have a mean weight more of the data."""
    model = EXACT[name](1.0)
    twice = data.loc[data.index.repeat(data["w"])].reset_index(drop=True)
    mean = float(data["w"][data["w"] > 0].mean())
    weighted = quiet(FORMULA + " + weights(w)", data, model=EXACT[name](mean), folds=1)
    assert weighted.estimate == pytest.approx(quiet(FORMULA, twice, model=model, folds=1).estimate, rel=1e-9)
    assert weighted.estimate != pytest.approx(quiet(FORMULA, data, model=model, folds=1).estimate, rel=1e-4)


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that keeps the weights it was given, in one list for all its copies."""

    seen: ClassVar[list[Any]] = []

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        type(self).seen.append(None if sample_weight is None else np.array(sample_weight))
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


@pytest.mark.parametrize(
    "wrap",
    [
        CalibratedClassifierCV,
        lambda m: CalibratedClassifierCV(piped(m)),
        lambda m: piped(CalibratedClassifierCV(m)),
        lambda m: StackingClassifier([("a", m)]),
        lambda m: StackingClassifier([("a", LogisticRegression())], final_estimator=m),
    ],
)
def test_every_fit_inside_has_weights(data, wrap, recwarn):
    Recorder.seen.clear()
    quiet(FORMULA + " + weights(w)", data, model=wrap(Recorder()), folds=2)
    assert Recorder.seen and all(w is not None and (w > 0).all() for w in Recorder.seen)
    assert not [w for w in recwarn if "sample_weight" in str(w.message)]


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(20, min_samples_leaf=20, random_state=0),
    ],
)
def test_the_bootstrap(data, model):
    fit = quiet(FORMULA, data, model=model, folds=2, vcov=cf.Bootstrap(20, kind="normal", seed=1))
    assert 0 < fit.std_error < 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            KNeighborsClassifier(60),
            "KNeighborsClassifier takes no sample weights.*use one whose fit takes sample_weight",
        ),
        (piped(KNeighborsClassifier(60)), "KNeighborsClassifier takes no sample weights"),
        (CalibratedClassifierCV(KNeighborsClassifier(60)), "KNeighborsClassifier takes no sample weights"),
        (GridSearchCV(KNeighborsClassifier(60), {"p": [1]}), "KNeighborsClassifier takes no sample weights"),
        (StackingClassifier([("a", KNeighborsClassifier(60))]), "KNeighborsClassifier takes no sample weights"),
        (StackingClassifier([("a", piped(LogisticRegression()))]), "hand sample weights on to the Pipeline.*routing"),
    ],
)
def test_weights_that_would_be_ignored_are_refused(data, model, message):
    assert np.isfinite(quiet(FORMULA, data, model=model).estimate)
    with pytest.raises(cf.OptionError, match=message):
        quiet(FORMULA + " + weights(w)", data, model=model)


def test_a_part_that_stops_on_the_way(data):
    model = AdaBoostClassifier(KNeighborsClassifier(60))
    with pytest.raises(cf.OptionError, match="sample weights do not reach all that AdaBoostClassifier fits"):
        quiet(FORMULA + " + weights(w)", data, model=model)


def test_the_callers_own_routing(data):
    with sklearn.config_context(enable_metadata_routing=True):
        asked = LogisticRegression().set_fit_request(sample_weight=True)
        models = [make_pipeline(FunctionTransformer(), asked)]
        if "get_metadata_routing" in vars(StackingClassifier):  # from scikit-learn 1.6
            models.append(StackingClassifier([("a", piped(asked))], final_estimator=asked))
        for model in models:
            fit = quiet(FORMULA + " + weights(w)", data, model=model)
            assert fit.estimate != quiet(FORMULA, data, model=model).estimate
        with pytest.raises(cf.OptionError, match="sample weights do not reach all that Pipeline fits"):
            quiet(FORMULA + " + weights(w)", data, model=make_pipeline(FunctionTransformer(), LogisticRegression()))


def test_stacks_inside_are_judged_once_fitted(data):
    stack = StackingClassifier([("a", LogisticRegression())])
    search = GridSearchCV(stack, {"final_estimator": [LogisticRegression()]})
    assert np.isfinite(quiet(FORMULA, data, model=search, folds=2).estimate)
    with pytest.raises(cf.OptionError, match="gives no probabilities"):
        quiet(FORMULA, data, model=StackingClassifier([("a", LogisticRegression())], final_estimator=NoScores()))


class NoScores(ClassifierMixin, BaseEstimator):
    """A classifier that decides and gives no probabilities."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


BOOSTERS = {
    "lightgbm": ("LGBMClassifier", {"n_estimators": 5, "n_jobs": 1, "verbose": -1}),
    "xgboost": ("XGBClassifier", {"n_estimators": 5, "n_jobs": 1}),
    "catboost": (
        "CatBoostClassifier",
        {"iterations": 5, "thread_count": 1, "verbose": 0, "allow_writing_files": False},
    ),
}


@pytest.mark.parametrize("wrap", [lambda m: m, piped, CalibratedClassifierCV, lambda m: StackingClassifier([("a", m)])])
@pytest.mark.parametrize("name", BOOSTERS)
def test_boosters(data, name, wrap):
    module = pytest.importorskip(name, reason=f"{name} is not installed")
    kind, options = BOOSTERS[name]
    model = wrap(getattr(module, kind)(**options))
    plain = quiet(FORMULA, data, model=model, folds=2)
    weighted = quiet(FORMULA + " + weights(w)", data, model=model, folds=2)
    assert np.isfinite(plain.estimate) and np.isfinite(weighted.estimate) and plain.estimate != weighted.estimate
