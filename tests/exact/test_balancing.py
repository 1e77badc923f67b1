"""Balancing weights against their defining equations: conditions, optimality, closed forms, influences, messages."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, root

import causalformula as cf
from causalformula.backends import registry
from causalformula.backends.fit import Query
from causalformula.backends.propensity import binary_weights, estimand_weights
from causalformula.errors import (
    CapabilityError,
    CausalFormulaWarning,
    ConvergenceError,
    DataError,
    IdentificationError,
    OptionError,
)
from causalformula.frame.parts import PROPENSITY
from causalformula.numerics.balancing import Conditions, balance
from causalformula.numerics.covariate_balance import balance_dose, balance_levels
from causalformula.numerics.families import family as read_family
from causalformula.numerics.irls import newton
from causalformula.numerics.logit import FAR, warm_logits
from causalformula.numerics.multinomial import multinomial
from tests.laws.strategies import simulate

seeds = st.integers(0, 2**31 - 1)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        yield


def sample(seed, n=200):
    data = simulate(seed, n)
    data["p"] = np.clip(1 / (1 + np.exp(-data["x"])), 0.1, 0.9)
    return data


def fitted(formula, data, method, **options):
    try:
        return cf.fit(formula, data, method, **options)
    except ConvergenceError:
        assume(False)


# -- the solver ----------------------------------------------------------------------------------------------------


@given(seed=seeds)
@settings(max_examples=20)
def test_solution_does_not_depend_on_scale_or_start(seed):
    """The same weights after an affine change of the columns, and where scipy's minimiser of the dual ends."""
    rng = np.random.default_rng(seed)
    n = 80
    Z = np.column_stack([np.ones(n), rng.normal(size=(n, 3))])
    s, inside = rng.uniform(0.5, 2, n), rng.random(n) < 0.6
    up, b = inside.astype(float), -Z.T @ s
    try:
        found = balance(Conditions(Z, s, up, np.zeros(n), b, s.sum(), list("abcd")))
    except ConvergenceError:
        assume(False)
    change = np.array([[1, 5, 1e4, -3], [0, 2, 0, 1], [0, 0, 1e3, 0], [0, 0, 0, 0.01]])
    other = balance(Conditions(Z @ change, s, up, np.zeros(n), change.T @ b, s.sum(), list("abcd")))
    np.testing.assert_allclose(np.exp(other.eta), np.exp(found.eta), rtol=1e-7)

    def dual(lam):
        rise = s * up * np.exp(Z @ lam)
        return (rise.sum() + b @ lam) / n, (Z.T @ rise + b) / n

    start = found.coef + rng.normal(size=4) * 0.3
    again = minimize(dual, start, jac=True, method="BFGS", options={"gtol": 1e-10})
    np.testing.assert_allclose(again.x, found.coef, atol=1e-6)


def test_collinear_columns_are_left_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    Z = np.column_stack([np.ones(60), x, 2 * x + 3])
    up = (np.arange(60) % 2).astype(float)
    found = balance(Conditions(Z, np.ones(60), up, np.zeros(60), -Z.sum(axis=0), 60.0, ["1", "x", "x2"]))
    assert list(found.kept) == [0, 1]
    np.testing.assert_allclose(Z.T @ (up * np.exp(found.eta)), Z.sum(axis=0), rtol=1e-9)


def test_multinomial_with_two_levels_is_the_logit():
    data = sample(1)
    X = np.column_stack([np.ones(len(data)), data["x"], data["w"]])
    s = data["w"].to_numpy()
    fit = multinomial(X, data["a"].to_numpy(), 2, s)
    p = 1 / (1 + np.exp(-X @ fit.coef[0]))
    np.testing.assert_allclose(X.T @ (s * (data["a"] - p)), 0, atol=1e-9)
    np.testing.assert_allclose(fit.information, (X * (s * p * (1 - p))[:, None]).T @ X, rtol=1e-10)


# -- balance -------------------------------------------------------------------------------------------------------

BALANCING = [
    (method, estimand)
    for method in ("ebal", "ipt", "cbps")
    for estimand in ("ATE", "ATT", "ATC", *(("ATO",) if method == "cbps" else ()))
]


@pytest.mark.parametrize(("method", "estimand"), BALANCING)
@given(seed=seeds)
@settings(max_examples=5)
def test_balance_conditions_hold(method, estimand, seed):
    """Weighted covariate means agree between arms (and with the target's, where the method says so) to 1e-8 sd."""
    data = sample(seed)
    fit = fitted("y ~ treat(a) + adjust(x + z) + weights(w)", data, method, estimand=estimand)
    w = (fit.design.weights * data["w"]).to_numpy()
    X = fit.call.frame.design(PROPENSITY).X[:, 1:]
    a, s = data["a"].to_numpy() == 1, data["w"].to_numpy()
    treated, control = (w[k] @ X[k] / w[k].sum() for k in (a, ~a))
    np.testing.assert_allclose(treated, control, atol=1e-8 * X.std(axis=0).max())
    target = {"ATE": s, "ATT": s * a, "ATC": s * ~a}.get(estimand)
    if target is not None and (method, estimand) != ("cbps", "ATE"):
        np.testing.assert_allclose(treated, target @ X / target.sum(), atol=1e-8 * X.std(axis=0).max())
    assert (w >= 0).all()


@pytest.mark.parametrize("method", ["ebal", "ipt"])
def test_every_level_is_balanced(method):
    data = sample(4)
    fit = cf.fit("y ~ treat(m) + adjust(x + z)", data, method, estimand="ATT", focal="low", moments=2)
    focal = (data["m"] == "low").to_numpy()
    for column in (data["x"], data["x"] ** 2, data["z"] == "v"):
        values = column.to_numpy(dtype=float)
        for level in ("none", "high"):
            arm = (data["m"] == level).to_numpy()
            w = fit.design.weights.to_numpy()[arm]
            assert abs(w @ values[arm] / w.sum() - values[focal].mean()) < 1e-8


def test_dose_is_uncorrelated():
    data = sample(5)
    w = cf.fit("y ~ treat(q) + adjust(x + z)", data, "ebal").design.weights.to_numpy()
    np.testing.assert_allclose(w.sum(), len(data), rtol=1e-9)
    for column in (data["x"], data["z"] == "v", data["z"] == "w"):
        x, q = column.to_numpy(dtype=float), data["q"].to_numpy()
        assert abs(w @ x / w.sum() - x.mean()) < 1e-8
        assert abs(w @ ((x - x.mean()) * (q - q.mean())) / w.sum()) < 1e-8


def test_cbps_balances_every_level_and_doses():
    """All arms have the same weighted sums; a dose keeps its mean and has no weighted covariance with a covariate."""
    data = sample(4)
    w = (cf.fit("y ~ treat(m) + adjust(x + z) + weights(w)", data, "cbps").design.weights * data["w"]).to_numpy()
    Z = np.column_stack([np.ones(len(data)), data["x"], data["z"] == "v", data["z"] == "w"])
    sums = [w[data["m"] == level] @ Z[data["m"] == level] for level in ("none", "low", "high")]
    np.testing.assert_allclose(sums[1], sums[0], atol=1e-8 * len(data))
    np.testing.assert_allclose(sums[2], sums[0], atol=1e-8 * len(data))
    w = (cf.fit("y ~ treat(q) + adjust(x + z) + weights(w)", data, "cbps").design.weights * data["w"]).to_numpy()
    gap = data["q"].to_numpy() - np.average(data["q"], weights=data["w"])
    np.testing.assert_allclose((w * gap) @ Z, 0, atol=1e-8 * len(data))


