"""Coverage of aipw: by GLMs, by learners where neither function is linear, and where the arms hardly overlap."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

import causalformula as cf
from tests.coverage.test_weighting import confounded_linear, covered, heterogeneous, simulated, truth, within_error

F = "y ~ treat(a) + adjust(x1 + x2)"


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
@pytest.mark.parametrize("design", [confounded_linear, heterogeneous])
def test_linear_designs(design, estimand):
    draws = simulated(design, "aipw", estimand, 200, 300)
    assert within_error(covered(draws, truth(design, estimand)), 200)


@pytest.mark.slow
@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
@pytest.mark.parametrize("design", [confounded_linear, heterogeneous])
def test_linear_designs_at_length(design, estimand):
    draws = simulated(design, "aipw", estimand, 2000, 500, seed=2)
    value = truth(design, estimand)
    assert within_error(covered(draws, value), 2000)
    assert abs(draws[:, 0].mean() - value) <= 4 * draws[:, 0].std() / np.sqrt(2000) + 0.005
    assert 0.93 <= draws[:, 1].mean() / draws[:, 0].std(ddof=1) <= 1.07


def twisted(rng, n, outcome=False, treatment=False):
    """An effect of 2; the outcome, the treatment's log odds or neither are linear in the covariates."""
    x1, x2 = rng.uniform(-2, 2, n), rng.binomial(1, 0.5, n)
    p = 1 / (1 + np.exp(-(0.8 * (x1**2 - 1.3) if treatment else 0.7 * x1 - 0.4 * x2)))
    a = (rng.random(n) < p).astype(int)
    y = 1 + 2 * a + (1.5 * x1**2 if outcome else 1.5 * x1) + x2 + rng.normal(size=n)
    return pd.DataFrame({"x1": x1, "x2": x2, "a": a, "y": y}), p, np.full(n, 2.0)


@pytest.mark.parametrize("wrong", ["outcome", "treatment"])
def test_either_model_may_be_wrong(wrong):
    """The wrong one is linear where the truth is a square, which the right one has; each alone would be biased."""
    right, reps = f"I(x1^2) + {'x1'}", 120

    def design(rng, n):
        return twisted(rng, n, outcome=True, treatment=True)

    roles = {"outcome": f"propensity({right})", "treatment": f"outcome({right})"}
    formula = f"y ~ treat(a) + adjust(x1 + x2) + {roles[wrong]}"
    draws = simulated(design, "aipw", "ATE", reps, 500, formula=formula)
    assert abs(draws[:, 0].mean() - 2) <= 4 * draws[:, 0].std() / np.sqrt(reps)
    assert within_error(covered(draws, 2), reps)
    # both wrong: what the right one saves
    both = simulated(design, "aipw", "ATE", reps, 500)
    assert abs(both[:, 0].mean() - 2) > 10 * both[:, 0].std() / np.sqrt(reps)


LEARNERS = {
    "forest": (
        RandomForestRegressor(100, min_samples_leaf=5, random_state=0),
        RandomForestClassifier(100, min_samples_leaf=25, random_state=0),
    ),
    "boosting": (
        HistGradientBoostingRegressor(max_iter=60, learning_rate=0.1, max_leaf_nodes=8, random_state=0),
        HistGradientBoostingClassifier(max_iter=40, learning_rate=0.1, max_leaf_nodes=4, random_state=0),
    ),
}


def spread(name, reps, n, capsys):
    """Mean standard error over the estimates' standard deviation; bias and coverage are printed."""
    outcome, treatment = LEARNERS[name]
    draws = simulated(
        lambda rng, n: twisted(rng, n, outcome=True, treatment=True), "aipw", "ATE", reps, n,
        outcome_model=outcome, treatment_model=treatment, folds=5,
    )  # fmt: skip
    bias, ratio = draws[:, 0].mean() - 2, draws[:, 1].mean() / draws[:, 0].std(ddof=1)
    with capsys.disabled():
        print(f"\naipw by {name}: bias {bias:.3f}, coverage {covered(draws, 2):.3f}, s.e. / sd {ratio:.3f}")
    return bias, ratio


def test_learners_of_a_nonlinear_design(capsys):
    """In short: two regressions of splines, whose spread few repetitions tell roughly."""
    draws = simulated(
        lambda rng, n: twisted(rng, n, outcome=True, treatment=True), "aipw", "ATE", 40, 400,
        outcome_model="spline", treatment_model=make_pipeline(SplineTransformer(4), LogisticRegression()), folds=4,
    )  # fmt: skip
    assert abs(draws[:, 0].mean() - 2) < 0.15
    assert 0.7 <= draws[:, 1].mean() / draws[:, 0].std(ddof=1) <= 1.4


@pytest.mark.slow
@pytest.mark.parametrize("name", list(LEARNERS))
def test_learners_of_a_nonlinear_design_at_length(name, capsys):
    bias, ratio = spread(name, 400, 1000, capsys)
    assert 0.9 <= ratio <= 1.15 and abs(bias) < 0.05


def weak(rng, n):
    """Propensities from a few thousandths on: a tenth of the rows are beyond 0.02 or 0.98."""
    x1, x2 = rng.normal(size=n), rng.binomial(1, 0.5, n)
    p = 1 / (1 + np.exp(-(2.2 * x1 - 0.8 * x2)))
    a = (rng.random(n) < p).astype(int)
    return (
        pd.DataFrame({"x1": x1, "x2": x2, "a": a, "y": 1 + 2 * a + 1.5 * x1 + x2 + rng.normal(size=n)}),
        p,
        np.full(n, 2.0),
    )


@pytest.mark.parametrize("reps", [150, pytest.param(2000, marks=pytest.mark.slow)])
def test_weak_overlap(reps, capsys):
    """Right GLMs cover above 0.90, and the print says what they rest on."""
    draws = simulated(weak, "aipw", "ATE", reps, 1000, seed=4)
    rate, ratio = covered(draws, 2), draws[:, 1].mean() / draws[:, 0].std(ddof=1)
    with capsys.disabled():
        print(f"\naipw, weak overlap: bias {draws[:, 0].mean() - 2:.3f}, coverage {rate:.3f}, s.e. / sd {ratio:.3f}")
    assert rate > (0.90 if reps > 500 else 0.86)
    data, _, _ = weak(np.random.default_rng(1), 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        assert "weak overlap" in str(cf.fit(F, data, "aipw"))
