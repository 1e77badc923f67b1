"""Unit effects beside EconML's, with the same learners on the same data and folds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeRegressor

import causalformula as cf

metalearners = pytest.importorskip("econml.metalearners")
dml = pytest.importorskip("econml.dml")
dr = pytest.importorskip("econml.dr")

F = "y ~ treat(a) + adjust(x + z)"
TREE = DecisionTreeRegressor(max_depth=3, min_samples_leaf=5, random_state=0)
SCORES = LogisticRegression(C=2.0)
REGRESSORS = pytest.mark.parametrize("model", [LinearRegression(), TREE], ids=["linear", "tree"])


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 400
    x, z = rng.normal(size=(2, n))
    a = (rng.random(n) < 1 / (1 + np.exp(-0.7 * x))).astype(int)
    y = x + z**2 + a * (1 + x) + rng.normal(size=n)
    m = np.array(["p", "q", "r"])[(np.arange(n) + (rng.random(n) < 0.3)) % 3]
    return pd.DataFrame({"y": y, "a": a, "x": x, "z": z, "m": m, "f": rng.permutation(n) % 3})


def columns(data):
    return data["y"].to_numpy(), data["a"].to_numpy(), data[["x", "z"]].to_numpy()


def splits(data):
    """The folds as EconML takes them: pairs of rows, to learn from and to predict."""
    rows, f = np.arange(len(data)), data["f"].to_numpy()
    return [(rows[f != k], rows[f == k]) for k in range(3)]


def effects(data, method, **options):
    return cf.fit(F, data, method, treatment_model=SCORES, folds="f", **options).effects().effect


@REGRESSORS
def test_s_learner(data, model):
    y, a, X = columns(data)
    theirs = metalearners.SLearner(overall_model=model).fit(y, a, X=X).effect(X)
    if isinstance(model, LinearRegression):
        assert_allclose(effects(data, "s_learner", outcome_model=model), theirs, rtol=1e-8)
    else:  # they put the treatment behind the covariates, and a tree may split ties otherwise
        ours = effects(data, "s_learner", outcome_model=model)
        assert np.mean(np.abs(ours - theirs) < 1e-8) > 0.95


@REGRESSORS
def test_t_learner(data, model):
    y, a, X = columns(data)
    theirs = metalearners.TLearner(models=model).fit(y, a, X=X).effect(X)
    assert_allclose(effects(data, "t_learner", outcome_model=model), theirs, rtol=1e-8, atol=1e-10)


@REGRESSORS
def test_x_learner(data, model):
    y, a, X = columns(data)
    found = metalearners.XLearner(models=model, cate_models=model, propensity_model=SCORES).fit(y, a, X=X)
    ours = effects(data, "x_learner", outcome_model=model, effect_model=model)
    assert_allclose(ours, found.effect(X), rtol=1e-8, atol=1e-10)


@REGRESSORS
def test_r_learner(data, model):
    y, a, X = columns(data)
    theirs = dml.NonParamDML(
        model_y=LinearRegression(), model_t=SCORES, model_final=model, discrete_treatment=True, cv=splits(data)
    )
    ours = effects(data, "r_learner", outcome_model=LinearRegression(), effect_model=model)
    assert_allclose(ours, theirs.fit(y, a, X=X).effect(X).ravel(), rtol=1e-8, atol=1e-10)


@REGRESSORS
def test_dr_learner(data, model):
    """Their outcome model has the arm as a column: with terms crossed with it, it is one for each arm."""
    y, a, X = columns(data)
    theirs = dr.DRLearner(
        model_propensity=SCORES, model_regression=Crossed(), model_final=model, cv=splits(data), min_propensity=0.01
    )
    ours = effects(data, "dr_learner", outcome_model=LinearRegression(), effect_model=model)
    assert_allclose(ours, theirs.fit(y, a, X=X).effect(X).ravel(), rtol=1e-8, atol=1e-10)


def test_several_levels(data):
    y, _, X = columns(data)
    codes, formula = data["m"].map({"p": 0, "q": 1, "r": 2}).to_numpy(), "y ~ treat(m) + adjust(x + z)"
    theirs = metalearners.TLearner(models=LinearRegression()).fit(y, codes, X=X)
    ours = cf.fit(formula, data, "t_learner", outcome_model=LinearRegression()).effects().effect
    for k in (1, 2):
        assert_allclose(ours[:, k - 1], theirs.effect(X, T0=0, T1=k), rtol=1e-8, atol=1e-10)


class Crossed(LinearRegression):
    """Least squares of covariates, the arm in the last column, and their products."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(self._crossed(X), y, sample_weight)

    def predict(self, X):
        return super().predict(self._crossed(X))

    @staticmethod
    def _crossed(X):
        return np.column_stack([X, X[:, :-1] * X[:, -1:]])
