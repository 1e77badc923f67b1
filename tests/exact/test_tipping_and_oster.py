"""The confounder that tips an effect, and selection on unobserved confounders: exact algebra and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.inference.sensitivity.oster import Movement
from causalformula.inference.sensitivity.tipping import Imbalance, adjusted, tipping_outcome, tipping_treated


def sample(n=300, seed=0):
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=(2, n))
    a = (rng.random(n) < 1 / (1 + np.exp(-x - u))).astype(int)
    y = 2 * a + x + u + rng.normal(size=n)
    w = rng.uniform(1, 3, n)
    return pd.DataFrame({"y": y, "a": a, "x": x, "u": u, "w": w, "b": (y > 1).astype(int)})


# ---- tipping ---------------------------------------------------------------------------------------------------------


def test_a_difference_by_hand():
    at = Imbalance(0.5, 0.0, False)
    assert adjusted(3.0, at, 2.0, ratio=False) == 2.0
    assert tipping_outcome(3.0, at, 0.0, ratio=False) == 6.0
    assert tipping_treated(3.0, 0.0, False, 6.0, 0.0, ratio=False) == 0.5
    shares = Imbalance(0.6, 0.2, True)
    assert tipping_outcome(2.0, shares, 0.0, ratio=False) == pytest.approx(5.0)
    assert np.isnan(tipping_treated(2.0, 0.2, True, 1.0, 0.0, ratio=False))  # more than all would have to have it


def test_a_ratio_by_hand():
    """Of a binary confounder of ratio 3 in half of the treated and none of the controls: the treated are at 2."""
    at = Imbalance(0.5, 0.0, True)
    assert adjusted(2.0, at, 3.0, ratio=True) == pytest.approx(1.0)
    assert tipping_outcome(2.0, at, 1.0, ratio=True) == pytest.approx(3.0)
    assert tipping_treated(2.0, 0.0, True, 3.0, 1.0, ratio=True) == pytest.approx(0.5)
    assert np.isnan(tipping_outcome(4.0, Imbalance(0.5, 0.2, True), 1.0, ratio=True))  # at most 0.5 / 0.2
    continuous = Imbalance(0.5, 0.0, False)
    assert adjusted(2.0, continuous, 4.0, ratio=True) == pytest.approx(1.0)
    assert tipping_outcome(2.0, continuous, 1.0, ratio=True) == pytest.approx(4.0)


@pytest.mark.parametrize("ratio", [False, True])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("effect", [0.7, 1.4])
def test_what_tips_leaves_no_effect(ratio, binary, effect):
    null, at = float(ratio), Imbalance(0.5, 0.2, binary)
    found = tipping_outcome(effect, at, null, ratio)
    assert adjusted(effect, at, found, ratio) == pytest.approx(null, abs=1e-12)
    treated = tipping_treated(effect, at.control, binary, found, null, ratio)
    assert treated == pytest.approx(at.treated)


def test_least_squares_with_the_confounder_is_the_adjusted_effect():
    """The bias of leaving ``u`` out is its slope times its difference between the arms given ``x``: exact algebra."""
    data = sample()
    long, short = (cf.fit(f"y ~ treat(a) + adjust({terms})", data) for terms in ("x + u", "x"))
    slope = cf.lm("y ~ a + x + u", data).params["u"]
    between = cf.lm("u ~ a + x", data).params["a"]
    found = short.sensitivity("tipping", imbalance=between, outcome=slope).tidy()
    assert found["effect_adjusted"][0] == pytest.approx(long.estimate, rel=1e-10)


def test_the_nearer_limit_is_tipped():
    fit = cf.fit("y ~ treat(a) + adjust(x)", sample())
    table = fit.sensitivity("tipping", imbalance=[0.5, 1.0], level=0.9).tidy()
    low = fit.tidy(level=0.9)["conf.low"][0]
    assert table["tipped"].tolist() == ["estimate", "estimate", "limit", "limit"]
    np.testing.assert_allclose(table["confounder_outcome_effect"], [fit.estimate * 2, fit.estimate, low * 2, low])
    np.testing.assert_allclose(table["n_unmeasured_confounders"], 1)
    half = fit.sensitivity("tipping", imbalance=0.5, outcome=fit.estimate / 2).tidy()
    assert half["n_unmeasured_confounders"][0] == pytest.approx(4)


@pytest.mark.parametrize("measure", ["ratio", "log_ratio"])
def test_ratios_of_a_fit(measure):
    fit = cf.fit("b ~ treat(a) + adjust(x)", sample(), family="binomial", measure=measure)
    ratio = fit.estimate if measure == "ratio" else np.exp(fit.estimate)
    found = fit.sensitivity("tipping", prevalence=(0.9, 0.1)).tidy()
    expected = 1 + (ratio - 1) / (0.9 - ratio * 0.1)
    assert found["confounder_outcome_effect"][0] == pytest.approx(expected)
    sought = fit.sensitivity("tipping", prevalence=0.1, outcome=expected).tidy()
    assert sought["exposed_confounder_prev"][0] == pytest.approx(0.9)


def test_an_odds_ratio_is_a_risk_ratio_by_its_root_unless_rare():
    fit = cf.fit("b ~ treat(a) + adjust(x)", sample(), family="binomial", measure="odds_ratio")
    common, rare = (fit.sensitivity("tipping", imbalance=1.0, rare=rare).tidy() for rare in (False, True))
    assert common["confounder_outcome_effect"][0] == pytest.approx(np.sqrt(fit.estimate))
    assert rare["confounder_outcome_effect"][0] == pytest.approx(fit.estimate)


# ---- Oster -----------------------------------------------------------------------------------------------------------


def population(beta, delta, s1=1.0, s2=0.5, a=0.4, noise=1.3, own=1.0):
    """Moments of ``Y = beta X + W1 + W2 + e`` with ``cov(W2, X) / s2 = delta a / s1`` and ``X = ... + own``."""
    c1, c2 = a, delta * a * s2 / s1
    sx = c1**2 / s1 + c2**2 / s2 + own
    sy = beta**2 * sx + s1 + s2 + noise + 2 * beta * (c1 + c2)
    # without controls; then with W1, given which X has the variance tau
    beta0 = beta + (c1 + c2) / sx
    tau = sx - c1**2 / s1
    beta1 = beta + c2 / tau
    left = s2 + noise - c2**2 / tau
    return Movement(beta0, beta1, beta0**2 * sx / sy, 1 - left / sy, sy, sx, tau), 1 - noise / sy


@pytest.mark.parametrize("delta", [0.3, 1.0, 1.7, -0.5])
@pytest.mark.parametrize("beta", [0.0, 0.8, -1.2])
def test_a_population_gives_its_effect_and_its_selection(beta, delta):
    moved, rmax = population(beta, delta)
    assert moved.delta(beta, rmax) == pytest.approx(delta, rel=1e-9)
    roots = moved.betas(delta, rmax)
    assert np.abs(roots - beta).min() == pytest.approx(0, abs=1e-7)
    for root in roots:
        assert moved.delta(root, rmax) == pytest.approx(delta, rel=1e-6)
    assert len(roots) <= (2 if delta == 1 else 3)


def test_the_root_that_is_reported():
    """The observed controls bias in it as they are seen to, and it is the nearest of those."""
    moved, rmax = population(0.8, 0.6)
    assert moved.betas(0.6, rmax)[0] == pytest.approx(0.8)
    assert moved.betas(0.0, rmax)[0] == pytest.approx(moved.beta1)


def test_without_selection_or_more_to_explain_nothing_changes():
    moved, _ = population(0.8, 0.6)
    np.testing.assert_allclose(moved.betas(1.0, moved.r1)[0], moved.beta1, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_and_its_model(weighted):
    data = sample()
    text, w = ("y ~ treat(a) + adjust(x + u)", None if not weighted else "w")
    fit = cf.fit(text + (" + weights(w)" if weighted else ""), data)
    model = cf.lm("y ~ a + x + u", data, weights=w)
    one, two = fit.sensitivity("oster"), model.sensitivity("a", "oster")
    np.testing.assert_allclose(one.tidy().iloc[:, 1:].to_numpy(), two.tidy().iloc[:, 1:].to_numpy(), rtol=1e-9)
    short = cf.lm("y ~ a", data, weights=w)
    row = one.tidy().iloc[0]
    assert row["estimate"] == pytest.approx(model.params["a"])
    assert row["estimate.uncontrolled"] == pytest.approx(short.params["a"])
    assert row["r.squared"] == pytest.approx(model.glance()["r.squared"][0])
    assert row["r.squared.uncontrolled"] == pytest.approx(short.glance()["r.squared"][0])
    assert row["rmax"] == pytest.approx(min(1.3 * row["r.squared"], 1))


def test_an_aliased_control_is_left_out():
    data = sample().assign(x2=lambda d: 2 * d["x"])
    one = cf.lm("y ~ a + x + x2", data).sensitivity("a", "oster").tidy()
    two = cf.lm("y ~ a + x", data).sensitivity("a", "oster").tidy()
    np.testing.assert_allclose(one.iloc[0, 1:].astype(float), two.iloc[0, 1:].astype(float), rtol=1e-9)


def test_a_dose():
    data = sample().assign(a=lambda d: d["a"] + d["x"] * 0.5 + np.arange(len(d)) % 3)
    fit = cf.fit("y ~ treat(a) + adjust(x + u)", data)
    assert fit.sensitivity("oster").moved.beta1 == pytest.approx(fit.estimate)
