"""The marginal sensitivity model: linear programmes by HiGHS, populations by hand, and where the truth lies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

import causalformula as cf
from causalformula.backends.weighted_arms import weighted_arms
from causalformula.inference.sensitivity.marginal import Arm, breakdown, crossing
from causalformula.numerics.quantile_regression import check_loss, quantile_line

F = "y ~ treat(a) + adjust(x + z)"


def sample(n=240, seed=3, binary=False):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.integers(0, 2, n)
    a = (rng.random(n) < 1 / (1 + np.exp(-0.7 * x - 0.3 * z))).astype(int)
    y = 1.5 * a + x + z + rng.normal(size=n)
    return pd.DataFrame({"y": (y > 1).astype(int) if binary else y, "a": a, "x": x, "z": z, "w": rng.uniform(1, 3, n)})


def arm(n=30, seed=0, base=1.0):
    rng = np.random.default_rng(seed)
    return Arm(rng.normal(size=n), rng.uniform(0.5, 2, n), base, rng.exponential(size=n), 0.3, 0.9)


def ratio_by_programme(one, gamma, sign):
    """Charnes and Cooper's linear programme of a ratio: weights scaled so that they sum to one."""
    n = len(one.y)
    v = one.s * one.odds
    # variables q_i = t r_i and t; the denominator is 1
    cost = -sign * np.append(v * one.y, one.base * one.s @ one.y)
    rows = np.vstack(
        [np.column_stack([np.eye(n), -gamma * np.ones(n)]), np.column_stack([-np.eye(n), np.ones(n) / gamma])]
    )
    whole = np.append(v, one.base * one.s.sum())[None, :]
    found = linprog(cost, A_ub=rows, b_ub=np.zeros(2 * n), A_eq=whole, b_eq=[1.0], bounds=(0, None), method="highs")
    return one.offset + one.share * -sign * found.fun


def balanced_by_programme(one, quantiles, gamma, sign):
    """The weights that leave their sum, and the sum of their products with the quantiles, as they are."""
    v = one.s * one.odds
    g = np.vstack([v, v * quantiles])
    limits = (1 / gamma, gamma)
    found = linprog(-sign * v * one.y, A_eq=g, b_eq=g.sum(axis=1), bounds=limits, method="highs")
    fixed = one.base * one.s @ one.y
    return one.offset + one.share * (fixed - sign * found.fun) / (one.s @ (one.base + one.odds))


@pytest.mark.parametrize("base", [0.0, 1.0])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("gamma", [1.0, 1.3, 4.0])
def test_bounds_over_all_weights_are_those_of_a_linear_programme(gamma, sign, base):
    one = arm(base=base)
    found = one.ratio_bounds(np.array([gamma]), np.array([sign]))[0]
    assert found == pytest.approx(ratio_by_programme(one, gamma, sign), rel=1e-9)


@pytest.mark.parametrize("base", [0.0, 1.0])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("gamma", [1.3, 4.0])
@pytest.mark.parametrize("binary", [False, True])
def test_sharp_bounds_are_those_of_a_linear_programme(gamma, sign, base, binary):
    one = arm(60, base=base)
    if binary:
        one = Arm((one.y > 0).astype(float), one.s, base, one.odds)
    quantiles = np.random.default_rng(1).normal(size=60) + one.y / 2
    losses = one.losses(quantiles, gamma, sign > 0)
    found = one.sharp_bounds(losses[None], np.array([gamma]), np.array([sign]))[0]
    assert found == pytest.approx(balanced_by_programme(one, quantiles, gamma, sign), rel=1e-8)


@pytest.mark.parametrize("tau", [0.5, 0.8, 0.97])
@pytest.mark.parametrize("kind", ["numbers", "repeated columns", "two values"])
def test_quantile_regression_has_the_least_loss(tau, kind):
    rng = np.random.default_rng(5)
    n = 120
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    y, w = 1e4 * (X[:, 1] + rng.standard_t(2, n)), rng.exponential(size=n) * (rng.random(n) > 0.1)
    if kind == "repeated columns":
        X = np.column_stack([X, 2 * X[:, 1], np.zeros(n)])
    if kind == "two values":
        y = (y > 0).astype(float)
    p = X.shape[1]
    cost = np.concatenate([np.zeros(p), tau * w, (1 - tau) * w])
    equal = np.column_stack([X, np.eye(n), -np.eye(n)])
    limits = [(None, None)] * p + [(0, None)] * (2 * n)
    least = linprog(cost, A_eq=equal, b_eq=y, bounds=limits, method="highs").fun
    assert w @ check_loss(y - X @ quantile_line(X, y, tau, w), tau) == pytest.approx(least, rel=1e-9)


def test_quantile_regression_keeps_its_digits_far_from_zero():
    """A column and an outcome whose zero is 1e9 away give the line of the same fit near zero."""
    rng = np.random.default_rng(6)
    x = np.round(rng.normal(size=(80, 1)), 3)
    y, w = np.round(x[:, 0] + rng.normal(size=80), 3), rng.exponential(size=80)
    near, far = (np.column_stack([np.ones(80), x + shift]) for shift in (0.0, 1e9))
    fitted = near @ quantile_line(near, y, 0.8, w)
    np.testing.assert_allclose(far @ quantile_line(far, y + 1e9, 0.8, w) - 1e9, fitted, atol=2e-6)


