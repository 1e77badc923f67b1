"""Coverage with strong and with weak instruments: Anderson-Rubin sets cover in both, Wald's intervals in the first.

And of efficient GMM where variances are unequal, with how often Hansen's J rejects.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

TRUTH = 0.5


def shares(strength: float, reps: int, n: int = 150) -> tuple[float, float]:
    """How often the Wald interval and the Anderson-Rubin set hold the truth."""
    held = np.zeros(2)
    for seed in range(reps):
        rng = np.random.default_rng(seed)
        u, z, x = rng.normal(size=(3, n))
        q = strength * z + 0.3 * x + 0.95 * u + 0.3 * rng.normal(size=n)
        data = pd.DataFrame({"y": TRUTH * q + 0.2 * x + u, "q": q, "z": z, "x": x})
        fit = cf.fit("y ~ treat(q) + iv(z) + adjust(x)", data)
        low, high = fit.conf_int().iloc[0]
        held += [low <= TRUTH <= high, TRUTH in fit.anderson_rubin()]
    wald, ar = held / reps
    return float(wald), float(ar)


def check(reps: int) -> None:
    margin = 4 * np.sqrt(0.95 * 0.05 / reps)
    strong, weak = shares(1.0, reps), shares(0.02, reps)
    assert strong == pytest.approx((0.95, 0.95), abs=margin)
    assert weak[1] == pytest.approx(0.95, abs=margin)
    assert weak[0] < 0.95 - margin


def test_coverage():
    check(20)


@pytest.mark.slow
def test_coverage_long():
    check(1000)


def of_gmm(steps: int | str, reps: int, n: int = 400) -> tuple[float, float, float]:
    """How often the interval holds the truth, and J rejects at 5%; the spread beside two-stage least squares'."""
    held, errors = np.zeros(2), []
    for seed in range(reps):
        rng = np.random.default_rng(seed)
        z, z2, z3, x, v = rng.normal(size=(5, n))
        u = rng.normal(size=n) * (0.2 + z2**2)
        q = 0.5 * z + 0.5 * z2 + 0.5 * z3 + 0.3 * x + 0.5 * u + v
        data = pd.DataFrame({"y": TRUTH * q + 0.2 * x + u, "q": q, "z": z, "z2": z2, "z3": z3, "x": x})
        formula = "y ~ treat(q) + iv(z + z2 + z3) + adjust(x)"
        fit = cf.fit(formula, data, "gmm", steps=steps)
        low, high = fit.conf_int().iloc[0]
        held += [low <= TRUTH <= high, fit.diagnostics().loc["Hansen's J", "p.value"] < 0.05]
        errors.append([fit.estimate - TRUTH, cf.fit(formula, data).estimate - TRUTH])
    covered, rejected = held / reps
    spread = np.sqrt((np.array(errors) ** 2).mean(axis=0))
    return float(covered), float(rejected), float(spread[0] / spread[1])


@pytest.mark.parametrize("steps", [2, "cue"])
def test_gmm(steps):
    covered, rejected, ratio = of_gmm(steps, 25)
    assert covered >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 25)
    assert rejected <= 0.05 + 4 * np.sqrt(0.95 * 0.05 / 25)
    assert ratio < 1


@pytest.mark.slow
@pytest.mark.parametrize("steps", [2, "cue"])
def test_gmm_long(steps):
    covered, rejected, ratio = of_gmm(steps, 1000, 1000)
    print(f"GMM {steps}: coverage {covered}, J rejects {rejected}, spread {ratio} of two-stage least squares'")
    margin = 4 * np.sqrt(0.95 * 0.05 / 1000)
    assert covered == pytest.approx(0.95, abs=margin)
    assert rejected == pytest.approx(0.05, abs=margin)
    assert ratio < 0.8


def judged(lenient: float, reps: int, judges: int = 60, each: int = 8) -> tuple[float, float, float]:
    """How often Wald's interval and the Anderson-Rubin set of ``iv(loo(judge))`` hold the truth; and how the mean
    error of two-stage least squares on judges' dummies compares with that of the leave-one-out mean.
    """
    held, errors = np.zeros(2), np.zeros((reps, 2))
    for seed in range(reps):
        rng = np.random.default_rng(seed)
        judge, n = np.repeat(np.arange(judges), each), judges * each
        u = rng.normal(size=n)
        q = lenient * rng.normal(size=judges)[judge] + u + 0.5 * rng.normal(size=n)
        data = pd.DataFrame({"y": TRUTH * q + u + 0.5 * rng.normal(size=n), "q": q, "judge": judge})
        fit = cf.fit("y ~ treat(q) + iv(loo(judge))", data)
        low, high = fit.conf_int().iloc[0]
        held += [low <= TRUTH <= high, TRUTH in fit.anderson_rubin()]
        errors[seed] = fit.estimate - TRUTH, cf.fit("y ~ treat(q) + iv(factor(judge))", data).estimate - TRUTH
    wald, ar = held / reps
    middle = np.median(errors, axis=0)
    return float(wald), float(ar), float(abs(middle[0] / middle[1]))


def check_judges(reps: int) -> None:
    margin = 4 * np.sqrt(0.95 * 0.05 / reps) + 0.01
    wald, ar, share = judged(0.7, reps)
    assert (wald, ar) == pytest.approx((0.95, 0.95), abs=margin)
    assert share < 0.35  # own treatments in the fitted ones bias dummies towards least squares


def test_judges():
    check_judges(8)


@pytest.mark.slow
def test_judges_long():
    check_judges(400)
