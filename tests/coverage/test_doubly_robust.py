"""Coverage of doubly robust methods: linear designs, shapes that learners find, weak overlap, nearly as many covariates
as rows; and that either of the two models may be wrong.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import causalformula as cf
from causalformula.backends.learning.table import FEWER_TREES, LEARNERS
from causalformula.backends.orthogonal import nuisances
from tests.coverage.test_weighting import (
    FORMULA,
    confounded_linear,
    covered,
    dose,
    heterogeneous,
    simulated,
    truth,
    within_error,
)

METHODS = {
    "aipw": ("aipw", {}),
    "tmle": ("tmle", {}),
    "irm": ("dml", {"model": "irm"}),
    "plr": ("dml", {"model": "plr"}),
}


def drawn(name, design, reps, n, estimand=None, **options):
    """Estimates with their standard errors, of one of the methods."""
    method, own = METHODS[name]
    return simulated(design, method, estimand, reps, n, **own, **options)


def told(what, draws, value, capsys):
    """Bias, coverage, and mean standard error over the estimates' standard deviation, which are printed."""
    bias, rate = draws[:, 0].mean() - value, covered(draws, value)
    ratio = draws[:, 1].mean() / draws[:, 0].std(ddof=1)
    with capsys.disabled():
        print(f"\n{what}, {len(draws)} times: bias {bias:.3f}, coverage {rate:.3f}, s.e. / sd {ratio:.3f}")
    return bias, rate, ratio


def unbiased(draws, value, slack=0.0):
    """Within four Monte Carlo standard errors."""
    return abs(draws[:, 0].mean() - value) <= 4 * draws[:, 0].std(ddof=1) / np.sqrt(len(draws)) + slack


# ---- linear designs: where the models are right ----------------------------------------------------------------------

AVERAGES = ("ATE", "ATT", "ATC")
LINEAR = [(name, design, e) for name in ("aipw", "tmle", "irm") for design in (confounded_linear, heterogeneous)
          for e in AVERAGES]  # fmt: skip
PARTIAL = [("plr", confounded_linear, None), ("plr", heterogeneous, None), ("plr", dose, None)]
IN_SHORT = [
    *(("aipw", heterogeneous, e) for e in AVERAGES),
    ("tmle", heterogeneous, "ATE"),
    ("tmle", heterogeneous, "ATT"),
    ("irm", heterogeneous, "ATE"),
    ("irm", heterogeneous, "ATC"),
    *PARTIAL[1:],
]


def linear_value(design, estimand):
    """A partially linear model weighs a binary treatment's effects by ``p (1 - p)``, as the overlap weights do."""
    return 1.0 if design is dose else truth(design, estimand or "ATO")


@pytest.mark.parametrize(("name", "design", "estimand"), IN_SHORT)
def test_linear_designs(name, design, estimand):
    reps = 60
    draws = drawn(name, design, reps, 300, estimand)
    assert within_error(covered(draws, linear_value(design, estimand)), reps)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "design", "estimand"), LINEAR + PARTIAL)
def test_linear_designs_at_length(name, design, estimand, capsys):
    reps, value = 500, linear_value(design, estimand)
    draws = drawn(name, design, reps, 500, estimand, seed=2)
    _, rate, ratio = told(f"{name}, {design.__name__}, {estimand}", draws, value, capsys)
    assert within_error(rate, reps) and unbiased(draws, value, 0.005) and 0.92 <= ratio <= 1.08


# ---- shapes ----------------------------------------------------------------------------------------------------------


def twisted(rng, n):
    """An effect of 2; neither the outcome nor the treatment's log odds are linear in the covariates."""
    x1, x2 = rng.uniform(-2, 2, n), rng.binomial(1, 0.5, n)
    p = 1 / (1 + np.exp(-0.8 * (x1**2 - 1.3)))
    a = (rng.random(n) < p).astype(int)
    y = 1 + 2 * a + 1.5 * x1**2 + x2 + rng.normal(size=n)
    return pd.DataFrame({"x1": x1, "x2": x2, "a": a, "y": y}), p, np.full(n, 2.0)


# A partially linear model is right where its treatment model is; the others where one of the two is.
EITHER = [
    *((name, wrong) for name in ("aipw", "tmle", "irm") for wrong in ("outcome", "treatment")),
    ("plr", "outcome"),
]


@pytest.mark.parametrize(("name", "wrong"), EITHER)
def test_either_model_may_be_wrong(name, wrong):
    """The wrong one is linear where the truth is a square, which the right one has; with both wrong there is a bias."""
    reps, n = 40, 1000
    right = {"outcome": "propensity(I(x1^2))", "treatment": "outcome(I(x1^2))"}[wrong]
    draws = drawn(name, twisted, reps, n, formula=f"{FORMULA} + {right}")
    # a propensity of other folds is divided by: beside a wrong outcome its errors leave a bias of about -40 / n
    assert unbiased(draws, 2, 50 / n if name == "irm" else 0)
    if name in ("aipw", "tmle"):  # whose standard errors carry the estimation of both models
        assert within_error(covered(draws, 2), reps)
    both = drawn(name, twisted, 10, n)
    assert abs(both[:, 0].mean() - 2) > 10 * both[:, 0].std(ddof=1) / np.sqrt(10)