def test_several_levels_with_two_levels_are_two_arms():
    """The multinomial equations of two levels have the two-arm solution, from the solver of another kind."""
    data = sample(7)
    Z = np.column_stack([np.ones(len(data)), data["x"], data["z"] == "v", data["z"] == "w"])
    found = balance_levels(Z, data["a"].to_numpy(), 2, data["w"].to_numpy(), list("abcd"))
    p = cf.fit("y ~ treat(a) + adjust(x + z) + weights(w)", data, "cbps").design.distance
    np.testing.assert_allclose(found.P[:, 1], p, rtol=1e-8)


@pytest.mark.parametrize(("kind", "seed"), [("levels", 0), ("levels", 1), ("dose", 0), ("dose", 1)])
def test_scores_are_solved_again_from_a_perturbed_start(kind, seed):
    """scipy's root finder, on the equations written out here, ends at the same coefficients."""
    data = sample(20 + seed)
    Z = np.column_stack([np.ones(len(data)), data["x"], data["w"]])
    s, names = data["w"].to_numpy(), ["1", "x", "w"]
    rng = np.random.default_rng(seed)
    if kind == "levels":
        codes = pd.Categorical(data["m"]).codes.astype(int)
        found = balance_levels(Z, codes, 3, s, names).coef.ravel()

        def equations(theta):
            eta = np.column_stack([np.zeros(len(Z)), Z @ theta.reshape(2, 3).T])
            P = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
            sums = [(s / P[:, k] * (codes == k)) @ Z for k in range(3)]
            return np.concatenate([sums[1] - sums[0], sums[2] - sums[0]])
    else:
        q = data["q"].to_numpy()
        solution = balance_dose(Z, q, s, names)
        found = np.append(solution.coef, solution.variance)
        gap = q - np.average(q, weights=s)
        V = np.average(gap**2, weights=s)

        def equations(theta):
            r = q - Z @ theta[:3]
            w = s * np.exp(r**2 / (2 * theta[3]) - gap**2 / (2 * V))
            return np.append((w * gap) @ Z, s @ (r**2 - theta[3]))

    again = root(equations, found + 0.02 * rng.normal(size=len(found)), tol=1e-12)
    np.testing.assert_allclose(again.x, found, rtol=1e-7, atol=1e-8)


def test_over_identified_minimises_its_criterion():
    """scipy's minimiser of ``g' W g``, W the inverse model variance at the exact solution, ends at the same place."""
    data = sample(7)
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, "cbps", over=True)
    first, second = fit.design.designed.stages
    X, a = np.column_stack([np.ones(len(data)), data["x"]]), data["a"].to_numpy()
    e = 1 / (1 + np.exp(-X @ first.theta))
    blocks = [[X.T @ (X * u[:, None]) for u in row] for row in ([e * (1 - e), np.ones_like(e)], [e**0, 1 / (e - e**2)])]
    W = np.linalg.inv(np.block(blocks))

    def criterion(b):
        p = 1 / (1 + np.exp(-X @ b))
        g = np.concatenate([X.T @ (a - p), X.T @ (a / p - (1 - a) / (1 - p))])
        return g @ W @ g

    best = minimize(criterion, first.theta, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14})
    np.testing.assert_allclose(second.theta, best.x, atol=1e-6)


# -- approximate balance and base weights ---------------------------------------------------------------------------


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
@given(seed=seeds, tols=st.sampled_from([1e-3, 0.02, 0.1]))
@settings(max_examples=5)
def test_balance_within_tolerances(estimand, seed, tols):
    """Standardised differences from the target are within ``tols``; what moves weights from one is at the bound."""
    data = sample(seed)
    fit = fitted("y ~ treat(a) + adjust(x + z) + weights(w)", data, "ebal", estimand=estimand, tols=tols)
    w = (fit.design.weights * data["w"]).to_numpy()
    X = fit.call.frame.design(PROPENSITY).X[:, 1:]
    s, treated = data["w"].to_numpy(), data["a"].to_numpy() == 1
    arms = {"ATE": (treated, ~treated), "ATT": (treated,), "ATC": (~treated,)}[estimand]
    sd = np.sqrt(np.mean([s[k] @ (X[k] - s[k] @ X[k] / s[k].sum()) ** 2 / s[k].sum() for k in arms], axis=0))
    target = s @ X / s.sum() if estimand == "ATE" else s[arms[0]] @ X[arms[0]] / s[arms[0]].sum()
    for arm in (treated, ~treated):
        gap = np.abs(w[arm] @ X[arm] / w[arm].sum() - target) / sd
        assert (gap <= tols + 1e-8).all()
        before = np.abs(s[arm] @ X[arm] / s[arm].sum() - target) / sd
        if (before > tols).any():
            assert np.isclose(gap, tols, rtol=0, atol=1e-8).any()


def entropy(w, base=1.0):
    return float(np.sum(w * np.log(w / base)))


@pytest.mark.parametrize("treatment", ["a", "m", "q"])
def test_tolerances_order_the_weights(treatment):
    """Wider tolerances give weights nearer to one; none gives the exact ones, and the widest unit weights."""
    data = sample(6)
    formula = f"y ~ treat({treatment}) + adjust(x + z)"
    weights = [cf.fit(formula, data, "ebal", tols=t).design.weights for t in (0, 1e-9, 0.01, 0.05, 5)]
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-6)
    sizes = [entropy(w) for w in weights]
    assert sizes[0] > sizes[2] > sizes[3] > sizes[4]
    np.testing.assert_allclose(weights[4], 1, rtol=1e-9)


def test_dose_is_nearly_uncorrelated():
    data = sample(5)
    w = cf.fit("y ~ treat(q) + adjust(x + z)", data, "ebal", tols=0.05).design.weights.to_numpy()
    x, q = data["x"].to_numpy(), data["q"].to_numpy()
    np.testing.assert_allclose([w @ x, w @ q, w.sum()], [x.sum(), q.sum(), len(x)], rtol=1e-8)
    correlation = np.mean(w * (x - x.mean()) * (q - q.mean())) / (x.std() * q.std())
    np.testing.assert_allclose(correlation, 0.05, atol=1e-8)