def discrete():
    """Counts by x, arm and outcome, of two values each."""
    counts = {
        (0, 0, 0): 30,
        (0, 0, 1): 10,
        (0, 1, 0): 8,
        (0, 1, 1): 12,
        (1, 0, 0): 5,
        (1, 0, 1): 15,
        (1, 1, 0): 9,
        (1, 1, 1): 31,
    }
    rows = [cell for cell, count in counts.items() for _ in range(count)]
    return pd.DataFrame(rows, columns=["x", "a", "y"]), counts


def largest_mean(p, e, gamma):
    """In one cell: ``e p + (1 - e) p r`` with r the largest that leaves ``p r + (1 - p) r' = 1``, ``r'`` in bounds."""
    r = min(gamma, (1 - (1 - p) / gamma) / p)
    return e * p + (1 - e) * p * r


@pytest.mark.parametrize("gamma", [1.0, 1.5, 3.0])
def test_a_discrete_population_by_hand(gamma):
    """Within each x the weights are one number, so that the sharp bounds are those of the cells."""
    data, counts = discrete()
    low, high, n = 0.0, 0.0, len(data)
    for x in (0, 1):
        size = sum(counts[x, a, y] for a in (0, 1) for y in (0, 1))
        one, zero = (counts[x, a, 0] + counts[x, a, 1] for a in (1, 0))
        e, p1, p0 = one / size, counts[x, 1, 1] / one, counts[x, 0, 1] / zero
        up1, up0 = largest_mean(p1, e, gamma), largest_mean(p0, 1 - e, gamma)
        down1, down0 = 1 - largest_mean(1 - p1, e, gamma), 1 - largest_mean(1 - p0, 1 - e, gamma)
        low, high = low + size / n * (down1 - up0), high + size / n * (up1 - down0)
    fit = cf.fit("y ~ treat(a) + adjust(factor(x))", data, method="ipw")
    table = fit.sensitivity("marginal", gamma=gamma, reps=0).tidy()
    assert table.loc[0, ["estimate.low", "estimate.high"]].tolist() == pytest.approx([low, high], rel=1e-7)


CASES = [
    ("ipw", {}), ("ipw", {"estimand": "ATT"}), ("ipw", {"estimand": "ATC"}), ("ipw", {"stabilize": True}),
    ("ipw", {"link": "probit"}), ("cbps", {}), ("ipt", {}), ("ebal", {"estimand": "ATT"}), ("aipw", {}),
    ("aipw", {"estimand": "ATT"}), ("aipw", {"interact": False, "estimand": "ATC"}),
]  # fmt: skip


@pytest.mark.parametrize("sharp", [True, False])
@pytest.mark.parametrize(("method", "options"), CASES)
@pytest.mark.parametrize("weights", [False, True])
def test_without_hidden_bias_the_bounds_are_the_estimate(method, options, sharp, weights):
    fit = cf.fit(F + (" + weights(w)" if weights else ""), sample(), method=method, **options)
    table = fit.sensitivity("marginal", gamma=[1, 2], sharp=sharp, reps=0).tidy()
    both = table[["estimate.low", "estimate.high"]].to_numpy()
    np.testing.assert_allclose(both[0], fit.estimate, rtol=1e-9)
    assert both[1, 0] < both[0, 0] < both[1, 1]


@pytest.mark.parametrize("measure", ["ratio", "odds_ratio", "log_ratio"])
def test_ratios_are_of_the_bounds_of_the_means(measure):
    data = sample(binary=True)
    fit = cf.fit(F, data, method="ipw", measure=measure, family="binomial")
    found = fit.sensitivity("marginal", gamma=[1, 1.5], sharp=False, reps=0)
    arms = weighted_arms(fit.call.frame, fit.call.options)
    (l1, u1), (l0, u0) = (
        one.ratio_bounds(np.array([1.5, 1.5]), np.array([-1, 1])) for one in (arms.treated, arms.control)
    )

    def of(one, zero):
        if measure == "odds_ratio":
            return one / (1 - one) / (zero / (1 - zero))
        return one / zero if measure == "ratio" else np.log(one / zero)

    np.testing.assert_allclose(found.bounds[0], fit.estimate, rtol=1e-9)
    np.testing.assert_allclose(found.bounds[1], [of(l1, u0), of(u1, l0)], rtol=1e-9)


def test_arms_compared_the_other_way():
    one = cf.fit(F, sample(), method="ipw").sensitivity("marginal", gamma=[1, 2], reps=0)
    other = cf.fit(F, sample(), method="ipw", contrast=(1, 0)).sensitivity("marginal", gamma=[1, 2], reps=0)
    np.testing.assert_allclose(other.bounds, -one.bounds[:, ::-1], rtol=1e-12)
    assert other.breakdown == pytest.approx(one.breakdown)


