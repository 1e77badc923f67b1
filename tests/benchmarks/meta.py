"""Meta-learners beside their learners' own fits and predictions: averages over folds, and effects of all rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone

import causalformula as cf
from tests.benchmarks.cases import Case, Limit
from tests.benchmarks.learning import LEARNERS, Study

Rows = np.ndarray


def ours(study: Study, method: str, regressor: Any, classifier: Any) -> tuple[float, float]:
    """From the formula to the average with its standard error, and the effect of every row."""
    last = {} if method == "t_learner" else {"effect_model": regressor}
    fit = cf.fit(
        study.formula,
        study.data,
        method,
        outcome_model=regressor,
        treatment_model=classifier,
        folds=study.folds,
        **last,
    )
    assert fit.std_error > 0
    return fit.estimate, float(fit.effects().effect.mean())


def fitted(model: Any, study: Study, y: np.ndarray, rows: Rows) -> Any:
    """A copy of the learner."""
    return clone(model).fit(study.x[rows], y[rows])


def propensity(model: Any, x: np.ndarray) -> np.ndarray:
    return np.clip(model.predict_proba(x)[:, 1], 0.01, 0.99)


def arms(study: Study, rows: Rows) -> list[Rows]:
    return [rows[study.a[rows] == arm] for arm in (0, 1)]


def nuisances(study: Study, regressor: Any, classifier: Any, everywhere: bool) -> tuple[np.ndarray, ...]:
    """Outcome means by arm and propensities of other folds; of an X-learner means of all rows too."""
    n = len(study.y)
    m, p, wide = np.empty((n, 2)), np.empty(n), np.empty((len(study.splits), n, 2))
    for k, (train, test) in enumerate(study.splits):
        p[test] = propensity(fitted(classifier, study, study.a, train), study.x[test])
        for arm, rows in enumerate(arms(study, train)):
            model = fitted(regressor, study, study.y, rows)
            m[test, arm] = model.predict(study.x[test])
            if everywhere:
                wide[k, :, arm] = model.predict(study.x)
    return m, p, wide


def average(study: Study, m: np.ndarray, p: np.ndarray) -> np.ndarray:
    a, y = study.a, study.y
    return m[:, 1] - m[:, 0] + a * (y - m[:, 1]) / p - (1 - a) * (y - m[:, 0]) / (1 - p)


def t_bare(study: Study, regressor: Any, classifier: Any) -> tuple[float, float]:
    """A model of each arm, in folds and of all rows."""
    m, p, _ = nuisances(study, regressor, classifier, False)
    whole = [fitted(regressor, study, study.y, rows) for rows in arms(study, np.arange(len(study.y)))]
    effect = whole[1].predict(study.x) - whole[0].predict(study.x)
    return float(average(study, m, p).mean()), float(effect.mean())


def imputed(study: Study, m: np.ndarray, regressor: Any, rows: Rows) -> list[Any]:
    """The last step of an X-learner: effects learned from the controls, and from the treated."""
    controls, treated = arms(study, rows)
    d0, d1 = m[:, 1] - study.y, study.y - m[:, 0]
    return [fitted(regressor, study, d0, controls), fitted(regressor, study, d1, treated)]


def x_bare(study: Study, regressor: Any, classifier: Any) -> tuple[float, float]:
    """Outcome models, imputed effects and propensities, in folds and of all rows."""
    m, p, wide = nuisances(study, regressor, classifier, True)
    held = np.empty(len(study.y))
    for k, (train, test) in enumerate(study.splits):
        last = imputed(study, wide[k], regressor, train)
        held[test] = p[test] * last[0].predict(study.x[test]) + (1 - p[test]) * last[1].predict(study.x[test])
    first = (1 - p) * m[:, 0] + p * m[:, 1] - p * held
    around = np.column_stack([first, first + held])
    everyone = np.arange(len(study.y))
    whole = [fitted(regressor, study, study.y, rows) for rows in arms(study, everyone)]
    e = propensity(fitted(classifier, study, study.a, everyone), study.x)
    mean = np.column_stack([model.predict(study.x) for model in whole])
    last = imputed(study, mean, regressor, everyone)
    effect = e * last[0].predict(study.x) + (1 - e) * last[1].predict(study.x)
    for model in whole:  # means under each arm are predicted too
        model.predict(study.x)
    return float(average(study, around, p).mean()), float(effect.mean())


def dr_bare(study: Study, regressor: Any, classifier: Any) -> tuple[float, float]:
    """Nuisances in folds and of all rows, and the regression of their scores."""
    m, p, _ = nuisances(study, regressor, classifier, False)
    scores, everyone = average(study, m, p), np.arange(len(study.y))
    whole = [fitted(regressor, study, study.y, rows) for rows in arms(study, everyone)]
    fitted(classifier, study, study.a, everyone).predict_proba(study.x)
    for model in whole:
        model.predict(study.x)
    effect = fitted(regressor, study, scores, everyone).predict(study.x)
    return float(scores.mean()), float(effect.mean())


BARE: dict[str, Callable[..., tuple[float, float]]] = {"t_learner": t_bare, "x_learner": x_bare, "dr_learner": dr_bare}


def case(method: str, name: str, most: float = 1.05) -> Case:
    """A meta-learner with the learners of a name, on one thread."""
    study = Study.of(5_000)
    calls: dict[str, Callable[[], Any]] = {
        "ours": partial(ours, study, method, *LEARNERS[name]),
        "floor": partial(BARE[method], study, *LEARNERS[name]),
    }
    n, k = study.x.shape
    title = f"(t) {method}, {name}, n = {n:.0e}, k = {k}; the floor is the learners' own work"
    return Case(title, calls, (Limit("ours", "floor", most),), rounds=5, threads=1)


def meta_t_learner() -> Case:
    """Forests of the outcome in each arm."""
    return case("t_learner", "forests")


def meta_x_learner() -> Case:
    """Forests, and forests of imputed effects."""
    return case("x_learner", "forests")


def meta_dr_learner() -> Case:
    """Forests, and a forest of the scores."""
    return case("dr_learner", "forests")


META: tuple[Callable[[], Case], ...] = (meta_t_learner, meta_x_learner, meta_dr_learner)