def test_approximate_weights_are_optimal():
    """scipy's constrained minimiser of the entropy finds the same weights."""
    data = sample(6, 60)
    tols = 0.05
    fit = cf.fit("y ~ treat(a) + adjust(x + w)", data, "ebal", estimand="ATT", tols=tols)
    treated = (data["a"] == 1).to_numpy()
    X = data[["x", "w"]].to_numpy()
    goal, sd = X[treated].mean(axis=0), X[treated].std(axis=0)
    C = (X[~treated] - goal) / sd
    m = len(C)
    limits = [
        {"type": "eq", "fun": lambda w: w.sum() - m, "jac": lambda w: np.ones(m)},
        {"type": "ineq", "fun": lambda w: tols - C.T @ w / m, "jac": lambda w: -C.T / m},
        {"type": "ineq", "fun": lambda w: tols + C.T @ w / m, "jac": lambda w: C.T / m},
    ]
    found = minimize(
        entropy, np.ones(m), jac=lambda w: np.log(w) + 1, bounds=[(1e-6, None)] * m, constraints=limits,
        method="SLSQP", options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    np.testing.assert_allclose(fit.design.weights[~treated], found.x, atol=2e-4)


def test_weights_stay_near_their_base():
    """Log weights over base weights are linear in the covariates; base weights that balance are kept."""
    data = sample(6)
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, "ebal", estimand="ATT", base_weights="p")
    control = (data["a"] == 0).to_numpy()
    Z = np.column_stack([np.ones(control.sum()), data["x"][control]])
    ratio = np.log(fit.design.weights[control] / data["p"][control])
    np.testing.assert_allclose(Z @ np.linalg.lstsq(Z, ratio, rcond=None)[0], ratio, atol=1e-8)
    again = data.assign(b=fit.design.weights)
    kept = cf.fit("y ~ treat(a) + adjust(x)", again, "ebal", estimand="ATT", base_weights="b")
    np.testing.assert_allclose(kept.design.weights, fit.design.weights, rtol=1e-8)


def test_out_of_reach_even_within_tolerances():
    data = pd.DataFrame({"x": np.arange(40.0), "a": np.arange(40) >= 20, "y": np.arange(40) % 7})
    with pytest.raises(ConvergenceError, match="x \\("):
        cf.fit("y ~ treat(a) + adjust(x)", data, "ebal", tols=0.1, estimand="ATT")


def test_least_entropy():
    """Any other balancing weights of the arm have more entropy."""
    data = sample(6)
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, "ebal", estimand="ATT")
    control = (data["a"] == 0).to_numpy()
    w = fit.design.weights.to_numpy()[control]
    Z = np.column_stack([np.ones(control.sum()), data["x"].to_numpy()[control]])
    rng = np.random.default_rng(0)
    for _ in range(20):
        d = rng.normal(size=len(w))
        d -= Z @ np.linalg.lstsq(Z, d, rcond=None)[0]
        other = w + 0.2 * d * (w / np.abs(d)).min()
        assert other @ np.log(other) > w @ np.log(w)


def test_balancing_methods_agree_where_they_must():
    """For the ATT the three solve the same equations; overlap weights of cbps are those of the logit."""
    data = sample(7)
    fits = {m: cf.fit("y ~ treat(a) + adjust(x + z)", data, m, estimand="ATT") for m in ("ebal", "ipt", "cbps")}
    for fit in fits.values():
        np.testing.assert_allclose(fit.estimate, fits["ipt"].estimate, rtol=1e-9)
        np.testing.assert_allclose(fit.std_error, fits["ipt"].std_error, rtol=1e-9)
    overlap = [cf.fit("y ~ treat(a) + adjust(x + z)", data, m, estimand="ATO") for m in ("ipw", "cbps")]
    np.testing.assert_allclose(overlap[0].std_error, overlap[1].std_error, rtol=1e-9)


def test_saturated_propensity_is_stratification():
    """With one binary confounder the ATE is the strata's means averaged by their size, whatever the method."""
    data = sample(8)
    cell = data.groupby(["s", "a"])["y"].mean().unstack()
    share = data["s"].value_counts(normalize=True)
    expected = float(((cell[1] - cell[0]) * share).sum())
    for method in ("ipw", "ebal", "ipt", "cbps"):
        assert abs(cf.fit("y ~ treat(a) + adjust(s)", data, method).estimate - expected) < 1e-9


# -- influence of every option -------------------------------------------------------------------------------------


def brute(fit, row, step=0.01):
    """``n d theta / d w_row`` by reweighted refits, with Richardson's extrapolation."""
    call = fit.call

    def at(h):
        w = np.ones(call.frame.n)
        w[row] += h
        return registry.run(call.frame.reweight(w), call.options).ask(Query()).estimate.theta

    def central(h):
        return (at(h) - at(-h)) / (2 * h)

    return call.frame.n * (4 * central(step / 2) - central(step)) / 3


ADJUSTED = "y ~ treat(a) + adjust(x + z) + outcome(x)"
OPTIONS = [
    (ADJUSTED, "ipw", {"stabilize": True}),
    (ADJUSTED, "ipw", {"trim": 0.9}),
    (ADJUSTED, "ipw", {"trim": 4, "trim_lower": True, "estimand": "ATT"}),
    (ADJUSTED, "ipw", {"discard": "both"}),
    (ADJUSTED, "ipw", {"discard": (0.2, 0.8), "interact": True}),
    (ADJUSTED, "ipw", {"link": "probit", "interact": True}),
    (ADJUSTED, "ipw", {"link": "cloglog", "estimand": "ATO", "interact": True}),
    (ADJUSTED, "ipw", {"link": "cauchit", "estimand": "ATM"}),
    (ADJUSTED, "ipw", {"estimand": "ATOS", "interact": True}),
    (ADJUSTED, "ipw", {"by": "s"}),
    (ADJUSTED, "ipw", {"ps": "p"}),
    (ADJUSTED.replace("y ~", "d ~"), "ipw", {"family": "binomial(link = 'probit')", "interact": True}),
    (ADJUSTED.replace("y ~", "k ~"), "ebal", {"family": "poisson", "measure": "ratio", "interact": True}),
    (ADJUSTED + " + weights(w)", "ebal", {"moments": 2, "int": True, "estimand": "ATT"}),
    (ADJUSTED + " + weights(w)", "ipt", {"interact": True, "estimand": "ATC"}),
    (ADJUSTED, "cbps", {"interact": True}),
    ("y ~ treat(m) + adjust(x + z) + outcome(x)", "ipw", {"estimand": "ATM", "interact": True}),
    ("y ~ treat(m) + adjust(x + z) + outcome(x)", "ipw", {"estimand": "ATC", "focal": "low", "interact": True}),
    ("y ~ treat(m) + adjust(x + z) + modify(s)", "ipt", {"estimand": "ATT", "focal": "low"}),
    ("y ~ treat(q) + adjust(x + z) + outcome(x)", "ipw", {"density": "dt_4"}),
    ("y ~ treat(q) + adjust(x + z) + outcome(x)", "ipw", {"trim": 0.95}),
    ("y ~ treat(q) + adjust(x + z) + outcome(x) + weights(w)", "ebal", {}),
    (ADJUSTED + " + weights(w)", "ebal", {"tols": 0.05}),
    (ADJUSTED, "ebal", {"tols": 0.1, "estimand": "ATT", "moments": 2, "interact": True}),
    (ADJUSTED, "ebal", {"base_weights": "p"}),
    ("y ~ treat(m) + adjust(x + z) + outcome(x)", "ebal", {"tols": 0.02, "base_weights": "p"}),
    ("y ~ treat(q) + adjust(x + z) + outcome(x) + weights(w)", "ebal", {"tols": 0.05}),
    (ADJUSTED + " + weights(w)", "cbps", {"over": True, "interact": True}),
    (ADJUSTED, "cbps", {"over": True, "estimand": "ATT", "interact": True}),
    (ADJUSTED, "cbps", {"over": True, "estimand": "ATC"}),
    ("y ~ treat(m) + adjust(x + z) + outcome(x) + weights(w)", "cbps", {"interact": True}),
    ("y ~ treat(m) + adjust(x + z) + outcome(x)", "cbps", {"estimand": "ATT", "focal": "low"}),
    ("y ~ treat(q) + adjust(x + z) + outcome(x) + weights(w)", "cbps", {}),
]


