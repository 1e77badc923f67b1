"""Targeted maximum likelihood: small cases by hand, its equations, and its influence under every option."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import causalformula as cf
from causalformula.backends import registry
from causalformula.backends.fit import Query
from tests.laws.strategies import simulate

EFFICIENT = cf.Asympt(weights="fixed")
# Treated at x = 0: one row of four; at x = 1: three of four.
SMALL = pd.DataFrame(
    {"x": [0, 0, 0, 0, 1, 1, 1, 1], "a": [1, 0, 0, 0, 1, 1, 1, 0], "y": [4.0, 1.0, 2.0, 0.0, 10.0, 6.0, 8.0, 3.0]}
)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


def small(formula, **options):
    return cf.fit(formula, SMALL, "tmle", bounds=(0.01, 1), **options)


# -- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fluctuation", ["logistic", "linear"])
@pytest.mark.parametrize(("estimand", "effect"), [("ATE", 4.0), ("ATT", 4.5), ("ATC", 3.5)])
def test_saturated_models_leave_nothing_to_target(fluctuation, estimand, effect):
    """Effects of 3 at x = 0 and 5 at x = 1, for 1/2, 1/4 and 3/4 of the target in x = 0."""
    fit = small("y ~ treat(a) + adjust(x)", interact=True, fluctuation=fluctuation, estimand=estimand, alpha=0.9995)
    assert fit.estimate == pytest.approx(effect, abs=1e-9)
    step = fit.answer.estimate.evidence.stages[-1]
    np.testing.assert_allclose(step.theta, 0, atol=1e-8)


@pytest.mark.parametrize("fluctuation", ["logistic", "linear"])
@pytest.mark.parametrize(
    ("estimand", "means"),
    [
        # weights 4 and 4/3 of the treated, 4/3 and 4 of the controls
        ("ATE", [(4 / 3 * 3 + 4 * 3) / 8, (4 * 4 + 4 / 3 * 24) / 8]),
        # the treated as they are; odds 1/3 and 3 of the controls
        ("ATT", [(1 / 3 * 3 + 3 * 3) / 4, 28 / 4]),
        ("ATC", [6 / 4, (3 * 4 + 1 / 3 * 24) / 4]),
    ],
)
def test_targeting_what_ignores_the_covariate_weights_the_means(fluctuation, estimand, means):
    """An outcome model of the arms' means is moved to the weighted means, on either path."""
    fit = small("y ~ treat(a) + propensity(x)", fluctuation=fluctuation, estimand=estimand)
    np.testing.assert_allclose(fit.means().tidy()["estimate"], means, rtol=1e-9)


def test_the_inverse_propensity_as_the_covariate():
    """Controls: mean 3/2, H = 4/3 three times and 4: epsilon = sum H (y - 3/2) / sum H^2, H over all rows 8/3."""
    fit = small("y ~ treat(a) + propensity(x)", fluctuation="linear", target_gwt=False)
    controls = 1.5 + (4 / 3 * (3 - 4.5) + 4 * 1.5) / (3 * 16 / 9 + 16) * 8 / 3
    treated = 7 + (4 * (4 - 7) + 4 / 3 * (24 - 21)) / (16 + 3 * 16 / 9) * 8 / 3
    np.testing.assert_allclose(fit.means().tidy()["estimate"], [controls, treated], rtol=1e-12)


def test_the_influence_function_by_hand():
    """D = m1* - m0* + A (y - m1*) / e - (1 - A) (y - m0*) / (1 - e) - psi, with constant means 6 and 2."""
    fit = small("y ~ treat(a) + propensity(x)", fluctuation="linear", vcov=EFFICIENT)
    e = np.where(SMALL["x"] == 1, 0.75, 0.25)
    D = SMALL["a"] * (SMALL["y"] - 6) / e - (1 - SMALL["a"]) * (SMALL["y"] - 2) / (1 - e)
    assert fit.std_error == pytest.approx(np.sqrt((D**2).sum()) / 8, rel=1e-10)
    assert "nuisances held fixed" in fit.covariance.label


def test_the_default_bound():
    """5 / (sqrt(n) log n), and no more than equal shares."""
    data = simulate(1, 400)
    low = 5 / (20 * np.log(400))
    fits = [cf.fit("y ~ treat(a) + adjust(x + z)", data, "tmle", **o) for o in ({}, {"bounds": (low, 1)})]
    assert fits[0].estimate == fits[1].estimate
    fits = [cf.fit("y ~ treat(a) + adjust(x)", SMALL, "tmle", **o) for o in ({}, {"bounds": (0.5, 1)})]
    assert fits[0].estimate == fits[1].estimate


