"""Simulations of meta-learners: averages and unit intervals cover, and learners rank as their papers say."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor

import causalformula as cf
from tests.coverage.test_doubly_robust import SQUARES, told, twisted, unbiased, weak
from tests.coverage.test_weighting import (
    FORMULA,
    confounded_linear,
    covered,
    heterogeneous,
    simulated,
    truth,
    within_error,
)

DESIGNS = [(confounded_linear, {}), (heterogeneous, {}), (twisted, {**SQUARES, "effect_model": LinearRegression()})]
AT_LENGTH = pytest.mark.slow


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


# ---- averages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("design", "options"), DESIGNS[1:], ids=lambda each: getattr(each, "__name__", ""))
def test_averages(design, options):
    reps = 20
    draws = simulated(design, "dr_learner", "ATE", reps, 250, folds=2, **options)
    assert within_error(covered(draws, truth(design, "ATE")), reps) and unbiased(draws, truth(design, "ATE"))


@AT_LENGTH
@pytest.mark.parametrize(("design", "options"), DESIGNS, ids=lambda each: getattr(each, "__name__", ""))
@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_averages_at_length(design, options, estimand, capsys):
    reps, value = 500, truth(design, estimand)
    draws = simulated(design, "dr_learner", estimand, reps, 500, seed=3, **options)
    _, rate, ratio = told(f"dr_learner, {design.__name__}, {estimand}", draws, value, capsys)
    assert within_error(rate, reps) and unbiased(draws, value, 0.01) and 0.9 <= ratio <= 1.1


@pytest.mark.parametrize("reps", [30, pytest.param(500, marks=AT_LENGTH)])
def test_averages_under_weak_overlap(reps, capsys):
    """Bias, coverage and ratio are printed, and the print says what they rest on."""
    draws = simulated(weak, "dr_learner", "ATE", reps, 500, seed=4, folds=2)
    _, rate, _ = told("dr_learner, weak overlap", draws, 2, capsys)
    assert rate > 0.8
    assert "weak overlap" in str(cf.fit(FORMULA, weak(np.random.default_rng(1), 500)[0], "dr_learner"))


# ---- judging where there is nothing to find ----


@pytest.mark.parametrize(("reps", "n"), [(40, 200), pytest.param(500, 400, marks=AT_LENGTH)])
@pytest.mark.parametrize("method", ["t_learner", "dr_learner"])
def test_tests_of_who_gains_keep_their_level(method, reps, n, capsys):
    """Effects are all alike, so that no area and no difference of groups is more than chance (Wager 2024)."""
    rng, found = np.random.default_rng(2), []
    for _ in range(reps):
        x = rng.normal(size=(n, 3))
        data = pd.DataFrame(x, columns=["x1", "x2", "x3"]).assign(a=rng.integers(0, 2, n))
        data["y"] = x[:, 0] + data["a"] + rng.normal(size=n)
        fit = cf.fit("y ~ treat(a) + x1 + x2 + x3", data, method)
        groups = fit.calibration(2).tidy()["statistic"].iloc[-1]
        found.append([fit.rate(reps=100).tidy()["statistic"][0], groups])
    z = np.array(found)
    with capsys.disabled():
        print(f"\n{method}: rejected {(np.abs(z) > 1.96).mean(axis=0)}, sd of z {z.std(axis=0).round(2)}")
    assert (np.abs(z.mean(axis=0)) < 4 / np.sqrt(reps)).all()
    assert ((np.abs(z) > 1.96).mean(axis=0) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / reps)).all()


# ---- unit intervals --------------------------------------------------------------------------------------------------

AT = pd.DataFrame({"x1": [-1.5, -0.5, 0.5, 1.5], "x2": [0, 1, 0, 1]})
TRUE = (1 + AT["x1"] + 0.5 * AT["x2"]).to_numpy()


def unit_coverage(method, formula, reps, n, seed=1):
    """How often the intervals of four units hold their effects."""
    rng, inside = np.random.default_rng(seed), []
    for _ in range(reps):
        limits = cf.fit(formula, heterogeneous(rng, n)[0], method, folds=2).effects(AT).confint().to_numpy()
        inside.append((limits[:, 0] <= TRUE) & (limits[:, 1] >= TRUE))
    return np.mean(inside, axis=0)


LINEAR = [("t_learner", FORMULA), ("s_learner", "y ~ treat(a) + modify(x1 + x2)")]


@pytest.mark.parametrize(("method", "formula"), LINEAR)
def test_intervals_of_units(method, formula):
    reps = 25
    assert all(within_error(rate, reps) for rate in unit_coverage(method, formula, reps, 200))


@AT_LENGTH
@pytest.mark.parametrize(("method", "formula"), LINEAR)
def test_intervals_of_units_at_length(method, formula):
    reps = 600
    assert all(within_error(rate, reps) for rate in unit_coverage(method, formula, reps, 300, seed=2))


# ---- orderings -------------------------------------------------------------------------------------------------------


def pehe(design, formula, n, reps, methods, seed=1):
    """Root mean squared error of unit effects, a row a repetition, a column a method with its options."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(reps):
        data = design(rng, n)
        found.append([cf.fit(formula, data, name, **own).effects().score("tau")["PEHE"] for name, own in methods])
    return np.array(found)