@pytest.mark.parametrize(("formula", "method", "options"), OPTIONS, ids=lambda v: str(v))
def test_influence_is_exact_for_every_option(formula, method, options):
    # this model of a dose has no solution in the smaller sample
    size = 120 if (method, "treat(q)" in formula) == ("cbps", True) else 60
    fit = cf.fit(formula, sample(5, size), method, **options)
    psi = fit.influence()
    np.testing.assert_allclose(psi.mean(axis=0), 0, atol=1e-9 * np.abs(psi).max())
    for row in (0, 7, 31, 59):
        np.testing.assert_allclose(psi[row], brute(fit, row), rtol=1e-6, atol=1e-6 * np.abs(psi).max())


def test_asympt_against_hc0():
    """Estimating the propensity score cannot be ignored: HC0, which holds it fixed, is another number and says so."""
    fit = cf.fit("y ~ treat(a) + adjust(x + z)", sample(9), "ipw")
    fixed = fit.with_vcov("HC0")
    assert fit.std_error < fixed.std_error
    assert "treated as given" in str(fixed)
    assert fit.covariance.label == "asympt (M-estimation, propensity score estimated)"
    assert np.isinf(fit.covariance.df).all()
    with pytest.raises(CapabilityError, match="leverage"):
        fit.with_vcov("HC3")


# -- what is said --------------------------------------------------------------------------------------------------


def test_trimming_and_discarding_are_counted():
    data = sample(10)
    with pytest.warns(CausalFormulaWarning, match="5 weights above"):
        fit = cf.fit("y ~ treat(a) + adjust(x + z)", data, "ipw", trim=5)
    assert "5 weights above" in str(fit)
    with pytest.warns(CausalFormulaWarning, match="rows discarded: propensity score outside the common support"):
        fit = cf.fit("y ~ treat(a) + adjust(x + z)", data, "ipw", discard="both")
    kept = int((fit.design.weights > 0).sum())
    assert fit.nobs == fit.glance()["nobs"][0] == kept < len(data)
    assert f"Observations: {kept}" in str(fit)
    assert f"The ATE is that of the other {kept}" in str(fit)
    p, a = fit.design.distance, data["a"] == 1
    inside = p.between(max(p[a].min(), p[~a].min()), min(p[a].max(), p[~a].max()))
    np.testing.assert_array_equal(fit.design.weights > 0, inside)


def test_quantile_limit_is_rs_type_3():
    data = sample(11, 100)
    whole = cf.fit("y ~ treat(a) + adjust(x)", data, "ipw").design.weights
    for at in (0.9, 0.955, 0.99):
        capped = cf.fit("y ~ treat(a) + adjust(x)", data, "ipw", trim=at).design.weights
        assert capped.max() == np.quantile(whole, at, method="closest_observation")


def test_no_overlap_is_refused():
    data = pd.DataFrame({"x": np.arange(40.0), "a": np.arange(40) >= 20, "y": np.arange(40) % 7})
    with pytest.raises(IdentificationError, match="do not overlap"):
        cf.fit("y ~ treat(a) + adjust(x)", data, "ipw")
    with pytest.raises(ConvergenceError, match="x \\("):
        cf.fit("y ~ treat(a) + adjust(x)", data, "ebal")


def test_extreme_propensities_warn():
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    only = x > 1.2
    a = np.where(only, 1, rng.integers(0, 2, 200))
    data = pd.DataFrame({"x": x, "only": only, "a": a, "y": rng.normal(size=200)})
    with pytest.warns(CausalFormulaWarning, match="numerically 0 or 1"):
        cf.fit("y ~ treat(a) + adjust(x + only)", data, "ipw", estimand="ATC")


def test_given_propensities():
    data = sample(12)
    fit = cf.fit("y ~ treat(a)", data, "ipw", ps="p")
    p, a = data["p"], data["a"]
    np.testing.assert_allclose(fit.design.weights, a / p + (1 - a) / (1 - p), rtol=1e-12)
    assert "HC0" in fit.covariance.label
    missing = data.assign(p=data["p"].where(data.index > 3))
    assert cf.fit("y ~ treat(a)", missing, "ipw", ps="p").nobs == len(data) - 4
    with pytest.raises(DataError, match="lie between 0 and 1; 'p' does not in rows 0, 1"):
        cf.fit("y ~ treat(a)", data.assign(p=1.5), "ipw", ps="p")
    with pytest.raises(DataError, match=r"rows have a propensity of 0 for the level of 'a' .* more\); calibrate"):
        cf.fit("y ~ treat(a)", data.assign(p=1.0), "ipw", ps="p")
    with pytest.raises(OptionError, match="no column"):
        cf.fit("y ~ treat(a)", data, "ipw", ps="pp")


def test_classifier_is_cross_fitted_and_named():
    from sklearn.linear_model import LogisticRegression

    data = sample(13)
    model = LogisticRegression(C=1e6, max_iter=500)
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, "ipw", model=model)
    assert "LogisticRegression, cross-fitted in 5 folds" in str(fit)
    assert "treat them as given" in str(fit)
    assert "HC0" in fit.covariance.label
    whole = cf.fit("y ~ treat(a) + adjust(x)", data, "ipw", model=model, folds=1)
    np.testing.assert_allclose(whole.estimate, cf.fit("y ~ treat(a) + adjust(x)", data, "ipw").estimate, rtol=1e-3)
    again = cf.fit("y ~ treat(a) + adjust(x)", data, "ipw", model=model)
    assert again.estimate == fit.estimate
    several = cf.fit("y ~ treat(m) + adjust(x)", data, "ipw", model=model)
    assert len(several.tidy()) == 2


def certain(n=300):
    """A classifier's scores: some rows of each arm are certain to be in it, and one treated row to be out of it."""
    rng = np.random.default_rng(21)
    x = rng.normal(size=n)
    p = np.clip(1 / (1 + np.exp(-2 * x)), 0.02, 0.98)
    a = (rng.random(n) < p).astype(int)
    p[(a == 1) & (x > 1.5)] = 1.0
    p[(a == 0) & (x < -1.5)] = 0.0
    return pd.DataFrame({"x": x, "p": p, "a": a, "y": a + x + rng.normal(size=n)})


def test_scores_of_0_and_1_count_where_the_estimand_divides_by_none():
    """Certain rows in their own arm have the limit of each estimand's weight: 1, 0 in the overlap."""
    data = certain()
    p, a = data["p"].to_numpy(), data["a"].to_numpy()
    own = np.where(a == 1, p, 1 - p)
    wanted = {
        "ATE": 1 / own,
        "ATT": np.where(a == 1, 1, p / (1 - np.where(a == 1, 0, p))),
        "ATC": np.where(a == 0, 1, (1 - p) / np.where(a == 0, 1, p)),
        "ATO": 1 - own,
        "ATM": np.minimum(p, 1 - p) / own,
    }
    for estimand, w in wanted.items():
        made = cf.design("~ treat(a)", data, "ipw", ps="p", estimand=estimand)
        np.testing.assert_allclose(made.weights, w, rtol=1e-12, err_msg=estimand)
        assert np.isfinite(made.fit("y ~ treat(a)").estimate)