# -- equations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"repeats": 3}])
def test_one_step_for_all_folds(options):
    """CV-TMLE by hand, from the predictions that the fit gives."""
    data = simulate(3, 300)
    models = {"outcome_model": LinearRegression(), "treatment_model": LogisticRegression(C=1e6)}
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, "tmle", **models, **options)
    low, width, bound = data["y"].min(), np.ptp(data["y"]), 5 / (np.sqrt(300) * np.log(300))
    found, spread = [], []
    for repeat in range(1, fit.folds.shape[1] + 1):
        seen = fit.predictions(repeat)
        scores = []
        for a in (0, 1):
            m = np.clip((seen[f"outcome at a = {a}"] - low) / width, 0.0005, 0.9995)
            w = (data["a"] == a) / np.clip(seen[f"a = {a}"], bound, 1)
            y = (data["y"] - low) / width
            epsilon = brentq(lambda e, w=w, y=y, m=m: w @ (y - expit(logit(m) + e)), -3, 3, xtol=1e-14)
            new = expit(logit(m) + epsilon)
            scores.append(low + width * new + w * width * (y - new))
        D = scores[1] - scores[0]
        found.append(D.mean())
        spread.append(((D - D.mean()) ** 2).sum() / 300**2)
    assert fit.estimate == pytest.approx(np.median(found), rel=1e-9)
    variance = np.median(np.array(spread) + (np.array(found) - np.median(found)) ** 2)
    assert fit.std_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_the_logistic_path_keeps_means_within_the_outcome():
    """Weak overlap: the linear path, as augmented weighting, may go where no probability is."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x": rng.normal(size=60)})
    data["a"] = (rng.random(60) < expit(2 * data["x"])).astype(int)
    data["d"] = (rng.random(60) < expit(3 * data["x"] + 2)).astype(int)
    options = {"family": "binomial", "bounds": 1e-6, "target_gwt": False}
    logistic, linear = (
        cf.fit("d ~ treat(a) + adjust(x)", data, "tmle", fluctuation=path, **options).means().tidy()["estimate"]
        for path in ("logistic", "linear")
    )
    assert logistic.between(0.5, 0.95).all()
    assert linear.max() > 1.5


@pytest.mark.parametrize("wrong", ["outcome", "propensity"])
def test_right_if_either_model_is(wrong):
    rng = np.random.default_rng(5)
    n = 20_000
    data = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n)})
    data["a"] = (rng.random(n) < expit(data["x"])).astype(int)
    data["y"] = 1 + 2 * data["a"] + 3 * data["x"] + rng.normal(size=n)
    right = "propensity(x) + outcome(z)" if wrong == "outcome" else "propensity(z) + outcome(x)"
    fit = cf.fit(f"y ~ treat(a) + {right}", data, "tmle")
    assert abs(fit.estimate - 2) < 4 * fit.std_error < 0.4
    neither = cf.fit("y ~ treat(a) + propensity(z) + outcome(z)", data, "tmle")
    assert abs(neither.estimate - 2) > 10 * neither.std_error


# -- influence -------------------------------------------------------------------------------------------------------


def derivative(fit, row, query, step=0.001):
    """``n d theta / d w_row`` by reweighted refits, with Richardson's extrapolation."""
    call = fit.call

    def at(h):
        w = np.ones(call.frame.n)
        w[row] += h
        return registry.run(call.frame.reweight(w), call.options).ask(query).estimate.theta

    def central(h):
        return (at(h) - at(-h)) / (2 * h)

    return call.frame.n * (4 * central(step / 2) - central(step)) / 3