def test_where_the_bounds_reach_the_null():
    fit = cf.fit(F, sample(), method="ipw")
    found = fit.sensitivity("marginal", reps=0)
    at = fit.sensitivity("marginal", gamma=found.breakdown, reps=0).tidy()
    assert at["estimate.low"][0] == pytest.approx(0, abs=1e-3)
    assert np.isnan(found.breakdown_limit)
    assert breakdown(lambda gamma: 1.0) == np.inf
    assert breakdown(lambda gamma: -1.0) == 1
    assert breakdown(lambda gamma: 2 - np.log(gamma)) == pytest.approx(np.exp(2), rel=1e-3)


def test_a_crossing_between_two_factors():
    assert crossing([1, np.e], [1, -1]) == pytest.approx(np.exp(0.5))
    assert crossing([1, 2], [-1, -2]) == 1
    assert crossing([1, 2], [2, 1]) == np.inf


# ---- the bootstrap ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ipw", "aipw"])
@pytest.mark.parametrize("sharp", [True, False])
def test_intervals_hold_the_bounds_and_follow_the_seed(method, sharp):
    fit = cf.fit(F, sample(), method=method)
    options = {"gamma": [1, 1.2], "reps": 40, "sharp": sharp}
    found = fit.sensitivity("marginal", seed=1, **options)
    again = fit.sensitivity("marginal", seed=1, n_jobs=2, **options)
    np.testing.assert_array_equal(found.limits, again.limits)
    assert (found.limits[:, 0] < found.bounds[:, 0]).all()
    assert (found.bounds[:, 1] < found.limits[:, 1]).all()
    assert not np.array_equal(found.limits, fit.sensitivity("marginal", seed=2, **options).limits)


def test_without_hidden_bias_intervals_are_those_of_the_bootstrap():
    fit = cf.fit(F, sample(), method="ipw", vcov=cf.Bootstrap(reps=99, seed=4))
    found = fit.sensitivity("marginal", gamma=1.0)
    np.testing.assert_allclose(found.limits[0], fit.tidy()[["conf.low", "conf.high"]].to_numpy()[0], rtol=1e-6)
    assert "99 replicates, seed 4" in str(found)


def test_clusters_of_the_fit_are_drawn_whole():
    data = sample().assign(g=lambda d: np.arange(len(d)) // 6)
    formula = F + " + cluster(g)"
    assert "clusters of g" in str(cf.fit(formula, data, method="ipw").sensitivity("marginal", gamma=1.0, reps=20))
    found = cf.fit(F, data, method="ipw", vcov="~g").sensitivity("marginal", gamma=1.0, reps=20)
    assert "clusters of g" in str(found)


def test_the_interval_reaches_the_null_where_it_says():
    fit = cf.fit(F, sample(500), method="ipw")
    found = fit.sensitivity("marginal", reps=79, sharp=False)
    assert 1 < found.breakdown_limit < found.breakdown
    at = fit.sensitivity("marginal", gamma=found.breakdown_limit, reps=79, sharp=False)
    assert at.limits[0, 0] == pytest.approx(0, abs=0.01)


# ---- the truth -------------------------------------------------------------------------------------------------------


def confounded(n, gamma, seed=0):
    """A confounder that moves the odds of treatment by ``gamma`` up and down, whose bias is the largest there is.

    Given x, ``e(x) = 1/2``, and given u the odds are ``gamma`` or ``1 / gamma``; the effect is 1, and y tells u.
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, n)
    # u has the share that leaves the mean of e at 1/2
    u = rng.random(n) < 0.5
    e = np.where(u, gamma / (1 + gamma), 1 / (1 + gamma))
    a = (rng.random(n) < e).astype(int)
    y0 = np.where(u, 1.0, -1.0) + x + 0.1 * rng.normal(size=n)
    return pd.DataFrame({"y": y0 + a, "a": a, "x": x})


@pytest.mark.parametrize("sharp", [True, False])
@pytest.mark.parametrize("method", ["ipw", "aipw"])
def test_bounds_hold_the_truth_at_the_gamma_that_was_simulated(method, sharp):
    data = confounded(4000, 2.0)
    fit = cf.fit("y ~ treat(a) + adjust(factor(x))", data, method=method)
    assert fit.estimate > 1.4
    low, high = fit.sensitivity("marginal", gamma=2.0, sharp=sharp, reps=0).bounds[0]
    assert low < 1 + 0.08
    assert high > 1
    # and no longer at a smaller one: nothing but so strong a confounder explains the bias
    assert fit.sensitivity("marginal", gamma=1.4, sharp=sharp, reps=0).bounds[0, 0] > 1.08


def test_sharp_bounds_are_reached_by_the_worst_confounder():
    """u tells the sign of the outcome's residual, and so is the confounder that attains the bound."""
    data = confounded(8000, 2.0, seed=1)
    fit = cf.fit("y ~ treat(a) + adjust(factor(x))", data, method="ipw")
    low = fit.sensitivity("marginal", gamma=2.0, reps=0).bounds[0, 0]
    assert low == pytest.approx(1, abs=0.08)