def test_a_score_of_0_for_the_own_arm_is_refused_unless_it_is_left_out():
    """One control whose score is 1: infinite odds for the ATT, weight 1 in the overlap and as a row of the ATC."""
    data = certain()
    row = int(np.flatnonzero(data["a"] == 0)[0])
    data.loc[row, "p"] = 1.0
    for estimand in ("ATE", "ATT"):
        with pytest.raises(DataError, match=rf"1 row has a propensity of 0 .* \(row {row}\)"):
            cf.fit("y ~ treat(a)", data, "ipw", ps="p", estimand=estimand)
    for estimand in ("ATO", "ATM", "ATC"):
        assert cf.design("~ treat(a)", data, "ipw", ps="p", estimand=estimand).weights[row] == 1
    without = cf.fit("y ~ treat(a)", data, "ipw", ps="p", discard=(0.01, 0.99))
    kept = data[(data["p"] >= 0.01) & (data["p"] <= 0.99)]
    assert without.estimate == pytest.approx(cf.fit("y ~ treat(a)", kept, "ipw", ps="p").estimate, rel=1e-12)
    capped = cf.design("~ treat(a)", data, "ipw", ps="p", trim=1)
    assert capped.weights[row] == np.sort(capped.weights)[-2]


def test_a_classifier_without_doubts_serves_the_estimands_that_need_none():
    """A tree's leaves are pure: its scores are 0 and 1 somewhere."""
    from sklearn.tree import DecisionTreeClassifier

    data = certain()
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    made = cf.design("~ treat(a) + adjust(x)", data, "ipw", model=tree, estimand="ATO", folds=2)
    assert np.isin([0.0, 1.0], made.distance).any()
    assert np.isfinite(made.weights).all()


WRONG = [
    ({"link": "logti"}, OptionError, "did you mean 'logit'"),
    ({"trim": 0.3}, OptionError, "quantile above 0.5"),
    ({"trim": 10_000}, OptionError, "give fewer"),
    ({"discard": "everyone"}, OptionError, "choose from treated, control, both"),
    ({"discard": (0.9, 0.1)}, OptionError, "pair"),
    ({"discard": (0.9, 0.99)}, DataError, "leaves no row"),
    ({"stabilize": True, "estimand": "ATT"}, OptionError, "for the ATE"),
    ({"density": "normal"}, OptionError, "dnorm"),
    ({"model": "forst"}, OptionError, "did you mean 'forest'"),
    ({"model": dict}, OptionError, r"dict is a class; give an object of it, model=dict\(\)"),
    ({"trim": "99"}, OptionError, "how many weights to trim"),
    ({"trim": True}, OptionError, "how many weights to trim"),
    ({"trim_lower": True}, OptionError, "give both"),
    ({"stabilize": "yes"}, OptionError, "stabilize must be True or False"),
    ({"discard": ("low", "high")}, OptionError, "pair"),
    ({"folds": 2.5}, OptionError, "folds of the cross-fitting, a whole number from 1"),
    ({"seed": -1}, OptionError, "the seed of the folds, a whole number from 0"),
    ({"ps": 3}, OptionError, "ps is the name of a column"),
    ({"estimand": "att"}, OptionError, "did you mean 'ATT'"),
    ({"s_weights": "v"}, OptionError, r"part of the formula: weights\(w\)"),
    ({"interact": "yes"}, OptionError, "True or False"),
]


@pytest.mark.parametrize(("options", "error", "text"), WRONG, ids=str)
def test_wrong_options(options, error, text):
    with pytest.raises(error, match=text):
        cf.fit("y ~ treat(a) + adjust(x)", sample(14, 60), "ipw", **options)


def test_wrong_questions():
    data = sample(15, 60)
    with pytest.raises(OptionError, match="focal"):
        cf.fit("y ~ treat(m) + adjust(x)", data, "ebal", estimand="ATT")
    with pytest.raises(CapabilityError, match="needs arms"):
        cf.fit("y ~ treat(q) + adjust(x)", data, "ipw", estimand="ATO")
    with pytest.raises(CapabilityError, match="binary treatment"):
        cf.fit("y ~ treat(m) + adjust(x)", data, "ipw", estimand="ATOS")
    with pytest.raises(CapabilityError, match="these do"):
        cf.fit("y ~ treat(q) + adjust(x)", data, "ipt")
    for method in ("cbps", "energy", "ebal"):
        with pytest.raises(CapabilityError, match="needs arms"):
            cf.fit("y ~ treat(q) + adjust(x)", data, method, estimand="ATT")
    for treatment in ("m", "q"):
        with pytest.raises(OptionError, match="two arms"):
            cf.fit(f"y ~ treat({treatment}) + adjust(x)", data, "cbps", over=True)
    with pytest.raises(CapabilityError, match="method='ipw'"):
        cf.fit("y ~ treat(m) + adjust(x)", data, "cbps", estimand="ATO")
    with pytest.raises(OptionError, match="standardised mean difference"):
        cf.fit("y ~ treat(a) + adjust(x)", data, "ebal", tols=-0.1)
    with pytest.raises(DataError, match="base weights"):
        cf.fit("y ~ treat(a) + adjust(x)", data.assign(b=-1.0), "ebal", base_weights="b")
    with pytest.raises(OptionError, match="1 to 3"):
        cf.fit("y ~ treat(a) + adjust(x)", data, "ebal", moments=4)
    with pytest.raises(OptionError, match="ATO"):
        cf.fit("y ~ treat(a) + adjust(x)", data, "cbps", over=True, estimand="ATO")
    with pytest.raises(DataError, match="weight in every arm"):
        cf.fit("y ~ treat(a) + adjust(x) + weights(v)", data.assign(v=(data["a"] == 1).astype(float)), "ebal")


# -- energy --------------------------------------------------------------------------------------------------------


def test_energy_refuses_large_samples(monkeypatch):
    from causalformula.backends.weighting import energy

    monkeypatch.setattr(energy, "MOST_ROWS", 50)
    with pytest.raises(CapabilityError, match="ebal"):
        cf.fit("y ~ treat(a) + adjust(x)", sample(16, 60), "energy")


@pytest.mark.parametrize("adjusted", [True, False])
def test_energy_of_a_dose_is_optimal(adjusted):
    """No feasible direction lowers distance covariance plus both margins' energy distances, written out plainly."""
    pytest.importorskip("osqp")
    data = sample(17, 60)
    fit = cf.fit("y ~ treat(q) + adjust(x + w)", data, "energy", dimension_adj=adjusted)
    w = fit.design.weights.to_numpy()

    def distances(X):
        Z = X / X.std(axis=0, ddof=1)
        return np.sqrt(((Z[:, None] - Z[None]) ** 2).sum(axis=2))

    Dx, Da = distances(data[["x", "w"]].to_numpy()), distances(data[["q"]].to_numpy())
    J = np.eye(60) - 1 / 60
    product = (J @ Dx @ J) * (J @ Da @ J)
    own = 1 / (1 + np.sqrt(2)) if adjusted else 0.5

    def margin(D, u):
        t = np.full(60, 1 / 60)
        return 2 * u @ D @ t - u @ D @ u - t @ D @ t

    def objective(w):
        u = w / 60
        penalty = 0.5e-4 * u @ u
        return u @ product @ u + 2 * (1 - own) * margin(Dx, u) + 2 * own * margin(Da, u) + penalty

    rng = np.random.default_rng(0)
    best = objective(w)
    assert best < objective(np.ones(60))
    for _ in range(200):
        other = w + rng.uniform(0, 0.2, 60) * rng.exponential(size=60)
        assert objective(other * 60 / other.sum()) > best - 1e-9
    np.testing.assert_allclose(w.sum(), 60, rtol=1e-6)