OPTIONS = [
    {"fluctuation": "linear"},
    {"target_gwt": False},
    {"fluctuation": "linear", "target_gwt": False, "estimand": "ATT"},
    {"target_gwt": False, "estimand": "ATC", "bounds": (0.3, 1)},
    {"bounds": (0.3, 1), "estimand": "ATT"},
    {"alpha": 0.6},
    {"family": "binomial", "interact": True, "target_gwt": False},
    {"family": "poisson", "measure": "log_ratio", "bounds": (0.2, 0.6)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["a", "m"])
def test_influence_under_every_option(options, kind):
    y = {"binomial": "d", "poisson": "k"}.get(options.get("family", ""), "y")
    focal = {"focal": "low"} if kind == "m" and "estimand" in options else {}
    fit = cf.fit(f"{y} ~ treat({kind}) + adjust(x + z) + weights(w)", simulate(21), "tmle", **options, **focal)
    psi = fit.influence()
    for row in (2, 33, 58):
        np.testing.assert_allclose(psi[row], derivative(fit, row, Query()), atol=1e-6 * np.abs(psi).max())


@pytest.mark.parametrize("bounds", [(0.3, 1), (0.2, 0.6)])
@pytest.mark.parametrize(("kind", "estimand"), [("a", "ATE"), ("a", "ATT"), ("m", "ATE")])
def test_a_bound_on_one_propensity_leaves_the_others_free(bounds, kind, estimand):
    """Those of either arm in tmle; of two levels aipw bounds the second's."""
    method = "tmle" if kind == "a" else "aipw"
    fit = cf.fit(f"y ~ treat({kind}) + adjust(x)", simulate(21), method, bounds=bounds, estimand=estimand)
    P = fit.fit.design.probabilities
    P = np.column_stack([1 - fit.fit.design.distance, fit.fit.design.distance]) if P is None else P
    free = np.clip(P, *bounds) == P
    rows = np.flatnonzero(free.any(axis=1) & ~free.all(axis=1))[:3]
    assert len(rows)
    psi = fit.influence()
    for row in rows:
        np.testing.assert_allclose(psi[row], derivative(fit, row, Query()), atol=1e-6 * np.abs(psi).max())


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize("fluctuation", ["logistic", "linear"])
def test_integer_weights_are_duplicated_rows(estimand, fluctuation):
    data = simulate(13)
    options = {"method": "tmle", "bounds": (0.1, 1), "estimand": estimand, "fluctuation": fluctuation}
    weighted = cf.fit("y ~ treat(a) + adjust(x + z) + weights(f)", data, **options, vcov="HC0")
    repeated = data.loc[data.index.repeat(data["f"])].reset_index(drop=True)
    copied = cf.fit("y ~ treat(a) + adjust(x + z)", repeated, **options, vcov="CR0 ~ id")
    assert weighted.estimate == pytest.approx(copied.estimate, rel=1e-9)
    assert weighted.std_error == pytest.approx(copied.std_error, rel=1e-7)


@pytest.mark.parametrize("method", ["aipw", "tmle"])
def test_groups_with_the_nuisances_held_fixed(method):
    """Each group's standard error is that of its efficient influence function, as the whole sample's is."""
    fit = cf.fit("y ~ treat(a) + adjust(x) + modify(z)", simulate(8, 200), method)
    groups, frame = fit.by("z"), fit.call.frame
    fixed = groups.with_vcov(EFFICIENT)
    (outcomes,) = fit.fit.outcomes.each
    z = simulate(8, 200)["z"].to_numpy()
    for k, level in enumerate(("u", "v", "w")):
        alone = outcomes._over(Query(), np.where(z == level, 1.0, 0.0)).estimate.evidence
        D = alone.psi(fixed=True)[:, 0]
        assert np.abs(D[z != level]).max() == 0
        assert fixed.tidy()["std.error"][k] == pytest.approx(np.sqrt((D**2).sum()) / frame.n, rel=1e-10)
        assert groups.tidy()["std.error"][k] == pytest.approx(np.sqrt((alone.psi() ** 2).sum()) / frame.n, rel=1e-10)


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fluctuation": "logit"}, "unknown fluctuation 'logit'; did you mean 'logistic'"),
        ({"alpha": 1}, "alpha=1: a number between 0.5 and 1"),
        ({"alpha": 0.99, "fluctuation": "linear"}, "fluctuation='linear' has none"),
        ({"target_gwt": "yes"}, "target_gwt must be True or False"),
        ({"model": "forest", "interact": True}, "interact= is of two GLMs"),
        ({"contrast": 1}, "is for a dose"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(cf.OptionError, match=message):
        cf.fit("y ~ treat(a) + adjust(x)", simulate(1), "tmle", **options)


def test_an_arm_with_all_outcomes_at_one_end_has_no_logistic_step():
    data = simulate(1).assign(d=lambda t: np.where(t["a"] == 1, 1, t["d"]))
    with pytest.raises(
        cf.ConvergenceError, match=r"every outcome at a = 1 is at the highest value of the data.*'linear'"
    ):
        cf.fit("d ~ treat(a) + adjust(x)", data, "tmle", family="binomial")
    assert np.isfinite(cf.fit("d ~ treat(a) + adjust(x)", data, "tmle", fluctuation="linear").estimate)


def test_a_propensity_of_zero_has_no_inverse():
    tree = DecisionTreeClassifier(max_depth=4, random_state=0)
    options = {"treatment_model": tree, "bounds": (0, 1)}
    with pytest.raises(cf.IdentificationError, match=r"propensity of 0 .*bounds= above 0"):
        cf.fit("y ~ treat(a) + adjust(x)", simulate(1), "tmle", **options)


def test_a_group_without_an_arm_is_named():
    data = simulate(1)
    data["h"] = np.where((data["a"] == 1) & (np.arange(60) < 30), "p", "q")
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, "tmle")
    with pytest.raises(cf.DataError, match="no row at a = 0 in what is averaged over"):
        fit.by("h")


def test_a_dose_is_refused():
    with pytest.raises(cf.CapabilityError, match="does not take a treatment that is a dose"):
        cf.fit("y ~ treat(q) + adjust(x)", simulate(1), "tmle")
