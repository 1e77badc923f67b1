"""Generalised linear models beside absorbed effects are those with dummies; levels at infinity leave."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.absorption.saturated import removed

N = 300


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    u, t, x = rng.integers(0, 12, N), rng.integers(0, 5, N), rng.normal(size=N)
    a = (rng.random(N) < 0.4 + 0.01 * u).astype(int)
    rate = np.exp(0.3 + 0.3 * a + 0.2 * x + 0.05 * u - 0.1 * t)
    chance = 1 / (1 + np.exp(0.7 - 0.5 * a - 0.3 * x - 0.1 * u))
    w = rng.uniform(0.3, 2.0, N)
    w[[4, 9]] = 0
    return pd.DataFrame(
        {
            "u": u,
            "t": t,
            "x": x,
            "a": a,
            "g": rng.integers(0, 12, N),
            "count": rng.poisson(rate),
            "gain": rng.gamma(2.0, rate / 2) + 0.01,
            "hit": (rng.random(N) < chance).astype(int),
            "w": w,
            "o": rng.normal(size=N) / 3,
        }
    )


def near(found, wanted, rtol=1e-8):
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * np.abs(np.asarray(wanted)).max())


CASES = {
    "poisson": ("count ~ x + a", "poisson", {}),
    "logit": ("hit ~ x + a", "binomial", {}),
    "probit": ("hit ~ x + a", "binomial(link = 'probit')", {}),
    "gamma": ("gain ~ x + a", "Gamma(link = 'log')", {}),
    "quasipoisson": ("count ~ x + a", "quasipoisson", {}),
    "gaussian": ("gain ~ x + a", "gaussian", {}),
    "offset": ("count ~ x + a + offset(o)", "poisson", {}),
    "weights": ("count ~ x + a", "poisson", {"weights": "w"}),
}


@pytest.mark.parametrize("name", CASES)
def test_as_with_dummies(frame, name):
    terms, family, options = CASES[name]
    found = cf.glm(f"{terms} | u + t", frame, family=family, **options)
    dummies = cf.glm(f"{terms} + factor(u) + factor(t)", frame, family=family, epsilon=1e-14, maxit=60, **options)
    near(found.params, dummies.params[["x", "a"]])
    near(found.fitted, dummies.fitted)
    near([found.deviance, found.null_deviance], [dummies.deviance, dummies.null_deviance])
    if name != "quasipoisson":
        near(found.loglik, dummies.loglik)
    assert found.df_residual == dummies.df_residual and found.converged
    for vcov in ("HC0", "HC3", "CR0 ~ g", "CR2 ~ g", "CR0 ~ u"):
        near(found.with_vcov(vcov).vcov(), dummies.with_vcov(vcov).vcov().loc[["x", "a"], ["x", "a"]], 1e-6)
    near(found.hatvalues(), dummies.hatvalues(), 1e-7)


@pytest.mark.parametrize("behind", ["u[x] + t", "u^t"])
def test_slopes_and_combinations(frame, behind):
    dummies = {"u[x] + t": " + factor(u) * x + factor(t)", "u^t": " + factor(u):factor(t)"}[behind]
    rich = frame.assign(count=frame["count"] + 1)
    found = cf.glm(f"count ~ a | {behind}", rich, family="poisson")
    kept = rich.loc[found.fitted.index]
    other = cf.glm(f"count ~ a{dummies}", kept, family="poisson", epsilon=1e-13)
    near(found.params["a"], other.params["a"])
    near(found.fitted, other.fitted, 1e-7)


def test_effects_and_predictions(frame):
    found = cf.glm("count ~ x + a | u + t", frame, family="poisson")
    dummies = cf.glm("count ~ x + a + factor(u) + factor(t)", frame, family="poisson", epsilon=1e-14)
    effects = found.fixed_effects("t").set_index("level")["value"]
    gaps = dummies.params[[f"factor(t){k}" for k in range(1, 5)]]
    near((effects - effects["0"])[["1", "2", "3", "4"]], gaps, 1e-7)
    new = frame.head(7).assign(x=1.5)
    for kind in ("link", "response"):
        near(found.predict(new, type=kind), dummies.predict(new, type=kind), 1e-7)
    terms_alone = found.predict(new, fixed_effects=False)
    near(terms_alone, 1.5 * found.params["x"] + found.params["a"] * new["a"])
    with pytest.raises(cf.DataError, match="the fixed effect u has 1 level that the fit has no value for: 99"):
        found.predict(new.assign(u=99))


@pytest.mark.parametrize(("outcome", "family"), [("count", "poisson"), ("hit", "binomial")])
@pytest.mark.parametrize("weights", ["", " + weights(w)"])
def test_effects_of_a_treatment(frame, outcome, family, weights):
    start = f"{outcome} ~ treat(a) + x{weights}"
    found = cf.fit(f"{start} | u + t", frame, family=family, vcov="HC0")
    dummies = cf.fit(f"{start} + factor(u) + factor(t)", frame, family=family, vcov="HC0")
    near(found.estimate, dummies.estimate)
    near(found.influence(), dummies.influence(), 1e-6)
    for vcov in ("HC0", "HC3", "CR0 ~ g", "CR2 ~ g", "CR0 ~ u", "asympt"):
        near(found.with_vcov(vcov).std_error, dummies.with_vcov(vcov).std_error, 1e-7)
    near(found.means().tidy()["std.error"], dummies.means().tidy()["std.error"], 1e-7)
    near(found.by("g").tidy()["std.error"], dummies.by("g").tidy()["std.error"], 1e-6)
    draws = cf.Bootstrap(8, weights="exponential", seed=1)
    near(found.with_vcov(draws).std_error, dummies.with_vcov(draws).std_error, 1e-6)


def test_influence_is_a_refit_with_other_weights(frame):
    base = frame.assign(v=1.0)
    fit = cf.fit("count ~ treat(a) + x + weights(v) | u + t", base, family="poisson")
    step = 1e-4
    for row in (0, 50, 111):
        ends = []
        for sign in (1, -1):
            moved = base.copy()
            moved.loc[row, "v"] += sign * step
            ends.append(cf.fit("count ~ treat(a) + x + weights(v) | u + t", moved, family="poisson").estimate)
        near(fit.influence()[row, 0], N * (ends[0] - ends[1]) / (2 * step), 1e-5)


def test_ratios_and_slopes(frame):
    ratio = cf.fit("count ~ treat(a) + x | u + t", frame, family="poisson", measure="ratio")
    near(ratio.estimate, np.exp(ratio.outcome.params["a"]))
    slope, other = (
        cf.fit(f"count ~ treat(x) + a{behind}", frame, family="poisson", contrast="slope", vcov="HC0")
        for behind in (" | u + t", " + factor(u) + factor(t)")
    )
    near([slope.estimate, slope.std_error], [other.estimate, other.std_error], 1e-7)


def test_bootstraps_of_coefficients(frame):
    for request in (cf.Bootstrap(8, weights="exponential", seed=2), cf.Bootstrap(8, cluster="t", seed=2)):
        found, other = (
            cf.glm(f"count ~ x + a{behind}", frame, family="poisson", vcov=request).bse[["x", "a"]]
            for behind in (" | u", " + factor(u)")
        )
        near(found, other, 1e-6)


def test_levels_at_infinity_leave_with_what_they_leave_alone():
    # level 0 of a has zeros alone; without its rows the last row, a zero too, is alone in level 2 of b
    a, b = np.array([0, 0, 1, 1, 2, 2, 1, 2]), np.array([2, 0, 0, 1, 1, 0, 1, 2])
    y = np.array([0, 0, 1, 0, 2, 0, 3, 0])
    found = removed([Effect(a, 3), Effect(b, 3)], None, (y == 0).astype(int))
    assert found.stays.tolist() == [False, False, True, True, True, True, True, False]
    assert (found.alone, found.levels, found.rows) == (0, (1, 1), (2, 1))
    y[-1] = 5
    assert removed([Effect(a, 3), Effect(b, 3)], None, (y == 0).astype(int)).alone == 1
    assert removed([Effect(a, 3), Effect(b, 3)], None, (y == 0).astype(int), alone=False).stays[-1]
    both = removed([Effect(a, 3)], None, np.array([1, 1, 2, 2, 1, 2, 2, 2]))
    assert both.levels == (2,) and both.stays.tolist() == [False] * 2 + [False] * 2 + [True] * 2 + [False] + [True]


def test_units_without_events_are_left_out_and_counted(frame):
    quiet = frame.assign(count=frame["count"].where(frame["u"] > 1, 0), hit=frame["hit"].where(frame["u"] != 3, 1))
    found = cf.glm("count ~ x | u", quiet, family="poisson")
    rows = int((quiet["u"] <= 1).sum())
    assert f"({rows} rows of 2 levels of u with only 0 outcomes were removed)" in str(found)
    assert found.nobs == N - rows and "0" not in set(found.fixed_effects("u")["level"])
    near(found.params, cf.glm("count ~ x | u", quiet[quiet["u"] > 1], family="poisson").params)
    fit = cf.fit("hit ~ treat(a) + x | u", quiet, family="binomial")
    rows = int((quiet["u"] == 3).sum())
    assert f"({rows} rows of 1 level of u with only 0 or only 1 outcomes were removed)" in str(fit)
    assert fit.nobs == N - rows
    # the linear model has them all
    assert cf.lm("count ~ x | u", quiet).nobs == N


@pytest.mark.parametrize(("outcome", "family"), [("y", "gaussian"), ("count", "poisson")])
@pytest.mark.parametrize("terms", ["treat(a) + modify({})", "treat(x) + modify({})", "treat(a) + adjust({} * x)"])
def test_products_with_a_variable_far_from_zero_are_not_lost(frame, outcome, family, terms):
    """``a:far`` is nearly ``a`` a billion times: counted from its mean it is what it is near zero."""
    rng, near_zero = np.random.default_rng(8), frame.assign(w=frame["w"] + 0.1)
    near_zero["m"] = rng.integers(-64, 64, len(frame)) / 64 + frame["a"]
    y = near_zero["m"] * (0.3 + near_zero["a"]) + near_zero["x"] + rng.normal(size=len(frame))
    data = near_zero.assign(y=y, count=rng.poisson(np.exp(y / 4)), far=near_zero["m"] + 2.0**30)
    a, b = (
        cf.fit(f"{outcome} ~ {terms.format(name)} + weights(w) | u + t", data, family=family, vcov="HC0")
        for name in ("m", "far")
    )
    assert "removed because of collinearity" not in str(b)
    near([b.estimate, b.std_error], [a.estimate, a.std_error], 1e-7)
    near(b.influence(), a.influence(), 1e-6)
    near(b.outcome.fitted, a.outcome.fitted, 1e-6)
    for vcov in ("HC3", "CR2 ~ t", cf.Bootstrap(4, weights="exponential", seed=1)):
        near(b.with_vcov(vcov).std_error, a.with_vcov(vcov).std_error, 1e-6)
    if "modify" in terms:
        near(b.by("far").tidy()["estimate"], a.by("m").tidy()["estimate"], 1e-6)