@pytest.mark.parametrize("kind", ["a", "m"])
@pytest.mark.parametrize("improved", [True, False])
def test_energy_is_optimal(kind, improved):
    """No feasible direction lowers the objective, which is written out here with plain energy distances."""
    pytest.importorskip("osqp")
    data = sample(17, 60)
    fit = cf.fit(f"y ~ treat({kind}) + adjust(x + w)", data, "energy", improved=improved)
    w = fit.design.weights.to_numpy()
    X = data[["x", "w"]].to_numpy()
    Z = X / X.std(axis=0, ddof=1)
    D = np.sqrt(((Z[:, None] - Z[None]) ** 2).sum(axis=2))
    arms = [(data[kind] == level).to_numpy() for level in np.unique(data[kind])]

    def distance(u, v):
        return 2 * u @ D @ v - u @ D @ u - v @ D @ v

    def objective(w):
        us = [w * arm / arm.sum() for arm in arms]
        total = sum(distance(u, np.full(60, 1 / 60)) + 0.5e-4 * u @ u for u in us)
        if improved:
            total += sum(distance(us[i], us[j]) for i in range(len(us)) for j in range(i))
        return total

    rng = np.random.default_rng(0)
    best = objective(w)
    for _ in range(200):
        other = w + rng.uniform(0, 0.2, 60) * rng.exponential(size=60)
        for arm in arms:
            other[arm] *= arm.sum() / other[arm].sum()
        assert objective(other) > best - 1e-9
    for arm in arms:
        np.testing.assert_allclose(w[arm].sum(), arm.sum(), rtol=1e-6)


@pytest.mark.parametrize("method", ["energy", "subclass"])
def test_no_equations_no_stacked_variance(method):
    """A label may not claim that weights were estimated where they count as given."""
    with pytest.raises(CapabilityError, match=r"count as given\. Use 'HC"):
        cf.fit("y ~ treat(a) + adjust(x + z)", sample(9, 120), method, vcov="asympt")


# -- options without effect, scores without overlap, and standard errors that hold the weights ----------------------


IDLE = [
    ("a", "ipw", {"density": "kernel"}, "density='kernel' is for a dose; 'a' has arms"),
    ("m", "ipw", {"density": "dt_4"}, "density='dt_4' is for a dose"),
    ("a", "ipw", {"ps": "p", "link": "probit"}, "link='probit' has no effect: ps= gives the propensity scores"),
    ("a", "ipw", {"ps": "p", "by": "w"}, "by='w' has no effect: ps= gives"),
    ("a", "ipw", {"folds": 3}, "folds= and seed= are for model="),
    ("a", "ipw", {"seed": 1}, "folds= and seed= are for model="),
    ("a", "energy", {"dimension_adj": False}, "dimension_adj=False is for a dose; 'a' has arms"),
    ("q", "energy", {"improved": False}, "improved=False is for treatments with arms"),
    ("a", "energy", {"improved": False, "estimand": "ATT"}, "improved=False is for the ATE"),
    ("a", "energy", {"lambda_": np.inf}, "lambda_=inf: a number above zero"),
    ("a", "energy", {"improved": "no"}, "improved must be True or False, not 'no'"),
    ("a", "energy", {"min_w": "x"}, "min_w='x': a number"),
]


@pytest.mark.parametrize(("treatment", "method", "options", "text"), IDLE, ids=str)
def test_options_without_effect_are_refused(treatment, method, options, text):
    with pytest.raises(OptionError, match=text):
        cf.fit(f"y ~ treat({treatment}) + adjust(x)", sample(18, 60), method, **options)


def test_a_classifier_takes_no_link():
    from sklearn.linear_model import LogisticRegression

    with pytest.raises(OptionError, match="link='cauchit' has no effect: model= fits the propensity scores"):
        cf.design("~ treat(a) + adjust(x)", sample(18, 60), "ipw", model=LogisticRegression(), link="cauchit")


