"""Coverage of weighting estimators on simulated designs with known effects.

Where the estimator is consistent and overlap is good, 95% intervals must cover within Monte Carlo error; with strong
selection, and for energy balancing, the standard error is what is tested, and bias and coverage are printed.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning, ConvergenceError

FORMULA = "y ~ treat(a) + adjust(x1 + x2)"
METHODS = [
    *(("ipw", e) for e in ("ATE", "ATT", "ATC", "ATO")),
    *((m, e) for m in ("ebal", "ipt", "cbps") for e in ("ATE", "ATT", "ATC")),
]


def confounded_linear(rng, n):
    """Two confounders, a constant effect of 2."""
    x1, x2 = rng.normal(size=n), rng.binomial(1, 0.5, n)
    p = 1 / (1 + np.exp(-(0.6 * x1 - 0.5 * x2)))
    a = rng.random(n) < p
    y = 1 + 2 * a + 1.5 * x1 + x2 + rng.normal(size=n)
    return pd.DataFrame({"x1": x1, "x2": x2, "a": a.astype(int), "y": y}), p, np.full(n, 2.0)


def heterogeneous(rng, n):
    """An effect that grows with a confounder, so that every estimand has its own value."""
    data, p, _ = confounded_linear(rng, n)
    effect = 1 + data["x1"].to_numpy() + 0.5 * data["x2"].to_numpy()
    return data.assign(y=data["y"] + (effect - 2) * data["a"]), p, effect


def strong_selection(rng, n):
    """Propensities from 0.02 to 0.98: heavy weights.

    With stronger selection still (1.6 x1) the estimates have no normal limit to speak of at this size, and sandwiches
    fall a quarter short of the Monte Carlo spread.
    """
    x1, x2 = rng.normal(size=n), rng.binomial(1, 0.5, n)
    p = 1 / (1 + np.exp(-(1.1 * x1 - 0.8 * x2)))
    a = rng.random(n) < p
    y = 1 + 2 * a + 1.5 * x1 + x2 + rng.normal(size=n)
    return pd.DataFrame({"x1": x1, "x2": x2, "a": a.astype(int), "y": y}), p, np.full(n, 2.0)


@cache
def truth(design, estimand):
    """The estimand's value, from a large population."""
    _, p, effect = design(np.random.default_rng(0), 500_000)
    tilt = {"ATE": np.ones_like(p), "ATT": p, "ATC": 1 - p, "ATO": p * (1 - p)}[estimand]
    return float(tilt @ effect / tilt.sum())


def simulated(design, method, estimand, reps, n, seed=1):
    """Estimates, their default and their HC0 standard errors, (reps, 3)."""
    rng = np.random.default_rng(seed)
    out = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        while len(out) < reps:
            data, _, _ = design(rng, n)
            try:
                fit = cf.fit(FORMULA, data, method, estimand=estimand)
            except ConvergenceError:
                continue
            out.append((fit.estimate, fit.std_error, fit.with_vcov("HC0").std_error))
    return np.array(out)


def covered(draws, value):
    return float((np.abs(draws[:, 0] - value) <= 1.96 * draws[:, 1]).mean())


def within_error(rate, reps, level=0.95):
    """Four Monte Carlo standard errors: a test of a hundred such rates fails by chance once in a hundred runs."""
    return abs(rate - level) <= 4 * np.sqrt(level * (1 - level) / reps)


@pytest.mark.parametrize("design", [confounded_linear, heterogeneous])
@pytest.mark.parametrize(("method", "estimand"), [("ipw", "ATE"), ("ebal", "ATT"), ("ipt", "ATE"), ("cbps", "ATC")])
def test_coverage(design, method, estimand):
    reps = 120
    draws = simulated(design, method, estimand, reps, 400)
    assert within_error(covered(draws, truth(design, estimand)), reps)


@pytest.mark.slow
@pytest.mark.parametrize("design", [confounded_linear, heterogeneous])
@pytest.mark.parametrize(("method", "estimand"), METHODS)
def test_coverage_at_length(design, method, estimand):
    reps = 1000
    draws = simulated(design, method, estimand, reps, 600)
    assert within_error(covered(draws, truth(design, estimand)), reps)
    assert 0.93 < draws[:, 1].mean() / draws[:, 0].std(ddof=1) < 1.07


@pytest.mark.parametrize("method", ["ipw", "ebal", "ipt", "cbps"])
def test_ignoring_the_estimation_of_the_weights_is_conservative(method):
    """For the ATE under a constant effect the stacked standard error is the smaller one, and the right one."""
    draws = simulated(confounded_linear, method, "ATE", 150, 300)
    spread = draws[:, 0].std(ddof=1)
    assert (draws[:, 1] < draws[:, 2]).mean() > 0.95
    assert 0.8 < draws[:, 1].mean() / spread < 1.2
    assert draws[:, 2].mean() / spread > 1.3


@pytest.mark.slow
@pytest.mark.parametrize(("method", "estimand"), METHODS)
def test_standard_errors_under_strong_selection(method, estimand):
    draws = simulated(strong_selection, method, estimand, 1000, 2000)
    value = truth(strong_selection, estimand)
    ratio = draws[:, 1].mean() / draws[:, 0].std(ddof=1)
    bias = draws[:, 0].mean() - value
    print(f"{method} {estimand}: bias {bias:.3f}, coverage {covered(draws, value):.3f}, ratio {ratio:.3f}")
    assert 0.9 < ratio < 1.15


@pytest.mark.slow
def test_energy_standard_errors():
    """The weights count as given, so the standard error errs on the safe side."""
    pytest.importorskip("osqp")
    draws = simulated(confounded_linear, "energy", "ATE", 200, 200)
    ratio = draws[:, 1].mean() / draws[:, 0].std(ddof=1)
    print(f"energy ATE: bias {draws[:, 0].mean() - 2:.3f}, coverage {covered(draws, 2.0):.3f}, ratio {ratio:.3f}")
    assert ratio > 0.9
