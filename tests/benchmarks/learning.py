"""Double machine learning: what is timed, beside its learners' own fits and predictions and the peers that are there.

DoubleML and EconML are timed where they are installed, each in an environment of its own (the extras ``doubleml`` and
``econml``), with the same folds and copies of the same learners.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression

import causalformula as cf
from tests.benchmarks.cases import Case, Limit
from tests.benchmarks.weighting import sample

FOLDS = 5
FOREST = {"n_estimators": 10, "min_samples_leaf": 10, "max_features": 1 / 3, "random_state": 1}
BOOSTING = {"max_iter": 40, "max_leaf_nodes": 15, "random_state": 1}
# A regressor and a classifier each.
LEARNERS: dict[str, tuple[Any, Any]] = {
    "forests": (RandomForestRegressor(**FOREST), RandomForestClassifier(**FOREST)),
    "boosting": (HistGradientBoostingRegressor(**BOOSTING), HistGradientBoostingClassifier(**BOOSTING)),
    "linear": (LinearRegression(), LogisticRegression(C=1e6)),
}


@dataclass(frozen=True, eq=False)
class Study:
    """The data in the forms that the package and its peers take, with the folds of all."""

    data: pd.DataFrame
    formula: str
    x: np.ndarray
    a: np.ndarray
    y: np.ndarray
    folds: np.ndarray

    @classmethod
    def of(cls, n: int, k: int = 20, dose: bool = False) -> Study:
        data, formula, Z, a, y = sample(n, k)
        if dose:
            a = a + 0.5 * Z[:, 1] + np.random.default_rng(2).normal(size=n)
            data["a"] = a
        return cls(data, formula, np.ascontiguousarray(Z[:, 1:]), a, y, np.arange(n) % FOLDS)

    @property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows to learn from and rows to predict, for each fold."""
        return [(np.flatnonzero(self.folds != k), np.flatnonzero(self.folds == k)) for k in range(FOLDS)]


def learned(model: Any, x: np.ndarray, y: np.ndarray, splits: Any) -> np.ndarray:
    """The learner's own work: a copy of it fitted outside each fold, and its predictions inside."""
    out = np.empty(len(y))
    for train, test in splits:
        fitted = clone(model).fit(x[train], y[train])
        out[test] = fitted.predict_proba(x[test])[:, 1] if hasattr(fitted, "predict_proba") else fitted.predict(x[test])
    return out


def plr_bare(study: Study, regressor: Any) -> float:
    """Residuals on residuals."""
    v = study.a - learned(regressor, study.x, study.a, study.splits)
    return float(v @ (study.y - learned(regressor, study.x, study.y, study.splits)) / (v @ v))


def irm_bare(study: Study, regressor: Any, classifier: Any) -> float:
    """The mean of the augmented score, the outcome learned arm by arm."""
    p = np.clip(learned(classifier, study.x, study.a, study.splits), 0.01, 0.99)
    m = [
        learned(regressor, study.x, study.y, [(train[study.a[train] == arm], test) for train, test in study.splits])
        for arm in (0, 1)
    ]
    score = m[1] - m[0] + study.a * (study.y - m[1]) / p - (1 - study.a) * (study.y - m[0]) / (1 - p)
    return float(score.mean())


def ours(study: Study, model: str, regressor: Any, treatment: Any) -> float:
    """From the formula to the estimate and its standard error."""
    fit = cf.fit(
        study.formula, study.data, "dml", model=model, outcome_model=regressor, treatment_model=treatment,
        folds=study.folds,
    )  # fmt: skip
    assert fit.std_error > 0
    return fit.estimate


def by_doubleml(study: Study, kind: str, *learners: Any) -> float:
    import doubleml

    data = doubleml.DoubleMLData(study.data, "y", "a")
    found = getattr(doubleml, kind)(data, *learners, n_folds=FOLDS, draw_sample_splitting=False)
    return float(found.set_sample_splitting([study.splits]).fit().coef[0])


def by_linear_dml(study: Study, regressor: Any) -> float:
    from econml.dml import LinearDML

    found = LinearDML(model_y=regressor, model_t=regressor, cv=study.splits).fit(study.y, study.a, X=None, W=study.x)
    return float(np.ravel(found.const_marginal_effect())[0])


def by_linear_dr(study: Study, regressor: Any, classifier: Any) -> None:
    """One model of the outcome with the treatment as a column, where the others have one for each arm."""
    from econml.dr import LinearDRLearner

    found = LinearDRLearner(model_regression=regressor, model_propensity=classifier, cv=study.splits)
    found.fit(study.y, study.a, X=None, W=study.x).const_marginal_effect()


def quiet(call: Callable[[], Any]) -> Any:
    """The call without what the peers warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def case(letter: str, model: str, name: str, study: Study, most: float) -> Case:
    """A model with the learners of a name, on one thread.

    Peers that do the same work are no faster; EconML's model of the outcome is one for both arms, and is only reported.
    """
    regressor, classifier = LEARNERS[name]
    plr = model == "plr"
    learners = (regressor,) if plr else (regressor, classifier)
    treatment = regressor if plr else classifier
    calls: dict[str, Callable[[], Any]] = {
        "ours": partial(ours, study, model, regressor, treatment),
        "floor": partial(plr_bare if plr else irm_bare, study, *learners),
    }
    peers: dict[str, Callable[[], Any]] = {
        "doubleml": partial(by_doubleml, study, f"DoubleML{model.upper()}", regressor, treatment),
        "econml": partial(by_linear_dml if plr else by_linear_dr, study, *learners),
    }
    there = {peer: partial(quiet, call) for peer, call in peers.items() if find_spec(peer)}
    alike = [peer for peer in there if plr or peer != "econml"]
    limits = (Limit("ours", "floor", most), *(Limit("ours", peer, 1.05) for peer in alike))
    n, k = study.x.shape
    title = f"({letter}) dml {model}, {name}, n = {n:.0e}, k = {k}; the floor is the learners' own work"
    return Case(title, {**calls, **there}, limits, rounds=3, threads=1)


def dml_plr_forests() -> Case:
    """Forests of outcome and dose."""
    return case("m", "plr", "forests", Study.of(5_000, dose=True), 1.05)


def dml_irm_forests() -> Case:
    """Forests of the outcome in each arm, and of the treatment."""
    return case("n", "irm", "forests", Study.of(5_000), 1.05)


def dml_plr_boosting() -> Case:
    """Boosted trees of outcome and dose."""
    return case("o", "plr", "boosting", Study.of(5_000, dose=True), 1.05)


def dml_irm_boosting() -> Case:
    """Boosted trees of the outcome in each arm, and of the treatment."""
    return case("p", "irm", "boosting", Study.of(5_000), 1.05)


def dml_plr_linear() -> Case:
    """Least squares, which takes next to no time: what is left is the package's own work."""
    return case("q", "plr", "linear", Study.of(20_000, dose=True), 1.5)


def dml_irm_linear() -> Case:
    """Least squares and a logit."""
    return case("r", "irm", "linear", Study.of(20_000), 1.5)


LEARNING: tuple[Callable[[], Case], ...] = (
    dml_plr_forests,
    dml_irm_forests,
    dml_plr_boosting,
    dml_irm_boosting,
    dml_plr_linear,
    dml_irm_linear,
)