def told(ask):
    """What a call warns of, and what it returns or raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = ask()
        except CapabilityError as error:
            found = error
    return [str(w.message) for w in caught], found


def test_resampling_makes_the_weights_anew_and_does_not_say_that_it_holds_them():
    pytest.importorskip("osqp")
    formula, data, caveat = "y ~ treat(a) + adjust(x)", sample(19, 60), "weights as given"
    drawn = cf.Bootstrap(reps=5, seed=1)
    for request, held in ((None, True), ("HC1", True), ("~w", True), (drawn, False), ("jackknife", False)):
        notes, fit = told(lambda vcov=request: cf.fit(formula, data, "energy", vcov=vcov))
        again = cf.fit(formula, data, "energy").with_vcov(fit.covariance.request)
        for text in (str(fit), str(again), str(fit.means()), " ".join(notes)):
            assert (caveat in text) is held, (request, text)
    _, made = told(lambda: cf.design(formula, data, "energy"))
    assert caveat not in str(made)
    assert any(caveat in note for note in told(made.fit)[0])
    assert not any(caveat in note for note in told(lambda: made.fit(vcov=drawn))[0])


@pytest.mark.parametrize("options", [{"method": "energy"}, {"method": "ipw", "ps": "p"}], ids=str)
def test_no_caveat_before_a_refusal(options):
    notes, error = told(lambda: cf.fit("y ~ treat(a) + adjust(x)", sample(19, 60), vcov="asympt", **options))
    assert isinstance(error, CapabilityError)
    assert not any("standard errors" in note for note in notes)


def test_given_scores_stay_given_in_every_resample():
    fit = cf.fit("y ~ treat(a)", sample(12), "ipw", ps="p", vcov=cf.Bootstrap(reps=5, seed=1))
    assert "treat the given propensity scores as known" in str(fit)
    assert "as known" not in str(cf.design("~ treat(a)", sample(12), "ipw", ps="p"))


def test_scores_without_overlap_are_told():
    data = sample(20)
    treated = (data["a"] == 1).to_numpy()
    apart = data.assign(p=np.where(treated, 0.7, 0.2) + np.linspace(-0.1, 0, len(data)))
    low = float(f"{apart['p'][~treated].max():.4g}")
    text = rf"scores do not overlap \(controls up to {low:g}, treated from 0.6"
    with pytest.warns(CausalFormulaWarning, match=text):
        made = cf.design("~ treat(a)", apart, "ipw", ps="p")
    assert "do not overlap (controls up to" in str(made)
    assert "do not overlap (controls up to" in str(made.fit("y ~ treat(a)"))
    upside_down = cf.design("~ treat(a)", apart.assign(p=1 - apart["p"]), "ipw", ps="p")
    assert "do not overlap (controls from 0.8" in str(upside_down)
    touching = apart.assign(p=np.where(data.index == data.index[treated][0], 0.15, apart["p"]))
    assert "do not overlap" not in str(cf.design("~ treat(a)", touching, "ipw", ps="p"))


def test_what_determines_the_treatment_is_named_by_energy_balancing():
    pytest.importorskip("osqp")
    data = sample(21, 60)
    apart = data.assign(k=data["a"] * 5 + np.arange(60) % 3, t=np.where(data["a"] == 1, "yes", "no"))
    assert "'k', 't' each predict 'a' perfectly" in str(cf.design("~ treat(a) + adjust(x + k + t)", apart, "energy"))
    assert "perfectly" not in str(cf.design("~ treat(a) + adjust(x)", apart, "energy"))
    several = data.assign(k=np.where(data["m"] == data["m"].iloc[0], 9.0, 1.0) + np.arange(60) % 2)
    found = cf.design("~ treat(m) + adjust(x + k)", several, "energy")
    assert f"'k' predicts m = {data['m'].iloc[0]} perfectly" in str(found)


def test_remedies_for_infinite_weights_work():
    """Every remedy that is named is taken here; what would not work is not named."""
    data = certain()
    rows = np.flatnonzero(data["a"] == 0)

    def refusal(frame):
        with pytest.raises(DataError) as caught:
            cf.fit("y ~ treat(a)", frame, "ipw", ps="p")
        return str(caught.value)

    few, many = data.copy(), data.copy()
    few.loc[rows[:5], "p"] = 1.0
    text = refusal(few)
    assert "5 rows have a propensity of 0" in text
    kept = int(few["p"].between(0.01, 0.99).sum())
    assert f"discard=(0.01, 0.99) (which leaves {kept} of {len(few)} rows)" in text
    assert cf.fit("y ~ treat(a)", few, "ipw", ps="p", discard=(0.01, 0.99)).nobs == kept
    assert "trim=5 or more" in text
    assert np.isfinite(cf.fit("y ~ treat(a)", few, "ipw", ps="p", trim=5).estimate)
    with pytest.raises(DataError, match="trim=5 or more"):
        cf.fit("y ~ treat(a)", few, "ipw", ps="p", trim=4)
    many.loc[rows[: len(rows) // 2], "p"] = 1.0
    text = refusal(many)
    assert "trim=" not in text
    assert "estimand='ATO'" in text
    assert np.isfinite(cf.fit("y ~ treat(a)", many, "ipw", ps="p", estimand="ATO").estimate)
    text = refusal(data.assign(p=1.0))
    assert "discard" not in text
    assert "ATO" not in text


def test_a_design_is_a_right_hand_side():
    data = sample(22, 80)
    bare, written = (cf.design(text, data, "ebal") for text in ("treat(a) + adjust(x)", "~ treat(a) + adjust(x)"))
    np.testing.assert_array_equal(bare.weights, written.weights)
    assert bare.call.text == written.call.text
    assert bare.fit("y ~ treat(a)").estimate == written.fit("y ~ treat(a)").estimate
    with pytest.raises(cf.FormulaError, match="no outcome: write it on the left of `~`"):
        bare.fit("treat(a)")
    for name, value in {"outcome": "y", "vcov": "HC0", "measure": "ratio", "family": "binomial"}.items():
        with pytest.raises(OptionError, match=rf"{name}= is of the estimate.*design\.fit\("):
            cf.design("treat(a) + adjust(x)", data, "ebal", **{name: value})
    with pytest.raises(OptionError, match=r"no option 'mesure'; it takes estimand, focal, moments, int, tols, base_we"):
        cf.design("treat(a) + adjust(x)", data, "ebal", mesure="ratio")


def test_what_a_design_has_settled():
    from causalformula.results.design_fit import refuse_settled

    made = cf.design("~ treat(a) + adjust(x)", sample(22, 80), "ebal")
    for name in ("estimand", "method", "moments", "subset"):
        with pytest.raises(OptionError, match=rf"{name}= is of the design, which is made already"):
            refuse_settled(made, [name])
    with pytest.raises(OptionError, match="no option 'vcv'; did you mean 'vcov'"):
        refuse_settled(made, ["vcv"])


# -- what is said of weights that were not found ---------------------------------------------------------------------


def refusal(formula, data, method, **options):
    with pytest.raises(ConvergenceError) as caught:
        cf.design(formula, data, method, **options)
    return str(caught.value)


def one_treated(at):
    """Controls at 0, 1, ..., 9 and a single treated unit."""
    x = np.append(np.arange(10.0), at)
    return pd.DataFrame({"x": x, "a": (np.arange(11) == 10).astype(int)})


def test_imbalance_is_what_no_weights_can_undo():
    """The one treated unit is as far from the sample's mean as it is, in the table's standard deviations."""
    data = one_treated(7.0)
    x, control = data["x"], data["x"][:-1]
    off = abs(7 - x.mean()) / np.sqrt((control.var(ddof=0) + 0) / 2)
    text = refusal("~ treat(a) + adjust(x)", data, "ebal")
    assert f"no weights balance these covariates; furthest off: x ({off:.2g} standard deviations at best)" in text
    assert "allow some imbalance with tols=" in text
    text = refusal("~ treat(a) + adjust(x)", data, "ebal", tols=0.1)
    assert f"within tols; furthest off: x ({off - 0.1:.2g} standard deviations more than allowed, at best)" in text
    assert "tols=" not in text


def test_imbalance_is_the_programmes_value():
    """A brute-force search over the segment between two treated units in two covariates."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=30), "z": rng.normal(size=30), "a": (np.arange(30) > 27).astype(int)})
    X, treated = data[["x", "z"]].to_numpy(), data["a"].to_numpy() == 1
    sd = np.sqrt((X[treated].var(axis=0) + X[~treated].var(axis=0)) / 2)
    share = np.linspace(0, 1, 100_001)[:, None]
    means = share * X[treated][0] + (1 - share) * X[treated][1]
    best = (np.abs(means - X.mean(axis=0)) / sd).max(axis=1).min()
    assert best > 0.01
    text = refusal("~ treat(a) + adjust(x + z)", data, "ebal")
    assert f"({best:.2g} standard deviations" in text
    assert f"({best:.2g} standard deviations" in refusal("~ treat(a) + adjust(x + z)", data, "ipt")


def test_no_weights_of_a_form_is_not_no_weights():
    """Ten of eleven treated units lie far out: balance needs them to weigh less than one, which 1/p cannot."""
    a = np.repeat([0, 1], [30, 11])
    data = pd.DataFrame({"x": np.repeat([0.0, 5.0, 0.9], [30, 10, 1]), "a": a})
    data.loc[:4, "x"] = [-1, -1, 1, 2, 6]
    x = data["x"]
    w = cf.design("~ treat(a) + adjust(x)", data, "ebal").weights
    np.testing.assert_allclose(np.average(x[a == 1], weights=w[a == 1]), x.mean(), atol=1e-8)
    # of the sample's 41 the far ones keep one each, and the near one gets the rest
    off = ((10 * 5 + 31 * 0.9) / 41 - x.mean()) / np.sqrt((x[a == 0].var(ddof=0) + x[a == 1].var(ddof=0)) / 2)
    text = refusal("~ treat(a) + adjust(x)", data, "ipt")
    start = "no weights of the form 1/p, which are at least 1, balance these covariates; furthest off: x"
    assert text.startswith(
        f"{start} ({off:.2g} standard deviations at best) where a = 1. Smaller weights do: use method='ebal'"
    )