SQUARES = {
    "outcome_model": make_pipeline(PolynomialFeatures(2), LinearRegression()),
    "treatment_model": make_pipeline(PolynomialFeatures(2), LogisticRegression()),
}


@pytest.mark.parametrize("name", ["aipw", "tmle", "plr"])
def test_learners_of_shapes(name):
    """In short: two regressions with squares, whose spread few repetitions tell roughly."""
    draws = drawn(name, twisted, 40, 300, folds=3, **SQUARES)
    assert unbiased(draws, 2) and 0.7 <= draws[:, 1].mean() / draws[:, 0].std(ddof=1) <= 1.4


def test_irm_is_aipw_by_learners():
    """So that the long forms of learners, which take their time, need only one of them."""
    data, _, _ = twisted(np.random.default_rng(1), 200)
    found = [
        cf.fit(FORMULA, data, method, **own, folds=2, **SQUARES) for method, own in map(METHODS.get, ("aipw", "irm"))
    ]
    np.testing.assert_allclose(*([fit.estimate, fit.std_error] for fit in found), rtol=1e-10)


@pytest.fixture(scope="module")
def learned_once():
    """Nuisances by what is learned: AIPW and TMLE of the same draw have the same ones."""
    known, plain = {}, nuisances.cross_fit

    def remembering(tasks, folds, weights):
        key = (tasks[0].learner.name, folds.codes.tobytes(), tasks[0].y.tobytes())
        if key not in known:
            known[key] = plain(tasks, folds, weights)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuisances, "cross_fit", remembering)
        yield


# Forests of as many trees as a stack's, to have them in bearable time.
BY_LEARNERS = [(learner, name) for learner in (FEWER_TREES, LEARNERS["boosting"]) for name in ("aipw", "tmle", "plr")]


@pytest.mark.slow
@pytest.mark.parametrize(("learner", "name"), BY_LEARNERS, ids=[f"{each.name}-{name}" for each, name in BY_LEARNERS])
def test_learners_of_shapes_at_length(learner, name, learned_once, capsys):
    models = {"outcome_model": learner, "treatment_model": learner}
    draws = drawn(name, twisted, 200, 1000, **models)
    bias, _, ratio = told(f"{name} by {learner.name}", draws, 2, capsys)
    assert 0.9 <= ratio <= 1.15 and abs(bias) < 0.15


# ---- weak overlap ----------------------------------------------------------------------------------------------------


def weak(rng, n):
    """Propensities from a few thousandths on: a tenth of the rows are beyond 0.02 or 0.98."""
    x1, x2 = rng.normal(size=n), rng.binomial(1, 0.5, n)
    p = 1 / (1 + np.exp(-(2.2 * x1 - 0.8 * x2)))
    a = (rng.random(n) < p).astype(int)
    y = 1 + 2 * a + 1.5 * x1 + x2 + rng.normal(size=n)
    return pd.DataFrame({"x1": x1, "x2": x2, "a": a, "y": y}), p, np.full(n, 2.0)


@pytest.mark.parametrize("reps", [50, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", list(METHODS))
def test_weak_overlap(name, reps, capsys):
    """AIPW by right GLMs covers above 0.90, and methods that divide by propensities say what they rest on."""
    draws = drawn(name, weak, reps, 1000, seed=4)
    _, rate, _ = told(f"{name}, weak overlap", draws, 2, capsys)
    assert name != "aipw" or rate > (0.90 if reps > 500 else 0.80)
    data, _, _ = weak(np.random.default_rng(1), 1000)
    method, own = METHODS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        assert ("weak overlap" in str(cf.fit(FORMULA, data, method, **own))) == (name != "plr")


# ---- nearly as many covariates as rows -------------------------------------------------------------------------------

MANY = [f"x{j}" for j in range(100)]


def many(rng, n):
    """A dose whose effect is one a unit; two covariates move it much and the outcome little."""
    x = rng.normal(size=(n, len(MANY)))
    d = 1.2 * x[:, 0] - 1.2 * x[:, 1] + rng.normal(size=n)
    y = d + 0.25 * x[:, 0] - 0.25 * x[:, 1] + 2 * x[:, 2] + rng.normal(size=n)
    return pd.DataFrame(x, columns=MANY).assign(d=d, y=y), None, None


@pytest.mark.parametrize("reps", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_many_covariates(reps, capsys):
    """Lassos that are learned from fewer rows than there are covariates."""
    models = {"outcome_model": "rlasso", "treatment_model": "rlasso"}
    draws = drawn("plr", many, reps, 110, formula=f"y ~ treat(d) + adjust({' + '.join(MANY)})", **models)
    _, rate, ratio = told("plr by rlasso, 110 rows and 100 covariates", draws, 1, capsys)
    assert unbiased(draws, 1, 0.02) and abs(draws[:, 0].mean() - 1) < 0.2
    assert reps < 100 or (within_error(rate, reps) and 0.85 <= ratio <= 1.15)