def ahead(errors):
    """The first method's error below the second's, by more than chance."""
    gap = errors[:, 1] - errors[:, 0]
    return gap.mean() > 3 * gap.std(ddof=1) / np.sqrt(len(gap)) and errors[:, 0].mean() < 0.85 * errors[:, 1].mean()


def unbalanced(rng, n):
    """A tenth is treated; the outcome bends and the effect does not (Kuenzel et al. 2019, their first simulation)."""
    x1, x2 = rng.uniform(-2, 2, size=(2, n))
    a, tau = (rng.random(n) < 0.1).astype(int), 1 + 2.0 * (x1 > 0.5)
    y = 3 * np.sin(2 * x1) + 2 * np.abs(x2) + a * tau + 0.5 * rng.normal(size=n)
    return pd.DataFrame({"x1": x1, "x2": x2, "a": a, "y": y, "tau": tau})


NEAR = {"outcome_model": KNeighborsRegressor(8), "treatment_model": LogisticRegression(), "folds": 2}
X_AND_T = [("x_learner", {**NEAR, "effect_model": KNeighborsRegressor(8)}), ("t_learner", NEAR)]


@pytest.mark.parametrize(("reps", "n"), [(5, 400), pytest.param(40, 1000, marks=AT_LENGTH)])
def test_an_x_learner_beats_a_t_learner_where_arms_are_unbalanced(reps, n):
    assert ahead(pehe(unbalanced, FORMULA, n, reps, X_AND_T))


NAMES = ["x1", "x2", "x3", "x4"]
CONFOUNDED = f"y ~ treat(a) + adjust({' + '.join(NAMES)})"


def confounded(rng, n):
    """One effect for all, under a baseline that the propensity follows (setup C of Nie and Wager 2021)."""
    x = rng.normal(size=(n, 4))
    p = 1 / (1 + np.exp(x[:, 1] + x[:, 2]))
    a = (rng.random(n) < p).astype(int)
    y = 2 * np.log1p(np.exp(x[:, 0] + x[:, 1] + x[:, 2])) + (a - 0.5) + rng.normal(size=n)
    return pd.DataFrame(x, columns=NAMES).assign(a=a, y=y, tau=1.0)


BOOSTED = {"outcome_model": GradientBoostingRegressor(n_estimators=40, max_depth=2, random_state=0), "folds": 2}
R_AND_S = [("r_learner", {**BOOSTED, "effect_model": LinearRegression()}), ("s_learner", BOOSTED)]


@pytest.mark.parametrize(("reps", "n"), [(8, 400), pytest.param(30, 1000, marks=AT_LENGTH)])
def test_an_r_learner_beats_an_s_learner_under_strong_confounding(reps, n):
    assert ahead(pehe(confounded, CONFOUNDED, n, reps, R_AND_S))