def test_steps_that_stop_are_told_from_weights_that_do_not_exist():
    """A solution that the steps were not given the time for."""
    Z = np.column_stack([np.ones(6), [0.0, 1, 2, 3, 4, 9]])
    with pytest.raises(ConvergenceError, match=r"did not converge, though .* exist; furthest off: x \(0\.\d+ standard"):
        one = np.ones(6)
        balance(Conditions(Z, one, one, np.zeros(6), -6 * np.array([1, 7.0]), 6.0, ["1", "x"]), maxit=2)


def test_arms_of_several_levels_that_lie_apart():
    x = np.concatenate([np.arange(10.0), np.arange(5.0, 15), np.arange(20.0, 30)])
    data = pd.DataFrame({"x": x, "m": np.repeat(["a", "b", "c"], 10)})
    off = (20 - 9) / np.sqrt(np.mean([np.arange(10).var()] * 3))
    text = refusal("~ treat(m) + adjust(x)", data, "cbps")
    assert f"no weights balance these covariates; furthest off: x ({off:.2g} standard deviations at best)" in text


def test_messages_survive_a_process():
    """A replicate that fails in a worker says there what it would say here."""
    import pickle

    with pytest.raises(ConvergenceError) as caught:
        cf.design("~ treat(a) + adjust(x)", one_treated(7.0), "ebal")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# -- tolerances and factors ----------------------------------------------------------------------------------------


def coded(seed, n=240):
    data = sample(seed, n)
    rng = np.random.default_rng(seed)
    place = np.clip(np.round(data["x"] + rng.normal(size=n)), -1, 2).astype(int)
    return data.assign(f=np.array(["north", "east", "south", "west"])[place])


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@given(seed=seeds, tols=st.sampled_from([0.01, 0.05, 0.1]))
@settings(max_examples=6, deadline=None)
def test_every_level_is_within_tolerance_whichever_is_the_reference(estimand, seed, tols):
    data = coded(seed)
    formula = "y ~ treat(a) + adjust(x + relevel(factor(f), ref = '{}'))"
    fits = [
        fitted(formula.format(ref), data, "ebal", estimand=estimand, tols=tols) for ref in ("north", "south", "west")
    ]
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.design.weights, fits[0].design.weights, rtol=1e-7)
        np.testing.assert_allclose(fit.std_error, fits[0].std_error, rtol=1e-6)
    w, treated = fits[0].design.weights.to_numpy(), data["a"].to_numpy() == 1
    for level in np.unique(data["f"]):
        inside = (data["f"] == level).to_numpy(dtype=float)
        arms = (treated, ~treated) if estimand == "ATE" else (treated,)
        sd = np.sqrt(np.mean([inside[k].var() for k in arms]))
        goal = inside.mean() if estimand == "ATE" else inside[treated].mean()
        for arm in (treated, ~treated):
            assert abs(w[arm] @ inside[arm] / w[arm].sum() - goal) <= tols * sd + 1e-8


def test_levels_of_equal_size_all_at_their_bounds():
    """Two levels above and two below, by the same: one multiplier too many, and still one set of weights."""
    f = np.repeat(["p", "q", "r", "s"], 40)
    a = np.concatenate([np.arange(40) < k for k in (28, 28, 12, 12)]).astype(int)
    data = pd.DataFrame({"f": f, "a": a})
    w = cf.design("~ treat(a) + adjust(f)", data, "ebal", tols=0.1).weights
    sums = {key: w[rows.index].sum() for key, rows in data.groupby(["f", "a"])}
    sd = np.sqrt((0.35 * 0.65 + 0.15 * 0.85) / 2)
    for level, sign in zip("pqrs", (1, 1, -1, -1), strict=True):
        assert sums[level, 1] / 80 == pytest.approx(0.25 + sign * 0.1 * sd, abs=1e-8)
        assert sums[level, 0] / 80 == pytest.approx(0.25 - sign * 0.1 * sd, abs=1e-8)


@pytest.mark.parametrize(("estimand", "tols", "ref"), [("ATE", 0.05, "north"), ("ATT", 0.02, "east")])
def test_influence_with_a_reference_level_at_its_bound(estimand, tols, ref):
    formula = f"y ~ treat(a) + adjust(x + relevel(factor(f), ref = '{ref}')) + outcome(x) + weights(w)"
    fit = cf.fit(formula, coded(3), "ebal", estimand=estimand, tols=tols, interact=True)
    active = {name for stage in fit.design.designed.stages if "balance" in stage.name for name in stage.names}
    assert any(name.endswith(f"){ref}") for name in active)
    psi = fit.influence()
    for row in (0, 7, 31, 59, 200):
        np.testing.assert_allclose(psi[row], brute(fit, row), rtol=1e-6, atol=1e-6 * np.abs(psi).max())


def test_tolerances_say_from_what():
    text = str(cf.design("~ treat(a) + adjust(x)", sample(6), "ebal", tols=0.05))
    assert "entropy balancing, within 0.05 standard deviations of the target" in text
    assert "correlations within 0.05 of zero" in str(cf.design("~ treat(q) + adjust(x)", sample(6), "ebal", tols=0.05))


# -- refits of the propensity score, all at once ---------------------------------------------------------------------


@pytest.mark.parametrize("n", [80, 3000])
def test_refits_at_once_are_refits_one_by_one(n):
    """Probabilities under bootstrap frequencies whatever the scale of columns; NaN without a maximum."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 3))
    X = np.column_stack([np.ones(n), x, 1e4 + 1e3 * x[:, 0] ** 2])
    a = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    S = rng.multinomial(n, np.full(n, 1 / n), 40) * rng.uniform(0.5, 2, n)
    S[7] *= 1e6
    S[11] = np.where(a == (x[:, 0] > 0), S[11], 0)  # told apart
    whole = newton(X, a, read_family("binomial", "logit"), np.ones(n), None, None)
    P = warm_logits(X, a, S, whole.coef)
    assert np.isnan(P[11]).all()
    for r in np.delete(np.arange(40), 11):
        alone = newton(X, a, read_family("binomial", "logit"), S[r], None, whole.coef, tol=1e-14)
        if np.abs(X @ (alone.coef - whole.coef)).max() < FAR / 2:
            np.testing.assert_allclose(P[r], alone.mu, rtol=0, atol=1e-12)
        else:
            assert np.isnan(P[r]).all() or np.abs(P[r] - alone.mu).max() < 1e-12


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC", "ATO", "ATM"])
def test_weights_of_many_sets_of_scores(estimand):
    rng = np.random.default_rng(0)
    P, codes = rng.random((3, 20)), rng.integers(0, 2, 20)
    P[1, :2], P[2] = (0, 1), np.nan
    arm = {"ATT": 1, "ATC": 0}.get(estimand)
    found = binary_weights(P, codes == 1, estimand, arm)
    for p, w in zip(P[:2], found[:2], strict=True):
        np.testing.assert_allclose(w, estimand_weights(np.column_stack([1 - p, p]), codes, estimand, arm, None)[0])
    assert np.isnan(found[2]).all()
